/* The database file: made, migrated, checked and opened; copied, measured, compacted. */
#include "store/state.h"

#include "base/alloc.h"
#include "base/log.h"
#include "store/state_internal.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* ---- while it is open ---- */

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
