/* What an update changes: transitions for whoever is told, rows for the history. */
#include "alert/book_internal.h"

#include "base/alloc.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { TRANSITIONS_A_STEP = 2, OPS_A_STEP = 3 };

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

bool alert_book_entry_room(struct alert_book *book)
{
    return make_room((void **)&book->entries, &book->entry_cap, book->entry_count, 1,
                     sizeof(struct alert_entry *));
}

bool alert_book_step_room(struct alert_book *book)
{
    return make_room((void **)&book->transitions, &book->transition_cap, book->transition_count,
                     TRANSITIONS_A_STEP, sizeof book->transitions[0]) &&
           make_room((void **)&book->ops, &book->op_cap, book->op_count, OPS_A_STEP,
                     sizeof(struct alert_op *));
}

struct alert_op *alert_book_push_op(struct alert_book *book, enum alert_op_kind kind)
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

void alert_event_resolve(const struct alert *alert, struct alert_event *event)
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
    if (t->to == ALERT_RESOLVED && (op = alert_book_push_op(book, ALERT_OP_CLOSE)) != NULL) {
        memcpy(op->server, t->alert.server, sizeof op->server);
        fill_event(book, &t->alert, NULL, &op->event);
        alert_event_resolve(&t->alert, &op->event);
    }
    op = alert_book_push_op(book, ALERT_OP_APPEND);
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
        alert_event_resolve(&t->alert, &op->event);
    } else if (t->from == ALERT_PENDING) {
        op->event.type = ALERT_ESCALATION;
        op->event.previous_level = RISK_HEALTHY;
    } else {
        op->event.type =
            t->alert.severity > t->from_severity ? ALERT_ESCALATION : ALERT_DE_ESCALATION;
        op->event.previous_level = severity_level(t->from_severity);
    }
}

void alert_book_record(struct alert_book *book, const struct alert_entry *entry,
                       enum alert_state from, enum alert_severity from_severity, bool created,
                       const struct forecast *forecast, int64_t now_ms)
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

void alert_book_resolve(struct alert_book *book, struct alert_entry *entry,
                        enum alert_reason reason, const struct forecast *forecast, int64_t now_ms)
{
    const enum alert_state from = entry->alert.state;
    entry->alert.state = ALERT_RESOLVED;
    entry->alert.reason = reason;
    entry->alert.ends_ms = now_ms;
    entry->alert.held = false;
    entry->dirty = true;
    entry->remove = from == ALERT_PENDING;
    memset(entry->latches, 0, sizeof entry->latches);
    alert_book_record(book, entry, from, entry->alert.severity, false, forecast, now_ms);
}
