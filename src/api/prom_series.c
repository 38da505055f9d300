/* The series of the query API: windows, the newest outlook and what was forecast before, as samples
 * at any time. A value belongs to a step of the grid and stands at every time inside it. */
#include "api/prom.h"

#include "base/alloc.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum what {
    OBSERVED,
    FORECAST,  /* the newest one ahead, earlier ones behind */
    LEAD,      /* as it was said so many steps before */
    MAXIMUM,   /* over the coming steps */
    RISK,      /* of a server */
    CROSSING,  /* chance of passing a threshold */
    ANOMALOUS, /* -1, 0, 1: below, inside, above what was forecast a step before */
};

enum {
    OLDER_STEPS_MAX = 100000,   /* of one server, beyond its window */
    OLDER_READS_MAX = 20000000, /* of one query: steps of all servers */
};
enum { VALUES_MAX = 4, PAST_STEPS_MAX = 8640 + FORECAST_HORIZON };

/* A label beside `server`, `profile` and the metric's, and its values. */
struct dimension {
    const char *label;
    const char *values[VALUES_MAX]; /* NULL: durations of `steps` */
    size_t count;
};

static const unsigned within_steps[] = {6, 12, FORECAST_HORIZON};

static const struct dimension quantiles = {
    "quantile", {"0.1", "0.5", "0.9"},
     3
};
static const struct dimension ml_forecast = {
    "ml_forecast", {"yhat_lower", "yhat", "yhat_upper"},
     3
};
static const struct dimension thresholds = {
    "threshold", {"warning", "critical"},
     2
};
static const struct dimension lead_times = {"lead", {NULL}, OUTLOOK_PAST_LEADS};
static const struct dimension within = {"within", {NULL}, COUNT(within_steps)};

static const struct family {
    const char *name;
    const char *suffix; /* behind a metric's name, when `name` is NULL */
    const char *help;
    const char *metric_label; /* NULL: the metric is part of the name, or there is none */
    const struct dimension *first, *second;
    enum what what;
    int quantile; /* when no dimension says it */
} families[] = {
    {"forewarn_observed",             NULL,         "Stored value of a metric.",                                             "metric", NULL,         NULL,        OBSERVED,  0},
    {"forewarn_forecast",             NULL,
     "Ahead: the newest forecast. Behind: what was forecast a step before.",                                                 "metric", &quantiles,
     NULL,                                                                                                                                                        FORECAST,  0},
    {"forewarn_forecast_lead",        NULL,         "What was forecast for this time, so long before.",                      "metric",
     &quantiles,                                                                                                                                     &lead_times, LEAD,      0},
    {"forewarn_forecast_max",         NULL,         "Highest value forecast within so long from now.",                       "metric",
     &quantiles,                                                                                                                                     &within,     MAXIMUM,   0},
    {"forewarn_risk_score",           NULL,         "Risk of a server, 0 to 100.",                                           NULL,     NULL,         NULL,        RISK,      0},
    {"forewarn_crossing_probability", NULL,
     "Chance that a metric passes its threshold within so long from now.",                                                   "metric", &thresholds,
     &within,                                                                                                                                                     CROSSING,  0},
    {"vmanomaly_yhat",                NULL,         "As forewarn_forecast, the median, by vmanomaly's name.",                "for",    NULL,
     NULL,                                                                                                                                                        FORECAST,  1},
    {"vmanomaly_yhat_lower",          NULL,         "As forewarn_forecast, quantile 0.1.",                                   "for",    NULL,         NULL,
     FORECAST,                                                                                                                                                               0},
    {"vmanomaly_yhat_upper",          NULL,         "As forewarn_forecast, quantile 0.9.",                                   "for",    NULL,         NULL,
     FORECAST,                                                                                                                                                               2},
    {NULL,                            ":actual",    "As forewarn_observed, by Grafana ML's name.",                           NULL,     NULL,         NULL,        OBSERVED,  0},
    {NULL,                            ":predicted", "As forewarn_forecast, by Grafana ML's name.",                           NULL,     &ml_forecast, NULL,
     FORECAST,                                                                                                                                                               0},
    {NULL,                            ":anomalous", "1 above, -1 below, 0 inside the band that was forecast a step before.",
     NULL,                                                                                                                             NULL,         NULL,        ANOMALOUS, 0},
};

