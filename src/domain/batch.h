/* The one form that samples take between a decoder and the windows: whatever the protocol, a batch
 * of rows.
 *
 * A row is what one server reported for one moment: sparse values by metric index. A batch owns its
 * memory; it is filled by one decoder, then read by journal, fleet and answer. */
#ifndef FW_DOMAIN_BATCH_H
#define FW_DOMAIN_BATCH_H

#include "domain/identity.h"
#include "domain/labels.h"
#include "domain/schema.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Times are at or after 1970 and before the year 10000. */
#define BATCH_TIME_END_MS INT64_C(253402300800000)

struct sample_value {
    uint16_t metric; /* index in the schema */
    float value;     /* finite */
};

struct sample_row {
    uint32_t name;        /* index into the batch's names */
    uint32_t record;      /* position in the request, for error texts */
    int64_t time_ms;      /* UTC */
    uint32_t first_value; /* index into the batch's values */
    uint16_t value_count;
    uint8_t status;  /* enum server_status */
    uint8_t profile; /* enum profile; PROFILE_UNKNOWN when the record names none */
};

/* Why a row was not taken, wherever that was noticed. Names: batch_reason_name(). */
enum batch_reason {
    BATCH_OK,
    BATCH_BAD_RECORD,   /* not an object, or a field of the wrong type */
    BATCH_NO_NAME,      /* server_name missing, empty or not printable */
    BATCH_BAD_TIME,     /* timestamp missing or unreadable */
    BATCH_BAD_VALUE,    /* not finite or outside the metric's bounds */
    BATCH_NO_VALUES,    /* nothing that the schema knows */
    BATCH_TOO_OLD,      /* before the window */
    BATCH_IN_FUTURE,    /* more than the allowed skew ahead */
    BATCH_SERVER_LIMIT, /* a new name, and the fleet is full */
    BATCH_SEALED,       /* its step holds several samples and was closed long ago */
    BATCH_REASON_COUNT,
};
const char *batch_reason_name(enum batch_reason reason);

enum { BATCH_ERRORS_MAX = 20 };
struct batch_error {
    uint32_t record;
    enum batch_reason reason;
    char field[SCHEMA_METRIC_NAME_MAX + 1];
    char server_name[SERVER_NAME_MAX + 1]; /* "" when unknown */
    char text[128];
};

struct batch_name {
    const char *text; /* terminated; owned by the batch */
    uint32_t len;
    uint32_t server; /* filled by the fleet: its index there */
};

struct sample_batch {
    int64_t received_ms; /* the daemon's clock when the fleet admitted it; journalled, so that a
                            replay judges times as they were judged then */
    struct batch_name *names;
    struct sample_row *rows;
    struct sample_value *values;
    size_t name_count, row_count, value_count;
    size_t name_cap, row_cap, value_cap;
    size_t records;                      /* seen in the request, good or bad */
    size_t rejected[BATCH_REASON_COUNT]; /* records refused so far, by reason */
    size_t error_count; /* entries used in `errors`: the first BATCH_ERRORS_MAX refusals */
    struct batch_error errors[BATCH_ERRORS_MAX];
    struct batch_text *texts; /* private: the names' bytes */
    uint32_t *name_table;     /* private: open addressing by keyed hash */
    size_t name_table_size;
    const struct label_rules *label_rules; /* which labels are kept; NULL: none. Survives a reset */
    size_t labels_dropped; /* that were to be kept: an impossible value, or no room for it */
    struct batch_label_bytes *label_bytes;     /* private */
    struct batch_label_changes *label_changes; /* private; NULL: none */
};

/* An empty batch. NULL when out of memory. */
struct sample_batch *batch_new(void);
void batch_free(struct sample_batch *batch);
/* Empties it for the next request. Memory is kept, unless one large request made it grow past
 * BATCH_KEEP_BYTES. */
enum { BATCH_KEEP_BYTES = 4 << 20 };
void batch_reset(struct sample_batch *batch);

