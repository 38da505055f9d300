#include "store/state_internal.h"

#include <assert.h>
#include <string.h>

static enum fw_status check_event(const char *kind, const char *subject, size_t len,
                                  struct fw_error *err)
{
    if (kind[0] == '\0' || strlen(kind) > STORE_STATE_NAME_MAX)
        return fw_fail(err, FW_EINVAL, "state: an event kind of %zu bytes", strlen(kind));
    if (subject != NULL && strlen(subject) > STORE_STATE_NAME_MAX)
        return fw_fail(err, FW_EINVAL, "state: an event subject of %zu bytes", strlen(subject));
    if (len > STORE_STATE_BLOB_MAX)
        return fw_fail(err, FW_ELIMIT, "state: an event of %zu bytes", len);
    return FW_OK;
}

enum fw_status store_state_event_append(struct store_state *state, const char *kind,
                                        int64_t time_ms, const char *subject, const void *data,
                                        size_t len, int64_t *id, struct fw_error *err)
{
    enum fw_status status = check_event(kind, subject, len, err);
    if (status != FW_OK)
        return status;
    sqlite3_stmt *statement = state_use(state, STATE_EVENT_APPEND, "append event", &status, err);
    if (statement == NULL)
        return status;
    sqlite3_bind_text(statement, 1, kind, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, time_ms);
    sqlite3_bind_text(statement, 3, subject, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 4, state_event_crc(kind, time_ms, subject, data, len));
    sqlite3_bind_blob64(statement, 5, len > 0 ? data : "", len, SQLITE_STATIC);
    const int code = sqlite3_step(statement);
    if (code != SQLITE_DONE)
        status = state_fail(state->db, code, "append event", err);
    else if (id != NULL)
        *id = sqlite3_last_insert_rowid(state->db);
    state_done(state, statement);
    return status;
}

/* The checksum covers what the event is about, which the caller does not repeat. */
static enum fw_status crc_of_update(struct store_state *state, int64_t id, const void *data,
                                    size_t len, uint32_t *crc, struct fw_error *err)
{
    enum fw_status status;
    sqlite3_stmt *statement = state_use(state, STATE_EVENT_NAMES, "update event", &status, err);
    if (statement == NULL)
        return status;
    sqlite3_bind_int64(statement, 1, id);
    const int code = sqlite3_step(statement);
    const char *kind = code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    const char *subject =
        code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 2) : NULL;
    if (code == SQLITE_DONE)
        status = fw_fail(err, FW_ENOTFOUND, "state: there is no event %lld", (long long)id);
    else if (code != SQLITE_ROW)
        status = state_fail(state->db, code, "update event", err);
    else if (kind == NULL || subject == NULL)
        status = fw_fail(err, FW_ENOMEM, "state: no memory to update an event");
    else
        *crc = state_event_crc(kind, sqlite3_column_int64(statement, 1), subject, data, len);
    state_done(state, statement);
    return status;
}

enum fw_status store_state_event_update(struct store_state *state, int64_t id, const void *data,
                                        size_t len, struct fw_error *err)
{
    enum fw_status status = check_event("-", NULL, len, err);
    if (status != FW_OK)
        return status;
    uint32_t crc = 0;
    pthread_mutex_lock(&state->lock); /* over both statements */
    status = crc_of_update(state, id, data, len, &crc, err);
    sqlite3_stmt *statement = NULL;
    if (status == FW_OK)
        statement = state_use(state, STATE_EVENT_UPDATE, "update event", &status, err);
    if (statement != NULL) {
        sqlite3_bind_int64(statement, 1, id);
        sqlite3_bind_int64(statement, 2, crc);
        sqlite3_bind_blob64(statement, 3, len > 0 ? data : "", len, SQLITE_STATIC);
        const int code = sqlite3_step(statement);
        if (code != SQLITE_DONE)
            status = state_fail(state->db, code, "update event", err);
        state_done(state, statement);
    }
    pthread_mutex_unlock(&state->lock);
    return status;
}

static enum state_statement statement_for(const struct store_state_event_query *query)
{
    if (query->subject == NULL)
        return query->newest_first ? STATE_EVENT_NEWEST : STATE_EVENT_OLDEST;
    return query->newest_first ? STATE_EVENT_SUBJECT_NEWEST : STATE_EVENT_SUBJECT_OLDEST;
}

enum fw_status store_state_event_each(struct store_state *state,
                                      const struct store_state_event_query *query,
                                      store_state_event_fn visit, void *ctx, uint64_t *damaged,
                                      struct fw_error *err)
{
    enum fw_status status = check_event(query->kind, query->subject, 0, err);
    if (damaged != NULL)
        *damaged = 0;
    if (status != FW_OK)
        return status;
    sqlite3_stmt *statement = state_use(state, statement_for(query), "read events", &status, err);
    if (statement == NULL)
        return status;
    assert(!sqlite3_stmt_busy(statement)); /* as store_state_each() */
    sqlite3_bind_text(statement, 1, query->kind, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, query->from_ms);
    sqlite3_bind_int64(statement, 3, query->to_ms);
    sqlite3_bind_int64(statement, 4,
                       query->limit == 0 || query->limit > INT64_MAX ? -1 : (int64_t)query->limit);
    if (query->subject != NULL)
        sqlite3_bind_text(statement, 5, query->subject, -1, SQLITE_STATIC);
    int code;
    bool more = true;
    while (more && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        const struct store_state_event event = {.id = sqlite3_column_int64(statement, 0),
                                                .kind = query->kind,
                                                .time_ms = sqlite3_column_int64(statement, 1),
                                                .subject =
                                                    (const char *)sqlite3_column_text(statement, 2),
                                                .data = sqlite3_column_blob(statement, 4),
                                                .len = (size_t)sqlite3_column_bytes(statement, 4)};
        const uint32_t crc = (uint32_t)sqlite3_column_int64(statement, 3);
        if (event.subject != NULL &&
            crc == state_event_crc(event.kind, event.time_ms, event.subject, event.data, event.len))
            more = visit(ctx, &event);
        else if (damaged != NULL)
            ++*damaged;
    }
    if (more && code != SQLITE_DONE)
        status = state_fail(state->db, code, "read events", err);
    state_done(state, statement);
    return status;
}

/* A deletion whose second parameter is a number. */
static enum fw_status remove_events(struct store_state *state, enum state_statement which,
                                    const char *kind, int64_t number, uint64_t *removed,
                                    struct fw_error *err)
{
    enum fw_status status = check_event(kind, NULL, 0, err);
    if (status != FW_OK)
        return status;
    sqlite3_stmt *statement = state_use(state, which, "prune events", &status, err);
    if (statement == NULL)
        return status;
    sqlite3_bind_text(statement, 1, kind, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, number);
    const int code = sqlite3_step(statement);
    if (code != SQLITE_DONE)
        status = state_fail(state->db, code, "prune events", err);
    else if (removed != NULL)
        *removed = (uint64_t)sqlite3_changes(state->db);
    state_done(state, statement);
    return status;
}

enum fw_status store_state_event_prune(struct store_state *state, const char *kind,
                                       int64_t before_ms, uint64_t *removed, struct fw_error *err)
{
    return remove_events(state, STATE_EVENT_PRUNE, kind, before_ms, removed, err);
}

enum fw_status store_state_event_trim(struct store_state *state, const char *kind, uint64_t keep,
                                      uint64_t *removed, struct fw_error *err)
{
    const int64_t offset = keep > INT64_MAX ? INT64_MAX : (int64_t)keep;
    return remove_events(state, STATE_EVENT_TRIM, kind, offset, removed, err);
}
