/* From paths to sets: what belongs together, where the test part begins, and what is refused. */
#include "support.h"

#include "base/alloc.h"
#include "base/text.h"
#include "evaluate/set.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct evaluate_set_options usual = {.test_from_ms = -1};
enum { PATHS = 256 };
static char dir[64];

/* "DIR/NAME", in one of many places that take turns. */
static const char *in_dir(const char *name)
{
    static char paths[PATHS][160];
    static size_t turn;
    char *path = paths[turn++ % PATHS];
    (void)snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static const char *write_text(const char *name, const char *text)
{
    const char *path = in_dir(name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    return path;
}

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/forewarn-test-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    return mkdir(in_dir("fleet"), 0700) + mkdir(in_dir("ett"), 0700) + mkdir(in_dir("more"), 0700);
}

static int tear_down(void **state)
{
    static const char *const names[] = {
        "fleet/servers.csv", "fleet/b.csv", "fleet/a.csv", "ett/X1.csv", "ett/notes", "more/c.csv",
        "plain.csv",         "hourly.csv",  "fleet",       "ett",        "more"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        (void)remove(in_dir(names[i]));
    return rmdir(dir);
}

#define ROWS                                                                                       \
    "2026-01-05T00:00:00Z,%s,10,1\n2026-01-05T00:05:00Z,%s,20,2\n2026-01-05T00:10:00Z,%s,30,3\n"

static void write_servers(const char *text)
{
    char rows[512];
    const char *header = "timestamp,server_name,cpu_idle_pct,x\n";
    write_text("fleet/servers.csv", text);
    (void)snprintf(rows, sizeof rows, "%s" ROWS, header, "a", "a", "a");
    write_text("fleet/a.csv", rows);
    (void)snprintf(rows, sizeof rows, "%s" ROWS, header, "b", "b", "b");
    write_text("fleet/b.csv", rows);
}

/* A series of `hours` hours from 2016-07-01 on. */
static void write_hours(const char *name, int hours)
{
    FILE *file = fopen(in_dir(name), "wb");
    assert_non_null(file);
    fputs("date,HUFL,OT\n", file);
    for (int h = 0; h < hours; h++) {
        int year, month, day;
        fw_civil_from_days(16983 + h / 24, &year, &month, &day);
        fprintf(file, "%d-%02d-%02d %02d:00:00,%d,1\n", year, month, day, h % 24, h);
    }
    fclose(file);
}

static struct evaluate_set *read_first(size_t n, const char *const *paths,
                                       const struct evaluate_set_options *options)
{
    struct evaluate_sources sources;
    struct evaluate_set *set = NULL;
    struct fw_error err;
    if (evaluate_sources_find(n, paths, NULL, &sources, &err) != FW_OK ||
        evaluate_set_read(&sources.items[0], options, &set, &err) != FW_OK)
        fail_msg("%s", err.text);
    evaluate_sources_fini(&sources);
    return set;
}

static void test_fleet(void **state)
{
    (void)state;
    const char *path = in_dir("fleet");
    bool complement;
    write_servers("rows,server_name,test_from,validation_from\n"
                  "3,b,2026-01-05T00:01:00Z,2026-01-05\r\n\n3,\"a\",2026-01-04,2026-01-04\n");
    struct evaluate_set *set = read_first(1, &path, &usual);
    CHECK_STR("name", set->name, "fleet");
    CHECK_EQ("servers", set->n_servers, 2);
    CHECK_STR("in the file's order", set->servers[0].series->name, "b");
    CHECK_EQ("the step that begins behind it", set->servers[0].test, 1);
    CHECK_EQ("before the first step", set->servers[1].test, 0);
    CHECK_EQ("steps", set->servers[0].steps, 3);
    CHECK_STR("name", evaluate_set_metric(set, 0, &complement), "cpu_used_pct");
    CHECK_TRUE("complement", complement);
    CHECK_STR("name", evaluate_set_metric(set, 1, &complement), "x");
    CHECK_TRUE("as it is", !complement);
    CHECK_NEAR("used", set->servers[0].series->exact[0][1], 80.0, 0.0);
    CHECK_NEAR("idle, for the model", set->servers[0].series->value[0][1], 20.0, 0.0);
    evaluate_set_free(set);
    const struct evaluate_set_options from = {.test_from_ms = 1767571200000 + 2 * 300000};
    set = read_first(1, &path, &from);
    CHECK_EQ("whatever servers.csv has", set->servers[1].test, 2);
    evaluate_set_free(set);
}

/* Where both are there, the complement keeps the name of its column. */
static void test_both_idle_and_used(void **state)
{
    (void)state;
    bool complement;
    const char *path = write_text("plain.csv", "timestamp,server_name,cpu_idle_pct,cpu_used_pct\n"
                                               "2026-01-05,a,30,60\n");
    struct evaluate_set *set = read_first(1, &path, &usual);
    CHECK_STR("idle", evaluate_set_metric(set, 0, &complement), "cpu_idle_pct");
    CHECK_TRUE("idle", complement);
    CHECK_STR("used", evaluate_set_metric(set, 1, &complement), "cpu_used_pct");
    CHECK_TRUE("used", !complement);
    evaluate_set_free(set);
}

static void test_refused_splits(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text, *said;
        enum fw_status status;
    } rows[] = {
        {"empty",           "",                                                    "servers.csv:1: ",          FW_EINVAL   },
        {"no test_from",    "server_name,x\na,1\n",                                "test_from",                FW_EINVAL   },
        {"no server_name",  "name,test_from\na,2026-01-05\n",                      "server_name",              FW_EINVAL   },
        {"no servers",      "server_name,test_from\n",                             "no servers",               FW_EINVAL   },
        {"no time",         "server_name,test_from\na,soon\n",                     "servers.csv:2: test_from", FW_EINVAL   },
        {"a short row",     "server_name,test_from\na\n",                          "servers.csv:2: ",          FW_EINVAL   },
        {"no name",         "server_name,test_from\n,2026-01-05\n",                "servers.csv:2: ",          FW_EINVAL   },
        {"a path for name", "server_name,test_from\n../a,2026-01-05\n",
         "servers.csv:2: ",                                                                                    FW_EINVAL   },
        {"twice",           "server_name,test_from\na,2026-01-05\na,2026-01-05\n",
         "servers.csv:3: ",                                                                                    FW_EINVAL   },
        {"no file",         "server_name,test_from\nzz,2026-01-05\n",              "zz.csv.gz",                FW_ENOTFOUND},
    };
    const char *path = in_dir("fleet");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct evaluate_sources sources;
        struct evaluate_set *set;
        struct fw_error err = {0};
        write_servers(rows[i].text);
        assert_int_equal(evaluate_sources_find(1, &path, NULL, &sources, &err), FW_OK);
        CHECK_EQ(rows[i].name, evaluate_set_read(&sources.items[0], &usual, &set, &err),
                 rows[i].status);
        if (strstr(err.text, rows[i].said) == NULL)
            fail_msg("%s: \"%s\" does not say %s", rows[i].name, err.text, rows[i].said);
        CHECK_TRUE(rows[i].name, set == NULL);
        evaluate_sources_fini(&sources);
    }
}

