#include "forecast/expert.h"

#include "forecast/kernels/rows.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum {
    DAYS_BEFORE = 3,
    SHARP_S = 300, /* a job that runs at ten past two is not smeared over half an hour */
    WIDE_S = 1800,
    QUARTER_S = 900,
    HOUR_S = 3600,
    WEEK_DAYS = 7,
};
static const float recent_decay = 0.8f;

const char *expert_name(enum expert expert)
{
    static const char *const names[EXPERT_COUNT] = {
        "persistence", "level", "day", "week", "recent", "trend", "linear", "yesterday", "climate",
    };
    assert((unsigned)expert < EXPERT_COUNT);
    return names[expert];
}

static int64_t steps_of(uint32_t seconds, uint32_t step_s)
{
    return seconds / step_s > 1 ? seconds / step_s : 1;
}

static void fill(float *row, size_t n, float value)
{
    row_kernels_best()->fill(n, value, row);
}

static float or_zero(float x)
{
    return isfinite(x) ? x : 0.0f;
}

/* ---- from the book ---- */

static void fill_bins(const struct daybook *book, int64_t known, int64_t first, size_t n,
                      struct expert_shelf *shelf)
{
    float sums[4][EXPERT_BINS_MAX] ROW_UNSET;
    const struct row_days days = {sums[0], sums[1], sums[2], sums[3]};
    for (size_t i = 0; i < 4; i++)
        memset(sums[i], 0, n * sizeof sums[i][0]);
    daybook_sum_days(book, first, n, DAYBOOK_DAYS, recent_decay, known, &days);
    for (size_t i = 0; i < n; i++) {
        const bool any = days.count[i] > 0.0f;
        shelf->usual[i] = any ? days.plain[i] / days.count[i] : NAN;
        shelf->recent[i] = any ? days.sum[i] / days.weights[i] : NAN;
    }
    float *const climate[3] = {shelf->climate[0], shelf->climate[1], shelf->climate[2]};
    daybook_row(book, first - WEEK_DAYS * (int64_t)book->per_day, n, shelf->week);
    daybook_climates(book, first, n, climate);
}

/* The n bins from `first` on; false: they are on the shelf already. */
static bool fill_shelf(const struct daybook *book, int64_t known, int64_t first, size_t n,
                       struct expert_shelf *shelf)
{
    assert(n <= EXPERT_BINS_MAX);
    /* Where even the day before was whole, it does not matter when. */
    if (first + (int64_t)n - 1 - book->per_day <= known)
        known = INT64_MAX;
    if (shelf->book == book && shelf->newest == book->newest && shelf->known == known &&
        shelf->first <= first && first + (int64_t)n <= shelf->first + (int64_t)shelf->n)
        return false;
    n = (n + 7) / 8 * 8; /* whole registers; what lies beyond is not looked at */
    shelf->book = book;
    shelf->newest = book->newest;
    shelf->known = known;
    shelf->first = first;
    shelf->n = n;
    fill_bins(book, known, first, n, shelf);
    return true;
}

static float between(const float *row, const struct expert_shelf *shelf, struct daybook_place place)
{
    const int64_t i = place.bin - shelf->first;
    assert(i >= 0 && i + 1 < (int64_t)shelf->n);
    const float a = row[i], b = row[i + 1];
    if (isnan(a))
        return b;
    return isnan(b) ? a : (1.0f - place.part) * a + place.part * b;
}

/* Returns what is usual now, for `linear`. */
static float book_parts(const struct expert_view *v, int64_t origin, int from, int to,
                        struct expert_parts *parts)
{
    const struct row_kernels *kernels = row_kernels_best();
    struct expert_shelf *shelf = &parts->room.shelf;
    const int32_t *bin = parts->room.bin;
    const float *part = parts->room.part;
    const int64_t step = v->first_step + origin;
    const int64_t hour = steps_of(HOUR_S, v->step_s);
    const int64_t known = (step + 1) * (int64_t)v->step_s / daybook_bin_s(v->step_s) - 1;
    const size_t n = (size_t)(to - from) + 1;
    const struct daybook_place now = daybook_place(v->step_s, step - (hour - 1) / 2);
    const int64_t first =
        daybook_places(v->step_s, step + from, n, parts->room.bin, parts->room.part);
    const bool filled =
        fill_shelf(v->book, known, now.bin, (size_t)(first + bin[n - 1] - now.bin) + 2, shelf);
    const size_t at = (size_t)(first - shelf->first);
    const float level = (float)series_level(v->sums, origin, hour);
    const float recent = between(shelf->recent, shelf, now);
    const float week = between(shelf->week, shelf, now);
    if (filled || n > 1 || parts->room.book_at != step + from) {
        kernels->between(n, bin, part, shelf->usual + at, parts->room.usual);
        kernels->between(n, bin, part, shelf->recent + at, parts->base[EXPERT_RECENT]);
        kernels->between(n, bin, part, shelf->week + at, parts->base[EXPERT_WEEK]);
        for (size_t q = 0; q < 3; q++)
            kernels->between_both(n, bin, part, shelf->climate[q] + at, parts->climate[q]);
        parts->room.book_at = n > 1 ? 0 : step + from;
    }
    fill(parts->signal[EXPERT_RECENT], n, isnan(recent) ? 0.0f : level - recent);
    fill(parts->signal[EXPERT_WEEK], n, isnan(week) ? 0.0f : level - week);
    return between(shelf->usual, shelf, now);
}

