/* Both scorers: the reference's vectors, typical situations with the score they must have, and the
 * properties that docs/risk.md promises. */
#include "unit/risk/build_forecast.h"

#include "base/rng.h"
#include "risk/risk.h"

#include "support.h"

/* clang warns about a float constant in a table of doubles. */
#define NONE ((double)NAN)
#define FREE ((double)INFINITY)

static struct schema schema;

static int setup(void **state)
{
    (void)state;
    schema_default(&schema);
    return 0;
}

static struct risk_driver drivers[SCHEMA_METRICS_MAX]; /* of the score made last */

static struct risk score_with(enum risk_scorer scorer, const struct forecast *f)
{
    struct risk_options options;
    struct risk risk;
    risk_options_default(&options, &schema);
    options.scorer = scorer;
    risk_score(&options, f, &risk, drivers);
    return risk;
}

struct flat {
    int metric;
    double current, quantile;
};

static void test_argus_vectors(void **state)
{
    (void)state;
    enum { END = -1 };
    static const struct {
        const char *name;
        enum profile profile;
        struct flat flats[6]; /* ascending by metric; current 0 and quantile 0 end the list */
        size_t n;
        double score;
        const char *level;
    } rows[] = {
        {"nothing",                  PROFILE_GENERIC, {{0}},                                                    0, 0.0,   "healthy"},
        {"idle flat 2",              PROFILE_GENERIC, {{METRIC_CPU_IDLE, 2, 2}},                                1, 54.0,  "warning"},
        {"idle flat 0",              PROFILE_GENERIC, {{METRIC_CPU_IDLE, 0, 0}},                                1, 54.0,  "warning"},
        {"idle 20, p90 of idle 1",   PROFILE_GENERIC, {{METRIC_CPU_IDLE, 20, 1}},                               1, 22.5,  "watch"  },
        {"user 96, p90 99",          PROFILE_GENERIC, {{METRIC_CPU_USER, 96, 99}},                              1, 40.0,  "warning"},
        {"idle wins over user",
         PROFILE_GENERIC,                             {{METRIC_CPU_USER, 100, 100}, {METRIC_CPU_IDLE, 50, 50}},
         2,                                                                                                        0.0,
         "healthy"                                                                                                                 },
        {"memory flat 98",           PROFILE_GENERIC, {{METRIC_MEM_USED, 98, 98}},                              1, 44.0,  "warning"},
        {"memory flat 98, database",
         PROFILE_DATABASE,                            {{METRIC_MEM_USED, 98, 98}},
         1,                                                                                                        30.0,
         "watch"                                                                                                                   },
        {"memory flat 85",           PROFILE_GENERIC, {{METRIC_MEM_USED, 85, 85}},                              1, 7.0,   "healthy"},
        {"memory flat 85, database",
         PROFILE_DATABASE,                            {{METRIC_MEM_USED, 85, 85}},
         1,                                                                                                        0.0,
         "healthy"                                                                                                                 },
        {"I/O wait flat 30",         PROFILE_GENERIC, {{METRIC_CPU_IOWAIT, 30, 30}},                            1, 35.5,  "watch"  },
        {"I/O wait 10, p90 20",      PROFILE_GENERIC, {{METRIC_CPU_IOWAIT, 10, 20}},                            1, 15.0,  "healthy"},
        {"swap flat 50",             PROFILE_GENERIC, {{METRIC_SWAP_USED, 50, 50}},                             1, 21.0,  "watch"  },
        {"load flat 12",             PROFILE_GENERIC, {{METRIC_LOAD_AVERAGE, 12, 12}},                          1, 14.0,  "healthy"},
        {"load flat 8",              PROFILE_GENERIC, {{METRIC_LOAD_AVERAGE, 8, 8}},                            1, 7.0,   "healthy"},
        {"disk flat 100",            PROFILE_GENERIC, {{METRIC_DISK_USAGE, 100, 100}},                          1, 0.0,   "healthy"},
        {"five mild troubles",
         PROFILE_GENERIC,                             {{METRIC_CPU_IOWAIT, 21, 21},
          {METRIC_CPU_IDLE, 9, 9},
          {METRIC_MEM_USED, 91, 91},
          {METRIC_SWAP_USED, 11, 11},
          {METRIC_LOAD_AVERAGE, 9, 9}},
         5,                                                                                                        68.5,
         "warning"                                                                                                                 },
        {"everything at once",
         PROFILE_GENERIC,                             {{METRIC_CPU_IOWAIT, 40, 40},
          {METRIC_CPU_IDLE, 0, 0},
          {METRIC_MEM_USED, 99, 99},
          {METRIC_SWAP_USED, 60, 60},
          {METRIC_LOAD_AVERAGE, 16, 16}},
         5,                                                                                                        100.0,
         "critical"                                                                                                                },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct forecast *f = build_forecast("a", 6);
        f->profile = rows[i].profile;
        for (size_t k = 0; k < rows[i].n; k++) {
            const struct flat *flat = &rows[i].flats[k];
            build_band(f, flat->metric, flat->current, flat->quantile, flat->quantile,
                       flat->quantile);
        }
        const struct risk risk = score_with(RISK_ARGUS, f);
        CHECK_NEAR(rows[i].name, risk.score, rows[i].score, 1e-6);
        CHECK_STR(rows[i].name, risk_level_style(risk.level)->name, rows[i].level);
        fw_free(f);
    }
}

