/* What is unusual: causal, calibrated on noise, finds a clear incident, says why, and copes with
 * what is missing. */
#include "support.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "surprise/surprise.h"

#include <stdlib.h>

enum { STEP_S = 300, DAY = 288, SERVERS = 4, METRICS = 4, FIRST = 5000000 };
static const char *const names[SERVERS] = {"a", "b", "c", "d"};

/* A fleet whose every metric is noise around 50 with a standard deviation of 2, forecast as such.
 */
struct world {
    struct fw_rng rng;
    struct forecast *forecasts[SERVERS];
    struct forecast_set *set;
    float values[SERVERS][METRICS]; /* of the step; NaN: missing */
    int64_t step;
    uint64_t revision;
};

static void world_init(struct world *w, uint64_t seed)
{
    *w = (struct world){.step = FIRST - 1};
    fw_rng_init(&w->rng, seed);
    w->set = fw_calloc(1, sizeof *w->set + SERVERS * sizeof w->set->items[0]);
    assert_non_null(w->set);
    w->set->step_s = STEP_S;
    w->set->count = SERVERS;
    for (size_t s = 0; s < SERVERS; s++) {
        struct forecast *f = fw_calloc(1, sizeof *f + METRICS * sizeof f->paths[0]);
        assert_non_null(f);
        memcpy(f->name, names[s], 2);
        f->path_count = METRICS;
        for (uint16_t m = 0; m < METRICS; m++) {
            f->paths[m].metric = m;
            for (size_t h = 0; h < FORECAST_HORIZON; h++) {
                f->paths[m].p10[h] = 50.0f - 1.2816f * 2.0f;
                f->paths[m].p50[h] = 50.0f;
                f->paths[m].p90[h] = 50.0f + 1.2816f * 2.0f;
            }
        }
        w->forecasts[s] = f;
        w->set->items[s] = f;
    }
}

static void world_fini(struct world *w)
{
    for (size_t s = 0; s < SERVERS; s++)
        fw_free(w->forecasts[s]);
    fw_free(w->set);
}

/* Puts the step's values into the forecasts. */
static void show(struct world *w)
{
    w->revision++;
    for (size_t s = 0; s < SERVERS; s++) {
        struct forecast *f = w->forecasts[s];
        f->origin_ms = (w->step + 1) * STEP_S * 1000;
        f->revision = w->revision;
        for (size_t m = 0; m < METRICS; m++) {
            if (isnan(w->values[s][m]))
                continue;
            f->paths[m].current = w->values[s][m];
            f->paths[m].last_seen_ms = w->step * STEP_S * 1000;
        }
    }
}

static void next_step(struct world *w)
{
    w->step++;
    for (size_t s = 0; s < SERVERS; s++)
        for (size_t m = 0; m < METRICS; m++)
            w->values[s][m] = (float)(50.0 + 2.0 * fw_rng_normal(&w->rng));
}

static struct surprise *make(double per_day)
{
    struct surprise_options options;
    struct surprise *surprise;
    surprise_options_default(&options, STEP_S);
    options.alarms_per_server_day = per_day;
    if (surprise_new(&options, &surprise, NULL) != FW_OK)
        fail_msg("no memory");
    return surprise;
}

static void update(struct surprise *surprise, struct world *w)
{
    show(w);
    if (surprise_update(surprise, w->set, NULL, NULL) != FW_OK)
        fail_msg("no memory");
}

static void live(struct surprise *surprise, struct world *w, int64_t steps)
{
    for (int64_t t = 0; t < steps; t++) {
        next_step(w);
        update(surprise, w);
    }
}

static void test_learns_first(void **state)
{
    (void)state;
    struct world w;
    struct surprise *s = make(0.1);
    world_init(&w, 1);
    live(s, &w, 2);
    CHECK_TRUE("nothing to compare with", !surprise_verdict(s, 0)->judged);
    live(s, &w, 2 * DAY);
    CHECK_TRUE("judged", surprise_verdict(s, 0)->judged);
    CHECK_TRUE("learning", isinf(surprise_verdict(s, 0)->threshold));
    live(s, &w, 3 * DAY); /* four servers: ten server-days after some five days */
    CHECK_TRUE("learned", isfinite(surprise_verdict(s, 0)->threshold));
    surprise_free(s);
    world_fini(&w);
}

