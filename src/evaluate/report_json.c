#include "evaluate/report.h"

#include <math.h>
#include <string.h>

static const char *const quantile_keys[EVALUATE_QUANTILES] = {"p10", "p50", "p90"};

static void put_key(struct fw_buf *out, const char *key)
{
    fw_buf_putc(out, ',');
    fw_buf_json_key(out, key);
}

static void put_string(struct fw_buf *out, const char *text)
{
    fw_buf_json_string(out, text, strlen(text));
}

static void put_number(struct fw_buf *out, double value)
{
    if (isfinite(value))
        fw_buf_printf(out, "%.9g", value);
    else
        fw_buf_puts(out, "null");
}

/* "p10":1,"p50":2,"p90":3 */
static void put_three(struct fw_buf *out, const double *values)
{
    for (size_t k = 0; k < EVALUATE_QUANTILES; k++) {
        fw_buf_printf(out, "%s\"%s\":", k == 0 ? "" : ",", quantile_keys[k]);
        put_number(out, values[k]);
    }
}

/* ,"KEY":{"p10":...} */
static void put_quantiles(struct fw_buf *out, const char *key, const double *values)
{
    put_key(out, key);
    fw_buf_putc(out, '{');
    put_three(out, values);
    fw_buf_putc(out, '}');
}

static void put_counts(struct fw_buf *out, const char *key, const size_t *counts)
{
    put_key(out, key);
    for (size_t k = 0; k < EVALUATE_QUANTILES; k++)
        fw_buf_printf(out, "%s\"%s\":%zu", k == 0 ? "{" : ",", quantile_keys[k], counts[k]);
    fw_buf_putc(out, '}');
}

static void put_coverage(struct fw_buf *out, double coverage)
{
    put_key(out, "coverage");
    put_number(out, coverage);
}

static void put_figures(struct fw_buf *out, const struct evaluate_figures *f)
{
    put_quantiles(out, "qrisk", f->q);
    put_coverage(out, f->coverage);
}

static void put_block_head(struct fw_buf *out, size_t block)
{
    fw_buf_printf(out, "%s{\"from\":%zu,\"to\":%zu", block == 0 ? "" : ",",
                  evaluate_score_block_from(block), evaluate_score_block_to(block));
}

/* ---- a metric ---- */

static void put_baselines(struct fw_buf *out, const struct evaluate_row *row)
{
    put_key(out, "baselines");
    for (size_t m = 0; m < EVALUATE_BASELINES; m++) {
        fw_buf_putc(out, m == 0 ? '{' : ',');
        fw_buf_json_key(out, evaluate_score_method((enum evaluate_method)m));
        fw_buf_putc(out, '{');
        put_three(out, row->span[EVALUATE_WHOLE].of[m].q);
        put_coverage(out, row->span[EVALUATE_WHOLE].of[m].coverage);
        fw_buf_putc(out, '}');
    }
    fw_buf_putc(out, '}');
}

static void put_best(struct fw_buf *out, const struct evaluate_ratio *ratio)
{
    put_key(out, "best");
    for (size_t k = 0; k < EVALUATE_QUANTILES; k++) {
        fw_buf_printf(out, "%s\"%s\":", k == 0 ? "{" : ",", quantile_keys[k]);
        if (ratio->best[k] == EVALUATE_BASELINES)
            fw_buf_puts(out, "null");
        else
            put_string(out, evaluate_score_method(ratio->best[k]));
    }
    fw_buf_putc(out, '}');
}

static void put_servers(struct fw_buf *out, const struct evaluate_result *r, size_t metric,
                        enum evaluate_method counted)
{
    bool any = false;
    put_key(out, "servers");
    fw_buf_putc(out, '[');
    for (size_t i = 0; i < r->scores.n_servers; i++) {
        const struct evaluate_figures f = evaluate_figures_server(r, i, metric, EVALUATE_OURS);
        const size_t points = evaluate_figures_server(r, i, metric, counted).points;
        if (points == 0)
            continue;
        fw_buf_puts(out, any ? ",{\"server_name\":" : "{\"server_name\":");
        put_string(out, r->servers[i]);
        fw_buf_printf(out, ",\"points\":%zu", points);
        put_figures(out, &f);
        fw_buf_putc(out, '}');
        any = true;
    }
    fw_buf_putc(out, ']');
}

static void put_metric(struct fw_buf *out, const struct evaluate_report *report, size_t metric)
{
    const struct evaluate_result *r = report->result;
    const struct evaluate_row *row = &report->rows[metric];
    const enum evaluate_method counted = r->ours ? EVALUATE_OURS : EVALUATE_PERSISTENCE;
    fw_buf_puts(out, "{\"set\":");
    put_string(out, r->set);
    put_key(out, "metric");
    put_string(out, r->metrics[metric].name);
    fw_buf_printf(out, ",\"points\":%zu", row->span[EVALUATE_WHOLE].of[counted].points);
    put_figures(out, &row->span[EVALUATE_WHOLE].of[EVALUATE_OURS]);
    put_key(out, "q50_median_server");
    put_number(out, row->median_server[EVALUATE_OURS]);
    put_quantiles(out, "ratio", row->span[EVALUATE_WHOLE].ratio.to_best);
    put_best(out, &row->span[EVALUATE_WHOLE].ratio);
    put_baselines(out, row);
    put_key(out, "blocks");
    fw_buf_putc(out, '[');
    for (size_t b = 0; b < EVALUATE_BLOCKS; b++) {
        put_block_head(out, b);
        put_figures(out, &row->span[b].of[EVALUATE_OURS]);
        put_quantiles(out, "ratio", row->span[b].ratio.to_best);
        fw_buf_putc(out, '}');
    }
    fw_buf_putc(out, ']');
    put_servers(out, r, metric, counted);
    fw_buf_putc(out, '}');
}