/* The points of argus drivers add up to the score where nothing is clamped. */
static void test_argus_drivers_add_up(void **state)
{
    (void)state;
    struct forecast *f = build_forecast("a", 5);
    build_flat(f, METRIC_CPU_IOWAIT, 21);
    build_flat(f, METRIC_CPU_IDLE, 9);
    build_flat(f, METRIC_MEM_USED, 91);
    const struct risk risk = score_with(RISK_ARGUS, f);
    double sum = 0.0;
    for (size_t i = 0; i < risk.driver_count; i++)
        sum += (double)risk.drivers[i].points;
    CHECK_EQ("drivers", risk.driver_count, 3);
    CHECK_NEAR("sum", sum, risk.score, 1e-4);
    for (size_t i = 0; i < risk.driver_count; i++) {
        if (risk.drivers[i].metric == METRIC_CPU_IDLE)
            CHECK_NEAR("idle is judged in idle", risk.drivers[i].threshold, 10.0, 1e-6);
    }
    fw_free(f);
}

/* A server as most are: some noise, nothing near a threshold. */
static struct forecast *healthy_server(void)
{
    struct forecast *f = build_forecast("healthy", METRIC_CANONICAL_COUNT);
    build_band(f, METRIC_CPU_USER, 30, 20, 30, 45);
    build_band(f, METRIC_CPU_SYS, 6, 4, 6, 9);
    build_band(f, METRIC_CPU_IOWAIT, 2, 0.5, 2, 6);
    build_band(f, METRIC_CPU_IDLE, 62, 45, 62, 74);
    build_band(f, METRIC_JAVA_CPU, 20, 12, 20, 32);
    build_band(f, METRIC_MEM_USED, 60, 56, 60, 65);
    build_band(f, METRIC_SWAP_USED, 3, 2, 3, 5);
    build_band(f, METRIC_DISK_USAGE, 50, 49.8, 50.1, 50.6);
    build_band(f, METRIC_NET_IN, 40, 10, 40, 90);
    build_band(f, METRIC_NET_OUT, 40, 10, 40, 90);
    build_band(f, METRIC_BACK_CLOSE_WAIT, 4, 1, 4, 9);
    build_band(f, METRIC_FRONT_CLOSE_WAIT, 4, 1, 4, 9);
    build_band(f, METRIC_LOAD_AVERAGE, 3, 1, 3, 6);
    build_band(f, METRIC_UPTIME_DAYS, 45, 45, 45, 45);
    return f;
}

static struct forecast_path *path_of(struct forecast *f, int metric)
{
    for (size_t i = 0; i < f->path_count; i++) {
        if (f->paths[i].metric == metric)
            return &f->paths[i];
    }
    return NULL;
}

static void set_band(struct forecast *f, int metric, double current, double p10, double p50,
                     double p90)
{
    struct forecast_path *path = path_of(f, metric);
    path->current = (float)current;
    for (size_t i = 0; i < FORECAST_HORIZON; i++) {
        path->p10[i] = (float)p10;
        path->p50[i] = (float)p50;
        path->p90[i] = (float)p90;
    }
}

