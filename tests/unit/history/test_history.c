/* Reading CSV: what is taken, and that every refusal names file and line. */
#include "support.h"

#include "base/alloc.h"
#include "domain/identity.h"
#include "history/history.h"

#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

static const struct history_options five_minutes = {.step_s = HISTORY_STEP_S};
static char dir[64];

static const char *write_text(const char *name, const char *text)
{
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    const size_t len = strlen(name);
    if (strcmp(name + len - 3, ".gz") == 0) {
        gzFile gz = gzopen(path, "wb");
        assert_non_null(gz);
        assert_int_equal(gzwrite(gz, text, (unsigned)strlen(text)), strlen(text));
        gzclose(gz);
        return path;
    }
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
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"a.csv", "b.csv.gz", "servers.csv", "bad.csv"};
    char path[128];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        (void)unlink(path);
    }
    return rmdir(dir);
}

static void test_directory(void **state)
{
    (void)state;
    struct history *d;
    struct fw_error err = {0};
    const char *paths[1] = {dir};
    write_text("a.csv", "timestamp,server_name,status,cpu_user_pct,odd\n"
                        "2026-01-05T00:10:00Z,ppdb001,healthy,30,1\n"
                        "2026-01-05T00:00:00Z,ppdb001,idle,10,\n"
                        "2026-01-05T00:02:00Z,ppdb001,idle,20,3\n"
                        "2026-01-05T00:05:00Z,zz,,250,4\n");
    write_text("b.csv.gz", "timestamp,server_name,profile,mem_used_pct\r\n"
                           "2026-01-05T00:00:00Z,zz,database,55.5\r\n\n");
    write_text("servers.csv", "server_name,rows\nx,1\n");
    if (history_read(&five_minutes, 1, paths, &d, &err) != FW_OK)
        fail_msg("%s", err.text);
    CHECK_EQ("files", d->files, 2);
    CHECK_EQ("skipped", d->files_skipped, 1);
    CHECK_EQ("servers", d->n_series, 2);
    CHECK_EQ("rows", d->rows, 5);
    CHECK_EQ("refused", d->refused, 1);
    const struct history_series *s = &d->series[0];
    const int cpu = history_column(d, "cpu_user_pct"), mem = history_column(d, "mem_used_pct");
    CHECK_STR("first by name", s->name, "ppdb001");
    CHECK_EQ("profile by name", s->profile, PROFILE_DATABASE);
    CHECK_EQ("steps", s->steps, 3);
    CHECK_NEAR("two rows of a step are averaged", s->value[cpu][0], 15.0, 1e-6);
    CHECK_TRUE("a step without a row is missing", isnan(s->value[cpu][1]));
    CHECK_NEAR("the newest", s->value[cpu][2], 30.0, 1e-6);
    CHECK_EQ("status", s->status[0], STATUS_IDLE);
    CHECK_EQ("status", s->status[2], STATUS_HEALTHY);
    CHECK_TRUE("no such metric", s->value[mem] == NULL);
    CHECK_EQ("profile as given", d->series[1].profile, PROFILE_DATABASE);
    CHECK_NEAR("from gzip", d->series[1].value[mem][0], 55.5, 1e-6);
    CHECK_TRUE("an impossible value is missing",
               d->series[1].value[cpu] == NULL || isnan(d->series[1].value[cpu][1]));
    history_free(d);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text, *said;
        enum fw_status status;
        uint64_t line;
    } rows[] = {
        {"header",       "time,server_name,x\n",                                       ":1: ", FW_EINVAL, 1},
        {"empty",        "",                                                           ":1: ", FW_EINVAL, 1},
        {"number",       "timestamp,server_name,x\n2026-01-05,a,1\n2026-01-05,a,1x\n", ":3: ", FW_EINVAL,
         3                                                                                                 },
        {"time",         "timestamp,server_name,x\nyesterday,a,1\n",                   ":2: ", FW_EINVAL, 2},
        {"name",         "timestamp,server_name,x\n2026-01-05,,1\n",                   ":2: ", FW_EINVAL, 2},
        {"fields",       "timestamp,server_name,x\n2026-01-05,a\n",                    ":2: ", FW_EINVAL, 2},
        {"column twice", "timestamp,server_name,x,x\n",                                ":1: ", FW_EINVAL, 1},
        {"a long span",  "timestamp,server_name,x\n1970-01-05,a,1\n9999-01-05,a,1\n",
         ":3: ",                                                                               FW_ELIMIT, 3},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct history *d;
        struct fw_error err = {0};
        const char *path = write_text("bad.csv", rows[i].text);
        CHECK_EQ(rows[i].name, history_read(&five_minutes, 1, &path, &d, &err), rows[i].status);
        CHECK_EQ(rows[i].name, err.offset, rows[i].line);
        CHECK_TRUE(rows[i].name, strstr(err.text, "bad.csv") != NULL);
        CHECK_TRUE(rows[i].name, strstr(err.text, rows[i].said) != NULL);
        CHECK_TRUE(rows[i].name, d == NULL);
    }
}

