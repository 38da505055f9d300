/* Twenty and more random networks against a reference written from the description alone: in
 * double, one vector at a time, weights looked up by name. It shares nothing with src/tft but the
 * file reader. */
#include "golden_dir.h"
#include "support.h"

#include "base/buf.h"
#include "base/rng.h"
#include "tft/forward.h"
#include "tft/model_internal.h"
#include "tft/safetensors.h"

enum { CONFIGS = 60, VARS = 6, WIDE = 512, SERIES = 3 };

/* ------------------------------------------------------------------ a random configuration */
struct config {
    size_t hidden, heads, layers, history, horizon, targets, quantiles;
    size_t n_reals, n_cats;
    size_t real_size[VARS], embedding[VARS], classes[VARS];
    unsigned used[2 * VARS]; /* reals, then categoricals: bit 0 static, 1 history, 2 horizon */
    bool softplus;
};

static struct config random_config(struct fw_rng *rng)
{
    struct config c = {.hidden = 1 + fw_rng_below(rng, 20),
                       .layers = 1 + fw_rng_below(rng, 3),
                       .history = 1 + fw_rng_below(rng, 60),
                       .horizon = 1 + fw_rng_below(rng, 9),
                       .targets = 1 + fw_rng_below(rng, 3),
                       .quantiles = 1 + fw_rng_below(rng, 5),
                       .n_reals = fw_rng_below(rng, VARS),
                       .n_cats = fw_rng_below(rng, 4)};
    c.heads = 1 + fw_rng_below(rng, c.hidden < 5 ? c.hidden : 5);
    c.softplus = fw_rng_below(rng, 2);
    if (c.n_reals + c.n_cats == 0)
        c.n_reals = 1;
    for (size_t i = 0; i < VARS; i++) {
        c.real_size[i] = 1 + fw_rng_below(rng, 24);
        c.embedding[i] = 1 + fw_rng_below(rng, 8);
        c.classes[i] = 2 + fw_rng_below(rng, 5);
    }
    for (size_t i = 0; i < 2 * VARS; i++)
        c.used[i] = 1 + (unsigned)fw_rng_below(rng, 7);
    return c;
}

static void put_list(struct fw_buf *b, const char *key, char letter, size_t n, const unsigned *used,
                     unsigned bit)
{
    bool any = false;
    fw_buf_printf(b, "\"%s\":[", key);
    for (size_t i = 0; i < n; i++) {
        if (bit != 0 && (used[i] & bit) == 0)
            continue;
        fw_buf_printf(b, "%s\"%c%zu\"", any ? "," : "", letter, i);
        any = true;
    }
    fw_buf_puts(b, "],");
}

static void put_spec(struct fw_buf *b, const struct config *c)
{
    fw_buf_printf(b,
                  "{\"dims\":{\"max_encoder_length\":%zu,\"min_encoder_length\":1,\"max_prediction_"
                  "length\":%zu},",
                  c->history, c->horizon);
    put_list(b, "x_reals", 'r', c->n_reals, c->used, 0);
    put_list(b, "x_categoricals", 'c', c->n_cats, c->used, 0);
    const char *const sides[] = {"static", "encoder", "decoder"};
    for (unsigned s = 0; s < 3; s++) {
        char key[32];
        (void)snprintf(key, sizeof key, "%s_reals", sides[s]);
        put_list(b, key, 'r', c->n_reals, c->used, 1u << s);
        (void)snprintf(key, sizeof key, "%s_categoricals", sides[s]);
        put_list(b, key, 'c', c->n_cats, c->used + VARS, 1u << s);
    }
    fw_buf_puts(b, "\"scalers\":{");
    for (size_t i = 0; i < c->n_reals; i++)
        fw_buf_printf(b, "%s\"r%zu\":null", i == 0 ? "" : ",", i);
    fw_buf_puts(b, "},\"categoricals\":{");
    for (size_t i = 0; i < c->n_cats; i++) {
        fw_buf_printf(b, "%s\"c%zu\":{\"unknown_index\":0,\"classes\":[", i == 0 ? "" : ",", i);
        for (size_t k = 0; k < c->classes[i]; k++)
            fw_buf_printf(b, "%s\"k%zu\"", k == 0 ? "" : ",", k);
        fw_buf_puts(b, "]}");
    }
    fw_buf_puts(b, "},\"targets\":[");
    for (size_t i = 0; i < c->targets; i++)
        fw_buf_printf(b, "%s\"t%zu\"", i == 0 ? "" : ",", i);
    fw_buf_puts(b, "],\"quantiles\":[");
    for (size_t i = 0; i < c->quantiles; i++)
        fw_buf_printf(b, "%s0.%zu", i == 0 ? "" : ",", i + 1);
    fw_buf_puts(b, "],\"target_normalizer\":{\"type\":\"MultiNormalizer\",\"normalizers\":[");
    for (size_t i = 0; i < c->targets; i++)
        fw_buf_printf(b,
                      "%s{\"type\":\"TorchNormalizer\",\"transformation\":%s,\"norm\":{\"center\":"
                      "0,\"scale\":1}}",
                      i == 0 ? "" : ",", c->softplus ? "\"softplus\"" : "null");
    fw_buf_puts(b, "]}}");
}