static void set_ramp(struct forecast *f, int metric, double current, double slope, double spread,
                     double hi)
{
    struct forecast_path *path = path_of(f, metric);
    path->current = (float)current;
    for (size_t i = 0; i < FORECAST_HORIZON; i++) {
        const double middle = current + slope * (double)(i + 1);
        const double half = spread * sqrt((double)(i + 1));
        path->p10[i] = (float)fmin(fmax(middle - half, 0), hi);
        path->p50[i] = (float)fmin(fmax(middle, 0), hi);
        path->p90[i] = (float)fmin(fmax(middle + half, 0), hi);
    }
}

/* Steps from..to (1 = the next) at a value with a small band, the rest as it was. */
static void set_bump(struct forecast *f, int metric, size_t from, size_t to, double value,
                     double spread)
{
    struct forecast_path *path = path_of(f, metric);
    for (size_t i = from - 1; i < to; i++) {
        path->p10[i] = (float)fmax(value - spread, 0);
        path->p50[i] = (float)value;
        path->p90[i] = (float)fmin(value + spread, 100);
    }
}

static void situation_healthy(struct forecast *f)
{
    (void)f;
}
static void situation_disk_80(struct forecast *f)
{
    set_band(f, METRIC_DISK_USAGE, 80, 79.5, 80, 80.6);
}
static void situation_disk_88_flat(struct forecast *f)
{
    set_band(f, METRIC_DISK_USAGE, 88, 87.6, 88, 88.4);
}
static void situation_disk_full(struct forecast *f)
{
    set_band(f, METRIC_DISK_USAGE, 100, 99.6, 100, 100);
}
static void situation_disk_at_critical(struct forecast *f)
{
    set_band(f, METRIC_DISK_USAGE, 96, 95.5, 96, 96.4);
}
static void situation_disk_95_in_2h(struct forecast *f)
{
    set_ramp(f, METRIC_DISK_USAGE, 80, 15.0 / 24, 0.2, 100);
}
static void situation_disk_95_in_7h(struct forecast *f)
{
    set_ramp(f, METRIC_DISK_USAGE, 70, 25.0 / 84, 0.2, 100);
}
static void situation_disk_in_a_day(struct forecast *f)
{
    set_ramp(f, METRIC_DISK_USAGE, 66, 25.0 / 288, 0.05, 100);
}
static void situation_memory_full(struct forecast *f)
{
    set_band(f, METRIC_MEM_USED, 99.5, 99, 99.5, 100);
}
static void situation_memory_92_flat(struct forecast *f)
{
    set_band(f, METRIC_MEM_USED, 92, 91, 92, 93);
}
static void situation_leak_1h(struct forecast *f)
{
    set_ramp(f, METRIC_MEM_USED, 80, 18.0 / 12, 0.3, 100);
}
static void situation_leak_5h(struct forecast *f)
{
    set_ramp(f, METRIC_MEM_USED, 70, 28.0 / 60, 0.5, 100);
}
static void situation_cpu_pinned(struct forecast *f)
{
    set_band(f, METRIC_CPU_USER, 93, 88, 93, 96);
    set_band(f, METRIC_CPU_IDLE, 0.5, 0, 1, 4);
    set_band(f, METRIC_LOAD_AVERAGE, 40, 30, 40, 50);
}
static void situation_cpu_spike_now(struct forecast *f)
{
    set_band(f, METRIC_CPU_USER, 95, 20, 32, 50);
    set_band(f, METRIC_CPU_IDLE, 1, 40, 60, 74);
}
static void situation_cpu_busy(struct forecast *f)
{
    set_band(f, METRIC_CPU_USER, 70, 60, 70, 79);
    set_band(f, METRIC_CPU_IDLE, 22, 14, 22, 32);
}
static void situation_cpu_hot(struct forecast *f)
{
    set_band(f, METRIC_CPU_USER, 84, 76, 84, 90);
    set_band(f, METRIC_CPU_IDLE, 9, 4, 9, 16);
}
static void situation_nightly_batch_in_6h(struct forecast *f)
{
    set_bump(f, METRIC_CPU_USER, 72, 80, 92, 4);
    set_bump(f, METRIC_CPU_IDLE, 72, 80, 2, 2);
}
static void situation_cpu_pinned_in_1h(struct forecast *f)
{
    set_bump(f, METRIC_CPU_USER, 12, 60, 94, 4);
    set_bump(f, METRIC_CPU_IDLE, 12, 60, 1, 2);
}
static void situation_storage_stuck(struct forecast *f)
{
    set_band(f, METRIC_CPU_IOWAIT, 45, 35, 44, 55);
}
static void situation_swap_resting(struct forecast *f)
{
    set_band(f, METRIC_SWAP_USED, 30, 29, 30, 31);
}
static void situation_two_mild(struct forecast *f)
{
    set_band(f, METRIC_CPU_IOWAIT, 19, 15, 19, 23);
    set_band(f, METRIC_MEM_USED, 91, 90, 91, 92);
}
static void situation_thrashing(struct forecast *f)
{
    set_band(f, METRIC_CPU_IOWAIT, 35, 28, 35, 45);
    set_band(f, METRIC_MEM_USED, 97.5, 96.5, 97.5, 98.5);
    set_band(f, METRIC_SWAP_USED, 45, 42, 46, 52);
}

