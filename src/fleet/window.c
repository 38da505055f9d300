#include "fleet/window.h"

#include "base/alloc.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static const uint32_t offset_mask = ((uint32_t)1 << WINDOW_OFFSET_BITS) - 1;

static uint32_t mark_of(uint32_t count, uint32_t offset_ms)
{
    const uint32_t kept = count < WINDOW_COUNT_MAX ? count : WINDOW_COUNT_MAX;
    return kept << WINDOW_OFFSET_BITS | offset_ms;
}

static uint32_t slot_of(const struct window_shape *shape, int64_t step)
{
    return (uint32_t)((uint64_t)step % shape->slots);
}

enum fw_status window_init(struct fleet_window *window, const struct window_shape *shape)
{
    const size_t bytes = shape->metrics * (sizeof(float *) + sizeof(uint32_t)) +
                         shape->slots * (sizeof(uint32_t) + sizeof(uint8_t));
    *window = (struct fleet_window){.newest_step = -1};
    window->block = fw_calloc(1, bytes);
    if (window->block == NULL)
        return FW_ENOMEM;
    window->columns = window->block;
    window->present = (uint32_t *)(void *)(window->columns + shape->metrics);
    window->marks = window->present + shape->metrics;
    window->statuses = (uint8_t *)(window->marks + shape->slots);
    window->bytes = bytes;
    return FW_OK;
}

static void drop_open(struct fleet_window *window, uint32_t at)
{
    window->bytes -= window->open[at]->bytes;
    fw_free(window->open[at]);
    window->open_count--;
    memmove(&window->open[at], &window->open[at + 1],
            (window->open_count - at) * sizeof window->open[0]);
}

void window_fini(struct fleet_window *window, const struct window_shape *shape)
{
    if (window->block == NULL)
        return;
    while (window->open_count > 0)
        drop_open(window, window->open_count - 1);
    for (uint32_t m = 0; m < shape->metrics; m++)
        fw_free(window->columns[m]);
    fw_free(window->block);
    *window = (struct fleet_window){.newest_step = -1};
}

static void clear_floats(float *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        values[i] = NAN;
}

void window_reset(struct fleet_window *window, const struct window_shape *shape)
{
    while (window->open_count > 0)
        drop_open(window, window->open_count - 1);
    for (uint32_t m = 0; m < shape->metrics; m++)
        if (window->columns[m] != NULL)
            clear_floats(window->columns[m], shape->slots);
    memset(window->present, 0, shape->metrics * sizeof *window->present);
    memset(window->marks, 0, shape->slots * sizeof *window->marks);
    memset(window->statuses, 0, shape->slots);
    window->newest_step = -1;
    window->held = 0;
}

float *window_column(struct fleet_window *window, const struct window_shape *shape, int metric)
{
    float *column = window->columns[metric];
    if (column == NULL) {
        column = fw_malloc(shape->slots * sizeof *column);
        if (column == NULL)
            return NULL;
        clear_floats(column, shape->slots);
        window->columns[metric] = column;
        window->bytes += shape->slots * sizeof *column;
    }
    return column;
}

bool window_reaches(const struct fleet_window *window, const struct window_shape *shape,
                    int64_t step)
{
    return window->newest_step < 0 || step > window->newest_step - (int64_t)shape->slots;
}

static bool in_view(const struct fleet_window *window, const struct window_shape *shape,
                    int64_t step)
{
    return step > window->newest_step - (int64_t)shape->view && step <= window->newest_step;
}

/* A step passes out of the view; its data stay in the ring for a while. */
static void leave_view(struct fleet_window *window, const struct window_shape *shape, int64_t step)
{
    const uint32_t slot = slot_of(shape, step);
    if (step < 0 || window->marks[slot] == 0)
        return;
    window->held--;
    for (uint32_t m = 0; m < shape->metrics; m++)
        if (window->columns[m] != NULL && !isnan(window->columns[m][slot]))
            window->present[m]--;
}

