/* The life of alerts, told run by run: raising, holding, clearing, restarts, silence, expiry, a
 * failing store, no memory. */
#include "unit/alert/book_turn.h"
#include "unit/alert/memory_state.h"
#include "unit/risk/build_forecast.h"

#include "alert/alert.h"
#include "alert/event.h"

#include "support.h"

static const int64_t base_ms = (int64_t)1700000 * 1000000;

static struct schema schema;

/* A book, its store, and the transitions of the last run. */
struct world {
    struct store_state *state;
    struct alert_book *book;
    struct alert_options options;
    const struct alert_list *list;
    int64_t now_ms;
    struct alert_transition seen[64];
    size_t seen_count;
    size_t total_fired, total_resolved;
    long commits_before;
};

static void note(void *ctx, const struct alert_transition *t)
{
    struct world *w = ctx;
    assert_true(w->seen_count < COUNT_OF(w->seen));
    w->seen[w->seen_count++] = *t;
    w->total_fired += t->to == ALERT_FIRING && t->from == ALERT_PENDING;
    w->total_resolved += t->to == ALERT_RESOLVED && t->from == ALERT_FIRING;
    /* Durable before anybody hears of it. */
    if (w->state != NULL && w->state->fail_from == 0)
        assert_true(w->state->commits > w->commits_before);
}

static void open_book(struct world *w)
{
    assert_int_equal(alert_book_open(&w->options, w->state, &w->book, NULL), FW_OK);
}

static struct world *world_new(bool with_store)
{
    struct world *w = calloc(1, sizeof *w);
    schema_default(&schema);
    alert_options_default(&w->options, &schema, 300);
    w->state = with_store ? memory_state_new() : NULL;
    w->now_ms = base_ms;
    open_book(w);
    return w;
}

static void world_free(struct world *w)
{
    alert_list_release(w->list);
    alert_book_close(w->book);
    if (w->state != NULL)
        memory_state_free(w->state);
    free(w);
}

static void restart(struct world *w)
{
    alert_book_close(w->book);
    open_book(w);
}

/* One run over `n` servers (they are given back). The origin of each says which step it is of. */
static enum fw_status run_n(struct world *w, struct forecast **items, size_t n)
{
    struct forecast_set *set = build_set((const struct forecast *const *)items, n);
    struct risk *risks = calloc(n + 1, sizeof *risks);
    struct risk_driver drivers[SCHEMA_METRICS_MAX];
    struct risk_options options;
    risk_options_default(&options, &schema);
    for (size_t i = 0; i < n; i++)
        risk_score(&options, items[i], &risks[i], drivers);
    alert_list_release(w->list);
    w->list = NULL;
    w->seen_count = 0;
    w->commits_before = w->state != NULL ? w->state->commits : 0;
    const enum fw_status status =
        book_turn(w->book, set, risks, w->now_ms, note, w, &w->list, NULL);
    free(risks);
    fw_free(set);
    for (size_t i = 0; i < n; i++)
        fw_free(items[i]);
    return status;
}

/* A server whose newest step is `step`. */
static struct forecast *server_at(const char *name, int step)
{
    struct forecast *f = build_forecast(name, 4);
    f->origin_ms = base_ms + (int64_t)(step + 1) * BUILD_STEP_MS;
    f->last_seen_ms = f->origin_ms - 1000;
    f->revision = (uint64_t)step + 1;
    return f;
}

static void run_one(struct world *w, struct forecast *f)
{
    assert_int_equal(run_n(w, &f, 1), FW_OK);
}

/* A step in which cpu_user_pct is and stays at `value`. */
static void run_cpu(struct world *w, int step, double value)
{
    struct forecast *f = server_at("web-1", step);
    build_flat(f, METRIC_CPU_USER, value);
    w->now_ms = f->origin_ms;
    run_one(w, f);
}

static void run_silent(struct world *w, int last_step, int now_step, double value)
{
    struct forecast *f = server_at("web-1", last_step);
    build_flat(f, METRIC_CPU_USER, value);
    f->stale = true;
    w->now_ms = base_ms + (int64_t)(now_step + 1) * BUILD_STEP_MS;
    run_one(w, f);
}

static const struct alert *listed(const struct world *w, uint16_t metric)
{
    const struct alert *found = NULL;
    for (size_t i = 0; i < w->list->count; i++) {
        if (w->list->items[i].metric != metric)
            continue;
        assert_null(found); /* one per server and metric */
        found = &w->list->items[i];
    }
    return found;
}

