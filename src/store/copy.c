#include "store/check.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "store/check_internal.h"
#include "store/recover.h"
#include "store/snapshot_format.h"
#include "store/state_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEGMENT_BYTES = 64 << 20, BUFFER = 1 << 20 };

/* Writes whole records into new segments under their old sequences. Where some are missing a new
 * segment begins, and its header says that nothing was there: so the copy is clean by its own
 * account. */
struct record_copy {
    const struct store_io *io;
    const char *dir;
    int fd;
    uint64_t size_bytes; /* on the file and in the buffer */
    uint64_t last_seq;
    uint32_t marker;
    struct fw_rng rng;
    unsigned char *buffer;
    size_t buffered;
    int failure; /* -errno */
};

static int flush(struct record_copy *copy)
{
    int result = 0;
    if (copy->buffered > 0)
        result = store_io_write_full(copy->io, copy->fd, copy->buffer, copy->buffered,
                                     copy->size_bytes - copy->buffered);
    copy->buffered = 0;
    return result;
}

static int end_segment(struct record_copy *copy)
{
    if (copy->fd < 0)
        return 0;
    int result = flush(copy);
    if (result == 0)
        result = copy->io->sync_data(copy->io->ctx, copy->fd);
    const int closed = copy->io->close(copy->io->ctx, copy->fd);
    copy->fd = -1;
    return result == 0 ? closed : result;
}

static int begin_segment(struct record_copy *copy, uint64_t first_seq)
{
    char name[STORE_SEGMENT_NAME_MAX], path[STORE_PATH_MAX];
    int result = end_segment(copy);
    copy->marker = (uint32_t)fw_rng_next(&copy->rng) | 1;
    const struct store_segment_header header = {.first_seq = first_seq,
                                                .prev_seq = copy->last_seq,
                                                .session_seq = first_seq,
                                                .created_ms = fw_clock_wall_ms(fw_clock_system()),
                                                .marker = copy->marker};
    store_segment_name(name, first_seq, copy->marker);
    if (result == 0 && !store_io_path(path, sizeof path, copy->dir, name))
        result = -ENAMETOOLONG;
    if (result == 0) {
        copy->fd = copy->io->open(copy->io->ctx, path, O_WRONLY | O_CREAT | O_EXCL, 0600);
        result = copy->fd < 0 ? copy->fd : 0;
    }
    if (result == 0) {
        store_segment_header_encode(&header, copy->buffer);
        copy->buffered = STORE_SEGMENT_HEADER;
        copy->size_bytes = STORE_SEGMENT_HEADER;
    }
    return result;
}

static int write_record(struct record_copy *copy, uint64_t seq, const void *payload, size_t len)
{
    const size_t bytes = STORE_RECORD_HEADER + len;
    int result = 0;
    if (copy->fd < 0 || seq != copy->last_seq + 1 || copy->size_bytes + bytes > SEGMENT_BYTES)
        result = begin_segment(copy, seq);
    if (result == 0 && copy->buffered + bytes > BUFFER)
        result = flush(copy);
    unsigned char *record = copy->buffer + copy->buffered;
    if (result == 0 && bytes > BUFFER) { /* too long for the buffer, which is empty now */
        record = fw_malloc(bytes);
        if (record == NULL)
            return -ENOMEM;
    }
    if (result == 0) {
        memcpy(record + STORE_RECORD_HEADER, payload, len);
        store_record_seal(record, copy->marker, copy->size_bytes, seq, 0, len);
        if (bytes > BUFFER) {
            result = store_io_write_full(copy->io, copy->fd, record, bytes, copy->size_bytes);
            fw_free(record);
        } else {
            copy->buffered += bytes;
        }
        copy->size_bytes += bytes;
        copy->last_seq = seq;
    }
    return result;
}

static enum fw_status copy_record(void *ctx, uint64_t seq, const void *payload, size_t len)
{
    struct record_copy *copy = ctx;
    copy->failure = write_record(copy, seq, payload, len);
    if (copy->failure == 0)
        return FW_OK;
    return store_io_status(copy->failure) == FW_ENOSPC ? FW_ENOSPC : FW_EIO;
}

