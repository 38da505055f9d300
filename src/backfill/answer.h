/* What Prometheus' HTTP API answers, read strictly: JSON from elsewhere, so nothing in it is
 * believed. A matrix becomes the WriteRequest that remote write would have brought; so identity,
 * mapping and refusals are those of remote write (ingest/series_gather.h).
 *
 * One reader serves one thread. */
#ifndef FW_BACKFILL_ANSWER_H
#define FW_BACKFILL_ANSWER_H

#include "base/buf.h"

enum {
    BACKFILL_ANSWER_MAX = 8 << 20, /* bytes of one answer; reading it takes some ten times that */
    BACKFILL_REASON_MAX = 200
};

struct backfill_reader;

/* NULL when out of memory. */
struct backfill_reader *backfill_reader_new(void);
void backfill_reader_free(struct backfill_reader *reader);

/* A matrix of /api/v1/query_range: appends its series, as ones of that name whatever they say, to
 * *request, a WriteRequest. Each sample gets the time of its point less one millisecond: the point
 * of 12:05 tells of the minute before, and that belongs to the step before. *series and *samples
 * are added to. FW_EINVAL: not such an answer, err says where; FW_ELIMIT: no room in *request;
 * FW_ENOMEM. After a failure *request is of no use. */
FW_MUST_CHECK enum fw_status backfill_read_matrix(struct backfill_reader *reader,
                                                  const struct fw_buf *answer, const char *name,
                                                  struct fw_buf *request, size_t *series,
                                                  size_t *samples, struct fw_error *err);

/* Values of a label. `take` gets each; false from it ends the walk with FW_ENOMEM. FW_EINVAL as
 * above. */
FW_MUST_CHECK enum fw_status
backfill_read_values(struct backfill_reader *reader, const struct fw_buf *answer,
                     bool (*take)(void *ctx, const char *text, size_t len), void *ctx,
                     struct fw_error *err);

/* What an answer of an error has to say, on one line: Prometheus' own words, else the beginning of
 * the text. */
void backfill_read_reason(struct backfill_reader *reader, const struct fw_buf *answer,
                          char out[BACKFILL_REASON_MAX]);

#endif
