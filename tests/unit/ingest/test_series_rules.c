/* The language of mappings, and what its roles make of Telegraf's and the collector's series. */
#include "ingest/series_book.h"

#include "support.h"

#include <stdlib.h>
#include <unistd.h>

struct stage {
    struct schema schema;
    struct series_rules *rules;
    struct series_book *book;
    struct series_gather gather;
    struct sample_batch *batch;
};

static void stage_open(struct stage *s, const char *mapping)
{
    struct fw_error err = {0};
    memset(s, 0, sizeof *s);
    schema_default(&s->schema);
    assert_int_equal(series_rules_parse(&s->schema, mapping, strlen(mapping), &s->rules, &err),
                     FW_OK);
    s->book = series_book_new(&(struct series_book_options){0});
    s->batch = batch_new();
    assert_true(s->book != NULL && s->batch != NULL);
    series_gather_init(&s->gather, s->rules, &s->schema, s->batch);
}

static void stage_close(struct stage *s)
{
    series_gather_fini(&s->gather);
    series_rules_free(s->rules);
    series_book_free(s->book);
    batch_free(s->batch);
}

/* "name{a=b,c=d}": without quotes, as no value here needs them. */
static void read_series(const char *text, struct raw_series *series)
{
    const char *at = text + strcspn(text, "{");
    *series = (struct raw_series){.name = text, .name_len = (uint32_t)(at - text)};
    while (*at == '{' || *at == ',') {
        struct raw_label *label = &series->labels[series->label_count++];
        label->name = ++at;
        label->name_len = (uint32_t)strcspn(at, "=");
        label->value = at += label->name_len + 1;
        label->value_len = (uint32_t)strcspn(at, ",}");
        at += label->value_len;
    }
}

static void put_kind(struct stage *s, int64_t second, const char *text, double value,
                     enum series_kind kind)
{
    struct raw_series series;
    const struct series_source source = {"db1", 3, 7, false};
    read_series(text, &series);
    assert_int_equal(series_gather_put(&s->gather, &series, &source, second * 1000, value, kind),
                     FW_OK);
}

static void put(struct stage *s, int64_t second, const char *text, double value)
{
    put_kind(s, second, text, value, SERIES_CUMULATIVE);
}

/* What was put becomes one request. */
static void send(struct stage *s)
{
    batch_reset(s->batch);
    assert_int_equal(series_book_take(s->book, &s->gather, 0, s->batch), FW_OK);
    series_gather_fini(&s->gather);
    series_gather_init(&s->gather, s->rules, &s->schema, s->batch);
}

/* The newest value in the batch; NaN when there is none. */
static double given(const struct stage *s, int64_t second, int metric)
{
    double value = (double)NAN;
    for (size_t i = 0; i < s->batch->row_count; i++) {
        const struct sample_row *row = &s->batch->rows[i];
        for (size_t k = 0; k < row->value_count && row->time_ms == second * 1000; k++)
            if (s->batch->values[row->first_value + k].metric == metric)
                value = (double)s->batch->values[row->first_value + k].value;
    }
    return value;
}

