/* Rows: what each kernel computes, against its definition a number at a time, and every instruction
 * set against plain C, bit by bit, for lengths with and without a tail. */
#include "base/half.h"
#include "base/rng.h"
#include "forecast/kernels/rows.h"
#include "support.h"

#include <stdlib.h>

enum { ROUNDS = 60, MOST = 100, VOICES = 11, SETS_MAX = 3 };

static struct fw_rng rng;

/* A normal number, now and then NaN, or one that was there before. */
static void make(float *x, size_t n, unsigned missing_percent)
{
    for (size_t i = 0; i < n; i++) {
        const uint64_t kind = fw_rng_below(&rng, 100);
        x[i] = (float)(3.0 * fw_rng_normal(&rng));
        if (kind < missing_percent)
            x[i] = NAN;
        else if (kind < missing_percent + 10 && i > 0)
            x[i] = x[i - 1];
    }
}

static size_t any_length(void)
{
    return 1 + (size_t)fw_rng_below(&rng, MOST);
}

static void same(const char *name, const struct row_kernels *set, const float *a, const float *b,
                 size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!(a[i] == b[i] || (isnan(a[i]) && isnan(b[i]))))
            fail_msg("%s, %s: %zu of %zu is %.9g, plain says %.9g", name, set->name, i, n,
                     (double)a[i], (double)b[i]);
}

static void same_double(const char *name, const struct row_kernels *set, const double *a,
                        const double *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!(a[i] == b[i] || (isnan(a[i]) && isnan(b[i]))))
            fail_msg("%s, %s: %zu of %zu is %.17g, plain says %.17g", name, set->name, i, n, a[i],
                     b[i]);
}

/* Those of this processor. */
static size_t sets(const struct row_kernels *out[SETS_MAX])
{
    size_t n = 0;
    out[n++] = row_kernels_plain();
    if (row_kernels_avx2() != NULL)
        out[n++] = row_kernels_avx2();
    if (row_kernels_avx512() != NULL)
        out[n++] = row_kernels_avx512();
    return n;
}

/* Calls the check for every set, with the same random numbers. */
static void each_set(void (*check)(const struct row_kernels *set, const struct row_kernels *plain))
{
    const struct row_kernels *set[SETS_MAX];
    const size_t n = sets(set);
    for (size_t i = 0; i < n; i++) {
        fw_rng_init(&rng, 1);
        for (int round = 0; round < ROUNDS; round++)
            check(set[i], row_kernels_plain());
    }
}

/* ---- the map ---- */

static void check_map(const struct row_kernels *set, const struct row_kernels *plain)
{
    static const struct row_scale scales[] = {
        {0.0f,   0.4f, 1.0f,  9.0f},
        {100.0f, 3.0f, -1.0f, 7.0f}
    };
    for (size_t s = 0; s < 2; s++) {
        float x[MOST], a[MOST], b[MOST], there[MOST];
        const size_t n = any_length();
        make(x, n, 5);
        for (size_t i = 0; i < n; i++)
            x[i] = scales[s].bound + scales[s].sign * fabsf(x[i] * x[i]);
        x[0] = scales[s].bound;
        set->to(scales[s], n, x, a);
        plain->to(scales[s], n, x, b);
        same("to", set, a, b, n);
        for (size_t i = 0; i < n; i++) {
            const double off =
                fabs((double)x[i] - (double)scales[s].bound) + (double)scales[s].shift;
            if (!isnan(x[i]))
                CHECK_NEAR("logarithm", a[i], (double)scales[s].sign * log(off), 1e-5);
        }
        set->back(scales[s], n, b, a);
        plain->back(scales[s], n, b, there);
        same("back", set, a, there, n);
        for (size_t i = 0; i < n; i++)
            if (!isnan(x[i]))
                CHECK_NEAR("there and back", a[i], x[i], 1e-5 * (1.0 + fabs((double)x[i])));
        CHECK_TRUE("the bound itself", a[0] == scales[s].bound);
    }
}

