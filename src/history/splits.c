#include "history/splits.h"

#include "base/alloc.h"
#include "base/text.h"
#include "history/table.h"

#include <string.h>

enum { SPLITS_MAX = 10000 };

static enum fw_status read_row(const struct history_table *t, const int *places,
                               struct history_splits *out)
{
    const struct history_field name = history_table_field(t, places[0]),
                               from = history_table_field(t, places[1]);
    if (!server_name_valid(name.text, name.len) || memchr(name.text, '/', name.len) != NULL)
        return history_table_wrong(t, FW_EINVAL, "server_name is not a server's name", name);
    if (out->n == SPLITS_MAX)
        return history_table_wrong(t, FW_ELIMIT, "too many servers", name);
    if (out->n == out->capacity) {
        const size_t wanted = out->capacity == 0 ? 64 : 2 * out->capacity;
        void *wider = fw_realloc_array(out->items, wanted, sizeof *out->items);
        if (wider == NULL)
            return history_table_wrong(t, FW_ENOMEM, "no memory for more servers", name);
        out->items = wider;
        out->capacity = wanted;
    }
    struct history_split *to = &out->items[out->n];
    memcpy(to->server, name.text, name.len);
    to->server[name.len] = '\0';
    to->line = t->number;
    if (!fw_time_parse(from.text, from.len, &to->test_from_ms))
        return history_table_wrong(t, FW_EINVAL, "test_from is not an ISO 8601 time", from);
    for (size_t i = 0; i < out->n; i++) {
        if (strcmp(out->items[i].server, to->server) == 0)
            return history_table_wrong(t, FW_EINVAL, "the server is there twice", name);
    }
    out->n++;
    return FW_OK;
}

enum fw_status history_splits_read(const char *path, struct history_splits *out,
                                   struct fw_error *err)
{
    static const char *const names[2] = {"server_name", "test_from"};
    int places[2];
    struct history_table table;
    *out = (struct history_splits){0};
    enum fw_status status = history_table_open(path, 2, names, places, &table, err);
    while (status == FW_OK && history_table_next(&table, &status))
        status = read_row(&table, places, out);
    if (status == FW_OK && out->n == 0)
        status =
            history_table_wrong(&table, FW_EINVAL, "no servers", (struct history_field){"", 0});
    history_table_close(&table);
    return status;
}

void history_splits_fini(struct history_splits *splits)
{
    fw_free(splits->items);
    *splits = (struct history_splits){0};
}
