#include "fleet/open_step.h"

#include "base/alloc.h"
#include "base/buf.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static unsigned width_of(uint64_t mask)
{
    return (unsigned)__builtin_popcountll(mask);
}

/* The place of a metric among the bits of a mask. */
static unsigned place_of(uint64_t mask, int metric)
{
    return (unsigned)__builtin_popcountll(mask & (((uint64_t)1 << metric) - 1));
}

static struct open_step *allocate_raw(int64_t step, uint64_t mask, unsigned cap)
{
    const size_t width = width_of(mask);
    const size_t bytes = sizeof(struct open_step) +
                         cap * (width * sizeof(float) + sizeof(uint32_t) + sizeof(uint8_t));
    struct open_step *s = fw_malloc(bytes);
    if (s == NULL)
        return NULL;
    *s = (struct open_step){.step = step, .mask = mask, .cap = (uint16_t)cap, .bytes = bytes};
    s->values = (float *)(void *)(s + 1);
    s->offsets_ms = (uint32_t *)(void *)(s->values + cap * width);
    s->statuses = (uint8_t *)(s->offsets_ms + cap);
    return s;
}

static struct open_step *allocate_folded(int64_t step, uint64_t mask)
{
    const size_t width = width_of(mask);
    const size_t bytes = sizeof(struct open_step) + width * (sizeof(double) + 2 * sizeof(uint32_t));
    struct open_step *s = fw_calloc(1, bytes);
    if (s == NULL)
        return NULL;
    *s = (struct open_step){.step = step, .mask = mask, .folded = true, .bytes = bytes};
    s->sums = (double *)(void *)(s + 1);
    s->counts = (uint32_t *)(void *)(s->sums + width);
    s->last_ms = s->counts + width;
    return s;
}

/* Writes a sample's values over those at `row`, which has the layout of `mask`. */
static void write_values(float *row, uint64_t mask, const struct open_sample *sample)
{
    const float *value = sample->values;
    for (uint64_t bits = sample->mask; bits != 0; bits &= bits - 1)
        row[place_of(mask, __builtin_ctzll(bits))] = *value++;
}

static void clear_row(float *row, unsigned width)
{
    for (unsigned i = 0; i < width; i++)
        row[i] = NAN;
}

struct open_step *open_step_new(int64_t step, const struct open_sample *sample)
{
    struct open_step *s = allocate_raw(step, sample->mask, 2);
    if (s == NULL)
        return NULL;
    memcpy(s->values, sample->values, width_of(sample->mask) * sizeof(float));
    s->offsets_ms[0] = sample->offset_ms;
    s->statuses[0] = sample->status;
    s->count = 1;
    return s;
}

/* The same samples with room for more of them, or for more metrics. */
static struct open_step *widen_raw(const struct open_step *old, uint64_t mask, unsigned cap)
{
    struct open_step *s = allocate_raw(old->step, mask, cap);
    if (s == NULL)
        return NULL;
    const unsigned from = width_of(old->mask), to = width_of(mask);
    for (unsigned i = 0; i < old->count; i++) {
        const struct open_sample sample = {.mask = old->mask, .values = old->values + i * from};
        clear_row(s->values + i * to, to);
        write_values(s->values + i * to, mask, &sample);
    }
    memcpy(s->offsets_ms, old->offsets_ms, old->count * sizeof *old->offsets_ms);
    memcpy(s->statuses, old->statuses, old->count);
    s->count = old->count;
    return s;
}

static struct open_step *widen_folded(const struct open_step *old, uint64_t mask)
{
    struct open_step *s = allocate_folded(old->step, mask);
    if (s == NULL)
        return NULL;
    unsigned from = 0;
    for (uint64_t bits = old->mask; bits != 0; bits &= bits - 1, from++) {
        const unsigned to = place_of(mask, __builtin_ctzll(bits));
        s->sums[to] = old->sums[from];
        s->counts[to] = old->counts[from];
        s->last_ms[to] = old->last_ms[from];
    }
    return s;
}

