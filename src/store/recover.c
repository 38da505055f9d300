#include "store/recover.h"

#include "base/alloc.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEGMENTS_MAX = 1 << 20 };

struct listing {
    struct store_recovery *recovery;
    size_t cap;
    bool out_of_memory;
};

static bool list_one(void *ctx, const char *name)
{
    struct listing *listing = ctx;
    struct store_recovery *r = listing->recovery;
    uint64_t first_seq;
    uint32_t marker;
    if (!store_segment_name_parse(name, &first_seq, &marker))
        return true; /* not ours: left alone */
    if (r->n_segments == listing->cap) {
        const size_t cap = listing->cap == 0 ? 16 : listing->cap * 2;
        struct store_segment_file *grown = NULL;
        if (cap <= SEGMENTS_MAX)
            grown = fw_realloc(r->segments, cap * sizeof *grown);
        if (grown == NULL) {
            listing->out_of_memory = true;
            return false;
        }
        r->segments = grown;
        listing->cap = cap;
    }
    struct store_segment_file *segment = &r->segments[r->n_segments++];
    memset(segment, 0, sizeof *segment);
    store_segment_name(segment->name, first_seq, marker);
    segment->first_seq = first_seq;
    segment->marker = marker;
    return true;
}

static int by_first_seq(const void *a, const void *b)
{
    const struct store_segment_file *left = a, *right = b;
    if (left->first_seq != right->first_seq)
        return left->first_seq < right->first_seq ? -1 : 1;
    return strcmp(left->name, right->name);
}

static enum fw_status open_segment(struct store_recovery *r, size_t index, int *fd,
                                   struct fw_error *err)
{
    char path[STORE_PATH_MAX];
    const struct store_segment_file *segment = &r->segments[index];
    *fd = -1;
    if (!store_io_path(path, sizeof path, r->dir, segment->name))
        return fw_fail(err, FW_EINVAL, "journal: the path of %s is too long", r->dir);
    *fd = r->io->open(r->io->ctx, path, r->repair ? O_RDWR : O_RDONLY, 0);
    if (*fd == -ENOENT && r->missing_is_fine)
        return FW_ENOTFOUND;
    if (*fd < 0)
        return fw_fail(err, FW_EIO, "journal: cannot open %s: %s", path, strerror(-*fd));
    return FW_OK;
}

/* The name has told first_seq and marker already; the header adds prev_seq and confirms them. */
static enum fw_status read_header(struct store_recovery *r, size_t index, struct fw_error *err)
{
    struct store_segment_file *segment = &r->segments[index];
    int fd;
    enum fw_status status = open_segment(r, index, &fd, err);
    if (status == FW_ENOTFOUND) {
        segment->gone = true;
        segment->prev_seq = segment->first_seq - 1;
        return FW_OK;
    }
    if (status != FW_OK)
        return status;
    assert(fd >= 0);
    unsigned char bytes[STORE_SEGMENT_HEADER];
    struct store_segment_header header;
    const int sized = r->io->size(r->io->ctx, fd, &segment->size_bytes);
    status = FW_ECORRUPT;
    if (sized == 0 && segment->size_bytes >= STORE_SEGMENT_HEADER &&
        store_io_read_full(r->io, fd, bytes, sizeof bytes, 0) == 0)
        status = store_segment_header_decode(bytes, &header);
    (void)r->io->close(r->io->ctx, fd);
    if (sized < 0)
        return fw_fail(err, FW_EIO, "journal: cannot read %s: %s", segment->name, strerror(-sized));
    if (status == FW_EVERSION)
        return fw_fail(err, FW_EVERSION, "journal: %s/%s was written by a later version", r->dir,
                       segment->name);
    segment->header_damaged = status != FW_OK || header.first_seq != segment->first_seq ||
                              header.marker != segment->marker;
    segment->session_seq = segment->header_damaged ? UINT64_MAX : header.session_seq;
    segment->prev_seq = segment->header_damaged ? segment->first_seq - 1 : header.prev_seq;
    return FW_OK;
}

