/* Everything that is not the sample stream: registry, silences, calibration, operator settings as
 * key/value blobs, alerts and environment as events; and, in a file of their own, the blocks of the
 * long history as blobs. SQLite, WAL, synchronous=FULL (docs/formats/state.md).
 *
 * Promise: when a write outside a transaction, or store_state_commit(), returned FW_OK, it survives
 * power loss. Every blob carries a CRC32C over its names and bytes, so damage is an error
 * (FW_ECORRUPT), never a wrong value.
 *
 * Threads: all functions may be called from any thread; one recursive mutex. A transaction holds it
 * from begin to commit or rollback, which must come from the same thread. Visitors run with it
 * held: they may read, not write. */
#ifndef FW_STORE_STATE_H
#define FW_STORE_STATE_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STORE_STATE_NAME_MAX = 512,      /* bytes of a namespace, key, event kind or subject */
    STORE_STATE_BLOB_MAX = 64 << 20, /* bytes */
};

struct store_state;

/* `{0}` is a whole set of options. */
struct store_state_options {
    const struct fw_clock *clock; /* fw_clock_system() */
    const char *quarantine_dir;   /* where copies of a damaged database go; NULL: beside it,
                                     "<path>.damaged-..." */
    uint64_t integrity_bytes_max; /* 128 MiB: larger files are not checked at start (store check
                                     always does) */
    uint64_t page_count_max;      /* 0: no limit; a ceiling on the file for tests and small disks */
    bool read_only;               /* no repair, no write, no lock; the file must exist */
    bool unchecked; /* with read_only, beside a daemon: neither log nor file is checked first, since
                       both change while one looks */
};

struct store_state_report {
    bool created; /* there was no file */
    bool integrity_checked;
    uint64_t wal_commits;      /* commits the write-ahead log carries */
    uint64_t wal_lost_commits; /* of these, behind a damaged frame: acknowledged and gone; a copy
                                  was kept */
    bool wal_torn;             /* one last, unfinished commit: never acknowledged, costs nothing */
    bool rebuilt; /* the file was damaged: set aside, and what could be read copied to a new one */
    uint64_t salvaged_rows; /* by the rebuild */
    uint64_t damaged_rows;  /* failed their checksum during the rebuild */
    char copy_path[1024];   /* where the damaged files are, "" when none */
};

/* Opens or makes the database file. On success *out is the caller's, released with
 * store_state_close(). On failure *out is NULL: FW_EIO, FW_ENOSPC, FW_EBUSY (another process),
 * FW_EVERSION (schema of a later program), FW_ENOMEM; FW_ECORRUPT only with read_only, otherwise
 * damage is set aside and reported. */
FW_MUST_CHECK enum fw_status store_state_open(const char *path,
                                              const struct store_state_options *options,
                                              struct store_state_report *report,
                                              struct store_state **out, struct fw_error *err);
/* Rolls an open transaction back. NULL does nothing. */
void store_state_close(struct store_state *state);

/* Several writes as one: all or none survive. May not be nested (asserted). */
FW_MUST_CHECK enum fw_status store_state_begin(struct store_state *state, struct fw_error *err);
FW_MUST_CHECK enum fw_status store_state_commit(struct store_state *state, struct fw_error *err);
void store_state_rollback(struct store_state *state);

/* Blobs by namespace and key (1 to STORE_STATE_NAME_MAX bytes of text each). put replaces; delete
 * of what is not there is FW_OK. FW_EINVAL for names, FW_ELIMIT for size, FW_ENOSPC, FW_EIO,
 * FW_ECORRUPT (the file itself). */
FW_MUST_CHECK enum fw_status store_state_put(struct store_state *state, const char *ns,
                                             const char *key, const void *data, size_t len,
                                             struct fw_error *err);
FW_MUST_CHECK enum fw_status store_state_delete(struct store_state *state, const char *ns,
                                                const char *key, struct fw_error *err);
/* Appends the blob to *out. FW_ENOTFOUND (err untouched), FW_ECORRUPT when it fails its checksum,
 * FW_ELIMIT when *out cannot take it. */
FW_MUST_CHECK enum fw_status store_state_get(struct store_state *state, const char *ns,
                                             const char *key, struct fw_buf *out,
                                             struct fw_error *err);