static void test_faults(void **state)
{
    static const struct {
        const char *name, *text;
        uint64_t line;
        const char *says;
    } rows[] = {
        {"no arrow",         "a b\n",                                             1, "->"           },
        {"no series",        "# c\n\n -> load_average\n",                         3, "series before"},
        {"no meaning",       "x ->\n",                                            1, "meaning"      },
        {"no such metric",   "x -> nonsense\n",                                   1, "\"nonsense\"" },
        {"sum of nothing",   "x -> sum\n",                                        1, "metric"       },
        {"sum of no metric", "x -> sum nonsense\n",                               1, "\"nonsense\"" },
        {"half a test",      "x a -> load_average\n",                             1, "is, begins"   },
        {"no such test",     "x a like b -> load_average\n",                      1, "\"a\""        },
        {"no words",         "x a is -> load_average\n",                          1, "word behind"  },
        {"no such list",     "x a is @b -> load_average\n",                       1, "\"@b\""       },
        {"list without =",   "@b c\n",                                            1, "\"@b\""       },
        {"empty list",       "@b = \n",                                           1, "empty"        },
        {"no number",        "x -> load_average * y\n",                           1, "\"y\""        },
        {"number missing",   "x -> load_average *\n",                             1, "number"       },
        {"infinite",         "x -> load_average * inf\n",                         1, "\"inf\""      },
        {"trailing words",   "x -> load_average nonsense\n",                      1, "\"nonsense\"" },
        {"five labels",      "x -> sum load_average by a b c d e\n",              1, "four"         },
        {"by nothing",       "x -> sum load_average by\n",                        1, "behind by"    },
        {"level of a gauge", "x -> load_average level\n",                         1, "level"        },
        {"a metric's name",  "y -> load_average\nload_average -> load_average\n", 2,
         "needs no rule"                                                                            },
    };
    struct schema schema;
    (void)state;
    schema_default(&schema);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fw_error err = {0};
        struct series_rules *rules;
        const enum fw_status status =
            series_rules_parse(&schema, rows[i].text, strlen(rows[i].text), &rules, &err);
        CHECK_EQ(rows[i].name, status, FW_EINVAL);
        CHECK_TRUE(rows[i].name, rules == NULL);
        CHECK_EQ(rows[i].name, err.offset, rows[i].line);
        if (strstr(err.text, rows[i].says) == NULL)
            fail_msg("%s: \"%s\" does not say \"%s\"", rows[i].name, err.text, rows[i].says);
    }
}

static void test_file(void **state)
{
    char path[] = "/tmp/forewarn-rules-XXXXXX", expected[64];
    struct schema schema;
    struct series_rules *rules;
    struct fw_error err = {0};
    (void)state;
    schema_default(&schema);
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "# c\r\nx -> y\r\n", 13), 13);
    close(fd);
    CHECK_EQ("a fault", series_rules_read(&schema, path, &rules, &err), FW_EINVAL);
    snprintf(expected, sizeof expected, "%s:2: ", path);
    CHECK_TRUE("file and line", strncmp(err.text, expected, strlen(expected)) == 0);
    unlink(path);
    CHECK_EQ("no file", series_rules_read(&schema, path, &rules, &err), FW_EIO);
    CHECK_TRUE("its name", strstr(err.text, path) != NULL);
}

/* A user's rules: lists, tests, scale and offset; a name is the user's alone. */
static void test_user(void **state)
{
    struct stage s;
    (void)state;
    stage_open(&s, "@big = db app\n"
                   "temp host_type is @big -> cpu_user_pct * 2 + 1\n"
                   "temp -> ignore\n"
                   "node_load1 -> cpu_sys_pct * 10\n"
                   "queue -> sum load_average by shard\n"
                   "out_total -> rate net_out_mb_s * 0.5 by nic\n");
    put(&s, 10, "temp{host_type=db}", 10);
    put(&s, 10, "node_load1", 3);
    send(&s);
    CHECK_NEAR("scale and offset", given(&s, 10, METRIC_CPU_USER), 21, 1e-6);
    CHECK_NEAR("instead of the built-in one", given(&s, 10, METRIC_CPU_SYS), 30, 1e-6);
    CHECK_TRUE("which is gone", isnan(given(&s, 10, METRIC_LOAD_AVERAGE)));
    put(&s, 20, "temp{host_type=web}", 10);
    send(&s);
    CHECK_EQ("ignored", s.batch->row_count, 0);
    for (int i = 1; i <= 5; i++) {
        put(&s, 100 + i * 10, "queue{shard=a}", i);
        put(&s, 100 + i * 10, "queue{shard=b}", 10);
        put(&s, 100 + i * 10, "out_total{nic=a}", 100 * i);
        put(&s, 100 + i * 10, "out_total{nic=b}", 20 * i);
        send(&s);
    }
    CHECK_NEAR("a sum", given(&s, 150, METRIC_LOAD_AVERAGE), 15, 1e-6);
    CHECK_NEAR("a rate", given(&s, 150, METRIC_NET_OUT), 6, 1e-5);
    stage_close(&s);
}

