#include "train/pool.h"

#include "base/alloc.h"
#include "base/half.h"
#include "base/hash.h"
#include "base/rng.h"
#include "domain/schema.h"
#include "forecast/ladder.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum {
    WINDOW_STEPS = 864,
    STEPS_MIN = 6 * FORECAST_HORIZON, /* before the first origin: as the daemon's blend */
    STRIDE_MIN = 6,
    SAMPLES_A_JOB = 8, /* that a replay should give at least, where there are too many series */
    VARIANTS = 2,      /* every series is replayed as it is, and once more with something missing */
    PAST_VALUES = LADDER_PAST * LADDER_PAST_INPUTS,
    AHEAD_VALUES = LADDER_AHEAD * LADDER_AHEAD_INPUTS,
};

struct sample { /* halves */
    uint16_t fixed[LADDER_FIXED_INPUTS], past[PAST_VALUES], ahead[AHEAD_VALUES];
    uint16_t place[FORECAST_HORIZON]; /* of what came; NaN: missing */
};

struct room {
    float history[LADDER_PAST * LADDER_INPUTS], horizon[LADDER_AHEAD * LADDER_INPUTS];
    float target[LADDER_AHEAD], scale[2], weight[1];
};

/* One replay: of a column of a server. */
struct job {
    size_t series, column, variant;
    size_t first, n; /* its samples' place in the pool, and how many came */
    size_t held_first, held_n;
};

struct train_pool {
    const struct history *data;
    struct train_pool_options options;
    struct schema_metric metric[HISTORY_COLUMNS_MAX];
    struct sample *samples; /* (size + validation) */
    size_t size, validation;
    struct room *rooms; /* (workers) */
};

/* ---- what is replayed ---- */

static bool below_zero(const struct history *d, size_t column)
{
    for (size_t i = 0; i < d->n_series; i++)
        for (size_t t = 0; d->series[i].value[column] != NULL && t < d->series[i].steps; t++)
            if (d->series[i].value[column][t] < 0.0f)
                return true;
    return false;
}

static void find_metrics(struct train_pool *pool)
{
    struct schema schema;
    schema_default(&schema);
    for (size_t c = 0; c < pool->data->n_columns; c++) {
        const char *name = pool->data->column[c];
        const int known = schema_find(&schema, name, strlen(name));
        if (known >= 0)
            pool->metric[c] = schema.metrics[known];
        else
            pool->metric[c] =
                (struct schema_metric){.min = below_zero(pool->data, c) ? -(double)INFINITY : 0.0,
                                       .max = (double)INFINITY,
                                       .warning = (double)NAN,
                                       .critical = (double)NAN,
                                       .worse = METRIC_WORSE_NONE};
    }
}

/* Origins of a series: from `first` up to but not with `end`; those from `held` on are held out,
 * and none lies so that its horizon would reach into the held-out time. */
struct span {
    size_t first, held, end;
};

static struct span span_of(const struct train_pool *pool, size_t steps)
{
    const size_t held = (size_t)((1.0 - pool->options.validation) * (double)steps);
    return (struct span){STEPS_MIN, held, steps > FORECAST_HORIZON ? steps - FORECAST_HORIZON : 0};
}

static bool learned_from(const struct span *span, size_t origin)
{
    return origin + FORECAST_HORIZON < span->held;
}

/* ---- one replay ---- */

struct filler {
    struct train_pool *pool;
    struct job *jobs;
    size_t n_jobs, stride, held_stride;
    struct sample *samples; /* the jobs' places, not yet pushed together */
    atomic_size_t next;
    atomic_bool failed, ended;
};

/* What one thread needs. */
struct bench {
    float *values; /* of the series, as it is replayed */
    size_t steps;
    void *scratch;
    struct track track;
    struct track_words words;
    struct ladder ladder;
};

/* Takes values away: an hour here and there, or single ones. */
static void thin_out(float *values, size_t n, double share, struct fw_rng *rng)
{
    const size_t run = fw_rng_below(rng, 2) == 0 ? 1 : 12;
    for (size_t t = 0; t < n; t += run)
        if (fw_rng_uniform(rng) < share)
            for (size_t i = t; i < t + run && i < n; i++)
                values[i] = NAN;
}

