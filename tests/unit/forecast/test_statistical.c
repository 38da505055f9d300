/* The statistical forecasters: properties over random windows, and the shapes they must see. */
#include "base/alloc.h"
#include "base/rng.h"
#include "forecast/combine.h"
#include "forecast/statistical.h"
#include "forecast/study.h"
#include "support.h"

enum { STEPS_MAX = 1200, DAY = 288, SCRATCH = 1 << 20 };

static struct schema schema;
static void *memory;

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

static void forecast(const float *values, size_t steps, uint32_t step_s,
                     const struct schema_metric *metric, struct forecast_path *path)
{
    const struct series series = {
        .values = values, .steps = steps, .step_s = step_s, .metric = metric};
    struct statistical_study study;
    float quantiles[3 * FORECAST_HORIZON];
    const struct arena arena = arena_over(memory, SCRATCH);
    assert_true(statistical_scratch_bytes(steps) <= SCRATCH);
    statistical_study(&series, arena, &study);
    const enum forecast_method method = statistical_forecast(&series, &study, arena, quantiles);
    const struct forecast_candidate candidate = {.method = method,
                                                 .reason = FORECAST_NO_MODEL,
                                                 .quantiles = quantiles,
                                                 .pinball = study.loss[study.chosen],
                                                 .coverage = study.coverage[study.chosen],
                                                 .scored = study.scored[study.chosen]};
    memset(path, 0, sizeof *path);
    for (size_t t = 0; t < steps; t++)
        path->current = isnan(values[t]) ? path->current : values[t];
    forecast_combine(&candidate, 1, metric, path);
}

static void check_path(const char *name, const struct schema_metric *metric,
                       const struct forecast_path *path)
{
    for (size_t i = 0; i < FORECAST_HORIZON; i++) {
        const float q[3] = {path->p10[i], path->p50[i], path->p90[i]};
        for (size_t k = 0; k < 3; k++)
            if (!isfinite(q[k]) || (double)q[k] < metric->min || (double)q[k] > metric->max ||
                (k > 0 && q[k] < q[k - 1]))
                fail_msg("%s, %s: step %zu is %g / %g / %g", name, metric->name, i, (double)q[0],
                         (double)q[1], (double)q[2]);
    }
    CHECK_TRUE(name, isfinite(path->trend));
    CHECK_TRUE(name, isnan(path->coverage) || (path->coverage >= 0.0f && path->coverage <= 1.0f));
    CHECK_TRUE(name, isnan(path->pinball) || path->pinball >= 0.0f);
}

/* Windows of every kind of trouble: the kind is drawn, so is its size. */
static size_t random_window(struct fw_rng *rng, const struct schema_metric *metric, float *values)
{
    const size_t steps =
        fw_rng_below(rng, 4) == 0 ? 1 + fw_rng_below(rng, 40) : 1 + fw_rng_below(rng, STEPS_MAX);
    const double low = isfinite(metric->min) ? metric->min : -100.0;
    const double span =
        isfinite(metric->max) ? metric->max - low : pow(10.0, 6.0 * fw_rng_uniform(rng) - 1.0);
    const uint64_t kind = fw_rng_below(rng, 7), holes = fw_rng_below(rng, 3);
    double level = fw_rng_uniform(rng);
    for (size_t t = 0; t < steps; t++) {
        double v = level;
        switch (kind) {
        case 0: /* constant */
            break;
        case 1: /* noise */
            v = fw_rng_uniform(rng);
            break;
        case 2: /* random walk */
            v = level += 0.02 * fw_rng_normal(rng);
            break;
        case 3: /* bursts out of zero */
            v = fw_rng_below(rng, 30) == 0 ? fw_rng_uniform(rng) : 0.0;
            break;
        case 4: /* a day's swing */
            v = 0.5 + 0.4 * sin(6.2831853 * (double)t / DAY) + 0.02 * fw_rng_normal(rng);
            break;
        case 5: /* a counter that resets */
            v = level = fw_rng_below(rng, 200) == 0 ? 0.0 : level + 0.003;
            break;
        default: /* extremes */
            v = (double)fw_rng_below(rng, 2);
        }
        v = low + span * fmin(fmax(v, 0.0), 1.0);
        values[t] = (float)(metric->integer ? nearbyint(v) : v);
        if (holes > 0 && fw_rng_below(rng, 10) < 4 * holes)
            values[t] = NAN;
    }
    if (fw_rng_below(rng, 10) == 0)
        for (size_t t = steps / 3; t < steps; t++)
            values[t] = NAN; /* silent since */
    size_t seen = 0;
    for (size_t t = 0; t < steps; t++)
        seen += isnan(values[t]) ? 0 : 1;
    if (seen == 0)
        values[fw_rng_below(rng, steps)] = (float)(low + 0.25 * span);
    return steps;
}

