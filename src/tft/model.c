#include "tft/model.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "tft/file.h"
#include "tft/forward.h"
#include "tft/model_internal.h"
#include "tft/safetensors.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIRST_NAME_SIZE = 1200, SHAPE_TEXT_SIZE = 192, FULL_REASONS = 40 };
/* What is wrong with a network shows within a few steps; a long window would only take time. */
enum { PROBE_HISTORY = 24, PROBE_HORIZON = 8 };

/* A load in progress. Reasons are counted and passed on; the first one becomes the error. */
struct loader {
    struct tft_model *model;
    struct tft_safetensors *file;
    const struct tft_report *report;
    struct fw_error *err;
    enum fw_status first;
    size_t reasons;
};

static void refuse(struct loader *l, enum fw_status status, const char *format, ...)
    FW_PRINTF(3, 4);
static void refuse(struct loader *l, enum fw_status status, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (l->reasons++ == 0)
        l->first = fw_fail(l->err, status, "%s", text);
    if (l->report != NULL && l->reasons <= FULL_REASONS)
        l->report->reason(l->report->ctx, text);
}

/* The tensor under its first name, or under one of the others: files may keep any one of them. */
static const struct tft_tensor *find(const struct loader *l, const char *name)
{
    const struct tft_tensor *found = tft_safetensors_find(l->file, name);
    for (size_t i = 0; found == NULL && i < tft_safetensors_count(l->file); i++) {
        char room[FIRST_NAME_SIZE];
        const struct tft_tensor *t = tft_safetensors_at(l->file, i);
        if (strcmp(tft_net_first_name(t->name, room, sizeof room), name) == 0)
            found = t;
    }
    return found;
}

static const struct tft_tensor *must_find(struct loader *l, const char *name, size_t rank)
{
    const struct tft_tensor *t = find(l, name);
    if (t == NULL) {
        refuse(l, FW_ECORRUPT, "tensor %.120s is missing", name);
        return NULL;
    }
    if (t->rank != rank) {
        refuse(l, FW_ECORRUPT, "tensor %.120s has %zu dimensions, not %zu", name, t->rank, rank);
        return NULL;
    }
    return t;
}

static size_t count_numbered(const struct loader *l, const char *before, const char *after,
                             size_t max)
{
    char name[128];
    size_t n = 0;
    do
        (void)snprintf(name, sizeof name, "%s%zu%s", before, n, after);
    while (find(l, name) != NULL && n++ < max);
    return n;
}

/* A real may be listed and feed nothing; it has no prescaler then. */
static bool used_real(const struct tft_spec *spec, size_t column)
{
    const struct tft_variables *const all[] = {&spec->stat, &spec->encoder, &spec->decoder};
    for (size_t i = 0; i < COUNT(all); i++) {
        for (size_t v = 0; v < all[i]->n; v++) {
            if (!all[i]->item[v].categorical && all[i]->item[v].column == column)
                return true;
        }
    }
    return false;
}

/* What the shapes say: they are right where a configuration file is not. */
static void read_sizes(struct loader *l, struct tft_sizes *sizes)
{
    const struct tft_spec *spec = l->model->spec;
    char name[FIRST_NAME_SIZE];
    const struct tft_tensor *t = must_find(l, "multihead_attn.w_h.weight", 2);
    sizes->hidden = t == NULL ? 0 : t->shape[0];
    sizes->heads = count_numbered(l, "multihead_attn.q_layers.", ".weight", TFT_HEADS_MAX);
    sizes->layers = count_numbered(l, "lstm_encoder.weight_ih_l", "", TFT_LAYERS_MAX);
    sizes->numbered_output = spec->n_targets > 1 || find(l, "output_layer.weight") == NULL;
    for (size_t i = 0; i < spec->n_reals; i++) {
        (void)snprintf(name, sizeof name, "prescalers.%s.weight", spec->reals[i].name);
        t = used_real(spec, i) ? must_find(l, name, 2) : NULL;
        sizes->real_size[i] = t == NULL ? 0 : t->shape[0];
        if (t != NULL && t->shape[0] == 0)
            refuse(l, FW_ECORRUPT, "tensor %.120s has no rows", name);
    }
    for (size_t i = 0; i < spec->n_categoricals; i++) {
        (void)snprintf(name, sizeof name, "input_embeddings.embeddings.%s.weight",
                       spec->categoricals[i].name);
        t = must_find(l, name, 2);
        sizes->embedding_size[i] = t == NULL ? 0 : t->shape[1];
    }
}