static void expect(const char *name, const struct world *w, uint16_t metric, int state,
                   int severity)
{
    const struct alert *a = listed(w, metric);
    if (state < 0) {
        CHECK_TRUE(name, a == NULL);
        return;
    }
    if (a == NULL)
        fail_msg("%s: no alert", name);
    CHECK_EQ(name, a->state, state);
    CHECK_EQ(name, a->severity, severity);
}

/* A memory leak: 80 % now, rising by 0.5 a step until step 40, then a restart of the service. */
static void run_leak(struct world *w, int step)
{
    struct forecast *f = server_at("app-1", step);
    const double level = step < 40 ? 80 + 0.5 * step : 45;
    build_ramp(f, METRIC_MEM_USED, level, step < 40 ? 0.5 : 0, 0.1, 0, 100);
    w->now_ms = f->origin_ms;
    run_one(w, f);
}

static void test_leak_from_first_sign_to_end(void **state)
{
    (void)state;
    struct world *w = world_new(true);
    int pending = -1, firing = -1, critical = -1, resolved = -1, above = -1;
    uint64_t id = 0;
    for (int step = 0; step < 60; step++) {
        run_leak(w, step);
        const struct alert *a = listed(w, METRIC_MEM_USED);
        if (80 + 0.5 * step >= 98 && above < 0)
            above = step;
        for (size_t i = 0; i < w->seen_count; i++) {
            const struct alert_transition *t = &w->seen[i];
            if (t->created && t->to == ALERT_PENDING)
                pending = step;
            if (t->from == ALERT_PENDING && t->to == ALERT_FIRING)
                firing = step;
            if (t->alert.state == ALERT_FIRING && t->alert.severity == ALERT_CRITICAL &&
                critical < 0)
                critical = step;
            if (t->to == ALERT_RESOLVED)
                resolved = step;
            assert_true(id == 0 || id == t->alert.id);
            id = t->alert.id;
        }
        if (a != NULL && a->state == ALERT_FIRING && step < 40) {
            assert_true(a->probability > 0.5f && a->probability < 1.0f);
            assert_true(a->peak >= a->predicted);
            /* The crossing that it names is where the line really crosses. */
            const double crosses_at = ((double)a->threshold - 80) / 0.5;
            CHECK_NEAR("crossing", step + (double)a->steps_ahead, fmax(crosses_at, step), 1.01);
        }
    }
    print_message("leak: pending %d, firing %d, critical %d, crosses 98 at %d, resolved %d\n",
                  pending, firing, critical, above, resolved);
    CHECK_EQ("pending at once: it is seen three hours ahead", pending, 0);
    CHECK_EQ("firing a step later", firing, 1);
    CHECK_TRUE("critical well before the threshold", critical >= 1 && critical <= above - 12);
    CHECK_EQ("resolved after three clear steps", resolved, 42);
    CHECK_EQ("once", w->total_fired, 1);
    CHECK_EQ("once", w->total_resolved, 1);
    world_free(w);
}

static void test_rows_of_values(void **state)
{
    (void)state;
    enum { P = ALERT_PENDING, F = ALERT_FIRING, R = ALERT_RESOLVED, N = -1 };
    enum { W = ALERT_WARNING, C = ALERT_CRITICAL };
    static const struct {
        const char *name;
        double values[12]; /* one a step; 0 ends */
        int states[12], severities[12];
    } rows[] = {
        {"quiet",                              {50, 60, 70, 84},     {N, N, N, N},    {0}            },
        {"one bad step is a suspicion only",   {50, 90, 50, 50},     {N, P, N, N},    {0, W}         },
        {"two make an alert",                  {90, 90, 90},         {P, F, F},       {W, W, W}      },
        {"straight to critical",               {97, 97, 97},         {P, F, F},       {C, C, C}      },
        {"warning fires, then escalates",      {97, 90, 97, 97, 97}, {P, F, F, F, F}, {C, W, W, C, C}},
        {"hysteresis: 84 is not clear of 85",
         {90, 90, 84, 84, 84, 84, 84},
         {P, F, F, F, F, F, F},
         {W, W, W, W, W, W, W}                                                                       },
        {"three clear steps resolve",
         {90, 90, 70, 70, 70, 70},
         {P, F, F, F, R, R},
         {W, W, W, W, W, W}                                                                          },
        {"a relapse starts the count again",
         {90, 90, 70, 70, 90, 70, 70, 70},
         {P, F, F, F, F, F, F, R},
         {W, W, W, W, W, W, W, W}                                                                    },
        {"critical comes down in three steps",
         {97, 97, 90, 90, 90, 90},
         {P, F, F, F, F, F},
         {C, C, C, C, W, W}                                                                          },
        {"back after its end: a new one",
         {90, 90, 60, 60, 60, 90, 90},
         {P, F, F, F, R, P, F},
         {W, W, W, W, W, W, W}                                                                       },
        {"flapping never fires",
         {90, 50, 90, 50, 90, 50, 90, 50},
         {P, N, P, N, P, N, P, N},
         {W, 0, W, 0, W, 0, W}                                                                       },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct world *w = world_new(true);
        for (int step = 0; step < 12 && rows[i].values[step] > 0; step++) {
            char name[96];
            snprintf(name, sizeof name, "%s, step %d", rows[i].name, step);
            run_cpu(w, step, rows[i].values[step]);
            expect(name, w, METRIC_CPU_USER, rows[i].states[step], rows[i].severities[step]);
        }
        world_free(w);
    }
}

