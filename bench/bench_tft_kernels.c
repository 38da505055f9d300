/* Every kernel of compiled models, in every set that this processor runs, at the shapes of the two
 * models that matter: "single", a server's forecast by an imported model (288 + 96 steps, 20
 * inputs, 8 heads of 4), and "own", a metric's by the shipped one (14 + 8 steps, 6 and 16 inputs, 4
 * heads of 8); hidden 32 in both. Best of many rounds: nanoseconds a call, products, and their
 * share of the set's measured peak. Data lies in the first two caches, as it does in a forecast. */
#include "base/alloc.h"
#include "base/rng.h"
#include "bench_tft.h"
#include "tft/kernels/tiles.h"

#include <string.h>

enum { HIDDEN = 32, FLOATS = 1 << 20, ROUNDS = 300, NODES = 400, WIDTH = 32 };

static float *random_floats(size_t n, double size)
{
    float *x = need(fw_alloc_aligned(n, sizeof *x));
    struct fw_rng rng;
    fw_rng_init(&rng, n);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(size * fw_rng_normal(&rng));
    return x;
}

struct room {
    const float *weights, *x;
    float *y, *more, *work;
};

static struct tft_dense dense_of(const struct room *r, size_t n_in, size_t n_out)
{
    return (struct tft_dense){n_in, n_out, r->weights, r->x};
}

static struct tft_dense_gate gate_of(const struct room *r, size_t n_in, size_t n)
{
    return (struct tft_dense_gate){
        dense_of(r, n_in, 2 * n), {n, r->x, r->x}
    };
}

/* One kernel at one shape; products in multiply-adds times two. */
struct task {
    const struct tft_tiles *k;
    const struct room *room;
    size_t tiles, n_in, n_out, series, steps, heads;
};

static void run_dense(const struct task *t)
{
    const struct tft_dense d = dense_of(t->room, t->n_in, t->n_out);
    t->k->dense(&d, t->tiles, t->room->x, t->room->y);
}

static void run_gate(const struct task *t)
{
    const struct tft_dense_gate g = gate_of(t->room, t->n_in, t->n_out);
    t->k->gate(&g, t->tiles, t->room->x, t->room->more, t->room->work, t->room->y);
}

static void run_grn(const struct task *t)
{
    const struct tft_dense square = dense_of(t->room, t->n_in, t->n_out);
    const struct tft_dense_grn g = {square, square, gate_of(t->room, t->n_in, t->n_out)};
    t->k->grn(&g, t->room->x, t->tiles, t->room->x, t->room->work, t->room->y);
}

static void run_flat(const struct task *t)
{
    const size_t n = t->n_out;
    const struct tft_dense_flat f = {
        n,
        n,
        dense_of(t->room, t->n_in, 2 * n),
        true,
        {n, t->room->x, t->room->x},
        dense_of(t->room, n, n),
        gate_of(t->room, n, n)
    };
    float *preset = t->room->more; /* what categories and context add: overwritten */
    memcpy(preset, t->room->x, 2 * n * TFT_TILE * sizeof *preset);
    t->k->flat(&f, t->room->x, preset, t->room->work, t->room->y);
}

static void run_curve(const struct task *t)
{
    static int32_t first[64];
    const struct tft_curve c = {-8.0f, 8.0f, 4.0f, 64, first, t->room->weights};
    for (size_t i = 0; i < 64; i++)
        first[i] = (int32_t)(i * 4 * TFT_CURVE_POWERS + 2);
    (void)t->k->curve(&c, WIDTH, t->steps, TFT_TILE, t->room->x, t->room->x, t->room->y);
}

static void run_lstm(const struct task *t)
{
    const struct tft_recurrence r = {HIDDEN, HIDDEN, t->room->weights, t->room->x};
    struct tft_sequence s[TFT_TOGETHER];
    for (size_t i = 0; i < t->series; i++)
        s[i] = (struct tft_sequence){t->room->x + i * t->steps * HIDDEN,
                                     t->room->y + i * t->steps * HIDDEN, t->room->work + i * HIDDEN,
                                     t->room->more + i * HIDDEN};
    t->k->lstm(&r, t->series, t->steps, s);
}

static void run_turn(const struct task *t)
{
    const float *row[TFT_TILE];
    for (size_t i = 0; i < TFT_TILE; i++)
        row[i] = t->room->x + i * t->n_out;
    t->k->turn(t->n_out, row, false, t->room->y);
}

static void run_attend(const struct task *t)
{
    const struct room *r = t->room;
    const struct tft_asked asked = {
        t->heads,
        t->n_in,
        t->steps,
        t->n_out,
        {0,    0           },
        r->x,
        {r->x, r->x + 20000},
        {r->x, r->x + 20000}
    };
    t->k->attend(&asked, r->work, r->y);
}

static void run_softplus(const struct task *t)
{
    memcpy(t->room->more, t->room->x, t->tiles * TFT_TILE * sizeof(float));
    for (size_t i = 0; i < t->tiles; i++)
        t->k->softplus(t->room->more + i * TFT_TILE);
}

struct row {
    const char *name;
    void (*run)(const struct task *t);
    struct task task;
    double flop;
};

