#include "archive/block.h"

#include "archive/block_internal.h"
#include "base/alloc.h"

#include <assert.h>
#include <math.h>
#include <string.h>
#include <zstd.h>

enum { VERSION = 1, LEVEL = 6, OWN_MASK = 128, STEP_S_MAX = 3600 };
#define TIME_END_S UINT64_C(253402300800) /* the year 10000, as for samples */

/* Metrics written by number. Part of the format: never changed, only added to. */
static const char *const known[] = {
    "",
    "cpu_user_pct",
    "cpu_sys_pct",
    "cpu_iowait_pct",
    "cpu_idle_pct",
    "java_cpu_pct",
    "mem_used_pct",
    "swap_used_pct",
    "disk_usage_pct",
    "net_in_mb_s",
    "net_out_mb_s",
    "back_close_wait",
    "front_close_wait",
    "load_average",
    "uptime_days",
    "cascade_impact",
};

struct archive_codec {
    ZSTD_CCtx *compressor;
    ZSTD_DCtx *decompressor;
    struct fw_buf body;
    unsigned char unpacked[ARCHIVE_BODY_MAX];
};

struct archive_codec *archive_codec_new(void)
{
    struct archive_codec *codec = fw_calloc(1, sizeof *codec);
    if (codec == NULL)
        return NULL;
    fw_buf_init(&codec->body, ARCHIVE_BODY_MAX);
    codec->compressor = ZSTD_createCCtx();
    codec->decompressor = ZSTD_createDCtx();
    if (codec->compressor != NULL && codec->decompressor != NULL)
        return codec;
    archive_codec_free(codec);
    return NULL;
}

void archive_codec_free(struct archive_codec *codec)
{
    if (codec == NULL)
        return;
    ZSTD_freeCCtx(codec->compressor);
    ZSTD_freeDCtx(codec->decompressor);
    fw_buf_fini(&codec->body);
    fw_free(codec);
}

/* ---- masks and statuses: runs that make ARCHIVE_STEPS ---- */

static bool masks_equal(const bool *a, const bool *b)
{
    return memcmp(a, b, ARCHIVE_STEPS * sizeof *a) == 0;
}

static void put_mask(const bool *mask, struct fw_buf *out)
{
    bool kind = true;
    for (size_t i = 0, run; i < ARCHIVE_STEPS; i += run) {
        for (run = 0; i + run < ARCHIVE_STEPS && mask[i + run] == kind;)
            run++;
        fw_buf_put_varint(out, run);
        kind = !kind;
    }
}

/* *held: how many are set. */
static bool get_mask(struct fw_bytes *in, bool *mask, size_t *held)
{
    bool kind = true;
    *held = 0;
    for (size_t i = 0; i < ARCHIVE_STEPS;) {
        const uint64_t run = fw_bytes_varint(in);
        if (in->bad || (run == 0 && i + !kind > 0) || run > ARCHIVE_STEPS - i)
            return false;
        for (const size_t end = i + (size_t)run; i < end; i++)
            mask[i] = kind;
        *held += kind ? (size_t)run : 0;
        kind = !kind;
    }
    return true;
}

static void put_statuses(const uint8_t *statuses, struct fw_buf *out)
{
    for (size_t i = 0, run; i < ARCHIVE_STEPS; i += run) {
        for (run = 1; i + run < ARCHIVE_STEPS && statuses[i + run] == statuses[i];)
            run++;
        fw_buf_putc(out, (char)statuses[i]);
        fw_buf_put_varint(out, run);
    }
}

static bool get_statuses(struct fw_bytes *in, uint8_t *statuses)
{
    for (size_t i = 0; i < ARCHIVE_STEPS;) {
        const unsigned char status = fw_bytes_byte(in);
        const uint64_t run = fw_bytes_varint(in);
        if (in->bad || run == 0 || run > ARCHIVE_STEPS - i)
            return false;
        memset(statuses + i, status < STATUS_COUNT ? status : STATUS_UNKNOWN, (size_t)run);
        i += (size_t)run;
    }
    return true;
}

/* ---- metrics ---- */

/* Puts the values that are there side by side; *mask says where they were. */
static size_t gather(const float *values, float *packed, bool *mask)
{
    size_t n = 0;
    for (size_t i = 0; i < ARCHIVE_STEPS; i++) {
        assert(!isinf(values[i]));
        mask[i] = !isnan(values[i]);
        if (mask[i])
            packed[n++] = values[i];
    }
    return n;
}

static void put_name(const char *name, struct fw_buf *out)
{
    for (size_t i = 1; i < COUNT(known); i++) {
        if (strcmp(known[i], name) == 0) {
            fw_buf_putc(out, (char)i);
            return;
        }
    }
    const size_t len = strlen(name);
    assert(schema_name_valid(name, len));
    fw_buf_putc(out, 0);
    fw_buf_putc(out, (char)len);
    fw_buf_put(out, name, len);
}