static void test_situations(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        void (*make)(struct forecast *f);
        double least, most;
    } rows[] = {
        {"healthy",                        situation_healthy,             0,  5  },
        {"disk flat at 80 %",              situation_disk_80,             0,  10 },
        {"disk flat at 88 %",              situation_disk_88_flat,        20, 45 },
        {"disk at its critical threshold", situation_disk_at_critical,    70, 85 },
        {"disk full",                      situation_disk_full,           85, 100},
        {"disk critical in 2 h",           situation_disk_95_in_2h,       40, 69 },
        {"disk critical in 7 h",           situation_disk_95_in_7h,       20, 40 },
        {"disk critical in a day",         situation_disk_in_a_day,       0,  15 },
        {"memory full",                    situation_memory_full,         80, 100},
        {"memory flat at 92 %",            situation_memory_92_flat,      20, 45 },
        {"leak, critical in 1 h",          situation_leak_1h,             50, 70 },
        {"leak, critical in 5 h",          situation_leak_5h,             20, 50 },
        {"cpu pinned",                     situation_cpu_pinned,          75, 100},
        {"cpu spike now, normal next",     situation_cpu_spike_now,       20, 40 },
        {"cpu busy",                       situation_cpu_busy,            0,  20 },
        {"cpu hot",                        situation_cpu_hot,             40, 70 },
        {"nightly batch in 6 h",           situation_nightly_batch_in_6h, 10, 40 },
        {"cpu pinned from 1 h on",         situation_cpu_pinned_in_1h,    60, 85 },
        {"I/O wait 45 %",                  situation_storage_stuck,       45, 75 },
        {"swap resting at 30 %",           situation_swap_resting,        10, 30 },
        {"two mild troubles",              situation_two_mild,            40, 69 },
        {"thrashing",                      situation_thrashing,           80, 100},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct forecast *f = healthy_server();
        rows[i].make(f);
        const struct risk risk = score_with(RISK_FOREWARN, f);
        print_message("%-32s %5.1f %-8s 30m %.3f 8h %.3f\n", rows[i].name, (double)risk.score,
                      risk_level_style(risk.level)->name, (double)risk.crossing_30m,
                      (double)risk.crossing_8h);
        if ((double)risk.score < rows[i].least || (double)risk.score > rows[i].most)
            fail_msg("%s: score %.1f is not in %g..%g", rows[i].name, (double)risk.score,
                     rows[i].least, rows[i].most);
        fw_free(f);
    }
}

