/* The kernels of compiled models: what the vector functions promise, and the two instruction sets
 * against each other on odd sizes and tails. */
#include "base/rng.h"
#include "support.h"
#include "tft/kernels/lanes.h"
#include "tft/kernels/tiles.h"

#include <math.h>

enum { FLOATS = 1 << 16 };

/* ---- functions ---- */

static double lane_error(fv got, double exact, bool relative)
{
    return fabs((double)got[0] - exact) / (relative ? exact : 1.0);
}

/* Every 500th float of the range (a prime step, so that all low bits occur). */
static void test_vector_functions(void **state)
{
    double exp2_worst = 0.0, short_worst = 0.0, sigmoid_worst = 0.0, elu_worst = 0.0;
    double softplus_worst = 0.0;
    (void)state;
    for (uint32_t bits = 0x30000000u; bits < 0x42f80000u; bits += 499) { /* 5e-10 to 124 */
        float x;
        memcpy(&x, &bits, sizeof x);
        for (int sign = -1; sign <= 1; sign += 2) {
            const fv v = fv_all((float)sign * x);
            const double exact = exp2((double)v[0]), e = exp(-(double)v[0]);
            exp2_worst = fmax(exp2_worst, lane_error(fv_exp2(v), exact, true));
            short_worst = fmax(short_worst, lane_error(fv_exp2_short(v), exact, true));
            sigmoid_worst = fmax(sigmoid_worst, lane_error(fv_sigmoid(v), 1.0 / (1.0 + e), false));
            if (v[0] > -80.0f)
                softplus_worst =
                    fmax(softplus_worst,
                         lane_error(fv_softplus(v),
                                    v[0] > 40.0f ? (double)v[0] : log1p(exp((double)v[0])), true));
            if (v[0] < 0.0f)
                elu_worst = fmax(elu_worst, lane_error(fv_elu(v), expm1((double)v[0]), false));
        }
    }
    print_message(
        "  exp2 %.2e (%.1f of 2^-24), short exp2 %.2e, sigmoid %.2e, elu %.2e, softplus %.2e\n",
        exp2_worst, exp2_worst * 0x1p24, short_worst, sigmoid_worst, elu_worst, softplus_worst);
    CHECK_NEAR("exp2: relative", exp2_worst, 0.0, 3e-7);
    CHECK_NEAR("short exp2: relative", short_worst, 0.0, 6e-6);
    CHECK_NEAR("sigmoid: absolute", sigmoid_worst, 0.0, 3e-7);
    CHECK_NEAR("softplus: relative", softplus_worst, 0.0, 5e-6);
    CHECK_NEAR("elu: absolute", elu_worst, 0.0, 3e-7);
}

static void test_not_a_number(void **state)
{
    static const uint32_t payloads[] = {0x7fc00000u, 0x7fc001ffu, 0xffc00001u, 0x7fffffffu};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(payloads); i++) {
        float nan;
        memcpy(&nan, &payloads[i], sizeof nan);
        const fv v = fv_all(nan);
        CHECK_TRUE("exp", isnan(fv_exp_cut(v, 1.0f, 120.0f)[0]));
        CHECK_TRUE("sigmoid", isnan(fv_sigmoid(v)[0]));
        CHECK_TRUE("elu", isnan(fv_elu(v)[0]));
    }
}

/* ---- twins ---- */

static float in[FLOATS], more[FLOATS], weights[FLOATS], bias[FLOATS];
static float one[FLOATS], two[FLOATS], work[FLOATS];

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

