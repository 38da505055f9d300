/* A server's block of a snapshot, looked at before it is believed. */
#include "fleet/snapshot_internal.h"

#include <math.h>
#include <string.h>

/* The next array of a block, or NULL when it is cut. */
static const void *take(const unsigned char *start, const unsigned char **at,
                        const unsigned char *end, size_t bytes)
{
    const size_t offset = ((size_t)(*at - start) + 7) / 8 * 8;
    if (offset > (size_t)(end - start) || bytes > (size_t)(end - start) - offset)
        return NULL;
    *at = start + offset + bytes;
    return start + offset;
}

static bool head_sane(const struct fleet_snapshot_head *head, uint32_t step_ms)
{
    const int64_t last_step = BATCH_TIME_END_MS / step_ms;
    return head->newest_step >= 0 && head->newest_step <= last_step && head->steps >= 1 &&
           head->steps <= 16384 && head->open_count <= WINDOW_OPEN_MAX &&
           head->status < STATUS_COUNT &&
           (head->own_profile < PROFILE_COUNT || head->own_profile == PROFILE_UNKNOWN) &&
           head->name_len >= 1 && head->name_len <= SERVER_NAME_MAX &&
           head->last_seen_ms / step_ms == head->newest_step && head->last_seen_ms >= 0 &&
           head->first_seen_ms >= 0 && head->first_seen_ms < BATCH_TIME_END_MS &&
           head->status_ms >= -1 && head->status_ms <= head->last_seen_ms &&
           head->profile_ms >= -1 && head->profile_ms <= head->last_seen_ms;
}

static bool find_arrays(const void *data, size_t len, uint32_t step_ms,
                        struct fleet_snapshot_block *b)
{
    const unsigned char *start = data, *at = start, *end = start + len;
    const void *head = take(start, &at, end, sizeof b->head);
    if (head == NULL)
        return false;
    memcpy(&b->head, head, sizeof b->head);
    if (!head_sane(&b->head, step_ms))
        return false;
    b->name = take(start, &at, end, b->head.name_len);
    if (b->name == NULL || !server_name_valid(b->name, b->head.name_len))
        return false;
    for (uint64_t bits = b->head.mask; bits != 0; bits &= bits - 1) {
        const float *column = take(start, &at, end, b->head.steps * sizeof(float));
        if (column == NULL)
            return false;
        b->columns[__builtin_ctzll(bits)] = column;
    }
    b->marks = take(start, &at, end, b->head.steps * sizeof(uint32_t));
    b->statuses = take(start, &at, end, b->head.steps);
    b->open = take(start, &at, end, 0);
    b->end = end;
    return b->marks != NULL && b->statuses != NULL && b->open != NULL;
}

static bool marks_sane(const struct fleet_snapshot_block *b, uint32_t step_ms)
{
    const uint32_t offset_mask = ((uint32_t)1 << WINDOW_OFFSET_BITS) - 1;
    uint32_t bad = 0;
    for (uint32_t i = 0; i < b->head.steps; i++) {
        const uint32_t mark = b->marks[i];
        bad |= (uint32_t)((mark & offset_mask) >= step_ms);
        bad |= (uint32_t)(mark != 0 && mark >> WINDOW_OFFSET_BITS == 0);
        bad |= (uint32_t)(b->statuses[i] >= STATUS_COUNT);
    }
    return bad == 0 && b->marks[b->head.steps - 1] != 0;
}

/* Whether a column holds nothing but sane values, and none where the marks say there is none. */
static bool column_sane(const float *column, const uint32_t *marks, uint32_t steps)
{
    uint32_t bad = 0;
    for (uint32_t i = 0; i < steps; i++) {
        const float value = column[i];
        const uint32_t there = (uint32_t)(value == value);
        bad |= there & (uint32_t)(marks[i] == 0);
        bad |= there & (uint32_t) !(fabsf(value) <= 1e31f);
    }
    return bad == 0;
}

bool fleet_snapshot_block_open(const void *data, size_t len, uint32_t step_ms,
                               struct fleet_snapshot_block *block)
{
    memset(block, 0, sizeof *block);
    if (!find_arrays(data, len, step_ms, block) || !marks_sane(block, step_ms))
        return false;
    for (uint64_t bits = block->head.mask; bits != 0; bits &= bits - 1)
        if (!column_sane(block->columns[__builtin_ctzll(bits)], block->marks, block->head.steps))
            return false;
    return true;
}
