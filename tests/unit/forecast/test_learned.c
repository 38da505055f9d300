/* What was learned goes to disk and comes back: a forecaster that was restarted goes on as if it
 * had not been; damage, other steps, other servers and memory that ends cost what was learned, no
 * more. */
#include "base/alloc.h"
#include "base/rng.h"
#include "forecast/forecaster.h"
#include "unit/fleet/fleet_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STEP_S = 300, WINDOW = 864, SERVERS = 5, METRICS = 3, BEFORE = 700, AFTER = 60 };
#define STEP_MS ((int64_t)STEP_S * 1000)

static char dir[64];

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/fw-learned-XXXXXX");
    return mkdtemp(dir) == NULL;
}

static void each_file(void (*visit)(const char *path))
{
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        char path[400];
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (e->d_name[0] != '.')
            visit(path);
    }
    closedir(d);
}

static void delete_file(const char *path)
{
    assert_int_equal(unlink(path), 0);
}

static int tear_down(void **state)
{
    (void)state;
    each_file(delete_file);
    return rmdir(dir);
}

static void feed_step(struct fixture *f, size_t t)
{
    f->clock.wall_now_ms = T0 + (int64_t)t * STEP_MS + 2000;
    for (size_t i = 0; i < SERVERS; i++) {
        struct sample_value values[METRICS];
        struct fw_rng rng;
        char name[16];
        fw_rng_init(&rng, t * 64 + i);
        for (size_t m = 0; m < METRICS; m++)
            values[m] = (struct sample_value){
                (uint16_t)m, (float)(40.0 + 10.0 * sin(6.2831853 * (double)(t + 40 * m) / 288.0) +
                                     2.0 * fw_rng_normal(&rng))};
        snprintf(name, sizeof name, "ppweb%03zu", i);
        add_row(f, name, T0 + (int64_t)t * STEP_MS + 1000, STATUS_HEALTHY, values, METRICS);
    }
    flush(f);
}

static struct forecaster *new_forecaster(struct fixture *f, uint32_t step_s)
{
    const struct forecaster_options options = {
        .schema = &f->schema, .clock = &f->clock.clock, .step_s = step_s, .threads = 1};
    struct forecaster *forecaster;
    assert_int_equal(forecaster_new(&options, &forecaster, NULL), FW_OK);
    return forecaster;
}

static void run(struct forecaster *forecaster, struct fixture *f, const struct forecast_set **set)
{
    const struct forecast_set *previous = *set;
    assert_int_equal(forecaster_run(forecaster, f->fleet, previous, set, NULL), FW_OK);
    forecast_set_release(previous);
}

static void begin(struct fixture *f, struct forecaster **forecaster,
                  const struct forecast_set **set)
{
    fixture_init(f, STEP_S, WINDOW, 100);
    *forecaster = new_forecaster(f, STEP_S);
    *set = NULL;
    for (size_t t = 0; t < BEFORE; t++) {
        feed_step(f, t);
        if ((T0 / STEP_MS + (int64_t)t) % FORECAST_KEPT_STEPS == 0)
            run(*forecaster, f, set);
    }
}

static void end(struct fixture *f, struct forecaster *forecaster, const struct forecast_set *set)
{
    forecast_set_release(set);
    forecaster_free(forecaster);
    fixture_fini(f);
}

