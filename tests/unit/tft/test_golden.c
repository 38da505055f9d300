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
    run_all(tft_kernels_of(TFT_SET_PLAIN));
}

static void test_fast(void **state)
{
    (void)state;
    for (int set = TFT_SET_PLAIN + 1; set < TFT_SETS; set++)
        if (tft_kernels_of((enum tft_set)set) != NULL)
            run_all(tft_kernels_of((enum tft_set)set));
}

/* One series at its own length against the rows of it in a padded activation (batch, steps, width).
 */
static void compare_rows(const struct tft_safetensors *want, const char *name, size_t series,
                         const float *got, size_t steps)
{
    const struct tft_tensor *t = tft_safetensors_find(want, name);
    assert_non_null(t);
    const size_t rows = t->rank == 3 ? t->shape[1] : 1, width = t->shape[t->rank - 1];
    float *x = floats_of(t);
    check_floats(name, got, x + series * rows * width, steps * width, 1.0, tolerance);
    fw_free(x);
}

static void check_series(const struct tft_model *m, const struct tft_batch *b,
                         const struct tft_safetensors *want, size_t i)
{
    enum { SCRATCH = 1 << 20 };
    static unsigned char scratch[SCRATCH];
    const struct tft_net *net = m->net;
    const struct tft_run run = {m->kernels, net, m->packed};
    const size_t e = b->in.history_lengths[i], d = b->in.horizon_lengths[i], h = net->hidden;
    const struct tft_series_input in = {
        e,
        d,
        e,
        d,
        b->in.history_codes + i * b->in.history_steps * net->n_categoricals,
        b->in.horizon_codes + i * b->in.horizon_steps * net->n_categoricals,
        b->in.history_reals + i * b->in.history_steps * net->n_reals,
        b->in.horizon_reals + i * b->in.horizon_steps * net->n_reals,
    };
    struct arena arena = arena_over(scratch, sizeof scratch);
    struct tft_carver carver = {&arena, 0, false};
    struct tft_acts acts;
    tft_acts_carve(&carver, net, e, d, false, &acts);
    assert_false(carver.failed);
    tft_forward_series(&run, &in, &acts, NULL, NULL, NULL);
    compare_rows(want, "static_vsn.output", i, acts.static_out, 1);
    compare_rows(want, "static_context.variable_selection", i, acts.context[TFT_SELECTION], 1);
    compare_rows(want, "static_context.initial_hidden_lstm", i, acts.context[TFT_INITIAL_HIDDEN],
                 1);
    compare_rows(want, "static_context.initial_cell_lstm", i, acts.context[TFT_INITIAL_CELL], 1);
    compare_rows(want, "static_context.enrichment", i, acts.context[TFT_ENRICHMENT], 1);
    compare_rows(want, "encoder_vsn.output", i, acts.selected, e);
    compare_rows(want, "decoder_vsn.output", i, acts.selected + e * h, d);
    compare_rows(want, "lstm_encoder.output", i, acts.recurrent, e);
    compare_rows(want, "lstm_decoder.output", i, acts.recurrent + e * h, d);
    compare_rows(want, "post_lstm_add_norm.encoder", i, acts.gated, e);
    compare_rows(want, "post_lstm_add_norm.decoder", i, acts.gated + e * h, d);
    compare_rows(want, "enriched", i, acts.enriched, e);
    compare_rows(want, "attention.output", i, acts.attended, d);
    compare_rows(want, "post_attn_gate_norm", i, acts.attended_gated, d);
    compare_rows(want, "pos_wise_ff", i, acts.fed_forward, d);
    compare_rows(want, "pre_output_gate_norm", i, acts.final, d);
}

static void test_intermediates(void **state)
{
    (void)state;
    for (size_t s = 0; s < 2; s++) {
        char dir[PATH_SIZE];
        struct tft_batch batch;
        struct fw_error err;
        set_path(dir, sets[s]);
        struct tft_model *m = open_model(dir);
        struct tft_safetensors *in = open_tensors(dir, "input.safetensors");
        struct tft_safetensors *want = open_tensors(dir, "intermediates.safetensors");
        assert_int_equal(tft_batch_read(m, in, &batch, &err), FW_OK);
        for (size_t i = 0; i < batch.in.n; i++)
            check_series(m, &batch, want, i);
        tft_batch_fini(&batch);
        tft_safetensors_close(want);
        tft_safetensors_close(in);
        tft_model_close(m);
    }
}

/* Threads and batch sizes change no bit of any output. */
static void test_same_bits(void **state)
{
    char dir[PATH_SIZE];
    struct tft_batch one, four;
    struct fw_error err;
    (void)state;
    set_path(dir, "tiny");
    struct tft_model *m = open_model(dir);
    struct tft_safetensors *in = open_tensors(dir, "input.safetensors");
    assert_int_equal(tft_batch_read(m, in, &one, &err), FW_OK);
    assert_int_equal(tft_batch_read(m, in, &four, &err), FW_OK);
    assert_int_equal(tft_batch_run(m, &one, 1, &err), FW_OK);
    assert_int_equal(tft_batch_run(m, &four, 4, &err), FW_OK);
    const size_t n = one.in.n, e = one.in.history_steps, d = one.in.horizon_steps;
    const struct tft_net *net = m->net;
    assert_memory_equal(one.out.prediction, four.out.prediction,
                        n * d * net->output.n_out * sizeof(float));
    assert_memory_equal(one.out.attention, four.out.attention,
                        n * d * net->heads * (e + d) * sizeof(float));
    assert_memory_equal(one.out.history_weights, four.out.history_weights,
                        n * e * net->side[TFT_ENCODER].n * sizeof(float));
    tft_batch_fini(&one);
    tft_batch_fini(&four);
    tft_safetensors_close(in);
    tft_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_fast),
        cmocka_unit_test(test_intermediates),
        cmocka_unit_test(test_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
