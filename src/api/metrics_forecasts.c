/* GET /metrics/forecasts: every server's forecast at chosen horizons, as gauges. Apart from
 * /metrics, since it grows with the fleet: a worker writes it. */
#include "api/api_internal.h"

#include "api/exposition.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HORIZONS_MAX = 8, FAMILIES = 4 };

/* What is asked for. */
struct wanted {
    struct api *api;
    struct http_request *request;
    const struct outlook *outlook;
    bool open_metrics;
    bool families[FAMILIES];
    size_t horizon_count;
    struct {
        char text[16];
        uint32_t steps;
    } horizons[HORIZONS_MAX];
    uint64_t metrics;
    struct api_selection servers;
};
enum { FAMILY_VALUE, FAMILY_MAX, FAMILY_CROSSING, FAMILY_RISK };
static const char *const family_names[FAMILIES] = {"value", "max", "crossing", "risk"};

/* ---- what is asked for ---- */

static bool refuse(struct http_request *request, const char *name, const char *msg,
                   const char *input)
{
    api_reply_invalid(request, &(struct api_invalid){.where = "query",
                                                     .name = name,
                                                     .index = -1,
                                                     .type = "value_error",
                                                     .msg = msg,
                                                     .input = input});
    return false;
}

/* The next word of a comma list into `word`; false: there is none, or it does not fit. */
static bool next_word(const char **list, char *word, size_t size)
{
    const size_t len = strcspn(*list, ",");
    if (len == 0 || len >= size)
        return false;
    memcpy(word, *list, len);
    word[len] = '\0';
    *list += len + ((*list)[len] == ',');
    return true;
}

static bool read_horizons(struct http_request *request, uint32_t step_s, struct wanted *wanted)
{
    static const char msg[] =
        "Input should be up to 8 durations of at least a step and within the forecast";
    const char *text = http_request_query(request, "horizons"), *at = text;
    char word[16];
    int64_t ms;
    if (text == NULL) {
        /* Half an hour, an hour, all of it, on a grid of five minutes; the same steps on others. */
        static const uint32_t steps[] = {6, 12, 96};
        for (size_t i = 0; i < COUNT(steps); i++) {
            const uint32_t seconds = steps[i] * step_s;
            const bool minutes = seconds % 60 == 0, hours = seconds % 3600 == 0;
            wanted->horizons[i].steps = steps[i];
            snprintf(wanted->horizons[i].text, sizeof wanted->horizons[i].text, "%u%c",
                     hours     ? seconds / 3600
                     : minutes ? seconds / 60
                               : seconds,
                     hours     ? 'h'
                     : minutes ? 'm'
                               : 's');
        }
        wanted->horizon_count = COUNT(steps);
        return true;
    }
    while (*at != '\0') {
        if (wanted->horizon_count == HORIZONS_MAX || !next_word(&at, word, sizeof word) ||
            !fw_duration_parse(word, &ms) || ms < (int64_t)step_s * 1000 ||
            ms > (int64_t)step_s * 1000 * FORECAST_HORIZON)
            return refuse(request, "horizons", msg, text);
        memcpy(wanted->horizons[wanted->horizon_count].text, word, strlen(word) + 1);
        wanted->horizons[wanted->horizon_count++].steps =
            (uint32_t)((ms / 1000 + step_s - 1) / step_s);
    }
    return wanted->horizon_count > 0 || refuse(request, "horizons", msg, text);
}

static bool read_families(struct http_request *request, struct wanted *wanted)
{
    const char *text = http_request_query(request, "families"), *at = text;
    char word[16];
    if (text == NULL) {
        wanted->families[FAMILY_VALUE] = wanted->families[FAMILY_RISK] = true;
        return true;
    }
    while (*at != '\0') {
        size_t i = 0;
        if (next_word(&at, word, sizeof word))
            while (i < FAMILIES && strcmp(word, family_names[i]) != 0)
                i++;
        else
            i = FAMILIES;
        if (i == FAMILIES)
            return refuse(request, "families",
                          "Input should be a comma list of value, max, crossing, risk", text);
        wanted->families[i] = true;
    }
    return true;
}

/* ---- the text ---- */

/* Writes one line; the labels of server and metric stand in `labels` already and stay there. */
static void put(struct exposition *w, struct fw_buf *labels, const char *name, const char *value,
                const char *horizon_name, const char *horizon, double number)
{
    const size_t len = labels->len;
    if (!isfinite(number))
        return;
    if (name != NULL)
        exposition_label(labels, name, value);
    exposition_label(labels, horizon_name, horizon);
    fw_buf_putc(labels, '\0');
    if (labels->failed)
        w->buf->failed = true;
    else
        exposition_sample(w, labels->data, number);
    labels->len = len;
}

/* Seven digits are what a float has. */
static double rounded(float value)
{
    char text[32];
    snprintf(text, sizeof text, "%.7g", (double)value);
    return strtod(text, NULL);
}

static float largest(const float *path, uint32_t steps)
{
    float most = path[0];
    for (uint32_t i = 1; i < steps; i++)
        most = path[i] > most ? path[i] : most;
    return most;
}

