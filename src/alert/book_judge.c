/* What a run's forecasts make of the alerts of each server. */
#include "alert/book_internal.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* One server in one update. */
struct turn {
    struct alert_book *book;
    const struct forecast *forecast;
    const struct risk *risk;
    const struct surprise_verdict *unusual; /* NULL: none */
    int64_t now_ms;
    size_t first, end; /* its entries from before this update */
};

static uint64_t fingerprint(const struct schema *schema, const struct alert *alert)
{
    char text[SERVER_NAME_MAX + SCHEMA_METRIC_NAME_MAX + 32];
    const int len = snprintf(text, sizeof text, "%s\n%s\n%" PRId64, alert->server,
                             alert_metric_name(schema, alert->metric), alert->pending_since_ms);
    return fw_hash_stable(text, (size_t)len);
}

/* A new life: pending, with nothing counted yet. */
static void begin(struct alert_entry *entry, const struct turn *turn, uint16_t metric)
{
    *entry = (struct alert_entry){.dirty = true};
    struct alert *a = &entry->alert;
    memcpy(a->server, turn->forecast->name, sizeof a->server);
    a->metric = metric;
    a->state = ALERT_PENDING;
    a->starts_ms = turn->now_ms;
    a->pending_since_ms = turn->now_ms;
    a->updated_ms = turn->now_ms;
    a->threshold = a->predicted = a->peak = a->current = NAN;
    a->profile = turn->forecast->profile;
    a->id = fingerprint(turn->book->options.schema, a);
}

static struct alert_entry *find_entry(const struct turn *turn, uint16_t metric)
{
    for (size_t i = turn->first; i < turn->end; i++) {
        if (turn->book->entries[i]->alert.metric == metric)
            return turn->book->entries[i];
    }
    return NULL;
}

/* The entry of a metric, made anew or begun again; NULL without memory. */
static struct alert_entry *begin_entry(const struct turn *turn, struct alert_entry *old,
                                       uint16_t metric)
{
    struct alert_book *book = turn->book;
    if (old == NULL) {
        if (!alert_book_entry_room(book))
            return NULL;
        old = fw_malloc(sizeof *old);
        if (old == NULL)
            return NULL;
        book->entries[book->entry_count++] = old;
    }
    book->moved = true;
    begin(old, turn, metric);
    return old;
}

/* The figures that people see, from this run's verdict. */
static void refresh(struct alert_entry *entry, const struct turn *turn,
                    const struct schema_metric *metric, const struct forecast_path *path,
                    const struct alert_verdict *verdict)
{
    struct alert *a = &entry->alert;
    const struct alert_condition *c = &verdict->conditions[a->severity];
    a->threshold = (float)c->threshold;
    a->predicted = c->strict ? c->predicted : verdict->near_worst;
    a->steps_ahead = c->strict ? c->steps_ahead : verdict->near_steps;
    a->peak = verdict->peak;
    a->peak_steps = verdict->peak_steps;
    a->probability = (float)risk_crossing_probability(metric, path, c->threshold, FORECAST_HORIZON);
    a->current = path->current;
    a->risk_score = turn->risk->score;
    a->profile = turn->forecast->profile;
    a->updated_ms = turn->now_ms;
    const double incident = isnan(metric->critical) ? metric->warning : metric->critical;
    a->crossed = a->crossed || risk_beyond(metric, (double)path->current, incident);
}

/* The end of the metric's own newest step. Steps are counted by it and not by the server's: a
 * metric that fell silent beside others must not clear its alert with forecasts of nothing new. */
static int64_t path_origin(const struct turn *turn, const struct forecast_path *path)
{
    const int64_t step_ms = (int64_t)turn->book->options.step_s * 1000;
    if (path->last_seen_ms <= 0)
        return turn->forecast->origin_ms;
    return (path->last_seen_ms / step_ms + 1) * step_ms;
}

/* A threshold that the operator took away holds nothing up. */
static bool drop_latch(struct alert_latch *latch, const struct alert_condition *condition)
{
    const bool drop = !condition->set && (latch->on || latch->held > 0);
    if (drop)
        *latch = (struct alert_latch){0};
    return drop;
}

