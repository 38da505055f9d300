/* How fast remote-write bodies in the manner of node_exporter become rows: unpacking, walking every
 * label and sample, and the whole way to a batch with CPU, network and disk derived. One thread.
 *
 *   bench_ingest_remote_write [seconds per figure, default 0.5]
 *
 * A body is one scrape of 20 targets, 560 series each, of which 58 mean something. */
#include "base/clock.h"
#include "ingest/series_book.h"

#include <snappy-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TARGETS = 20, UNPACKED_MAX = 32 << 20, SCRAPE_MS = 15000 };

static double seconds(void)
{
    return (double)fw_clock_mono_ns(fw_clock_system()) / 1e9;
}

static void check(bool fine, const char *what)
{
    if (!fine) {
        fprintf(stderr, "bench_ingest_remote_write: %s failed\n", what);
        exit(1);
    }
}

/* ---- bodies ---- */

static void put_varint(struct fw_buf *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        fw_buf_putc(out, (char)(value | 0x80));
    fw_buf_putc(out, (char)value);
}

static void put_bytes(struct fw_buf *out, unsigned field, const void *data, size_t len)
{
    put_varint(out, field << 3 | 2);
    put_varint(out, len);
    fw_buf_put(out, data, len);
}

static void put_label(struct fw_buf *series, const char *name, const char *value)
{
    struct fw_buf *label = &(struct fw_buf){.max = 4096};
    put_bytes(label, 1, name, strlen(name));
    put_bytes(label, 2, value, strlen(value));
    put_bytes(series, 1, label->data, label->len);
    fw_buf_fini(label);
}

struct body {
    struct fw_buf bytes;
    size_t series;
    int64_t time_ms;
    char instance[32];
};

/* `label` may be NULL. */
static void put_series(struct body *body, const char *name, const char *label, const char *value,
                       double number)
{
    struct fw_buf series, sample;
    fw_buf_init(&series, 8192);
    fw_buf_init(&sample, 64);
    put_label(&series, "__name__", name);
    if (label != NULL && strcmp(label, "instance") < 0)
        put_label(&series, label, value);
    put_label(&series, "instance", body->instance);
    put_label(&series, "job", "node");
    if (label != NULL && strcmp(label, "job") > 0)
        put_label(&series, label, value);
    put_varint(&sample, 1 << 3 | 1);
    fw_buf_put(&sample, &number, sizeof number);
    put_varint(&sample, 2 << 3);
    put_varint(&sample, (uint64_t)body->time_ms);
    put_bytes(&series, 2, sample.data, sample.len);
    put_bytes(&body->bytes, 1, series.data, series.len);
    body->series++;
    fw_buf_fini(&series);
    fw_buf_fini(&sample);
}

static void put_family(struct body *body, const char *format, int from, int to, const char *label,
                       const char *const *values, size_t n, double number)
{
    for (int i = from; i < to; i++) {
        char name[128];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(name, sizeof name, format, i);
#pragma GCC diagnostic pop
        for (size_t k = 0; k < n; k++)
            put_series(body, name, label, values[k], number * (double)(k + 1));
    }
}

static void put_target(struct body *body, int target, double t)
{
    static const char *const modes[] = {"idle",    "iowait", "irq",    "nice",
                                        "softirq", "steal",  "system", "user"};
    static const char *const devices[] = {"eth0", "eth1", "lo"};
    static const char *const paths[] = {"/", "/var", "/home", "/run"};
    static const char *const alone[] = {NULL};
    snprintf(body->instance, sizeof body->instance, "web%03d.example.net:9100", target);
    put_family(body, "node_cpu_seconds_total", 0, 1, "mode", modes, COUNT(modes), t);
    put_family(body, "node_cpu_guest_seconds_total", 0, 4, "mode", modes, COUNT(modes), t);
    static const char *const sizes[] = {"node_filesystem_avail_bytes", "node_filesystem_free_bytes",
                                        "node_filesystem_size_bytes", "node_filesystem_files"};
    for (size_t i = 0; i < COUNT(sizes); i++)
        put_family(body, sizes[i], 0, 1, "mountpoint", paths, COUNT(paths), 1e9 * (double)(i + 1));
    put_family(body, "node_network_receive_bytes_total", 0, 1, "device", devices, 3, 1e6 * t);
    put_family(body, "node_network_transmit_bytes_total", 0, 1, "device", devices, 3, 1e5 * t);
    put_family(body, "node_network_property_number_%d", 0, 30, "device", devices, 3, 1);
    put_family(body, "node_scrape_collector_duration_%d_seconds", 0, 80, "collector", devices, 1,
               1);
    put_family(body, "node_netstat_TcpExt_Something%d", 0, 120, NULL, alone, 1, t);
    put_family(body, "node_memory_Something%d_bytes", 0, 45, NULL, alone, 1, 1e9);
    put_family(body, "node_vmstat_something_else_%d", 0, 160, NULL, alone, 1, t);
    put_series(body, "node_memory_MemTotal_bytes", NULL, NULL, 16e9);
    put_series(body, "node_memory_MemAvailable_bytes", NULL, NULL, 6e9);
    put_series(body, "node_memory_SwapTotal_bytes", NULL, NULL, 2e9);
    put_series(body, "node_memory_SwapFree_bytes", NULL, NULL, 1e9);
    put_series(body, "node_load1", NULL, NULL, 1.5);
    put_series(body, "node_time_seconds", NULL, NULL, (double)body->time_ms / 1e3);
    put_series(body, "node_boot_time_seconds", NULL, NULL, 1.6e9);
}

