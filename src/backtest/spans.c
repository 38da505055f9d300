#include "backtest/spans.h"

#include "base/alloc.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>

enum { SEED = 7, DAY_S = 86400 };

/* ---- spans ---- */

bool backtest_spans_add(struct backtest_spans *spans, struct backtest_span span)
{
    if (spans->n == spans->capacity) {
        const size_t wanted = spans->capacity == 0 ? 16 : 2 * spans->capacity;
        void *wider = fw_realloc_array(spans->items, wanted, sizeof *spans->items);
        if (wider == NULL)
            return false;
        spans->items = wider;
        spans->capacity = wanted;
    }
    spans->items[spans->n++] = span;
    return true;
}

bool backtest_spans_fire(struct backtest_spans *spans, int64_t time_s)
{
    if (spans->n > 0 && time_s - spans->items[spans->n - 1].last <= BACKTEST_APART_S) {
        spans->items[spans->n - 1].last = time_s;
        return true;
    }
    return backtest_spans_add(spans, (struct backtest_span){time_s, time_s});
}

void backtest_spans_fini(struct backtest_spans *spans)
{
    fw_free(spans->items);
    *spans = (struct backtest_spans){0};
}

/* ---- matching ---- */

static int compare_doubles(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

double backtest_median(double *values, size_t n)
{
    if (n == 0)
        return (double)NAN;
    qsort(values, n, sizeof *values, compare_doubles);
    return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2.0;
}

static bool counts(const struct backtest_watch *w, const struct backtest_span *incident)
{
    return incident->first >= w->watched.first && incident->first <= w->watched.last;
}

static bool about(const struct backtest_span *alarm, const struct backtest_span *incident)
{
    return alarm->first <= incident->last && alarm->last >= incident->first - BACKTEST_EARLY_S;
}

/* An alarm moved in time, around the end of what is watched to its begin. */
static struct backtest_span moved(const struct backtest_watch *w, const struct backtest_span *alarm,
                                  double shift)
{
    const double length = (double)(w->watched.last - w->watched.first);
    const double begin =
        length > 0.0 ? fmod((double)(alarm->first - w->watched.first) + shift * length, length)
                     : 0.0;
    const int64_t first = w->watched.first + (int64_t)begin;
    return (struct backtest_span){first, first + (alarm->last - alarm->first)};
}

/* The begin of the first alarm about the incident; INT64_MAX: none. `shift`: a share of the time
 * watched by which alarms are moved. */
static int64_t first_about(const struct backtest_watch *w, const struct backtest_span *incident,
                           double shift)
{
    int64_t first = INT64_MAX;
    for (size_t a = 0; a < w->alarms.n; a++) {
        const struct backtest_span alarm =
            shift == 0.0 ? w->alarms.items[a] : moved(w, &w->alarms.items[a], shift);
        if (about(&alarm, incident) && alarm.first < first)
            first = alarm.first;
    }
    return first;
}

static size_t good_alarms(const struct backtest_watch *w, double shift)
{
    size_t good = 0;
    for (size_t a = 0; a < w->alarms.n; a++) {
        const struct backtest_span alarm =
            shift == 0.0 ? w->alarms.items[a] : moved(w, &w->alarms.items[a], shift);
        bool is_good = false;
        for (size_t i = 0; i < w->incidents.n && !is_good; i++)
            is_good = counts(w, &w->incidents.items[i]) && about(&alarm, &w->incidents.items[i]);
        good += is_good ? 1 : 0;
    }
    return good;
}

static size_t caught_incidents(const struct backtest_watch *w, double shift, double *leads_s)
{
    size_t caught = 0;
    for (size_t i = 0; i < w->incidents.n; i++) {
        const struct backtest_span *incident = &w->incidents.items[i];
        if (!counts(w, incident))
            continue;
        int64_t first = first_about(w, incident, shift);
        if (first == INT64_MAX)
            continue;
        if (first < incident->first - BACKTEST_EARLY_S)
            first = incident->first - BACKTEST_EARLY_S;
        if (leads_s != NULL)
            leads_s[caught] = (double)(incident->first - first);
        caught++;
    }
    return caught;
}

static void match_server(const struct backtest_watch *w, struct fw_rng *rng, double *leads_s,
                         struct backtest_match *out, double *chance_caught, double *chance_good)
{
    const size_t caught = caught_incidents(w, 0.0, leads_s);
    for (size_t i = 0; i < w->incidents.n; i++)
        out->incidents += counts(w, &w->incidents.items[i]) ? 1 : 0;
    for (size_t i = 0; i < caught; i++)
        out->warned += leads_s[i] >= BACKTEST_WARNED_S ? 1 : 0;
    out->caught += caught;
    out->alarms += w->alarms.n;
    out->good += good_alarms(w, 0.0);
    out->days += (double)(w->watched.last - w->watched.first) / DAY_S;
    for (size_t k = 0; k < BACKTEST_SHIFTS; k++) {
        const double shift = fw_rng_uniform(rng);
        *chance_caught += (double)caught_incidents(w, shift, NULL) / BACKTEST_SHIFTS;
        *chance_good += (double)good_alarms(w, shift) / BACKTEST_SHIFTS;
    }
}

static double ratio(double of, double to)
{
    return to > 0.0 ? of / to : (double)NAN;
}

enum fw_status backtest_match(size_t n, const struct backtest_watch *servers,
                              struct backtest_match *out, struct fw_error *err)
{
    struct fw_rng rng;
    size_t incidents = 0;
    double chance_caught = 0.0, chance_good = 0.0;
    *out = (struct backtest_match){0};
    for (size_t s = 0; s < n; s++)
        incidents += servers[s].incidents.n;
    double *leads_s = fw_calloc(incidents + 1, sizeof *leads_s);
    if (leads_s == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory for %zu incidents", incidents);
    fw_rng_init(&rng, SEED);
    for (size_t s = 0; s < n; s++)
        match_server(&servers[s], &rng, leads_s + out->caught, out, &chance_caught, &chance_good);
    out->lead_s = backtest_median(leads_s, out->caught);
    fw_free(leads_s);
    out->recall = ratio((double)out->caught, (double)out->incidents);
    out->warned_share = ratio((double)out->warned, (double)out->incidents);
    out->chance_recall = ratio(chance_caught, (double)out->incidents);
    out->precision = ratio((double)out->good, (double)out->alarms);
    out->chance_precision = ratio(chance_good, (double)out->alarms);
    out->false_per_day = ratio((double)(out->alarms - out->good), out->days);
    return FW_OK;
}