static void random_windows_give_sound_paths(void **state)
{
    (void)state;
    static const uint32_t step_s[] = {300, 300, 60, 1, 3600};
    struct schema_metric signed_metric = {.name = "balance",
                                          .min = -(double)INFINITY,
                                          .max = (double)INFINITY,
                                          .worse = METRIC_WORSE_NONE};
    struct fw_rng rng;
    fw_rng_init(&rng, 7);
    for (int round = 0; round < 6000; round++) {
        float values[STEPS_MAX];
        struct forecast_path path, again;
        const uint64_t m = fw_rng_below(&rng, schema.count + 1);
        const struct schema_metric *metric =
            m == schema.count ? &signed_metric : &schema.metrics[m];
        const size_t steps = random_window(&rng, metric, values);
        const uint32_t step = step_s[fw_rng_below(&rng, COUNT_OF(step_s))];
        char name[64];
        snprintf(name, sizeof name, "round %d, %zu steps of %u s", round, steps, step);
        forecast(values, steps, step, metric, &path);
        check_path(name, metric, &path);
        if (round % 10 == 0) {
            forecast(values, steps, step, metric, &again);
            assert_memory_equal(&path, &again, sizeof path);
        }
    }
}

static float one_value[1];

static void one_sample_has_an_honest_band(void **state)
{
    (void)state;
    for (size_t m = 0; m < schema.count; m++) {
        const struct schema_metric *metric = &schema.metrics[m];
        struct forecast_path path;
        one_value[0] = isfinite(metric->max) ? (float)(0.4 * metric->max) : 7.0f;
        forecast(one_value, 1, 300, metric, &path);
        check_path("one sample", metric, &path);
        CHECK_EQ(metric->name, path.method, FORECAST_PERSISTENCE);
        CHECK_EQ(metric->name, path.scored, 0);
        CHECK_TRUE(metric->name, isnan(path.pinball));
        CHECK_NEAR(metric->name, path.p50[95], metric->integer ? 7.0 : (double)one_value[0], 1e-6);
        CHECK_TRUE(metric->name, path.p90[95] > path.p90[0] || metric->integer);
        CHECK_TRUE(metric->name, path.p90[95] > path.p50[95] && path.p10[95] < path.p50[95]);
    }
}

static void shapes_find_their_method(void **state)
{
    (void)state;
    struct fw_rng rng;
    float values[864];
    struct forecast_path path;
    const struct schema_metric *cpu = &schema.metrics[METRIC_CPU_USER];

    fw_rng_init(&rng, 1);
    for (size_t t = 0; t < 864; t++)
        values[t] = (float)(40.0 + 25.0 * sin(6.2831853 * (double)t / DAY) +
                            8.0 * sin(6 * 6.2831853 * (double)t / DAY) + 1.5 * fw_rng_normal(&rng));
    forecast(values, 864, 300, cpu, &path);
    CHECK_TRUE("a daily rhythm",
               path.method == FORECAST_SEASONAL || path.method == FORECAST_CLIMATOLOGY);
    for (size_t i = 0; i < FORECAST_HORIZON; i += 12) {
        const double want = 40.0 + 25.0 * sin(6.2831853 * (double)(864 + i) / DAY) +
                            8.0 * sin(6 * 6.2831853 * (double)(864 + i) / DAY);
        CHECK_NEAR("a daily rhythm", path.p50[i], want, 4.0);
    }
    CHECK_TRUE("a daily rhythm", path.coverage > 0.7f);

    for (size_t t = 0; t < 864; t++) /* what each day does is only known from the day before */
        values[t] =
            (float)(20.0 + 10.0 * (double)((t % DAY) / 5 * 7919 % 7) + 0.2 * fw_rng_normal(&rng));
    forecast(values, 864, 300, cpu, &path);
    CHECK_TRUE("yesterday again",
               path.method == FORECAST_SEASONAL || path.method == FORECAST_CLIMATOLOGY);

    for (size_t t = 0; t < 864; t++)
        values[t] = (float)(30.0 + 0.05 * (double)t + 0.05 * fw_rng_normal(&rng));
    forecast(values, 864, 300, &schema.metrics[METRIC_MEM_USED], &path);
    CHECK_EQ("a leak", path.method, FORECAST_TREND);
    CHECK_NEAR("a leak", path.p50[95], 30.0 + 0.05 * 959.0, 0.5);
    CHECK_TRUE("a leak's band", path.p90[95] - path.p10[95] < 2.0f);

    double walk = 50.0;
    for (size_t t = 0; t < 864; t++)
        values[t] = (float)(walk += 0.3 * fw_rng_normal(&rng));
    forecast(values, 864, 300, &schema.metrics[METRIC_LOAD_AVERAGE], &path);
    CHECK_TRUE("a random walk", path.p90[95] - path.p10[95] > 3.0f * (path.p90[0] - path.p10[0]));
}

