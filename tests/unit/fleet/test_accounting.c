/* Random samples - repeated, late, out of order, from the future, too old - against a model that is
 * as simple as the rules of src/fleet/README.md allow: every sample sent is accounted for, the
 * final windows are the model's, and sending every batch twice changes nothing. */
#include "base/rng.h"
#include "fleet_fixture.h"

enum {
    SEEDS = 20,
    SERVERS = 8,
    METRICS = 3,
    WINDOW = 300,
    STEP_S = 60,
    STEP_MS = STEP_S * 1000,
    BATCHES = 700,
    BATCH_ROWS = 30,
    SPAN = 1400,    /* steps that a run covers, with its past */
    TIMES_MAX = 64, /* of one step; the generator keeps below it */
    OPEN_MAX = 8,
};

/* ---- the model ---- */

struct model_step {
    int n;     /* distinct times while not sealed */
    int times; /* distinct times ever */
    int64_t newest_ms;
    bool sealed;
    long touched;
    int64_t time_ms[TIMES_MAX];
    float value[TIMES_MAX][METRICS]; /* NaN: none */
    float mean[METRICS];
};

struct model {
    struct model_step steps[SERVERS][SPAN];
    int64_t newest_step[SERVERS];
    long touches;
    size_t samples, duplicates, overwritten, sealed;
};

static void model_mean(struct model_step *s, int metric)
{
    double sum = 0;
    int n = 0;
    bool used[TIMES_MAX] = {false};
    /* In the order of time, by picking the earliest left over and over. */
    for (int k = 0; k < s->n; k++) {
        int first = -1;
        for (int i = 0; i < s->n; i++)
            if (!used[i] && (first < 0 || s->time_ms[i] < s->time_ms[first]))
                first = i;
        used[first] = true;
        if (!isnan(s->value[first][metric])) {
            sum += (double)s->value[first][metric];
            n++;
        }
    }
    s->mean[metric] = n == 0 ? NAN : (float)(sum / n);
}

static void model_seal_oldest(struct model *m, int server)
{
    struct model_step *oldest = NULL;
    int open = 0;
    for (int i = 0; i < SPAN; i++) {
        struct model_step *s = &m->steps[server][i];
        if (s->sealed || s->times < 2 ||
            i + T0 / STEP_MS - SPAN / 2 < m->newest_step[server] - WINDOW - 6)
            continue;
        open++;
        if (oldest == NULL || s->touched < oldest->touched)
            oldest = s;
    }
    if (open > OPEN_MAX)
        oldest->sealed = true;
}

static void model_put(struct model *m, int server, int64_t time_ms, int metric, float value)
{
    const int64_t step = time_ms / STEP_MS;
    struct model_step *s = &m->steps[server][step - (T0 / STEP_MS - SPAN / 2)];
    if (step > m->newest_step[server])
        m->newest_step[server] = step;
    if (s->sealed && time_ms <= s->newest_ms) {
        m->sealed++;
        return;
    }
    if (s->sealed) {
        s->times++;
        s->newest_ms = time_ms;
        s->mean[metric] =
            isnan(s->mean[metric])
                ? value
                : (float)((double)s->mean[metric] +
                          ((double)value - (double)s->mean[metric]) / (double)s->times);
        m->samples++;
        return;
    }
    int i = 0;
    while (i < s->n && s->time_ms[i] != time_ms)
        i++;
    const bool new_time = i == s->n;
    if (new_time) {
        assert_true(s->n < TIMES_MAX);
        s->n++;
        s->times++;
        s->time_ms[i] = time_ms;
        for (int k = 0; k < METRICS; k++)
            s->value[i][k] = NAN;
    }
    if (s->value[i][metric] == value) {
        m->duplicates++;
        return;
    }
    if (isnan(s->value[i][metric]))
        m->samples++;
    else
        m->overwritten++;
    s->value[i][metric] = value;
    s->newest_ms = time_ms > s->newest_ms ? time_ms : s->newest_ms;
    if (new_time && s->times >= 2) {
        s->touched = ++m->touches;
        model_seal_oldest(m, server);
    }
    model_mean(s, metric);
}

static void model_init(struct model *m)
{
    memset(m, 0, sizeof *m);
    for (int s = 0; s < SERVERS; s++) {
        m->newest_step[s] = -1;
        for (int i = 0; i < SPAN; i++)
            for (int k = 0; k < METRICS; k++)
                m->steps[s][i].mean[k] = NAN;
    }
}

