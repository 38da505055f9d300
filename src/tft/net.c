#include "tft/net.h"

#include "base/alloc.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { ALIGN_FLOATS = 16, PARAM_NAME_SIZE = 512, NAMES_BYTES_MAX = 1 << 26 };

/* A failure is kept and checked once at the end, so that the description of the network reads like
 * one. */
struct builder {
    struct tft_net *net;
    const struct tft_spec *spec;
    const struct tft_sizes *sizes;
    size_t params_cap, linears_cap, masks_cap;
    enum fw_status status;
};

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Makes room for one more element; NULL after a failure. */
static void *grow(struct builder *b, void *array, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return array;
    const size_t wanted = *cap == 0 ? 64 : *cap * 2;
    void *more = fw_realloc_array(array, wanted, size);
    if (more == NULL) {
        b->status = FW_ENOMEM;
        return NULL;
    }
    *cap = wanted;
    return more;
}

static size_t reserve(struct builder *b, size_t count)
{
    struct tft_net *net = b->net;
    const size_t at = (net->n_floats + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
    if (count > TFT_PARAMS_MAX || at + count > TFT_PARAMS_MAX) {
        b->status = b->status == FW_OK ? FW_ELIMIT : b->status;
        return 0;
    }
    net->n_floats = at + count;
    return at;
}

static void add_param(struct builder *b, size_t offset, size_t rows, size_t columns,
                      const char *name)
{
    struct tft_net *net = b->net;
    if (b->status != FW_OK)
        return;
    void *params = grow(b, net->params, net->n_params, &b->params_cap, sizeof *net->params);
    if (params == NULL)
        return;
    net->params = params;
    struct tft_param *p = &net->params[net->n_params++];
    *p = (struct tft_param){
        .name_at = net->names.len,
        .rank = columns == 0 ? 1 : 2,
        .shape = {rows, columns},
        .offset = offset,
        .count = columns == 0 ? rows : rows * columns
    };
    fw_buf_put(&net->names, name, strlen(name) + 1);
    if (net->names.failed)
        b->status = FW_ENOMEM;
    net->n_parameters += p->count;
}

/* Names a tensor at `offset`: rank 1 when columns is 0. */
static void name_at(struct builder *b, size_t offset, size_t rows, size_t columns,
                    const char *format, ...) FW_PRINTF(5, 6);
static void name_at(struct builder *b, size_t offset, size_t rows, size_t columns,
                    const char *format, ...)
{
    char name[PARAM_NAME_SIZE];
    va_list args;
    va_start(args, format);
    if (vsnprintf(name, sizeof name, format, args) >= (int)sizeof name)
        b->status = FW_ELIMIT;
    va_end(args);
    add_param(b, offset, rows, columns, name);
}

/* A matrix without names yet. */
static struct tft_linear bare_linear(struct builder *b, size_t n_in, size_t n_out, bool biased)
{
    struct tft_linear linear = {n_in, n_out, reserve(b, n_in * n_out), TFT_NONE};
    if (biased)
        linear.bias = reserve(b, n_out);
    void *linears = grow(b, b->net->linears, b->net->n_linears, &b->linears_cap, sizeof linear);
    if (linears == NULL)
        return linear;
    b->net->linears = linears;
    b->net->linears[b->net->n_linears++] = linear;
    return linear;
}

static struct tft_linear linear(struct builder *b, const char *name, size_t n_in, size_t n_out,
                                bool biased)
{
    const struct tft_linear made = bare_linear(b, n_in, n_out, biased);
    name_at(b, made.weight, n_out, n_in, "%s.weight", name);
    if (biased)
        name_at(b, made.bias, n_out, 0, "%s.bias", name);
    return made;
}

static struct tft_linear linear_in(struct builder *b, const char *parent, const char *name,
                                   size_t n_in, size_t n_out, bool biased)
{
    char full[PARAM_NAME_SIZE];
    if (snprintf(full, sizeof full, "%s.%s", parent, name) >= (int)sizeof full)
        b->status = FW_ELIMIT;
    return linear(b, full, n_in, n_out, biased);
}

static struct tft_norm norm(struct builder *b, const char *parent, const char *name, size_t n)
{
    const struct tft_norm made = {n, reserve(b, n), reserve(b, n)};
    name_at(b, made.weight, n, 0, "%s.%s.weight", parent, name);
    name_at(b, made.bias, n, 0, "%s.%s.bias", parent, name);
    return made;
}

static bool stretch_fill(struct tft_stretch *s, size_t n_in, size_t n_out)
{
    *s = (struct tft_stretch){n_in, n_out, fw_calloc(n_out, sizeof *s->at),
                              fw_calloc(n_out, sizeof *s->next), fw_calloc(n_out, sizeof *s->frac)};
    if (s->at == NULL || s->next == NULL || s->frac == NULL)
        return false;
    /* The position in float32 on purpose: its rounding is part of what trained models saw
     * (FORWARD.md 2). */
    const float ratio = n_out > 1 ? (float)(n_in - 1) / (float)(n_out - 1) : 0.0f;
    for (size_t j = 0; j < n_out; j++) {
        const float position = ratio * (float)j;
        const size_t at = smaller((size_t)position, n_in - 1);
        const float frac = position - (float)at;
        s->at[j] = (uint32_t)at;
        s->next[j] = (uint32_t)smaller(at + 1, n_in - 1);
        s->frac[j] = frac < 0.0f ? 0.0f : frac > 1.0f ? 1.0f : frac;
    }
    return true;
}

/* The table for a pair of sizes, shared by all that need it. */
static size_t stretch_for(struct builder *b, size_t n_in, size_t n_out)
{
    struct tft_net *net = b->net;
    for (size_t i = 0; i < net->n_stretches; i++) {
        if (net->stretches[i].n_in == n_in && net->stretches[i].n_out == n_out)
            return i;
    }
    struct tft_stretch *more = fw_realloc_array(net->stretches, net->n_stretches + 1, sizeof *more);
    if (more == NULL) {
        b->status = FW_ENOMEM;
        return 0;
    }
    net->stretches = more;
    if (!stretch_fill(&more[net->n_stretches++], n_in, n_out))
        b->status = FW_ENOMEM;
    return net->n_stretches - 1;
}

static struct tft_resample resample(struct builder *b, const char *name, size_t n_in, size_t n_out)
{
    struct tft_resample made = {
        .n_in = n_in, .n_out = n_out, .stretch = TFT_NONE, .mask = reserve(b, n_out)};
    if (n_in != n_out)
        made.stretch = stretch_for(b, n_in, n_out);
    name_at(b, made.mask, n_out, 0, "%s.mask", name);
    made.norm = norm(b, name, "norm", n_out);
    void *masks = grow(b, b->net->masks, b->net->n_masks, &b->masks_cap, sizeof *b->net->masks);
    if (masks == NULL)
        return made;
    b->net->masks = masks;
    b->net->masks[b->net->n_masks][0] = made.mask;
    b->net->masks[b->net->n_masks++][1] = n_out;
    return made;
}

static struct tft_grn grn(struct builder *b, const char *name, size_t n_in, size_t n_hidden,
                          size_t n_out, size_t n_context)
{
    struct tft_grn made = {
        .n_in = n_in, .n_hidden = n_hidden, .n_out = n_out, .n_context = n_context};
    char part[PARAM_NAME_SIZE];
    made.resampled = n_in != n_out;
    if (made.resampled) {
        if (snprintf(part, sizeof part, "%s.resample_norm", name) >= (int)sizeof part)
            b->status = FW_ELIMIT;
        made.skip = resample(b, part, n_in, n_out);
    }
    made.fc1 = linear_in(b, name, "fc1", n_in, n_hidden, true);
    if (n_context != 0)
        made.context = linear_in(b, name, "context", n_context, n_hidden, false);
    made.fc2 = linear_in(b, name, "fc2", n_hidden, n_hidden, true);
    made.gate = linear_in(b, name, "gate_norm.glu.fc", n_hidden, 2 * n_out, true);
    made.norm = norm(b, name, "gate_norm.add_norm.norm", n_out);
    return made;
}

static struct tft_gate_norm gate_norm(struct builder *b, const char *gate, const char *add_norm,
                                      size_t n)
{
    struct tft_gate_norm made;
    made.gate = linear(b, gate, n, 2 * n, true);
    made.norm = norm(b, add_norm, "norm", n);
    return made;
}

static void embeddings(struct builder *b)
{
    struct tft_net *net = b->net;
    for (size_t i = 0; i < net->n_categoricals; i++) {
        net->classes[i] = b->spec->categoricals[i].classes.n;
        net->embedding_size[i] = b->sizes->embedding_size[i];
        net->embedding[i] = reserve(b, net->classes[i] * net->embedding_size[i]);
        name_at(b, net->embedding[i], net->classes[i], net->embedding_size[i],
                "input_embeddings.embeddings.%s.weight", b->spec->categoricals[i].name);
    }
}

/* A prescaler's matrix has one column, so it needs no packing and is not among the linears. */
static void prescalers(struct builder *b)
{
    struct tft_net *net = b->net;
    for (size_t i = 0; i < net->n_reals; i++) {
        const size_t size = b->sizes->real_size[i];
        if (size == 0) /* listed among x_reals, but no variable of the network */
            continue;
        net->prescaler[i] = (struct tft_linear){1, size, reserve(b, size), reserve(b, size)};
        name_at(b, net->prescaler[i].weight, size, 1, "prescalers.%s.weight",
                b->spec->reals[i].name);
        name_at(b, net->prescaler[i].bias, size, 0, "prescalers.%s.bias", b->spec->reals[i].name);
    }
}

static void vsn(struct builder *b, struct tft_vsn *out, const struct tft_variables *variables,
                const char *name, size_t n_context)
{
    const size_t hidden = b->net->hidden;
    char part[PARAM_NAME_SIZE];
    out->n = variables->n;
    out->input = fw_calloc(variables->n + 1, sizeof *out->input);
    if (out->input == NULL) {
        b->status = FW_ENOMEM;
        return;
    }
    for (size_t i = 0; i < variables->n; i++) {
        const struct tft_variable v = variables->item[i];
        struct tft_vsn_input *in = &out->input[i];
        in->categorical = v.categorical;
        in->column = v.column;
        in->at = out->value_size;
        in->size =
            v.categorical ? b->sizes->embedding_size[v.column] : b->sizes->real_size[v.column];
        out->value_size += in->size;
        const char *variable =
            v.categorical ? b->spec->categoricals[v.column].name : b->spec->reals[v.column].name;
        if (snprintf(part, sizeof part, "%s.single_variable_grns.%s", name, variable) >=
            (int)sizeof part)
            b->status = FW_ELIMIT;
        if (v.categorical)
            in->embed_net = resample(b, part, in->size, hidden);
        else
            in->real_net = grn(b, part, in->size, smaller(in->size, hidden), hidden, 0);
    }
    if (out->n > 1) {
        (void)snprintf(part, sizeof part, "%s.flattened_grn", name);
        out->flat = grn(b, part, out->value_size, smaller(hidden, out->n), out->n, n_context);
    }
}

static void lstm(struct builder *b)
{
    static const char *const names[TFT_SIDES] = {"lstm_encoder", "lstm_decoder"};
    const size_t hidden = b->net->hidden;
    for (size_t s = 0; s < TFT_SIDES; s++) {
        for (size_t l = 0; l < b->net->layers; l++) {
            struct tft_lstm_layer *layer = &b->net->lstm[s][l];
            layer->input = bare_linear(b, hidden, 4 * hidden, true);
            layer->recurrent = bare_linear(b, hidden, 4 * hidden, true);
            name_at(b, layer->input.weight, 4 * hidden, hidden, "%s.weight_ih_l%zu", names[s], l);
            name_at(b, layer->recurrent.weight, 4 * hidden, hidden, "%s.weight_hh_l%zu", names[s],
                    l);
            name_at(b, layer->input.bias, 4 * hidden, 0, "%s.bias_ih_l%zu", names[s], l);
            name_at(b, layer->recurrent.bias, 4 * hidden, 0, "%s.bias_hh_l%zu", names[s], l);
        }
    }
}

static void attention(struct builder *b)
{
    struct tft_attention *a = &b->net->attention;
    const size_t hidden = b->net->hidden, heads = b->net->heads, size = hidden / heads;
    a->heads = heads;
    a->size = size;
    a->value = linear(b, "multihead_attn.v_layer", hidden, size, true);
    a->q = bare_linear(b, hidden, heads * size, true);
    a->k = bare_linear(b, hidden, heads * size, true);
    for (size_t h = 0; h < heads; h++) {
        const size_t weights = h * size * hidden, biases = h * size;
        name_at(b, a->q.weight + weights, size, hidden, "multihead_attn.q_layers.%zu.weight", h);
        name_at(b, a->q.bias + biases, size, 0, "multihead_attn.q_layers.%zu.bias", h);
        name_at(b, a->k.weight + weights, size, hidden, "multihead_attn.k_layers.%zu.weight", h);
        name_at(b, a->k.bias + biases, size, 0, "multihead_attn.k_layers.%zu.bias", h);
    }
    a->output = linear(b, "multihead_attn.w_h", size, hidden, false);
}

static void output(struct builder *b)
{
    struct tft_net *net = b->net;
    const size_t q = net->n_quantiles;
    net->output = bare_linear(b, net->hidden, net->n_targets * q, true);
    for (size_t t = 0; t < net->n_targets; t++) {
        char name[64] = "output_layer";
        if (b->sizes->numbered_output)
            (void)snprintf(name, sizeof name, "output_layer.%zu", t);
        name_at(b, net->output.weight + t * q * net->hidden, q, net->hidden, "%s.weight", name);
        name_at(b, net->output.bias + t * q, q, 0, "%s.bias", name);
    }
}

static void whole(struct builder *b)
{
    static const char *const contexts[TFT_CONTEXTS] = {
        "static_context_variable_selection", "static_context_initial_hidden_lstm",
        "static_context_initial_cell_lstm", "static_context_enrichment"};
    struct tft_net *net = b->net;
    const size_t h = net->hidden;
    embeddings(b);
    prescalers(b);
    vsn(b, &net->stat, &b->spec->stat, "static_variable_selection", 0);
    vsn(b, &net->side[TFT_ENCODER], &b->spec->encoder, "encoder_variable_selection", h);
    vsn(b, &net->side[TFT_DECODER], &b->spec->decoder, "decoder_variable_selection", h);
    for (size_t i = 0; i < TFT_CONTEXTS; i++)
        net->context[i] = grn(b, contexts[i], h, h, h, 0);
    lstm(b);
    net->post_lstm = gate_norm(b, "post_lstm_gate_encoder.fc", "post_lstm_add_norm_encoder", h);
    net->enrichment = grn(b, "static_enrichment", h, h, h, h);
    attention(b);
    net->post_attention =
        gate_norm(b, "post_attn_gate_norm.glu.fc", "post_attn_gate_norm.add_norm", h);
    net->feed_forward = grn(b, "pos_wise_ff", h, h, h, 0);
    net->pre_output =
        gate_norm(b, "pre_output_gate_norm.glu.fc", "pre_output_gate_norm.add_norm", h);
    output(b);
}

static enum fw_status check_sizes(const struct tft_spec *spec, const struct tft_sizes *sizes,
                                  struct fw_error *err)
{
    if (sizes->hidden == 0 || sizes->hidden > TFT_HIDDEN_MAX)
        return fw_fail(err, FW_ELIMIT, "hidden size %zu, the limit is %d", sizes->hidden,
                       TFT_HIDDEN_MAX);
    if (sizes->heads == 0 || sizes->heads > TFT_HEADS_MAX || sizes->heads > sizes->hidden)
        return fw_fail(err, FW_ELIMIT, "%zu attention heads for a hidden size of %zu", sizes->heads,
                       sizes->hidden);
    if (sizes->layers == 0 || sizes->layers > TFT_LAYERS_MAX)
        return fw_fail(err, FW_ELIMIT, "%zu LSTM layers, the limit is %d", sizes->layers,
                       TFT_LAYERS_MAX);
    for (size_t i = 0; i < spec->n_reals; i++) {
        if (sizes->real_size[i] > TFT_VALUE_MAX)
            return fw_fail(err, FW_ELIMIT, "%s: %zu continuous values", spec->reals[i].name,
                           sizes->real_size[i]);
    }
    for (size_t i = 0; i < spec->n_categoricals; i++) {
        if (sizes->embedding_size[i] == 0 || sizes->embedding_size[i] > TFT_VALUE_MAX)
            return fw_fail(err, FW_ELIMIT, "%s: embedding of size %zu", spec->categoricals[i].name,
                           sizes->embedding_size[i]);
    }
    return FW_OK;
}

enum fw_status tft_net_build(const struct tft_spec *spec, const struct tft_sizes *sizes,
                             struct tft_net **out, struct fw_error *err)
{
    struct builder b = {.spec = spec, .sizes = sizes};
    *out = NULL;
    const enum fw_status checked = check_sizes(spec, sizes, err);
    if (checked != FW_OK)
        return checked;
    struct tft_net *net = b.net = fw_calloc(1, sizeof *net);
    if (net == NULL)
        return fw_fail(err, FW_ENOMEM, "build the network");
    fw_buf_init(&net->names, NAMES_BYTES_MAX);
    net->hidden = sizes->hidden;
    net->heads = sizes->heads;
    net->layers = sizes->layers;
    net->n_targets = spec->n_targets;
    net->n_quantiles = spec->n_quantiles;
    net->n_reals = spec->n_reals;
    net->n_categoricals = spec->n_categoricals;
    net->embedding = fw_calloc(spec->n_categoricals + 1, sizeof *net->embedding);
    net->classes = fw_calloc(spec->n_categoricals + 1, sizeof *net->classes);
    net->embedding_size = fw_calloc(spec->n_categoricals + 1, sizeof *net->embedding_size);
    net->prescaler = fw_calloc(spec->n_reals + 1, sizeof *net->prescaler);
    if (net->embedding == NULL || net->classes == NULL || net->embedding_size == NULL ||
        net->prescaler == NULL)
        b.status = FW_ENOMEM;
    else
        whole(&b);
    if (b.status != FW_OK) {
        tft_net_free(net);
        return fw_fail(err, b.status, "build the network: %s", fw_status_name(b.status));
    }
    *out = net;
    return FW_OK;
}

void tft_net_free(struct tft_net *net)
{
    if (net == NULL)
        return;
    for (size_t i = 0; i < net->n_stretches; i++) {
        fw_free(net->stretches[i].at);
        fw_free(net->stretches[i].next);
        fw_free(net->stretches[i].frac);
    }
    fw_free(net->stretches);
    fw_free(net->stat.input);
    fw_free(net->side[TFT_ENCODER].input);
    fw_free(net->side[TFT_DECODER].input);
    fw_free(net->embedding);
    fw_free(net->classes);
    fw_free(net->embedding_size);
    fw_free(net->prescaler);
    fw_free(net->params);
    fw_free(net->linears);
    fw_free(net->masks);
    fw_buf_fini(&net->names);
    fw_free(net);
}

const char *tft_net_param_name(const struct tft_net *net, size_t i)
{
    assert(i < net->n_params);
    return net->names.data + net->params[i].name_at;
}

static const char *replaced(const char *rest, const char *with, char *room, size_t room_size)
{
    return snprintf(room, room_size, "%s%s", with, rest) < (int)room_size ? room : "";
}

const char *tft_net_first_name(const char *name, char *room, size_t room_size)
{
    static const struct {
        const char *second, *first;
    } shared[] = {
        {"static_variable_selection.prescalers.",  "prescalers."                },
        {"encoder_variable_selection.prescalers.", "prescalers."                },
        {"decoder_variable_selection.prescalers.", "prescalers."                },
        {"post_lstm_gate_decoder.",                "post_lstm_gate_encoder."    },
        {"post_lstm_add_norm_decoder.",            "post_lstm_add_norm_encoder."},
    };
    for (size_t i = 0; i < COUNT(shared); i++) {
        const size_t len = strlen(shared[i].second);
        if (strncmp(name, shared[i].second, len) == 0)
            return replaced(name + len, shared[i].first, room, room_size);
    }
    return name;
}

void tft_net_pack(const struct tft_net *net, const float *params, float *packed)
{
    memcpy(packed, params, net->n_floats * sizeof *packed);
    for (size_t i = 0; i < net->n_linears; i++) {
        const struct tft_linear l = net->linears[i];
        for (size_t row = 0; row < l.n_out; row++) {
            for (size_t column = 0; column < l.n_in; column++)
                packed[l.weight + column * l.n_out + row] =
                    params[l.weight + row * l.n_in + column];
        }
    }
    for (size_t i = 0; i < net->n_masks; i++) {
        const size_t at = net->masks[i][0];
        for (size_t j = 0; j < net->masks[i][1]; j++)
            packed[at + j] = 2.0f / (1.0f + expf(-params[at + j]));
    }
}
