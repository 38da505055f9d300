/* Loss, gradients and the first twenty steps of Adam against pytorch-forecasting's own numbers
 * (tests/golden/tft), and what training promises: threads change no bit, dropout is reproducible.
 */
#include "support.h"

#include "golden_dir.h"

#include "base/json.h"
#include "base/rng.h"
#include "tft/learner.h"
#include "tft/model_internal.h"
#include "tft/run_file.h"
#include "tft/safetensors.h"

struct set {
    struct tft_model *model;
    struct tft_learner *learner;
    struct tft_safetensors *input;
    struct tft_batch batch;
    float *target;
    float weight[TFT_TARGETS_MAX];
    uint32_t key;
};

static void fetch(void *ctx, size_t i, size_t worker, struct tft_gradient_series *out)
{
    const struct set *s = ctx;
    const struct tft_input *in = &s->batch.in;
    const struct tft_spec *spec = tft_learner_spec(s->learner);
    const size_t e = in->history_steps, d = in->horizon_steps;
    (void)worker;
    *out = (struct tft_gradient_series){
        .history = in->history_lengths[i],
        .horizon = in->horizon_lengths[i],
        .history_codes = in->history_codes + i * e * spec->n_categoricals,
        .horizon_codes = in->horizon_codes + i * d * spec->n_categoricals,
        .history_reals = in->history_reals + i * e * spec->n_reals,
        .horizon_reals = in->horizon_reals + i * d * spec->n_reals,
        .scale = in->output_scale + i * 2 * spec->n_targets,
        .target = s->target + i * d * spec->n_targets,
        .weight = s->weight,
        .key = s->key + (uint32_t)i * 77777u,
    };
}

static void set_open(const char *name, size_t threads, struct set *s)
{
    char path[GOLDEN_PATH_SIZE];
    struct fw_error err;
    size_t size, steps = 0;
    memset(s, 0, sizeof *s);
    unsigned char *spec = golden_bytes(golden_path(path, name, "spec.json"), &size);
    if (tft_model_open(golden_path(path, name, "model.safetensors"), NULL, &s->model, &err) !=
            FW_OK ||
        tft_learner_from_model(s->model, (const char *)spec, size, threads, &s->learner, &err) !=
            FW_OK ||
        tft_safetensors_open(golden_path(path, name, "input.safetensors"), &s->input, &err) !=
            FW_OK ||
        tft_batch_read(s->model, s->input, &s->batch, &err) != FW_OK)
        fail_msg("%s: %s", name, err.text);
    fw_free(spec);
    const struct tft_tensor *t = tft_safetensors_find(s->input, "decoder_target");
    s->target = fw_calloc(t->count, sizeof *s->target);
    memcpy(s->target, t->data, t->count * sizeof *s->target);
    for (size_t i = 0; i < s->batch.in.n; i++)
        steps += s->batch.in.horizon_lengths[i];
    for (size_t i = 0; i < s->model->spec->n_targets; i++)
        s->weight[i] = 1.0f / (float)steps;
}

static void set_close(struct set *s)
{
    tft_batch_fini(&s->batch);
    tft_safetensors_close(s->input);
    tft_learner_free(s->learner);
    tft_model_close(s->model);
    fw_free(s->target);
}

static struct fw_json_value read_json(struct fw_json_parser *parser, const char *set,
                                      const char *name)
{
    char path[GOLDEN_PATH_SIZE];
    size_t size;
    struct fw_json_value root;
    unsigned char *bytes = golden_bytes(golden_path(path, set, name), &size);
    assert_int_equal(fw_json_parse(parser, (const char *)bytes, size, &root, NULL), FW_OK);
    fw_free(bytes);
    return root;
}

static double number_of(struct fw_json_value object, const char *key)
{
    struct fw_json_value value;
    double x = 0.0;
    if (!fw_json_get(object, key, &value) || !fw_json_number(value, &x))
        fail_msg("no number %s", key);
    return x;
}

static float *copy_of(const struct tft_tensor *t)
{
    float *x = fw_calloc(t->count, sizeof *x);
    return memcpy(x, t->data, t->count * sizeof *x);
}