/* ---- the run ---- */

struct sent {
    int server, metric;
    int64_t time_ms;
    float value;
};

/* 10 % repeats, 10 % late by up to the window, 10 % out of order, 5 % around the future limit, 5 %
 * too old; the rest recent. */
static struct sent draw(struct fw_rng *rng, int64_t now_ms, const struct sent *history, size_t n)
{
    const uint64_t kind = fw_rng_below(rng, 100);
    if (kind < 10 && n > 0)
        return history[n < 900 ? fw_rng_below(rng, n) : n - 1 - fw_rng_below(rng, 900)];
    struct sent s = {(int)fw_rng_below(rng, SERVERS), (int)fw_rng_below(rng, METRICS), now_ms,
                     (float)fw_rng_below(rng, 100)};
    int64_t ago_ms = (int64_t)fw_rng_below(rng, 20) * 1000;
    if (kind < 20)
        ago_ms = (int64_t)fw_rng_below(rng, WINDOW * STEP_MS);
    else if (kind < 30)
        ago_ms = (int64_t)fw_rng_below(rng, 6 * STEP_MS);
    else if (kind < 35)
        ago_ms = -(int64_t)fw_rng_below(rng, 600 * 1000);
    else if (kind < 40)
        ago_ms = (int64_t)(WINDOW + fw_rng_below(rng, 20)) * STEP_MS;
    s.time_ms -= ago_ms;
    s.time_ms -= s.time_ms % 5000; /* so that times meet */
    return s;
}

static const char *const server_names[SERVERS] = {"a", "b", "c", "d", "e", "f", "g", "h"};

static bool admitted(const struct sent *s, int64_t now_ms, size_t *too_old, size_t *in_future)
{
    const bool future = s->time_ms > now_ms + 300 * 1000;
    const bool old = s->time_ms / STEP_MS <= now_ms / STEP_MS - WINDOW;
    *in_future += future;
    *too_old += old;
    return !future && !old;
}

static void compare_windows(struct fixture *f, const struct model *m, const char *label)
{
    static float values[METRIC_DEFAULT_COUNT * WINDOW];
    static uint32_t offsets[WINDOW];
    for (int s = 0; s < SERVERS; s++) {
        const int64_t slot = fleet_find(f->fleet, server_names[s], 1);
        assert_true(slot >= 0);
        struct fleet_view view = {.steps = WINDOW, .values = values, .offsets_ms = offsets};
        assert_true(fleet_read_view(f->fleet, (size_t)slot, &view));
        CHECK_EQ(label, view.server.newest_step, m->newest_step[s]);
        uint32_t held = 0;
        for (int i = 0; i < WINDOW; i++) {
            const int64_t step = view.server.newest_step - WINDOW + 1 + i;
            const struct model_step *expected = &m->steps[s][step - (T0 / STEP_MS - SPAN / 2)];
            held += expected->times > 0;
            CHECK_EQ(label, offsets[i], expected->times > 0 ? expected->newest_ms % STEP_MS : 0);
            for (int k = 0; k < METRICS; k++) {
                const float actual = values[k * WINDOW + i];
                if (!(actual == expected->mean[k] || (isnan(actual) && isnan(expected->mean[k]))))
                    fail_msg("%s: server %d metric %d step %lld is %.9g, model %.9g (%d times%s)",
                             label, s, k, (long long)step, (double)actual,
                             (double)expected->mean[k], expected->times,
                             expected->sealed ? ", sealed" : "");
            }
        }
        CHECK_EQ(label, view.server.steps_held, held);
    }
}

