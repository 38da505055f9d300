/* The book: every alert that lives, moved on by each run's forecasts. */
#include "alert/alert_internal.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/log.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JSON_MAX = 64 << 10, JSON_DEPTH = 8, TRANSITIONS_A_STEP = 2, OPS_A_STEP = 3 };

struct alert_book {
    struct alert_options options;
    struct store_state *state;
    struct fw_json_parser *parser;
    const struct surprise *surprise; /* NULL: unusual behaviour is not looked at */

    struct alert_entry **entries; /* by server, then metric; new ones behind, until sorted */
    size_t entry_count, entry_cap;

    struct alert_op **ops; /* oldest first */
    size_t op_count, op_cap;

    struct alert_transition *transitions; /* of the running update */
    size_t transition_count, transition_cap;

    bool updated_once, alive_once;
    int64_t alive_ms;         /* wall clock of the last alert_book_alive() */
    int64_t judge_silence_ms; /* wall clock from which silence may be judged */
    bool silence_waits;       /* a server is silent and it may not be judged yet */

    _Atomic uint64_t counted[ALERT_RESOLVED + 1];
    _Atomic uint64_t store_failures, events_lost, events_waiting;
    _Atomic bool store_failing;
};

/* One server in one update. */
struct turn {
    struct alert_book *book;
    const struct forecast *forecast;
    const struct risk *risk;
    const struct surprise_verdict *unusual; /* NULL: none */
    int64_t now_ms;
    size_t first, end; /* its entries from before this update */
};

static int compare_entries(const void *left, const void *right)
{
    const struct alert_entry *a = *(struct alert_entry *const *)left;
    const struct alert_entry *b = *(struct alert_entry *const *)right;
    const int order = strcmp(a->alert.server, b->alert.server);
    if (order != 0)
        return order;
    return (a->alert.metric > b->alert.metric) - (a->alert.metric < b->alert.metric);
}

static void sort_entries(struct alert_book *book)
{
    if (book->entry_count > 1)
        qsort(book->entries, book->entry_count, sizeof(struct alert_entry *), compare_entries);
}

/* Room for `more` pointers or structs behind `count`. */
static bool make_room(void **array, size_t *cap, size_t count, size_t more, size_t size)
{
    if (*cap - count >= more)
        return true;
    const size_t want = count + more > 2 * *cap ? count + more : 2 * *cap;
    void *grown = fw_realloc_array(*array, want, size);
    if (grown == NULL)
        return false;
    *array = grown;
    *cap = want;
    return true;
}

static bool make_entry_room(struct alert_book *book)
{
    return make_room((void **)&book->entries, &book->entry_cap, book->entry_count, 1,
                     sizeof(struct alert_entry *));
}

/* Room for whatever one step of one alert can lead to. */
static bool make_step_room(struct alert_book *book)
{
    return make_room((void **)&book->transitions, &book->transition_cap, book->transition_count,
                     TRANSITIONS_A_STEP, sizeof book->transitions[0]) &&
           make_room((void **)&book->ops, &book->op_cap, book->op_count, OPS_A_STEP,
                     sizeof(struct alert_op *));
}

static uint64_t fingerprint(const struct schema *schema, const struct alert *alert)
{
    char text[SERVER_NAME_MAX + SCHEMA_METRIC_NAME_MAX + 32];
    const int len = snprintf(text, sizeof text, "%s\n%s\n%" PRId64, alert->server,
                             alert_metric_name(schema, alert->metric), alert->pending_since_ms);
    return fw_hash_stable(text, (size_t)len);
}

