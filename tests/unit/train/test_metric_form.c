/* forewarn's own form of model: a pool that is the same for every number of threads and never shows
 * what is held out, training that learns what the blend cannot know, and a model that then serves
 * every metric of a fleet. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/rng.h"
#include "forecast/forecaster.h"
#include "forecast/ladder.h"
#include "forecast/model.h"
#include "train/ladder_form.h"
#include "train/pool.h"
#include "train/trainer.h"
#include "unit/fleet/fleet_fixture.h"

#include <dirent.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { STEPS = 3000, SERVERS = 3, COLUMNS = 2, STEP_S = HISTORY_STEP_S };
#define STEP_MS ((int64_t)STEP_S * 1000)

static char dir[64], csv[128];
static struct history *data;

/* A level that jumps up for two hours and a half about every seven, whatever the time of day: plain
 * forecasters see noise, who looks at the last hours sees what comes. */
static float shown(size_t server, size_t column, size_t t)
{
    struct fw_rng rng;
    const size_t period = 82 + 3 * server, at = (t + 31 * column + 57 * server) % period;
    fw_rng_init(&rng, (server * 8 + column) * 100000 + t);
    return (float)((at < 30 ? 60.0 : 30.0) + fw_rng_normal(&rng));
}

static void put_row(FILE *file, size_t s, size_t t)
{
    const time_t at = (time_t)(T0 / 1000 + (int64_t)t * STEP_S);
    struct tm utc;
    char text[32];
    assert_non_null(gmtime_r(&at, &utc));
    assert_true(strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc) > 0);
    fprintf(file, "%s,srv%zu,%.3f,%.3f\n", text, s, (double)shown(s, 0, t), (double)shown(s, 1, t));
}

static int set_up(void **state)
{
    (void)state;
    const char *const paths[1] = {csv};
    snprintf(dir, sizeof dir, "/tmp/fw-metric-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return 1;
    snprintf(csv, sizeof csv, "%s/fleet.csv", dir);
    FILE *file = fopen(csv, "w");
    fprintf(file, "timestamp,server_name,first,second\n");
    for (size_t t = 0; t < STEPS; t++)
        for (size_t s = 0; s < SERVERS; s++)
            put_row(file, s, t);
    fclose(file);
    struct fw_error err = {0};
    const struct history_options options = {.step_s = STEP_S};
    if (history_read(&options, 1, paths, &data, &err) != FW_OK)
        print_message("%s\n", err.text);
    return data == NULL;
}

static void remove_dir(const char *path)
{
    DIR *d = opendir(path);
    for (struct dirent *e = d == NULL ? NULL : readdir(d); e != NULL; e = readdir(d)) {
        char file[512];
        snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        if (e->d_name[0] != '.')
            (void)unlink(file);
    }
    if (d != NULL)
        closedir(d);
    (void)rmdir(path);
}

static int tear_down(void **state)
{
    (void)state;
    history_free(data);
    remove_dir(dir);
    return 0;
}

static struct train_pool *pool_of(size_t samples, size_t workers)
{
    const struct train_pool_options options = {.samples_max = samples,
                                               .validation_max = 100,
                                               .validation = 0.2,
                                               .workers = workers,
                                               .seed = 4};
    struct train_pool *pool;
    struct fw_error err = {0};
    if (train_pool_new(data, &options, &pool, &err) != FW_OK)
        fail_msg("%s", err.text);
    return pool;
}

static void check_same(struct train_pool *a, struct train_pool *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct tft_gradient_series x, y;
        const struct train_pick pick = {i, i * 7};
        train_pool_fetch(a, pick, 0, 1.0f, &x);
        train_pool_fetch(b, pick, 0, 1.0f, &y);
        assert_memory_equal(x.history_reals, y.history_reals,
                            sizeof(float) * LADDER_PAST * LADDER_INPUTS);
        assert_memory_equal(x.horizon_reals, y.horizon_reals,
                            sizeof(float) * LADDER_AHEAD * LADDER_INPUTS);
        assert_memory_equal(x.target, y.target, sizeof(float) * LADDER_AHEAD);
    }
}

