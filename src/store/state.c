#include "store/state.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/log.h"
#include "store/state_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const sql[STATE_STATEMENTS] = {
    [STATE_BEGIN] = "BEGIN IMMEDIATE",
    [STATE_COMMIT] = "COMMIT",
    [STATE_ROLLBACK] = "ROLLBACK",
    [STATE_PUT] = "INSERT INTO blob(ns, key, crc, data) VALUES(?1, ?2, ?3, ?4) "
                  "ON CONFLICT(ns, key) DO UPDATE SET crc = excluded.crc, data = excluded.data",
    [STATE_GET] = "SELECT crc, data FROM blob WHERE ns = ?1 AND key = ?2",
    [STATE_DELETE] = "DELETE FROM blob WHERE ns = ?1 AND key = ?2",
    [STATE_RANGE_EACH] = "SELECT key, crc, data FROM blob WHERE ns = ?1 AND key >= ?2 AND key < ?3 "
                         "ORDER BY key",
    [STATE_RANGE_DELETE] = "DELETE FROM blob WHERE id IN (SELECT id FROM blob WHERE ns = ?1 AND "
                           "key >= ?2 AND key < ?3 ORDER BY key LIMIT ?4)",
    [STATE_RANGE_COUNT] = "SELECT count(*) FROM blob WHERE ns = ?1 AND key >= ?2 AND key < ?3",
    [STATE_EVENT_APPEND] =
        "INSERT INTO event(kind, time_ms, subject, crc, data) VALUES(?1, ?2, ?3, ?4, ?5)",
    [STATE_EVENT_NAMES] = "SELECT kind, time_ms, subject FROM event WHERE id = ?1",
    [STATE_EVENT_UPDATE] = "UPDATE event SET crc = ?2, data = ?3 WHERE id = ?1",
    [STATE_EVENT_OLDEST] = "SELECT id, time_ms, subject, crc, data FROM event WHERE kind = ?1 AND "
                           "time_ms >= ?2 AND time_ms < ?3 ORDER BY time_ms, id LIMIT ?4",
    [STATE_EVENT_NEWEST] =
        "SELECT id, time_ms, subject, crc, data FROM event WHERE kind = ?1 AND time_ms >= ?2 AND "
        "time_ms < ?3 ORDER BY time_ms DESC, id DESC LIMIT ?4",
    [STATE_EVENT_SUBJECT_OLDEST] =
        "SELECT id, time_ms, subject, crc, data FROM event WHERE kind = ?1 AND time_ms >= ?2 AND "
        "time_ms < ?3 AND subject = ?5 ORDER BY time_ms, id LIMIT ?4",
    [STATE_EVENT_SUBJECT_NEWEST] =
        "SELECT id, time_ms, subject, crc, data FROM event WHERE kind = ?1 AND time_ms >= ?2 AND "
        "time_ms < ?3 AND subject = ?5 ORDER BY time_ms DESC, id DESC LIMIT ?4",
    [STATE_EVENT_PRUNE] = "DELETE FROM event WHERE kind = ?1 AND time_ms < ?2",
    [STATE_EVENT_TRIM] = "DELETE FROM event WHERE kind = ?1 AND (time_ms, id) <= (SELECT time_ms, "
                         "id FROM event WHERE "
                         "kind = ?1 ORDER BY time_ms DESC, id DESC LIMIT 1 OFFSET ?2)",
};

/* Version n is reached by running migrations[n - 1]. Never edited once released: a change is a new
 * row. */
static const struct {
    const char *name;
    const char *sql;
} migrations[STATE_SCHEMA_VERSION] = {
    {"blobs and events",
     "CREATE TABLE blob(id INTEGER PRIMARY KEY, ns TEXT NOT NULL, key TEXT NOT NULL,"
     " crc INTEGER NOT NULL, data BLOB NOT NULL, UNIQUE(ns, key));"
     "CREATE TABLE event(id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL,"
     " time_ms INTEGER NOT NULL, subject TEXT NOT NULL, crc INTEGER NOT NULL, data BLOB NOT NULL);"
     "CREATE INDEX event_by_time ON event(kind, time_ms, id);"
     "CREATE INDEX event_by_subject ON event(kind, subject, time_ms, id);"},
};

