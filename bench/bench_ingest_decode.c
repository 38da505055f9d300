/* How fast bodies of /feed/data become samples, and samples become windows: decode alone, decode to
 * window (admission, the journal's encoding, applying), and jansson decoding the same body in the
 * same run. One thread.
 *
 *   bench_ingest_decode [seconds per figure, default 0.5]
 *
 * A sample is one value of one metric; a record has 14. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/rng.h"
#include "base/text.h"
#include "fleet/fleet.h"
#include "fleet/snapshot.h"
#include "ingest/json.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BODY_MAX = 64 << 20, METRICS = 14, PER_TIME = 100 };

static struct schema schema;
static struct profile_rules profiles;
static struct fw_clock_fake fake_clock;

static double seconds(void)
{
    return (double)fw_clock_mono_ns(fw_clock_system()) / 1e9;
}

/* `records` of servers s0 .. s99 from `start_ms` on, a step further every 100 records. */
static size_t make_body(char *out, int records, int64_t start_ms)
{
    struct fw_rng rng;
    char time[FW_TIME_SIZE];
    size_t n = (size_t)sprintf(out, "{\"records\":[");
    fw_rng_init(&rng, 1);
    for (int i = 0; i < records; i++) {
        fw_time_format(start_ms + (int64_t)(i / PER_TIME) * 300000, time);
        n += (size_t)sprintf(out + n,
                             "%s{\"timestamp\":\"%s\",\"server_name\":\"ppweb%03d\",\"profile\":"
                             "\"web_api\",\"status\":\"healthy\"",
                             i == 0 ? "" : ",", time, i % PER_TIME);
        for (int m = 0; m < METRICS; m++)
            n += (size_t)sprintf(out + n, ",\"%s\":%.2f", schema.metrics[m].name,
                                 fw_rng_uniform(&rng) * 100);
        n += (size_t)sprintf(out + n, ",\"notes\":\"\"}");
    }
    return n + (size_t)sprintf(out + n, "]}");
}

struct figure {
    double best_s;
    size_t rounds;
};

static void report(const char *what, int records, size_t bytes, struct figure f)
{
    printf(
        "{\"bench\":\"ingest_decode\",\"what\":\"%s\",\"records\":%d,\"bytes\":%zu,\"min_s\":%.9f,"
        "\"runs\":%zu,\"mb_per_s\":%.1f,\"samples_per_s\":%.0f}\n",
        what, records, bytes, f.best_s, f.rounds, (double)bytes / f.best_s / 1e6,
        (double)records * METRICS / f.best_s);
}

static void note(struct figure *f, double took_s)
{
    if (f->rounds++ == 0 || took_s < f->best_s)
        f->best_s = took_s;
}

static void check(bool fine, const char *what)
{
    if (!fine) {
        fprintf(stderr, "bench_ingest_decode: %s failed\n", what);
        exit(1);
    }
}

static void decode(struct ingest_decoder *decoder, const char *body, size_t len,
                   struct sample_batch *batch, int records)
{
    struct ingest_request_errors errors;
    batch_reset(batch);
    check(ingest_json(decoder, body, len, INGEST_JSON_ANY, batch, &errors) == FW_OK, "decode");
    check(batch->row_count == (size_t)records, "decode of every record");
}

static void bench_size(int records, double limit_s)
{
    char *body = malloc((size_t)records * 600 + 100);
    check(body != NULL, "memory");
    const int64_t steps = records / PER_TIME + 1;
    struct ingest_decoder *decoder = ingest_decoder_new(&schema, BODY_MAX);
    struct sample_batch *batch = batch_new();
    struct figure alone = {0}, whole = {0}, peer = {0};
    int64_t now_ms = fw_clock_wall_ms(&fake_clock.clock);
    size_t len = make_body(body, records, now_ms);
    for (double end = seconds() + limit_s; seconds() < end;) {
        const double start = seconds();
        decode(decoder, body, len, batch, records);
        note(&alone, seconds() - start);
    }
    report("decode", records, len, alone);

    struct fleet_options options;
    struct fleet *fleet;
    struct fleet_applied applied;
    struct fw_buf record;
    fleet_options_default(&options);
    options.schema = &schema;
    options.profiles = &profiles;
    options.clock = &fake_clock.clock;
    check(fleet_new(&options, &fleet, NULL) == FW_OK, "fleet");
    fw_buf_init(&record, 256 << 20);
    uint64_t seq = 0;
    for (double end = seconds() + limit_s; seconds() < end;) {
        len = make_body(body, records, now_ms); /* new times: nothing is a duplicate */
        fw_clock_fake_advance_ms(&fake_clock, steps * 300000);
        now_ms = fw_clock_wall_ms(&fake_clock.clock);
        const double start = seconds();
        decode(decoder, body, len, batch, records);
        check(fleet_admit(fleet, batch) == FW_OK, "admission");
        fw_buf_reset(&record);
        batch_encode(batch, &schema, &record);
        check(!record.failed, "encoding");
        check(fleet_apply(fleet, batch, ++seq, &applied) == FW_OK, "applying");
        note(&whole, seconds() - start);
        check(applied.samples == (size_t)records * METRICS, "applying every sample");
    }
    report("decode_to_window", records, len, whole);
    for (double end = seconds() + limit_s; seconds() < end;) {
        const double start = seconds();
        json_t *root = json_loadb(body, len, 0, NULL);
        note(&peer, seconds() - start);
        check(root != NULL, "jansson");
        json_decref(root);
    }
    report("jansson_tree", records, len, peer);
    fw_buf_fini(&record);
    fleet_free(fleet);
    batch_free(batch);
    ingest_decoder_free(decoder);
    free(body);
}