static void check_exp(const struct row_kernels *set, const struct row_kernels *plain)
{
    float x[MOST], a[MOST], b[MOST];
    const size_t n = any_length();
    for (size_t i = 0; i < n; i++)
        x[i] = -(float)fw_rng_below(&rng, 120000) / 1000.0f;
    set->exp(n, x, a);
    plain->exp(n, x, b);
    same("exp", set, a, b, n);
    for (size_t i = 0; i < n; i++) {
        if (x[i] > -87.0f)
            CHECK_NEAR("exp", (double)a[i] / exp((double)x[i]), 1.0, 3e-7);
        else
            CHECK_TRUE("hardly anything",
                       x[i] < -103.0f ? a[i] == 0.0f : a[i] > 0.0f && a[i] < 2e-38f);
    }
}

static void the_map(void **state)
{
    (void)state;
    each_set(check_map);
    each_set(check_exp);
}

/* ---- a window ---- */

static void check_window(const struct row_kernels *set, const struct row_kernels *plain)
{
    float x[MOST], low[2], high[2];
    double a[MOST + 1] = {1.0}, b[MOST + 1] = {1.0}, sum = 1.0, off = 0.0, change = 0.0;
    const size_t n = any_length();
    size_t lows = 0;
    make(x, n, 20);
    CHECK_EQ("missing", set->missing(n, x), plain->missing(n, x));
    make(x, n, 0);
    CHECK_EQ("none missing", set->missing(n, x), 0);
    set->running_sums(n, x, a);
    plain->running_sums(n, x, b);
    same_double("running sums", set, a, b, n + 1);
    set->extremes(n, x, &low[0], &high[0]);
    plain->extremes(n, x, &low[1], &high[1]);
    same("least", set, &low[0], &low[1], 1);
    same("greatest", set, &high[0], &high[1], 1);
    for (size_t i = 0; i < n; i++) {
        CHECK_TRUE("between the extremes", x[i] >= low[0] && x[i] <= high[0]);
        CHECK_NEAR("so far", a[i], sum, 1e-12 * (1.0 + (double)i));
        sum += (double)x[i];
        off += fabs((double)x[i] - 0.7);
        change += i > 0 ? fabs((double)x[i] - (double)x[i - 1]) : 0.0;
        lows += x[i] == low[0];
    }
    CHECK_EQ("how many are the least", set->least(n, x), lows);
    CHECK_NEAR("distance", set->distance(n, x, 0.7), off, 1e-11);
    CHECK_NEAR("change", set->change(n, x), change, 1e-11);
    a[0] = set->distance(n, x, 0.7);
    b[0] = plain->distance(n, x, 0.7);
    a[1] = set->change(n, x);
    b[1] = plain->change(n, x);
    same_double("sums", set, a, b, 2);
}

static void check_slope(const struct row_kernels *set, const struct row_kernels *plain)
{
    float x[MOST];
    double a = 0.0, b = 0.0, mean = 0.0, product = 0.0, spread = 0.0, largest = 0.0;
    const size_t n = 2 + (size_t)fw_rng_below(&rng, MOST - 2);
    make(x, n, 0);
    for (size_t i = 0; i < n; i++) {
        mean += (double)x[i] / (double)n;
        if (i > 0)
            largest = fmax(largest, fabs((double)x[i] - (double)x[i - 1]));
    }
    for (size_t i = 0; i < n; i++) {
        const double at = (double)i - 0.5 * ((double)n - 1.0);
        product += at * ((double)x[i] - mean);
        spread += at * at;
    }
    assert_true(set->slope(n, x, largest, &a) && plain->slope(n, x, largest, &b));
    same_double("slope", set, &a, &b, 1);
    CHECK_NEAR("least squares", a, product / spread, 1e-11);
    assert_false(set->slope(n, x, 0.99 * largest, &a));
    const struct row_moments some = set->moments(n, x, 0.5), those = plain->moments(n, x, 0.5);
    same_double("moments", set, &some.y, &those.y, 3);
    double y = 0.0, xy = 0.0, yy = 0.0;
    for (size_t i = 0; i < n; i++) {
        const double value = (double)x[i] - 0.5;
        y += value;
        xy += (double)i * value;
        yy += value * value;
    }
    CHECK_NEAR("sum", some.y, y, 1e-10);
    CHECK_NEAR("products", some.xy, xy, 1e-8);
    CHECK_NEAR("squares", some.yy, yy, 1e-10);
}