static void test_dense(void **state)
{
    const struct tft_tiles *k[] = {tft_tiles_plain(), tft_tiles_best()};
    (void)state;
    for (size_t n_out = 1; n_out <= 27; n_out++) {
        const size_t n_in = 1 + n_out * 7 % 23;
        const struct tft_dense d = {n_in, n_out, weights, bias};
        char name[40];
        (void)snprintf(name, sizeof name, "dense %zu -> %zu", n_in, n_out);
        fill(n_out);
        k[0]->dense(&d, 2, in, one);
        k[1]->dense(&d, 2, in, two);
        check_twins(name, 2 * n_out * TFT_TILE, 1e-5);
        /* Against the sum as it is written down, for one output in the last panel. */
        const size_t o = n_out - 1, p = tft_panels(n_out) - 1, rows = tft_panel_size(n_out, p);
        const float *w = weights + (n_out - rows) * n_in + rows - 1;
        double want = (double)bias[o];
        for (size_t i = 0; i < n_in; i++)
            want += (double)w[i * rows] * (double)in[i * TFT_TILE + 3];
        CHECK_NEAR(name, one[o * TFT_TILE + 3], want, 1e-5);
    }
}

static void test_gate_and_grn(void **state)
{
    const struct tft_tiles *k[] = {tft_tiles_plain(), tft_tiles_best()};
    (void)state;
    for (size_t n = 1; n <= 33; n += 4) {
        const struct tft_dense square = {n, n, weights, bias};
        const struct tft_dense_gate gate = {
            {n, 2 * n, weights + 2000, bias + 100},
            {n, more,      more + 500               }
        };
        const struct tft_dense_grn grn = {square, square, gate};
        fill(n);
        k[0]->gate(&gate, 2, in, more, work, one);
        k[1]->gate(&gate, 2, in, more, work, two);
        check_twins("gate", 2 * n * TFT_TILE, 2e-4);
        fill(n + 1);
        k[0]->grn(&grn, bias + 7, 2, in, work, one);
        k[1]->grn(&grn, bias + 7, 2, in, work, two);
        check_twins("residual network", 2 * n * TFT_TILE, 2e-4);
    }
}

static void test_flat(void **state)
{
    const struct tft_tiles *k[] = {tft_tiles_plain(), tft_tiles_best()};
    static float preset[2][FLOATS];
    (void)state;
    for (size_t n = 2; n <= 22; n += 5) {
        const size_t hidden = n < 9 ? n : 9, reals = n - 1;
        const struct tft_dense_flat f = {
            n,
            hidden,
            {reals,  hidden + n, weights, bias},
            n % 2 == 0,
            {n,  more,            more + 100},
            {hidden, hidden,weights + 3000, bias},
            {{hidden, 2 * n, weights + 5000, bias}, {n, more, more}    }
        };
        fill(n);
        memcpy(preset[0], bias, sizeof bias);
        memcpy(preset[1], bias, sizeof bias);
        k[0]->flat(&f, in, preset[0], work, one);
        k[1]->flat(&f, in, preset[1], work, two);
        check_twins("weights of variables", n * TFT_TILE, 1e-4);
        for (size_t t = 0; t < TFT_TILE; t++) {
            double sum = 0.0;
            for (size_t j = 0; j < n; j++)
                sum += (double)one[j * TFT_TILE + t];
            CHECK_NEAR("they add up", sum, 1.0, 1e-5);
        }
    }
}

