/* Whole runs on a small made-up fleet: they learn, the same seed gives the same bits whatever the
 * threads, and a run that was cut and resumed gives those of one that was not. */
#include "support.h"

#include "base/alloc.h"
#include "tft/compile.h"
#include "tft/file.h"
#include "tft/model.h"
#include "tft/reuse.h"
#include "train/checkpoint.h"
#include "train/trainer.h"

#include <stdlib.h>
#include <unistd.h>

static char dir[64], csv[96];

enum { SERVERS = 4, STEPS = 500 };

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/forewarn-test-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    (void)snprintf(csv, sizeof csv, "%s/fleet.csv", dir);
    FILE *file = fopen(csv, "w");
    if (file == NULL)
        return -1;
    fputs("timestamp,server_name,status,cpu_user_pct,load_average,uptime_days\n", file);
    for (int t = 0; t < STEPS; t++) {
        for (int s = 0; s < SERVERS; s++) {
            const double wave = sin(6.2831853 * t / 24.0 + s);
            if ((t * 7 + s) % 31 == 0) /* gaps */
                continue;
            fprintf(file, "2026-01-%02dT%02d:%02d:00Z,web%d,healthy,%.3f,%.3f,%d\n", 5 + t / 288,
                    t % 288 / 12, t % 12 * 5, s, 40.0 + 10.0 * s + 8.0 * wave, 2.0 + wave, t / 288);
        }
    }
    return fclose(file);
}