static void test_same_data_counts_once(void **state)
{
    (void)state;
    struct world *w = world_new(true);
    for (int i = 0; i < 10; i++) {
        run_cpu(w, 0, 90); /* the same step, read ten times */
        expect("still pending", w, METRIC_CPU_USER, ALERT_PENDING, ALERT_WARNING);
    }
    run_cpu(w, 1, 90);
    expect("fires", w, METRIC_CPU_USER, ALERT_FIRING, ALERT_WARNING);
    for (int i = 0; i < 10; i++) {
        run_cpu(w, 2, 50);
        expect("not clear yet", w, METRIC_CPU_USER, ALERT_FIRING, ALERT_WARNING);
    }
    run_cpu(w, 3, 50);
    run_cpu(w, 4, 50);
    expect("resolved", w, METRIC_CPU_USER, ALERT_RESOLVED, ALERT_WARNING);
    world_free(w);
}

static void test_fires_before_the_crossing(void **state)
{
    (void)state;
    struct world *w = world_new(false);
    for (int step = 0; step < 2; step++) {
        struct forecast *f = server_at("web-1", step);
        build_ramp(f, METRIC_CPU_USER, 60 + 3 * step, 3, 0.5, 0,
                   100); /* 85 at step 8.3, 95 at 11.7 */
        w->now_ms = f->origin_ms;
        run_one(w, f);
    }
    expect("critical ahead", w, METRIC_CPU_USER, ALERT_FIRING, ALERT_CRITICAL);
    const struct alert *a = listed(w, METRIC_CPU_USER);
    CHECK_EQ("when", a->steps_ahead, 11);
    CHECK_NEAR("what", a->predicted, 96, 1e-4);
    CHECK_NEAR("judged by", a->threshold, 95, 1e-4);
    CHECK_NEAR("peak", a->peak, 100, 1e-4);
    CHECK_NEAR("now", a->current, 63, 1e-4);
    CHECK_TRUE("likely", a->probability > 0.9f);
    world_free(w);
}

/* A peak of the processor in five hours is nobody's business yet; a full disk then is. */
static void test_far_ahead(void **state)
{
    (void)state;
    struct world *w = world_new(false);
    for (int step = 0; step < 2; step++) {
        struct forecast *f = server_at("web-1", step);
        struct forecast_path *cpu = build_flat(f, METRIC_CPU_USER, 30);
        for (size_t i = 60; i < 70; i++)
            cpu->p10[i] = cpu->p50[i] = cpu->p90[i] = 99;
        build_ramp(f, METRIC_DISK_USAGE, 80, 0.25, 0.1, 0, 100);
        run_one(w, f);
    }
    expect("cpu", w, METRIC_CPU_USER, -1, 0);
    expect("disk", w, METRIC_DISK_USAGE, ALERT_FIRING, ALERT_CRITICAL);
    CHECK_EQ("in five hours", listed(w, METRIC_DISK_USAGE)->steps_ahead, 60);
    world_free(w);
}

/* A median that just touches the threshold once is as likely not to. */
static void test_probability_gate(void **state)
{
    (void)state;
    struct world *w = world_new(false);
    for (int step = 0; step < 3; step++) {
        struct forecast *f = server_at("web-1", step);
        struct forecast_path *cpu = build_band(f, METRIC_CPU_USER, 60, 50, 60, 70);
        cpu->p10[5] = 75;
        cpu->p50[5] = 85;
        cpu->p90[5] = 95;
        run_one(w, f);
    }
    expect("not worth a word", w, METRIC_CPU_USER, -1, 0);
    world_free(w);
}

