/* Labels from a file, and refusals that name file and line. */
#include "support.h"

#include "backtest/labels.h"

#include <stdlib.h>
#include <unistd.h>

static const char *const names[2] = {"a", "b"};

static enum fw_status read_text(const char *text, struct backtest_spans *incidents, size_t *unknown,
                                struct fw_error *err)
{
    char path[] = "/tmp/forewarn-test-XXXXXX";
    const int fd = mkstemp(path);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    const enum fw_status status = backtest_labels_read(path, 2, names, incidents, unknown, err);
    (void)unlink(path);
    return status;
}

static void test_reads(void **state)
{
    (void)state;
    struct backtest_spans incidents[2] = {0};
    struct fw_error err;
    size_t unknown;
    const enum fw_status status = read_text("start,server_name,metrics,end,kind\n"
                                            "1970-01-01T00:10:00Z,b,x;y,1970-01-01T00:20:00Z,z\n"
                                            "\n"
                                            "1970-01-01T00:30:00Z,b,,1970-01-01T00:30:00Z\n"
                                            "1970-01-01T00:10:00Z,stranger,,1970-01-01T00:20:00Z\n"
                                            "1970-01-01T01:00:00Z,a,x,,\n",
                                            incidents, &unknown, &err);
    if (status != FW_OK)
        fail_msg("%s", err.text);
    CHECK_EQ("unknown", unknown, 1);
    CHECK_EQ("of a", incidents[0].n, 1);
    CHECK_EQ("never ended", incidents[0].items[0].last, INT64_MAX / 1000);
    CHECK_EQ("of b", incidents[1].n, 2);
    CHECK_EQ("start", incidents[1].items[0].first, 600);
    CHECK_EQ("end", incidents[1].items[0].last, 1200);
    CHECK_EQ("one step", incidents[1].items[1].last, 1800);
    backtest_spans_fini(&incidents[0]);
    backtest_spans_fini(&incidents[1]);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
        size_t line;
    } rows[] = {
        {"",                                                 ":1: the file is empty",                   1},
        {"server_name,start\n",                              ":1: the header has no column: end",       1},
        {"server_name,start,end\n\na,soon,\n",               ":3: start is not an ISO 8601 time: soon", 3},
        {"server_name,start,end\na,2026-01-01,late\n",       ":2: end is not an ISO 8601 time: late",   2},
        {"server_name,start,end\n,2026-01-01,\n",            ":2: server_name is not a server's name",  2},
        {"server_name,start,end\na,2026-01-02,2026-01-01\n",
         ":2: the incident ends before it begins: 2026-01-01",                                          2},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct backtest_spans incidents[2] = {0};
        struct fw_error err = {0};
        size_t unknown;
        CHECK_EQ(rows[i].says, read_text(rows[i].text, incidents, &unknown, &err), FW_EINVAL);
        CHECK_TRUE(err.text, strstr(err.text, rows[i].says) != NULL);
        CHECK_EQ(rows[i].says, err.offset, rows[i].line);
        backtest_spans_fini(&incidents[0]);
        backtest_spans_fini(&incidents[1]);
    }
    struct backtest_spans none[2] = {0};
    size_t unknown;
    CHECK_EQ("no file", backtest_labels_read("/nowhere/labels.csv", 2, names, none, &unknown, NULL),
             FW_ENOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
