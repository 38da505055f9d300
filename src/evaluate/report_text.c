#include "evaluate/report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAME_WIDTH_MIN = 18, NUMBER_SIZE = 32 };

static const char *const quantile_names[EVALUATE_QUANTILES] = {"P10", "P50", "P90"};

/* Right-aligned; a dash where there is no number. */
static void put_number(struct fw_buf *out, int width, int decimals, double value)
{
    char text[NUMBER_SIZE] = "-";
    if (!isnan(value))
        (void)snprintf(text, sizeof text, value < 1e6 ? "%.*f" : "%.*e", decimals, value);
    fw_buf_printf(out, "%*s", width, text);
}

static void put_percent(struct fw_buf *out, int width, double share)
{
    put_number(out, width - 2, 1, 100.0 * share);
    fw_buf_puts(out, " %");
}

static int name_width(const struct evaluate_report *r)
{
    size_t width = NAME_WIDTH_MIN;
    for (size_t m = 0; m < r->result->scores.n_metrics; m++) {
        const size_t len = strlen(r->result->metrics[m].name);
        width = r->rows[m].scored && len > width ? len : width;
    }
    return (int)width;
}

/* ---- what was measured ---- */

static void put_head(struct fw_buf *out, const struct evaluate_report *report)
{
    const struct evaluate_result *r = report->result;
    fw_buf_printf(out, "%s: %zu servers, %zu metrics, steps of %u s, %zu origins", r->set,
                  r->scores.n_servers, report->summary.scored, r->step_s, r->origins);
    const char *before = ", forecasts by ";
    for (size_t m = 0; m < FORECAST_METHOD_COUNT; m++) {
        if (r->methods[m] == 0)
            continue;
        fw_buf_printf(out, "%s%s %.1f %%", before, forecast_method_name((enum forecast_method)m),
                      100.0 * (double)r->methods[m] / (double)r->forecasts);
        before = ", ";
    }
    fw_buf_puts(out, "\n\n");
}

/* ---- with our forecasts ---- */

static void put_ours(struct fw_buf *out, const struct evaluate_report *r)
{
    const int width = name_width(r);
    fw_buf_printf(out, "%-*s  %-23s  %8s  %s\n", width, "", "        q-Risk", "inside",
                  "    to the best baseline");
    fw_buf_printf(out, "%-*s %7s %7s %7s  %8s  %7s %7s %7s\n", width, "metric", "P10", "P50", "P90",
                  "P10-P90", "P10", "P50", "P90");
    for (size_t m = 0; m < r->result->scores.n_metrics; m++) {
        const struct evaluate_row *row = &r->rows[m];
        if (!row->scored)
            continue;
        fw_buf_printf(out, "%-*s", width, r->result->metrics[m].name);
        for (size_t k = 0; k < EVALUATE_QUANTILES; k++)
            put_number(out, 8, 4, row->span[EVALUATE_WHOLE].of[EVALUATE_OURS].q[k]);
        put_percent(out, 10, row->span[EVALUATE_WHOLE].of[EVALUATE_OURS].coverage);
        fw_buf_puts(out, " ");
        for (size_t k = 0; k < EVALUATE_QUANTILES; k++)
            put_number(out, 8, 3, row->span[EVALUATE_WHOLE].ratio.to_best[k]);
        fw_buf_puts(out, "\n");
    }
    fw_buf_printf(out, "%-*s%24s", width, "(geometric mean)", "");
    put_percent(out, 10, r->summary.span[EVALUATE_WHOLE].coverage);
    fw_buf_puts(out, " ");
    for (size_t k = 0; k < EVALUATE_QUANTILES; k++)
        put_number(out, 8, 3, r->summary.span[EVALUATE_WHOLE].ratio[k]);
    fw_buf_puts(out, "\n\n");
}

static void put_blocks(struct fw_buf *out, const struct evaluate_report *r)
{
    fw_buf_puts(out, "  steps      inside  to the best baseline\n");
    for (size_t b = 0; b < EVALUATE_BLOCKS; b++) {
        const struct evaluate_means *means = &r->summary.span[b];
        fw_buf_printf(out, "  %2zu to %-3zu", evaluate_score_block_from(b),
                      evaluate_score_block_to(b));
        put_percent(out, 9, means->coverage);
        for (size_t k = 0; k < EVALUATE_QUANTILES; k++)
            put_number(out, 8, 3, means->ratio[k]);
        fw_buf_puts(out, "\n");
    }
}

