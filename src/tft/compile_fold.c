/* The weights of a selection's variables (FORWARD.md 3.2) act on embeddings and prescaled reals.
 * Both are linear in what the rows hold, a number or a category's indicator, and so are the first
 * layer and the resampled skip path: their product is one matrix over the raw numbers, one row for
 * every category, and a constant. Folded in double and rounded once. */
#include "base/alloc.h"
#include "tft/model_internal.h"
#include "tft/plan_internal.h"

#include <assert.h>
#include <string.h>

/* One output of the folded product, from its coefficients on the selection's values. */
struct fold {
    const struct tft_plan *plan;
    struct tft_plan_selection *sel;
    size_t outputs, stride; /* how many there are; floats of a category's row */
    size_t output;          /* which one this is */
    float *w;               /* (outputs, n_reals) */
    float *first;           /* (outputs) */
    float **category_rows;  /* (n_categoricals): (classes, stride) */
};

static double dot(size_t n, const double *a, const float *b)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * (double)b[i];
    return sum;
}

static void fold_output(const struct fold *f, const double *coefficient, double constant)
{
    const struct tft_model *m = f->plan->model;
    const struct tft_net *net = m->net;
    size_t category = 0, real = 0;
    for (size_t v = 0; v < f->sel->vsn->n; v++) {
        const struct tft_vsn_input *in = &f->sel->vsn->input[v];
        const double *c = coefficient + in->at;
        if (in->categorical) {
            const float *table = m->params + net->embedding[in->column];
            float *rows = f->category_rows[category++];
            for (size_t k = 0; k < net->classes[in->column]; k++)
                rows[k * f->stride + f->output] = (float)dot(in->size, c, table + k * in->size);
        } else {
            const struct tft_linear *l = &net->prescaler[in->column];
            f->w[f->output * f->sel->n_reals + real++] =
                (float)dot(in->size, c, m->params + l->weight);
            constant += dot(in->size, c, m->params + l->bias);
        }
    }
    f->first[f->output] = (float)constant;
}

static void fold_first_layer(struct fold *f, double *row)
{
    const struct tft_model *m = f->plan->model;
    const struct tft_grn *g = &f->sel->vsn->flat;
    for (size_t o = 0; o < g->n_hidden; o++) {
        for (size_t i = 0; i < g->n_in; i++)
            row[i] = (double)m->params[g->fc1.weight + o * g->n_in + i];
        f->output = o;
        fold_output(f, row, (double)m->params[g->fc1.bias + o]);
    }
}

static void fold_skip(struct fold *f, double *row)
{
    const struct tft_model *m = f->plan->model;
    const struct tft_grn *g = &f->sel->vsn->flat;
    for (size_t j = 0; j < g->n_out; j++) {
        memset(row, 0, g->n_in * sizeof *row);
        if (g->resampled) {
            const struct tft_stretch *s = &m->net->stretches[g->skip.stretch];
            const double factor = (double)m->packed[g->skip.mask + j];
            row[s->at[j]] += (1.0 - (double)s->frac[j]) * factor;
            row[s->next[j]] += (double)s->frac[j] * factor;
        } else {
            row[j] = 1.0;
        }
        f->output = g->n_hidden + j;
        fold_output(f, row, 0.0);
    }
}