static void test_curves(void **state)
{
    const struct tft_tiles *k[] = {tft_tiles_plain(), tft_tiles_best()};
    int32_t at[8 * TFT_TILE];
    float shares[8 * 4 * TFT_TILE];
    (void)state;
    for (size_t width = 8; width <= 72; width += 16) {
        /* Values and slopes of x^2, which a cubic meets exactly: nodes at -2, -1, ... 2. */
        struct tft_curve curve[3];
        for (size_t v = 0; v < COUNT_OF(curve); v++) {
            float *nodes = work + v * 5 * 2 * width;
            for (int node = 0; node < 5; node++) {
                for (size_t j = 0; j < width; j++) {
                    const float x = (float)(node - 2);
                    nodes[(size_t)node * 2 * width + j] = x * x + (float)v;
                    nodes[(size_t)node * 2 * width + width + j] = 2.0f * x;
                }
            }
            curve[v] = (struct tft_curve){-2.0f, 2.0f, 1.0f, 4, nodes};
        }
        fill(width);
        memset(one, 0, 13 * width * sizeof *one);
        memset(two, 0, 13 * width * sizeof *two);
        in[0] = 2.0f; /* the edge belongs to the table */
        in[TFT_TILE] = -2.0f;
        in[2 * TFT_TILE + 3] = 2.5f;
        in[TFT_TILE + 5] = NAN;
        CHECK_TRUE("outside", k[0]->curves(3, curve, width, 13, in, more, at, shares, one));
        CHECK_TRUE("outside", k[1]->curves(3, curve, width, 13, in, more, at, shares, two));
        check_twins("curves", 13 * width, 1e-5);
        for (size_t t = 0; t < 13; t++) {
            double want = 0.0;
            for (size_t v = 0; v < 3; v++) {
                const double x = (double)in[v * TFT_TILE + t];
                if (fabs(x) <= 2.0)
                    want += (double)more[v * TFT_TILE + t] * (x * x + (double)v);
            }
            CHECK_NEAR("sum of curves", one[t * width + width - 1], want, 2e-5);
        }
        /* The number outside lies in a step that is not computed. */
        in[0] = in[2 * TFT_TILE + 3] = in[TFT_TILE + 5] = 0.5f;
        for (size_t i = 0; i < 3 * TFT_TILE; i++)
            in[i] = i % TFT_TILE == 15 ? 1e9f : 0.5f;
        CHECK_TRUE("inside", !k[0]->curves(3, curve, width, 13, in, more, at, shares, one));
        CHECK_TRUE("inside", !k[1]->curves(3, curve, width, 13, in, more, at, shares, two));
    }
}

static void run_lstm(const struct tft_tiles *k, const struct tft_recurrence *r, size_t series,
                     size_t steps, float *y)
{
    static float state[TFT_TOGETHER][2][64];
    struct tft_sequence s[TFT_TOGETHER];
    for (size_t i = 0; i < series; i++) {
        for (size_t j = 0; j < r->width; j++) {
            state[i][0][j] = j < r->n ? more[i * 100 + j] : 0.0f;
            state[i][1][j] = j < r->n ? more[i * 100 + 50 + j] : 0.0f;
        }
        s[i] = (struct tft_sequence){in + i * steps * r->width, y + i * steps * r->width,
                                     state[i][0], state[i][1]};
    }
    k->lstm(r, series, steps, s);
    CHECK_EQ("last output", memcmp(state[0][0], y + (steps - 1) * r->width, r->n * sizeof *y), 0);
}

