/* Alerts: one per server and metric, with a life of its own: pending -> firing -> resolved.
 * docs/alerts.md has the rules (`for`, hysteresis, silence of data). The book is rebuilt from the
 * store at start, so a restart neither repeats nor forgets an alert. One thread updates (the
 * forecast run's); what outlooks show are immutable copies. */
#ifndef FW_ALERT_ALERT_H
#define FW_ALERT_ALERT_H

#include "risk/risk.h"
#include "store/state.h"
#include "surprise/surprise.h"

enum alert_state { ALERT_PENDING, ALERT_FIRING, ALERT_RESOLVED };
enum alert_severity { ALERT_WARNING, ALERT_CRITICAL, ALERT_SEVERITY_COUNT };
/* Why an alert resolved. */
enum alert_reason {
    ALERT_REASON_NONE,        /* it has not */
    ALERT_REASON_CLEARED,     /* the condition is gone; for a silent server: data came back */
    ALERT_REASON_SERVER_GONE, /* the server was silent for so long that the fleet forgot it */
    ALERT_REASON_METRIC_GONE, /* the same of the metric, or the schema no longer has it */
    ALERT_REASON_COUNT,
};
const char *alert_state_name(enum alert_state state);          /* "pending", ... */
const char *alert_severity_name(enum alert_severity severity); /* "warning", "critical" */
const char *alert_reason_name(enum alert_reason reason); /* "", "cleared", "server_gone", ... */

enum {                                /* not metrics of the schema */
       ALERT_METRIC_SILENT = 0xffff,  /* the server sends nothing */
       ALERT_METRIC_UNUSUAL = 0xfffe, /* it is far from what was forecast for it */
};
enum { ALERT_REASONS_MAX = 3 };
/* The metric's name in the API and the store: the schema's, "server_silent" or "unusual_behaviour".
 */
const char *alert_metric_name(const struct schema *schema, uint16_t metric);

struct alert {
    uint64_t id; /* stable over restarts: a fingerprint of server, metric and pending_since_ms */
    char server[SERVER_NAME_MAX + 1];
    uint16_t metric;
    enum alert_state state;
    enum alert_severity severity;
    enum alert_reason reason;
    bool held;          /* the server or the metric is silent: neither confirmed nor resolved */
    bool crossed;       /* the value itself, not only its forecast, passed the critical threshold
                           (the warning one where there is no other) while the alert was active */
    int64_t starts_ms;  /* when it fired; while it is pending: when that began */
    int64_t ends_ms;    /* 0 while it is active */
    int64_t updated_ms; /* last run that judged it by fresh data */
    int64_t pending_since_ms;
    float threshold;      /* of the reported severity; NaN for a silent server, as all values are;
                             of unusual behaviour it, predicted, peak and current are scores */
    float predicted;      /* p50 at the first crossing of the reported severity; the value now when
                             it is crossed already; the worst p50 of the near horizon when the alert
                             only has not cleared yet */
    uint32_t steps_ahead; /* 1..96; 0: crossed already */
    float peak;           /* worst p50 within the horizon */
    uint32_t peak_steps;  /* 1..96 */
    float probability;    /* of crossing `threshold` within the horizon */
    float current;
    float risk_score;
    enum profile profile;
    size_t reason_count; /* of unusual behaviour only; not kept over a restart */
    struct surprise_reason reasons[ALERT_REASONS_MAX];
};

struct alert_options {
    const struct schema *schema; /* copied */
    uint32_t step_s;
    uint32_t horizon_steps;   /* how far ahead a crossing of p50 counts: 12 (an hour at 5 minutes),
                                 as in the reference */
    double near_probability;  /* that such a crossing needs: 0.6 */
    double min_probability;   /* metrics that fill up and stay full: a crossing further ahead counts
                                 from this chance on; 0.8 */
    uint32_t for_runs;        /* consecutive steps of data a condition must hold in before it fires:
                                 2; at least 1 */
    uint32_t clear_runs;      /* and be gone in before it resolves: 3; at least 1 */
    double hysteresis;        /* how far it must fall back, as a share of the way from the best
                                 possible value to the threshold: 0.03 */
    uint32_t silent_steps;    /* after the first update silence is not judged for so many steps; a
                                 metric unseen for so long is held: 3 */
    int64_t keep_resolved_ms; /* in lists: an hour */
    int64_t forget_ms;        /* a metric unseen for so long resolves: 7 days */
};
void alert_options_default(struct alert_options *options, const struct schema *schema,
                           uint32_t step_s);

