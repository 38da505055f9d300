/* What the network of forewarn's own form sees: places in the band and back, rungs, inputs that
 * stay in their bounds whatever the series, and a network that says -1, 0, 1 repeating the blend.
 */
#include "base/alloc.h"
#include "base/rng.h"
#include "forecast/ladder.h"
#include "support.h"

#include <stdlib.h>

enum { STEP_S = 300, STEPS = 2000, WINDOW = 864, SCRATCH = 1 << 20 };

static struct schema schema;
static void *memory;
static float values[STEPS];
static struct track track;
static struct track_words words;
static struct ladder ladder;

static int set_up(void **state)
{
    (void)state;
    schema_default(&schema);
    memory = fw_alloc_aligned(SCRATCH, 1);
    return memory == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    fw_free(memory);
    return 0;
}

/* Builds the ladder at the end of the values. */
static void build(void)
{
    for (size_t newest = WINDOW - 1; newest < STEPS; newest += 71) {
        const struct series series = {values + newest + 1 - WINDOW, WINDOW, STEP_S,
                                      &schema.metrics[METRIC_CPU_USER]};
        struct arena arena = arena_over(memory, SCRATCH);
        struct track_view view;
        if (newest == WINDOW - 1)
            track_init(&track, &series, 0);
        track_view(&track, &series, 6000000 + (int64_t)newest, &arena, &view);
        track_learn(&track, &view);
        track_speak(&track, &view, &words);
        ladder_build(&track, &view, &words, &ladder);
    }
}

static void rungs_cover_a_day_and_the_horizon(void **state)
{
    (void)state;
    int past = 0, ahead = 0;
    for (size_t r = 0; r < LADDER_PAST; r++)
        past += ladder_past[r];
    CHECK_EQ("a day", past, 288);
    for (size_t r = 0; r < LADDER_AHEAD; r++)
        for (int i = 0; i < ladder_ahead[r]; i++, ahead++)
            CHECK_EQ("rung", ladder_rung((size_t)ahead), r);
    CHECK_EQ("horizon", ahead, FORECAST_HORIZON);
}

static void inputs_stay_in_their_bounds(void **state)
{
    (void)state;
    struct fw_rng rng;
    fw_rng_init(&rng, 21);
    for (int round = 0; round < 200; round++) {
        const uint64_t kind = fw_rng_below(&rng, 5);
        const double size = pow(10.0, (double)fw_rng_below(&rng, 7) - 3.0);
        for (size_t t = 0; t < STEPS; t++) {
            double v = size * (kind == 0 ? 1.0 : fabs(fw_rng_normal(&rng)));
            if (kind == 1)
                v = fw_rng_below(&rng, 100) == 0 ? 1e6 * v : 0.0;
            if (kind == 2)
                v += size * 10.0 * (1.0 + sin((double)t / 40.0));
            values[t] = kind == 3 && fw_rng_below(&rng, 10) < 9 ? NAN : (float)fmin(v, 100.0);
        }
        values[STEPS - WINDOW] = values[WINDOW - 1] = values[STEPS - 1] = 1.0f;
        for (size_t t = 0; t < STEPS; t += 500)
            values[t] = 2.0f;
        build();
        const float *all = ladder.fixed;
        for (size_t i = 0; i < LADDER_FIXED_INPUTS; i++)
            CHECK_TRUE("fixed", fabsf(all[i]) <= 8.0f);
        for (size_t r = 0; r < LADDER_PAST; r++)
            for (size_t i = 0; i < LADDER_PAST_INPUTS; i++)
                CHECK_TRUE("past", fabsf(ladder.past[r][i]) <= 8.0f);
        for (size_t r = 0; r < LADDER_AHEAD; r++)
            for (size_t i = 0; i < LADDER_AHEAD_INPUTS; i++)
                CHECK_TRUE("ahead", fabsf(ladder.ahead[r][i]) <= 8.0f);
        for (size_t h = 0; h < FORECAST_HORIZON; h++)
            CHECK_TRUE("band", ladder.below[h] > 0.0f && ladder.above[h] > 0.0f);
    }
}

static void make_daily(void)
{
    struct fw_rng rng;
    fw_rng_init(&rng, 22);
    for (size_t t = 0; t < STEPS; t++)
        values[t] =
            (float)(50.0 + 20.0 * sin(6.2831853 * (double)t / 288.0) + 2.0 * fw_rng_normal(&rng));
}

static void places_go_there_and_back(void **state)
{
    (void)state;
    make_daily();
    build();
    for (size_t h = 0; h < FORECAST_HORIZON; h += 5) {
        CHECK_NEAR("median", ladder_place(&ladder, h, words.blend[1][h]), 0.0, 1e-5);
        CHECK_NEAR("p10", ladder_place(&ladder, h, words.blend[0][h]), -1.0, 1e-4);
        CHECK_NEAR("p90", ladder_place(&ladder, h, words.blend[2][h]), 1.0, 1e-4);
        for (float place = -3.0f; place < 3.0f; place += 0.7f)
            CHECK_NEAR("back", ladder_place(&ladder, h, ladder_mapped(&ladder, h, place)), place,
                       1e-3);
        CHECK_NEAR("far", ladder_place(&ladder, h, 1e9f), 20.0, 0.0);
    }
}

static void the_neutral_answer_is_the_blend(void **state)
{
    (void)state;
    float answer[LADDER_AHEAD * LADDER_QUANTILES], quantiles[3 * FORECAST_HORIZON];
    make_daily();
    build();
    for (size_t i = 0; i < COUNT_OF(answer); i++)
        answer[i] = (float)(i % 3) - 1.0f;
    ladder_quantiles(&ladder, &track.map, answer, quantiles);
    for (size_t q = 0; q < 3; q++)
        for (size_t h = 0; h < FORECAST_HORIZON; h++)
            CHECK_NEAR("the blend", quantiles[q * FORECAST_HORIZON + h],
                       series_back(&track.map, (double)words.blend[q][h]), 1e-3);
    answer[5] = NAN;
    ladder_quantiles(&ladder, &track.map, answer, quantiles);
    CHECK_TRUE("no number, no opinion", isnan(quantiles[0]) && isnan(quantiles[287]));
}

static void names_are_all_different(void **state)
{
    (void)state;
    char names[LADDER_INPUTS][LADDER_NAME_SIZE];
    for (size_t i = 0; i < LADDER_INPUTS; i++) {
        ladder_input_name(i, names[i]);
        for (size_t j = 0; j < i; j++)
            CHECK_TRUE(names[i], strcmp(names[i], names[j]) != 0);
    }
    CHECK_STR("first", names[0], "fixed_0");
    CHECK_STR("last", names[LADDER_INPUTS - 1], "ahead_16");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rungs_cover_a_day_and_the_horizon),
        cmocka_unit_test(inputs_stay_in_their_bounds),
        cmocka_unit_test(places_go_there_and_back),
        cmocka_unit_test(the_neutral_answer_is_the_blend),
        cmocka_unit_test(names_are_all_different),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
