/* The compiled path against the plain one: on the golden sets, on random networks of all shapes, on
 * inputs that no table covers. */
#include "base/rng.h"
#include "golden_dir.h"
#include "made_model.h"
#include "support.h"
#include "tft/compile.h"
#include "tft/kernels/tiles.h"
#include "tft/model_internal.h"
#include "tft/parallel.h"
#include "tft/run_file.h"
#include "tft/safetensors.h"

enum {
    CONFIGS = 40,
    VARS = MADE_VARS,
    STEPS = MADE_HISTORY + MADE_HORIZON,
    SERIES = 7,
    TARGETS = MADE_TARGETS,
};

/* ---- golden sets ---- */

static bool exists(const char *path)
{
    return access(path, R_OK) == 0;
}

/* The largest difference of the predictions, in units of each target's scale. */
static double scaled_gap(const struct tft_input *in, size_t targets, size_t quantiles,
                         const float *a, const float *b)
{
    const size_t wide = targets * quantiles, outputs = in->horizon_steps * wide;
    double worst = 0.0;
    for (size_t i = 0; i < in->n * outputs; i++) {
        const size_t target = i % wide / quantiles;
        const float scale = in->output_scale[(i / outputs * targets + target) * 2 + 1];
        const double gap = fabs((double)a[i] - (double)b[i]) / (double)scale;
        worst = gap <= worst ? worst : gap;
    }
    return worst;
}

/* The plan that would serve, then one with each set of kernels. */
static void check_golden_plan(const char *set, const struct tft_model *m, struct tft_plan *plan,
                              const struct tft_batch *plain, struct tft_batch *compiled)
{
    const struct tft_plan_info info = tft_plan_info(plan);
    struct fw_error err;
    if (tft_batch_run_compiled(plan, compiled, 2, &err) != FW_OK)
        fail_msg("%s: %s", set, err.text);
    const double gap = scaled_gap(&plain->in, m->net->n_targets, m->net->n_quantiles,
                                  plain->out.prediction, compiled->out.prediction);
    print_message("  %-12s %-8s %.2e of scale; curves %.2e, check %.2e\n", set, info.kernels, gap,
                  info.curve_error, info.check_error);
    CHECK_NEAR(set, gap, 0.0, TFT_PLAN_TOLERANCE);
    tft_plan_free(plan);
}

static void check_golden(const char *set)
{
    const struct tft_tiles *tiles[TFT_SETS];
    char path[GOLDEN_PATH_SIZE];
    struct tft_model *m = NULL;
    struct tft_plan *plan = NULL;
    struct tft_safetensors *file;
    struct tft_batch plain, compiled;
    struct fw_error err;
    if (!exists(golden_path(path, set, "input.safetensors"))) {
        print_message("  %s: skipped, its files are not here\n", set);
        return;
    }
    if (tft_safetensors_open(path, &file, &err) != FW_OK ||
        tft_model_open(golden_path(path, set, "model.safetensors"), NULL, &m, &err) != FW_OK ||
        tft_compile(m, &plan, &err) != FW_OK || tft_batch_read(m, file, &plain, &err) != FW_OK ||
        tft_batch_read(m, file, &compiled, &err) != FW_OK ||
        tft_batch_run(m, &plain, 1, &err) != FW_OK)
        fail_msg("%s: %s", set, err.text);
    check_golden_plan(set, m, plan, &plain, &compiled);
    for (size_t i = 0, n = kernel_sets(tiles); i < n; i++) {
        if (tft_compile_with(m, tiles[i], &plan, &err) != FW_OK)
            fail_msg("%s: %s", set, err.text);
        check_golden_plan(set, m, plan, &plain, &compiled);
    }
    tft_batch_fini(&plain);
    tft_batch_fini(&compiled);
    tft_safetensors_close(file);
    tft_model_close(m);
}

static void test_golden_sets(void **state)
{
    (void)state;
    check_golden("tiny");
    check_golden("tiny-edge");
    check_golden("argus-single");
    check_golden("argus-multi");
}

/* ---- random networks ---- */

struct windows {
    int32_t history_codes[SERIES * STEPS * VARS], horizon_codes[SERIES * STEPS * VARS];
    float history_reals[SERIES * STEPS * VARS], horizon_reals[SERIES * STEPS * VARS];
    size_t history[SERIES], horizon[SERIES];
    float scale[SERIES * TARGETS * 2];
};