static void test_low_is_bad(void **state)
{
    (void)state;
    struct world *w = world_new(false);
    static const double idle[] = {9, 3, 3, 11, 12, 12, 12, 13, 13, 13};
    static const int states[] = {0, 1, 1, 1, 1, 1, 1, 1, 1, 2};
    for (int step = 0; step < (int)COUNT_OF(idle); step++) {
        struct forecast *f = server_at("web-1", step);
        build_flat(f, METRIC_CPU_IDLE, idle[step]);
        w->now_ms = f->origin_ms;
        run_one(w, f);
        CHECK_EQ("idle", listed(w, METRIC_CPU_IDLE)->state, states[step]);
    }
    world_free(w);
}

/* Restart after every run: the story must be the same as without. */
/* What the operator changes while alerts stand. */
static void test_thresholds_change(void **state)
{
    (void)state;
    static const double none = (double)NAN;
    static const struct {
        const char *name;
        double warning, critical;
        enum alert_state state;
        enum alert_severity severity;
    } rows[] = {
        {"as before",          85,   95,   ALERT_FIRING,   ALERT_CRITICAL},
        {"critical is gone",   85,   none, ALERT_FIRING,   ALERT_WARNING },
        {"warning is gone",    none, 95,   ALERT_FIRING,   ALERT_CRITICAL},
        {"both are gone",      none, none, ALERT_RESOLVED, ALERT_CRITICAL},
        {"both are far above", 99,   100,  ALERT_FIRING,   ALERT_CRITICAL}, /* until it clears */
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct world *w = world_new(true);
        struct schema changed = schema;
        int step = 0;
        for (; step < 3; step++)
            run_cpu(w, step, 97);
        CHECK_EQ(rows[i].name, w->list->items[0].state, ALERT_FIRING);
        changed.metrics[METRIC_CPU_USER].warning = rows[i].warning;
        changed.metrics[METRIC_CPU_USER].critical = rows[i].critical;
        w->options.schema = &changed;
        alert_book_reconfigure(w->book, &w->options);
        run_cpu(w, step++, 97);
        assert_int_equal(w->list->count, 1);
        CHECK_EQ(rows[i].name, w->list->items[0].state, rows[i].state);
        CHECK_EQ(rows[i].name, w->list->items[0].severity, rows[i].severity);
        CHECK_TRUE(rows[i].name, isfinite(w->list->items[0].threshold));
        restart(w); /* what was written can be read */
        run_cpu(w, step++, 97);
        CHECK_EQ(rows[i].name, w->list->items[0].state, rows[i].state);
        w->options.schema = &schema;
        world_free(w);
    }
}

static void test_restart_in_each_state(void **state)
{
    (void)state;
    static const double values[] = {90, 90, 97, 97, 97, 90, 90, 90, 70, 70, 70, 70, 90};
    static const int states[] = {0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 0};
    static const int severities[] = {0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0};
    struct world *w = world_new(true);
    uint64_t id = 0;
    for (int step = 0; step < (int)COUNT_OF(values); step++) {
        run_cpu(w, step, values[step]);
        expect("told once", w, METRIC_CPU_USER, states[step], severities[step]);
        const struct alert before = *listed(w, METRIC_CPU_USER);
        restart(w);
        run_cpu(w, step, values[step]); /* the same data again */
        CHECK_EQ("nothing is said twice", w->seen_count, 0);
        const struct alert after = *listed(w, METRIC_CPU_USER);
        CHECK_EQ("id", after.id, before.id);
        CHECK_EQ("state", after.state, before.state);
        CHECK_EQ("severity", after.severity, before.severity);
        CHECK_EQ("start", after.starts_ms, before.starts_ms);
        CHECK_EQ("end", after.ends_ms, before.ends_ms);
        CHECK_NEAR("threshold", after.threshold, before.threshold, 1e-4);
        if (step < 12)
            assert_true(id == 0 || id == after.id);
        else
            assert_true(id != after.id); /* the second alert is another one */
        id = after.id;
    }
    CHECK_EQ("fired once", w->total_fired, 1);
    world_free(w);
}

