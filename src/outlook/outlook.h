/* The outlook: everything that one forecast run found, immutable, published by swapping a pointer.
 * Every answer, event and metric about the fleet's future reads an outlook and costs no model run.
 */
#ifndef FW_OUTLOOK_OUTLOOK_H
#define FW_OUTLOOK_OUTLOOK_H

#include "alert/alert.h"
#include "base/histogram.h"
#include "forecast/forecaster.h"

enum { OUTLOOK_TOP_MAX = 20, OUTLOOK_LISTENERS_MAX = 16 };

struct outlook {
    atomic_uint references;
    uint64_t id; /* = set->run */
    int64_t made_ms;
    uint32_t step_s;
    const struct schema *schema; /* that it was made by: own_schema */
    struct schema own_schema;
    const char *risk_model; /* risk_scorer_name() */
    char model_type[16];    /* "TFT" only when a TFT made at least one path of this run; else
                               "heuristic" */
    char model_name[128];   /* "none" without a model */
    const struct forecast_set *set;   /* sorted by name */
    const struct risk *risks;         /* parallel to set->items */
    struct outlook_drivers **drivers; /* (driver_blocks) what the risks point to */
    size_t driver_blocks;
    const struct alert_list *alerts;
    struct risk_environment environment;
    size_t level_counts[RISK_LEVEL_COUNT]; /* by risk_count_level() */
    double average_risk, max_risk;         /* 0 for an empty fleet */
    double health_score;                   /* 100 - average_risk; 100 for an empty fleet */
    size_t top_count; /* the riskiest first, ties by name: indices into set->items */
    uint32_t top[OUTLOOK_TOP_MAX];
    uint64_t records; /* fleet_counts.rows at the time */
};

const struct outlook *outlook_retain(const struct outlook *outlook);
void outlook_release(const struct outlook *outlook); /* NULL does nothing */

/* Where the current outlook hangs. Readers never wait for a run: a lock covers the pointer alone.
 */
struct outlook_board;
struct outlook_board *outlook_board_new(void);        /* NULL: no memory */
void outlook_board_free(struct outlook_board *board); /* NULL does nothing */
/* The newest outlook, retained, or NULL before the first run. Any thread. */
const struct outlook *outlook_board_current(struct outlook_board *board);
/* Takes over one reference. `listener`s (rendering) are called on the publisher's thread before the
 * swap, in the order in which they were added, so that what they prepare is there when the first
 * reader comes. One publisher at a time. */
void outlook_board_publish(struct outlook_board *board, const struct outlook *outlook);
/* Calls the followers; `outlook` is the one just published, of which its publisher kept a
 * reference. Its alerts are on disk by then, or the disk refuses them. */
void outlook_board_tell(struct outlook_board *board, const struct outlook *outlook);
typedef void (*outlook_listener_fn)(void *ctx, const struct outlook *outlook);
/* Before the first run, or while none is made; at most OUTLOOK_LISTENERS_MAX (asserted). */
void outlook_board_listen(struct outlook_board *board, outlook_listener_fn listener, void *ctx);
/* The same, but called after the swap by outlook_board_tell(): who is told of the outlook by it
 * (events, notifications, charts of the past) finds it on the board. */
void outlook_board_follow(struct outlook_board *board, outlook_listener_fn listener, void *ctx);

struct outlook_statistics {
    uint64_t runs, failures;      /* since the start */
    bool failing;                 /* the last run did not come to its end */
    int64_t made_ms;              /* of the current outlook; 0: there is none */
    uint64_t history_failures;    /* writes of the environment's history */
    struct fw_histogram_view run; /* durations of finished runs, nanoseconds, forecasts included */
};
/* Any thread. */
void outlook_board_statistics(struct outlook_board *board, struct outlook_statistics *out);

/* The thread that runs forecasts when data arrives: at once, and what comes during a run shares the
 * next one. A run of a forecaster that makes parts has an outlook for each of them. Runs may take a
 * twentieth of the time, and two seconds of it can be saved up; beyond that one is made after every
 * closed step, and within `min_interval_ms` when data came inside a step. Once a minute it looks
 * whether a server fell silent (or came back) without data saying so, and samples the environment's
 * history; with nothing new it does not run. */
struct outlook_runner;
struct outlook_runner_options {
    struct fleet *fleet;
    struct forecaster *forecaster;
    struct alert_book *alerts;
    struct surprise *surprise; /* may be NULL; else the book watches it: alert_book_watch() */
    struct store_state *state; /* environment history (API contract 7.3) goes here; may be NULL */
    struct risk_options risk;
    const struct fw_clock *clock;
    struct outlook_board *board;
    /* 0 stands for the default in each of these. */
    int64_t min_interval_ms; /* 10,000 */
    int64_t settle_ms; /* how long after a step's end (or its first data) a run that has to wait
                          waits for the other servers' data: 2,000, at most a quarter of the step;
                          negative: not at all */
    int64_t history_keep_ms; /* of alert and environment history: 90 days; negative: for ever */
    alert_transition_fn on_transition; /* may be NULL */
    void *on_transition_ctx;
};

/* The options are copied, their schema with them; what else they point to must outlive the runner.
 * FW_ENOMEM, FW_EIO (no thread). */
FW_MUST_CHECK enum fw_status outlook_runner_start(const struct outlook_runner_options *options,
                                                  struct outlook_runner **out,
                                                  struct fw_error *err);
/* Tells it that windows or the model changed; cheap, any thread. NULL does nothing. */
void outlook_runner_wake(struct outlook_runner *runner);

/* What runs judge by, as far as it can be changed while they are made. */
struct outlook_rules {
    struct schema schema; /* names and places as the runner began with */
    enum risk_scorer scorer;
    struct alert_options alerts;  /* their schema is the one above, whatever stands here */
    double alarms_per_server_day; /* of unusual behaviour; 0: as before */
};
/* The next run is made by these rules as a whole, of every server anew, and begins at once; runs
 * before it were made by the old ones. `rules`, from fw_malloc(), is taken over. Any thread. */
void outlook_runner_use(struct outlook_runner *runner, struct outlook_rules *rules);

/* One run now, on the caller's thread (start-up, tests, benches, `forecast`); not while the thread
 * is running. On failure (FW_ENOMEM) the last outlook stays where it is; the failure is logged
 * once, and so is its end. */
FW_MUST_CHECK enum fw_status outlook_run_once(const struct outlook_runner_options *options,
                                              struct fw_error *err);
/* Waits for the run in progress. NULL does nothing. */
void outlook_runner_stop(struct outlook_runner *runner);

#endif