/* The next segment that begins later, or NULL. Two segments may begin alike when one of them is
 * empty. */
static const struct store_segment_file *successor(const struct store_recovery *r, size_t index)
{
    for (size_t i = index + 1; i < r->n_segments; i++)
        if (r->segments[i].first_seq > r->segments[index].first_seq)
            return &r->segments[i];
    return NULL;
}

static enum fw_status list_segments(struct store_recovery *r, struct fw_error *err)
{
    struct listing listing = {.recovery = r};
    const int listed = r->io->list(r->io->ctx, r->dir, list_one, &listing);
    if (listed < 0)
        return fw_fail(err, FW_EIO, "journal: cannot list %s: %s", r->dir, strerror(-listed));
    if (listing.out_of_memory)
        return fw_fail(err, FW_ENOMEM, "journal: no memory for the segments of %s", r->dir);
    if (r->n_segments > 0)
        qsort(r->segments, r->n_segments, sizeof *r->segments, by_first_seq);
    for (size_t i = 0; i < r->n_segments; i++) {
        const enum fw_status status = read_header(r, i, err);
        if (status != FW_OK)
            return status;
        r->report.segments++;
        r->report.bytes += r->segments[i].size_bytes;
        if (r->segments[i].first_seq - 1 > r->last_seq)
            r->last_seq = r->segments[i].first_seq - 1;
    }
    for (size_t i = 0; i < r->n_segments; i++) {
        const struct store_segment_file *next = successor(r, i);
        r->segments[i].last_seq = next == NULL ? UINT64_MAX : next->first_seq - 1;
    }
    return FW_OK;
}

static void tell(struct store_recovery *r, const char *kind, uint64_t offset, uint64_t length,
                 const char *text)
{
    char path[STORE_PATH_MAX];
    if (store_io_path(path, sizeof path, r->dir, r->segments[r->current].name))
        store_finding_tell(r->finding, r->finding_ctx, kind, path, offset, length, "%s", text);
}

static void set_aside(struct store_recovery *r, uint64_t offset, uint64_t length)
{
    store_quarantine_range(&r->quarantine, r->segments[r->current].name, r->fd, offset, length);
}

/* Sequences (from, to] were acknowledged and are not there; those the snapshot covers do not
 * matter. */
static void count_lost(struct store_recovery *r, uint64_t from, uint64_t to)
{
    if (from < r->covered_seq)
        from = r->covered_seq;
    if (to <= from)
        return;
    r->report.lost_records += to - from;
    char text[120];
    snprintf(text, sizeof text, "records %" PRIu64 " to %" PRIu64 " are gone", from + 1, to);
    tell(r, "lost-records", 0, 0, text);
}

/* A gap inside the newest group is loss only if the group was finished, which a later group proves.
 */
static void keep_pending(struct store_recovery *r, uint64_t from, uint64_t to)
{
    if (from < r->covered_seq)
        from = r->covered_seq;
    if (to <= from)
        return;
    if (r->pending == 0)
        r->pending_from = from;
    r->pending_to = to;
    r->pending += to - from;
}

static void settle_pending(struct store_recovery *r, bool finished)
{
    if (r->pending == 0)
        return;
    if (finished && r->pending == r->pending_to - r->pending_from) {
        count_lost(r, r->pending_from, r->pending_to);
    } else if (finished) {
        /* Several gaps in one group: the sequences between them were found. */
        r->report.lost_records += r->pending;
        tell(r, "lost-records", 0, 0, "records of one group are gone");
    } else {
        r->report.uncertain_records += r->pending;
        tell(r, "unfinished-group", 0, 0, "a part of the last group written before a crash");
    }
    r->pending = 0;
}

