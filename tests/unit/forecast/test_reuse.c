/* What is kept of a model's work between runs: forecasts have the same bits with and without,
 * memory stays within its budget, and goes with the server and with the model. */
#include "base/alloc.h"
#include "base/rng.h"
#include "forecast/forecaster.h"
#include "forecast/model.h"
#include "forecast/shipped.h"
#include "tft/learner.h"
#include "tft/model.h"
#include "tft/reuse.h"
#include "unit/fleet/fleet_fixture.h"

#include <limits.h>

enum { STEP_S = 300, WINDOW = 300, SERVERS = 40, HISTORY = 40, ROUNDS = 12 };
#define STEP_MS ((int64_t)STEP_S * 1000)

static const char spec[] =
    "{\"name\":\"made\",\"dims\":{\"max_encoder_length\":40,\"min_encoder_length\":12,"
    "\"max_prediction_length\":96},\"quantiles\":[0.1,0.5,0.9],"
    "\"targets\":[\"cpu_user_pct\",\"mem_used_pct\"],"
    "\"static_categoricals\":[\"profile\"],\"static_reals\":[],"
    "\"encoder_categoricals\":[\"status\"],"
    "\"encoder_reals\":[\"hour\",\"cpu_user_pct\",\"mem_used_pct\"],"
    "\"decoder_categoricals\":[],\"decoder_reals\":[\"hour\",\"relative_time_idx\"],"
    "\"x_reals\":[\"hour\",\"relative_time_idx\",\"cpu_user_pct\",\"mem_used_pct\"],"
    "\"x_categoricals\":[\"profile\",\"status\"],"
    "\"categoricals\":{\"profile\":{\"unknown_index\":0,\"classes\":[\"nan\",\"database\"]},"
    "\"status\":{\"unknown_index\":0,\"classes\":[\"nan\",\"healthy\",\"idle\"]}},"
    "\"scalers\":{\"hour\":{\"type\":\"StandardScaler\",\"mean\":11.5,\"scale\":7}},"
    "\"output_scale\":\"own\",\"target_normalizer\":{\"type\":\"MultiNormalizer\",\"normalizers\":["
    "{\"type\":\"TorchNormalizer\",\"norm\":{\"center\":30,\"scale\":8}},"
    "{\"type\":\"TorchNormalizer\",\"norm\":{\"center\":30,\"scale\":8}}]}}";

/* A network of that spec with weights out of a seed. */
static struct forecast_model *make_model(const struct schema *schema, uint64_t seed)
{
    const struct tft_learner_sizes sizes = {.hidden = 12, .heads = 2, .layers = 1, .continuous = 4};
    struct tft_learner *learner;
    struct tft_model *network;
    struct forecast_model *model = NULL;
    struct fw_error err;
    struct fw_buf buf;
    fw_buf_init(&buf, 1 << 22);
    if (tft_learner_new(spec, strlen(spec), "made", &sizes, seed, 1, &learner, &err) != FW_OK)
        fail_msg("%s", err.text);
    assert_int_equal(tft_learner_write(learner, tft_learner_params(learner), &buf, NULL), FW_OK);
    unsigned char *weights = fw_malloc(buf.len);
    memcpy(weights, buf.data, buf.len);
    if (tft_model_load(weights, buf.len, spec, strlen(spec), NULL, &network, &err) != FW_OK ||
        forecast_model_adopt(network, "made", schema, STEP_S, &model, &err) != FW_OK)
        fail_msg("%s", err.text);
    assert_null(forecast_model_info(model).plain_reason);
    fw_buf_fini(&buf);
    tft_learner_free(learner);
    return model;
}

/* ---- a fleet whose samples come, stay away, and come late ---- */

static void feed_one(struct fixture *f, struct fw_rng *rng, size_t server, size_t step)
{
    struct sample_value values[2];
    char name[16];
    size_t n = 0;
    if (fw_rng_below(rng, 10) == 0)
        return;
    for (uint16_t k = 0; k < 2; k++)
        if (fw_rng_below(rng, 8) > 0)
            values[n++] = (struct sample_value){k == 0 ? METRIC_CPU_USER : METRIC_MEM_USED,
                                                (float)(30.0 + 5.0 * fw_rng_normal(rng))};
    (void)snprintf(name, sizeof name, "ppdb%03zu", server);
    if (n > 0)
        add_row(f, name, T0 + (int64_t)step * STEP_MS + 1000,
                fw_rng_below(rng, 9) == 0 ? STATUS_IDLE : STATUS_HEALTHY, values, n);
}

