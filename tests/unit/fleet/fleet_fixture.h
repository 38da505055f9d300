/* A small fleet on a clock that stands still, and short ways to feed and read it. */
#ifndef FW_TESTS_FLEET_FIXTURE_H
#define FW_TESTS_FLEET_FIXTURE_H

#include "support.h"

#include "base/clock.h"
#include "fleet/fleet.h"

#include <stdlib.h>

#define T0 INT64_C(1800000000000) /* a multiple of every step used here */

struct fixture {
    struct fw_clock_fake clock;
    struct schema schema;
    struct profile_rules profiles;
    struct fleet_options options;
    struct fleet *fleet;
    struct sample_batch *batch;
    struct fleet_applied applied;
    uint64_t seq;
};

static inline void fixture_init(struct fixture *f, uint32_t step_s, uint32_t window_steps,
                                size_t servers_max)
{
    memset(f, 0, sizeof *f);
    fw_clock_fake_init(&f->clock, T0);
    schema_default(&f->schema);
    profile_rules_default(&f->profiles);
    fleet_options_default(&f->options);
    f->options.schema = &f->schema;
    f->options.profiles = &f->profiles;
    f->options.clock = &f->clock.clock;
    f->options.step_s = step_s;
    f->options.window_steps = window_steps;
    f->options.servers_max = servers_max;
    assert_int_equal(fleet_new(&f->options, &f->fleet, NULL), FW_OK);
    f->batch = batch_new();
    assert_non_null(f->batch);
}

static inline void fixture_fini(struct fixture *f)
{
    batch_free(f->batch);
    fleet_free(f->fleet);
}

static inline void add_row(struct fixture *f, const char *name, int64_t time_ms, uint8_t status,
                           const struct sample_value *values, size_t n)
{
    uint32_t index;
    assert_int_equal(batch_name(f->batch, name, strlen(name), &index), FW_OK);
    const struct sample_row head = {.name = index,
                                    .record = (uint32_t)f->batch->records++,
                                    .time_ms = time_ms,
                                    .status = status,
                                    .profile = PROFILE_UNKNOWN};
    assert_int_equal(batch_row_put(f->batch, &head, values, n), FW_OK);
}

static inline void add(struct fixture *f, const char *name, int64_t time_ms, int metric,
                       float value)
{
    const struct sample_value v = {(uint16_t)metric, value};
    add_row(f, name, time_ms, STATUS_UNKNOWN, &v, 1);
}

/* Admits, applies and empties the batch; f->applied has the counts. */
static inline void flush(struct fixture *f)
{
    assert_int_equal(fleet_admit(f->fleet, f->batch), FW_OK);
    assert_int_equal(fleet_apply(f->fleet, f->batch, ++f->seq, &f->applied), FW_OK);
    batch_reset(f->batch);
}

/* The value of a metric at the step of `time_ms`, as a view shows it; NaN outside the view. */
static inline float value_at(const struct fixture *f, const char *name, int64_t time_ms, int metric)
{
    const uint32_t steps = f->options.window_steps;
    const int64_t slot = fleet_find(f->fleet, name, strlen(name));
    if (slot < 0)
        return NAN;
    float *values = malloc(f->schema.count * steps * sizeof *values);
    struct fleet_view view = {.steps = steps, .values = values};
    assert_true(fleet_read_view(f->fleet, (size_t)slot, &view));
    const int64_t at = (int64_t)steps - 1 -
                       (view.server.newest_step - time_ms / ((int64_t)f->options.step_s * 1000));
    const float value =
        at < 0 || at >= (int64_t)steps ? NAN : values[(size_t)metric * steps + (size_t)at];
    free(values);
    return value;
}

#endif
