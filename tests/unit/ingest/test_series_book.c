/* From raw series to metrics: pieces, resets, gaps, ends, repeats, and what is never given. */
#include "ingest/series_book.h"

#include "base/alloc.h"
#include "write_request.h"

enum { BEGIN_MS = 1000000, SECOND_MS = 1000, MINUTE_MS = 60000 };
#define SECOND_NS INT64_C(1000000000)

struct stage {
    struct schema schema;
    struct series_rules *rules;
    struct series_book *book;
    struct fw_buf request; /* in the making */
    struct sample_batch *batch;
    int64_t now_ns;
};

static void stage_open(struct stage *s, const struct series_book_options *options)
{
    memset(s, 0, sizeof *s);
    schema_default(&s->schema);
    s->rules = series_rules_new(&s->schema);
    s->book = series_book_new(options);
    s->batch = batch_new();
    assert_true(s->rules != NULL && s->book != NULL && s->batch != NULL);
    fw_buf_init(&s->request, 8 << 20);
}

static void stage_close(struct stage *s)
{
    series_rules_free(s->rules);
    series_book_free(s->book);
    batch_free(s->batch);
    fw_buf_fini(&s->request);
}

static enum fw_status try_send(struct stage *s)
{
    struct series_gather gather;
    struct fw_error err = {0};
    batch_reset(s->batch);
    series_gather_init(&gather, s->rules, &s->schema, s->batch);
    enum fw_status status = series_gather_read(&gather, s->request.data, s->request.len, &err);
    if (status == FW_OK)
        status = series_book_take(s->book, &gather, s->now_ns, s->batch);
    series_gather_fini(&gather);
    return status;
}

/* What was put becomes one request; its rows are in s->batch. */
static void send(struct stage *s)
{
    assert_int_equal(try_send(s), FW_OK);
    CHECK_EQ("rows and refusals", s->batch->row_count + batch_rejected_total(s->batch),
             s->batch->records);
    fw_buf_reset(&s->request);
}

/* The newest value given for a metric of a server at a time; NaN when the batch has none. */
static double given(const struct stage *s, const char *server, int64_t time_ms, int metric)
{
    double value = (double)NAN;
    for (size_t i = 0; i < s->batch->row_count; i++) {
        const struct sample_row *row = &s->batch->rows[i];
        if (row->time_ms != time_ms || strcmp(s->batch->names[row->name].text, server) != 0)
            continue;
        for (size_t k = 0; k < row->value_count; k++)
            if (s->batch->values[row->first_value + k].metric == metric)
                value = (double)s->batch->values[row->first_value + k].value;
    }
    return value;
}

static bool nothing(const struct stage *s, int64_t time_ms, int metric)
{
    return isnan(given(s, "db1", time_ms, metric));
}

static int64_t time_of(int scrape)
{
    return BEGIN_MS + (int64_t)scrape * 10 * SECOND_MS;
}

#define LABELS "instance=\"db1:9100\",job=\"node\""

static void put_cpu(struct stage *s, int scrape, int cpu, double user, double idle)
{
    static const char *const modes[] = {"user",    "nice",   "system", "irq",
                                        "softirq", "iowait", "idle",   "steal"};
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        char labels[160];
        const double value = i == 0 ? user : i == 6 ? idle : (double)scrape * 0.5;
        snprintf(labels, sizeof labels, "node_cpu_seconds_total{cpu=\"%d\"," LABELS ",mode=\"%s\"}",
                 cpu, modes[i]);
        pb_put(&s->request, labels, value, time_of(scrape));
    }
}

static void put_disk(struct stage *s, int scrape, const char *path, const char *fstype, double size,
                     double free_bytes, double available)
{
    static const char *const names[] = {"avail", "free", "size"};
    const double values[] = {available, free_bytes, size};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char labels[200];
        snprintf(labels, sizeof labels,
                 "node_filesystem_%s_bytes{device=\"/dev/x\",fstype=\"%s\"," LABELS
                 ",mountpoint=\"%s\"}",
                 names[i], fstype, path);
        pb_put(&s->request, labels, values[i], time_of(scrape));
    }
}

static void put_net(struct stage *s, int scrape, const char *device, double in, double out)
{
    char labels[160];
    snprintf(labels, sizeof labels, "node_network_receive_bytes_total{device=\"%s\"," LABELS "}",
             device);
    pb_put(&s->request, labels, in, time_of(scrape));
    snprintf(labels, sizeof labels, "node_network_transmit_bytes_total{device=\"%s\"," LABELS "}",
             device);
    pb_put(&s->request, labels, out, time_of(scrape));
}

static void put(struct stage *s, int scrape, const char *name, double value)
{
    char labels[160];
    snprintf(labels, sizeof labels, "%s{" LABELS "}", name);
    pb_put(&s->request, labels, value, time_of(scrape));
}

