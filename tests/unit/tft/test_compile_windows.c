/* Ten thousand windows through the shipped network, compiled and plain, with every set of kernels
 * that this processor runs: ordinary numbers, wide ones, constant ones, and some that no input
 * should be (not a number, infinite, 1e30, subnormal). A window's forecast is finite on both paths
 * or on neither: one number that is not takes a forecast away as a whole (forecast/model.h).
 *
 * The largest difference is at most TFT_PLAN_TOLERANCE of the target's scale. Far outside of what
 * the network was trained on it answers with several scales, and there the bound is a share of the
 * answer: single precision gives no more on either path (of windows at the bounds of all inputs,
 * the plain path is up to 1.2e-4 of a scale away from the same sums in double precision, the
 * compiled one 1.4e-4, both 2e-5 of the answer). */
#include "base/alloc.h"
#include "base/rng.h"
#include "golden_dir.h"
#include "support.h"
#include "tft/compile.h"
#include "tft/kernels/tiles.h"
#include "tft/model_internal.h"
#include "tft/parallel.h"

#include <float.h>

enum { WINDOWS = 10000, KINDS = 8 };

static const char *const kinds[KINDS] = {"ordinary",       "small",           "wide",
                                         "at the bounds",  "constant",        "beyond the tables",
                                         "one odd number", "many odd numbers"};

struct windows {
    struct tft_input in;
    size_t values; /* outputs of a window */
    int32_t *codes;
    float *history, *horizon, *scale, *plain, *compiled;
    size_t *history_lengths, *horizon_lengths;
};

static float odd(struct fw_rng *rng)
{
    static const float values[] = {NAN,    INFINITY,     -INFINITY, 1e30f, -1e30f,
                                   1e-40f, FLT_TRUE_MIN, -0.0f,     1e6f,  -9.0f};
    return values[fw_rng_below(rng, COUNT_OF(values))];
}

static float number(size_t kind, size_t i, float before, struct fw_rng *rng)
{
    const float normal = (float)fw_rng_normal(rng);
    switch (kind) {
    case 1:
        return 0.1f * normal;
    case 2:
        return 3.0f * normal;
    case 3:
        return fw_rng_below(rng, 3) == 0 ? copysignf(8.0f, normal) : fmaxf(-8, fminf(8, normal));
    case 4:
        return i == 0 ? normal : before;
    case 5:
        return fw_rng_below(rng, 20) == 0 ? 30.0f * normal : normal;
    case 7:
        return fw_rng_below(rng, 40) == 0 ? odd(rng) : normal;
    default:
        return normal;
    }
}

/* One window's steps, `reals` numbers each. */
static void fill(size_t kind, size_t steps, size_t reals, struct fw_rng *rng, float *out)
{
    for (size_t i = 0; i < steps * reals; i++)
        out[i] = number(kind, i / reals, i < reals ? 0.0f : out[i - reals], rng);
    if (kind == 6)
        out[fw_rng_below(rng, steps * reals)] = odd(rng);
}

static void *need(void *memory)
{
    assert_non_null(memory);
    return memory;
}

static void make(const struct tft_model *m, struct windows *w)
{
    const size_t e = m->spec->history_max, d = m->spec->horizon, r = m->net->n_reals;
    struct fw_rng rng;
    fw_rng_init(&rng, 20261128);
    assert_int_equal(m->net->n_categoricals, 0);
    assert_int_equal(m->net->n_targets, 1);
    *w = (struct windows){
        .values = d * m->net->output.n_out,
        .codes = need(fw_calloc(1, sizeof *w->codes)),
        .history = need(fw_calloc(WINDOWS * e * r, sizeof *w->history)),
        .horizon = need(fw_calloc(WINDOWS * d * r, sizeof *w->horizon)),
        .scale = need(fw_calloc((size_t)WINDOWS * 2, sizeof *w->scale)),
        .history_lengths = need(fw_calloc(WINDOWS, sizeof *w->history_lengths)),
        .horizon_lengths = need(fw_calloc(WINDOWS, sizeof *w->horizon_lengths)),
    };
    w->plain = need(fw_calloc(WINDOWS * w->values, sizeof *w->plain));
    w->compiled = need(fw_calloc(WINDOWS * w->values, sizeof *w->compiled));
    for (size_t i = 0; i < WINDOWS; i++) {
        fill(i % KINDS, e, r, &rng, w->history + i * e * r);
        fill(i % KINDS, d, r, &rng, w->horizon + i * d * r);
        /* Some histories are young: what lies behind them must not be read. */
        w->history_lengths[i] = i % 3 == 0 ? 1 + fw_rng_below(&rng, e) : e;
        w->horizon_lengths[i] = d;
        w->scale[2 * i + 1] = (float)exp(3.0 * fw_rng_normal(&rng));
        w->scale[2 * i] = w->scale[2 * i + 1] * (float)fw_rng_normal(&rng);
    }
    w->in = (struct tft_input){.n = WINDOWS,
                               .history_steps = e,
                               .horizon_steps = d,
                               .history_codes = w->codes,
                               .horizon_codes = w->codes,
                               .history_reals = w->history,
                               .horizon_reals = w->horizon,
                               .history_lengths = w->history_lengths,
                               .horizon_lengths = w->horizon_lengths,
                               .output_scale = w->scale};
}