static void feed_step(struct fixture *f, struct fw_rng *rng, size_t step)
{
    f->clock.wall_now_ms = T0 + (int64_t)step * STEP_MS + 2000;
    for (size_t i = 0; i < SERVERS; i++) {
        feed_one(f, rng, i, step);
        if (fw_rng_below(rng, 5) == 0) /* late, perhaps where another one is */
            feed_one(f, rng, i, step - fw_rng_below(rng, HISTORY));
    }
    if (f->batch->row_count > 0)
        flush(f);
}

static void start_fleet(struct fixture *f, struct fw_rng *rng)
{
    fixture_init(f, STEP_S, WINDOW, 1000);
    fw_rng_init(rng, 12);
    for (size_t step = HISTORY; step < HISTORY + 30;
         step++) /* histories grow to their full length */
        feed_step(f, rng, step);
}

/* ---- runners side by side ---- */

struct runner {
    struct forecaster *forecaster;
    const struct forecast_set *set;
};

static struct runner start(struct fixture *f, struct forecast_model *model, size_t reuse_bytes_max,
                           unsigned threads)
{
    const struct forecaster_options options = {.schema = &f->schema,
                                               .clock = &f->clock.clock,
                                               .step_s = STEP_S,
                                               .threads = threads,
                                               .reuse_bytes_max = reuse_bytes_max};
    struct runner r = {0};
    assert_int_equal(forecaster_new(&options, &r.forecaster, NULL), FW_OK);
    forecaster_set_model(r.forecaster, forecast_model_retain(model));
    return r;
}

static void run(struct runner *r, struct fixture *f)
{
    const struct forecast_set *last = r->set;
    assert_int_equal(forecaster_run(r->forecaster, f->fleet, last, &r->set, NULL), FW_OK);
    forecast_set_release(last);
}

static void stop(struct runner *r)
{
    forecast_set_release(r->set);
    forecaster_free(r->forecaster);
}

static void check_same(const char *what, const struct runner *a, const struct runner *b)
{
    size_t by_model = 0;
    CHECK_EQ(what, a->set->count, b->set->count);
    for (size_t i = 0; i < a->set->count; i++) {
        const struct forecast *x = a->set->items[i], *y = b->set->items[i];
        CHECK_EQ(what, x->path_count, y->path_count);
        if (memcmp(x->paths, y->paths, x->path_count * sizeof x->paths[0]) != 0)
            fail_msg("%s: the paths of %s differ", what, x->name);
        for (size_t p = 0; p < x->path_count; p++)
            by_model += forecast_path_by_model(&x->paths[p]);
    }
    CHECK_TRUE(what, by_model > a->set->count);
}

static void what_is_kept_changes_no_bit(void **state)
{
    (void)state;
    struct fixture f;
    struct fw_rng rng;
    start_fleet(&f, &rng);
    struct forecast_model *models[2] = {make_model(&f.schema, 1), make_model(&f.schema, 2)};
    const size_t one = forecast_model_reuse_bytes(models[0]);
    assert_true(one > HISTORY * 12 * sizeof(float));
    struct runner anew = start(&f, models[0], 0, 1);
    struct runner kept = start(&f, models[0], SERVERS * one, 3);
    struct runner some = start(&f, models[0], 10 * one + one / 2, 2);
    for (size_t round = 0; round < ROUNDS; round++) {
        feed_step(&f, &rng, HISTORY + 30 + round);
        if (round == ROUNDS / 2) {
            struct runner *const all[] = {&anew, &kept, &some};
            for (size_t i = 0; i < COUNT_OF(all); i++)
                forecaster_set_model(all[i]->forecaster, forecast_model_retain(models[1]));
        }
        run(&anew, &f);
        run(&kept, &f);
        run(&some, &f);
        check_same("all kept", &anew, &kept);
        check_same("some kept", &anew, &some);
        CHECK_EQ("off", anew.set->reuse_bytes, 0);
        CHECK_EQ("all", kept.set->reuse_bytes, SERVERS * one);
        CHECK_EQ("within the budget", some.set->reuse_bytes, 10 * one);
    }
    stop(&anew);
    stop(&kept);
    stop(&some);
    forecast_model_release(models[0]);
    forecast_model_release(models[1]);
    fixture_fini(&f);
}