enum fw_status state_fail(sqlite3 *db, int code, const char *what, struct fw_error *err)
{
    enum fw_status status;
    switch (code & 0xff) {
    case SQLITE_FULL:
        status = FW_ENOSPC;
        break;
    case SQLITE_IOERR:
        status = db != NULL && sqlite3_system_errno(db) == ENOSPC ? FW_ENOSPC : FW_EIO;
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        status = FW_EBUSY;
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        status = FW_ECORRUPT;
        break;
    case SQLITE_NOMEM:
        status = FW_ENOMEM;
        break;
    case SQLITE_TOOBIG:
        status = FW_ELIMIT;
        break;
    default:
        status = FW_EIO;
    }
    return fw_fail(err, status, "state: %s: %s", what,
                   db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(code));
}

sqlite3_stmt *state_use(struct store_state *state, enum state_statement which, const char *what,
                        enum fw_status *status, struct fw_error *err)
{
    pthread_mutex_lock(&state->lock);
    sqlite3_stmt **slot = &state->statements[which];
    *status = FW_OK;
    if (*slot == NULL) {
        const int code =
            sqlite3_prepare_v3(state->db, sql[which], -1, SQLITE_PREPARE_PERSISTENT, slot, NULL);
        if (code != SQLITE_OK)
            *status = state_fail(state->db, code, what, err);
    }
    if (*status == FW_OK)
        return *slot;
    pthread_mutex_unlock(&state->lock);
    return NULL;
}

void state_done(struct store_state *state, sqlite3_stmt *statement)
{
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    pthread_mutex_unlock(&state->lock);
}

uint32_t state_blob_crc(const char *ns, const char *key, const void *data, size_t len)
{
    uint32_t crc = fw_crc32c(0, ns, strlen(ns) + 1);
    crc = fw_crc32c(crc, key, strlen(key) + 1);
    return fw_crc32c(crc, data, len);
}

uint32_t state_event_crc(const char *kind, int64_t time_ms, const char *subject, const void *data,
                         size_t len)
{
    uint32_t crc = fw_crc32c(0, kind, strlen(kind) + 1);
    crc = fw_crc32c(crc, subject, strlen(subject) + 1);
    crc = fw_crc32c(crc, &time_ms, sizeof time_ms);
    return fw_crc32c(crc, data, len);
}

/* ---- opening ---- */

static enum fw_status run(struct store_state *state, const char *text, const char *what,
                          struct fw_error *err)
{
    const int code = sqlite3_exec(state->db, text, NULL, NULL, NULL);
    return code == SQLITE_OK ? FW_OK : state_fail(state->db, code, what, err);
}

static enum fw_status query_number(struct store_state *state, const char *text, const char *what,
                                   int64_t *value, struct fw_error *err)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(state->db, text, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *value = sqlite3_column_int64(statement, 0);
    const enum fw_status status =
        code == SQLITE_ROW ? FW_OK : state_fail(state->db, code, what, err);
    sqlite3_finalize(statement);
    return status;
}

static enum fw_status migrate(struct store_state *state, int64_t from, struct fw_error *err)
{
    enum fw_status status = run(state,
                                "CREATE TABLE IF NOT EXISTS migration(version INTEGER PRIMARY KEY,"
                                " applied_ms INTEGER NOT NULL, name TEXT NOT NULL)",
                                "migrate", err);
    for (int64_t version = from; status == FW_OK && version < STATE_SCHEMA_VERSION; version++) {
        char note[256];
        snprintf(
            note, sizeof note,
            "INSERT INTO migration VALUES(%lld, %lld, '%s'); PRAGMA user_version = %lld; COMMIT",
            (long long)version + 1, (long long)fw_clock_wall_ms(state->clock),
            migrations[version].name, (long long)version + 1);
        status = run(state, "BEGIN IMMEDIATE", "migrate", err);
        if (status == FW_OK)
            status = run(state, migrations[version].sql, "migrate", err);
        if (status == FW_OK)
            status = run(state, note, "migrate", err);
        if (status != FW_OK)
            (void)sqlite3_exec(state->db, "ROLLBACK", NULL, NULL, NULL);
    }
    return status;
}

static enum fw_status integrity(struct store_state *state, struct fw_error *err)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(state->db, "PRAGMA quick_check(1)", -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    enum fw_status status = FW_OK;
    if (code != SQLITE_ROW) {
        status = state_fail(state->db, code, "integrity check", err);
    } else {
        const char *answer = (const char *)sqlite3_column_text(statement, 0);
        if (answer == NULL || strcmp(answer, "ok") != 0)
            status = fw_fail(err, FW_ECORRUPT, "state: integrity check: %s",
                             answer == NULL ? "no answer" : answer);
    }
    sqlite3_finalize(statement);
    return status;
}

