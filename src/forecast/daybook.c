#include "forecast/daybook.h"

#include "base/half.h"
#include "forecast/kernels/rows.h"
#include "forecast/series.h"

#include <assert.h>
#include <math.h>

enum { DAY_S = 86400, FILLED_MIN = 4 };

uint32_t daybook_bin_s(uint32_t step_s)
{
    return step_s <= DAYBOOK_BIN_S ? DAYBOOK_BIN_S : 2 * DAYBOOK_BIN_S;
}

int64_t daybook_places(uint32_t step_s, int64_t first, size_t n, int32_t *bins, float *parts)
{
    /* In halves of a second, from the middle of the bin before. */
    const int32_t bin = 2 * (int32_t)daybook_bin_s(step_s), step = 2 * (int32_t)step_s;
    const int64_t at = first * step + (int64_t)step_s - bin / 2;
    const int64_t first_bin = at / bin - (at % bin < 0);
    int32_t past = (int32_t)(at - first_bin * bin), count = 0;
    for (size_t i = 0; i < n; i++, past += step) {
        for (; past >= bin; past -= bin)
            count++;
        bins[i] = count;
        parts[i] = (float)past / (float)bin;
    }
    return first_bin;
}

struct daybook_place daybook_place(uint32_t step_s, int64_t step)
{
    int32_t none;
    struct daybook_place place;
    place.bin = daybook_places(step_s, step, 1, &none, &place.part);
    return place;
}

void daybook_bins(uint32_t step_s, const int64_t *steps, size_t n, int64_t *bins)
{
    const int64_t bin = 2 * (int64_t)daybook_bin_s(step_s), step = 2 * (int64_t)step_s;
    struct daybook_place place =
        n > 0 ? daybook_place(step_s, steps[0]) : (struct daybook_place){0};
    int64_t past = n > 0 ? steps[0] * step + (int64_t)step_s - bin / 2 - place.bin * bin : 0;
    for (size_t i = 0; i < n; i++) {
        past += i > 0 ? (steps[i] - steps[i - 1]) * step : 0;
        for (; past >= bin; past -= bin)
            place.bin++;
        bins[i] = place.bin;
    }
}

void daybook_init(struct daybook *book, uint32_t step_s, float center, float unit)
{
    *book = (struct daybook){.newest = -1,
                             .per_day = (uint16_t)(DAY_S / daybook_bin_s(step_s)),
                             .center = center,
                             .unit = unit};
    for (size_t i = 0; i < sizeof book->value / sizeof book->value[0]; i++)
        book->value[i] = FW_HALF_NAN;
    for (size_t i = 0; i < DAYBOOK_PER_DAY_MAX; i++)
        for (size_t q = 0; q < 3; q++)
            book->quantile[i][q] = FW_HALF_NAN;
}

static int64_t bins_of(const struct daybook *book)
{
    return (int64_t)book->per_day * DAYBOOK_DAYS;
}

static int64_t modulo(int64_t a, int64_t b)
{
    return (a % b + b) % b;
}

static inline float value_of(const struct daybook *book, uint16_t half)
{
    return half == FW_HALF_NAN ? NAN : book->center + book->unit * fw_half_to(half);
}

float daybook_value(const struct daybook *book, uint16_t half)
{
    return value_of(book, half);
}

uint16_t daybook_half(const struct daybook *book, float value)
{
    return isnan(value) ? FW_HALF_NAN : fw_half_from((value - book->center) / book->unit);
}

static void set(struct daybook *book, int64_t bin, uint16_t half)
{
    uint16_t *at = &book->value[modulo(bin, bins_of(book))];
    book->filled = (uint16_t)(book->filled + (half != FW_HALF_NAN) - (*at != FW_HALF_NAN));
    *at = half;
}

/* Halves as whole numbers in the order of what they stand for. */
static int32_t rank_of(uint16_t half)
{
    return half & 0x8000u ? 0x7fff - (int32_t)half : (int32_t)half;
}

static uint16_t half_of(int32_t rank)
{
    return (uint16_t)(rank < 0 ? 0x7fff - rank : rank);
}

/* Ranks of what is there of the n bins from `first` on, in a row; returns how many. */
static size_t collect(const struct daybook *book, int64_t first, int64_t n, int32_t *out)
{
    const int64_t bins = bins_of(book), oldest = book->newest - bins + 1;
    int64_t from = first > oldest ? first : oldest, to = first + n;
    size_t count = 0;
    from = from > 0 ? from : 0;
    to = to > book->newest + 1 ? book->newest + 1 : to;
    int64_t place = from < to ? from % bins : 0;
    for (; from < to; from++, place = place + 1 < bins ? place + 1 : 0) {
        out[count] = rank_of(book->value[place]);
        count += book->value[place] != FW_HALF_NAN;
    }
    return count;
}

static void sort_ranks(int32_t *rank, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        const int32_t x = rank[i];
        size_t k = i;
        for (; k > 0 && rank[k - 1] > x; k--)
            rank[k] = rank[k - 1];
        rank[k] = x;
    }
}

