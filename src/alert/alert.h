/* Alerts: one per server and metric, with a life of its own: pending -> firing -> resolved.
 * docs/alerts.md has the rules
 * (`for`, hysteresis, silence of data). The book is rebuilt from the store at start, so a restart
 * neither repeats nor forgets an alert. One thread updates (the forecast run's); what outlooks show
 * are immutable copies. */
#ifndef FW_ALERT_ALERT_H
#define FW_ALERT_ALERT_H

#include "risk/risk.h"
#include "store/state.h"

enum alert_state { ALERT_PENDING, ALERT_FIRING, ALERT_RESOLVED };
enum alert_severity { ALERT_WARNING, ALERT_CRITICAL };
const char *alert_state_name(enum alert_state state);
const char *alert_severity_name(enum alert_severity severity);

enum { ALERT_METRIC_SILENT = 0xffff /* the server sends nothing; not a metric of the schema */ };

struct alert {
    uint64_t id; /* stable over restarts: a fingerprint of server, metric and start */
    char server[SERVER_NAME_MAX + 1];
    uint16_t metric;
    enum alert_state state;
    enum alert_severity severity;
    bool held; /* the server is silent: neither confirmed nor resolved */
    int64_t starts_ms, ends_ms, updated_ms; /* ends_ms 0 while it is active */
    int64_t pending_since_ms;
    float threshold;
    float predicted;      /* p50 at the first crossing of the reported severity */
    uint32_t steps_ahead; /* 1..96; 0: crossed already */
    float peak;           /* worst p50 within the horizon */
    uint32_t peak_steps;
    float probability; /* of crossing within the horizon */
    float current;
    float risk_score;
    enum profile profile;
};

struct alert_options {
    const struct schema *schema;
    uint32_t step_s;
    uint32_t horizon_steps; /* how far ahead a crossing counts: 12 (an hour at 5 minutes) for p50,
                               as the reference */
    double min_probability; /* a crossing further ahead than horizon_steps counts from this chance
                               on */
    uint32_t for_runs;      /* consecutive steps a condition must hold before it fires; 2 */
    uint32_t clear_runs;    /* and be gone before it resolves; 3 */
    double hysteresis;      /* share of the threshold that it must fall back by: 0.03 */
};
void alert_options_default(struct alert_options *options, const struct schema *schema,
                           uint32_t step_s);

/* A finished list, sorted critical first, then by time to crossing; reference-counted. */
struct alert_list {
    atomic_uint references;
    size_t count;
    struct alert items[];
};
const struct alert_list *alert_list_retain(const struct alert_list *list);
void alert_list_release(const struct alert_list *list);

struct alert_transition {
    struct alert alert;
    enum alert_state from, to;
    enum alert_severity from_severity;
    bool created;
};

struct alert_book;
/* Loads what the store remembers. `state` may be NULL (nothing is kept). */
FW_MUST_CHECK enum fw_status alert_book_open(const struct alert_options *options,
                                             struct store_state *state, struct alert_book **out,
                                             struct fw_error *err);
void alert_book_close(struct alert_book *book);

/* One run's forecasts and risks (parallel to set->items) into the book; transitions are durable
 * when it returns. *list is the caller's: pending, firing, and those resolved within the last hour.
 * `now_ms` is the run's time. */
typedef void (*alert_transition_fn)(void *ctx, const struct alert_transition *transition);
FW_MUST_CHECK enum fw_status
alert_book_update(struct alert_book *book, const struct forecast_set *set, const struct risk *risks,
                  int64_t now_ms, alert_transition_fn notify, void *ctx,
                  const struct alert_list **list, struct fw_error *err);

/* The reference's own list (API contract 5 and vectors of 17): one item per crossing step of the
 * first 12, or merged to one per server and metric. Pure. Returns how many were written to `items`
 * (at most `cap`). */
struct alert_legacy_item {
    uint16_t metric;
    enum alert_severity severity;
    float predicted, threshold;
    uint32_t steps_ahead;
};
size_t alert_legacy_items(const struct schema *schema, const struct forecast *forecast,
                          bool per_step, struct alert_legacy_item *items, size_t cap);

#endif
