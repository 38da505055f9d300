/* The kernels of compiled models: what the vector functions promise, and the two instruction sets
 * against each other on odd sizes and tails. */
#include "base/rng.h"
#include "support.h"
#include "tft/kernels/tiles.h"

#include <math.h>
#include <stdlib.h>

enum { FLOATS = 1 << 16, POOL = 4 * FLOATS };

/* Every set that this machine runs, plain C first. */
static size_t all_sets(const struct tft_tiles **sets)
{
    size_t n = 0;
    for (int set = 0; set < TFT_SETS; set++) {
        sets[n] = tft_tiles_of((enum tft_set)set);
        n += sets[n] != NULL;
    }
    return n;
}

static void test_sets(void **state)
{
    (void)state;
    assert_int_equal(setenv("FOREWARN_KERNELS", "plain", 1), 0);
    assert_string_equal(tft_tiles_best()->name, "plain");
    assert_int_equal(setenv("FOREWARN_KERNELS", "avx2", 1), 0);
    assert_string_equal(tft_tiles_best()->name, tft_set_runs(TFT_SET_AVX2) ? "avx2" : "plain");
    assert_int_equal(setenv("FOREWARN_KERNELS", "abacus", 1), 0);
    const enum tft_set best = tft_set_best();
    assert_int_equal(unsetenv("FOREWARN_KERNELS"), 0);
    assert_int_equal(tft_set_best(), best);
    for (int set = 0; set < TFT_SETS; set++) {
        if (tft_set_runs((enum tft_set)set))
            assert_string_equal(tft_tiles_of((enum tft_set)set)->name,
                                tft_set_name((enum tft_set)set));
        else
            assert_null(tft_tiles_of((enum tft_set)set));
        assert_true((int)best >= set || !tft_set_runs((enum tft_set)set));
    }
}

/* ---- functions ---- */

enum { EXP2, EXP2_SHORT, SIGMOID, ELU, SOFTPLUS, FUNCTIONS };

static double exact(int function, double x)
{
    switch (function) {
    case SIGMOID:
        return 1.0 / (1.0 + exp(-x));
    case ELU:
        return x > 0.0 ? x : expm1(x);
    case SOFTPLUS:
        return x > 40.0 ? x : log1p(exp(x));
    default:
        return exp2(x);
    }
}

static void (*part(const struct tft_tiles *k, int function))(float *x)
{
    switch (function) {
    case EXP2:
        return k->parts.exp2;
    case EXP2_SHORT:
        return k->parts.exp2_short;
    case SIGMOID:
        return k->parts.sigmoid;
    case ELU:
        return k->parts.elu;
    default:
        return k->softplus;
    }
}

/* What is claimed of a function, and where; exp2 is cut beyond, softplus is no longer relative. */
static const struct {
    const char *name;
    bool relative;
    float low, high;
    double most;
} claims[FUNCTIONS] = {
    {"exp2",       true,  -120.0f, 120.0f, 3e-7},
    {"short exp2", true,  -124.0f, 124.0f, 6e-6},
    {"sigmoid",    false, -124.0f, 124.0f, 3e-7},
    {"elu",        false, -124.0f, 0.0f,   3e-7},
    {"softplus",   true,  -80.0f,  124.0f, 5e-6},
};

/* A row of floats through one function of all sets; worst (sets). */
static void measure(int function, const float *x, size_t n, const struct tft_tiles *const *sets,
                    double *worst)
{
    double want[TFT_TILE];
    for (size_t t = 0; t < TFT_TILE; t++)
        want[t] = exact(function, (double)x[t]);
    for (size_t i = 0; i < n; i++) {
        float row[TFT_TILE];
        memcpy(row, x, sizeof row);
        part(sets[i], function)(row);
        for (size_t t = 0; t < TFT_TILE; t++) {
            if (x[t] < claims[function].low || x[t] > claims[function].high)
                continue;
            const double unit = claims[function].relative ? want[t] : 1.0;
            worst[i] = fmax(worst[i], fabs((double)row[t] - want[t]) / unit);
        }
    }
}

