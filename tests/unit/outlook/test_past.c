/* What earlier runs said: found again by time and lead, replaced by later runs of the same origin,
 * forgotten when memory is used up; and the whole paths of a few of them. */
#include "outlook/past.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/rng.h"
#include "store/snapshot.h"

#include "unit/fleet/fleet_fixture.h"

#include "support.h"

#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { STEP_S = 300, SERVERS_MAX = 8 };

struct made {
    struct outlook outlook;
    struct risk risks[SERVERS_MAX];
    struct forecast_set *set;
};

/* A run over servers "s0".."s(n-1)" from `origin`, made a second later: p50 of metric 3 at horizon
 * index k is base + k. */
static void make(struct made *m, int64_t origin, size_t n, float base)
{
    memset(m, 0, sizeof *m);
    m->set = calloc(1, sizeof *m->set + n * sizeof(void *));
    assert_non_null(m->set);
    m->set->count = n;
    for (size_t i = 0; i < n; i++) {
        struct forecast *f = calloc(1, sizeof *f + sizeof f->paths[0]);
        assert_non_null(f);
        snprintf(f->name, sizeof f->name, "s%zu", i);
        f->origin_ms = origin * STEP_S * 1000;
        f->path_count = 1;
        f->paths[0].metric = 3;
        for (int k = 0; k < FORECAST_HORIZON; k++) {
            f->paths[0].p10[k] = -1;
            f->paths[0].p50[k] = base + (float)k;
            f->paths[0].p90[k] = 1000;
        }
        m->set->items[i] = f;
        m->risks[i].score = base;
    }
    m->outlook.set = m->set;
    m->outlook.risks = m->risks;
    m->outlook.step_s = STEP_S;
    m->outlook.made_ms = (origin * STEP_S + 1) * 1000;
}

static void unmake(struct made *m)
{
    for (size_t i = 0; i < m->set->count; i++)
        free((void *)(uintptr_t)m->set->items[i]);
    free(m->set);
}

static void take(struct outlook_past *past, int64_t origin, size_t n, float base)
{
    struct made m;
    make(&m, origin, n, base);
    outlook_past_take(past, &m.outlook);
    unmake(&m);
}

static double said(struct outlook_past *past, const char *server, size_t lead, int64_t step)
{
    float value;
    outlook_past_read(past, server, 3, lead, 1, step, 1, &value);
    return (double)value;
}

static double scored(struct outlook_past *past, const char *server, int64_t step)
{
    float value;
    outlook_past_risk(past, server, step, 1, &value);
    return (double)value;
}

static void test_leads(void **state)
{
    struct outlook_past *past = outlook_past_new(1 << 20);
    float band[4];
    (void)state;
    take(past, 1000, 2, 50);
    CHECK_EQ("leads", outlook_past_lead(0), 1);
    for (size_t i = 0; i < OUTLOOK_PAST_LEADS; i++) {
        const int64_t ahead = outlook_past_lead(i);
        CHECK_NEAR("where it belongs", said(past, "s1", i, 1000 + ahead - 1),
                   50 + (double)ahead - 1, 0);
        CHECK_TRUE("not before", isnan(said(past, "s1", i, 1000 + ahead - 2)));
        CHECK_TRUE("not behind", isnan(said(past, "s1", i, 1000 + ahead)));
    }
    CHECK_TRUE("nobody", isnan(said(past, "s2", 0, 1000)));
    outlook_past_read(past, "s0", 3, 0, 0, 998, 4, band);
    CHECK_TRUE("a range", isnan(band[0]) && isnan(band[1]) && band[2] == -1 && isnan(band[3]));
    outlook_past_read(past, "s0", 2, 0, 0, 1000, 1, band);
    CHECK_TRUE("another metric", isnan(band[0]));
    CHECK_NEAR("score", scored(past, "s1", 1000), 50, 0);
    CHECK_TRUE("no score", isnan(scored(past, "s1", 1001)));
    outlook_past_free(past);
}

