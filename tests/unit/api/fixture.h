/* Hand-made outlooks, and questions to the JSON that came out. */
#ifndef FW_TESTS_UNIT_API_FIXTURE_H
#define FW_TESTS_UNIT_API_FIXTURE_H

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "outlook/outlook.h"

#include "support.h"

#include <stdlib.h>

enum { FIXTURE_SERVERS_MAX = 160 };

struct fixture_metric {
    int metric;
    float current, predicted; /* every quantile of every step */
};

static inline struct forecast *fixture_forecast(const char *name,
                                                const struct fixture_metric *metrics, size_t n)
{
    struct forecast *f = fw_calloc(1, sizeof *f + n * sizeof f->paths[0]);
    assert_non_null(f);
    atomic_init(&f->references, 1);
    snprintf(f->name, sizeof f->name, "%s", name);
    f->profile = PROFILE_GENERIC;
    f->status = STATUS_HEALTHY;
    f->steps_held = 160;
    f->origin_ms = 1767225600000; /* 2026-01-01 */
    f->last_seen_ms = f->origin_ms - 1000;
    f->path_count = n;
    for (size_t i = 0; i < n; i++) {
        struct forecast_path *path = &f->paths[i];
        *path = (struct forecast_path){.metric = (uint16_t)metrics[i].metric,
                                       .method = FORECAST_PERSISTENCE,
                                       .current = metrics[i].current,
                                       .pinball = NAN,
                                       .coverage = NAN,
                                       .last_seen_ms = f->last_seen_ms};
        for (int k = 0; k < FORECAST_HORIZON; k++)
            path->p10[k] = path->p50[k] = path->p90[k] = metrics[i].predicted;
    }
    return f;
}

struct fixture {
    struct schema schema;
    struct forecast_set *set;
    struct risk risks[FIXTURE_SERVERS_MAX];
    struct alert_list *alerts;
    struct outlook outlook;
};

/* The forecasts (ascending by name) become the outlook's; `alerts` may be NULL. */
static inline void fixture_init(struct fixture *f, struct forecast **forecasts, size_t n,
                                const struct alert *alerts, size_t alert_count)
{
    memset(f, 0, sizeof *f);
    schema_default(&f->schema);
    f->set = fw_calloc(1, sizeof *f->set + n * sizeof(void *));
    f->alerts = fw_calloc(1, sizeof *f->alerts + (alert_count + 1) * sizeof(struct alert));
    assert_true(n <= FIXTURE_SERVERS_MAX && f->set != NULL && f->alerts != NULL);
    atomic_init(&f->set->references, 1);
    atomic_init(&f->alerts->references, 1);
    f->set->run = 7;
    f->set->step_s = 300;
    f->set->count = n;
    for (size_t i = 0; i < n; i++)
        f->set->items[i] = forecasts[i];
    f->alerts->count = alert_count;
    if (alert_count > 0)
        memcpy(f->alerts->items, alerts, alert_count * sizeof *alerts);
    f->outlook = (struct outlook){.id = 7,
                                  .made_ms = 1767225610000,
                                  .step_s = 300,
                                  .schema = &f->schema,
                                  .risk_model = "forewarn",
                                  .model_type = "heuristic",
                                  .model_name = "none",
                                  .set = f->set,
                                  .risks = f->risks,
                                  .alerts = f->alerts,
                                  .records = 1000};
    f->outlook.environment.fleet_health = "healthy";
    f->outlook.level_counts[RISK_HEALTHY] = n;
}

static inline void fixture_fini(struct fixture *f)
{
    for (size_t i = 0; i < f->set->count; i++)
        fw_free((void *)(uintptr_t)f->set->items[i]);
    fw_free(f->set);
    fw_free(f->alerts);
}

/* Parses what a buffer holds; the parser is the test's to free. */
static inline struct fw_json_value fixture_parse(struct fw_json_parser **parser,
                                                 const struct fw_buf *buf)
{
    struct fw_json_value root;
    struct fw_error err = {0};
    assert_false(buf->failed);
    *parser = fw_json_parser_new((size_t)64 << 20, 32);
    assert_non_null(*parser);
    if (fw_json_parse(*parser, buf->data, buf->len, &root, &err) != FW_OK)
        fail_msg("not JSON: %s\n%.*s", err.text, (int)buf->len, buf->data);
    return root;
}

/* Follows a path like "alert.level". */
static inline struct fw_json_value fixture_at(struct fw_json_value value, const char *path)
{
    char copy[256];
    snprintf(copy, sizeof copy, "%s", path);
    char *rest = copy;
    while (rest != NULL) {
        char *key = rest;
        rest = strchr(rest, '.');
        if (rest != NULL)
            *rest++ = '\0';
        if (!fw_json_get(value, key, &value))
            fail_msg("no \"%s\" of %s", key, path);
    }
    return value;
}

static inline double fixture_number(struct fw_json_value value, const char *path)
{
    double number;
    if (!fw_json_number(fixture_at(value, path), &number))
        fail_msg("%s is no number", path);
    return number;
}

static inline const char *fixture_text(struct fw_json_value value, const char *path)
{
    size_t len;
    const char *text = fw_json_string(fixture_at(value, path), &len);
    if (text == NULL)
        fail_msg("%s is no text", path);
    return text;
}

#endif