/* Moves the newest step ahead; the slots that come in are empty. */
static void advance(struct fleet_window *window, const struct window_shape *shape, int64_t to)
{
    if (window->newest_step < 0 || to - window->newest_step >= (int64_t)shape->slots) {
        if (window->newest_step >= 0)
            window_reset(window, shape);
        window->newest_step = to;
        return;
    }
    for (int64_t step = window->newest_step + 1; step <= to; step++) {
        leave_view(window, shape, step - shape->view);
        const uint32_t slot = slot_of(shape, step);
        window->marks[slot] = 0;
        window->statuses[slot] = STATUS_UNKNOWN;
        for (uint32_t m = 0; m < shape->metrics; m++)
            if (window->columns[m] != NULL)
                window->columns[m][slot] = NAN;
    }
    window->newest_step = to;
    for (uint32_t i = window->open_count; i > 0; i--)
        if (window->open[i - 1]->step <= to - (int64_t)shape->slots)
            drop_open(window, i - 1);
}

/* Writes one mean and keeps `present` right. */
static void set_value(struct fleet_window *window, int metric, uint32_t slot, float value,
                      bool visible)
{
    float *at = &window->columns[metric][slot];
    if (visible)
        window->present[metric] += (isnan(*at) ? 1u : 0u) - (isnan(value) ? 1u : 0u);
    *at = value;
}

/* ---- steps with several samples ---- */

static void touch(struct fleet_window *window, uint32_t at)
{
    struct open_step *step = window->open[at];
    memmove(&window->open[1], &window->open[0], at * sizeof window->open[0]);
    window->open[0] = step;
}

static int find_open(const struct fleet_window *window, int64_t step)
{
    for (uint32_t i = 0; i < window->open_count; i++)
        if (window->open[i]->step == step)
            return (int)i;
    return -1;
}

/* Opens a step that has had one sample so far, which the columns hold. The step touched longest ago
 * is sealed when there are too many. */
static enum fw_status open_single(struct fleet_window *window, const struct window_shape *shape,
                                  int64_t step)
{
    const uint32_t slot = slot_of(shape, step);
    float values[SCHEMA_METRICS_MAX];
    struct open_sample sample = {.offset_ms = window->marks[slot] & offset_mask,
                                 .status = window->statuses[slot],
                                 .values = values};
    unsigned n = 0;
    for (uint32_t m = 0; m < shape->metrics; m++) {
        if (window->columns[m] == NULL || isnan(window->columns[m][slot]))
            continue;
        sample.mask |= (uint64_t)1 << m;
        values[n++] = window->columns[m][slot];
    }
    struct open_step *opened = open_step_new(step, &sample);
    if (opened == NULL)
        return FW_ENOMEM;
    if (window->open_count == WINDOW_OPEN_MAX)
        drop_open(window, WINDOW_OPEN_MAX - 1);
    memmove(&window->open[1], &window->open[0], window->open_count * sizeof window->open[0]);
    window->open[0] = opened;
    window->open_count++;
    window->bytes += opened->bytes;
    return FW_OK;
}

static enum fw_status put_open(struct fleet_window *window, const struct window_shape *shape,
                               int64_t step, uint32_t at, const struct open_sample *sample,
                               struct fleet_applied *applied)
{
    struct open_change change;
    window->bytes -= window->open[at]->bytes;
    const enum fw_status status = open_step_put(&window->open[at], sample, applied, &change);
    const struct open_step *opened = window->open[at];
    window->bytes += opened->bytes;
    if (status != FW_OK)
        return status;
    const uint32_t slot = slot_of(shape, step);
    const bool visible = in_view(window, shape, step);
    for (uint64_t bits = change.mask; bits != 0; bits &= bits - 1) {
        const int metric = __builtin_ctzll(bits);
        set_value(window, metric, slot, open_step_mean(opened, metric), visible);
    }
    const uint32_t newest = window->marks[slot] & offset_mask;
    const uint32_t count = window->marks[slot] >> WINDOW_OFFSET_BITS;
    if (!opened->folded)
        window->statuses[slot] = open_step_status(opened);
    else if (sample->status != STATUS_UNKNOWN && sample->offset_ms >= newest)
        window->statuses[slot] = sample->status;
    if (change.new_time && (!opened->folded || sample->offset_ms > newest))
        window->marks[slot] =
            mark_of(count + 1, sample->offset_ms > newest ? sample->offset_ms : newest);
    /* Only new times count as a touch: a batch sent again must not change what is sealed next. */
    if (change.new_time)
        touch(window, at);
    return FW_OK;
}

