/* Servers that rest are passed over: a book that is told which forecasts are the ones of the run
 * before finds, run by run, what one finds that looks at all of them. */
#include "base/alloc.h"
#include "base/rng.h"
#include "unit/alert/book_turn.h"
#include "unit/risk/build_forecast.h"

#include "alert/alert.h"

#include "support.h"

enum { SERVERS = 30, RUNS = 400, SEEN_MAX = 256 };
static const int64_t base_ms = (int64_t)1700000 * 1000000;
static struct schema schema;

struct told {
    size_t count;
    struct alert_transition seen[SEEN_MAX];
};

/* The same fleet twice: `passes` may pass over who rests, `looks` must look. */
struct world {
    struct fw_rng rng;
    struct forecast *now[SERVERS]; /* NULL: not there */
    bool fresh[SERVERS];
    struct alert_book *passes, *looks;
    struct told told_passes, told_looks;
    uint64_t roster;
    size_t alerts, silent; /* seen in lists */
};

static void note(void *ctx, const struct alert_transition *t)
{
    struct told *told = ctx;
    assert_true(told->count < SEEN_MAX);
    told->seen[told->count++] = *t;
}

static struct forecast *anew(struct world *w, size_t i, int step)
{
    char name[16];
    snprintf(name, sizeof name, "s%02zu", i);
    struct forecast *f = build_forecast(name, 2);
    f->origin_ms = base_ms + (int64_t)(step + 1) * BUILD_STEP_MS;
    f->last_seen_ms = f->origin_ms - 1000;
    const double levels[] = {40, 50, 60, 83, 97};
    build_flat(f, METRIC_CPU_USER, levels[fw_rng_below(&w->rng, COUNT_OF(levels))]);
    build_ramp(f, METRIC_DISK_USAGE, 70, (double)fw_rng_below(&w->rng, 4) * 0.1, 0.1, 0, 100);
    return f;
}

/* A fifth of the servers have news; some turn silent or back, leave, or come. */
static void live(struct world *w, int step)
{
    bool others = false;
    for (size_t i = 0; i < SERVERS; i++) {
        w->fresh[i] = true;
        const uint64_t dice = fw_rng_below(&w->rng, 100);
        if (w->now[i] == NULL) {
            if (dice < 20 || step == 0) {
                w->now[i] = anew(w, i, step);
                others = true;
            }
        } else if (dice < 2) {
            fw_free(w->now[i]);
            w->now[i] = NULL;
            others = true;
        } else if (dice < 22) {
            fw_free(w->now[i]);
            w->now[i] = anew(w, i, step);
        } else if (dice < 25) {
            w->now[i]->stale = !w->now[i]->stale;
        } else {
            w->fresh[i] = false;
        }
    }
    w->roster += others;
}

static struct forecast_set *set_of(const struct world *w, struct risk *risks)
{
    const struct forecast *items[SERVERS];
    size_t n = 0;
    for (size_t i = 0; i < SERVERS; i++)
        if (w->now[i] != NULL) {
            risks[n] = (struct risk){.kept = !w->fresh[i]};
            items[n++] = w->now[i];
        }
    struct forecast_set *set = build_set(items, n);
    set->roster = w->roster;
    return set;
}

static bool same_number(float a, float b)
{
    return a == b || (isnan(a) && isnan(b));
}

static void check_alerts(int step, const struct alert *a, const struct alert *b)
{
    if (strcmp(a->server, b->server) != 0 || a->metric != b->metric || a->state != b->state ||
        a->severity != b->severity || a->held != b->held || a->starts_ms != b->starts_ms ||
        a->ends_ms != b->ends_ms || a->id != b->id || a->steps_ahead != b->steps_ahead ||
        !same_number(a->predicted, b->predicted) || !same_number(a->current, b->current) ||
        !same_number(a->probability, b->probability) || !same_number(a->threshold, b->threshold))
        fail_msg("run %d: %s, metric %d, is not %s, metric %d, in the same way", step, a->server,
                 a->metric, b->server, b->metric);
}

static void compare(struct world *w, int step, const struct alert_list *a,
                    const struct alert_list *b)
{
    CHECK_EQ("alerts", a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        check_alerts(step, &a->items[i], &b->items[i]);
        w->alerts++;
        w->silent += a->items[i].metric == ALERT_METRIC_SILENT;
    }
    CHECK_EQ("told", w->told_passes.count, w->told_looks.count);
    for (size_t i = 0; i < w->told_passes.count; i++)
        check_alerts(step, &w->told_passes.seen[i].alert, &w->told_looks.seen[i].alert);
}

static void run(struct world *w, int step)
{
    const int64_t now_ms = base_ms + (int64_t)(step + 1) * BUILD_STEP_MS;
    struct risk risks[SERVERS];
    const struct alert_list *a, *b;
    struct forecast_set *set = set_of(w, risks);
    w->told_passes.count = w->told_looks.count = 0;
    assert_int_equal(book_turn(w->passes, set, risks, now_ms, note, &w->told_passes, &a, NULL),
                     FW_OK);
    for (size_t i = 0; i < set->count; i++)
        risks[i].kept = false;
    assert_int_equal(book_turn(w->looks, set, risks, now_ms, note, &w->told_looks, &b, NULL),
                     FW_OK);
    compare(w, step, a, b);
    alert_list_release(a);
    alert_list_release(b);
    fw_free(set);
}