/* A server that is a step late joins what its origin has; of two runs the later one stays. */
static void test_merging(void **state)
{
    struct outlook_past *past = outlook_past_new(1 << 20);
    struct outlook_past_counts counts;
    struct made m;
    (void)state;
    take(past, 1000, 2, 50);
    make(&m, 1001, 4, 60);
    struct forecast *late = (struct forecast *)(uintptr_t)m.set->items[3];
    late->origin_ms = (int64_t)1000 * STEP_S * 1000;
    struct forecast *silent = (struct forecast *)(uintptr_t)m.set->items[2];
    silent->origin_ms = (int64_t)900 * STEP_S * 1000;
    outlook_past_take(past, &m.outlook);
    unmake(&m);
    CHECK_NEAR("kept", said(past, "s1", 0, 1000), 50, 0);
    CHECK_NEAR("joined", said(past, "s3", 0, 1000), 60, 0);
    CHECK_NEAR("the new one", said(past, "s0", 0, 1001), 60, 0);
    CHECK_TRUE("silent for long", isnan(said(past, "s2", 0, 900)));
    take(past, 1001, 1, 70);
    CHECK_NEAR("the later run", said(past, "s0", 0, 1001), 70, 0);
    CHECK_NEAR("of that server only", said(past, "s1", 0, 1001), 60, 0);
    take(past, 999, 1, 40); /* a clock that went back */
    CHECK_NEAR("in order", said(past, "s0", 0, 999), 40, 0);
    CHECK_NEAR("beside the others", said(past, "s0", 0, 1000), 50, 0);
    outlook_past_counts(past, &counts);
    CHECK_EQ("steps", counts.steps, 3);
    CHECK_EQ("oldest", counts.oldest_s, 999 * STEP_S);
    outlook_past_free(past);
}

/* What the outlook before had said is there already, and is not gone through again. */
static void test_what_was_kept(void **state)
{
    struct outlook_past *past = outlook_past_new(1 << 20);
    struct made m;
    (void)state;
    take(past, 1000, 3, 50);
    make(&m, 1000, 3, 60);
    m.risks[0].kept = m.risks[2].kept = true;
    outlook_past_take(past, &m.outlook);
    unmake(&m);
    CHECK_NEAR("kept", said(past, "s0", 0, 1000), 50, 0);
    CHECK_NEAR("changed", said(past, "s1", 0, 1000), 60, 0);
    CHECK_NEAR("its score", scored(past, "s1", 1000), 60, 0);
    CHECK_NEAR("kept", said(past, "s2", 0, 1000), 50, 0);
    /* After an outlook that could not be taken, everything is news. */
    make(&m, 1000, 3, 70);
    m.risks[0].kept = m.risks[2].kept = true;
    fw_alloc_fail_at(1);
    outlook_past_take(past, &m.outlook);
    fw_alloc_fail_at(0);
    outlook_past_take(past, &m.outlook);
    unmake(&m);
    CHECK_NEAR("made up for", said(past, "s0", 0, 1000), 70, 0);
    outlook_past_free(past);
}

static void test_memory(void **state)
{
    enum { BYTES = 20000 };
    struct outlook_past *past = outlook_past_new(BYTES);
    struct outlook_past_counts counts;
    (void)state;
    for (int i = 0; i < 500; i++) {
        take(past, 1000 + i, SERVERS_MAX, (float)i);
        outlook_past_counts(past, &counts);
        CHECK_TRUE("within", counts.bytes <= BYTES);
    }
    CHECK_TRUE("the newest is there", said(past, "s7", 0, 1499) == 499);
    CHECK_TRUE("the oldest is gone", isnan(said(past, "s7", 0, 1000)));
    CHECK_TRUE("several", counts.steps > 5 && counts.oldest_s > 1400 * STEP_S);
    outlook_past_free(past);
    past = outlook_past_new(10); /* not enough for anything */
    take(past, 1000, 1, 1);
    CHECK_TRUE("nothing", isnan(said(past, "s0", 0, 1000)));
    outlook_past_counts(past, &counts);
    CHECK_EQ("none", counts.oldest_s, -1);
    outlook_past_free(past);
}