static struct open_step *fold(const struct open_step *old)
{
    struct open_step *s = allocate_folded(old->step, old->mask);
    if (s == NULL)
        return NULL;
    const unsigned width = width_of(old->mask);
    for (unsigned i = 0; i < old->count; i++) {
        for (unsigned k = 0; k < width; k++) {
            const float value = old->values[i * width + k];
            if (isnan(value))
                continue;
            s->sums[k] += (double)value;
            s->counts[k]++;
            s->last_ms[k] = old->offsets_ms[i];
        }
    }
    return s;
}

static void replace(struct open_step **step, struct open_step *with)
{
    fw_free(*step);
    *step = with;
}

/* A time that the step has already: fills gaps, overwrites what differs. */
static void merge(struct open_step *s, unsigned i, const struct open_sample *sample,
                  struct fleet_applied *applied, struct open_change *change)
{
    float *row = s->values + i * width_of(s->mask);
    const float *value = sample->values;
    for (uint64_t bits = sample->mask; bits != 0; bits &= bits - 1, value++) {
        const int metric = __builtin_ctzll(bits);
        float *at = &row[place_of(s->mask, metric)];
        if (*at == *value) {
            applied->duplicates++;
            continue;
        }
        if (isnan(*at))
            applied->samples++;
        else
            applied->overwritten++;
        *at = *value;
        change->mask |= (uint64_t)1 << metric;
    }
    if (sample->status != STATUS_UNKNOWN)
        s->statuses[i] = sample->status;
}

static void insert(struct open_step *s, unsigned i, const struct open_sample *sample,
                   struct fleet_applied *applied, struct open_change *change)
{
    const unsigned width = width_of(s->mask);
    const unsigned behind = s->count - i;
    memmove(s->values + (i + 1) * width, s->values + i * width, behind * width * sizeof(float));
    memmove(s->offsets_ms + i + 1, s->offsets_ms + i, behind * sizeof *s->offsets_ms);
    memmove(s->statuses + i + 1, s->statuses + i, behind);
    clear_row(s->values + i * width, width);
    write_values(s->values + i * width, s->mask, sample);
    s->offsets_ms[i] = sample->offset_ms;
    s->statuses[i] = sample->status;
    s->count++;
    applied->samples += width_of(sample->mask);
    *change = (struct open_change){sample->mask, true};
}

/* 2, 4, 6, 8, 12, 16, 24, 32, 48, 64: most steps hold a handful, and there are many servers. */
static unsigned next_cap(unsigned cap)
{
    if (cap < 8)
        return cap + 2;
    return (cap & (cap - 1)) == 0 ? cap + cap / 2 : cap / 3 * 4;
}

static enum fw_status put_folded(struct open_step **step, const struct open_sample *sample,
                                 struct fleet_applied *applied, struct open_change *change)
{
    if ((sample->mask & ~(*step)->mask) != 0) {
        struct open_step *wider = widen_folded(*step, (*step)->mask | sample->mask);
        if (wider == NULL)
            return FW_ENOMEM;
        replace(step, wider);
    }
    struct open_step *s = *step;
    const float *value = sample->values;
    for (uint64_t bits = sample->mask; bits != 0; bits &= bits - 1, value++) {
        const int metric = __builtin_ctzll(bits);
        const unsigned k = place_of(s->mask, metric);
        if (s->counts[k] > 0 && sample->offset_ms <= s->last_ms[k]) {
            applied->sealed++;
            continue;
        }
        s->sums[k] += (double)*value;
        s->counts[k]++;
        s->last_ms[k] = sample->offset_ms;
        applied->samples++;
        change->mask |= (uint64_t)1 << metric;
    }
    change->new_time = change->mask != 0;
    return FW_OK;
}