/* ---- what needs no state ---- */

static void test_gauges(void **state)
{
    static const struct {
        const char *series;
        double value;
        const char *server;
        int metric;
        double given; /* NaN: nothing */
    } rows[] = {
        {"node_load1{instance=\"db1:9100\"}",           2.5,  "db1",     METRIC_LOAD_AVERAGE,   2.5        },
        {"node_load1{instance=\"db1\"}",                2.5,  "db1",     METRIC_LOAD_AVERAGE,   2.5        },
        {"node_load1{instance=\"[fd00::1]:9100\"}",     2.5,  "fd00::1", METRIC_LOAD_AVERAGE,   2.5        },
        {"node_load1{instance=\"fd00::1\"}",            2.5,  "fd00::1", METRIC_LOAD_AVERAGE,   2.5        },
        {"node_load1{host=\"db2\"}",                    2.5,  "db2",     METRIC_LOAD_AVERAGE,   2.5        },
        {"node_load1{host=\"db2\",instance=\"db1:1\"}", 2.5,  "db1",     METRIC_LOAD_AVERAGE,   2.5        },
        {"node_load1{nodename=\"db2\"}",                2.5,  "db2",     METRIC_LOAD_AVERAGE,   (double)NAN},
        {"node_load1{instance=\"\n:1\"}",               2.5,  "\n",      METRIC_LOAD_AVERAGE,   (double)NAN},
        {"node_load5{instance=\"db1:9100\"}",           2.5,  "db1",     METRIC_LOAD_AVERAGE,   (double)NAN},
        {"cpu_user_pct{instance=\"db1\"}",              12.5, "db1",     METRIC_CPU_USER,       12.5       },
        {"cascade_impact{instance=\"db1\"}",            1,    "db1",     METRIC_CASCADE_IMPACT, 1          },
        {"process_cpu_usage{instance=\"db1:8080\"}",    0.25, "db1",     METRIC_JAVA_CPU,       25         },
    };
    (void)state;
    struct stage s;
    stage_open(&s, &(struct series_book_options){0});
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const double expected = rows[i].given;
        pb_put(&s.request, rows[i].series, rows[i].value, BEGIN_MS);
        send(&s);
        const double value = given(&s, rows[i].server, BEGIN_MS, rows[i].metric);
        if (isnan(expected))
            CHECK_TRUE(rows[i].series, isnan(value));
        else
            CHECK_NEAR(rows[i].series, value, expected, 1e-6);
    }
    stage_close(&s);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *name, *series;
        double value;
        int64_t time_ms;
        enum batch_reason reason; /* BATCH_OK: dropped and counted elsewhere */
    } rows[] = {
        {"beyond the bounds",          "cpu_user_pct{instance=\"a\"}", 250,              BEGIN_MS,          BATCH_BAD_VALUE },
        {"before 1970",                "node_load1{instance=\"a\"}",   1,                -1,                BATCH_BAD_TIME  },
        {"year 10000",                 "node_load1{instance=\"a\"}",   1,                BATCH_TIME_END_MS, BATCH_BAD_TIME  },
        {"infinite",                   "node_load1{instance=\"a\"}",   (double)INFINITY, BEGIN_MS,          BATCH_OK        },
        {"NaN",                        "node_load1{instance=\"a\"}",   (double)NAN,      BEGIN_MS,          BATCH_OK        },
        {"no name",                    "{instance=\"a\"}",             1,                BEGIN_MS,          BATCH_BAD_RECORD},
        {"unknown and of a wild time", "node_load5{instance=\"a\"}",   1,                -1,                BATCH_OK        },
    };
    (void)state;
    struct stage s;
    stage_open(&s, &(struct series_book_options){0});
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        pb_put(&s.request, rows[i].series, rows[i].value, rows[i].time_ms);
        pb_put(&s.request, "node_load1{instance=\"good\"}", 7, BEGIN_MS);
        send(&s);
        CHECK_EQ(rows[i].name, batch_rejected_total(s.batch), rows[i].reason != BATCH_OK);
        CHECK_EQ(rows[i].name, s.batch->rejected[rows[i].reason], rows[i].reason != BATCH_OK);
        CHECK_EQ(rows[i].name, s.batch->row_count, 1);
        CHECK_NEAR(rows[i].name, given(&s, "good", BEGIN_MS, METRIC_LOAD_AVERAGE), 7, 0);
    }
    struct series_counts counts;
    series_book_counts(s.book, &counts);
    CHECK_EQ("not finite", counts.not_finite, 2);
    CHECK_EQ("unmapped", counts.unmapped, 1);
    CHECK_EQ("targets", counts.targets, 0);
    stage_close(&s);
}

/* ---- scrapes ---- */