/* The history cannot grow without end while the store fails: the oldest waiting rows go. */
static struct alert_op *push_op(struct alert_book *book, enum alert_op_kind kind)
{
    if (book->state == NULL)
        return NULL;
    if (book->op_count == ALERT_OPS_MAX) {
        fw_free(book->ops[0]);
        memmove(book->ops, book->ops + 1, (book->op_count - 1) * sizeof(struct alert_op *));
        book->op_count--;
        atomic_fetch_add(&book->events_lost, 1);
    }
    struct alert_op *op = fw_calloc(1, sizeof *op);
    if (op == NULL) {
        atomic_fetch_add(&book->events_lost, 1);
        return NULL;
    }
    op->kind = kind;
    book->ops[book->op_count++] = op;
    return op;
}

static enum risk_level severity_level(enum alert_severity severity)
{
    return severity == ALERT_CRITICAL ? RISK_CRITICAL : RISK_WARNING;
}

static void fill_event(struct alert_book *book, const struct alert *alert,
                       const struct forecast *forecast, struct alert_event *event)
{
    *event = (struct alert_event){
        .alert_id = alert->id,
        .risk_score = (double)alert->risk_score,
        .threshold = (double)alert->threshold,
        .predicted = (double)alert->predicted,
        .probability = (double)alert->probability,
        .steps_ahead = alert->steps_ahead,
        .starts_ms = alert->starts_ms,
        .duration_minutes = (double)NAN,
        .reason = alert->reason,
    };
    const char *name = alert_metric_name(book->options.schema, alert->metric);
    memcpy(event->metric, name, strlen(name) + 1);
    if (forecast != NULL)
        alert_snapshot(book->options.schema, forecast, event->snapshot);
}

static void fill_resolution(const struct alert *alert, struct alert_event *event)
{
    /* A clock put back during the alert must not make its duration negative. */
    const int64_t length_ms =
        alert->ends_ms > alert->starts_ms ? alert->ends_ms - alert->starts_ms : 0;
    event->resolved_at_ms = alert->ends_ms;
    event->duration_minutes = (double)length_ms / 60000.0;
    event->caused_incident = alert->crossed;
}

static void record_event(struct alert_book *book, const struct alert_transition *t,
                         const struct forecast *forecast, int64_t now_ms)
{
    if (t->from == ALERT_PENDING && t->to != ALERT_FIRING)
        return; /* a suspicion is no history */
    struct alert_op *op;
    if (t->to == ALERT_RESOLVED && (op = push_op(book, ALERT_OP_CLOSE)) != NULL) {
        memcpy(op->server, t->alert.server, sizeof op->server);
        fill_event(book, &t->alert, NULL, &op->event);
        fill_resolution(&t->alert, &op->event);
    }
    op = push_op(book, ALERT_OP_APPEND);
    if (op == NULL)
        return;
    op->time_ms = now_ms;
    memcpy(op->server, t->alert.server, sizeof op->server);
    fill_event(book, &t->alert, forecast, &op->event);
    op->event.new_level = severity_level(t->alert.severity);
    if (t->to == ALERT_RESOLVED) {
        op->event.type = ALERT_EVENT_RESOLVED;
        op->event.previous_level = op->event.new_level;
        op->event.new_level = RISK_HEALTHY;
        fill_resolution(&t->alert, &op->event);
    } else if (t->from == ALERT_PENDING) {
        op->event.type = ALERT_ESCALATION;
        op->event.previous_level = RISK_HEALTHY;
    } else {
        op->event.type =
            t->alert.severity > t->from_severity ? ALERT_ESCALATION : ALERT_DE_ESCALATION;
        op->event.previous_level = severity_level(t->from_severity);
    }
}

/* Room was made by make_step_room(). `forecast` may be NULL: the server is gone. */
static void record(struct alert_book *book, const struct alert_entry *entry, enum alert_state from,
                   enum alert_severity from_severity, bool created, const struct forecast *forecast,
                   int64_t now_ms)
{
    assert(book->transition_count < book->transition_cap);
    struct alert_transition *t = &book->transitions[book->transition_count++];
    *t = (struct alert_transition){.alert = entry->alert,
                                   .from = from,
                                   .to = entry->alert.state,
                                   .from_severity = from_severity,
                                   .created = created};
    record_event(book, t, forecast, now_ms);
}