static void test_silence_holds_and_speaks_once(void **state)
{
    (void)state;
    struct world *w = world_new(true);
    run_cpu(w, 0, 97);
    run_cpu(w, 1, 97);
    expect("fires", w, METRIC_CPU_USER, ALERT_FIRING, ALERT_CRITICAL);
    for (int step = 5; step < 200; step++) {
        run_silent(w, 1, step, 97);
        expect("held", w, METRIC_CPU_USER, ALERT_FIRING, ALERT_CRITICAL);
        CHECK_TRUE("held", listed(w, METRIC_CPU_USER)->held);
        expect("silent", w, ALERT_METRIC_SILENT, ALERT_FIRING, ALERT_CRITICAL);
        CHECK_EQ("said once", w->seen_count, step == 5 ? 1 : 0);
        if (step == 100) {
            restart(w);
            run_silent(w, 1, step, 97);
            CHECK_EQ("not again after a restart", w->seen_count, 0);
            expect("held over it", w, METRIC_CPU_USER, ALERT_FIRING, ALERT_CRITICAL);
        }
    }
    CHECK_STR("name", alert_metric_name(&schema, ALERT_METRIC_SILENT), "server_silent");
    /* Data again: the held alert is judged at once, silence ends after three steps of it. */
    run_cpu(w, 200, 40);
    CHECK_TRUE("no longer held", !listed(w, METRIC_CPU_USER)->held);
    run_cpu(w, 201, 40);
    expect("silence not over yet", w, ALERT_METRIC_SILENT, ALERT_FIRING, ALERT_CRITICAL);
    run_cpu(w, 202, 40);
    expect("over", w, ALERT_METRIC_SILENT, ALERT_RESOLVED, ALERT_CRITICAL);
    expect("resolved by data", w, METRIC_CPU_USER, ALERT_RESOLVED, ALERT_CRITICAL);
    world_free(w);
}

/* A daemon that was down (or a machine that slept) must not blame the servers. */
static void test_silence_is_excused_after_a_start(void **state)
{
    (void)state;
    struct world *w = world_new(true);
    for (int step = 0; step < 3; step++) {
        run_silent(w, -100, step, 20);
        CHECK_EQ("excused", w->list->count, 0);
        CHECK_EQ("due when the excuse ends", alert_book_due_ms(w->book),
                 base_ms + 4 * (int64_t)BUILD_STEP_MS);
    }
    run_silent(w, -100, 3, 20);
    expect("then it counts", w, ALERT_METRIC_SILENT, ALERT_FIRING, ALERT_WARNING);
    world_free(w);

    w = world_new(true);
    run_cpu(w, 0, 20);
    run_cpu(w, 4, 20);
    alert_book_alive(w->book, w->now_ms);
    alert_book_alive(w->book, w->now_ms + 60000);
    alert_book_alive(w->book, w->now_ms + 86400000); /* slept for a day */
    run_silent(w, 4, 4 + 288, 20);
    CHECK_EQ("excused after a pause", w->list->count, 0);
    world_free(w);
}

static void test_silent_metric_of_a_talking_server(void **state)
{
    (void)state;
    struct world *w = world_new(true);
    run_cpu(w, 0, 97);
    run_cpu(w, 1, 97);
    for (int step = 2; step < 20; step++) {
        struct forecast *f = server_at("web-1", step);
        struct forecast_path *cpu = build_flat(f, METRIC_CPU_USER, 30); /* the model's hope */
        cpu->last_seen_ms = base_ms + 2 * BUILD_STEP_MS - 1000;
        build_flat(f, METRIC_MEM_USED, 30);
        w->now_ms = f->origin_ms;
        run_one(w, f);
        if (step > 6) {
            expect("held", w, METRIC_CPU_USER, ALERT_FIRING, ALERT_CRITICAL);
            break;
        }
    }
    /* The column falls out of the window: still held, until it is given up. */
    struct forecast *f = server_at("web-1", 900);
    build_flat(f, METRIC_MEM_USED, 30);
    w->now_ms = base_ms + (int64_t)3 * 86400 * 1000;
    run_one(w, f);
    CHECK_TRUE("held", listed(w, METRIC_CPU_USER)->held);
    f = server_at("web-1", 2900);
    build_flat(f, METRIC_MEM_USED, 30);
    w->now_ms = base_ms + (int64_t)9 * 86400 * 1000;
    run_one(w, f);
    expect("given up", w, METRIC_CPU_USER, ALERT_RESOLVED, ALERT_CRITICAL);
    CHECK_EQ("why", listed(w, METRIC_CPU_USER)->reason, ALERT_REASON_METRIC_GONE);
    world_free(w);
}