static enum fw_status prepare(struct store_state *state, const struct store_state_options *options,
                              bool check, struct fw_error *err)
{
    int64_t version = 0;
    sqlite3_busy_timeout(state->db, 5000);
    enum fw_status status = FW_OK;
    if (!options->read_only)
        status = run(state,
                     "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                     "PRAGMA wal_autocheckpoint = 256; PRAGMA journal_size_limit = 4194304",
                     "open", err);
    if (status == FW_OK && options->page_count_max > 0) {
        char limit[64];
        snprintf(limit, sizeof limit, "PRAGMA max_page_count = %llu",
                 (unsigned long long)options->page_count_max);
        status = run(state, limit, "open", err);
    }
    if (status == FW_OK)
        status = query_number(state, "PRAGMA user_version", "open", &version, err);
    if (status == FW_OK && (version < 0 || version > STATE_SCHEMA_VERSION))
        status = fw_fail(err, FW_EVERSION, "state: schema version %lld is of a later program",
                         (long long)version);
    if (status == FW_OK && check)
        status = integrity(state, err);
    if (status == FW_OK && version < STATE_SCHEMA_VERSION)
        status = options->read_only ? fw_fail(err, FW_EVERSION, "state: the schema is not complete")
                                    : migrate(state, version, err);
    return status;
}

static enum fw_status open_database(const char *path, const struct store_state_options *options,
                                    bool check, struct store_state **out, struct fw_error *err)
{
    *out = NULL;
    struct store_state *state = fw_calloc(1, sizeof *state);
    if (state == NULL)
        return fw_fail(err, FW_ENOMEM, "state: no memory to open %s", path);
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&state->lock, &attributes);
    pthread_mutexattr_destroy(&attributes);
    state->clock = options->clock != NULL ? options->clock : fw_clock_system();
    const int flags =
        options->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    const int code = sqlite3_open_v2(path, &state->db, flags | SQLITE_OPEN_FULLMUTEX, NULL);
    enum fw_status status = FW_OK;
    if (code != SQLITE_OK)
        status = state_fail(state->db, code, path, err);
    if (status == FW_OK)
        status = prepare(state, options, check, err);
    if (status == FW_OK)
        *out = state;
    else
        store_state_close(state);
    return status;
}

/* Sets the damaged file aside, makes a new one, and copies what can be read. */
static enum fw_status rebuild(const char *path, const struct store_state_options *options,
                              struct store_state_report *report, struct store_state **out,
                              struct fw_error *err)
{
    FW_LOG_ERROR("state", "the database is damaged and is rebuilt from what can be read path=%s",
                 path);
    enum fw_status status = state_set_aside(path, options, true, report, err);
    if (status == FW_OK)
        status = open_database(path, options, false, out, err);
    if (status == FW_OK) {
        state_salvage(*out, report->copy_path, report);
        report->rebuilt = true;
    }
    return status;
}

/* The file must be 0600 and its directory entry durable before anything is promised. */
static void make_private(const char *path)
{
    mode_t before = umask(077);
    FILE *file = fopen(path, "ab");
    umask(before);
    if (file != NULL)
        fclose(file);
}

enum fw_status store_state_open(const char *path, const struct store_state_options *options,
                                struct store_state_report *report, struct store_state **out,
                                struct fw_error *err)
{
    static const struct store_state_options defaults;
    struct store_state_report own;
    if (options == NULL)
        options = &defaults;
    if (report == NULL)
        report = &own;
    memset(report, 0, sizeof *report);
    *out = NULL;
    struct stat st;
    report->created = stat(path, &st) < 0;
    if (report->created && options->read_only)
        return fw_fail(err, FW_EIO, "state: %s does not exist", path);
    if (report->created)
        make_private(path);
    const bool look = options->read_only && options->unchecked;
    if (!look)
        state_wal_check(path, report);
    if (report->wal_lost_commits > 0) {
        FW_LOG_ERROR("state", "the write-ahead log is damaged lost_commits=%llu",
                     (unsigned long long)report->wal_lost_commits);
        /* The copy is for a person; a disk too full for it must not keep the daemon from starting.
         */
        if (!options->read_only)
            (void)state_set_aside(path, options, false, report, NULL);
    }
    const uint64_t limit =
        options->integrity_bytes_max != 0 ? options->integrity_bytes_max : UINT64_C(128) << 20;
    report->integrity_checked = !look && (report->created || (uint64_t)st.st_size <= limit);
    enum fw_status status = open_database(path, options, report->integrity_checked, out, err);
    if (status == FW_ECORRUPT && !options->read_only)
        status = rebuild(path, options, report, out, err);
    return status;
}