static void resolve(struct alert_book *book, struct alert_entry *entry, enum alert_reason reason,
                    const struct forecast *forecast, int64_t now_ms)
{
    const enum alert_state from = entry->alert.state;
    entry->alert.state = ALERT_RESOLVED;
    entry->alert.reason = reason;
    entry->alert.ends_ms = now_ms;
    entry->alert.held = false;
    entry->dirty = true;
    entry->remove = from == ALERT_PENDING;
    memset(entry->latches, 0, sizeof entry->latches);
    record(book, entry, from, entry->alert.severity, false, forecast, now_ms);
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
        if (!make_entry_room(book))
            return NULL;
        old = fw_malloc(sizeof *old);
        if (old == NULL)
            return NULL;
        book->entries[book->entry_count++] = old;
    }
    begin(old, turn, metric);
    return old;
}

static bool active(const struct alert_entry *entry)
{
    return entry != NULL && entry->alert.state != ALERT_RESOLVED;
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
        refresh(entry, turn, metric, path, verdict);
        resolve(book, entry, ALERT_REASON_CLEARED, turn->forecast, turn->now_ms);
        return;
    }
    if (!firing && !warning->strict && !critical->strict) {
        resolve(book, entry, ALERT_REASON_CLEARED, turn->forecast, turn->now_ms);
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
        record(book, entry, from, created ? entry->alert.severity : from_severity, created,
               turn->forecast, turn->now_ms);
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
        if (active(entry))
            hold(entry);
        return true;
    }
    struct alert_verdict verdict;
    if (!alert_judge(&book->options, metric, path, active(entry), &verdict))
        return true;
    if (!make_step_room(book))
        return false;
    const bool created = !active(entry);
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
    if (!make_step_room(book))
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
    record(book, entry, ALERT_PENDING, entry->alert.severity, true, turn->forecast, turn->now_ms);
    return true;
}

static bool judge_silence(const struct turn *turn)
{
    struct alert_book *book = turn->book;
    struct alert_entry *entry = find_entry(turn, ALERT_METRIC_SILENT);
    const bool stale = turn->forecast->stale;
    if (!active(entry))
        return !stale || raise_silence(turn, entry);
    if (!make_step_room(book))
        return false;
    struct alert_latch *latch = &entry->latches[ALERT_WARNING];
    entry->dirty |=
        alert_latch_update(latch, &book->options, stale, stale, turn->forecast->origin_ms);
    entry->alert.updated_ms = turn->now_ms;
    if (!latch->on)
        resolve(book, entry, ALERT_REASON_CLEARED, turn->forecast, turn->now_ms);
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
    const bool was_active = active(entry);
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
    if (!make_step_room(book))
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
        record(book, entry, ALERT_PENDING, ALERT_WARNING, true, turn->forecast, turn->now_ms);
    } else if (!unusual && !turn->unusual->firing) {
        resolve(book, entry, ALERT_REASON_CLEARED, turn->forecast, turn->now_ms);
    }
    return true;
}

void alert_book_watch(struct alert_book *book, const struct surprise *surprise)
{
    book->surprise = surprise;
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
        if (!active(entry) || entry->alert.metric == ALERT_METRIC_SILENT)
            continue;
        if (turn->forecast->stale || (entry->alert.metric != ALERT_METRIC_UNUSUAL &&
                                      !has_path(turn->forecast, entry->alert.metric)))
            hold(entry);
        if (!entry->alert.held || turn->now_ms - entry->alert.updated_ms <= book->options.forget_ms)
            continue;
        if (!make_step_room(book))
            return false;
        resolve(book, entry, ALERT_REASON_METRIC_GONE, turn->forecast, turn->now_ms);
    }
    return true;
}

