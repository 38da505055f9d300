/* Each fast kernel against its plain twin on odd sizes and tails; the accuracy of exp, sigmoid and
 * tanh that kernels/vecmath.h states, in both tables; that a row's bits do not depend on the other
 * rows. */
#include "support.h"

#include "base/rng.h"
#include "tft/kernels/kernels.h"
#include "tft/kernels/vecmath.h"

enum { ROOM = 1 << 16, GUARD = 16 };

static const size_t sizes[] = {1,  2,  3,  4,  5,  7,  8,  9,  15, 16,
                               17, 20, 31, 32, 33, 40, 63, 64, 65, 100};
static float a[ROOM], b[ROOM], c[ROOM], d[ROOM], e[ROOM], f[ROOM], g[ROOM];

static void fill(struct fw_rng *rng, float *x, size_t n, double size)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(size * fw_rng_normal(rng));
}

/* The result of the twin, from a buffer whose end is watched. */
static void guard(float *x, size_t n)
{
    for (size_t i = 0; i < n + GUARD; i++)
        x[i] = -77.0f;
}

static void check_twins(const char *name, const float *x, const float *y, size_t n,
                        double tolerance)
{
    check_floats(name, y, x, n, 1.0, tolerance);
    for (size_t i = n; i < n + GUARD; i++)
        CHECK_NEAR(name, y[i], -77.0, 0.0);
}

static const struct tft_kernels *fast_or_skip(void **state)
{
    const enum tft_set *set = *state;
    const struct tft_kernels *fast = tft_kernels_of(*set);
    if (fast == NULL)
        skip();
    return fast;
}

static void test_linear(void **state)
{
    const struct tft_kernels *plain = tft_kernels_of(TFT_SET_PLAIN), *fast = fast_or_skip(state);
    struct fw_rng rng;
    (void)state;
    fw_rng_init(&rng, 1);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        for (size_t o = 0; o < COUNT_OF(sizes); o++) {
            const size_t n = sizes[i], m = sizes[o], rows = 1 + (i * 7 + o) % 9, stride = n + i % 3;
            fill(&rng, a, rows * stride, 1.0);
            fill(&rng, b, n * m, 1.0 / sqrt((double)n));
            fill(&rng, c, m, 1.0);
            const float *bias = (i + o) % 4 == 0 ? NULL : c;
            guard(d, rows * m);
            guard(e, rows * m);
            plain->linear(rows, n, m, a, stride, b, bias, d);
            fast->linear(rows, n, m, a, stride, b, bias, e);
            check_twins("linear", d, e, rows * m, 1e-5);
            guard(f, m); /* the last row alone */
            fast->linear(1, n, m, a + (rows - 1) * stride, stride, b, bias, f);
            assert_memory_equal(f, e + (rows - 1) * m, m * sizeof *f);
        }
    }
}

static void test_rows(void **state)
{
    const struct tft_kernels *plain = tft_kernels_of(TFT_SET_PLAIN), *fast = fast_or_skip(state);
    struct fw_rng rng;
    (void)state;
    fw_rng_init(&rng, 2);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        const size_t n = sizes[i], rows = 1 + i % 5;
        fill(&rng, a, rows * 2 * n, 3.0);
        fill(&rng, b, rows * (n + 2), 1.0);
        fill(&rng, c, 2 * n, 1.0);
        guard(d, rows * n);
        guard(e, rows * n);
        plain->glu_add(rows, n, a, b, n + 2, d);
        fast->glu_add(rows, n, a, b, n + 2, e);
        check_twins("glu_add", d, e, rows * n, 3e-6);
        guard(d, rows * n);
        guard(e, rows * n);
        plain->layer_norm(rows, n, a, c, c + n, d);
        fast->layer_norm(rows, n, a, c, c + n, e);
        check_twins("layer_norm", d, e, rows * n, 2e-5);
        guard(d, rows * n);
        guard(e, rows * n);
        memcpy(d, a, rows * n * sizeof *d);
        memcpy(e, a, rows * n * sizeof *e);
        plain->softmax(rows, n, d);
        fast->softmax(rows, n, e);
        check_twins("softmax", d, e, rows * n, 1e-6);
        for (size_t r = 0; r < rows; r++) {
            double sum = 0.0;
            for (size_t j = 0; j < n; j++)
                sum += (double)d[r * n + j];
            CHECK_NEAR("softmax sums to one", sum, 1.0, 1e-6);
        }
        guard(d, rows * n);
        guard(e, rows * n);
        memcpy(d, a, rows * n * sizeof *d);
        memcpy(e, a, rows * n * sizeof *e);
        plain->elu(rows * n, d);
        fast->elu(rows * n, e);
        check_twins("elu", d, e, rows * n, 1e-6);
        guard(f, 1); /* an element's bits do not depend on its place */
        f[0] = a[rows * n - 1];
        fast->elu(1, f);
        assert_memory_equal(f, e + rows * n - 1, sizeof *f);
    }
}

