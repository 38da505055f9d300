/* A replay forecasts at its origins, from what was seen up to them and nothing else. */
#include "support.h"

#include "base/alloc.h"
#include "replay/replay.h"

#include <stdlib.h>
#include <unistd.h>

enum { STEPS = 700, ORIGINS = 3, FIRST = 1767571200 / 300 /* 2026-01-05 */ };
static const int64_t origins[ORIGINS] = {FIRST + 300, FIRST + 400, FIRST + 500};

/* Two servers; `odd` is no metric of the default schema; b is silent from step 350 to 402. What
 * comes after step `until` is wild. */
static struct history *make_history(int until)
{
    char path[] = "/tmp/forewarn-test-XXXXXX";
    const char *paths[1] = {path};
    const struct history_options grid = {.step_s = HISTORY_STEP_S};
    struct history *history = NULL;
    const int fd = mkstemp(path);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    assert_non_null(file);
    fputs("timestamp,server_name,cpu_user_pct,odd\n", file);
    for (int t = 0; t < STEPS; t++) {
        const int day = 5 + t / 288, hour = t % 288 / 12, minute = t % 12 * 5;
        const double x = t > until ? 99.0 : 20 + 10 * sin(t * 0.0218);
        fprintf(file, "2026-01-%02dT%02d:%02d:00Z,a,%.3f,%.3f\n", day, hour, minute, x, -x);
        if (t < 350 || t > 402)
            fprintf(file, "2026-01-%02dT%02d:%02d:00Z,b,%.3f,\n", day, hour, minute, x / 2);
    }
    assert_int_equal(fclose(file), 0);
    if (history_read(&grid, 1, paths, &history, NULL) != FW_OK)
        fail_msg("cannot read the history");
    (void)unlink(path);
    return history;
}

struct seen {
    size_t visits, servers[ORIGINS];
    float quantiles[ORIGINS][2][3][FORECAST_HORIZON]; /* of a and b, cpu_user_pct */
    int64_t stop_after;
};

static bool look(void *ctx, int64_t origin, const struct forecast_set *set)
{
    struct seen *s = ctx;
    assert_true(s->visits < ORIGINS);
    CHECK_EQ("origin", origin, origins[s->visits]);
    s->servers[s->visits] = set->count;
    for (size_t i = 0; i < set->count && i < 2; i++) {
        const struct forecast_path *path = forecast_path(set->items[i], METRIC_CPU_USER);
        assert_non_null(path);
        replay_quantiles(set->items[i], path, set->step_s, origin, s->quantiles[s->visits][i]);
    }
    s->visits++;
    return origin != s->stop_after;
}

static void run(struct history *history, struct seen *seen)
{
    const struct replay_options options = {.threads = 1, .origins = origins, .n_origins = ORIGINS};
    struct replay *replay;
    struct fw_error err;
    if (replay_new(history, &options, &replay, &err) != FW_OK)
        fail_msg("%s", err.text);
    CHECK_EQ("a metric of its own", replay_schema(replay)->count, METRIC_DEFAULT_COUNT + 1);
    CHECK_TRUE("below zero", isinf(replay_schema(replay)->metrics[METRIC_DEFAULT_COUNT].min));
    if (replay_run(replay, look, seen, &err) != FW_OK)
        fail_msg("%s", err.text);
    replay_free(replay);
}

static void test_causal(void **state)
{
    (void)state;
    struct history *whole = make_history(STEPS), *wild = make_history(400);
    struct seen *seen = fw_calloc(2, sizeof *seen);
    assert_non_null(seen);
    run(whole, &seen[0]);
    run(wild, &seen[1]);
    CHECK_EQ("visits", seen[0].visits, ORIGINS);
    CHECK_EQ("servers", seen[0].servers[0], 2);
    for (size_t o = 0; o < ORIGINS; o++) {
        const bool same =
            memcmp(seen[0].quantiles[o], seen[1].quantiles[o], sizeof seen[0].quantiles[o]) == 0;
        CHECK_EQ("what comes after the origin changes nothing", same, origins[o] <= FIRST + 400);
    }
    fw_free(seen);
    history_free(whole);
    history_free(wild);
}

/* At the second origin b has been silent for 51 steps: its forecast is moved, its end repeated. */
static void test_silent_server(void **state)
{
    (void)state;
    struct history *history = make_history(STEPS);
    struct seen *seen = fw_calloc(1, sizeof *seen);
    assert_non_null(seen);
    run(history, seen);
    const float *p50 = seen->quantiles[1][1][1];
    for (size_t h = FORECAST_HORIZON - 51; h < FORECAST_HORIZON; h++)
        CHECK_TRUE("repeated", p50[h] == p50[FORECAST_HORIZON - 52]);
    CHECK_TRUE("not the whole path", p50[0] != p50[FORECAST_HORIZON - 52]);
    fw_free(seen);
    history_free(history);
}

static void test_ends_early(void **state)
{
    (void)state;
    struct history *history = make_history(STEPS);
    struct seen *seen = fw_calloc(1, sizeof *seen);
    assert_non_null(seen);
    seen->stop_after = origins[1];
    run(history, seen);
    CHECK_EQ("visits", seen->visits, 2);
    fw_free(seen);
    history_free(history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_causal),
        cmocka_unit_test(test_silent_server),
        cmocka_unit_test(test_ends_early),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
