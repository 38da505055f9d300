/* The book as the store has it. */
#include "alert/book_internal.h"

#include "base/alloc.h"
#include "base/log.h"

#include <inttypes.h>
#include <string.h>

struct loading {
    struct alert_book *book;
    size_t unreadable;
    bool out_of_memory;
};

/* The schema no longer has the metric: its history is closed and its blob goes. */
static bool forget_unknown(struct alert_book *book, const struct alert_entry *entry,
                           const char *metric)
{
    if (!alert_book_step_room(book))
        return false;
    const bool was_firing = entry->alert.state == ALERT_FIRING;
    struct alert_op *op = was_firing ? alert_book_push_op(book, ALERT_OP_CLOSE) : NULL;
    if (op != NULL) {
        struct alert over = entry->alert;
        over.ends_ms = over.updated_ms;
        memcpy(op->server, over.server, sizeof op->server);
        op->event = (struct alert_event){
            .alert_id = over.id, .starts_ms = over.starts_ms, .reason = ALERT_REASON_METRIC_GONE};
        alert_event_resolve(&over, &op->event);
    }
    op = alert_book_push_op(book, ALERT_OP_FORGET);
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
    struct alert_entry *entry = alert_book_entry_room(book) ? fw_malloc(sizeof *entry) : NULL;
    if (entry == NULL) {
        loading->out_of_memory = true;
        return false;
    }
    *entry = loaded;
    book->entries[book->entry_count++] = entry;
    return true;
}

enum fw_status alert_book_load(struct alert_book *book, struct fw_error *err)
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
    alert_book_sort(book);
    return FW_OK;
}