static void test_lstm(void **state)
{
    const struct tft_kernels *plain = tft_kernels_of(TFT_SET_PLAIN), *fast = fast_or_skip(state);
    enum { STEPS = 9 };
    struct fw_rng rng;
    (void)state;
    fw_rng_init(&rng, 3);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        const size_t n = sizes[i];
        float state_h[2][128], state_c[2][128];
        fill(&rng, a, STEPS * 4 * n, 1.0);
        fill(&rng, b, 4 * n * n, 1.0 / sqrt((double)n));
        fill(&rng, state_h[0], n, 0.5);
        fill(&rng, state_c[0], n, 0.5);
        memcpy(state_h[1], state_h[0], sizeof state_h[0]);
        memcpy(state_c[1], state_c[0], sizeof state_c[0]);
        guard(c, STEPS * 4 * n);
        memcpy(c, a, STEPS * 4 * n * sizeof *c);
        guard(d, STEPS * n);
        guard(e, STEPS * n);
        guard(f, STEPS * n);
        guard(g, STEPS * n);
        plain->lstm(STEPS, n, a, b, state_h[0], state_c[0], d, e);
        fast->lstm(STEPS, n, c, b, state_h[1], state_c[1], f, g);
        check_twins("outputs", d, f, STEPS * n, 1e-5);
        check_twins("cells", e, g, STEPS * n, 1e-5);
        check_twins("gates", a, c, STEPS * 4 * n, 1e-5);
        check_floats("state", state_h[1], state_h[0], n, 1.0, 1e-5);
    }
}

static void test_attend(void **state)
{
    const struct tft_kernels *plain = tft_kernels_of(TFT_SET_PLAIN), *fast = fast_or_skip(state);
    struct fw_rng rng;
    (void)state;
    fw_rng_init(&rng, 4);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        for (size_t heads = 1; heads <= 5; heads += 2) {
            const size_t keys = sizes[i], size = 1 + i % 6, stride = keys + 3;
            fill(&rng, a, heads * size, 1.0);
            fill(&rng, b, heads * size * stride, 1.0);
            guard(c, heads * stride);
            guard(d, heads * stride);
            guard(e, keys);
            guard(f, keys);
            plain->attend(heads, size, keys, a, b, stride, 0.5f, c, stride, e);
            fast->attend(heads, size, keys, a, b, stride, 0.5f, d, stride, f);
            check_twins("mean", e, f, keys, 1e-6);
            check_twins("weights", c, d, heads * stride,
                        1e-6); /* what lies between the rows stays */
        }
    }
}

/* Distance in units of the last place of the correctly rounded result. */
static double ulps(float got, double want)
{
    const float rounded = (float)want;
    const double step = (double)nextafterf(fabsf(rounded), INFINITY) - fabs((double)rounded);
    return fabs((double)got - want) / step;
}

/* Every 97th float of the range, both signs. */
static void scan(const char *name, float high, double limit, float (*got)(float),
                 double (*want)(double))
{
    double worst = 0.0;
    uint32_t end;
    memcpy(&end, &high, sizeof end);
    for (uint32_t bits = 0x00800000u; bits <= end; bits += 97) {
        for (uint32_t sign = 0; sign < 2; sign++) {
            const uint32_t pattern = bits | sign << 31;
            float x;
            memcpy(&x, &pattern, sizeof x);
            const double off = ulps(got(x), want((double)x));
            worst = off > worst ? off : worst;
        }
    }
    print_message("  %s: %.2f ulp\n", name, worst);
    CHECK_TRUE(name, worst <= limit);
}

/* Of the positive numbers only. */
static float log_of_size(float x)
{
    return tft_log(fabsf(x));
}

static double exact_log_of_size(double x)
{
    return log(fabs(x));
}

static double sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

static void test_accuracy(void **state)
{
    (void)state;
    scan("exp", 86.0f, 2.0, tft_exp, exp);
    scan("expm1", 86.0f, 3.0, tft_expm1, expm1);
    scan("log", 3e38f, 2.0, log_of_size, exact_log_of_size);
    scan("sigmoid", 86.0f, 3.0, tft_sigmoid, sigmoid);
    scan("tanh", 86.0f, 4.0, tft_tanh, tanh);
}

static void test_ends(void **state)
{
    static const struct {
        const char *name;
        float x, elu, sigmoid;
    } rows[] = {
        {"zero",           0.0f,      0.0f,     0.5f},
        {"far below",      -1000.0f,  -1.0f,    0.0f},
        {"far above",      1000.0f,   1000.0f,  1.0f},
        {"minus infinity", -INFINITY, -1.0f,    0.0f},
        {"infinity",       INFINITY,  INFINITY, 1.0f},
        {"NaN",            NAN,       NAN,      NAN },
    };
    (void)state;
    for (int set = 0; set < TFT_SETS; set++) {
        const struct tft_kernels *k = tft_kernels_of((enum tft_set)set);
        if (k == NULL)
            continue;
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            const float gates[2] = {1.0f, rows[i].x}, zero = 0.0f;
            float x = rows[i].x, y = -7.0f;
            k->elu(1, &x);
            k->glu_add(1, 1, gates, &zero, 1, &y);
            CHECK_TRUE(rows[i].name, isnan(rows[i].elu) ? isnan(x) : x == rows[i].elu);
            CHECK_TRUE(rows[i].name,
                       isnan(rows[i].sigmoid) ? isnan(y) : fabsf(y - rows[i].sigmoid) < 1e-30f);
        }
    }
}

#define TWIN(test, set)                                                                            \
    {                                                                                              \
#test ", " #set, test, NULL, NULL, (void *)&set                                            \
    }
#define TWINS(test) TWIN(test, avx2), TWIN(test, avx512)

int main(void)
{
    static enum tft_set avx2 = TFT_SET_AVX2, avx512 = TFT_SET_AVX512;
    const struct CMUnitTest tests[] = {
        TWINS(test_linear),
        TWINS(test_rows),
        TWINS(test_lstm),
        TWINS(test_attend),
        cmocka_unit_test(test_accuracy),
        cmocka_unit_test(test_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
