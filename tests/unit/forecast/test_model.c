/* The model on the daemon's own path: a fleet filled with the raw rows of a golden set gives the
 * golden prediction, once ordered and clipped. The large golden sets lie in $FW_SHARED or
 * ../shared; without them those tests are skipped. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/text.h"
#include "forecast/forecaster.h"
#include "forecast/model.h"
#include "tft/safetensors.h"
#include "unit/fleet/fleet_fixture.h"
#include "unit/tft/golden_dir.h"

#include <pthread.h>

enum { STEP_S = 300, KNOWN_SERVERS = 3 };
#define STEP_MS ((int64_t)STEP_S * 1000)

static bool golden_there(const char *set)
{
    char path[GOLDEN_PATH_SIZE];
    if (access(golden_path(path, set, "raw.json"), R_OK) == 0)
        return true;
    print_message("  %s: skipped\n", path);
    return false;
}

static struct forecast_model *open_golden(const char *set, const struct schema *schema,
                                          uint32_t step_s)
{
    char path[GOLDEN_PATH_SIZE];
    struct forecast_model *model = NULL;
    struct fw_error err = {0};
    golden_path(path, set, "");
    if (forecast_model_open(path, schema, step_s, NULL, &model, &err) != FW_OK)
        fail_msg("%s: %s", path, err.text);
    return model;
}

/* ---- the raw rows of a set as samples ---- */

struct rows {
    const struct tft_tensor *tensor;
    int metric[32]; /* of each column, -1: none */
    uint8_t status[512];
    char name[64];
    enum profile profile;
    int64_t start_ms;
};

static const char *text_of(struct fw_json_value object, const char *key)
{
    struct fw_json_value value;
    size_t len;
    assert_true(fw_json_get(object, key, &value));
    return fw_json_string(value, &len);
}

static void read_rows(const struct schema *schema, struct fw_json_value root,
                      struct fw_json_value server, const struct tft_safetensors *raw,
                      struct rows *out)
{
    char key[64];
    struct fw_json_value list, item;
    size_t len, n = 0;
    (void)snprintf(key, sizeof key, "rows.%s", text_of(server, "server_id"));
    out->tensor = tft_safetensors_find(raw, key);
    assert_non_null(out->tensor);
    assert_true(fw_json_get(root, "columns", &list));
    struct fw_json_iter iter = fw_json_walk(list);
    for (; fw_json_next(&iter, &item) && n < COUNT_OF(out->metric); n++) {
        const char *column = fw_json_string(item, &len);
        out->metric[n] = schema_find(schema, column, len);
    }
    CHECK_EQ("columns", n, out->tensor->shape[1]);
    assert_true(fw_json_get(server, "status", &list));
    iter = fw_json_walk(list);
    for (n = 0; fw_json_next(&iter, &item) && n < COUNT_OF(out->status); n++) {
        const char *status = fw_json_string(item, &len);
        out->status[n] = (uint8_t)server_status_parse(status, len);
    }
    (void)snprintf(out->name, sizeof out->name, "%s", text_of(server, "server_name"));
    const char *profile = text_of(server, "profile");
    out->profile = profile_parse(profile, strlen(profile));
    const char *start = text_of(server, "first_timestamp");
    assert_true(fw_time_parse(start, strlen(start), &out->start_ms));
}

/* The first server has no row for the step before the horizon, which only the horizon's rows tell.
 * A fleet's window ends with its newest sample: one of a metric that the model does not know says
 * that the step has passed. */
static void feed_last_step(struct fixture *f, const struct rows *rows)
{
    const size_t width = rows->tensor->shape[1];
    const size_t horizon = rows->tensor->shape[0] - FORECAST_HORIZON;
    const double step = tft_tensor_f64(rows->tensor, horizon * width) - 1.0;
    if (step == tft_tensor_f64(rows->tensor, (horizon - 1) * width))
        return;
    const struct sample_value value = {METRIC_CASCADE_IMPACT, 0.5f};
    add_row(f, rows->name, rows->start_ms + (int64_t)step * STEP_MS, rows->status[horizon - 1],
            &value, 1);
}