static void check_means(const struct row_kernels *set, const struct row_kernels *plain)
{
    enum { WIDE = 13 };
    double sum[MOST + 1] = {0.0}, total[2][MOST] = {{0.0}}, count[2][MOST] = {{0.0}};
    int32_t seen[MOST + 1] = {0};
    float x[MOST], out[2][MOST];
    const size_t n = MOST - WIDE;
    make(x, MOST, fw_rng_below(&rng, 2) == 0 ? 0 : 60);
    for (size_t i = 0; i < MOST; i++) {
        seen[i + 1] = seen[i] + !isnan(x[i]);
        sum[i + 1] = sum[i] + (isnan(x[i]) ? 0.0 : (double)x[i]);
    }
    for (int day = 0; day < 2; day++) {
        set->add_means(n, WIDE, sum, seen, total[0], count[0]);
        plain->add_means(n, WIDE, sum, seen, total[1], count[1]);
    }
    same_double("totals", set, total[0], total[1], n);
    same_double("counts", set, count[0], count[1], n);
    set->quotients(n, total[0], count[0], out[0]);
    plain->quotients(n, total[1], count[1], out[1]);
    same("means", set, out[0], out[1], n);
    for (size_t i = 0; i < n; i++) {
        double mean = 0.0, values = 0.0;
        for (size_t k = i; k < i + WIDE; k++) {
            mean += isnan(x[k]) ? 0.0 : (double)x[k];
            values += !isnan(x[k]);
        }
        CHECK_TRUE("nothing there", (values == 0.0) == isnan(out[0][i]));
        if (values > 0.0)
            CHECK_NEAR("mean", out[0][i], mean / values, 1e-6);
    }
}

static void check_rows(const struct row_kernels *set, const struct row_kernels *plain)
{
    static float a[3 * MOST], b[3 * MOST], path[3 * MOST];
    const size_t n = any_length();
    set->ramp_line(n, 3.0, -0.37, a);
    plain->ramp_line(n, 3.0, -0.37, b);
    same("line", set, a, b, n);
    set->shift(n, 2.0f, a);
    for (size_t i = 0; i < n; i++)
        CHECK_NEAR("line", a[i], 5.0 - 0.37 * (double)i, 1e-5);
    set->fill(n, 1.5f, a);
    CHECK_TRUE("filled", a[0] == 1.5f && a[n - 1] == 1.5f);
    make(path, 3 * n, 0);
    set->widths(n, path, 0.5f, a, a + n);
    for (size_t i = 0; i < n; i++) {
        CHECK_TRUE("below", a[i] == fmaxf(path[n + i] - path[i], 0.5f));
        CHECK_TRUE("above", a[n + i] == fmaxf(path[2 * n + i] - path[n + i], 0.5f));
    }
}

static void a_window(void **state)
{
    (void)state;
    int32_t numbers[MOST];
    each_set(check_rows);
    row_kernels_best()->number(MOST, 7, numbers);
    for (int i = 0; i < MOST; i++)
        CHECK_EQ("numbers", numbers[i], 7 + i);
    each_set(check_window);
    each_set(check_slope);
    each_set(check_means);
}

/* ---- medians and lines ---- */

/* Sorted, each at the middle of its weight, a line between the two that half lies between. */
static float median_by_hand(size_t n, const float *value, const float *weight)
{
    double v[VOICES], w[VOICES], half = 0.0, at = 0.0;
    size_t count = 0;
    for (size_t e = 0; e < n; e++) {
        if (isnan(value[e]) || weight[e] <= 0.0f)
            continue;
        size_t i = count++;
        for (; i > 0 && v[i - 1] > (double)value[e]; i--) {
            v[i] = v[i - 1];
            w[i] = w[i - 1];
        }
        v[i] = (double)value[e];
        w[i] = (double)weight[e];
        half += 0.5 * w[i];
    }
    if (count == 0)
        return NAN;
    at = 0.5 * w[0];
    if (half <= at)
        return (float)v[0];
    for (size_t i = 1; i < count; i++) {
        const double next = at + 0.5 * (w[i - 1] + w[i]);
        if (half <= next)
            return (float)(v[i - 1] + (v[i] - v[i - 1]) * (half - at) / (next - at));
        at = next;
    }
    return (float)v[count - 1];
}