static double logistic(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

/* One unit of the first step of the first series, as the equations say. */
static double first_output(const struct tft_recurrence *r, size_t unit)
{
    double z[4];
    for (size_t k = 0; k < 4; k++) {
        const size_t group = unit / TFT_UNITS, lane = unit % TFT_UNITS;
        z[k] = (double)r->b[(group * 4 + k) * TFT_UNITS + lane];
        for (size_t i = 0; i < 2 * r->n; i++) {
            const double x = (double)(i < r->n ? in[i] : more[i - r->n]);
            z[k] += x * (double)r->w[((group * 2 * r->n + i) * 4 + k) * TFT_UNITS + lane];
        }
    }
    const double c = logistic(z[1]) * (double)more[50 + unit] + logistic(z[0]) * tanh(z[2]);
    return logistic(z[3]) * tanh(c);
}

static void test_lstm(void **state)
{
    const struct tft_tiles *k[] = {tft_tiles_plain(), tft_tiles_best()};
    static float alone[FLOATS];
    (void)state;
    for (size_t n = 1; n <= 40; n += 13) {
        const size_t width = (n + 7) / 8 * 8, steps = 9;
        const struct tft_recurrence r = {n, width, weights, bias};
        for (size_t series = 1; series <= TFT_TOGETHER; series++) {
            fill(n + series);
            run_lstm(k[0], &r, series, steps, one);
            run_lstm(k[1], &r, series, steps, two);
            for (size_t t = 0; t < series * steps;
                 t++) /* units beyond n: whatever the biases say */
                for (size_t j = n; j < width; j++)
                    one[t * width + j] = two[t * width + j] = 0.0f;
            check_twins("lstm", series * steps * width, 1e-5);
            CHECK_NEAR("lstm: first step", one[n - 1], first_output(&r, n - 1), 1e-5);
            run_lstm(k[1], &r, 1, steps, alone);
            for (size_t t = 0; t < steps; t++)
                CHECK_EQ("alone: the same bits",
                         memcmp(alone + t * width, two + t * width, n * sizeof *two), 0);
        }
    }
}

/* The plain formula, one head after the other. */
static double attended(size_t heads, size_t size, size_t n_keys, size_t query, size_t component,
                       const float *const k[2], const float *const v[2])
{
    const size_t wide = heads * size * TFT_TILE;
    double mean = 0.0;
    for (size_t a = 0; a < heads; a++) {
        double sum = 0.0, value = 0.0;
        for (size_t t = 0; t < n_keys + query; t++) {
            const size_t side = t >= n_keys, at = side ? t - n_keys : t;
            const size_t tile = at / TFT_TILE, lane = at % TFT_TILE;
            double s = 0.0;
            for (size_t c = 0; c < size; c++)
                s +=
                    (double)
                        in[query / TFT_TILE * wide + (a * size + c) * TFT_TILE + query % TFT_TILE] *
                    (double)k[side][tile * wide + (a * size + c) * TFT_TILE + lane];
            sum += exp2(s);
            value +=
                exp2(s) * (double)v[side][tile * size * TFT_TILE + component * TFT_TILE + lane];
        }
        mean += value / sum / (double)heads;
    }
    return mean;
}

static void check_attention(size_t heads, size_t size, size_t n_keys, size_t queries, float factor)
{
    const struct tft_tiles *t[] = {tft_tiles_plain(), tft_tiles_best()};
    const float *const k[2] = {more, more + 20000}, *const v[2] = {weights, weights + 20000};
    const size_t tiles = (queries + TFT_TILE - 1) / TFT_TILE;
    char name[80];
    (void)snprintf(name, sizeof name, "%zu heads of %zu, %zu keys, %zu queries, times %g", heads,
                   size, n_keys, queries, (double)factor);
    fill(heads + n_keys);
    for (size_t i = 0; i < FLOATS; i++)
        in[i] *= factor;
    t[0]->attend(heads, size, queries, n_keys, in, k, v, work, one);
    t[1]->attend(heads, size, queries, n_keys, in, k, v, work, two);
    for (size_t q = 0; q < queries; q++) {
        for (size_t c = 0; c < size; c++) {
            const size_t at = (q / TFT_TILE * size + c) * TFT_TILE + q % TFT_TILE;
            const double want = attended(heads, size, n_keys, q, c, k, v);
            CHECK_NEAR(name, one[at], want, 1e-5);
            CHECK_NEAR(name, two[at], want, 1e-5);
        }
    }
    CHECK_EQ(name, two[tiles * size * TFT_TILE] == -7.0f, 1);
}

static void test_attention(void **state)
{
    static const size_t keys[] = {1, 3, 8, 15, 16, 17, 31, 100};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        check_attention(8, 4, keys[i], 19, 1.0f);
        check_attention(2, 2, keys[i], 16, 1.0f);
        check_attention(3, 1, keys[i], 1, 1.0f);
        check_attention(1, 5, keys[i], 33, 1.0f);
        check_attention(2, 16, keys[i], 5, 1.0f);
        check_attention(4, 4, keys[i], 19, 40.0f); /* too large to go without their maximum */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vector_functions),
        cmocka_unit_test(test_not_a_number),
        cmocka_unit_test(test_dense),
        cmocka_unit_test(test_gate_and_grn),
        cmocka_unit_test(test_flat),
        cmocka_unit_test(test_curves),
        cmocka_unit_test(test_lstm),
        cmocka_unit_test(test_attention),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
