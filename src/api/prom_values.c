#include "api/prom_values.h"

#include "api/rules.h"
#include "base/alloc.h"

#include <math.h>
#include <string.h>

enum {
    OLDER_STEPS_MAX = 100000,   /* of one server, beyond its window */
    OLDER_READS_MAX = 20000000, /* of one query: steps of all servers */
    PAST_STEPS_MAX = 8640 + FORECAST_HORIZON,
};

struct prom_reader *prom_reader_new(struct api *api)
{
    const struct fleet_options *fleet = fleet_options(api->parts.fleet);
    struct prom_reader *reader = fw_calloc(1, sizeof *reader);
    if (reader == NULL)
        return NULL;
    reader->api = api;
    reader->step_ms = (int64_t)fleet->step_s * 1000;
    reader->now_ms = fw_clock_wall_ms(api->clock);
    reader->window =
        fw_malloc(api->options.schema->count * fleet->window_steps * sizeof *reader->window);
    if (reader->window == NULL) {
        fw_free(reader);
        return NULL;
    }
    reader->outlook = outlook_board_current(api->parts.board);
    reader->rules = api_rules_current(api);
    return reader;
}

void prom_reader_free(struct prom_reader *reader)
{
    if (reader == NULL)
        return;
    outlook_release(reader->outlook);
    api_rules_release(reader->rules);
    fw_free(reader->window);
    fw_free(reader->older);
    fw_free(reader->past[0]);
    fw_free(reader);
}

struct past_steps {
    int64_t first;
    size_t n;
};

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static int64_t time_at(const struct query_times *times, size_t i)
{
    return times->start_ms + (int64_t)i * times->step_ms;
}

/* Steps that the times touch, of those about which something may have been forecast. */
static struct past_steps steps_of(const struct prom_reader *r, const struct query_times *times)
{
    const int64_t now = floor_div(r->now_ms, r->step_ms);
    const int64_t oldest = now - PAST_STEPS_MAX, newest = now + FORECAST_HORIZON;
    int64_t first = floor_div(times->start_ms, r->step_ms);
    int64_t last = floor_div(time_at(times, times->points - 1), r->step_ms);
    first = first < oldest ? oldest : first;
    last = last > newest ? newest : last;
    return (struct past_steps){first, last >= first ? (size_t)(last - first + 1) : 0};
}

static double past_at(const struct prom_reader *r, const struct past_steps *steps, size_t which,
                      int64_t time_ms)
{
    const int64_t i = floor_div(time_ms, r->step_ms) - steps->first;
    return i >= 0 && i < (int64_t)steps->n ? (double)r->past[which][i] : (double)NAN;
}

/* What the times ask of the steps before the window. */
static void read_older(struct prom_reader *r, const char *server, const struct query_times *times)
{
    const struct api_parts *parts = &r->api->parts;
    const size_t metrics = r->api->options.schema->count;
    const int64_t end = r->view.server.newest_step - r->view.steps + 1;
    int64_t first = floor_div(times->start_ms, r->step_ms) - 1;
    const int64_t last = floor_div(time_at(times, times->points - 1), r->step_ms);
    const int64_t stop = last + 1 < end ? last + 1 : end;
    r->older_n = 0;
    if (parts->history_read == NULL || first >= stop)
        return;
    if (stop - first > OLDER_STEPS_MAX)
        first = stop - OLDER_STEPS_MAX; /* 347 days of five minutes: nothing is older */
    const size_t n = (size_t)(stop - first);
    r->older_read += n;
    if (r->older_read > OLDER_READS_MAX) {
        r->older_too_long = true;
        return;
    }
    if (n > r->older_cap) {
        float *more = fw_realloc_array(r->older, metrics * n, sizeof *more);
        if (more == NULL)
            return;
        r->older = more;
        r->older_cap = n;
    }
    if (parts->history_read(parts->history_ctx, server, first, n, r->older)) {
        r->older_first = first;
        r->older_n = n;
    }
}