static struct outlook_past_path paths[OUTLOOK_PAST_RUNS];

static void test_which_runs(void **state)
{
    enum { EVERY = FORECAST_HORIZON / OUTLOOK_PAST_RUNS };
    struct outlook_past *past = outlook_past_new(1 << 20);
    static const struct {
        const char *name;
        int64_t origin;
        size_t held;
        int64_t newest, oldest;
    } rows[] = {
        {"the first",              1000,                 1, 1000,                 1000            },
        {"a step later",           1001,                 1, 1000,                 1000            },
        {"not quite a quarter",    1000 + EVERY - 1,     1, 1000,                 1000            },
        {"a quarter",              1000 + EVERY,         2, 1000 + EVERY,         1000            },
        {"the same origin again",  1000 + EVERY,         2, 1000 + EVERY,         1000            },
        {"after a gap",            1000 + 3 * EVERY,     3, 1000 + 3 * EVERY,     1000            },
        {"the fourth",             1000 + 4 * EVERY,     4, 1000 + 4 * EVERY,     1000            },
        {"the first has to go",    1000 + 5 * EVERY,     4, 1000 + 5 * EVERY,     1000 + EVERY    },
        {"the clock was set back", 1000 + 5 * EVERY - 1, 4, 1000 + 5 * EVERY - 1, 1000 + 3 * EVERY},
    };
    (void)state;
    CHECK_EQ("none", outlook_past_paths(past, "s1", 3, paths), 0);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        take(past, rows[i].origin, 2, 50);
        CHECK_EQ(rows[i].name, outlook_past_paths(past, "s1", 3, paths), rows[i].held);
        CHECK_EQ(rows[i].name, paths[0].origin_ms, rows[i].newest * STEP_S * 1000);
        CHECK_EQ(rows[i].name, paths[0].made_ms, (rows[i].newest * STEP_S + 1) * 1000);
        CHECK_EQ(rows[i].name, paths[0].step_s, STEP_S);
        CHECK_EQ(rows[i].name, paths[rows[i].held - 1].origin_ms, rows[i].oldest * STEP_S * 1000);
    }
    CHECK_EQ("no such server", outlook_past_paths(past, "s2", 3, paths), 0);
    CHECK_EQ("not its metric", outlook_past_paths(past, "s1", 2, paths), 0);
    outlook_past_free(past);
}

/* Also of a server that fell silent long before. */
static void test_whole_paths(void **state)
{
    struct outlook_past *past = outlook_past_new(1 << 20);
    struct made m;
    (void)state;
    make(&m, 1000, 3, 50);
    struct forecast *silent = (struct forecast *)(uintptr_t)m.set->items[2];
    silent->origin_ms = (int64_t)900 * STEP_S * 1000;
    outlook_past_take(past, &m.outlook);
    unmake(&m);
    CHECK_EQ("held", outlook_past_paths(past, "s0", 3, paths), 1);
    CHECK_EQ("the last step is there", outlook_past_point(OUTLOOK_PAST_POINTS - 1),
             FORECAST_HORIZON - 1);
    for (size_t i = 0; i < OUTLOOK_PAST_POINTS; i++) {
        CHECK_TRUE("in order", i == 0 || outlook_past_point(i) > outlook_past_point(i - 1));
        CHECK_NEAR("p10", (double)paths[0].quantiles[0][i], -1, 0);
        CHECK_NEAR("p50", (double)paths[0].quantiles[1][i], 50.0 + outlook_past_point(i), 0);
        CHECK_NEAR("p90", (double)paths[0].quantiles[2][i], 1000, 0);
    }
    CHECK_EQ("silent", outlook_past_paths(past, "s2", 3, paths), 1);
    CHECK_EQ("its own origin", paths[0].origin_ms, (int64_t)900 * STEP_S * 1000);
    outlook_past_free(past);
}

