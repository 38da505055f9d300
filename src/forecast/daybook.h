/* What a metric did on the last fourteen days: for every half hour (an hour where steps are longer
 * than half an hour) the median of its steps, on the series' map. A window holds three days;
 * rhythms of a week, and what is usual at this time of day, need more. 1.6 KiB a metric. Private to
 * this folder. */
#ifndef FW_FORECAST_DAYBOOK_H
#define FW_FORECAST_DAYBOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DAYBOOK_DAYS = 14, DAYBOOK_PER_DAY_MAX = 48, DAYBOOK_BIN_S = 1800 };

struct daybook {
    int64_t newest;     /* bin: seconds since 1970 / length of a bin; -1: empty */
    uint16_t per_day;   /* bins */
    uint16_t filled;    /* bins that hold anything */
    float center, unit; /* what is stored is the distance from the center in units, as a half */
    uint16_t value[DAYBOOK_PER_DAY_MAX * DAYBOOK_DAYS]; /* by bin modulo per_day * DAYBOOK_DAYS */
    uint16_t quantile[DAYBOOK_PER_DAY_MAX][3]; /* by bin of the day: 0.1, 0.5, 0.9 of that bin and
                                                  its neighbours on all days */
};

/* Length of a bin for a grid of steps. */
uint32_t daybook_bin_s(uint32_t step_s);

/* Where a step (its middle) stands between the middles of two bins: (1 - part) * bin + part * the
 * next. */
struct daybook_place {
    int64_t bin;
    float part;
};
struct daybook_place daybook_place(uint32_t step_s, int64_t step);
/* Of n steps in a row, bins counted from the first one's, which is returned. */
int64_t daybook_places(uint32_t step_s, int64_t first, size_t n, int32_t *bins, float *parts);

/* The bins alone, of steps that ascend. */
void daybook_bins(uint32_t step_s, const int64_t *steps, size_t n, int64_t *bins);

/* center: about the middle of the values; unit: what they differ by, about, positive. */
void daybook_init(struct daybook *book, uint32_t step_s, float center, float unit);
/* As the book keeps values: distance from the center in units, as a half. NaN stays NaN. */
uint16_t daybook_half(const struct daybook *book, float value);
float daybook_value(const struct daybook *book, uint16_t half);
/* Enters a bin newer than all others (asserted); those between become missing. NaN: missing. */
void daybook_put(struct daybook *book, int64_t bin, float value);
/* NaN: missing, too old, or not there yet. */
float daybook_at(const struct daybook *book, int64_t bin);
/* Of n bins in a row. */
void daybook_row(const struct daybook *book, int64_t first, size_t n, float *out);
/* Sums over the `days` days before each of n bins in a row; the k-th day before counts decay^(k -
 * 1) in the weighted sum. Bins after `known` count nothing. */
struct row_days;
void daybook_sum_days(const struct daybook *book, int64_t first, size_t n, size_t days, float decay,
                      int64_t known, const struct row_days *sums);
/* Quantiles 0.1, 0.5, 0.9 at the time of day of a bin; NaN with fewer than four bins. */
void daybook_climate(const struct daybook *book, int64_t bin, float out[3]);
/* Of n bins in a row. */
void daybook_climates(const struct daybook *book, int64_t first, size_t n, float *const out[3]);
/* The same at a place between two bins. */
void daybook_quantiles(const struct daybook *book, struct daybook_place place, float out[3]);

#endif