static void build(struct loader *l)
{
    const struct tft_spec *spec = l->model->spec;
    const size_t before = l->reasons;
    struct tft_sizes sizes = {0};
    struct fw_error inner;
    sizes.real_size = fw_calloc(spec->n_reals + 1, sizeof *sizes.real_size);
    sizes.embedding_size = fw_calloc(spec->n_categoricals + 1, sizeof *sizes.embedding_size);
    if (sizes.real_size == NULL || sizes.embedding_size == NULL)
        refuse(l, FW_ENOMEM, "no memory for the sizes of the network");
    else
        read_sizes(l, &sizes);
    if (l->reasons == before) {
        const enum fw_status status = tft_net_build(spec, &sizes, &l->model->net, &inner);
        if (status != FW_OK)
            refuse(l, status, "%s", inner.text);
    }
    fw_free(sizes.real_size);
    fw_free(sizes.embedding_size);
}

/* The parameter of that name; SIZE_MAX when the network has none. Sorted once, searched for every
 * tensor. */
struct name_index {
    const struct tft_net *net;
    size_t *order;
};

static const char *indexed_name(const struct name_index *index, size_t i)
{
    return tft_net_param_name(index->net, index->order[i]);
}

static void index_sift(const struct name_index *index, size_t at, size_t n)
{
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && strcmp(indexed_name(index, child), indexed_name(index, child + 1)) < 0)
            child++;
        if (strcmp(indexed_name(index, at), indexed_name(index, child)) >= 0)
            return;
        const size_t moved = index->order[at];
        index->order[at] = index->order[child];
        index->order[child] = moved;
    }
}

static void index_sort(const struct name_index *index)
{
    const size_t n = index->net->n_params;
    for (size_t i = 0; i < n; i++)
        index->order[i] = i;
    for (size_t i = n / 2; i-- > 0;)
        index_sift(index, i, n);
    for (size_t end = n; end-- > 1;) {
        const size_t largest = index->order[0];
        index->order[0] = index->order[end];
        index->order[end] = largest;
        index_sift(index, 0, end);
    }
}

static size_t index_find(const struct name_index *index, const char *name)
{
    size_t low = 0, high = index->net->n_params;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        const int order = strcmp(name, indexed_name(index, mid));
        if (order == 0)
            return index->order[mid];
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return SIZE_MAX;
}

static bool same_shape(const struct tft_param *p, size_t rank, const size_t *shape)
{
    return rank == p->rank && shape[0] == p->shape[0] && (rank == 1 || shape[1] == p->shape[1]);
}

static void refuse_shape(struct loader *l, const char *name, const struct tft_param *p, size_t rank,
                         const size_t *shape)
{
    char is[SHAPE_TEXT_SIZE], should[SHAPE_TEXT_SIZE];
    refuse(l, FW_ECORRUPT, "%.100s has shape %.40s where the network needs %.40s", name,
           tft_shape_text(shape, rank, is, sizeof is),
           tft_shape_text(p->shape, p->rank, should, sizeof should));
}

static void check_values(struct loader *l, const char *name, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (isfinite(x[i]) && fabsf(x[i]) <= TFT_WEIGHT_MAX)
            continue;
        refuse(l, FW_ECORRUPT, "tensor %.120s holds %g, not a sane weight", name, (double)x[i]);
        return;
    }
}

/* Copies one tensor of the file into the block, or compares it when the block has it already by
 * another name. */
static void take_tensor(struct loader *l, const struct name_index *index,
                        const struct tft_tensor *t, bool *filled)
{
    char room[FIRST_NAME_SIZE];
    const size_t at = index_find(index, tft_net_first_name(t->name, room, sizeof room));
    if (at == SIZE_MAX) {
        refuse(l, FW_ECORRUPT, "tensor %.120s is not part of the network", t->name);
        return;
    }
    const struct tft_param *p = &l->model->net->params[at];
    float *to = l->model->params + p->offset;
    if (t->dtype != TFT_F32) {
        refuse(l, FW_ECORRUPT, "tensor %.120s is %s, not F32", t->name, tft_dtype_name(t->dtype));
    } else if (!same_shape(p, t->rank, t->shape)) {
        refuse_shape(l, t->name, p, t->rank, t->shape);
    } else if (!filled[at]) {
        memcpy(to, t->data, p->count * sizeof *to);
        check_values(l, t->name, to, p->count);
    } else if (memcmp(to, t->data, p->count * sizeof *to) != 0) {
        refuse(l, FW_ECORRUPT, "tensor %.100s differs from the one it shares its weights with",
               t->name);
    }
    filled[at] = true;
}