/* Four scrapes of everything: the first gives gauges only, the others all, each with its time. */
static void test_a_host(void **state)
{
    struct stage s;
    (void)state;
    stage_open(&s, &(struct series_book_options){0});
    for (int i = 0; i < 5; i++) {
        put_cpu(&s, i, 0, 3.0 * i, 4.0 * i);
        put_cpu(&s, i, 1, 3.0 * i, 4.0 * i);
        put_disk(&s, i, "/", "ext4", 1000, 500, 300);      /* 500 of 800 */
        put_disk(&s, i, "/var", "xfs", 1000, 100, 100);    /* 900 of 1000 */
        put_disk(&s, i, "/tmp", "tmpfs", 1000, 0, 0);      /* full, and does not count */
        put_disk(&s, i, "/run/x", "ext4", 1000, 0, 0);     /* likewise */
        put_disk(&s, i, "/nas", "fuse.sshfs", 1000, 0, 0); /* likewise */
        put_net(&s, i, "eth0", 1048576.0 * 10 * i, 1048576.0 * 20 * i);
        put_net(&s, i, "eth1", 1048576.0 * 10 * i, 0);
        put_net(&s, i, "lo", 1e12 * i, 1e12 * i);
        put_net(&s, i, "veth12", 1e12 * i, 1e12 * i);
        put(&s, i, "node_memory_MemTotal_bytes", 1000);
        put(&s, i, "node_memory_MemAvailable_bytes", 250);
        put(&s, i, "node_memory_SwapTotal_bytes", 100);
        put(&s, i, "node_memory_SwapFree_bytes", 60);
        put(&s, i, "node_time_seconds", 86400.0 * 3);
        put(&s, i, "node_boot_time_seconds", 86400.0);
        put(&s, i, "node_load1", 1.25);
        send(&s);
        CHECK_NEAR("memory", given(&s, "db1", time_of(i), METRIC_MEM_USED), 75, 1e-4);
        CHECK_NEAR("swap", given(&s, "db1", time_of(i), METRIC_SWAP_USED), 40, 1e-4);
        CHECK_NEAR("uptime", given(&s, "db1", time_of(i), METRIC_UPTIME_DAYS), 2, 1e-6);
        CHECK_NEAR("load", given(&s, "db1", time_of(i), METRIC_LOAD_AVERAGE), 1.25, 0);
        CHECK_TRUE("the first time", nothing(&s, time_of(0), METRIC_CPU_USER));
        CHECK_TRUE("the first time", nothing(&s, time_of(0), METRIC_DISK_USAGE));
        if (i < 3)
            continue; /* two newer times settle the second one; then all come at once */
        for (int k = i == 3 ? 1 : i; k <= i; k++) {
            /* 10 seconds: user 3, nice 0.5, system, irq, softirq 1.5, iowait 0.5, idle 4, steal 0.5
             */
            CHECK_NEAR("user", given(&s, "db1", time_of(k), METRIC_CPU_USER), 35, 1e-4);
            CHECK_NEAR("sys", given(&s, "db1", time_of(k), METRIC_CPU_SYS), 15, 1e-4);
            CHECK_NEAR("iowait", given(&s, "db1", time_of(k), METRIC_CPU_IOWAIT), 5, 1e-4);
            CHECK_NEAR("idle", given(&s, "db1", time_of(k), METRIC_CPU_IDLE), 40, 1e-4);
            CHECK_NEAR("disk", given(&s, "db1", time_of(k), METRIC_DISK_USAGE), 90, 1e-4);
            CHECK_NEAR("in", given(&s, "db1", time_of(k), METRIC_NET_IN), 2, 1e-6);
            CHECK_NEAR("out", given(&s, "db1", time_of(k), METRIC_NET_OUT), 2, 1e-6);
        }
    }
    CHECK_EQ("one row per scrape", s.batch->row_count, 1);
    stage_close(&s);
}

/* The pieces of a scrape in any number of requests: the same values, none of them twice. */
static void test_pieces(void **state)
{
    struct stage s;
    size_t rows = 0;
    (void)state;
    stage_open(&s, &(struct series_book_options){0});
    for (int i = 0; i < 6; i++) {
        put_cpu(&s, i, 0, 3.0 * i, 4.0 * i);
        put(&s, i, "node_memory_MemTotal_bytes", 1000);
        send(&s);
        CHECK_TRUE("half of the CPUs", nothing(&s, time_of(i), METRIC_CPU_USER));
        CHECK_TRUE("half of the memory", nothing(&s, time_of(i), METRIC_MEM_USED));
        put_cpu(&s, i, 1, 6.0 * i, 1.0 * i);
        put(&s, i, "node_memory_MemAvailable_bytes", 250);
        send(&s);
        rows += s.batch->row_count;
        CHECK_NEAR("memory", given(&s, "db1", time_of(i), METRIC_MEM_USED), 75, 1e-4);
        if (i >= 4)
            CHECK_NEAR("user", given(&s, "db1", time_of(i), METRIC_CPU_USER), 50, 1e-4);
    }
    CHECK_TRUE("rows", rows <= 8);
    stage_close(&s);
}

