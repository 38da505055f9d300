/* Decoders by the piece: one for each thread that decodes at the moment, kept for the next. */
#ifndef FW_API_DECODERS_H
#define FW_API_DECODERS_H

#include "ingest/json.h"

struct api_decoders;

/* NULL when out of memory. */
struct api_decoders *api_decoders_new(const struct schema *schema, size_t body_max);
/* All must have been given back. NULL does nothing. */
void api_decoders_free(struct api_decoders *decoders);

/* NULL when out of memory. Any thread. */
struct ingest_decoder *api_decoder_take(struct api_decoders *decoders);
void api_decoder_give(struct api_decoders *decoders, struct ingest_decoder *decoder);

#endif