static void check_medians(const struct row_kernels *set, const struct row_kernels *plain)
{
    static float value[VOICES * MOST], weight[VOICES * MOST];
    float a[MOST], b[MOST];
    const size_t n = any_length(), voices = 1 + (size_t)fw_rng_below(&rng, VOICES);
    make(value, voices * n, 10);
    for (size_t i = 0; i < voices * n; i++)
        weight[i] = fw_rng_below(&rng, 8) == 0 ? 0.0f : (float)(1 + fw_rng_below(&rng, 20)) / 7.0f;
    set->medians(voices, n, value, weight, a);
    plain->medians(voices, n, value, weight, b);
    same("medians", set, a, b, n);
    for (size_t i = 0; i < n; i++) {
        float v[VOICES], w[VOICES];
        for (size_t e = 0; e < voices; e++) {
            v[e] = value[e * n + i];
            w[e] = weight[e * n + i];
        }
        const float median = median_by_hand(voices, v, w);
        CHECK_TRUE("silence", isnan(median) == isnan(a[i]));
        if (!isnan(median))
            CHECK_NEAR("median", a[i], median, 2e-5);
    }
}

static void check_lines(const struct row_kernels *set, const struct row_kernels *plain)
{
    enum { LINES = 3 };
    const struct row_pieces pieces = {
        {0,        3,           8.5f,         20,    40, INFINITY, INFINITY, INFINITY},
        {1.0f / 3, 1.0f / 5.5f, 1.0f / 11.5f, 0.05f, 0,  0,        0,        0       }
    };
    static const float ends[] = {0.0f, 3.0f, 8.5f, 20.0f, 40.0f, 1e9f};
    struct row_line line[LINES];
    static float a[LINES * MOST], b[LINES * MOST];
    const size_t n = any_length();
    make(line[0].value, LINES * (ROW_PIECES + 1), 0);
    set->lines(&pieces, LINES, line, n, a);
    plain->lines(&pieces, LINES, line, n, b);
    same("lines", set, a, b, LINES * n);
    for (size_t k = 0; k < LINES; k++)
        for (size_t i = 0; i < n; i++) {
            size_t p = 0;
            while ((float)(int)i >= ends[p + 1])
                p++;
            const double first = (double)line[k].value[p], next = (double)line[k].value[p + 1];
            const double part = ((double)i - (double)ends[p]) * (double)pieces.per_step[p];
            CHECK_NEAR("between the ends", a[k * n + i], first + part * (next - first), 1e-5);
        }
}

static void medians_and_lines(void **state)
{
    (void)state;
    each_set(check_medians);
    each_set(check_lines);
}

/* ---- what experts say ---- */

static void check_saying(const struct row_kernels *set, const struct row_kernels *plain)
{
    enum { FEATURES = 3 };
    static float x[6 + 2 * FEATURES][MOST], out[2][3][MOST];
    const size_t n = any_length();
    static float off[3 * MOST], feature[FEATURES * MOST], coefficient[FEATURES * MOST];
    for (size_t i = 0; i < 3; i++)
        make(x[i], n, 3);
    make(off, 3 * n, 0);
    make(feature, FEATURES * n, 0);
    make(coefficient, FEATURES * n, 0);
    const struct row_saying saying = {n, x[0], x[1], x[2], off, FEATURES, feature, coefficient};
    for (size_t s = 0; s < 2; s++) {
        float *const said[3] = {out[s][0], out[s][1], out[s][2]};
        (s == 0 ? set : plain)->say(&saying, said);
    }
    for (size_t q = 0; q < 3; q++)
        same("said", set, out[0][q], out[1][q], n);
    for (size_t i = 0; i < n; i++) {
        double point = (double)x[0][i] + (double)x[2][i] * (double)x[1][i] + (double)off[n + i];
        for (size_t f = 0; f < FEATURES; f++)
            point += (double)feature[f * n + i] * (double)coefficient[f * n + i];
        if (!isnan(point))
            CHECK_NEAR("said", out[0][1][i], point, 1e-4);
    }
}