/* A piece that two newer scrapes have overtaken is added, and the value given again; one that comes
 * later still is dropped and counted. */
static void test_overtaken_pieces(void **state)
{
    struct stage s;
    struct series_counts counts;
    (void)state;
    stage_open(&s, &(struct series_book_options){0});
    for (int i = 0; i < 8; i++) {
        put_net(&s, i, "eth0", 1048576.0 * 10 * i, 0);
        if (i < 5)
            put_net(&s, i, "eth1", 1048576.0 * 30 * i, 0);
        send(&s);
    }
    /* eth1 is missing in 5, 6 and 7; 5 was given without it when 7 began. */
    CHECK_NEAR("without", given(&s, "db1", time_of(5), METRIC_NET_IN), 1, 1e-6);
    put_net(&s, 5, "eth1", 1048576.0 * 30 * 5, 0);
    send(&s);
    CHECK_NEAR("with", given(&s, "db1", time_of(5), METRIC_NET_IN), 4, 1e-6);
    put_net(&s, 6, "eth1", 1048576.0 * 30 * 6, 0);
    put_net(&s, 7, "eth1", 1048576.0 * 30 * 7, 0);
    send(&s);
    CHECK_NEAR("6", given(&s, "db1", time_of(6), METRIC_NET_IN), 4, 1e-6);
    CHECK_NEAR("7", given(&s, "db1", time_of(7), METRIC_NET_IN), 4, 1e-6);
    put_net(&s, 2, "eth2", 0, 0);
    send(&s);
    CHECK_EQ("nothing", s.batch->row_count, 0);
    series_book_counts(s.book, &counts);
    CHECK_EQ("late", counts.late, 2);
    stage_close(&s);
}

/* A sender that catches up by several queues, one of them 40 scrapes behind: what is too late at
 * first makes room for what comes later, and then every value is right in the end. */
static void test_queues_far_apart(void **state)
{
    enum { BEHIND = 40, TIMES = 300 };
    struct stage s;
    double last[TIMES];
    (void)state;
    stage_open(&s, &(struct series_book_options){0});
    for (int i = 0; i < TIMES; i++)
        last[i] = (double)NAN;
    for (int i = 0; i < TIMES + BEHIND; i++) {
        if (i < TIMES)
            put_net(&s, i, "eth0", 1048576.0 * 10 * i, 0);
        if (i >= BEHIND)
            put_net(&s, i - BEHIND, "eth1", 1048576.0 * 30 * (i - BEHIND), 0);
        send(&s);
        for (int k = 0; k < TIMES; k++) {
            const double value = given(&s, "db1", time_of(k), METRIC_NET_IN);
            last[k] = isnan(value) ? last[k] : value;
        }
    }
    for (int k = TIMES / 2; k < TIMES; k++)
        CHECK_NEAR("in", last[k], 4, 1e-6);
    stage_close(&s);
}

/* Many times in one request, series by series, as a back-filling sender has them. */
static void test_backfill_series_by_series(void **state)
{
    enum { TIMES = 50 };
    struct stage s;
    (void)state;
    stage_open(&s, &(struct series_book_options){0});
    for (int i = 0; i < TIMES; i++)
        put_net(&s, i, "eth0", 1048576.0 * 10 * i, 1048576.0 * 10 * i);
    for (int i = 0; i < TIMES; i++)
        put_net(&s, i, "eth1", 1048576.0 * 10 * i, 0);
    send(&s);
    for (int i = 1; i < TIMES; i++) {
        CHECK_NEAR("in", given(&s, "db1", time_of(i), METRIC_NET_IN), 2, 1e-6);
        CHECK_NEAR("out", given(&s, "db1", time_of(i), METRIC_NET_OUT), 1, 1e-6);
    }
    CHECK_EQ("rows", s.batch->row_count, TIMES - 1);
    stage_close(&s);
}

static void test_repeats_change_nothing(void **state)
{
    struct stage s;
    struct series_counts counts;
    (void)state;
    stage_open(&s, &(struct series_book_options){0});
    for (int i = 0; i < 6; i++) {
        for (int turn = 0; turn < 2; turn++) {
            put_cpu(&s, i, 0, 3.0 * i, 4.0 * i);
            put_net(&s, i, "eth0", 1048576.0 * 10 * i, 0);
            send(&s);
            CHECK_TRUE("a repeat gives nothing", turn == 0 || s.batch->row_count == 0);
            if (turn == 0 && i > 3)
                CHECK_NEAR("in", given(&s, "db1", time_of(i), METRIC_NET_IN), 1, 1e-6);
        }
    }
    series_book_counts(s.book, &counts);
    CHECK_EQ("repeated", counts.repeated, 60);
    stage_close(&s);
}

