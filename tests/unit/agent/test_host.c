/* Whole readings of fixture hosts, source by source. tests/golden/agent/host-1 and host-2 are one
 * host, 10 seconds apart. */
#include "support.h"

#include "agent/host.h"
#include "agent/java.h"
#include "agent/sockets.h"
#include "base/clock.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define GOLDEN FW_SOURCE_DIR "/tests/golden/agent/"

/* A root that can be pointed at one tree, then at another. */
struct world {
    char dir[64], root[80];
    struct fw_clock_fake clock;
    struct agent_host *host;
};

static int half_full(void *ctx, const char *path, struct agent_space *out)
{
    (void)ctx;
    *out = (struct agent_space){.blocks = 100, .free = 50, .available = 50};
    return strstr(path, "archive") == NULL ? 0 : -1;
}

static void point_at(struct world *world, const char *tree)
{
    char target[512];
    unlink(world->root);
    snprintf(target, sizeof target, GOLDEN "%s", tree);
    assert_int_equal(symlink(target, world->root), 0);
}

static void world_begin(struct world *world, const char *tree)
{
    strcpy(world->dir, "/tmp/fw-agent-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    snprintf(world->root, sizeof world->root, "%s/root", world->dir);
    point_at(world, tree);
    fw_clock_fake_init(&world->clock, 1800000000000);
    const struct agent_host_options options = {.root = world->root,
                                               .clock = &world->clock.clock,
                                               .space = half_full,
                                               .ticks_per_second = 100,
                                               .gap_ms = 30000};
    assert_int_equal(agent_host_new(&options, &world->host, NULL), FW_OK);
}

static void world_end(struct world *world)
{
    agent_host_free(world->host);
    unlink(world->root);
    rmdir(world->dir);
}

enum {
    NO_RATES = 1u << METRIC_MEM_USED | 1u << METRIC_SWAP_USED | 1u << METRIC_DISK_USAGE |
               1u << METRIC_BACK_CLOSE_WAIT | 1u << METRIC_FRONT_CLOSE_WAIT |
               1u << METRIC_LOAD_AVERAGE | 1u << METRIC_UPTIME_DAYS,
    ALL = (1u << METRIC_CANONICAL_COUNT) - 1
};

static void test_whole_host(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum metric_index metric;
        double value;
    } rows[] = {
        {"user and nice",                         METRIC_CPU_USER,         25            },
        {"system, irq, softirq",                  METRIC_CPU_SYS,          10            },
        {"iowait",                                METRIC_CPU_IOWAIT,       5             },
        {"idle",                                  METRIC_CPU_IDLE,         55            },
 /* 400 ticks of process 100, 200 of 250 (began meanwhile), none of 260 (older, but not seen
  * before) nor of the   process that ended: 6 s in 10 s on 4 cores. */
        {"java",                                  METRIC_JAVA_CPU,         15            },
        {"memory",                                METRIC_MEM_USED,         75            },
        {"swap",                                  METRIC_SWAP_USED,        25            },
        {"disk",                                  METRIC_DISK_USAGE,       50            },
        {"net in",                                METRIC_NET_IN,           2             },
        {"net out",                               METRIC_NET_OUT,          0.5           },
        {"behind: local ports nobody listens on", METRIC_BACK_CLOSE_WAIT,  3             },
        {"in front: local ports listened on",     METRIC_FRONT_CLOSE_WAIT, 3             },
        {"load",                                  METRIC_LOAD_AVERAGE,     3.25          },
        {"uptime",                                METRIC_UPTIME_DAYS,      1010.0 / 86400},
    };
    struct world world;
    struct agent_reading reading;
    world_begin(&world, "host-1");
    agent_host_read(world.host, &reading);
    CHECK_EQ("the first reading has no rates", reading.present, NO_RATES);
    point_at(&world, "host-2");
    fw_clock_fake_advance_ms(&world.clock, 10000);
    agent_host_read(world.host, &reading);
    CHECK_EQ("everything", reading.present, ALL);
    CHECK_EQ("time", reading.time_ms, 1800000010000);
    CHECK_EQ("cores", agent_host_cores(world.host), 4);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        CHECK_NEAR(rows[i].name, reading.values[rows[i].metric], rows[i].value, 1e-4);
    world_end(&world);
}