/* Every 499th float from 5e-10 to 124 of both signs (a prime step, so that all low bits occur);
 * with FOREWARN_EVERY_FLOAT in the environment every one of them. The largest errors over all,
 * exp2, its short form and softplus relative, the others absolute:
 *
 *             exp2     short    sigmoid  elu      softplus
 *   plain     2.92e-7  3.60e-6  1.16e-7  2.06e-7  3.75e-6
 *   avx2      2.70e-7  3.57e-6  1.13e-7  1.94e-7  3.75e-6
 *   avx512    1.72e-7  2.70e-6  1.02e-7  1.72e-7  3.83e-6 */
static void test_vector_functions(void **state)
{
    const struct tft_tiles *sets[TFT_SETS];
    const size_t n = all_sets(sets);
    const uint32_t stride = getenv("FOREWARN_EVERY_FLOAT") != NULL ? 1 : 499;
    double worst[FUNCTIONS][TFT_SETS] = {{0.0}};
    (void)state;
    for (uint32_t bits = 0x30000000u; bits < 0x42f80000u; bits += TFT_TILE / 2 * stride) {
        float x[TFT_TILE];
        for (uint32_t t = 0; t < TFT_TILE / 2; t++) {
            const uint32_t here = bits + t * stride;
            memcpy(&x[2 * t], &here, sizeof here);
            x[2 * t + 1] = -x[2 * t];
        }
        for (int function = 0; function < FUNCTIONS; function++)
            measure(function, x, n, sets, worst[function]);
    }
    for (size_t i = 0; i < n; i++) {
        for (int function = 0; function < FUNCTIONS; function++) {
            print_message("  %s, %s: %.3g\n", sets[i]->name, claims[function].name,
                          worst[function][i]);
            CHECK_NEAR(claims[function].name, worst[function][i], 0.0, claims[function].most);
        }
    }
}

static double result(void (*function)(float *x), float x)
{
    float row[TFT_TILE];
    for (size_t t = 0; t < TFT_TILE; t++)
        row[t] = x;
    function(row);
    return (double)row[TFT_TILE - 1];
}

static void test_ends(void **state)
{
    static const uint32_t payloads[] = {0x7fc00000u, 0x7fc001ffu, 0xffc00001u, 0x7fffffffu};
    const struct tft_tiles *sets[TFT_SETS];
    const size_t n = all_sets(sets);
    (void)state;
    for (size_t s = 0; s < n; s++) {
        const struct tft_tiles *k = sets[s];
        for (size_t i = 0; i < COUNT_OF(payloads); i++) {
            float nan;
            memcpy(&nan, &payloads[i], sizeof nan);
            CHECK_TRUE("exp2", isnan(result(k->parts.exp2, nan)));
            CHECK_TRUE("sigmoid", isnan(result(k->parts.sigmoid, nan)));
            CHECK_TRUE("elu", isnan(result(k->parts.elu, nan)));
            CHECK_TRUE("softplus", isnan(result(k->softplus, nan)));
        }
        for (float x = 200.0f; x <= 2e38f; x *= 1e6f) {
            CHECK_NEAR("exp2 far below", result(k->parts.exp2, -x), 0.0, 1e-36);
            CHECK_TRUE("exp2 far above", result(k->parts.exp2, x) > 1e36);
            CHECK_NEAR("sigmoid far below", result(k->parts.sigmoid, -x), 0.0, 1e-36);
            CHECK_NEAR("sigmoid far above", result(k->parts.sigmoid, x), 1.0, 0.0);
            CHECK_NEAR("elu far below", result(k->parts.elu, -x), -1.0, 0.0);
            CHECK_NEAR("elu far above", result(k->parts.elu, x), (double)x, 0.0);
        }
    }
}

/* ---- twins ---- */

static float in[FLOATS], more[FLOATS], weights[FLOATS], bias[FLOATS];
static float one[FLOATS], two[FLOATS], work[FLOATS], pool[POOL];
static size_t pooled;

