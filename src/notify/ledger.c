/* What one receiver should know, and what it has accepted. */
#include "notify/notify_internal.h"

#include "base/alloc.h"

#include <assert.h>
#include <string.h>

void notify_ledger_init(struct notify_ledger *ledger, const struct notify_rules *rules,
                        const struct schema *schema)
{
    *ledger = (struct notify_ledger){.rules = *rules, .schema = schema};
}

void notify_ledger_fini(struct notify_ledger *ledger)
{
    for (size_t i = 0; i < ledger->count; i++)
        notify_entry_free(ledger->entries[i]);
    fw_free(ledger->entries);
    ledger->entries = NULL;
    ledger->count = ledger->cap = 0;
}

void notify_entry_free(struct notify_entry *entry)
{
    if (entry != NULL)
        fw_free(entry->labels);
    fw_free(entry);
}

bool notify_entry_label(struct notify_entry *entry, const struct label_set *labels)
{
    if (labels->count == 0)
        return true;
    entry->labels = fw_malloc(label_set_size(labels));
    if (entry->labels != NULL)
        label_set_copy(entry->labels, labels);
    return entry->labels != NULL;
}

static bool to_alertmanager(const struct notify_ledger *ledger)
{
    return ledger->rules.kind == NOTIFY_ALERTMANAGER;
}