static void test_rate_on_noise(void **state)
{
    (void)state;
    enum { LEARN = 20 * DAY, WATCH = 60 * DAY };
    static const double wanted[2] = {0.1, 0.5};
    for (size_t k = 0; k < 2; k++) {
        struct world w;
        struct surprise *s = make(wanted[k]);
        size_t alarms = 0;
        bool was[SERVERS] = {false};
        world_init(&w, 2);
        live(s, &w, LEARN);
        for (int64_t t = 0; t < WATCH; t++) {
            live(s, &w, 1);
            for (size_t i = 0; i < SERVERS; i++) {
                const bool firing = surprise_verdict(s, i)->firing;
                alarms += firing && !was[i] ? 1 : 0;
                was[i] = firing;
            }
        }
        const double rate = (double)alarms / (60.0 * SERVERS);
        CHECK_TRUE("not more than promised", rate <= 1.3 * wanted[k]);
        CHECK_TRUE("not silent either", rate >= 0.4 * wanted[k]);
        surprise_free(s);
        world_fini(&w);
    }
}

static void test_incident(void **state)
{
    (void)state;
    struct world w;
    struct surprise *s = make(0.1);
    world_init(&w, 3);
    live(s, &w, 20 * DAY);
    const int64_t begin = w.step + 1;
    for (int t = 0; t < 12; t++) {
        next_step(&w);
        w.values[1][0] += 20.0f;
        w.values[1][2] -= 12.0f;
        w.values[1][3] += 14.0f;
        update(s, &w);
        const struct surprise_verdict *v = surprise_verdict(s, 1);
        CHECK_TRUE("found in its first step", v->firing && v->above);
        CHECK_EQ("since", v->since_step, begin);
        CHECK_EQ("still", v->above_step, w.step);
        CHECK_TRUE("more than two reasons", v->reason_count >= 3);
        CHECK_TRUE("those that moved", v->reasons[0].metric != 1);
        for (size_t r = 0; r < 3; r++)
            CHECK_TRUE("with the sign of it",
                       (v->reasons[r].widths > 0.0f) == (v->reasons[r].metric != 2));
        CHECK_NEAR("the value", v->reasons[0].value, w.values[1][v->reasons[0].metric], 0.0);
        CHECK_NEAR("the band", v->reasons[0].p90, 50.0 + 1.2816 * 2.0, 1e-4);
        CHECK_TRUE("nobody else", !surprise_verdict(s, 0)->above && !surprise_verdict(s, 2)->above);
    }
    live(s, &w, 12);
    CHECK_TRUE("an hour later", surprise_verdict(s, 1)->firing && surprise_verdict(s, 1)->lately);
    CHECK_TRUE("still with its reasons", surprise_verdict(s, 1)->reason_count >= 3);
    live(s, &w, 1);
    CHECK_TRUE("over", !surprise_verdict(s, 1)->firing);
    surprise_free(s);
    world_fini(&w);
}

static void test_daily_work_is_expected(void **state)
{
    (void)state;
    struct world w;
    struct surprise *s = make(0.1);
    float first = 0.0f, last = 0.0f;
    world_init(&w, 4);
    live(s, &w, 10 * DAY);
    for (int day = 0; day < 8; day++) {
        next_step(&w);
        for (size_t m = 0; m < METRICS; m++)
            w.values[1][m] = 70.0f;
        update(s, &w);
        last = surprise_verdict(s, 1)->score;
        first = day == 0 ? last : first;
        live(s, &w, DAY - 1);
    }
    CHECK_TRUE("surprising once", first > 1.0f);
    CHECK_NEAR("half of it the eighth time", last, 0.5 * (double)first, 0.05 * (double)first);
    surprise_free(s);
    world_fini(&w);
}