/* ---- a set ---- */

static void put_means(struct fw_buf *out, const struct evaluate_means *means)
{
    put_quantiles(out, "ratio", means->ratio);
    put_coverage(out, means->coverage);
}

static void put_worst(struct fw_buf *out, const struct evaluate_report *r)
{
    const struct evaluate_summary *s = &r->summary;
    put_key(out, "worst");
    if (isnan(s->worst)) {
        fw_buf_puts(out, "null");
        return;
    }
    fw_buf_puts(out, "{\"metric\":");
    put_string(out, r->result->metrics[s->worst_metric].name);
    fw_buf_printf(out, ",\"quantile\":\"%s\",\"ratio\":", quantile_keys[s->worst_quantile]);
    put_number(out, s->worst);
    fw_buf_putc(out, '}');
}

static void put_methods(struct fw_buf *out, const struct evaluate_result *r)
{
    bool any = false;
    put_key(out, "methods");
    fw_buf_putc(out, '{');
    for (size_t m = 0; m < FORECAST_METHOD_COUNT; m++) {
        if (r->methods[m] == 0)
            continue;
        fw_buf_printf(out, "%s\"%s\":%zu", any ? "," : "",
                      forecast_method_name((enum forecast_method)m), r->methods[m]);
        any = true;
    }
    fw_buf_putc(out, '}');
}

static void put_not_scored(struct fw_buf *out, const struct evaluate_report *r)
{
    bool any = false;
    put_key(out, "not_scored");
    fw_buf_putc(out, '[');
    for (size_t m = 0; m < r->result->scores.n_metrics; m++) {
        if (r->rows[m].scored)
            continue;
        if (any)
            fw_buf_putc(out, ',');
        put_string(out, r->result->metrics[m].name);
        any = true;
    }
    fw_buf_putc(out, ']');
}

static void put_summary(struct fw_buf *out, const struct evaluate_report *report)
{
    const struct evaluate_result *r = report->result;
    const struct evaluate_summary *s = &report->summary;
    fw_buf_puts(out, "{\"set\":");
    put_string(out, r->set);
    fw_buf_printf(out, ",\"step_seconds\":%u,\"servers\":%zu,\"servers_without_origin\":%zu",
                  r->step_s, r->scores.n_servers, r->servers_without);
    fw_buf_printf(out, ",\"metrics\":%zu,\"origins\":%zu,\"forecasts\":%zu,\"left_out\":%zu",
                  s->scored, r->origins, r->forecasts, r->left_out);
    fw_buf_printf(out, ",\"refused\":%llu", (unsigned long long)r->refused);
    put_methods(out, r);
    put_means(out, &s->span[EVALUATE_WHOLE]);
    put_counts(out, "with_ratio", s->span[EVALUATE_WHOLE].with_ratio);
    put_counts(out, "above_1_05", s->worse);
    put_worst(out, report);
    put_key(out, "blocks");
    fw_buf_putc(out, '[');
    for (size_t b = 0; b < EVALUATE_BLOCKS; b++) {
        put_block_head(out, b);
        put_means(out, &s->span[b]);
        fw_buf_putc(out, '}');
    }
    fw_buf_putc(out, ']');
    put_not_scored(out, report);
    fw_buf_putc(out, '}');
}

/* ---- ETT ---- */

static void put_points(struct fw_buf *out, const char *key, const struct evaluate_points *p)
{
    const double n = p->count > 0 ? (double)p->count : (double)NAN;
    put_key(out, key);
    fw_buf_puts(out, "{\"mse\":");
    put_number(out, p->square / n);
    fw_buf_puts(out, ",\"mae\":");
    put_number(out, p->absolute / n);
    fw_buf_putc(out, '}');
}

static void put_ett(struct fw_buf *out, const struct evaluate_report *reports, size_t n)
{
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        const struct evaluate_result *r = reports[i].result;
        for (size_t s = 0; r->ett != NULL && s < r->scores.n_servers; s++) {
            fw_buf_puts(out, any ? ",{\"set\":" : "{\"set\":");
            put_string(out, r->set);
            put_key(out, "series");
            put_string(out, r->servers[s]);
            fw_buf_printf(out, ",\"origins\":%zu", r->ett[s].origins);
            put_points(out, "forewarn", &r->ett[s].ours);
            put_points(out, "persistence", &r->ett[s].persistence);
            fw_buf_putc(out, '}');
            any = true;
        }
    }
}

void evaluate_report_json(const struct evaluate_report *reports, size_t n, struct fw_buf *out)
{
    bool any = false;
    fw_buf_puts(out, "{\"sets\":[");
    for (size_t i = 0; i < n; i++) {
        for (size_t m = 0; m < reports[i].result->scores.n_metrics; m++) {
            if (!reports[i].rows[m].scored)
                continue;
            fw_buf_puts(out, any ? ",\n" : "\n");
            put_metric(out, &reports[i], m);
            any = true;
        }
    }
    fw_buf_puts(out, "\n],\"summary\":[");
    for (size_t i = 0; i < n; i++) {
        fw_buf_puts(out, i == 0 ? "\n" : ",\n");
        put_summary(out, &reports[i]);
    }
    fw_buf_puts(out, "\n],\"ett\":[");
    put_ett(out, reports, n);
    fw_buf_puts(out, "]}\n");
}