static void put_telegraf(struct stage *s, int64_t second, double counter)
{
    put(s, second, "cpu.usage_user{cpu=cpu-total,host=db1}", 20);
    put(s, second, "cpu.usage_nice{cpu=cpu-total,host=db1}", 5);
    put(s, second, "cpu.usage_user{cpu=cpu0,host=db1}", 90);
    put(s, second, "cpu.usage_idle{cpu=cpu-total,host=db1}", 70);
    put(s, second, "mem.available_percent{host=db1}", 40);
    put(s, second, "mem.used_percent{host=db1}", 55);
    put(s, second, "disk.used_percent{device=sda1,fstype=ext4,mode=rw,path=/}", 30);
    put(s, second, "disk.used_percent{device=sdb1,fstype=xfs,mode=rw,path=/data}", 80);
    put(s, second, "disk.used_percent{device=tmpfs,fstype=tmpfs,mode=rw,path=/tmp}", 99);
    put(s, second, "disk.used_percent{device=sdc1,fstype=ext4,mode=ro,path=/cd}", 100);
    put(s, second, "net.bytes_recv{interface=eth0}", counter * 1048576);
    put(s, second, "net.bytes_recv{interface=eth1}", counter * 2 * 1048576);
    put(s, second, "net.bytes_recv{interface=all}", counter * 1e9);
    put(s, second, "system.n_cpus", 4);
    put(s, second, "procstat.cpu_usage{process_name=java,pid=1}", 100);
    put(s, second, "procstat.cpu_usage{process_name=java,pid=2}", 60);
    put(s, second, "system.uptime", 86400);
}

static void test_telegraf(void **state)
{
    struct stage s;
    (void)state;
    stage_open(&s, "");
    for (int i = 1; i <= 5; i++) {
        put_telegraf(&s, i * 10, i * 10);
        send(&s);
    }
    CHECK_NEAR("user and nice", given(&s, 50, METRIC_CPU_USER), 25, 1e-5);
    CHECK_NEAR("idle", given(&s, 50, METRIC_CPU_IDLE), 70, 1e-5);
    CHECK_NEAR("memory by what is available", given(&s, 50, METRIC_MEM_USED), 60, 1e-5);
    CHECK_NEAR("the fullest disk", given(&s, 50, METRIC_DISK_USAGE), 80, 1e-5);
    CHECK_NEAR("devices, not their sum", given(&s, 50, METRIC_NET_IN), 3, 1e-5);
    CHECK_NEAR("java of four cores", given(&s, 50, METRIC_JAVA_CPU), 40, 1e-5);
    CHECK_NEAR("uptime", given(&s, 50, METRIC_UPTIME_DAYS), 1, 1e-6);
    stage_close(&s);
}

/* Lines of one moment whose times were rounded to different seconds are one moment; every second is
 * one as well when a sender sends every second. */
static void put_loose(struct stage *s, int64_t second, const char *text, double value)
{
    struct raw_series series;
    const struct series_source source = {"db1", 3, 7, true};
    read_series(text, &series);
    assert_int_equal(
        series_gather_put(&s->gather, &series, &source, second * 1000, value, SERIES_CUMULATIVE),
        FW_OK);
}

static void test_loose_times(void **state)
{
    struct stage s;
    (void)state;
    for (int interval = 10; interval >= 1; interval -= 9) {
        stage_open(&s, "");
        for (int i = 1; i <= 8; i++) {
            const int64_t at = 100 + i * interval;
            const int64_t later = interval == 10 && i % 2 == 0 ? at + 1 : at;
            put_loose(&s, at, "net.bytes_recv{interface=eth0}", i * interval * 1048576.0);
            put_loose(&s, later, "net.bytes_recv{interface=eth1}",
                      (double)(later - 100) * 2 * 1048576);
            send(&s);
            if (i < 4)
                continue;
            CHECK_NEAR("both, at one time", given(&s, at, METRIC_NET_IN), 3, 1e-4);
            CHECK_TRUE("and not twice", interval == 1 || isnan(given(&s, at + 1, METRIC_NET_IN)));
        }
        stage_close(&s);
    }
}