/* A step that was open and is no longer: mean, number of times and newest offset are all that is
 * known, so only something newer can be taken, as one more time of a running mean. */
static void put_sealed(struct fleet_window *window, const struct window_shape *shape, int64_t step,
                       const struct open_sample *sample, struct fleet_applied *applied)
{
    const uint32_t slot = slot_of(shape, step);
    const uint32_t newest = window->marks[slot] & offset_mask;
    const uint32_t count = window->marks[slot] >> WINDOW_OFFSET_BITS;
    if (sample->offset_ms <= newest) {
        applied->sealed += (size_t)__builtin_popcountll(sample->mask);
        return;
    }
    const bool visible = in_view(window, shape, step);
    const float *value = sample->values;
    for (uint64_t bits = sample->mask; bits != 0; bits &= bits - 1, value++) {
        const int metric = __builtin_ctzll(bits);
        const float mean = window->columns[metric][slot];
        const double folded =
            isnan(mean) ? (double)*value
                        : (double)mean + ((double)*value - (double)mean) / (double)(count + 1);
        set_value(window, metric, slot, (float)folded, visible);
        applied->samples++;
    }
    if (sample->status != STATUS_UNKNOWN)
        window->statuses[slot] = sample->status;
    window->marks[slot] = mark_of(count + 1, sample->offset_ms);
}

/* ---- steps with no or one sample ---- */

static void put_first(struct fleet_window *window, const struct window_shape *shape, int64_t step,
                      const struct open_sample *sample, struct fleet_applied *applied)
{
    const uint32_t slot = slot_of(shape, step);
    const bool visible = in_view(window, shape, step);
    const float *value = sample->values;
    for (uint64_t bits = sample->mask; bits != 0; bits &= bits - 1)
        set_value(window, __builtin_ctzll(bits), slot, *value++, visible);
    window->marks[slot] = mark_of(1, sample->offset_ms);
    window->statuses[slot] = sample->status;
    window->held += visible;
    applied->samples += (size_t)__builtin_popcountll(sample->mask);
}

static void put_same_time(struct fleet_window *window, const struct window_shape *shape,
                          int64_t step, const struct open_sample *sample,
                          struct fleet_applied *applied)
{
    const uint32_t slot = slot_of(shape, step);
    const bool visible = in_view(window, shape, step);
    const float *value = sample->values;
    for (uint64_t bits = sample->mask; bits != 0; bits &= bits - 1, value++) {
        const int metric = __builtin_ctzll(bits);
        const float old = window->columns[metric][slot];
        if (old == *value) {
            applied->duplicates++;
            continue;
        }
        if (isnan(old))
            applied->samples++;
        else
            applied->overwritten++;
        set_value(window, metric, slot, *value, visible);
    }
    if (sample->status != STATUS_UNKNOWN)
        window->statuses[slot] = sample->status;
}

static enum fw_status put_sample(struct fleet_window *window, const struct window_shape *shape,
                                 int64_t step, const struct open_sample *sample,
                                 struct fleet_applied *applied)
{
    const uint32_t mark = window->marks[slot_of(shape, step)];
    const uint32_t count = mark >> WINDOW_OFFSET_BITS;
    if (count == 0) {
        put_first(window, shape, step, sample, applied);
        return FW_OK;
    }
    int at = find_open(window, step);
    if (at < 0 && count == 1) {
        if ((mark & offset_mask) == sample->offset_ms) {
            put_same_time(window, shape, step, sample, applied);
            return FW_OK;
        }
        const enum fw_status status = open_single(window, shape, step);
        if (status != FW_OK)
            return status;
        at = 0;
    }
    if (at >= 0)
        return put_open(window, shape, step, (uint32_t)at, sample, applied);
    put_sealed(window, shape, step, sample, applied);
    return FW_OK;
}