/* ---- from the window ---- */

/* The mean of [from, to), clipped to the window's end; NaN: it begins before it, or nothing is
 * known. */
static float stretch_mean(const struct series_sums *s, int64_t from, int64_t to)
{
    return from < 0 ? NAN : (float)series_mean(s, from, to);
}

/* Each of n steps a day before, or what was around it. */
static void a_day_before(const struct series_sums *s, int64_t at, size_t n, int64_t around,
                         float *out)
{
    const int64_t first = at - (int64_t)s->day, end = first + (int64_t)n;
    if (first >= 0 && end <= (int64_t)s->n && s->seen[end] - s->seen[first] == end - first) {
        memcpy(out, s->mapped + first, n * sizeof *out);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const int64_t there = first + (int64_t)i;
        const bool seen = there >= 0 && !isnan(s->plain[there]);
        out[i] = seen ? s->mapped[there] : stretch_mean(s, there - around, there + around + 1);
    }
}

/* The means around the n steps from `at` on, on up to three days before: those stretches of them
 * that are whole in the window, or cut by its end, one step at a time. */
static void days_before(const struct series_sums *s, int64_t at, size_t n, int64_t around,
                        float *out)
{
    const int64_t width = 2 * around + 1, end = (int64_t)s->n;
    double total[FORECAST_HORIZON] ROW_UNSET, count[FORECAST_HORIZON] ROW_UNSET;
    memset(total, 0, n * sizeof *total);
    memset(count, 0, n * sizeof *count);
    for (int64_t days = 1; days <= DAYS_BEFORE; days++) {
        const int64_t there = at - days * (int64_t)s->day - around;
        int64_t i = there < 0 ? -there : 0;
        int64_t whole = end - width - there + 1;
        whole = whole < (int64_t)n ? whole : (int64_t)n;
        if (i < whole)
            row_kernels_best()->add_means((size_t)(whole - i), (size_t)width, s->sum + there + i,
                                          s->seen + there + i, total + i, count + i);
        for (i = i > whole ? i : whole; i < (int64_t)n; i++) {
            const double mean = series_mean(s, there + i, there + i + width);
            total[i] += isnan(mean) ? 0.0 : mean;
            count[i] += isnan(mean) ? 0.0 : 1.0;
        }
    }
    row_kernels_best()->quotients(n, total, count, out);
}

static void day_parts(const struct expert_view *v, int64_t origin, int from, int to,
                      struct expert_parts *parts)
{
    const int64_t day = (int64_t)v->sums->day, hour = steps_of(HOUR_S, v->step_s);
    const int64_t sharp_steps = SHARP_S / (int64_t)v->step_s;
    const double now = series_level(v->sums, origin, hour);
    double sum = 0.0, yesterday = 0.0;
    int count = 0;
    for (int64_t days = 1; days <= DAYS_BEFORE && origin - days * day - hour >= 0;
         days++, count++) {
        const double then = series_level(v->sums, origin - days * day, hour);
        yesterday = days == 1 ? then : yesterday;
        sum += then;
    }
    const float change = count > 0 ? (float)(now - sum / count) : 0.0f;
    const float since = count > 0 ? (float)(now - yesterday) : 0.0f;
    const size_t n = (size_t)(to - from) + 1;
    fill(parts->signal[EXPERT_DAY], n, isnan(change) ? 0.0f : change);
    fill(parts->signal[EXPERT_YESTERDAY], n, isnan(since) ? 0.0f : since);
    if (n == 1 && parts->room.day_at == origin + 1 + (from - 1) % day)
        return;
    parts->room.day_at = n > 1 ? 0 : origin + 1 + (from - 1) % day;
    for (size_t i = 0; i < n;) { /* at the same time of the first day ahead */
        const int64_t ahead = (from - 1 + (int64_t)i) % day, same_time = origin + 1 + ahead;
        const size_t left = (size_t)(day - ahead), some = n - i < left ? n - i : left;
        days_before(v->sums, same_time, some, sharp_steps, parts->base[EXPERT_DAY] + i);
        days_before(v->sums, same_time, some, WIDE_S / (int64_t)v->step_s, parts->room.wide + i);
        a_day_before(v->sums, same_time, some, sharp_steps, parts->base[EXPERT_YESTERDAY] + i);
        i += some;
    }
}

