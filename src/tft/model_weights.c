/* From tensors to a network and its weights. */
#include "base/alloc.h"
#include "tft/model_loader.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FIRST_NAME_SIZE = 1200, SHAPE_TEXT_SIZE = 192 };

/* The tensor under its first name, or under one of the others: files may keep any one of them. */
static const struct tft_tensor *find(const struct tft_loader *l, const char *name)
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

static const struct tft_tensor *must_find(struct tft_loader *l, const char *name, size_t rank)
{
    const struct tft_tensor *t = find(l, name);
    if (t == NULL) {
        tft_loader_refuse(l, FW_ECORRUPT, "tensor %.120s is missing", name);
        return NULL;
    }
    if (t->rank != rank) {
        tft_loader_refuse(l, FW_ECORRUPT, "tensor %.120s has %zu dimensions, not %zu", name,
                          t->rank, rank);
        return NULL;
    }
    return t;
}

static size_t count_numbered(const struct tft_loader *l, const char *before, const char *after,
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
static void read_sizes(struct tft_loader *l, struct tft_sizes *sizes)
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
            tft_loader_refuse(l, FW_ECORRUPT, "tensor %.120s has no rows", name);
    }
    for (size_t i = 0; i < spec->n_categoricals; i++) {
        (void)snprintf(name, sizeof name, "input_embeddings.embeddings.%s.weight",
                       spec->categoricals[i].name);
        t = must_find(l, name, 2);
        sizes->embedding_size[i] = t == NULL ? 0 : t->shape[1];
    }
}

void tft_loader_build(struct tft_loader *l)
{
    const struct tft_spec *spec = l->model->spec;
    const size_t before = l->reasons;
    struct tft_sizes sizes = {0};
    struct fw_error inner;
    sizes.real_size = fw_calloc(spec->n_reals + 1, sizeof *sizes.real_size);
    sizes.embedding_size = fw_calloc(spec->n_categoricals + 1, sizeof *sizes.embedding_size);
    if (sizes.real_size == NULL || sizes.embedding_size == NULL)
        tft_loader_refuse(l, FW_ENOMEM, "no memory for the sizes of the network");
    else
        read_sizes(l, &sizes);
    if (l->reasons == before) {
        const enum fw_status status = tft_net_build(spec, &sizes, &l->model->net, &inner);
        if (status != FW_OK)
            tft_loader_refuse(l, status, "%s", inner.text);
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

static void refuse_shape(struct tft_loader *l, const char *name, const struct tft_param *p,
                         size_t rank, const size_t *shape)
{
    char is[SHAPE_TEXT_SIZE], should[SHAPE_TEXT_SIZE];
    tft_loader_refuse(l, FW_ECORRUPT, "%.100s has shape %.40s where the network needs %.40s", name,
                      tft_shape_text(shape, rank, is, sizeof is),
                      tft_shape_text(p->shape, p->rank, should, sizeof should));
}

static void check_values(struct tft_loader *l, const char *name, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (isfinite(x[i]) && fabsf(x[i]) <= TFT_WEIGHT_MAX)
            continue;
        tft_loader_refuse(l, FW_ECORRUPT, "tensor %.120s holds %g, not a sane weight", name,
                          (double)x[i]);
        return;
    }
}

/* Copies one tensor of the file into the block, or compares it when the block has it already by
 * another name. */
static void take_tensor(struct tft_loader *l, const struct name_index *index,
                        const struct tft_tensor *t, bool *filled)
{
    char room[FIRST_NAME_SIZE];
    const size_t at = index_find(index, tft_net_first_name(t->name, room, sizeof room));
    if (at == SIZE_MAX) {
        tft_loader_refuse(l, FW_ECORRUPT, "tensor %.120s is not part of the network", t->name);
        return;
    }
    const struct tft_param *p = &l->model->net->params[at];
    float *to = l->model->params + p->offset;
    if (t->dtype != TFT_F32) {
        tft_loader_refuse(l, FW_ECORRUPT, "tensor %.120s is %s, not F32", t->name,
                          tft_dtype_name(t->dtype));
    } else if (!same_shape(p, t->rank, t->shape)) {
        refuse_shape(l, t->name, p, t->rank, t->shape);
    } else if (!filled[at]) {
        memcpy(to, t->data, p->count * sizeof *to);
        check_values(l, t->name, to, p->count);
    } else if (memcmp(to, t->data, p->count * sizeof *to) != 0) {
        tft_loader_refuse(l, FW_ECORRUPT,
                          "tensor %.100s differs from the one it shares its weights with", t->name);
    }
    filled[at] = true;
}

static void check_not_all_zero(struct tft_loader *l)
{
    const struct tft_model *m = l->model;
    for (size_t i = 0; i < m->net->n_floats; i++) {
        if (m->params[i] != 0.0f)
            return;
    }
    tft_loader_refuse(l, FW_ECORRUPT, "all weights are zero");
}

/* The spec's own table of tensors must be this network's, where it has one. */
static void check_said(struct tft_loader *l, const struct name_index *index)
{
    const struct tft_spec *spec = l->model->spec;
    const struct tft_net *net = l->model->net;
    for (size_t i = 0; i < spec->n_shapes; i++) {
        const struct tft_shape *s = &spec->shapes[i];
        char room[FIRST_NAME_SIZE];
        const size_t at = index_find(index, tft_net_first_name(s->name, room, sizeof room));
        if (at == SIZE_MAX)
            tft_loader_refuse(l, FW_ECORRUPT, "spec: parameter %.120s is not part of the network",
                              s->name);
        else if (!same_shape(&net->params[at], s->rank, s->shape))
            refuse_shape(l, s->name, &net->params[at], s->rank, s->shape);
    }
    if (spec->said_parameters != 0 && spec->said_parameters != net->n_parameters)
        tft_loader_refuse(l, FW_ECORRUPT, "spec: n_parameters is %zu, the network has %zu",
                          spec->said_parameters, net->n_parameters);
}

static void take_all(struct tft_loader *l, const struct name_index *index, bool *filled)
{
    const struct tft_net *net = l->model->net;
    index_sort(index);
    for (size_t i = 0; i < tft_safetensors_count(l->file); i++)
        take_tensor(l, index, tft_safetensors_at(l->file, i), filled);
    for (size_t i = 0; i < net->n_params; i++) {
        if (!filled[i])
            tft_loader_refuse(l, FW_ECORRUPT, "tensor %.120s is missing",
                              tft_net_param_name(net, i));
    }
    check_said(l, index);
    if (l->reasons == 0)
        check_not_all_zero(l);
}

void tft_loader_fill(struct tft_loader *l)
{
    struct tft_model *m = l->model;
    struct name_index index = {m->net, fw_calloc(m->net->n_params, sizeof *index.order)};
    bool *filled = fw_calloc(m->net->n_params, sizeof *filled);
    m->params = fw_alloc_aligned(m->net->n_floats, sizeof *m->params);
    m->packed = fw_alloc_aligned(m->net->n_floats, sizeof *m->packed);
    if (index.order == NULL || filled == NULL || m->params == NULL || m->packed == NULL) {
        tft_loader_refuse(l, FW_ENOMEM, "no memory for %zu weights", m->net->n_floats);
    } else {
        memset(m->params, 0, m->net->n_floats * sizeof *m->params);
        take_all(l, &index, filled);
        if (l->reasons == 0)
            tft_net_pack(m->net, m->params, m->packed);
    }
    fw_free(index.order);
    fw_free(filled);
}
