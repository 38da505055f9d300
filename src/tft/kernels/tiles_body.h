/* The kernels of tiles.h in the notation of lanes.h: tiles.c and tiles_avx2.c include this once
 * each, after naming the table (TILES_TABLE, TILES_NAME). Not for anyone else. */
#include "tft/kernels/internal.h"
#include "tft/kernels/lanes.h"
#include "tft/kernels/tiles.h"

#include <math.h>

enum { PARTS = TFT_TILE / LANES }; /* vectors in a row of a tile */

/* ---- matrices ---- */

enum start { FROM_BIAS, FROM_Y };
enum finish { AS_IS, ELU };

/* `rows` outputs of one tile stay in registers over all inputs. Every output is its start, then one
 * multiply-add an input in order. */
LANES_INLINE void panel(size_t rows, size_t n_in, const float *restrict x, const float *restrict w,
                        const float *b, float *restrict y, enum start start, enum finish finish)
{
    fv sum[TFT_PANEL][PARTS];
    LANES_UNROLL
    for (size_t r = 0; r < rows; r++) {
        LANES_UNROLL
        for (size_t p = 0; p < PARTS; p++)
            sum[r][p] = start == FROM_BIAS ? fv_all(b[r]) : fv_load(y + r * TFT_TILE + p * LANES);
    }
    for (size_t i = 0; i < n_in; i++, w += rows, x += TFT_TILE) {
        fv xi[PARTS];
        LANES_UNROLL
        for (size_t p = 0; p < PARTS; p++)
            xi[p] = fv_load(x + p * LANES);
        LANES_UNROLL
        for (size_t r = 0; r < rows; r++) {
            const fv wr = fv_all(w[r]);
            LANES_UNROLL
            for (size_t p = 0; p < PARTS; p++)
                sum[r][p] = fv_fma(wr, xi[p], sum[r][p]);
        }
    }
    LANES_UNROLL
    for (size_t r = 0; r < rows; r++) {
        LANES_UNROLL
        for (size_t p = 0; p < PARTS; p++)
            fv_store(y + r * TFT_TILE + p * LANES, finish == ELU ? fv_elu(sum[r][p]) : sum[r][p]);
    }
}

LANES_INLINE void dense_tile(const struct tft_dense *d, const float *b, const float *x, float *y,
                             enum start start, enum finish finish)
{
    const float *w = d->w;
    for (size_t k = 0, o = 0; k < tft_panels(d->n_out); k++) {
        const size_t rows = tft_panel_size(d->n_out, k);
        float *to = y + o * TFT_TILE;
        switch (rows) {
        case 1:
            panel(1, d->n_in, x, w, b + o, to, start, finish);
            break;
        case 2:
            panel(2, d->n_in, x, w, b + o, to, start, finish);
            break;
        case 3:
            panel(3, d->n_in, x, w, b + o, to, start, finish);
            break;
        case 4:
            panel(4, d->n_in, x, w, b + o, to, start, finish);
            break;
        case 5:
            panel(5, d->n_in, x, w, b + o, to, start, finish);
            break;
        default:
            panel(6, d->n_in, x, w, b + o, to, start, finish);
            break;
        }
        w += rows * d->n_in;
        o += rows;
    }
}

static void plain_tile(const struct tft_dense *d, const float *x, float *y)
{
    dense_tile(d, d->b, x, y, FROM_BIAS, AS_IS);
}

static void elu_tile(const struct tft_dense *d, const float *b, const float *x, float *y)
{
    dense_tile(d, b, x, y, FROM_BIAS, ELU);
}

static void preset_tile(const struct tft_dense *d, const float *x, float *y)
{
    dense_tile(d, d->b, x, y, FROM_Y, AS_IS);
}

static void dense(const struct tft_dense *d, size_t tiles, const float *x, float *y)
{
    for (size_t t = 0; t < tiles; t++)
        plain_tile(d, x + t * d->n_in * TFT_TILE, y + t * d->n_out * TFT_TILE);
}

/* ---- norms and gates ---- */

