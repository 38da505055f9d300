#include "backtest/unusual.h"

#include "base/alloc.h"

#include <math.h>
#include <string.h>

enum fw_status backtest_unusual_init(struct backtest_unusual *u,
                                     const struct surprise_options *options, size_t n_servers,
                                     const int64_t *watch_from, const int64_t *watch_to,
                                     size_t n_rates, const double *rates, struct fw_error *err)
{
    *u = (struct backtest_unusual){.step_s = options->step_s,
                                   .n_servers = n_servers,
                                   .watch_from = watch_from,
                                   .watch_to = watch_to,
                                   .n_rates = n_rates};
    memcpy(u->rates, rates, n_rates * sizeof *rates);
    u->newest = fw_calloc(n_servers + 1, sizeof *u->newest);
    u->spans = fw_calloc(n_rates * n_servers + 1, sizeof *u->spans);
    u->thresholds = fw_calloc(n_servers + 1, sizeof *u->thresholds);
    if (u->newest == NULL || u->spans == NULL || u->thresholds == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory for %zu servers", n_servers);
    return surprise_new(options, &u->surprise, err);
}

void backtest_unusual_fini(struct backtest_unusual *u)
{
    for (size_t i = 0; u->spans != NULL && i < u->n_rates * u->n_servers; i++)
        backtest_spans_fini(&u->spans[i]);
    surprise_free(u->surprise);
    fw_free(u->alarms);
    fw_free(u->newest);
    fw_free(u->spans);
    fw_free(u->thresholds);
    *u = (struct backtest_unusual){0};
}

const struct backtest_spans *backtest_unusual_spans(const struct backtest_unusual *u, size_t rate,
                                                    size_t server)
{
    return &u->spans[rate * u->n_servers + server];
}

/* ---- the detector's own alarms ---- */

static enum fw_status begin_alarm(struct backtest_unusual *u, size_t server, int64_t step,
                                  struct fw_error *err)
{
    if (u->n == BACKTEST_ALARMS_MAX)
        return fw_fail(err, FW_ELIMIT, "more than %d alarms", BACKTEST_ALARMS_MAX);
    if (u->n == u->capacity) {
        const size_t wanted = u->capacity == 0 ? 64 : 2 * u->capacity;
        void *wider = fw_realloc_array(u->alarms, wanted, sizeof *u->alarms);
        if (wider == NULL)
            return fw_fail(err, FW_ENOMEM, "no memory for %zu alarms", u->n);
        u->alarms = wider;
        u->capacity = wanted;
    }
    u->alarms[u->n++] = (struct backtest_alarm){.server = server, .first_step = step, .peak = -1};
    u->newest[server] = u->n;
    return FW_OK;
}

static enum fw_status note(struct backtest_unusual *u, size_t server,
                           const struct surprise_verdict *v, struct fw_error *err)
{
    const size_t newest = u->newest[server];
    if (newest == 0 ||
        (v->step - u->alarms[newest - 1].last_step) * (int64_t)u->step_s > BACKTEST_APART_S) {
        const enum fw_status status = begin_alarm(u, server, v->step, err);
        if (status != FW_OK)
            return status;
    }
    struct backtest_alarm *alarm = &u->alarms[u->newest[server] - 1];
    alarm->last_step = v->step;
    if (v->score > alarm->peak) {
        alarm->peak_step = v->step;
        alarm->peak = v->score;
        alarm->threshold = v->threshold;
        alarm->reason_count = v->reason_count;
        memcpy(alarm->reasons, v->reasons, sizeof alarm->reasons);
    }
    return FW_OK;
}

/* ---- an update ---- */

/* Whether the server's newest step came with this run, and is watched. */
static bool is_new(const struct backtest_unusual *u, size_t server, int64_t step,
                   const struct surprise_verdict *v)
{
    return v->step == step && v->judged && step >= u->watch_from[server] &&
           step <= u->watch_to[server];
}

static enum fw_status update_rate(struct backtest_unusual *u, size_t rate, int64_t step,
                                  const struct forecast_set *set, const size_t *place,
                                  struct fw_error *err)
{
    surprise_thresholds(u->surprise, u->rates[rate], u->thresholds);
    for (size_t i = 0; i < set->count; i++) {
        const struct surprise_verdict *v = surprise_verdict(u->surprise, i);
        if (is_new(u, place[i], step, v) && (double)v->score > u->thresholds[i] &&
            !backtest_spans_fire(&u->spans[rate * u->n_servers + place[i]],
                                 step * (int64_t)u->step_s))
            return fw_fail(err, FW_ENOMEM, "no memory for more alarms");
    }
    return FW_OK;
}

enum fw_status backtest_unusual_update(struct backtest_unusual *u, int64_t step,
                                       const struct forecast_set *set, const size_t *place,
                                       struct fw_error *err)
{
    enum fw_status status = surprise_update(u->surprise, set, NULL, err);
    for (size_t i = 0; i < set->count && status == FW_OK; i++) {
        const struct surprise_verdict *v = surprise_verdict(u->surprise, i);
        if (!is_new(u, place[i], step, v))
            continue;
        u->judged++;
        u->learning += isinf(v->threshold) ? 1 : 0;
        if (v->above)
            status = note(u, place[i], v, err);
    }
    for (size_t r = 0; r < u->n_rates && status == FW_OK; r++)
        status = update_rate(u, r, step, set, place, err);
    return status;
}
