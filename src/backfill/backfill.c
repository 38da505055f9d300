#include "backfill/backfill.h"

#include "backfill/rows.h"
#include "backfill/select.h"
#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

enum {
    NAMES_MAX = 16384,
    NAMES_BYTES = 2000, /* of the names in one selector that becomes part of a URL */
    SELECTOR_MAX = 1 << 16,
    CHUNK_POINTS_FIRST = 60,
    WARM_UP_POINTS = 6, /* rates and disks are known from the third scrape on */
    REQUEST_MAX = 24 << 20,
    BOOK_BYTES = 64 << 20,
    ALIVE_STEPS = 3, /* as a daemon's stale_steps */
};

/* Hosts that one label names: `instance`, or `host` for series that have no instance. */
struct hosts {
    const char *label;
    const char *without; /* a label that must be empty, or NULL */
    struct backfill_texts names;
};

struct run {
    const struct backfill_options *options;
    struct backfill_counts *counts;
    const struct fw_clock *clock;
    const char *match; /* not terminated */
    size_t match_len;
    struct backfill_texts names; /* of series; those found, after find_names() */
    struct hosts hosts[2];
    struct fw_buf selector, request;
    struct series_book *book;
    struct series_gather gather;
    struct sample_batch *rows;       /* of the group */
    struct sample_batch *refused;    /* has no rows: what a chunk's series lack */
    int64_t begin_s, first_s, end_s; /* rows begin, points begin and end */
    uint32_t points;                 /* of the next chunk */
    size_t series, samples;          /* of this one */
    struct backfill_progress progress;
};

static bool add_text(void *ctx, const char *text, size_t len)
{
    return memchr(text, '\0', len) != NULL || backfill_texts_add(ctx, text, len);
}

/* ---- selectors ---- */

static void begin_selector(struct run *run)
{
    fw_buf_reset(&run->selector);
    fw_buf_putc(&run->selector, '{');
}

static void end_selector(struct run *run)
{
    if (run->match_len > 0) {
        fw_buf_putc(&run->selector, ',');
        fw_buf_put(&run->selector, run->match, run->match_len);
    }
    fw_buf_putc(&run->selector, '}');
}

/* How many names from `first` on fit into one selector. */
static size_t names_that_fit(const struct backfill_texts *names, size_t first)
{
    size_t bytes = 0, i = first;
    while (i < names->count && (i == first || bytes < NAMES_BYTES))
        bytes += strlen(names->items[i++]) + 1;
    return i - first;
}

/* Values of a label over all names of the list. */
static enum fw_status collect(struct run *run, const struct backfill_texts *names,
                              const char *label, const char *without, struct backfill_texts *out,
                              struct fw_error *err)
{
    enum fw_status status = FW_OK;
    for (size_t i = 0, n; status == FW_OK && i < names->count; i += n) {
        n = names_that_fit(names, i);
        begin_selector(run);
        backfill_put_one_of(&run->selector, "__name__", names, i, n);
        if (without != NULL) {
            fw_buf_putc(&run->selector, ',');
            backfill_put_is(&run->selector, without, "");
        }
        end_selector(run);
        status = backfill_source_values(run->options->source, label, &run->selector, run->first_s,
                                        run->end_s, add_text, out, err);
        backfill_texts_sort(out);
    }
    return status;
}

/* ---- what there is ---- */

static void set_span(struct run *run)
{
    const int64_t now_ms = fw_clock_wall_ms(run->clock), align = run->options->align_ms;
    const int64_t begin_ms = (now_ms - run->options->span_ms + align - 1) / align * align;
    run->begin_s = begin_ms / 1000;
    run->first_s =
        begin_ms / (BACKFILL_STEP_S * 1000) * BACKFILL_STEP_S - WARM_UP_POINTS * BACKFILL_STEP_S;
    run->end_s = now_ms / (BACKFILL_STEP_S * 1000) * BACKFILL_STEP_S;
}