static void it_goes_with_server_and_model(void **state)
{
    (void)state;
    struct fixture f;
    struct fw_rng rng;
    start_fleet(&f, &rng);
    struct forecast_model *model = make_model(&f.schema, 1);
    const size_t one = forecast_model_reuse_bytes(model);
    struct runner r = start(&f, model, SIZE_MAX / 2, 2);
    run(&r, &f);
    CHECK_EQ("all", r.set->reuse_bytes, SERVERS * one);
    fw_clock_fake_advance_ms(&f.clock, INT64_C(8) * 86400 * 1000);
    for (int64_t step = 0; step < 20; step++)
        add(&f, "newcomer", f.clock.wall_now_ms - (19 - step) * STEP_MS, METRIC_CPU_USER, 5.0f);
    flush(&f);
    assert_int_equal(fleet_expire(f.fleet), SERVERS);
    run(&r, &f);
    CHECK_EQ("one is left", r.set->reuse_bytes, one);
    forecaster_set_model(r.forecaster, NULL);
    run(&r, &f);
    CHECK_EQ("no model", r.set->reuse_bytes, 0);
    forecast_model_use_plain(model);
    CHECK_EQ("the plain path keeps nothing", forecast_model_reuse_bytes(model), 0);
    assert_null(forecast_model_reuse_new(model));
    stop(&r);
    forecast_model_release(model);
    fixture_fini(&f);
}

/* The n-th allocation of a run fails: the run, or what would have been kept, never a bit. */
static void memory_may_end_anywhere(void **state)
{
    (void)state;
    struct fixture f;
    struct fw_rng rng;
    start_fleet(&f, &rng);
    struct forecast_model *model = make_model(&f.schema, 1);
    const size_t one = forecast_model_reuse_bytes(model);
    struct runner anew = start(&f, model, 0, 1);
    size_t refused = 0, without = 0;
    run(&anew, &f);
    for (long n = 1, asked = LONG_MAX; n <= asked; n += n < 40 ? 1 : 7) {
        struct runner r = start(&f, model, SERVERS * one, 1);
        fw_alloc_fail_at(n);
        const enum fw_status status = forecaster_run(r.forecaster, f.fleet, NULL, &r.set, NULL);
        asked = status == FW_OK ? fw_alloc_count() : asked;
        fw_alloc_fail_at(0);
        refused += status != FW_OK;
        if (status != FW_OK)
            CHECK_EQ("status", status, FW_ENOMEM);
        else
            without += r.set->reuse_bytes == (SERVERS - 1) * one;
        forecast_set_release(r.set);
        r.set = NULL; /* nothing is shared, all are computed again */
        run(&r, &f);
        CHECK_EQ("all in the end", r.set->reuse_bytes, SERVERS * one);
        check_same("after a failure", &anew, &r);
        stop(&r);
    }
    CHECK_TRUE("runs were refused", refused > 0);
    CHECK_TRUE("servers did without", without > 0);
    stop(&anew);
    forecast_model_release(model);
    fixture_fini(&f);
}

/* The model that comes with the program sees stretches of time that move with every step. */
static void ladders_keep_nothing(void **state)
{
    (void)state;
    struct schema schema;
    struct forecast_model *model;
    schema_default(&schema);
    assert_int_equal(forecast_shipped_open(&schema, STEP_S, &model, NULL), FW_OK);
    CHECK_EQ("bytes", forecast_model_reuse_bytes(model), 0);
    assert_null(forecast_model_reuse_new(model));
    forecast_model_release(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept_changes_no_bit),
        cmocka_unit_test(it_goes_with_server_and_model),
        cmocka_unit_test(memory_may_end_anywhere),
        cmocka_unit_test(ladders_keep_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