static void test_expiry_resolves_with_reason(void **state)
{
    (void)state;
    struct world *w = world_new(true);
    run_cpu(w, 0, 97);
    run_cpu(w, 1, 97);
    run_silent(w, 1, 6, 97);
    w->now_ms += (int64_t)7 * 86400 * 1000;
    assert_int_equal(run_n(w, NULL, 0), FW_OK);
    CHECK_EQ("both", w->seen_count, 2);
    expect("gone", w, METRIC_CPU_USER, ALERT_RESOLVED, ALERT_CRITICAL);
    expect("gone", w, ALERT_METRIC_SILENT, ALERT_RESOLVED, ALERT_CRITICAL);
    CHECK_EQ("why", w->list->items[0].reason, ALERT_REASON_SERVER_GONE);
    CHECK_STR("why", alert_reason_name(w->list->items[0].reason), "server_gone");
    /* An hour later the list and the store have forgotten them. */
    CHECK_EQ("due", alert_book_due_ms(w->book), w->now_ms + 3600000);
    w->now_ms += 3600000;
    assert_int_equal(run_n(w, NULL, 0), FW_OK);
    CHECK_EQ("empty list", w->list->count, 0);
    CHECK_EQ("empty store", w->state->now.blob_count, 0);
    CHECK_EQ("nothing due", alert_book_due_ms(w->book) == INT64_MAX, 1);
    world_free(w);
}

struct rows {
    struct fw_json_parser *parser;
    struct alert_event event[32];
    int64_t time_ms[32];
    size_t count;
};

static bool gather(void *ctx, const struct store_state_event *stored)
{
    struct rows *rows = ctx;
    assert_int_equal(alert_event_decode(rows->parser, stored->data, stored->len,
                                        &rows->event[rows->count], NULL),
                     FW_OK);
    rows->time_ms[rows->count++] = stored->time_ms;
    return true;
}

static void read_history(struct world *w, struct rows *rows)
{
    const struct store_state_event_query query = {
        .kind = ALERT_EVENT_KIND, .from_ms = 0, .to_ms = INT64_MAX, .subject = "web-1"};
    rows->count = 0;
    assert_int_equal(store_state_event_each(w->state, &query, gather, rows, NULL, NULL), FW_OK);
}

static void test_history(void **state)
{
    (void)state;
    static const double values[] = {90, 90, 97, 97, 90, 90, 90, 70, 70, 70, 70, 50, 90, 50};
    static const struct {
        enum alert_event_type type;
        enum risk_level before, after;
        int step;
    } expected[] = {
        {ALERT_ESCALATION,     RISK_HEALTHY,  RISK_WARNING,  1},
        {ALERT_ESCALATION,     RISK_WARNING,  RISK_CRITICAL, 3},
        {ALERT_DE_ESCALATION,  RISK_CRITICAL, RISK_WARNING,  6},
        {ALERT_EVENT_RESOLVED, RISK_WARNING,  RISK_HEALTHY,  9},
    };
    struct world *w = world_new(true);
    static struct rows rows;
    rows.parser = fw_json_parser_new(16384, 8);
    for (int step = 0; step < (int)COUNT_OF(values); step++) {
        struct forecast *f = server_at("web-1", step);
        build_flat(f, METRIC_CPU_USER, values[step]);
        build_flat(f, METRIC_MEM_USED, 62.5);
        w->now_ms = f->origin_ms;
        run_one(w, f);
        if (step == 6) {
            read_history(w, &rows);
            CHECK_EQ("open rows", rows.count, 3);
            for (size_t i = 0; i < rows.count; i++) {
                CHECK_EQ("open", rows.event[i].resolved_at_ms, 0);
                CHECK_TRUE("no duration yet", isnan(rows.event[i].duration_minutes));
            }
        }
    }
    read_history(w, &rows);
    CHECK_EQ("rows; the last suspicion is none", rows.count, COUNT_OF(expected));
    for (size_t i = 0; i < rows.count; i++) {
        const struct alert_event *e = &rows.event[i];
        CHECK_EQ("type", e->type, expected[i].type);
        CHECK_EQ("before", e->previous_level, expected[i].before);
        CHECK_EQ("after", e->new_level, expected[i].after);
        CHECK_EQ("time", rows.time_ms[i],
                 base_ms + (int64_t)(expected[i].step + 1) * BUILD_STEP_MS);
        CHECK_EQ("closed at its end", e->resolved_at_ms, base_ms + 10 * (int64_t)BUILD_STEP_MS);
        CHECK_NEAR("eight steps of five minutes", e->duration_minutes, 40.0, 1e-6);
        CHECK_TRUE("the value itself passed 95", e->caused_incident);
        CHECK_TRUE("a real snapshot", strstr(e->snapshot, "\"memory\":62.5") != NULL);
        CHECK_TRUE("one alert", e->alert_id == rows.event[0].alert_id);
        CHECK_STR("metric", e->metric, "cpu_user_pct");
    }
    CHECK_TRUE("cpu as it was", strstr(rows.event[1].snapshot, "\"cpu\":97,") != NULL);
    CHECK_TRUE("the JSON as clients read it",
               strstr(w->state->now.events[3].data, "\"event_type\":\"resolved\"") != NULL &&
                   strstr(w->state->now.events[3].data, "\"resolution_duration_minutes\":40,") !=
                       NULL);
    fw_json_parser_free(rows.parser);
    world_free(w);
}