static void test_passing_over_misses_nothing(void **state)
{
    (void)state;
    struct alert_options options;
    schema_default(&schema);
    alert_options_default(&options, &schema, BUILD_STEP_MS / 1000);
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct world *w = fw_calloc(1, sizeof *w);
        assert_non_null(w);
        fw_rng_init(&w->rng, seed);
        assert_int_equal(alert_book_open(&options, NULL, &w->passes, NULL), FW_OK);
        assert_int_equal(alert_book_open(&options, NULL, &w->looks, NULL), FW_OK);
        for (int step = 0; step < RUNS; step++) {
            live(w, step);
            run(w, step);
        }
        CHECK_TRUE("there were alerts", w->alerts > RUNS);
        CHECK_TRUE("also to silence", w->silent > RUNS / 10);
        alert_book_close(w->passes);
        alert_book_close(w->looks);
        for (size_t i = 0; i < SERVERS; i++)
            fw_free(w->now[i]);
        fw_free(w);
    }
}

/* What could not be judged for lack of memory is looked at again, though it rests since. */
static void test_what_was_missed_is_made_up_for(void **state)
{
    (void)state;
    struct alert_options options;
    schema_default(&schema);
    alert_options_default(&options, &schema, BUILD_STEP_MS / 1000);
    options.for_runs = 1;
    size_t missed = 0;
    for (long n = 1; n < 12; n++) {
        struct world *w = fw_calloc(1, sizeof *w);
        const struct alert_list *list;
        struct risk risk = {0};
        assert_non_null(w);
        assert_int_equal(alert_book_open(&options, NULL, &w->passes, NULL), FW_OK);
        w->now[0] = build_forecast("s00", 1);
        w->now[0]->origin_ms = base_ms + BUILD_STEP_MS;
        w->now[0]->last_seen_ms = base_ms;
        build_flat(w->now[0], METRIC_CPU_USER, 97);
        w->roster = 1;
        w->fresh[0] = true;
        struct forecast_set *set = set_of(w, &risk);
        fw_alloc_fail_at(n);
        const enum fw_status status = book_turn(w->passes, set, &risk, w->now[0]->origin_ms, note,
                                                &w->told_passes, &list, NULL);
        fw_alloc_fail_at(0);
        missed += status == FW_ENOMEM;
        alert_list_release(list);
        risk.kept = true;
        assert_int_equal(book_turn(w->passes, set, &risk, w->now[0]->origin_ms, note,
                                   &w->told_passes, &list, NULL),
                         FW_OK);
        CHECK_EQ("alerts", list->count, 1);
        CHECK_EQ("fires", list->items[0].state, ALERT_FIRING);
        alert_list_release(list);
        alert_book_close(w->passes);
        fw_free(set);
        fw_free(w->now[0]);
        fw_free(w);
    }
    CHECK_TRUE("some were missed", missed >= 2);
}

/* A held alert is given up by time alone: its server, silent, rests for good. */
static void test_given_up_while_it_rests(void **state)
{
    (void)state;
    struct alert_options options;
    const struct alert_list *list;
    struct told told = {0};
    struct risk risk = {0};
    schema_default(&schema);
    alert_options_default(&options, &schema, BUILD_STEP_MS / 1000);
    options.for_runs = 1;
    struct alert_book *book;
    assert_int_equal(alert_book_open(&options, NULL, &book, NULL), FW_OK);
    struct forecast *f = build_forecast("s00", 1);
    f->origin_ms = base_ms + BUILD_STEP_MS;
    f->last_seen_ms = base_ms;
    build_flat(f, METRIC_CPU_USER, 97);
    struct forecast_set *set = build_set((const struct forecast *const *)&f, 1);
    set->roster = 1;
    const int64_t times_ms[] = {0, BUILD_STEP_MS, options.forget_ms / 2, options.forget_ms,
                                options.forget_ms + 2 * BUILD_STEP_MS};
    for (size_t i = 0; i < COUNT_OF(times_ms); i++) {
        told.count = 0;
        f->stale = i > 0;
        risk.kept = i > 1;
        assert_int_equal(
            book_turn(book, set, &risk, f->origin_ms + times_ms[i], note, &told, &list, NULL),
            FW_OK);
        size_t gone = 0;
        for (size_t k = 0; k < told.count; k++)
            gone += told.seen[k].to == ALERT_RESOLVED &&
                    told.seen[k].alert.reason == ALERT_REASON_METRIC_GONE;
        CHECK_EQ("given up when it was held for long enough", gone, i + 1 == COUNT_OF(times_ms));
        alert_list_release(list);
    }
    alert_book_close(book);
    fw_free(set);
    fw_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passing_over_misses_nothing),
        cmocka_unit_test(test_what_was_missed_is_made_up_for),
        cmocka_unit_test(test_given_up_while_it_rests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
