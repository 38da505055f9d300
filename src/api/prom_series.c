/* The series of the query API: names, labels, and which of them a selector chooses. */
#include "api/prom_values.h"

#include "api/rules.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { VALUES_MAX = 4 };

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
    enum prom_what what;
    int quantile; /* when no dimension says it */
} families[] = {
    {"forewarn_observed",             NULL,         "Stored value of a metric.",                                             "metric", NULL,         NULL,        PROM_OBSERVED,
     0                                                                                                                                                                             },
    {"forewarn_forecast",             NULL,
     "Ahead: the newest forecast. Behind: what was forecast a step before.",                                                 "metric", &quantiles,
     NULL,                                                                                                                                                        PROM_FORECAST,  0},
    {"forewarn_forecast_lead",        NULL,         "What was forecast for this time, so long before.",                      "metric",
     &quantiles,                                                                                                                                     &lead_times, PROM_LEAD,      0},
    {"forewarn_forecast_max",         NULL,         "Highest value forecast within so long from now.",                       "metric",
     &quantiles,                                                                                                                                     &within,     PROM_MAXIMUM,   0},
    {"forewarn_risk_score",           NULL,         "Risk of a server, 0 to 100.",                                           NULL,     NULL,         NULL,        PROM_RISK,      0},
    {"forewarn_crossing_probability", NULL,
     "Chance that a metric passes its threshold within so long from now.",                                                   "metric", &thresholds,
     &within,                                                                                                                                                     PROM_CROSSING,  0},
    {"vmanomaly_yhat",                NULL,         "As forewarn_forecast, the median, by vmanomaly's name.",                "for",    NULL,
     NULL,                                                                                                                                                        PROM_FORECAST,  1},
    {"vmanomaly_yhat_lower",          NULL,         "As forewarn_forecast, quantile 0.1.",                                   "for",    NULL,         NULL,
     PROM_FORECAST,                                                                                                                                                               0},
    {"vmanomaly_yhat_upper",          NULL,         "As forewarn_forecast, quantile 0.9.",                                   "for",    NULL,         NULL,
     PROM_FORECAST,                                                                                                                                                               2},
    {NULL,                            ":actual",    "As forewarn_observed, by Grafana ML's name.",                           NULL,     NULL,         NULL,
     PROM_OBSERVED,                                                                                                                                                               0},
    {NULL,                            ":predicted", "As forewarn_forecast, by Grafana ML's name.",                           NULL,     &ml_forecast, NULL,
     PROM_FORECAST,                                                                                                                                                               0},
    {NULL,                            ":anomalous", "1 above, -1 below, 0 inside the band that was forecast a step before.",
     NULL,                                                                                                                             NULL,         NULL,        PROM_ANOMALOUS, 0},
};

const char *const prom_labels[] = {"__name__",    "for",     "lead",     "metric",
                                   "ml_forecast", "profile", "quantile", "server",
                                   "threshold",   "within",  NULL};

/* ---- names and labels ---- */

static bool has_metric(const struct family *family)
{
    return family->what != PROM_RISK;
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

/* ---- selection ---- */

struct selecting {
    struct prom_reader *reader;
    const struct query_selector *selector;
    const struct query_times *times;
    struct query_set *set;
    struct fw_error *err;
    const struct family *family;
    struct label_set labels; /* of the server at hand */
    char name[SCHEMA_METRIC_NAME_MAX + 16];
    struct prom_filling filling;
};

static bool fits(const struct selecting *s, const char *label, const char *value)
{
    return query_selector_fits(s->selector, label, value);
}

/* Whether labels that the family does not have may be absent. */
static bool fits_rest(const struct selecting *s)
{
    const struct family *f = s->family;
    const struct label_rules *rules = &s->reader->rules->labels;
    const char *known[6 + LABEL_RULES_MAX] = {"__name__", "server", "profile"};
    size_t n = 3;
    for (size_t i = 0; i < rules->count; i++)
        known[n++] = rules->names[i];
    if (f->metric_label != NULL)
        known[n++] = f->metric_label;
    if (f->first != NULL)
        known[n++] = f->first->label;
    if (f->second != NULL)
        known[n++] = f->second->label;
    return query_selector_fits_rest(s->selector, known, n);
}

/* Whether the server's own labels fit, those that it does not have as "". */
static bool fits_labels(const struct selecting *s)
{
    const struct label_rules *rules = &s->reader->rules->labels;
    for (size_t i = 0; i < rules->count; i++) {
        const char *value = label_set_get(&s->labels, rules->names[i]);
        if (!fits(s, rules->names[i], value != NULL ? value : ""))
            return false;
    }
    return true;
}

static void use_dimension(struct prom_filling *f, const struct dimension *dimension, size_t index)
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
    const struct label_rules *rules = &s->reader->rules->labels;
    const char *name, *value;
    struct query_label labels[6 + LABELS_MAX] = {
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
    for (size_t at = 0; label_set_next(&s->labels, &at, &name, &value);)
        if ((name = label_rules_find(rules, name, strlen(name))) != NULL) /* outlives the set */
            labels[n++] = (struct query_label){name, value};
    s->filling.values = query_set_add(s->set, labels, n);
    if (s->filling.values == NULL)
        return fw_fail(s->err, FW_ELIMIT,
                       "the series that fit need more than %zu MiB; ask for fewer series or points",
                       s->set->bytes_max >> 20);
    if (!prom_fill(s->reader, f->what, &s->filling))
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
        (void)label_source_read(&s->reader->api->labels, forecast->name, &s->labels);
        if (!fits_labels(s))
            continue;
        s->reader->viewed = false;
        s->filling = (struct prom_filling){
            .times = s->times, .forecast = forecast, .risk = &outlook->risks[i]};
        status = select_server(s, metrics);
    }
    return status;
}

static enum fw_status select_series(void *ctx, const struct query_selector *selector,
                                    const struct query_times *times, struct query_set *set,
                                    struct fw_error *err)
{
    static_assert(6 + LABELS_MAX <= QUERY_LABELS_MAX, "a series' labels fit");
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