/* Numbers of any size come back within 1/2048 of their distance from the first median; the flat
 * ones as they are. */
static void test_precision(void **state)
{
    static const struct {
        const char *name;
        float p10, first, p50, p90;
    } rows[] = {
        {"flat",        97.33F,  97.33F,  97.33F,  97.33F },
        {"percent",     12.34F,  45.67F,  56.78F,  99.99F },
        {"bytes",       1.5e9F,  2.1e9F,  3.7e9F,  9.1e12F},
        {"small",       1.1e-7F, 2.3e-7F, 3.4e-7F, 9.9e-6F},
        {"narrow band", 97.31F,  97.33F,  97.34F,  97.36F },
        {"below zero",  -9e5F,   -1.2F,   -1.1F,   7.0F   },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct outlook_past *past = outlook_past_new(1 << 20);
        struct made m;
        float band[3];
        make(&m, 1000, 1, 0);
        struct forecast_path *path = &((struct forecast *)(uintptr_t)m.set->items[0])->paths[0];
        for (int k = 0; k < FORECAST_HORIZON; k++) {
            path->p10[k] = rows[i].p10;
            path->p50[k] = k == 0 ? rows[i].first : rows[i].p50;
            path->p90[k] = rows[i].p90;
        }
        outlook_past_take(past, &m.outlook);
        unmake(&m);
        CHECK_NEAR(rows[i].name, said(past, "s0", 0, 1000), (double)rows[i].first, 0);
        for (size_t q = 0; q < 3; q++)
            outlook_past_read(past, "s0", 3, 1, q, 1005, 1, &band[q]);
        const double said_of[3] = {(double)rows[i].p10, (double)rows[i].p50, (double)rows[i].p90};
        for (size_t q = 0; q < 3; q++)
            CHECK_NEAR(rows[i].name, (double)band[q], said_of[q],
                       fabs(said_of[q] - (double)rows[i].first) / 2048);
        outlook_past_free(past);
    }
}

/* Whole paths leave room for the steps; a fleet for which they would not goes without. */
static void test_whole_within_memory(void **state)
{
    enum { BYTES = 4000 };
    struct outlook_past *past = outlook_past_new(BYTES);
    struct outlook_past_counts counts;
    (void)state;
    take(past, 1000, SERVERS_MAX, 50);
    CHECK_EQ("too many", outlook_past_paths(past, "s0", 3, paths), 0);
    CHECK_NEAR("at the leads", said(past, "s0", 0, 1000), 50, 0);
    outlook_past_counts(past, &counts);
    CHECK_EQ("counted", counts.failures, 1);
    for (int i = 1; i < 500; i++) {
        take(past, 1000 + i, 2, (float)i);
        outlook_past_counts(past, &counts);
        CHECK_TRUE("within", counts.bytes <= BYTES);
    }
    CHECK_EQ("few enough", outlook_past_paths(past, "s1", 3, paths), OUTLOOK_PAST_RUNS);
    CHECK_TRUE("beside steps", counts.steps > 2);
    outlook_past_free(past);
}

/* A run made again takes no more than it did. */
static void test_again(void **state)
{
    struct outlook_past *past = outlook_past_new(1 << 20);
    struct outlook_past_counts once, twice;
    (void)state;
    take(past, 1000, 4, 50);
    outlook_past_counts(past, &once);
    take(past, 1000, 4, 60);
    outlook_past_counts(past, &twice);
    CHECK_EQ("bytes", twice.bytes, once.bytes);
    outlook_past_free(past);
}

/* Readers see a value of some run, or none, whatever the publisher does. */
struct reader {
    struct outlook_past *past;
    atomic_bool over;
    size_t wrong;
};