/* A matrix of `weights` (n_out, n_in) from `at` on, laid out for these kernels. */
static struct tft_dense dense_of(const struct tft_tiles *k, size_t n_in, size_t n_out, size_t at)
{
    float *panels = pool + pooled;
    pooled += n_in * n_out;
    assert_true(pooled <= POOL && at + n_in * n_out <= FLOATS);
    tft_panels_fill(k->panel, n_in, n_out, weights + at, 1.0f, panels);
    return (struct tft_dense){n_in, n_out, panels, bias + at % 1000};
}

static void fill(uint64_t seed)
{
    struct fw_rng rng;
    fw_rng_init(&rng, seed);
    for (size_t i = 0; i < FLOATS; i++) {
        in[i] = (float)fw_rng_normal(&rng);
        more[i] = (float)fw_rng_normal(&rng);
        weights[i] = (float)fw_rng_normal(&rng) * 0.3f;
        bias[i] = (float)fw_rng_normal(&rng);
        one[i] = two[i] = -7.0f;
    }
    pooled = 0;
}

/* Plain C beside every other set that runs here (beside itself where there is none). */
static void each_pair(void (*check)(const struct tft_tiles *const k[2]))
{
    const struct tft_tiles *sets[TFT_SETS];
    const size_t n = all_sets(sets);
    for (size_t s = n > 1 ? 1 : 0; s < n; s++) {
        const struct tft_tiles *const k[2] = {sets[0], sets[s]};
        check(k);
    }
}

/* The first n agree; what follows them was not written. */
static void check_twins(const char *name, size_t n, double tolerance)
{
    check_floats(name, two, one, n, 1.0, tolerance);
    for (size_t i = n; i < n + 64; i++) {
        CHECK_EQ(name, one[i] == -7.0f, 1);
        CHECK_EQ(name, two[i] == -7.0f, 1);
    }
}

static void check_dense(const struct tft_tiles *const k[2])
{
    for (size_t n_out = 1; n_out <= 40; n_out++) {
        const size_t n_in = 1 + n_out * 7 % 23;
        char name[40];
        (void)snprintf(name, sizeof name, "%s: dense %zu -> %zu", k[1]->name, n_in, n_out);
        fill(n_out);
        const struct tft_dense d[2] = {dense_of(k[0], n_in, n_out, 0),
                                       dense_of(k[1], n_in, n_out, 0)};
        k[0]->dense(&d[0], 2, in, one);
        k[1]->dense(&d[1], 2, in, two);
        check_twins(name, 2 * n_out * TFT_TILE, 1e-5);
        for (size_t o = 0; o < n_out; o++) { /* the sum as it is written down */
            double want = (double)bias[o];
            for (size_t i = 0; i < n_in; i++)
                want += (double)weights[o * n_in + i] * (double)in[i * TFT_TILE + 3];
            CHECK_NEAR(name, one[o * TFT_TILE + 3], want, 1e-5);
        }
    }
}

static void check_gate_and_grn(const struct tft_tiles *const k[2])
{
    for (size_t n = 1; n <= 36; n += n % 4 == 0 ? 5 : 3) {
        struct tft_dense_gate gate[2];
        struct tft_dense_grn grn[2];
        fill(n);
        for (size_t i = 0; i < 2; i++) {
            gate[i] = (struct tft_dense_gate){
                dense_of(k[i], n, 2 * n, 2000), {n, more, more + 500}
            };
            grn[i] =
                (struct tft_dense_grn){dense_of(k[i], n, n, 0), dense_of(k[i], n, n, 0), gate[i]};
        }
        k[0]->gate(&gate[0], 2, in, more, work, one);
        k[1]->gate(&gate[1], 2, in, more, work, two);
        check_twins("gate", 2 * n * TFT_TILE, 2e-4);
        k[0]->grn(&grn[0], bias + 7, 2, in, work, one);
        k[1]->grn(&grn[1], bias + 7, 2, in, work, two);
        check_twins("residual network", 2 * n * TFT_TILE, 2e-4);
    }
}