static void check_book(const struct row_kernels *set, const struct row_kernels *plain)
{
    static float sums[2][4][MOST], row[24], part[MOST], out[2][MOST];
    static uint16_t half[MOST];
    static int32_t at[MOST];
    const size_t n = any_length(), rows = 8 + (size_t)fw_rng_below(&rng, 17);
    memset(sums, 0, sizeof sums);
    for (int day = 0; day < 3; day++) {
        for (size_t i = 0; i < n; i++)
            half[i] =
                fw_rng_below(&rng, 5) == 0 ? FW_HALF_NAN : fw_half_from((float)fw_rng_normal(&rng));
        for (size_t s = 0; s < 2; s++) {
            const struct row_days days = {sums[s][0], sums[s][1], sums[s][2], sums[s][3]};
            (s == 0 ? set : plain)->add_day(n, half, 10.0f, 2.0f, 0.5f, &days);
        }
    }
    for (size_t k = 0; k < 4; k++)
        same("days", set, sums[0][k], sums[1][k], n);
    for (size_t i = 0; i < n; i++) {
        CHECK_NEAR("weighted", sums[0][2][i], 0.5 * (double)sums[0][0][i], 1e-4);
        CHECK_NEAR("weights", sums[0][3][i], 0.5 * (double)sums[0][1][i], 0.0);
        at[i] = (int32_t)(i * (rows - 1) / MOST);
        part[i] = (float)fw_rng_uniform(&rng);
    }
    set->halves(n, half, 10.0f, 2.0f, out[0]);
    plain->halves(n, half, 10.0f, 2.0f, out[1]);
    same("halves", set, out[0], out[1], n);
    for (size_t i = 0; i < n; i++) {
        const float value = half[i] == FW_HALF_NAN ? NAN : 10.0f + 2.0f * fw_half_to(half[i]);
        same("half", set, &out[0][i], &value, 1);
    }
    make(row, rows, 20);
    set->between(n, at, part, row, out[0]);
    plain->between(n, at, part, row, out[1]);
    same("between", set, out[0], out[1], n);
    for (size_t i = 0; i < n; i++) {
        const float a = row[at[i]], b = row[at[i] + 1];
        const float either = isnan(a) ? b : isnan(b) ? a : (1.0f - part[i]) * a + part[i] * b;
        same("one stands for the other", set, &out[0][i], &either, 1);
    }
    set->between_both(n, at, part, row, out[0]);
    plain->between_both(n, at, part, row, out[1]);
    same("between both", set, out[0], out[1], n);
}

static void check_habits(const struct row_kernels *set, const struct row_kernels *plain)
{
    static float x[5][MOST], usual[2][MOST], off[2][5][MOST];
    const size_t n = any_length();
    for (size_t i = 0; i < 5; i++)
        make(x[i], n, 20);
    const struct row_habits habits = {n, x[0], x[1], x[2], x[3], x[4], 0.25f};
    for (size_t s = 0; s < 2; s++) {
        float *const to[5] = {off[s][0], off[s][1], off[s][2], off[s][3], off[s][4]};
        (s == 0 ? set : plain)->habits(&habits, usual[s], to);
    }
    same("usual", set, usual[0], usual[1], n);
    for (size_t k = 0; k < 5; k++)
        same("off", set, off[0][k], off[1][k], n);
    for (size_t i = 0; i < n; i++) {
        CHECK_TRUE("usual or else", usual[0][i] == (isnan(x[0][i]) ? 0.25f : x[0][i]));
        CHECK_TRUE("finite", isfinite(off[0][0][i]) && isfinite(off[0][4][i]));
    }
}