/* The same past and another future: the same verdicts on the past. */
static void test_causal(void **state)
{
    (void)state;
    enum { SAME = 6 * DAY };
    struct world a, b;
    struct surprise *of_a = make(0.5), *of_b = make(0.5);
    world_init(&a, 5);
    world_init(&b, 5);
    for (int t = 0; t < SAME; t++) {
        live(of_a, &a, 1);
        live(of_b, &b, 1);
        for (size_t i = 0; i < SERVERS; i++) {
            const struct surprise_verdict *x = surprise_verdict(of_a, i),
                                          *y = surprise_verdict(of_b, i);
            CHECK_TRUE("score", x->score == y->score || (isnan(x->score) && isnan(y->score)));
            CHECK_TRUE("threshold", x->threshold == y->threshold);
        }
    }
    const float score = surprise_verdict(of_a, 0)->score;
    next_step(&b);
    b.values[0][0] = 1000.0f;
    update(of_b, &b);
    CHECK_TRUE("the past stays", surprise_verdict(of_a, 0)->score == score);
    CHECK_TRUE("the future shows", surprise_verdict(of_b, 0)->score > score + 0.5f);
    surprise_free(of_a);
    surprise_free(of_b);
    world_fini(&a);
    world_fini(&b);
}

/* Looking at a step several times while its values come in leaves the same memory as looking at
 * what it was in the end. */
static void test_runs_within_a_step(void **state)
{
    (void)state;
    struct world a, b;
    struct surprise *once = make(0.5), *often = make(0.5);
    world_init(&a, 6);
    world_init(&b, 6);
    for (int t = 0; t < 4 * DAY; t++) {
        live(once, &a, 1);
        next_step(&b);
        const float final = b.values[2][1];
        b.values[2][1] = 90.0f; /* so far */
        update(often, &b);
        b.values[2][1] = final;
        update(often, &b);
        update(often, &b);
    }
    for (size_t i = 0; i < SERVERS; i++) {
        CHECK_TRUE("score", surprise_verdict(once, i)->score == surprise_verdict(often, i)->score);
        CHECK_TRUE("threshold",
                   surprise_verdict(once, i)->threshold == surprise_verdict(often, i)->threshold);
    }
    surprise_free(once);
    surprise_free(often);
    world_fini(&a);
    world_fini(&b);
}

static void test_missing_values(void **state)
{
    (void)state;
    struct world w;
    struct surprise *s = make(0.1);
    world_init(&w, 7);
    live(s, &w, 15 * DAY);
    const float whole = surprise_verdict(s, 0)->threshold;
    next_step(&w);
    for (size_t m = 0; m < METRICS; m++)
        w.values[0][m] = m == 0 ? 62.0f : NAN; /* 1.8 widths outside, alone */
    update(s, &w);
    const struct surprise_verdict *v = surprise_verdict(s, 0);
    CHECK_TRUE("judged", v->judged && !isnan(v->score));
    CHECK_NEAR("a mean over half of what it has", v->score,
               log1p((62.0 - 50.0 - 1.2816 * 2.0) / (2 * 1.2816 * 2.0)) / 2, 0.12);
    CHECK_EQ("its reason", v->reason_count, 1);
    next_step(&w);
    for (size_t m = 0; m < METRICS; m++)
        w.values[0][m] = NAN;
    update(s, &w);
    CHECK_TRUE("nothing seen, nothing judged", !v->judged && isnan(v->score) && !v->above);
    live(s, &w, 100);
    CHECK_TRUE("goes on", surprise_verdict(s, 0)->judged);
    CHECK_NEAR("having learned nothing wrong", surprise_verdict(s, 0)->threshold, whole,
               0.2 * (double)whole);
    surprise_free(s);
    world_fini(&w);
}

/* A metric that never varied and was never wrong: its first change is finite. */
static void test_constant_metric(void **state)
{
    (void)state;
    struct world w;
    struct surprise *s = make(0.1);
    world_init(&w, 8);
    for (size_t h = 0; h < FORECAST_HORIZON; h++)
        w.forecasts[0]->paths[3].p10[h] = w.forecasts[0]->paths[3].p90[h] = 50.0f;
    for (int t = 0; t < 5 * DAY; t++) {
        next_step(&w);
        w.values[0][3] = t < 5 * DAY - 1 ? 50.0f : 50.001f;
        update(s, &w);
    }
    CHECK_NEAR("the most that one metric can say", surprise_verdict(s, 0)->score, log1p(1000.0) / 4,
               0.35);
    CHECK_NEAR("in widths", surprise_verdict(s, 0)->reasons[0].widths, 1000.0, 0.0);
    surprise_free(s);
    world_fini(&w);
}

