#include "tft/vsn_backward.h"

#include <string.h>

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

void tft_vsn_gradient_carve(struct tft_carver *carver, const struct tft_net *net, size_t rows,
                            struct tft_vsn_gradient *d)
{
    const struct tft_vsn *const all[] = {&net->stat, &net->side[TFT_ENCODER],
                                         &net->side[TFT_DECODER]};
    size_t values = 1, variables = 1;
    for (size_t i = 0; i < COUNT(all); i++) {
        values = larger(values, all[i]->value_size);
        variables = larger(variables, all[i]->n);
    }
    d->values = tft_carve(carver, rows * values);
    d->weights = tft_carve(carver, rows * variables);
    d->out = tft_carve(carver, rows * net->hidden);
}

/* The gradient of variable v's weight, and that of its network's output. */
static void split(size_t rows, size_t hidden, size_t n, size_t v, const float *dy, const float *out,
                  const float *weights, struct tft_vsn_gradient *d)
{
    for (size_t r = 0; r < rows; r++) {
        const float *dyr = dy + r * hidden, *o = out + r * hidden;
        const float w = weights[r * n + v];
        float lanes[8] = {0};
        float *dr = d->out + r * hidden;
        for (size_t j = 0; j < hidden; j++) {
            lanes[j % 8] += dyr[j] * o[j];
            dr[j] = w * dyr[j];
        }
        d->weights[r * n + v] = ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
                                ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
    }
}

static void variable_backward(const struct tft_grad_run *g, const struct tft_vsn *vsn, size_t v,
                              size_t rows, struct tft_vsn_acts *acts, struct tft_vsn_gradient *d)
{
    const struct tft_vsn_input *in = &vsn->input[v];
    float *dx = d->values + in->at;
    if (in->categorical)
        tft_resample_backward(g, &in->embed_net, rows, &acts->variable.resample, d->out, dx,
                              vsn->value_size);
    else
        tft_grn_backward(g, &in->real_net, rows, acts->values + in->at, vsn->value_size, NULL,
                         &acts->variable, d->out, dx, vsn->value_size, NULL);
}

static void embedding_backward(const struct tft_grad_run *g, const struct tft_vsn_input *in,
                               size_t rows, const int32_t *codes, const float *d, size_t stride)
{
    const struct tft_net *net = g->run.net;
    float *table = g->grads + net->embedding[in->column];
    for (size_t r = 0; r < rows; r++) {
        const size_t code = (size_t)codes[r * net->n_categoricals + in->column];
        g->b->add(in->size, d + r * stride, table + code * in->size);
    }
}

static void prescaler_backward(const struct tft_grad_run *g, const struct tft_vsn_input *in,
                               size_t rows, const float *reals, const float *d, size_t stride)
{
    const struct tft_net *net = g->run.net;
    const struct tft_linear *l = &net->prescaler[in->column];
    float *dw = g->grads + l->weight, *db = g->grads + l->bias;
    for (size_t r = 0; r < rows; r++) {
        const float x = reals[r * net->n_reals + in->column];
        for (size_t i = 0; i < in->size; i++) {
            dw[i] += x * d[r * stride + i];
            db[i] += d[r * stride + i];
        }
    }
}

static void values_backward(const struct tft_grad_run *g, const struct tft_vsn *vsn, size_t rows,
                            const int32_t *codes, const float *reals, const float *d)
{
    for (size_t v = 0; v < vsn->n; v++) {
        const struct tft_vsn_input *in = &vsn->input[v];
        if (in->categorical)
            embedding_backward(g, in, rows, codes, d + in->at, vsn->value_size);
        else
            prescaler_backward(g, in, rows, reals, d + in->at, vsn->value_size);
    }
}

void tft_vsn_backward(const struct tft_grad_run *g, const struct tft_vsn *vsn, size_t rows,
                      const int32_t *codes, const float *reals, const float *context,
                      struct tft_vsn_acts *acts, struct tft_vsn_gradient *d, float *weights,
                      const float *dy, float *dcontext)
{
    const size_t hidden = g->run.net->hidden;
    if (vsn->n == 0)
        return;
    tft_vsn_values(&g->run, vsn, rows, codes, reals, acts->values);
    memset(d->values, 0, rows * vsn->value_size * sizeof *d->values);
    if (vsn->n == 1) {
        tft_vsn_variable(&g->run, vsn, 0, rows, acts, acts->out);
        memcpy(d->out, dy, rows * hidden * sizeof *dy);
        variable_backward(g, vsn, 0, rows, acts, d);
    } else {
        tft_grn_forward(&g->run, &vsn->flat, rows, acts->values, vsn->value_size, context,
                        &acts->flat, weights);
        g->run.k->softmax(rows, vsn->n, weights);
        for (size_t v = 0; v < vsn->n; v++) {
            tft_vsn_variable(&g->run, vsn, v, rows, acts, acts->out);
            split(rows, hidden, vsn->n, v, dy, acts->out, weights, d);
            variable_backward(g, vsn, v, rows, acts, d);
        }
        g->b->softmax(rows, vsn->n, weights, 1.0f, d->weights);
        tft_grn_backward(g, &vsn->flat, rows, acts->values, vsn->value_size, context, &acts->flat,
                         d->weights, d->values, vsn->value_size, dcontext);
    }
    values_backward(g, vsn, rows, codes, reals, d->values);
}