#define STEP_FLOP(n_in, n_out) (2.0 * TFT_TILE * (n_in) * (n_out))
#define GATE_FLOP STEP_FLOP(HIDDEN, 2 * HIDDEN)
#define GRN_FLOP (2.0 * STEP_FLOP(HIDDEN, HIDDEN) + GATE_FLOP)
#define FLAT_FLOP(n_in, n) (STEP_FLOP(n_in, 2 * (n)) + STEP_FLOP(n, n) + STEP_FLOP(n, 2 * (n)))
/* Queries that see all keys of the history and those before themselves. */
#define SEEN(queries, keys) ((queries) * ((keys) + 0.5 * ((queries)-1)))

static const struct row rows[] = {
    {"single: matrix 32 -> 32, 6 tiles",
     run_dense,                                                    {.tiles = 6, .n_in = 32, .n_out = 32},
     6 * STEP_FLOP(32,32)},
    {"single: gate, 24 tiles",                                      run_gate,                                   {.tiles = 24, .n_in = 32, .n_out = 32},                                                  24 * GATE_FLOP},
    {"single: residual network, 24 tiles",
     run_grn,                       {.tiles = 24, .n_in = 32, .n_out = 32},
     24 * GRN_FLOP},
    {"single: weights of 20 inputs, a tile",
     run_flat,                     {.n_in = 19, .n_out = 20},
     FLAT_FLOP(19,20)},
    {"single: a curve, 288 steps",                                   run_curve,                                                       {.steps = 288},                                                                                        288.0 * 8 * WIDTH},
    {"single: LSTM, 3 series, 288 steps",
     run_lstm,                                         {.series = 3, .steps = 288},
     3 * 288.0 * 2 * HIDDEN * 8 * HIDDEN},
    {"single: LSTM, 1 series, 288 steps",
     run_lstm,                        {.series = 1, .steps = 288},
     288.0 * 2 * HIDDEN * 8 * HIDDEN},
    {"single: attention, 96 over 288 + 95",
     run_attend,                            {.heads = 8, .n_in = 4, .n_out = 288, .steps = 96},
     4.0 * 8 * 4 * SEEN(96.0,288.0)},
    {"own: residual network, 2 tiles",
     run_grn,                              {.tiles = 2, .n_in = 32, .n_out = 32},
     2 * GRN_FLOP},
    {"own: weights of 6 inputs, a tile", run_flat,                                                 {.n_in = 6, .n_out = 6},                                                                                                             FLAT_FLOP(6,6)},
    {"own: weights of 16 inputs, a tile",               run_flat,{.n_in = 16, .n_out = 16},FLAT_FLOP(16,16)},
    {"own: weights of 23 inputs, a tile",                run_flat,                                    {.n_in = 23, .n_out = 23},                                                                                                                                                               FLAT_FLOP(23,                                                                                                                                                                                                               23)},
    {"own: a curve, 14 steps",    run_curve, {.steps = 14}, 14.0 * 8 * WIDTH},
    {"own: LSTM, 3 series, 14 steps",
     run_lstm,                                   {.series = 3, .steps = 14},
     3 * 14.0 * 2 * HIDDEN * 8 * HIDDEN},
    {"own: attention, 8 over 14 + 7",
     run_attend,                            {.heads = 4, .n_in = 8, .n_out = 14, .steps = 8},
     4.0 * 4 * 8 * SEEN(8.0,14.0)},
    {"rows into a tile, 32 units",                                      run_turn,                            {.n_out = 32},                                                                                                                 0.0},
    {"softplus, 42 rows of a tile",                                 run_softplus,                                                     {.tiles = 42},                                                                                      0.0},
};

static double best_ns(const struct row *row, const struct task *task)
{
    double best = 1e300;
    size_t calls = 1;
    for (size_t round = 0; round < ROUNDS; round++) {
        const double start = now_ms();
        for (size_t i = 0; i < calls; i++)
            row->run(task);
        const double took = (now_ms() - start) * 1e6;
        best = took / (double)calls < best ? took / (double)calls : best;
        if (took < 2e4)
            calls *= 2;
    }
    return best;
}

int main(void)
{
    const struct room room = {random_floats(FLOATS, 0.1), random_floats(FLOATS, 1.0),
                              random_floats(FLOATS, 1.0), random_floats(FLOATS, 1.0),
                              random_floats(FLOATS, 1.0)};
    for (int set = TFT_SETS - 1; set >= 0; set--) {
        const struct tft_tiles *k = tft_tiles_of((enum tft_set)set);
        if (k == NULL)
            continue;
        const double peak = fma_peak((enum tft_set)set);
        printf("%s: peak of fused multiply-adds %.1f GFLOP/s\n", k->name, peak);
        printf("%-40s %12s %10s %8s\n", "kernel", "ns a call", "GFLOP/s", "of peak");
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            struct task task = rows[i].task;
            task.k = k;
            task.room = &room;
            const double ns = best_ns(&rows[i], &task);
            printf("%-40s %12.1f %10.1f %7.0f%%\n", rows[i].name, ns, rows[i].flop / ns,
                   100.0 * rows[i].flop / ns / peak);
        }
        printf("\n");
    }
    return 0;
}
