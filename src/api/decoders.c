#include "api/decoders.h"

#include "base/alloc.h"

#include <pthread.h>

enum { SPARE_MAX = 16 };

struct api_decoders {
    const struct schema *schema;
    size_t body_max;
    pthread_mutex_t lock;
    size_t spare_count;
    struct ingest_decoder *spare[SPARE_MAX];
};

struct api_decoders *api_decoders_new(const struct schema *schema, size_t body_max)
{
    struct api_decoders *decoders = fw_calloc(1, sizeof *decoders);
    if (decoders == NULL)
        return NULL;
    decoders->schema = schema;
    decoders->body_max = body_max;
    pthread_mutex_init(&decoders->lock, NULL);
    return decoders;
}

void api_decoders_free(struct api_decoders *decoders)
{
    if (decoders == NULL)
        return;
    while (decoders->spare_count > 0)
        ingest_decoder_free(decoders->spare[--decoders->spare_count]);
    pthread_mutex_destroy(&decoders->lock);
    fw_free(decoders);
}

struct ingest_decoder *api_decoder_take(struct api_decoders *decoders)
{
    struct ingest_decoder *decoder = NULL;
    pthread_mutex_lock(&decoders->lock);
    if (decoders->spare_count > 0)
        decoder = decoders->spare[--decoders->spare_count];
    pthread_mutex_unlock(&decoders->lock);
    return decoder != NULL ? decoder : ingest_decoder_new(decoders->schema, decoders->body_max);
}

void api_decoder_give(struct api_decoders *decoders, struct ingest_decoder *decoder)
{
    pthread_mutex_lock(&decoders->lock);
    if (decoders->spare_count < SPARE_MAX) {
        decoders->spare[decoders->spare_count++] = decoder;
        decoder = NULL;
    }
    pthread_mutex_unlock(&decoders->lock);
    ingest_decoder_free(decoder);
}
