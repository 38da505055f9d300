/* Parts of a namespace in the order of keys. */
#include "store/state_internal.h"

#include <assert.h>

static sqlite3_stmt *use_range(struct store_state *state, enum state_statement which,
                               const struct store_state_range *range, const char *what,
                               enum fw_status *status, struct fw_error *err)
{
    *status = state_check_name(range->ns, "namespace", err);
    if (*status != FW_OK)
        return NULL;
    sqlite3_stmt *statement = state_use(state, which, what, status, err);
    if (statement == NULL)
        return NULL;
    /* A visitor may read, but not walk the same table again. */
    assert(!sqlite3_stmt_busy(statement));
    sqlite3_bind_text(statement, 1, range->ns, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, range->from != NULL ? range->from : "", -1, SQLITE_STATIC);
    if (range->to != NULL)
        sqlite3_bind_text(statement, 3, range->to, -1, SQLITE_STATIC);
    else
        sqlite3_bind_blob(statement, 3, "", 0, SQLITE_STATIC); /* any text is less than any blob */
    return statement;
}

enum fw_status store_state_range_each(struct store_state *state,
                                      const struct store_state_range *range,
                                      store_state_blob_fn visit, void *ctx, struct fw_error *err)
{
    enum fw_status status;
    sqlite3_stmt *statement =
        use_range(state, STATE_RANGE_EACH, range, "read a range", &status, err);
    if (statement == NULL)
        return status;
    int code;
    bool more = true;
    while (more && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *key = (const char *)sqlite3_column_text(statement, 0);
        const void *data = sqlite3_column_blob(statement, 2);
        const size_t len = (size_t)sqlite3_column_bytes(statement, 2);
        const bool whole = key != NULL && (uint32_t)sqlite3_column_int64(statement, 1) ==
                                              state_blob_crc(range->ns, key, data, len);
        if (len == 0)
            data = ""; /* SQLite says NULL */
        more = visit(ctx, key != NULL ? key : "", whole ? data : NULL, whole ? len : 0);
    }
    if (more && code != SQLITE_DONE)
        status = state_fail(state->db, code, "read a range", err);
    state_done(state, statement);
    return status;
}

enum fw_status store_state_range_delete(struct store_state *state,
                                        const struct store_state_range *range, uint64_t most,
                                        uint64_t *removed, struct fw_error *err)
{
    enum fw_status status;
    sqlite3_stmt *statement =
        use_range(state, STATE_RANGE_DELETE, range, "delete a range", &status, err);
    if (statement == NULL)
        return status;
    sqlite3_bind_int64(statement, 4, most == 0 || most > INT64_MAX ? -1 : (int64_t)most);
    const int code = sqlite3_step(statement);
    if (code != SQLITE_DONE)
        status = state_fail(state->db, code, "delete a range", err);
    else if (removed != NULL)
        *removed = (uint64_t)sqlite3_changes(state->db);
    state_done(state, statement);
    return status;
}

enum fw_status store_state_range_count(struct store_state *state,
                                       const struct store_state_range *range, uint64_t *count,
                                       struct fw_error *err)
{
    enum fw_status status;
    sqlite3_stmt *statement =
        use_range(state, STATE_RANGE_COUNT, range, "count a range", &status, err);
    if (statement == NULL)
        return status;
    const int code = sqlite3_step(statement);
    if (code != SQLITE_ROW)
        status = state_fail(state->db, code, "count a range", err);
    else
        *count = (uint64_t)sqlite3_column_int64(statement, 0);
    state_done(state, statement);
    return status;
}