/* y = (y - mean) / sqrt(var + epsilon) w + b for one register of steps; `sum` is that of y. */
LANES_INLINE void norm_part(const struct tft_dense_norm *norm, fv sum, float *y)
{
    const fv share = fv_all(1.0f / (float)norm->n), mean = sum * share;
    fv squares = fv_all(0.0f);
    for (size_t j = 0; j < norm->n; j++) {
        const fv gap = fv_load(y + j * TFT_TILE) - mean;
        squares = fv_fma(gap, gap, squares);
    }
    const fv variance = fv_fma(squares, share, fv_all(TFT_LAYER_NORM_EPSILON));
    const fv inverse = fv_all(1.0f) / fv_sqrt(variance);
    for (size_t j = 0; j < norm->n; j++) {
        const fv gap = fv_load(y + j * TFT_TILE) - mean;
        fv_store(y + j * TFT_TILE, fv_fma(gap * inverse, fv_all(norm->w[j]), fv_all(norm->b[j])));
    }
}

/* y = a sigmoid(g) + skip, normed:  gates (2 n, TILE) = a, then g. */
static void glu_norm(const struct tft_dense_norm *norm, const float *gates, const float *skip,
                     float *y)
{
    for (size_t at = 0; at < TFT_TILE; at += LANES) {
        const float *a = gates + at, *g = a + norm->n * TFT_TILE, *s = skip + at;
        fv sum = fv_all(0.0f);
        for (size_t j = 0; j < norm->n; j++) {
            const fv v = fv_fma(fv_load(a + j * TFT_TILE), fv_sigmoid(fv_load(g + j * TFT_TILE)),
                                fv_load(s + j * TFT_TILE));
            sum = sum + v;
            fv_store(y + at + j * TFT_TILE, v);
        }
        norm_part(norm, sum, y + at);
    }
}

static void norm_tile(const struct tft_dense_norm *norm, float *y)
{
    for (size_t at = 0; at < TFT_TILE; at += LANES) {
        fv sum = fv_all(0.0f);
        for (size_t j = 0; j < norm->n; j++)
            sum = sum + fv_load(y + at + j * TFT_TILE);
        norm_part(norm, sum, y + at);
    }
}

static void gate_tile(const struct tft_dense_gate *g, const float *x, const float *skip,
                      float *work, float *y)
{
    plain_tile(&g->gate, x, work);
    glu_norm(&g->norm, work, skip, y);
}

static void gate(const struct tft_dense_gate *g, size_t tiles, const float *x, const float *skip,
                 float *work, float *y)
{
    const size_t in = g->gate.n_in * TFT_TILE, out = g->norm.n * TFT_TILE;
    for (size_t t = 0; t < tiles; t++)
        gate_tile(g, x + t * in, skip + t * out, work, y + t * out);
}

static void grn(const struct tft_dense_grn *g, const float *first, size_t tiles, const float *x,
                float *work, float *y)
{
    const size_t in = g->fc1.n_in * TFT_TILE;
    float *h1 = work, *h2 = h1 + g->fc1.n_out * TFT_TILE, *gates = h2 + g->fc2.n_out * TFT_TILE;
    for (size_t t = 0; t < tiles; t++) {
        elu_tile(&g->fc1, first, x + t * in, h1);
        plain_tile(&g->fc2, h1, h2);
        gate_tile(&g->gate, h2, x + t * in, gates, y + t * in);
    }
}

/* ---- variable selection ---- */

static void softmax_tile(size_t n, float *x)
{
    for (size_t at = 0; at < TFT_TILE; at += LANES) {
        fv max = fv_load(x + at), sum = fv_all(0.0f);
        for (size_t j = 1; j < n; j++)
            max = fv_larger(max, fv_load(x + at + j * TFT_TILE));
        for (size_t j = 0; j < n; j++) {
            const fv e = fv_exp_cut(fv_load(x + at + j * TFT_TILE) - max, 1.0f, 120.0f);
            sum = sum + e;
            fv_store(x + at + j * TFT_TILE, e);
        }
        const fv inverse = fv_all(1.0f) / sum;
        for (size_t j = 0; j < n; j++)
            fv_store(x + at + j * TFT_TILE, fv_load(x + at + j * TFT_TILE) * inverse);
    }
}

