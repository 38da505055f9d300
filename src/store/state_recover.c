#include "store/state_internal.h"

#include "base/alloc.h"
#include "store/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- the write-ahead log, read before SQLite does (format: sqlite.org/fileformat2.html, section
 * 4) ----
 *
 * SQLite stops at the first frame whose running checksum is wrong and says nothing: one flipped bit
 * takes every later commit with it. A crash can only leave one unfinished commit behind that point,
 * because each commit is synced before the next one begins; so two or more commit frames behind it
 * are loss. */

enum { WAL_HEADER = 32, FRAME_HEADER = 24, PAGE_MAX = 65536 };

struct wal {
    unsigned char header[WAL_HEADER];
    uint32_t page_bytes;
    bool big_endian; /* of the words the checksum adds up */
    uint32_t sum[2];
};

static uint32_t be32(const unsigned char *in)
{
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | (uint32_t)in[3];
}

static uint32_t le32(const unsigned char *in)
{
    return (uint32_t)in[3] << 24 | (uint32_t)in[2] << 16 | (uint32_t)in[1] << 8 | (uint32_t)in[0];
}

static void wal_sum(struct wal *wal, const unsigned char *bytes, size_t len)
{
    for (size_t i = 0; i + 8 <= len; i += 8) {
        const uint32_t a = wal->big_endian ? be32(bytes + i) : le32(bytes + i);
        const uint32_t b = wal->big_endian ? be32(bytes + i + 4) : le32(bytes + i + 4);
        wal->sum[0] += a + wal->sum[1];
        wal->sum[1] += b + wal->sum[0];
    }
}

/* Whether SQLite will believe the header. The page size is filled in either way, if it can be one.
 */
static bool wal_header(struct wal *wal)
{
    const uint32_t magic = be32(wal->header);
    wal->big_endian = (magic & 1) != 0;
    wal->page_bytes = be32(wal->header + 8);
    wal_sum(wal, wal->header, 24);
    return (magic & ~1u) == 0x377f0682 && wal->sum[0] == be32(wal->header + 24) &&
           wal->sum[1] == be32(wal->header + 28);
}

static bool frame_follows(struct wal *wal, const unsigned char *frame)
{
    wal_sum(wal, frame, 8);
    wal_sum(wal, frame + FRAME_HEADER, wal->page_bytes);
    return wal->sum[0] == be32(frame + 16) && wal->sum[1] == be32(frame + 20);
}

void state_wal_check(const char *path, struct store_state_report *report)
{
    char log[STORE_PATH_MAX + 8];
    const int n = snprintf(log, sizeof log, "%s-wal", path);
    FILE *file = n > 0 && (size_t)n < sizeof log ? fopen(log, "rb") : NULL;
    if (file == NULL)
        return;
    struct wal wal = {0};
    unsigned char *frame = fw_malloc(FRAME_HEADER + PAGE_MAX);
    uint64_t behind = 0;
    if (frame != NULL && fread(wal.header, 1, WAL_HEADER, file) == WAL_HEADER) {
        bool whole = wal_header(&wal);
        const bool believed = whole;
        unsigned char salts[8];
        memcpy(salts, wal.header + 16, sizeof salts);
        if (wal.page_bytes < 512 || wal.page_bytes > PAGE_MAX)
            wal.page_bytes = 4096;
        const size_t frame_bytes = FRAME_HEADER + wal.page_bytes;
        bool first = true;
        while (fread(frame, 1, frame_bytes, file) == frame_bytes) {
            /* A damaged header cannot be asked for the salts; then the first frame is. */
            if (first && !believed)
                memcpy(salts, frame + 8, sizeof salts);
            first = false;
            const bool current = memcmp(frame + 8, salts, sizeof salts) == 0;
            whole = whole && current && frame_follows(&wal, frame);
            if (!current || be32(frame + 4) == 0)
                continue;
            report->wal_commits++;
            behind += !whole;
        }
        /* Behind a header that SQLite throws away, nothing is a torn end. */
        if (behind == 1 && believed)
            report->wal_torn = true;
        else
            report->wal_lost_commits = behind;
    }
    fw_free(frame);
    fclose(file);
}

/* ---- setting files aside ---- */

