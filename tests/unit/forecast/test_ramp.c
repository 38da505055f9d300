/* Ramps that begin on a quiet series: how long after the beginning the path of eight hours shows
 * the crossing, and that nothing crosses where nothing is going on. */
#include "base/alloc.h"
#include "base/rng.h"
#include "forecast/combine.h"
#include "forecast/ramp.h"
#include "forecast/statistical.h"
#include "support.h"

enum { STEPS = 864, DAY = 288, SCRATCH = 1 << 20, NEVER = -1, ANY = -2, STUDY_STEPS = 12 };

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

enum shape { RAMP, RAMP_STOPS, RAMP_ENDS, STEP, SAWTOOTH, CYCLE, NOISE, WALK, NIGHTLY };

struct scenario {
    const char *name;
    enum shape shape;
    enum metric_index metric;
    double level, noise, rise; /* rise: per step, or the swing's half */
    int length;                /* steps of the ramp, or of the tooth */
    int p90_by, p50_by; /* by how many steps after the beginning p90 crosses the warning and p50 the
                           critical threshold; NEVER: not at all; ANY: not asked */
};

/* Long enough for `length` steps of the event behind 2.9 quiet days. */
enum { QUIET = STEPS - 30, LENGTH = QUIET + 400 };

static void make(const struct scenario *s, float *values)
{
    struct fw_rng rng;
    double walk = 0.0;
    fw_rng_init(&rng, 11);
    for (int t = 0; t < LENGTH; t++) {
        const int at = t - QUIET + 1;
        double v = s->level;
        walk += fw_rng_normal(&rng);
        switch (s->shape) {
        case RAMP:
            v += at > 0 ? s->rise * at : 0.0;
            break;
        case RAMP_STOPS:
            v += at > 0 ? s->rise * (at < s->length ? at : s->length) : 0.0;
            break;
        case RAMP_ENDS:
            v += at > 0 && at < s->length ? s->rise * at : 0.0;
            break;
        case STEP:
            v += at > 0 ? s->rise : 0.0;
            break;
        case SAWTOOTH:
            v += s->rise * (t % s->length);
            break;
        case CYCLE:
            v += s->rise * sin(6.2831853 * (double)t / DAY);
            break;
        case WALK:
            v += s->rise * walk;
            break;
        case NIGHTLY:
            v += t % DAY < s->length ? s->rise * (t % DAY) : 0.0;
            break;
        case NOISE:
            break;
        }
        v += s->noise * fw_rng_normal(&rng);
        values[t] = (float)fmin(fmax(v, 0.0), 100.0);
    }
}

static void forecast(const struct scenario *s, const float *values, size_t end,
                     struct statistical_study *study, struct forecast_path *path)
{
    const struct schema_metric *metric = &schema.metrics[s->metric];
    const size_t steps = end < STEPS ? end : STEPS;
    const struct series series = {
        .values = values + end - steps, .steps = steps, .step_s = 300, .metric = metric};
    const struct arena arena = arena_over(memory, SCRATCH);
    float quantiles[3 * FORECAST_HORIZON];
    if (end % STUDY_STEPS == 0 || end < STEPS)
        statistical_study(&series, arena, study);
    const struct forecast_candidate candidate = {
        .method = statistical_forecast(&series, study, arena, quantiles),
        .quantiles = quantiles,
        .pinball = 1.0f};
    memset(path, 0, sizeof *path);
    forecast_combine(&candidate, 1, metric, path);
}

/* Steps after the beginning when the quantile first reaches the threshold within 8 hours. */
static void replay(const struct scenario *s, int *p90_at, int *p50_at)
{
    static float values[LENGTH];
    const struct schema_metric *metric = &schema.metrics[s->metric];
    struct statistical_study study;
    struct forecast_path path;
    make(s, values);
    *p90_at = *p50_at = NEVER;
    for (size_t end = QUIET - 2 * STUDY_STEPS; end < LENGTH; end++) {
        if (end == QUIET - 2 * STUDY_STEPS) { /* the first has no study to go on from */
            const struct series first = {
                .values = values, .steps = end, .step_s = 300, .metric = metric};
            statistical_study(&first, arena_over(memory, SCRATCH), &study);
        }
        forecast(s, values, end, &study, &path);
        const int at = (int)end - QUIET;
        float p90 = 0.0f, p50 = 0.0f;
        for (size_t i = 0; i < FORECAST_HORIZON; i++) {
            p90 = fmaxf(p90, path.p90[i]);
            p50 = fmaxf(p50, path.p50[i]);
        }
        if (*p90_at == NEVER && (double)p90 >= metric->warning)
            *p90_at = at;
        if (*p50_at == NEVER && (double)p50 >= metric->critical)
            *p50_at = at;
    }
}

