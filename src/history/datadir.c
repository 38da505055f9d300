/* The past of a daemon's own fleet: the blocks of its long history, then the windows of its newest
 * snapshot where those have nothing. The journal behind the snapshot is not read. */
#include "archive/archive.h"
#include "base/log.h"
#include "base/text.h"
#include "domain/schema.h"
#include "fleet/snapshot_look.h"
#include "history/history_internal.h"
#include "store/directory.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

enum { TOLD_MAX = 10 /* damaged blocks that are named */ };

/* One directory while it is read. */
struct source {
    struct history *data;
    const struct history_options *options;
    const struct schema *schema;
    const char *file; /* that is being read */
    uint64_t rows;    /* taken from it */
    enum fw_status status;
    struct fw_error *err;
};

/* A run of steps of one server, from a block or a snapshot. */
struct piece {
    const char *server;
    uint32_t step_s;
    int64_t first;
    size_t steps;
    const uint8_t *statuses; /* (steps) */
    bool fill;               /* only where there is nothing yet */
};

static enum fw_status wrong(struct source *src, const struct piece *p, const struct fw_error *why)
{
    char from[FW_TIME_SIZE];
    fw_time_format_z(p->first * p->step_s * 1000, from);
    return fw_fail(src->err, why->status, "%.80s: server %.60s from %s: %.80s", src->file,
                   p->server, from, why->text);
}

static void pass_over(struct source *src, const struct archive_found *found)
{
    char from[FW_TIME_SIZE] = "?";
    if (src->data->blocks_damaged++ >= TOLD_MAX)
        return;
    if (found->server != NULL)
        fw_time_format_z(found->start_s * 1000, from);
    FW_LOG_WARN("history", "a block is passed over file=%s server=%s from=%s reason=\"%s\"",
                src->file, found->server != NULL ? found->server : "?", from, found->trouble);
}

static int64_t grid_step(const struct source *src, const struct piece *p, size_t i)
{
    return (p->first + (int64_t)i) * p->step_s / src->data->step_s;
}

/* The values of one metric into its column. */
static enum fw_status add_metric(struct source *src, struct history_series *s,
                                 const struct piece *p, const char *name, const float *values)
{
    struct history *d = src->data;
    int column;
    struct fw_error inner;
    enum fw_status status = history_column_of(d, name, &column, &inner);
    const int known = schema_find(src->schema, name, strlen(name));
    const char *turned = src->options->complement;
    const bool complement = turned != NULL && strcmp(turned, name) == 0;
    size_t last_at = SIZE_MAX;
    bool fresh = true;
    for (size_t i = 0; i < p->steps && status == FW_OK; i++) {
        double value = (double)values[i];
        if (isnan(value))
            continue;
        const size_t at = (size_t)(grid_step(src, p, i) - s->first);
        if (p->fill && at != last_at)
            fresh = s->count[column] == NULL || s->count[column][at] == 0;
        last_at = at;
        if (!fresh)
            continue;
        if (known >= 0 && !schema_accept(&src->schema->metrics[known], &value)) {
            d->refused++;
            continue;
        }
        d->values++;
        const double exact = complement ? 100.0 - value : value;
        status = history_series_add(s, (size_t)column, at, value, d->exact ? &exact : NULL, &inner);
    }
    return status == FW_OK ? FW_OK : wrong(src, p, &inner);
}

static enum fw_status add_statuses(struct source *src, struct history_series *s,
                                   const struct piece *p)
{
    struct fw_error inner;
    for (size_t i = 0; i < p->steps; i++) {
        const int64_t at = grid_step(src, p, i) - s->first;
        if (p->statuses[i] == STATUS_UNKNOWN || at < 0 || at >= (int64_t)s->steps)
            continue;
        if (p->fill && s->status != NULL && s->status[at] != STATUS_UNKNOWN)
            continue;
        src->data->has_status = true;
        if (history_series_status(s, (size_t)at, p->statuses[i], &inner) != FW_OK)
            return wrong(src, p, &inner);
    }
    return FW_OK;
}

/* The first and last step that hold anything, and how many do. */
struct extent {
    size_t first, last;
    size_t held;
};

static struct extent extent_of(size_t steps, size_t metrics, const float *const *values)
{
    struct extent e = {0};
    for (size_t i = 0; i < steps; i++) {
        bool any = false;
        for (size_t m = 0; m < metrics && !any; m++)
            any = values[m] != NULL && !isnan(values[m][i]);
        if (!any)
            continue;
        if (e.held++ == 0)
            e.first = i;
        e.last = i;
    }
    return e;
}

/* The series with room for the piece, or NULL. */
static struct history_series *reach(struct source *src, const struct piece *p,
                                    const struct extent *e, enum fw_status *status)
{
    struct fw_error inner;
    size_t at;
    struct history_series *s = history_series_of(src->data, p->server, strlen(p->server), &inner);
    *status = s == NULL ? inner.status : FW_OK;
    if (*status == FW_OK)
        *status = history_series_reach(s, grid_step(src, p, e->first), &at, &inner);
    if (*status == FW_OK)
        *status = history_series_reach(s, grid_step(src, p, e->last), &at, &inner);
    if (*status == FW_OK)
        return s;
    *status = wrong(src, p, &inner);
    return NULL;
}

