/* Windows as training sees them: where they may lie, what they hold, and what they weigh. */
#include "support.h"

#include "base/alloc.h"
#include "train/sample.h"

#include <stdlib.h>
#include <unistd.h>

enum { STEPS = 200, HORIZON = 4, HISTORY = 20 };

static struct history *data;
static struct tft_spec *spec;
static struct train_split split;
static struct train_sampler *sampler;

static const char spec_text[] =
    "{\"dims\":{\"max_encoder_length\":20,\"min_encoder_length\":12,\"max_prediction_length\":4},"
    "\"quantiles\":[0.5],\"targets\":[\"cpu_user_pct\",\"load_average\"],"
    "\"encoder_reals\":[\"cpu_user_pct\",\"load_average\"],\"decoder_reals\":[\"hour\"],"
    "\"x_reals\":[\"hour\",\"cpu_user_pct\",\"load_average\"],"
    "\"scalers\":{\"hour\":null},\"target_normalizer\":{\"type\":\"MultiNormalizer\","
    "\"normalizers\":[{\"type\":\"EncoderNormalizer\",\"center_steps\":2},"
    "{\"type\":\"EncoderNormalizer\"}]}}";

/* a: a ramp from 0 in steps of 0.1, step 30 missing; b: shorter, without load_average. */
static int set_up(void **state)
{
    char path[] = "/tmp/forewarn-test-XXXXXX";
    const char *paths[1] = {path};
    const struct history_options five_minutes = {.step_s = HISTORY_STEP_S};
    const int fd = mkstemp(path);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    (void)state;
    if (file == NULL)
        return -1;
    fputs("timestamp,server_name,cpu_user_pct,load_average\n", file);
    for (int t = 0; t < STEPS; t++) {
        if (t != 30)
            fprintf(file, "2026-01-05T%02d:%02d:00Z,a,%.1f,5\n", t / 12, t % 12 * 5, t * 0.1);
        if (t < 60)
            fprintf(file, "2026-01-05T%02d:%02d:00Z,b,%d,\n", t / 12, t % 12 * 5, t % 2 * 10);
    }
    if (fclose(file) != 0 || history_read(&five_minutes, 1, paths, &data, NULL) != FW_OK)
        return -1;
    (void)unlink(path);
    split = train_split_of(data, 0.1, HORIZON);
    if (tft_spec_parse(spec_text, sizeof spec_text - 1, "spec", &spec, NULL) != FW_OK)
        return -1;
    return train_sampler_new(data, spec, &split, 1, &sampler, NULL) == FW_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    train_sampler_free(sampler);
    tft_spec_free(spec);
    history_free(data);
    return 0;
}

static void test_split(void **state)
{
    struct train_window *windows;
    size_t n;
    (void)state;
    CHECK_EQ("held out", split.last + 1 - split.validation_from, STEPS / 10);
    /* a: origins 11 to 175, b: 11 to 55. */
    CHECK_EQ("windows", train_sampler_windows(sampler), 165 + 45);
    bool first = false, last = false;
    for (uint64_t i = 0; i < 20000; i++) {
        const struct train_window w = train_sampler_draw(sampler, i);
        const int64_t end = data->series[w.series].first + (int64_t)(w.origin + HORIZON);
        CHECK_TRUE("no window reaches into the held-out time", end < split.validation_from);
        CHECK_TRUE("a whole horizon", w.origin + HORIZON < data->series[w.series].steps);
        CHECK_TRUE("history", w.history >= 12 && w.history <= HISTORY && w.origin + 1 >= 12);
        first = first || (w.series == 0 && w.origin == 11);
        last = last || (w.series == 0 && w.origin == 175);
    }
    CHECK_TRUE("every window can be drawn", first && last);
    assert_int_equal(train_sampler_validation(sampler, 3, 100, &windows, &n, NULL), FW_OK);
    CHECK_EQ("validation windows", n, 6); /* origins 179, 182, ... 194 of a; b has ended */
    CHECK_EQ("the first", windows[0].origin, 179);
    CHECK_EQ("the last", windows[5].origin, 194);
    fw_free(windows);
    assert_int_equal(train_sampler_validation(sampler, 3, 3, &windows, &n, NULL), FW_OK);
    CHECK_EQ("thinned out", n, 3);
    CHECK_EQ("evenly", windows[1].origin, 185);
    fw_free(windows);
}

static void test_window(void **state)
{
    struct tft_gradient_series s;
    const double scales[2] = {3.0, 1.0};
    const struct train_window w = {0, 39, HISTORY}; /* steps 20 to 39, 30 repeats 29 */
    (void)state;
    train_sampler_set_scales(sampler, scales);
    train_sampler_fetch(sampler, &w, 0, 0.5, &s);
    CHECK_EQ("history", s.history, HISTORY);
    CHECK_EQ("horizon", s.horizon, HORIZON);
    CHECK_NEAR("centered on the newest two", s.scale[0], 3.85, 1e-5);
    CHECK_NEAR("scaled by all", s.scale[1], 0.5913, 1e-3);
    CHECK_NEAR("a constant's center", s.scale[2], 5.0, 1e-6);
    CHECK_NEAR("the newest value", s.history_reals[19 * 3 + 1], (3.9 - 3.85) / 0.5913, 1e-3);
    CHECK_NEAR("the missing step repeats", s.history_reals[10 * 3 + 1], s.history_reals[9 * 3 + 1],
               0.0);
    CHECK_NEAR("the hour ahead", s.horizon_reals[0], 3.0, 1e-6); /* step 40 is 03:20 */
    CHECK_NEAR("the target", s.target[0], 4.0, 1e-5);
    CHECK_NEAR("the last target", s.target[3 * 2], 4.3, 1e-5);
    CHECK_NEAR("weight", s.weight[0], 2.0 * 0.5 / (0.5913 + 3.0), 1e-4);
}

static void test_without_a_metric(void **state)
{
    struct tft_gradient_series s;
    const struct train_window w = {1, 30, 12};
    (void)state;
    train_sampler_fetch(sampler, &w, 0, 1.0, &s);
    CHECK_EQ("history", s.history, 12);
    CHECK_TRUE("a metric it has", s.weight[0] > 0.0f);
    CHECK_TRUE("one it lacks weighs nothing", s.weight[1] == 0.0f);
    CHECK_TRUE("and has no target", isnan(s.target[1]));
    CHECK_NEAR("and is 0 in the history", s.history_reals[2], 0.0, 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_without_a_metric),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
