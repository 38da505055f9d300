#include "store/snapshot.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/log.h"
#include "store/snapshot_format.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { RUN_BYTES = 1 << 20, THREADS_MAX = 64 };

/* One load, shared by its threads. */
struct load {
    const struct store_io *io;
    const struct store_snapshot_load_options *options;
    store_snapshot_visit_fn visit;
    void *ctx;
    struct snapshot_file file;
    char name[SNAPSHOT_NAME_MAX];
    pthread_mutex_t lock; /* guards what follows */
    uint64_t next;        /* block nobody has taken yet */
    enum fw_status status;
    struct store_snapshot_report *report;
    struct store_quarantine quarantine;
};

/* Some neighbouring blocks that are read with one call. */
struct run {
    uint64_t first, count;
    uint64_t offset;
    size_t bytes;
};

static bool take_run(struct load *load, struct run *run)
{
    const struct snapshot_entry *entries = load->file.entries;
    pthread_mutex_lock(&load->lock);
    const bool more = load->status == FW_OK && load->next < load->file.blocks;
    if (more) {
        run->first = load->next++;
        run->count = 1;
        run->offset = entries[run->first].offset;
        run->bytes = (size_t)snapshot_block_bytes(entries[run->first].len);
        while (load->next < load->file.blocks) {
            const struct snapshot_entry *entry = &entries[load->next];
            const uint64_t bytes = snapshot_block_bytes(entry->len);
            if (entry->offset != run->offset + run->bytes || run->bytes + bytes > RUN_BYTES)
                break;
            run->bytes += (size_t)bytes;
            run->count++;
            load->next++;
        }
    }
    pthread_mutex_unlock(&load->lock);
    return more;
}

static void count_damage(struct load *load, const struct snapshot_entry *entry)
{
    const uint64_t bytes = snapshot_block_bytes(entry->len);
    pthread_mutex_lock(&load->lock);
    load->report->damaged_blocks++;
    load->report->damaged_bytes += bytes;
    if (load->quarantine.dir != NULL)
        store_quarantine_range(&load->quarantine, load->name, load->file.fd, entry->offset, bytes);
    pthread_mutex_unlock(&load->lock);
}

/* The header beside the content says what the index says; when it does not, the content decides. */
static void check_block_header(struct load *load, uint64_t index, const unsigned char *bytes)
{
    struct snapshot_entry entry;
    uint32_t position;
    if (load->options->checksums_off || !load->file.index_whole)
        return;
    if (snapshot_block_decode(bytes, load->file.header.marker, &entry, &position) &&
        position == index)
        return;
    pthread_mutex_lock(&load->lock);
    load->report->damaged_bytes += SNAPSHOT_BLOCK_HEADER;
    pthread_mutex_unlock(&load->lock);
}

/* False when the load has ended. */
static bool visit_block(struct load *load, uint64_t index, const unsigned char *bytes)
{
    const struct snapshot_entry *entry = &load->file.entries[index];
    const unsigned char *data = bytes + SNAPSHOT_BLOCK_HEADER;
    check_block_header(load, index, bytes);
    enum fw_status status = FW_OK;
    if (!load->options->checksums_off && fw_crc32c(0, data, entry->len) != entry->crc)
        status = FW_ECORRUPT;
    if (status == FW_OK && load->visit != NULL) {
        const struct store_snapshot_block block = {
            .kind = entry->kind, .index = (uint32_t)index, .data = data, .len = entry->len};
        status = load->visit(load->ctx, &block);
    }
    if (status == FW_ECORRUPT) {
        count_damage(load, entry);
        return true;
    }
    pthread_mutex_lock(&load->lock);
    if (status == FW_OK)
        load->report->blocks++;
    else if (load->status == FW_OK)
        load->status = status;
    const bool go_on = load->status == FW_OK;
    pthread_mutex_unlock(&load->lock);
    return go_on;
}

