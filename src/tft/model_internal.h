/* For the folder and its tests. */
#ifndef FW_TFT_MODEL_INTERNAL_H
#define FW_TFT_MODEL_INTERNAL_H

#include "base/hash.h"
#include "tft/model.h"
#include "tft/net.h"

struct tft_model {
    struct tft_spec *spec;
    struct tft_net *net;
    float *params; /* net->n_floats, as in the file */
    float *packed; /* net->n_floats, as the kernels read them */
    const struct tft_kernels *kernels;
    unsigned char sha256[FW_SHA256_SIZE];
    size_t weights_bytes;
};

#endif