static enum fw_status copy_file(const char *from, const char *to, struct fw_error *err)
{
    const struct store_io *io = store_io_system();
    const int in = io->open(io->ctx, from, O_RDONLY, 0);
    if (in < 0)
        return in == -ENOENT ? FW_OK : fw_fail(err, FW_EIO, "state: cannot read %s", from);
    const int out = io->open(io->ctx, to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int result = out < 0 ? out : 0;
    unsigned char piece[16384];
    uint64_t at = 0;
    while (result == 0) {
        const ssize_t n = io->read_at(io->ctx, in, piece, sizeof piece, at);
        if (n <= 0) {
            result = (int)n;
            break;
        }
        result = store_io_write_full(io, out, piece, (size_t)n, at);
        at += (uint64_t)n;
    }
    if (result == 0)
        result = io->sync_data(io->ctx, out);
    if (out >= 0)
        (void)io->close(io->ctx, out);
    (void)io->close(io->ctx, in);
    if (result == 0)
        return FW_OK;
    return fw_fail(err, store_io_status(result) == FW_ENOSPC ? FW_ENOSPC : FW_EIO,
                   "state: cannot set %s aside: %s", from, strerror(-result));
}

static enum fw_status one_aside(const char *path, const char *to, const char *suffix, bool move,
                                struct fw_error *err)
{
    char source[STORE_PATH_MAX + 8], target[STORE_PATH_MAX + 8];
    if (snprintf(source, sizeof source, "%s%s", path, suffix) >= (int)sizeof source ||
        snprintf(target, sizeof target, "%s%s", to, suffix) >= (int)sizeof target)
        return fw_fail(err, FW_EINVAL, "state: the path of %s is too long", path);
    if (!move)
        return copy_file(source, target, err);
    if (rename(source, target) < 0 && errno != ENOENT)
        return fw_fail(err, FW_EIO, "state: cannot move %s: %s", source, strerror(errno));
    return FW_OK;
}

enum fw_status state_copy_files(const char *from, const char *to, struct fw_error *err)
{
    enum fw_status status = one_aside(from, to, "", false, err);
    if (status == FW_OK)
        status = one_aside(from, to, "-wal", false, err);
    return status;
}

enum fw_status state_set_aside(const char *path, const struct store_state_options *options,
                               bool move, struct store_state_report *report, struct fw_error *err)
{
    const struct fw_clock *clock = options->clock != NULL ? options->clock : fw_clock_system();
    const long long now = (long long)fw_clock_wall_ms(clock);
    const struct store_io *io = store_io_system();
    int n;
    if (options->quarantine_dir != NULL) {
        (void)io->mkdir(io->ctx, options->quarantine_dir, 0700);
        n = snprintf(report->copy_path, sizeof report->copy_path, "%s/state-%lld.db",
                     options->quarantine_dir, now);
    } else {
        n = snprintf(report->copy_path, sizeof report->copy_path, "%s.damaged-%lld", path, now);
    }
    if (n < 0 || (size_t)n >= sizeof report->copy_path)
        return fw_fail(err, FW_EINVAL, "state: the path of %s is too long", path);
    enum fw_status status = one_aside(path, report->copy_path, "", move, err);
    if (status == FW_OK)
        status = one_aside(path, report->copy_path, "-wal", move, err);
    if (move) {
        char shm[STORE_PATH_MAX + 8];
        snprintf(shm, sizeof shm, "%s-shm", path);
        (void)unlink(shm); /* an index of the log, made anew by whoever opens it */
    }
    if (status != FW_OK)
        report->copy_path[0] = '\0';
    return status;
}

/* ---- reading a damaged database ---- */

static void take_blob(struct store_state *state, sqlite3_stmt *row,
                      struct store_state_report *report)
{
    const char *ns = (const char *)sqlite3_column_text(row, 1);
    const char *key = (const char *)sqlite3_column_text(row, 2);
    const void *data = sqlite3_column_blob(row, 4);
    const size_t len = (size_t)sqlite3_column_bytes(row, 4);
    if (ns == NULL || key == NULL ||
        (uint32_t)sqlite3_column_int64(row, 3) != state_blob_crc(ns, key, data, len) ||
        store_state_put(state, ns, key, data, len, NULL) != FW_OK)
        report->damaged_rows++;
    else
        report->salvaged_rows++;
}

static void take_event(struct store_state *state, sqlite3_stmt *row,
                       struct store_state_report *report)
{
    const char *kind = (const char *)sqlite3_column_text(row, 1);
    const char *subject = (const char *)sqlite3_column_text(row, 3);
    const int64_t time_ms = sqlite3_column_int64(row, 2);
    const void *data = sqlite3_column_blob(row, 5);
    const size_t len = (size_t)sqlite3_column_bytes(row, 5);
    sqlite3_stmt *insert = NULL;
    bool ok = kind != NULL && subject != NULL &&
              (uint32_t)sqlite3_column_int64(row, 4) ==
                  state_event_crc(kind, time_ms, subject, data, len);
    /* With its old number: others may have kept it. */
    ok = ok &&
         sqlite3_prepare_v2(state->db,
                            "INSERT OR REPLACE INTO event(id, kind, time_ms, subject, crc, data)"
                            " VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
                            -1, &insert, NULL) == SQLITE_OK;
    if (ok) {
        sqlite3_bind_int64(insert, 1, sqlite3_column_int64(row, 0));
        sqlite3_bind_text(insert, 2, kind, -1, SQLITE_STATIC);
        sqlite3_bind_int64(insert, 3, time_ms);
        sqlite3_bind_text(insert, 4, subject, -1, SQLITE_STATIC);
        sqlite3_bind_int64(insert, 5, sqlite3_column_int64(row, 4));
        sqlite3_bind_blob64(insert, 6, len > 0 ? data : "", len, SQLITE_STATIC);
        ok = sqlite3_step(insert) == SQLITE_DONE;
        sqlite3_finalize(insert);
    }
    if (ok)
        report->salvaged_rows++;
    else
        report->damaged_rows++;
}

/* Follows the table from one end until damage stops it. Returns whether it came to the other end;
 * *last is the highest row id seen. */
static bool
read_rows(struct store_state *state, sqlite3 *from, const char *text, int64_t above, int64_t *last,
          void (*take)(struct store_state *, sqlite3_stmt *, struct store_state_report *),
          struct store_state_report *report)
{
    sqlite3_stmt *rows = NULL;
    int code = sqlite3_prepare_v2(from, text, -1, &rows, NULL);
    if (code == SQLITE_OK)
        sqlite3_bind_int64(rows, 1, above);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(rows);
        if (code != SQLITE_ROW)
            break;
        const int64_t id = sqlite3_column_int64(rows, 0);
        if (id > *last)
            *last = id;
        take(state, rows, report);
    }
    sqlite3_finalize(rows);
    return code == SQLITE_DONE;
}

