/* A real variable's network takes one number and no context: it is a curve, and a table of its
 * values and slopes replaces it. Between nodes lies the cubic that fits both ends; where a unit's
 * ELU bends (its second derivative jumps) the error falls only with the square of the distance of
 * nodes, so the number of cells is chosen curve by curve from the measured error. */
#include "base/alloc.h"
#include "tft/model_internal.h"
#include "tft/plan_internal.h"

#include <math.h>
#include <string.h>

enum {
    CELLS_MIN = 128,
    CELLS_MAX = 2048,
    FINE = 4, /* points in a cell of the finest table: its ends, quarters and middle */
    MARGIN = 2 * (CELLS_MAX / CELLS_MIN), /* points beyond both ends, for the slopes there */
    POINTS = CELLS_MAX * FINE + 2 * MARGIN + 1,
    BLOCK = 64, /* points computed together */
};

#define RANGE 8.0f        /* the table covers [-RANGE, RANGE]: eight standard deviations */
#define ENOUGH 4e-6       /* of the curve's largest value: no finer table is tried */
#define STILL_USEFUL 5e-5 /* beyond, the network itself is computed */

static float point(size_t i)
{
    return ((float)i - (float)MARGIN) * (2.0f * RANGE / (float)(CELLS_MAX * FINE)) - RANGE;
}

static void sample(const struct tft_run *run, const struct tft_vsn_input *in,
                   struct tft_vsn_acts *acts, float *y)
{
    const size_t hidden = run->net->hidden;
    float x[BLOCK];
    for (size_t i = 0; i < POINTS; i += BLOCK) {
        const size_t n = POINTS - i < BLOCK ? POINTS - i : BLOCK;
        for (size_t k = 0; k < n; k++)
            x[k] = point(i + k);
        tft_plan_variable(run, in, n, x, acts, y + i * hidden);
    }
}

/* Nodes for tables of `cells`, from the samples. The slope is the difference quotient of fourth
 * order over quarters of a cell, times the cell. */
static void fill_nodes(size_t cells, size_t hidden, size_t width, const float *y, float *nodes)
{
    const size_t quarter = CELLS_MAX / cells;
    for (size_t k = 0; k <= cells; k++, nodes += 2 * width) {
        const float *at = y + (MARGIN + k * FINE * quarter) * hidden;
        const float *low = at - quarter * hidden, *high = at + quarter * hidden;
        const float *lower = low - quarter * hidden, *higher = high + quarter * hidden;
        for (size_t j = 0; j < hidden; j++) {
            nodes[j] = at[j];
            nodes[width + j] =
                (8.0f * (high[j] - low[j]) - (higher[j] - lower[j])) * ((float)FINE / 12.0f);
        }
    }
}

static double cell_error(size_t hidden, size_t width, const float *node, const float *exact,
                         double t)
{
    const double rise = t * t * (3.0 - 2.0 * t), u = t - 1.0;
    double worst = 0.0;
    for (size_t j = 0; j < hidden; j++) {
        const double y = (1.0 - rise) * (double)node[j] + t * u * u * (double)node[width + j] +
                         rise * (double)node[2 * width + j] +
                         t * t * u * (double)node[3 * width + j];
        worst = fmax(worst, fabs(y - (double)exact[j]));
    }
    return worst;
}

static double table_error(size_t cells, size_t hidden, size_t width, const float *nodes,
                          const float *y)
{
    const size_t quarter = CELLS_MAX / cells;
    double worst = 0.0;
    for (size_t k = 0; k < cells; k++) {
        for (size_t q = 1; q < FINE; q++) {
            const float *exact = y + (MARGIN + (k * FINE + q) * quarter) * hidden;
            worst = fmax(worst, cell_error(hidden, width, nodes + k * 2 * width, exact,
                                           (double)q / (double)FINE));
        }
    }
    return worst;
}

static double largest(size_t n, const float *y)
{
    double max = 0.0;
    for (size_t i = 0; i < n; i++)
        max = fmax(max, fabs((double)y[i]));
    return max;
}

/* The coarsest table that is good enough, or the finest; 0 cells when that one is of no use. */
static size_t choose(size_t hidden, size_t width, const float *y, float *nodes, double *error)
{
    const double size = largest(POINTS * hidden, y);
    for (size_t cells = CELLS_MIN; cells <= CELLS_MAX; cells *= 2) {
        fill_nodes(cells, hidden, width, y, nodes);
        *error = table_error(cells, hidden, width, nodes, y);
        if (*error <= ENOUGH * size)
            return cells;
    }
    return *error <= STILL_USEFUL * size ? CELLS_MAX : 0;
}

static bool tabulate(struct tft_plan *plan, const struct tft_vsn_input *in,
                     struct tft_vsn_acts *acts, float *y, float *room, struct tft_curve *out)
{
    const struct tft_model *m = plan->model;
    const struct tft_run run = {m->kernels, m->net, m->packed};
    double error;
    sample(&run, in, acts, y);
    const size_t cells = choose(m->net->hidden, plan->width, y, room, &error);
    const size_t count = ((cells == 0 ? 1 : cells) + 1) * 2 * plan->width;
    float *nodes = tft_plan_floats(plan, count);
    if (nodes == NULL)
        return false;
    *out = (struct tft_curve){-RANGE, RANGE, (float)cells / (2.0f * RANGE), cells, nodes};
    if (cells == 0) { /* an empty range: every number lies outside */
        *out = (struct tft_curve){1.0f, 0.0f, 1.0f, 1, nodes};
        plan->info.direct++;
        return true;
    }
    memcpy(nodes, room, count * sizeof *nodes);
    plan->info.curves++;
    plan->info.cells += cells;
    plan->info.curve_error = fmax(plan->info.curve_error, error);
    return true;
}

enum fw_status tft_compile_curves(struct tft_plan *plan, struct tft_plan_selection *sel,
                                  struct fw_error *err)
{
    const struct tft_net *net = plan->model->net;
    struct tft_carver carver = {NULL, 0, false};
    struct tft_vsn_acts acts;
    tft_vsn_carve(&carver, net, BLOCK, &acts);
    void *scratch = fw_alloc_aligned(carver.bytes + 64, 1);
    float *y = fw_alloc_aligned(POINTS * net->hidden, sizeof *y);
    float *room = fw_calloc((CELLS_MAX + 1) * 2 * plan->width, sizeof *room);
    bool made = scratch != NULL && y != NULL && room != NULL;
    if (made) {
        struct arena arena = arena_over(scratch, carver.bytes + 64);
        carver.arena = &arena;
        tft_vsn_carve(&carver, net, BLOCK, &acts);
    }
    for (size_t v = sel->n_categoricals; made && v < sel->vsn->n; v++)
        made = tabulate(plan, &sel->vsn->input[v], &acts, y, room, &sel->curves[v]);
    fw_free(scratch);
    fw_free(y);
    fw_free(room);
    return made ? FW_OK : fw_fail(err, FW_ENOMEM, "compile a model: no memory for tables");
}
