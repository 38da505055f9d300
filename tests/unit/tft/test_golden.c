/* The forward pass against the numbers of pytorch-forecasting, with both kernel tables. The small
 * sets lie in tests/golden/tft; the large ones are used where $FW_SHARED or ../shared holds them.
 */
#include "support.h"

#include "base/alloc.h"
#include "tft/model_internal.h"
#include "tft/run_file.h"
#include "tft/forward_internal.h"
#include "tft/safetensors.h"

#include <stdlib.h>
#include <unistd.h>

enum { PATH_SIZE = 1024 };

/* FORWARD.md 9: activations of order 1, and predictions relative to the target's largest value. */
static const double tolerance = 1e-5;

static void set_path(char *path, const char *set)
{
    const char *shared = getenv("FW_SHARED");
    if (strncmp(set, "tiny", 4) == 0)
        (void)snprintf(path, PATH_SIZE, "%s/tests/golden/tft/%s", FW_SOURCE_DIR, set);
    else if (shared != NULL)
        (void)snprintf(path, PATH_SIZE, "%s/tft/golden/%s", shared, set);
    else
        (void)snprintf(path, PATH_SIZE, "%s/../shared/tft/golden/%s", FW_SOURCE_DIR, set);
}

static struct tft_safetensors *open_tensors(const char *dir, const char *name)
{
    char path[PATH_SIZE + 64];
    struct tft_safetensors *file;
    struct fw_error err;
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    if (tft_safetensors_open(path, &file, &err) != FW_OK)
        fail_msg("%s: %s", path, err.text);
    return file;
}

static struct tft_model *open_model(const char *dir)
{
    struct tft_model *model;
    struct fw_error err;
    if (tft_model_open(dir, NULL, &model, &err) != FW_OK)
        fail_msg("%s: %s", dir, err.text);
    return model;
}

static float *floats_of(const struct tft_tensor *t)
{
    float *x = fw_malloc((t->count + 1) * sizeof *x);
    memcpy(x, t->data, t->count * sizeof *x);
    return x;
}

static double gap(const float *a, const float *b, size_t n)
{
    double worst = 0.0;
    for (size_t i = 0; i < n; i++) {
        const double d = fabs((double)a[i] - (double)b[i]);
        worst = d <= worst ? worst : d; /* NaN counts */
    }
    return worst;
}

static void compare(const char *set, const struct tft_safetensors *want, const char *name,
                    const float *got)
{
    const struct tft_tensor *t = tft_safetensors_find(want, name);
    if (t == NULL)
        return;
    float *x = floats_of(t);
    check_floats(name, got, x, t->count, 1.0, tolerance);
    print_message("  %-12s %-36s %.2e\n", set, name, gap(got, x, t->count));
    fw_free(x);
}

/* Each target relative to its largest value. */
static void compare_prediction(const char *set, const struct tft_model *m,
                               const struct tft_safetensors *want, const struct tft_batch *b)
{
    const struct tft_tensor *t = tft_safetensors_find(want, "prediction");
    const size_t q = m->spec->n_quantiles, targets = m->spec->n_targets, rows = t->count / q;
    double worst = 0.0;
    CHECK_EQ(set, t->count, b->in.n * b->in.horizon_steps * targets * q);
    for (size_t target = 0; target < targets; target++) {
        double largest = 1.0, apart = 0.0;
        for (size_t i = target * q; i < rows * q; i += targets * q) {
            for (size_t j = i; j < i + q; j++) {
                const double x = (double)tft_tensor_f32(t, j),
                             d = fabs(x - (double)b->out.prediction[j]);
                largest = fabs(x) > largest ? fabs(x) : largest;
                apart = d <= apart ? apart : d;
            }
        }
        CHECK_NEAR(set, apart / largest, 0.0, tolerance);
        worst = apart / largest > worst ? apart / largest : worst;
    }
    print_message("  %-12s %-36s %.2e\n", set, "prediction (relative to the largest)", worst);
}

static void run_set(const char *set, const char *model_dir, const struct tft_kernels *kernels)
{
    char dir[PATH_SIZE], models[PATH_SIZE];
    struct tft_batch batch;
    struct fw_error err;
    set_path(dir, set);
    set_path(models, model_dir);
    struct tft_model *m = open_model(models);
    struct tft_safetensors *in = open_tensors(dir, "input.safetensors");
    struct tft_safetensors *want = open_tensors(dir, "output.safetensors");
    tft_model_use_kernels(m, kernels);
    if (tft_batch_read(m, in, &batch, &err) != FW_OK)
        fail_msg("%s: %s", set, err.text);
    assert_int_equal(tft_batch_run(m, &batch, 2, &err), FW_OK);
    char last[64];
    (void)snprintf(last, sizeof last, "attention_mean_over_heads_step%zu",
                   batch.in.horizon_steps - 1);
    compare_prediction(set, m, want, &batch);
    compare(set, want, "static_variables", batch.out.static_weights);
    compare(set, want, "encoder_variables", batch.out.history_weights);
    compare(set, want, "decoder_variables", batch.out.horizon_weights);
    compare(set, want, "attention", batch.out.attention);
    compare(set, want, "attention_mean_over_heads_step0", batch.mean_first);
    compare(set, want, last, batch.mean_last);
    tft_batch_fini(&batch);
    tft_safetensors_close(want);
    tft_safetensors_close(in);
    tft_model_close(m);
}

static const char *const sets[] = {"tiny", "tiny-edge", "argus-single", "argus-multi"};

static void run_all(const struct tft_kernels *kernels)
{
    for (size_t i = 0; i < COUNT_OF(sets); i++) {
        char dir[PATH_SIZE];
        set_path(dir, sets[i]);
        if (access(dir, R_OK) == 0)
            run_set(sets[i], sets[i], kernels);
        else
            print_message("  %s: skipped, no such directory\n", dir);
    }
}

static void test_plain(void **state)
{
    (void)state;
    run_all(tft_kernels_plain());
}

static void test_best(void **state)
{
    (void)state;
    if (tft_kernels_best() == tft_kernels_plain())
        skip();
    run_all(tft_kernels_best());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_best),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