static void test_resets_and_gaps(void **state)
{
    (void)state;
    struct world world;
    struct agent_reading reading;
    world_begin(&world, "host-2");
    agent_host_read(world.host, &reading);

    /* The host came back from a snapshot: every counter is lower than before. */
    point_at(&world, "host-1");
    fw_clock_fake_advance_ms(&world.clock, 10000);
    agent_host_read(world.host, &reading);
    CHECK_EQ("reset: no CPU, no network; java counts only up", reading.present,
             NO_RATES | 1u << METRIC_JAVA_CPU);

    point_at(&world, "host-2");
    fw_clock_fake_advance_ms(&world.clock, 30001);
    agent_host_read(world.host, &reading);
    CHECK_EQ("too long ago", reading.present, NO_RATES);

    agent_host_read(world.host, &reading);
    CHECK_EQ("no time passed", reading.present, NO_RATES);
    world_end(&world);
}

static void test_missing_sources(void **state)
{
    (void)state;
    struct world world;
    struct agent_reading reading;
    world_begin(&world, "container");
    for (int i = 0; i < 2; i++) {
        agent_host_read(world.host, &reading);
        fw_clock_fake_advance_ms(&world.clock, 1000);
        CHECK_EQ("what is there", reading.present,
                 1u << METRIC_MEM_USED | 1u << METRIC_LOAD_AVERAGE | 1u << METRIC_DISK_USAGE);
    }
    CHECK_NEAR("memory without MemAvailable", reading.values[METRIC_MEM_USED], 70, 1e-4);
    CHECK_STR("the overlay, as there is nothing else", agent_host_disk_path(world.host), "/");
    unlink(world.root);
    agent_host_read(world.host, &reading);
    CHECK_EQ("nothing at all", reading.present, 0);
    CHECK_STR("no disk", agent_host_disk_path(world.host), "");
    world_end(&world);
}

static void test_this_host(void **state)
{
    (void)state;
    const struct agent_host_options options = {0};
    struct agent_host *host;
    struct agent_reading reading;
    struct schema schema;
    schema_default(&schema);
    assert_int_equal(agent_host_new(&options, &host, NULL), FW_OK);
    for (int i = 0; i < 2; i++) {
        agent_host_read(host, &reading);
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    agent_host_free(host);
    assert_true(agent_reading_has(&reading, METRIC_UPTIME_DAYS));
    for (int m = 0; m < METRIC_CANONICAL_COUNT; m++) {
        double value = (double)reading.values[m];
        if (agent_reading_has(&reading, (enum metric_index)m))
            CHECK_TRUE(schema.metrics[m].name, schema_accept(&schema.metrics[m], &value));
    }
}

static void test_root_too_long(void **state)
{
    (void)state;
    char root[2000];
    memset(root, 'x', sizeof root - 1);
    root[sizeof root - 1] = '\0';
    const struct agent_host_options options = {.root = root};
    struct agent_host *host;
    struct fw_error err;
    assert_int_equal(agent_host_new(&options, &host, &err), FW_EINVAL);
    assert_null(host);
}

static void test_java_names(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        bool good;
    } rows[] = {
        {"java",                 "7 (java) S 1 7 7 0 -1 0 1 0 0 0 30 12 0 0 20 0 9 0 500 1 1\n",  true },
        {"javac",                "7 (javac) S 1 7 7 0 -1 0 1 0 0 0 30 12 0 0 20 0 9 0 500 1 1\n", false},
        {"brackets in the name", "7 (x) (java) S 1 7 7 0 -1 0 1 0 0 0 1 1 0 0 20 0 9 0 5 1\n",
         false                                                                                         },
        {"cut short",            "7 (java) S 1 7\n",                                              false},
        {"no name",              "7 java S 1\n",                                                  false},
        {"empty",                "",                                                              false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct agent_java_process p = {0, 0, 0};
        CHECK_EQ(rows[i].name, agent_java_parse(rows[i].text, &p), rows[i].good);
        if (rows[i].good) {
            CHECK_EQ(rows[i].name, p.pid, 7);
            CHECK_EQ(rows[i].name, p.cpu_ticks, 42);
            CHECK_EQ(rows[i].name, p.start_ticks, 500);
        }
    }
}

static void test_sockets_without_ipv6(void **state)
{
    (void)state;
    struct agent_sockets sockets;
    assert_true(agent_sockets_read(GOLDEN "host-1", &sockets));
    CHECK_EQ("front", sockets.front, 3);
    CHECK_EQ("back", sockets.back, 3);
    assert_false(agent_sockets_read(GOLDEN "container", &sockets));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_host),          cmocka_unit_test(test_resets_and_gaps),
        cmocka_unit_test(test_missing_sources),     cmocka_unit_test(test_this_host),
        cmocka_unit_test(test_root_too_long),       cmocka_unit_test(test_java_names),
        cmocka_unit_test(test_sockets_without_ipv6)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
