#include "tft/assemble.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SCALED_MAX 1e6

/* The filled window: history then horizon, one step each. */
struct window {
    const struct tft_spec *spec;
    const struct tft_series *series;
    size_t first; /* row at which it starts */
    size_t steps, history;
};

/* Walks the window's steps with the row that each takes its values from. */
struct walk {
    const struct window *w;
    size_t i, row;
};

static int64_t step_of(const struct tft_series *s, size_t row)
{
    return s->step == NULL ? (int64_t)row : s->step[row];
}

static struct walk walk_start(const struct window *w)
{
    return (struct walk){w, 0, w->first};
}

static void walk_next(struct walk *at)
{
    const struct tft_series *s = at->w->series;
    const int64_t step = step_of(s, at->w->first) + (int64_t)++at->i;
    if (at->row + 1 < s->rows && step_of(s, at->row + 1) <= step)
        at->row++;
}

/* The inverse of softplus, as the data frame computes it: a zero becomes log(2.2e-16) = -36.04. */
static double softplus_inverse(double y)
{
    return y > 20.0 ? y : y + log(-expm1(-(fmax(y, 0.0) + DBL_EPSILON)));
}

static double transformed(enum tft_transform transform, double y)
{
    return transform == TFT_SOFTPLUS ? softplus_inverse(y) : y;
}

static double raw_value(const struct tft_column *c, size_t row)
{
    if (row >= c->rows)
        return (double)NAN;
    return c->f64 != NULL ? c->f64[row] : (double)c->f32[row];
}

/* The last value before `row`, NaN when there is none. */
static double value_before(const struct tft_column *c, size_t row)
{
    row = row < c->rows ? row : c->rows;
    while (row-- > 0) {
        const double x = raw_value(c, row);
        if (isfinite(x))
            return x;
    }
    return (double)NAN;
}

static float rounded(double x)
{
    return (float)(x > SCALED_MAX ? SCALED_MAX : x < -SCALED_MAX ? -SCALED_MAX : x);
}

/* The column's place in the output at window step i. */
static float *cell_of(const struct window *w, const struct tft_assembled *out, size_t i,
                      size_t column)
{
    const size_t width = w->spec->n_reals;
    return i < w->history ? &out->history_reals[i * width + column]
                          : &out->horizon_reals[(i - w->history) * width + column];
}

static void fill_column(const struct window *w, size_t column, enum tft_transform transform,
                        double mean, double scale, const struct tft_assembled *out)
{
    const struct tft_column *c = &w->series->reals[column];
    const bool known = w->spec->reals[column].known;
    double last = value_before(c, w->first);
    for (struct walk at = walk_start(w); at.i < w->steps; walk_next(&at)) {
        const double x = raw_value(c, at.row);
        const bool ended = at.i >= w->history && !known && at.row >= c->rows;
        if (isfinite(x))
            last = x;
        *cell_of(w, out, at.i, column) =
            ended || isnan(last) ? 0.0f : rounded((transformed(transform, last) - mean) / scale);
    }
}

static void fill_constant(const struct window *w, size_t column, float value,
                          const struct tft_assembled *out)
{
    for (size_t i = 0; i < w->steps; i++)
        *cell_of(w, out, i, column) = value;
}

/* Divided in float32, as upstream does; the first horizon step is 0. */
static void fill_relative_time(const struct window *w, size_t column,
                               const struct tft_assembled *out)
{
    for (size_t i = 0; i < w->steps; i++)
        *cell_of(w, out, i, column) = ((float)i - (float)w->history) / (float)w->spec->history_max;
}

static void fill_real(const struct window *w, size_t column, const struct tft_scales *scales,
                      const struct tft_assembled *out)
{
    const struct tft_real *real = &w->spec->reals[column];
    const struct tft_scaler *s = &real->scaler;
    const struct tft_pair own = scales->own[real->target];
    const double max = (double)w->spec->history_max;
    switch (real->source) {
    case TFT_FROM_COLUMN:
        fill_column(w, column, TFT_IDENTITY, s->mean, s->scale, out);
        break;
    case TFT_FROM_TARGET:
        fill_column(w, column, w->spec->normalizers[real->target].transform, own.center, own.scale,
                    out);
        break;
    case TFT_FROM_CENTER:
        fill_constant(w, column, rounded((own.center - s->mean) / s->scale), out);
        break;
    case TFT_FROM_SCALE:
        fill_constant(w, column, rounded((own.scale - s->mean) / s->scale), out);
        break;
    case TFT_FROM_HISTORY_LENGTH:
        fill_constant(w, column, (float)(((double)w->history - 0.5 * max) / max * 2.0), out);
        break;
    case TFT_FROM_RELATIVE_TIME:
        fill_relative_time(w, column, out);
        break;
    }
}

