/* An answer that is taken for a matrix is a WriteRequest of as many series and samples, each named
 * as asked for, in order, none of them a stale marker, all at possible times; whatever else it is,
 * its reason is one line. */
#include "backfill/answer.h"

#include "ingest/remote_write.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct backfill_reader *reader;
static struct fw_buf answer, request;

static void require(bool holds)
{
    if (!holds)
        abort();
}

struct seen {
    size_t series, samples;
};

static enum fw_status visit(void *ctx, const struct remote_write_series *series)
{
    struct seen *seen = ctx;
    struct remote_write_sample sample;
    size_t samples = 0;
    /* A label of the answer may be wrong in itself; the name never is. */
    require(series->fault != REMOTE_WRITE_NO_NAME);
    require(series->fault != REMOTE_WRITE_FINE ||
            (series->id.name_len == 4 && memcmp(series->id.name, "name", 4) == 0));
    for (const unsigned char *at = NULL; remote_write_next(series, &at, &sample); samples++) {
        require(sample.time_ms >= 0 && sample.time_ms < INT64_C(253402300800000));
        require(!remote_write_is_stale(sample.value));
    }
    require(samples == series->sample_count);
    seen->series++;
    seen->samples += samples;
    return FW_OK;
}

static bool take(void *ctx, const char *text, size_t len)
{
    size_t *bytes = ctx;
    require(text[len] == '\0');
    *bytes += len;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t series = 0, samples = 0, bytes = 0;
    char reason[BACKFILL_REASON_MAX];
    struct seen seen = {0};
    if (reader == NULL) {
        reader = backfill_reader_new();
        fw_buf_init(&answer, 1 << 20);
        fw_buf_init(&request, 1 << 16);
    }
    if (size > 1 << 20)
        return 0;
    fw_buf_reset(&answer);
    fw_buf_reset(&request);
    fw_buf_put(&answer, data, size);
    const enum fw_status status =
        backfill_read_matrix(reader, &answer, "name", &request, &series, &samples, NULL);
    if (status == FW_OK) {
        require(!request.failed);
        require(remote_write_read(request.data, request.len, visit, &seen, NULL) == FW_OK);
        require(seen.series == series && seen.samples == samples);
    } else {
        require(status == FW_EINVAL || status == FW_ELIMIT);
    }
    if (backfill_read_values(reader, &answer, take, &bytes, NULL) == FW_OK)
        require(bytes <= size);
    backfill_read_reason(reader, &answer, reason);
    for (size_t i = 0; reason[i] != '\0'; i++)
        require((unsigned char)reason[i] >= 0x20 && reason[i] != 0x7f);
    return 0;
}