static struct tft_input make_windows(const struct made *m, struct fw_rng *rng, struct windows *w)
{
    const struct tft_spec *s = &m->spec;
    for (size_t i = 0; i < COUNT_OF(w->history_reals); i++) {
        /* Now and then beyond the tables. */
        const double wide = fw_rng_below(rng, 50) == 0 ? 20.0 : 2.0;
        w->history_reals[i] = (float)(wide * fw_rng_normal(rng));
        w->horizon_reals[i] = (float)(wide * fw_rng_normal(rng));
    }
    for (size_t i = 0; s->n_categoricals > 0 && i < COUNT_OF(w->history_codes); i++) {
        const size_t classes = m->cats[i % s->n_categoricals].classes.n;
        w->history_codes[i] = (int32_t)fw_rng_below(rng, classes);
        w->horizon_codes[i] = (int32_t)fw_rng_below(rng, classes);
    }
    for (size_t i = 0; i < SERIES; i++) {
        /* The first ones are of equal length, so that they go through the LSTM together. */
        w->history[i] = i < 3 ? s->history_max : 1 + fw_rng_below(rng, s->history_max);
        w->horizon[i] = i < 3 ? s->horizon : 1 + fw_rng_below(rng, s->horizon);
    }
    for (size_t i = 0; i < COUNT_OF(w->scale); i++)
        w->scale[i] = (float)(0.5 + fw_rng_uniform(rng));
    return (struct tft_input){.n = SERIES,
                              .history_steps = s->history_max,
                              .horizon_steps = s->horizon,
                              .history_codes = w->history_codes,
                              .horizon_codes = w->horizon_codes,
                              .history_reals = w->history_reals,
                              .horizon_reals = w->horizon_reals,
                              .history_lengths = w->history,
                              .horizon_lengths = w->horizon,
                              .output_scale = w->scale};
}

/* One series alone, without its padding. */
static struct tft_input alone(const struct made *m, const struct tft_input *in, size_t i)
{
    const struct tft_spec *s = &m->spec;
    const size_t e = in->history_steps, d = in->horizon_steps;
    struct tft_input one = *in;
    one.n = 1;
    one.history_steps = in->history_lengths[i];
    one.horizon_steps = in->horizon_lengths[i];
    one.history_lengths += i;
    one.horizon_lengths += i;
    one.history_codes += i * e * s->n_categoricals;
    one.horizon_codes += i * d * s->n_categoricals;
    one.history_reals += i * e * s->n_reals;
    one.horizon_reals += i * d * s->n_reals;
    one.output_scale += i * 2 * s->n_targets;
    return one;
}

static float plain[SERIES * STEPS * 16], compiled[SERIES * STEPS * 16], again[SERIES * STEPS * 16];

static void check_same_bits(const char *name, const struct made *m, const struct tft_plan *plan,
                            const struct tft_input *in)
{
    const size_t wide = m->model.net->output.n_out, stride = in->horizon_steps * wide;
    assert_int_equal(tft_plan_run_parallel(plan, in, 3, again, NULL), FW_OK);
    CHECK_EQ(name, memcmp(compiled, again, SERIES * stride * sizeof *again), 0);
    for (size_t i = 0; i < SERIES; i++) {
        const struct tft_input one = alone(m, in, i);
        assert_int_equal(tft_plan_run_parallel(plan, &one, 1, again, NULL), FW_OK);
        CHECK_EQ(
            name,
            memcmp(compiled + i * stride, again, in->horizon_lengths[i] * wide * sizeof *again), 0);
    }
}

static void check_random(size_t index, const struct tft_tiles *tiles, struct fw_rng *rng,
                         double *worst)
{
    static struct made m;
    static struct windows w;
    struct tft_plan *plan;
    struct fw_error err;
    char name[120];
    make_model(&m, index, rng);
    (void)snprintf(name, sizeof name, "network %zu (%s): hidden %zu, %zu/%zu/%zu variables", index,
                   tiles->name, m.model.net->hidden, m.spec.stat.n, m.spec.encoder.n,
                   m.spec.decoder.n);
    if (tft_compile_with(&m.model, tiles, &plan, &err) != FW_OK)
        fail_msg("%s: %s", name, err.text);
    const struct tft_input in = make_windows(&m, rng, &w);
    const struct tft_output out = {.prediction = plain};
    assert_int_equal(tft_forward_parallel(&m.model, &in, &out, 1, NULL), FW_OK);
    memset(compiled, 0x55, sizeof compiled);
    assert_int_equal(tft_plan_run_parallel(plan, &in, 1, compiled, NULL), FW_OK);
    const double gap = scaled_gap(&in, m.spec.n_targets, m.spec.n_quantiles, plain, compiled);
    CHECK_NEAR(name, gap, 0.0, TFT_PLAN_TOLERANCE);
    *worst = fmax(*worst, gap);
    check_same_bits(name, &m, plan, &in);
    tft_plan_free(plan);
    drop_model(&m);
}

static void test_random_networks(void **state)
{
    const struct tft_tiles *tiles[TFT_SETS];
    const size_t sets = kernel_sets(tiles);
    struct fw_rng rng;
    double worst = 0.0;
    (void)state;
    fw_rng_init(&rng, 2026);
    for (size_t i = 0; i < CONFIGS; i++)
        for (size_t set = 0; set < sets; set++)
            check_random(i, tiles[set], &rng, &worst);
    print_message("  worst of %zu networks: %.2e of scale\n", CONFIGS * sets, worst);
}