/* Memory of full windows, fed once a minute at the end, and a snapshot of them there and back. */
static void bench_windows(size_t servers)
{
    struct fleet_options options;
    struct fleet *fleet;
    struct fleet_applied applied;
    struct fleet_counts counts;
    struct sample_batch *batch = batch_new();
    struct sample_value values[METRICS];
    fleet_options_default(&options);
    options.schema = &schema;
    options.profiles = &profiles;
    options.clock = &fake_clock.clock;
    check(fleet_new(&options, &fleet, NULL) == FW_OK, "fleet");
    const int64_t now_ms = fw_clock_wall_ms(&fake_clock.clock) / 300000 * 300000;
    uint64_t seq = 0;
    double put_s = 0;
    size_t put = 0;
    for (int step = 0; step < 864 + 40; step++) {
        const int64_t time_ms = now_ms - (step < 864 ? (863 - step) * INT64_C(300000)
                                                     : (40 - (step - 864)) * INT64_C(60000));
        batch_reset(batch);
        for (size_t s = 0; s < servers; s++) {
            char name[32];
            struct sample_row head = {.time_ms = time_ms, .profile = PROFILE_UNKNOWN, .status = 1};
            const int len = snprintf(name, sizeof name, "server-%05zu", s);
            for (int m = 0; m < METRICS; m++)
                values[m] = (struct sample_value){(uint16_t)m, (float)((s + (size_t)step) % 97)};
            check(batch_name(batch, name, (size_t)len, &head.name) == FW_OK, "name");
            check(batch_row_put(batch, &head, values, METRICS) == FW_OK, "row");
        }
        const double start = seconds();
        check(fleet_admit(fleet, batch) == FW_OK, "admission");
        check(fleet_apply(fleet, batch, ++seq, &applied) == FW_OK, "applying");
        put_s += seconds() - start;
        put += batch->value_count;
    }
    fleet_counts(fleet, &counts);
    printf("{\"bench\":\"fleet_windows\",\"servers\":%zu,\"steps\":864,\"bytes\":%zu,"
           "\"bytes_per_server\":%zu,\"samples_per_s\":%.0f}\n",
           servers, counts.bytes, counts.bytes / servers, (double)put / put_s);
    char dir[] = "/tmp/fw-bench-XXXXXX";
    struct fleet_snapshot_written written;
    struct store_snapshot_report loaded;
    struct fw_error err = {0};
    check(mkdtemp(dir) != NULL, "directory");
    double start = seconds();
    check(fleet_snapshot_write(fleet, dir, NULL, &written, &err) == FW_OK, "snapshot");
    printf("{\"bench\":\"fleet_snapshot_write\",\"servers\":%zu,\"bytes\":%llu,\"min_s\":%.3f}\n",
           servers, (unsigned long long)written.bytes, seconds() - start);
    fleet_free(fleet);
    for (unsigned threads = 1; threads <= 2; threads++) {
        check(fleet_new(&options, &fleet, NULL) == FW_OK, "fleet");
        start = seconds();
        check(fleet_snapshot_load(fleet, dir, NULL, NULL, threads, &loaded, &err) == FW_OK, "load");
        const double took = seconds() - start;
        fleet_counts(fleet, &counts);
        check(counts.servers == servers && loaded.damaged_blocks == 0, "loading every server");
        printf("{\"bench\":\"fleet_snapshot_load\",\"servers\":%zu,\"threads\":%u,\"bytes\":%llu,"
               "\"min_s\":%.3f}\n",
               servers, threads, (unsigned long long)loaded.bytes, took);
        fleet_free(fleet);
    }
    unlink(loaded.path);
    rmdir(dir);
    batch_free(batch);
}

int main(int argc, char **argv)
{
    static const int sizes[] = {1, 100, 1000, 28800};
    const double limit_s = argc > 1 ? atof(argv[1]) : 0.5;
    schema_default(&schema);
    profile_rules_default(&profiles);
    fw_clock_fake_init(&fake_clock, INT64_C(1800000000000));
    for (size_t i = 0; i < COUNT(sizes); i++)
        bench_size(sizes[i], limit_s);
    bench_windows(10000);
    return 0;
}
