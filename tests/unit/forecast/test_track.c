/* What is remembered of a metric: the book of days, experts that do not see the future, a blend
 * that learns which of them to believe, a band that is as wide as it must be, and stored bytes that
 * are looked at before they are believed. */
#include "base/alloc.h"
#include "base/rng.h"
#include "forecast/combine.h"
#include "forecast/track_internal.h"
#include "support.h"

#include <stdlib.h>

enum { STEP_S = 300, DAY = 288, DAYS = 24, STEPS = DAYS * DAY, WINDOW = 864, SCRATCH = 1 << 20 };
#define FIRST_STEP (INT64_C(1800000000) / STEP_S / DAY * DAY) /* a midnight */

static struct schema schema;
static void *memory;
static float values[STEPS];

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

static const struct schema_metric *metric(void)
{
    return &schema.metrics[METRIC_CPU_USER];
}

static struct series window_to(size_t newest)
{
    const size_t from = newest + 1 > WINDOW ? newest + 1 - WINDOW : 0;
    return (struct series){values + from, newest + 1 - from, STEP_S, metric()};
}

/* One run at a step: learn, speak, remember; the path is admitted as in the product. */
static void run_at(struct track *track, size_t newest, const float *model,
                   struct forecast_path *path, struct track_words *words)
{
    struct arena arena = arena_over(memory, SCRATCH);
    const struct series series = window_to(newest);
    const int64_t step = FIRST_STEP + (int64_t)newest;
    float quantiles[3 * FORECAST_HORIZON];
    struct track_view view;
    track_view(track, &series, step, &arena, &view);
    track_learn(track, &view);
    track_speak(track, &view, words);
    track_finish(track, words, model, quantiles);
    const struct forecast_candidate candidate = {.method = FORECAST_BLEND, .quantiles = quantiles};
    forecast_combine(&candidate, 1, metric(), path);
    track_remember(track, step, words, path->p10, model);
}

static bool kept(size_t step)
{
    return (FIRST_STEP + (int64_t)step) % FORECAST_KEPT_STEPS == 0;
}

/* The first step after a window whose forecasts are kept. */
static size_t first_kept(void)
{
    size_t step = WINDOW;
    while (!kept(step))
        step++;
    return step;
}

static void begin(struct track *track)
{
    const struct series series = window_to(WINDOW - 1);
    track_init(track, &series, 5);
}

/* ---- the book ---- */

static void a_book_keeps_fourteen_days(void **state)
{
    (void)state;
    struct daybook book;
    daybook_init(&book, STEP_S, 50.0f, 1.0f);
    assert_int_equal(book.per_day, 48);
    float q[3];
    daybook_quantiles(&book, (struct daybook_place){1000, 0.5f}, q);
    assert_true(isnan(q[0]) && isnan(daybook_at(&book, 1000)));
    for (int64_t bin = 1000; bin < 2000; bin++)
        if (bin % 5 != 0)
            daybook_put(&book, bin, (float)(bin % 48));
    for (int64_t bin = 1000; bin < 2100; bin++) {
        const float value = daybook_at(&book, bin);
        if (bin >= 2000 || bin < 2000 - 48 * 14 || bin % 5 == 0)
            CHECK_TRUE("not there", isnan(value));
        else
            CHECK_NEAR("there", value, (double)(bin % 48), 0.03);
    }
    /* Bins 20 to 22 of the day are behind the quantiles of 21. */
    daybook_quantiles(&book, (struct daybook_place){2000 / 48 * 48 + 21, 0.0f}, q);
    CHECK_NEAR("p10", q[0], 20.0, 0.1);
    CHECK_NEAR("p50", q[1], 21.0, 0.6);
    CHECK_NEAR("p90", q[2], 22.0, 0.1);
    daybook_put(&book, 4000, 7.0f); /* long after */
    assert_int_equal(book.filled, 1);
    CHECK_TRUE("forgotten", isnan(daybook_at(&book, 1999)));
    CHECK_NEAR("new", daybook_at(&book, 4000), 7.0, 0.05);
}

/* Steps of an hour look ahead over days: more bins than a day has, from midnight on as well. */
static void a_climate_goes_on_over_days(void **state)
{
    (void)state;
    enum { BINS = 100, PER_DAY = 24 };
    static struct daybook book;
    static float rows[3][BINS];
    float *const out[3] = {rows[0], rows[1], rows[2]};
    daybook_init(&book, 3600, 50.0f, 1.0f);
    for (int64_t bin = 2400; bin < 2400 + 10 * PER_DAY; bin++)
        daybook_put(&book, bin, (float)(bin % PER_DAY));
    for (int64_t first = 2640; first < 2640 + PER_DAY; first++) {
        daybook_climates(&book, first, BINS, out);
        for (int64_t i = 0; i < BINS; i++) {
            float one[3];
            daybook_climate(&book, first + i, one);
            for (size_t q = 0; q < 3; q++)
                CHECK_NEAR("as asked one by one", rows[q][i], (double)one[q], 0.0);
        }
    }
}