/* A process that starts in the middle of a scrape knows half of the members of the first time: it
 * must not take the other half's first appearance for a device without traffic. */
static void test_start_inside_a_scrape(void **state)
{
    struct stage s;
    (void)state;
    stage_open(&s, &(struct series_book_options){0});
    put_net(&s, 0, "eth0", 0, 0);
    put_disk(&s, 0, "/", "ext4", 1000, 900, 900);
    send(&s);
    for (int i = 1; i < 6; i++) {
        put_net(&s, i, "eth0", 1048576.0 * 10 * i, 0);
        put_net(&s, i, "eth1", 1048576.0 * 30 * i, 0);
        put_disk(&s, i, "/", "ext4", 1000, 900, 900);
        put_disk(&s, i, "/var", "ext4", 1000, 100, 100);
        send(&s);
        CHECK_TRUE("0", nothing(&s, time_of(0), METRIC_NET_IN));
        CHECK_TRUE("0", nothing(&s, time_of(0), METRIC_DISK_USAGE));
        CHECK_TRUE("1", nothing(&s, time_of(1), METRIC_NET_IN));
        for (int k = 1; k <= i; k++) {
            const double disk = given(&s, "db1", time_of(k), METRIC_DISK_USAGE);
            const double in = given(&s, "db1", time_of(k), METRIC_NET_IN);
            CHECK_TRUE("disk", isnan(disk) || fabs(disk - 90) < 1e-4);
            CHECK_TRUE("in", isnan(in) || fabs(in - 4) < 1e-6);
        }
    }
    CHECK_NEAR("in", given(&s, "db1", time_of(5), METRIC_NET_IN), 4, 1e-6);
    stage_close(&s);
}

/* ---- counters that do not simply grow ---- */

static void settle_in(struct stage *s)
{
    for (int i = 0; i < 4; i++) {
        put_cpu(s, i, 0, 100 + 3.0 * i, 200 + 4.0 * i);
        put_net(s, i, "eth0", 1048576.0 * 10 * (i + 10), 0);
        send(s);
    }
    CHECK_NEAR("settled", given(s, "db1", time_of(3), METRIC_NET_IN), 1, 1e-6);
}

static void test_reset(void **state)
{
    struct stage s;
    (void)state;
    stage_open(&s, &(struct series_book_options){0});
    settle_in(&s);
    put_cpu(&s, 4, 0, 1, 2);
    put_net(&s, 4, "eth0", 1048576.0, 0);
    send(&s);
    CHECK_TRUE("no rate over a reset", nothing(&s, time_of(4), METRIC_NET_IN));
    CHECK_TRUE("no share over a reset", nothing(&s, time_of(4), METRIC_CPU_USER));
    put_cpu(&s, 5, 0, 4, 6);
    put_net(&s, 5, "eth0", 1048576.0 * 21, 0);
    send(&s);
    CHECK_NEAR("and on", given(&s, "db1", time_of(5), METRIC_NET_IN), 2, 1e-6);
    CHECK_NEAR("and on", given(&s, "db1", time_of(5), METRIC_CPU_USER), 35, 1e-4);
    stage_close(&s);
}

/* The kernel lets idle and iowait step back a little: that mode has no share, the others do. */
static void test_idle_steps_back(void **state)
{
    struct stage s;
    (void)state;
    stage_open(&s, &(struct series_book_options){0});
    settle_in(&s);
    put_cpu(&s, 4, 0, 100 + 3.0 * 4, 200 + 4.0 * 3 - 0.01);
    put_net(&s, 4, "eth0", 1048576.0 * 140, 0);
    send(&s);
    CHECK_NEAR("idle", given(&s, "db1", time_of(4), METRIC_CPU_IDLE), 0, 0);
    CHECK_NEAR("user", given(&s, "db1", time_of(4), METRIC_CPU_USER), 100 * 3.5 / 6, 1e-4);
    stage_close(&s);
}

static void test_gap(void **state)
{
    struct stage s;
    (void)state;
    stage_open(&s, &(struct series_book_options){0});
    settle_in(&s);
    put_net(&s, 7, "eth0", 1048576.0 * 10 * 18, 0); /* four intervals later */
    send(&s);
    CHECK_TRUE("a gap", nothing(&s, time_of(7), METRIC_NET_IN));
    put_net(&s, 8, "eth0", 1048576.0 * 10 * 19, 0);
    send(&s);
    CHECK_NEAR("behind it", given(&s, "db1", time_of(8), METRIC_NET_IN), 1, 1e-6);
    /* Another interval is believed after a while. */
    for (int i = 1; i <= 8; i++) {
        put_net(&s, 8 + 6 * i, "eth0", 1048576.0 * 10 * (19 + 6 * i), 0);
        send(&s);
    }
    CHECK_NEAR("a new interval", given(&s, "db1", time_of(8 + 48), METRIC_NET_IN), 1, 1e-6);
    stage_close(&s);
}