static void test_servers_come_and_go(void **state)
{
    (void)state;
    struct world w;
    struct surprise *s = make(0.1);
    world_init(&w, 9);
    live(s, &w, 8 * DAY);
    const struct forecast *last = w.set->items[3];
    w.set->count = 3;
    live(s, &w, 1);
    w.set->count = 4;
    w.set->items[3] = last;
    live(s, &w, 20);
    CHECK_TRUE("begins anew", isinf(surprise_verdict(s, 3)->threshold));
    CHECK_TRUE("the others go on", isfinite(surprise_verdict(s, 2)->threshold));
    surprise_free(s);
    world_fini(&w);
}

/* What is kept and read back goes on where it was, an hour later. */
static void test_kept_over_a_restart(void **state)
{
    (void)state;
    struct world w;
    struct schema schema;
    struct fw_buf buf;
    struct surprise *before = make(0.3), *after = make(0.3);
    schema_default(&schema);
    world_init(&w, 11);
    fw_buf_init(&buf, 1 << 16);
    live(before, &w, 12 * DAY);
    for (size_t i = 0; i < surprise_count(before); i++) {
        fw_buf_reset(&buf);
        surprise_encode(before, i, &schema, &buf);
        CHECK_TRUE("not too large", !buf.failed && buf.len < 1500);
        assert_int_equal(
            surprise_decode(after, surprise_name(before, i), &schema, buf.data, buf.len, NULL),
            FW_OK);
    }
    for (int t = 0; t < DAY; t++) {
        next_step(&w);
        if (t == DAY - 1)
            for (size_t m = 0; m < METRICS; m++)
                w.values[2][m] += 12.0f;
        update(before, &w);
        update(after, &w);
        for (size_t i = 0; i < SERVERS && t > 12; i++) {
            const struct surprise_verdict *x = surprise_verdict(before, i),
                                          *y = surprise_verdict(after, i);
            CHECK_TRUE("judged", y->judged);
            CHECK_NEAR("the same score", y->score, x->score, 0.02);
            CHECK_NEAR("the same threshold", y->threshold, x->threshold, 0.02);
        }
    }
    CHECK_TRUE("finds as before", surprise_verdict(after, 2)->above);
    fw_buf_fini(&buf);
    surprise_free(before);
    surprise_free(after);
    world_fini(&w);
}

/* Bytes that were cut, or changed anywhere, never do harm: refused, or read as something sane. */
static void test_damaged_bytes(void **state)
{
    (void)state;
    struct world w;
    struct schema schema;
    struct fw_buf buf;
    struct surprise *s = make(0.3);
    schema_default(&schema);
    world_init(&w, 12);
    fw_buf_init(&buf, 1 << 16);
    live(s, &w, 5 * DAY);
    surprise_encode(s, 0, &schema, &buf);
    surprise_free(s);
    for (size_t len = 0; len < buf.len; len++) {
        s = make(0.3);
        CHECK_TRUE("cut", surprise_decode(s, "a", &schema, buf.data, len, NULL) != FW_OK);
        CHECK_EQ("left out", surprise_count(s), 0);
        surprise_free(s);
    }
    for (size_t at = 0; at < buf.len; at++) {
        const char was = buf.data[at];
        buf.data[at] = (char)~was;
        s = make(0.3);
        if (surprise_decode(s, "a", &schema, buf.data, buf.len, NULL) == FW_OK)
            live(s, &w, 2);
        surprise_free(s);
        buf.data[at] = was;
    }
    buf.data[0]++;
    s = make(0.3);
    CHECK_EQ("version", surprise_decode(s, "a", &schema, buf.data, buf.len, NULL), FW_EVERSION);
    surprise_free(s);
    fw_buf_fini(&buf);
    world_fini(&w);
}