static bool judge_server(const struct turn *turn)
{
    bool whole = judge_silence(turn);
    /* Without entries a verdict depends on the forecast alone, and this one had none before. */
    const bool quiet = turn->first == turn->end && turn->risk->kept;
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
        if (!active(book->entries[i]))
            continue;
        if (!make_step_room(book))
            return false;
        resolve(book, book->entries[i], ALERT_REASON_SERVER_GONE, NULL, now_ms);
    }
    return true;
}

/* Both the set and the book are sorted by server: one walk over the two. */
static bool judge_all(struct alert_book *book, const struct forecast_set *set,
                      const struct risk *risks, int64_t now_ms)
{
    const size_t known = book->entry_count; /* what is behind is new in this update */
    bool whole = true;
    size_t at = 0;
    for (size_t i = 0; i < set->count; i++) {
        const struct forecast *forecast = set->items[i];
        const size_t gone = at;
        while (at < known && strcmp(book->entries[at]->alert.server, forecast->name) < 0)
            at++;
        whole &= resolve_gone(book, gone, at, now_ms);
        const size_t first = at;
        while (at < known && strcmp(book->entries[at]->alert.server, forecast->name) == 0)
            at++;
        const struct turn turn = {
            .book = book,
            .forecast = forecast,
            .risk = &risks[i],
            .unusual = book->surprise != NULL ? surprise_verdict(book->surprise, i) : NULL,
            .now_ms = now_ms,
            .first = first,
            .end = at};
        whole &= judge_server(&turn);
    }
    return resolve_gone(book, at, known, now_ms) && whole;
}

/* Resolved alerts leave the list after an hour; one from the future was dated by a wrong clock. */
static void drop_old(struct alert_book *book, int64_t now_ms)
{
    for (size_t i = 0; i < book->entry_count; i++) {
        struct alert_entry *entry = book->entries[i];
        const int64_t age_ms = now_ms - entry->alert.ends_ms;
        if (!active(entry) &&
            (age_ms >= book->options.keep_resolved_ms || age_ms < -book->options.keep_resolved_ms))
            entry->remove = true;
    }
}

static void note_store(struct alert_book *book, enum fw_status status, const struct fw_error *err)
{
    const bool was_failing = atomic_load(&book->store_failing);
    atomic_store(&book->store_failing, status != FW_OK);
    if (status != FW_OK)
        atomic_fetch_add(&book->store_failures, 1);
    if (status != FW_OK && !was_failing)
        FW_LOG_ERROR("alert", "cannot write alerts, alerting goes on reason=\"%s\"", err->text);
    if (status == FW_OK && was_failing)
        FW_LOG_INFO("alert", "alerts are written again");
}

static bool anything_to_write(const struct alert_book *book)
{
    if (book->op_count > 0)
        return true;
    for (size_t i = 0; i < book->entry_count; i++) {
        if (book->entries[i]->dirty || book->entries[i]->remove)
            return true;
    }
    return false;
}

static void clear_ops(struct alert_book *book)
{
    for (size_t i = 0; i < book->op_count; i++)
        fw_free(book->ops[i]);
    book->op_count = 0;
}

/* Writes what changed. What could not be written stays marked for the next time; entries to be
 * removed stay in the book until their blob is gone, or a restart would bring them back. */
static void persist(struct alert_book *book)
{
    struct fw_error err = {0};
    enum fw_status status = FW_OK;
    if (book->state != NULL && anything_to_write(book)) {
        status = alert_persist(book->state, book->options.schema, book->parser, book->ops,
                               book->op_count, book->entries, book->entry_count, &err);
        note_store(book, status, &err);
    }
    if (status == FW_OK) {
        clear_ops(book);
        size_t kept = 0;
        for (size_t i = 0; i < book->entry_count; i++) {
            struct alert_entry *entry = book->entries[i];
            entry->dirty = false;
            if (entry->remove)
                fw_free(entry);
            else
                book->entries[kept++] = entry;
        }
        book->entry_count = kept;
    }
    atomic_store(&book->events_waiting, book->op_count);
}