static void threads_change_no_sample(void **state)
{
    (void)state;
    struct train_pool *one = pool_of(500, 1), *three = pool_of(500, 3);
    CHECK_EQ("size", train_pool_size(one), train_pool_size(three));
    CHECK_EQ("held out", train_pool_validation(one), train_pool_validation(three));
    CHECK_TRUE("bounded", train_pool_size(one) <= 500 + SERVERS * COLUMNS * 2);
    CHECK_TRUE("some", train_pool_size(one) > 250 && train_pool_validation(one) > 50);
    check_same(one, three, train_pool_size(one) + train_pool_validation(one));
    train_pool_free(one);
    train_pool_free(three);
}

/* Each replay takes room for some samples: of many series only as many are replayed as fit. */
static void many_series_stay_in_a_small_pool(void **state)
{
    (void)state;
    struct train_pool *pool = pool_of(16, 1);
    CHECK_TRUE("bounded", train_pool_size(pool) >= 2 && train_pool_size(pool) <= 24);
    train_pool_free(pool);
}

static void what_is_held_out_teaches_nothing(void **state)
{
    (void)state;
    struct train_pool *before = pool_of(400, 1);
    for (size_t i = 0; i < data->n_series; i++)
        for (size_t c = 0; c < data->n_columns; c++)
            for (size_t t = data->series[i].steps * 8 / 10; t < data->series[i].steps; t++)
                data->series[i].value[c][t] *= 1.5f;
    struct train_pool *after = pool_of(400, 1);
    CHECK_EQ("size", train_pool_size(before), train_pool_size(after));
    check_same(before, after, train_pool_size(before));
    for (size_t i = 0; i < data->n_series; i++)
        for (size_t c = 0; c < data->n_columns; c++)
            for (size_t t = data->series[i].steps * 8 / 10; t < data->series[i].steps; t++)
                data->series[i].value[c][t] /= 1.5f;
    train_pool_free(before);
    train_pool_free(after);
}

static void the_spec_is_the_ladders(void **state)
{
    (void)state;
    struct fw_buf text;
    struct tft_spec *spec;
    struct fw_error err = {0};
    fw_buf_init(&text, 1 << 16);
    train_ladder_write_spec(&text);
    assert_false(text.failed);
    if (tft_spec_parse(text.data, text.len, "spec", &spec, &err) != FW_OK)
        fail_msg("%s", err.text);
    assert_true(ladder_spec_fits(spec));
    spec->reals[3].scaler.mean = 0.5;
    assert_false(ladder_spec_fits(spec));
    tft_spec_free(spec);
    fw_buf_fini(&text);
}

struct watch {
    double first, last;
};

static void progress(void *ctx, const struct train_progress *p)
{
    struct watch *w = ctx;
    if (!p->epoch_done)
        return;
    w->first = p->epoch == 1 ? p->validation : w->first;
    w->last = p->best;
}

static struct train_options options_for(const char *out, size_t threads, size_t epochs)
{
    static const char *const paths[1] = {csv};
    struct train_options o;
    train_options_default(&o);
    o.n_paths = 1;
    o.paths = paths;
    o.out = out;
    o.threads = threads;
    o.samples = 3000;
    o.epochs = epochs;
    o.patience = epochs;
    o.batch = 16;
    o.steps_per_epoch = 40;
    o.rate = 0.004;
    o.dropout = 0.0;
    o.sizes = (struct tft_learner_sizes){8, 2, 1, 4};
    return o;
}

static void train(const struct train_options *o, struct watch *w)
{
    const struct train_hooks hooks = {fw_clock_system(), NULL, NULL, progress, w};
    struct train_result result;
    struct fw_error err = {0};
    if (train_run(o, &hooks, &result, &err) != FW_OK)
        fail_msg("%s", err.text);
    CHECK_EQ("one target for all metrics", result.targets, 1);
}

