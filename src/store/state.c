#include "store/state.h"

#include "base/hash.h"
#include "store/state_internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

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