/* A finished list, sorted: active before resolved, critical first, then by time to crossing, then
 * by name; reference-counted. */
struct alert_list {
    atomic_uint references;
    size_t count;
    struct alert items[];
};
const struct alert_list *alert_list_retain(const struct alert_list *list);
void alert_list_release(const struct alert_list *list); /* NULL does nothing */

/* Something that changed. PENDING -> RESOLVED is a suspicion that was dropped: it was never an
 * alert to anybody, is not in the list and not in the history. */
struct alert_transition {
    struct alert alert; /* as it is now */
    enum alert_state from, to;
    enum alert_severity from_severity; /* differs from alert.severity when that changed */
    bool created;                      /* the first transition of this id */
};

struct alert_book;
/* Loads what the store remembers (namespace "alert"). `state` may be NULL (nothing is kept).
 * Damaged or unreadable entries are logged and passed over. FW_ENOMEM, FW_EIO, FW_ECORRUPT. */
FW_MUST_CHECK enum fw_status alert_book_open(const struct alert_options *options,
                                             struct store_state *state, struct alert_book **out,
                                             struct fw_error *err);
void alert_book_close(struct alert_book *book); /* NULL does nothing */

/* Other options than it was opened with, for the next update; the step and the schema's names are
 * as they were. A threshold that is gone takes its alerts along. The updating thread only. */
void alert_book_reconfigure(struct alert_book *book, const struct alert_options *options);

/* One run's forecasts and risks (parallel to set->items) into the book, in memory. *list is the
 * caller's: pending, firing, and those resolved within the last hour; of an update that moved
 * nothing it is the one before. `now_ms` is the run's time. Of a risk that is `kept` it is taken
 * for granted that its forecast is the one that the update before saw.
 * FW_ENOMEM: *list is NULL; servers that could not be judged are judged by the next update. */
FW_MUST_CHECK enum fw_status
alert_book_update(struct alert_book *book, const struct forecast_set *set, const struct risk *risks,
                  int64_t now_ms, const struct alert_list **list, struct fw_error *err);

/* Writes what updates changed; then `notify` (may be NULL) hears of their transitions. A store that
 * fails does not stop alerting: they are told all the same, what changed is kept in memory and
 * written by a later call; the failure is logged once and shown by alert_book_statistics(). Apart
 * from updates because a disk may take its time, and nobody who asks for forecasts has to wait. The
 * updating thread only. */
typedef void (*alert_transition_fn)(void *ctx, const struct alert_transition *transition);
void alert_book_write(struct alert_book *book, alert_transition_fn notify, void *ctx);

/* From now on unusual behaviour is alerted to as well: an alert that fires at once when a closed
 * step's score was above its threshold, and resolves when none was for an hour. `surprise` (NULL:
 * no longer) must have been updated with the set of each update. The updating thread only. */
void alert_book_watch(struct alert_book *book, const struct surprise *surprise);

/* Says that the process runs; to be called at least once a minute. A gap of more than three minutes
 * means that it was stopped, or that the clock jumped: then the servers' silence is excused for
 * silent_steps. The updating thread only. */
void alert_book_alive(struct alert_book *book, int64_t now_ms);

/* When the next update would change something though no data came (a resolved alert leaves the
 * list, silence may be judged): wall clock; INT64_MAX: never. The updating thread only. */
int64_t alert_book_due_ms(const struct alert_book *book);

struct alert_book_statistics {
    uint64_t transitions[ALERT_RESOLVED + 1]; /* by the state that was entered; since the start */
    uint64_t store_failures;
    bool store_failing;      /* the last write failed */
    uint64_t events_waiting; /* of the history, not yet written */
    uint64_t events_lost;    /* did not fit the queue while the store failed */
};
/* Any thread. */
void alert_book_statistics(const struct alert_book *book, struct alert_book_statistics *out);

/* The reference's own list (API contract 5 and vectors of 17): one item per crossing step of the
 * first 12, or merged to one per metric: the worst severity's first. Its five metrics, critical
 * first, then by step. Pure. Returns how many were written to `items` (at most `cap`;
 * ALERT_LEGACY_ITEMS_MAX always fits). */
enum { ALERT_LEGACY_ITEMS_MAX = 60 };
struct alert_legacy_item {
    uint16_t metric;
    enum alert_severity severity;
    float predicted, threshold;
    uint32_t steps_ahead;
};
size_t alert_legacy_items(const struct schema *schema, const struct forecast *forecast,
                          bool per_step, struct alert_legacy_item *items, size_t cap);

#endif
