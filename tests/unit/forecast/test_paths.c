/* The two ways through the shipped network, on what the daemon gives it: ladders of series with
 * gaps, bursts, numbers from 1e-40 to 1e30. And a plan that is refused: the plain path serves, says
 * why, and gives its own numbers. */
#include "base/alloc.h"
#include "base/rng.h"
#include "forecast/ladder.h"
#include "forecast/shipped.h"
#include "support.h"
#include "tft/compile.h"
#include "tft/kernels/tiles.h"
#include "tft/model_internal.h"
#include "tft/parallel.h"

enum {
    STEP_S = 300,
    STEPS = 1500,
    WINDOW = 864,
    EVERY = 16, /* steps from one origin to the next */
    ORIGINS = (STEPS - WINDOW) / EVERY + 1,
    SERIES = 10000 / ORIGINS + 1,
    LADDERS = SERIES * ORIGINS,
    ANSWERS = LADDER_AHEAD * LADDER_QUANTILES,
    KINDS = 8,
    SCRATCH = 1 << 20,
};

/* Inputs of the network, one ladder after the other, and what it answers. */
struct batch {
    float *history, *horizon, *scale, *plain, *compiled;
    size_t *history_lengths, *horizon_lengths;
    size_t n;
};

static void *need(void *memory)
{
    assert_non_null(memory);
    return memory;
}

static void batch_init(struct batch *b)
{
    *b = (struct batch){
        .history =
            need(fw_calloc((size_t)LADDERS * LADDER_PAST * LADDER_INPUTS, sizeof *b->history)),
        .horizon =
            need(fw_calloc((size_t)LADDERS * LADDER_AHEAD * LADDER_INPUTS, sizeof *b->horizon)),
        .scale = need(fw_calloc((size_t)LADDERS * 2, sizeof *b->scale)),
        .plain = need(fw_calloc((size_t)LADDERS * ANSWERS, sizeof *b->plain)),
        .compiled = need(fw_calloc((size_t)LADDERS * ANSWERS, sizeof *b->compiled)),
        .history_lengths = need(fw_calloc(LADDERS, sizeof *b->history_lengths)),
        .horizon_lengths = need(fw_calloc(LADDERS, sizeof *b->horizon_lengths)),
    };
}

static void batch_fini(struct batch *b)
{
    fw_free(b->history);
    fw_free(b->horizon);
    fw_free(b->scale);
    fw_free(b->plain);
    fw_free(b->compiled);
    fw_free(b->history_lengths);
    fw_free(b->horizon_lengths);
}

static void batch_add(struct batch *b, const struct ladder *ladder)
{
    assert_true(b->n < LADDERS);
    ladder_fill(ladder, b->history + b->n * LADDER_PAST * LADDER_INPUTS,
                b->horizon + b->n * LADDER_AHEAD * LADDER_INPUTS);
    b->scale[2 * b->n + 1] = 1.0f;
    b->history_lengths[b->n] = LADDER_PAST;
    b->horizon_lengths[b->n] = LADDER_AHEAD;
    b->n++;
}

/* ---- series ---- */

static float value_at(size_t kind, size_t t, float before, struct fw_rng *rng)
{
    const double day = 30.0 + 20.0 * sin(6.283185307179586 * (double)t / 288.0);
    const double noise = fw_rng_normal(rng);
    switch (kind) {
    case 1: /* a counter's bursts */
        return fw_rng_below(rng, 60) == 0 ? 1e6f * (float)fabs(noise) : 0.0f;
    case 2: /* mostly missing */
        return fw_rng_below(rng, 10) < 8 ? NAN : (float)(day + noise);
    case 3: /* huge, now and then */
        return fw_rng_below(rng, 100) == 0 ? 1e30f : (float)(day + noise);
    case 4: /* subnormal */
        return 1e-40f * (float)fabs(noise);
    case 5: /* constant, then a jump */
        return t < 1000 ? 12.5f : 90.0f;
    case 6: /* a random walk */
        return t == 0 ? 50.0f : before + (float)noise;
    case 7: /* outages */
        return t / 97 % 3 == 0 ? NAN : (float)(day + 5.0 * noise);
    default:
        return (float)(day + 2.0 * noise);
    }
}

static void add_series(const struct schema_metric *metric, size_t kind, struct fw_rng *rng,
                       void *memory, struct batch *b)
{
    static float values[STEPS];
    static struct track track;
    static struct track_words words;
    static struct ladder ladder;
    for (size_t t = 0; t < STEPS; t++)
        values[t] = value_at(kind, t, t > 0 ? values[t - 1] : 0.0f, rng);
    values[WINDOW / 2] = isnan(values[WINDOW / 2]) ? 30.0f : values[WINDOW / 2];
    for (size_t newest = WINDOW - 1; newest < STEPS; newest += EVERY) {
        const struct series series = {values + newest + 1 - WINDOW, WINDOW, STEP_S, metric};
        struct arena arena = arena_over(memory, SCRATCH);
        struct track_view view;
        if (newest == WINDOW - 1)
            track_init(&track, &series, fw_rng_below(rng, 1000));
        track_view(&track, &series, 6000000 + (int64_t)newest, &arena, &view);
        track_learn(&track, &view);
        track_speak(&track, &view, &words);
        ladder_build(&track, &view, &words, &ladder);
        batch_add(b, &ladder);
    }
}

static void fill(struct batch *b)
{
    struct schema schema;
    struct fw_rng rng;
    schema_default(&schema);
    fw_rng_init(&rng, 28);
    void *memory = need(fw_alloc_aligned(SCRATCH, 1));
    for (size_t i = 0; i < SERIES; i++) {
        const size_t kind = i % KINDS;
        /* What has no upper bound for what is huge. */
        const size_t metric = kind == 1 || kind == 3 ? METRIC_NET_IN : METRIC_CPU_USER;
        add_series(&schema.metrics[metric], kind, &rng, memory, b);
    }
    fw_free(memory);
}