/* The first entry that is not before (id, severity). */
static size_t place_of(const struct notify_ledger *ledger, uint64_t id,
                       enum alert_severity severity)
{
    size_t low = 0, high = ledger->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const struct alert *a = &ledger->entries[middle]->alert;
        if (a->id < id || (a->id == id && a->severity < severity))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct notify_entry *find(const struct notify_ledger *ledger, uint64_t id,
                                 enum alert_severity severity)
{
    const size_t at = place_of(ledger, id, severity);
    if (at == ledger->count || ledger->entries[at]->alert.id != id ||
        ledger->entries[at]->alert.severity != severity)
        return NULL;
    return ledger->entries[at];
}

bool notify_ledger_has(const struct notify_ledger *ledger, uint64_t id,
                       enum alert_severity severity)
{
    return find(ledger, id, severity) != NULL;
}

bool notify_ledger_add(struct notify_ledger *ledger, struct notify_entry *entry)
{
    if (ledger->count == ledger->cap) {
        const size_t cap = ledger->cap == 0 ? 16 : 2 * ledger->cap;
        void *grown = fw_realloc_array(ledger->entries, cap, sizeof(struct notify_entry *));
        if (grown == NULL) {
            notify_entry_free(entry);
            return false;
        }
        ledger->entries = grown;
        ledger->cap = cap;
    }
    const size_t at = place_of(ledger, entry->alert.id, entry->alert.severity);
    if (at < ledger->count)
        memmove(&ledger->entries[at + 1], &ledger->entries[at],
                (ledger->count - at) * sizeof(struct notify_entry *));
    ledger->entries[at] = entry;
    ledger->count++;
    return true;
}

static void drop(struct notify_entry *entry)
{
    entry->gone = true;
    entry->dirty = true;
}

/* Something that fires is over for this receiver. What it never heard of need not end: an
 * Alertmanager has nothing to close; others are told of it once, as over, unless it went on at
 * another severity. */
static void end(const struct notify_ledger *ledger, struct notify_entry *entry, int64_t over_ms,
                bool goes_on)
{
    if (entry->over)
        return;
    if (!ledger->rules.send_resolved ||
        (entry->told == NOTIFY_NOTHING && (to_alertmanager(ledger) || goes_on))) {
        drop(entry);
        return;
    }
    entry->over = true;
    entry->over_ms = over_ms;
    entry->dirty = true;
}

static size_t held(const struct notify_ledger *ledger)
{
    size_t n = 0;
    for (size_t i = 0; i < ledger->count; i++)
        n += !ledger->entries[i]->gone;
    return n;
}

/* One more may come in: if need be, for the oldest of those that came and went unheard. */
static bool make_room(struct notify_ledger *ledger)
{
    if (held(ledger) < ledger->rules.queue_max)
        return true;
    struct notify_entry *victim = NULL;
    for (size_t i = 0; i < ledger->count; i++) {
        struct notify_entry *e = ledger->entries[i];
        if (!e->gone && e->over && e->told == NOTIFY_NOTHING &&
            (victim == NULL || e->over_ms < victim->over_ms))
            victim = e;
    }
    if (victim == NULL)
        return false;
    drop(victim);
    ledger->dropped++;
    return true;
}

static void refresh(struct notify_entry *entry, const struct alert *alert,
                    const struct alert_mark *mark)
{
    const enum alert_severity severity = entry->alert.severity;
    const enum profile profile = entry->alert.profile;
    const int64_t starts_ms = entry->alert.starts_ms;
    entry->alert = *alert;
    entry->alert.severity = severity;
    entry->alert.profile = profile;
    entry->alert.starts_ms = starts_ms;
    entry->acknowledged = mark != NULL && mark->acknowledged;
    memset(entry->acknowledged_by, 0, sizeof entry->acknowledged_by);
    if (entry->acknowledged)
        memcpy(entry->acknowledged_by, mark->acknowledged_by, sizeof entry->acknowledged_by);
    entry->seen = true;
}

static bool begin(struct notify_ledger *ledger, const struct alert *alert,
                  const struct alert_mark *mark, int64_t starts_ms)
{
    if (!make_room(ledger)) {
        /* Still firing later, it comes in when there is room; counted once. */
        ledger->dropped += alert->starts_ms > ledger->synced_ms;
        return true;
    }
    struct notify_entry *entry = fw_calloc(1, sizeof *entry);
    struct label_set labels;
    (void)label_source_read(&ledger->labels, alert->server, &labels);
    if (entry == NULL || !notify_entry_label(entry, &labels)) {
        notify_entry_free(entry);
        return false;
    }
    entry->alert = *alert;
    entry->alert.starts_ms = starts_ms;
    const char *metric = alert_metric_name(ledger->schema, alert->metric);
    memcpy(entry->metric, metric, strlen(metric) + 1);
    refresh(entry, alert, mark);
    entry->dirty = true;
    return notify_ledger_add(ledger, entry);
}

/* The entry of an alert that still fires for the receiver, at whatever severity. */
static struct notify_entry *firing_entry(const struct notify_ledger *ledger, uint64_t id)
{
    for (int severity = ALERT_WARNING; severity <= ALERT_CRITICAL; severity++) {
        struct notify_entry *e = find(ledger, id, (enum alert_severity)severity);
        if (e != NULL && !e->over && !e->gone)
            return e;
    }
    return NULL;
}

/* Silences and inhibition hold beginnings back. What the receiver has been told goes on: an end
 * that is none would be a lie. */
static bool follow_suppressed(struct notify_ledger *ledger, const struct alert *alert,
                              const struct alert_mark *mark)
{
    struct notify_entry *entry = firing_entry(ledger, alert->id);
    if (entry == NULL)
        return true;
    if (entry->told == NOTIFY_NOTHING)
        drop(entry);
    else
        refresh(entry, alert, mark);
    return true;
}

static bool follow_firing(struct notify_ledger *ledger, const struct alert *alert,
                          const struct alert_mark *mark, int64_t now_ms)
{
    if (alert->severity < ledger->rules.min_severity)
        return true;
    struct notify_entry *entry = find(ledger, alert->id, alert->severity);
    if (entry != NULL && !entry->gone && !entry->over) {
        refresh(entry, alert, mark);
        return true;
    }
    struct notify_entry *other = firing_entry(ledger, alert->id);
    if (other != NULL)
        end(ledger, other, now_ms, true);
    if (entry != NULL) { /* back at a severity whose end is still being told, or written down */
        entry->gone = false;
        entry->over = false;
        entry->told = NOTIFY_NOTHING;
        entry->dirty = true;
        refresh(entry, alert, mark);
        entry->alert.starts_ms = now_ms;
        return true;
    }
    return begin(ledger, alert, mark, other == NULL ? alert->starts_ms : now_ms);
}

static void follow_resolved(struct notify_ledger *ledger, const struct alert *alert)
{
    struct notify_entry *entry = firing_entry(ledger, alert->id);
    if (entry == NULL)
        return;
    refresh(entry, alert, NULL);
    end(ledger, entry, alert->ends_ms, false);
}

/* While the store fails what is gone stays, or a restart would bring it back; but not without
 * end. */
static void purge(struct notify_ledger *ledger)
{
    size_t kept = 0;
    if (ledger->count <= 2 * ledger->rules.queue_max)
        return;
    for (size_t i = 0; i < ledger->count; i++) {
        if (ledger->entries[i]->gone)
            notify_entry_free(ledger->entries[i]);
        else
            ledger->entries[kept++] = ledger->entries[i];
    }
    ledger->count = kept;
}

/* Over for so long that it need not be repeated. */
static void retire(struct notify_ledger *ledger, int64_t now_ms)
{
    for (size_t i = 0; i < ledger->count; i++) {
        struct notify_entry *e = ledger->entries[i];
        if (e->gone || !e->over)
            continue;
        if (to_alertmanager(ledger) ? now_ms - e->over_ms >= NOTIFY_RESOLVE_KEEP_MS
                                    : e->told == NOTIFY_RESOLVED)
            drop(e);
    }
}

bool notify_ledger_sync(struct notify_ledger *ledger, const struct alert_list *list,
                        const struct alert_mark *marks, int64_t now_ms)
{
    bool whole = true;
    purge(ledger);
    for (size_t i = 0; i < ledger->count; i++)
        ledger->entries[i]->seen = false;
    for (size_t i = 0; i < list->count && whole; i++) {
        const struct alert *alert = &list->items[i];
        const struct alert_mark *mark = marks != NULL ? &marks[i] : NULL;
        if (alert->state == ALERT_RESOLVED)
            follow_resolved(ledger, alert);
        else if (alert->state == ALERT_FIRING)
            whole = mark != NULL && alert_mark_suppressed(mark)
                        ? follow_suppressed(ledger, alert, mark)
                        : follow_firing(ledger, alert, mark, now_ms);
    }
    for (size_t i = 0; i < ledger->count && whole; i++) {
        struct notify_entry *e = ledger->entries[i];
        if (!e->seen && !e->gone)
            end(ledger, e, now_ms, false);
    }
    retire(ledger, now_ms);
    ledger->synced_ms = now_ms;
    return whole;
}

/* ---- what is due ---- */

/* A clock that was put back makes what was told "later" due at once. */
static int64_t again_ms(const struct notify_entry *e, int64_t interval_ms, int64_t now_ms)
{
    return e->told_ms > now_ms ? now_ms : e->told_ms + interval_ms;
}

static int64_t entry_due_ms(const struct notify_ledger *ledger, const struct notify_entry *e,
                            int64_t now_ms)
{
    const struct notify_rules *rules = &ledger->rules;
    if (e->gone)
        return INT64_MAX;
    if (e->told != (e->over ? NOTIFY_RESOLVED : NOTIFY_FIRING))
        return now_ms;
    if (to_alertmanager(ledger))
        return again_ms(e, rules->resend_ms, now_ms);
    if (e->over || rules->repeat_ms == 0 || e->acknowledged)
        return INT64_MAX;
    return again_ms(e, rules->repeat_ms, now_ms);
}

int64_t notify_ledger_due_ms(const struct notify_ledger *ledger, int64_t now_ms)
{
    int64_t due = INT64_MAX;
    for (size_t i = 0; i < ledger->count; i++) {
        const int64_t at = entry_due_ms(ledger, ledger->entries[i], now_ms);
        due = at < due ? at : due;
    }
    return due;
}

size_t notify_ledger_waiting(const struct notify_ledger *ledger)
{
    size_t n = 0;
    for (size_t i = 0; i < ledger->count; i++) {
        const struct notify_entry *e = ledger->entries[i];
        n += !e->gone && e->told != (e->over ? NOTIFY_RESOLVED : NOTIFY_FIRING);
    }
    return n;
}

static bool is_due(const struct notify_ledger *ledger, const struct notify_entry *e, int64_t now_ms)
{
    return entry_due_ms(ledger, e, now_ms) <= now_ms;
}

/* Of the server of the first one that is due: what is due, then what else fires, so that the
 * message says how the server is. */
static size_t collect_server(struct notify_ledger *ledger, int64_t now_ms, size_t first,
                             struct notify_entry *batch[NOTIFY_BATCH_MAX])
{
    const char *server = ledger->entries[first]->alert.server;
    size_t n = 0;
    for (int due = 1; due >= 0; due--) {
        for (size_t i = 0; i < ledger->count && n < NOTIFY_BATCH_MAX; i++) {
            struct notify_entry *e = ledger->entries[i];
            if (e->gone || is_due(ledger, e, now_ms) != (due == 1) ||
                strcmp(e->alert.server, server) != 0)
                continue;
            if (due == 1 || !e->over)
                batch[n++] = e;
        }
    }
    return n;
}

size_t notify_ledger_collect(struct notify_ledger *ledger, int64_t now_ms,
                             struct notify_entry *batch[NOTIFY_BATCH_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < ledger->count && n < NOTIFY_BATCH_MAX; i++) {
        if (!is_due(ledger, ledger->entries[i], now_ms))
            continue;
        if (!to_alertmanager(ledger))
            return collect_server(ledger, now_ms, i, batch);
        batch[n++] = ledger->entries[i];
    }
    return n;
}

void notify_ledger_accepted(struct notify_ledger *ledger, struct notify_entry *const *batch,
                            size_t n, int64_t now_ms)
{
    for (size_t i = 0; i < n; i++) {
        struct notify_entry *e = batch[i];
        const enum notify_told told = e->over ? NOTIFY_RESOLVED : NOTIFY_FIRING;
        /* A resend changes nothing that a restart must know, but a repetition does. */
        e->dirty = e->dirty || e->told != told || !to_alertmanager(ledger);
        e->told = told;
        e->told_ms = now_ms;
    }
    retire(ledger, now_ms);
}

void notify_ledger_sweep(struct notify_ledger *ledger)
{
    size_t kept = 0;
    for (size_t i = 0; i < ledger->count; i++) {
        struct notify_entry *e = ledger->entries[i];
        e->dirty = false;
        if (e->gone)
            notify_entry_free(e);
        else
            ledger->entries[kept++] = e;
    }
    ledger->count = kept;
}