/* False stops. */
typedef bool (*store_state_blob_fn)(void *ctx, const char *key, const void *data, size_t len);
/* All blobs of a namespace in ascending byte order of their keys. Blobs that fail their checksum
 * are passed over; *damaged (may be NULL) counts them. */
FW_MUST_CHECK enum fw_status store_state_each(struct store_state *state, const char *ns,
                                              store_state_blob_fn visit, void *ctx,
                                              uint64_t *damaged, struct fw_error *err);

/* A part of a namespace: the keys with from <= key < to in byte order. NULL: no bound there. */
struct store_state_range {
    const char *ns, *from, *to;
};
/* As store_state_each(), but a blob that fails its checksum is told with data NULL; then its key
 * may be wrong as well. */
FW_MUST_CHECK enum fw_status store_state_range_each(struct store_state *state,
                                                    const struct store_state_range *range,
                                                    store_state_blob_fn visit, void *ctx,
                                                    struct fw_error *err);
/* Removes the first `most` blobs of the range (0: all); *removed may be NULL. */
FW_MUST_CHECK enum fw_status store_state_range_delete(struct store_state *state,
                                                      const struct store_state_range *range,
                                                      uint64_t most, uint64_t *removed,
                                                      struct fw_error *err);
/* Walks the index, not the blobs. */
FW_MUST_CHECK enum fw_status store_state_range_count(struct store_state *state,
                                                     const struct store_state_range *range,
                                                     uint64_t *count, struct fw_error *err);

/* Bytes of the file without its write-ahead log, free pages included. */
FW_MUST_CHECK enum fw_status store_state_size(struct store_state *state, uint64_t *bytes,
                                              struct fw_error *err);

struct store_state_event {
    int64_t id;          /* grows with each append, never used twice */
    const char *kind;    /* "alert", "environment", ...: the caller's */
    int64_t time_ms;     /* UTC since 1970 */
    const char *subject; /* server name or what the kind is about; may be "" */
    const void *data;
    size_t len;
};

/* Adds an event; *id (may be NULL) is its number. */
FW_MUST_CHECK enum fw_status store_state_event_append(struct store_state *state, const char *kind,
                                                      int64_t time_ms, const char *subject,
                                                      const void *data, size_t len, int64_t *id,
                                                      struct fw_error *err);
/* Replaces the data of an event, keeping its kind, time and subject. FW_ENOTFOUND when it is gone.
 */
FW_MUST_CHECK enum fw_status store_state_event_update(struct store_state *state, int64_t id,
                                                      const void *data, size_t len,
                                                      struct fw_error *err);

struct store_state_event_query {
    const char *kind;
    int64_t from_ms, to_ms; /* from <= time < to */
    const char *subject;    /* NULL: any */
    bool newest_first;      /* by time, then id */
    uint64_t limit;         /* 0: none */
};
/* False stops. The event is valid during the call. */
typedef bool (*store_state_event_fn)(void *ctx, const struct store_state_event *event);
/* Damaged events are passed over and counted as in store_state_each(). */
FW_MUST_CHECK enum fw_status store_state_event_each(struct store_state *state,
                                                    const struct store_state_event_query *query,
                                                    store_state_event_fn visit, void *ctx,
                                                    uint64_t *damaged, struct fw_error *err);
/* Removes events of a kind with time < before_ms; *removed may be NULL. */
FW_MUST_CHECK enum fw_status store_state_event_prune(struct store_state *state, const char *kind,
                                                     int64_t before_ms, uint64_t *removed,
                                                     struct fw_error *err);

/* Removes events of a kind beyond the newest `keep`, by time, then id; *removed may be NULL. */
FW_MUST_CHECK enum fw_status store_state_event_trim(struct store_state *state, const char *kind,
                                                    uint64_t keep, uint64_t *removed,
                                                    struct fw_error *err);

/* Writes a consistent copy to `path`, which must not exist, while the state is in use (SQLite's
 * online backup). */
FW_MUST_CHECK enum fw_status store_state_backup(struct store_state *state, const char *path,
                                                struct fw_error *err);
/* Moves the write-ahead log into the file and gives unused pages back to the file system. */
FW_MUST_CHECK enum fw_status store_state_compact(struct store_state *state, struct fw_error *err);

#endif