void state_salvage(struct store_state *state, const char *from, struct store_state_report *report)
{
    sqlite3 *damaged = NULL;
    if (sqlite3_open_v2(from, &damaged, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
        store_state_begin(state, NULL) == FW_OK) {
        /* Forwards as far as it goes, then backwards from the end down to there. */
        int64_t last = INT64_MIN, ignored = INT64_MIN;
        if (!read_rows(state, damaged,
                       "SELECT id, ns, key, crc, data FROM blob WHERE id > ?1 ORDER BY id",
                       INT64_MIN, &last, take_blob, report))
            (void)read_rows(
                state, damaged,
                "SELECT id, ns, key, crc, data FROM blob WHERE id > ?1 ORDER BY id DESC", last,
                &ignored, take_blob, report);
        last = ignored = INT64_MIN;
        if (!read_rows(
                state, damaged,
                "SELECT id, kind, time_ms, subject, crc, data FROM event WHERE id > ?1 ORDER BY id",
                INT64_MIN, &last, take_event, report))
            (void)read_rows(state, damaged,
                            "SELECT id, kind, time_ms, subject, crc, data FROM event WHERE id > ?1 "
                            "ORDER BY id DESC",
                            last, &ignored, take_event, report);
        if (store_state_commit(state, NULL) != FW_OK)
            report->salvaged_rows = 0;
    }
    sqlite3_close(damaged);
}

/* ---- checking every row ---- */

static bool blob_is_whole(sqlite3_stmt *row)
{
    const char *ns = (const char *)sqlite3_column_text(row, 1);
    const char *key = (const char *)sqlite3_column_text(row, 2);
    const void *data = sqlite3_column_blob(row, 4);
    return ns != NULL && key != NULL &&
           (uint32_t)sqlite3_column_int64(row, 3) ==
               state_blob_crc(ns, key, data, (size_t)sqlite3_column_bytes(row, 4));
}

static bool event_is_whole(sqlite3_stmt *row)
{
    const char *kind = (const char *)sqlite3_column_text(row, 1);
    const char *subject = (const char *)sqlite3_column_text(row, 3);
    const void *data = sqlite3_column_blob(row, 5);
    return kind != NULL && subject != NULL &&
           (uint32_t)sqlite3_column_int64(row, 4) ==
               state_event_crc(kind, sqlite3_column_int64(row, 2), subject, data,
                               (size_t)sqlite3_column_bytes(row, 5));
}

static void name_blob(sqlite3_stmt *row, char *out, size_t size)
{
    const char *ns = (const char *)sqlite3_column_text(row, 1);
    const char *key = (const char *)sqlite3_column_text(row, 2);
    snprintf(out, size, "blob %.40s/%.160s", ns == NULL ? "?" : ns, key == NULL ? "?" : key);
}

static void name_event(sqlite3_stmt *row, char *out, size_t size)
{
    snprintf(out, size, "event %lld", (long long)sqlite3_column_int64(row, 0));
}

static const struct table {
    const char *select, *remove;
    bool (*whole)(sqlite3_stmt *row);
    void (*name)(sqlite3_stmt *row, char *out, size_t size);
} tables[] = {
    {"SELECT id, ns, key, crc, data FROM blob ORDER BY id",                 "DELETE FROM blob WHERE id = ?1",
     blob_is_whole,                                                                                                           name_blob },
    {"SELECT id, kind, time_ms, subject, crc, data FROM event ORDER BY id",
     "DELETE FROM event WHERE id = ?1",                                                                       event_is_whole, name_event},
};

static void tell_damage(const struct table *table, sqlite3_stmt *row, state_damaged_fn tell,
                        void *ctx)
{
    char what[256];
    if (tell == NULL)
        return;
    table->name(row, what, sizeof what);
    for (char *c = what; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f)
            *c = '?'; /* it may be the name that is damaged */
    tell(ctx, what);
}

static enum fw_status verify_table(struct store_state *state, const struct table *table, bool drop,
                                   state_damaged_fn tell, void *ctx, uint64_t *damaged,
                                   struct fw_error *err)
{
    sqlite3_stmt *rows = NULL, *removal = NULL;
    int code = sqlite3_prepare_v2(state->db, table->select, -1, &rows, NULL);
    if (code == SQLITE_OK && drop)
        code = sqlite3_prepare_v2(state->db, table->remove, -1, &removal, NULL);
    while (code == SQLITE_OK && sqlite3_step(rows) == SQLITE_ROW) {
        if (table->whole(rows))
            continue;
        ++*damaged;
        tell_damage(table, rows, tell, ctx);
        if (!drop)
            continue;
        sqlite3_bind_int64(removal, 1, sqlite3_column_int64(rows, 0));
        if (sqlite3_step(removal) != SQLITE_DONE)
            code = sqlite3_errcode(state->db);
        sqlite3_reset(removal);
    }
    if (code == SQLITE_OK)
        code = sqlite3_reset(rows); /* tells how the walk ended */
    const enum fw_status status =
        code == SQLITE_OK ? FW_OK : state_fail(state->db, code, "check", err);
    sqlite3_finalize(rows);
    sqlite3_finalize(removal);
    return status;
}

enum fw_status state_verify_rows(struct store_state *state, bool drop, state_damaged_fn tell,
                                 void *ctx, uint64_t *damaged, struct fw_error *err)
{
    enum fw_status status = FW_OK;
    *damaged = 0;
    pthread_mutex_lock(&state->lock);
    for (size_t i = 0; i < COUNT(tables) && status == FW_OK; i++)
        status = verify_table(state, &tables[i], drop, tell, ctx, damaged, err);
    pthread_mutex_unlock(&state->lock);
    return status;
}