static void put_hostmetrics(struct stage *s, int64_t second, int i, enum series_kind kind)
{
    const double n = kind == SERIES_DELTA ? 1 : i;
    put_kind(s, second, "system.cpu.time{cpu=cpu0,state=user}", 2 * n, kind);
    put_kind(s, second, "system.cpu.time{cpu=cpu0,state=idle}", 7 * n, kind);
    put_kind(s, second, "system.cpu.time{cpu=cpu0,state=interrupt}", n, kind);
    put(s, second, "system.memory.usage{state=used}", 60);
    put(s, second, "system.memory.usage{state=free}", 20);
    put(s, second, "system.memory.usage{state=buffered}", 5);
    put(s, second, "system.memory.usage{state=cached}", 15);
    put(s, second, "system.memory.usage{state=slab_reclaimable}", 1000);
    put(s, second, "system.paging.usage{device=a,state=used}", 1);
    put(s, second, "system.paging.usage{device=a,state=free}", 3);
    put(s, second, "system.filesystem.usage{device=sda,mountpoint=/,mode=rw,type=ext4,state=used}",
        45);
    put(s, second, "system.filesystem.usage{device=sda,mountpoint=/,mode=rw,type=ext4,state=free}",
        45);
    put(s, second,
        "system.filesystem.usage{device=sda,mountpoint=/,mode=rw,type=ext4,state=reserved}", 10);
    put_kind(s, second, "system.network.io{device=eth0,direction=receive}", n * 10 * 1048576, kind);
    put_kind(s, second, "system.network.io{device=eth0,direction=transmit}", n * 5 * 1048576, kind);
    put(s, second, "system.network.connections{protocol=tcp,state=CLOSE_WAIT}", 4);
}

static void test_hostmetrics(void **state)
{
    static const enum series_kind kinds[] = {SERIES_CUMULATIVE, SERIES_DELTA};
    (void)state;
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        struct stage s;
        stage_open(&s, "");
        for (int i = 1; i <= 6; i++) {
            put_hostmetrics(&s, i * 10, i, kinds[k]);
            send(&s);
        }
        CHECK_NEAR("user", given(&s, 60, METRIC_CPU_USER), 20, 1e-5);
        CHECK_NEAR("system", given(&s, 60, METRIC_CPU_SYS), 10, 1e-5);
        CHECK_NEAR("idle", given(&s, 60, METRIC_CPU_IDLE), 70, 1e-5);
        CHECK_NEAR("memory", given(&s, 60, METRIC_MEM_USED), 60, 1e-5);
        CHECK_NEAR("swap", given(&s, 60, METRIC_SWAP_USED), 25, 1e-5);
        CHECK_NEAR("disk as df", given(&s, 60, METRIC_DISK_USAGE), 50, 1e-5);
        CHECK_NEAR("in", given(&s, 60, METRIC_NET_IN), 1, 1e-5);
        CHECK_NEAR("out", given(&s, 60, METRIC_NET_OUT), 0.5, 1e-5);
        CHECK_NEAR("close_wait", given(&s, 60, METRIC_BACK_CLOSE_WAIT), 4, 1e-5);
        stage_close(&s);
    }
}

