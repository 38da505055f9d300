#include "tft/grn_backward.h"

#include <assert.h>
#include <string.h>

void tft_linear_backward(const struct tft_grad_run *g, const struct tft_linear *l, size_t rows,
                         const float *x, size_t x_stride, const float *dy, float *dx)
{
    g->b->outer_add(rows, l->n_out, l->n_in, dy, l->n_out, x, x_stride, g->grads + l->weight);
    if (l->bias != TFT_NONE)
        g->b->sum_rows(rows, l->n_out, dy, g->grads + l->bias);
    if (dx != NULL)
        g->run.k->linear(rows, l->n_out, l->n_in, dy, l->n_out, g->params + l->weight, NULL, dx);
}

void tft_norm_backward(const struct tft_grad_run *g, const struct tft_norm *n, size_t rows,
                       const float *x, float *dy)
{
    g->b->layer_norm(rows, n->n, x, g->params + n->weight, dy, g->grads + n->weight,
                     g->grads + n->bias);
}

static void add_strided(const struct tft_grad_run *g, size_t rows, size_t n, const float *x,
                        float *y, size_t y_stride)
{
    for (size_t r = 0; r < rows; r++)
        g->b->add(n, x + r * n, y + r * y_stride);
}

/* The factor is f = 2 sigmoid(m), so df/dm = f (1 - f / 2), and the value before it is
 * stretched / f. */
static void mask_backward(const struct tft_grad_run *g, const struct tft_resample *r, size_t rows,
                          const float *stretched, const float *d)
{
    const float *factor = g->run.w + r->mask;
    float *out = g->grads + r->mask;
    for (size_t row = 0; row < rows; row++) {
        for (size_t j = 0; j < r->n_out; j++)
            out[j] +=
                d[row * r->n_out + j] * stretched[row * r->n_out + j] * (1.0f - 0.5f * factor[j]);
    }
}

void tft_resample_backward(const struct tft_grad_run *g, const struct tft_resample *r, size_t rows,
                           const struct tft_resample_acts *acts, float *dy, float *dx,
                           size_t dx_stride)
{
    const float *factor = g->run.w + r->mask;
    const size_t n = r->n_out;
    tft_norm_backward(g, &r->norm, rows, acts->stretched, dy);
    mask_backward(g, r, rows, acts->stretched, dy);
    for (size_t row = 0; row < rows; row++, dy += n, dx += dx_stride) {
        if (r->stretch == TFT_NONE) {
            for (size_t j = 0; j < n; j++)
                dx[j] += dy[j] * factor[j];
            continue;
        }
        const struct tft_stretch *s = &g->run.net->stretches[r->stretch];
        for (size_t j = 0; j < n; j++) {
            const float d = dy[j] * factor[j];
            dx[s->at[j]] += (1.0f - s->frac[j]) * d;
            dx[s->next[j]] += s->frac[j] * d;
        }
    }
}

void tft_gate_norm_backward(const struct tft_grad_run *g, const struct tft_linear *gate,
                            const struct tft_norm *norm, size_t rows, const float *x,
                            struct tft_gate_norm_acts *acts, float *dy, float *dx)
{
    tft_norm_backward(g, norm, rows, acts->sum, dy);
    g->b->glu(rows, norm->n, acts->gates, dy);
    tft_linear_backward(g, gate, rows, x, gate->n_in, acts->gates, dx);
}

/* The context's share of the first layer is the same for every row, so its gradient is the sum of
 * theirs. */
static void context_backward(const struct tft_grad_run *g, const struct tft_grn *grn, size_t rows,
                             const float *context, const float *d, float *dcontext)
{
    float *sum = g->turned, *back = g->hidden;
    memset(sum, 0, grn->n_hidden * sizeof *sum);
    g->b->sum_rows(rows, grn->n_hidden, d, sum);
    tft_linear_backward(g, &grn->context, 1, context, grn->n_context, sum, back);
    g->b->add(grn->n_context, back, dcontext);
}

void tft_grn_backward(const struct tft_grad_run *g, const struct tft_grn *grn, size_t rows,
                      const float *x, size_t x_stride, const float *context,
                      struct tft_grn_acts *acts, float *dy, float *dx, size_t dx_stride,
                      float *dcontext)
{
    const size_t n = rows * grn->n_hidden;
    assert((context != NULL) == (grn->n_context != 0));
    tft_gate_norm_backward(g, &grn->gate, &grn->norm, rows, acts->hidden2, &acts->gate, dy,
                           g->hidden);
    tft_dropout_apply(&acts->dropout, n, g->hidden);
    float *d1 = acts->hidden2; /* no longer needed: its place takes the first layer's gradient */
    tft_linear_backward(g, &grn->fc2, rows, acts->hidden1, grn->n_hidden, g->hidden, d1);
    g->b->elu(n, acts->hidden1, d1);
    tft_linear_backward(g, &grn->fc1, rows, x, x_stride, d1, g->in);
    add_strided(g, rows, grn->n_in, g->in, dx, dx_stride);
    if (context != NULL)
        context_backward(g, grn, rows, context, d1, dcontext);
    if (grn->resampled)
        tft_resample_backward(g, &grn->skip, rows, &acts->resample, dy, dx, dx_stride);
    else
        add_strided(g, rows, grn->n_out, dy, dx, dx_stride);
}
