#include "forecast/block.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "forecast/metric.h"
#include "tft/reuse.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ---- memory ---- */

void block_track_free(struct block_track *track)
{
    if (track == NULL)
        return;
    for (size_t i = 0; i < SCHEMA_METRICS_MAX; i++) {
        fw_free(track->studies[i]);
        fw_free(track->learned[i]);
    }
    tft_reuse_free(track->reuse);
    fw_free(track);
}

/* A place whose tenant is gone. */
static void empty_place(const struct block_job *job, size_t slot)
{
    struct block_track *track = job->tracks[slot];
    if (track != NULL && track->reuse != NULL)
        atomic_fetch_sub_explicit(job->reuse_used, job->reuse_bytes, memory_order_relaxed);
    block_track_free(track);
    job->tracks[slot] = NULL;
}

/* The budget is for those who come first; what they have they keep. Without memory for one a
 * server is computed in full, as it is beyond the budget. */
static struct tft_reuse *reuse_of(const struct block_job *job, struct block_track *track)
{
    const size_t bytes = job->reuse_bytes;
    if (track->reuse != NULL || bytes == 0)
        return track->reuse;
    if (atomic_fetch_add_explicit(job->reuse_used, bytes, memory_order_relaxed) + bytes <=
        job->reuse_max)
        track->reuse = forecast_model_reuse_new(job->model);
    if (track->reuse == NULL)
        atomic_fetch_sub_explicit(job->reuse_used, bytes, memory_order_relaxed);
    return track->reuse;
}

static enum fw_status fit(void **memory, size_t *have, size_t count, size_t size)
{
    if (*memory != NULL && *have >= count)
        return FW_OK;
    fw_free(*memory);
    *have = 0;
    *memory = fw_alloc_aligned(count, size);
    if (*memory == NULL)
        return FW_ENOMEM;
    *have = count;
    return FW_OK;
}

enum fw_status block_bench_fit(struct block_bench *bench, const struct block_job *job)
{
    size_t scratch = metric_scratch_bytes(job->steps, job->schema->count), targets = 0;
    if (job->model != NULL && forecast_model_by_metric(job->model)) {
        scratch += forecast_model_ladder_scratch_bytes(job->model, job->schema->count);
    } else if (job->model != NULL) {
        const size_t wanted = forecast_model_scratch_bytes(job->model, BLOCK_SERVERS);
        scratch = wanted > scratch ? wanted : scratch;
        targets = forecast_model_info(job->model).target_count;
    }
    const size_t steps = (size_t)BLOCK_SERVERS * job->steps;
    if (bench->steps_count < steps) {
        fw_free(bench->statuses);
        fw_free(bench->offsets_ms);
        bench->steps_count = 0;
        bench->statuses = fw_calloc(steps, sizeof *bench->statuses);
        bench->offsets_ms = fw_calloc(steps, sizeof *bench->offsets_ms);
        if (bench->statuses == NULL || bench->offsets_ms == NULL)
            return FW_ENOMEM;
        bench->steps_count = steps;
    }
    void *values = bench->values, *predicted = bench->predicted;
    enum fw_status status =
        fit(&values, &bench->values_count, steps * job->schema->count, sizeof(float));
    bench->values = values;
    if (status == FW_OK && targets > 0)
        status = fit(&predicted, &bench->predicted_count,
                     BLOCK_SERVERS * targets * 3 * FORECAST_HORIZON, sizeof(float));
    bench->predicted = predicted;
    if (status == FW_OK)
        status = fit(&bench->scratch, &bench->scratch_bytes, scratch, 1);
    return status;
}

void block_bench_fini(struct block_bench *bench)
{
    fw_free(bench->values);
    fw_free(bench->statuses);
    fw_free(bench->offsets_ms);
    fw_free(bench->predicted);
    fw_free(bench->scratch);
    memset(bench, 0, sizeof *bench);
}

/* What the worker did since the last mark was this stage. */
static void mark(struct block_bench *bench, enum forecast_stage stage)
{
    const int64_t now_ns = fw_clock_thread_ns();
    bench->stage_ns[stage] += now_ns - bench->mark_ns;
    bench->mark_ns = now_ns;
}

/* ---- one server ---- */

/* A model by metric is asked once for all metrics that want its opinion. */
static void ask_model(struct metric_work *w, struct metric_blend *blends, size_t n, float *answers)
{
    const struct ladder *ladders[SCHEMA_METRICS_MAX];
    const struct series_map *maps[SCHEMA_METRICS_MAX];
    size_t asked = 0;
    for (size_t i = 0; i < n; i++)
        if (blends[i].asks) {
            ladders[asked] = &blends[i].ladder;
            maps[asked] = &blends[i].track->map;
            blends[i].model = answers + asked++ * 3 * FORECAST_HORIZON;
        }
    if (asked > 0)
        forecast_model_run_ladders(w->job->model, asked, ladders, maps, w->scratch, answers);
}