static void test_stale_series(void **state)
{
    const double stale = pb_nan(REMOTE_WRITE_STALE);
    struct stage s;
    struct series_counts counts;
    (void)state;
    stage_open(&s, &(struct series_book_options){0});
    for (int i = 0; i < 6; i++) {
        put_net(&s, i, "eth0", 1048576.0 * 10 * i, 0);
        if (i < 5)
            put_net(&s, i, "eth1", 1048576.0 * 30 * i, 0);
        else
            put_net(&s, i, "eth1", stale, stale); /* the device is gone */
        send(&s);
    }
    CHECK_NEAR("at once, without it", given(&s, "db1", time_of(5), METRIC_NET_IN), 1, 1e-6);
    put_net(&s, 6, "eth0", stale, stale); /* the target is gone */
    send(&s);
    series_book_counts(s.book, &counts);
    CHECK_EQ("no targets", counts.targets, 0);
    CHECK_EQ("no memory", counts.bytes, 0);
    CHECK_EQ("stale", counts.stale, 4);
    /* It comes back with other numbers: no rate over its absence. */
    put_net(&s, 7, "eth0", 1048576.0 * 1000, 0);
    send(&s);
    put_net(&s, 8, "eth0", 1048576.0 * 1010, 0);
    put_net(&s, 8, "eth1", 1048576.0 * 1010, 0);
    send(&s);
    CHECK_EQ("nothing yet", s.batch->row_count, 0);
    stage_close(&s);
}

static void test_close_wait(void **state)
{
    struct stage s;
    (void)state;
    stage_open(&s, &(struct series_book_options){0});
    for (int i = 0; i < 4; i++) {
        pb_put(&s.request, "node_tcp_connection_states{" LABELS ",state=\"established\"}", 9,
               time_of(i));
        if (i == 3)
            pb_put(&s.request, "node_tcp_connection_states{" LABELS ",state=\"close_wait\"}", 4,
                   time_of(i));
        send(&s);
    }
    CHECK_NEAR("absent is none", given(&s, "db1", time_of(1), METRIC_BACK_CLOSE_WAIT), 0, 0);
    CHECK_NEAR("as it is", given(&s, "db1", time_of(3), METRIC_BACK_CLOSE_WAIT), 4, 0);
    CHECK_TRUE("not known", nothing(&s, time_of(3), METRIC_FRONT_CLOSE_WAIT));
    stage_close(&s);
}

/* CPU seconds of java processes come from another exporter, the number of cores from this one. */
static void test_java(void **state)
{
    struct stage s;
    (void)state;
    stage_open(&s, &(struct series_book_options){0});
    for (int i = 0; i < 5; i++) {
        put_cpu(&s, i, 0, 3.0 * i, 4.0 * i);
        put_cpu(&s, i, 1, 3.0 * i, 4.0 * i);
        pb_put(&s.request,
               "namedprocess_namegroup_cpu_seconds_total{groupname=\"java\",instance=\"db1:9256\","
               "mode=\"user\"}",
               4.0 * i, time_of(i) + 321);
        pb_put(&s.request,
               "namedprocess_namegroup_cpu_seconds_total{groupname=\"java\",instance=\"db1:9256\","
               "mode=\"system\"}",
               1.0 * i, time_of(i) + 321);
        pb_put(&s.request,
               "namedprocess_namegroup_cpu_seconds_total{groupname=\"bash\",instance=\"db1:9256\","
               "mode=\"system\"}",
               99.0 * i, time_of(i) + 321);
        send(&s);
    }
    CHECK_NEAR("5 s in 10 s on 2 cores", given(&s, "db1", time_of(4) + 321, METRIC_JAVA_CPU), 25,
               1e-4);
    stage_close(&s);
}

static void test_old_kernel_and_read_only(void **state)
{
    struct stage s;
    (void)state;
    stage_open(&s, &(struct series_book_options){0});
    for (int i = 0; i < 4; i++) {
        put(&s, i, "node_memory_MemTotal_bytes", 1000);
        put(&s, i, "node_memory_MemFree_bytes", 100);
        put(&s, i, "node_memory_Buffers_bytes", 50);
        put(&s, i, "node_memory_Cached_bytes", 150);
        put_disk(&s, i, "/", "ext4", 1000, 500, 500);
        put_disk(&s, i, "/image", "ext4", 1000, 0, 0);
        pb_put(&s.request,
               "node_filesystem_readonly{device=\"/dev/x\",fstype=\"ext4\"," LABELS
               ",mountpoint=\"/image\"}",
               1, time_of(i));
        send(&s);
    }
    CHECK_NEAR("memory", given(&s, "db1", time_of(1), METRIC_MEM_USED), 70, 1e-4);
    CHECK_NEAR("disk", given(&s, "db1", time_of(3), METRIC_DISK_USAGE), 50, 1e-4);
    stage_close(&s);
}