static struct tft_dense_flat flat_of(const struct tft_tiles *k, size_t n)
{
    const size_t hidden = n < 9 ? n : 9;
    return (struct tft_dense_flat){
        n,
        hidden,
        dense_of(k, n - 1, hidden + n, 0),
        n % 2 == 0,
        {n,      more,  more + 100     },
        dense_of(k, hidden, hidden, 3000),
        { dense_of(k, hidden, 2 * n, 5000), {n, more, more}}
    };
}

static void check_flat(const struct tft_tiles *const k[2])
{
    static float preset[2][FLOATS];
    for (size_t n = 2; n <= 22; n += 5) {
        fill(n);
        const struct tft_dense_flat f[2] = {flat_of(k[0], n), flat_of(k[1], n)};
        memcpy(preset[0], bias, sizeof bias);
        memcpy(preset[1], bias, sizeof bias);
        k[0]->flat(&f[0], in, preset[0], work, one);
        k[1]->flat(&f[1], in, preset[1], work, two);
        check_twins("weights of variables", n * TFT_TILE, 1e-4);
        for (size_t t = 0; t < TFT_TILE; t++) {
            double sum = 0.0;
            for (size_t j = 0; j < n; j++)
                sum += (double)two[j * TFT_TILE + t];
            CHECK_NEAR("they add up", sum, 1.0, 1e-5);
        }
    }
}

static void check_turn(const struct tft_tiles *const k[2])
{
    for (size_t n = 1; n <= 40; n += 3) {
        const float *row[TFT_TILE];
        fill(n);
        for (size_t t = 0; t < TFT_TILE; t++)
            row[t] = more + (t * 5 % TFT_TILE) * 50;
        for (size_t i = 0; i < 2; i++) {
            float *to = i == 0 ? one : two;
            k[i]->turn(n, row, false, to);
            CHECK_TRUE("turned", to[(n - 1) * TFT_TILE + 7] == row[7][n - 1]);
            k[i]->turn(n, row, true, to);
            CHECK_TRUE("added", to[(n - 1) * TFT_TILE + 7] == 2.0f * row[7][n - 1]);
        }
        check_twins("turn", n * TFT_TILE, 0.0);
    }
}

/* x^2, which a cubic meets exactly, on [-2, 2]: four cells, the second in two parts, the third in
 * four. */
static struct tft_curve parabola(size_t width, float *nodes)
{
    static const int32_t first[4] = {0 * TFT_CURVE_POWERS + 0, 1 * TFT_CURVE_POWERS + 1,
                                     3 * TFT_CURVE_POWERS + 2, 7 * TFT_CURVE_POWERS + 0};
    static const float at[9] = {-2.0f, -1.0f, -0.5f, 0.0f, 0.25f, 0.5f, 0.75f, 1.0f, 2.0f};
    for (size_t node = 0; node < COUNT_OF(at); node++) {
        for (size_t j = 0; j < width; j++) {
            nodes[node * 2 * width + j] = at[node] * at[node] + (float)j;
            nodes[node * 2 * width + width + j] = 2.0f * at[node];
        }
    }
    return (struct tft_curve){-2.0f, 2.0f, 1.0f, 4, first, nodes};
}