/* A fleet's tracks are in no cache: the next one is on its way while this one is used. */
static void fetch(const struct track *track)
{
    enum { LINE_BYTES = 64 };
    const char *at = (const char *)track;
    for (size_t i = 0; track != NULL && i < sizeof *track; i += LINE_BYTES)
        __builtin_prefetch(at + i);
}

static enum fw_status fill_paths(const struct metric_work *given,
                                 const int64_t newest[SCHEMA_METRICS_MAX], struct forecast *f)
{
    struct metric_work w = *given;
    const size_t metrics = w.job->schema->count;
    struct metric_blend *blends = ARENA_RAW(&w.scratch, metrics, struct metric_blend);
    float *answers = ARENA_RAW(&w.scratch, metrics * 3 * FORECAST_HORIZON, float);
    assert(blends != NULL && answers != NULL);
    size_t pending = 0;
    fetch(w.track->learned[0]);
    for (size_t m = 0; m < metrics; m++) {
        bool waits = false;
        fetch(m + 1 < metrics ? w.track->learned[m + 1] : NULL);
        if (newest[m] < 0)
            continue;
        const enum fw_status status =
            metric_begin(&w, m, newest[m], &f->paths[f->path_count++], &blends[pending], &waits);
        if (status != FW_OK)
            return status;
        pending += waits;
    }
    mark(w.bench, FORECAST_EXPERTS);
    ask_model(&w, blends, pending, answers);
    mark(w.bench, FORECAST_NETWORK);
    for (size_t i = 0; i < pending; i++)
        metric_finish(&w, &blends[i]);
    mark(w.bench, FORECAST_COMBINE);
    return FW_OK;
}

static enum fw_status make_forecast(const struct metric_work *w, size_t slot, struct forecast **out)
{
    const struct fleet_server *server = &w->view->server;
    int64_t newest[SCHEMA_METRICS_MAX] = {0};
    const size_t metrics = w->job->schema->count;
    size_t count = 0;
    for (size_t m = 0; m < metrics; m++) {
        newest[m] = metric_newest(w, m);
        count += newest[m] >= 0;
    }
    struct forecast *f = fw_calloc(1, sizeof *f + count * sizeof f->paths[0]);
    if (f == NULL)
        return FW_ENOMEM;
    atomic_init(&f->references, 1);
    f->slot = (uint32_t)slot;
    f->steps_held = server->steps_held;
    f->revision = server->revision;
    memcpy(f->name, server->name, sizeof f->name);
    f->profile = server->profile;
    f->status = server->status;
    f->stale = server->stale;
    f->origin_ms = (server->newest_step + 1) * (int64_t)w->job->step_s * 1000;
    f->last_seen_ms = server->last_seen_ms;
    const enum fw_status status = fill_paths(w, newest, f);
    if (status != FW_OK) {
        forecast_release(f);
        return status;
    }
    *out = f;
    return FW_OK;
}

static enum fw_status track_of(const struct block_job *job, size_t slot,
                               const struct fleet_server *server, struct block_track **out)
{
    const uint64_t hash = fw_hash_stable(server->name, strlen(server->name));
    struct block_track *track = job->tracks[slot];
    if (track != NULL &&
        (track->name_hash != hash || track->first_seen_ms != server->first_seen_ms)) {
        empty_place(job, slot); /* it has a new tenant */
        track = NULL;
    }
    if (track == NULL) {
        track = fw_calloc(1, sizeof *track);
        if (track == NULL)
            return FW_ENOMEM;
        track->name_hash = hash;
        track->first_seen_ms = server->first_seen_ms;
        job->tracks[slot] = track;
    }
    *out = track;
    return FW_OK;
}

/* Whether the server's forecast before is that of this run too; *turned: it fell silent since, or
 * speaks again. */
static bool keeps(const struct block_job *job, size_t slot, bool waits, bool *turned)
{
    const struct forecast *previous = job->previous[slot];
    struct fleet_server server;
    if (!job->share || previous == NULL ||
        (!waits && fleet_revision(job->fleet, slot) != job->revisions[slot]))
        return false;
    if (!waits && !job->look) { /* a slot's next tenant has a revision of its own */
        *turned = false;
        return true;
    }
    if (!fleet_read_server(job->fleet, slot, &server))
        return false;
    *turned = server.stale != previous->stale;
    return (waits || server.revision == previous->revision) &&
           strcmp(server.name, previous->name) == 0;
}

/* An unchanged window keeps its forecast, and so does one whose turn it is not; a new server then
 * has none. One that only went stale, or came back without a change, gets a copy with the flag
 * turned: its origin stays where its data end. */
