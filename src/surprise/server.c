/* One server: from a step's values and the bands that were forecast for it to a score. */
#include "base/alloc.h"
#include "surprise/surprise_internal.h"

#include <math.h>
#include <string.h>

enum {
    DAY_S = 86400,
    HOUR_S = 3600,
    BIN_S = DAY_S / SURPRISE_BINS,
    MOVED_STEPS = 96,    /* a grid that fell back further was moved (a clock put right) */
    LEARN_S = 2 * DAY_S, /* scored before they count: a day's course must have been seen */
};
static const double error_days = 3.0;  /* half-life of the usual error */
static const double narrowest = 0.25;  /* a band is at least this share of the usual error wide */
static const double most_widths = 1e3; /* outside; more is not more surprising */
static const double daily_share = 0.5; /* of what is usual at this time of day is expected */
static const size_t aheads[SURPRISE_AHEADS] = {SURPRISE_NEAR, SURPRISE_FAR};
static const size_t ring_at[SURPRISE_AHEADS] = {0, SURPRISE_NEAR + 1};

static const struct surprise_band no_band = {NAN, NAN, NAN};

struct surprise_server *surprise_server_new(const char *name)
{
    struct surprise_server *s = fw_calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    memcpy(s->name, name, strlen(name) + 1);
    s->step = s->daily.bin = -1;
    s->above_step = s->since_step = SURPRISE_LONG_AGO;
    s->raw = NAN;
    surprise_ladder_init(&s->ladder);
    for (size_t i = 0; i < SURPRISE_RING; i++)
        s->target[i] = -1;
    return s;
}

void surprise_server_free(struct surprise_server *s)
{
    if (s == NULL)
        return;
    fw_free(s->metrics);
    fw_free(s);
}

/* ---- metrics ---- */

static size_t place_of(const struct surprise_server *s, uint16_t metric)
{
    size_t at = 0;
    while (at < s->metric_count && s->metrics[at].metric < metric)
        at++;
    return at;
}

struct surprise_metric *surprise_server_metric(struct surprise_server *s, uint16_t metric)
{
    const size_t at = place_of(s, metric);
    if (at < s->metric_count && s->metrics[at].metric == metric)
        return &s->metrics[at];
    if (s->metric_count == s->metric_capacity) {
        const size_t wanted = s->metric_count == 0 ? 16 : 2 * s->metric_count;
        void *wider = fw_realloc_array(s->metrics, wanted, sizeof *s->metrics);
        if (wider == NULL)
            return NULL;
        s->metrics = wider;
        s->metric_capacity = wanted;
    }
    memmove(&s->metrics[at + 1], &s->metrics[at], (s->metric_count - at) * sizeof *s->metrics);
    s->metric_count++;
    s->metrics[at] = (struct surprise_metric){.metric = metric, .seen_step = SURPRISE_LONG_AGO};
    for (size_t k = 0; k < SURPRISE_RING; k++)
        s->metrics[at].ring[k] = no_band;
    return &s->metrics[at];
}

/* Makes room for whatever metrics the forecast has. */
static bool know_metrics(struct surprise_server *s, const struct forecast *f)
{
    for (size_t i = 0; i < f->path_count; i++)
        if (surprise_server_metric(s, f->paths[i].metric) == NULL)
            return false;
    return true;
}

/* The place for the bands of a step, `ahead` before it. One place more than steps ahead: the bands
 * for a step are still there while it is looked at again. */
static size_t ring_place(size_t ahead, int64_t step)
{
    return ring_at[ahead] + (size_t)(step % (int64_t)(aheads[ahead] + 1));
}

/* ---- the score ---- */

static double width_of(const struct surprise_metric *m, size_t ahead, const struct surprise_band *b)
{
    const double usual =
        m->weights[ahead] > 0.0f ? (double)(m->errors[ahead] / m->weights[ahead]) : 0.0;
    return fmax((double)b->p90 - (double)b->p10, narrowest * usual);
}