/* The worked example of docs/risk.md, number by number. */
static void test_worked_example(void **state)
{
    (void)state;
    struct forecast *f = build_forecast("db-1", 3);
    build_band(f, METRIC_CPU_IOWAIT, 22, 18, 22, 26);
    build_band(f, METRIC_CPU_IDLE, 40, 30, 40, 50);
    /* 84 now; p50 rises by 0.25 a step; p10 stays flat; p90 rises by 0.5 a step. */
    struct forecast_path *disk = build_flat(f, METRIC_DISK_USAGE, 84);
    for (size_t i = 0; i < FORECAST_HORIZON; i++) {
        disk->p50[i] = fminf(84.0f + 0.25f * (float)(i + 1), 100.0f);
        disk->p90[i] = fminf(84.0f + 0.5f * (float)(i + 1), 100.0f);
    }
    const struct risk risk = score_with(RISK_FOREWARN, f);
    CHECK_EQ("two drivers", risk.driver_count, 2);
    CHECK_EQ("disk first", risk.drivers[0].metric, METRIC_DISK_USAGE);
    CHECK_NEAR("disk points", risk.drivers[0].points, 35.325, 0.01);
    CHECK_NEAR("disk predicted", risk.drivers[0].predicted, 100.0, 1e-4);
    CHECK_NEAR("disk threshold", risk.drivers[0].threshold, 95.0, 1e-6);
    CHECK_EQ("I/O wait second", risk.drivers[1].metric, METRIC_CPU_IOWAIT);
    CHECK_NEAR("I/O wait points", risk.drivers[1].points, 35.24, 0.005);
    CHECK_NEAR("score", risk.score, 58.1, 0.01);
    fw_free(f);
}

static void test_one_exhausted_resource_is_critical(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int metric;
        double value;
    } rows[] = {
        {"idle 0",     METRIC_CPU_IDLE,   0  },
        {"user 100",   METRIC_CPU_USER,   100},
        {"memory 100", METRIC_MEM_USED,   100},
        {"memory 99",  METRIC_MEM_USED,   99 },
        {"disk 100",   METRIC_DISK_USAGE, 100},
        {"disk 95",    METRIC_DISK_USAGE, 95 },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct forecast *f = build_forecast("a", 1);
        build_flat(f, rows[i].metric, rows[i].value);
        const struct risk risk = score_with(RISK_FOREWARN, f);
        CHECK_EQ(rows[i].name, risk.level, RISK_CRITICAL);
        CHECK_TRUE(rows[i].name, risk.score >= 70.0f && risk.score <= 100.0f);
        CHECK_NEAR(rows[i].name, risk.crossing_30m, 0.999, 1e-3);
        fw_free(f);
    }
}

/* Kin are one trouble: user, system and idle of one busy processor count as its worst. */
static void test_family_counts_once(void **state)
{
    (void)state;
    struct forecast *f = build_forecast("a", 3);
    build_flat(f, METRIC_CPU_USER, 90);
    const struct risk one = score_with(RISK_FOREWARN, f);
    build_flat(f, METRIC_CPU_IDLE, 8);
    build_flat(f, METRIC_JAVA_CPU, 82);
    const struct risk three = score_with(RISK_FOREWARN, f);
    CHECK_EQ("one driver", three.driver_count, 1);
    CHECK_NEAR("the worst of them", three.score, one.score, 10.0);
    fw_free(f);
}

static void test_configured_metric_joins(void **state)
{
    (void)state;
    struct schema own;
    schema_default(&own);
    static const struct schema_metric rows[] = {
        {"queue_depth",   "",  0, FREE, true,  false, METRIC_WORSE_HIGH, 1000, 5000},
        {"free_inodes",   "%", 0, 100,  false, false, METRIC_WORSE_LOW,  10,   2   },
        {"only_warning",  "",  0, FREE, false, false, METRIC_WORSE_HIGH, 50,   NONE},
        {"only_critical", "",  0, FREE, false, false, METRIC_WORSE_HIGH, NONE, 50  },
        {"same_both",     "",  0, FREE, false, false, METRIC_WORSE_HIGH, 50,   50  },
        {"no_direction",  "",  0, FREE, false, false, METRIC_WORSE_NONE, NONE, NONE},
    };
    static const struct {
        const char *name;
        double value, least, most;
    } cases[] = {
        {"queue_depth",   10,   0,  0   },
        {"queue_depth",   1000, 40, 40  },
        {"queue_depth",   5000, 70, 70  },
        {"queue_depth",   1e9,  94, 95  },
        {"free_inodes",   50,   0,  0   },
        {"free_inodes",   2,    70, 70  },
        {"free_inodes",   0,    95, 95  },
        {"only_warning",  50,   40, 40  },
        {"only_warning",  1e6,  60, 69.9},
        {"only_critical", 40,   40, 40  },
        {"only_critical", 50,   70, 70  },
        {"same_both",     49.9, 35, 40  },
        {"same_both",     50,   70, 70  },
        {"no_direction",  1e9,  0,  0   },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(schema_set(&own, &rows[i], NULL), FW_OK);
    struct risk_options options;
    risk_options_default(&options, &own);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct forecast *f = build_forecast("a", 1);
        build_flat(f, schema_find(&own, cases[i].name, strlen(cases[i].name)), cases[i].value);
        struct risk risk;
        risk_score(&options, f, &risk, drivers);
        if ((double)risk.score < cases[i].least - 0.051 ||
            (double)risk.score > cases[i].most + 0.051)
            fail_msg("%s at %g: score %.1f is not in %g..%g", cases[i].name, cases[i].value,
                     (double)risk.score, cases[i].least, cases[i].most);
        fw_free(f);
    }
}

