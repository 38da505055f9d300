#include "forecast/expert.h"

#include <assert.h>
#include <math.h>

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

/* ---- from the book ---- */

static void fill_bin(const struct daybook *book, int64_t known, int64_t bin, size_t i,
                     struct expert_shelf *shelf)
{
    float sum = 0.0f, weights = 0.0f, plain = 0.0f, count = 0.0f, next = 1.0f;
    float days[DAYBOOK_DAYS], climate[3];
    daybook_days(book, bin, DAYBOOK_DAYS, days);
    for (int64_t day = 1; day <= DAYBOOK_DAYS; day++) {
        const float value = days[day - 1], weight = next;
        next *= recent_decay;
        if (isnan(value) || bin - day * book->per_day > known)
            continue;
        plain += value;
        count += 1.0f;
        sum += weight * value;
        weights += weight;
    }
    shelf->usual[i] = count > 0.0f ? plain / count : NAN;
    shelf->recent[i] = count > 0.0f ? sum / weights : NAN;
    shelf->week[i] = days[WEEK_DAYS - 1];
    daybook_climate(book, bin, climate);
    for (size_t q = 0; q < 3; q++)
        shelf->climate[q][i] = climate[q];
}

static void fill_shelf(const struct daybook *book, int64_t known, int64_t first, size_t n,
                       struct expert_shelf *shelf)
{
    assert(n <= EXPERT_BINS_MAX);
    /* Where even the day before was whole, it does not matter when. */
    if (first + (int64_t)n - 1 - book->per_day <= known)
        known = INT64_MAX;
    if (shelf->book == book && shelf->newest == book->newest && shelf->first == first &&
        shelf->n == n && shelf->known == known)
        return;
    shelf->book = book;
    shelf->newest = book->newest;
    shelf->known = known;
    shelf->first = first;
    shelf->n = n;
    for (size_t i = 0; i < n; i++)
        fill_bin(book, known, first + (int64_t)i, i, shelf);
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
    struct expert_shelf *here = &parts->room.here, *there = &parts->room.there;
    struct daybook_place *place = parts->room.place;
    const int64_t step = v->first_step + origin;
    const int64_t hour = steps_of(HOUR_S, v->step_s);
    const int64_t known = (step + 1) * (int64_t)v->step_s / daybook_bin_s(v->step_s) - 1;
    const size_t n = (size_t)(to - from) + 1;
    const struct daybook_place now = daybook_place(v->step_s, step - (hour - 1) / 2);
    daybook_places(v->step_s, step + from, n, place);
    const int64_t first = place[0].bin, last = place[n - 1].bin;
    fill_shelf(v->book, known, now.bin, 2, here);
    fill_shelf(v->book, known, first, (size_t)(last - first) + 2, there);
    const float level = (float)series_level(v->sums, origin, hour);
    const float recent = between(here->recent, here, now), week = between(here->week, here, now);
    for (size_t i = 0; i < n; i++) {
        parts->room.usual[i] = between(there->usual, there, place[i]);
        parts->base[EXPERT_RECENT][i] = between(there->recent, there, place[i]);
        parts->signal[EXPERT_RECENT][i] = isnan(recent) ? 0.0f : level - recent;
        parts->base[EXPERT_WEEK][i] = between(there->week, there, place[i]);
        parts->signal[EXPERT_WEEK][i] = isnan(week) ? 0.0f : level - week;
        for (size_t q = 0; q < 3; q++) {
            const float *row = there->climate[q] + (place[i].bin - first);
            parts->climate[q][i] = (1.0f - place[i].part) * row[0] + place[i].part * row[1];
        }
    }
    return between(here->usual, here, now);
}

/* ---- from the window ---- */

/* The mean of [from, to), clipped to the window's end; false: it begins before it, or nothing is
 * known. */
static inline bool stretch_mean(const struct series_sums *s, int64_t from, int64_t to, double *mean)
{
    to = to < (int64_t)s->n ? to : (int64_t)s->n;
    if (from < 0 || from >= to || s->seen[to] == s->seen[from])
        return false;
    *mean = (s->sum[to] - s->sum[from]) / (double)(s->seen[to] - s->seen[from]);
    return true;
}