static void note_gap(struct store_recovery *r, const struct store_segment_item *item)
{
    const uint64_t group_before = item->group_first - 1;
    if (item->group_first != r->group_first)
        settle_pending(r, true);
    r->group_first = item->group_first;
    if (group_before > r->seen) {
        count_lost(r, r->seen, group_before);
        keep_pending(r, group_before, item->seq - 1);
    } else {
        keep_pending(r, r->seen, item->seq - 1);
    }
}

static enum fw_status take_record(struct store_recovery *r, const struct store_segment_item *item)
{
    struct store_journal_report *report = &r->report;
    if (item->seq > r->last_seq)
        r->last_seq = item->seq; /* even a refused number is not used again */
    if (item->seq > r->limit) {
        report->refused_records++;
        return FW_OK;
    }
    if (item->seq <= r->seen) {
        report->stale_records++;
        return FW_OK;
    }
    note_gap(r, item);
    r->seen = r->acked_seq = item->seq;
    r->records_here++;
    report->records++;
    if (report->first_seq == 0)
        report->first_seq = item->seq;
    report->last_seq = item->seq;
    if (r->replay == NULL || item->seq <= r->replay_after_seq)
        return FW_OK;
    const enum fw_status status = r->replay(r->replay_ctx, item->seq, item->payload, item->len);
    if (status == FW_OK)
        report->replayed++;
    if (status != FW_ECORRUPT)
        return status;
    report->rejected_records++;
    tell(r, "rejected-record", item->offset, item->length,
         "whole, but its content is not understood");
    set_aside(r, item->offset, item->length);
    return FW_OK;
}

static void take_damage(struct store_recovery *r, const struct store_segment_item *item)
{
    r->report.damaged_regions++;
    r->report.damaged_bytes += item->length;
    tell(r, "damaged-record", item->offset, item->length, "bytes that are no record");
    set_aside(r, item->offset, item->length);
}

static enum fw_status take_item(void *ctx, const struct store_segment_item *item)
{
    struct store_recovery *r = ctx;
    if (item->kind == STORE_SEGMENT_RECORD)
        return take_record(r, item);
    /* The next segment begins after a failed write or sync: everything acknowledged has been seen,
     * and what follows was refused. It may be anything. */
    const bool newest = r->segments[r->current].last_seq == UINT64_MAX;
    if (!newest && r->seen >= r->limit)
        return FW_OK;
    if (item->kind == STORE_SEGMENT_DAMAGE || !newest) {
        take_damage(r, item);
        return FW_OK;
    }
    r->cut_at = item->offset;
    if (!item->zeros || !r->zeros_expected) {
        r->report.torn_bytes += item->length;
        tell(r, "torn-tail", item->offset, item->length, "an unfinished write at the end");
        set_aside(r, item->offset, item->length);
    }
    return FW_OK;
}

static enum fw_status cut_tail(struct store_recovery *r, struct fw_error *err)
{
    struct store_segment_file *segment = &r->segments[r->current];
    int result = r->io->truncate(r->io->ctx, r->fd, r->cut_at);
    if (result == 0)
        result = r->io->sync_data(r->io->ctx, r->fd);
    if (result < 0)
        return fw_fail(err, FW_EIO, "journal: cannot cut the torn tail of %s/%s: %s", r->dir,
                       segment->name, strerror(-result));
    segment->size_bytes = r->cut_at;
    return FW_OK;
}

static void note_header(struct store_recovery *r)
{
    struct store_segment_file *segment = &r->segments[r->current];
    segment->empty = r->records_here == 0 && segment->size_bytes <= STORE_SEGMENT_HEADER;
    if (!segment->header_damaged)
        return;
    const uint64_t length =
        segment->size_bytes < STORE_SEGMENT_HEADER ? segment->size_bytes : STORE_SEGMENT_HEADER;
    if (segment->empty && segment->last_seq == UINT64_MAX) {
        /* A crash while the segment was made: nothing in it was ever acknowledged. */
        r->report.torn_bytes += length;
        if (length > 0)
            tell(r, "torn-tail", 0, length, "a segment that was never finished");
        return;
    }
    if (segment->empty && length == 0)
        return;
    r->report.damaged_headers++;
    r->report.damaged_bytes += length;
    tell(r, "damaged-header", 0, length, "the segment header; its name says the same");
    set_aside(r, 0, length);
}