/* The server's window, once for all its metrics; false: it has none. */
static bool view_server(struct prom_reader *r, const struct forecast *forecast,
                        const struct query_times *times)
{
    const struct fleet *fleet = r->api->parts.fleet;
    if (r->viewed)
        return r->view.steps > 0;
    r->viewed = true;
    r->view = (struct fleet_view){.steps = fleet_options(fleet)->window_steps, .values = r->window};
    const int64_t slot = fleet_find(fleet, forecast->name, strlen(forecast->name));
    if (slot < 0 || !fleet_read_view(fleet, (size_t)slot, &r->view))
        r->view.steps = 0;
    r->older_n = 0;
    if (r->view.steps > 0)
        read_older(r, forecast->name, times);
    return r->view.steps > 0;
}

static double window_value(const struct prom_reader *r, int metric, int64_t step)
{
    const int64_t i = step - (r->view.server.newest_step - r->view.steps + 1);
    if (i < 0 && step >= r->older_first && step - r->older_first < (int64_t)r->older_n)
        return (double)r->older[(size_t)metric * r->older_n + (size_t)(step - r->older_first)];
    return i >= 0 && i < (int64_t)r->view.steps
               ? (double)r->window[(size_t)metric * r->view.steps + (size_t)i]
               : (double)NAN;
}

/* A step that lacks a value, or has only begun, shows the one before. */
static double observed_at(const struct prom_reader *r, int metric, int64_t time_ms)
{
    if (time_ms > r->now_ms)
        return (double)NAN;
    const int64_t step = floor_div(time_ms, r->step_ms);
    const double value = window_value(r, metric, step);
    return isnan(value) ? window_value(r, metric, step - 1) : value;
}

static void fill_observed(struct prom_reader *r, const struct prom_filling *f)
{
    if (!view_server(r, f->forecast, f->times))
        return;
    for (size_t i = 0; i < f->times->points; i++)
        f->values[i] = observed_at(r, f->metric, time_at(f->times, i));
}

/* Room for steps of earlier forecasts: three arrays. */
static bool past_room(struct prom_reader *r, size_t n)
{
    if (n <= r->past_cap)
        return true;
    float *more = fw_realloc_array(r->past[0], 3 * n, sizeof *more);
    if (more == NULL)
        return false;
    for (size_t q = 0; q < 3; q++)
        r->past[q] = more + q * n;
    r->past_cap = n;
    return true;
}

static const float *quantile_of(const struct forecast_path *path, int quantile)
{
    return quantile == 0 ? path->p10 : quantile == 1 ? path->p50 : path->p90;
}

static bool fill_lead(struct prom_reader *r, const struct prom_filling *f)
{
    const struct past_steps steps = steps_of(r, f->times);
    if (!past_room(r, steps.n))
        return false;
    outlook_past_read(r->api->past, f->forecast->name, f->metric, f->lead, (size_t)f->quantile,
                      steps.first, steps.n, r->past[0]);
    for (size_t i = 0; i < f->times->points; i++)
        f->values[i] = past_at(r, &steps, 0, time_at(f->times, i));
    return true;
}

static bool fill_forecast(struct prom_reader *r, const struct prom_filling *f)
{
    const struct forecast_path *path = forecast_path(f->forecast, f->metric);
    const int64_t origin = floor_div(f->forecast->origin_ms, r->step_ms);
    if (!fill_lead(r, f))
        return false;
    for (size_t i = 0; i < f->times->points && path != NULL; i++) {
        const int64_t ahead = floor_div(time_at(f->times, i), r->step_ms) - origin;
        if (ahead >= 0)
            f->values[i] = ahead < FORECAST_HORIZON ? (double)quantile_of(path, f->quantile)[ahead]
                                                    : (double)NAN;
    }
    return true;
}