/* A file whose rows are another server's. */
static void test_no_rows_of_a_server(void **state)
{
    (void)state;
    const char *path = in_dir("fleet");
    struct evaluate_sources sources;
    struct evaluate_set *set;
    struct fw_error err = {0};
    write_servers("server_name,test_from\na,2026-01-05\n");
    write_text("fleet/a.csv", "timestamp,server_name,x\n2026-01-05,other,1\n");
    assert_int_equal(evaluate_sources_find(1, &path, NULL, &sources, &err), FW_OK);
    CHECK_EQ("refused", evaluate_set_read(&sources.items[0], &usual, &set, &err), FW_ENOTFOUND);
    CHECK_EQ("line", err.offset, 2);
    evaluate_sources_fini(&sources);
}

static void test_ett(void **state)
{
    (void)state;
    enum { MONTH = 720 };
    static const struct {
        const char *name;
        int hours;
        size_t steps;
    } rows[] = {
        {"longer than twenty months", 21 * MONTH, 20 * MONTH},
        {"shorter",                   18 * MONTH, 18 * MONTH},
    };
    const char *path = in_dir("ett");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        write_text("ett/notes", "date,not a CSV file by its name\n");
        write_hours("ett/X1.csv", rows[i].hours);
        struct evaluate_set *set = read_first(1, &path, &usual);
        CHECK_TRUE(rows[i].name, set->ett);
        CHECK_EQ(rows[i].name, set->history->step_s, 3600);
        CHECK_STR(rows[i].name, set->servers[0].series->name, "X1");
        CHECK_EQ(rows[i].name, set->servers[0].steps, rows[i].steps);
        CHECK_EQ(rows[i].name, set->servers[0].test, 16 * MONTH);
        CHECK_EQ(rows[i].name, set->servers[0].training, 12 * MONTH);
        evaluate_set_free(set);
    }
    const struct evaluate_set_options from = {.test_from_ms = 1467331200000 + 100 * 3600000ll};
    struct evaluate_set *set = read_first(1, &path, &from);
    CHECK_TRUE("with --test-from it is plain", !set->ett);
    CHECK_EQ("but hourly", set->history->step_s, 3600);
    CHECK_EQ("from there on", set->servers[0].test, 100);
    evaluate_set_free(set);
}

