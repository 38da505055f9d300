#include "outlook/outlook_internal.h"

#include <assert.h>

enum {
    CHECK_MS = 60 * 1000,
    MIN_INTERVAL_MS = 10 * 1000,
    SETTLE_MS = 2 * 1000,
    SHARE = 20,           /* runs may take a twentieth of the time, */
    CREDIT_MAX_MS = 2000, /* and what they did not take may be made up for, to so much */
    REST = 4, /* after a run, so many times its length, within these two: what comes meanwhile
                 shares the next */
    REST_MIN_MS = 2,
    REST_MAX_MS = 10,
};

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
        .credit_ms = CREDIT_MAX_MS,
        .credit_at_ms = mono_ms,
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

static int64_t credit(const struct outlook_schedule *s, int64_t mono_ms)
{
    const int64_t grown = s->credit_ms + later(mono_ms - s->credit_at_ms, 0) / SHARE;
    return sooner(grown, CREDIT_MAX_MS);
}

void outlook_schedule_ran(struct outlook_schedule *schedule, bool good, int64_t wall_ms,
                          int64_t begin_ms, int64_t end_ms, int64_t cost_ms)
{
    /* A debt is over after one interval: a long first run must not be paid for in hours. */
    schedule->credit_ms =
        later(credit(schedule, end_ms) - cost_ms, -schedule->min_interval_ms / SHARE);
    schedule->credit_at_ms = end_ms;
    schedule->failed = !good;
    schedule->woken = false;
    schedule->ran = true;
    schedule->last_step = floor_div(wall_ms, schedule->step_ms);
    schedule->last_begin_ms = begin_ms;
    schedule->last_end_ms = end_ms;
}

/* When runs have taken more than their share, or one failed. */
static int64_t due_later(const struct outlook_schedule *s, int64_t wall_ms, int64_t mono_ms)
{
    const int64_t step = floor_div(wall_ms, s->step_ms);
    const int64_t step_began_ms = mono_ms - (wall_ms - step * s->step_ms);
    int64_t due;
    if (step != s->last_step) {
        /* The first run of a step: the one before is closed. Its last data may be on the way. */
        due = later(s->woken_ms, step_began_ms) + s->settle_ms;
    } else {
        due = sooner(s->last_begin_ms + s->min_interval_ms,
                     step_began_ms + s->step_ms + s->settle_ms);
    }
    if (!s->failed)
        due = sooner(due, s->credit_at_ms - s->credit_ms * SHARE);
    /* Never more than half the time: a fleet too large for its machine still leaves it air. */
    return later(due, s->last_end_ms + (s->last_end_ms - s->last_begin_ms));
}

/* The moment (monotonic) at which data that is waiting is to be forecast. */
static int64_t run_due(const struct outlook_schedule *s, int64_t wall_ms, int64_t mono_ms)
{
    if (!s->ran)
        return s->woken_ms; /* people wait for the first one */
    if (s->failed || credit(s, mono_ms) < 0)
        return due_later(s, wall_ms, mono_ms);
    const int64_t ran_ms = s->last_end_ms - s->last_begin_ms;
    if (ran_ms > CREDIT_MAX_MS) /* never more than half the time, as above */
        return s->last_end_ms + ran_ms;
    return s->last_end_ms + sooner(later(REST * ran_ms, REST_MIN_MS), REST_MAX_MS);
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