static void flat(const struct tft_dense_flat *f, const float *x, float *in, float *work,
                 float *weights)
{
    float *skip = in + f->hidden * TFT_TILE, *gates = work + f->hidden * TFT_TILE;
    preset_tile(&f->in, x, in);
    for (size_t i = 0; i < f->hidden * TFT_TILE; i += LANES)
        fv_store(in + i, fv_elu(fv_load(in + i)));
    if (f->skip_normed)
        norm_tile(&f->skip, skip);
    plain_tile(&f->fc2, in, work);
    gate_tile(&f->gate, work, skip, gates, weights);
    softmax_tile(f->n, weights);
}

/* Where a register of numbers lies on a curve: their cell, and the share of each of its ends' value
 * and slope in weight * curve(x). Returns the lanes that lie on it. */
LANES_INLINE iv place(const struct tft_curve *curve, size_t node_size, fv x, fv weight, int32_t *at,
                      float *shares)
{
    const fv one = fv_all(1.0f);
    const iv inside = (x >= fv_all(curve->low)) & (x <= fv_all(curve->high));
    const fv far =
        fv_select(inside, x - fv_all(curve->low), fv_all(0.0f)) * fv_all(curve->per_unit);
    const fv last = fv_all((float)(curve->cells - 1));
    fv cell = (far + fv_all(LANES_ROUNDER)) - fv_all(LANES_ROUNDER);
    cell = fv_select(cell > far, cell - one, cell); /* rounded down */
    cell = fv_select(cell > last, last, cell);
    const fv t = far - cell, u = t - one;
    const fv w = fv_select(inside, weight, fv_all(0.0f));
    const fv rise = t * t * (fv_all(3.0f) - t - t); /* 3 t^2 - 2 t^3 */
    const iv index = (iv)(cell + fv_all(LANES_ROUNDER)) - (iv)fv_all(LANES_ROUNDER);
    const iv offset = index * (int32_t)node_size;
    memcpy(at, &offset, sizeof offset);
    fv_store(shares, w * (one - rise));
    fv_store(shares + TFT_TILE, w * (t * u * u));
    fv_store(shares + 2 * TFT_TILE, w * rise);
    fv_store(shares + 3 * TFT_TILE, w * (t * t * u));
    return inside;
}

/* Adds all curves to `parts` vectors of a row. Two sums, so that the chains are half as long. */
LANES_INLINE void add_curves(size_t parts, size_t n, const struct tft_curve *curve, size_t from,
                             size_t width, const int32_t *at, const float *shares, float *y)
{
    fv left[4], right[4];
    LANES_UNROLL
    for (size_t p = 0; p < parts; p++) {
        left[p] = fv_load(y + from + p * LANES);
        right[p] = fv_all(0.0f);
    }
    for (size_t v = 0; v < n; v++, at += TFT_TILE, shares += 4 * TFT_TILE) {
        const float *node = curve[v].nodes + *at + from;
        const fv s0 = fv_all(shares[0]), s1 = fv_all(shares[TFT_TILE]);
        const fv s2 = fv_all(shares[2 * TFT_TILE]), s3 = fv_all(shares[3 * TFT_TILE]);
        LANES_UNROLL
        for (size_t p = 0; p < parts; p++) {
            const float *q = node + p * LANES;
            left[p] = fv_fma(s0, fv_load(q), left[p]);
            right[p] = fv_fma(s2, fv_load(q + 2 * width), right[p]);
            left[p] = fv_fma(s1, fv_load(q + width), left[p]);
            right[p] = fv_fma(s3, fv_load(q + 3 * width), right[p]);
        }
    }
    LANES_UNROLL
    for (size_t p = 0; p < parts; p++)
        fv_store(y + from + p * LANES, left[p] + right[p]);
}

static bool curves(size_t n, const struct tft_curve *curve, size_t width, size_t steps,
                   const float *x, const float *weights, int32_t *at, float *shares, float *y)
{
    iv outside = {0};
    for (size_t v = 0; v < n; v++) {
        for (size_t i = 0; i < TFT_TILE; i += LANES) {
            const size_t k = v * TFT_TILE + i, left = steps > i ? steps - i : 0;
            const iv inside = place(&curve[v], 2 * width, fv_load(x + k), fv_load(weights + k),
                                    at + k, shares + 4 * v * TFT_TILE + i);
            outside |= ~inside & iv_first(left);
        }
    }
    for (size_t s = 0; s < steps; s++) {
        size_t j = 0;
        for (; j + 4 * LANES <= width; j += 4 * LANES)
            add_curves(4, n, curve, j, width, at + s, shares + s, y + s * width);
        for (; j < width; j += LANES)
            add_curves(1, n, curve, j, width, at + s, shares + s, y + s * width);
    }
    int32_t any = 0;
    for (size_t i = 0; i < LANES; i++)
        any |= outside[i];
    return any != 0;
}

