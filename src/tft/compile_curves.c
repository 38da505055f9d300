/* A real variable's network takes one number and no context: it is a curve, and a table of its
 * values and slopes replaces it. Between nodes lies the cubic that fits both ends, with an error
 * that falls with the fourth power of their distance; where a unit's ELU bends (the second
 * derivative jumps) it falls only with the square. So the range is cut into even cells, and each
 * cell into as many parts as its own measured error asks for. */
#include "base/alloc.h"
#include "tft/model_internal.h"
#include "tft/plan_internal.h"

#include <math.h>
#include <string.h>

enum {
    CELLS = 64,
    POWER_MAX = 6, /* a cell has at most 2^5 parts */
    PARTS = CELLS << POWER_MAX,
    FINE = 4,                /* points in a part of the finest cut: its ends, quarters and middle */
    MARGIN = 2 << POWER_MAX, /* points beyond both ends, for the slopes there */
    POINTS = PARTS * FINE + 2 * MARGIN + 1,
    BLOCK = 64, /* points computed together */
};

#define RANGE 8.0f        /* the table covers [-RANGE, RANGE]: eight standard deviations */
#define ENOUGH 1e-6       /* of the curve's largest value: a cell is cut no finer */
#define STILL_USEFUL 5e-5 /* beyond, the network itself is computed */

/* One curve while its table is made: y (POINTS, hidden) are its values. */
struct samples {
    size_t hidden, width;
    const float *y;
    double size; /* the largest value */
};