/* ---- the two paths ---- */

static struct tft_input input_of(const struct batch *b)
{
    static const int32_t no_codes[1];
    return (struct tft_input){.n = b->n,
                              .history_steps = LADDER_PAST,
                              .horizon_steps = LADDER_AHEAD,
                              .history_codes = no_codes,
                              .horizon_codes = no_codes,
                              .history_reals = b->history,
                              .horizon_reals = b->horizon,
                              .history_lengths = b->history_lengths,
                              .horizon_lengths = b->horizon_lengths,
                              .output_scale = b->scale};
}

static struct tft_model *open_shipped(void)
{
    const struct forecast_shipped_files files = forecast_shipped_files();
    struct tft_model *network = NULL;
    struct fw_error err;
    unsigned char *weights = need(fw_malloc(files.weights_size));
    memcpy(weights, files.weights, files.weights_size);
    if (tft_model_load(weights, files.weights_size, files.spec, files.spec_size, NULL, &network,
                       &err) != FW_OK)
        fail_msg("%s", err.text);
    return network;
}

/* The target's scale is 1: answers are places in the blend's band. */
static void ladders_of_ten_thousand_windows(void **state)
{
    struct batch b;
    (void)state;
    batch_init(&b);
    fill(&b);
    struct tft_model *network = open_shipped();
    const struct tft_input in = input_of(&b);
    const struct tft_output out = {.prediction = b.plain};
    assert_int_equal(tft_forward_parallel(network, &in, &out, 2, NULL), FW_OK);
    for (int set = 0; set < TFT_SETS; set++) {
        const struct tft_tiles *tiles = tft_tiles_of((enum tft_set)set);
        struct tft_plan *plan;
        double worst = 0.0;
        if (tiles == NULL)
            continue;
        assert_int_equal(tft_compile_with(network, tiles, &plan, NULL), FW_OK);
        assert_int_equal(tft_plan_run_parallel(plan, &in, 2, b.compiled, NULL), FW_OK);
        for (size_t i = 0; i < b.n * ANSWERS; i++) {
            CHECK_TRUE("an answer", isfinite(b.plain[i]));
            worst = fmax(worst, fabs((double)b.plain[i] - (double)b.compiled[i]));
        }
        check_floats(tiles->name, b.compiled, b.plain, b.n * ANSWERS, 1.0, TFT_PLAN_TOLERANCE);
        print_message("  %s kernels, %zu ladders: %.2e of the band\n", tiles->name, b.n, worst);
        tft_plan_free(plan);
    }
    tft_model_close(network);
    batch_fini(&b);
}

/* ---- a plan that is refused ---- */

static void run_ladders(const struct forecast_model *model, const struct batch *b, float *out)
{
    static const struct series_map plain = {.scale = SERIES_PLAIN};
    static struct ladder ladder;
    const size_t bytes = forecast_model_ladder_scratch_bytes(model, 1);
    void *scratch = need(fw_alloc_aligned(bytes, 1));
    const struct ladder *ladders[1] = {&ladder};
    const struct series_map *maps[1] = {&plain};
    memset(&ladder, 0, sizeof ladder);
    for (size_t i = 0; i < LADDER_FIXED_INPUTS; i++)
        ladder.fixed[i] = b->history[i];
    for (size_t h = 0; h < FORECAST_HORIZON; h++)
        ladder.below[h] = ladder.above[h] = 1.0f;
    forecast_model_run_ladders(model, 1, ladders, maps, arena_over(scratch, bytes), out);
    fw_free(scratch);
}

/* What the plain path reads is changed behind the compiler's back, by ten tolerances. */
static void a_refused_plan_leaves_the_plain_path(void **state)
{
    enum { OUT = 3 * FORECAST_HORIZON };
    static float refused[OUT], plain[OUT], shipped[OUT];
    struct forecast_model *models[3];
    struct schema schema;
    struct batch b;
    (void)state;
    schema_default(&schema);
    batch_init(&b);
    assert_int_equal(forecast_shipped_open(&schema, STEP_S, &models[2], NULL), FW_OK);
    for (size_t i = 0; i < 2; i++) {
        struct tft_model *network = open_shipped();
        network->packed[network->net->output.bias + 1] += 10.0f * (float)TFT_PLAN_TOLERANCE;
        assert_int_equal(
            forecast_model_adopt(network, "changed", &schema, STEP_S, &models[i], NULL), FW_OK);
    }
    forecast_model_use_plain(models[1]);
    const char *reason = forecast_model_info(models[0]).plain_reason;
    assert_null(forecast_model_info(models[2]).plain_reason);
    assert_non_null(reason);
    assert_non_null(strstr(reason, "differs from the plain one by 0.00"));
    b.history[0] = 0.5f;
    run_ladders(models[0], &b, refused);
    run_ladders(models[1], &b, plain);
    run_ladders(models[2], &b, shipped);
    /* Its numbers are the plain path's, to the bit, and hold the change. */
    assert_memory_equal(refused, plain, sizeof plain);
    for (size_t h = 0; h < FORECAST_HORIZON; h++)
        CHECK_NEAR("the change", refused[FORECAST_HORIZON + h] - shipped[FORECAST_HORIZON + h],
                   1e-3, 2e-4);
    for (size_t i = 0; i < COUNT_OF(models); i++)
        forecast_model_release(models[i]);
    batch_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ladders_of_ten_thousand_windows),
        cmocka_unit_test(a_refused_plan_leaves_the_plain_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