/* The last 96 rows are the horizon: the model must not see them. */
static void feed_rows(struct fixture *f, const struct rows *rows)
{
    const size_t width = rows->tensor->shape[1];
    const double first = tft_tensor_f64(rows->tensor, 0);
    for (size_t r = 0; r + FORECAST_HORIZON < rows->tensor->shape[0]; r++) {
        struct sample_value values[32];
        size_t n = 0;
        for (size_t c = 0; c < width; c++)
            if (rows->metric[c] >= 0)
                values[n++] = (struct sample_value){
                    (uint16_t)rows->metric[c], (float)tft_tensor_f64(rows->tensor, r * width + c)};
        uint32_t name;
        const double step = tft_tensor_f64(rows->tensor, r * width) - first;
        assert_int_equal(batch_name(f->batch, rows->name, strlen(rows->name), &name), FW_OK);
        const struct sample_row head = {.name = name,
                                        .time_ms = rows->start_ms + (int64_t)step * STEP_MS,
                                        .status = rows->status[r],
                                        .profile = (uint8_t)rows->profile};
        assert_int_equal(batch_row_put(f->batch, &head, values, n), FW_OK);
    }
    feed_last_step(f, rows);
    flush(f);
    CHECK_EQ("late or duplicate", f->applied.duplicates + f->applied.overwritten, 0);
}

struct golden {
    struct fixture f;
    struct fw_json_parser *json;
    struct tft_safetensors *raw, *want;
    struct rows rows[8];
    size_t servers;
};

static void golden_load(struct golden *g, const char *set)
{
    char path[GOLDEN_PATH_SIZE];
    size_t size;
    struct fw_json_value root, list, server;
    struct fw_error err;
    memset(g, 0, sizeof *g);
    fixture_init(&g->f, STEP_S, 864, 100);
    int64_t now_ms;
    assert_true(fw_time_parse("2025-03-01T23:56:00", 19, &now_ms));
    g->f.clock.wall_now_ms = now_ms;
    unsigned char *bytes = golden_bytes(golden_path(path, set, "raw.json"), &size);
    g->json = fw_json_parser_new(1 << 26, 16);
    assert_int_equal(fw_json_parse(g->json, (const char *)bytes, size, &root, &err), FW_OK);
    fw_free(bytes);
    golden_path(path, set, "raw.safetensors");
    assert_int_equal(tft_safetensors_open(path, &g->raw, &err), FW_OK);
    golden_path(path, set, "output.safetensors");
    assert_int_equal(tft_safetensors_open(path, &g->want, &err), FW_OK);
    assert_true(fw_json_get(root, "servers", &list));
    struct fw_json_iter iter = fw_json_walk(list);
    for (; fw_json_next(&iter, &server); g->servers++) {
        read_rows(&g->f.schema, root, server, g->raw, &g->rows[g->servers]);
        feed_rows(&g->f, &g->rows[g->servers]);
    }
}

static void golden_unload(struct golden *g)
{
    tft_safetensors_close(g->raw);
    tft_safetensors_close(g->want);
    fw_json_parser_free(g->json);
    fixture_fini(&g->f);
}

static struct forecaster *new_forecaster(struct fixture *f, unsigned threads, uint32_t step_s)
{
    const struct forecaster_options options = {
        .schema = &f->schema, .clock = &f->clock.clock, .step_s = step_s, .threads = threads};
    struct forecaster *forecaster;
    assert_int_equal(forecaster_new(&options, &forecaster, NULL), FW_OK);
    return forecaster;
}

static float ordered(float a, float b, float c, int rank, float highest)
{
    const float low = fminf(a, fminf(b, c)), high = fmaxf(a, fmaxf(b, c));
    const float middle = a + b + c - low - high;
    const float out = rank == 0 ? low : rank == 2 ? high : middle;
    return fminf(fmaxf(out, 0.0f), highest);
}

static void check_target(const struct golden *g, size_t server, size_t target,
                         const struct forecast_path *path)
{
    const struct tft_tensor *want = tft_safetensors_find(g->want, "prediction");
    const size_t targets = want->shape[2], quantiles = want->shape[3];
    const float highest = (float)g->f.schema.metrics[path->metric].max;
    assert_int_equal(want->shape[1], FORECAST_HORIZON);
    for (size_t h = 0; h < FORECAST_HORIZON; h++) {
        const size_t at = ((server * FORECAST_HORIZON + h) * targets + target) * quantiles;
        const float q[3] = {tft_tensor_f32(want, at + 1), tft_tensor_f32(want, at + 3),
                            tft_tensor_f32(want, at + 5)};
        const float got[3] = {path->p10[h], path->p50[h], path->p90[h]};
        for (int k = 0; k < 3; k++) {
            const double expected = (double)ordered(q[0], q[1], q[2], k, highest);
            if (!(fabs((double)got[k] - expected) <= 8.7e-4)) /* 1e-5 of the largest */
                fail_msg("%s, step %zu: quantile %d is %.6f, expected %.6f", g->rows[server].name,
                         h, k, (double)got[k], expected);
        }
    }
}