/* Weights of order 1 / sqrt(inputs), norms near 1, everything else small: activations stay of
 * order 1. */
static struct tft_safetensors *random_weights(const struct config *c, struct fw_rng *rng,
                                              const struct fw_buf *json, unsigned char **bytes,
                                              size_t *size)
{
    struct tft_spec *spec;
    struct tft_net *net;
    struct fw_error err;
    struct fw_buf file;
    struct tft_safetensors *out;
    size_t reals[VARS], cats[VARS];
    if (tft_spec_parse(json->data, json->len, "spec", &spec, &err) != FW_OK)
        fail_msg("%s", err.text);
    memcpy(reals, c->real_size, sizeof reals);
    memcpy(cats, c->embedding, sizeof cats);
    const struct tft_sizes sizes = {c->hidden, c->heads, c->layers, reals, cats, c->targets > 1};
    if (tft_net_build(spec, &sizes, &net, &err) != FW_OK)
        fail_msg("%s", err.text);
    struct tft_tensor_out *tensors = fw_calloc(net->n_params, sizeof *tensors);
    for (size_t i = 0; i < net->n_params; i++) {
        const struct tft_param *p = &net->params[i];
        float *x = fw_calloc(p->count, sizeof *x);
        const char *name = tft_net_param_name(net, i);
        const bool norm = strstr(name, "norm.weight") != NULL;
        const double size1 = p->rank == 2 ? 1.0 / sqrt((double)p->shape[1]) : 0.3;
        for (size_t j = 0; j < p->count; j++)
            x[j] = (float)((norm ? 1.0 : 0.0) + size1 * fw_rng_normal(rng));
        tensors[i] = (struct tft_tensor_out){
            name, TFT_F32, p->rank, {p->shape[0], p->shape[1]},
               x
        };
    }
    fw_buf_init(&file, (size_t)1 << 26);
    tft_safetensors_write(&file, tensors, net->n_params);
    *bytes = copy_bytes(file.data, file.len);
    *size = file.len;
    assert_int_equal(
        tft_safetensors_parse(copy_bytes(file.data, file.len), file.len, "x", &out, &err), FW_OK);
    for (size_t i = 0; i < net->n_params; i++)
        fw_free((void *)(uintptr_t)tensors[i].data);
    fw_free(tensors);
    fw_buf_fini(&file);
    tft_net_free(net);
    tft_spec_free(spec);
    return out;
}

/* ------------------------------------------------------------------ the reference */
static const struct tft_safetensors *P;

static const struct tft_tensor *param(const char *a, const char *b)
{
    char name[768];
    (void)snprintf(name, sizeof name, "%s%s", a, b);
    return tft_safetensors_find(P, name);
}

static double at(const struct tft_tensor *t, size_t i)
{
    return (double)tft_tensor_f32(t, i);
}

static double sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

