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
    SET_BYTES_MAX = 96 << 20,    /* of one query's values */
    ANSWER_BYTES_MAX = 64 << 20, /* of one answer */
    SELECTORS_MAX = 16,          /* match[] of one request */
};

struct prom_request {
    struct api *api;
    struct http_request *request;
    void (*answer)(struct prom_request *r);
    struct prom_params params;
};

/* ---- envelopes ---- */

static void reply_error(struct http_request *request, int status, const char *type,
                        const char *text)
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

static void reply_bad(const struct prom_request *r, const char *name, const char *text)
{
    char message[320];
    snprintf(message, sizeof message, "invalid parameter \"%s\": %s", name, text);
    reply_error(r->request, 400, "bad_data", message);
}

static void reply_status(const struct prom_request *r, const char *name, enum fw_status status,
                         const struct fw_error *err)
{
    if (status == FW_EINVAL)
        reply_bad(r, name, err->text);
    else if (status == FW_ENOMEM)
        reply_error(r->request, 503, "timeout", "out of memory; try again");
    else
        reply_error(r->request, 422, "execution", err->text);
}

static void begin_data(struct fw_buf *buf)
{
    fw_buf_init(buf, ANSWER_BYTES_MAX);
    fw_buf_puts(buf, "{\"status\":\"success\",\"data\":");
}