/* The index of a name in the batch, added when it is new; the text is copied. FW_ENOMEM. */
FW_MUST_CHECK enum fw_status batch_name(struct sample_batch *batch, const char *text, size_t len,
                                        uint32_t *index);

/* Begins a row; its values follow with batch_value(), and batch_row_end() takes the row back when
 * it got none (BATCH_NO_VALUES is then the caller's to count). */
FW_MUST_CHECK enum fw_status batch_row_begin(struct sample_batch *batch,
                                             const struct sample_row *head);
FW_MUST_CHECK enum fw_status batch_value(struct sample_batch *batch, int metric, float value);
bool batch_row_end(struct sample_batch *batch);
/* A whole row at once: `count` (1 to SCHEMA_METRICS_MAX) finite values of metrics that differ. */
FW_MUST_CHECK enum fw_status batch_row_put(struct sample_batch *batch,
                                           const struct sample_row *head,
                                           const struct sample_value *values, size_t count);
/* Forgets the row begun last. */
void batch_row_drop(struct sample_batch *batch);

/* ---- labels ----
 *
 * What a sender says of a server, beside its samples; no part of a row, and journalled as far as it
 * changes what is known (label changes, below). What is
 * not on the list of batch->label_rules is passed over, and what cannot be kept is counted: labels
 * never cost a sample. The same said twice in a row is kept once. */
enum { BATCH_LABELS_BYTES_MAX = 8 << 20, BATCH_LABELS_KEEP = 64 << 10 };
/* False: none are kept, or there is no room; batch_label() must then not be called. */
bool batch_labels_begin(struct sample_batch *batch, const char *server, size_t len);
void batch_label(struct sample_batch *batch, const char *name, size_t name_len, const char *value,
                 size_t value_len);
void batch_labels_end(struct sample_batch *batch);
/* One server after the other, as they came; *at begins as 0. `server` is not terminated. */
bool batch_labels_next(const struct sample_batch *batch, size_t *at, const char **server,
                       size_t *len, struct label_set *set);
/* What of that is news: the labels of a server that are to be set. Written to the journal with the
 * rows. False: no memory, or no room among BATCH_LABELS_BYTES_MAX. */
bool batch_label_change(struct sample_batch *batch, const char *server, size_t len,
                        const struct label_set *set);
/* As batch_labels_next(). */
bool batch_label_changes_next(const struct sample_batch *batch, size_t *at, const char **server,
                              size_t *len, struct label_set *set);
/* How many servers' labels change. */
size_t batch_label_changes(const struct sample_batch *batch);
/* Used by batch_encode() and batch_decode(): the changes as docs/formats/batch.md has them. */
struct fw_buf;
struct fw_bytes;
void batch_label_changes_encode(const struct sample_batch *batch, struct fw_buf *out);
FW_MUST_CHECK enum fw_status batch_label_changes_decode(struct fw_bytes *in,
                                                        struct sample_batch *batch);
/* Used by batch_reset() and batch_free(). */
void batch_labels_reset(struct sample_batch *batch, bool keep);

/* Counts a refusal of a whole record and keeps its text while there is room. `field` and
 * `server_name` may be NULL. */
void batch_reject(struct sample_batch *batch, size_t record, enum batch_reason reason,
                  const char *field, const char *server_name, size_t server_name_len,
                  const char *format, ...) FW_PRINTF(7, 8);
size_t batch_rejected_total(const struct sample_batch *batch);

/* Drops row i from the batch (order kept); used when a later stage refuses rows: mark with
 * row.value_count = 0, then compact once. */
void batch_compact(struct sample_batch *batch);

/* The journal's body of a batch (docs/formats/batch.md): metric names are written, so that a
 * journal outlives a changed schema. Appends to *out; check out->failed. */
void batch_encode(const struct sample_batch *batch, const struct schema *schema,
                  struct fw_buf *out);
/* The way back: metrics that the schema no longer has are left out. FW_ECORRUPT: not such a body;
 * FW_EVERSION. */
FW_MUST_CHECK enum fw_status batch_decode(const void *data, size_t len, const struct schema *schema,
                                          struct sample_batch *batch, struct fw_error *err);

#endif