enum fw_status open_step_put(struct open_step **step, const struct open_sample *sample,
                             struct fleet_applied *applied, struct open_change *change)
{
    struct open_step *s = *step;
    *change = (struct open_change){0, false};
    if (s->folded)
        return put_folded(step, sample, applied, change);
    unsigned i = s->count;
    while (i > 0 && s->offsets_ms[i - 1] > sample->offset_ms)
        i--;
    const bool known = i > 0 && s->offsets_ms[i - 1] == sample->offset_ms;
    if (!known && s->count == OPEN_SAMPLES_MAX) {
        struct open_step *folded = fold(s);
        if (folded == NULL)
            return FW_ENOMEM;
        replace(step, folded);
        return put_folded(step, sample, applied, change);
    }
    if ((sample->mask & ~s->mask) != 0 || (!known && s->count == s->cap)) {
        const unsigned cap = !known && s->count == s->cap ? next_cap(s->cap) : s->cap;
        struct open_step *wider = widen_raw(s, s->mask | sample->mask, cap);
        if (wider == NULL)
            return FW_ENOMEM;
        replace(step, wider);
    }
    if (known)
        merge(*step, i - 1, sample, applied, change);
    else
        insert(*step, i, sample, applied, change);
    return FW_OK;
}

float open_step_mean(const struct open_step *s, int metric)
{
    const unsigned k = place_of(s->mask, metric), width = width_of(s->mask);
    if (s->folded)
        return s->counts[k] == 0 ? NAN : (float)(s->sums[k] / s->counts[k]);
    double sum = 0.0;
    unsigned n = 0;
    for (unsigned i = 0; i < s->count; i++) {
        const float value = s->values[i * width + k];
        if (!isnan(value)) {
            sum += (double)value;
            n++;
        }
    }
    return n == 0 ? NAN : (float)(sum / n);
}

uint8_t open_step_status(const struct open_step *s)
{
    for (unsigned i = s->count; i > 0; i--)
        if (s->statuses[i - 1] != STATUS_UNKNOWN)
            return s->statuses[i - 1];
    return STATUS_UNKNOWN;
}

/* ---- snapshots; docs/formats/fleet-snapshot.md has the bytes ---- */

struct saved_head {
    int64_t step;
    uint64_t mask;
    uint32_t count; /* samples; 0 = folded */
    uint32_t bytes; /* of what follows, a multiple of 8 */
};

static size_t saved_bytes(unsigned width, unsigned count)
{
    const size_t bytes = count == 0 ? width * (sizeof(double) + 2 * sizeof(uint32_t))
                                    : count * (width * sizeof(float) + sizeof(uint32_t) + 1);
    return (bytes + 7) / 8 * 8;
}

void open_step_save(const struct open_step *s, struct fw_buf *out)
{
    const unsigned width = width_of(s->mask);
    const size_t size = saved_bytes(width, s->count);
    const struct saved_head head = {s->step, s->mask, s->count, (uint32_t)size};
    fw_buf_put(out, &head, sizeof head);
    const size_t from = out->len;
    if (s->folded) {
        fw_buf_put(out, s->sums, width * sizeof *s->sums);
        fw_buf_put(out, s->counts, width * sizeof *s->counts);
        fw_buf_put(out, s->last_ms, width * sizeof *s->last_ms);
    } else {
        fw_buf_put(out, s->values, s->count * width * sizeof *s->values);
        fw_buf_put(out, s->offsets_ms, s->count * sizeof *s->offsets_ms);
        fw_buf_put(out, s->statuses, s->count);
    }
    while (!out->failed && out->len - from < size)
        fw_buf_putc(out, '\0');
}

/* A value that may stand in a window: finite and not absurd, or missing. */
static bool value_sane(float value)
{
    return isnan(value) || fabsf(value) <= 1e31f;
}

static bool check_raw(const struct open_step *s, uint32_t step_ms)
{
    for (unsigned i = 0; i < s->count; i++) {
        if (s->offsets_ms[i] >= step_ms || s->statuses[i] >= STATUS_COUNT)
            return false;
        if (i > 0 && s->offsets_ms[i] <= s->offsets_ms[i - 1])
            return false;
    }
    for (size_t i = 0; i < (size_t)s->count * width_of(s->mask); i++)
        if (!value_sane(s->values[i]))
            return false;
    return true;
}