const char *const prom_labels[] = {"__name__",    "for",     "lead",     "metric",
                                   "ml_forecast", "profile", "quantile", "server",
                                   "threshold",   "within",  NULL};

struct prom_reader {
    struct api *api;
    const struct outlook *outlook; /* NULL: there is none yet */
    int64_t step_ms, now_ms;
    float *window;  /* (metrics, window_steps): of one server at a time */
    float *past[3]; /* (points' steps), as needed */
    size_t past_cap;
    struct fleet_view view;
    bool viewed;
    float *older; /* (metrics, older_n): of the same server, from the long history */
    size_t older_cap, older_n, older_read;
    int64_t older_first;
    bool older_too_long;
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
    return reader;
}

void prom_reader_free(struct prom_reader *reader)
{
    if (reader == NULL)
        return;
    outlook_release(reader->outlook);
    fw_free(reader->window);
    fw_free(reader->older);
    fw_free(reader->past[0]);
    fw_free(reader);
}

/* ---- names and labels ---- */

static bool has_metric(const struct family *family)
{
    return family->what != RISK;
}

static void family_name(const struct api *api, const struct family *family, size_t metric,
                        char *out, size_t size)
{
    if (family->name != NULL)
        snprintf(out, size, "%s", family->name);
    else
        snprintf(out, size, "%s%s", api->options.schema->metrics[metric].name, family->suffix);
}

bool prom_family(const struct api *api, size_t index, struct prom_family_text *text)
{
    for (size_t i = 0; i < COUNT(families); i++) {
        const size_t names = families[i].name != NULL ? 1 : api->options.schema->count;
        if (index >= names) {
            index -= names;
            continue;
        }
        family_name(api, &families[i], index, text->name, sizeof text->name);
        text->help = families[i].help;
        return true;
    }
    return false;
}

static const char *duration_text(const struct prom_reader *r, unsigned steps, char out[32])
{
    const int64_t s = r->step_ms / 1000 * steps;
    if (s % 3600 == 0)
        snprintf(out, 32, "%lldh", (long long)(s / 3600));
    else if (s % 60 == 0)
        snprintf(out, 32, "%lldm", (long long)(s / 60));
    else
        snprintf(out, 32, "%llds", (long long)s);
    return out;
}

static unsigned dimension_steps(const struct dimension *dimension, size_t index)
{
    return dimension == &lead_times ? outlook_past_lead(index) : within_steps[index];
}

static const char *dimension_value(const struct prom_reader *r, const struct dimension *dimension,
                                   size_t index, char scratch[32])
{
    return dimension->values[0] != NULL
               ? dimension->values[index]
               : duration_text(r, dimension_steps(dimension, index), scratch);
}

bool prom_label_value(struct prom_reader *r, const char *label, size_t index, const char **value)
{
    static _Thread_local char scratch[32];
    static _Thread_local struct prom_family_text text;
    static const struct dimension *const dimensions[] = {&quantiles, &ml_forecast, &thresholds,
                                                         &lead_times, &within};
    const struct schema *schema = r->api->options.schema;
    if (strcmp(label, "__name__") == 0 && prom_family(r->api, index, &text)) {
        *value = text.name;
        return true;
    }
    if (strcmp(label, "server") == 0 && r->outlook != NULL && index < r->outlook->set->count) {
        *value = r->outlook->set->items[index]->name;
        return true;
    }
    if ((strcmp(label, "metric") == 0 || strcmp(label, "for") == 0) && index < schema->count) {
        *value = schema->metrics[index].name;
        return true;
    }
    if (strcmp(label, "profile") == 0 && index < PROFILE_COUNT) {
        *value = profile_name((enum profile)index);
        return true;
    }
    for (size_t i = 0; i < COUNT(dimensions); i++) {
        if (strcmp(label, dimensions[i]->label) != 0 || index >= dimensions[i]->count)
            continue;
        *value = dimension_value(r, dimensions[i], index, scratch);
        return true;
    }
    return false;
}

/* ---- values ---- */

