/* How fast line protocol in the manner of Telegraf and OTLP in that of the collector's hostmetrics
 * become samples for the series book. One thread.
 *
 *   bench_ingest_protocols [seconds per figure, default 0.5]
 *
 * Line protocol: 100 hosts, 12 lines each with 75 fields, of which 17 mean something. OTLP: one
 * host with 64 cores and 8 states, so 512 points of one metric. */
#include "base/clock.h"
#include "ingest/influx.h"
#include "ingest/otlp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOSTS = 100, CORES = 64, BYTES_MAX = 32 << 20 };

static double seconds(void)
{
    return (double)fw_clock_mono_ns(fw_clock_system()) / 1e9;
}

static void check(bool fine, const char *what)
{
    if (!fine) {
        fprintf(stderr, "bench_ingest_protocols: %s failed\n", what);
        exit(1);
    }
}

/* ---- bodies ---- */

static void make_lines(struct fw_buf *out)
{
    static const char *const lines[] = {
        "cpu,cpu=cpu-total,host=%s usage_user=12.5,usage_system=3.25,usage_idle=80.1,usage_nice=0,"
        "usage_iowait=1.5,usage_irq=0,usage_softirq=0.25,usage_steal=0,usage_guest=0",
        "mem,host=%s active=8123121664i,available=8589934592i,available_percent=50.1,buffered=123i,"
        "cached=4294967296i,free=1073741824i,total=17179869184i,used=7516192768i,used_percent=43.7",
        "swap,host=%s free=2147483648i,total=2147483648i,used=0i,used_percent=0",
        "disk,device=sda1,fstype=ext4,host=%s,mode=rw,path=/ "
        "free=5i,inodes_free=3i,total=9i,used=4i,"
        "used_percent=44.4",
        "disk,device=sdb1,fstype=xfs,host=%s,mode=rw,path=/data free=5i,inodes_free=3i,total=9i,"
        "used=4i,used_percent=71.2",
        "net,host=%s,interface=eth0 "
        "bytes_recv=123456789i,bytes_sent=98765432i,drop_in=0i,drop_out=0i,"
        "err_in=0i,err_out=0i,packets_recv=123i,packets_sent=456i",
        "net,host=%s,interface=eth1 "
        "bytes_recv=123456789i,bytes_sent=98765432i,drop_in=0i,drop_out=0i,"
        "err_in=0i,err_out=0i,packets_recv=123i,packets_sent=456i",
        "netstat,host=%s tcp_close=0i,tcp_close_wait=3i,tcp_closing=0i,tcp_established=90i,"
        "tcp_listen=12i,tcp_time_wait=5i,udp_socket=8i",
        "system,host=%s load1=1.25,load15=1.5,load5=1.75,n_cpus=16i,n_users=2i",
        "system,host=%s uptime=1234567i",
        "system,host=%s uptime_format=\"14 days,  6:56\"",
        "diskio,host=%s,name=sda io_time=5i,read_bytes=5i,read_time=5i,reads=5i,write_bytes=5i,"
        "write_time=5i,writes=5i",
    };
    char host[32];
    for (int i = 0; i < HOSTS; i++) {
        snprintf(host, sizeof host, "web%03d.example.net", i);
        for (size_t k = 0; k < COUNT(lines); k++) {
            const char *at = strstr(lines[k], "%s");
            fw_buf_put(out, lines[k], (size_t)(at - lines[k]));
            fw_buf_puts(out, host);
            fw_buf_puts(out, at + 2);
            fw_buf_puts(out, " 1767225600000000000\n");
        }
    }
    check(!out->failed, "memory");
}

static const char *const states[] = {"user",    "nice",  "system", "interrupt",
                                     "softirq", "steal", "wait",   "idle"};

static void make_json(struct fw_buf *out)
{
    fw_buf_puts(
        out,
        "{\"resourceMetrics\":[{\"resource\":{\"attributes\":[{\"key\":\"host.name\",\"value\":"
        "{\"stringValue\":\"db1\"}}]},\"scopeMetrics\":[{\"metrics\":[{\"name\":"
        "\"system.cpu.time\",\"unit\":\"s\",\"sum\":{\"aggregationTemporality\":2,"
        "\"isMonotonic\":true,\"dataPoints\":[");
    for (int i = 0; i < CORES; i++)
        for (size_t k = 0; k < COUNT(states); k++)
            fw_buf_printf(
                out,
                "%s{\"attributes\":[{\"key\":\"cpu\",\"value\":{\"stringValue\":\"cpu%d\"}},"
                "{\"key\":\"state\",\"value\":{\"stringValue\":\"%s\"}}],"
                "\"startTimeUnixNano\":\"1767000000000000000\","
                "\"timeUnixNano\":\"1767225600000000000\",\"asDouble\":%d.%02d}",
                i + (int)k > 0 ? "," : "", i, states[k], 1000 * i, (int)k * 11);
    fw_buf_puts(out, "]}}]}]}]}");
    check(!out->failed, "memory");
}