static enum fw_status no_series(const struct run *run, struct fw_error *err)
{
    char first[80] = "";
    size_t len = 0;
    for (size_t i = 0, told = 0; i < run->names.count && told < 2; i++) {
        const char *name = run->names.items[i];
        if (strncmp(name, "node_", 5) != 0 || len + strlen(name) + 2 >= sizeof first)
            continue;
        len +=
            (size_t)snprintf(first + len, sizeof first - len, "%s%s", told++ > 0 ? ", " : "", name);
    }
    return fw_fail(
        err, FW_ENOTFOUND, "it has none of the %zu series that mean something%s%s%s%.*s%s",
        run->counts->names_known, len > 0 ? ", as " : "", first,
        run->match_len > 0 ? ", with {" : "", (int)(run->match_len < 60 ? run->match_len : 60),
        run->match, run->match_len > 0 ? "}" : "");
}

static enum fw_status find_names(struct run *run, struct fw_error *err)
{
    struct backfill_texts found = {.max = NAMES_MAX};
    const char *name;
    for (size_t at = 0; (name = series_rules_name(run->options->rules, &at)) != NULL;)
        if (!backfill_texts_add(&run->names, name, strlen(name)))
            return fw_fail(err, FW_ENOMEM, "out of memory");
    backfill_texts_sort(&run->names);
    run->counts->names_known = run->names.count;
    enum fw_status status = collect(run, &run->names, "__name__", NULL, &found, err);
    backfill_texts_keep(&found, &run->names); /* servers of before 2021 give all names */
    run->counts->names_found = found.count;
    if (status == FW_OK && found.count == 0)
        status = no_series(run, err);
    if (status != FW_OK) {
        backfill_texts_fini(&found);
        return status;
    }
    backfill_texts_fini(&run->names);
    run->names = found;
    return FW_OK;
}

static enum fw_status find_hosts(struct run *run, struct fw_error *err)
{
    enum fw_status status = FW_OK;
    run->hosts[0] = (struct hosts){"instance", NULL, {.max = BACKFILL_HOSTS_MAX}};
    run->hosts[1] = (struct hosts){"host", "instance", {.max = BACKFILL_HOSTS_MAX}};
    for (size_t i = 0; status == FW_OK && i < COUNT(run->hosts); i++) {
        struct hosts *hosts = &run->hosts[i];
        status = collect(run, &run->names, hosts->label, hosts->without, &hosts->names, err);
        run->progress.hosts += hosts->names.count;
    }
    run->counts->hosts = run->progress.hosts;
    if (status == FW_OK && run->counts->hosts == 0)
        status = fw_fail(err, FW_ENOTFOUND,
                         "none of its series has a label instance or host, which names the server");
    return status;
}

/* ---- a chunk ---- */

struct group {
    const struct hosts *hosts;
    size_t first, count;
};

static enum fw_status fetch(struct run *run, const struct group *group, int64_t begin_s,
                            int64_t end_s, struct fw_error *err)
{
    enum fw_status status = FW_OK;
    run->series = run->samples = 0;
    fw_buf_reset(&run->request);
    for (size_t i = 0; status == FW_OK && i < run->names.count; i++) {
        const char *name = run->names.items[i];
        begin_selector(run);
        backfill_put_is(&run->selector, "__name__", name);
        if (group->hosts->without != NULL) {
            fw_buf_putc(&run->selector, ',');
            backfill_put_is(&run->selector, group->hosts->without, "");
        }
        fw_buf_putc(&run->selector, ',');
        backfill_put_one_of(&run->selector, group->hosts->label, &group->hosts->names, group->first,
                            group->count);
        end_selector(run);
        if (run->selector.failed)
            return fw_fail(err, FW_EINVAL, "the names of %zu hosts are too long", group->count);
        const struct backfill_range range = {name, &run->selector, begin_s, end_s, BACKFILL_STEP_S};
        status = backfill_source_range(run->options->source, &range, &run->request, &run->series,
                                       &run->samples, err);
    }
    return status;
}

