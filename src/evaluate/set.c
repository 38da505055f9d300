#include "evaluate/set.h"

#include "base/alloc.h"
#include "evaluate/protocol.h"
#include "history/splits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    PATH_BYTES = 4096,
    MONTH_DAYS = 30, /* the papers' months, of which 12 train, 4 validate and 4 test */
    TRAINING_MONTHS = 12,
    TEST_MONTH = 16,
    ALL_MONTHS = 20,
    DAY_S = 86400,
    TEST_SHARE = 5, /* one in so many steps */
};

static const char idle[] = "cpu_idle_pct", used[] = "cpu_used_pct";

const char *evaluate_set_metric(const struct evaluate_set *set, size_t column, bool *complement)
{
    const char *name = set->history->column[column];
    *complement = strcmp(name, idle) == 0;
    return *complement && history_column(set->history, used) < 0 ? used : name;
}

/* ---- reading ---- */

static enum fw_status read_files(size_t n, const char *const *paths, uint32_t step_s,
                                 struct history **out, struct fw_error *err)
{
    const struct history_options options = {.step_s = step_s, .exact = true, .complement = idle};
    return history_read(&options, n, paths, out, err);
}

/* "DIR/SERVER.csv.gz", or without .gz where only that is there; NULL: no memory. */
static char *file_of(const char *dir, const char *server)
{
    const size_t size = strlen(dir) + strlen(server) + sizeof "/.csv.gz";
    char *path = fw_malloc(size);
    struct stat st;
    if (path == NULL)
        return NULL;
    (void)snprintf(path, size, "%s/%s.csv", dir, server);
    if (stat(path, &st) != 0)
        (void)snprintf(path, size, "%s/%s.csv.gz", dir, server);
    return path;
}