static void places_lie_between_middles(void **state)
{
    (void)state;
    /* Half hours of six steps: the middle lies between the third and the fourth. */
    const struct daybook_place third = daybook_place(STEP_S, 2), fourth = daybook_place(STEP_S, 3);
    assert_int_equal(third.bin, -1);
    CHECK_NEAR("just before", third.part, 1.0 - 1.0 / 12, 1e-6);
    assert_int_equal(fourth.bin, 0);
    CHECK_NEAR("just after", fourth.part, 1.0 / 12, 1e-6);
    assert_int_equal(daybook_bin_s(STEP_S), 1800);
    assert_int_equal(daybook_bin_s(3600), 3600);
}

/* ---- experts ---- */

static void make_daily(double noise, uint64_t seed)
{
    struct fw_rng rng;
    fw_rng_init(&rng, seed);
    double wander = 0.0;
    for (size_t t = 0; t < STEPS; t++) {
        wander = 0.98 * wander + noise * 0.2 * fw_rng_normal(&rng);
        const double day = 12.0 * sin(6.2831853 * (double)t / DAY);
        values[t] = (float)(40.0 + day + wander + noise * fw_rng_normal(&rng));
        if (fw_rng_below(&rng, 50) == 0)
            values[t] = NAN;
    }
}

/* Everything behind the origin is replaced: no expert may notice. */
static void experts_do_not_see_the_future(void **state)
{
    (void)state;
    static struct expert_parts before, after;
    make_daily(2.0, 1);
    struct track track;
    struct track_words words;
    struct forecast_path path;
    begin(&track);
    for (size_t t = WINDOW; t < STEPS - 400; t += 6)
        run_at(&track, t, NULL, &path, &words);
    for (int round = 0; round < 2; round++) {
        struct arena arena = arena_over(memory, SCRATCH);
        const size_t newest = STEPS - 1;
        const struct series series = window_to(newest);
        struct track_view view;
        const int64_t origin = WINDOW - 1 - 399;
        if (round == 1)
            for (size_t t = STEPS - 399; t < STEPS; t++)
                values[t] = t % 3 == 0 ? NAN : 99.0f;
        track_view(&track, &series, FIRST_STEP + (int64_t)newest, &arena, &view);
        memset(round == 0 ? &before : &after, 0, sizeof before);
        expert_parts(&view.expert, origin, 1, FORECAST_HORIZON, round == 0 ? &before : &after);
    }
    assert_memory_equal(&before, &after, sizeof before);
}

static void one_horizon_is_a_row_of_all(void **state)
{
    (void)state;
    static struct expert_parts all, one;
    make_daily(2.0, 2);
    struct track track;
    struct track_words words;
    struct forecast_path path;
    struct track_view view;
    begin(&track);
    run_at(&track, 2000, NULL, &path, &words);
    struct arena arena = arena_over(memory, SCRATCH);
    const struct series series = window_to(2000);
    track_view(&track, &series, FIRST_STEP + 2000, &arena, &view);
    expert_parts(&view.expert, 700, 1, FORECAST_HORIZON, &all);
    for (int h = 1; h <= FORECAST_HORIZON; h++) {
        expert_parts(&view.expert, 700, h, h, &one);
        for (size_t e = 0; e < EXPERT_POINTS; e++) {
            check_floats(expert_name((enum expert)e), &one.base[e][0], &all.base[e][h - 1], 1, 1.0,
                         1e-5);
            check_floats(expert_name((enum expert)e), &one.signal[e][0], &all.signal[e][h - 1], 1,
                         1.0, 1e-5);
        }
        for (size_t f = 0; f < RIDGE_FEATURES; f++)
            check_floats("features", one.feature[f], &all.feature[f][h - 1], 1, 1.0, 1e-5);
        for (size_t q = 0; q < 3; q++)
            check_floats("climate", one.climate[q], &all.climate[q][h - 1], 1, 1.0, 1e-5);
    }
}

/* ---- learning ---- */

struct tally {
    double ours, naive;
    size_t n, inside;
};

