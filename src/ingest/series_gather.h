/* A request's raw series to the few samples that mean something: checked, told apart by target and
 * part, ready for the book (series_book.h). Holds pointers into the body.
 *
 * Threads: one request each. */
#ifndef FW_INGEST_SERIES_GATHER_H
#define FW_INGEST_SERIES_GATHER_H

#include "domain/batch.h"
#include "ingest/remote_write.h"
#include "ingest/series_rules.h"

enum {
    SERIES_SAMPLES_MAX = 262144, /* of one request that mean something: 10 MiB */
    SERIES_NAMES_SEEN_MAX = 4096,
    SERIES_NAME_SEEN_MAX = 1024, /* bytes; longer ones only count in all */
    SERIES_NAMES_CACHE = 256,
};

/* How a sample of a counter is meant. */
enum series_kind {
    SERIES_CUMULATIVE, /* since the counter began */
    SERIES_DELTA,      /* growth since the sample before; added up here */
    SERIES_LEVEL,      /* growth per second already */
};

struct series_sample {
    uint64_t target; /* who was scraped: keyed hash of server, instance, job and replica */
    uint64_t part;   /* which part of the target's metric: keyed hash of the rule's key labels */
    int64_t time_ms;
    double value;    /* scaled; of a gauge: in the metric's unit and bounds */
    uint32_t server; /* index into `servers` */
    uint32_t order;  /* as it came */
    uint16_t metric; /* of a role that has one */
    uint8_t role;    /* enum series_role */
    uint8_t kind;    /* enum series_kind */
    bool stale;      /* the series ends; no value */
    bool loose;      /* its fellows may carry a time that differs by a second */
};

struct series_text {
    const char *text; /* bytes of the body, or kept by the gather */
    uint32_t len;
    uint32_t count; /* of names without meaning: samples */
};

struct series_gather {
    const struct series_rules *rules;
    const struct schema *schema;
    int64_t oldest_ms, newest_ms; /* samples outside are refused */
    struct sample_batch *batch;   /* counts refusals */
    struct series_sample *samples;
    size_t sample_count, sample_cap;
    struct series_text *servers;
    size_t server_count, server_cap;
    struct series_text *unknown; /* names that mean nothing, by run */
    size_t unknown_count, unknown_cap;
    uint16_t unknown_cache[SERIES_NAMES_CACHE]; /* by hash: place in `unknown` + 1 */
    struct series_kept *kept;                   /* private: copied texts */
    /* samples that went no further, by why */
    uint64_t unmapped, ignored, stale, not_finite, no_server;
    uint64_t repeated;  /* set by series_book_take(): had come before */
    uint64_t labelled;  /* private: the target whose labels were looked at last */
    struct fw_buf body; /* the decoder's, for what it unpacks and samples point into */
};

/* Zeroes *gather and sets what it works with; `batch` takes the refusals. */
void series_gather_init(struct series_gather *gather, const struct series_rules *rules,
                        const struct schema *schema, struct sample_batch *batch);
void series_gather_fini(struct series_gather *gather);

/* The labels of a target's series say something of its server: those that batch->label_rules keeps
 * go into the batch, from each target's first series that means something. */

/* Reads an unpacked body, which must live as long as *gather is used. A series with a fault, and a
 * sample with an impossible time or value, is a refusal in the batch; others are taken all the
 * same. FW_EINVAL: the body is no WriteRequest, nothing of it counts; FW_ELIMIT: more than
 * SERIES_SAMPLES_MAX; FW_ENOMEM. */
FW_MUST_CHECK enum fw_status series_gather_read(struct series_gather *gather, const void *body,
                                                size_t len, struct fw_error *err);

/* Whom samples come from. */
struct series_source {
    const char *server; /* NULL, or not fit for a name: the samples are counted as no_server */
    size_t server_len;
    uint64_t target; /* what tells this source's counters from others of the same server */
    bool loose;      /* samples of one moment may carry times that differ by a second */
};

/* One sample of another protocol than remote write. `id` and `source` need to live no longer than
 * the call. FW_ELIMIT: more than SERIES_SAMPLES_MAX; FW_ENOMEM. */
FW_MUST_CHECK enum fw_status series_gather_put(struct series_gather *gather,
                                               const struct raw_series *id,
                                               const struct series_source *source, int64_t time_ms,
                                               double value, enum series_kind kind);

/* Counts samples of a series that means nothing, whatever its name. FW_ENOMEM. */
FW_MUST_CHECK enum fw_status series_gather_unknown(struct series_gather *gather,
                                                   const struct raw_series *id, size_t samples);

/* Says in *err what FW_ELIMIT and FW_ENOMEM of series_gather_put() mean; returns the status. */
enum fw_status series_gather_explain(enum fw_status status, struct fw_error *err);

/* The server that an `instance` names: without the port. "db1:9100" gives "db1", "[::1]:9100" gives
 * "::1", "fe80::1" itself. */
void series_server_of(const char *instance, size_t len, const char **name, size_t *name_len);

#endif