static void random_path(struct fw_rng *rng, struct forecast *f, int metric)
{
    const double level = fw_rng_uniform(rng) * 100, wander = fw_rng_uniform(rng) * 3;
    struct forecast_path *path = build_flat(f, metric, level);
    double middle = level;
    for (size_t i = 0; i < FORECAST_HORIZON; i++) {
        middle = fmin(fmax(middle + wander * (fw_rng_uniform(rng) - 0.5), 0), 100);
        path->p50[i] = (float)middle;
        path->p10[i] = (float)fmax(middle - fw_rng_uniform(rng) * 15, 0);
        path->p90[i] = (float)fmin(middle + fw_rng_uniform(rng) * 15, 100);
    }
}

/* Moves a few values of a path in the worse direction, keeping bounds and the order of quantiles.
 */
static void worsen(struct fw_rng *rng, struct forecast_path *path, enum metric_worse worse)
{
    const float by = (float)(fw_rng_uniform(rng) * (worse == METRIC_WORSE_LOW ? -10 : 10));
    const size_t which = (size_t)(fw_rng_uniform(rng) * 5);
    const size_t from = (size_t)(fw_rng_uniform(rng) * FORECAST_HORIZON);
    const size_t to = from + 1 + (size_t)(fw_rng_uniform(rng) * (double)(FORECAST_HORIZON - from));
    if (which == 0 || which == 4)
        path->current = fminf(fmaxf(path->current + by, 0), 100);
    for (size_t i = from; i < to; i++) {
        if (which == 1 || which == 4)
            path->p10[i] = fminf(fmaxf(path->p10[i] + by, 0), 100);
        if (which == 2 || which == 4)
            path->p50[i] = fminf(fmaxf(path->p50[i] + by, 0), 100);
        if (which == 3 || which == 4)
            path->p90[i] = fminf(fmaxf(path->p90[i] + by, 0), 100);
    }
}

static void test_worse_never_scores_lower(void **state)
{
    (void)state;
    static const enum risk_scorer scorers[] = {RISK_FOREWARN, RISK_ARGUS};
    struct fw_rng rng;
    fw_rng_init(&rng, 20261123);
    for (size_t round = 0; round < 20000; round++) {
        struct forecast *f = build_forecast("a", METRIC_CANONICAL_COUNT);
        for (int m = 0; m < METRIC_CANONICAL_COUNT; m++)
            random_path(&rng, f, m);
        /* Most rounds look at few metrics, so that the score is not at its ceiling. */
        const size_t keep = (size_t)(fw_rng_uniform(&rng) * METRIC_CANONICAL_COUNT);
        f->paths[0] = f->paths[keep];
        f->path_count = round % 4 == 0 ? METRIC_CANONICAL_COUNT : 1;
        const size_t at = round % 4 == 0 ? keep : 0;
        const enum metric_worse worse = schema.metrics[f->paths[at].metric].worse;
        float before[COUNT_OF(scorers)];
        for (size_t s = 0; s < COUNT_OF(scorers); s++)
            before[s] = score_with(scorers[s], f).score;
        worsen(&rng, &f->paths[at], worse);
        for (size_t s = 0; s < COUNT_OF(scorers); s++) {
            /* The reference looks at the optimistic tail of idle, which is monotone too. */
            const float after = score_with(scorers[s], f).score;
            if (after < before[s])
                fail_msg("round %zu, %s, metric %u: %.1f after %.1f", round,
                         risk_scorer_name(scorers[s]), f->paths[at].metric, (double)after,
                         (double)before[s]);
        }
        fw_free(f);
    }
}

