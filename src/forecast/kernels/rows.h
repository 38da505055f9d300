/* Loops over rows of numbers: the steps of a window, the horizons of a path. Written once
 * (rows_body.inc), compiled for every processor, for AVX2 and for AVX-512; no multiply-add is fused
 * and sums have the same order, so that all give the same bits (test_rows.c). Pure, no allocation.
 * Private to src/forecast. */
#ifndef FW_FORECAST_KERNELS_ROWS_H
#define FW_FORECAST_KERNELS_ROWS_H

#include "forecast/ridge.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A local array that is written before it is read: not zeroed first, as all others are. */
#define ROW_UNSET __attribute__((uninitialized))

/* series_map in single precision: sign 1 from the lower bound, -1 from the upper. */
struct row_scale {
    float bound, shift, sign, limit;
};

/* Up to eight lines end to end: at x it is value[k] + (x - at[k]) * per_step[k] * (value[k + 1] -
 * value[k]), k the last piece with at[k] <= x, and value[0] before all. */
enum { ROW_PIECES = 8, ROW_LINE_MAX = 128 };
struct row_pieces {
    float at[ROW_PIECES];       /* ascending; INFINITY: not there */
    float per_step[ROW_PIECES]; /* one over its length; 0: it stays where it begins */
};
struct row_line {
    float value[ROW_PIECES + 1];
};

/* What one expert says: said[q] = base + gain * signal + sum of coefficient * feature + off[q]. */
struct row_saying {
    size_t n;
    const float *base, *signal, *gain;  /* (n) */
    const float *off;                   /* (3, n) */
    size_t features;                    /* 0: none */
    const float *feature, *coefficient; /* (features, n) */
};

/* What is added up over days, one column a bin. */
struct row_days {
    float *plain, *count; /* sum, and number of days */
    float *sum, *weights; /* the same, weighted */
};

/* What is said of each step by its days before. */
struct row_habits {
    size_t n;
    const float *usual, *day, *week, *recent, *wide; /* (n), NaN: nothing */
    float otherwise;
};

/* Of a ladder's band (ladder.h): what is known of every step beside what experts say. */
struct row_band {
    size_t n;
    const float *center, *below, *above, *persistence; /* (n) */
    float spread, now, level;
};

struct row_moments {
    double y, xy, yy; /* of y = x[i] - reference; of i y; of y^2 */
};

enum { ROW_RIDGES = 4 };