static float point(size_t i)
{
    return ((float)i - (float)MARGIN) * (2.0f * RANGE / (float)(PARTS * FINE)) - RANGE;
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

/* The node at a point. The slope is the difference quotient of fourth order over quarters of a part
 * of 2^-power cells, times the cell. */
static void fill_node(const struct samples *s, size_t point_at, size_t power, float *node)
{
    const size_t quarter = (size_t)1 << (POWER_MAX - power);
    const float *at = s->y + point_at * s->hidden;
    const float *low = at - quarter * s->hidden, *high = at + quarter * s->hidden;
    const float *lower = low - quarter * s->hidden, *higher = high + quarter * s->hidden;
    const float factor = (float)FINE / 12.0f * (float)((size_t)1 << power);
    for (size_t j = 0; j < s->hidden; j++) {
        node[j] = at[j];
        node[s->width + j] = (8.0f * (high[j] - low[j]) - (higher[j] - lower[j])) * factor;
    }
}

/* Of a part of 2^-power cells between two nodes, at its quarters. */
static double part_error(const struct samples *s, size_t point_at, size_t power, const float *node)
{
    const size_t quarter = (size_t)1 << (POWER_MAX - power), width = s->width;
    const double scale = 1.0 / (double)((size_t)1 << power);
    double worst = 0.0;
    for (size_t q = 1; q < FINE; q++) {
        const double t = (double)q / (double)FINE, u = t - 1.0, rise = t * t * (3.0 - 2.0 * t);
        const float *exact = s->y + (point_at + q * quarter) * s->hidden;
        for (size_t j = 0; j < s->hidden; j++) {
            const double y =
                (1.0 - rise) * (double)node[j] + rise * (double)node[2 * width + j] +
                scale * t * u * (u * (double)node[width + j] + t * (double)node[3 * width + j]);
            worst = fmax(worst, fabs(y - (double)exact[j]));
        }
    }
    return worst;
}

static size_t point_of(size_t cell, size_t power, size_t part)
{
    return MARGIN + ((cell << POWER_MAX) + (part << (POWER_MAX - power))) * FINE;
}

/* The fewest parts that are good enough for a cell, or the most; `room` for two nodes. */
static size_t choose(const struct samples *s, size_t cell, float *room)
{
    for (size_t power = 0; power < POWER_MAX; power++) {
        double error = 0.0;
        for (size_t part = 0; part < (size_t)1 << power && error <= ENOUGH * s->size; part++) {
            const size_t at = point_of(cell, power, part);
            fill_node(s, at, power, room);
            fill_node(s, point_of(cell, power, part + 1), power, room + 2 * s->width);
            error = part_error(s, at, power, room);
        }
        if (error <= ENOUGH * s->size)
            return power;
    }
    return POWER_MAX;
}

/* Every cell's place in the table (first) and the table's nodes; returns how many. Two cells share
 * the node between them if they are cut alike. If not, each has its own: a slope over the finer
 * cell's quarters would bring the samples' rounding into the wider cell many times over. */
static size_t lay_out(const struct samples *s, float *nodes, int32_t *first)
{
    size_t n = 0, before = 0;
    for (size_t cell = 0; cell < CELLS; cell++) {
        const size_t power = choose(s, cell, nodes + n * 2 * s->width);
        if (cell > 0 && power != before)
            fill_node(s, point_of(cell, 0, 0), before, nodes + n++ * 2 * s->width);
        first[cell] = (int32_t)(n * TFT_CURVE_POWERS + power);
        for (size_t part = 0; part < (size_t)1 << power; part++)
            fill_node(s, point_of(cell, power, part), power, nodes + n++ * 2 * s->width);
        before = power;
    }
    fill_node(s, point_of(CELLS, 0, 0), before, nodes + n++ * 2 * s->width);
    return n;
}

static double table_error(const struct samples *s, const float *nodes, const int32_t *first)
{
    double worst = 0.0;
    for (size_t cell = 0; cell < CELLS; cell++) {
        const size_t n = (size_t)first[cell] / TFT_CURVE_POWERS;
        const size_t power = (size_t)first[cell] % TFT_CURVE_POWERS;
        for (size_t part = 0; part < (size_t)1 << power; part++)
            worst = fmax(worst, part_error(s, point_of(cell, power, part), power,
                                           nodes + (n + part) * 2 * s->width));
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

/* Room for the finest table of all; the curve itself takes what its table needs. */
struct room {
    float *y, *nodes;
    int32_t first[CELLS];
};

static bool tabulate(struct tft_plan *plan, const struct tft_vsn_input *in,
                     struct tft_vsn_acts *acts, struct room *room, struct tft_curve *out)
{
    const struct tft_model *m = plan->model;
    const struct tft_run run = {m->kernels, m->net, m->packed};
    sample(&run, in, acts, room->y);
    const struct samples s = {m->net->hidden, plan->width, room->y,
                              largest(POINTS * m->net->hidden, room->y)};
    const size_t n = lay_out(&s, room->nodes, room->first);
    const double error = table_error(&s, room->nodes, room->first);
    const bool useful = error <= STILL_USEFUL * s.size;
    const size_t floats = (useful ? n : 2) * 2 * plan->width;
    float *nodes = tft_plan_floats(plan, floats);
    int32_t *first = (int32_t *)(void *)tft_plan_floats(plan, CELLS); /* of the same size */
    if (nodes == NULL || first == NULL)
        return false;
    if (!useful) { /* an empty range: every number lies outside */
        *out = (struct tft_curve){1.0f, 0.0f, 1.0f, 1, first, nodes};
        plan->info.direct++;
        return true;
    }
    memcpy(nodes, room->nodes, floats * sizeof *nodes);
    memcpy(first, room->first, sizeof room->first);
    *out = (struct tft_curve){-RANGE, RANGE, (float)CELLS / (2.0f * RANGE), CELLS, first, nodes};
    plan->info.curves++;
    plan->info.cells += n - 1;
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
    struct room room = {.y = fw_alloc_aligned(POINTS * net->hidden, sizeof *room.y),
                        .nodes =
                            fw_calloc((PARTS + CELLS + 2) * 2 * plan->width, sizeof *room.nodes)};
    bool made = scratch != NULL && room.y != NULL && room.nodes != NULL;
    if (made) {
        struct arena arena = arena_over(scratch, carver.bytes + 64);
        carver.arena = &arena;
        tft_vsn_carve(&carver, net, BLOCK, &acts);
    }
    for (size_t v = sel->n_categoricals; made && v < sel->vsn->n; v++)
        made = tabulate(plan, &sel->vsn->input[v], &acts, &room, &sel->curves[v]);
    fw_free(scratch);
    fw_free(room.y);
    fw_free(room.nodes);
    return made ? FW_OK : fw_fail(err, FW_ENOMEM, "compile a model: no memory for tables");
}
