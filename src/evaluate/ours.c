#include "evaluate/ours.h"

#include "base/alloc.h"
#include "replay/replay.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static_assert((int)EVALUATE_HORIZON == (int)FORECAST_HORIZON, "forecasts reach as far");

struct visit {
    const struct evaluate_set *set;
    const struct evaluate_options *options;
    const struct evaluate_timeline *timelines;
    struct evaluate_result *result;
    const struct schema *schema;
    size_t visited, n_origins;
};

/* ---- which origins ---- */

static int by_step(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* A replay's origin is the last step seen, one before ours. */
static size_t put_steps(const struct evaluate_origins *origins, int64_t first, int64_t *out)
{
    for (size_t i = 0; i < origins->n; i++)
        out[i] = first + (int64_t)origins->at[i] - 1;
    return origins->n;
}

/* Those of all servers, in order of time, each once. */
static int64_t *join_origins(const struct evaluate_set *set,
                             const struct evaluate_timeline *timelines, size_t *n)
{
    size_t all = 0, kept = 0;
    for (size_t i = 0; i < set->n_servers; i++)
        all += timelines[i].test.n + timelines[i].each.n;
    int64_t *steps = fw_calloc(all, sizeof *steps);
    if (steps == NULL)
        return NULL;
    all = 0;
    for (size_t i = 0; i < set->n_servers; i++) {
        const int64_t first = set->servers[i].series->first;
        all += put_steps(&timelines[i].test, first, steps + all);
        all += put_steps(&timelines[i].each, first, steps + all);
    }
    qsort(steps, all, sizeof *steps, by_step);
    for (size_t i = 0; i < all; i++) {
        if (kept == 0 || steps[i] != steps[kept - 1])
            steps[kept++] = steps[i];
    }
    *n = kept;
    return steps;
}

static int by_place(const void *a, const void *b)
{
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

static bool has(const struct evaluate_origins *origins, size_t at)
{
    return origins->n > 0 &&
           bsearch(&at, origins->at, origins->n, sizeof *origins->at, by_place) != NULL;
}

/* ---- a forecast ---- */

/* To seven digits, as `forewarn forecast` prints it and others score it: a float next to 0.01 is
 * not the truth's 0.01, and at the edge of a band equality decides. */
static double as_printed(float value)
{
    enum { DIGITS = 7 };
    const double x = (double)value;
    if (value == 0.0f)
        return 0.0;
    const int places = DIGITS - 1 - (int)floor(log10(fabs(x)));
    const double scale = pow(10.0, abs(places));
    return places >= 0 ? round(x * scale) / scale : round(x / scale) * scale;
}

/* The metric's quantiles from the step behind `origin` on; false: there are none. */
static bool quantiles_of(const struct visit *v, const struct forecast *f, uint32_t step_s,
                         int64_t origin, size_t metric,
                         double out[EVALUATE_HORIZON][EVALUATE_QUANTILES], size_t *method)
{
    const char *column = v->set->history->column[metric];
    const bool complement = v->result->metrics[metric].complement;
    const struct forecast_path *path =
        f == NULL ? NULL : forecast_path(f, schema_find(v->schema, column, strlen(column)));
    float q[EVALUATE_QUANTILES][FORECAST_HORIZON];
    if (path == NULL)
        return false;
    replay_quantiles(f, path, step_s, origin, q);
    for (size_t h = 0; h < EVALUATE_HORIZON; h++) {
        for (size_t k = 0; k < EVALUATE_QUANTILES; k++)
            out[h][k] = complement ? 100.0 - as_printed(q[EVALUATE_QUANTILES - 1 - k][h])
                                   : as_printed(q[k][h]);
    }
    *method = path->method;
    return true;
}

static bool any_seen(const double *truth)
{
    for (size_t h = 0; h < EVALUATE_HORIZON; h++) {
        if (!isnan(truth[h]))
            return true;
    }
    return false;
}

static void score_server(struct visit *v, const struct forecast_set *forecasts, size_t server,
                         int64_t origin, size_t at)
{
    double out[EVALUATE_HORIZON][EVALUATE_QUANTILES];
    struct evaluate_result *r = v->result;
    const struct evaluate_server *s = &v->set->servers[server];
    const struct forecast *f = forecast_set_find(forecasts, s->series->name);
    const bool test = has(&v->timelines[server].test, at);
    const bool each = has(&v->timelines[server].each, at);
    for (size_t m = 0; (test || each) && m < v->set->history->n_columns; m++) {
        const double *truth = s->series->exact[m] == NULL ? NULL : &s->series->exact[m][at];
        size_t method;
        if (truth == NULL || !any_seen(truth))
            continue;
        const bool there = quantiles_of(v, f, forecasts->step_s, origin, m, out, &method);
        if (test && there) {
            evaluate_score_add(evaluate_score_at(&r->scores, server, m, EVALUATE_OURS), truth, out);
            r->forecasts++;
            r->methods[method]++;
        } else if (test) {
            r->left_out++;
        }
        if (each && there)
            evaluate_ett_add(&r->ett[server], m, truth, &out[0][1], EVALUATE_QUANTILES,
                             &r->ett[server].ours);
    }
}

static bool visit(void *ctx, int64_t origin, const struct forecast_set *forecasts)
{
    struct visit *v = ctx;
    for (size_t i = 0; i < v->set->n_servers; i++) {
        const int64_t at = origin + 1 - v->set->servers[i].series->first;
        if (at > 0)
            score_server(v, forecasts, i, origin, (size_t)at);
    }
    v->visited++;
    if (v->options->progress != NULL)
        v->options->progress(v->options->progress_ctx, v->set->name, "forecasts", v->visited,
                             v->n_origins);
    return true;
}

enum fw_status evaluate_ours_score(const struct evaluate_set *set,
                                   const struct evaluate_options *options,
                                   const struct evaluate_timeline *timelines,
                                   struct evaluate_result *result, struct fw_error *err)
{
    struct visit v = {.set = set, .options = options, .timelines = timelines, .result = result};
    struct replay *replay = NULL;
    int64_t *origins = join_origins(set, timelines, &v.n_origins);
    if (origins == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory for the origins");
    const struct replay_options how = {.model = options->model,
                                       .threads = options->threads,
                                       .origins = origins,
                                       .n_origins = v.n_origins};
    enum fw_status status = replay_new(set->history, &how, &replay, err);
    if (status == FW_OK) {
        v.schema = replay_schema(replay);
        status = replay_run(replay, visit, &v, err);
    }
    replay_free(replay);
    fw_free(origins);
    return status;
}
