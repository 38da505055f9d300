/* The way of a request of raw series, whatever its protocol: decode -> book -> submit -> answer. A
 * protocol says how it decodes and how it answers. Private to this folder. */
#ifndef FW_API_SERIES_H
#define FW_API_SERIES_H

#include "api/api_internal.h"
#include "ingest/series_book.h"

struct api_series_request;

struct api_series_kind {
    enum api_protocol protocol;
    /* Reads the request's body, whose bytes live until the answer. FW_ENOMEM is answered by
     * later(), what else it returns by refused(). */
    enum fw_status (*gather)(struct api_series_request *r, struct series_gather *gather,
                             struct fw_error *err);
    void (*refused)(struct api_series_request *r, enum fw_status status,
                    const struct fw_error *err);
    /* Everything that was good is stored. On the journal's thread or the caller's. */
    void (*taken)(struct api_series_request *r, const struct api_submitted *result);
    /* Nothing is lost when the sender tries again: 503. */
    void (*later)(struct http_request *request, const char *text);
};

/* First member of a protocol's own request, which http_request_alloc() gave. */
struct api_series_request {
    const struct api_series_kind *kind;
    struct api *api;
    struct http_request *request;
    bool deferred, pays; /* private; pays: the batch holds owed rows */
};

/* While the meaning of series is exchanged nobody is between the book and the journal. `forget`:
 * what the book knows was put there by other rules. */
void api_series_hold(struct api_series *series);
void api_series_resume(struct api_series *series, bool forget);

/* Takes the request over: small bodies where they arrive, large ones on the ingest workers. */
void api_series_request(struct api_series_request *r);

#endif