static void run(uint64_t seed)
{
    static struct sent history[BATCHES * BATCH_ROWS];
    static struct model model;
    struct fixture f;
    struct fw_rng rng;
    char label[64];
    snprintf(label, sizeof label, "seed %llu", (unsigned long long)seed);
    fw_rng_init(&rng, seed);
    fixture_init(&f, STEP_S, WINDOW, SERVERS);
    model_init(&model);
    struct fleet_applied sum = {0};
    size_t n = 0, too_old = 0, in_future = 0, refused = 0;
    for (int b = 0; b < BATCHES; b++) {
        fw_clock_fake_advance_ms(&f.clock, (int64_t)fw_rng_below(&rng, 60 * 1000));
        const int64_t now_ms = fw_clock_wall_ms(&f.clock.clock);
        const size_t from = n;
        for (int r = 0; r < BATCH_ROWS; r++, n++)
            history[n] = draw(&rng, now_ms, history, from);
        for (size_t i = from; i < n; i++)
            add(&f, server_names[history[i].server], history[i].time_ms, history[i].metric,
                history[i].value);
        assert_int_equal(fleet_admit(f.fleet, f.batch), FW_OK);
        const size_t lost = f.batch->rejected[BATCH_TOO_OLD] + f.batch->rejected[BATCH_IN_FUTURE];
        CHECK_EQ(label, lost, batch_rejected_total(f.batch));
        CHECK_EQ(label, lost + f.batch->row_count, BATCH_ROWS);
        assert_int_equal(fleet_apply(f.fleet, f.batch, ++f.seq, &f.applied), FW_OK);
        batch_reset(f.batch);
        refused += lost;
        sum.samples += f.applied.samples;
        sum.duplicates += f.applied.duplicates;
        sum.overwritten += f.applied.overwritten;
        sum.sealed += f.applied.sealed;
        CHECK_EQ(label, f.applied.outrun, 0);
        for (size_t i = from; i < n; i++)
            if (admitted(&history[i], now_ms, &too_old, &in_future))
                model_put(&model, history[i].server, history[i].time_ms, history[i].metric,
                          history[i].value);
    }
    CHECK_EQ(label, refused, too_old + in_future);
    CHECK_EQ(label, sum.samples + sum.duplicates + sum.overwritten + sum.sealed + refused, n);
    CHECK_EQ(label, sum.samples, model.samples);
    CHECK_EQ(label, sum.duplicates, model.duplicates);
    CHECK_EQ(label, sum.overwritten, model.overwritten);
    CHECK_EQ(label, sum.sealed, model.sealed);
    /* All ways in and out were taken. */
    CHECK_TRUE(label, sum.duplicates > n / 50 && sum.overwritten > n / 50);
    CHECK_TRUE(label, sum.sealed > n / 200 && too_old > n / 40 && in_future > n / 80);
    compare_windows(&f, &model, label);
    fixture_fini(&f);
}

static void test_random_samples(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run(seed);
}

/* A client that saw no answer sends its batch again: the windows must be those of one sending. */
static void test_batches_sent_twice(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct fixture once, twice;
        struct fw_rng rng;
        fixture_init(&once, STEP_S, WINDOW, SERVERS);
        fixture_init(&twice, STEP_S, WINDOW, SERVERS);
        fw_rng_init(&rng, 1000 + seed);
        for (int b = 0; b < 100; b++) {
            fw_clock_fake_advance_ms(&once.clock, 30 * 1000);
            fw_clock_fake_advance_ms(&twice.clock, 30 * 1000);
            struct sent rows[BATCH_ROWS];
            for (int i = 0; i < BATCH_ROWS; i++)
                rows[i] = draw(&rng, fw_clock_wall_ms(&once.clock.clock), NULL, 0);
            for (int copy = 0; copy < 3; copy++) {
                struct fixture *f = copy == 0 ? &once : &twice;
                for (int i = 0; i < BATCH_ROWS; i++)
                    add(f, server_names[rows[i].server], rows[i].time_ms, rows[i].metric,
                        rows[i].value);
                flush(f);
                if (copy == 2)
                    CHECK_EQ("second copy", f->applied.samples, 0);
            }
        }
        for (int s = 0; s < SERVERS; s++) {
            static float a[METRIC_DEFAULT_COUNT * WINDOW], b[METRIC_DEFAULT_COUNT * WINDOW];
            struct fleet_view va = {.steps = WINDOW, .values = a};
            struct fleet_view vb = {.steps = WINDOW, .values = b};
            const int64_t slot = fleet_find(once.fleet, server_names[s], 1);
            if (slot < 0)
                continue;
            assert_true(fleet_read_view(once.fleet, (size_t)slot, &va));
            assert_true(fleet_read_view(twice.fleet,
                                        (size_t)fleet_find(twice.fleet, server_names[s], 1), &vb));
            check_floats("fed twice", b, a, COUNT_OF(a), 1.0, 0.0);
        }
        fixture_fini(&once);
        fixture_fini(&twice);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_samples),
        cmocka_unit_test(test_batches_sent_twice),
    };
    return cmocka_run_group_tests_name("fleet accounting", tests, NULL, NULL);
}
