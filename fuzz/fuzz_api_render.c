/* Bodies of predictions from any name, values and view: strict JSON without a raw '<', '>', '&' or
 * control byte, the name reads back as it was, ordered quantiles come out ordered, and a ceiling on
 * the body cuts between servers only. Input: 24 bytes of choices, the name, values as float32. */
#include "api/predictions.h"
#include "base/alloc.h"
#include "base/json.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

enum { HEAD = 24, PATHS = 2 };

struct choices {
    uint8_t name_len, quantiles, steps, decimals, metrics, counting, zone, reserved;
    uint32_t max;
    int32_t minutes;
    int64_t time_ms;
};

static float value_at(const uint8_t *data, size_t size, size_t index)
{
    float value = 0.0f;
    if (size >= 4)
        memcpy(&value, data + index * 4 % (size - 3), 4);
    return isfinite(value) ? value : 1.5f; /* what a forecast promises */
}

static void fill(struct forecast *f, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < PATHS; i++) {
        struct forecast_path *path = &f->paths[i];
        path->metric = (uint16_t)(i * 5);
        path->method = (uint8_t)(size % FORECAST_METHOD_COUNT);
        path->reason = (uint8_t)(size % FORECAST_REASON_COUNT);
        path->current = value_at(data, size, i);
        path->trend = value_at(data, size, i + 7);
        path->coverage = NAN;
        for (size_t k = 0; k < FORECAST_HORIZON; k++) {
            const float a = value_at(data, size, k), b = value_at(data, size, k + 1 + i);
            path->p10[k] = fminf(a, b);
            path->p90[k] = fmaxf(a, b);
            path->p50[k] = path->p10[k] / 2 + path->p90[k] / 2;
        }
    }
}

static void check_order(struct fw_json_value path)
{
    struct fw_json_value lists[2];
    if (!fw_json_get(path, "p10", &lists[0]) || !fw_json_get(path, "p90", &lists[1]))
        return;
    struct fw_json_iter low = fw_json_walk(lists[0]), high = fw_json_walk(lists[1]);
    struct fw_json_value a, b;
    double x, y;
    while (fw_json_next(&low, &a) && fw_json_next(&high, &b))
        MUST(fw_json_number(a, &x) && fw_json_number(b, &y) && x <= y);
}

static void check(const struct fw_buf *buf, const struct forecast *forecast, size_t written)
{
    static struct fw_json_parser *parser;
    if (parser == NULL)
        parser = fw_json_parser_new((size_t)16 << 20, 16);
    struct fw_json_value root, predictions, server, value;
    for (size_t i = 0; i < buf->len; i++)
        MUST((unsigned char)buf->data[i] >= ' ' && strchr("<>&\x7f", buf->data[i]) == NULL);
    MUST(fw_json_parse(parser, buf->data, buf->len, &root, NULL) == FW_OK);
    MUST(fw_json_get(root, "predictions", &predictions));
    MUST(fw_json_count(predictions) == written);
    MUST(fw_json_get(root, "truncated", &value) == (written == 0));
    if (written == 0)
        return;
    size_t len;
    MUST(fw_json_get(predictions, forecast->name, &server));
    MUST(fw_json_get(server, "server_name", &value));
    const char *name = fw_json_string(value, &len);
    MUST(name != NULL && len == strlen(forecast->name) && memcmp(name, forecast->name, len) == 0);
    if (fw_json_get(server, "cpu_user_pct", &value))
        check_order(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct choices c;
    _Static_assert(sizeof c == HEAD, "layout");
    if (size < HEAD)
        return 0;
    memcpy(&c, data, HEAD);
    const size_t name_len = c.name_len % (SERVER_NAME_MAX + 1);
    if (size < HEAD + name_len || !server_name_valid((const char *)data + HEAD, name_len))
        return 0;
    static struct schema schema;
    schema_default(&schema);
    struct forecast *forecast = fw_calloc(1, sizeof *forecast + PATHS * sizeof forecast->paths[0]);
    struct forecast_set *set = fw_calloc(1, sizeof *set + sizeof(void *));
    MUST(forecast != NULL && set != NULL);
    memcpy(forecast->name, data + HEAD, name_len);
    forecast->path_count = PATHS;
    forecast->origin_ms = forecast->last_seen_ms = c.time_ms % 253402300800000;
    fill(forecast, data + HEAD + name_len, size - HEAD - name_len);
    set->count = 1;
    set->items[0] = forecast;
    const struct risk_driver driver = {.current = NAN, .predicted = -INFINITY, .threshold = NAN};
    struct risk risk = {.score = value_at(data, size, 3), .driver_count = 1, .drivers = &driver};
    struct outlook outlook;
    api_empty_outlook(&outlook, &schema, (uint32_t)(1 + c.time_ms % 3600 * (c.time_ms > 0)),
                      c.time_ms, 1000);
    outlook.set = set;
    outlook.risks = &risk;
    struct api_body_plan plan = {
        .outlook = &outlook, .records = 1000, .fields = API_FIELDS, .count = 1};
    api_view_default(&plan.view);
    plan.view.metrics = c.metrics;
    plan.view.quantiles = c.quantiles & API_QUANTILES;
    plan.view.steps = 1 + c.steps % FORECAST_HORIZON;
    plan.view.decimals = c.decimals % (API_DECIMALS_MAX + 2) - 1;
    plan.view.counting = (enum api_counting)(c.counting % 3);
    plan.view.zone.offset_ms = (int64_t)(c.minutes % 840) * 60000;
    struct fw_buf buf;
    size_t written;
    fw_buf_init(&buf, 16384 + c.max % 65536);
    api_render_body(&buf, &plan, NULL, &written);
    MUST(!buf.failed && buf.len <= buf.max);
    check(&buf, forecast, written);
    fw_buf_fini(&buf);
    fw_free(forecast);
    fw_free(set);
    return 0;
}