/* The fourth server is unknown to training. pytorch-forecasting gives the first such one another
 * server's scale and its profile an index of its own; here it gets the medians (model.h). */
static void check_golden(const char *set, const char *const *targets, size_t target_count)
{
    struct golden g;
    golden_load(&g, set);
    struct forecaster *forecaster = new_forecaster(&g.f, 2, STEP_S);
    forecaster_set_model(forecaster, open_golden(set, &g.f.schema, STEP_S));
    const struct forecast_set *served;
    assert_int_equal(forecaster_run(forecaster, g.f.fleet, NULL, &served, NULL), FW_OK);
    CHECK_EQ("servers", served->count, g.servers);
    for (size_t i = 0; i < g.servers; i++) {
        const struct forecast *forecast = forecast_set_find(served, g.rows[i].name);
        assert_non_null(forecast);
        size_t by_model = 0;
        for (size_t p = 0; p < forecast->path_count; p++) {
            const struct forecast_path *path = &forecast->paths[p];
            by_model += path->method == FORECAST_TFT;
            CHECK_EQ(g.rows[i].name, path->reason,
                     path->method == FORECAST_TFT ? FORECAST_BY_CHOICE : FORECAST_METRIC_UNKNOWN);
        }
        CHECK_EQ(g.rows[i].name, by_model, target_count);
        for (size_t t = 0; t < target_count; t++) {
            const int metric = schema_find(&g.f.schema, targets[t], strlen(targets[t]));
            const struct forecast_path *path = forecast_path(forecast, metric);
            assert_non_null(path);
            if (i < KNOWN_SERVERS)
                check_target(&g, i, t, path);
        }
    }
    forecast_set_release(served);
    forecaster_free(forecaster);
    golden_unload(&g);
}

static void one_target_comes_out(void **state)
{
    (void)state;
    static const char *const targets[] = {"cpu_user_pct"};
    if (!golden_there("argus-single"))
        skip();
    check_golden("argus-single", targets, 1);
}

static void several_targets_come_out(void **state)
{
    (void)state;
    static const char *const targets[] = {"cpu_user_pct", "cpu_iowait_pct", "mem_used_pct",
                                          "swap_used_pct", "load_average"};
    if (!golden_there("argus-multi"))
        skip();
    check_golden("argus-multi", targets, COUNT_OF(targets));
}

static void what_the_model_is_shows(void **state)
{
    (void)state;
    struct schema schema;
    if (!golden_there("argus-single"))
        skip();
    schema_default(&schema);
    struct forecast_model *model = open_golden("argus-single", &schema, STEP_S);
    const struct forecast_model_info info = forecast_model_info(model);
    CHECK_STR("name", info.name, "argus-single");
    CHECK_EQ("sha256", strlen(info.sha256), 64);
    CHECK_EQ("minimum", info.history_min, 144);
    CHECK_EQ("history", info.history_max, 288);
    CHECK_EQ("targets", info.target_count, 1);
    CHECK_EQ("quantiles", info.quantile_count, 7);
    CHECK_TRUE("serves", info.serves);
    CHECK_EQ("target", forecast_model_target(model, METRIC_CPU_USER), 0);
    CHECK_EQ("no target", forecast_model_target(model, METRIC_MEM_USED), -1);
    CHECK_EQ("no metric", forecast_model_target(model, -1), -1);
    forecast_model_release(model);
    forecast_model_release(NULL);
}