struct past_steps {
    int64_t first;
    size_t n;
};

/* One series to fill. */
struct filling {
    const struct query_times *times;
    double *values;
    const struct forecast *forecast;
    const struct risk *risk;
    int metric;
    int quantile;
    unsigned steps; /* lead or within */
    size_t lead;    /* its index */
    bool critical;
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

static void fill_observed(struct prom_reader *r, const struct filling *f)
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

static bool fill_lead(struct prom_reader *r, const struct filling *f)
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

static bool fill_forecast(struct prom_reader *r, const struct filling *f)
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
static void fill_maximum(const struct prom_reader *r, const struct filling *f)
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

static bool fill_risk(struct prom_reader *r, const struct filling *f)
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

static void fill_crossing(const struct prom_reader *r, const struct filling *f)
{
    const struct schema_metric *metric = &r->api->options.schema->metrics[f->metric];
    const struct forecast_path *path = forecast_path(f->forecast, f->metric);
    const double threshold = f->critical ? metric->critical : metric->warning;
    if (path == NULL || isnan(threshold))
        return;
    const double chance = risk_crossing_probability(metric, path, threshold, f->steps);
    for (size_t i = 0; i < f->times->points; i++)
        if (is_current(r, time_at(f->times, i)))
            f->values[i] = chance;
}

static bool fill_anomalous(struct prom_reader *r, const struct filling *f)
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

static bool fill(struct prom_reader *r, enum what what, const struct filling *f)
{
    switch (what) {
    case OBSERVED:
        fill_observed(r, f);
        return true;
    case FORECAST:
        return fill_forecast(r, f);
    case LEAD:
        return fill_lead(r, f);
    case MAXIMUM:
        fill_maximum(r, f);
        return true;
    case RISK:
        return fill_risk(r, f);
    case CROSSING:
        fill_crossing(r, f);
        return true;
    case ANOMALOUS:
        return fill_anomalous(r, f);
    }
    return true;
}

/* ---- selection ---- */

struct selecting {
    struct prom_reader *reader;
    const struct query_selector *selector;
    const struct query_times *times;
    struct query_set *set;
    struct fw_error *err;
    const struct family *family;
    char name[SCHEMA_METRIC_NAME_MAX + 16];
    struct filling filling;
};

static bool fits(const struct selecting *s, const char *label, const char *value)
{
    return query_selector_fits(s->selector, label, value);
}

/* Whether labels that the family does not have may be absent. */
static bool fits_rest(const struct selecting *s)
{
    const struct family *f = s->family;
    const char *known[6] = {"__name__", "server", "profile"};
    size_t n = 3;
    if (f->metric_label != NULL)
        known[n++] = f->metric_label;
    if (f->first != NULL)
        known[n++] = f->first->label;
    if (f->second != NULL)
        known[n++] = f->second->label;
    return query_selector_fits_rest(s->selector, known, n);
}

static void use_dimension(struct filling *f, const struct dimension *dimension, size_t index)
{
    if (dimension == &quantiles || dimension == &ml_forecast)
        f->quantile = (int)index;
    else if (dimension == &thresholds)
        f->critical = index == 1;
    else
        f->steps = dimension_steps(dimension, index);
    if (dimension == &lead_times)
        f->lead = index;
}

static enum fw_status add_series(struct selecting *s, const char *first, const char *second)
{
    const struct family *f = s->family;
    struct query_label labels[6] = {
        {"__name__", s->name                                   },
        {"server",   s->filling.forecast->name                 },
        {"profile",  profile_name(s->filling.forecast->profile)}
    };
    size_t n = 3;
    if (f->metric_label != NULL)
        labels[n++] = (struct query_label){
            f->metric_label, s->reader->api->options.schema->metrics[s->filling.metric].name};
    if (first != NULL)
        labels[n++] = (struct query_label){f->first->label, first};
    if (second != NULL)
        labels[n++] = (struct query_label){f->second->label, second};
    s->filling.values = query_set_add(s->set, labels, n);
    if (s->filling.values == NULL)
        return fw_fail(s->err, FW_ELIMIT,
                       "the series that fit need more than %zu MiB; ask for fewer series or points",
                       s->set->bytes_max >> 20);
    if (!fill(s->reader, f->what, &s->filling))
        return fw_fail(s->err, FW_ENOMEM, "out of memory");
    return s->reader->older_too_long
               ? fw_fail(s->err, FW_ELIMIT,
                         "too much of the long history; ask for fewer servers or less time")
               : FW_OK;
}

static enum fw_status select_second(struct selecting *s, const char *first)
{
    const struct dimension *d = s->family->second;
    char scratch[32];
    enum fw_status status = FW_OK;
    if (d == NULL)
        return add_series(s, first, NULL);
    for (size_t i = 0; i < d->count && status == FW_OK; i++) {
        const char *value = dimension_value(s->reader, d, i, scratch);
        if (!fits(s, d->label, value))
            continue;
        use_dimension(&s->filling, d, i);
        status = add_series(s, first, value);
    }
    return status;
}

static enum fw_status select_first(struct selecting *s)
{
    const struct dimension *d = s->family->first;
    char scratch[32];
    enum fw_status status = FW_OK;
    s->filling.quantile = s->family->quantile;
    if (d == NULL)
        return select_second(s, NULL);
    for (size_t i = 0; i < d->count && status == FW_OK; i++) {
        const char *value = dimension_value(s->reader, d, i, scratch);
        if (!fits(s, d->label, value))
            continue;
        use_dimension(&s->filling, d, i);
        status = select_second(s, value);
    }
    return status;
}

/* One server: every metric that it has. */
static enum fw_status select_server(struct selecting *s, uint64_t metrics)
{
    const struct schema *schema = s->reader->api->options.schema;
    const struct family *f = s->family;
    enum fw_status status = FW_OK;
    if (!has_metric(f))
        return select_first(s);
    for (size_t m = 0; m < schema->count && status == FW_OK; m++) {
        if (!(metrics >> m & 1) || forecast_path(s->filling.forecast, (int)m) == NULL)
            continue;
        family_name(s->reader->api, f, m, s->name, sizeof s->name);
        s->filling.metric = (int)m;
        status = select_first(s);
    }
    return status;
}

/* The metrics whose name, or label, fits. */
static uint64_t fitting_metrics(const struct selecting *s)
{
    const struct schema *schema = s->reader->api->options.schema;
    const struct family *f = s->family;
    char name[sizeof s->name];
    uint64_t metrics = 0;
    for (size_t m = 0; m < schema->count; m++) {
        family_name(s->reader->api, f, m, name, sizeof name);
        if (fits(s, "__name__", name) &&
            (f->metric_label == NULL || fits(s, f->metric_label, schema->metrics[m].name)))
            metrics |= (uint64_t)1 << m;
    }
    return metrics;
}

static enum fw_status select_family(struct selecting *s)
{
    const struct outlook *outlook = s->reader->outlook;
    const uint64_t metrics = fitting_metrics(s);
    enum fw_status status = FW_OK;
    if (metrics == 0 || !fits_rest(s))
        return FW_OK;
    family_name(s->reader->api, s->family, 0, s->name, sizeof s->name);
    for (size_t i = 0; i < outlook->set->count && status == FW_OK; i++) {
        const struct forecast *forecast = outlook->set->items[i];
        if (!fits(s, "server", forecast->name) ||
            !fits(s, "profile", profile_name(forecast->profile)))
            continue;
        s->reader->viewed = false;
        s->filling =
            (struct filling){.times = s->times, .forecast = forecast, .risk = &outlook->risks[i]};
        status = select_server(s, metrics);
    }
    return status;
}

static enum fw_status select_series(void *ctx, const struct query_selector *selector,
                                    const struct query_times *times, struct query_set *set,
                                    struct fw_error *err)
{
    struct selecting s = {
        .reader = ctx, .selector = selector, .times = times, .set = set, .err = err};
    enum fw_status status = FW_OK;
    for (size_t i = 0; i < COUNT(families) && status == FW_OK && s.reader->outlook != NULL; i++) {
        s.family = &families[i];
        status = select_family(&s);
    }
    return status;
}

struct query_source prom_reader_source(struct prom_reader *reader)
{
    return (struct query_source){reader, select_series};
}
