/* A journal file with any bytes, checksums off so that the bytes reach the code behind them. Asks:
 * does replaying twice give the same; does a journal cut anywhere give the whole records before the
 * cut; can one append afterwards and find it again? The first two bytes pick the cut; the rest is
 * the file behind a good header. */
#include "base/hash.h"
#include "base/log.h"
#include "store/io_memory.h"
#include "store/journal.h"
#include "store/segment.h"

#include <stdlib.h>
#include <string.h>

enum {
    MARKER = 0x46574a52,
    SEEN_MAX = 4096
}; /* "RJWF" on disk: corpora begin their records with it */

struct seen {
    uint64_t n;
    uint64_t seq[SEEN_MAX];
    uint64_t hash[SEEN_MAX];
};

static enum fw_status take(void *ctx, uint64_t seq, const void *payload, size_t len)
{
    struct seen *seen = ctx;
    if (seen->n < SEEN_MAX) {
        seen->seq[seen->n] = seq;
        seen->hash[seen->n] = fw_hash_stable(payload, len);
    }
    if (seen->n > 0 && seen->n <= SEEN_MAX && seq <= seen->seq[seen->n - 1])
        abort(); /* order and no doubles, whatever the file says */
    seen->n++;
    return FW_OK;
}

static void done(void *ctx, enum fw_status status, uint64_t seq)
{
    *(uint64_t *)ctx = status == FW_OK ? seq : 0;
}

static void quiet(void *ctx, const char *line, size_t len)
{
    (void)ctx;
    (void)line;
    (void)len;
}

static struct store_journal *open_journal(struct store_io_memory *memory, struct seen *seen,
                                          struct store_journal_report *report)
{
    const struct store_journal_options options = {.io = store_io_memory_io(memory),
                                                  .record_bytes_max = 1 << 16,
                                                  .queue_bytes_max = 1 << 18,
                                                  .manual = true,
                                                  .marker_seed = 1,
                                                  .checksums_off = true};
    struct store_journal *journal = NULL;
    seen->n = 0;
    if (store_journal_open("/log", &options, 0, take, seen, report, &journal, NULL) != FW_OK)
        abort(); /* no content may keep it from starting */
    return journal;
}

static struct store_io_memory *disk_with(const uint8_t *data, size_t size)
{
    static unsigned char file[STORE_SEGMENT_HEADER + (1 << 16)];
    const struct store_segment_header header = {.first_seq = 1, .session_seq = 1, .marker = MARKER};
    char name[STORE_SEGMENT_NAME_MAX], path[STORE_PATH_MAX];
    if (size > 1 << 16)
        size = 1 << 16;
    store_segment_header_encode(&header, file);
    if (size > 0)
        memcpy(file + STORE_SEGMENT_HEADER, data, size);
    store_segment_name(name, 1, MARKER);
    struct store_io_memory *memory = store_io_memory_new(1);
    if (memory == NULL || !store_io_path(path, sizeof path, "/log", name) ||
        !store_io_memory_put(memory, path, file, STORE_SEGMENT_HEADER + size))
        abort();
    return memory;
}

static void must_begin_alike(const struct seen *all, const struct seen *part, uint64_t n)
{
    for (uint64_t i = 0; i < n && i < SEEN_MAX; i++)
        if (all->seq[i] != part->seq[i] || all->hash[i] != part->hash[i])
            abort();
}

/* Records that end before the cut, if the file has no damage in front of them. */
static uint64_t whole_before(const uint8_t *data, size_t size, size_t cut)
{
    uint64_t n = 0, last = 0;
    size_t at = 0;
    while (size - at >= STORE_RECORD_HEADER && store_get_u32(data + at) == MARKER) {
        const size_t len = store_get_u32(data + at + 4);
        const uint64_t seq = store_get_u64(data + at + 8);
        if (len == 0 || len > 1 << 16 || len > size - at - STORE_RECORD_HEADER || seq <= last ||
            store_get_u32(data + at + 16) >= seq || at + STORE_RECORD_HEADER + len > cut)
            break;
        at += STORE_RECORD_HEADER + len;
        last = seq;
        n++;
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct seen first, second, part;
    static bool configured;
    if (!configured)
        fw_log_configure(&(struct fw_log_options){.level = FW_ERROR, .sink = quiet});
    configured = true;
    if (size < 2)
        return 0;
    const size_t body = size - 2 > 1 << 16 ? 1 << 16 : size - 2;
    const size_t cut = body == 0 ? 0 : ((size_t)data[0] << 8 | data[1]) % (body + 1);
    struct store_journal_report report;

    struct store_io_memory *memory = disk_with(data + 2, body);
    store_journal_close(open_journal(memory, &first, &report));
    struct store_journal *journal = open_journal(memory, &second, &report);
    if (first.n != second.n)
        abort();
    must_begin_alike(&first, &second, first.n);
    uint64_t acknowledged = 0;
    const bool room =
        first.n == 0 || first.seq[(first.n < SEEN_MAX ? first.n : SEEN_MAX) - 1] < UINT64_MAX / 2;
    if (room && store_journal_append(journal, "after", 5, done, &acknowledged) != FW_OK)
        abort();
    store_journal_close(journal);
    store_journal_close(open_journal(memory, &second, &report));
    if (acknowledged != 0 && second.n != first.n + 1)
        abort();
    store_io_memory_free(memory);

    memory = disk_with(data + 2, cut);
    store_journal_close(open_journal(memory, &part, &report));
    const uint64_t whole = whole_before(data + 2, body, cut);
    if (part.n < whole)
        abort();
    must_begin_alike(&first, &part, whole);
    store_io_memory_free(memory);
    return 0;
}
