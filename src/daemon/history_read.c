/* Values of the long history for those who draw them: a server's blocks, put side by side. */
#include "daemon/daemon_internal.h"

#include "archive/archive.h"
#include "base/alloc.h"

#include <math.h>
#include <string.h>

struct reading {
    struct archive_codec *codec;
    struct archive_block *block;
    struct fw_buf scratch;
};

/* What of the block lies within steps first .. first + n - 1, by the schema's names. */
static void take_block(const struct archive_block *block, const struct schema *schema,
                       int64_t first, size_t n, float *values)
{
    const int64_t begin = block->number * ARCHIVE_STEPS;
    for (size_t m = 0; m < block->metrics; m++) {
        const struct archive_metric *metric = &block->metric[m];
        const int at = schema_find(schema, metric->name, strlen(metric->name));
        for (int64_t k = 0; at >= 0 && k < ARCHIVE_STEPS; k++) {
            const int64_t i = begin + k - first;
            if (i >= 0 && i < (int64_t)n)
                values[(size_t)at * n + (size_t)i] = metric->values[k];
        }
    }
}

static int64_t block_of(int64_t step)
{
    return step >= 0 ? step / ARCHIVE_STEPS : 0;
}

bool daemon_history_read(void *ctx, const char *server, int64_t first, size_t n, float *values)
{
    struct daemon *daemon = ctx;
    const struct schema *schema = &daemon->config->schema;
    struct reading r = {0};
    if (daemon->archiver == NULL)
        return false; /* not kept, or not opened yet */
    fw_buf_init(&r.scratch, ARCHIVE_BLOCK_MAX);
    r.codec = archive_codec_new();
    r.block = fw_malloc(sizeof *r.block);
    const bool good = r.codec != NULL && r.block != NULL;
    for (size_t i = 0; i < schema->count * n; i++)
        values[i] = NAN;
    /* A block that is damaged, or not there, is a gap. */
    for (int64_t b = block_of(first); good && b <= block_of(first + (int64_t)n - 1); b++)
        if (archive_get(daemon->history, r.codec, server, daemon->config->step_s, b, &r.scratch,
                        r.block, NULL) == FW_OK)
            take_block(r.block, schema, first, n, values);
    fw_buf_fini(&r.scratch);
    fw_free(r.block);
    archive_codec_free(r.codec);
    return good;
}
