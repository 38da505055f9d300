/* The Prometheus query API, as far as Grafana's Prometheus source needs it (docs/grafana.md):
 * parameters in, query (src/query) over our series (prom_series.c), envelope out. What may take
 * long runs on workers of its own. */
#include "api/prom.h"

#include "base/alloc.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ANSWER_BYTES_MAX = 64 << 20, /* of one answer */
};

/* ---- envelopes ---- */

void prom_reply_error(struct http_request *request, int status, const char *type, const char *text)
{
    struct fw_buf buf;
    fw_buf_init(&buf, 16384);
    fw_buf_printf(&buf, "{\"status\":\"error\",\"errorType\":\"%s\",\"error\":", type);
    fw_buf_json_string(&buf, text, strlen(text));
    fw_buf_putc(&buf, '}');
    http_reply(request, &(struct http_reply){.status = status,
                                             .body = http_body_new_take(&buf),
                                             .retry_after_s = status == 503});
}

void prom_reply_bad(const struct prom_request *r, const char *name, const char *text)
{
    char message[320];
    snprintf(message, sizeof message, "invalid parameter \"%s\": %s", name, text);
    prom_reply_error(r->request, 400, "bad_data", message);
}

void prom_reply_status(const struct prom_request *r, const char *name, enum fw_status status,
                       const struct fw_error *err)
{
    if (status == FW_EINVAL)
        prom_reply_bad(r, name, err->text);
    else if (status == FW_ENOMEM)
        prom_reply_error(r->request, 503, "timeout", "out of memory; try again");
    else
        prom_reply_error(r->request, 422, "execution", err->text);
}

void prom_begin(struct fw_buf *buf)
{
    fw_buf_init(buf, ANSWER_BYTES_MAX);
    fw_buf_puts(buf, "{\"status\":\"success\",\"data\":");
}

void prom_reply(const struct prom_request *r, struct fw_buf *buf)
{
    fw_buf_putc(buf, '}');
    if (buf->failed && buf->len > ANSWER_BYTES_MAX / 2) {
        fw_buf_fini(buf);
        prom_reply_error(r->request, 422, "execution",
                         "the answer is longer than 64 MiB; ask for less");
        return;
    }
    http_reply_json(r->request, 200, buf);
}

/* ---- parameters ---- */

/* Seconds with a fraction, or RFC 3339; absent: *ms stays. */
static bool get_time(const struct prom_request *r, const char *name, int64_t *ms)
{
    const char *text = prom_param(&r->params, name);
    char *end;
    if (text == NULL)
        return true;
    const double seconds = strtod(text, &end);
    if (end != text && *end == '\0' && seconds >= 0 && seconds < 253402300800.0) {
        *ms = llround(seconds * 1000);
        return true;
    }
    if (fw_time_parse(text, strlen(text), ms))
        return true;
    prom_reply_bad(r, name, "expected seconds since 1970 or a time like 2026-01-01T00:00:00Z");
    return false;
}

static bool get_times(const struct prom_request *r, struct query_times *times)
{
    const char *step = prom_param(&r->params, "step");
    int64_t start_ms = -1, end_ms = -1;
    if (!get_time(r, "start", &start_ms) || !get_time(r, "end", &end_ms))
        return false;
    if (start_ms < 0 || end_ms < start_ms) {
        prom_reply_bad(r, "end", "start and end are needed, and end not before start");
        return false;
    }
    if (step == NULL || !query_duration(step, strlen(step), &times->step_ms) ||
        times->step_ms <= 0) {
        prom_reply_bad(r, "step", "expected a duration above zero, as in 60 or 5m");
        return false;
    }
    const int64_t points = (end_ms - start_ms) / times->step_ms + 1;
    if (points > QUERY_POINTS_MAX) {
        prom_reply_error(
            r->request, 400, "bad_data",
            "exceeded maximum resolution of 11,000 points per timeseries; make the step "
            "longer");
        return false;
    }
    times->start_ms = start_ms;
    times->points = (size_t)points;
    return true;
}