/* The largest gap over all tensors of a file, each relative to the largest value in it and to 1. */
static double compare_block(const char *set, const char *file, const struct tft_net *net,
                            const float *block, double tolerance)
{
    char path[GOLDEN_PATH_SIZE], room[512];
    struct tft_safetensors *want;
    struct fw_error err;
    double worst = 0.0;
    size_t compared = 0;
    if (tft_safetensors_open(golden_path(path, set, file), &want, &err) != FW_OK)
        fail_msg("%s", err.text);
    for (size_t i = 0; i < tft_safetensors_count(want); i++) {
        const struct tft_tensor *t = tft_safetensors_at(want, i);
        const char *name = tft_net_first_name(t->name, room, sizeof room);
        float *x = copy_of(t);
        double largest = 1.0;
        for (size_t j = 0; j < t->count; j++)
            largest = fmax(largest, fabs((double)x[j]));
        for (size_t p = 0; p < net->n_params; p++) {
            if (strcmp(tft_net_param_name(net, p), name) != 0)
                continue;
            assert_int_equal(net->params[p].count, t->count);
            const float *mine = block + net->params[p].offset;
            check_floats(t->name, mine, x, t->count, largest, tolerance);
            for (size_t j = 0; j < t->count; j++)
                worst = fmax(worst, fabs((double)mine[j] - (double)x[j]) / largest);
            compared++;
        }
        fw_free(x);
    }
    assert_true(compared >= net->n_params);
    tft_safetensors_close(want);
    return worst;
}

static void check_gradients(const char *name, bool plain)
{
    struct set s;
    struct fw_json_parser *parser = fw_json_parser_new(1 << 20, 16);
    set_open(name, 2, &s);
    if (plain)
        tft_learner_use_plain(s.learner);
    const struct tft_learner_source source = {fetch, &s};
    const double loss = tft_learner_gradient(s.learner, s.batch.in.n, &source, 0.0f);
    const double want = number_of(read_json(parser, name, "training.json"), "first_loss");
    CHECK_NEAR(name, loss / want, 1.0, 1e-5);
    const double gap = compare_block(name, "gradients.safetensors", tft_learner_net(s.learner),
                                     tft_learner_gradient_block(s.learner), 1e-4);
    print_message("  %-10s %-6s loss %.1e, gradients %.1e\n", name, plain ? "plain" : "best",
                  fabs(loss / want - 1.0), gap);
    fw_json_parser_free(parser);
    set_close(&s);
}

static void test_gradients(void **state)
{
    (void)state;
    for (int plain = 0; plain < 2; plain++) {
        check_gradients("tiny", plain != 0);
        check_gradients("tiny-edge", plain != 0);
    }
}

static void test_twenty_steps(void **state)
{
    (void)state;
    struct set s;
    struct fw_json_parser *parser = fw_json_parser_new(1 << 20, 16);
    struct fw_json_value list, step;
    double worst = 0.0;
    size_t n = 0;
    set_open("tiny", 1, &s);
    const struct tft_learner_source source = {fetch, &s};
    assert_true(fw_json_get(read_json(parser, "tiny", "training.json"), "trajectory", &list));
    struct fw_json_iter iter = fw_json_walk(list);
    while (fw_json_next(&iter, &step)) {
        const double want = number_of(step, "loss");
        const double loss = tft_learner_gradient(s.learner, s.batch.in.n, &source, 0.0f);
        const double norm = tft_learner_step(s.learner, 0.01, 0.1);
        CHECK_NEAR("loss of a step", loss / want, 1.0, 1e-5);
        CHECK_NEAR("norm of a step", norm / number_of(step, "grad_norm_before_clip"), 1.0, 1e-3);
        worst = fmax(worst, fabs(loss / want - 1.0));
        n++;
    }
    CHECK_EQ("steps", n, 20);
    const double gap =
        compare_block("tiny", "model_after_20_steps.safetensors", tft_learner_net(s.learner),
                      tft_learner_params(s.learner), 1e-2);
    print_message("  20 steps: losses %.1e, parameters %.1e\n", worst, gap);
    fw_json_parser_free(parser);
    set_close(&s);
}

