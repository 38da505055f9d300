#include "evaluate/score.h"

#include "base/alloc.h"

#include <assert.h>
#include <math.h>

const double evaluate_score_levels[EVALUATE_QUANTILES] = {0.1, 0.5, 0.9};

static const size_t block_begin[EVALUATE_BLOCKS + 1] = {0, 12, 36, 60, EVALUATE_HORIZON};

const char *evaluate_score_method(enum evaluate_method method)
{
    static const char *const names[EVALUATE_METHODS] = {
        [EVALUATE_PERSISTENCE] = "persistence",
        [EVALUATE_SEASONAL] = "seasonal_naive_day",
        [EVALUATE_LINE] = "linear_24",
        [EVALUATE_CLIMATOLOGY] = "climatology_hour",
        [EVALUATE_PERSISTENCE_RESIDUAL] = "persistence+resid",
        [EVALUATE_SEASONAL_RESIDUAL] = "seasonal_naive_day+resid",
        [EVALUATE_OURS] = "forewarn",
    };
    return names[method];
}

size_t evaluate_score_block_from(size_t block)
{
    return block_begin[block] + 1;
}

size_t evaluate_score_block_to(size_t block)
{
    return block_begin[block + 1];
}

enum fw_status evaluate_score_init(struct evaluate_scores *scores, size_t n_servers,
                                   size_t n_metrics, struct fw_error *err)
{
    enum { PER_METRIC = EVALUATE_METHODS * EVALUATE_SPANS };
    scores->n_servers = n_servers;
    scores->n_metrics = n_metrics;
    assert(n_metrics == 0 || n_servers <= SIZE_MAX / PER_METRIC / n_metrics);
    scores->sums = fw_calloc(n_servers * n_metrics * PER_METRIC, sizeof *scores->sums);
    return scores->sums != NULL
               ? FW_OK
               : fw_fail(err, FW_ENOMEM, "no memory for the scores of %zu servers", n_servers);
}

void evaluate_score_fini(struct evaluate_scores *scores)
{
    fw_free(scores->sums);
    scores->sums = NULL;
}

struct evaluate_sums *evaluate_score_at(const struct evaluate_scores *scores, size_t server,
                                        size_t metric, enum evaluate_method method)
{
    assert(server < scores->n_servers && metric < scores->n_metrics);
    return &scores
                ->sums[((server * scores->n_metrics + metric) * EVALUATE_METHODS + (size_t)method) *
                       EVALUATE_SPANS];
}

static void add_point(struct evaluate_sums *sums, double truth, const double *forecast)
{
    for (size_t k = 0; k < EVALUATE_QUANTILES; k++) {
        const double q = evaluate_score_levels[k], under = truth - forecast[k];
        sums->loss[k] += fmax(q * under, (q - 1.0) * under);
    }
    sums->scale += fabs(truth);
    sums->inside += truth >= forecast[0] && truth <= forecast[2];
    sums->count++;
}

void evaluate_score_add(struct evaluate_sums spans[EVALUATE_SPANS], const double *truth,
                        double (*forecast)[EVALUATE_QUANTILES])
{
    for (size_t b = 0; b < EVALUATE_BLOCKS; b++) {
        for (size_t h = block_begin[b]; h < block_begin[b + 1]; h++) {
            if (isnan(truth[h]))
                continue;
            add_point(&spans[b], truth[h], forecast[h]);
            add_point(&spans[EVALUATE_WHOLE], truth[h], forecast[h]);
        }
    }
}

void evaluate_score_join(struct evaluate_sums *to, const struct evaluate_sums *more)
{
    for (size_t k = 0; k < EVALUATE_QUANTILES; k++)
        to->loss[k] += more->loss[k];
    to->scale += more->scale;
    to->inside += more->inside;
    to->count += more->count;
}

struct evaluate_figures evaluate_score_figures(const struct evaluate_sums *sums)
{
    struct evaluate_figures f = {.points = sums->count};
    for (size_t k = 0; k < EVALUATE_QUANTILES; k++)
        f.q[k] = sums->scale > 0.0 ? 2.0 * sums->loss[k] / sums->scale : (double)NAN;
    f.coverage = sums->count > 0 ? (double)sums->inside / (double)sums->count : (double)NAN;
    return f;
}
