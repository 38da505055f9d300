/* Metrics as text: Prometheus 0.0.4, or OpenMetrics 1.0.0 when a client accepts it. */
#ifndef FW_API_EXPOSITION_H
#define FW_API_EXPOSITION_H

#include "base/buf.h"
#include "base/histogram.h"
#include "http/server.h"

struct exposition {
    struct fw_buf *buf;
    bool open_metrics;
    const char *name; /* of the family being written */
    bool counter;
};

/* What the client's Accept header asks for; inside the handler. */
bool exposition_is_open(const struct http_request *request);
/* Ends the text and sends it; the buffer is taken over. 503 when it had failed. */
void exposition_reply(struct exposition *w, struct http_request *request);

/* Begins a family. Names carry their unit as a suffix; those of counters are given without
 * "_total". */
void exposition_family(struct exposition *w, const char *name, const char *type, const char *unit,
                       const char *help);
/* `labels` is text like `state="ok"`, or ""; values from outside go through exposition_label(). */
void exposition_sample(struct exposition *w, const char *labels, double value);
/* Appends name="value", escaped. */
void exposition_label(struct fw_buf *labels, const char *name, const char *value);

/* Families of one sample. */
void exposition_gauge(struct exposition *w, const char *name, const char *unit, const char *help,
                      double value);
void exposition_counter(struct exposition *w, const char *name, const char *unit, const char *help,
                        uint64_t value);
/* One histogram of a family; nanoseconds are written as seconds when `scale` is 1e-9. */
void exposition_histogram(struct exposition *w, const char *labels,
                          const struct fw_histogram_view *view, double scale);
/* A family of one histogram of durations. */
void exposition_durations(struct exposition *w, const char *name, const char *help,
                          const struct fw_histogram *of);

#endif
