#include "tft/vsn.h"

#include <assert.h>
#include <string.h>

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

void tft_vsn_carve(struct tft_carver *carver, const struct tft_net *net, size_t rows,
                   struct tft_vsn_acts *acts)
{
    const struct tft_vsn *const all[] = {&net->stat, &net->side[TFT_ENCODER],
                                         &net->side[TFT_DECODER]};
    size_t values = 0, variables = 1, hidden1 = 1;
    for (size_t i = 0; i < COUNT(all); i++) {
        values = larger(values, all[i]->value_size);
        variables = larger(variables, all[i]->n);
        for (size_t v = 0; v < all[i]->n; v++)
            hidden1 = larger(hidden1, all[i]->input[v].real_net.n_hidden);
    }
    acts->values = tft_carve(carver, rows * values);
    acts->out = tft_carve(carver, rows * net->hidden);
    tft_grn_carve(carver, rows, larger(net->hidden < variables ? net->hidden : variables, 1),
                  variables, &acts->flat);
    tft_grn_carve(carver, rows, hidden1, net->hidden, &acts->variable);
}

static void embed(const struct tft_run *run, const struct tft_vsn_input *in, size_t rows,
                  const int32_t *codes, float *values, size_t stride)
{
    const struct tft_net *net = run->net;
    const float *table = run->w + net->embedding[in->column];
    for (size_t r = 0; r < rows; r++) {
        const int32_t code = codes[r * net->n_categoricals + in->column];
        assert(code >= 0 && (size_t)code < net->classes[in->column]);
        memcpy(values + r * stride, table + (size_t)code * in->size, in->size * sizeof *values);
    }
}

static void prescale(const struct tft_run *run, const struct tft_vsn_input *in, size_t rows,
                     const float *reals, float *values, size_t stride)
{
    const struct tft_linear *l = &run->net->prescaler[in->column];
    const float *w = run->w + l->weight, *b = run->w + l->bias;
    for (size_t r = 0; r < rows; r++) {
        const float x = reals[r * run->net->n_reals + in->column];
        for (size_t i = 0; i < in->size; i++)
            values[r * stride + i] = x * w[i] + b[i];
    }
}

void tft_vsn_values(const struct tft_run *run, const struct tft_vsn *vsn, size_t rows,
                    const int32_t *codes, const float *reals, float *values)
{
    for (size_t v = 0; v < vsn->n; v++) {
        const struct tft_vsn_input *in = &vsn->input[v];
        if (in->categorical)
            embed(run, in, rows, codes, values + in->at, vsn->value_size);
        else
            prescale(run, in, rows, reals, values + in->at, vsn->value_size);
    }
}

void tft_vsn_variable(const struct tft_run *run, const struct tft_vsn *vsn, size_t v, size_t rows,
                      struct tft_vsn_acts *acts, float *y)
{
    const struct tft_vsn_input *in = &vsn->input[v];
    const float *x = acts->values + in->at;
    acts->variable.dropout.site = acts->flat.dropout.site + 1 + (uint32_t)v;
    if (in->categorical)
        tft_resample_forward(run, &in->embed_net, rows, x, vsn->value_size,
                             &acts->variable.resample, y);
    else
        tft_grn_forward(run, &in->real_net, rows, x, vsn->value_size, NULL, &acts->variable, y);
}

void tft_vsn_forward(const struct tft_run *run, const struct tft_vsn *vsn, size_t rows,
                     const int32_t *codes, const float *reals, const float *context,
                     struct tft_vsn_acts *acts, float *y, float *weights)
{
    const size_t hidden = run->net->hidden;
    tft_vsn_values(run, vsn, rows, codes, reals, acts->values);
    if (vsn->n == 1) {
        tft_vsn_variable(run, vsn, 0, rows, acts, y);
        for (size_t r = 0; r < rows; r++)
            weights[r] = 1.0f;
        return;
    }
    memset(y, 0, rows * hidden * sizeof *y);
    if (vsn->n == 0)
        return;
    tft_grn_forward(run, &vsn->flat, rows, acts->values, vsn->value_size, context, &acts->flat,
                    weights);
    run->k->softmax(rows, vsn->n, weights);
    for (size_t v = 0; v < vsn->n; v++) {
        tft_vsn_variable(run, vsn, v, rows, acts, acts->out);
        run->k->add_weighted(rows, hidden, acts->out, weights + v, vsn->n, y);
    }
}
