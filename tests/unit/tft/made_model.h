/* Random networks of all shapes, made in memory: a spec with nothing but variables and shapes. */
#ifndef FW_TESTS_TFT_MADE_MODEL_H
#define FW_TESTS_TFT_MADE_MODEL_H

#include "base/alloc.h"
#include "base/rng.h"
#include "support.h"
#include "tft/kernels/tiles.h"
#include "tft/model_internal.h"

#include <math.h>
#include <string.h>

enum { MADE_VARS = 8, MADE_HISTORY = 30, MADE_HORIZON = 14, MADE_TARGETS = 3 };

/* Every set of kernels that this processor runs; returns how many. */
static inline size_t kernel_sets(const struct tft_tiles *sets[TFT_SETS])
{
    size_t n = 0;
    for (int set = 0; set < TFT_SETS; set++)
        if (tft_tiles_of((enum tft_set)set) != NULL)
            sets[n++] = tft_tiles_of((enum tft_set)set);
    return n;
}

struct made {
    struct tft_spec spec;
    struct tft_model model;
    struct tft_real reals[MADE_VARS];
    struct tft_vocabulary cats[MADE_VARS];
    struct tft_variable stat[2 * MADE_VARS], encoder[2 * MADE_VARS], decoder[2 * MADE_VARS];
    size_t real_size[MADE_VARS], embedding_size[MADE_VARS];
};

static const char *const made_names[MADE_VARS] = {"a", "b", "c", "d", "e", "f", "g", "h"};

/* Categoricals first, as every list has them; each variable with a chance. */
static inline void choose_variables(struct made *m, struct fw_rng *rng, size_t chance_pct,
                                    struct tft_variables *out, struct tft_variable *items)
{
    out->item = items;
    out->n = 0;
    for (size_t i = 0; i < m->spec.n_categoricals; i++)
        if (fw_rng_below(rng, 100) < chance_pct)
            items[out->n++] = (struct tft_variable){true, i};
    out->n_categoricals = out->n;
    for (size_t i = 0; i < m->spec.n_reals; i++)
        if (fw_rng_below(rng, 100) < chance_pct)
            items[out->n++] = (struct tft_variable){false, i};
}

static inline void fill_params(struct tft_model *m, struct fw_rng *rng)
{
    m->params = fw_alloc_aligned(m->net->n_floats, sizeof *m->params);
    m->packed = fw_alloc_aligned(m->net->n_floats, sizeof *m->packed);
    memset(m->params, 0, m->net->n_floats * sizeof *m->params);
    for (size_t i = 0; i < m->net->n_params; i++) {
        const struct tft_param *p = &m->net->params[i];
        const bool norm = strstr(tft_net_param_name(m->net, i), "norm.weight") != NULL;
        const double fan = p->rank == 2 ? sqrt((double)p->shape[1]) : 4.0;
        for (size_t k = 0; k < p->count; k++)
            m->params[p->offset + k] = (float)(norm + fw_rng_normal(rng) / fan);
    }
    tft_net_pack(m->net, m->params, m->packed);
}

static inline void make_model(struct made *m, size_t index, struct fw_rng *rng)
{
    static const struct {
        size_t hidden, heads;
    } shapes[] = {
        {8,  2},
        {12, 3},
        {16, 1},
        {5,  2},
        {32, 8},
        {20, 4},
        {1,  1},
        {24, 2}
    };
    memset(m, 0, sizeof *m);
    struct tft_spec *s = &m->spec;
    s->history_max = MADE_HISTORY;
    s->horizon = MADE_HORIZON;
    s->n_targets = 1 + fw_rng_below(rng, MADE_TARGETS);
    s->n_quantiles = 1 + fw_rng_below(rng, 4);
    s->n_reals = 1 + fw_rng_below(rng, MADE_VARS);
    s->n_categoricals = fw_rng_below(rng, 4);
    s->reals = m->reals;
    s->categoricals = m->cats;
    for (size_t i = 0; i < s->n_reals; i++) {
        m->reals[i].name = made_names[i];
        m->real_size[i] = 1 + fw_rng_below(rng, 12);
    }
    for (size_t i = 0; i < s->n_categoricals; i++) {
        m->cats[i].name = made_names[i];
        m->cats[i].classes.n = 1 + fw_rng_below(rng, 6);
        m->embedding_size[i] = 1 + fw_rng_below(rng, 6);
    }
    /* Every number of variables, none and one among them. */
    choose_variables(m, rng, 60, &s->stat, m->stat);
    choose_variables(m, rng, index % 5 == 0 ? 20 : 90, &s->encoder, m->encoder);
    choose_variables(m, rng, index % 3 == 0 ? 20 : 60, &s->decoder, m->decoder);
    const struct tft_sizes sizes = {.hidden = shapes[index % COUNT_OF(shapes)].hidden,
                                    .heads = shapes[index % COUNT_OF(shapes)].heads,
                                    .layers = 1 + index % 3,
                                    .real_size = m->real_size,
                                    .embedding_size = m->embedding_size,
                                    .numbered_output = s->n_targets > 1};
    m->model.spec = s;
    m->model.kernels = tft_kernels_best();
    assert_int_equal(tft_net_build(s, &sizes, &m->model.net, NULL), FW_OK);
    fill_params(&m->model, rng);
}

static inline void drop_model(struct made *m)
{
    fw_free(m->model.params);
    fw_free(m->model.packed);
    tft_net_free(m->model.net);
}

#endif