static void stop_load(struct load *load, enum fw_status status)
{
    pthread_mutex_lock(&load->lock);
    if (load->status == FW_OK)
        load->status = status;
    pthread_mutex_unlock(&load->lock);
}

/* Reads block by block what could not be read in one piece. */
static void load_singly(struct load *load, const struct run *run, unsigned char *buffer)
{
    bool go_on = true;
    for (uint64_t i = run->first; go_on && i < run->first + run->count; i++) {
        const struct snapshot_entry *entry = &load->file.entries[i];
        const size_t bytes = (size_t)snapshot_block_bytes(entry->len);
        if (store_io_read_full(load->io, load->file.fd, buffer, bytes, entry->offset) == 0)
            go_on = visit_block(load, i, buffer);
        else
            count_damage(load, entry);
    }
}

static void *load_runs(void *ctx)
{
    struct load *load = ctx;
    unsigned char *buffer = NULL;
    size_t cap = 0;
    struct run run;
    while (take_run(load, &run)) {
        if (run.bytes > cap) {
            fw_free(buffer);
            cap = run.bytes > RUN_BYTES ? run.bytes : RUN_BYTES;
            buffer = fw_alloc_aligned(cap, 1);
            if (buffer == NULL) {
                stop_load(load, FW_ENOMEM);
                break;
            }
        }
        if (store_io_read_full(load->io, load->file.fd, buffer, run.bytes, run.offset) < 0) {
            load_singly(load, &run, buffer);
            continue;
        }
        bool go_on = true;
        for (uint64_t i = run.first; go_on && i < run.first + run.count; i++)
            go_on = visit_block(load, i, buffer + (load->file.entries[i].offset - run.offset));
    }
    fw_free(buffer);
    return NULL;
}

static enum fw_status load_blocks(struct load *load)
{
    pthread_t threads[THREADS_MAX];
    unsigned wanted = load->options->threads > THREADS_MAX ? THREADS_MAX : load->options->threads;
    unsigned started = 0;
    /* A thread that does not start leaves its work to the others. */
    while (started + 1 < wanted && pthread_create(&threads[started], NULL, load_runs, load) == 0)
        started++;
    (void)load_runs(load);
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    return load->status;
}

static enum fw_status load_file(struct load *load, struct fw_error *err)
{
    struct store_snapshot_report *report = load->report;
    enum fw_status status = FW_OK;
    report->index_damaged = !load->file.index_whole;
    if (!load->file.index_whole)
        status = snapshot_file_walk(&load->file);
    if (status == FW_OK)
        status = load_blocks(load);
    if (status != FW_OK)
        return fw_fail(err, status, "snapshot: loading %s stopped: %s", report->path,
                       fw_status_name(status));
    report->found = true;
    report->sequence = load->file.header.sequence;
    report->created_ms = load->file.header.created_ms;
    report->bytes = load->file.size_bytes;
    return FW_OK;
}

/* Moves a file that could not be used out of the way, so that it counts for nothing any more. */
static void put_away(struct load *load, const char *dir, const char *path)
{
    char to[STORE_PATH_MAX];
    const char *quarantine = load->quarantine.dir;
    if (quarantine == NULL || !store_io_path(to, sizeof to, quarantine, load->name))
        return;
    const int made = load->io->mkdir(load->io->ctx, quarantine, 0700);
    if ((made < 0 && made != -EEXIST) || load->io->rename(load->io->ctx, path, to) < 0)
        return;
    (void)load->io->sync_dir(load->io->ctx, quarantine);
    (void)load->io->sync_dir(load->io->ctx, dir);
    load->report->quarantined_bytes += load->file.size_bytes;
}

enum verdict { USED, PASSED_OVER, ENDED };

