/* Labels of servers outlive the process as blobs of the state store: key the server's name, value a
 * JSON object. They are written seconds after they changed, and before a snapshot of the windows; a
 * change that is younger is in the journal, beside the samples that brought it. */
#include "daemon/daemon_internal.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/log.h"

#include <string.h>

enum { BLOB_MAX = 8 << 10, JSON_DEPTH = 2 };
static const char labels_namespace[] = "labels";

/* ---- reading ---- */

struct loading {
    struct daemon *daemon;
    struct fw_json_parser *parser;
    size_t servers, unreadable;
};

/* Labels that are no longer kept are passed over. */
static bool read_labels(const struct loading *loading, struct fw_json_value root,
                        struct label_set *set)
{
    struct fw_json_iter members = fw_json_walk(root);
    struct fw_json_value value;
    const char *key, *text;
    size_t key_len, len;
    label_set_clear(set);
    if (fw_json_type(root) != FW_JSON_OBJECT)
        return false;
    while (fw_json_next_member(&members, &key, &key_len, &value)) {
        if ((text = fw_json_string(value, &len)) == NULL || !label_name_valid(key, key_len))
            return false;
        if (label_rules_find(&loading->daemon->config->labels, key, key_len) != NULL &&
            !label_set_put(set, key, key_len, text, len))
            return false;
    }
    return true;
}

static bool load_labels(void *ctx, const char *key, const void *data, size_t len)
{
    struct loading *loading = ctx;
    struct fw_json_value root;
    struct label_set set;
    if (fw_json_parse(loading->parser, data, len, &root, NULL) != FW_OK ||
        !read_labels(loading, root, &set)) {
        loading->unreadable++;
        return true;
    }
    if (set.count > 0)
        loading->servers += fleet_labels_put(loading->daemon->fleet, key, strlen(key), &set);
    return true;
}

void daemon_labels_load(struct daemon *daemon)
{
    struct loading loading = {.daemon = daemon, .parser = fw_json_parser_new(BLOB_MAX, JSON_DEPTH)};
    struct fw_error err = {0};
    uint64_t damaged = 0;
    const bool replayed = fleet_labels_count(daemon->fleet) > 0;
    const enum fw_status status = loading.parser == NULL
                                      ? fw_fail(&err, FW_ENOMEM, "out of memory")
                                      : store_state_each(daemon->state, labels_namespace,
                                                         load_labels, &loading, &damaged, &err);
    fw_json_parser_free(loading.parser);
    if (status != FW_OK)
        FW_LOG_WARN("fleet", "labels cannot be read, samples will bring them reason=\"%s\"",
                    err.text);
    if (loading.unreadable > 0 || damaged > 0)
        FW_LOG_WARN("fleet", "labels of some servers are unreadable unreadable=%zu damaged=%llu",
                    loading.unreadable, (unsigned long long)damaged);
    if (loading.servers > 0)
        FW_LOG_DEBUG("fleet", "read labels servers=%zu", loading.servers);
    fleet_labels_keep(daemon->fleet, &daemon->config->labels);
    /* What the journal brought is still to be written, which is rare: then all are. */
    daemon->housekeeping.labels_revision = replayed ? 0 : fleet_labels_revision(daemon->fleet);
    atomic_store(&daemon->housekeeping.forgot, true); /* servers may be gone since */
}

/* ---- writing ---- */

static enum fw_status put_changed(struct daemon *daemon, struct fw_error *err)
{
    char name[SERVER_NAME_MAX + 1];
    struct label_set set;
    struct fw_buf buf;
    enum fw_status status = FW_OK;
    fw_buf_init(&buf, BLOB_MAX);
    for (size_t slot = 0; slot < fleet_slots(daemon->fleet) && status == FW_OK; slot++) {
        if (!fleet_labels_changed(daemon->fleet, slot, daemon->housekeeping.labels_revision, name,
                                  &set))
            continue;
        fw_buf_reset(&buf);
        fw_buf_putc(&buf, '{');
        label_set_put_members(&buf, &set);
        fw_buf_putc(&buf, '}');
        status = buf.failed ? fw_fail(err, FW_ENOMEM, "out of memory")
                            : store_state_put(daemon->state, labels_namespace, name, buf.data,
                                              buf.len, err);
    }
    fw_buf_fini(&buf);
    return status;
}

struct gone {
    const struct fleet *fleet;
    struct fw_buf names; /* each with its NUL */
};

static bool find_gone(void *ctx, const char *key, const void *data, size_t len)
{
    struct gone *gone = ctx;
    (void)data;
    (void)len;
    if (fleet_find(gone->fleet, key, strlen(key)) < 0)
        fw_buf_put(&gone->names, key, strlen(key) + 1);
    return !gone->names.failed;
}

/* Visitors may not write, so names are collected first. */
static enum fw_status remove_gone(struct daemon *daemon, struct fw_error *err)
{
    struct gone gone = {.fleet = daemon->fleet};
    fw_buf_init(&gone.names, (size_t)64 << 20);
    enum fw_status status =
        store_state_each(daemon->state, labels_namespace, find_gone, &gone, NULL, err);
    for (size_t at = 0; at < gone.names.len && status == FW_OK && !gone.names.failed;) {
        const char *name = gone.names.data + at;
        status = store_state_delete(daemon->state, labels_namespace, name, err);
        at += strlen(name) + 1;
    }
    fw_buf_fini(&gone.names);
    return status;
}

void daemon_labels_save(struct daemon *daemon)
{
    struct daemon_housekeeping *keeper = &daemon->housekeeping;
    struct fw_error err = {0};
    const uint64_t revision = fleet_labels_revision(daemon->fleet);
    const bool forgot = atomic_exchange(&keeper->forgot, false);
    if (revision == keeper->labels_revision && !forgot)
        return;
    enum fw_status status = store_state_begin(daemon->state, &err);
    if (status == FW_OK) {
        status = put_changed(daemon, &err);
        if (status == FW_OK && forgot)
            status = remove_gone(daemon, &err);
        if (status == FW_OK)
            status = store_state_commit(daemon->state, &err);
        else
            store_state_rollback(daemon->state);
    }
    if (status == FW_OK)
        keeper->labels_revision = revision;
    else if (forgot)
        atomic_store(&keeper->forgot, true);
    if (status != FW_OK && !keeper->labels_failing)
        FW_LOG_WARN("fleet", "labels are not written, it is tried again reason=\"%s\"", err.text);
    keeper->labels_failing = status != FW_OK;
}