/* ---- recurrence ---- */

/* A register of units, their state, one step on, from the sums of their gates. With A = e^-i and so
 * on, the cell is c / (1 + F) + (G - 1) / ((1 + A) (1 + G)) and the output (C - 1) / ((1 + O) (1 +
 * C)): one division each. Exponents are cut at 40, so that no product of three overflows; what is
 * cut differs from 0 or 1 by 1e-12. */
LANES_INLINE fv advance(const fv *gates, float *cell)
{
    const fv one = fv_all(1.0f);
    const fv a = one + fv_exp_cut(gates[0], -1.0f, 40.0f);
    const fv f = one + fv_exp_cut(gates[1], -1.0f, 40.0f);
    const fv g = fv_exp_cut(gates[2], 2.0f, 40.0f);
    const fv o = one + fv_exp_cut(gates[3], -1.0f, 40.0f);
    const fv ag = a * (one + g);
    const fv c = fv_fma(fv_load(cell), ag, (g - one) * f) / (ag * f);
    const fv e = fv_exp_cut(c, 2.0f, 40.0f);
    fv_store(cell, c);
    return (e - one) / (o * (one + e));
}

/* Adds n inputs' products to the gates of one register of units, for `series` series. */
LANES_INLINE void add_inputs(size_t series, size_t n, const float *const *x, const float *w,
                             fv (*gates)[4])
{
    for (size_t i = 0; i < n; i++, w += 4 * TFT_UNITS) {
        fv in[TFT_TOGETHER];
        LANES_UNROLL
        for (size_t s = 0; s < series; s++)
            in[s] = fv_all(x[s][i]);
        LANES_UNROLL
        for (size_t k = 0; k < 4; k++) {
            const fv wk = fv_load(w + k * TFT_UNITS);
            LANES_UNROLL
            for (size_t s = 0; s < series; s++)
                gates[s][k] = fv_fma(in[s], wk, gates[s][k]);
        }
    }
}

LANES_INLINE void step(const struct tft_recurrence *r, size_t series, size_t t,
                       const struct tft_sequence *sequence)
{
    const float *x[TFT_TOGETHER], *h[TFT_TOGETHER];
    LANES_UNROLL
    for (size_t s = 0; s < series; s++) {
        x[s] = sequence[s].x + t * r->width;
        h[s] = t == 0 ? sequence[s].h : sequence[s].y + (t - 1) * r->width;
    }
    for (size_t u = 0; u < r->width; u += LANES) {
        const size_t group = u / TFT_UNITS * TFT_UNITS, part = u % TFT_UNITS;
        const float *w = r->w + group * 4 * 2 * r->n + part, *b = r->b + group * 4 + part;
        fv gates[TFT_TOGETHER][4];
        LANES_UNROLL
        for (size_t s = 0; s < series; s++) {
            LANES_UNROLL
            for (size_t k = 0; k < 4; k++)
                gates[s][k] = fv_load(b + k * TFT_UNITS);
        }
        add_inputs(series, r->n, x, w, gates);
        add_inputs(series, r->n, h, w + r->n * 4 * TFT_UNITS, gates);
        LANES_UNROLL
        for (size_t s = 0; s < series; s++)
            fv_store(sequence[s].y + t * r->width + u, advance(gates[s], sequence[s].c + u));
    }
}

static void lstm(const struct tft_recurrence *r, size_t series, size_t steps,
                 const struct tft_sequence *sequence)
{
    for (size_t t = 0; t < steps; t++) {
        switch (series) {
        case 1:
            step(r, 1, t, sequence);
            break;
        case 2:
            step(r, 2, t, sequence);
            break;
        default:
            step(r, 3, t, sequence);
            break;
        }
    }
    for (size_t s = 0; s < series && steps > 0; s++)
        memcpy(sequence[s].h, sequence[s].y + (steps - 1) * r->width, r->width * sizeof(float));
}

