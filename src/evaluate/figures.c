#include "evaluate/figures.h"

#include "base/alloc.h"

#include <math.h>
#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double evaluate_figures_median(size_t n, double *values)
{
    if (n == 0)
        return (double)NAN;
    qsort(values, n, sizeof *values, by_value);
    return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2.0;
}

struct evaluate_figures evaluate_figures_server(const struct evaluate_result *result, size_t server,
                                                size_t metric, enum evaluate_method method)
{
    return evaluate_score_figures(
        &evaluate_score_at(&result->scores, server, metric, method)[EVALUATE_WHOLE]);
}

static struct evaluate_figures over_servers(const struct evaluate_result *r, size_t metric,
                                            enum evaluate_method method, size_t span)
{
    struct evaluate_sums all = {.scale = 0.0};
    for (size_t i = 0; i < r->scores.n_servers; i++)
        evaluate_score_join(&all, &evaluate_score_at(&r->scores, i, metric, method)[span]);
    return evaluate_score_figures(&all);
}

static struct evaluate_ratio ratio_of(const struct evaluate_figures of[EVALUATE_METHODS])
{
    struct evaluate_ratio out;
    for (size_t k = 0; k < EVALUATE_QUANTILES; k++) {
        double least = (double)INFINITY;
        out.best[k] = EVALUATE_BASELINES;
        for (size_t m = 0; m < EVALUATE_BASELINES; m++) {
            if (of[m].q[k] < least) {
                least = of[m].q[k];
                out.best[k] = (enum evaluate_method)m;
            }
        }
        const bool possible = out.best[k] != EVALUATE_BASELINES && least > 0.0;
        out.to_best[k] = possible ? of[EVALUATE_OURS].q[k] / least : (double)NAN;
    }
    return out;
}

static void fill_span(const struct evaluate_result *r, size_t metric, size_t span,
                      struct evaluate_span *out)
{
    for (size_t m = 0; m < EVALUATE_METHODS; m++)
        out->of[m] = over_servers(r, metric, (enum evaluate_method)m, span);
    out->ratio = ratio_of(out->of);
}

static void fill_row(const struct evaluate_result *r, size_t metric, double *each,
                     struct evaluate_row *row)
{
    for (size_t s = 0; s < EVALUATE_SPANS; s++)
        fill_span(r, metric, s, &row->span[s]);
    for (size_t m = 0; m < EVALUATE_METHODS; m++) {
        size_t n = 0;
        for (size_t i = 0; i < r->scores.n_servers; i++) {
            const double q50 = evaluate_figures_server(r, i, metric, (enum evaluate_method)m).q[1];
            if (!isnan(q50))
                each[n++] = q50;
        }
        row->median_server[m] = evaluate_figures_median(n, each);
        row->scored = row->scored || n > 0;
    }
}

enum fw_status evaluate_figures_rows(const struct evaluate_result *result,
                                     struct evaluate_row **rows, struct fw_error *err)
{
    const size_t n = result->scores.n_metrics;
    double *each = fw_calloc(result->scores.n_servers, sizeof *each);
    *rows = fw_calloc(n, sizeof **rows);
    if (*rows == NULL || each == NULL) {
        fw_free(each);
        fw_free(*rows);
        *rows = NULL;
        return fw_fail(err, FW_ENOMEM, "no memory for the figures of %zu metrics", n);
    }
    for (size_t m = 0; m < n; m++)
        fill_row(result, m, each, &(*rows)[m]);
    fw_free(each);
    return FW_OK;
}

/* ---- summary ---- */

static struct evaluate_means means_of(const struct evaluate_row *rows, size_t n, size_t span)
{
    struct evaluate_means out = {.coverage = 0.0};
    double logs[EVALUATE_QUANTILES] = {0};
    size_t covered = 0;
    for (size_t m = 0; m < n; m++) {
        const struct evaluate_span *s = &rows[m].span[span];
        for (size_t k = 0; k < EVALUATE_QUANTILES; k++) {
            if (s->ratio.to_best[k] > 0.0) {
                logs[k] += log(s->ratio.to_best[k]);
                out.with_ratio[k]++;
            }
        }
        if (rows[m].scored && !isnan(s->of[EVALUATE_OURS].coverage)) {
            out.coverage += s->of[EVALUATE_OURS].coverage;
            covered++;
        }
    }
    out.coverage = covered > 0 ? out.coverage / (double)covered : (double)NAN;
    for (size_t k = 0; k < EVALUATE_QUANTILES; k++)
        out.ratio[k] =
            out.with_ratio[k] > 0 ? exp(logs[k] / (double)out.with_ratio[k]) : (double)NAN;
    return out;
}

void evaluate_figures_summary(const struct evaluate_row *rows, size_t n_metrics,
                              struct evaluate_summary *out)
{
    *out = (struct evaluate_summary){.worst = (double)NAN};
    for (size_t s = 0; s < EVALUATE_SPANS; s++)
        out->span[s] = means_of(rows, n_metrics, s);
    for (size_t m = 0; m < n_metrics; m++) {
        out->scored += rows[m].scored;
        for (size_t k = 0; k < EVALUATE_QUANTILES; k++) {
            const double ratio = rows[m].span[EVALUATE_WHOLE].ratio.to_best[k];
            out->worse[k] += ratio > EVALUATE_WORSE;
            if (ratio > out->worst || (isnan(out->worst) && !isnan(ratio))) {
                out->worst = ratio;
                out->worst_metric = m;
                out->worst_quantile = k;
            }
        }
    }
}

void evaluate_figures_mean(const struct evaluate_row *rows, size_t n_metrics,
                           enum evaluate_method method, double out[EVALUATE_MEANS])
{
    size_t n = 0;
    for (size_t i = 0; i < EVALUATE_MEANS; i++)
        out[i] = 0.0;
    for (size_t m = 0; m < n_metrics; m++) {
        const struct evaluate_figures *f = &rows[m].span[EVALUATE_WHOLE].of[method];
        if (isnan(f->q[1]))
            continue;
        for (size_t k = 0; k < EVALUATE_QUANTILES; k++)
            out[k] += f->q[k];
        out[EVALUATE_QUANTILES] += f->coverage;
        out[EVALUATE_QUANTILES + 1] += rows[m].median_server[method];
        n++;
    }
    for (size_t i = 0; i < EVALUATE_MEANS; i++)
        out[i] = n > 0 ? out[i] / (double)n : (double)NAN;
}
