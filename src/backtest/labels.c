#include "backtest/labels.h"

#include "base/text.h"
#include "domain/identity.h"
#include "history/table.h"

#include <stdlib.h>
#include <string.h>

enum { SERVER, START, END, COLUMNS };

struct names {
    size_t n;
    const char *const *items;
};

static int compare_names(const void *key, const void *item)
{
    return strcmp(key, *(const char *const *)item);
}

/* -1: not one of ours. */
static long find(const struct names *names, struct history_field name)
{
    char key[SERVER_NAME_MAX + 1];
    memcpy(key, name.text, name.len);
    key[name.len] = '\0';
    const char *const *at =
        bsearch(key, names->items, names->n, sizeof *names->items, compare_names);
    return at == NULL ? -1 : (long)(at - names->items);
}

static enum fw_status read_row(const struct history_table *t, const int *places,
                               const struct names *names, struct backtest_spans *incidents,
                               size_t *unknown)
{
    const struct history_field name = history_table_field(t, places[SERVER]),
                               start = history_table_field(t, places[START]),
                               end = history_table_field(t, places[END]);
    int64_t start_ms, end_ms = INT64_MAX;
    if (!server_name_valid(name.text, name.len))
        return history_table_wrong(t, FW_EINVAL, "server_name is not a server's name", name);
    if (!fw_time_parse(start.text, start.len, &start_ms))
        return history_table_wrong(t, FW_EINVAL, "start is not an ISO 8601 time", start);
    if (end.len > 0 && !fw_time_parse(end.text, end.len, &end_ms))
        return history_table_wrong(t, FW_EINVAL, "end is not an ISO 8601 time", end);
    if (end_ms < start_ms)
        return history_table_wrong(t, FW_EINVAL, "the incident ends before it begins", end);
    const long server = find(names, name);
    if (server < 0) {
        ++*unknown;
        return FW_OK;
    }
    if (!backtest_spans_add(&incidents[server],
                            (struct backtest_span){start_ms / 1000, end_ms / 1000}))
        return history_table_wrong(t, FW_ENOMEM, "no memory for more incidents", name);
    return FW_OK;
}

enum fw_status backtest_labels_read(const char *path, size_t n, const char *const *names,
                                    struct backtest_spans *incidents, size_t *unknown,
                                    struct fw_error *err)
{
    static const char *const columns[COLUMNS] = {"server_name", "start", "end"};
    const struct names known = {n, names};
    struct history_table table;
    int places[COLUMNS];
    size_t rows = 0;
    *unknown = 0;
    enum fw_status status = history_table_open(path, COLUMNS, columns, places, &table, err);
    while (status == FW_OK && history_table_next(&table, &status))
        status = ++rows <= BACKTEST_LABELS_MAX
                     ? read_row(&table, places, &known, incidents, unknown)
                     : history_table_wrong(&table, FW_ELIMIT, "too many incidents",
                                           (struct history_field){"", 0});
    history_table_close(&table);
    return status;
}
