#include "outlook/outlook_internal.h"

#include <assert.h>

enum { CHECK_MS = 60 * 1000, MIN_INTERVAL_MS = 10 * 1000, SETTLE_MS = 2 * 1000 };

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t floor_div(int64_t value, int64_t by)
{
    return value / by - (value % by < 0);
}

void outlook_schedule_init(struct outlook_schedule *schedule,
                           const struct outlook_runner_options *options, int64_t mono_ms)
{
    const int64_t step_ms = (int64_t)fleet_options(options->fleet)->step_s * 1000;
    assert(step_ms > 0 && options->min_interval_ms >= 0);
    int64_t settle_ms = options->settle_ms != 0 ? options->settle_ms : SETTLE_MS;
    settle_ms = later(sooner(settle_ms, step_ms / 4), 0);
    *schedule = (struct outlook_schedule){
        .step_ms = step_ms,
        .min_interval_ms =
            options->min_interval_ms != 0 ? options->min_interval_ms : MIN_INTERVAL_MS,
        .settle_ms = settle_ms,
        .last_check_ms = mono_ms,
    };
}

void outlook_schedule_wake(struct outlook_schedule *schedule, int64_t mono_ms)
{
    if (schedule->woken)
        return;
    schedule->woken = true;
    schedule->woken_ms = mono_ms;
}

void outlook_schedule_ran(struct outlook_schedule *schedule, int64_t wall_ms, int64_t begin_ms,
                          int64_t end_ms)
{
    schedule->woken = false;
    schedule->ran = true;
    schedule->last_step = floor_div(wall_ms, schedule->step_ms);
    schedule->last_begin_ms = begin_ms;
    schedule->last_end_ms = end_ms;
}

/* The moment (monotonic) at which data that is waiting is to be forecast. */
static int64_t run_due(const struct outlook_schedule *s, int64_t wall_ms, int64_t mono_ms)
{
    const int64_t step = floor_div(wall_ms, s->step_ms);
    const int64_t step_began_ms = mono_ms - (wall_ms - step * s->step_ms);
    int64_t due;
    if (!s->ran)
        return s->woken_ms; /* people wait for the first one */
    if (step != s->last_step) {
        /* The first run of a step: the one before is closed. Its last data may be on the way. */
        due = later(s->woken_ms, step_began_ms) + s->settle_ms;
    } else {
        due = sooner(s->last_begin_ms + s->min_interval_ms,
                     step_began_ms + s->step_ms + s->settle_ms);
    }
    /* Never more than half the time: a fleet too large for its machine still leaves it air. */
    return later(due, s->last_end_ms + (s->last_end_ms - s->last_begin_ms));
}

enum outlook_action outlook_schedule_next(struct outlook_schedule *schedule, int64_t wall_ms,
                                          int64_t mono_ms, int64_t *wait_ms)
{
    const int64_t check_due = schedule->last_check_ms + CHECK_MS;
    int64_t due = check_due;
    if (schedule->woken) {
        const int64_t run = run_due(schedule, wall_ms, mono_ms);
        if (run <= mono_ms) {
            *wait_ms = 0;
            return OUTLOOK_RUN;
        }
        due = sooner(due, run);
    }
    if (check_due <= mono_ms) {
        schedule->last_check_ms = mono_ms;
        *wait_ms = 0;
        return OUTLOOK_CHECK;
    }
    *wait_ms = due - mono_ms;
    return OUTLOOK_WAIT;
}