static enum fw_status share_previous(const struct block_job *job, size_t slot, bool *shared)
{
    const struct forecast *previous = job->previous[slot];
    const bool waits = job->waits != NULL && job->waits[slot];
    bool turned;
    *shared = waits && previous == NULL;
    if (*shared || !keeps(job, slot, waits, &turned))
        return FW_OK;
    *shared = true;
    if (!turned) {
        job->results[slot] = previous;
        return FW_OK;
    }
    const size_t bytes = sizeof *previous + previous->path_count * sizeof previous->paths[0];
    struct forecast *copy = fw_malloc(bytes);
    if (copy == NULL)
        return FW_ENOMEM;
    /* The count of references is the one field that others write meanwhile. */
    memcpy((char *)copy + sizeof copy->references,
           (const char *)previous + sizeof previous->references,
           bytes - sizeof previous->references);
    atomic_init(&copy->references, 1);
    copy->stale = !previous->stale;
    job->results[slot] = copy;
    return FW_OK;
}

/* ---- one block ---- */

struct members {
    size_t count, slot[BLOCK_SERVERS];
    struct fleet_view view[BLOCK_SERVERS];
    struct block_track *track[BLOCK_SERVERS];
    size_t history[BLOCK_SERVERS];
    const float *predicted[BLOCK_SERVERS];
};

static enum fw_status read_members(const struct block_job *job, struct block_bench *bench,
                                   size_t first, struct members *members)
{
    for (size_t slot = first; slot < job->slots && slot < first + BLOCK_SERVERS; slot++) {
        bool shared = false;
        job->results[slot] = NULL;
        enum fw_status status = share_previous(job, slot, &shared);
        if (status != FW_OK)
            return status;
        if (shared)
            continue;
        const size_t i = members->count;
        members->view[i] = (struct fleet_view){
            .steps = job->steps,
            .values = bench->values + i * job->schema->count * job->steps,
            .statuses = bench->statuses + i * job->steps,
            .offsets_ms = bench->offsets_ms + i * job->steps,
        };
        if (!fleet_read_view(job->fleet, slot, &members->view[i]) ||
            members->view[i].server.newest_step < 0) {
            empty_place(job, slot);
            continue;
        }
        status = track_of(job, slot, &members->view[i].server, &members->track[i]);
        if (status != FW_OK)
            return status;
        members->slot[i] = slot;
        members->count++;
    }
    return FW_OK;
}

/* Runs the model once for all members that it serves. */
static void predict_members(const struct block_job *job, struct block_bench *bench,
                            struct members *members)
{
    if (job->model == NULL || job->kind != FORECASTER_AUTO || forecast_model_by_metric(job->model))
        return;
    const struct forecast_model_info info = forecast_model_info(job->model);
    struct forecast_window windows[BLOCK_SERVERS];
    size_t n = 0;
    for (size_t i = 0; i < members->count && info.serves; i++) {
        const struct fleet_view *view = &members->view[i];
        windows[n] = (struct forecast_window){.name = view->server.name,
                                              .profile = view->server.profile,
                                              .newest_step = view->server.newest_step,
                                              .steps = view->steps,
                                              .values = view->values,
                                              .statuses = view->statuses};
        members->history[i] = forecast_model_history(job->model, &windows[n]);
        if (members->history[i] < info.history_min)
            continue;
        windows[n].reuse = reuse_of(job, members->track[i]);
        members->predicted[i] = bench->predicted + n * info.target_count * 3 * FORECAST_HORIZON;
        n++;
    }
    if (n > 0)
        forecast_model_run(job->model, n, windows, arena_over(bench->scratch, bench->scratch_bytes),
                           bench->predicted);
}

enum fw_status block_forecast(const struct block_job *job, struct block_bench *bench, size_t first)
{
    struct members members = {0};
    bench->mark_ns = fw_clock_thread_ns();
    enum fw_status status = read_members(job, bench, first, &members);
    if (status != FW_OK)
        return status;
    mark(bench, FORECAST_GATHER);
    predict_members(job, bench, &members);
    mark(bench, FORECAST_NETWORK);
    for (size_t i = 0; i < members.count; i++) {
        struct metric_work work = {
            .job = job,
            .scratch = arena_over(bench->scratch, bench->scratch_bytes),
            .view = &members.view[i],
            .track = members.track[i],
            .model_history = members.history[i],
            .predicted = members.predicted[i],
            .bench = bench,
        };
        struct forecast *made;
        status = make_forecast(&work, members.slot[i], &made);
        if (status != FW_OK)
            return status;
        job->results[members.slot[i]] = made;
        bench->computed++;
    }
    return FW_OK;
}
