#include "support.h"

#include "agent/net.h"

#define GOLDEN FW_SOURCE_DIR "/tests/golden/agent/"

static void test_physical(void **state)
{
    (void)state;
    static struct agent_net net;
    assert_true(agent_net_read(GOLDEN "net", &net));
    /* eth0 and eth1 are in bond0, br0 is a bridge by its directory, eth2.100 runs over eth2; bond1
     * itself is not here, so its VLAN counts. */
    static const char *const expected[] = {"eth2", "bond0", "bond1.7"};
    CHECK_EQ("devices", net.count, COUNT_OF(expected));
    for (size_t i = 0; i < COUNT_OF(expected); i++)
        CHECK_STR("device", net.devices[i].name, expected[i]);
    CHECK_EQ("bytes in", net.devices[1].in_bytes, 1005);
    CHECK_EQ("bytes out", net.devices[1].out_bytes, 2005);
    assert_false(agent_net_read(GOLDEN "container", &net));
}

static void test_parse(void **state)
{
    (void)state;
    static struct agent_net net;
    assert_false(agent_net_parse("", &net));
    assert_false(agent_net_parse("eth0: 1 2 3\n", &net));
    /* No blank behind the colon (long counters), and a line that is cut short. */
    assert_true(agent_net_parse("|   Receive |\n face |\n"
                                "eth0:18446744073709551615 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n"
                                "eth1: 1 2 3\n",
                                &net));
    CHECK_EQ("devices", net.count, 1);
    assert_true(net.devices[0].in_bytes == UINT64_MAX);
    CHECK_EQ("out", net.devices[0].out_bytes, 7);
}

static void test_moved(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct agent_net before, now;
        bool good;
        uint64_t in, out;
    } rows[] = {
        {"two devices",
         {2, {{"a", 100, 10}, {"b", 200, 20}}},
         {2, {{"b", 260, 25}, {"a", 140, 11}}},
         true,                                                                               100,
         6                                                                                         },
        {"one was reset: the other alone",
         {2, {{"a", 100, 10}, {"b", 200, 20}}},
         {2, {{"a", 5, 11}, {"b", 201, 22}}},
         true,                                                                               1,
         2                                                                                         },
        {"all were reset",                 {1, {{"a", 100, 10}}}, {1, {{"a", 5, 1}}}, false, 0,   0},
        {"a new device has no past",
         {1, {{"a", 1, 1}}},
         {2, {{"a", 2, 3}, {"b", 9000, 9000}}},
         true,                                                                               1,
         2                                                                                         },
        {"no device",                      {0, {{"", 0, 0}}},     {0, {{"", 0, 0}}},  false, 0,   0},
        {"only other devices",             {1, {{"a", 1, 1}}},    {1, {{"b", 2, 2}}}, false, 0,   0},
        {"idle is zero, and known",        {1, {{"a", 7, 7}}},    {1, {{"a", 7, 7}}}, true,  0,   0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t in, out;
        CHECK_EQ(rows[i].name, agent_net_moved(&rows[i].before, &rows[i].now, &in, &out),
                 rows[i].good);
        CHECK_EQ(rows[i].name, in, rows[i].in);
        CHECK_EQ(rows[i].name, out, rows[i].out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_physical),
                                       cmocka_unit_test(test_parse), cmocka_unit_test(test_moved)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