/* Widths outside the band, with its sign. */
static double outside(const struct surprise_metric *m, size_t ahead, const struct surprise_band *b,
                      double value)
{
    const double over = value - (double)b->p90, under = value - (double)b->p10;
    const double by = over > 0.0 ? over : under < 0.0 ? under : 0.0;
    const double width = width_of(m, ahead, b);
    if (by == 0.0)
        return 0.0;
    return width > 0.0 ? fmax(fmin(by / width, most_widths), -most_widths)
                       : copysign(most_widths, by);
}

/* Keeps the most surprising ones. */
static void add_reason(struct surprise_verdict *v, const struct surprise_reason *reason)
{
    size_t at = v->reason_count;
    if (at == SURPRISE_REASONS_MAX) {
        if (fabsf(reason->widths) <= fabsf(v->reasons[at - 1].widths))
            return;
        at--;
    } else {
        v->reason_count++;
    }
    for (; at > 0 && fabsf(v->reasons[at - 1].widths) < fabsf(reason->widths); at--)
        v->reasons[at] = v->reasons[at - 1];
    v->reasons[at] = *reason;
}

/* The surprise of one metric's value; NaN where there is nothing to compare it with, or where no
 * error has been measured yet. */
static double surprise_of(struct surprise_server *s, struct surprise_metric *m, float value,
                          struct surprise_verdict *v)
{
    double sum = 0.0;
    struct surprise_reason reason = {.metric = m->metric, .value = value};
    bool measured = true;
    m->seen = true;
    for (size_t a = SURPRISE_AHEADS; a-- > 0;) { /* the near band is the one that is shown */
        const size_t place = ring_place(a, s->step);
        const struct surprise_band *b = &m->ring[place];
        if (s->target[place] != s->step || isnan(b->p50)) {
            m->error[a] = NAN;
            m->seen = false;
            continue;
        }
        const double z = outside(m, a, b, (double)value);
        measured = measured && m->weights[a] > 0.0f;
        m->error[a] = fabsf(value - b->p50);
        sum += log1p(fabs(z));
        reason.p10 = b->p10;
        reason.p90 = b->p90;
        reason.widths = (float)z;
    }
    if (!m->seen || !measured)
        return (double)NAN;
    if (reason.widths != 0.0f)
        add_reason(v, &reason);
    return sum / SURPRISE_AHEADS;
}

/* The mean over the metrics, but over no fewer than half of those that were seen within a day: one
 * metric that comes alone does not speak for the server. */
static double score_of(struct surprise_server *s, const struct forecast *f, uint32_t step_s,
                       struct surprise_verdict *v)
{
    double sum = 0.0;
    size_t judged = 0, alive = 0;
    for (size_t i = 0; i < s->metric_count; i++)
        s->metrics[i].seen = false;
    for (size_t i = 0; i < f->path_count; i++) {
        const struct forecast_path *path = &f->paths[i];
        struct surprise_metric *m = &s->metrics[place_of(s, path->metric)];
        if (path->last_seen_ms / ((int64_t)step_s * 1000) != s->step)
            continue;
        m->seen_step = s->step;
        const double one = surprise_of(s, m, path->current, v);
        judged += isnan(one) ? 0 : 1;
        sum += isnan(one) ? 0.0 : one;
    }
    for (size_t i = 0; i < s->metric_count; i++)
        alive += (s->step - s->metrics[i].seen_step) * (int64_t)step_s < DAY_S ? 1 : 0;
    if (judged == 0)
        return (double)NAN;
    return sum / fmax((double)judged, 0.5 * (double)alive);
}

/* ---- steps ---- */

bool surprise_server_learned(const struct surprise_server *s, uint32_t step_s)
{
    return (uint64_t)s->scored * step_s > LEARN_S;
}