static int32_t code_before(const struct tft_codes *c, size_t row, int32_t otherwise)
{
    row = row < c->rows ? row : c->rows;
    while (row-- > 0) {
        if (c->code[row] >= 0)
            return c->code[row];
    }
    return otherwise;
}

static void fill_codes(const struct window *w, size_t column, const struct tft_assembled *out)
{
    const struct tft_spec *spec = w->spec;
    const struct tft_vocabulary *v = &spec->categoricals[column];
    const struct tft_codes *c = &w->series->codes[column];
    int32_t last = code_before(c, w->first, v->unknown_index < 0 ? 0 : v->unknown_index);
    for (struct walk at = walk_start(w); at.i < w->steps; walk_next(&at)) {
        if (at.row < c->rows && c->code[at.row] >= 0)
            last = c->code[at.row];
        assert((size_t)last < v->classes.n);
        int32_t *to =
            at.i < w->history
                ? &out->history_codes[at.i * spec->n_categoricals + column]
                : &out->horizon_codes[(at.i - w->history) * spec->n_categoricals + column];
        *to = last;
    }
}

/* Center and scale of one history (EncoderNormalizer): mean and sample deviation of the transformed
 * values as they are after filling, plus float32's epsilon. Upstream computes in float32; so is the
 * result. */
static struct tft_pair sample_pair(const struct window *w, size_t target)
{
    const size_t column = w->spec->target_real[target];
    const struct tft_normalizer *kind = &w->spec->normalizers[target];
    const size_t near = kind->center_steps == 0 || kind->center_steps > w->history
                            ? w->history
                            : kind->center_steps;
    double sum = 0.0, squares = 0.0, near_sum = 0.0;
    size_t n = 0, near_n = 0;
    if (column == SIZE_MAX)
        return (struct tft_pair){0.0, 1.0};
    const struct tft_column *c = &w->series->reals[column];
    for (int pass = 0; pass < 2; pass++) {
        double last = value_before(c, w->first);
        const double mean = n == 0 ? 0.0 : sum / (double)n;
        for (struct walk at = walk_start(w); at.i < w->history; walk_next(&at)) {
            const double x = raw_value(c, at.row);
            if (isfinite(x))
                last = x;
            if (isnan(last))
                continue;
            const double y = transformed(kind->transform, last);
            if (pass == 0 && at.i + near >= w->history) {
                near_sum += y;
                near_n++;
            }
            n += pass == 0;
            sum += pass == 0 ? y : 0.0;
            squares += pass == 1 ? (y - mean) * (y - mean) : 0.0;
        }
    }
    const double center = near_n == 0 ? 0.0 : near_sum / (double)near_n;
    const double deviation = n < 2 ? 1.0 : sqrt(squares / (double)(n - 1));
    return (struct tft_pair){(double)(float)center, (double)((float)deviation + FLT_EPSILON)};
}

static enum fw_status open_window(const struct tft_spec *spec, const struct tft_series *series,
                                  struct window *w, struct fw_error *err)
{
    *w = (struct window){.spec = spec, .series = series};
    if (series->rows == 0)
        return fw_fail(err, FW_EINVAL, "the series has no rows");
    for (size_t i = 1; series->step != NULL && i < series->rows; i++) {
        if (series->step[i] <= series->step[i - 1])
            return fw_fail_at(err, FW_EINVAL, i, "the steps do not rise");
    }
    const int64_t last = step_of(series, series->rows - 1),
                  span = (int64_t)(spec->history_max + spec->horizon);
    while (step_of(series, w->first) <= last - span)
        w->first++;
    w->steps = (size_t)(last - step_of(series, w->first)) + 1;
    if (w->steps < spec->horizon + spec->history_min)
        return fw_fail(
            err, FW_EINVAL,
            "%zu steps and the horizon of %zu are fewer than the model's shortest history, %zu",
            w->steps, spec->horizon, spec->history_min);
    w->history = w->steps - spec->horizon;
    return FW_OK;
}