static void turn(size_t n, size_t width, const float *x, float *y)
{
    for (size_t j = 0; j < n; j++) {
        for (size_t t = 0; t < TFT_TILE; t++)
            y[j * TFT_TILE + t] = x[t * width + j];
    }
}

/* ---- attention ---- */

/* One head of one query against a stretch of keys. */
struct stretch {
    size_t n;           /* keys seen */
    const float *k, *v; /* of the first tile */
};

/* Powers of two up to here need no maximum taken off before: no sum of them overflows. */
#define SAFE_POWER 60.0f

LANES_INLINE fv score(size_t size, const float *q, const float *k)
{
    fv s = fv_all(q[0]) * fv_load(k);
    LANES_UNROLL
    for (size_t c = 1; c < size; c++)
        s = fv_fma(fv_all(q[c * TFT_TILE]), fv_load(k + c * TFT_TILE), s);
    return s;
}

/* sums += weight v for a tile of keys; the last of the sums is of the weights. Its registers go
 * side by side from step to step: one after the other, the processor would wait for each. */
LANES_INLINE void add_tile(size_t size, const float *q, const float *k, const float *v, bool safe,
                           float max, fv *sums)
{
    fv e[PARTS];
    LANES_UNROLL
    for (size_t p = 0; p < PARTS; p++)
        e[p] = fv_all(q[0]) * fv_load(k + p * LANES);
    LANES_UNROLL
    for (size_t c = 1; c < size; c++) {
        LANES_UNROLL
        for (size_t p = 0; p < PARTS; p++)
            e[p] = fv_fma(fv_all(q[c * TFT_TILE]), fv_load(k + c * TFT_TILE + p * LANES), e[p]);
    }
    if (safe) {
        fv_exp2_short_all(PARTS, e);
    } else {
        for (size_t p = 0; p < PARTS; p++)
            e[p] = fv_exp2(fv_least(e[p] - fv_all(max), -120.0f));
    }
    LANES_UNROLL
    for (size_t c = 0; c < size; c++) {
        LANES_UNROLL
        for (size_t p = 0; p < PARTS; p++)
            sums[c] = fv_fma(e[p], fv_load(v + c * TFT_TILE + p * LANES), sums[c]);
    }
    LANES_UNROLL
    for (size_t p = 0; p < PARTS; p++)
        sums[size] = sums[size] + e[p];
}

/* The same for a register of keys of which `left` count. */
LANES_INLINE void add_keys(size_t size, const float *q, const float *k, const float *v, size_t left,
                           bool safe, float max, fv *sums)
{
    const fv s = score(size, q, k);
    const fv all = safe ? fv_exp2_short(s) : fv_exp2(fv_least(s - fv_all(max), -120.0f));
    const fv e = fv_select(iv_first(left), all, fv_all(0.0f));
    LANES_UNROLL
    for (size_t c = 0; c < size; c++)
        sums[c] = fv_fma(e, fv_load(v + c * TFT_TILE), sums[c]);
    sums[size] = sums[size] + e;
}

LANES_INLINE void add_stretch(size_t size, const float *q, const struct stretch *keys, bool safe,
                              float max, fv *sums)
{
    const float *k = keys->k, *v = keys->v;
    size_t left = keys->n;
    for (; left >= TFT_TILE; left -= TFT_TILE, k += size * TFT_TILE, v += size * TFT_TILE)
        add_tile(size, q, k, v, safe, max, sums);
    for (; left > 0; left -= left < LANES ? left : LANES, k += LANES, v += LANES)
        add_keys(size, q, k, v, left, safe, max, sums);
}

LANES_INLINE float highest_score(size_t size, const float *q, const struct stretch *keys, float max)
{
    for (size_t t = 0; t < keys->n; t += LANES) {
        const float *k = keys->k + t / TFT_TILE * size * TFT_TILE + t % TFT_TILE;
        const fv s = score(size, q, k);
        max = fv_max(fv_select(iv_first(keys->n - t), fv_larger(s, fv_all(max)), fv_all(max)));
    }
    return max;
}

