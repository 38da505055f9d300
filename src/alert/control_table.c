/* The two tables: silences as they came, acknowledgements by alert. */
#include "alert/control_internal.h"

#include "base/alloc.h"

#include <string.h>

static void *make_room(void *array, size_t *cap, size_t count, size_t size)
{
    if (count < *cap)
        return array;
    const size_t want = *cap == 0 ? 16 : 2 * *cap;
    void *grown = fw_realloc_array(array, want, size);
    if (grown != NULL)
        *cap = want;
    return grown;
}

bool alert_silence_room(struct alert_control *control)
{
    void *grown = make_room(control->silences, &control->silence_cap, control->silence_count,
                            sizeof control->silences[0]);
    if (grown == NULL)
        return false;
    control->silences = grown;
    return true;
}

bool alert_ack_room(struct alert_control *control)
{
    void *grown =
        make_room(control->acks, &control->ack_cap, control->ack_count, sizeof control->acks[0]);
    if (grown == NULL)
        return false;
    control->acks = grown;
    return true;
}

/* The first one that is not before `id`. */
static size_t place_of(const struct alert_control *control, uint64_t id)
{
    size_t low = 0, high = control->ack_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (control->acks[middle].alert_id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct alert_ack *alert_ack_find(const struct alert_control *control, uint64_t id)
{
    const size_t at = place_of(control, id);
    return at < control->ack_count && control->acks[at].alert_id == id ? &control->acks[at] : NULL;
}

void alert_ack_set(struct alert_control *control, const struct alert_ack *ack)
{
    const size_t at = place_of(control, ack->alert_id);
    if (at == control->ack_count || control->acks[at].alert_id != ack->alert_id) {
        memmove(&control->acks[at + 1], &control->acks[at],
                (control->ack_count - at) * sizeof control->acks[0]);
        control->ack_count++;
    }
    control->acks[at] = *ack;
}

void alert_ack_remove(struct alert_control *control, const struct alert_ack *ack)
{
    const size_t at = (size_t)(ack - control->acks);
    memmove(&control->acks[at], &control->acks[at + 1],
            (control->ack_count - at - 1) * sizeof control->acks[0]);
    control->ack_count--;
}