/* Any write may fail, once or for long: alerting goes on, and in the end everything is written. */
static void test_failing_store(void **state)
{
    (void)state;
    static const double values[] = {90, 90, 97, 97, 97, 70, 70, 70, 70, 70};
    for (long fail = 1; fail < 40; fail++) {
        struct world *w = world_new(true);
        static struct rows rows;
        rows.parser = fw_json_parser_new(16384, 8);
        w->state->fail_from = fail;
        w->state->fail_to = fail + fail % 7;
        for (int step = 0; step < (int)COUNT_OF(values); step++) {
            run_cpu(w, step, values[step]);
            struct alert_book_statistics statistics;
            alert_book_statistics(w->book, &statistics);
            CHECK_EQ("nothing lost", statistics.events_lost, 0);
        }
        CHECK_EQ("fired", w->total_fired, 1);
        CHECK_EQ("resolved", w->total_resolved, 1);
        for (int again = 0; again < 8; again++)
            run_cpu(w, 9, 70); /* until the disk has room */
        read_history(w, &rows);
        CHECK_EQ("history is whole", rows.count, 3);
        for (size_t i = 0; i < rows.count; i++)
            CHECK_TRUE("closed", rows.event[i].resolved_at_ms != 0);
        restart(w);
        run_cpu(w, 9, 70);
        expect("and so is the book", w, METRIC_CPU_USER, ALERT_RESOLVED, ALERT_CRITICAL);
        fw_json_parser_free(rows.parser);
        world_free(w);
    }
}

/* The n-th allocation fails: an error or none, never a crash, and the story goes on. */
static void test_no_memory(void **state)
{
    (void)state;
    for (long n = 1; n < 60; n++) {
        struct world *w = world_new(true);
        enum fw_status status = FW_OK;
        for (int step = 0; step < 4; step++) {
            struct forecast *f = server_at("web-1", step);
            build_flat(f, METRIC_CPU_USER, 97);
            w->now_ms = f->origin_ms;
            struct forecast_set *set = build_set((const struct forecast *const *)&f, 1);
            struct risk risk = {0};
            alert_list_release(w->list);
            w->list = NULL;
            w->seen_count = 0;
            w->state->fail_from = 1000000; /* the check of `note` is about whole runs */
            if (step == 1)
                fw_alloc_fail_at(n);
            status = book_turn(w->book, set, &risk, w->now_ms, note, w, &w->list, NULL);
            fw_alloc_fail_at(0);
            assert_true(status == FW_OK || (step == 1 && status == FW_ENOMEM && w->list == NULL));
            fw_free(set);
            fw_free(f);
        }
        expect("fires in the end", w, METRIC_CPU_USER, ALERT_FIRING, ALERT_CRITICAL);
        restart(w);
        run_cpu(w, 4, 97);
        expect("kept in the end", w, METRIC_CPU_USER, ALERT_FIRING, ALERT_CRITICAL);
        world_free(w);
    }
}