/* Runs over the values; errors are counted from `from` on. */
static struct tally replay(struct track *track, size_t from, const float *model)
{
    struct tally tally = {0};
    struct track_words words;
    struct forecast_path path;
    begin(track);
    for (size_t t = first_kept(); t + FORECAST_HORIZON < STEPS; t += FORECAST_KEPT_STEPS) {
        run_at(track, t, model, &path, &words);
        size_t last = t;
        while (isnan(values[last]))
            last--;
        for (size_t h = 0; t >= from && h < FORECAST_HORIZON; h++) {
            const float seen = values[t + 1 + h];
            if (isnan(seen))
                continue;
            tally.n++;
            tally.inside += seen >= path.p10[h] && seen <= path.p90[h];
            tally.ours += fabs((double)(seen - path.p50[h]));
            tally.naive += fabs((double)(seen - values[last]));
        }
    }
    return tally;
}

static void it_learns_a_day_and_how_sure_it_is(void **state)
{
    (void)state;
    static struct track track;
    make_daily(2.0, 3);
    const struct tally tally = replay(&track, 10 * DAY, NULL);
    CHECK_TRUE("a third of the newest value's error", tally.ours < 0.33 * tally.naive);
    CHECK_NEAR("coverage", (double)tally.inside / (double)tally.n, 0.8, 0.04);
    /* What it says of itself is what happened. */
    double inside = 0.0, count = 0.0;
    for (size_t b = 0; b < TRACK_BLOCKS; b++) {
        inside += (double)track.score[b].inside;
        count += (double)track.score[b].count;
        CHECK_TRUE("better than the newest value",
                   track.score[b].issued[1] < track.score[b].persistence[1]);
    }
    CHECK_NEAR("coverage it tells", inside / count, 0.8, 0.05);
}

static double shares(const struct track *track, size_t block, struct forecast_quality *quality)
{
    struct forecast_quality all[TRACK_BLOCKS] = {0};
    double sum = 0.0;
    track_report(track, all);
    *quality = all[block];
    for (size_t v = 0; v < FORECAST_VOICES; v++)
        sum += quality->weight[v];
    return sum;
}

/* In the first week there is no week before, so nothing may be said to come from it. */
static void who_has_not_spoken_has_no_share(void **state)
{
    (void)state;
    static struct track track;
    struct forecast_quality quality;
    struct track_words words;
    struct forecast_path path;
    make_daily(2.0, 3);
    begin(&track);
    for (size_t b = 0; b < TRACK_BLOCKS; b++)
        CHECK_NEAR("before the first", shares(&track, b, &quality), 1.0, 1e-5);
    for (size_t t = first_kept(); t < WINDOW + 2 * DAY; t += FORECAST_KEPT_STEPS)
        run_at(&track, t, NULL, &path, &words);
    for (size_t b = 0; b < TRACK_BLOCKS; b++) {
        CHECK_NEAR("shares", shares(&track, b, &quality), 1.0, 1e-5);
        CHECK_NEAR("no week before", quality.weight[EXPERT_WEEK], 0.0, 0.0);
        CHECK_TRUE("a day before", quality.weight[EXPERT_DAY] > 0.0);
    }
    replay(&track, STEPS, NULL);
    for (size_t b = 0; b < TRACK_BLOCKS; b++) {
        CHECK_NEAR("shares later", shares(&track, b, &quality), 1.0, 1e-5);
        CHECK_TRUE("a week before, then", quality.weight[EXPERT_WEEK] > 0.0);
    }
}

/* A level that wanders without a day: nobody beats the newest value, and it knows. */
static void it_learns_that_there_is_no_day(void **state)
{
    (void)state;
    static struct track track;
    struct fw_rng rng;
    fw_rng_init(&rng, 4);
    double level = 50.0;
    for (size_t t = 0; t < STEPS; t++) {
        level += 0.3 * fw_rng_normal(&rng) - 0.002 * (level - 50.0);
        values[t] = (float)level;
    }
    const struct tally tally = replay(&track, 10 * DAY, NULL);
    CHECK_NEAR("hardly worse than the newest value", tally.ours / tally.naive, 1.0, 0.08);
    CHECK_NEAR("coverage", (double)tally.inside / (double)tally.n, 0.8, 0.07);
}

