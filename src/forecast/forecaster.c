#include "forecast/forecaster.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/nice_linux.h"
#include "forecast/block.h"
#include "forecast/collect.h"
#include "forecast/learned.h"
#include "forecast/turns.h"
#include "tft/reuse.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    THREADS_MAX = 256,
    NICE_BY = 10,
    LOOKBACK_S = 3 * 86400, /* the statistical forecasters want three days */
    LOOKBACK_STEPS_MIN = 864,
    PARTS = 8,     /* of a fleet, when runs are made in parts, */
    PART_MIN = 64, /* of so many servers at least */
    LOOKS = 10,    /* a step, at the silence of servers whose windows rest */
    HERE_MAX = 4,  /* servers that are forecast sooner than the workers wake up */
};

struct worker {
    pthread_t thread;
    struct forecaster *forecaster;
    struct block_bench bench;
};

struct forecaster {
    struct forecaster_options options;
    struct schema schema; /* options.schema points here; written while no worker runs */

    pthread_mutex_t lock; /* of what follows, up to the job */
    pthread_cond_t wake, done;
    uint64_t job_number; /* counts up; workers take each once */
    unsigned busy;       /* workers that have not finished it */
    bool quit;
    struct forecast_model *model;
    uint64_t basis; /* unique in the process; new with every model */

    struct block_job job;    /* written while no worker runs */
    forecaster_work_fn work; /* what is done instead of the job; NULL: nothing */
    void *work_ctx;
    size_t work_count;
    atomic_size_t next_block;
    atomic_bool failed;

    uint64_t run;
    size_t slots; /* that the four arrays hold */
    const struct forecast **previous, **results;
    uint64_t *revisions; /* that `previous` was made from; 0: nothing */
    struct block_track **tracks;
    struct turns turns;

    /* Of the last set, where it is the one before a run: previous is filled, and */
    uint64_t known_run, known_roster;
    uint32_t *order; /* (order_count) the slots of its items */
    size_t order_count;
    bool here;              /* the run is made on its caller's thread */
    uint64_t seen_revision; /* the fleet's newest when it was begun */
    int64_t looked_ms;      /* at the silence of all servers: wall clock */
    atomic_size_t reuse_used;
    uint64_t reuse_basis;      /* whose model it is of */
    uint64_t learned_sequence; /* of the snapshot written or loaded last */
    int64_t quality_step;      /* that the quality was summed up at */
    size_t quality_bytes;
    struct forecast_quality (*quality)[FORECAST_BLOCKS]; /* (metrics), NULL: not yet */

    unsigned worker_count;
    struct worker *workers;
};

static uint64_t new_basis(void)
{
    static atomic_uint_fast64_t last;
    return atomic_fetch_add(&last, 1) + 1;
}

/* ---- workers ---- */

static void work_blocks(struct forecaster *f, struct block_bench *bench)
{
    for (;;) {
        const size_t first = atomic_fetch_add(&f->next_block, 1) * BLOCK_SERVERS;
        if (first >= f->job.slots || atomic_load(&f->failed))
            return;
        if (block_forecast(&f->job, bench, first) != FW_OK)
            atomic_store(&f->failed, true);
    }
}

static void work_through(struct forecaster *f)
{
    size_t i;
    while ((i = atomic_fetch_add(&f->next_block, 1)) < f->work_count)
        f->work(f->work_ctx, i);
}