static void a_model_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    struct schema schema;
    char path[GOLDEN_PATH_SIZE];
    struct forecast_model *model = (struct forecast_model *)&schema;
    struct fw_error err = {0};
    schema_default(&schema);
    golden_path(path, "tiny", "");
    assert_int_equal(forecast_model_open(path, &schema, STEP_S, NULL, &model, &err), FW_EINVAL);
    assert_null(model);
    assert_non_null(strstr(err.text, "forecasts 4 steps, expected 96"));
    assert_int_equal(forecast_model_open("/nonexistent", &schema, STEP_S, NULL, &model, &err),
                     FW_ENOTFOUND);
    if (!golden_there("argus-single"))
        skip();
    schema.count = METRIC_NET_OUT; /* a fleet that has fewer metrics */
    golden_path(path, "argus-single", "");
    assert_int_equal(forecast_model_open(path, &schema, STEP_S, NULL, &model, &err), FW_EINVAL);
    assert_non_null(strstr(err.text, "\"net_out_mb_s\" is no metric of the schema"));
    schema_default(&schema);
    schema.metrics[METRIC_CPU_USER].max = 1.0; /* the probe cannot be inside that */
    assert_int_equal(forecast_model_open(path, &schema, STEP_S, NULL, &model, &err), FW_EINVAL);
    assert_non_null(strstr(err.text, "outside its range"));
}

static void servers_and_steps_that_it_cannot_serve(void **state)
{
    (void)state;
    struct fixture f;
    if (!golden_there("argus-single"))
        skip();
    fixture_init(&f, STEP_S, 864, 100);
    f.clock.wall_now_ms = T0 + 200 * STEP_MS;
    for (size_t t = 0; t < 200; t++) {
        add(&f, "long", T0 + (int64_t)t * STEP_MS, METRIC_CPU_USER, 20.0f + (float)(t % 7));
        if (t >= 57)
            add(&f, "short", T0 + (int64_t)t * STEP_MS, METRIC_CPU_USER, 20.0f);
        add(&f, "late", T0 + (int64_t)t * STEP_MS, METRIC_MEM_USED, 20.0f);
        if (t >= 195)
            add(&f, "late", T0 + (int64_t)t * STEP_MS + 1, METRIC_CPU_USER, 20.0f);
        flush(&f);
    }
    struct forecaster *forecaster = new_forecaster(&f, 1, STEP_S);
    struct forecast_model *model = open_golden("argus-single", &f.schema, STEP_S);
    forecaster_set_model(forecaster, forecast_model_retain(model));
    const struct forecast_set *set;
    assert_int_equal(forecaster_run(forecaster, f.fleet, NULL, &set, NULL), FW_OK);
    static const struct {
        const char *name;
        enum forecast_reason reason;
    } rows[] = {
        {"long",  FORECAST_BY_CHOICE    },
        {"short", FORECAST_SHORT_HISTORY}, /* 143 steps, the model wants 144 */
        {"late",  FORECAST_SHORT_HISTORY}
    }; /* the metric has 5 values */
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct forecast_path *path =
            forecast_path(forecast_set_find(set, rows[i].name), METRIC_CPU_USER);
        CHECK_EQ(rows[i].name, path->reason, rows[i].reason);
        CHECK_EQ(rows[i].name, path->method == FORECAST_TFT, rows[i].reason == FORECAST_BY_CHOICE);
    }
    forecast_set_release(set);
    forecaster_free(forecaster);

    /* A model of another step than the grid's opens and serves nothing. */
    struct forecast_model *other = open_golden("argus-single", &f.schema, 60);
    CHECK_TRUE("serves", !forecast_model_info(other).serves);
    forecaster = new_forecaster(&f, 1, STEP_S);
    forecaster_set_model(forecaster, other);
    assert_int_equal(forecaster_run(forecaster, f.fleet, NULL, &set, NULL), FW_OK);
    CHECK_EQ("reason", forecast_path(forecast_set_find(set, "long"), METRIC_CPU_USER)->reason,
             FORECAST_STEP_MISMATCH);
    forecast_set_release(set);
    forecaster_free(forecaster);
    forecast_model_release(model);
    fixture_fini(&f);
}

static void memory_may_end_while_it_opens(void **state)
{
    (void)state;
    struct schema schema;
    char path[GOLDEN_PATH_SIZE];
    bool through = false;
    size_t refused = 0;
    if (!golden_there("argus-single"))
        skip();
    schema_default(&schema);
    golden_path(path, "argus-single", "");
    for (long n = 1; !through; n++) {
        struct forecast_model *model = NULL;
        struct fw_error err = {0};
        fw_alloc_fail_at(n);
        const enum fw_status status =
            forecast_model_open(path, &schema, STEP_S, NULL, &model, &err);
        through = fw_alloc_count() < n;
        fw_alloc_fail_at(0);
        CHECK_EQ(err.text, status, through ? FW_OK : FW_ENOMEM);
        CHECK_TRUE("model", (model != NULL) == through);
        refused += !through;
        forecast_model_release(model);
    }
    CHECK_TRUE("refusals", refused >= 9); /* ours alone */
}