static void count_chunk(struct run *run)
{
    struct backfill_counts *counts = run->counts;
    counts->series += run->series;
    counts->samples += run->samples;
    counts->chunks++;
    counts->refused += batch_rejected_total(run->refused);
    if (counts->first_refusal[0] == '\0' && run->refused->error_count > 0)
        snprintf(counts->first_refusal, sizeof counts->first_refusal, "%s",
                 run->refused->errors[0].text);
}

/* FW_ELIMIT: too much at once; nothing of it was taken then. */
static enum fw_status take_chunk(struct run *run, const struct group *group, int64_t begin_s,
                                 int64_t end_s, struct fw_error *err)
{
    backfill_source_mark(run->options->source);
    enum fw_status status = fetch(run, group, begin_s, end_s, err);
    if (status != FW_OK)
        return status;
    batch_reset(run->refused);
    series_gather_init(&run->gather, run->options->rules, run->options->schema, run->refused);
    status = series_gather_read(&run->gather, run->request.data, run->request.len, err);
    if (status == FW_OK && series_book_take(run->book, &run->gather, 0, run->rows) != FW_OK)
        status = fw_fail(err, FW_ENOMEM, "out of memory");
    series_gather_fini(&run->gather);
    if (status == FW_OK)
        count_chunk(run);
    return status;
}

static void grow_chunk(struct run *run)
{
    struct backfill_source_counts counts;
    backfill_source_counts(run->options->source, &counts);
    if (run->points < BACKFILL_CHUNK_POINTS_MAX && run->samples < SERIES_SAMPLES_MAX * 2 / 5 &&
        counts.longest < BACKFILL_ANSWER_MAX * 2 / 5 && run->request.len < REQUEST_MAX * 2 / 5)
        run->points *= 2;
}

/* ---- a group, from the oldest point to the newest ---- */

/* `share`: how much of the group is done. */
static void tell(struct run *run, const struct group *group, double share)
{
    run->progress.done = ((double)run->progress.hosts_done + share * (double)group->count) /
                         (double)run->progress.hosts;
    run->progress.samples = run->counts->samples;
    if (run->options->progress != NULL)
        run->options->progress(run->options->ctx, &run->progress);
}

static enum fw_status walk_group(struct run *run, const struct group *group, struct fw_error *err)
{
    for (int64_t at_s = run->first_s; at_s <= run->end_s;) {
        int64_t end_s = at_s + (int64_t)(run->points - 1) * BACKFILL_STEP_S;
        if (end_s > run->end_s)
            end_s = run->end_s;
        const enum fw_status status = take_chunk(run, group, at_s, end_s, err);
        if (status == FW_ELIMIT && run->points > 1) {
            run->points = (run->points + 1) / 2;
            run->counts->halved++;
            continue;
        }
        if (status != FW_OK)
            return status;
        grow_chunk(run);
        at_s = end_s + BACKFILL_STEP_S;
        if (at_s <= run->end_s)
            tell(run, group, (double)(at_s - run->first_s) / (double)(run->end_s - run->first_s));
    }
    return FW_OK;
}

/* Hands the group's rows on. */
static enum fw_status give_group(struct run *run, struct fw_error *err)
{
    struct backfill_counts *counts = run->counts;
    struct backfill_rows rows = {.begin_ms = run->begin_s * 1000};
    if (!run->options->gone)
        rows.alive_ms = run->end_s * 1000 - ALIVE_STEPS * run->options->align_ms;
    if (backfill_rows_finish(&rows, run->rows) != FW_OK)
        return fw_fail(err, FW_ENOMEM, "out of memory");
    if (counts->gone == 0)
        memcpy(counts->a_gone, rows.a_gone, sizeof counts->a_gone);
    counts->gone += rows.gone;
    counts->rows += run->rows->row_count;
    if (rows.first_ms > 0 && (counts->first_ms == 0 || rows.first_ms < counts->first_ms))
        counts->first_ms = rows.first_ms;
    if (rows.last_ms > counts->last_ms)
        counts->last_ms = rows.last_ms;
    return run->rows->row_count > 0 ? run->options->take(run->options->ctx, run->rows, err) : FW_OK;
}