static void test_drivers_explain_the_score(void **state)
{
    (void)state;
    struct fw_rng rng;
    fw_rng_init(&rng, 7);
    for (size_t round = 0; round < 2000; round++) {
        struct forecast *f = build_forecast("a", METRIC_CANONICAL_COUNT);
        for (int m = 0; m < METRIC_CANONICAL_COUNT; m++)
            random_path(&rng, f, m);
        const struct risk risk = score_with(RISK_FOREWARN, f);
        double left = 1.0;
        for (size_t i = 0; i < risk.driver_count; i++) {
            const struct risk_driver *d = &risk.drivers[i];
            left *= 1.0 - (double)d->points / 100.0;
            assert_true(d->points > 0.0f && d->points <= 95.0f);
            assert_true(isfinite(d->predicted) && isfinite(d->threshold));
            assert_true(d->probability >= 0.0f && d->probability < 1.0f);
            assert_true(i == 0 || d->points <= d[-1].points);
        }
        CHECK_NEAR("recomputed by hand", 100.0 * (1.0 - left), risk.score, 0.0501);
        assert_true(risk.crossing_8h >= risk.crossing_30m);
        fw_free(f);
    }
}

static void test_missing_current(void **state)
{
    (void)state;
    struct forecast *f = build_forecast("a", 2);
    build_band(f, METRIC_MEM_USED, (double)NAN, 99, 99, 99);
    build_band(f, METRIC_DISK_USAGE, (double)NAN, 50, 50, 50);
    const struct risk risk = score_with(RISK_FOREWARN, f);
    assert_true(risk.score >= 70.0f && risk.score <= 100.0f);
    fw_free(f);
}

static void test_levels(void **state)
{
    (void)state;
    struct risk_options options;
    risk_options_default(&options, &schema);
    static const struct {
        double score;
        enum risk_level level, counted;
    } rows[] = {
        {0,    RISK_HEALTHY,  RISK_HEALTHY },
        {19.9, RISK_HEALTHY,  RISK_HEALTHY },
        {20,   RISK_WATCH,    RISK_HEALTHY },
        {40,   RISK_WARNING,  RISK_HEALTHY },
        {50,   RISK_WARNING,  RISK_WATCH   },
        {60,   RISK_WARNING,  RISK_WARNING },
        {70,   RISK_CRITICAL, RISK_WARNING },
        {80,   RISK_CRITICAL, RISK_CRITICAL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        options.argus_counts = false;
        CHECK_EQ("level", risk_level_of(&options, rows[i].score), rows[i].level);
        CHECK_EQ("counted alike", risk_count_level(&options, rows[i].score), rows[i].level);
        options.argus_counts = true;
        CHECK_EQ("counted as the reference", risk_count_level(&options, rows[i].score),
                 rows[i].counted);
    }
    CHECK_STR("emoji", risk_level_style(RISK_WATCH)->emoji, "🟡");
    CHECK_STR("colour", risk_level_style(RISK_CRITICAL)->color, "#ff4444");
    enum risk_scorer scorer = RISK_FOREWARN;
    assert_true(risk_scorer_parse("argus", &scorer) && scorer == RISK_ARGUS);
    assert_false(risk_scorer_parse("other", &scorer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_argus_vectors, setup),
        cmocka_unit_test_setup(test_argus_drivers_add_up, setup),
        cmocka_unit_test_setup(test_situations, setup),
        cmocka_unit_test_setup(test_worked_example, setup),
        cmocka_unit_test_setup(test_one_exhausted_resource_is_critical, setup),
        cmocka_unit_test_setup(test_family_counts_once, setup),
        cmocka_unit_test_setup(test_configured_metric_joins, setup),
        cmocka_unit_test_setup(test_worse_never_scores_lower, setup),
        cmocka_unit_test_setup(test_drivers_explain_the_score, setup),
        cmocka_unit_test_setup(test_missing_current, setup),
        cmocka_unit_test_setup(test_levels, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