struct row_kernels {
    const char *name;
    /* The map and back (series.h, SERIES_LOG and its mirror), in place if the caller likes. */
    void (*to)(struct row_scale scale, size_t n, const float *values, float *mapped);
    void (*back)(struct row_scale scale, size_t n, const float *mapped, float *values);
    /* How many are NaN. */
    size_t (*missing)(size_t n, const float *x);
    /* Of numbers (no NaN): sum of |x - center|; sum of |x[i] - x[i - 1]|; sum[i + 1] of the first
     * i + 1, sum[0] being there; how many are the least. Sums of eight side by side. */
    double (*distance)(size_t n, const float *x, double center);
    double (*change)(size_t n, const float *x);
    /* Least-squares change per step; false, and nothing, where a step changes by more than `limit`.
     * Sums are relative to the last value. */
    bool (*slope)(size_t n, const float *x, double limit, double *slope);
    /* Sums over n numbers less `reference`, i from 0. */
    struct row_moments (*moments)(size_t n, const float *x, double reference);
    void (*running_sums)(size_t n, const float *x, double *sum);
    size_t (*least)(size_t n, const float *x);
    /* Least and greatest of n that are not NaN; INFINITY and -INFINITY: none. */
    void (*extremes)(size_t n, const float *x, float *low, float *high);
    /* Weighted medians (blend.h): value and weight (voices, n). */
    void (*medians)(size_t voices, size_t n, const float *value, const float *weight, float *out);
    /* `count` lines at 0, 1, .. n - 1 (up to ROW_LINE_MAX - 1): out (count, n). */
    void (*lines)(const struct row_pieces *pieces, size_t count, const struct row_line *line,
                  size_t n, float *out);
    void (*say)(const struct row_saying *saying, float *const said[3]);
    /* Of running sums: adds the mean of [i, i + width) where anything was seen there, and counts
     * it. */
    void (*add_means)(size_t n, size_t width, const double *sum, const int32_t *seen, double *total,
                      double *count);
    /* The step less the mean of the half hours around it, without the steps beside it: sum from
     * `half` steps before the first on. */
    void (*stand_out)(size_t n, size_t half, const double *sum, const float *x, float *out);
    /* Of three days (sign * day): their median where each is more than `least`; the third may be
     * missing (NaN), then the greater of two; 0 otherwise. */
    void (*agree)(size_t n, const float *const day[3], float sign, const float *least, float *out);
    /* row = value; row += by; row = first + slope * i. */
    void (*fill)(size_t n, float value, float *row);
    void (*shift)(size_t n, float by, float *row);
    void (*ramp_line)(size_t n, double first, double slope, float *row);
    void (*quotients)(size_t n, const double *total, const double *count, float *out);
    /* first, first + 1, ... */
    void (*number)(size_t n, int32_t first, int32_t *out);
    /* center + unit * half, NaN for FW_HALF_NAN. */
    void (*halves)(size_t n, const uint16_t *half, float center, float unit, float *out);
    /* Adds a day of a book (base/half.h); missing ones count nothing. */
    void (*add_day)(size_t n, const uint16_t *half, float center, float unit, float weight,
                    const struct row_days *days);
    /* Between row[at[i]] and the next (`at` ascends), `part` of the way; one that is missing leaves
     * the other, or nothing where both are wanted. */
    void (*between)(size_t n, const int32_t *at, const float *part, const float *row, float *out);
    void (*between_both)(size_t n, const int32_t *at, const float *part, const float *row,
                         float *out);
    /* usual (or otherwise, where that is NaN), and what differs from it: day, week, recent,
     * `otherwise`; and day from wide. 0 where that is not finite. */
    void (*habits)(const struct row_habits *habits, float *usual, float *const off[5]);
    /* A path's three rows (3, n). settle: where one is NaN all are `otherwise`; low and high on
     * their side of the middle. towards: drawn to `said` by `share`, where it is not NaN. widen:
     * both halves of the band by a factor. limit: cut to +-most, NaN to -most. admit: within
     * [least, most], whole numbers if wanted, ascending. */
    void (*settle)(size_t n, const float *otherwise, float *path);
    void (*towards)(size_t n, const float *said, const float *share, float *row);
    void (*widen)(size_t n, float below, float above, float *const path[3]);
    void (*limit)(size_t n, float most, float *row);
    void (*admit)(size_t n, const float *path, float least, float most, bool whole,
                  float *const out[3]);
    /* below and above of a path (3, n), not below `least`. */
    void (*widths)(size_t n, const float *path, float least, float *below, float *above);
    /* per_width: one over the mean of below and above. rows (6, n): log of width over spread, of
     * above over below, center from now and from the level in spreads, `span` (from -1 to 1),
     * persistence from now in widths; each cut to +-8. */
    void (*band)(const struct row_band *band, float *per_width, float *rows);
    /* (x - center) * per_width, cut to +-8; 0 where x is NaN. */
    void (*relative)(size_t n, const float *x, const float *center, const float *per_width,
                     float *out);
    /* Means of stretches of even lengths, one after the other, of `count` rows:
     * out[s * count + k] of row k. */
    void (*stretch_means)(size_t count, size_t n, const float *rows, size_t stretches,
                          const int *lengths, float *out);
    /* center + x * (below or above, by the sign of x) */
    void (*places)(size_t n, const float *center, const float *below, const float *above,
                   const float *x, float *out);
    void (*add_sample)(struct ridge *ridge, const float x[RIDGE_FEATURES], float y, float weight,
                       float decay);
    /* Of ROW_RIDGES fits side by side (ridge.h). */
    void (*solve)(const struct ridge *ridges, float coefficient[][RIDGE_FEATURES]);
    /* exp(x); 0 below -103, where single precision ends, and nothing smaller than 1.6e-38 above. */
    void (*exp)(size_t n, const float *x, float *out);
};

const struct row_kernels *row_kernels_plain(void);
/* NULL: the processor has no AVX2 and FMA, or not AVX-512 F, BW, DQ and VL. */
const struct row_kernels *row_kernels_avx2(void);
const struct row_kernels *row_kernels_avx512(void);
/* The widest that the processor has and FOREWARN_KERNELS allows (tft/kernels/set.h). */
const struct row_kernels *row_kernels_best(void);

/* For rows.c. */
extern const struct row_kernels row_kernels_plain_table, row_kernels_avx2_table,
    row_kernels_avx512_table;

#endif