static bool get_name(struct fw_bytes *in, char *name)
{
    const unsigned number = fw_bytes_byte(in);
    if (number >= COUNT(known))
        return false;
    size_t len = strlen(known[number]);
    const char *text = known[number];
    if (number == 0) {
        len = fw_bytes_byte(in);
        text = fw_bytes_take(in, len);
    }
    if (text == NULL || !schema_name_valid(text, len))
        return false;
    memcpy(name, text, len);
    name[len] = '\0';
    return true;
}

static void put_metric(const struct archive_metric *metric, const bool *held, struct fw_buf *out)
{
    float packed[ARCHIVE_STEPS];
    bool mask[ARCHIVE_STEPS];
    const size_t n = gather(metric->values, packed, mask);
    if (n == 0)
        return;
    const bool own = !masks_equal(mask, held);
    const struct archive_plan plan = archive_column_plan(packed, n, metric->quantum);
    put_name(metric->name, out);
    fw_buf_putc(out, (char)(plan.form | (own ? OWN_MASK : 0)));
    if (own)
        put_mask(mask, out);
    archive_column_put(packed, n, &plan, out);
}

static bool get_metric(struct fw_bytes *in, const bool *held, size_t held_count,
                       struct archive_metric *metric)
{
    float packed[ARCHIVE_STEPS];
    bool own[ARCHIVE_STEPS];
    const bool *mask = held;
    size_t n = held_count;
    if (!get_name(in, metric->name))
        return false;
    const unsigned form = fw_bytes_byte(in);
    if ((form & OWN_MASK) != 0) {
        mask = own;
        if (!get_mask(in, own, &n))
            return false;
    }
    if (in->bad || n == 0 || (form & ~(unsigned)OWN_MASK) >= ARCHIVE_FORMS ||
        !archive_column_get(in, (enum archive_form)(form & ~(unsigned)OWN_MASK), n, packed,
                            &metric->quantum))
        return false;
    const float *from = packed;
    for (size_t i = 0; i < ARCHIVE_STEPS; i++)
        metric->values[i] = mask[i] ? *from++ : NAN;
    return true;
}

/* ---- the body ---- */

static bool has_value(const struct archive_metric *metric)
{
    for (size_t i = 0; i < ARCHIVE_STEPS; i++)
        if (!isnan(metric->values[i]))
            return true;
    return false;
}

void archive_body_put(const struct archive_block *block, struct fw_buf *out)
{
    bool held[ARCHIVE_STEPS] = {false};
    size_t metrics = 0;
    assert(block->number >= 0 && block->metrics <= ARCHIVE_METRICS_MAX);
    for (size_t m = 0; m < block->metrics; m++) {
        for (size_t i = 0; i < ARCHIVE_STEPS; i++)
            held[i] = held[i] || !isnan(block->metric[m].values[i]);
        metrics += has_value(&block->metric[m]);
    }
    fw_buf_put_varint(out, block->step_s);
    fw_buf_put_varint(out, (uint64_t)block->number);
    fw_buf_putc(out, (char)block->profile);
    put_statuses(block->statuses, out);
    put_mask(held, out);
    fw_buf_put_varint(out, metrics);
    for (size_t m = 0; m < block->metrics; m++)
        put_metric(&block->metric[m], held, out);
}

bool archive_body_get(const void *data, size_t len, struct archive_block *block)
{
    struct fw_bytes in = fw_bytes_of(data, len);
    bool held[ARCHIVE_STEPS];
    size_t held_count;
    const uint64_t step_s = fw_bytes_varint(&in), number = fw_bytes_varint(&in);
    const unsigned profile = fw_bytes_byte(&in);
    if (in.bad || step_s < 1 || step_s > STEP_S_MAX ||
        number >= TIME_END_S / (ARCHIVE_STEPS * step_s) || !get_statuses(&in, block->statuses) ||
        !get_mask(&in, held, &held_count))
        return false;
    const uint64_t metrics = fw_bytes_varint(&in);
    if (in.bad || metrics > ARCHIVE_METRICS_MAX)
        return false;
    block->step_s = (uint32_t)step_s;
    block->number = (int64_t)number;
    block->profile = (uint8_t)(profile < PROFILE_COUNT ? profile : PROFILE_GENERIC);
    for (block->metrics = 0; block->metrics < metrics; block->metrics++) {
        struct archive_metric *metric = &block->metric[block->metrics];
        if (!get_metric(&in, held, held_count, metric) ||
            archive_block_find(block, metric->name) != NULL)
            return false;
    }
    return in.at == in.end;
}