static enum fw_status add_piece(struct source *src, const struct piece *p, size_t metrics,
                                const char *const *names, const float *const *values,
                                struct history_series **out)
{
    const struct extent e = extent_of(p->steps, metrics, values);
    enum fw_status status = FW_OK;
    *out = NULL;
    if (e.held == 0)
        return FW_OK;
    struct history_series *s = reach(src, p, &e, &status);
    if (s == NULL)
        return status;
    for (size_t m = 0; m < metrics && status == FW_OK; m++)
        if (values[m] != NULL)
            status = add_metric(src, s, p, names[m], values[m]);
    if (status == FW_OK)
        status = add_statuses(src, s, p);
    src->rows += e.held;
    *out = s;
    return status;
}

/* ---- blocks ---- */

static bool take_block(void *ctx, const struct archive_found *found)
{
    struct source *src = ctx;
    const char *names[ARCHIVE_METRICS_MAX];
    const float *values[ARCHIVE_METRICS_MAX];
    const struct archive_block *block = found->block;
    struct history_series *s;
    if (block == NULL) {
        pass_over(src, found);
        return true;
    }
    const struct piece piece = {.server = found->server,
                                .step_s = block->step_s,
                                .first = block->number * ARCHIVE_STEPS,
                                .steps = ARCHIVE_STEPS,
                                .statuses = block->statuses};
    for (size_t m = 0; m < block->metrics; m++) {
        names[m] = block->metric[m].name;
        values[m] = block->metric[m].values;
    }
    src->status = add_piece(src, &piece, block->metrics, names, values, &s);
    if (s != NULL) {
        s->profile = block->profile;
        s->profile_given = true;
    }
    src->data->blocks++;
    return src->status == FW_OK;
}

static enum fw_status read_blocks(struct source *src, const char *path)
{
    struct stat st;
    struct store_state *state = NULL;
    struct fw_error inner = {0};
    const struct store_state_options look = {.read_only = true, .unchecked = true};
    if (stat(path, &st) != 0)
        return FW_OK; /* none was ever kept */
    src->file = path;
    enum fw_status status = store_state_open(path, &look, NULL, &state, &inner);
    if (status == FW_OK)
        status = archive_each(state, take_block, src, &inner);
    store_state_close(state);
    if (status != FW_OK)
        return fw_fail(src->err, status, "%.120s: %.120s", path, inner.text);
    return src->status;
}

/* ---- the newest snapshot ---- */

static enum fw_status take_server(void *ctx, const struct fleet_snapshot_server *server)
{
    struct source *src = ctx;
    struct history_series *s;
    const struct piece piece = {.server = server->name,
                                .step_s = server->step_s,
                                .first = server->first_step,
                                .steps = server->steps,
                                .statuses = server->statuses,
                                .fill = true};
    src->status = add_piece(src, &piece, server->metrics, server->metric_names, server->values, &s);
    if (s != NULL && server->own_profile < PROFILE_COUNT) {
        s->profile = server->own_profile;
        s->profile_given = true;
    }
    return src->status;
}

static enum fw_status read_snapshot(struct source *src, const char *dir)
{
    struct store_snapshot_report report;
    struct fw_error inner = {0};
    src->file = dir;
    const enum fw_status status = fleet_snapshot_look(dir, NULL, take_server, src, &report, &inner);
    if (status != FW_OK && src->status == FW_OK) /* else src->err has it */
        return fw_fail(src->err, status, "%.120s: %.120s", dir, inner.text);
    if (report.damaged_blocks > 0)
        FW_LOG_WARN("history",
                    "a snapshot is damaged, servers are passed over file=%s servers=%llu",
                    report.path, (unsigned long long)report.damaged_blocks);
    return status;
}

enum fw_status history_read_datadir(struct history *data, const struct history_options *options,
                                    const struct schema *schema, const char *path, bool *is_one,
                                    struct fw_error *err)
{
    struct store_directory directory;
    struct fw_error inner = {0};
    struct source src = {.data = data, .options = options, .schema = schema, .err = err};
    enum fw_status status =
        store_directory_init(&directory, path, NULL, STORE_DIRECTORY_LOOK, &inner);
    *is_one = status != FW_ENOTFOUND && status != FW_EINVAL;
    if (!*is_one)
        return FW_OK;
    if (status != FW_OK)
        return fw_fail(err, status, "%s", inner.text);
    status = read_blocks(&src, directory.history);
    if (status == FW_OK)
        status = read_snapshot(&src, directory.snap);
    store_directory_fini(&directory);
    data->rows += src.rows;
    if (status == FW_OK && src.rows == 0)
        status = fw_fail(err, FW_ENOTFOUND, "%.200s: no samples are in it yet", path);
    return status;
}