static void *read_on(void *ctx)
{
    struct reader *r = ctx;
    struct outlook_past_path whole[OUTLOOK_PAST_RUNS];
    struct outlook_past_counts counts;
    float values[64];
    while (!atomic_load(&r->over)) {
        outlook_past_read(r->past, "s1", 3, 0, 1, 1000, 64, values);
        for (size_t i = 0; i < 64; i++)
            r->wrong += !isnan(values[i]) && (values[i] < 7 || values[i] > 8);
        const size_t n = outlook_past_paths(r->past, "s1", 3, whole);
        for (size_t i = 0; i < n; i++)
            r->wrong += whole[i].quantiles[1][0] < 7 || whole[i].quantiles[1][0] > 8;
        outlook_past_risk(r->past, "s1", 1000, 64, values);
        outlook_past_counts(r->past, &counts);
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct reader readers[2] = {{.past = outlook_past_new(20000)}};
    pthread_t threads[2];
    (void)state;
    readers[1].past = readers[0].past;
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &readers[i]), 0);
    for (int i = 0; i < 400; i++)
        take(readers[0].past, 1000 + i / 8, 4, 7 + (float)(i % 2));
    for (size_t i = 0; i < 2; i++) {
        atomic_store(&readers[i].over, true);
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        CHECK_EQ("never anything else", readers[i].wrong, 0);
    }
    outlook_past_free(readers[0].past);
}

static void test_allocations_fail(void **state)
{
    struct outlook_past *past = outlook_past_new(1 << 20);
    struct outlook_past_counts counts;
    (void)state;
    take(past, 1000, 2, 50);
    for (long n = 1; n <= 2; n++) {
        fw_alloc_fail_at(n);
        take(past, 1001, 2, 60);
        fw_alloc_fail_at(0);
        CHECK_NEAR("what was there stays", said(past, "s1", 0, 1000), 50, 0);
        CHECK_TRUE("not kept", isnan(said(past, "s1", 0, 1001)));
    }
    outlook_past_counts(past, &counts);
    CHECK_EQ("counted", counts.failures, 2);
    fw_alloc_fail_at(3); /* the whole paths */
    take(past, 1030, 2, 60);
    fw_alloc_fail_at(0);
    CHECK_NEAR("at the leads", said(past, "s1", 0, 1030), 60, 0);
    CHECK_EQ("not whole", outlook_past_paths(past, "s1", 3, paths), 1);
    take(past, 1030, 2, 60);
    CHECK_EQ("the next one is", outlook_past_paths(past, "s1", 3, paths), 2);
    outlook_past_free(past);
}

/* ---- over a restart ---- */

/* A fleet that knows "s0".."s(n-1)", and a directory. */
struct kept {
    struct fixture f;
    char dir[32];
};

static void kept_open(struct kept *k, size_t n)
{
    char name[16];
    fixture_init(&k->f, STEP_S, 864, 16);
    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "s%zu", i);
        add(&k->f, name, T0, METRIC_CPU_USER, 1.0f);
    }
    flush(&k->f);
    snprintf(k->dir, sizeof k->dir, "/tmp/fw-past-XXXXXX");
    assert_non_null(mkdtemp(k->dir));
}

static void kept_close(struct kept *k)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", k->dir);
    assert_int_equal(system(command), 0);
    fixture_fini(&k->f);
}

static struct outlook_past *loaded(const struct kept *k, const struct schema *schema,
                                   uint32_t step_s)
{
    struct outlook_past *past = outlook_past_new(1 << 20);
    assert_int_equal(outlook_past_load(past, schema, step_s, k->dir, NULL, NULL), FW_OK);
    return past;
}

static size_t count(struct outlook_past *past)
{
    struct outlook_past_counts counts;
    outlook_past_counts(past, &counts);
    return counts.steps;
}