static void check_not_all_zero(struct loader *l)
{
    const struct tft_model *m = l->model;
    for (size_t i = 0; i < m->net->n_floats; i++) {
        if (m->params[i] != 0.0f)
            return;
    }
    refuse(l, FW_ECORRUPT, "all weights are zero");
}

/* The spec's own table of tensors must be this network's, where it has one. */
static void check_said(struct loader *l, const struct name_index *index)
{
    const struct tft_spec *spec = l->model->spec;
    const struct tft_net *net = l->model->net;
    for (size_t i = 0; i < spec->n_shapes; i++) {
        const struct tft_shape *s = &spec->shapes[i];
        char room[FIRST_NAME_SIZE];
        const size_t at = index_find(index, tft_net_first_name(s->name, room, sizeof room));
        if (at == SIZE_MAX)
            refuse(l, FW_ECORRUPT, "spec: parameter %.120s is not part of the network", s->name);
        else if (!same_shape(&net->params[at], s->rank, s->shape))
            refuse_shape(l, s->name, &net->params[at], s->rank, s->shape);
    }
    if (spec->said_parameters != 0 && spec->said_parameters != net->n_parameters)
        refuse(l, FW_ECORRUPT, "spec: n_parameters is %zu, the network has %zu",
               spec->said_parameters, net->n_parameters);
}

static void take_all(struct loader *l, const struct name_index *index, bool *filled)
{
    const struct tft_net *net = l->model->net;
    index_sort(index);
    for (size_t i = 0; i < tft_safetensors_count(l->file); i++)
        take_tensor(l, index, tft_safetensors_at(l->file, i), filled);
    for (size_t i = 0; i < net->n_params; i++) {
        if (!filled[i])
            refuse(l, FW_ECORRUPT, "tensor %.120s is missing", tft_net_param_name(net, i));
    }
    check_said(l, index);
    if (l->reasons == 0)
        check_not_all_zero(l);
}

static void fill(struct loader *l)
{
    struct tft_model *m = l->model;
    struct name_index index = {m->net, fw_calloc(m->net->n_params, sizeof *index.order)};
    bool *filled = fw_calloc(m->net->n_params, sizeof *filled);
    m->params = fw_alloc_aligned(m->net->n_floats, sizeof *m->params);
    m->packed = fw_alloc_aligned(m->net->n_floats, sizeof *m->packed);
    if (index.order == NULL || filled == NULL || m->params == NULL || m->packed == NULL) {
        refuse(l, FW_ENOMEM, "no memory for %zu weights", m->net->n_floats);
    } else {
        memset(m->params, 0, m->net->n_floats * sizeof *m->params);
        take_all(l, &index, filled);
        if (l->reasons == 0)
            tft_net_pack(m->net, m->params, m->packed);
    }
    fw_free(index.order);
    fw_free(filled);
}

/* Windows for the probe: a history of the shortest length, a horizon of the longest; values of
 * order `size`. */
struct probe {
    int32_t *codes;
    float *reals, *scale, *prediction;
    void *scratch;
    size_t scratch_bytes;
};

static void probe_fill(const struct tft_model *m, struct probe *p, size_t steps, float size,
                       struct fw_rng *rng)
{
    const struct tft_net *net = m->net;
    for (size_t i = 0; i < steps * net->n_categoricals; i++)
        p->codes[i] = (int32_t)fw_rng_below(rng, net->classes[i % net->n_categoricals]);
    for (size_t i = 0; i < steps * net->n_reals; i++)
        p->reals[i] = size * (2.0f * (float)fw_rng_uniform(rng) - 1.0f);
    for (size_t t = 0; t < net->n_targets; t++) {
        const struct tft_normalizer *n = &m->spec->normalizers[t];
        p->scale[2 * t] = n->kind == TFT_PER_SAMPLE ? 0.0f : (float)n->missing.center;
        p->scale[2 * t + 1] = n->kind == TFT_PER_SAMPLE ? 1.0f : (float)n->missing.scale;
    }
}