/* Two replicas of Prometheus watch one host: each has its own counters, none is mixed. */
static void test_replicas(void **state)
{
    struct stage s;
    (void)state;
    stage_open(&s, &(struct series_book_options){0});
    for (int i = 0; i < 6; i++)
        for (int replica = 0; replica < 2; replica++) {
            char labels[200];
            snprintf(labels, sizeof labels,
                     "node_network_receive_bytes_total{device=\"eth0\"," LABELS ",replica=\"%d\"}",
                     replica);
            pb_put(&s.request, labels, 1048576.0 * 10 * i, time_of(i) + replica * 4321);
            send(&s);
            if (i > 3)
                CHECK_NEAR("rate", given(&s, "db1", time_of(i) + replica * 4321, METRIC_NET_IN), 1,
                           1e-6);
        }
    stage_close(&s);
}

/* ---- limits ---- */

static void put_target(struct stage *s, int n)
{
    char labels[120];
    snprintf(labels, sizeof labels,
             "node_network_receive_bytes_total{device=\"eth0\",instance=\"h%d\"}", n);
    pb_put(&s->request, labels, 1, BEGIN_MS);
}

static void test_memory_is_bounded(void **state)
{
    enum { BYTES_MAX = 1 << 20, TARGETS = 5000 };
    struct stage s;
    struct series_counts counts;
    (void)state;
    stage_open(&s, &(struct series_book_options){.bytes_max = BYTES_MAX, .idle_ms = MINUTE_MS});
    for (int i = 0; i < TARGETS; i++)
        put_target(&s, i);
    send(&s);
    series_book_counts(s.book, &counts);
    CHECK_TRUE("bytes", counts.bytes <= BYTES_MAX && counts.bytes > BYTES_MAX / 2);
    CHECK_EQ("all accounted for", counts.mapped + counts.full, TARGETS);
    const size_t held = counts.targets;
    CHECK_EQ("held", counts.mapped, held);
    /* Those that are silent for long make way; others would not. */
    put_target(&s, TARGETS);
    send(&s);
    series_book_counts(s.book, &counts);
    CHECK_EQ("no room", counts.mapped, held);
    s.now_ns += 61 * SECOND_NS;
    put_target(&s, TARGETS);
    send(&s);
    series_book_counts(s.book, &counts);
    CHECK_EQ("room", counts.mapped, held + 1);
    CHECK_EQ("targets", counts.targets, held);
    s.now_ns += 3 * 3600 * SECOND_NS;
    send(&s);
    series_book_counts(s.book, &counts);
    CHECK_EQ("all forgotten", counts.targets, 0);
    CHECK_EQ("all forgotten", counts.bytes, 0);
    stage_close(&s);
}

static void test_parts_are_bounded(void **state)
{
    struct stage s;
    struct series_counts counts;
    (void)state;
    stage_open(&s, &(struct series_book_options){0});
    for (int i = 0; i < SERIES_PARTS_MAX + 100; i++) {
        char labels[120];
        snprintf(labels, sizeof labels,
                 "node_network_receive_bytes_total{device=\"eth%d\"," LABELS "}", i);
        pb_put(&s.request, labels, 1, BEGIN_MS);
    }
    send(&s);
    series_book_counts(s.book, &counts);
    CHECK_EQ("taken", counts.mapped, SERIES_PARTS_MAX);
    CHECK_EQ("too many", counts.full, 100);
    stage_close(&s);
}

/* Series come and go in a table of removals; those that stay are found. */
static void test_parts_come_and_go(void **state)
{
    const double stale = pb_nan(REMOTE_WRITE_STALE);
    struct stage s;
    (void)state;
    stage_open(&s, &(struct series_book_options){0});
    for (int i = 0; i < 40; i++) {
        char device[16];
        for (int k = 0; k < 200; k++) {
            const bool gone = (k * 7 + i) % 5 == 0;
            snprintf(device, sizeof device, "eth%d", k);
            put_net(&s, i, device, gone && k % 10 != 0 ? stale : 1048576.0 * 10 * i, 0);
        }
        send(&s);
    }
    struct series_counts counts;
    series_book_counts(s.book, &counts);
    CHECK_EQ("late", counts.late, 0);
    CHECK_EQ("repeated", counts.repeated, 0);
    CHECK_EQ("full", counts.full, 0);
    stage_close(&s);
}

