/* The long history's blocks. The first byte picks the question for the rest:
 *   0 mod 3  any bytes as a block: refused, or a block that can be written and read again
 *   1 mod 3  any bytes as what stands behind the compression: likewise
 *   2 mod 3  any floats as a block: what comes back is within the error that
 *            docs/formats/history.md allows, and is covered by itself and filled by nothing. */
#include "archive/block_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct archive_codec *codec;
static struct archive_block block, back;

static void require(bool holds)
{
    if (!holds)
        abort();
}

static double typical_change(const float *values)
{
    double logs = 0.0, last = (double)NAN;
    size_t n = 0;
    for (size_t i = 0; i < ARCHIVE_STEPS; i++) {
        if (isnan(values[i]))
            continue;
        const double change = fabs((double)values[i] - last);
        last = (double)values[i];
        if (change > 0.0) {
            logs += log(change);
            n++;
        }
    }
    return n == 0 ? 0.0 : exp(logs / (double)n);
}

static void compare(const struct archive_metric *was, const struct archive_metric *is)
{
    const double typical = typical_change(was->values);
    for (size_t i = 0; i < ARCHIVE_STEPS; i++) {
        const bool missing = isnan(was->values[i]) != 0;
        require((is == NULL || isnan(is->values[i]) != 0) == missing);
        if (missing)
            continue;
        const double value = (double)was->values[i];
        const double allowed = typical / 64.0 * (1.0 + 1e-9) + fabs(value) * 0x1p-24 + 0x1p-150;
        require(fabs((double)is->values[i] - value) <= allowed);
    }
}

/* Written and read again: the same but for what may be rounded away. */
static void there_and_back(void)
{
    struct fw_buf buf;
    struct fw_error err;
    fw_buf_init(&buf, 1 << 20);
    require(archive_block_encode(codec, &block, &buf, &err) == FW_OK);
    require(archive_block_decode(codec, buf.data, buf.len, &back, &err) == FW_OK);
    require(back.step_s == block.step_s && back.number == block.number);
    require(back.profile == block.profile);
    require(memcmp(back.statuses, block.statuses, sizeof back.statuses) == 0);
    for (size_t m = 0; m < block.metrics; m++)
        compare(&block.metric[m], archive_block_find(&back, block.metric[m].name));
    require(archive_block_covers(&back, &back) && archive_block_fill(&back, &back));
    fw_buf_fini(&buf);
}

/* 4 bytes a value; a metric takes at most ARCHIVE_STEPS of them. */
static void fill_floats(const uint8_t *data, size_t size)
{
    block = (struct archive_block){.step_s = 300, .number = 12345};
    while (size >= sizeof(float) && block.metrics < ARCHIVE_METRICS_MAX) {
        struct archive_metric *metric = &block.metric[block.metrics];
        metric->name[0] = (char)('A' + block.metrics % 26);
        metric->name[1] = (char)('a' + block.metrics / 26);
        for (size_t i = 0; i < ARCHIVE_STEPS; i++) {
            metric->values[i] = NAN;
            if (size < sizeof(float))
                continue;
            memcpy(&metric->values[i], data, sizeof(float));
            if (isinf(metric->values[i]))
                metric->values[i] = NAN;
            data += sizeof(float);
            size -= sizeof(float);
        }
        block.metrics++;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fw_error err;
    if (codec == NULL)
        codec = archive_codec_new();
    if (codec == NULL || size < 1)
        return 0;
    bool there = true;
    if (data[0] % 3 == 0)
        there = archive_block_decode(codec, data + 1, size - 1, &block, &err) == FW_OK;
    else if (data[0] % 3 == 1)
        there = archive_body_get(data + 1, size - 1, &block);
    else
        fill_floats(data + 1, size - 1);
    if (there)
        there_and_back();
    return 0;
}
