#include "store/check.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "store/check_internal.h"
#include "store/recover.h"
#include "store/snapshot_format.h"
#include "store/state_internal.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

void store_check_tell(void *ctx, const struct store_finding *finding)
{
    struct store_check *check = ctx;
    check->report->findings++;
    if (check->finding != NULL)
        check->finding(check->finding_ctx, finding);
}

static void tell(struct store_check *check, const char *kind, const char *path, uint64_t offset,
                 uint64_t length, const char *text)
{
    store_finding_tell(store_check_tell, check, kind, path, offset, length, "%s", text);
}

/* ---- snapshots ---- */

static bool block_is_whole(const struct snapshot_file *file, uint64_t index, unsigned char *bytes)
{
    const struct snapshot_entry *entry = &file->entries[index];
    return store_io_read_full(file->io, file->fd, bytes, (size_t)snapshot_block_bytes(entry->len),
                              entry->offset) == 0 &&
           fw_crc32c(0, bytes + SNAPSHOT_BLOCK_HEADER, entry->len) == entry->crc;
}

static bool head_is_whole(const struct snapshot_file *file, uint64_t index,
                          const unsigned char *bytes)
{
    struct snapshot_entry seen;
    uint32_t position;
    return snapshot_block_decode(bytes, file->header.marker, &seen, &position) && position == index;
}

static size_t largest_block(const struct snapshot_file *file)
{
    size_t largest = 0;
    for (uint64_t i = 0; i < file->blocks; i++)
        if (snapshot_block_bytes(file->entries[i].len) > largest)
            largest = (size_t)snapshot_block_bytes(file->entries[i].len);
    return largest;
}