/* Shares of CPU time instead of seconds. */
static void test_levels(void **state)
{
    struct stage s;
    (void)state;
    stage_open(&s, "");
    for (int i = 1; i <= 5; i++) {
        put(&s, i * 10, "system.cpu.utilization{cpu=cpu0,state=user}", 0.5);
        put(&s, i * 10, "system.cpu.utilization{cpu=cpu0,state=idle}", 0.5);
        put(&s, i * 10, "system.cpu.utilization{cpu=cpu1,state=user}", 0.1);
        put(&s, i * 10, "system.cpu.utilization{cpu=cpu1,state=idle}", 0.9);
        send(&s);
    }
    CHECK_NEAR("user", given(&s, 50, METRIC_CPU_USER), 30, 1e-5);
    CHECK_NEAR("idle", given(&s, 50, METRIC_CPU_IDLE), 70, 1e-5);
    stage_close(&s);
}

/* More sums than a target may have: the others are counted, nothing is lost of what has room. */
static void test_too_many_sums(void **state)
{
    struct stage s;
    struct fw_buf text;
    struct series_counts counts;
    char line[96];
    (void)state;
    fw_buf_init(&text, 65536);
    struct schema schema;
    schema_default(&schema);
    for (int i = 0; i < 12; i++)
        fw_buf_printf(&text, "s%d -> sum %s\n", i, schema.metrics[i].name);
    fw_buf_putc(&text, '\0');
    stage_open(&s, text.data);
    for (int turn = 1; turn <= 5; turn++) {
        for (int i = 0; i < 12; i++) {
            snprintf(line, sizeof line, "s%d", i);
            put(&s, turn * 10, line, 1);
        }
        send(&s);
    }
    CHECK_NEAR("the first", given(&s, 50, 0), 1, 1e-6);
    CHECK_TRUE("the last", isnan(given(&s, 50, 11)));
    series_book_counts(s.book, &counts);
    CHECK_EQ("counted", counts.full, 4 * 5);
    fw_buf_fini(&text);
    stage_close(&s);
}

static void test_unknown_names(void **state)
{
    struct stage s;
    struct series_name top[4];
    uint64_t other;
    (void)state;
    stage_open(&s, "");
    for (int i = 0; i < 3; i++) {
        char a[] = "diskio.reads", b[] = "system.load15"; /* names that do not outlive the call */
        put(&s, 10 + i, a, 1);
        put(&s, 10 + i, b, 1);
        memset(a, 'x', sizeof a - 1);
    }
    const struct series_source nobody = {NULL, 0, 7, false};
    struct raw_series series;
    read_series("system.load1", &series);
    assert_int_equal(series_gather_put(&s.gather, &series, &nobody, 1, 1, SERIES_CUMULATIVE),
                     FW_OK);
    CHECK_EQ("no server", s.gather.no_server, 1);
    CHECK_EQ("two names", s.gather.unknown_count, 2);
    send(&s);
    CHECK_EQ("both", series_book_unmapped(s.book, top, 4, &other), 2);
    CHECK_STR("the name", top[0].text, "diskio.reads");
    CHECK_EQ("counted", top[0].samples, 3);
    stage_close(&s);
}

/* Every name once that may mean something; what is only ignored is none. */
static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t times;
    } rows[] = {
        {"node_load1",             1},
        {"node_cpu_seconds_total", 1},
        {"cpu.usage_user",         1},
        {"mine",                   1},
        {"both",                   1},
        {"cpu_user_pct",           1},
        {"node_time_seconds",      0},
        {"never",                  0},
    };
    struct stage s;
    stage_open(&s, "mine -> load_average\n"
                   "both a is b -> ignore\n"
                   "both -> load_average\n"
                   "never -> ignore\n"
                   "node_time_seconds -> ignore\n");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t times = 0;
        const char *name;
        for (size_t at = 0; (name = series_rules_name(s.rules, &at)) != NULL;)
            times += strcmp(name, rows[i].name) == 0;
        CHECK_EQ(rows[i].name, times, rows[i].times);
    }
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faults),        cmocka_unit_test(test_file),
        cmocka_unit_test(test_user),          cmocka_unit_test(test_telegraf),
        cmocka_unit_test(test_loose_times),   cmocka_unit_test(test_hostmetrics),
        cmocka_unit_test(test_levels),        cmocka_unit_test(test_too_many_sums),
        cmocka_unit_test(test_unknown_names), cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