enum fw_status tft_assemble(const struct tft_spec *spec, const struct tft_series *series,
                            const struct tft_scales *scales, struct tft_assembled *out,
                            struct fw_error *err)
{
    struct window w;
    struct tft_scales filled = *scales;
    const enum fw_status status = open_window(spec, series, &w, err);
    if (status != FW_OK)
        return status;
    for (size_t t = 0; t < spec->n_targets; t++) {
        if (spec->normalizers[t].kind == TFT_PER_SAMPLE)
            filled.own[t] = filled.used[t] = sample_pair(&w, t);
        out->output_scale[2 * t] = (float)filled.used[t].center;
        out->output_scale[2 * t + 1] = (float)filled.used[t].scale;
    }
    out->history_length = w.history;
    const size_t unused = spec->history_max - w.history;
    memset(out->history_reals + w.history * spec->n_reals, 0,
           unused * spec->n_reals * sizeof(float));
    memset(out->history_codes + w.history * spec->n_categoricals, 0,
           unused * spec->n_categoricals * sizeof(int32_t));
    for (size_t i = 0; i < spec->n_reals; i++)
        fill_real(&w, i, &filled, out);
    for (size_t i = 0; i < spec->n_categoricals; i++)
        fill_codes(&w, i, out);
    return FW_OK;
}

static int pair_against_group(const void *key, const void *element)
{
    return strcmp(key, ((const struct tft_group_pair *)element)->group);
}

static int code_against_group(const void *key, const void *element)
{
    return strcmp(key, ((const struct tft_group_code *)element)->group);
}

static int pair_against_code(const void *key, const void *element)
{
    const int64_t code = *(const int64_t *)key,
                  other = ((const struct tft_group_pair *)element)->code;
    return (code > other) - (code < other);
}

static const struct tft_group_code *output_code(const struct tft_spec *spec, const char *group)
{
    if (spec->n_output_codes == 0)
        return NULL;
    return bsearch(group, spec->output_codes, spec->n_output_codes, sizeof *spec->output_codes,
                   code_against_group);
}

/* The pair that upstream's look-up finds. A new group's code is one that no training server has,
 * except the first new one's where the codes of the normaliser begin at 1. */
static struct tft_pair used_pair(const struct tft_spec *spec, const struct tft_normalizer *n,
                                 const char *group, bool first_new)
{
    const struct tft_group_code *known = output_code(spec, group);
    if (known == NULL && !first_new)
        return n->missing;
    const int64_t code = known != NULL ? known->code : (int64_t)spec->n_output_codes;
    const struct tft_group_pair *found =
        bsearch(&code, n->by_code, n->n_groups, sizeof *n->by_code, pair_against_code);
    return found == NULL ? n->missing : found->pair;
}

void tft_scales_of(const struct tft_spec *spec, const char *group, bool first_new,
                   struct tft_scales *out)
{
    memset(out, 0, sizeof *out);
    for (size_t t = 0; t < spec->n_targets; t++) {
        const struct tft_normalizer *n = &spec->normalizers[t];
        if (n->kind == TFT_PER_SAMPLE)
            continue;
        out->own[t] = out->used[t] = n->missing;
        if (n->kind != TFT_PER_GROUP)
            continue;
        assert(n->by_group != NULL);
        const struct tft_group_pair *found =
            bsearch(group, n->by_group, n->n_groups, sizeof *n->by_group, pair_against_group);
        if (found != NULL)
            out->own[t] = found->pair;
        out->used[t] =
            spec->output_scale_shifted ? used_pair(spec, n, group, first_new) : out->own[t];
    }
}

void tft_scales_of_set(const struct tft_spec *spec, size_t n, const char *const *groups,
                       struct tft_scales *out)
{
    const char *first = NULL;
    for (size_t i = 0; i < n; i++) {
        assert(groups[i] != NULL);
        if (output_code(spec, groups[i]) == NULL && (first == NULL || strcmp(groups[i], first) < 0))
            first = groups[i];
    }
    for (size_t i = 0; i < n; i++) /* no group is new where first is NULL */
        tft_scales_of(spec, groups[i], first != NULL && strcmp(groups[i], first) == 0, &out[i]);
}