/* y += W x + b; returns the number of outputs. */
static size_t linear(const char *name, const double *x, double *y)
{
    const struct tft_tensor *w = param(name, ".weight"), *b = param(name, ".bias");
    for (size_t o = 0; o < w->shape[0]; o++) {
        y[o] += b == NULL ? 0.0 : at(b, o);
        for (size_t i = 0; i < w->shape[1]; i++)
            y[o] += at(w, o * w->shape[1] + i) * x[i];
    }
    return w->shape[0];
}

static void layer_norm(const char *name, double *x)
{
    const struct tft_tensor *w = param(name, ".weight"), *b = param(name, ".bias");
    const size_t n = w->count;
    double mean = 0.0, var = 0.0;
    for (size_t i = 0; i < n; i++)
        mean += x[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        var += (x[i] - mean) * (x[i] - mean) / (double)n;
    for (size_t i = 0; i < n; i++)
        x[i] = (x[i] - mean) / sqrt(var + 1e-5) * at(w, i) + at(b, i);
}

static void resample_norm(const char *name, const double *x, size_t n, double *y)
{
    char norm[640];
    const struct tft_tensor *mask = param(name, ".mask");
    const size_t m = mask->count;
    const float ratio = m > 1 ? (float)(n - 1) / (float)(m - 1) : 0.0f;
    for (size_t j = 0; j < m; j++) {
        const float s = ratio * (float)j;
        const size_t i = (size_t)s < n - 1 ? (size_t)s : n - 1;
        const double w = (double)fminf(fmaxf(s - (float)i, 0.0f), 1.0f);
        const double v = n == m ? x[j] : (1.0 - w) * x[i] + w * x[i + 1 < n ? i + 1 : n - 1];
        y[j] = v * 2.0 * sigmoid(at(mask, j));
    }
    (void)snprintf(norm, sizeof norm, "%s.norm", name);
    layer_norm(norm, y);
}

/* LayerNorm(GLU(x) + skip), named by its two parts. */
static void gate_add_norm(const char *gate, const char *norm, const double *x, const double *skip,
                          double *y)
{
    double g[2 * WIDE] = {0};
    const size_t n = linear(gate, x, g) / 2;
    for (size_t i = 0; i < n; i++)
        y[i] = g[i] * sigmoid(g[n + i]) + skip[i];
    layer_norm(norm, y);
}

static void grn(const char *name, const double *x, size_t n, const double *context, double *y)
{
    char part[512], norm[512];
    double skip[WIDE] = {0}, h[WIDE] = {0}, u[WIDE] = {0};
    (void)snprintf(part, sizeof part, "%s.resample_norm", name);
    if (param(part, ".mask") != NULL)
        resample_norm(part, x, n, skip);
    else
        memcpy(skip, x, n * sizeof *x);
    (void)snprintf(part, sizeof part, "%s.fc1", name);
    const size_t m = linear(part, x, h);
    (void)snprintf(part, sizeof part, "%s.context", name);
    if (context != NULL)
        linear(part, context, h);
    for (size_t i = 0; i < m; i++)
        h[i] = h[i] > 0.0 ? h[i] : exp(h[i]) - 1.0;
    (void)snprintf(part, sizeof part, "%s.fc2", name);
    linear(part, h, u);
    (void)snprintf(part, sizeof part, "%s.gate_norm.glu.fc", name);
    (void)snprintf(norm, sizeof norm, "%s.gate_norm.add_norm.norm", name);
    gate_add_norm(part, norm, u, skip, y);
}

struct step {
    const int32_t *codes;
    const float *reals;
};

static size_t value_of(char letter, size_t i, const struct step *s, double *value)
{
    char name[64];
    if (letter == 'c') {
        (void)snprintf(name, sizeof name, "input_embeddings.embeddings.c%zu", i);
        const struct tft_tensor *table = param(name, ".weight");
        for (size_t j = 0; j < table->shape[1]; j++)
            value[j] = at(table, (size_t)s->codes[i] * table->shape[1] + j);
        return table->shape[1];
    }
    const double x = (double)s->reals[i];
    (void)snprintf(name, sizeof name, "prescalers.r%zu", i);
    memset(value, 0, WIDE * sizeof *value);
    return linear(name, &x, value);
}

static size_t select_variables(const struct config *c, const char *name, unsigned bit,
                               const struct step *s, const double *context, double *y,
                               double *weights)
{
    static double flat[2 * WIDE], out[2 * VARS][WIDE], value[WIDE];
    char net[512];
    size_t n = 0, width = 0;
    for (int letter = 0; letter < 2; letter++) {
        for (size_t i = 0; i < (letter == 0 ? c->n_cats : c->n_reals); i++) {
            if ((c->used[(letter == 0 ? VARS : 0) + i] & bit) == 0)
                continue;
            const size_t size = value_of("cr"[letter], i, s, value);
            (void)snprintf(net, sizeof net, "%s.single_variable_grns.%c%zu", name, "cr"[letter], i);
            if (letter == 0)
                resample_norm(net, value, size, out[n]);
            else
                grn(net, value, size, NULL, out[n]);
            memcpy(flat + width, value, size * sizeof *value);
            width += size;
            n++;
        }
    }
    memset(y, 0, c->hidden * sizeof *y);
    weights[0] = 1.0;
    if (n > 1) {
        double sum = 0.0;
        (void)snprintf(net, sizeof net, "%s.flattened_grn", name);
        grn(net, flat, width, context, weights);
        for (size_t v = 0; v < n; v++)
            sum += exp(weights[v]);
        for (size_t v = 0; v < n; v++)
            weights[v] = exp(weights[v]) / sum;
    }
    for (size_t v = 0; v < n; v++) {
        for (size_t j = 0; j < c->hidden; j++)
            y[j] += weights[v] * out[v][j];
    }
    return n;
}

static void lstm_step(const char *side, size_t layer, size_t n, const double *x, double *h,
                      double *c)
{
    char name[64];
    double z[4 * WIDE] = {0};
    const char *const parts[] = {"ih", "hh"};
    for (int k = 0; k < 2; k++) {
        (void)snprintf(name, sizeof name, "%s.weight_%s_l%zu", side, parts[k], layer);
        const struct tft_tensor *w = param(name, "");
        (void)snprintf(name, sizeof name, "%s.bias_%s_l%zu", side, parts[k], layer);
        const struct tft_tensor *b = param(name, "");
        for (size_t o = 0; o < 4 * n; o++) {
            z[o] += at(b, o);
            for (size_t i = 0; i < n; i++)
                z[o] += at(w, o * n + i) * (k == 0 ? x[i] : h[i]);
        }
    }
    for (size_t j = 0; j < n; j++) {
        c[j] = sigmoid(z[n + j]) * c[j] + sigmoid(z[j]) * tanh(z[2 * n + j]);
        h[j] = sigmoid(z[3 * n + j]) * tanh(c[j]);
    }
}

enum { STEPS = 80 };

/* One query against all that it sees: the average over the heads of softmax(q k / sqrt(d)) v. */
static void attend(const struct config *c, double (*x)[WIDE], size_t query, size_t seen, double *y)
{
    const size_t d = c->hidden / c->heads;
    double mean[WIDE] = {0};
    for (size_t a = 0; a < c->heads; a++) {
        char name[64];
        double q[WIDE] = {0}, score[STEPS], sum = 0.0;
        (void)snprintf(name, sizeof name, "multihead_attn.q_layers.%zu", a);
        linear(name, x[query], q);
        (void)snprintf(name, sizeof name, "multihead_attn.k_layers.%zu", a);
        for (size_t t = 0; t < seen; t++) {
            double k[WIDE] = {0}, dot = 0.0;
            linear(name, x[t], k);
            for (size_t i = 0; i < d; i++)
                dot += q[i] * k[i];
            score[t] = exp(dot / sqrt((double)d));
            sum += score[t];
        }
        for (size_t t = 0; t < seen; t++) {
            double v[WIDE] = {0};
            linear("multihead_attn.v_layer", x[t], v);
            for (size_t i = 0; i < d; i++)
                mean[i] += score[t] / sum * v[i] / (double)c->heads;
        }
    }
    memset(y, 0, c->hidden * sizeof *y);
    linear("multihead_attn.w_h", mean, y);
}

static void reference(const struct config *c, size_t history, size_t horizon,
                      const struct step *steps, const float *scale, double *prediction)
{
    static double selected[STEPS][WIDE], out[STEPS][WIDE], gated[STEPS][WIDE], rich[STEPS][WIDE];
    static double h[4][WIDE], cell[4][WIDE];
    double s[WIDE] = {0}, ctx[4][WIDE] = {{0}}, weights[2 * WIDE];
    const char *const names[] = {"variable_selection", "initial_hidden_lstm", "initial_cell_lstm",
                                 "enrichment"};
    const size_t n = c->hidden, all = history + horizon;
    select_variables(c, "static_variable_selection", 1, &steps[0], NULL, s, weights);
    for (size_t i = 0; i < 4; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "static_context_%s", names[i]);
        grn(name, s, n, NULL, ctx[i]);
    }
    for (size_t l = 0; l < c->layers; l++) {
        memcpy(h[l], ctx[1], sizeof h[l]);
        memcpy(cell[l], ctx[2], sizeof cell[l]);
    }
    for (size_t t = 0; t < all; t++) {
        const bool past = t < history;
        select_variables(c, past ? "encoder_variable_selection" : "decoder_variable_selection",
                         past ? 2 : 4, &steps[t], ctx[0], selected[t], weights);
        for (size_t l = 0; l < c->layers; l++)
            lstm_step(past ? "lstm_encoder" : "lstm_decoder", l, n, l == 0 ? selected[t] : h[l - 1],
                      h[l], cell[l]);
        memcpy(out[t], h[c->layers - 1], sizeof out[t]);
        gate_add_norm("post_lstm_gate_encoder.fc", "post_lstm_add_norm_encoder.norm", out[t],
                      selected[t], gated[t]);
        grn("static_enrichment", gated[t], n, ctx[3], rich[t]);
    }
    for (size_t i = 0; i < horizon; i++) {
        double a[WIDE], b[WIDE], f[WIDE], z[WIDE], raw[WIDE] = {0};
        attend(c, rich, history + i, history + i, a);
        gate_add_norm("post_attn_gate_norm.glu.fc", "post_attn_gate_norm.add_norm.norm", a,
                      rich[history + i], b);
        grn("pos_wise_ff", b, n, NULL, f);
        gate_add_norm("pre_output_gate_norm.glu.fc", "pre_output_gate_norm.add_norm.norm", f,
                      gated[history + i], z);
        for (size_t t = 0; t < c->targets; t++) {
            char name[64] = "output_layer";
            if (c->targets > 1)
                (void)snprintf(name, sizeof name, "output_layer.%zu", t);
            memset(raw, 0, sizeof raw);
            linear(name, z, raw);
            for (size_t q = 0; q < c->quantiles; q++) {
                const double y = raw[q] * (double)scale[2 * t + 1] + (double)scale[2 * t];
                prediction[(i * c->targets + t) * c->quantiles + q] =
                    c->softplus ? log1p(exp(y)) : y;
            }
        }
    }
}