static void test_saved(void **state)
{
    enum { FIRST = 1000, RUNS = 60 };
    struct kept k;
    (void)state;
    kept_open(&k, 3);
    struct outlook_past *past = outlook_past_new(1 << 20);
    assert_int_equal(outlook_past_save(past, k.f.fleet, k.dir, SIZE_MAX, NULL), FW_OK);
    struct outlook_past *back = loaded(&k, &k.f.schema, STEP_S);
    CHECK_EQ("nothing was there", count(back), 0);
    outlook_past_free(back);
    for (int i = 0; i < RUNS; i++)
        take(past, FIRST + i, 4, (float)i); /* the fleet has forgotten s3 */
    assert_int_equal(outlook_past_save(past, k.f.fleet, k.dir, SIZE_MAX, NULL), FW_OK);
    back = loaded(&k, &k.f.schema, STEP_S);
    CHECK_EQ("steps", count(back), RUNS);
    for (int i = 0; i < RUNS; i++) {
        CHECK_NEAR("score", scored(back, "s2", FIRST + i), i, 0);
        CHECK_TRUE("forgotten", isnan(scored(back, "s3", FIRST + i)));
        for (size_t lead = 0; lead < OUTLOOK_PAST_LEADS; lead++) {
            const int64_t step = FIRST + i + (int64_t)outlook_past_lead(lead) - 1;
            CHECK_NEAR("as it was", said(back, "s1", lead, step), said(past, "s1", lead, step), 0);
        }
    }
    struct outlook_past_path a[OUTLOOK_PAST_RUNS], b[OUTLOOK_PAST_RUNS];
    const size_t n = outlook_past_paths(past, "s0", 3, a);
    CHECK_EQ("whole ones", outlook_past_paths(back, "s0", 3, b), n);
    CHECK_TRUE("several", n >= 2);
    CHECK_EQ("in their order", memcmp(a, b, n * sizeof a[0]), 0);
    take(back, FIRST + RUNS, 3, 99); /* it goes on */
    CHECK_EQ("one more", count(back), RUNS + 1);
    outlook_past_free(back);
    back = loaded(&k, &k.f.schema, 60);
    CHECK_EQ("of another step", count(back), 0);
    outlook_past_free(back);
    struct schema other = k.f.schema;
    snprintf(other.metrics[3].name, sizeof other.metrics[3].name, "another");
    back = loaded(&k, &other, STEP_S);
    CHECK_TRUE("a metric that is gone", isnan(said(back, "s0", 0, FIRST)));
    CHECK_NEAR("scores stay", scored(back, "s0", FIRST), 0, 0);
    outlook_past_free(back);
    outlook_past_free(past);
    kept_close(&k);
}

static void test_saved_within_bounds(void **state)
{
    struct kept k;
    (void)state;
    kept_open(&k, 2);
    struct outlook_past *past = outlook_past_new(1 << 20);
    for (int i = 0; i < 200; i++)
        take(past, 1000 + i, 2, (float)i);
    assert_int_equal(outlook_past_save(past, k.f.fleet, k.dir, 6000, NULL), FW_OK);
    struct outlook_past *back = loaded(&k, &k.f.schema, STEP_S);
    CHECK_TRUE("some", count(back) > 5 && count(back) < 50);
    CHECK_NEAR("the newest", scored(back, "s0", 1199), 199, 0);
    CHECK_TRUE("not the oldest", isnan(scored(back, "s0", 1000)));
    outlook_past_free(back);
    outlook_past_free(past);
    kept_close(&k);
}

/* The only file below a directory. */
static void path_of_file(const char *dir, char *path, size_t size)
{
    DIR *list = opendir(dir);
    assert_non_null(list);
    path[0] = '\0';
    for (struct dirent *entry; (entry = readdir(list)) != NULL;)
        if (entry->d_name[0] != '.')
            snprintf(path, size, "%s/%s", dir, entry->d_name);
    closedir(list);
    assert_true(path[0] != '\0');
}