/* ---- odd inputs ---- */

static void test_odd_inputs(void **state)
{
    static struct made m;
    static struct windows w;
    static const struct {
        const char *name;
        float value;
        bool finite;
    } rows[] = {
        {"not a number",      NAN,      false},
        {"infinite",          INFINITY, false},
        {"beyond the tables", 9.5f,     true },
        {"far below",         -40.0f,   true },
        {"the edge",          8.0f,     true },
        {"the other edge",    -8.0f,    true },
        {"the cut of inputs", 1e6f,     true },
    };
    struct fw_rng rng;
    struct tft_plan *plan;
    (void)state;
    fw_rng_init(&rng, 7);
    make_model(&m, 4, &rng);
    assert_int_equal(tft_compile(&m.model, &plan, NULL), FW_OK);
    const size_t stride = m.spec.horizon * m.model.net->output.n_out;
    for (size_t r = 0; r < COUNT_OF(rows); r++) {
        const struct tft_input in = make_windows(&m, &rng, &w);
        const struct tft_output out = {.prediction = plain};
        /* In the first series only: the others must not notice. Twice, and again after another. */
        const size_t column = m.spec.encoder.item[m.spec.encoder.n - 1].column;
        w.history_reals[9 * m.spec.n_reals + column] = rows[r].value;
        w.history_reals[10 * m.spec.n_reals + column] = rows[r].value;
        w.history_reals[11 * m.spec.n_reals + column] = -11.0f;
        w.history_reals[13 * m.spec.n_reals + column] = rows[r].value;
        assert_int_equal(tft_forward_parallel(&m.model, &in, &out, 1, NULL), FW_OK);
        assert_int_equal(tft_plan_run_parallel(plan, &in, 1, compiled, NULL), FW_OK);
        for (size_t i = 0; i < stride; i++)
            CHECK_EQ(rows[r].name, isfinite(compiled[i]) != 0, rows[r].finite);
        check_floats(rows[r].name, compiled, plain, SERIES * stride, 1.0, 1e-4);
    }
    tft_plan_free(plan);
    drop_model(&m);
}

/* Scores so large that the attention must take their maximum off first. */
static void test_large_scores(void **state)
{
    static struct made m;
    static struct windows w;
    struct fw_rng rng;
    struct tft_plan *plan;
    (void)state;
    fw_rng_init(&rng, 11);
    make_model(&m, 4, &rng);
    const struct tft_linear *q = &m.model.net->attention.q;
    for (size_t i = 0; i < q->n_in * q->n_out; i++)
        m.model.params[q->weight + i] *= 40.0f;
    tft_net_pack(m.model.net, m.model.params, m.model.packed);
    assert_int_equal(tft_compile_with(&m.model, tft_tiles_best(), &plan, NULL), FW_OK);
    const struct tft_input in = make_windows(&m, &rng, &w);
    const struct tft_output out = {.prediction = plain};
    assert_int_equal(tft_forward_parallel(&m.model, &in, &out, 1, NULL), FW_OK);
    assert_int_equal(tft_plan_run_parallel(plan, &in, 1, compiled, NULL), FW_OK);
    check_floats("large scores", compiled, plain,
                 SERIES * m.spec.horizon * m.model.net->output.n_out, 1.0, 1e-3);
    tft_plan_free(plan);
    drop_model(&m);
}

/* ---- failures ---- */

static void test_out_of_memory(void **state)
{
    static struct made m;
    struct fw_rng rng;
    struct tft_plan *plan;
    (void)state;
    fw_rng_init(&rng, 3);
    make_model(&m, 0, &rng);
    fw_alloc_fail_at(0);
    assert_int_equal(tft_compile(&m.model, &plan, NULL), FW_OK);
    const long n = fw_alloc_count();
    tft_plan_free(plan);
    for (long i = 1; i <= n; i++) {
        fw_alloc_fail_at(i);
        CHECK_EQ("failing allocation", tft_compile(&m.model, &plan, NULL), FW_ENOMEM);
        assert_null(plan);
    }
    fw_alloc_fail_at(0);
    drop_model(&m);
}

/* A plan that does not do what the model does is refused: here the model changes behind it. */
static void test_refused(void **state)
{
    static struct made m;
    struct fw_rng rng;
    struct fw_error err;
    struct tft_plan *plan;
    (void)state;
    fw_rng_init(&rng, 5);
    make_model(&m, 0, &rng);
    m.model.packed[m.model.net->output.bias] += 1e-3f; /* what the plain path reads */
    assert_int_equal(tft_compile(&m.model, &plan, &err), FW_EINVAL);
    assert_null(plan);
    assert_non_null(strstr(err.text, "differs"));
    drop_model(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_sets),   cmocka_unit_test(test_random_networks),
        cmocka_unit_test(test_odd_inputs),    cmocka_unit_test(test_large_scores),
        cmocka_unit_test(test_out_of_memory), cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