/* A new step came: what the last one said is final, and is learned. */
static void close_step(struct surprise_server *s, uint32_t step_s)
{
    const float keep = (float)exp2(-(double)step_s / (error_days * DAY_S));
    for (size_t i = 0; i < s->metric_count; i++) {
        struct surprise_metric *m = &s->metrics[i];
        for (size_t a = 0; m->seen_step == s->step && a < SURPRISE_AHEADS; a++) {
            if (isnan(m->error[a]))
                continue;
            m->errors[a] = m->errors[a] * keep + m->error[a];
            m->weights[a] = m->weights[a] * keep + 1.0f;
        }
    }
    if (!s->verdict.judged)
        return;
    surprise_daily_add(&s->daily, (double)s->raw);
    if (s->scored < UINT32_MAX)
        s->scored++;
    if (surprise_server_learned(s, step_s))
        surprise_ladder_add(&s->ladder, s->step, step_s, (double)s->verdict.score);
    if (s->verdict.above) {
        s->since_step = s->verdict.since_step;
        s->above_step = s->step;
        s->reason_count = s->verdict.reason_count;
        memcpy(s->reasons, s->verdict.reasons, sizeof s->reasons);
    }
}

static void remember_bands(struct surprise_server *s, const struct forecast *f)
{
    for (size_t a = 0; a < SURPRISE_AHEADS; a++) {
        const int64_t target = s->step + (int64_t)aheads[a];
        const size_t place = ring_place(a, target), step = aheads[a] - 1;
        s->target[place] = target;
        for (size_t i = 0; i < s->metric_count; i++)
            s->metrics[i].ring[place] = no_band;
        for (size_t i = 0; i < f->path_count; i++) {
            const struct forecast_path *path = &f->paths[i];
            s->metrics[place_of(s, path->metric)].ring[place] =
                (struct surprise_band){path->p10[step], path->p50[step], path->p90[step]};
        }
    }
}

static void score_step(struct surprise_server *s, const struct forecast *f, uint32_t step_s)
{
    struct surprise_verdict *v = &s->verdict, fresh = {.step = s->step};
    const double raw = score_of(s, f, step_s, &fresh);
    const double expected = surprise_daily_expected(&s->daily, s->step * (int64_t)step_s / BIN_S);
    fresh.judged = !isnan(raw);
    s->raw = (float)raw;
    fresh.score = (float)fmax(raw - daily_share * expected, 0.0);
    if (!fresh.judged)
        fresh.score = NAN;
    *v = fresh;
}

bool surprise_server_update(struct surprise_server *s, const struct forecast *f, uint32_t step_s)
{
    const int64_t newest = f->origin_ms / ((int64_t)step_s * 1000) - 1;
    const bool moved = newest < s->step - MOVED_STEPS;
    if (newest < 0 || (newest < s->step && !moved) ||
        (newest == s->step && f->revision == s->revision))
        return true;
    if (!know_metrics(s, f))
        return false;
    if (newest > s->step && s->step >= 0)
        close_step(s, step_s);
    if (moved) { /* what was counted stays, what is tied to a time goes */
        s->daily = (struct surprise_daily){.bin = -1};
        s->above_step = s->since_step = SURPRISE_LONG_AGO;
        for (size_t i = 0; i < SURPRISE_LEVELS; i++)
            s->ladder.last[i] = SURPRISE_LONG_AGO;
    }
    s->step = newest;
    s->revision = f->revision;
    score_step(s, f, step_s);
    remember_bands(s, f);
    return true;
}

void surprise_server_judge(struct surprise_server *s, double threshold, uint32_t step_s)
{
    struct surprise_verdict *v = &s->verdict;
    v->lately = (s->step - s->above_step) * (int64_t)step_s <= HOUR_S;
    v->threshold = (float)threshold;
    v->above = v->judged && (double)v->score > threshold;
    v->firing = v->above || v->lately;
    v->since_step = v->lately ? s->since_step : s->step;
    v->above_step = v->above ? s->step : s->above_step;
    if (v->lately && !v->above) {
        v->reason_count = s->reason_count;
        memcpy(v->reasons, s->reasons, sizeof v->reasons);
    }
}