static void remove_model(const char *out)
{
    static const char *const names[] = {"spec.json", "model.safetensors", TRAIN_CHECKPOINT_NAME};
    char path[256];
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        (void)snprintf(path, sizeof path, "%s/%s", out, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(out);
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(csv);
    return rmdir(dir);
}

struct watch {
    size_t asked, stop_at; /* 0: never */
    double first, last;    /* validation losses */
};

static bool stop(void *ctx)
{
    struct watch *w = ctx;
    return ++w->asked == w->stop_at;
}

static void progress(void *ctx, const struct train_progress *p)
{
    struct watch *w = ctx;
    if (!p->epoch_done)
        return;
    w->first = p->epoch == 1 ? p->validation : w->first;
    w->last = p->best;
}

static struct train_options options_for(const char *out, size_t threads)
{
    static const char *const paths[1] = {csv};
    struct train_options o;
    train_options_default(&o);
    o.n_paths = 1;
    o.paths = paths;
    o.out = out;
    o.threads = threads;
    o.epochs = 3;
    o.batch = 5;
    o.history = 36;
    o.horizon = 12;
    o.form = TRAIN_FLEET;
    o.steps_per_epoch = 15;
    o.rate = 0.01;
    o.sizes = (struct tft_learner_sizes){8, 2, 1, 4};
    return o;
}

static enum fw_status run(const struct train_options *o, struct watch *w,
                          struct train_result *result, struct fw_error *err)
{
    const struct train_hooks hooks = {fw_clock_system(), stop, NULL, progress, w};
    return train_run(o, &hooks, result, err);
}

static unsigned char *bytes_of(const char *out, const char *name, size_t *size)
{
    int fd;
    unsigned char *bytes = NULL;
    struct fw_error err = {0};
    if (tft_file_open_dir(out, &fd, &err) != FW_OK ||
        tft_file_read(fd, name, 1 << 26, false, &bytes, size, &err) != FW_OK)
        fail_msg("%s/%s: %s", out, name, err.text);
    close(fd);
    return bytes;
}

static void check_same(const char *a, const char *b, const char *name)
{
    size_t n, m;
    unsigned char *x = bytes_of(a, name, &n), *y = bytes_of(b, name, &m);
    CHECK_EQ(name, n, m);
    assert_memory_equal(x, y, n);
    fw_free(x);
    fw_free(y);
}

static void test_learns(void **state)
{
    (void)state;
    char out[96] = "";
    struct train_options o = options_for(out, 2);
    struct train_result result;
    struct fw_error err = {0};
    struct watch w = {0};
    struct tft_model *model;
    (void)snprintf(out, sizeof out, "%s/learns", dir);
    o.epochs = 30;
    if (run(&o, &w, &result, &err) != FW_OK)
        fail_msg("%s", err.text);
    CHECK_EQ("targets", result.targets, 2); /* not the up-time */
    CHECK_EQ("servers", result.servers, SERVERS);
    CHECK_TRUE("validation windows", result.validation_windows > 0);
    print_message("  validation %.4f -> %.4f\n", w.first, w.last);
    CHECK_TRUE("the loss falls by half", w.last < 0.5 * w.first);
    if (tft_model_open(out, NULL, &model, &err) != FW_OK)
        fail_msg("%s", err.text);
    CHECK_EQ("history", tft_model_spec(model)->history_max, 36);
    CHECK_EQ("horizon", tft_model_spec(model)->horizon, 12);
    CHECK_EQ("own scale", tft_model_spec(model)->output_scale_shifted, false);
    tft_model_close(model);
    remove_model(out);
}

/* Bytes that the daemon would keep of a server between runs. */
static size_t kept_bytes(const struct tft_model *model)
{
    struct tft_plan *plan;
    assert_int_equal(tft_compile(model, &plan, NULL), FW_OK);
    const size_t bytes = tft_reuse_bytes(plan);
    tft_plan_free(plan);
    return bytes;
}

/* With one scale for all servers and times, past steps' inputs stand; with each window's own they
 * do not. */
static void test_pooled_scales(void **state)
{
    (void)state;
    for (int pooled = 0; pooled < 2; pooled++) {
        const char *what = pooled ? "the fleet's scales" : "the windows' own";
        char out[96];
        struct train_options o = options_for(out, 2);
        struct train_result result;
        struct fw_error err = {0};
        struct watch w = {0};
        struct tft_model *model = NULL;
        (void)snprintf(out, sizeof out, "%s/pooled", dir);
        o.pooled = pooled;
        o.epochs = pooled ? 30 : 1;
        if (run(&o, &w, &result, &err) != FW_OK || tft_model_open(out, NULL, &model, &err) != FW_OK)
            fail_msg("%s", err.text);
        const struct tft_spec *spec = tft_model_spec(model);
        const struct tft_normalizer *cpu = &spec->normalizers[0];
        CHECK_STR(what, spec->targets[0], "cpu_user_pct");
        CHECK_EQ(what, cpu->kind, pooled ? TFT_ONE_PAIR : TFT_PER_SAMPLE);
        CHECK_EQ(what, kept_bytes(model) > 0, pooled);
        if (pooled) { /* four servers around 40 to 70, waves of 8 */
            print_message("  validation %.4f -> %.4f\n", w.first, w.last);
            CHECK_TRUE("it learns", w.last < 0.7 * w.first);
            CHECK_NEAR("center", cpu->missing.center, 55.0, 3.0);
            CHECK_NEAR("scale", cpu->missing.scale, hypot(11.2, 5.7), 2.0);
        }
        tft_model_close(model);
        remove_model(out);
    }
}

static void test_threads_and_resume(void **state)
{
    (void)state;
    char one[96], three[96], cut[96];
    struct train_result result;
    struct fw_error err = {0};
    struct watch never = {0}, early = {.stop_at = 22}, again = {0};
    (void)snprintf(one, sizeof one, "%s/one", dir);
    (void)snprintf(three, sizeof three, "%s/three", dir);
    (void)snprintf(cut, sizeof cut, "%s/cut", dir);
    struct train_options o = options_for(one, 1);
    assert_int_equal(run(&o, &never, &result, &err), FW_OK);
    o = options_for(three, 3);
    assert_int_equal(run(&o, &never, &result, &err), FW_OK);
    check_same(one, three, "model.safetensors");
    check_same(one, three, TRAIN_CHECKPOINT_NAME);
    o = options_for(cut, 1);
    assert_int_equal(run(&o, &early, &result, &err), FW_OK);
    CHECK_TRUE("cut", result.interrupted);
    CHECK_EQ("epochs before", result.epochs, 1);
    o.resume = true;
    if (run(&o, &again, &result, &err) != FW_OK)
        fail_msg("%s", err.text);
    CHECK_EQ("epochs after", result.epochs, 3);
    check_same(one, cut, "model.safetensors");
    check_same(one, cut, "spec.json");
    check_same(one, cut, TRAIN_CHECKPOINT_NAME);
    remove_model(one);
    remove_model(three);
    remove_model(cut);
}

/* Stopped before the first step there is a model and a checkpoint already; another model's weights
 * can be gone on with. */
static void test_cut_at_once_and_from(void **state)
{
    (void)state;
    char out[96], tuned[96];
    struct train_result result;
    struct fw_error err = {0};
    struct watch at_once = {.stop_at = 1}, w = {0};
    struct tft_model *model;
    (void)snprintf(out, sizeof out, "%s/stopped", dir);
    (void)snprintf(tuned, sizeof tuned, "%s/tuned", dir);
    struct train_options o = options_for(out, 1);
    assert_int_equal(run(&o, &at_once, &result, &err), FW_OK);
    assert_int_equal(tft_model_open(out, NULL, &model, &err), FW_OK);
    tft_model_close(model);
    o = options_for(tuned, 1);
    o.from = out;
    if (run(&o, &w, &result, &err) != FW_OK)
        fail_msg("%s", err.text);
    check_same(out, tuned, "spec.json");
    o.from = NULL;
    o.resume = true;
    o.out = out;
    assert_int_equal(run(&o, &w, &result, &err), FW_OK);
    CHECK_EQ("epochs", result.epochs, 3);
    remove_model(out);
    remove_model(tuned);
}

static void test_refusals(void **state)
{
    (void)state;
    char out[96];
    static const struct {
        const char *name, *metrics;
        size_t horizon;
        bool resume;
        enum fw_status status;
    } rows[] = {
        {"no such metric",     "cpu_user_pct,nothing", 12,  false, FW_EINVAL   },
        {"too long a horizon", NULL,                   480, false, FW_EINVAL   },
        {"nothing to resume",  NULL,                   12,  true,  FW_ENOTFOUND},
    };
    (void)snprintf(out, sizeof out, "%s/refused", dir);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct train_options o = options_for(out, 1);
        struct train_result result;
        struct fw_error err = {0};
        struct watch w = {0};
        o.metrics = rows[i].metrics;
        o.horizon = rows[i].horizon;
        o.resume = rows[i].resume;
        CHECK_EQ(rows[i].name, run(&o, &w, &result, &err), rows[i].status);
        CHECK_TRUE(rows[i].name, err.text[0] != '\0');
        remove_model(out);
    }
}

/* Each allocation fails in turn, from reading the data to writing the model. */
static void test_no_memory(void **state)
{
    (void)state;
    char out[96];
    (void)snprintf(out, sizeof out, "%s/memory", dir);
    for (long n = 1;; n++) {
        struct train_options o = options_for(out, 2);
        struct train_result result;
        struct fw_error err = {0};
        struct watch w = {.stop_at = 2};
        fw_alloc_fail_at(n);
        const enum fw_status status = run(&o, &w, &result, &err);
        fw_alloc_fail_at(0);
        remove_model(out);
        if (status == FW_OK) {
            CHECK_TRUE("some allocations were made to fail", n > 50);
            print_message("  %ld allocations\n", n - 1);
            return;
        }
        if (status != FW_ENOMEM)
            fail_msg("allocation %ld: %s: %s", n, fw_status_name(status), err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learns),
        cmocka_unit_test(test_pooled_scales),
        cmocka_unit_test(test_threads_and_resume),
        cmocka_unit_test(test_cut_at_once_and_from),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
