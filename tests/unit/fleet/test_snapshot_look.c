/* A snapshot seen without a fleet. */
#include "fleet_fixture.h"

#include "base/log.h"
#include "fleet/snapshot.h"
#include "fleet/snapshot_look.h"

#include <fcntl.h>
#include <unistd.h>

enum { STEP_S = 60, WINDOW = 300 };
#define STEP_MS (INT64_C(1000) * STEP_S)
#define NOW_STEP (T0 / STEP_MS)

static char directory[64];

static int set_up(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/fw-look-XXXXXX");
    return mkdtemp(directory) == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}

static const float *values_of(const struct fleet_snapshot_server *server, const char *metric)
{
    for (size_t m = 0; m < server->metrics; m++)
        if (strcmp(server->metric_names[m], metric) == 0)
            return server->values[m];
    fail_msg("no metric %s", metric);
    return NULL;
}

static enum fw_status check_server(void *ctx, const struct fleet_snapshot_server *server)
{
    ++*(int *)ctx;
    CHECK_EQ("step", server->step_s, STEP_S);
    if (strcmp(server->name, "a") != 0)
        return FW_OK;
    CHECK_EQ("steps", server->steps, 4);
    CHECK_EQ("first", server->first_step, NOW_STEP - 3);
    CHECK_EQ("profile", server->own_profile, PROFILE_UNKNOWN);
    CHECK_EQ("status", server->statuses[0], STATUS_IDLE);
    const float *cpu = values_of(server, "cpu_user_pct"), *own = values_of(server, "queue_length");
    CHECK_NEAR("oldest", cpu[0], 1, 0);
    CHECK_TRUE("a gap", isnan(cpu[1]));
    CHECK_NEAR("newest", cpu[3], 2, 0);
    CHECK_NEAR("a metric that only this schema has", own[3], 7, 0);
    CHECK_TRUE("never sent", values_of(server, "load_average") == NULL);
    return FW_OK;
}

/* A server "a" with four steps, and "b". */
static void write_snapshot(void)
{
    struct fixture f;
    fixture_init(&f, STEP_S, WINDOW, 4);
    const struct schema_metric own = {.name = "queue_length",
                                      .max = (double)INFINITY,
                                      .warning = (double)NAN,
                                      .critical = (double)NAN};
    fleet_free(f.fleet);
    assert_int_equal(schema_set(&f.schema, &own, NULL), FW_OK);
    assert_int_equal(fleet_new(&f.options, &f.fleet, NULL), FW_OK);
    const struct sample_value oldest = {METRIC_CPU_USER, 1.0f};
    add_row(&f, "a", T0 - 3 * STEP_MS, STATUS_IDLE, &oldest, 1);
    add(&f, "a", T0, METRIC_CPU_USER, 2.0f);
    add(&f, "a", T0, (int)f.schema.count - 1, 7.0f);
    add(&f, "b", T0, METRIC_LOAD_AVERAGE, 7.0f);
    flush(&f);
    assert_int_equal(fleet_snapshot_write(f.fleet, directory, NULL, NULL, NULL), FW_OK);
    fixture_fini(&f);
}

static void test_looking(void **state)
{
    (void)state;
    struct store_snapshot_report report;
    int servers = 0;
    CHECK_EQ("no snapshot yet",
             fleet_snapshot_look(directory, NULL, check_server, &servers, &report, NULL), FW_OK);
    CHECK_TRUE("no snapshot yet", !report.found && servers == 0);
    write_snapshot();
    CHECK_EQ("look", fleet_snapshot_look(directory, NULL, check_server, &servers, &report, NULL),
             FW_OK);
    CHECK_TRUE("found", report.found);
    CHECK_EQ("servers", servers, 2);
}

static enum fw_status stop(void *ctx, const struct fleet_snapshot_server *server)
{
    (void)server;
    ++*(int *)ctx;
    return FW_ENOMEM;
}

static void test_the_visitor_ends_it(void **state)
{
    (void)state;
    int servers = 0;
    write_snapshot();
    CHECK_EQ("ended", fleet_snapshot_look(directory, NULL, stop, &servers, NULL, NULL), FW_ENOMEM);
    CHECK_EQ("one", servers, 1);
}

/* Each byte in turn: never more than the servers that there are, and nothing is moved away. */
static void test_damage(void **state)
{
    (void)state;
    struct store_snapshot_report report;
    int servers = 0;
    write_snapshot();
    assert_int_equal(fleet_snapshot_look(directory, NULL, check_server, &servers, &report, NULL),
                     FW_OK);
    const int fd = open(report.path, O_RDWR);
    assert_true(fd >= 0);
    const off_t size = lseek(fd, 0, SEEK_END);
    for (off_t at = 0; at < size; at++) {
        unsigned char byte;
        struct fw_error err;
        servers = 0;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 0x40;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        const enum fw_status status =
            fleet_snapshot_look(directory, NULL, check_server, &servers, &report, &err);
        CHECK_TRUE("told or passed over", status == FW_OK || status == FW_EVERSION);
        CHECK_TRUE("no server twice", servers <= 2);
        byte ^= 0x40;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    close(fd);
    servers = 0;
    assert_int_equal(fleet_snapshot_look(directory, NULL, check_server, &servers, &report, NULL),
                     FW_OK);
    CHECK_EQ("all is there still", servers, 2);
}

static void quiet(void *ctx, const char *line, size_t len)
{
    (void)ctx;
    (void)line;
    (void)len;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    fw_log_configure(&(struct fw_log_options){.level = FW_ERROR, .sink = quiet});
    const struct CMUnitTest tests[] = {
        TEST(test_looking),
        TEST(test_the_visitor_ends_it),
        TEST(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