/* Tries one file. `any` takes a file without a whole index. */
static enum verdict try_file(struct load *load, const char *dir, uint64_t sequence, bool any,
                             enum fw_status *status, struct fw_error *err)
{
    char path[STORE_PATH_MAX];
    snapshot_name(load->name, sequence);
    if (!store_io_path(path, sizeof path, dir, load->name)) {
        *status = fw_fail(err, FW_EINVAL, "snapshot: the path of %s is too long", dir);
        return ENDED;
    }
    *status = snapshot_file_open(&load->file, load->io, path, load->options->checksums_off, err);
    enum verdict verdict = PASSED_OVER;
    if (*status == FW_ENOMEM || *status == FW_EVERSION) {
        verdict = ENDED;
    } else if (*status == FW_OK && (any || load->file.index_whole)) {
        if (load->options->start != NULL)
            *status = load->options->start(load->ctx, load->file.header.sequence,
                                           load->file.metadata, load->file.header.metadata_len);
        if (*status == FW_OK) {
            snprintf(load->report->path, sizeof load->report->path, "%s", path);
            *status = load_file(load, err);
            verdict = *status == FW_OK ? USED : ENDED;
        } else if (*status != FW_ECORRUPT && *status != FW_EVERSION) {
            (void)fw_fail(err, *status, "snapshot: loading %s stopped: %s", path,
                          fw_status_name(*status));
            verdict = ENDED;
        }
    }
    snapshot_file_close(&load->file);
    return verdict;
}

static void put_away_newer(struct load *load, const char *dir, const struct snapshot_list *list,
                           size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        char path[STORE_PATH_MAX];
        snapshot_name(load->name, list->sequences[i]);
        if (!store_io_path(path, sizeof path, dir, load->name))
            continue;
        FW_LOG_WARN("snapshot", "unreadable, passed over file=%s", load->name);
        load->report->unreadable_files++;
        put_away(load, dir, path);
    }
}

static enum fw_status choose(struct load *load, const char *dir, const struct snapshot_list *list,
                             struct fw_error *err)
{
    const size_t begin =
        load->options->skip_newest < list->n ? load->options->skip_newest : list->n;
    enum fw_status status = FW_OK;
    for (int any = 0; any <= 1; any++) {
        for (size_t i = begin; i < list->n; i++) {
            switch (try_file(load, dir, list->sequences[i], any == 1, &status, err)) {
            case USED:
                put_away_newer(load, dir, list, begin, i);
                return FW_OK;
            case ENDED:
                return status;
            case PASSED_OVER:
                break;
            }
        }
    }
    put_away_newer(load, dir, list, begin, list->n);
    return FW_OK;
}

enum fw_status store_snapshot_load(const char *dir, const struct store_io *io,
                                   const struct store_snapshot_load_options *options,
                                   store_snapshot_visit_fn visit, void *ctx,
                                   struct store_snapshot_report *report, struct fw_error *err)
{
    static const struct store_snapshot_load_options defaults;
    struct store_snapshot_report own;
    struct load load = {.io = io != NULL ? io : store_io_system(),
                        .options = options != NULL ? options : &defaults,
                        .visit = visit,
                        .ctx = ctx,
                        .report = report};
    if (report == NULL)
        load.report = &own;
    memset(load.report, 0, sizeof *load.report);
    load.file.fd = -1;
    load.quarantine = (struct store_quarantine){
        .io = load.io, .dir = load.options->quarantine_dir, .bytes_max = UINT64_MAX};
    struct snapshot_list list;
    const int64_t begun = fw_clock_mono_ns(fw_clock_system());
    enum fw_status status = snapshot_list_read(load.io, dir, &list, err);
    if (status == FW_OK) {
        load.report->files = list.n;
        pthread_mutex_init(&load.lock, NULL);
        status = choose(&load, dir, &list, err);
        pthread_mutex_destroy(&load.lock);
        load.report->quarantined_bytes += load.quarantine.bytes;
    }
    fw_free(list.sequences);
    load.report->duration_ns = (uint64_t)(fw_clock_mono_ns(fw_clock_system()) - begun);
    return status;
}
