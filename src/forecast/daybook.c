#include "forecast/daybook.h"

#include "base/half.h"
#include "forecast/series.h"

#include <assert.h>
#include <math.h>

enum { DAY_S = 86400, FILLED_MIN = 4 };

uint32_t daybook_bin_s(uint32_t step_s)
{
    return step_s <= DAYBOOK_BIN_S ? DAYBOOK_BIN_S : 2 * DAYBOOK_BIN_S;
}

void daybook_places(uint32_t step_s, int64_t first, size_t n, struct daybook_place *places)
{
    /* In halves of a second, from the middle of the bin before. */
    const int64_t bin = 2 * (int64_t)daybook_bin_s(step_s), step = 2 * (int64_t)step_s;
    const int64_t at = first * step + (int64_t)step_s - bin / 2;
    struct daybook_place place = {.bin = at / bin - (at % bin < 0)};
    int64_t past = at - place.bin * bin;
    for (size_t i = 0; i < n; i++, past += step) {
        for (; past >= bin; past -= bin)
            place.bin++;
        place.part = (float)past / (float)bin;
        places[i] = place;
    }
}

struct daybook_place daybook_place(uint32_t step_s, int64_t step)
{
    struct daybook_place place;
    daybook_places(step_s, step, 1, &place);
    return place;
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

/* The quantiles at the time of day of `bin`. */
static void renew_quantiles(struct daybook *book, int64_t bin)
{
    static const double levels[3] = {0.1, 0.5, 0.9};
    float all[3 * (DAYBOOK_DAYS + 1)];
    size_t n = 0;
    const int64_t place = modulo(bin, book->per_day);
    const int64_t last = book->newest - modulo(book->newest - place, book->per_day);
    for (int64_t day = 0; day <= DAYBOOK_DAYS; day++)
        for (int64_t side = -1; side <= 1; side++) {
            const float value = daybook_at(book, last - day * book->per_day + side);
            if (!isnan(value))
                all[n++] = value;
        }
    if (n == 0)
        return;
    series_sort(all, n);
    for (size_t q = 0; q < 3; q++)
        book->quantile[place][q] = daybook_half(book, (float)series_quantile(all, n, levels[q]));
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

void daybook_days(const struct daybook *book, int64_t bin, size_t days, float *out)
{
    const int64_t bins = bins_of(book);
    int64_t place = modulo(bin - book->per_day, bins);
    for (size_t day = 0; day < days; day++) {
        bin -= book->per_day;
        const bool there = bin <= book->newest && bin > book->newest - bins && bin >= 0;
        out[day] = there ? value_of(book, book->value[place]) : NAN;
        place -= book->per_day;
        place += place < 0 ? bins : 0;
    }
}

void daybook_climate(const struct daybook *book, int64_t bin, float out[3])
{
    const uint16_t *at = book->quantile[modulo(bin, book->per_day)];
    for (size_t q = 0; q < 3; q++)
        out[q] = book->filled < FILLED_MIN ? NAN : value_of(book, at[q]);
}

void daybook_quantiles(const struct daybook *book, struct daybook_place place, float out[3])
{
    float low[3], high[3];
    daybook_climate(book, place.bin, low);
    daybook_climate(book, place.bin + 1, high);
    for (size_t q = 0; q < 3; q++)
        out[q] = (1.0f - place.part) * low[q] + place.part * high[q];
}