/* Whatever byte changes: no crash, no failure, and no number that was not said. */
static void test_saved_and_damaged(void **state)
{
    enum { RUNS = 6 };
    struct kept k;
    char path[320];
    (void)state;
    kept_open(&k, 2);
    struct outlook_past *past = outlook_past_new(1 << 20);
    for (int i = 0; i < RUNS; i++)
        take(past, 1000 + i, 2, (float)i);
    assert_int_equal(outlook_past_save(past, k.f.fleet, k.dir, SIZE_MAX, NULL), FW_OK);
    path_of_file(k.dir, path, sizeof path);
    FILE *file = fopen(path, "r+be");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    const long size = ftell(file);
    for (long at = 0; at < size; at += 3) {
        assert_int_equal(fseek(file, at, SEEK_SET), 0);
        const int byte = fgetc(file);
        assert_int_equal(fseek(file, at, SEEK_SET), 0);
        fputc(byte ^ 0x41, file);
        fflush(file);
        struct outlook_past *back = outlook_past_new(1 << 20);
        const enum fw_status status =
            outlook_past_load(back, &k.f.schema, STEP_S, k.dir, NULL, NULL);
        assert_true(status == FW_OK || status == FW_EVERSION);
        for (int i = 0; i < RUNS; i++) {
            const double score = scored(back, "s1", 1000 + i);
            assert_true(isnan(score) || score == i);
            const double value = said(back, "s1", 1, 1005 + i);
            assert_true(isnan(value) || value == said(past, "s1", 1, 1005 + i));
        }
        outlook_past_free(back);
        assert_int_equal(fseek(file, at, SEEK_SET), 0);
        fputc(byte, file);
    }
    fclose(file);
    outlook_past_free(past);
    kept_close(&k);
}

/* ---- bytes behind a right checksum ---- */

enum { BLOCKS_MAX = 32 };
struct blocks {
    uint64_t sequence;
    unsigned char *metadata;
    size_t metadata_len, n;
    struct {
        uint32_t kind;
        unsigned char *data;
        size_t len;
    } of[BLOCKS_MAX];
};

static unsigned char *copy_of(const void *data, size_t len)
{
    unsigned char *copy = malloc(len + 1);
    assert_non_null(copy);
    memcpy(copy, data, len);
    return copy;
}

static enum fw_status note_start(void *ctx, uint64_t sequence, const void *metadata, size_t len)
{
    struct blocks *b = ctx;
    b->sequence = sequence;
    b->metadata = copy_of(metadata, len);
    b->metadata_len = len;
    return FW_OK;
}

static enum fw_status note_block(void *ctx, const struct store_snapshot_block *block)
{
    struct blocks *b = ctx;
    assert_true(b->n < BLOCKS_MAX);
    b->of[b->n].kind = block->kind;
    b->of[b->n].data = copy_of(block->data, block->len);
    b->of[b->n++].len = block->len;
    return FW_OK;
}

static void write_blocks(const struct blocks *b, const char *dir)
{
    struct store_snapshot_writer *writer;
    assert_int_equal(store_snapshot_begin(dir, NULL, NULL, b->sequence, b->metadata,
                                          b->metadata_len, &writer, NULL),
                     FW_OK);
    for (size_t i = 0; i < b->n; i++)
        assert_int_equal(
            store_snapshot_put(writer, b->of[i].kind, b->of[i].data, b->of[i].len, NULL), FW_OK);
    assert_int_equal(store_snapshot_commit(writer, NULL, NULL), FW_OK);
}

/* Any byte of any block may be wrong although its checksum is right: what is read is then refused,
 * missing, or a number. */