/* ------------------------------------------------------------------ the comparison */
static double compare(const struct config *c, const struct tft_model *m, struct fw_rng *rng,
                      const char *name)
{
    static int32_t hc[SERIES * STEPS * VARS], dc[SERIES * STEPS * VARS];
    static float hr[SERIES * STEPS * VARS], dr[SERIES * STEPS * VARS];
    static float got[SERIES * 9 * 15], alone[9 * 15];
    static unsigned char scratch[1 << 23];
    const size_t e = c->history, d = c->horizon, wide = c->targets * c->quantiles;
    size_t lengths[SERIES], horizons[SERIES];
    float scale[SERIES * 6];
    double worst = 0.0;
    for (size_t i = 0; i < SERIES * STEPS * VARS; i++) {
        hr[i] = (float)fw_rng_normal(rng);
        dr[i] = (float)fw_rng_normal(rng);
    }
    for (size_t i = 0; i < SERIES * e * c->n_cats; i++)
        hc[i] = (int32_t)fw_rng_below(rng, c->classes[i % c->n_cats]);
    for (size_t i = 0; i < SERIES * d * c->n_cats; i++)
        dc[i] = (int32_t)fw_rng_below(rng, c->classes[i % c->n_cats]);
    for (size_t i = 0; i < SERIES; i++) {
        lengths[i] = 1 + fw_rng_below(rng, e);
        horizons[i] = 1 + fw_rng_below(rng, d);
    }
    for (size_t i = 0; i < COUNT_OF(scale); i++)
        scale[i] = (float)(0.5 + fw_rng_uniform(rng));
    const struct tft_input in = {SERIES, e, d, hc, dc, hr, dr, lengths, horizons, scale, NULL};
    const struct tft_output to = {.prediction = got};
    const size_t bytes = tft_forward_scratch_bytes(m, e, d);
    CHECK_TRUE(name, bytes <= sizeof scratch);
    tft_forward(m, &in, &to,
                arena_over(scratch + 4, bytes)); /* no more than it asked for, and not aligned */
    for (size_t i = 0; i < SERIES; i++) {
        struct step steps[STEPS];
        double want[9 * 15];
        for (size_t t = 0; t < lengths[i]; t++)
            steps[t] = (struct step){hc + (i * e + t) * c->n_cats, hr + (i * e + t) * c->n_reals};
        for (size_t t = 0; t < horizons[i]; t++)
            steps[lengths[i] + t] =
                (struct step){dc + (i * d + t) * c->n_cats, dr + (i * d + t) * c->n_reals};
        reference(c, lengths[i], horizons[i], steps, scale + i * 2 * c->targets, want);
        for (size_t j = 0; j < d * wide; j++) {
            const double gap =
                fabs((double)got[i * d * wide + j] - (j < horizons[i] * wide ? want[j] : 0.0));
            worst = gap <= worst ? worst : gap;
        }
        /* Alone, without padding: the same bits. */
        const struct tft_input one = {.n = 1,
                                      .history_steps = lengths[i],
                                      .horizon_steps = horizons[i],
                                      .history_codes = hc + i * e * c->n_cats,
                                      .horizon_codes = dc + i * d * c->n_cats,
                                      .history_reals = hr + i * e * c->n_reals,
                                      .horizon_reals = dr + i * d * c->n_reals,
                                      .history_lengths = &lengths[i],
                                      .horizon_lengths = &horizons[i],
                                      .output_scale = scale + i * 2 * c->targets};
        const struct tft_output to_one = {.prediction = alone};
        tft_forward(m, &one, &to_one, arena_over(scratch, sizeof scratch));
        CHECK_EQ(name, memcmp(alone, got + i * d * wide, horizons[i] * wide * sizeof *alone), 0);
    }
    return worst;
}