enum fw_status window_put(struct fleet_window *window, const struct window_shape *shape,
                          const struct sample_row *row, const struct sample_value *values,
                          struct fleet_applied *applied)
{
    const int64_t step = row->time_ms / shape->step_ms;
    assert(row->time_ms >= 0 && window_reaches(window, shape, step));
    const bool late = step < window->newest_step;
    if (step > window->newest_step)
        advance(window, shape, step);
    float by_metric[SCHEMA_METRICS_MAX], packed[SCHEMA_METRICS_MAX];
    struct open_sample sample = {.offset_ms = (uint32_t)(row->time_ms % shape->step_ms),
                                 .status = row->status,
                                 .values = packed};
    enum fw_status status = FW_OK;
    for (size_t i = 0; i < row->value_count; i++) {
        assert(values[i].metric < shape->metrics);
        if (window_column(window, shape, values[i].metric) == NULL) {
            status = FW_ENOMEM;
            continue;
        }
        sample.mask |= (uint64_t)1 << values[i].metric;
        by_metric[values[i].metric] = values[i].value;
    }
    if (sample.mask == 0)
        return status;
    unsigned n = 0;
    for (uint64_t bits = sample.mask; bits != 0; bits &= bits - 1)
        packed[n++] = by_metric[__builtin_ctzll(bits)];
    const size_t before = applied->samples;
    const enum fw_status put = put_sample(window, shape, step, &sample, applied);
    if (late)
        applied->late += applied->samples - before;
    return put != FW_OK ? put : status;
}

/* ---- reading ---- */

uint64_t window_metrics(const struct fleet_window *window, const struct window_shape *shape)
{
    uint64_t mask = 0;
    for (uint32_t m = 0; m < shape->metrics; m++)
        if (window->present[m] > 0)
            mask |= (uint64_t)1 << m;
    return mask;
}

/* Where the newest `steps` steps lie in the ring: `head` slots from `first` on, the rest from slot
 * 0. Steps before 1970 do not exist; a window that young is empty there anyway, and its slots are
 * those of no step, so they read as missing. */
struct span {
    uint32_t first, head, tail;
};

static struct span span_of(const struct fleet_window *window, const struct window_shape *shape,
                           uint32_t steps)
{
    assert(steps >= 1 && steps <= shape->view && window->newest_step >= 0);
    const uint32_t last = slot_of(shape, window->newest_step);
    const uint32_t first = (last + shape->slots - (steps - 1)) % shape->slots;
    const uint32_t head = first + steps <= shape->slots ? steps : shape->slots - first;
    return (struct span){first, head, steps - head};
}

void window_read(const struct fleet_window *window, const struct window_shape *shape, int metric,
                 uint32_t steps, float *out)
{
    const float *column = window->columns[metric];
    if (column == NULL) {
        clear_floats(out, steps);
        return;
    }
    const struct span s = span_of(window, shape, steps);
    memcpy(out, column + s.first, s.head * sizeof *out);
    memcpy(out + s.head, column, s.tail * sizeof *out);
}

void window_read_statuses(const struct fleet_window *window, const struct window_shape *shape,
                          uint32_t steps, uint8_t *out)
{
    const struct span s = span_of(window, shape, steps);
    memcpy(out, window->statuses + s.first, s.head);
    memcpy(out + s.head, window->statuses, s.tail);
}

void window_read_offsets(const struct fleet_window *window, const struct window_shape *shape,
                         uint32_t steps, uint32_t *out)
{
    const struct span s = span_of(window, shape, steps);
    for (uint32_t i = 0; i < steps; i++)
        out[i] = window->marks[i < s.head ? s.first + i : i - s.head] & offset_mask;
}

void window_recount(struct fleet_window *window, const struct window_shape *shape)
{
    const struct span s = span_of(window, shape, shape->view);
    window->held = 0;
    for (uint32_t i = 0; i < shape->view; i++)
        window->held += window->marks[i < s.head ? s.first + i : i - s.head] != 0;
    for (uint32_t m = 0; m < shape->metrics; m++) {
        const float *column = window->columns[m];
        uint32_t n = 0;
        for (uint32_t i = 0; column != NULL && i < s.head; i++)
            n += isnan(column[s.first + i]) ? 0 : 1;
        for (uint32_t i = 0; column != NULL && i < s.tail; i++)
            n += isnan(column[i]) ? 0 : 1;
        window->present[m] = n;
    }
}
