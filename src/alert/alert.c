#include "alert/alert.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

const char *alert_state_name(enum alert_state state)
{
    static const char *const names[] = {"pending", "firing", "resolved"};
    assert((size_t)state < COUNT(names));
    return names[state];
}

const char *alert_severity_name(enum alert_severity severity)
{
    static const char *const names[] = {"warning", "critical"};
    assert((size_t)severity < COUNT(names));
    return names[severity];
}

const char *alert_reason_name(enum alert_reason reason)
{
    static const char *const names[] = {"", "cleared", "server_gone", "metric_gone"};
    assert((size_t)reason < COUNT(names));
    return names[reason];
}

const char *alert_metric_name(const struct schema *schema, uint16_t metric)
{
    if (metric == ALERT_METRIC_SILENT)
        return "server_silent";
    if (metric == ALERT_METRIC_UNUSUAL)
        return "unusual_behaviour";
    assert(metric < schema->count);
    return schema->metrics[metric].name;
}

void alert_options_default(struct alert_options *options, const struct schema *schema,
                           uint32_t step_s)
{
    *options = (struct alert_options){
        .schema = schema,
        .step_s = step_s,
        .horizon_steps = 12,
        .near_probability = 0.6,
        .min_probability = 0.8,
        .for_runs = 2,
        .clear_runs = 3,
        .hysteresis = 0.03,
        .silent_steps = 3,
        .keep_resolved_ms = 3600 * (int64_t)1000,
        .forget_ms = 7 * 86400 * (int64_t)1000,
    };
}

/* A list is constant but for the count of references, and is freed by its last owner. */
static struct alert_list *own(const struct alert_list *list)
{
    const union {
        const struct alert_list *shared;
        struct alert_list *own;
    } both = {.shared = list};
    return both.own;
}

const struct alert_list *alert_list_retain(const struct alert_list *list)
{
    atomic_fetch_add_explicit(&own(list)->references, 1, memory_order_relaxed);
    return list;
}

void alert_list_release(const struct alert_list *list)
{
    if (list == NULL)
        return;
    const unsigned before =
        atomic_fetch_sub_explicit(&own(list)->references, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1)
        fw_free(own(list));
}

enum { LEGACY_STEPS = 12 };

/* In the order of the reference's own table: ties in time keep it. */
static const uint16_t legacy_metrics[] = {METRIC_CPU_USER, METRIC_MEM_USED, METRIC_CPU_IOWAIT,
                                          METRIC_SWAP_USED, METRIC_DISK_USAGE};
static_assert(COUNT(legacy_metrics) * LEGACY_STEPS == ALERT_LEGACY_ITEMS_MAX, "every step fits");

static bool legacy_item(const struct schema_metric *metric, uint16_t index,
                        const struct forecast_path *path, size_t step,
                        struct alert_legacy_item *item)
{
    const double value = (double)path->p50[step];
    const bool critical = risk_beyond(metric, value, metric->critical);
    if (!critical && !risk_beyond(metric, value, metric->warning))
        return false;
    *item = (struct alert_legacy_item){
        .metric = index,
        .severity = critical ? ALERT_CRITICAL : ALERT_WARNING,
        .predicted = path->p50[step],
        .threshold = (float)(critical ? metric->critical : metric->warning),
        .steps_ahead = (uint32_t)step + 1,
    };
    return true;
}

static bool legacy_before(const struct alert_legacy_item *a, const struct alert_legacy_item *b)
{
    if (a->severity != b->severity)
        return a->severity > b->severity;
    return a->steps_ahead < b->steps_ahead;
}

/* Sixty at most: insertion, which keeps the order of equals. */
static void legacy_sort(struct alert_legacy_item *items, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        const struct alert_legacy_item item = items[i];
        size_t at = i;
        while (at > 0 && legacy_before(&item, &items[at - 1])) {
            items[at] = items[at - 1];
            at--;
        }
        items[at] = item;
    }
}

size_t alert_legacy_items(const struct schema *schema, const struct forecast *forecast,
                          bool per_step, struct alert_legacy_item *items, size_t cap)
{
    struct alert_legacy_item all[ALERT_LEGACY_ITEMS_MAX];
    size_t n = 0;
    for (size_t m = 0; m < COUNT(legacy_metrics); m++) {
        const struct forecast_path *path = NULL;
        for (size_t i = 0; i < forecast->path_count; i++) {
            if (forecast->paths[i].metric == legacy_metrics[m])
                path = &forecast->paths[i];
        }
        if (path == NULL)
            continue;
        const size_t first = n;
        for (size_t step = 0; step < LEGACY_STEPS; step++) {
            struct alert_legacy_item item;
            if (!legacy_item(&schema->metrics[legacy_metrics[m]], legacy_metrics[m], path, step,
                             &item))
                continue;
            if (per_step || n == first)
                all[n++] = item;
            else if (legacy_before(&item, &all[first]))
                all[first] = item;
        }
    }
    legacy_sort(all, n);
    if (n > cap)
        n = cap;
    if (n > 0)
        memcpy(items, all, n * sizeof *items);
    return n;
}