static void level_parts(const struct expert_view *v, int64_t origin, int from, int to,
                        struct expert_parts *parts)
{
    const struct series_sums *sums = v->sums;
    const float newest = (float)series_level(sums, origin, steps_of(QUARTER_S, v->step_s));
    const float day = (float)series_level(sums, origin, (int64_t)sums->day);
    const float hour = (float)series_level(sums, origin, steps_of(HOUR_S, v->step_s));
    const int32_t at = sums->newest[origin];
    const double slope = series_slope(sums, origin), last = (double)sums->plain[at];
    float *trend = parts->signal[EXPERT_TREND];
    const size_t n = (size_t)(to - from) + 1;
    const int32_t ahead = (int32_t)(origin + from - at);
    float line[FORECAST_HORIZON] ROW_UNSET;
    row_kernels_best()->ramp_line(n, last + slope * (double)ahead, slope, line);
    series_to_all(v->map, n, line, trend);
    row_kernels_best()->shift(n, -newest, trend);
    fill(parts->base[EXPERT_PERSISTENCE], n, newest);
    fill(parts->signal[EXPERT_PERSISTENCE], n, 0.0f);
    fill(parts->base[EXPERT_LEVEL], n, day);
    fill(parts->signal[EXPERT_LEVEL], n, hour - day);
    fill(parts->base[EXPERT_TREND], n, newest);
}

/* ---- linear ---- */

static void linear_parts(const struct expert_view *v, int64_t origin, int n, float usual,
                         struct expert_parts *parts)
{
    const struct series_sums *s = v->sums;
    const float newest = parts->base[EXPERT_PERSISTENCE][0];
    const float hour = (float)series_level(s, origin, steps_of(HOUR_S, v->step_s));
    const float six = (float)series_level(s, origin, steps_of(6 * HOUR_S, v->step_s));
    const float day = (float)series_level(s, origin, (int64_t)s->day);
    const struct row_habits habits = {.n = (size_t)n,
                                      .usual = parts->room.usual,
                                      .otherwise = day,
                                      .day = parts->base[EXPERT_DAY],
                                      .week = parts->base[EXPERT_WEEK],
                                      .recent = parts->base[EXPERT_RECENT],
                                      .wide = parts->room.wide};
    float *const feature[5] = {parts->feature[0], parts->feature[1], parts->feature[2],
                               parts->feature[6], parts->feature[7]};
    const float now = isnan(usual) ? hour : usual;
    row_kernels_best()->habits(&habits, parts->base[EXPERT_LINEAR], feature);
    fill(parts->signal[EXPERT_LINEAR], (size_t)n, 0.0f);
    fill(parts->feature[3], (size_t)n, or_zero(newest - now));
    fill(parts->feature[4], (size_t)n, or_zero(hour - now));
    fill(parts->feature[5], (size_t)n, or_zero(six - day));
}

void expert_parts_init(struct expert_parts *parts)
{
    parts->room.shelf.book = NULL;
    parts->room.day_at = parts->room.book_at = 0;
}

void expert_parts(const struct expert_view *view, int64_t origin, int from, int to,
                  struct expert_parts *parts)
{
    assert(origin >= 0 && origin < (int64_t)view->sums->n && view->sums->newest[origin] >= 0);
    assert(from >= 1 && from <= to && to <= FORECAST_HORIZON);
    level_parts(view, origin, from, to, parts);
    day_parts(view, origin, from, to, parts);
    const float usual = book_parts(view, origin, from, to, parts);
    linear_parts(view, origin, to - from + 1, usual, parts);
}