/* The reference widens the band of a straight ramp by the ramp itself (its spread is that of the
 * values); ours is made of what the line leaves. */
static void a_straight_ramp_has_a_narrow_band(void **state)
{
    (void)state;
    float values[24];
    struct forecast_path path;
    for (size_t t = 0; t < 24; t++)
        values[t] = 50.0f + 0.5f * (float)t;
    forecast(values, 24, 300, &schema.metrics[METRIC_CPU_USER], &path);
    CHECK_EQ("ramp", path.method, FORECAST_TREND);
    CHECK_NEAR("ramp", path.p50[0], 62.0, 0.2);
    CHECK_TRUE("ramp", path.p90[0] - path.p10[0] < 2.0f);
    CHECK_TRUE("ramp", path.p90[95] >= 99.0f); /* where the undamped line leads */
}

static void a_reset_counter_counts_on(void **state)
{
    (void)state;
    float values[864];
    struct forecast_path path;
    double up = 44.0;
    for (size_t t = 0; t < 864; t++) {
        up = t == 700 ? 0.0 : up + 1.0 / DAY;
        values[t] = (float)up;
    }
    forecast(values, 864, 300, &schema.metrics[METRIC_UPTIME_DAYS], &path);
    CHECK_EQ("uptime", path.method, FORECAST_TREND);
    CHECK_NEAR("uptime", path.p50[95], up + 96.0 / DAY, 0.05);
    CHECK_TRUE("uptime of 45 days is no 30", (double)path.p90[95] >= up);
}

static void a_constant_stays(void **state)
{
    (void)state;
    float values[864];
    struct forecast_path path;
    for (size_t t = 0; t < 864; t++)
        values[t] = 61.5f;
    forecast(values, 864, 300, &schema.metrics[METRIC_DISK_USAGE], &path);
    for (size_t i = 0; i < FORECAST_HORIZON; i++) {
        CHECK_NEAR("constant", path.p10[i], 61.5, 0.0);
        CHECK_NEAR("constant", path.p90[i], 61.5, 0.0);
    }
    CHECK_EQ("the simplest method", path.method, FORECAST_PERSISTENCE);
    CHECK_NEAR("covered", path.coverage, 1.0, 0.0);
}

/* Three days of noise, then two hours in which every reading is beyond what was promised. */
static void a_band_that_fails_is_widened(void **state)
{
    (void)state;
    float values[864];
    struct forecast_path path, before;
    struct fw_rng rng;
    fw_rng_init(&rng, 5);
    for (size_t t = 0; t < 864; t++)
        values[t] =
            (float)(50.0 + 0.1 * fw_rng_normal(&rng) + (t < 836 ? 0.0 : 0.5 * (double)(t - 835)));
    forecast(values, 836, 300, &schema.metrics[METRIC_CPU_USER], &before);
    forecast(values, 864, 300, &schema.metrics[METRIC_CPU_USER], &path);
    CHECK_TRUE("at rest", before.p90[11] - before.p10[11] < 1.0f);
    CHECK_TRUE("the newest errors count", path.p90[15] - path.p10[15] > 3.0f);
}

