/* Alarms for unusual behaviour, as the detector gives them and as it would have given them had
 * other numbers of alarms been wanted. */
#ifndef FW_BACKTEST_UNUSUAL_H
#define FW_BACKTEST_UNUSUAL_H

#include "backtest/spans.h"
#include "surprise/surprise.h"

enum { BACKTEST_RATES_MAX = 12, BACKTEST_ALARMS_MAX = 1000000 };

struct backtest_alarm {
    size_t server;                            /* place by name */
    int64_t first_step, last_step, peak_step; /* above the threshold */
    float peak, threshold;                    /* at peak_step */
    size_t reason_count;                      /* of peak_step */
    struct surprise_reason reasons[SURPRISE_REASONS_MAX];
};

struct backtest_unusual {
    struct surprise *surprise;
    uint32_t step_s;
    size_t n_servers;
    const int64_t *watch_from, *watch_to; /* (n_servers) steps */
    size_t n, capacity;
    struct backtest_alarm *alarms; /* in the order in which they began, those while watched */
    size_t *newest;                /* (n_servers) place behind the server's newest alarm; 0: none */
    size_t n_rates;
    double rates[BACKTEST_RATES_MAX]; /* alarms wanted per server and day */
    struct backtest_spans *spans;     /* (n_rates, n_servers) */
    double *thresholds;               /* (n_servers) for one rate */
    size_t judged;                    /* steps of servers with a score, while watched */
    size_t learning;                  /* of them without a threshold yet */
};

/* FW_ENOMEM. Ended with backtest_unusual_fini() in any case. */
FW_MUST_CHECK enum fw_status backtest_unusual_init(struct backtest_unusual *unusual,
                                                   const struct surprise_options *options,
                                                   size_t n_servers, const int64_t *watch_from,
                                                   const int64_t *watch_to, size_t n_rates,
                                                   const double *rates, struct fw_error *err);
void backtest_unusual_fini(struct backtest_unusual *unusual);

/* A run; `place` (set->count): which server each forecast is of. FW_ENOMEM, FW_ELIMIT. */
FW_MUST_CHECK enum fw_status backtest_unusual_update(struct backtest_unusual *unusual, int64_t step,
                                                     const struct forecast_set *set,
                                                     const size_t *place, struct fw_error *err);

const struct backtest_spans *backtest_unusual_spans(const struct backtest_unusual *unusual,
                                                    size_t rate, size_t server);

#endif