static enum fw_status take_group(struct run *run, const struct group *group, struct fw_error *err)
{
    struct series_counts counts;
    batch_reset(run->rows);
    run->book = series_book_new(&(struct series_book_options){.bytes_max = BOOK_BYTES});
    if (run->book == NULL)
        return fw_fail(err, FW_ENOMEM, "out of memory");
    set_span(run); /* which moves on while others are read */
    enum fw_status status = walk_group(run, group, err);
    series_book_counts(run->book, &counts);
    run->counts->no_server += counts.no_server;
    run->counts->not_finite += counts.not_finite;
    run->counts->full += counts.full;
    series_book_free(run->book);
    run->book = NULL;
    if (status == FW_OK)
        status = give_group(run, err);
    run->progress.hosts_done += group->count;
    tell(run, group, 0.0);
    return status;
}

static bool same_server(const char *a, const char *b)
{
    const char *x, *y;
    size_t x_len, y_len;
    series_server_of(a, strlen(a), &x, &x_len);
    series_server_of(b, strlen(b), &y, &y_len);
    return x_len == y_len && memcmp(x, y, x_len) == 0;
}

/* Fewer hosts for a longer span, since all their rows are kept; a server's exporters stay together.
 */
static size_t group_size(const struct run *run, const struct backfill_texts *names, size_t first)
{
    const int64_t fit =
        BACKFILL_GROUP_ROWS / (run->options->span_ms / (BACKFILL_STEP_S * 1000) + 1);
    size_t n = fit < 1 ? 1 : fit > BACKFILL_GROUP_HOSTS ? BACKFILL_GROUP_HOSTS : (size_t)fit;
    if (n >= names->count - first)
        return names->count - first;
    while (first + n < names->count && n < 4 * BACKFILL_GROUP_HOSTS &&
           same_server(names->items[first + n - 1], names->items[first + n]))
        n++;
    return n;
}

static enum fw_status take_hosts(struct run *run, const struct hosts *hosts, struct fw_error *err)
{
    enum fw_status status = FW_OK;
    for (size_t i = 0; status == FW_OK && i < hosts->names.count;) {
        const struct group group = {hosts, i, group_size(run, &hosts->names, i)};
        status = take_group(run, &group, err);
        i += group.count;
    }
    return status;
}

enum fw_status backfill_run(const struct backfill_options *options, struct backfill_counts *counts,
                            struct fw_error *err)
{
    struct run run = {.options = options,
                      .counts = counts,
                      .clock = options->clock != NULL ? options->clock : fw_clock_system(),
                      .names = {.max = NAMES_MAX},
                      .points = CHUNK_POINTS_FIRST};
    *counts = (struct backfill_counts){0};
    fw_buf_init(&run.selector, SELECTOR_MAX);
    fw_buf_init(&run.request, REQUEST_MAX);
    enum fw_status status = backfill_match(options->match, &run.match, &run.match_len, err);
    run.rows = batch_new();
    run.refused = batch_new();
    if (status == FW_OK && (run.rows == NULL || run.refused == NULL))
        status = fw_fail(err, FW_ENOMEM, "out of memory");
    if (status == FW_OK) {
        set_span(&run);
        status = find_names(&run, err);
    }
    if (status == FW_OK)
        status = find_hosts(&run, err);
    for (size_t i = 0; status == FW_OK && i < COUNT(run.hosts); i++)
        status = take_hosts(&run, &run.hosts[i], err);
    for (size_t i = 0; i < COUNT(run.hosts); i++)
        backfill_texts_fini(&run.hosts[i].names);
    backfill_texts_fini(&run.names);
    batch_free(run.rows);
    batch_free(run.refused);
    fw_buf_fini(&run.request);
    fw_buf_fini(&run.selector);
    return status;
}
