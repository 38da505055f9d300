#include "tft/grn.h"

#include <assert.h>

void tft_gate_norm_carve(struct tft_carver *carver, size_t rows, size_t n,
                         struct tft_gate_norm_acts *acts)
{
    acts->gates = tft_carve(carver, rows * 2 * n);
    acts->sum = tft_carve(carver, rows * n);
}

void tft_grn_carve(struct tft_carver *carver, size_t rows, size_t n_hidden, size_t n_out,
                   struct tft_grn_acts *acts)
{
    acts->resample.stretched = tft_carve(carver, rows * n_out);
    acts->skip = tft_carve(carver, rows * n_out);
    acts->bias = tft_carve(carver, n_hidden);
    acts->hidden1 = tft_carve(carver, rows * n_hidden);
    acts->hidden2 = tft_carve(carver, rows * n_hidden);
    tft_gate_norm_carve(carver, rows, n_out, &acts->gate);
    acts->dropout = (struct tft_dropout){0};
}

/* The identity written as a stretch would need a table as long as the vector; this is the same
 * without one. */
static void scale_rows(size_t rows, size_t n, const float *x, size_t x_stride, const float *factor,
                       float *y)
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t j = 0; j < n; j++)
            y[r * n + j] = x[r * x_stride + j] * factor[j];
    }
}

void tft_resample_forward(const struct tft_run *run, const struct tft_resample *r, size_t rows,
                          const float *x, size_t x_stride, struct tft_resample_acts *acts, float *y)
{
    const float *factor = run->w + r->mask;
    if (r->stretch == TFT_NONE) {
        scale_rows(rows, r->n_out, x, x_stride, factor, acts->stretched);
    } else {
        const struct tft_stretch *s = &run->net->stretches[r->stretch];
        run->k->stretch(rows, r->n_out, x, x_stride, s->at, s->next, s->frac, factor,
                        acts->stretched);
    }
    tft_normalise(run, &r->norm, rows, acts->stretched, y);
}

void tft_gate_norm_forward(const struct tft_run *run, const struct tft_linear *gate,
                           const struct tft_norm *norm, size_t rows, const float *x,
                           const float *skip, size_t skip_stride, struct tft_gate_norm_acts *acts,
                           float *y)
{
    tft_apply(run, gate, rows, x, gate->n_in, acts->gates);
    run->k->glu_add(rows, norm->n, acts->gates, skip, skip_stride, acts->sum);
    tft_normalise(run, norm, rows, acts->sum, y);
}

void tft_grn_forward(const struct tft_run *run, const struct tft_grn *g, size_t rows,
                     const float *x, size_t x_stride, const float *context,
                     struct tft_grn_acts *acts, float *y)
{
    const float *bias = run->w + g->fc1.bias;
    const float *skip = x;
    size_t skip_stride = x_stride;
    assert((context != NULL) == (g->n_context != 0));
    if (context != NULL) { /* the same for every row: one product, added to the bias */
        run->k->linear(1, g->n_context, g->n_hidden, context, g->n_context,
                       run->w + g->context.weight, bias, acts->bias);
        bias = acts->bias;
    }
    if (g->resampled) {
        tft_resample_forward(run, &g->skip, rows, x, x_stride, &acts->resample, acts->skip);
        skip = acts->skip;
        skip_stride = g->n_out;
    }
    run->k->linear(rows, g->n_in, g->n_hidden, x, x_stride, run->w + g->fc1.weight, bias,
                   acts->hidden1);
    run->k->elu(rows * g->n_hidden, acts->hidden1);
    tft_apply(run, &g->fc2, rows, acts->hidden1, g->n_hidden, acts->hidden2);
    tft_dropout_apply(&acts->dropout, rows * g->n_hidden, acts->hidden2);
    tft_gate_norm_forward(run, &g->gate, &g->norm, rows, acts->hidden2, skip, skip_stride,
                          &acts->gate, y);
}