static size_t prepare(const struct filler *f, const struct job *job, struct bench *bench,
                      struct fw_rng *rng)
{
    static const double shares[4] = {0.0, 0.1, 0.3, 0.6};
    const struct history_series *s = &f->pool->data->series[job->series];
    size_t from = 0;
    memcpy(bench->values, s->value[job->column], s->steps * sizeof *bench->values);
    if (job->variant == 0)
        return from;
    thin_out(bench->values, s->steps, shares[fw_rng_below(rng, 4)], rng);
    if (fw_rng_below(rng, 2) == 0 && s->steps > 2 * STEPS_MIN)
        from = fw_rng_below(rng, s->steps - 2 * STEPS_MIN);
    return from;
}

static void put_halves(uint16_t *to, const float *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = fw_half_from(from[i]);
}

static void put_sample(const struct bench *bench, size_t origin, struct sample *out)
{
    const struct ladder *l = &bench->ladder;
    put_halves(out->fixed, l->fixed, LADDER_FIXED_INPUTS);
    put_halves(out->past, l->past[0], PAST_VALUES);
    put_halves(out->ahead, l->ahead[0], AHEAD_VALUES);
    for (size_t h = 0; h < FORECAST_HORIZON; h++) {
        const float seen = bench->values[origin + 1 + h];
        out->place[h] = isnan(seen) ? FW_HALF_NAN
                                    : fw_half_from(ladder_place(
                                          l, h, (float)series_to(&bench->track.map, (double)seen)));
    }
}

/* The origin's window through the track. False: nothing is observed in it. */
static bool look(struct bench *bench, const struct schema_metric *metric, size_t from,
                 int64_t first_step, size_t origin, bool begin, uint64_t key)
{
    size_t start = origin + 1 > from + WINDOW_STEPS ? origin + 1 - WINDOW_STEPS : from;
    while (start < origin && isnan(bench->values[start]))
        start++;
    if (isnan(bench->values[start]))
        return false;
    const struct series series = {bench->values + start, origin + 1 - start, HISTORY_STEP_S,
                                  metric};
    struct arena arena = arena_over(bench->scratch, series_scratch_bytes(WINDOW_STEPS));
    struct track_view view;
    if (begin || track_outgrown(&bench->track, &series))
        track_init(&bench->track, &series, key);
    track_view(&bench->track, &series, first_step + (int64_t)origin, &arena, &view);
    track_learn(&bench->track, &view);
    track_speak(&bench->track, &view, &bench->words);
    ladder_build(&bench->track, &view, &bench->words, &bench->ladder);
    return true;
}

static void replay(struct filler *f, struct job *job, struct bench *bench)
{
    const struct history_series *s = &f->pool->data->series[job->series];
    const uint64_t key[4] = {f->pool->options.seed, job->series, job->column, job->variant};
    struct fw_rng rng;
    fw_rng_init(&rng, fw_hash_stable(key, sizeof key));
    const size_t from = prepare(f, job, bench, &rng);
    const struct span span = span_of(f->pool, s->steps);
    bool begin = true;
    size_t origin = from + STEPS_MIN + fw_rng_below(&rng, f->stride);
    while (origin < span.end) {
        const bool held = origin >= span.held;
        /* What is held out is judged on whole series. */
        if (held && job->variant != 0)
            break;
        if (look(bench, &f->pool->metric[job->column], from, s->first, origin, begin,
                 fw_hash_stable(key, sizeof key))) {
            begin = false;
            if (held)
                put_sample(bench, origin, &f->samples[job->held_first + job->held_n++]);
            else if (learned_from(&span, origin))
                put_sample(bench, origin, &f->samples[job->first + job->n++]);
        }
        origin += held || origin + f->stride >= span.held ? f->held_stride : f->stride;
    }
}

static bool make_bench(const struct train_pool *pool, struct bench **out)
{
    size_t steps = 1;
    for (size_t i = 0; i < pool->data->n_series; i++)
        steps = pool->data->series[i].steps > steps ? pool->data->series[i].steps : steps;
    struct bench *bench = fw_calloc(1, sizeof *bench);
    *out = bench;
    if (bench == NULL)
        return false;
    bench->values = fw_calloc(steps, sizeof *bench->values);
    bench->scratch = fw_alloc_aligned(series_scratch_bytes(WINDOW_STEPS), 1);
    return bench->values != NULL && bench->scratch != NULL;
}

static void free_bench(struct bench *bench)
{
    if (bench == NULL)
        return;
    fw_free(bench->values);
    fw_free(bench->scratch);
    fw_free(bench);
}

