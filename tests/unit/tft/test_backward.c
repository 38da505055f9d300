/* The backward pass on shapes that no golden set has: every kernel against its plain twin on odd
 * sizes, and central differences through networks of random form, so that every module's backward
 * is held by every combination of sizes that it can meet. */
#include "support.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/rng.h"
#include "tft/adam.h"
#include "tft/kernels/backward.h"
#include "tft/learner.h"
#include "tft/loss.h"

#include <stdlib.h>

/* ---- kernels ---- */

enum { ROOM = 4096 };

struct arrays {
    float a[ROOM], b[ROOM], w[ROOM], out[2][ROOM], more[2][ROOM], last[2][ROOM];
};

static void fill(struct fw_rng *rng, float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)fw_rng_normal(rng);
}

static void fill_arrays(struct fw_rng *rng, struct arrays *x)
{
    fill(rng, x->a, ROOM);
    fill(rng, x->b, ROOM);
    fill(rng, x->w, ROOM);
    fill(rng, x->out[0], ROOM);
    fill(rng, x->more[0], ROOM);
    fill(rng, x->last[0], ROOM);
    memcpy(x->out[1], x->out[0], sizeof x->out[0]);
    memcpy(x->more[1], x->more[0], sizeof x->more[0]);
    memcpy(x->last[1], x->last[0], sizeof x->last[0]);
}

/* Whole arrays are compared: what a kernel must not touch is in them too. */
static void compare(const char *name, const struct arrays *x)
{
    check_floats(name, x->out[1], x->out[0], ROOM, 1.0, 1e-4);
    check_floats(name, x->more[1], x->more[0], ROOM, 1.0, 1e-4);
    check_floats(name, x->last[1], x->last[0], ROOM, 1.0, 1e-4);
}

static void positive(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = 1.0f / (1.0f + expf(-x[i]));
}

static void check_twins(const struct tft_backward_kernels *const k[2])
{
    static struct arrays x;
    struct fw_rng rng;
    fw_rng_init(&rng, 7);
    for (int round = 0; round < 300; round++) {
        const size_t rows = 1 + (size_t)fw_rng_below(&rng, 9), n = 1 + fw_rng_below(&rng, 40);
        const size_t wide = 1 + (size_t)fw_rng_below(&rng, 40), gap = (size_t)fw_rng_below(&rng, 3);
        fill_arrays(&rng, &x);
        for (int i = 0; i < 2; i++)
            k[i]->outer_add(rows, n, wide, x.a, n + gap, x.b, wide + gap, x.out[i]);
        compare("outer_add", &x);
        for (int i = 0; i < 2; i++) {
            k[i]->sum_rows(rows, n, x.a, x.out[i]);
            k[i]->elu(rows * n, x.a, x.more[i]);
            k[i]->add(rows * n, x.b, x.last[i]);
        }
        compare("sum_rows, elu, add", &x);
        for (int i = 0; i < 2; i++) {
            k[i]->glu(rows, n, x.out[i], x.a);
            k[i]->drop(rows * n, 99u + (uint32_t)round, 1u << 30, 4.0f / 3.0f, x.last[i]);
        }
        compare("glu, drop", &x);
        fill_arrays(&rng, &x);
        for (int i = 0; i < 2; i++)
            k[i]->layer_norm(rows, n, x.a, x.w, x.out[i], x.more[i], x.last[i]);
        if (n > 2) /* of one or two values almost nothing is left, and that is rounding */
            compare("layer_norm", &x);
        fill_arrays(&rng, &x);
        positive(x.a, ROOM);
        for (int i = 0; i < 2; i++)
            k[i]->softmax(rows, n, x.a, 0.5f, x.out[i]);
        compare("softmax", &x);
    }
}

static void check_lstm(const struct tft_backward_kernels *const k[2])
{
    static struct arrays x;
    struct fw_rng rng;
    fw_rng_init(&rng, 8);
    for (size_t n = 1; n <= 20; n++) {
        fill_arrays(&rng, &x);
        positive(x.out[0], ROOM);
        memcpy(x.out[1], x.out[0], sizeof x.out[0]);
        for (int i = 0; i < 2; i++)
            k[i]->lstm(5, n, x.out[i], x.a, x.b, x.w, x.b + n, x.more[i], x.last[i]);
        check_floats("lstm", x.out[1], x.out[0], ROOM, 50.0, 1e-4);
        check_floats("lstm dh", x.more[1], x.more[0], ROOM, 50.0, 1e-4);
        check_floats("lstm dc", x.last[1], x.last[0], ROOM, 50.0, 1e-4);
    }
}