/* Latches first; what they say together is the alert's state. */
static void move_on(struct alert_entry *entry, const struct turn *turn, bool created,
                    const struct schema_metric *metric, const struct forecast_path *path,
                    const struct alert_verdict *verdict)
{
    struct alert_book *book = turn->book;
    const struct alert_condition *warning = &verdict->conditions[ALERT_WARNING];
    const struct alert_condition *critical = &verdict->conditions[ALERT_CRITICAL];
    const int64_t origin = path_origin(turn, path);
    bool changed = entry->alert.held;
    entry->alert.held = false;
    changed |= drop_latch(&entry->latches[ALERT_CRITICAL], critical);
    changed |= drop_latch(&entry->latches[ALERT_WARNING], warning);
    if (critical->set)
        changed |= alert_latch_update(&entry->latches[ALERT_CRITICAL], &book->options,
                                      critical->strict, critical->relaxed, origin);
    if (warning->set) /* what is critical is a warning, whatever the gates say */
        changed |= alert_latch_update(&entry->latches[ALERT_WARNING], &book->options,
                                      warning->strict || critical->strict,
                                      warning->relaxed || critical->relaxed, origin);
    entry->dirty |= changed;

    const bool critical_on = entry->latches[ALERT_CRITICAL].on;
    const bool firing = critical_on || entry->latches[ALERT_WARNING].on;
    const enum alert_state from = entry->alert.state;
    const enum alert_severity from_severity = entry->alert.severity;
    if (from == ALERT_FIRING && !firing) {
        if (verdict->conditions[from_severity].set)
            refresh(entry, turn, metric, path, verdict);
        alert_book_resolve(book, entry, ALERT_REASON_CLEARED, turn->forecast, turn->now_ms);
        return;
    }
    if (!firing && !warning->strict && !critical->strict) {
        alert_book_resolve(book, entry, ALERT_REASON_CLEARED, turn->forecast, turn->now_ms);
        return;
    }
    const bool is_critical = firing ? critical_on : critical->strict;
    entry->alert.severity = is_critical ? ALERT_CRITICAL : ALERT_WARNING;
    refresh(entry, turn, metric, path, verdict);
    if (firing && from == ALERT_PENDING) {
        entry->alert.state = ALERT_FIRING;
        entry->alert.starts_ms = turn->now_ms;
    }
    if (created || entry->alert.state != from || entry->alert.severity != from_severity) {
        entry->dirty = true;
        alert_book_record(book, entry, from, created ? entry->alert.severity : from_severity,
                          created, turn->forecast, turn->now_ms);
    }
}

/* A metric that the server has not sent for a while says nothing, though others still do. */
static bool path_is_silent(const struct turn *turn, const struct forecast_path *path)
{
    const struct alert_options *o = &turn->book->options;
    return turn->forecast->last_seen_ms - path->last_seen_ms >
           (int64_t)o->silent_steps * o->step_s * 1000;
}

static void hold(struct alert_entry *entry)
{
    entry->dirty |= !entry->alert.held;
    entry->alert.held = true;
}

/* False: out of memory. */
static bool judge_path(const struct turn *turn, const struct forecast_path *path)
{
    struct alert_book *book = turn->book;
    const struct schema_metric *metric = &book->options.schema->metrics[path->metric];
    struct alert_entry *entry = find_entry(turn, path->metric);
    if (path_is_silent(turn, path)) {
        if (alert_entry_active(entry))
            hold(entry);
        return true;
    }
    struct alert_verdict verdict;
    if (!alert_judge(&book->options, metric, path, alert_entry_active(entry), &verdict))
        return true;
    if (!alert_book_step_room(book))
        return false;
    const bool created = !alert_entry_active(entry);
    if (created)
        entry = begin_entry(turn, entry, path->metric);
    if (entry == NULL)
        return false;
    move_on(entry, turn, created, metric, path, &verdict);
    return true;
}

/* A server that falls silent while it is in serious trouble is likely down; otherwise the collector
 * is the first suspect. */
static enum alert_severity silence_severity(const struct turn *turn)
{
    for (size_t i = turn->first; i < turn->end; i++) {
        const struct alert *a = &turn->book->entries[i]->alert;
        if (a->metric != ALERT_METRIC_SILENT && a->state == ALERT_FIRING &&
            a->severity == ALERT_CRITICAL)
            return ALERT_CRITICAL;
    }
    return ALERT_WARNING;
}

static bool raise_silence(const struct turn *turn, struct alert_entry *entry)
{
    struct alert_book *book = turn->book;
    if (turn->now_ms < book->judge_silence_ms) {
        book->silence_waits = true;
        return true;
    }
    if (!alert_book_step_room(book))
        return false;
    entry = begin_entry(turn, entry, ALERT_METRIC_SILENT);
    if (entry == NULL)
        return false;
    /* Steps without data have been counted by the fleet already: no pending. */
    entry->alert.state = ALERT_FIRING;
    entry->alert.severity = silence_severity(turn);
    entry->alert.probability = 1.0f;
    entry->alert.risk_score = turn->risk->score;
    entry->latches[ALERT_WARNING].on = true;
    alert_book_record(book, entry, ALERT_PENDING, entry->alert.severity, true, turn->forecast,
                      turn->now_ms);
    return true;
}

