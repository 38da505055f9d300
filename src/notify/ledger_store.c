/* A ledger on disk. */
#include "notify/notify_internal.h"

#include "alert/codec.h"
#include "base/alloc.h"
#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ENTRY_VERSION = 1, BLOB_MAX = 16 << 10, JSON_DEPTH = 4, KEY_MAX = NOTIFY_NAME_MAX + 64 };

static void entry_key(char out[KEY_MAX], const char *receiver, const struct notify_entry *e)
{
    snprintf(out, KEY_MAX, "%s/%016" PRIx64 "-%d", receiver, e->alert.id, (int)e->alert.severity);
}

static void encode(const struct notify_entry *e, struct fw_buf *out)
{
    fw_buf_printf(
        out, "{\"v\":%d,\"over\":%d,\"over_at\":%" PRId64 ",\"told\":%d,\"told_at\":%" PRId64 ",",
        ENTRY_VERSION, e->over, e->over_ms, (int)e->told, e->told_ms);
    alert_put_members(out, &e->alert, e->metric);
    if (e->labels != NULL) {
        fw_buf_puts(out, ",\"labels\":{");
        label_set_put_members(out, e->labels);
        fw_buf_putc(out, '}');
    }
    fw_buf_putc(out, '}');
}

static bool decode(struct fw_json_value root, const struct schema *schema, struct notify_entry *e)
{
    int64_t version, over, told;
    struct label_set labels;
    if (!alert_get_int(root, "v", ENTRY_VERSION, ENTRY_VERSION, &version) ||
        !alert_get_int(root, "over", 0, 1, &over) ||
        !alert_get_int(root, "over_at", INT64_MIN, INT64_MAX, &e->over_ms) ||
        !alert_get_int(root, "told", NOTIFY_NOTHING, NOTIFY_RESOLVED, &told) ||
        !alert_get_int(root, "told_at", INT64_MIN, INT64_MAX, &e->told_ms) ||
        !alert_get_members(root, &e->alert, e->metric) || !alert_get_labels(root, &labels) ||
        !notify_entry_label(e, &labels))
        return false;
    e->over = over != 0;
    e->told = (enum notify_told)told;
    const int index = schema_find(schema, e->metric, strlen(e->metric));
    const bool unusual = strcmp(e->metric, "unusual_behaviour") == 0;
    e->alert.metric = index >= 0 ? (uint16_t)index /* the name is kept */
                      : unusual  ? ALERT_METRIC_UNUSUAL
                                 : ALERT_METRIC_SILENT;
    return true;
}

struct loading {
    struct notify_ledger *ledger;
    struct fw_json_parser *parser;
    size_t unreadable;
    bool inherited; /* from the older namespace */
    bool out_of_memory;
};

static bool load_entry(void *ctx, const char *key, const void *data, size_t len)
{
    (void)key;
    struct loading *loading = ctx;
    struct fw_json_value root;
    struct notify_entry *entry = fw_calloc(1, sizeof *entry);
    if (entry == NULL) {
        loading->out_of_memory = true;
        return false;
    }
    if (data == NULL || fw_json_parse(loading->parser, data, len, &root, NULL) != FW_OK ||
        !decode(root, loading->ledger->schema, entry)) {
        loading->unreadable++;
        notify_entry_free(entry);
        return true;
    }
    if (loading->inherited &&
        notify_ledger_has(loading->ledger, entry->alert.id, entry->alert.severity)) {
        notify_entry_free(entry);
        return true;
    }
    entry->dirty = loading->inherited;
    loading->out_of_memory = !notify_ledger_add(loading->ledger, entry);
    return !loading->out_of_memory;
}

static enum fw_status load(struct loading *loading, struct store_state *state, const char *ns,
                           const char *receiver, struct fw_error *err)
{
    char from[KEY_MAX], to[KEY_MAX];
    if (state == NULL)
        return FW_OK;
    loading->parser = fw_json_parser_new(BLOB_MAX, JSON_DEPTH);
    if (loading->parser == NULL)
        return fw_fail(err, FW_ENOMEM, "notify: read what %s was told", receiver);
    snprintf(from, sizeof from, "%s/", receiver);
    snprintf(to, sizeof to, "%s0", receiver); /* '0' comes right behind '/' */
    const struct store_state_range range = {.ns = ns, .from = from, .to = to};
    enum fw_status status = store_state_range_each(state, &range, load_entry, loading, err);
    if (status == FW_OK && loading->out_of_memory)
        status = fw_fail(err, FW_ENOMEM, "notify: read what %s was told", receiver);
    if (loading->unreadable > 0)
        FW_LOG_WARN("notify", "entries passed over receiver=%s unreadable=%zu", receiver,
                    loading->unreadable);
    fw_json_parser_free(loading->parser);
    return status;
}

enum fw_status notify_ledger_load(struct notify_ledger *ledger, struct store_state *state,
                                  const char *receiver, struct fw_error *err)
{
    struct loading loading = {.ledger = ledger};
    return load(&loading, state, NOTIFY_NAMESPACE, receiver, err);
}

enum fw_status notify_ledger_inherit(struct notify_ledger *ledger, struct store_state *state,
                                     const char *older, struct fw_error *err)
{
    struct loading loading = {.ledger = ledger, .inherited = true};
    return load(&loading, state, NOTIFY_NAMESPACE_OLDER, older, err);
}

static enum fw_status write_entry(const struct notify_entry *e, struct store_state *state,
                                  const char *receiver, struct fw_buf *buf, struct fw_error *err)
{
    char key[KEY_MAX];
    entry_key(key, receiver, e);
    if (e->gone)
        return store_state_delete(state, NOTIFY_NAMESPACE, key, err);
    fw_buf_reset(buf);
    encode(e, buf);
    if (buf->failed)
        return fw_fail(err, FW_ENOMEM, "notify: write what %s was told", receiver);
    return store_state_put(state, NOTIFY_NAMESPACE, key, buf->data, buf->len, err);
}

enum fw_status notify_ledger_save(struct notify_ledger *ledger, struct store_state *state,
                                  const char *receiver, struct fw_error *err)
{
    size_t dirty = 0;
    for (size_t i = 0; i < ledger->count; i++)
        dirty += ledger->entries[i]->dirty;
    if (dirty == 0)
        return FW_OK;
    if (state != NULL) {
        struct fw_buf buf;
        enum fw_status status = store_state_begin(state, err);
        if (status != FW_OK)
            return status;
        fw_buf_init(&buf, BLOB_MAX);
        for (size_t i = 0; i < ledger->count && status == FW_OK; i++)
            if (ledger->entries[i]->dirty)
                status = write_entry(ledger->entries[i], state, receiver, &buf, err);
        fw_buf_fini(&buf);
        if (status == FW_OK)
            status = store_state_commit(state, err);
        else
            store_state_rollback(state);
        if (status != FW_OK)
            return status;
    }
    notify_ledger_sweep(ledger);
    return FW_OK;
}