static void test_twins(void **state)
{
    (void)state;
    for (int set = TFT_SET_PLAIN + 1; set < TFT_SETS; set++) {
        const struct tft_backward_kernels *const k[2] = {tft_backward_of(TFT_SET_PLAIN),
                                                         tft_backward_of((enum tft_set)set)};
        if (k[1] == NULL)
            continue;
        check_twins(k);
        check_lstm(k);
    }
}

/* The share that falls out, and that what stays is scaled, so that the mean is kept. */
static void test_drop(void **state)
{
    (void)state;
    enum { N = 20000 };
    float *x = fw_calloc(N, sizeof *x);
    size_t dropped = 0;
    for (size_t i = 0; i < N; i++)
        x[i] = 1.0f;
    tft_backward_best()->drop(N, 12345, (uint32_t)(0.15 * 4294967296.0), 1.0f / 0.85f, x);
    for (size_t i = 0; i < N; i++) {
        dropped += x[i] == 0.0f;
        CHECK_TRUE("a kept value is scaled", x[i] == 0.0f || x[i] == 1.0f / 0.85f);
    }
    CHECK_NEAR("share", (double)dropped / N, 0.15, 0.01);
    fw_free(x);
}

/* ---- loss and Adam ---- */

static void test_loss_rows(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double q;
        float y, yhat, weight;
        double loss, grad;
    } rows[] = {
        {"too low, p90",    0.9, 10.0f, 8.0f,  1.0f, 3.6, -1.8},
        {"too high, p90",   0.9, 8.0f,  10.0f, 1.0f, 0.4, 0.2 },
        {"median is MAE",   0.5, 3.0f,  1.0f,  1.0f, 2.0, -1.0},
        {"a tie is halved", 0.9, 3.0f,  3.0f,  1.0f, 0.0, -0.8},
        {"weighed",         0.5, 3.0f,  1.0f,  0.5f, 1.0, -0.5},
        {"missing target",  0.9, NAN,   5.0f,  1.0f, 0.0, 0.0 },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        float grad = -7.0f;
        const double loss = tft_loss_quantile(1, 1, 1, &rows[i].q, &rows[i].y, &rows[i].yhat,
                                              &rows[i].weight, &grad);
        CHECK_NEAR(rows[i].name, loss, rows[i].loss, 1e-6);
        CHECK_NEAR(rows[i].name, grad, rows[i].grad, 1e-6);
    }
}

static void test_adam(void **state)
{
    (void)state;
    const struct tft_adam adam = tft_adam_default(0.1);
    float p[2] = {1.0f, 1.0f}, g[2] = {3.0f, -4.0f}, m[2] = {0}, v[2] = {0};
    CHECK_NEAR("norm", tft_adam_clip(2, 1.0, g), 5.0, 1e-6);
    CHECK_NEAR("clipped", g[0], 0.6, 1e-6);
    CHECK_NEAR("small ones stay", tft_adam_clip(2, 2.0, g), 1.0, 1e-5);
    CHECK_NEAR("unclipped", g[1], -0.8, 1e-6);
    tft_adam_step(&adam, 1, 2, g, m, v, p); /* the first step is the rate, whatever the size */
    CHECK_NEAR("down", p[0], 0.9, 1e-6);
    CHECK_NEAR("up", p[1], 1.1, 1e-6);
}

/* ---- random networks ---- */

struct form {
    size_t targets, reals, categoricals, quantiles, history, horizon;
    struct tft_learner_sizes sizes;
    bool soft, bare_static;
};

static struct form random_form(struct fw_rng *rng)
{
    static const size_t hidden[] = {3, 8, 10, 17, 24};
    struct form f = {
        .targets = 1 + (size_t)fw_rng_below(rng, 3),
        .reals = (size_t)fw_rng_below(rng, 4),
        .categoricals = (size_t)fw_rng_below(rng, 3),
        .quantiles = 1 + (size_t)fw_rng_below(rng, 3),
        .history = 2 + (size_t)fw_rng_below(rng, 70), /* more than one block of a selection */
        .horizon = 1 + (size_t)fw_rng_below(rng, 6),
        .soft = fw_rng_below(rng, 2) == 0,
        .bare_static = fw_rng_below(rng, 3) == 0,
    };
    f.sizes.hidden = hidden[fw_rng_below(rng, COUNT_OF(hidden))];
    f.sizes.heads = 1 + (size_t)fw_rng_below(rng, 3);
    f.sizes.layers = 1 + (size_t)fw_rng_below(rng, 3);
    f.sizes.continuous = 1 + (size_t)fw_rng_below(rng, 20);
    return f;
}