static void put_bytes(struct fw_buf *out, unsigned field, const void *data, size_t len)
{
    fw_buf_put_varint(out, field << 3 | 2);
    fw_buf_put_varint(out, len);
    fw_buf_put(out, data, len);
}

static void put_fixed(struct fw_buf *out, unsigned field, uint64_t bits)
{
    fw_buf_put_varint(out, field << 3 | 1);
    fw_buf_put(out, &bits, sizeof bits);
}

static void put_attribute(struct fw_buf *out, unsigned field, const char *key, const char *text)
{
    struct fw_buf pair = {.max = 4096}, value = {.max = 4096};
    put_bytes(&value, 1, text, strlen(text));
    put_bytes(&pair, 1, key, strlen(key));
    put_bytes(&pair, 2, value.data, value.len);
    put_bytes(out, field, pair.data, pair.len);
    fw_buf_fini(&pair);
    fw_buf_fini(&value);
}

/* What is in *inner becomes a field of *outer. */
static void wrap(struct fw_buf *outer, unsigned field, struct fw_buf *inner)
{
    put_bytes(outer, field, inner->data, inner->len);
    fw_buf_reset(inner);
}

static void make_protobuf(struct fw_buf *out)
{
    struct fw_buf a = {.max = BYTES_MAX}, b = {.max = BYTES_MAX};
    char cpu[16];
    for (int i = 0; i < CORES; i++) {
        for (size_t k = 0; k < COUNT(states); k++) {
            snprintf(cpu, sizeof cpu, "cpu%d", i);
            put_fixed(&a, 2, UINT64_C(1767000000000000000));
            put_fixed(&a, 3, UINT64_C(1767225600000000000));
            put_fixed(&a, 4, UINT64_C(0x408f400000000000)); /* 1000.0 */
            put_attribute(&a, 7, "cpu", cpu);
            put_attribute(&a, 7, "state", states[k]);
            wrap(&b, 1, &a);
        }
    }
    fw_buf_puts(&b, "\x10\x02\x18\x01"); /* cumulative, monotonic */
    put_bytes(&a, 1, "system.cpu.time", 15);
    wrap(&a, 7, &b);
    wrap(&b, 2, &a);
    put_attribute(&a, 1, "host.name", "db1");
    wrap(out, 1, &a); /* the resource, for now */
    wrap(out, 2, &b);
    wrap(&a, 1, out);
    fw_buf_put(out, a.data, a.len);
    check(!out->failed && !a.failed && !b.failed, "memory");
    fw_buf_fini(&a);
    fw_buf_fini(&b);
}

/* ---- figures ---- */

enum form { LINES, JSON, PROTOBUF };

static size_t read_body(enum form form, const struct fw_buf *body, const struct schema *schema,
                        const struct series_rules *rules, struct sample_batch *batch)
{
    struct series_gather gather;
    struct influx_refusal first;
    batch_reset(batch);
    series_gather_init(&gather, rules, schema, batch);
    const enum fw_status status =
        form == LINES  ? influx_read(&gather, body->data, body->len, LINE_NS, 0, &first, NULL)
        : form == JSON ? otlp_read_json(&gather, body->data, body->len, "peer", NULL)
                       : otlp_read_protobuf(&gather, body->data, body->len, "peer", NULL);
    const size_t points = gather.sample_count + gather.unmapped + gather.ignored;
    check(status == FW_OK && batch_rejected_total(batch) == 0 && gather.sample_count > 0,
          "reading");
    series_gather_fini(&gather);
    return points;
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"line_protocol", "otlp_json", "otlp_protobuf"};
    static void (*const makers[])(struct fw_buf * out) = {make_lines, make_json, make_protobuf};
    const double limit_s = argc > 1 ? atof(argv[1]) : 0.5;
    struct schema schema;
    schema_default(&schema);
    struct series_rules *rules = series_rules_new(&schema);
    struct sample_batch *batch = batch_new();
    check(rules != NULL && batch != NULL, "memory");
    for (int form = LINES; form <= PROTOBUF; form++) {
        struct fw_buf body;
        double best_s = 1e9;
        size_t runs = 0, points = 0;
        fw_buf_init(&body, BYTES_MAX);
        makers[form](&body);
        for (double end = seconds() + limit_s; seconds() < end; runs++) {
            const double start = seconds();
            points = read_body((enum form)form, &body, &schema, rules, batch);
            const double took_s = seconds() - start;
            best_s = took_s < best_s ? took_s : best_s;
        }
        printf("{\"bench\":\"ingest_protocols\",\"what\":\"%s\",\"points\":%zu,\"bytes\":%zu,"
               "\"min_s\":%.9f,\"runs\":%zu,\"mb_per_s\":%.1f,\"points_per_s\":%.0f}\n",
               names[form], points, body.len, best_s, runs, (double)body.len / best_s / 1e6,
               (double)points / best_s);
        fw_buf_fini(&body);
    }
    batch_free(batch);
    series_rules_free(rules);
    return 0;
}