/* A ramp of 0.72 a step takes the disk from 72 to 98 % in 3 hours, of 0.36 in 6, of 0.24 in 9.
 * Bounds are those measured and a little: the study alone needs 19 to 55 steps for p90, 32 to 96
 * for p50. */
static const struct scenario scenarios[] = {
    {"a disk fills in 1 h",            RAMP,       METRIC_DISK_USAGE, 72, 0.0,  2.17, 0,   6,     6    },
    {"a disk fills in 2 h",            RAMP,       METRIC_DISK_USAGE, 72, 0.0,  1.08, 0,   6,     6    },
    {"a disk fills in 3 h",            RAMP,       METRIC_DISK_USAGE, 72, 0.0,  0.72, 0,   6,     6    },
    {"a disk fills in 6 h",            RAMP,       METRIC_DISK_USAGE, 72, 0.0,  0.36, 0,   6,     6    },
    {"a disk fills in 9 h",            RAMP,       METRIC_DISK_USAGE, 72, 0.0,  0.24, 0,   6,     8    },
    {"3 h, with noise",                RAMP,       METRIC_DISK_USAGE, 72, 0.1,  0.72, 0,   6,     6    },
    {"6 h, with noise",                RAMP,       METRIC_DISK_USAGE, 72, 0.1,  0.36, 0,   6,     8    },
    {"9 h, with noise",                RAMP,       METRIC_DISK_USAGE, 72, 0.1,  0.24, 0,   6,     10   },
    {"memory leaks in 3 h, noise 0.5", RAMP,       METRIC_MEM_USED,   60, 0.5,  1.0,  0,   8,     8    },
    {"memory leaks in 6 h, noise 0.5", RAMP,       METRIC_MEM_USED,   60, 0.5,  0.5,  0,   8,     10   },
    {"memory leaks in 6 h, noise 1",   RAMP,       METRIC_MEM_USED,   60, 1.0,  0.5,  0,   12,    16   },
    {"memory leaks in 12 h, noise 1",  RAMP,       METRIC_MEM_USED,   60, 1.0,  0.25, 0,   36,    60   },
    {"memory leaks in 12 h, noise 2",  RAMP,       METRIC_MEM_USED,   60, 2.0,  0.25, 0,   60,    70   },
    {"a ramp of 20 steps to 50 %",     RAMP_STOPS, METRIC_DISK_USAGE, 40, 0.05, 0.5,  20,  ANY,   ANY  },
    {"a ramp of 36 steps, undone",     RAMP_ENDS,  METRIC_DISK_USAGE, 40, 0.05, 0.8,  36,  ANY,   ANY  },
    {"a step to 65 %",                 STEP,       METRIC_DISK_USAGE, 40, 0.05, 25,   0,   ANY,   NEVER},
    {"a step to 80 %",                 STEP,       METRIC_MEM_USED,   50, 0.5,  30,   0,   ANY,   NEVER},
    {"a leak restarted at 80 %",       SAWTOOTH,   METRIC_MEM_USED,   50, 0.3,  0.25, 120, ANY,   NEVER},
    {"a leak restarted every day",     SAWTOOTH,   METRIC_MEM_USED,   50, 0.3,  0.1,  300, ANY,   NEVER},
    {"nightly work of 3 h",            NIGHTLY,    METRIC_DISK_USAGE, 50, 0.1,  0.8,  36,  NEVER, NEVER},
    {"a day's swing, 30 to 80 %",      CYCLE,      METRIC_MEM_USED,   55, 0.5,  25,   0,   NEVER, NEVER},
    {"a day's swing without noise",    CYCLE,      METRIC_MEM_USED,   55, 0.0,  25,   0,   NEVER, NEVER},
    {"noise of 3 at 70 %",             NOISE,      METRIC_MEM_USED,   70, 3.0,  0,    0,   NEVER, NEVER},
    {"noise of 0.1 at 80 %",           NOISE,      METRIC_DISK_USAGE, 80, 0.1,  0,    0,   NEVER, NEVER},
    {"a random walk",                  WALK,       METRIC_MEM_USED,   60, 0.0,  0.1,  0,   NEVER, NEVER},
};