static void put_judgement(struct fw_buf *out, const struct evaluate_report *r)
{
    const struct evaluate_summary *s = &r->summary;
    fw_buf_puts(out, "  above 1.05: ");
    for (size_t k = 0; k < EVALUATE_QUANTILES; k++)
        fw_buf_printf(out, "%s%s %zu", k == 0 ? "" : ", ", quantile_names[k], s->worse[k]);
    fw_buf_printf(out, " of %zu metrics", s->scored);
    if (!isnan(s->worst)) {
        const struct evaluate_ratio *ratio = &r->rows[s->worst_metric].span[EVALUATE_WHOLE].ratio;
        fw_buf_printf(out, "; worst: %s %s %.3f (best baseline: %s)",
                      r->result->metrics[s->worst_metric].name, quantile_names[s->worst_quantile],
                      s->worst, evaluate_score_method(ratio->best[s->worst_quantile]));
    }
    fw_buf_puts(out, "\n");
    for (size_t k = 0; k < EVALUATE_QUANTILES; k++) {
        if (s->span[EVALUATE_WHOLE].with_ratio[k] < s->scored)
            fw_buf_printf(out, "  without a ratio, %s: %zu of %zu metrics\n", quantile_names[k],
                          s->scored - s->span[EVALUATE_WHOLE].with_ratio[k], s->scored);
    }
}

/* ---- without ---- */

static void put_best_baselines(struct fw_buf *out, const struct evaluate_report *r)
{
    const int width = name_width(r);
    fw_buf_printf(out, "%-*s", width, "best baseline of");
    for (size_t k = 0; k < EVALUATE_QUANTILES; k++)
        fw_buf_printf(out, "  %7s  %-24s", quantile_names[k], "");
    fw_buf_puts(out, "\n");
    for (size_t m = 0; m < r->result->scores.n_metrics; m++) {
        const struct evaluate_row *row = &r->rows[m];
        if (!row->scored)
            continue;
        fw_buf_printf(out, "%-*s", width, r->result->metrics[m].name);
        for (size_t k = 0; k < EVALUATE_QUANTILES; k++) {
            const enum evaluate_method best = row->span[EVALUATE_WHOLE].ratio.best[k];
            put_number(out, 9, 4, row->span[EVALUATE_WHOLE].of[best].q[k]);
            fw_buf_printf(out, "  %-24s",
                          best == EVALUATE_BASELINES ? "-" : evaluate_score_method(best));
        }
        fw_buf_puts(out, "\n");
    }
}

/* ---- both ---- */

static void put_remarks(struct fw_buf *out, const struct evaluate_report *report)
{
    const struct evaluate_result *r = report->result;
    const char *before = "  not scored, zero or never seen in the test part: ";
    for (size_t m = 0; m < r->scores.n_metrics; m++) {
        if (report->rows[m].scored)
            continue;
        fw_buf_printf(out, "%s%s", before, r->metrics[m].name);
        before = ", ";
    }
    fw_buf_puts(out, before[0] == ',' ? "\n" : "");
    if (r->left_out > 0)
        fw_buf_printf(out,
                      "  left out: %zu of %zu forecasts were not made, so our figures are of "
                      "fewer points than the baselines'\n",
                      r->left_out, r->left_out + r->forecasts);
    if (r->servers_without > 0)
        fw_buf_printf(out, "  without an origin in their test part: %zu of %zu servers\n",
                      r->servers_without, r->scores.n_servers);
    if (r->refused > 0)
        fw_buf_printf(out, "  %llu values outside their metric's bounds were taken as missing\n",
                      (unsigned long long)r->refused);
}

static void put_points(struct fw_buf *out, const char *name, const struct evaluate_points *p)
{
    if (p->count > 0)
        fw_buf_printf(out, "  %s %.3f / %.3f", name, p->square / (double)p->count,
                      p->absolute / (double)p->count);
}

static void put_ett(struct fw_buf *out, const struct evaluate_result *r)
{
    for (size_t i = 0; r->ett != NULL && i < r->scores.n_servers; i++) {
        fw_buf_printf(out, "  %s, MSE / MAE as the ETT papers have it, %zu origins:", r->servers[i],
                      r->ett[i].origins);
        put_points(out, "forewarn", &r->ett[i].ours);
        put_points(out, "persistence", &r->ett[i].persistence);
        fw_buf_puts(out, "\n");
    }
}

void evaluate_report_text(const struct evaluate_report *report, struct fw_buf *out)
{
    put_head(out, report);
    if (report->result->ours) {
        put_ours(out, report);
        put_blocks(out, report);
        put_judgement(out, report);
    } else {
        put_best_baselines(out, report);
    }
    put_remarks(out, report);
    put_ett(out, report->result);
}