static void check_fits(const struct row_kernels *set, const struct row_kernels *plain)
{
    struct ridge ridges[ROW_RIDGES], plainly;
    double by_hand[RIDGE_PAIRS] = {0.0};
    memset(ridges, 0, sizeof ridges);
    memset(&plainly, 0, sizeof plainly);
    float out[2][ROW_RIDGES][RIDGE_FEATURES];
    for (int sample = 0; sample < 40; sample++)
        for (size_t r = 0; r < ROW_RIDGES; r++) {
            float x[RIDGE_FEATURES];
            make(x, RIDGE_FEATURES, 0);
            const float y = x[r] - 2.0f * x[7];
            set->add_sample(&ridges[r], x, y, 0.9f, 0.999f);
            if (r > 0)
                continue;
            plain->add_sample(&plainly, x, y, 0.9f, 0.999f);
            for (size_t i = 0, at = 0; i < RIDGE_FEATURES; i++)
                for (size_t j = 0; j <= i; j++, at++)
                    by_hand[at] = 0.999 * by_hand[at] + 0.9 * (double)x[i] * (double)x[j];
        }
    same("products", set, ridges[0].normal, plainly.normal, RIDGE_PAIRS);
    same("moments", set, ridges[0].moment, plainly.moment, RIDGE_FEATURES);
    for (size_t at = 0; at < RIDGE_PAIRS; at++)
        CHECK_NEAR("product", ridges[0].normal[at], by_hand[at], 1e-3);
    set->solve(ridges, out[0]);
    plain->solve(ridges, out[1]);
    same("fits", set, out[0][0], out[1][0], (size_t)ROW_RIDGES * RIDGE_FEATURES);
    for (size_t r = 0; r < ROW_RIDGES; r++) {
        CHECK_NEAR("what is there", out[0][r][r], 1.0, 0.25);
        CHECK_NEAR("and there", out[0][r][7], -2.0, 0.4);
    }
}

/* The median of what stands out on each day; two days are enough, one is not. */
static float agreed_by_hand(const float day[3], float sign, float least)
{
    float by[3];
    size_t n = 0;
    for (; n < 3 && !isnan(day[n]); n++) {
        by[n] = sign * day[n];
        if (by[n] <= least)
            return 0.0f;
    }
    if (n < 2)
        return 0.0f;
    if (n == 2)
        return fmaxf(by[0], by[1]);
    return fmaxf(fminf(by[0], by[1]), fminf(fmaxf(by[0], by[1]), by[2]));
}

static void check_jobs(const struct row_kernels *set, const struct row_kernels *plain)
{
    enum { HALF = 6, STEPS = MOST - 2 * HALF };
    static float x[MOST], day[3][MOST], least[MOST], out[2][MOST];
    double sum[MOST + 1] = {0.0};
    make(x, MOST, 0);
    for (size_t i = 0; i < MOST; i++)
        sum[i + 1] = sum[i] + (double)x[i];
    set->stand_out(STEPS, HALF, sum, x + HALF, out[0]);
    plain->stand_out(STEPS, HALF, sum, x + HALF, out[1]);
    same("stands out", set, out[0], out[1], STEPS);
    for (size_t i = 0; i < STEPS; i++) {
        double around = 0.0;
        for (size_t k = 2; k <= HALF; k++)
            around += (double)x[i + HALF - k] + (double)x[i + HALF + k];
        CHECK_NEAR("from its half hours", out[0][i], (double)x[i + HALF] - around / (2 * HALF - 2),
                   1e-5);
    }
    const size_t n = any_length();
    for (size_t d = 0; d < 3; d++)
        make(day[d], n, 10);
    make(least, n, 0);
    const float *const days[3] = {day[0], day[1], day[2]};
    for (int side = -1; side <= 1; side += 2) {
        set->agree(n, days, (float)side, least, out[0]);
        plain->agree(n, days, (float)side, least, out[1]);
        same("agree", set, out[0], out[1], n);
        for (size_t i = 0; i < n; i++) {
            const float of[3] = {day[0][i], day[1][i], day[2][i]};
            const float by_hand = agreed_by_hand(of, (float)side, least[i]);
            same("agreed", set, &out[0][i], &by_hand, 1);
        }
    }
}

static void what_experts_say(void **state)
{
    (void)state;
    each_set(check_jobs);
    each_set(check_saying);
    each_set(check_book);
    each_set(check_habits);
    each_set(check_fits);
}

/* ---- ladders and paths ---- */

