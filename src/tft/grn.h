/* The blocks that everything else is made of: resampling with norm, gate with norm, gated residual
 * network (Lim et al. 2021, equations 2 to 5; FORWARD.md 2). Internal to the folder.
 *
 * A forward leaves every intermediate that its backward needs in its acts. */
#ifndef FW_TFT_GRN_H
#define FW_TFT_GRN_H

#include "tft/run.h"

/* Dropout before the gate of a network, in training only. */
struct tft_dropout {
    void (*apply)(size_t n, uint32_t key, uint32_t threshold, float scale,
                  float *x); /* NULL: none */
    uint32_t threshold;      /* of 2^32: the share that is dropped */
    float scale;             /* of what is kept */
    uint32_t key;            /* of the series and the step of training */
    uint32_t site;           /* which network, and which block of rows */
};

static inline void tft_dropout_apply(const struct tft_dropout *d, size_t n, float *x)
{
    if (d->apply != NULL)
        d->apply(n, d->key + d->site * 0x85ebca77u, d->threshold, d->scale, x);
}

struct tft_resample_acts {
    float *stretched; /* (rows, n_out): before the norm */
};

struct tft_gate_norm_acts {
    float *gates; /* (rows, 2 n) */
    float *sum;   /* (rows, n): GLU + skip, before the norm */
};

struct tft_grn_acts {
    struct tft_resample_acts resample;
    float *skip;    /* (rows, n_out); the input itself where it is not resampled */
    float *bias;    /* (n_hidden): fc1's bias and the context's share */
    float *hidden1; /* (rows, n_hidden): after the ELU */
    float *hidden2; /* (rows, n_hidden): after fc2, and after dropout */
    struct tft_gate_norm_acts gate;
    struct tft_dropout dropout;
};

/* Arrays for up to `rows` rows of any network whose sizes do not exceed the given ones. */
void tft_grn_carve(struct tft_carver *carver, size_t rows, size_t n_hidden, size_t n_out,
                   struct tft_grn_acts *acts);
void tft_gate_norm_carve(struct tft_carver *carver, size_t rows, size_t n,
                         struct tft_gate_norm_acts *acts);

/* x (rows, n_in) at x_stride, y (rows, n_out). */
void tft_resample_forward(const struct tft_run *run, const struct tft_resample *r, size_t rows,
                          const float *x, size_t x_stride, struct tft_resample_acts *acts,
                          float *y);

/* y = LayerNorm(GLU(x) + skip):  x (rows, n_in), skip (rows, n) at skip_stride, y (rows, n). */
void tft_gate_norm_forward(const struct tft_run *run, const struct tft_linear *gate,
                           const struct tft_norm *norm, size_t rows, const float *x,
                           const float *skip, size_t skip_stride, struct tft_gate_norm_acts *acts,
                           float *y);

/* context (n_context), the same for all rows; NULL for a network that takes none. */
void tft_grn_forward(const struct tft_run *run, const struct tft_grn *g, size_t rows,
                     const float *x, size_t x_stride, const float *context,
                     struct tft_grn_acts *acts, float *y);

#endif