/* False: answered. */
bool prom_get_query(const struct prom_request *r, struct query **query)
{
    struct fw_error err = {0};
    const char *text = prom_param(&r->params, "query");
    if (text == NULL) {
        prom_reply_bad(r, "query", "it is missing");
        return false;
    }
    const enum fw_status status = query_parse(text, strlen(text), query, &err);
    if (status != FW_OK)
        prom_reply_status(r, "query", status, &err);
    return status == FW_OK;
}

/* ---- results ---- */

static void put_number(struct fw_buf *buf, double value)
{
    if (isnan(value))
        fw_buf_puts(buf, "NaN");
    else if (isinf(value))
        fw_buf_puts(buf, value > 0 ? "+Inf" : "-Inf");
    else
        fw_buf_printf(buf, "%.10g", value);
}

/* [seconds, "value"] */
static void put_sample(struct fw_buf *buf, int64_t ms, double value)
{
    fw_buf_putc(buf, '[');
    fw_buf_put_i64(buf, ms / 1000);
    if (ms % 1000 != 0)
        fw_buf_printf(buf, ".%03d", (int)(ms % 1000));
    fw_buf_puts(buf, ",\"");
    put_number(buf, value);
    fw_buf_puts(buf, "\"]");
}

void prom_put_labels(struct fw_buf *buf, const struct query_series *series)
{
    fw_buf_putc(buf, '{');
    for (size_t i = 0; i < series->label_count; i++) {
        if (i > 0)
            fw_buf_putc(buf, ',');
        fw_buf_json_key(buf, series->labels[i].name);
        fw_buf_json_string(buf, series->labels[i].value, strlen(series->labels[i].value));
    }
    fw_buf_putc(buf, '}');
}

static bool is_empty(const struct query_series *series, size_t points)
{
    for (size_t i = 0; i < points; i++)
        if (!isnan(series->values[i]))
            return false;
    return true;
}

static int64_t time_at(const struct query_times *times, size_t i)
{
    return times->start_ms + (int64_t)i * times->step_ms;
}

/* A number that is no number is one nevertheless; a series has nothing at such times. */
static void put_matrix(struct fw_buf *buf, const struct query_set *set)
{
    bool any = false;
    fw_buf_puts(buf, "{\"resultType\":\"matrix\",\"result\":[");
    for (size_t i = 0; i < set->count && !buf->failed; i++) {
        const struct query_series *series = &set->series[i];
        if (is_empty(series, set->times.points) && !set->scalar)
            continue;
        fw_buf_puts(buf, any ? ",{\"metric\":" : "{\"metric\":");
        any = true;
        prom_put_labels(buf, series);
        fw_buf_puts(buf, ",\"values\":[");
        bool first = true;
        for (size_t t = 0; t < set->times.points; t++) {
            if (isnan(series->values[t]) && !set->scalar)
                continue;
            if (!first)
                fw_buf_putc(buf, ',');
            first = false;
            put_sample(buf, time_at(&set->times, t), series->values[t]);
        }
        fw_buf_puts(buf, "]}");
    }
    fw_buf_puts(buf, "]}");
}

static void put_vector(struct fw_buf *buf, const struct query_set *set)
{
    bool any = false;
    if (set->scalar) {
        fw_buf_puts(buf, "{\"resultType\":\"scalar\",\"result\":");
        put_sample(buf, set->times.start_ms, set->series[0].values[0]);
        fw_buf_putc(buf, '}');
        return;
    }
    fw_buf_puts(buf, "{\"resultType\":\"vector\",\"result\":[");
    for (size_t i = 0; i < set->count && !buf->failed; i++) {
        const struct query_series *series = &set->series[i];
        if (isnan(series->values[0]))
            continue;
        fw_buf_puts(buf, any ? ",{\"metric\":" : "{\"metric\":");
        any = true;
        prom_put_labels(buf, series);
        fw_buf_puts(buf, ",\"value\":");
        put_sample(buf, set->times.start_ms, series->values[0]);
        fw_buf_putc(buf, '}');
    }
    fw_buf_puts(buf, "]}");
}