static void test_plain_split(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t last_ms, test_from_ms;
        size_t test;
    } rows[] = {
        {"the last fifth",         1000 * 300000ll, -1,                                800},
        {"at least one horizon",   200 * 300000ll,  -1,                                105},
        {"as told",                200 * 300000ll,  1767571200000 + 50 * 300000ll,     50 },
        {"as told, within a step", 200 * 300000ll,  1767571200000 + 50 * 300000ll + 1, 51 },
    };
    const char *path = in_dir("plain.csv");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[256], last[FW_TIME_SIZE];
        fw_time_format_z(1767571200000 + rows[i].last_ms, last);
        (void)snprintf(text, sizeof text,
                       "timestamp,server_name,x\n2026-01-05T00:00:00Z,a,1\n%s,a,2\n", last);
        write_text("plain.csv", text);
        const struct evaluate_set_options options = {.test_from_ms = rows[i].test_from_ms};
        struct evaluate_set *set = read_first(1, &path, &options);
        CHECK_STR(rows[i].name, set->name, "plain");
        CHECK_EQ(rows[i].name, set->servers[0].test, rows[i].test);
        CHECK_TRUE(rows[i].name, !set->ett);
        evaluate_set_free(set);
    }
}

static void test_sources(void **state)
{
    (void)state;
    write_servers("server_name,test_from\na,2026-01-05\n");
    write_hours("ett/X1.csv", 3);
    write_hours("hourly.csv", 3);
    write_text("plain.csv", "timestamp,server_name,x\n2026-01-05,a,1\n");
    write_text("more/c.csv", "timestamp,server_name,x\n2026-01-05,c,1\n");
    const char *const paths[] = {in_dir("plain.csv"), in_dir("fleet/"), in_dir("ett"),
                                 in_dir("more"), in_dir("hourly.csv")};
    static const struct {
        const char *name;
        enum evaluate_layout layout;
        size_t n_paths;
    } expected[] = {
        {"mine",   EVALUATE_PLAIN, 2},
        {"fleet",  EVALUATE_FLEET, 1},
        {"ett",    EVALUATE_ETT,   1},
        {"hourly", EVALUATE_ETT,   1},
    };
    struct evaluate_sources sources;
    struct fw_error err;
    if (evaluate_sources_find(COUNT_OF(paths), paths, "mine", &sources, &err) != FW_OK)
        fail_msg("%s", err.text);
    CHECK_EQ("sets", sources.n, COUNT_OF(expected));
    for (size_t i = 0; i < sources.n; i++) {
        CHECK_STR("name", sources.items[i].name, expected[i].name);
        CHECK_EQ(expected[i].name, sources.items[i].layout, expected[i].layout);
        CHECK_EQ(expected[i].name, sources.items[i].n_paths, expected[i].n_paths);
    }
    CHECK_STR("second path of a set", sources.items[0].paths[1], paths[3]);
    evaluate_sources_fini(&sources);
}

static void test_source_names(void **state)
{
    (void)state;
    const char *const fleet = in_dir("fleet"), *const ett = in_dir("ett"),
                      *const more = in_dir("more");
    const struct {
        const char *name, *paths[3], *given, *first;
        enum fw_status status;
    } rows[] = {
        {"the only set",       {fleet},        "mine", "mine", FW_OK       },
        {"several plain ones", {more, more},   NULL,   "data", FW_OK       },
        {"a plain directory",  {more},         NULL,   "more", FW_OK       },
        {"named sets only",    {fleet, ett},   "mine", NULL,   FW_EINVAL   },
        {"twice the same",     {fleet, fleet}, NULL,   NULL,   FW_EINVAL   },
        {"not there",          {"/none"},      NULL,   NULL,   FW_ENOTFOUND},
    };
    write_servers("server_name,test_from\na,2026-01-05\n");
    write_hours("ett/X1.csv", 3);
    write_text("more/c.csv", "timestamp,server_name,x\n2026-01-05,c,1\n");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct evaluate_sources sources;
        struct fw_error err;
        size_t n = 0;
        while (n < 3 && rows[i].paths[n] != NULL)
            n++;
        CHECK_EQ(rows[i].name,
                 evaluate_sources_find(n, rows[i].paths, rows[i].given, &sources, &err),
                 rows[i].status);
        if (rows[i].first != NULL)
            CHECK_STR(rows[i].name, sources.items[0].name, rows[i].first);
        evaluate_sources_fini(&sources);
    }
}

static void test_no_memory(void **state)
{
    (void)state;
    const char *path = in_dir("fleet");
    write_servers("server_name,test_from\na,2026-01-05\nb,2026-01-05\n");
    for (long n = 1;; n++) {
        struct evaluate_sources sources;
        struct evaluate_set *set = NULL;
        struct fw_error err;
        fw_alloc_fail_at(n);
        enum fw_status status = evaluate_sources_find(1, &path, NULL, &sources, &err);
        if (status == FW_OK)
            status = evaluate_set_read(&sources.items[0], &usual, &set, &err);
        fw_alloc_fail_at(0);
        evaluate_sources_fini(&sources);
        if (status == FW_OK) {
            CHECK_TRUE("some allocations were made to fail", n > 10);
            evaluate_set_free(set);
            return;
        }
        CHECK_EQ("status", status, FW_ENOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fleet),
        cmocka_unit_test(test_refused_splits),
        cmocka_unit_test(test_both_idle_and_used),
        cmocka_unit_test(test_no_rows_of_a_server),
        cmocka_unit_test(test_ett),
        cmocka_unit_test(test_plain_split),
        cmocka_unit_test(test_sources),
        cmocka_unit_test(test_source_names),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