static void check_time(const char *name, const char *path, int at, int by)
{
    if (by == ANY)
        return;
    if (by == NEVER ? at != NEVER : at == NEVER || at < 0 || at > by)
        fail_msg("%s: %s crosses after %d steps, expected within %d", name, path, at, by);
}

static void ramps_are_seen_and_rest_is_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(scenarios); i++) {
        const struct scenario *s = &scenarios[i];
        int p90_at, p50_at;
        replay(s, &p90_at, &p50_at);
        check_time(s->name, "p90", p90_at, s->p90_by);
        check_time(s->name, "p50", p50_at, s->p50_by);
    }
}

static struct forecast_path last_path(const struct scenario *s, int after)
{
    static float values[LENGTH];
    struct statistical_study study;
    struct forecast_path path;
    const size_t end = (size_t)(QUIET + after) / STUDY_STEPS * STUDY_STEPS;
    make(s, values);
    forecast(s, values, end, &study, &path);
    return path;
}

static void a_ramp_that_stops_is_let_go(void **state)
{
    (void)state;
    const struct scenario s = {"", RAMP_STOPS, METRIC_DISK_USAGE, 40, 0.05, 0.5, 36, ANY, ANY};
    struct forecast_path path = last_path(&s, 34);
    CHECK_EQ("going on", path.method, FORECAST_TREND);
    CHECK_TRUE("going on", path.p50[95] > 90.0f);
    CHECK_TRUE("it may end any time", path.p10[95] < 80.0f && path.p10[95] > 57.0f);
    path = last_path(&s, 36 + 24);
    CHECK_TRUE("two hours at rest", path.p50[95] < 65.0f);
}

/* Half of young ramps outlast themselves where less than a day is known; the direction counts, and
 * so does what kind of metric it is. */
static void who_has_ramps(void **state)
{
    (void)state;
    float values[STEPS];
    struct series_sums sums;
    struct ramp ramp;
    const struct series_map map = {.scale = SERIES_PLAIN};
    static const struct {
        const char *name;
        enum metric_index metric;
        float slope;
        size_t from, missing; /* the window begins there; newest steps that are missing */
        bool found;
        double persistence;
    } rows[] = {
        {"a disk that fills",           METRIC_DISK_USAGE, 0.5f,  0,   0, true,  0.18},
        {"two steps late",              METRIC_DISK_USAGE, 0.5f,  0,   2, true,  0.18},
        {"silent",                      METRIC_DISK_USAGE, 0.5f,  0,   3, false, 0   },
        {"a disk that empties",         METRIC_DISK_USAGE, -0.5f, 0,   0, false, 0   },
        {"a processor",                 METRIC_CPU_USER,   0.5f,  0,   0, false, 0   },
        {"half a day of history",       METRIC_DISK_USAGE, 0.5f,  700, 0, true,  1.0 },
        {"nothing but the ramp itself", METRIC_DISK_USAGE, 0.5f,  840, 0, false, 0   },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena arena = arena_over(memory, SCRATCH);
        for (size_t t = 0; t < STEPS; t++)
            values[t] = 50.0f + (t >= STEPS - 24 ? rows[i].slope * (float)(t - STEPS + 24) : 0.0f);
        for (size_t t = STEPS - rows[i].missing; t < STEPS; t++)
            values[t] = NAN;
        const struct series series = {.values = values + rows[i].from,
                                      .steps = STEPS - rows[i].from,
                                      .step_s = 300,
                                      .metric = &schema.metrics[rows[i].metric]};
        series_prepare(&series, &map, &arena, &sums);
        CHECK_EQ(rows[i].name, ramp_find(&sums, series.metric, &ramp), rows[i].found);
        if (!rows[i].found)
            continue;
        CHECK_NEAR(rows[i].name, ramp.slope, rows[i].slope, 0.02);
        CHECK_NEAR(rows[i].name, ramp.persistence, rows[i].persistence, 0.01);
        CHECK_TRUE(rows[i].name, ramp.age >= 16 && ramp.age <= 24);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ramps_are_seen_and_rest_is_not),
        cmocka_unit_test(a_ramp_that_stops_is_let_go),
        cmocka_unit_test(who_has_ramps),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