/* Mostly nothing, sometimes much: the likely value is exactly nothing, and the band has room. */
static void bursts_out_of_zero(void **state)
{
    (void)state;
    float values[864];
    struct forecast_path path;
    struct fw_rng rng;
    fw_rng_init(&rng, 3);
    for (size_t t = 0; t < 864; t++)
        values[t] = fw_rng_below(&rng, 5) == 0 ? (float)(50.0 * fw_rng_uniform(&rng)) : 0.0f;
    values[863] = 45.0f; /* the burst of this moment says nothing about the next hours */
    forecast(values, 864, 300, &schema.metrics[METRIC_NET_IN], &path);
    for (size_t i = 2; i < FORECAST_HORIZON; i++) {
        CHECK_TRUE("bursts", path.p50[i] < 5.0f);
        CHECK_TRUE("bursts", path.p90[i] > 5.0f && path.p90[i] < 60.0f);
    }
    for (size_t t = 0; t < 863; t++)
        values[t] = 0.0f; /* and the first burst ever is not carried on either */
    forecast(values, 864, 300, &schema.metrics[METRIC_NET_IN], &path);
    CHECK_TRUE("first burst", path.p50[12] < 1.0f && path.p50[95] < 1.0f);
}

/* A window of hours cannot know values far beyond those it holds: neither a map's way back nor a
 * burst among twelve values may carry an edge there. */
static void young_windows_do_not_explode(void **state)
{
    (void)state;
    struct schema_metric metric = schema.metrics[METRIC_NET_IN]; /* bounded below alone */
    struct fw_rng rng;
    fw_rng_init(&rng, 19);
    size_t checked = 0;
    for (int round = 0; round < 3000; round++) {
        float values[STEPS_MAX];
        struct forecast_path path;
        const size_t all = random_window(&rng, &metric, values);
        const size_t steps = all < DAY ? all : 12 + fw_rng_below(&rng, DAY - 12);
        double low = (double)INFINITY, high = -(double)INFINITY, change = 0.0, last = (double)NAN;
        size_t seen = 0;
        for (size_t t = 0; t < steps; t++) {
            const double v = (double)values[t];
            if (isnan(v))
                continue;
            low = fmin(low, v);
            high = fmax(high, v);
            change += seen > 0 ? fabs(v - last) : 0.0;
            last = v;
            seen++;
        }
        if (seen < 2)
            continue;
        forecast(values, steps, 300, &metric, &path);
        if (path.scored == 0 || path.method == FORECAST_TREND)
            continue;
        for (size_t i = 0; i < FORECAST_HORIZON; i++) {
            const double h = (double)(i + 1);
            const double room = (high - low) * (sqrt(1.0 + h / (double)steps) - 1.0) +
                                2.0 * change / (double)(seen - 1) * sqrt(h);
            if ((double)path.p90[i] > high + room + 1e-3 * (1.0 + fabs(high)))
                fail_msg("round %d: p90 of step %zu is %g, seen %g to %g in %zu steps", round, i,
                         (double)path.p90[i], low, high, steps);
        }
        checked++;
    }
    CHECK_TRUE("most were checked", checked > 1500);
}

/* Every rhythm of a day is a line for some hours. */
static void a_short_rise_is_not_carried_on(void **state)
{
    (void)state;
    static const size_t lengths[] = {24, 36, 48, 96, 144, 240};
    static const enum metric_index metrics[] = {METRIC_CPU_USER, METRIC_MEM_USED,
                                                METRIC_DISK_USAGE};
    struct fw_rng rng;
    fw_rng_init(&rng, 23);
    for (int round = 0; round < 20; round++)
        for (size_t k = 0; k < COUNT_OF(lengths); k++)
            for (size_t m = 0; m < COUNT_OF(metrics); m++) {
                float values[DAY];
                struct forecast_path path;
                const size_t n = lengths[k];
                for (size_t t = 0; t < n; t++)
                    values[t] = (float)(35.0 + (t + 10 > n ? 0.6 * (double)(t + 10 - n) : 0.0) +
                                        2.0 * fw_rng_normal(&rng));
                forecast(values, n, 300, &schema.metrics[metrics[m]], &path);
                CHECK_TRUE("the rise ends", path.p50[95] < 48.0f);
                CHECK_TRUE("no alarm", (double)path.p90[95] < schema.metrics[metrics[m]].critical);
            }
}

