/* The past of a fleet from a Prometheus: asks for the raw series that the mapping knows, host group
 * by host group and, within one, chunk of time after chunk of time, oldest first; and makes of them
 * the rows that remote write of the same series would have made.
 *
 * Resolution: the last sample of every minute. Counters grow between two of those, so a share or a
 * rate of a step is made of five minutes' differences as with remote write; only what swings within
 * a minute (load, memory) is seen less often. Scrapes as rare as once in three minutes or more keep
 * their own pace.
 *
 * Memory: a chunk holds at most SERIES_SAMPLES_MAX samples and an answer BACKFILL_ANSWER_MAX bytes;
 * what is longer is asked for again in halves of the time. Counters' state and rows are kept for
 * one group of hosts, which are fewer when the span is long. So the bound does not depend on the
 * fleet, but for the hosts' names.
 *
 * One thread. */
#ifndef FW_BACKFILL_BACKFILL_H
#define FW_BACKFILL_BACKFILL_H

#include "backfill/source.h"
#include "base/clock.h"
#include "domain/batch.h"
#include "ingest/series_book.h"

enum {
    BACKFILL_STEP_S = 60,
    BACKFILL_GROUP_HOSTS = 16,
    BACKFILL_GROUP_ROWS = 16 * 4400, /* three days of so many hosts; at least one host is taken */
    BACKFILL_HOSTS_MAX = 200000,
    BACKFILL_CHUNK_POINTS_MAX = 1440,
};

struct backfill_progress {
    size_t hosts, hosts_done; /* of finished groups */
    double done;              /* of everything, 0 to 1 */
    uint64_t samples;
};

struct backfill_options {
    struct backfill_source *source;
    const char *match; /* matchers of labels that narrow it all; NULL: none */
    const struct schema *schema;
    const struct series_rules *rules;
    int64_t span_ms;              /* how far back */
    int64_t align_ms;             /* the first row is at or after a multiple of this */
    const struct fw_clock *clock; /* NULL: the system's */
    bool gone;                    /* also servers that have been silent for three times align_ms */
    /* Gets all rows of a group of hosts, ordered as in rows.h; the batch is valid inside the call.
     * What it returns other than FW_OK ends the run and is returned. */
    enum fw_status (*take)(void *ctx, struct sample_batch *batch, struct fw_error *err);
    void (*progress)(void *ctx, const struct backfill_progress *progress); /* or NULL */
    void *ctx;
};

struct backfill_counts {
    size_t names_known, names_found; /* of raw series */
    size_t hosts;
    uint64_t series; /* of all chunks: one counts in each */
    uint64_t samples, rows, chunks, halved;
    uint64_t no_server, not_finite, full; /* samples left out, by why */
    uint64_t refused; /* series or samples that remote write would have refused */
    char first_refusal[128];
    size_t gone;               /* servers left out because they are silent */
    char a_gone[64];           /* one of them */
    int64_t first_ms, last_ms; /* of rows; first_ms is 0 without any */
};

/* FW_ENOTFOUND: nothing matched, err says what was looked for. Others are those of source.h and of
 * take(); *counts says how far it came. */
FW_MUST_CHECK enum fw_status backfill_run(const struct backfill_options *options,
                                          struct backfill_counts *counts, struct fw_error *err);

#endif
