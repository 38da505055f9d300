/* What follows for each alert of a list. */
#include "alert/control_internal.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

static int by_server(const void *left, const void *right)
{
    const struct alert *a = *(const struct alert *const *)left;
    const struct alert *b = *(const struct alert *const *)right;
    const int order = strcmp(a->server, b->server);
    return order != 0 ? order : (a->severity < b->severity) - (a->severity > b->severity);
}

static bool inhibits(const struct alert *a)
{
    return a->state == ALERT_FIRING &&
           (a->severity == ALERT_CRITICAL || a->metric == ALERT_METRIC_SILENT);
}

/* For each warning the alert that makes it needless to speak of. Without memory nothing is
 * inhibited: too much is told rather than too little. */
static void mark_inhibited(const struct alert_list *list, struct alert_mark *marks)
{
    const struct alert **causes = fw_calloc(list->count + 1, sizeof(const struct alert *));
    size_t n = 0;
    if (causes == NULL)
        return;
    for (size_t i = 0; i < list->count; i++)
        if (inhibits(&list->items[i]))
            causes[n++] = &list->items[i];
    if (n > 1)
        qsort(causes, n, sizeof(const struct alert *), by_server);
    for (size_t i = 0; i < list->count && n > 0; i++) {
        const struct alert *a = &list->items[i];
        if (a->state != ALERT_FIRING || a->severity != ALERT_WARNING ||
            a->metric == ALERT_METRIC_SILENT)
            continue;
        size_t low = 0, high = n;
        while (low < high) {
            const size_t middle = low + (high - low) / 2;
            if (strcmp(causes[middle]->server, a->server) < 0)
                low = middle + 1;
            else
                high = middle;
        }
        if (low < n && strcmp(causes[low]->server, a->server) == 0)
            marks[i].inhibited_by = causes[low]->id;
    }
    fw_free(causes);
}

static void mark_one(const struct alert_control *control, const struct alert *alert,
                     const struct alert_silence *const *holding, size_t n, struct alert_mark *mark)
{
    struct label_set labels;
    if (n > 0)
        (void)label_source_read(&control->options.labels, alert->server, &labels);
    for (size_t i = 0; i < n; i++) {
        if (!alert_silence_fits(holding[i], control->options.schema, alert, &labels))
            continue;
        memcpy(mark->silenced_by, holding[i]->id, sizeof mark->silenced_by);
        break;
    }
    const struct alert_ack *ack = alert_ack_find(control, alert->id);
    if (ack == NULL || alert->severity > ack->severity)
        return;
    mark->acknowledged = true;
    mark->acknowledged_ms = ack->at_ms;
    memcpy(mark->acknowledged_by, ack->by, sizeof mark->acknowledged_by);
    memcpy(mark->acknowledged_comment, ack->comment, sizeof mark->acknowledged_comment);
}

void alert_control_mark(struct alert_control *control, const struct alert_list *list,
                        int64_t now_ms, struct alert_mark *marks)
{
    const struct alert_silence *holding[ALERT_SILENCES_MAX];
    size_t n = 0;
    int64_t changes_ms;
    if (list->count == 0)
        return;
    memset(marks, 0, list->count * sizeof marks[0]);
    pthread_mutex_lock(&control->lock);
    for (size_t i = 0; i < control->silence_count; i++)
        if (alert_silence_holds(&control->silences[i], now_ms, &changes_ms))
            holding[n++] = &control->silences[i];
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].state != ALERT_RESOLVED)
            mark_one(control, &list->items[i], holding, n, &marks[i]);
    const bool inhibit = control->options.inhibit;
    pthread_mutex_unlock(&control->lock);
    if (inhibit)
        mark_inhibited(list, marks);
}