static void a_young_disk_that_fills_is_seen(void **state)
{
    (void)state;
    static const size_t lengths[] = {24, 48, 96, 144, 240};
    struct fw_rng rng;
    fw_rng_init(&rng, 29);
    for (size_t k = 0; k < COUNT_OF(lengths); k++) {
        float values[DAY];
        struct forecast_path path;
        const double slope = 0.15;
        for (size_t t = 0; t < lengths[k]; t++)
            values[t] = (float)(45.0 + slope * (double)t + 0.05 * fw_rng_normal(&rng));
        const double now = 45.0 + slope * (double)(lengths[k] - 1);
        forecast(values, lengths[k], 300, &schema.metrics[METRIC_DISK_USAGE], &path);
        CHECK_EQ("filling from the first step", path.method, FORECAST_TREND);
        CHECK_NEAR("an hour ahead", path.p50[11], now + slope * 12.0, 0.9);
        CHECK_TRUE("eight hours ahead", (double)path.p90[95] > now + slope * 96.0 - 1.0);
    }
}

/* Two thirds of a day: the last third of the next eight hours was seen a day before. */
static void yesterday_is_used_as_soon_as_it_is_there(void **state)
{
    (void)state;
    float values[DAY];
    struct forecast_path path;
    for (size_t t = 0; t < DAY - 32; t++)
        values[t] = (float)(40.0 + 25.0 * sin(6.2831853 * (double)t / DAY));
    forecast(values, DAY - 32, 300, &schema.metrics[METRIC_CPU_USER], &path);
    CHECK_EQ("a day but three hours", path.method, FORECAST_SEASONAL);
    for (size_t i = 40; i < FORECAST_HORIZON; i++)
        CHECK_NEAR("a day but three hours", path.p50[i],
                   40.0 + 25.0 * sin(6.2831853 * (double)(DAY - 32 + i) / DAY), 2.0);
}

static void candidates_meet_in_one_place(void **state)
{
    (void)state;
    float low[3 * FORECAST_HORIZON], high[3 * FORECAST_HORIZON], crossed[3 * FORECAST_HORIZON];
    for (size_t i = 0; i < FORECAST_HORIZON; i++)
        for (size_t k = 0; k < 3; k++) {
            low[k * FORECAST_HORIZON + i] = 10.0f + (float)k;
            high[k * FORECAST_HORIZON + i] = 20.0f + (float)k;
            crossed[k * FORECAST_HORIZON + i] = 130.0f - 60.0f * (float)k;
        }
    const struct forecast_candidate rows[] = {
        {.method = FORECAST_SEASONAL,    .quantiles = low,     .pinball = NAN },
        {.method = FORECAST_TREND,       .quantiles = low,     .pinball = 2.0f},
        {.method = FORECAST_CLIMATOLOGY, .quantiles = high,    .pinball = 1.0f},
        {.method = FORECAST_TFT,         .quantiles = crossed, .pinball = NAN },
    };
    struct forecast_path path = {.current = 0.0f};
    forecast_combine(rows, 3, &schema.metrics[METRIC_CPU_USER], &path);
    CHECK_EQ("least loss", path.method, FORECAST_CLIMATOLOGY);
    CHECK_NEAR("least loss", path.p50[0], 21.0, 0.0);
    forecast_combine(rows, 1, &schema.metrics[METRIC_CPU_USER], &path);
    CHECK_EQ("the only one", path.method, FORECAST_SEASONAL);
    forecast_combine(rows, 4, &schema.metrics[METRIC_CPU_USER], &path);
    CHECK_EQ("the model first", path.method, FORECAST_TFT);
    CHECK_NEAR("crossed", path.p10[0], 10.0, 0.0);
    CHECK_NEAR("crossed", path.p50[0], 70.0, 0.0);
    CHECK_NEAR("above the bound", path.p90[0], 100.0, 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_windows_give_sound_paths),
        cmocka_unit_test(one_sample_has_an_honest_band),
        cmocka_unit_test(shapes_find_their_method),
        cmocka_unit_test(a_straight_ramp_has_a_narrow_band),
        cmocka_unit_test(a_reset_counter_counts_on),
        cmocka_unit_test(a_constant_stays),
        cmocka_unit_test(a_band_that_fails_is_widened),
        cmocka_unit_test(bursts_out_of_zero),
        cmocka_unit_test(young_windows_do_not_explode),
        cmocka_unit_test(a_short_rise_is_not_carried_on),
        cmocka_unit_test(a_young_disk_that_fills_is_seen),
        cmocka_unit_test(yesterday_is_used_as_soon_as_it_is_there),
        cmocka_unit_test(candidates_meet_in_one_place),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