static int compare_alerts(const void *left, const void *right)
{
    const struct alert *a = left, *b = right;
    const bool a_over = a->state == ALERT_RESOLVED, b_over = b->state == ALERT_RESOLVED;
    if (a_over != b_over)
        return a_over ? 1 : -1;
    if (a->severity != b->severity)
        return a->severity > b->severity ? -1 : 1;
    if (a->steps_ahead != b->steps_ahead)
        return a->steps_ahead < b->steps_ahead ? -1 : 1;
    const int order = strcmp(a->server, b->server);
    return order != 0 ? order : (a->metric > b->metric) - (a->metric < b->metric);
}

static struct alert_list *make_list(const struct alert_book *book)
{
    struct alert_list *list =
        fw_calloc(1, sizeof *list + book->entry_count * sizeof list->items[0]);
    if (list == NULL)
        return NULL;
    atomic_init(&list->references, 1);
    for (size_t i = 0; i < book->entry_count; i++) {
        if (!book->entries[i]->remove)
            list->items[list->count++] = book->entries[i]->alert;
    }
    if (list->count > 1)
        qsort(list->items, list->count, sizeof list->items[0], compare_alerts);
    return list;
}

/* Silence may be ours and not the servers': they get the time that makes a server stale to report
 * before it is held against them. */
static void excuse_silence(struct alert_book *book, int64_t now_ms)
{
    book->judge_silence_ms =
        now_ms + (int64_t)book->options.silent_steps * book->options.step_s * 1000;
}

void alert_book_alive(struct alert_book *book, int64_t now_ms)
{
    enum { PAUSE_MS = 180 * 1000 }; /* three missed calls */
    if (book->alive_once && (now_ms < book->alive_ms || now_ms - book->alive_ms > PAUSE_MS))
        excuse_silence(book, now_ms);
    book->alive_once = true;
    book->alive_ms = now_ms;
}

enum fw_status alert_book_update(struct alert_book *book, const struct forecast_set *set,
                                 const struct risk *risks, int64_t now_ms,
                                 alert_transition_fn notify, void *ctx,
                                 const struct alert_list **list, struct fw_error *err)
{
    *list = NULL;
    if (!book->updated_once)
        excuse_silence(book, now_ms);
    book->updated_once = true;
    book->silence_waits = false;
    book->transition_count = 0;
    const bool whole = judge_all(book, set, risks, now_ms);
    sort_entries(book);
    drop_old(book, now_ms);
    persist(book);
    for (size_t i = 0; i < book->transition_count; i++) {
        atomic_fetch_add(&book->counted[book->transitions[i].to], 1);
        if (notify != NULL)
            notify(ctx, &book->transitions[i]);
    }
    if (whole)
        *list = make_list(book);
    return *list != NULL ? FW_OK : fw_fail(err, FW_ENOMEM, "update the alerts");
}

int64_t alert_book_due_ms(const struct alert_book *book)
{
    int64_t due = book->silence_waits ? book->judge_silence_ms : INT64_MAX;
    for (size_t i = 0; i < book->entry_count; i++) {
        const struct alert_entry *entry = book->entries[i];
        if (active(entry))
            continue;
        const int64_t leaves = entry->alert.ends_ms + book->options.keep_resolved_ms;
        due = leaves < due ? leaves : due;
    }
    return due;
}

void alert_book_statistics(const struct alert_book *book, struct alert_book_statistics *out)
{
    for (size_t i = 0; i < COUNT(out->transitions); i++)
        out->transitions[i] = atomic_load(&book->counted[i]);
    out->store_failures = atomic_load(&book->store_failures);
    out->store_failing = atomic_load(&book->store_failing);
    out->events_waiting = atomic_load(&book->events_waiting);
    out->events_lost = atomic_load(&book->events_lost);
}

struct loading {
    struct alert_book *book;
    size_t unreadable;
    bool out_of_memory;
};

