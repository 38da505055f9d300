#include "evaluate/report.h"

#include <math.h>
#include <string.h>

/* Quoted where a reader would stumble over it. */
static void put_text(struct fw_buf *out, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        fw_buf_puts(out, text);
        return;
    }
    fw_buf_putc(out, '"');
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"')
            fw_buf_putc(out, '"');
        fw_buf_putc(out, *c);
    }
    fw_buf_putc(out, '"');
}

static void put_head(struct fw_buf *out, const char *set, const char *metric, size_t method)
{
    put_text(out, set);
    fw_buf_putc(out, ',');
    put_text(out, metric);
    fw_buf_printf(out, ",%s", evaluate_score_method((enum evaluate_method)method));
}

/* A field, empty where there is no number. */
static void put_number(struct fw_buf *out, double value)
{
    fw_buf_putc(out, ',');
    if (!isnan(value))
        fw_buf_printf(out, "%.5g", value);
}

static void put_rows(const struct evaluate_report *r, struct fw_buf *out)
{
    for (size_t method = 0; method < EVALUATE_METHODS; method++) {
        for (size_t m = 0; m < r->result->scores.n_metrics; m++) {
            const struct evaluate_figures *f = &r->rows[m].span[EVALUATE_WHOLE].of[method];
            if (isnan(f->q[1]))
                continue;
            put_head(out, r->result->set, r->result->metrics[m].name, method);
            for (size_t k = 0; k < EVALUATE_QUANTILES; k++)
                put_number(out, f->q[k]);
            put_number(out, f->coverage);
            put_number(out, r->rows[m].median_server[method]);
            put_number(out, (double)f->points);
            fw_buf_putc(out, '\n');
        }
    }
}

static void put_means(const struct evaluate_report *r, struct fw_buf *out)
{
    for (size_t method = 0; method < EVALUATE_METHODS; method++) {
        double means[EVALUATE_MEANS];
        evaluate_figures_mean(r->rows, r->result->scores.n_metrics, (enum evaluate_method)method,
                              means);
        if (isnan(means[0]))
            continue;
        put_head(out, r->result->set, "(mean of metrics)", method);
        for (size_t i = 0; i < EVALUATE_MEANS; i++)
            put_number(out, means[i]);
        fw_buf_puts(out, ",\n");
    }
}

void evaluate_report_csv(const struct evaluate_report *reports, size_t n, struct fw_buf *out)
{
    fw_buf_puts(out, "set,metric,method,q10,q50,q90,coverage,q50_median_server,points\n");
    for (size_t i = 0; i < n; i++)
        put_rows(&reports[i], out);
    for (size_t i = 0; i < n; i++)
        put_means(&reports[i], out);
}