static enum fw_status read_fleet(const char *dir, const struct history_splits *splits,
                                 uint32_t step_s, struct history **out, struct fw_error *err)
{
    enum fw_status status = FW_OK;
    char **paths = fw_calloc(splits->n, sizeof *paths);
    if (paths == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory for %zu paths", splits->n);
    for (size_t i = 0; i < splits->n && status == FW_OK; i++) {
        paths[i] = file_of(dir, splits->items[i].server);
        if (paths[i] == NULL)
            status = fw_fail(err, FW_ENOMEM, "no memory for %zu paths", splits->n);
    }
    if (status == FW_OK)
        status = read_files(splits->n, (const char *const *)paths, step_s, out, err);
    for (size_t i = 0; i < splits->n; i++)
        fw_free(paths[i]);
    fw_free(paths);
    return status;
}

/* ---- the split ---- */

/* The first step that begins at or after a time, as an index of the server's; 0 where that is
 * before its first. */
static size_t index_of(const struct history_series *s, uint32_t step_s, int64_t ms)
{
    const int64_t step_ms = (int64_t)step_s * 1000, ahead = ms - s->first * step_ms;
    return ahead <= 0 ? 0 : (size_t)((ahead + step_ms - 1) / step_ms);
}

static int by_name(const void *name, const void *series)
{
    return strcmp(name, ((const struct history_series *)series)->name);
}

static enum fw_status split_fleet(const char *path, const struct history_splits *splits,
                                  int64_t test_from_ms, struct evaluate_set *set,
                                  struct fw_error *err)
{
    const struct history *h = set->history;
    for (size_t i = 0; i < splits->n; i++) {
        const struct history_split *split = &splits->items[i];
        const struct history_series *series =
            bsearch(split->server, h->series, h->n_series, sizeof *h->series, by_name);
        if (series == NULL)
            return fw_fail_at(err, FW_ENOTFOUND, split->line,
                              "%.120s:%zu: the server's file has no rows of %.60s", path,
                              split->line, split->server);
        set->servers[i] = (struct evaluate_server){
            .series = series,
            .steps = series->steps,
            .test =
                index_of(series, h->step_s, test_from_ms >= 0 ? test_from_ms : split->test_from_ms),
        };
    }
    return FW_OK;
}

static void split_ett(struct evaluate_set *set)
{
    const size_t month = (size_t)MONTH_DAYS * DAY_S / set->history->step_s;
    for (size_t i = 0; i < set->n_servers; i++) {
        const struct history_series *series = &set->history->series[i];
        set->servers[i] = (struct evaluate_server){
            .series = series,
            .steps = series->steps < ALL_MONTHS * month ? series->steps : ALL_MONTHS * month,
            .test = TEST_MONTH * month,
            .training = TRAINING_MONTHS * month,
        };
    }
}

/* When the last fifth of all time begins, or the last horizon where that is longer. */
static int64_t last_fifth_ms(const struct history *h)
{
    int64_t first = INT64_MAX, end = INT64_MIN;
    for (size_t i = 0; i < h->n_series; i++) {
        const struct history_series *s = &h->series[i];
        first = s->first < first ? s->first : first;
        end = s->first + (int64_t)s->steps > end ? s->first + (int64_t)s->steps : end;
    }
    int64_t tested = (end - first + TEST_SHARE - 1) / TEST_SHARE;
    tested = tested < EVALUATE_HORIZON ? EVALUATE_HORIZON : tested;
    return (end - tested) * (int64_t)h->step_s * 1000;
}

static void split_plain(struct evaluate_set *set, int64_t test_from_ms)
{
    const struct history *h = set->history;
    const int64_t from = test_from_ms >= 0 ? test_from_ms : last_fifth_ms(h);
    for (size_t i = 0; i < set->n_servers; i++) {
        const struct history_series *series = &h->series[i];
        set->servers[i] = (struct evaluate_server){
            .series = series,
            .steps = series->steps,
            .test = index_of(series, h->step_s, from),
        };
    }
}

/* ---- a set ---- */

static enum fw_status make_servers(struct evaluate_set *set, size_t n, struct fw_error *err)
{
    set->n_servers = n;
    set->servers = fw_calloc(n, sizeof *set->servers);
    return set->servers != NULL ? FW_OK : fw_fail(err, FW_ENOMEM, "no memory for %zu servers", n);
}

static enum fw_status read_split_fleet(const struct evaluate_source *source, uint32_t step_s,
                                       int64_t test_from_ms, struct evaluate_set *set,
                                       struct fw_error *err)
{
    char path[PATH_BYTES];
    struct history_splits splits;
    if (snprintf(path, sizeof path, "%s/servers.csv", source->paths[0]) >= (int)sizeof path)
        return fw_fail(err, FW_ELIMIT, "%.200s: the path is too long", source->paths[0]);
    enum fw_status status = history_splits_read(path, &splits, err);
    if (status == FW_OK)
        status = read_fleet(source->paths[0], &splits, step_s, &set->history, err);
    if (status == FW_OK)
        status = make_servers(set, splits.n, err);
    if (status == FW_OK)
        status = split_fleet(path, &splits, test_from_ms, set, err);
    history_splits_fini(&splits);
    return status;
}

static enum fw_status read_whole(const struct evaluate_source *source, uint32_t step_s,
                                 int64_t test_from_ms, struct evaluate_set *set,
                                 struct fw_error *err)
{
    enum fw_status status = read_files(source->n_paths, source->paths, step_s, &set->history, err);
    if (status == FW_OK)
        status = make_servers(set, set->history->n_series, err);
    if (status == FW_OK && set->ett)
        split_ett(set);
    else if (status == FW_OK)
        split_plain(set, test_from_ms);
    return status;
}

enum fw_status evaluate_set_read(const struct evaluate_source *source,
                                 const struct evaluate_set_options *options,
                                 struct evaluate_set **out, struct fw_error *err)
{
    *out = NULL;
    struct evaluate_set *set = fw_calloc(1, sizeof *set);
    if (set == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory for a set");
    memcpy(set->name, source->name, sizeof set->name);
    set->ett = source->layout == EVALUATE_ETT && options->test_from_ms < 0;
    const uint32_t usual = source->layout == EVALUATE_ETT ? EVALUATE_ETT_STEP_S : HISTORY_STEP_S;
    const uint32_t step_s = options->step_s != 0 ? options->step_s : usual;
    const enum fw_status status =
        source->layout == EVALUATE_FLEET
            ? read_split_fleet(source, step_s, options->test_from_ms, set, err)
            : read_whole(source, step_s, options->test_from_ms, set, err);
    if (status != FW_OK) {
        evaluate_set_free(set);
        return status;
    }
    *out = set;
    return FW_OK;
}

void evaluate_set_free(struct evaluate_set *set)
{
    if (set == NULL)
        return;
    history_free(set->history);
    fw_free(set->servers);
    fw_free(set);
}
