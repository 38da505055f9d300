/* One way to set alerting up, played through: a book of alerts of its own, and what came of each.
 */
#ifndef FW_BACKTEST_TRIAL_H
#define FW_BACKTEST_TRIAL_H

#include "alert/alert.h"
#include "backtest/truth.h"

enum { BACKTEST_ALERTS_MAX = 1000000 };

enum backtest_outcome {
    BACKTEST_CAME_TRUE,  /* the value passed the threshold while it fired, or within its horizon */
    BACKTEST_CAME_FALSE, /* it did not */
    BACKTEST_UNKNOWN,    /* the data ends too early to tell */
    BACKTEST_UNJUDGED,   /* of a silent server: the silence is the truth */
    BACKTEST_OUTCOMES,
};
const char *backtest_outcome_name(enum backtest_outcome outcome); /* "true", "false", ... */

struct backtest_alert {
    uint64_t id;
    size_t server; /* place by name */
    uint16_t metric;
    enum alert_severity severity; /* the worst it had */
    int64_t pending_step, fired_step;
    int64_t resolved_step;                            /* INT64_MAX: it still fired at the end */
    float threshold, predicted, current, probability; /* when it fired */
    uint32_t steps_ahead;
    enum backtest_outcome outcome;
    int64_t crossed_step; /* the first one beyond the threshold; INT64_MAX: none */
};

/* Where what alerts are about is looked up. */
struct backtest_fleet {
    const struct history *history; /* series ascend by name */
    const struct schema *schema;
    int column_of[SCHEMA_METRICS_MAX]; /* of each metric; -1: none */
    const int64_t *watch_from;         /* (n_series) steps */
    const int64_t *watch_to;
};
struct backtest_column backtest_fleet_column(const struct backtest_fleet *fleet, size_t server,
                                             uint16_t metric);

struct backtest_trial {
    struct alert_options options;
    struct schema schema; /* with this trial's thresholds; options.schema points here */
    struct alert_book *book;
    const struct backtest_fleet *fleet;
    size_t n, capacity;
    struct backtest_alert *alerts; /* in the order in which they fired, those while watched */
    size_t n_open, open_capacity;
    size_t *open;          /* places in `alerts` */
    enum fw_status status; /* of what went wrong meanwhile */
};

/* Options' schema is not looked at. FW_ENOMEM. Ended with backtest_trial_fini() in any case; the
 * trial must not move. */
FW_MUST_CHECK enum fw_status backtest_trial_init(struct backtest_trial *trial,
                                                 const struct backtest_fleet *fleet,
                                                 const struct schema *schema,
                                                 const struct alert_options *options,
                                                 struct fw_error *err);
void backtest_trial_fini(struct backtest_trial *trial);

/* A run after `step`. FW_ENOMEM, FW_ELIMIT. */
FW_MUST_CHECK enum fw_status backtest_trial_update(struct backtest_trial *trial, int64_t step,
                                                   const struct forecast_set *set,
                                                   const struct risk *risks, struct fw_error *err);

/* What came of the alerts. */
struct backtest_sums {
    size_t alerts;                      /* about thresholds */
    size_t outcomes[BACKTEST_OUTCOMES]; /* of them */
    size_t silences;                    /* alerts of silent servers, beside */
    double precision;                   /* true of true and false; NaN: there are none */
    double false_per_day;               /* a server and day */
    double lead_s; /* median of the true ones, from firing to crossing; below 0: it was crossed */
    size_t ahead;  /* true ones that fired before */
    size_t crossings; /* times beyond the first threshold of a metric that began while watched */
    size_t missed;    /* of them without any alert */
    size_t brief;     /* of those missed, shorter than an alert's `for` */
};
/* Judges the alerts, once the last update was made, and adds them up: of one metric, or of all
 * (-1). FW_ENOMEM. */
void backtest_trial_judge(struct backtest_trial *trial);
FW_MUST_CHECK enum fw_status backtest_trial_sum(const struct backtest_trial *trial, int metric,
                                                double days, struct backtest_sums *out,
                                                struct fw_error *err);

#endif
