/* The state's inside, shared by its files. */
#ifndef FW_STORE_STATE_INTERNAL_H
#define FW_STORE_STATE_INTERNAL_H

#include "store/state.h"

#include <pthread.h>
#include <sqlite3.h>

enum { STATE_SCHEMA_VERSION = 1 };

/* Statements are compiled once, when first used. */
enum state_statement {
    STATE_BEGIN,
    STATE_COMMIT,
    STATE_ROLLBACK,
    STATE_PUT,
    STATE_GET,
    STATE_DELETE,
    STATE_RANGE_EACH,
    STATE_RANGE_DELETE,
    STATE_RANGE_COUNT,
    STATE_EVENT_APPEND,
    STATE_EVENT_NAMES,
    STATE_EVENT_UPDATE,
    STATE_EVENT_OLDEST,
    STATE_EVENT_NEWEST,
    STATE_EVENT_SUBJECT_OLDEST,
    STATE_EVENT_SUBJECT_NEWEST,
    STATE_EVENT_PRUNE,
    STATE_EVENT_TRIM,
    STATE_STATEMENTS
};

struct store_state {
    sqlite3 *db;
    pthread_mutex_t lock; /* recursive */
    bool in_transaction;
    const struct fw_clock *clock;
    sqlite3_stmt *statements[STATE_STATEMENTS];
};

/* Takes the lock and gives the statement, ready to bind; NULL with the lock released and err filled
 * when it cannot be compiled. Given back with state_done(). */
sqlite3_stmt *state_use(struct store_state *state, enum state_statement which, const char *what,
                        enum fw_status *status, struct fw_error *err);
void state_done(struct store_state *state, sqlite3_stmt *statement);

/* What SQLite's answer means, told in err with its own words. */
enum fw_status state_fail(sqlite3 *db, int code, const char *what, struct fw_error *err);

/* FW_EINVAL when a namespace or key has no byte or too many. */
enum fw_status state_check_name(const char *name, const char *what, struct fw_error *err);

uint32_t state_blob_crc(const char *ns, const char *key, const void *data, size_t len);
uint32_t state_event_crc(const char *kind, int64_t time_ms, const char *subject, const void *data,
                         size_t len);

/* Before the first open: counts what the write-ahead log beside `path` carries against what SQLite
 * will accept. */
void state_wal_check(const char *path, struct store_state_report *report);

/* Copies (move false) or moves `path` and its log into the quarantine, or beside itself when there
 * is none; tells where in report->copy_path. FW_EIO, FW_ENOSPC. */
enum fw_status state_set_aside(const char *path, const struct store_state_options *options,
                               bool move, struct store_state_report *report, struct fw_error *err);

/* Reads what can be read of the damaged database at `from` into `state`. */
void state_salvage(struct store_state *state, const char *from, struct store_state_report *report);

/* `what` names a row that fails its checksum: "blob NAMESPACE/KEY" or "event NUMBER". */
typedef void (*state_damaged_fn)(void *ctx, const char *what);
/* Tells and counts rows that fail their checksum, and removes them when `drop`. FW_OK, or what
 * reading met. */
enum fw_status state_verify_rows(struct store_state *state, bool drop, state_damaged_fn tell,
                                 void *ctx, uint64_t *damaged, struct fw_error *err);

/* The file and its log as they are. FW_EIO, FW_ENOSPC. */
enum fw_status state_copy_files(const char *from, const char *to, struct fw_error *err);

#endif