static bool judge_silence(const struct turn *turn)
{
    struct alert_book *book = turn->book;
    struct alert_entry *entry = find_entry(turn, ALERT_METRIC_SILENT);
    const bool stale = turn->forecast->stale;
    if (!alert_entry_active(entry))
        return !stale || raise_silence(turn, entry);
    if (!alert_book_step_room(book))
        return false;
    struct alert_latch *latch = &entry->latches[ALERT_WARNING];
    entry->dirty |=
        alert_latch_update(latch, &book->options, stale, stale, turn->forecast->origin_ms);
    entry->alert.updated_ms = turn->now_ms;
    if (!latch->on)
        alert_book_resolve(book, entry, ALERT_REASON_CLEARED, turn->forecast, turn->now_ms);
    return true;
}

/* ---- unusual behaviour ---- */

static void refresh_unusual(struct alert_entry *entry, const struct turn *turn)
{
    struct alert *a = &entry->alert;
    const struct surprise_verdict *v = turn->unusual;
    a->threshold = v->threshold;
    a->current = v->score;
    a->predicted = v->above || isnan(a->predicted) ? v->score : a->predicted;
    a->peak = isnan(a->peak) || v->score > a->peak ? v->score : a->peak;
    a->probability = 1.0f;
    a->risk_score = turn->risk->score;
    a->profile = turn->forecast->profile;
    a->updated_ms = turn->now_ms;
    a->reason_count =
        v->reason_count < ALERT_REASONS_MAX ? v->reason_count : (size_t)ALERT_REASONS_MAX;
    memcpy(a->reasons, v->reasons, a->reason_count * sizeof a->reasons[0]);
}

/* A step that is not over may still change its mind, and its score is not what the threshold was
 * learned from. */
static bool is_unusual(const struct turn *turn)
{
    const struct surprise_verdict *v = turn->unusual;
    return v->lately || (v->above && turn->now_ms >= turn->forecast->origin_ms);
}

/* The threshold stands for a number of alarms that are wanted: no pending, no hysteresis. */
static bool judge_unusual(const struct turn *turn)
{
    struct alert_book *book = turn->book;
    struct alert_entry *entry = find_entry(turn, ALERT_METRIC_UNUSUAL);
    const bool was_active = alert_entry_active(entry);
    if (turn->unusual == NULL || turn->forecast->stale) {
        if (was_active)
            hold(entry);
        return true;
    }
    const bool unusual = is_unusual(turn);
    if (!was_active && !unusual)
        return true;
    /* After a restart an hour passes until steps are judged again: that is no all-clear. */
    if (!turn->unusual->judged && !turn->unusual->firing) {
        hold(entry);
        return true;
    }
    if (!alert_book_step_room(book))
        return false;
    if (!was_active)
        entry = begin_entry(turn, entry, ALERT_METRIC_UNUSUAL);
    if (entry == NULL)
        return false;
    entry->dirty |= entry->alert.held;
    entry->alert.held = false;
    refresh_unusual(entry, turn);
    if (!was_active) {
        entry->alert.state = ALERT_FIRING;
        entry->latches[ALERT_WARNING].on = true;
        alert_book_record(book, entry, ALERT_PENDING, ALERT_WARNING, true, turn->forecast,
                          turn->now_ms);
    } else if (!unusual && !turn->unusual->firing) {
        alert_book_resolve(book, entry, ALERT_REASON_CLEARED, turn->forecast, turn->now_ms);
    }
    return true;
}

static bool has_path(const struct forecast *forecast, uint16_t metric)
{
    for (size_t i = 0; i < forecast->path_count; i++) {
        if (forecast->paths[i].metric == metric)
            return true;
    }
    return false;
}

/* Entries that this run cannot judge: held, or given up after a long time. */
static bool hold_silent_entries(const struct turn *turn)
{
    struct alert_book *book = turn->book;
    for (size_t i = turn->first; i < turn->end; i++) {
        struct alert_entry *entry = book->entries[i];
        if (!alert_entry_active(entry) || entry->alert.metric == ALERT_METRIC_SILENT)
            continue;
        if (turn->forecast->stale || (entry->alert.metric != ALERT_METRIC_UNUSUAL &&
                                      !has_path(turn->forecast, entry->alert.metric)))
            hold(entry);
        if (!entry->alert.held || turn->now_ms - entry->alert.updated_ms <= book->options.forget_ms)
            continue;
        if (!alert_book_step_room(book))
            return false;
        alert_book_resolve(book, entry, ALERT_REASON_METRIC_GONE, turn->forecast, turn->now_ms);
    }
    return true;
}