static void test_random_networks(void **state)
{
    struct fw_rng rng;
    double worst = 0.0;
    (void)state;
    fw_rng_init(&rng, 2026);
    for (size_t i = 0; i < CONFIGS; i++) {
        const struct config c = random_config(&rng);
        unsigned char *bytes;
        size_t size;
        struct fw_buf json;
        struct tft_model *m;
        struct fw_error err;
        char name[160];
        (void)snprintf(
            name, sizeof name,
            "config %zu: hidden %zu, heads %zu, layers %zu, %zu -> %zu, %zu reals, %zu cats", i,
            c.hidden, c.heads, c.layers, c.history, c.horizon, c.n_reals, c.n_cats);
        fw_buf_init(&json, 1 << 20);
        put_spec(&json, &c);
        struct tft_safetensors *file = random_weights(&c, &rng, &json, &bytes, &size);
        P = file;
        if (tft_model_load(bytes, size, json.data, json.len, NULL, &m, &err) != FW_OK)
            fail_msg("%s: %s", name, err.text);
        for (int set = 0; set < TFT_SETS; set++) {
            const struct tft_kernels *kernels = tft_kernels_of((enum tft_set)set);
            if (kernels == NULL)
                continue;
            tft_model_use_kernels(m, kernels);
            const double gap = compare(&c, m, &rng, name);
            CHECK_NEAR(name, gap, 0.0, 5e-5);
            worst = gap > worst ? gap : worst;
        }
        tft_model_close(m);
        tft_safetensors_close(file);
        fw_buf_fini(&json);
    }
    print_message("  worst of %d networks: %.2e\n", CONFIGS, worst);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_networks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