/* `asks`: of the threads one asks whether to stop. */
static void fill(struct filler *f, bool asks)
{
    struct bench *bench;
    const struct train_pool_options *o = &f->pool->options;
    if (!make_bench(f->pool, &bench))
        atomic_store(&f->failed, true);
    while (!atomic_load(&f->failed) && !atomic_load(&f->ended)) {
        const size_t i = atomic_fetch_add(&f->next, 1);
        if (i >= f->n_jobs)
            break;
        replay(f, &f->jobs[i], bench);
        if (asks && o->stop != NULL && o->stop(o->ctx))
            atomic_store(&f->ended, true);
    }
    free_bench(bench);
}

static void *fill_main(void *arg)
{
    fill(arg, false);
    return NULL;
}

/* ---- all of them ---- */

/* Origins at a distance of `stride` that a series can have at most. */
static size_t room_of(size_t from, size_t to, size_t stride)
{
    return to > from ? (to - from) / stride + 2 : 0;
}

/* How far origins lie apart so that the pool holds them all. */
static size_t stride_for(double origins, size_t most)
{
    const double stride = ceil(origins / (double)(most > 0 ? most : 1));
    return stride > STRIDE_MIN ? (size_t)stride : STRIDE_MIN;
}

/* Replays that can be made: of every column of a series that is long enough. */
static bool can_replay(const struct train_pool *pool, size_t series, size_t column)
{
    const struct history_series *s = &pool->data->series[series];
    const struct span span = span_of(pool, s->steps);
    return s->value[column] != NULL && span.first < span.end;
}

static size_t count_series(const struct train_pool *pool)
{
    size_t n = 0;
    for (size_t i = 0; i < pool->data->n_series; i++)
        for (size_t c = 0; c < pool->data->n_columns; c++)
            n += can_replay(pool, i, c);
    return n;
}

/* Of a large fleet only every so many-th series is replayed: each takes room for a few samples,
 * however far apart they lie, and the pool's size is a promise. */