/* argus-single with other words for the levels of its seven outputs. */
static struct forecast_model *with_levels(const struct schema *schema, const char *levels,
                                          enum fw_status want)
{
    static const char key[] = "\"quantiles\":";
    char path[GOLDEN_PATH_SIZE];
    size_t weights_size, spec_size;
    struct tft_model *tft;
    struct forecast_model *model;
    struct fw_error err = {0};
    unsigned char *weights =
        golden_bytes(golden_path(path, "argus-single", TFT_WEIGHTS_NAME), &weights_size);
    unsigned char *bytes =
        golden_bytes(golden_path(path, "argus-single", TFT_SPEC_NAME), &spec_size);
    struct fw_buf spec;
    fw_buf_init(&spec, TFT_SPEC_MAX_BYTES);
    size_t at = 0;
    while (memcmp(bytes + at, key, sizeof key - 1) != 0)
        at++;
    while (bytes[at] != '[')
        at++;
    fw_buf_put(&spec, bytes, at + 1);
    fw_buf_puts(&spec, levels);
    while (bytes[at] != ']')
        at++;
    fw_buf_put(&spec, bytes + at, spec_size - at);
    assert_false(spec.failed);
    if (tft_model_load(weights, weights_size, spec.data, spec.len, NULL, &tft, &err) != FW_OK)
        fail_msg("%s", err.text);
    assert_int_equal(forecast_model_adopt(tft, "levels", schema, STEP_S, &model, &err), want);
    fw_buf_fini(&spec);
    fw_free(bytes);
    return model;
}

static void levels_between_the_models_own(void **state)
{
    (void)state;
    enum { STEPS = 300, OUT = 3 * FORECAST_HORIZON };
    struct schema schema;
    if (!golden_there("argus-single"))
        skip();
    schema_default(&schema);
    struct forecast_model *models[3] = {
        with_levels(&schema, "0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98", FW_OK),
        with_levels(&schema, "0.01, 0.02, 0.1, 0.5, 0.9, 0.95, 0.98", FW_OK),
        with_levels(&schema, "0.02, 0.05, 0.15, 0.5, 0.85, 0.95, 0.98", FW_OK)};
    assert_null(with_levels(&schema, "0.2, 0.3, 0.4, 0.5, 0.75, 0.9, 0.98", FW_EINVAL));

    float *values = fw_calloc(schema.count * STEPS, sizeof *values);
    uint8_t statuses[STEPS] = {0};
    for (size_t i = 0; i < schema.count * STEPS; i++)
        values[i] = 0.2f + 0.001f * (float)(i % 97);
    const struct forecast_window window = {.name = "a",
                                           .profile = PROFILE_DATABASE,
                                           .newest_step = 5800000,
                                           .steps = STEPS,
                                           .values = values,
                                           .statuses = statuses};
    struct forecast_window three[3] = {window, window, window};
    three[0].steps = 200;
    three[2].name = "ppml0001";
    const size_t bytes = forecast_model_scratch_bytes(models[0], 3);
    void *scratch = fw_alloc_aligned(bytes, 1);
    static float out[3][OUT], batch[3 * OUT];
    for (size_t i = 0; i < 3; i++)
        forecast_model_run(models[i], 1, &window, arena_over(scratch, bytes), out[i]);
    for (size_t h = 0; h < FORECAST_HORIZON; h++) {
        CHECK_NEAR("p10", out[2][h], 0.5 * (double)(out[0][h] + out[1][h]), 1e-4);
        const size_t p90 = 2 * FORECAST_HORIZON + h;
        CHECK_NEAR("p90", out[2][p90], 0.5 * (double)(out[0][p90] + out[1][p90]), 1e-4);
        CHECK_NEAR("p50", out[1][FORECAST_HORIZON + h], out[0][FORECAST_HORIZON + h], 0.0);
    }
    forecast_model_run(models[0], 3, three, arena_over(scratch, bytes), batch);
    assert_memory_equal(batch + OUT, out[0], sizeof out[0]); /* whoever else is in the batch */
    for (size_t i = 0; i < 3; i++)
        forecast_model_release(models[i]);
    fw_free(values);
    fw_free(scratch);
}