/* Whether there is nothing to judge: the update before judged this very forecast, and it is not a
 * matter of time whether an alert stays. */
static bool entries_rest(const struct turn *turn)
{
    const struct alert_book *book = turn->book;
    for (size_t i = turn->first; i < turn->end; i++) {
        const struct alert_entry *entry = book->entries[i];
        if (entry->alert.held ||
            (alert_entry_active(entry) && entry->alert.metric == ALERT_METRIC_UNUSUAL))
            return false;
    }
    return true;
}

static bool judge_server(const struct turn *turn)
{
    turn->book->moved |= turn->first < turn->end;
    bool whole = judge_silence(turn);
    /* Without entries a verdict depends on the forecast alone, and this one had none before. */
    const bool quiet = turn->first == turn->end && turn->risk->kept && !turn->book->unsettled;
    if (!turn->forecast->stale && !quiet) {
        for (size_t i = 0; i < turn->forecast->path_count; i++)
            whole &= judge_path(turn, &turn->forecast->paths[i]);
    }
    whole &= judge_unusual(turn);
    return hold_silent_entries(turn) && whole;
}

/* Entries of servers that the fleet no longer has. */
static bool resolve_gone(struct alert_book *book, size_t first, size_t end, int64_t now_ms)
{
    for (size_t i = first; i < end; i++) {
        if (!alert_entry_active(book->entries[i]))
            continue;
        if (!alert_book_step_room(book))
            return false;
        alert_book_resolve(book, book->entries[i], ALERT_REASON_SERVER_GONE, NULL, now_ms);
        book->moved = true;
    }
    return true;
}

/* Goes from server to server of those that have entries. */
struct walk {
    struct alert_book *book;
    const struct forecast_set *set;
    size_t known;      /* entries; what is behind is new in this update */
    size_t first, end; /* those of one server, */
    size_t place;      /* which is this one of the set; ALERT_PLACE_GONE: there are no more */
};

static size_t place_of(struct alert_entry *entry, const struct forecast_set *set)
{
    if (entry->roster == 0 || entry->roster != set->roster) {
        const size_t at = forecast_set_from(set, entry->alert.server);
        const bool there =
            at < set->count && strcmp(set->items[at]->name, entry->alert.server) == 0;
        entry->place = there ? at : ALERT_PLACE_GONE;
        entry->roster = set->roster;
    }
    return entry->place;
}

/* On to the next; entries of servers that are gone are resolved on the way. False: out of memory.
 */
static bool walk_on(struct walk *w, int64_t now_ms)
{
    struct alert_entry **entries = w->book->entries;
    bool whole = true;
    w->place = ALERT_PLACE_GONE;
    while (w->end < w->known && w->place == ALERT_PLACE_GONE) {
        w->first = w->end;
        const char *server = entries[w->first]->alert.server;
        while (w->end < w->known && strcmp(entries[w->end]->alert.server, server) == 0)
            w->end++;
        w->place = place_of(entries[w->first], w->set);
        if (w->place == ALERT_PLACE_GONE)
            whole &= resolve_gone(w->book, w->first, w->end, now_ms);
    }
    return whole;
}

/* Whether a server has nothing that could raise an alert: it was judged with this very forecast
 * before. Its forecast is not looked at, which is in no cache while it rests. */
static bool rests(const struct alert_book *book, const struct risk *risk, size_t index)
{
    return risk->kept && !book->unsettled &&
           (book->surprise == NULL || !surprise_firing(book->surprise, index));
}

bool alert_book_judge(struct alert_book *book, const struct forecast_set *set,
                      const struct risk *risks, int64_t now_ms)
{
    struct walk walk = {.book = book, .set = set, .known = book->entry_count};
    bool whole = walk_on(&walk, now_ms);
    for (size_t i = 0; i < set->count; i++) {
        const bool has_entries = i == walk.place, at_rest = rests(book, &risks[i], i);
        if (!has_entries && at_rest)
            continue;
        const struct turn turn = {
            .book = book,
            .forecast = set->items[i],
            .risk = &risks[i],
            .unusual = book->surprise != NULL ? surprise_verdict(book->surprise, i) : NULL,
            .now_ms = now_ms,
            .first = has_entries ? walk.first : walk.known,
            .end = has_entries ? walk.end : walk.known};
        if (!at_rest || !entries_rest(&turn))
            whole &= judge_server(&turn);
        if (has_entries)
            whole &= walk_on(&walk, now_ms);
    }
    return whole;
}