static void check_curves(const struct tft_tiles *const k[2])
{
    enum { STEPS = 45, STRIDE = 2 * TFT_TILE }; /* every other row of TILE belongs to another */
    for (size_t width = k[1]->units; width <= 72; width += 2 * k[1]->units) {
        const struct tft_curve c = parabola(width, work);
        fill(width);
        memset(one, 0, STEPS * width * sizeof *one);
        memset(two, 0, STEPS * width * sizeof *two);
        in[0] = 2.0f; /* the edges belong to the table */
        in[1] = -2.0f;
        in[2] = 0.0f;
        in[STRIDE + 3] = 2.5f;
        in[STRIDE + 5] = NAN;
        CHECK_TRUE("outside", k[0]->curve(&c, width, STEPS, STRIDE, in, more, one));
        CHECK_TRUE("outside", k[1]->curve(&c, width, STEPS, STRIDE, in, more, two));
        check_twins("curve", STEPS * width, 1e-4);
        for (size_t t = 0; t < STEPS; t++) {
            const size_t at = t / TFT_TILE * STRIDE + t % TFT_TILE;
            const double x = (double)in[at], y = x * x + (double)(width - 1);
            const double want = fabs(x) <= 2.0 ? (double)more[at] * y : 0.0;
            CHECK_NEAR("curve", two[t * width + width - 1], want, 1e-6 * fmax(1.0, fabs(want)));
        }
        /* The number outside lies in a step that is not computed. */
        for (size_t i = 0; i < 3 * STRIDE; i++)
            in[i] = i % STRIDE == 15 && i > 2 * STRIDE ? 1e9f : 0.5f;
        CHECK_TRUE("inside", !k[0]->curve(&c, width, STEPS, STRIDE, in, more, one));
        CHECK_TRUE("inside", !k[1]->curve(&c, width, STEPS, STRIDE, in, more, two));
    }
}

/* Rows of `weights` as the groups of units of these kernels want them. */
static struct tft_recurrence recurrence_of(const struct tft_tiles *k, size_t n)
{
    const size_t units = k->units, width = (n + units - 1) / units * units;
    float *w = pool + pooled, *b = w + width * 8 * n;
    pooled += width * (8 * n + 4);
    assert_true(pooled <= POOL);
    memset(w, 0, width * (8 * n + 4) * sizeof *w);
    for (size_t unit = 0; unit < n; unit++) {
        const size_t group = unit / units, lane = unit % units;
        for (size_t gate = 0; gate < 4; gate++) {
            for (size_t i = 0; i < 2 * n; i++)
                w[((group * 2 * n + i) * 4 + gate) * units + lane] =
                    weights[(gate * n + unit) * 2 * n + i];
            b[(group * 4 + gate) * units + lane] = bias[gate * n + unit];
        }
    }
    return (struct tft_recurrence){n, width, w, b};
}

/* x, y: (series, steps, n), whatever the width. */
static void run_lstm(const struct tft_tiles *k, const struct tft_recurrence *r, size_t series,
                     size_t steps, float *y)
{
    static float state[TFT_TOGETHER][2][64], x[FLOATS], out[FLOATS];
    struct tft_sequence s[TFT_TOGETHER];
    const size_t n = r->n, width = r->width;
    memset(state, 0, sizeof state);
    for (size_t i = 0; i < series; i++) {
        memcpy(state[i][0], more + i * 100, n * sizeof *more);
        memcpy(state[i][1], more + i * 100 + 50, n * sizeof *more);
        for (size_t t = 0; t < steps; t++)
            memcpy(x + (i * steps + t) * width, in + (i * steps + t) * n, n * sizeof *x);
        s[i] = (struct tft_sequence){x + i * steps * width, out + i * steps * width, state[i][0],
                                     state[i][1]};
    }
    k->lstm(r, series, steps, s);
    CHECK_EQ("last output", memcmp(state[0][0], out + (steps - 1) * width, n * sizeof *y), 0);
    for (size_t t = 0; t < series * steps; t++) {
        memcpy(y + t * n, out + t * width, n * sizeof *y);
        for (size_t j = n; j < width; j++)
            CHECK_EQ("units beyond", out[t * width + j] == 0.0f, 1);
    }
}