/* series_quantile() of what the sorted ranks stand for. */
static float quantile_of(const struct daybook *book, const int32_t *rank, size_t n, double level)
{
    const double at = level * (double)(n - 1);
    const size_t i = (size_t)at, next = i + 1 < n ? i + 1 : i;
    const float two[2] = {value_of(book, half_of(rank[i])), value_of(book, half_of(rank[next]))};
    return (float)series_quantile(two, 2, at - (double)i);
}

/* The quantiles at the time of day of `bin`. */
static void renew_quantiles(struct daybook *book, int64_t bin)
{
    static const double levels[3] = {0.1, 0.5, 0.9};
    int32_t all[3 * (DAYBOOK_DAYS + 1)];
    size_t n = 0;
    const int64_t place = modulo(bin, book->per_day);
    const int64_t last = book->newest - modulo(book->newest - place, book->per_day);
    for (int64_t day = 0; day <= DAYBOOK_DAYS; day++)
        n += collect(book, last - day * book->per_day - 1, 3, all + n);
    if (n == 0)
        return;
    sort_ranks(all, n);
    for (size_t q = 0; q < 3; q++)
        book->quantile[place][q] = daybook_half(book, quantile_of(book, all, n, levels[q]));
}

void daybook_put(struct daybook *book, int64_t bin, float value)
{
    const int64_t oldest = bin - bins_of(book) + 1;
    assert(bin > book->newest && bin >= 0);
    int64_t missing = book->newest + 1 > oldest ? book->newest + 1 : oldest;
    for (missing = missing > 0 ? missing : 0; missing < bin; missing++)
        set(book, missing, FW_HALF_NAN);
    set(book, bin, daybook_half(book, value));
    book->newest = bin;
    for (int64_t side = -1; side <= 1; side++)
        renew_quantiles(book, bin + side);
}

float daybook_at(const struct daybook *book, int64_t bin)
{
    if (bin > book->newest || bin <= book->newest - bins_of(book) || bin < 0)
        return NAN;
    return value_of(book, book->value[modulo(bin, bins_of(book))]);
}

void daybook_sum_days(const struct daybook *book, int64_t first, size_t n, size_t days, float decay,
                      int64_t known, const struct row_days *sums)
{
    const int64_t bins = bins_of(book), oldest = book->newest - bins + 1;
    const int64_t newest = known < book->newest ? known : book->newest;
    float weight = 1.0f;
    for (size_t day = 1; day <= days; day++) {
        const int64_t there = first - (int64_t)day * book->per_day;
        int64_t from = there > oldest ? there : oldest;
        from = from > 0 ? from : 0;
        const int64_t last = there + (int64_t)n - 1, to = (last < newest ? last : newest) + 1;
        while (from < to) { /* in the ring, one stretch or two */
            const int64_t place = modulo(from, bins);
            const int64_t end = to - from < bins - place ? to : from + bins - place;
            const size_t at = (size_t)(from - there);
            const struct row_days rest = {sums->plain + at, sums->count + at, sums->sum + at,
                                          sums->weights + at};
            row_kernels_best()->add_day((size_t)(end - from), &book->value[place], book->center,
                                        book->unit, weight, &rest);
            from = end;
        }
        weight *= decay;
    }
}

void daybook_row(const struct daybook *book, int64_t first, size_t n, float *out)
{
    const int64_t bins = bins_of(book), oldest = book->newest - bins + 1;
    int64_t from = first > oldest ? first : oldest;
    const int64_t last = first + (int64_t)n - 1;
    const int64_t to = (last < book->newest ? last : book->newest) + 1;
    for (size_t i = 0; i < n; i++)
        out[i] = NAN;
    for (from = from > 0 ? from : 0; from < to;) { /* in the ring, one stretch or two */
        const int64_t place = modulo(from, bins);
        const int64_t end = to - from < bins - place ? to : from + bins - place;
        row_kernels_best()->halves((size_t)(end - from), &book->value[place], book->center,
                                   book->unit, out + (from - first));
        from = end;
    }
}

void daybook_climates(const struct daybook *book, int64_t first, size_t n, float *const out[3])
{
    float day[DAYBOOK_PER_DAY_MAX][3];
    int64_t place = modulo(first, book->per_day);
    const bool within = place + (int64_t)n <= book->per_day; /* else the whole day */
    const int64_t from = within ? place : 0, some = within ? (int64_t)n : book->per_day;
    row_kernels_best()->halves((size_t)(3 * some), book->quantile[from], book->center, book->unit,
                               day[from]);
    for (size_t i = 0; i < n; i++, place = place + 1 < book->per_day ? place + 1 : 0)
        for (size_t q = 0; q < 3; q++)
            out[q][i] = book->filled < FILLED_MIN ? NAN : day[place][q];
}

void daybook_climate(const struct daybook *book, int64_t bin, float out[3])
{
    float *const rows[3] = {&out[0], &out[1], &out[2]};
    daybook_climates(book, bin, 1, rows);
}

void daybook_quantiles(const struct daybook *book, struct daybook_place place, float out[3])
{
    float low[3], high[3];
    daybook_climate(book, place.bin, low);
    daybook_climate(book, place.bin + 1, high);
    for (size_t q = 0; q < 3; q++)
        out[q] = (1.0f - place.part) * low[q] + place.part * high[q];
}