static void test_names_are_bounded(void **state)
{
    struct stage s;
    struct series_name top[3];
    uint64_t other;
    (void)state;
    stage_open(&s, &(struct series_book_options){0});
    for (int i = 0; i < 3000; i++) {
        char labels[64];
        snprintf(labels, sizeof labels, "x%d{instance=\"a\"}", i);
        for (int k = 0; k <= (i == 7) + 2 * (i == 9); k++)
            pb_put(&s.request, labels, 1, BEGIN_MS);
    }
    pb_put(&s.request, "<b>{instance=\"a\"}", 1, BEGIN_MS);
    send(&s);
    assert_int_equal(series_book_unmapped(s.book, top, COUNT_OF(top), &other), 3);
    CHECK_STR("most", top[0].text, "x9");
    CHECK_EQ("most", top[0].samples, 3);
    CHECK_STR("second", top[1].text, "x7");
    CHECK_EQ("other", other, 3000 - SERIES_NAMES_MAX + 1);
    stage_close(&s);
}

/* Each allocation fails in turn: an answer, no leak, and never a wrong value afterwards. */
static void test_allocations_fail(void **state)
{
    (void)state;
    for (long n = 1; n < 60; n++) {
        struct stage s;
        stage_open(&s, &(struct series_book_options){0});
        for (int i = 0; i < 6; i++) {
            put_cpu(&s, i, 0, 3.0 * i, 4.0 * i);
            put_net(&s, i, "eth0", 1048576.0 * 10 * i, 0);
            put(&s, i, "node_load1", 1);
            if (i == 0 || i == 3)
                fw_alloc_fail_at(n);
            const enum fw_status status = try_send(&s);
            fw_alloc_fail_at(0);
            CHECK_TRUE("status", status == FW_OK || status == FW_ENOMEM);
            if (status == FW_ENOMEM) /* the sender repeats it */
                assert_int_equal(try_send(&s), FW_OK);
            fw_buf_reset(&s.request);
            for (int k = 1; k <= i; k++) {
                const double in = given(&s, "db1", time_of(k), METRIC_NET_IN);
                CHECK_TRUE("in", isnan(in) || fabs(in - 1) < 1e-6);
            }
        }
        CHECK_NEAR("in the end", given(&s, "db1", time_of(5), METRIC_NET_IN), 1, 1e-6);
        stage_close(&s);
    }
}

/* Labels of a target's series are said of its server: by each target once a request, whether its
 * series mean something at once or not, and by none that mean nothing. */
static void test_labels(void **state)
{
    (void)state;
    static const char *const expected[] = {"db1 dc=fra job=node", "db1 job=java rack=r1",
                                           "db2 dc=ams"};
    struct stage s;
    struct label_rules rules;
    stage_open(&s, &(struct series_book_options){0});
    assert_int_equal(label_rules_parse(&rules, "dc, job, rack, cpu", NULL), FW_OK);
    s.batch->label_rules = &rules;
    pb_put(&s.request, "node_load1{dc=\"fra\",instance=\"db1:9100\",job=\"node\"}", 1, BEGIN_MS);
    pb_put(&s.request, "node_load1{dc=\"fra\",instance=\"db1:9100\",job=\"node\"}", 2,
           BEGIN_MS + 1);
    pb_put(&s.request, "nobody_knows{dc=\"fra\",instance=\"db9:9100\"}", 1, BEGIN_MS);
    pb_put(&s.request, "process_cpu_seconds_total{instance=\"db1:9200\",job=\"java\",rack=\"r1\"}",
           1, BEGIN_MS);
    pb_put(&s.request,
           "node_network_receive_bytes_total{dc=\"ams\",device=\"eth0\",instance=\"db2:9100\"}", 1,
           BEGIN_MS);
    send(&s);
    size_t at = 0, n = 0, len;
    const char *server, *name, *value;
    struct label_set set;
    while (batch_labels_next(s.batch, &at, &server, &len, &set)) {
        char text[128];
        int used = snprintf(text, sizeof text, "%.*s", (int)len, server);
        for (size_t i = 0; label_set_next(&set, &i, &name, &value);)
            used += snprintf(text + used, sizeof text - (size_t)used, " %s=%s", name, value);
        assert_true(n < COUNT_OF(expected));
        CHECK_STR("said", text, expected[n++]);
    }
    assert_int_equal(n, COUNT_OF(expected));
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gauges),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_a_host),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_overtaken_pieces),
        cmocka_unit_test(test_queues_far_apart),
        cmocka_unit_test(test_backfill_series_by_series),
        cmocka_unit_test(test_repeats_change_nothing),
        cmocka_unit_test(test_start_inside_a_scrape),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_idle_steps_back),
        cmocka_unit_test(test_gap),
        cmocka_unit_test(test_stale_series),
        cmocka_unit_test(test_close_wait),
        cmocka_unit_test(test_java),
        cmocka_unit_test(test_old_kernel_and_read_only),
        cmocka_unit_test(test_replicas),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_parts_are_bounded),
        cmocka_unit_test(test_parts_come_and_go),
        cmocka_unit_test(test_names_are_bounded),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_allocations_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
