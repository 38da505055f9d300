#include "support.h"

#include "agent/cpu.h"

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        bool good;
        unsigned cores;
        uint64_t user, steal;
    } rows[] = {
        {"whole",                                        "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3 4\ncpu1 1 2 3 4\nintr 1\n", true,  2, 1,  8},
        {"old kernel, four modes",                       "cpu  11 2 3 4\ncpu0 1 2 3 4\n",                                   true,  1, 11, 0},
        {"no sum",                                       "cpu0 1 2 3 4\nintr 1\n",                                          false, 1, 0,  0},
        {"three modes",                                  "cpu  1 2 3\n",                                                    false, 0, 1,  0},
        {"empty",                                        "",                                                                false, 0, 0,  0},
        {"cores beyond the first block are not counted", "cpu  1 2 3 4\nintr 1\ncpu7 1 2 3 4\n",
         true,                                                                                                                     0, 1,  0},
        {"not numbers",                                  "cpu  a b c d\n",                                                  false, 0, 0,  0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct agent_cpu cpu;
        CHECK_EQ(rows[i].name, agent_cpu_parse(rows[i].text, &cpu), rows[i].good);
        CHECK_EQ(rows[i].name, cpu.cores, rows[i].cores);
        CHECK_EQ(rows[i].name, cpu.ticks[AGENT_CPU_USER], rows[i].user);
        CHECK_EQ(rows[i].name, cpu.ticks[AGENT_CPU_STEAL], rows[i].steal);
    }
}

static void test_shares(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t before[AGENT_CPU_MODES], now[AGENT_CPU_MODES];
        bool good;
        double user, sys, iowait, idle;
    } rows[] = {
        {"every mode has its place",
         {0, 0, 0, 0, 0, 0, 0, 0},
         {10, 5, 6, 50, 9, 2, 3, 15},
         true,                                                                                                          15,
         11,                                                                                                                   9,
         50                                                                                                                        },
        {"iowait steps back: 0 of its own, the others stay",
         {100, 0, 100, 100, 100, 0, 0, 0},
         {150, 0, 125, 125, 90, 0, 0, 0},
         true,                                                                                                          50,
         25,                                                                                                                   0,
         25                                                                                                                        },
        {"idle steps back a little",
         {0, 0, 0, 1000, 0, 0, 0, 0},
         {80, 0, 20, 999, 0, 0, 0, 0},
         true,                                                                                                          80,
         20,                                                                                                                   0,
         0                                                                                                                         },
        {"nothing passed",                                   {1, 1, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1, 1, 1}, false, 0,  0, 0, 0},
        {"counters reset",
         {1000, 0, 1000, 9000, 0, 0, 0, 0},
         {10, 0, 10, 90, 5, 0, 0, 0},
         false,                                                                                                         0,
         0,                                                                                                                    0,
         0                                                                                                                         },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct agent_cpu before = {{0}, 0}, now = {{0}, 0};
        struct agent_cpu_shares shares = {0, 0, 0, 0};
        memcpy(before.ticks, rows[i].before, sizeof before.ticks);
        memcpy(now.ticks, rows[i].now, sizeof now.ticks);
        CHECK_EQ(rows[i].name, agent_cpu_shares(&before, &now, &shares), rows[i].good);
        CHECK_NEAR(rows[i].name, shares.user, rows[i].user, 1e-9);
        CHECK_NEAR(rows[i].name, shares.sys, rows[i].sys, 1e-9);
        CHECK_NEAR(rows[i].name, shares.iowait, rows[i].iowait, 1e-9);
        CHECK_NEAR(rows[i].name, shares.idle, rows[i].idle, 1e-9);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse), cmocka_unit_test(test_shares)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