/* The largest |k| of whole tiles; NaN when one is not a number or infinite. */
static float longest_key(size_t size, const struct stretch *keys)
{
    fv max = fv_all(0.0f), all = fv_all(0.0f);
    for (size_t t = 0; t < keys->n; t += LANES) {
        const float *k = keys->k + t / TFT_TILE * size * TFT_TILE + t % TFT_TILE;
        fv square = fv_all(0.0f);
        for (size_t c = 0; c < size; c++)
            square = fv_fma(fv_load(k + c * TFT_TILE), fv_load(k + c * TFT_TILE), square);
        max = fv_larger(max, square);
        all = fv_fma(square, fv_all(0.0f), all);
    }
    return sqrtf(fv_max(max)) + fv_sum(all);
}

static float length_of(size_t size, const float *q)
{
    float square = 0.0f;
    for (size_t c = 0; c < size; c++)
        square += q[c * TFT_TILE] * q[c * TFT_TILE];
    return sqrtf(square);
}

LANES_INLINE void one_query(size_t size, const float *q, const struct stretch *keys, float longest,
                            fv *sums)
{
    LANES_UNROLL
    for (size_t c = 0; c <= size; c++)
        sums[c] = fv_all(0.0f);
    if (length_of(size, q) * longest <= SAFE_POWER) {
        add_stretch(size, q, &keys[0], true, 0.0f, sums);
        add_stretch(size, q, &keys[1], true, 0.0f, sums);
    } else {
        const float max =
            highest_score(size, q, &keys[1], highest_score(size, q, &keys[0], -INFINITY));
        add_stretch(size, q, &keys[0], false, max, sums);
        add_stretch(size, q, &keys[1], false, max, sums);
    }
}

/* Copies one head's rows of all tiles together: apart, at a stride of whole tiles, they would fall
 * on the same few lines of the cache. */
static void gather_head(size_t size, size_t wide, size_t n, const float *k, float *to)
{
    for (size_t t = 0; t < n; t += TFT_TILE, k += wide, to += size * TFT_TILE)
        memcpy(to, k, size * TFT_TILE * sizeof *to);
}

LANES_INLINE void one_head(size_t heads, size_t size, size_t queries, size_t n_keys, size_t head,
                           const float *q, const float *const k[2], const float *const v[2],
                           float *room, float *y)
{
    fv sums[TFT_HEAD_SIZE_MAX + 1];
    const size_t wide = heads * size * TFT_TILE, from = head * size * TFT_TILE;
    float *second_part = room + (n_keys + TFT_TILE - 1) / TFT_TILE * size * TFT_TILE;
    struct stretch keys[2] = {
        {n_keys,  room,        v[0]},
        {queries, second_part, v[1]}
    };
    gather_head(size, wide, n_keys, k[0] + from, room);
    gather_head(size, wide, queries, k[1] + from, second_part);
    const float first = longest_key(size, &keys[0]), second = longest_key(size, &keys[1]);
    const float longest = (first > second ? first : second) + 0.0f * (first + second);
    for (size_t i = 0; i < queries; i++) {
        const size_t tile = i / TFT_TILE, lane = i % TFT_TILE;
        float *to = y + tile * size * TFT_TILE + lane;
        keys[1].n = i;
        one_query(size, q + tile * wide + from + lane, keys, longest, sums);
        const float share = 1.0f / ((float)heads * fv_sum(sums[size]));
        for (size_t c = 0; c < size; c++)
            to[c * TFT_TILE] = fv_sum(sums[c]) * share + (head == 0 ? 0.0f : to[c * TFT_TILE]);
    }
}

static void attend(size_t heads, size_t size, size_t queries, size_t n_keys, const float *q,
                   const float *const k[2], const float *const v[2], float *head, float *y)
{
    for (size_t a = 0; a < heads; a++) {
        switch (size) {
        case 1:
            one_head(heads, 1, queries, n_keys, a, q, k, v, head, y);
            break;
        case 2:
            one_head(heads, 2, queries, n_keys, a, q, k, v, head, y);
            break;
        case 4:
            one_head(heads, 4, queries, n_keys, a, q, k, v, head, y);
            break;
        default:
            one_head(heads, size, queries, n_keys, a, q, k, v, head, y);
            break;
        }
    }
}

static const struct tft_tiles TILES_TABLE = {
    .name = TILES_NAME,
    .dense = dense,
    .gate = gate,
    .grn = grn,
    .flat = flat,
    .curves = curves,
    .lstm = lstm,
    .turn = turn,
    .attend = attend,
};