static void file_bytes(const char *out, const char *name, char **bytes, size_t *size)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", out, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    *bytes = malloc(1 << 22);
    *size = fread(*bytes, 1, 1 << 22, file);
    fclose(file);
}

/* The same bits for one thread and three; a fifth less loss than the first epoch; and in a
 * forecaster it has the say on what it was trained for. */
static void it_learns_and_serves(void **state)
{
    (void)state;
    char one[96], three[96];
    struct watch w = {0}, unused = {0};
    snprintf(one, sizeof one, "%s/one", dir);
    snprintf(three, sizeof three, "%s/three", dir);
    struct train_options o = options_for(three, 3, 2);
    train(&o, &unused);
    o = options_for(one, 1, 2);
    train(&o, &unused);
    char *a, *b;
    size_t n, m;
    file_bytes(one, "model.safetensors", &a, &n);
    file_bytes(three, "model.safetensors", &b, &m);
    CHECK_EQ("sizes", n, m);
    assert_memory_equal(a, b, n);
    free(a);
    free(b);
    o = options_for(one, 2, 30);
    train(&o, &w);
    print_message("  held out %.4f -> %.4f\n", w.first, w.last);
    CHECK_TRUE("learns", w.last < 0.8 * w.first);
    remove_dir(three);
    /* A fleet of such servers, run by run: the model is asked, and earns its say. */
    struct fixture f;
    fixture_init(&f, STEP_S, 864, 10);
    const struct forecaster_options options = {
        .schema = &f.schema, .clock = &f.clock.clock, .step_s = STEP_S, .threads = 1};
    struct forecaster *forecaster;
    struct forecast_model *model;
    struct fw_error err = {0};
    assert_int_equal(forecaster_new(&options, &forecaster, NULL), FW_OK);
    if (forecast_model_open(one, &f.schema, STEP_S, NULL, &model, &err) != FW_OK)
        fail_msg("%s", err.text);
    assert_true(forecast_model_by_metric(model));
    forecaster_set_model(forecaster, model);
    const struct forecast_set *set = NULL;
    for (size_t t = 0; t < 1500; t++) {
        const struct sample_value value = {METRIC_CPU_USER, shown(7, 1, t)};
        f.clock.wall_now_ms = T0 + (int64_t)t * STEP_MS + 2000;
        add_row(&f, "ppweb1", T0 + (int64_t)t * STEP_MS + 1000, STATUS_HEALTHY, &value, 1);
        flush(&f);
        if ((T0 / STEP_MS + (int64_t)t) % FORECAST_KEPT_STEPS != 0 && t != 1499)
            continue;
        const struct forecast_set *previous = set;
        assert_int_equal(forecaster_run(forecaster, f.fleet, previous, &set, NULL), FW_OK);
        forecast_set_release(previous);
        const struct forecast_path *path = &set->items[0]->paths[0];
        if (t < 500)
            CHECK_EQ("too young", path->reason, FORECAST_SHORT_HISTORY);
        if (t > 600)
            CHECK_EQ("blended", path->method, FORECAST_BLEND);
        if (t > 600)
            CHECK_EQ("nothing in its way", path->reason, FORECAST_BY_CHOICE);
    }
    print_message("  its share %.2f\n", (double)set->items[0]->paths[0].model_share);
    CHECK_TRUE("it keeps a say on a server that it never saw",
               set->items[0]->paths[0].model_share > 0.1f);
    forecast_set_release(set);
    forecaster_free(forecaster);
    fixture_fini(&f);
    remove_dir(one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_change_no_sample),
        cmocka_unit_test(many_series_stay_in_a_small_pool),
        cmocka_unit_test(what_is_held_out_teaches_nothing),
        cmocka_unit_test(the_spec_is_the_ladders),
        cmocka_unit_test(it_learns_and_serves),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