static enum fw_status check_blocks(struct store_check *check, const char *path,
                                   struct snapshot_file *file, struct store_snapshot_writer *copy,
                                   struct fw_error *err)
{
    unsigned char *bytes = fw_malloc(largest_block(file) + 1);
    if (bytes == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory to read %s", path);
    enum fw_status status = FW_OK;
    for (uint64_t i = 0; i < file->blocks && status == FW_OK; i++) {
        const struct snapshot_entry *entry = &file->entries[i];
        if (!block_is_whole(file, i, bytes)) {
            tell(check, "damaged-block", path, entry->offset, snapshot_block_bytes(entry->len),
                 "a snapshot block fails its checksum");
            continue;
        }
        if (file->index_whole && !head_is_whole(file, i, bytes))
            tell(check, "damaged-structure", path, entry->offset, SNAPSHOT_BLOCK_HEADER,
                 "a block's header; the index says the same");
        check->report->snapshot_blocks++;
        if (copy != NULL)
            status = store_snapshot_put(copy, entry->kind, bytes + SNAPSHOT_BLOCK_HEADER,
                                        entry->len, err);
    }
    fw_free(bytes);
    return status;
}

static enum fw_status check_snapshot(struct store_check *check, const char *dir, const char *to,
                                     uint64_t sequence, struct fw_error *err)
{
    char name[SNAPSHOT_NAME_MAX], path[STORE_PATH_MAX];
    snapshot_name(name, sequence);
    if (!store_io_path(path, sizeof path, dir, name))
        return fw_fail(err, FW_EINVAL, "the path of %s is too long", dir);
    struct snapshot_file file;
    struct store_snapshot_writer *copy = NULL;
    enum fw_status status = snapshot_file_open(&file, check->directory.io, path, false, err);
    if (status == FW_ECORRUPT || status == FW_EIO) {
        /* A running daemon may have removed it meanwhile. */
        if (file.fd >= 0 || check->report->locked)
            tell(check, "unreadable-snapshot", path, 0, 0, "the header or metadata is damaged");
        snapshot_file_close(&file);
        return FW_OK;
    }
    if (status == FW_OK && !file.index_whole) {
        tell(check, "damaged-structure", path, 0, 0,
             "the index is damaged; blocks are found without it");
        status = snapshot_file_walk(&file);
    }
    if (status == FW_OK && to != NULL)
        status = store_snapshot_begin(to, check->copy->io, NULL, sequence, file.metadata,
                                      file.header.metadata_len, &copy, err);
    if (status == FW_OK)
        status = check_blocks(check, path, &file, copy, err);
    if (status == FW_OK && copy != NULL) {
        status = store_snapshot_commit(copy, NULL, err);
        copy = NULL;
    }
    store_snapshot_abort(copy);
    snapshot_file_close(&file);
    return status;
}

/* Those of one directory, oldest first, as they were written. */
static enum fw_status check_all(struct store_check *check, const char *dir, const char *to,
                                uint64_t *files, uint64_t *newest, struct fw_error *err)
{
    struct snapshot_list list;
    enum fw_status status = snapshot_list_read(check->directory.io, dir, &list, err);
    *files = list.n;
    *newest = list.n > 0 ? list.sequences[0] : 0;
    for (size_t i = list.n; i > 0 && status == FW_OK; i--)
        status = check_snapshot(check, dir, to, list.sequences[i - 1], err);
    fw_free(list.sequences);
    return status;
}

enum fw_status store_check_snapshots(struct store_check *check, struct fw_error *err)
{
    const struct store_directory *copy = check->copy;
    uint64_t files, unused; /* neither of these two goes with the journal */
    enum fw_status status =
        check_all(check, check->directory.snap, copy != NULL ? copy->snap : NULL,
                  &check->report->snapshots, &check->report->snapshot_sequence, err);
    if (status == FW_OK)
        status = check_all(check, check->directory.learned, copy != NULL ? copy->learned : NULL,
                           &files, &unused, err);
    if (status == FW_OK)
        status = check_all(check, check->directory.past, copy != NULL ? copy->past : NULL, &files,
                           &unused, err);
    return status;
}

/* ---- journal ---- */

enum fw_status store_check_journal(struct store_check *check, uint64_t covered_seq,
                                   store_journal_replay_fn replay, void *replay_ctx,
                                   struct fw_error *err)
{
    struct stat st;
    if (stat(check->directory.log, &st) < 0)
        return FW_OK; /* nothing was ever written */
    struct store_recovery recovery = {.io = check->directory.io,
                                      .dir = check->directory.log,
                                      .record_bytes_max = 64 << 20,
                                      .read_all = true,
                                      .missing_is_fine = !check->report->locked,
                                      .covered_seq = covered_seq,
                                      .replay = replay,
                                      .replay_ctx = replay_ctx,
                                      .finding = store_check_tell,
                                      .finding_ctx = check};
    const enum fw_status status = store_recover(&recovery, err);
    check->report->journal = recovery.report;
    fw_free(recovery.segments);
    return status;
}

/* ---- state and history ---- */

void store_check_row(void *ctx, const char *what)
{
    struct store_check *check = ctx;
    store_finding_tell(store_check_tell, check, "damaged-row", check->database, 0, 0,
                       "%s fails its checksum", what);
}

static enum fw_status check_database(struct store_check *check, const char *path, bool *present,
                                     uint64_t *damaged, struct fw_error *err)
{
    struct stat st;
    *present = stat(path, &st) == 0;
    if (!*present)
        return FW_OK;
    const struct store_state_options options = {.read_only = true,
                                                .integrity_bytes_max = UINT64_MAX};
    struct store_state_report found;
    struct store_state *state = NULL;
    struct fw_error why = {0};
    check->database = path;
    enum fw_status status = store_state_open(path, &options, &found, &state, &why);
    if (found.wal_lost_commits > 0)
        tell(check, "damaged-log", path, 0, 0,
             "the write-ahead log is damaged: later changes are gone");
    if (status == FW_OK)
        status = state_verify_rows(state, false, store_check_row, check, damaged, &why);
    store_state_close(state);
    if (status == FW_ECORRUPT) {
        tell(check, "damaged-state", path, 0, 0, why.text);
        return FW_OK;
    }
    return status == FW_OK ? FW_OK : fw_fail(err, status, "%s", why.text);
}

enum fw_status store_check(const char *path, store_finding_fn finding, void *ctx,
                           struct store_check_report *report, struct fw_error *err)
{
    memset(report, 0, sizeof *report);
    struct store_check check = {.report = report, .finding = finding, .finding_ctx = ctx};
    enum fw_status status =
        store_directory_init(&check.directory, path, NULL, STORE_DIRECTORY_EXISTING, err);
    report->locked = status == FW_OK;
    if (status == FW_EIO) /* a read-only file system can be checked all the same */
        status = store_directory_init(&check.directory, path, NULL, STORE_DIRECTORY_LOOK, err);
    if (status != FW_OK)
        return status;
    status = store_check_snapshots(&check, err);
    if (status == FW_OK)
        status = store_check_journal(&check, report->snapshot_sequence, NULL, NULL, err);
    if (status == FW_OK)
        status = check_database(&check, check.directory.state, &report->state_present,
                                &report->state_damaged_rows, err);
    if (status == FW_OK)
        status = check_database(&check, check.directory.history, &report->history_present,
                                &report->history_damaged_rows, err);
    store_directory_fini(&check.directory);
    return status;
}
