/* The outlook: everything that one forecast run found, immutable, published by swapping a pointer.
 * Every answer, event and metric about the fleet's future reads an outlook and costs no model run.
 */
#ifndef FW_OUTLOOK_OUTLOOK_H
#define FW_OUTLOOK_OUTLOOK_H

#include "alert/alert.h"
#include "forecast/forecaster.h"

struct outlook {
    atomic_uint references;
    uint64_t id; /* = set->run */
    int64_t made_ms;
    uint32_t step_s;
    const struct schema *schema;
    const char *risk_model; /* risk_scorer_name() */
    char model_type[16];    /* "TFT" only when a TFT made at least one path of this run; else
                               "heuristic" */
    char model_name[128];   /* "none" without a model */
    const struct forecast_set *set; /* sorted by name */
    const struct risk *risks;       /* parallel to set->items */
    const struct alert_list *alerts;
    struct risk_environment environment;
    size_t level_counts[RISK_LEVEL_COUNT];
    double average_risk, max_risk;
    size_t top_count; /* the riskiest first, at most 20: indices into set->items */
    uint32_t top[20];
    uint64_t records; /* rows held by the windows at the time */
};

const struct outlook *outlook_retain(const struct outlook *outlook);
void outlook_release(const struct outlook *outlook);

/* Where the current outlook hangs. Readers never wait for a run. */
struct outlook_board;
struct outlook_board *outlook_board_new(void);
void outlook_board_free(struct outlook_board *board);
/* The newest outlook, retained, or NULL before the first run. Any thread. */
const struct outlook *outlook_board_current(struct outlook_board *board);
/* Takes over one reference. `listener`s (rendering, notification) are called on the publisher's
 * thread before the swap, so that what they prepare is there when the first reader comes. */
void outlook_board_publish(struct outlook_board *board, const struct outlook *outlook);
typedef void (*outlook_listener_fn)(void *ctx, const struct outlook *outlook);
void outlook_board_listen(struct outlook_board *board, outlook_listener_fn listener, void *ctx);

/* The thread that runs forecasts when data arrives: after every closed step, and at most every
 * `min_interval_ms` when new data came inside a step. */
struct outlook_runner;
struct outlook_runner_options {
    struct fleet *fleet;
    struct forecaster *forecaster;
    struct alert_book *alerts;
    struct store_state *state; /* environment history (API contract 7.3) goes here; may be NULL */
    struct risk_options risk;
    const struct fw_clock *clock;
    struct outlook_board *board;
    int64_t min_interval_ms;           /* 10,000 by default */
    alert_transition_fn on_transition; /* may be NULL */
    void *on_transition_ctx;
};
FW_MUST_CHECK enum fw_status outlook_runner_start(const struct outlook_runner_options *options,
                                                  struct outlook_runner **out,
                                                  struct fw_error *err);
/* Tells it that windows changed; cheap, any thread. */
void outlook_runner_wake(struct outlook_runner *runner);
/* One run now, on the caller's thread (tests, benches, `forecast`); not while the thread is
 * running. */
FW_MUST_CHECK enum fw_status outlook_run_once(const struct outlook_runner_options *options,
                                              struct fw_error *err);
void outlook_runner_stop(struct outlook_runner *runner);

#endif