/* Gradient blocks of a batch with dropout, for a number of threads. */
static float *dropped_gradient(size_t threads, uint32_t key, size_t *n, double *loss)
{
    struct set s;
    set_open("tiny", threads, &s);
    s.key = key;
    const struct tft_learner_source source = {fetch, &s};
    *loss = tft_learner_gradient(s.learner, s.batch.in.n, &source, 0.3f);
    *n = tft_learner_floats(s.learner);
    float *copy = fw_calloc(*n, sizeof *copy);
    memcpy(copy, tft_learner_gradient_block(s.learner), *n * sizeof *copy);
    set_close(&s);
    return copy;
}

static void test_threads_and_dropout(void **state)
{
    (void)state;
    size_t n;
    double loss[3];
    float *one = dropped_gradient(1, 5, &n, &loss[0]);
    float *three = dropped_gradient(3, 5, &n, &loss[1]);
    float *other = dropped_gradient(3, 6, &n, &loss[2]);
    assert_memory_equal(one, three, n * sizeof *one);
    assert_true(loss[0] == loss[1]);
    assert_true(memcmp(one, other, n * sizeof *one) != 0 && loss[0] != loss[2]);
    fw_free(one);
    fw_free(three);
    fw_free(other);
}

/* Parameters picked at random, moved a little either way: the loss must change as the gradient
 * says. With dropout as well, whose mask is the same for the same key. */
static void check_differences(const char *name, float dropout)
{
    struct set s;
    struct fw_rng rng;
    double worst = 0.0;
    set_open(name, 1, &s);
    s.key = 11;
    const struct tft_learner_source source = {fetch, &s};
    const struct tft_net *net = tft_learner_net(s.learner);
    (void)tft_learner_gradient(s.learner, s.batch.in.n, &source, dropout);
    float *grads = fw_calloc(net->n_floats, sizeof *grads);
    memcpy(grads, tft_learner_gradient_block(s.learner), net->n_floats * sizeof *grads);
    fw_rng_init(&rng, 3);
    for (size_t p = 0; p < net->n_params; p++) {
        /* A direction over the whole tensor, so that its gradients are all in the check. */
        const struct tft_param *param = &net->params[p];
        float *at = tft_learner_params(s.learner) + param->offset;
        float *kept = fw_calloc(param->count, sizeof *kept),
              *way = fw_calloc(param->count, sizeof *way);
        const float size = 2e-3f;
        double slope = 0.0, loss[2];
        if (strncmp(tft_net_param_name(net, p), "input_embeddings", 16) == 0) {
            fw_free(kept);
            fw_free(way);
            continue; /* the padding row's gradient is cleared */
        }
        for (size_t i = 0; i < param->count; i++) {
            kept[i] = at[i];
            way[i] = (float)fw_rng_normal(&rng) / sqrtf((float)param->count);
            slope += (double)way[i] * (double)grads[param->offset + i];
        }
        for (int side = 0; side < 2; side++) {
            for (size_t i = 0; i < param->count; i++)
                at[i] = kept[i] + (side == 0 ? size : -size) * way[i];
            tft_learner_changed(s.learner);
            loss[side] = tft_learner_gradient(s.learner, s.batch.in.n, &source, dropout);
        }
        memcpy(at, kept, param->count * sizeof *kept);
        const double measured = (loss[0] - loss[1]) / (2.0 * (double)size);
        CHECK_NEAR(tft_net_param_name(net, p), measured, slope, 3e-3 + 0.01 * fabs(slope));
        worst = fmax(worst, fabs(measured - slope));
        fw_free(kept);
        fw_free(way);
    }
    print_message("  %-10s dropout %.1f: differences %.1e\n", name, (double)dropout, worst);
    fw_free(grads);
    set_close(&s);
}

static void test_differences(void **state)
{
    (void)state;
    check_differences("tiny", 0.0f);
    check_differences("tiny", 0.3f);
    check_differences("tiny-edge", 0.3f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_twenty_steps),
        cmocka_unit_test(test_threads_and_dropout),
        cmocka_unit_test(test_differences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