static bool fold_flat(struct tft_plan *plan, struct tft_plan_selection *sel)
{
    const struct tft_grn *g = &sel->vsn->flat;
    struct tft_dense_flat *flat = &sel->flat;
    const float *params = plan->model->params;
    const size_t outputs = g->n_hidden + g->n_out, stride = tft_plan_category_stride(outputs);
    float *first = tft_plan_floats(plan, outputs);
    float *w = fw_calloc(outputs * sel->n_reals + 1, sizeof *w);
    double *row = fw_calloc(g->n_in, sizeof *row);
    float **rows = fw_calloc(sel->n_categoricals + 1, sizeof *rows);
    bool made = first != NULL && w != NULL && row != NULL && rows != NULL;
    for (size_t i = 0, c = 0; made && i < sel->vsn->n; i++) {
        if (!sel->vsn->input[i].categorical)
            continue;
        rows[c] =
            tft_plan_floats(plan, plan->model->net->classes[sel->vsn->input[i].column] * stride);
        sel->flat_category_rows[c] = rows[c];
        made = rows[c++] != NULL;
    }
    if (made) {
        struct fold f = {plan, sel, outputs, stride, 0, w, first, rows};
        fold_first_layer(&f, row);
        fold_skip(&f, row);
        flat->n = g->n_out;
        flat->hidden = g->n_hidden;
        flat->skip_normed = g->resampled;
        if (g->resampled)
            flat->skip = tft_compile_norm(plan, &g->skip.norm);
        sel->flat_first = first;
        made = tft_compile_dense(plan, sel->n_reals, outputs, w, first, 1.0f, &flat->in) &&
               tft_compile_dense(plan, g->n_hidden, g->n_hidden, params + g->fc2.weight,
                                 params + g->fc2.bias, 1.0f, &flat->fc2) &&
               tft_compile_gate(plan, &g->gate, &g->norm, &flat->gate);
    }
    fw_free(w);
    fw_free(row);
    fw_free(rows);
    return made;
}

/* What a categorical's network gives for each of its classes: a curve with a node at every code and
 * no slopes, so that codes are looked up as numbers are. */
static bool tabulate_categories(struct tft_plan *plan, struct tft_plan_selection *sel,
                                struct tft_resample_acts *acts)
{
    const struct tft_model *m = plan->model;
    const struct tft_run run = {m->kernels, m->net, m->packed};
    for (size_t v = 0; v < sel->n_categoricals; v++) {
        const struct tft_vsn_input *in = &sel->vsn->input[v];
        const size_t classes = m->net->classes[in->column], cells = classes < 2 ? 1 : classes - 1;
        float *nodes = tft_plan_floats(plan, (cells + 1) * 2 * plan->width);
        int32_t *first = (int32_t *)(void *)tft_plan_floats(plan, cells); /* of the same size */
        if (nodes == NULL || first == NULL)
            return false;
        for (size_t c = 0; c < cells; c++)
            first[c] = (int32_t)(c * TFT_CURVE_POWERS);
        for (size_t k = 0; k < classes; k++)
            tft_resample_forward(&run, &in->embed_net, 1,
                                 m->packed + m->net->embedding[in->column] + k * in->size, in->size,
                                 acts, nodes + k * 2 * plan->width);
        sel->curves[v] = (struct tft_curve){0.0f, (float)cells, 1.0f, cells, first, nodes};
    }
    return true;
}

static bool selection(struct tft_plan *plan, struct tft_plan_selection *sel)
{
    const size_t hidden = plan->model->net->hidden;
    for (size_t v = 0; v < sel->vsn->n; v++) {
        sel->n_categoricals += sel->vsn->input[v].categorical;
        assert(sel->vsn->input[v].categorical == (v < sel->n_categoricals));
    }
    sel->n_reals = sel->vsn->n - sel->n_categoricals;
    sel->curves = fw_calloc(sel->vsn->n + 1, sizeof *sel->curves);
    sel->flat_category_rows = fw_calloc(sel->n_categoricals + 1, sizeof *sel->flat_category_rows);
    struct tft_resample_acts acts = {.stretched = fw_alloc_aligned(hidden, sizeof(float))};
    const bool made = sel->curves != NULL && sel->flat_category_rows != NULL &&
                      acts.stretched != NULL && tabulate_categories(plan, sel, &acts) &&
                      (sel->vsn->n < 2 || fold_flat(plan, sel));
    fw_free(acts.stretched);
    return made;
}

enum fw_status tft_compile_selection(struct tft_plan *plan, const struct tft_vsn *vsn,
                                     struct tft_plan_selection *sel, struct fw_error *err)
{
    sel->vsn = vsn;
    if (!selection(plan, sel))
        return fw_fail(err, FW_ENOMEM, "compile a model: no memory");
    return tft_compile_curves(plan, sel, err);
}
