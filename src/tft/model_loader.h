/* Loading a model, step by step. Internal to model*.c. */
#ifndef FW_TFT_MODEL_LOADER_H
#define FW_TFT_MODEL_LOADER_H

#include "tft/model_internal.h"
#include "tft/safetensors.h"

/* A load in progress. Reasons are counted and passed on; the first one becomes the error. */
struct tft_loader {
    struct tft_model *model;
    struct tft_safetensors *file;
    const struct tft_report *report;
    struct fw_error *err;
    enum fw_status first;
    size_t reasons;
};

void tft_loader_refuse(struct tft_loader *l, enum fw_status status, const char *format, ...)
    FW_PRINTF(3, 4);

/* model_weights.c: the network from the tensors' shapes; then its weights, each checked. */
void tft_loader_build(struct tft_loader *l);
void tft_loader_fill(struct tft_loader *l);
/* model_probe.c: forecasts of made-up windows must be finite. */
void tft_loader_probe(struct tft_loader *l);

#endif