/* A file that is one server, on a grid of hours, with the means kept unrounded. */
static void test_one_server_a_file(void **state)
{
    (void)state;
    const struct history_options hourly = {.step_s = 3600, .exact = true};
    struct history *d;
    struct fw_error err = {0};
    const char *path = write_text("a.csv", "date,OT\n2016-07-01 00:00:00,0.1\n"
                                           "2016-07-01 00:30:00,0.2\n2016-07-01 02:00:00,0.7\n");
    if (history_read(&hourly, 1, &path, &d, &err) != FW_OK)
        fail_msg("%s", err.text);
    const struct history_series *s = &d->series[0];
    CHECK_STR("named by the file", s->name, "a");
    CHECK_STR("column", d->column[0], "OT");
    CHECK_EQ("first step", s->first, 1467331200 / 3600);
    CHECK_EQ("steps", s->steps, 3);
    CHECK_TRUE("mean of doubles", s->exact[0][0] == (0.1 + 0.2) / 2);
    CHECK_TRUE("unrounded", s->exact[0][2] == 0.7);
    CHECK_TRUE("missing", isnan(s->exact[0][1]) && isnan(s->value[0][1]));
    CHECK_NEAR("rounded", s->value[0][0], 0.15, 1e-7);
    history_free(d);
}

/* Sums of exact means are compensated, and a column's may be those of what it leaves of 100. */
static void test_exact_means(void **state)
{
    (void)state;
    const struct history_options options = {
        .step_s = HISTORY_STEP_S, .exact = true, .complement = "cpu_idle_pct"};
    static const double idle[5] = {93.83, 85.19, 58.02, 80.25, 99.9}, load[3] = {1e9, 1e-7, 1e-7};
    char text[512] = "timestamp,server_name,cpu_idle_pct,load\n";
    struct history *d;
    struct fw_error err = {0};
    double used = 0.0, sum = 0.0;
    for (int i = 0; i < 5; i++) {
        const size_t len = strlen(text);
        (void)snprintf(text + len, sizeof text - len, "2026-01-05T00:0%d:00Z,a,%g,%.8g\n", i % 3,
                       idle[i], load[i < 3 ? i : 2]);
        used += 100.0 - idle[i];
        sum += idle[i];
    }
    const char *path = write_text("a.csv", text);
    if (history_read(&options, 1, &path, &d, &err) != FW_OK)
        fail_msg("%s", err.text);
    const struct history_series *s = &d->series[0];
    CHECK_NEAR("complement", s->exact[0][0], used / 5, 1e-13);
    CHECK_NEAR("itself, for the model", s->value[0][0], sum / 5, 1e-5);
    CHECK_TRUE("compensated: a plain sum would lose the small ones",
               s->exact[1][0] == (1e9 + 4e-7) / 5);
    history_free(d);
}

/* What stands behind a NUL is part of the field. */
static void test_nul_in_a_number(void **state)
{
    (void)state;
    static const char text[] = "timestamp,server_name,x\n2026-01-05,a,1\0x\n";
    struct history *d;
    struct fw_error err = {0};
    const char *path = write_text("bad.csv", "");
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, sizeof text - 1, file), sizeof text - 1);
    fclose(file);
    CHECK_EQ("NUL", history_read(&five_minutes, 1, &path, &d, &err), FW_EINVAL);
    CHECK_EQ("NUL", err.offset, 2);
    CHECK_TRUE("NUL", d == NULL);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct history *d;
    struct fw_error err;
    const char *path = write_text("bad.csv", "timestamp,server_name,status,x\n"
                                             "2026-01-06,a,idle,1\n2026-01-05,b,idle,2\n"
                                             "2026-01-05,a,idle,2\n2026-01-06,a,idle,2\n");
    const struct history_options exact = {.step_s = HISTORY_STEP_S, .exact = true};
    for (long n = 1;; n++) {
        fw_alloc_fail_at(n);
        const enum fw_status status = history_read(&exact, 1, &path, &d, &err);
        fw_alloc_fail_at(0);
        if (status == FW_OK) {
            CHECK_TRUE("some allocations were made to fail", n > 5);
            history_free(d);
            return;
        }
        CHECK_EQ("status", status, FW_ENOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_directory),         cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_one_server_a_file), cmocka_unit_test(test_exact_means),
        cmocka_unit_test(test_nul_in_a_number),   cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