/* Memory is what the servers need and does not grow with time. */
static void test_memory(void **state)
{
    (void)state;
    struct world w;
    struct surprise *s = make(0.1);
    world_init(&w, 10);
    live(s, &w, DAY);
    fw_alloc_fail_at(1000000); /* counts */
    live(s, &w, DAY);
    CHECK_EQ("two lists a run", fw_alloc_count(), 2 * DAY);
    fw_alloc_fail_at(0);
    surprise_free(s);
    for (long n = 1; n < 20; n++) {
        s = make(0.1);
        next_step(&w);
        show(&w);
        fw_alloc_fail_at(n);
        const enum fw_status status = surprise_update(s, w.set, NULL, NULL);
        fw_alloc_fail_at(0);
        CHECK_TRUE("whole or refused",
                   n <= 2 + 2 * SERVERS ? status == FW_ENOMEM : status == FW_OK);
        update(s, &w);
        surprise_free(s);
    }
    world_fini(&w);
}

/* A set of the same servers whose item `changed` is new. */
static struct forecast_set *one_changed(const struct world *w, const struct forecast_set *before,
                                        size_t changed)
{
    const size_t bytes = sizeof(struct forecast) + METRICS * sizeof(struct forecast_path);
    struct forecast_set *set = fw_calloc(1, sizeof *set + SERVERS * sizeof set->items[0]);
    struct forecast *fresh = fw_malloc(bytes);
    assert_true(set != NULL && fresh != NULL);
    memcpy(fresh, w->forecasts[changed], bytes);
    set->step_s = STEP_S;
    set->roster = 7;
    set->count = SERVERS;
    for (size_t i = 0; i < SERVERS; i++)
        set->items[i] = before->items[i];
    set->items[changed] = fresh;
    return set;
}

/* Run by run another server has its step: what did not change need not be looked at. */
static void test_unchanged_are_passed_over(void **state)
{
    (void)state;
    struct world w;
    struct surprise *every = make(0.5), *changed = make(0.5);
    const struct forecast_set *before = NULL;
    world_init(&w, 12);
    next_step(&w);
    show(&w);
    for (size_t s = 0; s < SERVERS; s++) {
        struct forecast_set *set = one_changed(&w, before != NULL ? before : w.set, s);
        fw_free((void *)(uintptr_t)before);
        before = set;
    }
    for (size_t run = 0; run < 8 * DAY * SERVERS; run++) {
        const size_t s = run % SERVERS;
        if (s == 0)
            next_step(&w);
        show(&w);
        struct forecast_set *set = one_changed(&w, before, s);
        assert_int_equal(surprise_update(every, set, NULL, NULL), FW_OK);
        assert_int_equal(surprise_update(changed, set, run > 0 ? before : NULL, NULL), FW_OK);
        for (size_t i = 0; i < SERVERS; i++) {
            const struct surprise_verdict *a = surprise_verdict(every, i),
                                          *b = surprise_verdict(changed, i);
            if (a->judged != b->judged || (a->judged && a->score != b->score))
                fail_msg("run %zu, server %zu: another score", run, i);
            /* Thresholds are renewed by the first that closes a step. */
            if (s == 0 && a->threshold != b->threshold)
                fail_msg("run %zu, server %zu: threshold %g, not %g", run, i, (double)b->threshold,
                         (double)a->threshold);
        }
        fw_free((void *)(uintptr_t)before->items[s]);
        fw_free((void *)(uintptr_t)before);
        before = set;
    }
    CHECK_TRUE("learned", isfinite(surprise_verdict(changed, 0)->threshold));
    for (size_t s = 0; s < SERVERS; s++)
        fw_free((void *)(uintptr_t)before->items[s]);
    fw_free((void *)(uintptr_t)before);
    surprise_free(every);
    surprise_free(changed);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learns_first),
        cmocka_unit_test(test_rate_on_noise),
        cmocka_unit_test(test_incident),
        cmocka_unit_test(test_daily_work_is_expected),
        cmocka_unit_test(test_causal),
        cmocka_unit_test(test_runs_within_a_step),
        cmocka_unit_test(test_missing_values),
        cmocka_unit_test(test_constant_metric),
        cmocka_unit_test(test_servers_come_and_go),
        cmocka_unit_test(test_kept_over_a_restart),
        cmocka_unit_test(test_damaged_bytes),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_unchanged_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