void store_state_close(struct store_state *state)
{
    if (state == NULL)
        return;
    if (state->in_transaction)
        store_state_rollback(state);
    for (size_t i = 0; i < STATE_STATEMENTS; i++)
        sqlite3_finalize(state->statements[i]);
    sqlite3_close(state->db);
    pthread_mutex_destroy(&state->lock);
    fw_free(state);
}

/* ---- transactions ---- */

static enum fw_status step_plain(struct store_state *state, enum state_statement which,
                                 const char *what, struct fw_error *err)
{
    enum fw_status status;
    sqlite3_stmt *statement = state_use(state, which, what, &status, err);
    if (statement == NULL)
        return status;
    const int code = sqlite3_step(statement);
    if (code != SQLITE_DONE)
        status = state_fail(state->db, code, what, err);
    state_done(state, statement);
    return status;
}

enum fw_status store_state_begin(struct store_state *state, struct fw_error *err)
{
    pthread_mutex_lock(&state->lock);
    assert(!state->in_transaction);
    const enum fw_status status = step_plain(state, STATE_BEGIN, "begin", err);
    if (status != FW_OK) {
        pthread_mutex_unlock(&state->lock);
        return status;
    }
    state->in_transaction = true; /* and the lock stays */
    return FW_OK;
}

enum fw_status store_state_commit(struct store_state *state, struct fw_error *err)
{
    assert(state->in_transaction);
    const enum fw_status status = step_plain(state, STATE_COMMIT, "commit", err);
    if (status != FW_OK && sqlite3_get_autocommit(state->db) == 0)
        (void)step_plain(state, STATE_ROLLBACK, "roll back", NULL);
    state->in_transaction = false;
    pthread_mutex_unlock(&state->lock);
    return status;
}

void store_state_rollback(struct store_state *state)
{
    assert(state->in_transaction);
    /* A full disk may have rolled it back already. */
    if (sqlite3_get_autocommit(state->db) == 0)
        (void)step_plain(state, STATE_ROLLBACK, "roll back", NULL);
    state->in_transaction = false;
    pthread_mutex_unlock(&state->lock);
}

/* ---- blobs ---- */

enum fw_status state_check_name(const char *name, const char *what, struct fw_error *err)
{
    const size_t len = strlen(name);
    if (len == 0 || len > STORE_STATE_NAME_MAX)
        return fw_fail(err, FW_EINVAL, "state: a %s of %zu bytes", what, len);
    return FW_OK;
}

static enum fw_status check_names(const char *ns, const char *key, size_t len, struct fw_error *err)
{
    enum fw_status status = state_check_name(ns, "namespace", err);
    if (status == FW_OK)
        status = state_check_name(key, "key", err);
    if (status == FW_OK && len > STORE_STATE_BLOB_MAX)
        status = fw_fail(err, FW_ELIMIT, "state: a blob of %zu bytes", len);
    return status;
}

enum fw_status store_state_put(struct store_state *state, const char *ns, const char *key,
                               const void *data, size_t len, struct fw_error *err)
{
    enum fw_status status = check_names(ns, key, len, err);
    if (status != FW_OK)
        return status;
    sqlite3_stmt *statement = state_use(state, STATE_PUT, "put", &status, err);
    if (statement == NULL)
        return status;
    sqlite3_bind_text(statement, 1, ns, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, key, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 3, state_blob_crc(ns, key, data, len));
    sqlite3_bind_blob64(statement, 4, len > 0 ? data : "", len, SQLITE_STATIC);
    const int code = sqlite3_step(statement);
    if (code != SQLITE_DONE)
        status = state_fail(state->db, code, "put", err);
    state_done(state, statement);
    return status;
}

enum fw_status store_state_delete(struct store_state *state, const char *ns, const char *key,
                                  struct fw_error *err)
{
    enum fw_status status = check_names(ns, key, 0, err);
    if (status != FW_OK)
        return status;
    sqlite3_stmt *statement = state_use(state, STATE_DELETE, "delete", &status, err);
    if (statement == NULL)
        return status;
    sqlite3_bind_text(statement, 1, ns, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, key, -1, SQLITE_STATIC);
    const int code = sqlite3_step(statement);
    if (code != SQLITE_DONE)
        status = state_fail(state->db, code, "delete", err);
    state_done(state, statement);
    return status;
}