static void check_ladder(const struct row_kernels *set, const struct row_kernels *plain)
{
    static const int lengths[] = {2, 4, 6, 12, 24};
    enum { ROWS = 7, STEPS = 48 };
    static float x[5][STEPS], width[2][STEPS], rows[2][ROWS * STEPS], means[2][5 * ROWS];
    make(x[0], STEPS, 0);
    make(x[3], STEPS, 10);
    make(x[4], STEPS, 0);
    for (size_t i = 0; i < STEPS; i++) {
        x[1][i] = 0.01f + (float)fw_rng_uniform(&rng);
        x[2][i] = 0.01f + (float)fw_rng_uniform(&rng);
    }
    const struct row_band band = {STEPS, x[0], x[1], x[2], x[3], 0.5f, 0.2f, -0.3f};
    for (size_t s = 0; s < 2; s++) {
        const struct row_kernels *kernels = s == 0 ? set : plain;
        kernels->band(&band, width[s], rows[s]);
        kernels->relative(STEPS, x[3], x[0], width[s], rows[s] + 4 * STEPS);
        kernels->stretch_means(ROWS, STEPS, rows[s], 5, lengths, means[s]);
    }
    same("widths", set, width[0], width[1], STEPS);
    same("band", set, rows[0], rows[1], (size_t)ROWS * STEPS);
    same("means", set, means[0], means[1], (size_t)5 * ROWS);
    double sum = 0.0;
    for (size_t i = 0; i < STEPS; i++) {
        const double mean = 0.5 * (double)(x[1][i] + x[2][i]);
        const double place = ((double)x[3][i] - (double)x[0][i]) / mean;
        CHECK_NEAR("width", rows[0][i], log(mean / 0.5), 1e-5);
        CHECK_NEAR("place", rows[0][4 * STEPS + i],
                   isnan(place) ? 0.0 : fmax(fmin(place, 8.0), -8.0), 1e-4);
        sum += i >= 12 && i < 24 ? (double)rows[0][i] : 0.0;
    }
    CHECK_NEAR("mean of the fourth stretch", means[0][3 * ROWS], sum / 12.0, 1e-5);
    set->places(STEPS, x[0], x[1], x[2], x[4], rows[0]);
    plain->places(STEPS, x[0], x[1], x[2], x[4], rows[1]);
    same("places", set, rows[0], rows[1], STEPS);
    CHECK_TRUE("below or above",
               rows[0][0] == x[0][0] + x[4][0] * (x[4][0] < 0.0f ? x[1][0] : x[2][0]));
}

static void check_path(const struct row_kernels *set, const struct row_kernels *plain)
{
    static float path[2][3 * MOST], said[3 * MOST], share[3 * MOST], other[MOST], out[2][3][MOST];
    const size_t n = any_length();
    make(path[0], 3 * n, 5);
    memcpy(path[1], path[0], sizeof path[0]);
    make(other, n, 0);
    make(said, 3 * n, 20);
    make(share, 3 * n, 0);
    for (size_t s = 0; s < 2; s++) {
        const struct row_kernels *kernels = s == 0 ? set : plain;
        float *const rows[3] = {path[s], path[s] + n, path[s] + 2 * n};
        float *const to[3] = {out[s][0], out[s][1], out[s][2]};
        kernels->settle(n, other, path[s]);
        for (size_t i = 0; i < n; i++)
            CHECK_TRUE("settled", rows[0][i] <= rows[1][i] && rows[1][i] <= rows[2][i]);
        kernels->towards(3 * n, said, share, path[s]);
        kernels->widen(n, 0.5f, 2.0f, rows);
        path[s][0] = NAN;
        kernels->limit(3 * n, 5.0f, path[s]);
        CHECK_TRUE("no number", path[s][0] == -5.0f);
        kernels->admit(n, path[s], -1.0f, 4.0f, n % 2 == 0, to);
    }
    same("path", set, path[0], path[1], 3 * n);
    for (size_t q = 0; q < 3; q++)
        same("admitted", set, out[0][q], out[1][q], n);
    for (size_t i = 0; i < n; i++) {
        const float low = out[0][0][i], middle = out[0][1][i], high = out[0][2][i];
        CHECK_TRUE("ordered and bounded",
                   low >= -1.0f && low <= middle && middle <= high && high <= 4.0f);
        if (n % 2 == 0)
            CHECK_TRUE("whole", middle == nearbyintf(middle));
    }
}

static void ladders_and_paths(void **state)
{
    (void)state;
    each_set(check_ladder);
    each_set(check_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_map),           cmocka_unit_test(a_window),
        cmocka_unit_test(medians_and_lines), cmocka_unit_test(what_experts_say),
        cmocka_unit_test(ladders_and_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