static void *worker_main(void *arg)
{
    struct worker *worker = arg;
    struct forecaster *f = worker->forecaster;
    uint64_t seen = 0;
    fw_nice_thread(NICE_BY);
    pthread_mutex_lock(&f->lock);
    for (;;) {
        while (!f->quit && f->job_number == seen)
            pthread_cond_wait(&f->wake, &f->lock);
        if (f->quit)
            break;
        seen = f->job_number;
        pthread_mutex_unlock(&f->lock);
        if (f->work != NULL)
            work_through(f);
        else
            work_blocks(f, &worker->bench);
        pthread_mutex_lock(&f->lock);
        if (--f->busy == 0)
            pthread_cond_signal(&f->done);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

static unsigned threads_wanted(const struct forecaster_options *options)
{
    long n = (long)options->threads;
    if (n == 0)
        n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : (unsigned)n;
}

/* Signals are for the daemon's own threads. Fewer threads than wanted are enough; none is not. */
static enum fw_status start_workers(struct forecaster *f, unsigned wanted, struct fw_error *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int refused = 0;
    for (unsigned i = 0; i < wanted && refused == 0; i++) {
        f->workers[i].forecaster = f;
        refused = pthread_create(&f->workers[i].thread, NULL, worker_main, &f->workers[i]);
        f->worker_count += refused == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (f->worker_count == 0)
        return fw_fail(err, FW_ELIMIT, "cannot start a forecast thread: %s", strerror(refused));
    return FW_OK;
}

void forecaster_set_schema(struct forecaster *f, const struct schema *schema)
{
    f->schema = *schema;
    f->options.schema = &f->schema;
}

enum fw_status forecaster_new(const struct forecaster_options *options, struct forecaster **out,
                              struct fw_error *err)
{
    assert(options->schema->count <= SCHEMA_METRICS_MAX && options->step_s >= 1);
    const unsigned wanted = threads_wanted(options);
    *out = NULL;
    struct forecaster *f = fw_calloc(1, sizeof *f);
    struct worker *workers = fw_calloc(wanted, sizeof *workers);
    if (f == NULL || workers == NULL) {
        fw_free(f);
        fw_free(workers);
        return fw_fail(err, FW_ENOMEM, "no memory for a forecaster");
    }
    f->options = *options;
    forecaster_set_schema(f, options->schema);
    f->workers = workers;
    f->basis = new_basis();
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->wake, NULL);
    pthread_cond_init(&f->done, NULL);
    const enum fw_status status = start_workers(f, wanted, err);
    if (status != FW_OK) {
        forecaster_free(f);
        return status;
    }
    *out = f;
    return FW_OK;
}

void forecaster_free(struct forecaster *f)
{
    if (f == NULL)
        return;
    pthread_mutex_lock(&f->lock);
    f->quit = true;
    pthread_cond_broadcast(&f->wake);
    pthread_mutex_unlock(&f->lock);
    for (unsigned i = 0; i < f->worker_count; i++)
        pthread_join(f->workers[i].thread, NULL);
    for (unsigned i = 0; i < f->worker_count; i++)
        block_bench_fini(&f->workers[i].bench);
    for (size_t i = 0; i < f->slots; i++)
        block_track_free(f->tracks[i]);
    forecast_model_release(f->model);
    pthread_cond_destroy(&f->wake);
    pthread_cond_destroy(&f->done);
    pthread_mutex_destroy(&f->lock);
    turns_fini(&f->turns);
    fw_free(f->order);
    fw_free(f->previous);
    fw_free(f->results);
    fw_free(f->revisions);
    fw_free(f->tracks);
    fw_free(f->quality);
    fw_free(f->workers);
    fw_free(f);
}

/* ---- the model ---- */

void forecaster_set_model(struct forecaster *f, struct forecast_model *model)
{
    pthread_mutex_lock(&f->lock);
    struct forecast_model *last = f->model;
    f->model = model;
    f->basis = new_basis();
    pthread_mutex_unlock(&f->lock);
    forecast_model_release(last);
}

static struct forecast_model *current_model(struct forecaster *f, uint64_t *basis)
{
    pthread_mutex_lock(&f->lock);
    struct forecast_model *model = f->model == NULL ? NULL : forecast_model_retain(f->model);
    *basis = f->basis;
    pthread_mutex_unlock(&f->lock);
    return model;
}

struct forecast_model *forecaster_model(struct forecaster *f)
{
    uint64_t unused;
    return current_model(f, &unused);
}

/* ---- a run ---- */

static bool grow(void **memory, size_t count, size_t have, size_t size)
{
    char *larger = fw_realloc_array(*memory, count, size);
    if (larger == NULL)
        return false;
    memset(larger + have * size, 0, (count - have) * size);
    *memory = larger;
    return true;
}

/* Arrays by slot; they only grow, with the fleet. */
static enum fw_status fit_slots(struct forecaster *f, size_t slots)
{
    if (slots <= f->slots)
        return FW_OK;
    void *previous = (void *)f->previous, *results = (void *)f->results;
    void *tracks = (void *)f->tracks, *revisions = f->revisions;
    bool ok = grow(&previous, slots, f->slots, sizeof *f->previous);
    f->previous = previous;
    ok = ok && grow(&results, slots, f->slots, sizeof *f->results);
    f->results = results;
    ok = ok && grow(&revisions, slots, f->slots, sizeof *f->revisions);
    f->revisions = revisions;
    ok = ok && grow(&tracks, slots, f->slots, sizeof *f->tracks);
    f->tracks = tracks;
    if (!ok)
        return FW_ENOMEM;
    f->slots = slots;
    return FW_OK;
}

/* Steps to read of every window. */
static uint32_t lookback(const struct forecaster *f, const struct fleet *fleet,
                         const struct forecast_model *model)
{
    const uint32_t held = fleet_options(fleet)->window_steps;
    uint32_t steps = LOOKBACK_S / f->options.step_s;
    steps = steps > LOOKBACK_STEPS_MIN ? steps : LOOKBACK_STEPS_MIN;
    if (model != NULL) {
        const size_t wanted = forecast_model_info(model).history_max;
        steps = wanted > steps ? (uint32_t)wanted : steps;
    }
    steps = steps < held ? steps : held;
    return steps < SERIES_STEPS_MAX ? steps : SERIES_STEPS_MAX;
}

/* What another model's runs have left is of no use to this one. */
static void drop_reuse(struct forecaster *f, uint64_t basis)
{
    if (f->reuse_basis == basis)
        return;
    for (size_t i = 0; i < f->slots; i++) {
        if (f->tracks[i] == NULL)
            continue;
        tft_reuse_free(f->tracks[i]->reuse);
        f->tracks[i]->reuse = NULL;
    }
    atomic_store(&f->reuse_used, 0);
    f->reuse_basis = basis;
}

/* Without a set before there is nothing for anybody to wait with. */
static enum fw_status take_turns(struct forecaster *f, bool known)
{
    const size_t slots = f->job.slots, most = slots / PARTS > PART_MIN ? slots / PARTS : PART_MIN;
    const uint64_t newest = fleet_newest_revision(f->job.fleet),
                   changes = newest - f->seen_revision;
    const bool few = known && f->turns.waiting == 0 && changes <= most;
    f->here = few && f->job.share && changes <= HERE_MAX;
    f->seen_revision = newest;
    f->turns.waiting = 0;
    if (!f->options.in_parts || !f->job.share || slots <= most || few)
        return FW_OK;
    const enum fw_status status = turns_take(&f->turns, f->job.fleet, f->revisions, slots, most);
    f->job.waits = f->turns.waiting > 0 ? f->turns.waits : NULL;
    return status;
}

/* Whether the set before is the one made last, so that what is known of it holds. */
static bool is_known(const struct forecaster *f, const struct forecast_set *previous)
{
    return previous != NULL && f->known_run != 0 && previous->run == f->known_run &&
           previous->roster == f->known_roster && previous->count == f->order_count;
}

static void put_previous(struct forecaster *f, uint32_t slot, const struct forecast *forecast)
{
    f->previous[slot] = forecast;
    f->revisions[slot] = forecast->revision;
}

static void fill_previous(struct forecaster *f, const struct forecast_set *previous, size_t slots)
{
    if (slots > 0) {
        memset((void *)f->previous, 0, slots * sizeof *f->previous);
        memset(f->revisions, 0, slots * sizeof *f->revisions);
    }
    for (size_t i = 0; previous != NULL && i < previous->count; i++)
        if (previous->items[i]->slot < slots)
            put_previous(f, previous->items[i]->slot, previous->items[i]);
}

/* Remembers a set for the next run. Without memory nothing is known then, and it is looked up. */
static void know(struct forecaster *f, const struct forecast_set *set, bool same_order)
{
    f->known_run = 0;
    if (!same_order) {
        uint32_t *order = fw_realloc_array(f->order, set->count + 1, sizeof *order);
        if (order == NULL)
            return;
        f->order = order;
        for (size_t i = 0; i < set->count; i++)
            order[i] = set->items[i]->slot;
        f->order_count = set->count;
        fill_previous(f, set, f->slots);
    }
    for (size_t i = 0; same_order && i < set->count; i++)
        if (f->previous[f->order[i]] != set->items[i])
            put_previous(f, f->order[i], set->items[i]);
    f->known_run = set->run;
    f->known_roster = set->roster;
}

static bool look_due(struct forecaster *f)
{
    const int64_t now_ms = fw_clock_wall_ms(f->options.clock), since_ms = now_ms - f->looked_ms;
    if (since_ms >= 0 && since_ms < (int64_t)f->options.step_s * 1000 / LOOKS)
        return false;
    f->looked_ms = now_ms;
    return true;
}

static enum fw_status prepare_job(struct forecaster *f, const struct fleet *fleet,
                                  const struct forecast_set *previous,
                                  const struct forecast_model *model, uint64_t basis, bool *known)
{
    const size_t slots = fleet_slots(fleet);
    enum fw_status status = fit_slots(f, slots);
    if (status != FW_OK)
        return status;
    drop_reuse(f, basis);
    if (slots > 0)
        memset((void *)f->results, 0, slots * sizeof *f->results);
    *known = is_known(f, previous);
    if (!*known)
        fill_previous(f, previous, slots);
    f->known_run = 0; /* until this run has come to its end */
    f->job = (struct block_job){
        .schema = f->options.schema,
        .fleet = fleet,
        .step_s = f->options.step_s,
        .steps = lookback(f, fleet, model),
        .kind = f->options.kind,
        .model = model,
        .share = previous != NULL && previous->basis == basis,
        .look = look_due(f),
        .slots = slots,
        .previous = f->previous,
        .revisions = f->revisions,
        .tracks = f->tracks,
        .reuse_bytes = model == NULL ? 0 : forecast_model_reuse_bytes(model),
        .reuse_max = f->options.reuse_bytes_max,
        .reuse_used = &f->reuse_used,
        .results = f->results,
    };
    status = take_turns(f, *known);
    for (unsigned i = 0; i < f->worker_count && status == FW_OK; i++) {
        f->workers[i].bench.computed = 0;
        memset(f->workers[i].bench.stage_ns, 0, sizeof f->workers[i].bench.stage_ns);
        status = block_bench_fit(&f->workers[i].bench, &f->job);
    }
    return status;
}

static void run_job(struct forecaster *f)
{
    atomic_store(&f->next_block, 0);
    atomic_store(&f->failed, false);
    pthread_mutex_lock(&f->lock);
    assert(f->busy == 0); /* one run at a time */
    f->busy = f->worker_count;
    f->job_number++;
    pthread_cond_broadcast(&f->wake);
    while (f->busy > 0)
        pthread_cond_wait(&f->done, &f->lock);
    pthread_mutex_unlock(&f->lock);
}

/* No worker runs between two jobs, so the first one's bench is free. */
static void run_here(struct forecaster *f)
{
    atomic_store(&f->next_block, 0);
    atomic_store(&f->failed, false);
    work_blocks(f, &f->workers[0].bench);
}

void forecaster_spread(struct forecaster *f, size_t n, forecaster_work_fn work, void *ctx)
{
    f->work = work;
    f->work_ctx = ctx;
    f->work_count = n;
    run_job(f);
    f->work = NULL;
}

static void count_work(const struct forecaster *f, struct forecast_set *set)
{
    set->waiting = f->turns.waiting;
    for (unsigned i = 0; i < f->worker_count; i++) {
        const struct block_bench *bench = &f->workers[i].bench;
        set->computed += bench->computed;
        for (size_t k = 0; k < FORECAST_STAGES; k++)
            set->stage_s[k] += 1e-9 * (double)bench->stage_ns[k];
    }
}

/* Sums over the fleet, renewed when there is something to learn from again. Without memory the last
 * ones stay. */
static void sum_quality(struct forecaster *f, int64_t now_ms)
{
    const int64_t step = now_ms / 1000 / f->options.step_s;
    if (f->quality != NULL && step / TRACK_PERIOD == f->quality_step / TRACK_PERIOD)
        return;
    if (f->quality == NULL) {
        f->quality_bytes = f->options.schema->count * sizeof *f->quality;
        f->quality = fw_calloc(f->options.schema->count, sizeof *f->quality);
    }
    if (f->quality == NULL)
        return;
    f->quality_step = step;
    memset(f->quality, 0, f->quality_bytes);
    for (size_t slot = 0; slot < f->slots; slot++)
        for (size_t m = 0; f->tracks[slot] != NULL && m < f->options.schema->count; m++)
            if (f->tracks[slot]->learned[m] != NULL)
                track_report(f->tracks[slot]->learned[m], f->quality[m]);
}

static enum fw_status attach_quality(struct forecaster *f, struct forecast_set *set)
{
    sum_quality(f, set->made_ms);
    if (f->quality == NULL)
        return FW_OK;
    set->quality = fw_malloc(f->quality_bytes);
    if (set->quality == NULL)
        return FW_ENOMEM;
    memcpy(set->quality, f->quality, f->quality_bytes);
    return FW_OK;
}

enum fw_status forecaster_run(struct forecaster *f, const struct fleet *fleet,
                              const struct forecast_set *previous, const struct forecast_set **out,
                              struct fw_error *err)
{
    const int64_t begin_ns = fw_clock_mono_ns(f->options.clock);
    uint64_t basis;
    struct forecast_model *model = current_model(f, &basis);
    struct forecast_set *set = NULL;
    *out = NULL;
    bool known = false; /* f->order is that of `previous` */
    enum fw_status status = prepare_job(f, fleet, previous, model, basis, &known);
    if (status == FW_OK) {
        if (f->here)
            run_here(f);
        else
            run_job(f);
        status = atomic_load(&f->failed) ? FW_ENOMEM : FW_OK;
        const struct collect_results results = {f->results, f->previous, f->job.slots};
        if (status == FW_OK)
            set = collect_set(&results, previous, known ? f->order : NULL);
        else
            collect_drop(&results);
        if (set == NULL)
            status = FW_ENOMEM;
    }
    if (status == FW_OK) {
        count_work(f, set);
        set->reuse_bytes = atomic_load(&f->reuse_used);
        set->made_ms = fw_clock_wall_ms(f->options.clock);
        status = attach_quality(f, set);
        if (status != FW_OK)
            forecast_set_release(set);
    }
    forecast_model_release(model);
    if (status != FW_OK)
        return fw_fail(err, status, "no memory for a forecast of %zu servers", fleet_slots(fleet));
    set->run = ++f->run;
    set->step_s = f->options.step_s;
    set->basis = basis;
    know(f, set, known && forecast_set_same_servers(set, previous));
    set->seconds = 1e-9 * (double)(fw_clock_mono_ns(f->options.clock) - begin_ns);
    *out = set;
    return FW_OK;
}

/* ---- what was learned ---- */

static struct learned_tracks learned_tracks(const struct forecaster *f)
{
    return (struct learned_tracks){.schema = f->options.schema,
                                   .step_s = f->options.step_s,
                                   .tracks = f->tracks,
                                   .slots = f->slots};
}

enum fw_status forecaster_save(struct forecaster *f, const char *dir, const struct store_io *io,
                               uint64_t *bytes, struct fw_error *err)
{
    const struct learned_tracks tracks = learned_tracks(f);
    const int64_t now_ms = fw_clock_wall_ms(f->options.clock);
    uint64_t sequence = f->learned_sequence + 1;
    if (now_ms > 0 && (uint64_t)now_ms > sequence)
        sequence = (uint64_t)now_ms;
    *bytes = 0;
    const enum fw_status status = learned_write(&tracks, dir, io, sequence, bytes, err);
    if (status == FW_OK)
        f->learned_sequence = sequence;
    return status;
}

enum fw_status forecaster_load(struct forecaster *f, const struct fleet *fleet, const char *dir,
                               const struct store_io *io, const char *quarantine_dir,
                               size_t *servers, struct fw_error *err)
{
    const size_t slots = fleet_slots(fleet);
    struct store_snapshot_report report = {0};
    *servers = 0;
    uint64_t *hash = fw_calloc(slots + 1, sizeof *hash);
    int64_t *first_seen_ms = fw_calloc(slots + 1, sizeof *first_seen_ms);
    enum fw_status status = hash == NULL || first_seen_ms == NULL || fit_slots(f, slots) != FW_OK
                                ? fw_fail(err, FW_ENOMEM, "no memory to read what was learned")
                                : FW_OK;
    for (size_t slot = 0; status == FW_OK && slot < slots; slot++) {
        struct fleet_server server;
        first_seen_ms[slot] = -1;
        if (!fleet_read_server(fleet, slot, &server))
            continue;
        hash[slot] = fw_hash_stable(server.name, strlen(server.name));
        first_seen_ms[slot] = server.first_seen_ms;
    }
    const struct learned_tracks tracks = learned_tracks(f);
    const struct learned_places places = {hash, first_seen_ms};
    if (status == FW_OK)
        status = learned_load(&tracks, &places, dir, io, quarantine_dir, servers, &report, err);
    f->learned_sequence = report.sequence;
    fw_free(hash);
    fw_free(first_seen_ms);
    return status;
}