static void put_names(struct fw_buf *b, const char *key, char letter, size_t n, const char *more)
{
    fw_buf_printf(b, ",\"%s\":[", key);
    for (size_t i = 0; i < n; i++)
        fw_buf_printf(b, "%s\"%c%zu\"", i == 0 ? "" : ",", letter, i);
    if (more != NULL)
        fw_buf_printf(b, "%s\"%s\"", n == 0 ? "" : ",", more);
    fw_buf_putc(b, ']');
}

static void write_form(const struct form *f, struct fw_buf *b)
{
    static const char *const levels[] = {"0.5", "0.1,0.9", "0.1,0.5,0.9"};
    const char *length = f->bare_static ? NULL : "encoder_length";
    fw_buf_printf(b, "{\"dims\":{\"max_encoder_length\":%zu,\"max_prediction_length\":%zu}",
                  f->history, f->horizon);
    fw_buf_printf(b, ",\"quantiles\":[%s]", levels[f->quantiles - 1]);
    put_names(b, "targets", 't', f->targets, NULL);
    put_names(b, "static_categoricals", 'c', f->categoricals > 1 ? 1 : 0, NULL);
    put_names(b, "static_reals", 'r', 0, length);
    put_names(b, "encoder_categoricals", 'c', f->categoricals, NULL);
    fw_buf_printf(b, ",\"encoder_reals\":[");
    for (size_t i = 0; i < f->targets + f->reals; i++)
        fw_buf_printf(b, "%s\"%c%zu\"", i == 0 ? "" : ",", i < f->targets ? 't' : 'r',
                      i < f->targets ? i : i - f->targets);
    fw_buf_putc(b, ']');
    put_names(b, "decoder_reals", 'r', f->reals, "relative_time_idx");
    fw_buf_printf(b, ",\"x_reals\":[\"encoder_length\",\"relative_time_idx\"");
    for (size_t i = 0; i < f->targets + f->reals; i++)
        fw_buf_printf(b, ",\"%c%zu\"", i < f->targets ? 't' : 'r',
                      i < f->targets ? i : i - f->targets);
    fw_buf_putc(b, ']');
    put_names(b, "x_categoricals", 'c', f->categoricals, NULL);
    fw_buf_printf(b, ",\"categoricals\":{");
    for (size_t i = 0; i < f->categoricals; i++)
        fw_buf_printf(b, "%s\"c%zu\":{\"classes\":[\"x\",\"y\",\"z\",\"w\"]}", i == 0 ? "" : ",",
                      i);
    fw_buf_printf(b, "},\"scalers\":{");
    for (size_t i = 0; i < f->reals; i++)
        fw_buf_printf(b, "%s\"r%zu\":null", i == 0 ? "" : ",", i);
    fw_buf_printf(b, "},\"target_normalizer\":{\"type\":\"MultiNormalizer\",\"normalizers\":[");
    for (size_t i = 0; i < f->targets; i++)
        fw_buf_printf(b, "%s{\"type\":\"EncoderNormalizer\",\"transformation\":%s}",
                      i == 0 ? "" : ",", f->soft && i == 0 ? "\"softplus\"" : "null");
    fw_buf_printf(b, "]}}");
}

struct samples {
    size_t n, history, horizon, reals, codes, targets;
    int32_t *code;
    float *real, *target, *scale, *weight;
};

static struct samples make_samples(const struct tft_spec *spec, struct fw_rng *rng)
{
    struct samples s = {.n = 2,
                        .history = spec->history_max,
                        .horizon = spec->horizon,
                        .reals = spec->n_reals,
                        .codes = spec->n_categoricals,
                        .targets = spec->n_targets};
    const size_t steps = s.n * (s.history + s.horizon);
    s.code = fw_calloc(steps * s.codes + 1, sizeof *s.code);
    s.real = fw_calloc(steps * s.reals, sizeof *s.real);
    s.target = fw_calloc(s.n * s.horizon * s.targets, sizeof *s.target);
    s.scale = fw_calloc(2 * s.targets, sizeof *s.scale);
    s.weight = fw_calloc(s.targets, sizeof *s.weight);
    for (size_t i = 0; i < steps * s.codes; i++)
        s.code[i] = (int32_t)fw_rng_below(rng, 4);
    fill(rng, s.real, steps * s.reals);
    for (size_t i = 0; i < s.n * s.horizon * s.targets; i++)
        s.target[i] = 5.0f + (float)fw_rng_normal(rng) * 3.0f;
    for (size_t i = 0; i < s.targets; i++) {
        s.scale[2 * i] = 2.0f;
        s.scale[2 * i + 1] = 1.5f;
        s.weight[i] = 1.0f / (float)(s.n * s.horizon);
    }
    return s;
}