static void test_saved_nonsense(void **state)
{
    enum { RUNS = 6, ROUNDS = 400 };
    struct kept k;
    struct blocks b = {0};
    struct fw_rng rng;
    const struct store_snapshot_load_options options = {.start = note_start};
    (void)state;
    fw_rng_init(&rng, 5);
    kept_open(&k, 3);
    struct outlook_past *past = outlook_past_new(1 << 20);
    for (int i = 0; i < RUNS; i++)
        take(past, 1000 + i, 3, (float)i);
    assert_int_equal(outlook_past_save(past, k.f.fleet, k.dir, SIZE_MAX, NULL), FW_OK);
    outlook_past_free(past);
    assert_int_equal(store_snapshot_load(k.dir, NULL, &options, note_block, &b, NULL, NULL), FW_OK);
    for (int round = 0; round < ROUNDS; round++) {
        const size_t which = (size_t)fw_rng_below(&rng, b.n + 1);
        unsigned char *data = which == b.n ? b.metadata : b.of[which].data;
        const size_t len = which == b.n ? b.metadata_len : b.of[which].len;
        unsigned char *byte = &data[fw_rng_below(&rng, len)];
        const unsigned char was = *byte;
        *byte = (unsigned char)fw_rng_below(&rng, 256);
        write_blocks(&b, k.dir);
        *byte = was;
        struct outlook_past *back = outlook_past_new(1 << 20);
        const enum fw_status status =
            outlook_past_load(back, &k.f.schema, STEP_S, k.dir, NULL, NULL);
        assert_true(status == FW_OK || status == FW_EVERSION);
        for (int64_t step = 1000; step < 1110; step++) {
            assert_true(!isinf(scored(back, "s1", step)));
            for (size_t lead = 0; lead < OUTLOOK_PAST_LEADS; lead++)
                assert_true(!isinf(said(back, "s1", lead, step)));
        }
        const size_t n = outlook_past_paths(back, "s2", 3, paths);
        for (size_t i = 0; i < n; i++)
            for (size_t at = 0; at < OUTLOOK_PAST_POINTS; at++)
                assert_true(isfinite(paths[i].quantiles[1][at]));
        take(back, 1200, 3, 7);
        outlook_past_free(back);
    }
    for (size_t i = 0; i < b.n; i++)
        free(b.of[i].data);
    free(b.metadata);
    kept_close(&k);
}

static void test_saving_without_memory(void **state)
{
    struct kept k;
    (void)state;
    kept_open(&k, 2);
    struct outlook_past *past = outlook_past_new(1 << 20);
    take(past, 1000, 2, 5);
    enum fw_status status = FW_ENOMEM;
    for (long n = 1; status != FW_OK; n++) {
        fw_alloc_fail_at(n);
        status = outlook_past_save(past, k.f.fleet, k.dir, SIZE_MAX, NULL);
        fw_alloc_fail_at(0);
        assert_true(status == FW_OK || status == FW_ENOMEM);
    }
    status = FW_ENOMEM;
    for (long n = 1; status != FW_OK; n++) {
        struct outlook_past *back = outlook_past_new(1 << 20);
        fw_alloc_fail_at(n);
        status = outlook_past_load(back, &k.f.schema, STEP_S, k.dir, NULL, NULL);
        fw_alloc_fail_at(0);
        assert_true(status == FW_OK || status == FW_ENOMEM);
        outlook_past_free(back);
    }
    outlook_past_free(past);
    kept_close(&k);
}

int main(void)
{
    fw_log_configure(&(struct fw_log_options){.level = FW_ERROR});
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leads),
        cmocka_unit_test(test_merging),
        cmocka_unit_test(test_what_was_kept),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_which_runs),
        cmocka_unit_test(test_whole_paths),
        cmocka_unit_test(test_precision),
        cmocka_unit_test(test_whole_within_memory),
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_saved),
        cmocka_unit_test(test_saved_within_bounds),
        cmocka_unit_test(test_saved_and_damaged),
        cmocka_unit_test(test_saved_nonsense),
        cmocka_unit_test(test_saving_without_memory),
        cmocka_unit_test(test_allocations_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