static void put_quantiles(struct exposition *w, struct fw_buf *labels, const struct wanted *wanted,
                          const struct forecast_path *path, bool most)
{
    const struct {
        const char *name;
        const float *values;
    } quantiles[] = {
        {"0.1", path->p10},
        {"0.5", path->p50},
        {"0.9", path->p90}
    };
    for (size_t h = 0; h < wanted->horizon_count; h++)
        for (size_t q = 0; q < COUNT(quantiles); q++) {
            const uint32_t steps = wanted->horizons[h].steps;
            const float value =
                most ? largest(quantiles[q].values, steps) : quantiles[q].values[steps - 1];
            put(w, labels, "quantile", quantiles[q].name, most ? "within" : "horizon",
                wanted->horizons[h].text, rounded(value));
        }
}

static void put_crossings(struct exposition *w, struct fw_buf *labels, const struct wanted *wanted,
                          const struct schema_metric *metric, const struct forecast_path *path)
{
    const struct {
        const char *name;
        double threshold;
    } thresholds[] = {
        {"warning",  metric->warning },
        {"critical", metric->critical}
    };
    for (size_t t = 0; t < COUNT(thresholds); t++)
        for (size_t h = 0; h < wanted->horizon_count && !isnan(thresholds[t].threshold); h++)
            put(w, labels, "threshold", thresholds[t].name, "within", wanted->horizons[h].text,
                risk_crossing_probability(metric, path, thresholds[t].threshold,
                                          wanted->horizons[h].steps));
}

static void put_server(struct fw_buf *labels, const struct api *api, const char *server)
{
    struct label_set set;
    const char *name, *value;
    exposition_label(labels, "server", server);
    (void)label_source_read(&api->labels, server, &set);
    for (size_t at = 0; label_set_next(&set, &at, &name, &value);)
        exposition_label(labels, name, value);
}

static void put_family(struct exposition *w, const struct wanted *wanted, int family)
{
    static const char *const names[FAMILIES] = {"forewarn_forecast", "forewarn_forecast_max",
                                                "forewarn_crossing_probability",
                                                "forewarn_risk_score"};
    static const char *const help[FAMILIES] = {
        "The forecast so far ahead, in the metric's unit.",
        "The largest value of the quantile's path within the time.",
        "Chance that the metric passes the threshold within the time.",
        "Risk of the server, 0 to 100."};
    const struct outlook *outlook = wanted->outlook;
    struct fw_buf labels;
    fw_buf_init(&labels, 4096);
    exposition_family(w, names[family], "gauge", "", help[family]);
    for (size_t i = 0; i < outlook->set->count; i++) {
        const struct forecast *forecast = outlook->set->items[i];
        if (!api_selected(&wanted->servers, forecast->name))
            continue;
        fw_buf_reset(&labels);
        put_server(&labels, wanted->api, forecast->name);
        const size_t server_len = labels.len;
        if (family == FAMILY_RISK) {
            fw_buf_putc(&labels, '\0');
            if (!labels.failed)
                exposition_sample(w, labels.data, rounded(outlook->risks[i].score));
            continue;
        }
        for (size_t k = 0; k < forecast->path_count; k++) {
            const struct forecast_path *path = &forecast->paths[k];
            const struct schema_metric *metric = &outlook->schema->metrics[path->metric];
            if ((wanted->metrics >> path->metric & 1) == 0)
                continue;
            labels.len = server_len;
            exposition_label(&labels, "metric", metric->name);
            if (family == FAMILY_CROSSING)
                put_crossings(w, &labels, wanted, metric, path);
            else
                put_quantiles(w, &labels, wanted, path, family == FAMILY_MAX);
        }
    }
    w->buf->failed = w->buf->failed || labels.failed;
    fw_buf_fini(&labels);
}

static void write_job(void *ctx)
{
    struct wanted *wanted = ctx;
    const struct outlook *outlook = wanted->outlook;
    struct fw_buf buf;
    fw_buf_init(&buf, wanted->api->options.answer_bytes_max);
    struct exposition w = {.buf = &buf, .open_metrics = wanted->open_metrics};
    for (int family = 0; family < FAMILIES && outlook != NULL; family++)
        if (wanted->families[family])
            put_family(&w, wanted, family);
    exposition_reply(&w, wanted->request);
    outlook_release(outlook);
}

void api_get_metrics_forecasts(void *ctx, struct http_request *request)
{
    struct api *api = ctx;
    if (!api_ready(api, request))
        return;
    struct wanted *wanted = http_request_alloc(request, sizeof *wanted);
    if (wanted == NULL) {
        api_reply_busy(request, 503, 1, "out of memory");
        return;
    }
    wanted->api = api;
    wanted->request = request;
    wanted->metrics = UINT64_MAX;
    wanted->open_metrics = exposition_is_open(request);
    if (!api_query_metrics(request, api->options.schema, &wanted->metrics) ||
        !api_query_selection(request, &wanted->servers) || !read_families(request, wanted))
        return;
    const struct outlook *outlook = outlook_board_current(api->parts.board);
    if (!read_horizons(request, outlook != NULL ? outlook->step_s : 300, wanted)) {
        outlook_release(outlook);
        return;
    }
    wanted->outlook = outlook;
    http_defer(request);
    if (api_pool_submit(api->render, write_job, wanted))
        return;
    api_reply_busy(request, 503, 1, "too much is waiting");
    outlook_release(outlook);
}