enum fw_status store_state_get(struct store_state *state, const char *ns, const char *key,
                               struct fw_buf *out, struct fw_error *err)
{
    enum fw_status status = check_names(ns, key, 0, err);
    if (status != FW_OK)
        return status;
    sqlite3_stmt *statement = state_use(state, STATE_GET, "get", &status, err);
    if (statement == NULL)
        return status;
    sqlite3_bind_text(statement, 1, ns, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, key, -1, SQLITE_STATIC);
    const int code = sqlite3_step(statement);
    if (code == SQLITE_DONE) {
        status = FW_ENOTFOUND;
    } else if (code != SQLITE_ROW) {
        status = state_fail(state->db, code, "get", err);
    } else {
        const void *data = sqlite3_column_blob(statement, 1);
        const size_t len = (size_t)sqlite3_column_bytes(statement, 1);
        if ((uint32_t)sqlite3_column_int64(statement, 0) != state_blob_crc(ns, key, data, len))
            status = fw_fail(err, FW_ECORRUPT, "state: %s/%s fails its checksum", ns, key);
        else if (len > 0 && fw_buf_reserve(out, len) == NULL)
            status = fw_fail(err, FW_ELIMIT, "state: %s/%s has %zu bytes", ns, key, len);
        else if (len > 0)
            fw_buf_put(out, data, len);
    }
    state_done(state, statement);
    return status;
}

struct whole_only {
    store_state_blob_fn visit;
    void *ctx;
    uint64_t *damaged;
};

static bool pass_damaged(void *ctx, const char *key, const void *data, size_t len)
{
    const struct whole_only *w = ctx;
    if (data != NULL)
        return w->visit(w->ctx, key, data, len);
    if (w->damaged != NULL)
        ++*w->damaged;
    return true;
}

enum fw_status store_state_each(struct store_state *state, const char *ns,
                                store_state_blob_fn visit, void *ctx, uint64_t *damaged,
                                struct fw_error *err)
{
    const struct store_state_range all = {.ns = ns};
    struct whole_only whole = {visit, ctx, damaged};
    if (damaged != NULL)
        *damaged = 0;
    return store_state_range_each(state, &all, pass_damaged, &whole, err);
}

/* ---- the whole file ---- */

enum fw_status store_state_backup(struct store_state *state, const char *path, struct fw_error *err)
{
    struct stat st;
    if (lstat(path, &st) == 0)
        return fw_fail(err, FW_EINVAL, "state: %s exists already", path);
    make_private(path);
    sqlite3 *to = NULL;
    int code = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    enum fw_status status = code == SQLITE_OK ? FW_OK : state_fail(to, code, path, err);
    if (status == FW_OK) {
        /* In one go, under the lock: a copy in steps starts over with every write that comes
         * between. */
        pthread_mutex_lock(&state->lock);
        sqlite3_backup *backup = sqlite3_backup_init(to, "main", state->db, "main");
        code = backup == NULL ? sqlite3_errcode(to) : sqlite3_backup_step(backup, -1);
        sqlite3_backup_finish(backup);
        pthread_mutex_unlock(&state->lock);
        if (code != SQLITE_DONE)
            status = state_fail(to, code, "backup", err);
    }
    sqlite3_close(to);
    if (status != FW_OK)
        (void)unlink(path);
    return status;
}

enum fw_status store_state_size(struct store_state *state, uint64_t *bytes, struct fw_error *err)
{
    int64_t pages = 0, page_bytes = 0;
    pthread_mutex_lock(&state->lock);
    enum fw_status status = query_number(state, "PRAGMA page_count", "size", &pages, err);
    if (status == FW_OK)
        status = query_number(state, "PRAGMA page_size", "size", &page_bytes, err);
    pthread_mutex_unlock(&state->lock);
    *bytes = (uint64_t)(pages * page_bytes);
    return status;
}

enum fw_status store_state_compact(struct store_state *state, struct fw_error *err)
{
    pthread_mutex_lock(&state->lock);
    assert(!state->in_transaction);
    enum fw_status status = run(state, "VACUUM", "compact", err);
    if (status == FW_OK)
        status = run(state, "PRAGMA wal_checkpoint(TRUNCATE)", "compact", err);
    pthread_mutex_unlock(&state->lock);
    return status;
}