static void a_restart_forgets_nothing(void **state)
{
    (void)state;
    struct fixture f;
    struct forecaster *forecaster;
    const struct forecast_set *set, *other = NULL;
    uint64_t bytes;
    size_t servers;
    begin(&f, &forecaster, &set);
    assert_int_equal(forecaster_save(forecaster, dir, NULL, &bytes, NULL), FW_OK);
    CHECK_TRUE("some", bytes > (uint64_t)SERVERS * METRICS * 4000);
    struct forecaster *restarted = new_forecaster(&f, STEP_S);
    assert_int_equal(forecaster_load(restarted, f.fleet, dir, NULL, NULL, &servers, NULL), FW_OK);
    CHECK_EQ("servers", servers, SERVERS);
    for (size_t t = BEFORE; t < BEFORE + AFTER; t++) {
        feed_step(&f, t);
        run(forecaster, &f, &set);
        run(restarted, &f, &other);
        CHECK_EQ("count", other->count, set->count);
        for (size_t i = 0; i < set->count; i++)
            assert_memory_equal(set->items[i]->paths, other->items[i]->paths,
                                set->items[i]->path_count * sizeof set->items[i]->paths[0]);
    }
    CHECK_EQ("method", set->items[0]->paths[0].method, FORECAST_BLEND);
    /* What is told of the forecasts is what was learned of all five servers. */
    assert_non_null(set->quality);
    const struct forecast_quality *quality = &set->quality[set->items[0]->paths[0].metric][0];
    CHECK_EQ("servers", quality->tracks, SERVERS);
    CHECK_TRUE("scored", quality->scored > 0.0 && quality->inside <= quality->scored);
    double weights = 0.0;
    for (size_t v = 0; v < FORECAST_VOICES; v++)
        weights += quality->weight[v];
    CHECK_NEAR("weights", weights, SERVERS, 1e-4);
    forecast_set_release(other);
    forecaster_free(restarted);
    end(&f, forecaster, set);
}

/* The older file serves when the newest is no file of ours any more. */
static void flip(const char *path)
{
    const int fd = open(path, O_RDWR);
    struct stat st;
    unsigned char byte;
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    for (off_t at = 4000; at < st.st_size; at += 30000) {
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 0x40;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    close(fd);
}

static void damage_costs_what_it_hits(void **state)
{
    (void)state;
    struct fixture f;
    struct forecaster *forecaster;
    const struct forecast_set *set, *other = NULL;
    uint64_t bytes;
    size_t servers;
    begin(&f, &forecaster, &set);
    assert_int_equal(forecaster_save(forecaster, dir, NULL, &bytes, NULL), FW_OK);
    each_file(flip);
    struct forecaster *restarted = new_forecaster(&f, STEP_S);
    const enum fw_status status =
        forecaster_load(restarted, f.fleet, dir, NULL, NULL, &servers, NULL);
    CHECK_TRUE("fewer", status == FW_OK && servers < SERVERS);
    run(restarted, &f, &other);
    CHECK_EQ("all are forecast", other->count, SERVERS);
    forecast_set_release(other);
    forecaster_free(restarted);
    end(&f, forecaster, set);
}

static void what_does_not_fit_is_left_alone(void **state)
{
    (void)state;
    struct fixture f, empty, hourly;
    struct forecaster *forecaster;
    const struct forecast_set *set;
    struct fw_error err = {0};
    uint64_t bytes;
    size_t servers;
    begin(&f, &forecaster, &set);
    assert_int_equal(forecaster_save(forecaster, dir, NULL, &bytes, NULL), FW_OK);
    fixture_init(&empty, STEP_S, WINDOW, 100);
    struct forecaster *stranger = new_forecaster(&empty, STEP_S);
    assert_int_equal(forecaster_load(stranger, empty.fleet, dir, NULL, NULL, &servers, &err),
                     FW_OK);
    CHECK_EQ("none of these servers", servers, 0);
    fixture_init(&hourly, 3600, WINDOW, 100);
    struct forecaster *other_step = new_forecaster(&hourly, 3600);
    assert_int_equal(forecaster_load(other_step, hourly.fleet, dir, NULL, NULL, &servers, &err),
                     FW_EINVAL);
    CHECK_STR("why", err.text, "it was learned from steps of 300 s, and they are of 3600 s");
    forecaster_free(stranger);
    forecaster_free(other_step);
    fixture_fini(&empty);
    fixture_fini(&hourly);
    end(&f, forecaster, set);
}

static void nothing_there_is_a_beginning(void **state)
{
    (void)state;
    struct fixture f;
    size_t servers;
    fixture_init(&f, STEP_S, WINDOW, 100);
    struct forecaster *forecaster = new_forecaster(&f, STEP_S);
    assert_int_equal(
        forecaster_load(forecaster, f.fleet, "/tmp/fw-not-there", NULL, NULL, &servers, NULL),
        FW_OK);
    CHECK_EQ("servers", servers, 0);
    forecaster_free(forecaster);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_restart_forgets_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damage_costs_what_it_hits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_left_alone, set_up, tear_down),
        cmocka_unit_test(nothing_there_is_a_beginning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