/* Of the steps behind the one of the time; nothing when the forecast does not reach so far. */
static void fill_maximum(const struct prom_reader *r, const struct prom_filling *f)
{
    const struct forecast_path *path = forecast_path(f->forecast, f->metric);
    const int64_t origin = floor_div(f->forecast->origin_ms, r->step_ms);
    for (size_t i = 0; i < f->times->points && path != NULL; i++) {
        const int64_t from = floor_div(time_at(f->times, i), r->step_ms) + 1 - origin;
        const int64_t begin = from < 0 ? 0 : from;
        if (from < -1 || begin + f->steps > FORECAST_HORIZON)
            continue;
        double most = (double)-INFINITY;
        for (int64_t k = begin; k < begin + f->steps; k++)
            most = fmax(most, (double)quantile_of(path, f->quantile)[k]);
        f->values[i] = most;
    }
}

/* Whether the newest outlook is what was known at a time. */
static bool is_current(const struct prom_reader *r, int64_t time_ms)
{
    return time_ms >= r->outlook->made_ms - r->step_ms && time_ms <= r->now_ms + r->step_ms;
}

static bool fill_risk(struct prom_reader *r, const struct prom_filling *f)
{
    const struct past_steps steps = steps_of(r, f->times);
    if (!past_room(r, steps.n))
        return false;
    outlook_past_risk(r->api->past, f->forecast->name, steps.first, steps.n, r->past[0]);
    for (size_t i = 0; i < f->times->points; i++) {
        const int64_t time_ms = time_at(f->times, i);
        if (time_ms >= r->outlook->made_ms && is_current(r, time_ms))
            f->values[i] = (double)f->risk->score;
        else if (time_ms <= r->now_ms)
            f->values[i] = past_at(r, &steps, 0, time_ms);
    }
    return true;
}

static void fill_crossing(const struct prom_reader *r, const struct prom_filling *f)
{
    const struct schema_metric *metric = &r->outlook->schema->metrics[f->metric];
    const struct forecast_path *path = forecast_path(f->forecast, f->metric);
    const double threshold = f->critical ? metric->critical : metric->warning;
    if (path == NULL || isnan(threshold))
        return;
    const double chance = risk_crossing_probability(metric, path, threshold, f->steps);
    for (size_t i = 0; i < f->times->points; i++)
        if (is_current(r, time_at(f->times, i)))
            f->values[i] = chance;
}

static bool fill_anomalous(struct prom_reader *r, const struct prom_filling *f)
{
    const struct past_steps steps = steps_of(r, f->times);
    if (!past_room(r, steps.n))
        return false;
    fill_observed(r, f);
    outlook_past_read(r->api->past, f->forecast->name, f->metric, 0, 0, steps.first, steps.n,
                      r->past[0]);
    outlook_past_read(r->api->past, f->forecast->name, f->metric, 0, 2, steps.first, steps.n,
                      r->past[2]);
    for (size_t i = 0; i < f->times->points; i++) {
        const double low = past_at(r, &steps, 0, time_at(f->times, i));
        const double high = past_at(r, &steps, 2, time_at(f->times, i));
        const double value = f->values[i];
        f->values[i] = isnan(value) || isnan(low) ? (double)NAN
                       : value > high             ? 1
                       : value < low              ? -1
                                                  : 0;
    }
    return true;
}

bool prom_fill(struct prom_reader *r, enum prom_what what, const struct prom_filling *f)
{
    switch (what) {
    case PROM_OBSERVED:
        fill_observed(r, f);
        return true;
    case PROM_FORECAST:
        return fill_forecast(r, f);
    case PROM_LEAD:
        return fill_lead(r, f);
    case PROM_MAXIMUM:
        fill_maximum(r, f);
        return true;
    case PROM_RISK:
        return fill_risk(r, f);
    case PROM_CROSSING:
        fill_crossing(r, f);
        return true;
    case PROM_ANOMALOUS:
        return fill_anomalous(r, f);
    }
    return true;
}
