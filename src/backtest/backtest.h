/* What alerting would have done: a history through the daemon's own windows, forecasters, risk and
 * book of alerts, with a clock of its own. Which alerts would have fired, how early, how many in
 * vain, what was missed, and what other settings would have cost; against known incidents where
 * there are any. docs/backtest.md says how to read it. */
#ifndef FW_BACKTEST_BACKTEST_H
#define FW_BACKTEST_BACKTEST_H

#include "backtest/trial.h"
#include "backtest/unusual.h"
#include "evaluate/set.h"

struct backtest_options {
    const char *model;  /* path; NULL: the statistical forecasters alone */
    unsigned threads;   /* 0: one per core */
    int64_t from_ms;    /* alerts count from here on; -1: each server's test part where the set has
                           a split, else behind the first third of the time */
    int64_t to_ms;      /* and before this; -1: to the end */
    bool split;         /* the set came with one */
    const char *labels; /* path; NULL: none */
    const struct schema *thresholds; /* its metrics' thresholds are taken over; NULL: the default */
    const struct alert_options
        *alerts;                  /* all but schema and step are taken over; NULL: the default */
    double alarms_per_server_day; /* wanted of the detector; 0: its default */
    /* May be NULL. */
    void (*progress)(void *ctx, const char *set, size_t done, size_t of);
    void *progress_ctx;
};

/* ---- what other settings would have cost ---- */

enum { BACKTEST_CHOICES_MAX = 24 };
enum backtest_knob {
    BACKTEST_AS_SET,
    BACKTEST_THRESHOLDS, /* all metrics' moved: backtest_move_thresholds() */
    BACKTEST_NEAR_PROBABILITY,
    BACKTEST_MIN_PROBABILITY,
    BACKTEST_FOR,
    BACKTEST_HORIZON,
    BACKTEST_KNOBS,
};
const char *backtest_knob_name(enum backtest_knob knob);

struct backtest_choice {
    enum backtest_knob knob;
    double value;
    bool current;
    struct backtest_sums sums;
};

/* A metric's threshold moved: one of BACKTEST_THRESHOLDS, one metric. */
struct backtest_metric_choice {
    uint16_t metric;
    double factor, warning, critical; /* the thresholds that this gives; NaN: none */
    struct backtest_sums sums;
};

struct backtest_rate_choice {
    double rate; /* alarms wanted per server and day */
    bool current;
    size_t alarms;
    double per_day;              /* alarms a server and day */
    struct backtest_match match; /* with labels */
};

/* Alarms of one kind against labels. */
enum backtest_kind {
    BACKTEST_KIND_UNUSUAL,
    BACKTEST_KIND_THRESHOLDS,
    BACKTEST_KIND_ANY,
    BACKTEST_KINDS
};
const char *backtest_kind_name(enum backtest_kind kind);

struct backtest_result {
    char set[EVALUATE_NAME_MAX + 1];
    uint32_t step_s;
    const struct history *history; /* the set's: it must live on; servers are its series */
    struct backtest_fleet fleet;
    struct schema schema;
    int64_t *watch_from, *watch_to; /* (servers) steps, both inclusive; to < from: not watched */
    size_t servers_watched;
    double days;                   /* watched, over all servers */
    double days_learned;           /* before */
    struct backtest_trial *trials; /* (n_choices) trials[0]: as set */
    size_t n_choices;
    struct backtest_choice choices[BACKTEST_CHOICES_MAX];
    size_t n_metric_choices;
    struct backtest_metric_choice *metric_choices;
    struct backtest_unusual unusual;
    double alarms_per_server_day; /* as set */
    struct backtest_rate_choice rates[BACKTEST_RATES_MAX];
    bool labelled;
    size_t labels_unknown;            /* of servers that the history lacks */
    struct backtest_spans *incidents; /* (servers), where labelled */
    struct backtest_match against[BACKTEST_KINDS];
};

/* On success *out is the caller's, released with backtest_result_free(). FW_EINVAL: nothing is
 * watched; FW_ELIMIT: too many alerts; else as replay_new() and backtest_labels_read(). */
FW_MUST_CHECK enum fw_status backtest_run(const struct evaluate_set *set,
                                          const struct backtest_options *options,
                                          struct backtest_result **out, struct fw_error *err);
void backtest_result_free(struct backtest_result *result); /* NULL does nothing */

/* Whether an alarm, in seconds, is about a known incident of the server. */
bool backtest_result_about(const struct backtest_result *result, size_t server,
                           struct backtest_span alarm);

#endif
