/* Samples as the bodies of POST /feed/data. */
#ifndef FW_AGENT_FEED_H
#define FW_AGENT_FEED_H

#include "agent/host.h"
#include "base/buf.h"
#include "domain/batch.h"

/* A body is agent_feed_begin(), records with agent_feed_*(), agent_feed_end(). Check body->failed
 * after the end. */
void agent_feed_begin(struct fw_buf *body);
void agent_feed_end(struct fw_buf *body);

/* One record of this host, with its labels (NULL: none). A missing metric has no key. */
void agent_feed_reading(struct fw_buf *body, const char *server_name,
                        const struct label_set *labels, const struct agent_reading *reading);

/* One row of the batch as a record, with its server's labels (NULL: none). `schema` is the one that
 * the batch was made with. */
void agent_feed_row(struct fw_buf *body, const struct sample_batch *batch,
                    const struct schema *schema, size_t row, const struct label_set *labels);
/* The rows [first, first + count) as records, in order, without labels. */
void agent_feed_rows(struct fw_buf *body, const struct sample_batch *batch,
                     const struct schema *schema, size_t first, size_t count);

#endif