/* A model forecasts by the compiled path; the plain one, when asked for, says the same. */
static void both_paths_agree(void **state)
{
    (void)state;
    enum { STEPS = 300, OUT = 3 * FORECAST_HORIZON };
    struct schema schema;
    if (!golden_there("argus-single"))
        skip();
    schema_default(&schema);
    struct forecast_model *models[2] = {open_golden("argus-single", &schema, STEP_S),
                                        open_golden("argus-single", &schema, STEP_S)};
    assert_null(forecast_model_info(models[0]).plain_reason);
    forecast_model_use_plain(models[1]);
    assert_non_null(forecast_model_info(models[1]).plain_reason);
    float *values = fw_calloc(schema.count * STEPS, sizeof *values);
    const uint8_t statuses[STEPS] = {0};
    for (size_t i = 0; i < schema.count * STEPS; i++)
        values[i] = i % 11 == 0 ? NAN : 0.2f + 0.5f * (float)(i % 97);
    const struct forecast_window window = {.name = "a",
                                           .newest_step = 5800000,
                                           .steps = STEPS,
                                           .values = values,
                                           .statuses = statuses};
    static float out[2][OUT];
    for (size_t i = 0; i < COUNT_OF(models); i++) {
        const size_t bytes = forecast_model_scratch_bytes(models[i], 1);
        void *scratch = fw_alloc_aligned(bytes, 1);
        forecast_model_run(models[i], 1, &window, arena_over(scratch, bytes), out[i]);
        forecast_model_release(models[i]);
        fw_free(scratch);
    }
    check_floats("compiled", out[0], out[1], OUT, 1.0, 1e-3);
    fw_free(values);
}

/* Models come and go while runs go on: each run uses one of them throughout. */
struct swapper {
    struct forecaster *forecaster;
    struct forecast_model *model;
    atomic_bool quit;
};

static void *swap_models(void *arg)
{
    struct swapper *s = arg;
    for (int i = 0; !atomic_load(&s->quit); i++) {
        forecaster_set_model(s->forecaster, i % 2 ? NULL : forecast_model_retain(s->model));
        forecast_model_release(forecaster_model(s->forecaster));
    }
    return NULL;
}

static void models_are_swapped_during_runs(void **state)
{
    (void)state;
    struct fixture f;
    if (!golden_there("argus-single"))
        skip();
    fixture_init(&f, STEP_S, 864, 100);
    f.clock.wall_now_ms = T0 + 150 * STEP_MS;
    for (size_t t = 0; t < 150; t++) {
        for (int i = 0; i < 5; i++) {
            char name[16];
            (void)snprintf(name, sizeof name, "server%d", i);
            add(&f, name, T0 + (int64_t)t * STEP_MS, METRIC_CPU_USER, 20.0f + (float)(t % 7));
        }
        flush(&f);
    }
    struct swapper s = {.forecaster = new_forecaster(&f, 2, STEP_S),
                        .model = open_golden("argus-single", &f.schema, STEP_S)};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, swap_models, &s), 0);
    const struct forecast_set *last = NULL;
    for (int round = 0; round < 12; round++) {
        const struct forecast_set *set;
        assert_int_equal(forecaster_run(s.forecaster, f.fleet, last, &set, NULL), FW_OK);
        CHECK_EQ("servers", set->count, 5);
        for (size_t i = 1; i < set->count; i++)
            CHECK_EQ("one model a run", set->items[i]->paths[0].method,
                     set->items[0]->paths[0].method);
        forecast_set_release(last);
        last = set;
    }
    atomic_store(&s.quit, true);
    pthread_join(thread, NULL);
    forecast_set_release(last);
    forecaster_free(s.forecaster);
    forecast_model_release(s.model);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_target_comes_out),
        cmocka_unit_test(several_targets_come_out),
        cmocka_unit_test(what_the_model_is_shows),
        cmocka_unit_test(a_model_that_does_not_fit_is_refused),
        cmocka_unit_test(servers_and_steps_that_it_cannot_serve),
        cmocka_unit_test(levels_between_the_models_own),
        cmocka_unit_test(both_paths_agree),
        cmocka_unit_test(memory_may_end_while_it_opens),
        cmocka_unit_test(models_are_swapped_during_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