static void run(const struct prom_request *r, const struct query *query,
                const struct query_times *times, bool range)
{
    struct fw_error err = {0};
    struct query_set set = {.times = *times, .bytes_max = PROM_SET_BYTES_MAX};
    struct prom_reader *reader = prom_reader_new(r->api);
    enum fw_status status = FW_ENOMEM;
    if (reader != NULL) {
        const struct query_source source = prom_reader_source(reader);
        status = query_run(query, &source, &set, &err);
    }
    if (status == FW_OK) {
        struct fw_buf buf;
        prom_begin(&buf);
        if (range)
            put_matrix(&buf, &set);
        else
            put_vector(&buf, &set);
        prom_reply(r, &buf);
    } else {
        prom_reply_status(r, "query", status, &err);
    }
    query_set_fini(&set);
    prom_reader_free(reader);
}

static void answer_query(struct prom_request *r)
{
    struct query_times times = {fw_clock_wall_ms(r->api->clock), 1, 1};
    struct query *query;
    if (!get_time(r, "time", &times.start_ms) || !prom_get_query(r, &query))
        return;
    run(r, query, &times, false);
    query_free(query);
}

static void answer_range(struct prom_request *r)
{
    struct query_times times;
    struct query *query;
    if (!get_times(r, &times) || !prom_get_query(r, &query))
        return;
    run(r, query, &times, true);
    query_free(query);
}

/* ---- the way in ---- */

static void work(void *ctx)
{
    struct prom_request *r = ctx;
    r->answer(r);
}

static void take(struct api *api, struct http_request *request,
                 void (*answer)(struct prom_request *r), bool long_one)
{
    if (!atomic_load_explicit(&api->attached, memory_order_acquire)) {
        prom_reply_error(request, 503, "timeout", "starting; try again");
        return;
    }
    struct prom_request *r = http_request_alloc(request, sizeof *r);
    if (r == NULL) {
        prom_reply_error(request, 503, "timeout", "out of memory; try again");
        return;
    }
    r->api = api;
    r->request = request;
    r->answer = answer;
    if (!prom_params_read(request, &r->params)) {
        prom_reply_error(
            request, 400, "bad_data",
            "the body is no form (application/x-www-form-urlencoded), or has more than 128 "
            "parameters");
        return;
    }
    if (!long_one) {
        answer(r);
        return;
    }
    http_defer(request);
    if (!api_pool_submit(api->queries, work, r))
        prom_reply_error(request, 503, "timeout", "too many queries wait; try again");
}

void api_prom_query(void *ctx, struct http_request *request)
{
    take(ctx, request, answer_query, true);
}

void api_prom_range(void *ctx, struct http_request *request)
{
    take(ctx, request, answer_range, true);
}

void api_prom_series(void *ctx, struct http_request *request)
{
    take(ctx, request, prom_answer_series, true);
}

void api_prom_labels(void *ctx, struct http_request *request)
{
    take(ctx, request, prom_answer_labels, true);
}

void api_prom_values(void *ctx, struct http_request *request)
{
    take(ctx, request, prom_answer_values, true);
}

void api_prom_metadata(void *ctx, struct http_request *request)
{
    take(ctx, request, prom_answer_metadata, false);
}

void api_prom_buildinfo(void *ctx, struct http_request *request)
{
    take(ctx, request, prom_answer_buildinfo, false);
}

void api_prom_exemplars(void *ctx, struct http_request *request)
{
    take(ctx, request, prom_answer_exemplars, false);
}

void api_prom_rules(void *ctx, struct http_request *request)
{
    take(ctx, request, prom_answer_rules, false);
}

void api_prom_format(void *ctx, struct http_request *request)
{
    take(ctx, request, prom_answer_format, false);
}