static void test_unreadable_and_unknown_entries(void **state)
{
    (void)state;
    struct world *w = world_new(true);
    run_cpu(w, 0, 97);
    run_cpu(w, 1, 97);
    assert_int_equal(store_state_put(w->state, "alert", "x y", "{\"v\":9}", 7, NULL), FW_OK);
    assert_int_equal(store_state_put(w->state, "alert", "x z", "garbage", 7, NULL), FW_OK);
    restart(w);
    run_cpu(w, 1, 97);
    CHECK_EQ("the readable one", w->list->count, 1);
    /* A later configuration lacks the metric: its history closes, its entry goes. */
    schema.metrics[METRIC_CPU_USER].name[0] = 'X';
    restart(w);
    w->now_ms += 1000;
    assert_int_equal(run_n(w, NULL, 0), FW_OK);
    CHECK_EQ("not listed", w->list->count, 0);
    static struct rows rows;
    rows.parser = fw_json_parser_new(16384, 8);
    read_history(w, &rows);
    CHECK_EQ("rows", rows.count, 1);
    CHECK_TRUE("closed", rows.event[0].resolved_at_ms != 0);
    CHECK_EQ("why", rows.event[0].reason, ALERT_REASON_METRIC_GONE);
    CHECK_EQ("two unreadable blobs stay for a person to see", w->state->now.blob_count, 2);
    fw_json_parser_free(rows.parser);
    world_free(w);
}

static void test_many_servers_sorted(void **state)
{
    (void)state;
    enum { N = 60 };
    struct world *w = world_new(false);
    for (int step = 0; step < 4; step++) {
        struct forecast *items[N];
        for (int i = 0; i < N; i++) {
            char name[16];
            snprintf(name, sizeof name, "s%02d", i);
            items[i] = server_at(name, step);
            if (i % 3 == 0)
                build_ramp(items[i], METRIC_CPU_USER, 60, 1 + i * 0.1, 0.1, 0, 100);
            if (i % 4 == 0)
                build_flat(items[i], METRIC_MEM_USED, 99);
        }
        w->now_ms = base_ms + step * (int64_t)BUILD_STEP_MS;
        struct forecast_set *set = build_set((const struct forecast *const *)items, N);
        static struct risk risks[N];
        alert_list_release(w->list);
        assert_int_equal(book_turn(w->book, set, risks, w->now_ms, NULL, NULL, &w->list, NULL),
                         FW_OK);
        for (size_t i = 1; i < w->list->count; i++) {
            const struct alert *a = &w->list->items[i - 1], *b = &w->list->items[i];
            assert_true(a->severity > b->severity ||
                        (a->severity == b->severity && a->steps_ahead <= b->steps_ahead));
            assert_true(a->severity != b->severity || a->steps_ahead != b->steps_ahead ||
                        strcmp(a->server, b->server) < 0);
        }
        fw_free(set);
        for (int i = 0; i < N; i++)
            fw_free(items[i]);
    }
    CHECK_TRUE("some of each", w->list->count > N / 4);
    world_free(w);
}

/* The clock is put back an hour: nothing is repeated, nothing gets stuck. */
static void test_clock_put_back(void **state)
{
    (void)state;
    struct world *w = world_new(true);
    run_cpu(w, 100, 97);
    run_cpu(w, 101, 97);
    expect("fires", w, METRIC_CPU_USER, ALERT_FIRING, ALERT_CRITICAL);
    for (int step = 102; step < 106; step++) {
        struct forecast *f = server_at("web-1", step);
        build_flat(f, METRIC_CPU_USER, 97);
        w->now_ms = f->origin_ms - 3600000;
        alert_book_alive(w->book, w->now_ms);
        run_one(w, f);
        CHECK_EQ("nothing said", w->seen_count, 0);
    }
    /* A grid that was years ahead comes home: counting starts anew. */
    for (int step = 0; step < 3; step++)
        run_cpu(w, step, 50);
    expect("resolved", w, METRIC_CPU_USER, ALERT_RESOLVED, ALERT_CRITICAL);
    CHECK_TRUE("no negative duration", listed(w, METRIC_CPU_USER)->ends_ms > 0);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leak_from_first_sign_to_end),
        cmocka_unit_test(test_rows_of_values),
        cmocka_unit_test(test_same_data_counts_once),
        cmocka_unit_test(test_fires_before_the_crossing),
        cmocka_unit_test(test_far_ahead),
        cmocka_unit_test(test_probability_gate),
        cmocka_unit_test(test_low_is_bad),
        cmocka_unit_test(test_thresholds_change),
        cmocka_unit_test(test_restart_in_each_state),
        cmocka_unit_test(test_silence_holds_and_speaks_once),
        cmocka_unit_test(test_silence_is_excused_after_a_start),
        cmocka_unit_test(test_silent_metric_of_a_talking_server),
        cmocka_unit_test(test_expiry_resolves_with_reason),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_failing_store),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_unreadable_and_unknown_entries),
        cmocka_unit_test(test_many_servers_sorted),
        cmocka_unit_test(test_clock_put_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