static enum fw_status list_jobs(struct filler *f, struct fw_error *err)
{
    const struct history *d = f->pool->data;
    double learned = 0.0, held = 0.0;
    const size_t most = f->pool->options.samples_max / (SAMPLES_A_JOB * VARIANTS) + 1;
    const size_t series = count_series(f->pool), every = series / most + 1;
    size_t seen = 0;
    f->jobs = fw_calloc((series / every + 1) * VARIANTS, sizeof *f->jobs);
    if (f->jobs == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory for the list of series");
    for (size_t i = 0; i < d->n_series; i++) {
        const struct span span = span_of(f->pool, d->series[i].steps);
        for (size_t c = 0; c < d->n_columns; c++) {
            if (!can_replay(f->pool, i, c) || seen++ % every != 0)
                continue;
            for (size_t v = 0; v < VARIANTS; v++)
                f->jobs[f->n_jobs++] = (struct job){.series = i, .column = c, .variant = v};
            learned += span.held > span.first ? VARIANTS * (double)(span.held - span.first) : 0.0;
            held += span.end > span.held ? (double)(span.end - span.held) : 0.0;
        }
    }
    f->stride = stride_for(learned, f->pool->options.samples_max);
    f->held_stride = stride_for(held, f->pool->options.validation_max);
    size_t total = 0;
    for (size_t i = 0; i < f->n_jobs; i++) {
        const struct span span = span_of(f->pool, d->series[f->jobs[i].series].steps);
        f->jobs[i].first = total;
        total += room_of(span.first, span.held, f->stride);
        f->jobs[i].held_first = total;
        total +=
            room_of(span.held > f->stride ? span.held - f->stride : 0, span.end, f->held_stride);
    }
    f->samples = fw_calloc(total + 1, sizeof *f->samples);
    return f->samples != NULL ? FW_OK : fw_fail(err, FW_ENOMEM, "no memory for %zu samples", total);
}

static void run_threads(struct filler *f)
{
    enum { THREADS_MAX = 64 };
    pthread_t thread[THREADS_MAX];
    size_t started = 0;
    const size_t wanted = f->pool->options.workers - 1;
    while (started < wanted && started < THREADS_MAX &&
           pthread_create(&thread[started], NULL, fill_main, f) == 0)
        started++;
    fill(f, true);
    for (size_t i = 0; i < started; i++)
        (void)pthread_join(thread[i], NULL);
}

/* Pushes the jobs' samples together: first what is learned from, then what is held out. */
static enum fw_status collect(struct filler *f, struct fw_error *err)
{
    struct train_pool *pool = f->pool;
    for (size_t i = 0; i < f->n_jobs; i++) {
        pool->size += f->jobs[i].n;
        pool->validation += f->jobs[i].held_n;
    }
    if (pool->size == 0)
        return fw_fail(err, FW_EINVAL,
                       "no series is long enough to learn from: %d steps, and as many as are held "
                       "out, are needed",
                       STEPS_MIN + FORECAST_HORIZON);
    pool->samples = fw_calloc(pool->size + pool->validation, sizeof *pool->samples);
    if (pool->samples == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory for %zu samples", pool->size);
    struct sample *learned = pool->samples, *held = pool->samples + pool->size;
    for (size_t i = 0; i < f->n_jobs; i++) {
        const struct job *job = &f->jobs[i];
        memcpy(learned, f->samples + job->first, job->n * sizeof *learned);
        memcpy(held, f->samples + job->held_first, job->held_n * sizeof *held);
        learned += job->n;
        held += job->held_n;
    }
    return FW_OK;
}

enum fw_status train_pool_new(const struct history *data, const struct train_pool_options *options,
                              struct train_pool **out, struct fw_error *err)
{
    *out = NULL;
    struct train_pool *pool = fw_calloc(1, sizeof *pool);
    if (pool == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory for samples");
    pool->data = data;
    pool->options = *options;
    find_metrics(pool);
    pool->rooms = fw_calloc(options->workers, sizeof *pool->rooms);
    struct filler f = {.pool = pool};
    enum fw_status status =
        pool->rooms == NULL ? fw_fail(err, FW_ENOMEM, "no memory for samples") : list_jobs(&f, err);
    if (status == FW_OK) {
        run_threads(&f);
        status = atomic_load(&f.failed) ? fw_fail(err, FW_ENOMEM, "no memory to replay a series")
                                        : collect(&f, err);
    }
    fw_free(f.jobs);
    fw_free(f.samples);
    if (status != FW_OK) {
        train_pool_free(pool);
        return status;
    }
    *out = pool;
    return FW_OK;
}

void train_pool_free(struct train_pool *pool)
{
    if (pool == NULL)
        return;
    fw_free(pool->samples);
    fw_free(pool->rooms);
    fw_free(pool);
}

size_t train_pool_size(const struct train_pool *pool)
{
    return pool->size;
}

size_t train_pool_validation(const struct train_pool *pool)
{
    return pool->validation;
}

struct train_pick train_pool_draw(const struct train_pool *pool, uint64_t random)
{
    struct fw_rng rng;
    fw_rng_init(&rng, random);
    const size_t sample = (size_t)fw_rng_below(&rng, pool->size);
    return (struct train_pick){sample, fw_rng_next(&rng)};
}

static void get_halves(float *to, const uint16_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = fw_half_to(from[i]);
}

void train_pool_fetch(struct train_pool *pool, struct train_pick pick, size_t worker, float weight,
                      struct tft_gradient_series *out)
{
    assert(worker < pool->options.workers && pick.sample < pool->size + pool->validation);
    const struct sample *s = &pool->samples[pick.sample];
    struct room *room = &pool->rooms[worker];
    struct ladder ladder = {0};
    struct fw_rng rng;
    get_halves(ladder.fixed, s->fixed, LADDER_FIXED_INPUTS);
    get_halves(ladder.past[0], s->past, PAST_VALUES);
    get_halves(ladder.ahead[0], s->ahead, AHEAD_VALUES);
    ladder_fill(&ladder, room->history, room->horizon);
    fw_rng_init(&rng, pick.steps);
    size_t h = 0;
    for (size_t r = 0; r < LADDER_AHEAD; r++) {
        const size_t at = h + (size_t)fw_rng_below(&rng, (uint64_t)ladder_ahead[r]);
        room->target[r] = fw_half_to(s->place[at]);
        h += (size_t)ladder_ahead[r];
    }
    room->scale[0] = 0.0f;
    room->scale[1] = 1.0f;
    room->weight[0] = weight;
    *out = (struct tft_gradient_series){.history = LADDER_PAST,
                                        .horizon = LADDER_AHEAD,
                                        .history_codes = NULL,
                                        .horizon_codes = NULL,
                                        .history_reals = room->history,
                                        .horizon_reals = room->horizon,
                                        .scale = room->scale,
                                        .target = room->target,
                                        .weight = room->weight};
}