static bool check_folded(const struct open_step *s, uint32_t step_ms)
{
    for (unsigned k = 0; k < width_of(s->mask); k++)
        if (!(fabs(s->sums[k]) <= 1e31 * s->counts[k]) || s->last_ms[k] >= step_ms)
            return false;
    return true;
}

/* Reads the columns as written; the caller maps the metrics afterwards. */
static struct open_step *read_step(const struct saved_head *head, const unsigned char *body)
{
    const unsigned width = width_of(head->mask);
    if (head->count == 0) {
        struct open_step *s = allocate_folded(head->step, head->mask);
        if (s == NULL)
            return NULL;
        memcpy(s->sums, body, width * sizeof *s->sums);
        memcpy(s->counts, body + width * sizeof *s->sums, 2 * width * sizeof *s->counts);
        return s;
    }
    struct open_step *s = allocate_raw(head->step, head->mask, head->count);
    if (s == NULL)
        return NULL;
    s->count = (uint16_t)head->count;
    memcpy(s->values, body, head->count * (width * sizeof(float) + sizeof(uint32_t) + 1));
    return s;
}

static uint64_t map_mask(uint64_t mask, const int *map)
{
    uint64_t mapped = 0;
    for (; mask != 0; mask &= mask - 1) {
        const int metric = map[__builtin_ctzll(mask)];
        if (metric >= 0)
            mapped |= (uint64_t)1 << metric;
    }
    return mapped;
}

static unsigned cap_for(unsigned count)
{
    unsigned cap = 2;
    while (cap < count)
        cap = next_cap(cap);
    return cap;
}

/* The same step under our own metric numbers; those that we lack are left out. */
static struct open_step *translate(const struct open_step *old, const int *map)
{
    assert(!old->folded || old->count == 0);
    const uint64_t mask = map_mask(old->mask, map);
    struct open_step *s = old->folded ? allocate_folded(old->step, mask)
                                      : allocate_raw(old->step, mask, cap_for(old->count));
    if (s == NULL)
        return NULL;
    const unsigned from_width = width_of(old->mask), to_width = width_of(mask);
    s->count = old->count;
    unsigned from = 0;
    for (uint64_t bits = old->mask; bits != 0; bits &= bits - 1, from++) {
        const int metric = map[__builtin_ctzll(bits)];
        if (metric < 0)
            continue;
        const unsigned to = place_of(mask, metric);
        if (old->folded) {
            s->sums[to] = old->sums[from];
            s->counts[to] = old->counts[from];
            s->last_ms[to] = old->last_ms[from];
        }
        for (unsigned i = 0; i < old->count; i++)
            s->values[i * to_width + to] = old->values[i * from_width + from];
    }
    if (!old->folded) {
        memcpy(s->offsets_ms, old->offsets_ms, old->count * sizeof *s->offsets_ms);
        memcpy(s->statuses, old->statuses, old->count);
    }
    return s;
}

struct open_step *open_step_load(const unsigned char **at, const unsigned char *end, const int *map,
                                 uint32_t step_ms, bool *corrupt)
{
    struct saved_head head;
    *corrupt = true;
    if ((size_t)(end - *at) < sizeof head)
        return NULL;
    memcpy(&head, *at, sizeof head);
    *at += sizeof head;
    if (head.mask == 0 || head.count > OPEN_SAMPLES_MAX || head.step < 0 ||
        head.bytes != saved_bytes(width_of(head.mask), head.count) ||
        (size_t)(end - *at) < head.bytes)
        return NULL;
    struct open_step *read = read_step(&head, *at);
    *at += head.bytes;
    *corrupt =
        read != NULL && !(read->folded ? check_folded(read, step_ms) : check_raw(read, step_ms));
    struct open_step *mapped = read == NULL || *corrupt ? NULL : translate(read, map);
    fw_free(read);
    return mapped;
}