enum fw_status archive_block_encode(struct archive_codec *codec, const struct archive_block *block,
                                    struct fw_buf *out, struct fw_error *err)
{
    fw_buf_reset(&codec->body);
    archive_body_put(block, &codec->body);
    char *room = fw_buf_reserve(out, ARCHIVE_BLOCK_MAX);
    if (codec->body.failed || room == NULL)
        return fw_fail(err, FW_ENOMEM, "history: no memory to write a block");
    room[0] = VERSION;
    const size_t len = ZSTD_compressCCtx(codec->compressor, room + 1, ARCHIVE_BLOCK_MAX - 1,
                                         codec->body.data, codec->body.len, LEVEL);
    if (ZSTD_isError(len))
        return fw_fail(err, FW_ENOMEM, "history: a block is not compressed: %s",
                       ZSTD_getErrorName(len));
    out->len += len + 1;
    return FW_OK;
}

enum fw_status archive_block_decode(struct archive_codec *codec, const void *data, size_t len,
                                    struct archive_block *block, struct fw_error *err)
{
    const unsigned char *bytes = data;
    if (len < 2)
        return fw_fail(err, FW_ECORRUPT, "a block of %zu bytes", len);
    if (bytes[0] > VERSION)
        return fw_fail(err, FW_EVERSION, "a block of version %u; this forewarn knows %d", bytes[0],
                       VERSION);
    const unsigned long long says = ZSTD_getFrameContentSize(bytes + 1, len - 1);
    if (bytes[0] != VERSION || says == ZSTD_CONTENTSIZE_UNKNOWN || says > ARCHIVE_BODY_MAX)
        return fw_fail(err, FW_ECORRUPT, "not a block of history");
    const size_t got = ZSTD_decompressDCtx(codec->decompressor, codec->unpacked,
                                           sizeof codec->unpacked, bytes + 1, len - 1);
    if (ZSTD_isError(got) || got != says)
        return fw_fail(err, FW_ECORRUPT, "a block cannot be unpacked");
    if (!archive_body_get(codec->unpacked, got, block))
        return fw_fail(err, FW_ECORRUPT, "a block's content makes no sense");
    return FW_OK;
}

/* ---- two blocks of the same steps ---- */

const struct archive_metric *archive_block_find(const struct archive_block *block, const char *name)
{
    for (size_t m = 0; m < block->metrics; m++)
        if (strcmp(block->metric[m].name, name) == 0)
            return &block->metric[m];
    return NULL;
}

/* How far a value may be from what was kept of it. Grids of powers of ten were taken because they
 * are exact. */
static double tolerance(struct archive_quantum q)
{
    return q.mantissa <= 1 ? 0.0 : archive_quantum_value(q) * 0.5 * (1.0 + 1e-6);
}

static bool metric_covers(const struct archive_metric *kept, const struct archive_metric *metric)
{
    const double allowed = kept == NULL ? 0.0 : tolerance(kept->quantum);
    for (size_t i = 0; i < ARCHIVE_STEPS; i++) {
        if (isnan(metric->values[i]))
            continue;
        if (kept == NULL || isnan(kept->values[i]))
            return false;
        const double value = (double)metric->values[i];
        const double blur = allowed > 0.0 ? fabs(value) * 0x1p-23 : 0.0; /* of the float itself */
        if (fabs(value - (double)kept->values[i]) > allowed + blur)
            return false;
    }
    return true;
}

bool archive_block_covers(const struct archive_block *kept, const struct archive_block *block)
{
    for (size_t i = 0; i < ARCHIVE_STEPS; i++)
        if (block->statuses[i] != STATUS_UNKNOWN && block->statuses[i] != kept->statuses[i])
            return false;
    for (size_t m = 0; m < block->metrics; m++)
        if (!metric_covers(archive_block_find(kept, block->metric[m].name), &block->metric[m]))
            return false;
    return true;
}

/* The quantum goes along with values that are its multiples. */
static void fill_metric(struct archive_metric *metric, const struct archive_metric *older)
{
    for (size_t i = 0; i < ARCHIVE_STEPS; i++) {
        if (!isnan(metric->values[i]) || isnan(older->values[i]))
            continue;
        metric->values[i] = older->values[i];
        metric->quantum = older->quantum;
    }
}

bool archive_block_fill(struct archive_block *block, const struct archive_block *older)
{
    bool all = true;
    for (size_t i = 0; i < ARCHIVE_STEPS; i++)
        if (block->statuses[i] == STATUS_UNKNOWN)
            block->statuses[i] = older->statuses[i];
    const size_t own = block->metrics;
    for (size_t m = 0; m < older->metrics; m++) {
        const struct archive_metric *from = &older->metric[m];
        size_t at = 0;
        while (at < own && strcmp(block->metric[at].name, from->name) != 0)
            at++;
        if (at < own)
            fill_metric(&block->metric[at], from);
        else if (block->metrics < ARCHIVE_METRICS_MAX)
            block->metric[block->metrics++] = *from;
        else
            all = false;
    }
    return all;
}