/* Loss before this segment: what it says was acknowledged earlier against what was seen. */
static void enter_segment(struct store_recovery *r, bool first)
{
    const struct store_segment_file *segment = &r->segments[r->current];
    const struct store_segment_file *next = successor(r, r->current);
    r->limit = next == NULL || next->header_damaged ? UINT64_MAX : next->prev_seq;
    r->cut_at = 0;
    r->records_here = 0;
    if (first && segment->prev_seq > r->covered_seq) {
        r->report.missing_from = r->covered_seq + 1;
        r->report.missing_to = segment->prev_seq;
        tell(r, "missing-segments", 0, 0, "the records before this segment are not there");
    }
    /* An empty file that begins alike (its removal was lost in a crash) says nothing about what
     * came after it. */
    if (segment->first_seq > r->group_first)
        settle_pending(r, segment->session_seq <= r->group_first);
    if (!first && !segment->header_damaged)
        count_lost(r, r->seen, segment->prev_seq);
    /* Without a header nobody knows what was acknowledged; a newest file with nothing in it was
     * never finished. */
    if (!first && segment->header_damaged && segment->size_bytes > STORE_SEGMENT_HEADER) {
        keep_pending(r, r->seen, segment->first_seq - 1);
        settle_pending(r, false);
    }
    if (!segment->header_damaged && r->acked_seq < segment->prev_seq)
        r->acked_seq = segment->prev_seq;
    if (r->seen < segment->first_seq - 1)
        r->seen = segment->first_seq - 1;
}

static enum fw_status read_segment(struct store_recovery *r, size_t index, bool first,
                                   struct fw_error *err)
{
    r->current = index;
    enter_segment(r, first);
    enum fw_status status = open_segment(r, index, &r->fd, err);
    if (status != FW_OK)
        return status;
    struct store_segment_scan scan = {.io = r->io,
                                      .fd = r->fd,
                                      .size_bytes = r->segments[index].size_bytes,
                                      .marker = r->segments[index].marker,
                                      .record_bytes_max = r->record_bytes_max,
                                      .checksums_off = r->checksums_off};
    status = store_segment_scan(&scan, take_item, r);
    if (status != FW_OK)
        (void)fw_fail(err, status, "journal: reading %s/%s stopped: %s", r->dir,
                      r->segments[index].name, fw_status_name(status));
    if (status == FW_OK && r->cut_at != 0 && r->repair)
        status = cut_tail(r, err);
    if (status == FW_OK)
        note_header(r);
    (void)r->io->close(r->io->ctx, r->fd);
    return status;
}

enum fw_status store_recover(struct store_recovery *r, struct fw_error *err)
{
    memset(&r->report, 0, sizeof r->report);
    if (r->covered_seq < r->replay_after_seq)
        r->covered_seq = r->replay_after_seq;
    r->segments = NULL;
    r->n_segments = 0;
    r->last_seq = r->acked_seq = r->seen = 0;
    r->pending = r->group_first = 0;
    enum fw_status status = list_segments(r, err);
    bool first = true;
    for (size_t i = 0; status == FW_OK && i < r->n_segments; i++) {
        /* Whole segments below the snapshot need no reading. */
        if (r->segments[i].gone || (r->segments[i].last_seq <= r->replay_after_seq && !r->read_all))
            continue;
        status = read_segment(r, i, first, err);
        if (status == FW_ENOTFOUND)
            status = FW_OK;
        first = false;
    }
    settle_pending(r, false);
    r->report.quarantined_bytes = r->quarantine.bytes;
    r->report.quarantine_skipped_bytes = r->quarantine.skipped;
    if (status != FW_OK) {
        fw_free(r->segments);
        r->segments = NULL;
        r->n_segments = 0;
    }
    return status;
}