static void fetch(void *ctx, size_t i, size_t worker, struct tft_gradient_series *out)
{
    const struct samples *s = ctx;
    const size_t at = i * (s->history + s->horizon);
    (void)worker;
    *out = (struct tft_gradient_series){
        .history = s->history,
        .horizon = s->horizon,
        .history_codes = s->code + at * s->codes,
        .horizon_codes = s->code + (at + s->history) * s->codes,
        .history_reals = s->real + at * s->reals,
        .horizon_reals = s->real + (at + s->history) * s->reals,
        .scale = s->scale,
        .target = s->target + i * s->horizon * s->targets,
        .weight = s->weight,
        .key = 1000u + (uint32_t)i,
    };
}

/* Along a random direction of one tensor. The smaller step is tried where a kink of the loss lies
 * in the larger one. */
static void check_tensor(struct tft_learner *l, const struct tft_param *p, const char *name,
                         const struct tft_learner_source *source, const float *grads,
                         struct fw_rng *rng)
{
    float *at = tft_learner_params(l) + p->offset;
    float *kept = fw_calloc(p->count, sizeof *kept), *way = fw_calloc(p->count, sizeof *way);
    double slope = 0.0, gap = 0.0;
    for (size_t i = 0; i < p->count; i++) {
        kept[i] = at[i];
        way[i] = (float)fw_rng_normal(rng) / sqrtf((float)p->count);
        slope += (double)way[i] * (double)grads[p->offset + i];
    }
    for (float size = 4e-3f; size > 4e-4f; size *= 0.5f) {
        double loss[2];
        for (int side = 0; side < 2; side++) {
            for (size_t i = 0; i < p->count; i++)
                at[i] = kept[i] + (side == 0 ? size : -size) * way[i];
            tft_learner_changed(l);
            loss[side] = tft_learner_gradient(l, 2, source, 0.2f);
        }
        gap = fabs((loss[0] - loss[1]) / (2.0 * (double)size) - slope);
        if (gap < 0.01 + 0.02 * fabs(slope))
            break;
    }
    memcpy(at, kept, p->count * sizeof *kept);
    tft_learner_changed(l);
    CHECK_NEAR(name, gap, 0.0, 0.01 + 0.02 * fabs(slope));
    fw_free(kept);
    fw_free(way);
}

static void check_form(const struct form *f, struct fw_rng *rng)
{
    struct tft_learner *l;
    struct fw_error err;
    struct fw_buf spec;
    fw_buf_init(&spec, 1 << 20);
    write_form(f, &spec);
    if (tft_learner_new(spec.data, spec.len, "spec", &f->sizes, fw_rng_next(rng), 1, &l, &err) !=
        FW_OK)
        fail_msg("%s: %.*s", err.text, (int)spec.len, spec.data);
    const struct tft_net *net = tft_learner_net(l);
    struct samples s = make_samples(tft_learner_spec(l), rng);
    /* Norms, masks and biases away from 0 and 1: a norm of equal values has no useful slope. */
    for (size_t p = 0; p < net->n_params; p++) {
        for (size_t i = 0; net->params[p].rank == 1 && i < net->params[p].count; i++)
            tft_learner_params(l)[net->params[p].offset + i] += 0.3f * (float)fw_rng_normal(rng);
    }
    tft_learner_changed(l);
    const struct tft_learner_source source = {fetch, &s};
    float *grads = fw_calloc(net->n_floats, sizeof *grads);
    (void)tft_learner_gradient(l, s.n, &source, 0.2f);
    memcpy(grads, tft_learner_gradient_block(l), net->n_floats * sizeof *grads);
    for (size_t p = 0; p < net->n_params; p++)
        check_tensor(l, &net->params[p], tft_net_param_name(net, p), &source, grads, rng);
    fw_free(grads);
    fw_free(s.code);
    fw_free(s.real);
    fw_free(s.target);
    fw_free(s.scale);
    fw_free(s.weight);
    tft_learner_free(l);
    fw_buf_fini(&spec);
}

static void test_random_networks(void **state)
{
    (void)state;
    struct fw_rng rng;
    fw_rng_init(&rng, 21);
    for (int round = 0; round < 12; round++) {
        const struct form f = random_form(&rng);
        check_form(&f, &rng);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_twins),           cmocka_unit_test(test_drop),
        cmocka_unit_test(test_loss_rows),       cmocka_unit_test(test_adam),
        cmocka_unit_test(test_random_networks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