static void reply_data(const struct prom_request *r, struct fw_buf *buf)
{
    fw_buf_putc(buf, '}');
    if (buf->failed && buf->len > ANSWER_BYTES_MAX / 2) {
        fw_buf_fini(buf);
        reply_error(r->request, 422, "execution", "the answer is longer than 64 MiB; ask for less");
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
    reply_bad(r, name, "expected seconds since 1970 or a time like 2026-01-01T00:00:00Z");
    return false;
}

static bool get_times(const struct prom_request *r, struct query_times *times)
{
    const char *step = prom_param(&r->params, "step");
    int64_t start_ms = -1, end_ms = -1;
    if (!get_time(r, "start", &start_ms) || !get_time(r, "end", &end_ms))
        return false;
    if (start_ms < 0 || end_ms < start_ms) {
        reply_bad(r, "end", "start and end are needed, and end not before start");
        return false;
    }
    if (step == NULL || !query_duration(step, strlen(step), &times->step_ms) ||
        times->step_ms <= 0) {
        reply_bad(r, "step", "expected a duration above zero, as in 60 or 5m");
        return false;
    }
    const int64_t points = (end_ms - start_ms) / times->step_ms + 1;
    if (points > QUERY_POINTS_MAX) {
        reply_error(r->request, 400, "bad_data",
                    "exceeded maximum resolution of 11,000 points per timeseries; make the step "
                    "longer");
        return false;
    }
    times->start_ms = start_ms;
    times->points = (size_t)points;
    return true;
}

/* False: answered. */
static bool get_query(const struct prom_request *r, struct query **query)
{
    struct fw_error err = {0};
    const char *text = prom_param(&r->params, "query");
    if (text == NULL) {
        reply_bad(r, "query", "it is missing");
        return false;
    }
    const enum fw_status status = query_parse(text, strlen(text), query, &err);
    if (status != FW_OK)
        reply_status(r, "query", status, &err);
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

static void put_labels(struct fw_buf *buf, const struct query_series *series)
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
        put_labels(buf, series);
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
        put_labels(buf, series);
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
    struct query_set set = {.times = *times, .bytes_max = SET_BYTES_MAX};
    struct prom_reader *reader = prom_reader_new(r->api);
    enum fw_status status = FW_ENOMEM;
    if (reader != NULL) {
        const struct query_source source = prom_reader_source(reader);
        status = query_run(query, &source, &set, &err);
    }
    if (status == FW_OK) {
        struct fw_buf buf;
        begin_data(&buf);
        if (range)
            put_matrix(&buf, &set);
        else
            put_vector(&buf, &set);
        reply_data(r, &buf);
    } else {
        reply_status(r, "query", status, &err);
    }
    query_set_fini(&set);
    prom_reader_free(reader);
}

static void answer_query(struct prom_request *r)
{
    struct query_times times = {fw_clock_wall_ms(r->api->clock), 1, 1};
    struct query *query;
    if (!get_time(r, "time", &times.start_ms) || !get_query(r, &query))
        return;
    run(r, query, &times, false);
    query_free(query);
}

static void answer_range(struct prom_request *r)
{
    struct query_times times;
    struct query *query;
    if (!get_times(r, &times) || !get_query(r, &query))
        return;
    run(r, query, &times, true);
    query_free(query);
}

/* ---- what series there are ---- */

/* All series that one of match[] fits, with their value at one time (which does not matter: series
 * without a value there count as well). False: answered. */
static bool select_matches(const struct prom_request *r, struct prom_reader *reader,
                           struct query_set *set, size_t *matches)
{
    const struct query_source source = prom_reader_source(reader);
    *matches = 0;
    for (size_t i = 0; i < r->params.count; i++) {
        struct fw_error err = {0};
        struct query *query;
        const char *text = r->params.items[i].value;
        if (strcmp(r->params.items[i].name, "match[]") != 0)
            continue;
        if (++*matches > SELECTORS_MAX) {
            reply_bad(r, "match[]", "more than 16 of them");
            return false;
        }
        enum fw_status status = query_parse_selector(text, strlen(text), &query, &err);
        if (status == FW_OK)
            status = source.select(source.ctx, query_selector(query), &set->times, set, &err);
        query_free(query);
        if (status != FW_OK) {
            reply_status(r, "match[]", status, &err);
            return false;
        }
    }
    return true;
}

/* `limit`: 0 and absent mean all. False: answered. */
static bool get_limit(const struct prom_request *r, size_t *limit)
{
    const char *text = prom_param(&r->params, "limit");
    char *end;
    *limit = SIZE_MAX;
    if (text == NULL || *text == '\0')
        return true;
    const unsigned long n = strtoul(text, &end, 10);
    if (*end != '\0' || *text < '0' || *text > '9') {
        reply_bad(r, "limit", "expected a number");
        return false;
    }
    if (n > 0)
        *limit = n;
    return true;
}

/* Gives `put` what match[] chooses. */
static void with_matches(struct prom_request *r, bool required,
                         void (*put)(struct fw_buf *buf, const struct prom_request *r,
                                     struct prom_reader *reader, const struct query_set *set,
                                     bool matched, size_t limit))
{
    struct query_set set = {
        .times = {fw_clock_wall_ms(r->api->clock), 1, 1},
          .bytes_max = SET_BYTES_MAX
    };
    size_t matches, limit;
    struct fw_buf buf;
    struct prom_reader *reader = prom_reader_new(r->api);
    if (reader == NULL) {
        reply_error(r->request, 503, "timeout", "out of memory; try again");
        return;
    }
    if (get_limit(r, &limit) && select_matches(r, reader, &set, &matches)) {
        if (required && matches == 0) {
            reply_bad(r, "match[]", "it is missing");
        } else {
            begin_data(&buf);
            put(&buf, r, reader, &set, matches > 0, limit);
            reply_data(r, &buf);
        }
    }
    query_set_fini(&set);
    prom_reader_free(reader);
}

static void put_all_series(struct fw_buf *buf, const struct prom_request *r,
                           struct prom_reader *reader, const struct query_set *set, bool matched,
                           size_t limit)
{
    (void)r;
    (void)reader;
    (void)matched;
    fw_buf_putc(buf, '[');
    for (size_t i = 0; i < set->count && i < limit && !buf->failed; i++) {
        if (i > 0)
            fw_buf_putc(buf, ',');
        put_labels(buf, &set->series[i]);
    }
    fw_buf_putc(buf, ']');
}

static bool has_label(const struct query_set *set, const char *label)
{
    for (size_t i = 0; i < set->count; i++)
        if (query_series_label(&set->series[i], label)[0] != '\0')
            return true;
    return false;
}

static void put_labels_list(struct fw_buf *buf, const struct prom_request *r,
                            struct prom_reader *reader, const struct query_set *set, bool matched,
                            size_t limit)
{
    size_t n = 0;
    (void)r;
    (void)reader;
    fw_buf_putc(buf, '[');
    for (size_t i = 0; prom_labels[i] != NULL && n < limit; i++) {
        if (matched && !has_label(set, prom_labels[i]))
            continue;
        fw_buf_printf(buf, n++ > 0 ? ",\"%s\"" : "\"%s\"", prom_labels[i]);
    }
    fw_buf_putc(buf, ']');
}

static int by_text(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

/* Sorts, leaves out what is there twice. */
static void put_texts(struct fw_buf *buf, const char **texts, size_t n, size_t limit)
{
    size_t put = 0;
    if (n > 1)
        qsort(texts, n, sizeof *texts, by_text);
    fw_buf_putc(buf, '[');
    for (size_t i = 0; i < n && put < limit; i++) {
        if (texts[i][0] == '\0' || (i > 0 && strcmp(texts[i], texts[i - 1]) == 0))
            continue;
        if (put++ > 0)
            fw_buf_putc(buf, ',');
        fw_buf_json_string(buf, texts[i], strlen(texts[i]));
    }
    fw_buf_putc(buf, ']');
}

/* Values of the label in the path: of what was chosen, or of everything. */
static void put_values(struct fw_buf *buf, const struct prom_request *r, struct prom_reader *reader,
                       const struct query_set *set, bool matched, size_t limit)
{
    const char *label = http_request_path_at(r->request, 0), *value;
    size_t n = 0;
    if (matched) {
        const char **texts = fw_calloc(set->count + 1, sizeof *texts);
        for (size_t i = 0; i < set->count && texts != NULL; i++)
            texts[n++] = query_series_label(&set->series[i], label);
        if (texts != NULL)
            put_texts(buf, texts, n, limit);
        else
            buf->failed = true;
        fw_free(texts);
        return;
    }
    fw_buf_putc(buf, '[');
    for (; n < limit && prom_label_value(reader, label, n, &value) && !buf->failed; n++) {
        if (n > 0)
            fw_buf_putc(buf, ',');
        fw_buf_json_string(buf, value, strlen(value));
    }
    fw_buf_putc(buf, ']');
}

static void answer_series(struct prom_request *r)
{
    with_matches(r, true, put_all_series);
}

static void answer_labels(struct prom_request *r)
{
    with_matches(r, false, put_labels_list);
}

static void answer_values(struct prom_request *r)
{
    with_matches(r, false, put_values);
}

/* ---- about ---- */

static void answer_metadata(struct prom_request *r)
{
    struct fw_buf buf;
    struct prom_family_text family;
    const char *only = prom_param(&r->params, "metric");
    size_t n = 0, limit;
    if (!get_limit(r, &limit))
        return;
    begin_data(&buf);
    fw_buf_putc(&buf, '{');
    for (size_t i = 0; prom_family(r->api, i, &family) && n < limit; i++) {
        if (only != NULL && *only != '\0' && strcmp(only, family.name) != 0)
            continue;
        if (n++ > 0)
            fw_buf_putc(&buf, ',');
        fw_buf_json_key(&buf, family.name);
        fw_buf_puts(&buf, "[{\"type\":\"gauge\",\"help\":");
        fw_buf_json_string(&buf, family.help, strlen(family.help));
        fw_buf_puts(&buf, ",\"unit\":\"\"}]");
    }
    fw_buf_putc(&buf, '}');
    reply_data(r, &buf);
}

static void answer_buildinfo(struct prom_request *r)
{
    struct fw_buf buf;
    begin_data(&buf);
    fw_buf_puts(&buf, "{\"version\":\"2.42.0\",\"revision\":\"forewarn " FW_VERSION "\"," //
                      "\"branch\":\"\",\"buildUser\":\"\",\"buildDate\":\"\",\"goVersion\":\"\"}");
    reply_data(r, &buf);
}

static void answer_exemplars(struct prom_request *r)
{
    struct fw_buf buf;
    begin_data(&buf);
    fw_buf_puts(&buf, "[]");
    reply_data(r, &buf);
}

static void answer_rules(struct prom_request *r)
{
    struct fw_buf buf;
    begin_data(&buf);
    fw_buf_puts(&buf, "{\"groups\":[]}");
    reply_data(r, &buf);
}

static void answer_format(struct prom_request *r)
{
    struct fw_buf buf;
    struct query *query;
    const char *text = prom_param(&r->params, "query");
    if (!get_query(r, &query))
        return;
    query_free(query);
    begin_data(&buf);
    fw_buf_json_string(&buf, text, strlen(text));
    reply_data(r, &buf);
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
        reply_error(request, 503, "timeout", "starting; try again");
        return;
    }
    struct prom_request *r = http_request_alloc(request, sizeof *r);
    if (r == NULL) {
        reply_error(request, 503, "timeout", "out of memory; try again");
        return;
    }
    r->api = api;
    r->request = request;
    r->answer = answer;
    if (!prom_params_read(request, &r->params)) {
        reply_error(request, 400, "bad_data",
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
        reply_error(request, 503, "timeout", "too many queries wait; try again");
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
    take(ctx, request, answer_series, true);
}

void api_prom_labels(void *ctx, struct http_request *request)
{
    take(ctx, request, answer_labels, true);
}

void api_prom_values(void *ctx, struct http_request *request)
{
    take(ctx, request, answer_values, true);
}

void api_prom_metadata(void *ctx, struct http_request *request)
{
    take(ctx, request, answer_metadata, false);
}

void api_prom_buildinfo(void *ctx, struct http_request *request)
{
    take(ctx, request, answer_buildinfo, false);
}

void api_prom_exemplars(void *ctx, struct http_request *request)
{
    take(ctx, request, answer_exemplars, false);
}

void api_prom_rules(void *ctx, struct http_request *request)
{
    take(ctx, request, answer_rules, false);
}

void api_prom_format(void *ctx, struct http_request *request)
{
    take(ctx, request, answer_format, false);
}