static double logistic(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

/* One unit of the first step of the first series, as the equations say. */
static double first_output(size_t n, size_t unit)
{
    double z[4];
    for (size_t k = 0; k < 4; k++) {
        z[k] = (double)bias[k * n + unit];
        for (size_t i = 0; i < 2 * n; i++)
            z[k] +=
                (double)(i < n ? in[i] : more[i - n]) * (double)weights[(k * n + unit) * 2 * n + i];
    }
    const double c = logistic(z[1]) * (double)more[50 + unit] + logistic(z[0]) * tanh(z[2]);
    return logistic(z[3]) * tanh(c);
}

static void check_lstm(const struct tft_tiles *const k[2])
{
    static float alone[FLOATS];
    const size_t steps = 9;
    for (size_t n = 1; n <= 40; n += 13) {
        for (size_t series = 1; series <= TFT_TOGETHER; series++) {
            fill(n + series);
            const struct tft_recurrence r[2] = {recurrence_of(k[0], n), recurrence_of(k[1], n)};
            run_lstm(k[0], &r[0], series, steps, one);
            run_lstm(k[1], &r[1], series, steps, two);
            check_twins("lstm", series * steps * n, 1e-5);
            for (size_t unit = 0; unit < n; unit++)
                CHECK_NEAR("lstm: first step", two[unit], first_output(n, unit), 1e-5);
            run_lstm(k[1], &r[1], 1, steps, alone);
            CHECK_EQ("alone: the same bits", memcmp(alone, two, steps * n * sizeof *two), 0);
        }
    }
}

/* The plain formula, one head after the other. */
static double attended(const struct tft_asked *a, size_t query, size_t component)
{
    const size_t wide = a->heads * a->size * TFT_TILE, own = a->start[1] + query;
    double mean = 0.0;
    for (size_t head = 0; head < a->heads; head++) {
        double sum = 0.0, value = 0.0;
        for (size_t t = 0; t < a->n_keys + query; t++) {
            const size_t side = t >= a->n_keys, at = a->start[side] + (side ? t - a->n_keys : t);
            const size_t tile = at / TFT_TILE, lane = at % TFT_TILE;
            double s = 0.0;
            for (size_t c = 0; c < a->size; c++) {
                const size_t row = (head * a->size + c) * TFT_TILE;
                s += (double)a->q[own / TFT_TILE * wide + row + own % TFT_TILE] *
                     (double)a->k[side][tile * wide + row + lane];
            }
            sum += exp2(s);
            value += exp2(s) * (double)a->v[side][(tile * a->size + component) * TFT_TILE + lane];
        }
        mean += value / sum / (double)a->heads;
    }
    return mean;
}

static void check_heads(const struct tft_tiles *const t[2], size_t heads, size_t size,
                        size_t queries, size_t n_keys, const size_t start[2], float factor)
{
    struct tft_asked a = {
        .heads = heads,
        .size = size,
        .queries = queries,
        .n_keys = n_keys,
        .start = {start[0], start[1]}
    };
    const size_t tiles = (a.start[1] + a.queries + TFT_TILE - 1) / TFT_TILE;
    char name[120];
    (void)snprintf(name, sizeof name, "%s: %zu heads of %zu, %zu keys, %zu queries, times %g",
                   t[1]->name, a.heads, a.size, a.n_keys, a.queries, (double)factor);
    fill(a.heads + a.n_keys);
    for (size_t i = 0; i < FLOATS; i++)
        in[i] *= factor;
    a.q = in;
    a.k[0] = more;
    a.k[1] = more + 20000;
    a.v[0] = weights;
    a.v[1] = weights + 20000;
    t[0]->attend(&a, work, one);
    t[1]->attend(&a, work, two);
    for (size_t i = 0; i < tiles * a.size * TFT_TILE; i++) {
        const size_t at = i / (a.size * TFT_TILE) * TFT_TILE + i % TFT_TILE;
        if (at >= a.start[1] && at < a.start[1] + a.queries) {
            const double want = attended(&a, at - a.start[1], i / TFT_TILE % a.size);
            CHECK_NEAR(name, one[i], want, 1e-5);
            CHECK_NEAR(name, two[i], want, 1e-5);
        } else {
            CHECK_EQ("another's lane", one[i] == -7.0f && two[i] == -7.0f, 1);
        }
    }
    CHECK_EQ(name, two[tiles * a.size * TFT_TILE] == -7.0f, 1);
}

/* The same bits wherever the series lies in its tiles, and whatever lies beside it. */
static void check_neighbours(const struct tft_tiles *k, size_t start)
{
    enum { HEADS = 2, SIZE = 4, ROWS = HEADS * SIZE, KEYS = 14, QUERIES = 8, ALONE = 30000 };
    fill(start);
    for (size_t t = 0; t < KEYS; t++) { /* the same numbers in other lanes */
        const size_t at = start + t;
        for (size_t r = 0; r < ROWS; r++) {
            const size_t from = (at / TFT_TILE * ROWS + r) * TFT_TILE + at % TFT_TILE;
            more[ALONE + r * TFT_TILE + t] = more[from];
            in[ALONE + r * TFT_TILE + t] = in[from];
        }
        for (size_t r = 0; r < SIZE; r++)
            weights[ALONE + r * TFT_TILE + t] =
                weights[(at / TFT_TILE * SIZE + r) * TFT_TILE + at % TFT_TILE];
    }
    for (size_t r = 0; r < ROWS; r++) /* what only the unsafe way could bear */
        if (start > 0)
            more[r * TFT_TILE + start - 1] = in[r * TFT_TILE + start - 1] = 1e30f;
    const struct tft_asked beside = {
        HEADS, SIZE, QUERIES, KEYS, {start,   start  },
            in, {more,    more   },
            {weights, weights}
    };
    const struct tft_asked alone = {
        HEADS,
        SIZE,
        QUERIES,
        KEYS,
        {0,               0              },
        in + ALONE,
        {more + ALONE,    more + ALONE   },
        {weights + ALONE, weights + ALONE}
    };
    k->attend(&beside, work, one);
    k->attend(&alone, work, two);
    for (size_t t = 0; t < QUERIES; t++) {
        const size_t at = start + t;
        for (size_t r = 0; r < SIZE; r++)
            CHECK_TRUE("neighbours", one[(at / TFT_TILE * SIZE + r) * TFT_TILE + at % TFT_TILE] ==
                                         two[r * TFT_TILE + t]);
    }
}

static void check_attention(const struct tft_tiles *const k[2])
{
    static const size_t keys[] = {1, 3, 8, 15, 16, 17, 31, 100};
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        const size_t n = keys[i], start = i % 2 == 0 ? 0 : 3 * i % TFT_TILE;
        check_heads(k, 8, 4, 19, n, (const size_t[]){0, start}, 1.0f);
        check_heads(k, 2, 2, 16, n, (const size_t[]){start, 0}, 1.0f);
        check_heads(k, 3, 1, 1, n, (const size_t[]){start, start}, 1.0f);
        check_heads(k, 1, 5, 33, n, (const size_t[]){start, 1}, 1.0f);
        check_heads(k, 4, 8, 8, n, (const size_t[]){start, 8}, 1.0f);
        check_heads(k, 2, 16, 5, n, (const size_t[]){start, start}, 1.0f);
        /* too large to go without their maximum */
        check_heads(k, 4, 4, 19, n, (const size_t[]){start, start}, 40.0f);
    }
    for (size_t start = 0; start < TFT_TILE; start += 3) {
        check_neighbours(k[0], start);
        check_neighbours(k[1], start);
    }
}

#define PAIRS(name)                                                                                \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        (void)state;                                                                               \
        each_pair(check_##name);                                                                   \
    }

PAIRS(dense)
PAIRS(gate_and_grn)
PAIRS(flat)
PAIRS(turn)
PAIRS(curves)
PAIRS(lstm)
PAIRS(attention)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sets),         cmocka_unit_test(test_vector_functions),
        cmocka_unit_test(test_ends),         cmocka_unit_test(test_dense),
        cmocka_unit_test(test_gate_and_grn), cmocka_unit_test(test_flat),
        cmocka_unit_test(test_turn),         cmocka_unit_test(test_curves),
        cmocka_unit_test(test_lstm),         cmocka_unit_test(test_attention),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
