/* Operations against the figures that were counted by hand (docs/performance.md), and stages that
 * are all timed. */
#include "base/rng.h"
#include "golden_dir.h"
#include "support.h"
#include "tft/compile.h"
#include "tft/measure.h"
#include "tft/model_internal.h"

static void operations_of_the_reference_shape(void **state)
{
    char path[GOLDEN_PATH_SIZE];
    struct tft_model *m;
    struct tft_plan *plan;
    struct tft_stage stages[TFT_STAGES];
    double flop = 0.0, exponentials = 0.0;
    (void)state;
    if (access(golden_path(path, "argus-single", "model.safetensors"), R_OK) != 0)
        skip();
    assert_int_equal(tft_model_open(path, NULL, &m, NULL), FW_OK);
    CHECK_NEAR("as written", tft_flop_as_written(m->net, 288, 96) / 1e6, 41.7, 0.1);
    assert_int_equal(tft_compile(m, &plan, NULL), FW_OK);
    tft_stages_count(plan, stages);
    for (size_t k = 0; k < TFT_STAGES; k++) {
        flop += stages[k].flop;
        exponentials += stages[k].exponentials;
    }
    CHECK_NEAR("compiled", flop / 1e6, 20.5, 0.1);
    CHECK_NEAR("exponentials", exponentials / 1e3, 387.0, 1.0);
    tft_plan_free(plan);
    tft_model_close(m);
}

static void every_stage_is_timed(void **state)
{
    char path[GOLDEN_PATH_SIZE];
    struct tft_model *m;
    struct tft_plan *plan;
    struct tft_stage stages[TFT_STAGES];
    struct tft_made_input made;
    (void)state;
    assert_int_equal(tft_model_open(golden_path(path, "tiny", "model.safetensors"), NULL, &m, NULL),
                     FW_OK);
    assert_int_equal(tft_compile(m, &plan, NULL), FW_OK);
    assert_int_equal(tft_stages_time(plan, 3, stages, NULL), FW_OK);
    for (size_t k = 0; k < TFT_STAGES; k++) {
        CHECK_TRUE(stages[k].name, stages[k].seconds > 0.0 && isfinite(stages[k].seconds));
        CHECK_TRUE(stages[k].name, stages[k].flop > 0.0);
    }
    assert_int_equal(tft_input_make(m, 5, 1, &made, NULL), FW_OK);
    CHECK_EQ("series", made.in.n, 5);
    CHECK_EQ("history", made.in.history_lengths[4], m->spec->history_max);
    float *out = fw_calloc(5 * m->spec->horizon * m->net->output.n_out, sizeof *out);
    assert_int_equal(tft_plan_run_parallel(plan, &made.in, 2, out, NULL), FW_OK);
    CHECK_TRUE("a forecast", isfinite(out[0]));
    fw_free(out);
    tft_input_drop(&made);
    tft_plan_free(plan);
    tft_model_close(m);
}

/* The next step's windows: rows move up by one, what is static stays. */
static void windows_move_on(void **state)
{
    char path[GOLDEN_PATH_SIZE];
    struct tft_model *m;
    struct tft_made_input made, was;
    struct fw_rng rng;
    (void)state;
    assert_int_equal(tft_model_open(golden_path(path, "tiny", "model.safetensors"), NULL, &m, NULL),
                     FW_OK);
    const struct tft_net *net = m->net;
    const size_t r = net->n_reals, e = m->spec->history_max, d = m->spec->horizon;
    assert_int_equal(tft_input_make(m, 3, 1, &made, NULL), FW_OK);
    assert_int_equal(tft_input_make(m, 3, 1, &was, NULL), FW_OK);
    fw_rng_init(&rng, 2);
    tft_input_advance(m, &rng, &made);
    for (size_t i = 0; i < 3; i++) {
        const float *now = made.in.history_reals + i * e * r;
        const float *before = was.in.history_reals + i * e * r;
        CHECK_EQ("history", memcmp(now + r, before + 2 * r, (e - 2) * r * sizeof *now), 0);
        CHECK_TRUE("a new step", now[(e - 1) * r] != before[(e - 1) * r]);
        CHECK_EQ("ahead",
                 memcmp(made.in.horizon_reals + i * d * r, was.in.horizon_reals + (i * d + 1) * r,
                        (d - 1) * r * sizeof *now),
                 0);
        for (size_t v = 0; v < net->stat.n; v++) {
            const size_t column = net->stat.input[v].column;
            if (!net->stat.input[v].categorical)
                CHECK_NEAR("static", now[column], before[column], 0.0);
        }
    }
    tft_input_drop(&made);
    tft_input_drop(&was);
    tft_model_close(m);
}

static void memory_runs_out(void **state)
{
    char path[GOLDEN_PATH_SIZE];
    struct tft_model *m;
    struct tft_plan *plan;
    struct tft_stage stages[TFT_STAGES];
    (void)state;
    assert_int_equal(tft_model_open(golden_path(path, "tiny", "model.safetensors"), NULL, &m, NULL),
                     FW_OK);
    assert_int_equal(tft_compile(m, &plan, NULL), FW_OK);
    for (long i = 1; i <= 5; i++) {
        fw_alloc_fail_at(i);
        CHECK_EQ("status", tft_stages_time(plan, 1, stages, NULL), FW_ENOMEM);
    }
    fw_alloc_fail_at(0);
    tft_plan_free(plan);
    tft_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_of_the_reference_shape),
        cmocka_unit_test(every_stage_is_timed),
        cmocka_unit_test(windows_move_on),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