/* The step itself a day before, or what was around it. */
static float a_day_before(const struct series_sums *sums, int64_t at, int64_t around)
{
    const int64_t there = at - (int64_t)sums->day;
    double mean;
    if (there >= 0 && !isnan(sums->plain[there]))
        return sums->mapped[there];
    return stretch_mean(sums, there - around, there + around + 1, &mean) ? (float)mean : NAN;
}

/* The same time of up to three days before. */
static float days_before(const struct series_sums *sums, int64_t at, int64_t around)
{
    double sum = 0.0, mean;
    int count = 0;
    for (int64_t days = 1; days <= DAYS_BEFORE; days++) {
        const int64_t there = at - days * (int64_t)sums->day;
        if (stretch_mean(sums, there - around, there + around + 1, &mean)) {
            sum += mean;
            count++;
        }
    }
    return count > 0 ? (float)(sum / count) : NAN;
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
    int64_t ahead = (from - 1) % day; /* at the same time of the first day ahead */
    for (int h = from; h <= to; h++, ahead = ahead + 1 < day ? ahead + 1 : 0) {
        const int64_t same_time = origin + 1 + ahead;
        const float sharp = days_before(v->sums, same_time, sharp_steps);
        const float wide = days_before(v->sums, same_time, WIDE_S / (int64_t)v->step_s);
        parts->base[EXPERT_DAY][h - from] = sharp;
        parts->signal[EXPERT_DAY][h - from] = isnan(change) ? 0.0f : change;
        parts->base[EXPERT_YESTERDAY][h - from] = a_day_before(v->sums, same_time, sharp_steps);
        parts->signal[EXPERT_YESTERDAY][h - from] = isnan(since) ? 0.0f : since;
        parts->room.detail[h - from] = sharp - wide;
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
    for (int h = from; h <= to; h++)
        trend[h - from] = (float)(last + slope * (double)(origin + h - at));
    series_to_all(v->map, n, trend, trend);
    for (size_t i = 0; i < n; i++) {
        parts->base[EXPERT_PERSISTENCE][i] = newest;
        parts->signal[EXPERT_PERSISTENCE][i] = 0.0f;
        parts->base[EXPERT_LEVEL][i] = day;
        parts->signal[EXPERT_LEVEL][i] = hour - day;
        parts->base[EXPERT_TREND][i] = newest;
        trend[i] -= newest;
    }
}

/* ---- linear ---- */

static float or_zero(float x)
{
    return isfinite(x) ? x : 0.0f;
}

static void linear_parts(const struct expert_view *v, int64_t origin, int n, float usual,
                         struct expert_parts *parts)
{
    const struct series_sums *s = v->sums;
    const float newest = parts->base[EXPERT_PERSISTENCE][0];
    const float hour = (float)series_level(s, origin, steps_of(HOUR_S, v->step_s));
    const float six = (float)series_level(s, origin, steps_of(6 * HOUR_S, v->step_s));
    const float day = (float)series_level(s, origin, (int64_t)s->day);
    const float now = isnan(usual) ? hour : usual;
    for (int i = 0; i < n; i++) {
        const float then = isnan(parts->room.usual[i]) ? day : parts->room.usual[i];
        parts->base[EXPERT_LINEAR][i] = then;
        parts->signal[EXPERT_LINEAR][i] = 0.0f;
        parts->feature[0][i] = or_zero(parts->base[EXPERT_DAY][i] - then);
        parts->feature[1][i] = or_zero(parts->base[EXPERT_WEEK][i] - then);
        parts->feature[2][i] = or_zero(parts->base[EXPERT_RECENT][i] - then);
        parts->feature[3][i] = or_zero(newest - now);
        parts->feature[4][i] = or_zero(hour - now);
        parts->feature[5][i] = or_zero(six - day);
        parts->feature[6][i] = or_zero(day - then);
        parts->feature[7][i] = or_zero(parts->room.detail[i]);
    }
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
