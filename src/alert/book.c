/* The book: every alert that lives, moved on by each run's forecasts. */
#include "alert/book_internal.h"

#include "base/alloc.h"
#include "base/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { JSON_MAX = 64 << 10, JSON_DEPTH = 8 };

static int compare_entries(const void *left, const void *right)
{
    const struct alert_entry *a = *(struct alert_entry *const *)left;
    const struct alert_entry *b = *(struct alert_entry *const *)right;
    const int order = strcmp(a->alert.server, b->alert.server);
    if (order != 0)
        return order;
    return (a->alert.metric > b->alert.metric) - (a->alert.metric < b->alert.metric);
}

void alert_book_sort(struct alert_book *book)
{
    if (book->entry_count > 1)
        qsort(book->entries, book->entry_count, sizeof(struct alert_entry *), compare_entries);
}

void alert_book_watch(struct alert_book *book, const struct surprise *surprise)
{
    book->surprise = surprise;
}

/* Resolved alerts leave the list after an hour; one from the future was dated by a wrong clock. */
static void drop_old(struct alert_book *book, int64_t now_ms)
{
    for (size_t i = 0; i < book->entry_count; i++) {
        struct alert_entry *entry = book->entries[i];
        const int64_t age_ms = now_ms - entry->alert.ends_ms;
        if (!alert_entry_active(entry) && (age_ms >= book->options.keep_resolved_ms ||
                                           age_ms < -book->options.keep_resolved_ms)) {
            entry->remove = true;
            book->moved = true;
        }
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

/* The list of the book as it is, for the book. False: no memory. */
static bool renew_list(struct alert_book *book)
{
    if (book->list != NULL && !book->moved)
        return true;
    alert_list_release(book->list);
    book->list = make_list(book);
    book->moved = book->list == NULL;
    return book->list != NULL;
}

enum fw_status alert_book_update(struct alert_book *book, const struct forecast_set *set,
                                 const struct risk *risks, int64_t now_ms,
                                 const struct alert_list **list, struct fw_error *err)
{
    *list = NULL;
    if (!book->updated_once)
        excuse_silence(book, now_ms);
    book->updated_once = true;
    book->silence_waits = false;
    const size_t known = book->entry_count;
    const bool whole = alert_book_judge(book, set, risks, now_ms);
    book->unsettled = !whole || book->silence_waits;
    if (book->entry_count > known)
        alert_book_sort(book);
    drop_old(book, now_ms);
    if (!whole || !renew_list(book))
        return fw_fail(err, FW_ENOMEM, "update the alerts");
    *list = alert_list_retain(book->list);
    return FW_OK;
}

void alert_book_write(struct alert_book *book, alert_transition_fn notify, void *ctx)
{
    persist(book);
    for (size_t i = 0; i < book->transition_count; i++) {
        atomic_fetch_add(&book->counted[book->transitions[i].to], 1);
        if (notify != NULL)
            notify(ctx, &book->transitions[i]);
    }
    book->transition_count = 0;
}

int64_t alert_book_due_ms(const struct alert_book *book)
{
    int64_t due = book->silence_waits ? book->judge_silence_ms : INT64_MAX;
    for (size_t i = 0; i < book->entry_count; i++) {
        const struct alert_entry *entry = book->entries[i];
        if (alert_entry_active(entry))
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

void alert_book_reconfigure(struct alert_book *book, const struct alert_options *options)
{
    assert(options->horizon_steps >= 1 && options->horizon_steps <= FORECAST_HORIZON);
    assert(options->for_runs >= 1 && options->clear_runs >= 1 && options->step_s >= 1);
    book->schema = *options->schema;
    book->options = *options;
    book->options.schema = &book->schema;
    book->unsettled = true;
    book->moved = true;
}

enum fw_status alert_book_open(const struct alert_options *options, struct store_state *state,
                               struct alert_book **out, struct fw_error *err)
{
    enum fw_status status;
    *out = NULL;
    struct alert_book *book = fw_calloc(1, sizeof *book);
    if (book == NULL)
        return fw_fail(err, FW_ENOMEM, "open the alerts");
    alert_book_reconfigure(book, options);
    book->state = state;
    book->parser = fw_json_parser_new(JSON_MAX, JSON_DEPTH);
    status = book->parser != NULL ? alert_book_load(book, err)
                                  : fw_fail(err, FW_ENOMEM, "open the alerts");
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
    alert_list_release(book->list);
    clear_ops(book);
    fw_free(book->entries);
    fw_free(book->ops);
    fw_free(book->transitions);
    fw_json_parser_free(book->parser);
    fw_free(book);
}