static void make_body(struct body *body, int64_t time_ms)
{
    fw_buf_reset(&body->bytes);
    body->series = 0;
    body->time_ms = time_ms;
    for (int i = 0; i < TARGETS; i++)
        put_target(body, i, (double)(time_ms % 1000000000) / 1e3);
    check(!body->bytes.failed, "memory");
}

/* ---- figures ---- */

struct figure {
    double best_s;
    size_t rounds;
};

static void note(struct figure *f, double took_s)
{
    if (f->rounds++ == 0 || took_s < f->best_s)
        f->best_s = took_s;
}

static void report(const char *what, const struct body *body, size_t packed, struct figure f)
{
    printf("{\"bench\":\"ingest_remote_write\",\"what\":\"%s\",\"series\":%zu,\"bytes\":%zu,"
           "\"packed_bytes\":%zu,\"min_s\":%.9f,\"runs\":%zu,\"mb_per_s\":%.1f,"
           "\"samples_per_s\":%.0f}\n",
           what, body->series, body->bytes.len, packed, f.best_s, f.rounds,
           (double)body->bytes.len / f.best_s / 1e6, (double)body->series / f.best_s);
}

static enum fw_status walk(void *ctx, const struct remote_write_series *series)
{
    struct remote_write_sample sample;
    for (const unsigned char *at = NULL; remote_write_next(series, &at, &sample);)
        *(double *)ctx += sample.value;
    return FW_OK;
}

static void whole(const char *packed, size_t len, struct fw_buf *out, const struct schema *schema,
                  const struct series_rules *rules, struct series_book *book,
                  struct sample_batch *batch)
{
    struct series_gather gather;
    batch_reset(batch);
    series_gather_init(&gather, rules, schema, batch);
    check(remote_write_unpack(packed, len, UNPACKED_MAX, out, NULL) == FW_OK &&
              series_gather_read(&gather, out->data, out->len, NULL) == FW_OK &&
              series_book_take(book, &gather, 0, batch) == FW_OK,
          "the whole way");
    series_gather_fini(&gather);
}

int main(int argc, char **argv)
{
    const double limit_s = argc > 1 ? atof(argv[1]) : 0.5;
    struct schema schema;
    struct body body = {0};
    struct fw_buf out;
    schema_default(&schema);
    fw_buf_init(&body.bytes, UNPACKED_MAX);
    fw_buf_init(&out, UNPACKED_MAX);
    int64_t time_ms = INT64_C(1767225600000);
    make_body(&body, time_ms);
    size_t len, cap = snappy_max_compressed_length(body.bytes.len + 4096);
    char *packed = malloc(cap);
    struct series_rules *rules = series_rules_new(&schema);
    struct series_book *book = series_book_new(&(struct series_book_options){0});
    struct sample_batch *batch = batch_new();
    check(packed != NULL && rules != NULL && book != NULL && batch != NULL, "memory");
    len = cap;
    check(snappy_compress(body.bytes.data, body.bytes.len, packed, &len) == SNAPPY_OK, "packing");

    struct figure unpack = {0}, read = {0}, all = {0};
    for (double end = seconds() + limit_s; seconds() < end;) {
        const double start = seconds();
        check(remote_write_unpack(packed, len, UNPACKED_MAX, &out, NULL) == FW_OK, "unpacking");
        note(&unpack, seconds() - start);
    }
    double sum = 0;
    for (double end = seconds() + limit_s; seconds() < end;) {
        const double start = seconds();
        check(remote_write_read(body.bytes.data, body.bytes.len, walk, &sum, NULL) == FW_OK,
              "read");
        note(&read, seconds() - start);
    }
    size_t rows = 0;
    for (double end = seconds() + 2 * limit_s; seconds() < end;) {
        make_body(&body, time_ms += SCRAPE_MS); /* the next scrape: nothing is a repeat */
        len = cap;
        check(snappy_compress(body.bytes.data, body.bytes.len, packed, &len) == SNAPPY_OK,
              "packing");
        const double start = seconds();
        whole(packed, len, &out, &schema, rules, book, batch);
        note(&all, seconds() - start);
        rows = batch->row_count;
    }
    check(sum != 0 && rows == TARGETS, "one row per target");
    report("unpack", &body, len, unpack);
    report("read", &body, len, read);
    report("unpack_to_rows", &body, len, all);
    batch_free(batch);
    series_book_free(book);
    series_rules_free(rules);
    free(packed);
    fw_buf_fini(&body.bytes);
    fw_buf_fini(&out);
    return 0;
}