/* The sequence that the nth newest whole snapshot reaches; 0 when there are not so many. */
static enum fw_status covered_by(const struct store_directory *d, unsigned nth, uint64_t *seq,
                                 struct fw_error *err)
{
    struct snapshot_list list;
    unsigned whole = 0;
    *seq = 0;
    enum fw_status status = snapshot_list_read(d->io, d->snap, &list, err);
    for (size_t i = 0; i < list.n && status == FW_OK && whole < nth; i++) {
        char name[SNAPSHOT_NAME_MAX], path[STORE_PATH_MAX];
        struct snapshot_file file;
        snapshot_name(name, list.sequences[i]);
        if (!store_io_path(path, sizeof path, d->snap, name))
            continue;
        if (snapshot_file_open(&file, d->io, path, false, NULL) == FW_OK && file.index_whole &&
            ++whole == nth)
            *seq = list.sequences[i];
        snapshot_file_close(&file);
    }
    fw_free(list.sequences);
    return status;
}

static enum fw_status copy_journal(struct store_check *check, struct fw_error *err)
{
    const struct store_io *io = check->copy->io;
    struct record_copy copy = {.io = io, .dir = check->copy->log, .fd = -1};
    fw_rng_init(&copy.rng, fw_rng_entropy());
    copy.buffer = fw_malloc(BUFFER);
    if (copy.buffer == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory to copy the journal");
    uint64_t covered = 0;
    const int made = io->mkdir(io->ctx, copy.dir, 0700);
    enum fw_status status = FW_OK;
    if (made < 0)
        status = fw_fail(err, FW_EIO, "cannot make %s: %s", copy.dir, strerror(-made));
    if (status == FW_OK)
        status = covered_by(&check->directory, 1, &covered, err);
    if (status == FW_OK)
        status = store_check_journal(check, covered, copy_record, &copy, err);
    if (status != FW_OK && copy.failure < 0)
        status = fw_fail(err, status, "cannot write to %s: %s", copy.dir, strerror(-copy.failure));
    int ended = end_segment(&copy);
    if (ended == 0)
        ended = io->sync_dir(io->ctx, copy.dir);
    if (status == FW_OK && ended < 0)
        status = fw_fail(err, FW_EIO, "cannot write to %s: %s", copy.dir, strerror(-ended));
    fw_free(copy.buffer);
    return status;
}

/* A database as a whole when SQLite can read it; else its files are copied and rebuilt there. */
static enum fw_status copy_database(struct store_check *check, const char *from, const char *to,
                                    bool *present, uint64_t *damaged, struct fw_error *err)
{
    struct stat st;
    *present = stat(from, &st) == 0;
    if (!*present)
        return FW_OK;
    const struct store_state_options look = {.read_only = true, .integrity_bytes_max = UINT64_MAX};
    const struct store_state_options mend = {.quarantine_dir = check->copy->quarantine,
                                             .integrity_bytes_max = UINT64_MAX};
    struct store_state_report found;
    struct store_state *state = NULL;
    struct fw_error why = {0};
    check->database = from;
    enum fw_status status = store_state_open(from, &look, &found, &state, &why);
    /* A daemon's log grows while it is read: then its end proves nothing. */
    if (found.wal_lost_commits > 0 && check->report->locked)
        store_finding_tell(store_check_tell, check, "damaged-log", from, 0, 0,
                           "the write-ahead log is damaged: later changes are gone");
    if (status == FW_OK)
        status = store_state_backup(state, to, &why);
    store_state_close(state);
    if (status == FW_ECORRUPT) {
        store_finding_tell(store_check_tell, check, "damaged-state", from, 0, 0, "%s", why.text);
        (void)unlink(to);
        status = state_copy_files(from, to, &why);
    }
    state = NULL;
    if (status == FW_OK)
        status = store_state_open(to, &mend, &found, &state, &why);
    if (status == FW_OK)
        status = state_verify_rows(state, true, store_check_row, check, damaged, &why);
    store_state_close(state);
    return status == FW_OK ? FW_OK : fw_fail(err, status, "%s", why.text);
}

static enum fw_status copy_databases(struct store_check *check, struct fw_error *err)
{
    const struct store_directory *from = &check->directory, *to = check->copy;
    struct store_check_report *report = check->report;
    enum fw_status status = copy_database(check, from->state, to->state, &report->state_present,
                                          &report->state_damaged_rows, err);
    if (status == FW_OK)
        status = copy_database(check, from->history, to->history, &report->history_present,
                               &report->history_damaged_rows, err);
    return status;
}

enum fw_status store_copy(const char *path, const char *to, store_finding_fn finding, void *ctx,
                          struct store_check_report *report, struct fw_error *err)
{
    memset(report, 0, sizeof *report);
    struct store_directory target;
    struct store_check check = {
        .copy = &target, .report = report, .finding = finding, .finding_ctx = ctx};
    struct stat st;
    char format[STORE_PATH_MAX];
    if (store_io_path(format, sizeof format, to, "FORMAT") && stat(format, &st) == 0)
        return fw_fail(err, FW_EINVAL, "%s is a data directory already", to);
    enum fw_status status =
        store_directory_init(&check.directory, path, NULL, STORE_DIRECTORY_EXISTING, err);
    report->locked = status == FW_OK;
    if (status == FW_EBUSY || status == FW_EIO)
        status = store_directory_init(&check.directory, path, NULL, STORE_DIRECTORY_LOOK, err);
    if (status != FW_OK)
        return status;
    status = store_directory_init(&target, to, NULL, STORE_DIRECTORY_CREATE, err);
    if (status == FW_OK) {
        /* The journal first: whatever a running daemon lets go of meanwhile is covered by the
         * snapshots, which are copied after it. */
        status = copy_journal(&check, err);
        if (status == FW_OK)
            status = store_check_snapshots(&check, err);
        if (status == FW_OK)
            status = copy_databases(&check, err);
        store_directory_fini(&target);
    }
    store_directory_fini(&check.directory);
    return status;
}

/* ---- compact ---- */

static uint64_t file_bytes(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static enum fw_status compact_journal(const struct store_directory *d, uint64_t seq,
                                      struct store_compact_report *report, struct fw_error *err)
{
    struct stat st;
    if (seq == 0 || stat(d->log, &st) < 0)
        return FW_OK;
    struct store_recovery recovery = {
        .io = d->io, .dir = d->log, .record_bytes_max = 64 << 20, .replay_after_seq = seq};
    const enum fw_status status = store_recover(&recovery, err);
    for (size_t i = 0; status == FW_OK && i < recovery.n_segments; i++) {
        const struct store_segment_file *segment = &recovery.segments[i];
        char path[STORE_PATH_MAX];
        if (segment->last_seq > seq || !store_io_path(path, sizeof path, d->log, segment->name) ||
            d->io->unlink(d->io->ctx, path) < 0)
            continue;
        report->removed_segments++;
        report->removed_bytes += segment->size_bytes;
    }
    fw_free(recovery.segments);
    return status;
}

static enum fw_status compact_database(const char *path, const char *quarantine,
                                       struct fw_error *err)
{
    struct store_state *state = NULL;
    const struct store_state_options options = {.quarantine_dir = quarantine};
    enum fw_status status = store_state_open(path, &options, NULL, &state, err);
    if (status == FW_OK)
        status = store_state_compact(state, err);
    store_state_close(state);
    return status;
}

enum fw_status store_compact(const char *path, struct store_compact_report *report,
                             struct fw_error *err)
{
    struct store_directory d;
    memset(report, 0, sizeof *report);
    enum fw_status status = store_directory_init(&d, path, NULL, STORE_DIRECTORY_EXISTING, err);
    if (status != FW_OK)
        return status;
    uint64_t seq;
    status = covered_by(&d, STORE_SNAPSHOT_KEPT, &seq, err);
    if (status == FW_OK)
        status = compact_journal(&d, seq, report, err);
    report->state_bytes_before = file_bytes(d.state);
    report->history_bytes_before = file_bytes(d.history);
    if (status == FW_OK && report->state_bytes_before > 0)
        status = compact_database(d.state, d.quarantine, err);
    if (status == FW_OK && report->history_bytes_before > 0)
        status = compact_database(d.history, d.quarantine, err);
    report->state_bytes_after = file_bytes(d.state);
    report->history_bytes_after = file_bytes(d.history);
    store_directory_fini(&d);
    return status;
}