static void drop(struct windows *w)
{
    fw_free(w->codes);
    fw_free(w->history);
    fw_free(w->horizon);
    fw_free(w->scale);
    fw_free(w->history_lengths);
    fw_free(w->horizon_lengths);
    fw_free(w->plain);
    fw_free(w->compiled);
}

static bool all_finite(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return false;
    return true;
}

/* Of one kind of windows. */
struct found {
    double of_scale, of_answer; /* the largest difference */
    size_t not_finite;          /* windows */
};

static void compare_window(const struct windows *w, const char *name, size_t i, bool ordinary,
                           struct found *found)
{
    const float *plain = w->plain + i * w->values, *compiled = w->compiled + i * w->values;
    const double center = (double)w->scale[2 * i], scale = (double)w->scale[2 * i + 1];
    const bool finite = all_finite(plain, w->values);
    CHECK_EQ(name, all_finite(compiled, w->values), finite);
    found->not_finite += finite ? 0 : 1;
    for (size_t k = 0; finite && k < w->values; k++) {
        const double gap = fabs((double)plain[k] - (double)compiled[k]) / scale;
        const double size = fmax(fabs((double)plain[k] - center) / scale, 1.0);
        found->of_scale = fmax(found->of_scale, gap);
        found->of_answer = fmax(found->of_answer, gap / size);
        CHECK_NEAR(name, ordinary ? gap : gap / size, 0.0, TFT_PLAN_TOLERANCE);
    }
}

static void compare(const struct windows *w, const char *kernels, struct found found[KINDS])
{
    char name[96];
    for (size_t i = 0; i < WINDOWS; i++) {
        const size_t kind = i % KINDS;
        (void)snprintf(name, sizeof name, "%s, window %zu (%s)", kernels, i, kinds[kind]);
        compare_window(w, name, i, kind < 2, &found[kind]);
    }
}

static void ten_thousand_windows(void **state)
{
    struct tft_model *m = NULL;
    struct windows w;
    struct fw_error err;
    (void)state;
    if (tft_model_open(FW_SOURCE_DIR "/models/forewarn", NULL, &m, &err) != FW_OK)
        fail_msg("%s", err.text);
    make(m, &w);
    const struct tft_output out = {.prediction = w.plain};
    assert_int_equal(tft_forward_parallel(m, &w.in, &out, 2, NULL), FW_OK);
    for (int set = 0; set < TFT_SETS; set++) {
        const struct tft_tiles *tiles = tft_tiles_of((enum tft_set)set);
        struct tft_plan *plan;
        struct found found[KINDS] = {0};
        if (tiles == NULL)
            continue;
        if (tft_compile_with(m, tiles, &plan, &err) != FW_OK)
            fail_msg("%s", err.text);
        assert_int_equal(tft_plan_run_parallel(plan, &w.in, 2, w.compiled, NULL), FW_OK);
        compare(&w, tiles->name, found);
        print_message("  %s kernels, %d windows\n", tiles->name, WINDOWS);
        for (size_t k = 0; k < KINDS; k++)
            print_message("    %-18s %.2e of scale, %.2e of the answer; %zu not finite\n", kinds[k],
                          found[k].of_scale, found[k].of_answer, found[k].not_finite);
        /* The windows are what they are said to be. */
        CHECK_EQ("ordinary windows", found[0].not_finite, 0);
        CHECK_TRUE("odd windows", found[6].not_finite > 0 && found[7].not_finite > 0);
        tft_plan_free(plan);
    }
    drop(&w);
    tft_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ten_thousand_windows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