static void a_model_is_believed_when_it_was_right(void **state)
{
    (void)state;
    static struct track track;
    make_daily(2.0, 5);
    static float model[3 * FORECAST_HORIZON];
    for (size_t i = 0; i < COUNT_OF(model); i++)
        model[i] = 40.0f; /* knows no day */
    (void)replay(&track, STEPS, model);
    CHECK_TRUE("a bad model has no say", track_model_share(&track) < 0.02f);
    /* The truth's own quantiles: what no forecaster can beat. */
    begin(&track);
    CHECK_NEAR("unknown: a third", track_model_share(&track), 1.0 / 3.0, 1e-5);
    struct track_words words;
    struct forecast_path path;
    for (size_t t = first_kept(); t + FORECAST_HORIZON < STEPS; t += FORECAST_KEPT_STEPS) {
        for (size_t h = 0; h < FORECAST_HORIZON; h++) {
            const float seen = values[t + 1 + h], truth = isnan(seen) ? 40.0f : seen;
            for (size_t q = 0; q < 3; q++)
                model[q * FORECAST_HORIZON + h] = truth + 0.1f * ((float)q - 1.0f);
        }
        run_at(&track, t, model, &path, &words);
    }
    CHECK_TRUE("a good one has the say", track_model_share(&track) > 0.9f);
}

/* ---- what is not smooth ---- */

/* A job that takes one step of a day, whichever: means of days and of half hours blunt it. */
static void a_daily_job_is_foreseen(void **state)
{
    (void)state;
    static struct track track;
    struct track_words words;
    struct forecast_path path;
    for (size_t job = 130; job < 134; job++) {
        make_daily(1.0, 20 + job);
        for (size_t t = 0; t < STEPS; t++)
            if (t % DAY == job)
                values[t] = 95.0f;
        begin(&track);
        const size_t last = 20 * DAY + job - 40;
        for (size_t t = WINDOW; t <= last; t++)
            if (kept(t) || t == last)
                run_at(&track, t, NULL, &path, &words);
        CHECK_TRUE("it may run", path.p90[39] > 80.0f);
        CHECK_TRUE("not before", path.p90[37] < 70.0f);
        CHECK_TRUE("not after", path.p90[41] < 70.0f);
    }
}

/* At 50 but for an excursion now and then, whenever. */
static void make_constant_but_for(size_t one_in, uint64_t seed)
{
    struct fw_rng rng;
    fw_rng_init(&rng, seed);
    for (size_t t = 0; t < STEPS; t++)
        values[t] =
            fw_rng_below(&rng, one_in) == 0 ? (float)(50.0 + 30.0 * fw_rng_uniform(&rng)) : 50.0f;
}

static void what_rests_is_held_where_it_rests(void **state)
{
    (void)state;
    static struct track track;
    struct track_words words;
    struct forecast_path path;
    size_t exact = 0, asked = 0, away = 0, moved = 0;
    make_constant_but_for(60, 30);
    begin(&track);
    for (size_t t = WINDOW; t < STEPS; t++) {
        if (!kept(t) && t % 5 != 0)
            continue;
        run_at(&track, t, NULL, &path, &words);
        if (t < 14 * DAY)
            continue;
        const bool rests = values[t] == 50.0f;
        bool all = true;
        for (size_t h = 0; h < FORECAST_HORIZON; h++)
            all = all && path.p10[h] == path.p10[0] && path.p50[h] == path.p10[0];
        asked += rests ? 1 : 0;
        exact += rests && all && fabsf(path.p50[0] - 50.0f) < 1e-4f ? 1 : 0;
        away += rests ? 0 : 1;
        moved += !rests && !words.at_mode ? 1 : 0;
    }
    CHECK_TRUE("asked often", asked > 500 && away > 5);
    CHECK_TRUE("held at it", exact > asked * 9 / 10);
    CHECK_EQ("free away from it", moved, away);
}

static void a_constant_that_wakes_up_begins_again(void **state)
{
    (void)state;
    static struct track track;
    for (size_t t = 0; t < STEPS; t++)
        values[t] = t < 2000 ? 0.0f : (float)(t % 7);
    begin(&track);
    const struct series asleep = window_to(1999), awake = window_to(2003);
    CHECK_TRUE("asleep", !track_outgrown(&track, &asleep));
    CHECK_TRUE("awake", track_outgrown(&track, &awake));
    track_init(&track, &awake, 5);
    CHECK_TRUE("once", !track_outgrown(&track, &awake));
    assert_int_equal(track.map.scale, SERIES_LOG);
    for (size_t t = 0; t < STEPS; t++)
        values[t] = t < 2000 ? 40.0f : 41.0f;
    begin(&track);
    const struct series elsewhere = window_to(2003);
    CHECK_TRUE("a constant that is no bound fits as it is", !track_outgrown(&track, &elsewhere));
}