static bool probe_finite(const struct tft_model *m, const struct probe *p, size_t history,
                         size_t horizon)
{
    const struct tft_net *net = m->net;
    const struct tft_input in = {
        .n = 1,
        .history_steps = history,
        .horizon_steps = horizon,
        .history_codes = p->codes,
        .horizon_codes = p->codes + history * net->n_categoricals,
        .history_reals = p->reals,
        .horizon_reals = p->reals + history * net->n_reals,
        .history_lengths = &history,
        .horizon_lengths = &horizon,
        .output_scale = p->scale,
    };
    const struct tft_output out = {.prediction = p->prediction};
    tft_forward(m, &in, &out, arena_over(p->scratch, p->scratch_bytes));
    for (size_t i = 0; i < horizon * net->output.n_out; i++) {
        if (!isfinite(p->prediction[i]))
            return false;
    }
    return true;
}

static size_t shorter(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void probe(struct loader *l)
{
    static const float sizes[] = {0.0f, 1.0f, 10.0f, 1000.0f};
    const struct tft_model *m = l->model;
    const size_t history = shorter(m->spec->history_max, PROBE_HISTORY);
    const size_t horizon = shorter(m->spec->horizon, PROBE_HORIZON), steps = history + horizon;
    struct fw_rng rng;
    struct probe p = {.scratch_bytes = tft_forward_scratch_bytes(m, history, horizon)};
    p.codes = fw_calloc(steps * m->net->n_categoricals + 1, sizeof *p.codes);
    p.reals = fw_calloc(steps * m->net->n_reals + 1, sizeof *p.reals);
    p.scale = fw_calloc(2 * m->net->n_targets, sizeof *p.scale);
    p.prediction = fw_calloc(horizon * m->net->output.n_out, sizeof *p.prediction);
    p.scratch = fw_alloc_aligned(p.scratch_bytes, 1);
    if (p.codes == NULL || p.reals == NULL || p.scale == NULL || p.prediction == NULL ||
        p.scratch == NULL)
        refuse(l, FW_ENOMEM, "no memory for the probe forecast");
    fw_rng_init(&rng, 1);
    for (size_t i = 0; l->reasons == 0 && i < COUNT(sizes); i++) {
        probe_fill(m, &p, steps, sizes[i], &rng);
        if (!probe_finite(m, &p, history, horizon))
            refuse(l, FW_ECORRUPT, "the probe forecast is not finite");
    }
    fw_free(p.codes);
    fw_free(p.reals);
    fw_free(p.scale);
    fw_free(p.prediction);
    fw_free(p.scratch);
}

static void hex(const unsigned char *bytes, size_t n, char *text)
{
    for (size_t i = 0; i < n; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

static void check_digest(struct loader *l)
{
    char text[2 * FW_SHA256_SIZE + 1];
    hex(l->model->sha256, FW_SHA256_SIZE, text);
    if (l->model->spec->weights_sha256 != NULL && strcmp(text, l->model->spec->weights_sha256) != 0)
        refuse(l, FW_ECORRUPT,
               "the weights are not the ones that the spec was made for (SHA-256 differs)");
}

static void load_steps(struct loader *l, unsigned char *weights, size_t weights_size,
                       const char *spec_json, size_t spec_size)
{
    struct tft_model *m = l->model;
    struct fw_error inner;
    fw_sha256(weights, weights_size, m->sha256);
    m->weights_bytes = weights_size;
    m->kernels = tft_kernels_best();
    enum fw_status status =
        tft_safetensors_parse(weights, weights_size, TFT_WEIGHTS_NAME, &l->file, &inner);
    if (status != FW_OK)
        refuse(l, status, "%s", inner.text);
    status = tft_spec_parse(spec_json, spec_size, TFT_SPEC_NAME, &m->spec, &inner);
    if (status != FW_OK)
        refuse(l, status, "%s", inner.text);
    if (l->reasons == 0)
        check_digest(l);
    if (l->file != NULL && m->spec != NULL)
        build(l);
    if (m->net != NULL)
        fill(l);
    if (l->reasons == 0)
        probe(l);
}

enum fw_status tft_model_load(unsigned char *weights, size_t weights_size, const char *spec_json,
                              size_t spec_size, const struct tft_report *report,
                              struct tft_model **out, struct fw_error *err)
{
    struct loader l = {.report = report, .err = err};
    *out = NULL;
    l.model = fw_calloc(1, sizeof *l.model);
    if (l.model == NULL) {
        fw_free(weights);
        return fw_fail(err, FW_ENOMEM, "open a model");
    }
    load_steps(&l, weights, weights_size, spec_json, spec_size);
    tft_safetensors_close(l.file);
    if (l.reasons != 0) {
        tft_model_close(l.model);
        return l.first;
    }
    *out = l.model;
    return FW_OK;
}

static enum fw_status told(const struct tft_report *report, enum fw_status status,
                           const struct fw_error *inner, struct fw_error *err)
{
    if (err != NULL)
        *err = *inner;
    if (report != NULL)
        report->reason(report->ctx, inner->text);
    return status;
}

static enum fw_status load_dir(int dir_fd, const char *weights_name, bool single_link,
                               const struct tft_report *report, struct tft_model **out,
                               struct fw_error *err)
{
    unsigned char *weights, *spec;
    size_t weights_size = 0, spec_size = 0;
    struct fw_error inner;
    enum fw_status status = tft_file_read(dir_fd, TFT_SPEC_NAME, TFT_SPEC_MAX_BYTES, single_link,
                                          &spec, &spec_size, &inner);
    if (status != FW_OK)
        return told(report, status, &inner, err);
    status = tft_file_read(dir_fd, weights_name, TFT_SAFETENSORS_MAX_BYTES, single_link, &weights,
                           &weights_size, &inner);
    if (status == FW_OK)
        status =
            tft_model_load(weights, weights_size, (const char *)spec, spec_size, report, out, err);
    else
        status = told(report, status, &inner, err);
    fw_free(spec);
    return status;
}

static bool is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

enum fw_status tft_model_open(const char *path, const struct tft_report *report,
                              struct tft_model **out, struct fw_error *err)
{
    char parent[4096];
    const char *name = TFT_WEIGHTS_NAME, *dir = path;
    struct fw_error inner;
    int fd;
    *out = NULL;
    if (!is_directory(path)) {
        if (!tft_file_split(path, parent, sizeof parent, &name)) {
            (void)fw_fail(&inner, FW_EINVAL, "%s: neither a directory nor a file", path);
            return told(report, FW_EINVAL, &inner, err);
        }
        dir = parent;
    }
    enum fw_status status = tft_file_open_dir(dir, &fd, &inner);
    if (status != FW_OK)
        return told(report, status, &inner, err);
    status = load_dir(fd, name, false, report, out, err);
    close(fd);
    return status;
}

enum fw_status tft_model_open_beneath(const char *root, const char *name,
                                      const struct tft_report *report, struct tft_model **out,
                                      struct fw_error *err)
{
    struct fw_error inner;
    int root_fd, fd;
    *out = NULL;
    enum fw_status status = tft_file_open_dir(root, &root_fd, &inner);
    if (status != FW_OK)
        return told(report, status, &inner, err);
    status = tft_file_open_dir_beneath(root_fd, name, &fd, &inner);
    close(root_fd);
    if (status != FW_OK)
        return told(report, status, &inner, err);
    status = load_dir(fd, TFT_WEIGHTS_NAME, true, report, out, err);
    close(fd);
    return status;
}

void tft_model_close(struct tft_model *model)
{
    if (model == NULL)
        return;
    tft_net_free(model->net);
    tft_spec_free(model->spec);
    fw_free(model->params);
    fw_free(model->packed);
    fw_free(model);
}

const struct tft_spec *tft_model_spec(const struct tft_model *model)
{
    return model->spec;
}

struct tft_model_info tft_model_info(const struct tft_model *model)
{
    struct tft_model_info info = {
        .hidden = model->net->hidden,
        .heads = model->net->heads,
        .lstm_layers = model->net->layers,
        .parameters = model->net->n_parameters,
        .weights_bytes = model->weights_bytes,
        .resident_bytes = 2 * model->net->n_floats * sizeof(float),
        .kernels = model->kernels->name,
    };
    hex(model->sha256, FW_SHA256_SIZE, info.sha256);
    return info;
}

void tft_model_use_kernels(struct tft_model *model, const struct tft_kernels *kernels)
{
    model->kernels = kernels;
}
