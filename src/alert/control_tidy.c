/* What need not be kept any longer, and what may be mended. */
#include "alert/control_internal.h"

#include "base/alloc.h"
#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEEP_OVER_DAYS = 7, PRUNE_INTERVAL_MS = 3600 * 1000 };

static int by_id(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* Blobs that cannot be deleted are met again after a restart, and go then. */
static void forget(struct alert_control *control, const char *ns, const char *key)
{
    if (control->options.state != NULL &&
        store_state_delete(control->options.state, ns, key, NULL) != FW_OK)
        FW_LOG_DEBUG("alert", "cannot delete ns=%s key=%s", ns, key);
}

/* True: nobody can ask for it any more, and its blob is gone or will be met again at a start. */
static bool forget_ack(struct alert_control *control, const struct alert_ack *ack,
                       const uint64_t *living, size_t n)
{
    char key[17];
    if (n > 0 && bsearch(&ack->alert_id, living, n, sizeof living[0], by_id) != NULL)
        return false;
    snprintf(key, sizeof key, "%016" PRIx64, ack->alert_id);
    forget(control, ALERT_ACKS, key);
    return true;
}

static bool forget_silence(struct alert_control *control, const struct alert_silence *s,
                           int64_t now_ms)
{
    if (s->ends_ms > now_ms - KEEP_OVER_DAYS * INT64_C(86400000))
        return false;
    forget(control, ALERT_SILENCES, s->id);
    return true;
}

/* Each removal is a transaction of its own: a crash in between costs nothing. A store that fails is
 * told of by those who write to it. */
static void prune_journal(struct alert_control *control, int64_t now_ms)
{
    struct fw_error err = {0};
    const int64_t since_ms = now_ms - control->pruned_ms;
    if (control->pruned_ms != 0 && since_ms >= 0 && since_ms < PRUNE_INTERVAL_MS)
        return;
    control->pruned_ms = now_ms;
    if (alert_actions_prune(control->options.state, now_ms, &err) != FW_OK)
        FW_LOG_DEBUG("alert", "the journal of actions is not pruned reason=\"%s\"", err.text);
}

/* By a changer. True: a silence holds again. */
static bool find_zones(struct alert_control *control)
{
    bool found = false;
    for (size_t i = 0; i < control->silence_count; i++) {
        struct alert_silence now = control->silences[i];
        if (!alert_silence_lacks_zone(&now) || alert_silence_find_zone(&now, NULL) != FW_OK)
            continue;
        pthread_mutex_lock(&control->lock);
        control->silences[i].zone = now.zone;
        pthread_mutex_unlock(&control->lock);
        FW_LOG_INFO("alert", "silence %s has its zone again zone=%s", now.id, now.zone_name);
        found = true;
    }
    return found;
}

void alert_control_tidy(struct alert_control *control, const struct alert_list *list,
                        int64_t now_ms)
{
    uint64_t *living = fw_calloc(list->count + 1, sizeof *living);
    size_t n = 0;
    if (living == NULL)
        return; /* another time */
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].state != ALERT_RESOLVED)
            living[n++] = list->items[i].id;
    if (n > 1)
        qsort(living, n, sizeof living[0], by_id);
    pthread_mutex_lock(&control->changing);
    for (size_t i = control->ack_count; i-- > 0;) {
        if (!forget_ack(control, &control->acks[i], living, n))
            continue;
        pthread_mutex_lock(&control->lock);
        alert_ack_remove(control, &control->acks[i]);
        pthread_mutex_unlock(&control->lock);
    }
    for (size_t i = control->silence_count; i-- > 0;) {
        if (!forget_silence(control, &control->silences[i], now_ms))
            continue;
        pthread_mutex_lock(&control->lock);
        memmove(&control->silences[i], &control->silences[i + 1],
                (control->silence_count - i - 1) * sizeof control->silences[0]);
        control->silence_count--;
        pthread_mutex_unlock(&control->lock);
    }
    const bool changed = find_zones(control);
    prune_journal(control, now_ms);
    pthread_mutex_unlock(&control->changing);
    fw_free(living);
    if (changed)
        alert_control_tell(control);
}
