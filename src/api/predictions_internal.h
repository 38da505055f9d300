/* What the files of GET /predictions/current share. */
#ifndef FW_API_PREDICTIONS_INTERNAL_H
#define FW_API_PREDICTIONS_INTERNAL_H

#include "api/api_internal.h"
#include "api/predictions.h"
#include "base/hash.h"

enum {
    PREDICTIONS_KEPT = 32, /* filtered bodies */
    PREDICTIONS_ETAG = 64,
};

/* A whole body, counted by who holds it. */
struct predictions_full {
    atomic_uint references;
    const struct outlook *outlook;
    struct http_body *body;
    const char *bytes;
    size_t written; /* servers in it */
    struct api_fragment *fragments;
    atomic_bool packed[HTTP_ENCODINGS]; /* the variant exists: handing it out costs nothing */
};

/* A filtered body. */
struct predictions_kept {
    unsigned char key[FW_SHA256_SIZE];
    uint64_t run;
    uint64_t used; /* for the choice of the one to drop */
    size_t bytes;
    struct http_body *body; /* NULL: free */
};

struct api_predictions {
    struct api *api;
    pthread_mutex_t lock;
    struct predictions_full *full;      /* of the newest outlook that was rendered, or NULL */
    struct predictions_waiter *waiters; /* for the one being rendered */
    bool rendering, stopped;
    uint64_t newest;       /* outlook that is out, */
    int64_t superseded_ns; /* since when `full` is of an older one; 0: it is not */
    int64_t rendered_ns;   /* when rendering began last */
    struct predictions_kept kept[PREDICTIONS_KEPT];
    size_t kept_bytes;
    uint64_t uses;
    _Atomic int64_t asked_ns[HTTP_ENCODINGS]; /* when the whole body was last asked for; 0: never */
};

/* One request. */
struct predictions_asked {
    struct api *api;
    struct http_request *request;
    const struct outlook *outlook; /* retained */
    uint64_t records;              /* its own, or the live count while there is too little */
    struct api_view view;
    struct api_selection selection;
    unsigned fields;
    int64_t limit, offset;
    bool paged, by_risk;
    enum http_encoding encoding;
    unsigned char key[FW_SHA256_SIZE];
};

/* Never 0. */
int64_t predictions_now_ns(const struct api_predictions *p);
/* `key` (of a filtered body) may be NULL. */
void predictions_etag(char etag[PREDICTIONS_ETAG], const struct api *api,
                      const struct outlook *outlook, const unsigned char *key);

/* ---- predictions_whole.c ---- */

/* The one that hangs there, to be released; or NULL. */
struct predictions_full *predictions_full_current(struct api_predictions *p);
void predictions_full_release(struct predictions_full *full); /* NULL does nothing */
/* All servers and fields of the outlook, in the view of who asks for nothing else. */
void predictions_plan(const struct api *api, const struct outlook *outlook,
                      struct api_body_plan *plan);
/* Servers that have not changed are copied from `full`, which may be NULL. */
void predictions_plan_copies(struct api_body_plan *plan, const struct predictions_full *full);
/* Answers, at once or when it is rendered. */
void predictions_get_whole(struct api_predictions *p, const struct predictions_asked *asked);

/* ---- predictions_query.c ---- */

/* False after it has answered 422. */
bool predictions_parse(struct predictions_asked *asked);
/* What tells two queries apart, into asked->key; *is_default: the whole body is asked for. False:
 * out of memory. */
bool predictions_key(struct predictions_asked *asked, bool *is_default);
/* How many numbers, or as dear steps, this query can cost at most. */
uint64_t predictions_cost(const struct predictions_asked *asked);

/* ---- predictions_filtered.c; both answer ---- */

void predictions_get_filtered(struct api_predictions *p, struct predictions_asked *asked);
/* While there is too little: not kept, because the count of records moves with every feed, and
 * cheap, because there is little. Before the first run all keys are there with nothing in them. */
void predictions_get_little(struct predictions_asked *asked);

#endif
