/* How many bytes a value of the long history takes, and how far it is off: histories from CSV (its
 * arguments: files or directories, as `forewarn train --data` takes them) are cut into blocks,
 * encoded and decoded. The error is told as a part of the metric's typical change in its block, of
 * which half a 32nd is allowed; what stands beyond that is the rounding to float. */
#include "archive/block.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "history/history.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct totals {
    uint64_t blocks, values, bytes, exact;
    double worst; /* error over typical change */
    int64_t encode_ns, decode_ns;
};

static void die(const char *text)
{
    fprintf(stderr, "%s\n", text);
    exit(1);
}

/* The part of a series that lies in the block. False: nothing does. */
static bool cut(const struct history *h, const struct history_series *s, int64_t number,
                struct archive_block *block)
{
    bool any = false;
    *block = (struct archive_block){.step_s = h->step_s, .number = number, .profile = s->profile};
    for (size_t c = 0; c < h->n_columns && block->metrics < ARCHIVE_METRICS_MAX; c++) {
        if (s->value[c] == NULL)
            continue;
        struct archive_metric *metric = &block->metric[block->metrics++];
        snprintf(metric->name, sizeof metric->name, "%s", h->column[c]);
        for (int i = 0; i < ARCHIVE_STEPS; i++) {
            const int64_t at = number * ARCHIVE_STEPS + i - s->first;
            metric->values[i] = at >= 0 && at < (int64_t)s->steps ? s->value[c][at] : NAN;
            any = any || !isnan(metric->values[i]);
        }
    }
    return any;
}

static double typical_change(const float *values)
{
    double logs = 0.0, last = (double)NAN;
    size_t n = 0;
    for (int i = 0; i < ARCHIVE_STEPS; i++) {
        if (isnan(values[i]))
            continue;
        const double change = fabs((double)values[i] - last);
        if (change > 0.0) {
            logs += log(change);
            n++;
        }
        last = (double)values[i];
    }
    return n == 0 ? 0.0 : exp(logs / (double)n);
}

static void compare(const struct archive_metric *metric, const struct archive_block *back,
                    struct totals *t)
{
    const struct archive_metric *got = archive_block_find(back, metric->name);
    const double typical = typical_change(metric->values);
    for (int i = 0; i < ARCHIVE_STEPS; i++) {
        if (isnan(metric->values[i]))
            continue;
        if (got == NULL || isnan(got->values[i]))
            die("a value is gone");
        const double error = fabs((double)got->values[i] - (double)metric->values[i]);
        t->values++;
        t->exact += !(error > 0.0);
        if (error > 0.0 && !(error / typical <= t->worst))
            t->worst = error / typical;
    }
}

static void measure(const struct history *h, struct totals *t)
{
    struct archive_codec *codec = archive_codec_new();
    struct archive_block *block = fw_malloc(sizeof *block), *back = fw_malloc(sizeof *back);
    struct fw_buf buf;
    fw_buf_init(&buf, 1 << 20);
    if (codec == NULL || block == NULL || back == NULL)
        die("no memory");
    for (size_t i = 0; i < h->n_series; i++) {
        const struct history_series *s = &h->series[i];
        const int64_t last = (s->first + (int64_t)s->steps - 1) / ARCHIVE_STEPS;
        for (int64_t number = s->first / ARCHIVE_STEPS; number <= last; number++) {
            if (!cut(h, s, number, block))
                continue;
            fw_buf_reset(&buf);
            const int64_t start_ns = fw_clock_mono_ns(fw_clock_system());
            if (archive_block_encode(codec, block, &buf, NULL) != FW_OK)
                die("a block cannot be encoded");
            const int64_t encoded_ns = fw_clock_mono_ns(fw_clock_system());
            if (archive_block_decode(codec, buf.data, buf.len, back, NULL) != FW_OK)
                die("a block cannot be decoded");
            t->decode_ns += fw_clock_mono_ns(fw_clock_system()) - encoded_ns;
            t->encode_ns += encoded_ns - start_ns;
            t->blocks++;
            t->bytes += buf.len;
            for (size_t m = 0; m < block->metrics; m++)
                compare(&block->metric[m], back, t);
        }
    }
    fw_buf_fini(&buf);
    fw_free(block);
    fw_free(back);
    archive_codec_free(codec);
}

static void report(const char *path)
{
    struct history *history = NULL;
    struct fw_error err;
    struct totals t = {0};
    const struct history_options grid = {.step_s = HISTORY_STEP_S};
    if (history_read(&grid, 1, &path, &history, &err) != FW_OK)
        die(err.text);
    measure(history, &t);
    printf("%-40s %8llu blocks %10llu values  %.3f bytes a value  %4.1f %% exact  worst 1/%.1f of "
           "the typical change  encode %.0f us, decode %.0f us a block\n",
           path, (unsigned long long)t.blocks, (unsigned long long)t.values,
           (double)t.bytes / (double)t.values, 100.0 * (double)t.exact / (double)t.values,
           t.worst > 0.0 ? 1.0 / t.worst : (double)INFINITY,
           (double)t.encode_ns / 1e3 / (double)t.blocks,
           (double)t.decode_ns / 1e3 / (double)t.blocks);
    history_free(history);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        report(argv[i]);
    return 0;
}