/* The schema no longer has the metric: its history is closed and its blob goes. */
static bool forget_unknown(struct alert_book *book, const struct alert_entry *entry,
                           const char *metric)
{
    if (!make_step_room(book))
        return false;
    const bool was_firing = entry->alert.state == ALERT_FIRING;
    struct alert_op *op = was_firing ? push_op(book, ALERT_OP_CLOSE) : NULL;
    if (op != NULL) {
        struct alert over = entry->alert;
        over.ends_ms = over.updated_ms;
        memcpy(op->server, over.server, sizeof op->server);
        op->event = (struct alert_event){
            .alert_id = over.id, .starts_ms = over.starts_ms, .reason = ALERT_REASON_METRIC_GONE};
        fill_resolution(&over, &op->event);
    }
    op = push_op(book, ALERT_OP_FORGET);
    if (op == NULL)
        return false;
    memcpy(op->server, entry->alert.server, sizeof op->server);
    memcpy(op->event.metric, metric, strlen(metric) + 1);
    return true;
}

static bool load_entry(void *ctx, const char *key, const void *data, size_t len)
{
    (void)key;
    struct loading *loading = ctx;
    struct alert_book *book = loading->book;
    struct alert_entry loaded;
    char metric[SCHEMA_METRIC_NAME_MAX + 1];
    const enum fw_status status =
        alert_entry_decode(book->options.schema, book->parser, data, len, &loaded, metric, NULL);
    if (status == FW_ENOTFOUND) {
        loading->out_of_memory = !forget_unknown(book, &loaded, metric);
        return !loading->out_of_memory;
    }
    if (status != FW_OK) {
        loading->unreadable++;
        loading->out_of_memory = status == FW_ENOMEM;
        return !loading->out_of_memory;
    }
    struct alert_entry *entry = make_entry_room(book) ? fw_malloc(sizeof *entry) : NULL;
    if (entry == NULL) {
        loading->out_of_memory = true;
        return false;
    }
    *entry = loaded;
    book->entries[book->entry_count++] = entry;
    return true;
}

static enum fw_status load(struct alert_book *book, struct fw_error *err)
{
    struct loading loading = {.book = book};
    uint64_t damaged = 0;
    if (book->state == NULL)
        return FW_OK;
    const enum fw_status status =
        store_state_each(book->state, "alert", load_entry, &loading, &damaged, err);
    if (status != FW_OK)
        return status;
    if (loading.out_of_memory)
        return fw_fail(err, FW_ENOMEM, "load the alerts");
    if (damaged + loading.unreadable > 0)
        FW_LOG_WARN("alert", "entries passed over damaged=%" PRIu64 " unreadable=%zu", damaged,
                    loading.unreadable);
    sort_entries(book);
    return FW_OK;
}

enum fw_status alert_book_open(const struct alert_options *options, struct store_state *state,
                               struct alert_book **out, struct fw_error *err)
{
    enum fw_status status;
    *out = NULL;
    assert(options->horizon_steps >= 1 && options->horizon_steps <= FORECAST_HORIZON);
    assert(options->for_runs >= 1 && options->clear_runs >= 1 && options->step_s >= 1);
    struct alert_book *book = fw_calloc(1, sizeof *book);
    if (book == NULL)
        return fw_fail(err, FW_ENOMEM, "open the alerts");
    book->options = *options;
    book->state = state;
    book->parser = fw_json_parser_new(JSON_MAX, JSON_DEPTH);
    status = book->parser != NULL ? load(book, err) : fw_fail(err, FW_ENOMEM, "open the alerts");
    if (status == FW_OK) {
        *out = book;
        book = NULL;
    }
    alert_book_close(book);
    return status;
}

void alert_book_close(struct alert_book *book)
{
    if (book == NULL)
        return;
    for (size_t i = 0; i < book->entry_count; i++)
        fw_free(book->entries[i]);
    clear_ops(book);
    fw_free(book->entries);
    fw_free(book->ops);
    fw_free(book->transitions);
    fw_json_parser_free(book->parser);
    fw_free(book);
}