static void holes_and_constants_are_survived(void **state)
{
    (void)state;
    static struct track track;
    struct track_words words;
    struct forecast_path path;
    static const float constants[] = {0.0f, 100.0f, 37.5f};
    for (size_t c = 0; c < COUNT_OF(constants); c++) {
        for (size_t t = 0; t < STEPS; t++)
            values[t] = t % 1000 < 700 ? constants[c] : NAN;
        begin(&track);
        for (size_t t = WINDOW; t < STEPS; t += 36) {
            run_at(&track, t, NULL, &path, &words);
            for (size_t h = 0; h < FORECAST_HORIZON; h++)
                CHECK_NEAR("a constant", path.p50[h], constants[c], 0.05f + 1e-3f * constants[c]);
        }
        CHECK_TRUE("sane", track_sane(&track, STEP_S));
    }
}

/* A daemon that was away for half a day finds about what it would have known. */
static void what_was_missed_is_learned_late(void **state)
{
    (void)state;
    static struct track always, late;
    struct track_words words;
    struct forecast_path path, other;
    make_daily(2.0, 6);
    begin(&always);
    for (size_t t = WINDOW; t < 3000; t += 6)
        run_at(&always, t, NULL, &path, &words);
    late = always;
    for (size_t t = 3000; t < 3144; t += 6)
        run_at(&always, t, NULL, &path, &words);
    run_at(&always, 3144, NULL, &path, &words);
    run_at(&late, 3144, NULL, &other, &words);
    assert_int_equal(always.learned, late.learned);
    assert_int_equal(always.book.newest, late.book.newest);
    for (size_t h = 0; h < FORECAST_HORIZON; h++)
        CHECK_NEAR("p50", other.p50[h], path.p50[h], 1.0);
}

/* Runs are made inside a step, too: what its first sample looked like must not be learned. */
static void an_open_step_teaches_nothing(void **state)
{
    (void)state;
    static struct track early, whole;
    struct track_words words;
    struct forecast_path path;
    make_daily(2.0, 10);
    begin(&early);
    for (size_t t = WINDOW; t <= 3000; t++)
        if (kept(t) || t == 3000)
            run_at(&early, t, NULL, &path, &words);
    whole = early;
    for (size_t t = 3001; t < 3060; t++) {
        const float value = values[t];
        if (kept(t))
            continue; /* its forecast is kept, and is another one */
        values[t] = 99.0f;
        run_at(&early, t, NULL, &path, &words);
        values[t] = value;
        if (kept(t + 1) || t == 3059) {
            run_at(&early, t, NULL, &path, &words);
            run_at(&whole, t, NULL, &path, &words);
        }
    }
    assert_memory_equal(&early, &whole, sizeof early);
}

static void stored_bytes_are_looked_at(void **state)
{
    (void)state;
    static struct track track, copy;
    make_daily(2.0, 8);
    (void)replay(&track, STEPS, NULL);
    assert_true(track_sane(&track, STEP_S));
    assert_false(track_sane(&track, 3600));
    struct fw_rng rng;
    fw_rng_init(&rng, 9);
    size_t refused = 0;
    for (int round = 0; round < 4000; round++) {
        struct track_words words;
        struct forecast_path path;
        copy = track;
        for (int k = 0; k < 4; k++)
            ((unsigned char *)&copy)[fw_rng_below(&rng, sizeof copy)] =
                (unsigned char)fw_rng_below(&rng, 256);
        if (!track_sane(&copy, STEP_S)) {
            refused++;
            continue;
        }
        run_at(&copy, STEPS - 1, NULL, &path, &words); /* whatever it says, it says it safely */
        for (size_t h = 0; h < FORECAST_HORIZON; h++)
            CHECK_TRUE("finite", isfinite(path.p10[h]) && path.p10[h] <= path.p90[h]);
    }
    CHECK_TRUE("some were refused", refused > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_book_keeps_fourteen_days),
        cmocka_unit_test(a_climate_goes_on_over_days),
        cmocka_unit_test(places_lie_between_middles),
        cmocka_unit_test(experts_do_not_see_the_future),
        cmocka_unit_test(one_horizon_is_a_row_of_all),
        cmocka_unit_test(it_learns_a_day_and_how_sure_it_is),
        cmocka_unit_test(who_has_not_spoken_has_no_share),
        cmocka_unit_test(it_learns_that_there_is_no_day),
        cmocka_unit_test(a_model_is_believed_when_it_was_right),
        cmocka_unit_test(a_daily_job_is_foreseen),
        cmocka_unit_test(what_rests_is_held_where_it_rests),
        cmocka_unit_test(a_constant_that_wakes_up_begins_again),
        cmocka_unit_test(holes_and_constants_are_survived),
        cmocka_unit_test(what_was_missed_is_learned_late),
        cmocka_unit_test(an_open_step_teaches_nothing),
        cmocka_unit_test(stored_bytes_are_looked_at),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
