#include "backtest/report.h"

#include "base/alloc.h"
#include "base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CELL = 64, REASONS_SHOWN = 3 };

/* ---- pieces ---- */

static void put_time(struct fw_buf *out, const struct backtest_result *r, int64_t step)
{
    char text[FW_TIME_SIZE] = "at the end";
    if (step != INT64_MAX)
        fw_time_format_z(step * (int64_t)r->step_s * 1000, text);
    fw_buf_printf(out, "%-20s", text);
}

static void put_number(struct fw_buf *out, int width, int decimals, double value)
{
    char text[CELL] = "-";
    if (isfinite(value))
        (void)snprintf(text, sizeof text, "%.*f", decimals, value);
    fw_buf_printf(out, "%*s", width, text);
}

/* "+25 min" */
static void put_lead(struct fw_buf *out, int width, double seconds)
{
    char text[CELL] = "-";
    if (isfinite(seconds) && fabs(seconds) < 2 * 3600)
        (void)snprintf(text, sizeof text, "%+.0f min", seconds / 60.0);
    else if (isfinite(seconds))
        (void)snprintf(text, sizeof text, "%+.1f h", seconds / 3600.0);
    fw_buf_printf(out, "%*s", width, text);
}

static const char *metric_name(const struct backtest_result *r, uint16_t metric)
{
    return alert_metric_name(&r->schema, metric);
}

static int server_width(const struct backtest_result *r)
{
    size_t width = 6;
    for (size_t i = 0; i < r->history->n_series; i++) {
        const size_t len = strlen(r->history->series[i].name);
        width = len > width ? len : width;
    }
    return width > 40 ? 40 : (int)width;
}

/* ---- what was replayed ---- */

static void put_head(struct fw_buf *out, const struct backtest_result *r)
{
    char from[FW_TIME_SIZE], to[FW_TIME_SIZE];
    int64_t first = INT64_MAX, last = INT64_MIN;
    for (size_t i = 0; i < r->history->n_series; i++) {
        if (r->watch_to[i] < r->watch_from[i])
            continue;
        first = r->watch_from[i] < first ? r->watch_from[i] : first;
        last = r->watch_to[i] > last ? r->watch_to[i] : last;
    }
    fw_time_format_z(first * (int64_t)r->step_s * 1000, from);
    fw_time_format_z(last * (int64_t)r->step_s * 1000, to);
    fw_buf_printf(out,
                  "%s: %zu servers, %zu metrics, steps of %" PRIu32 " s, %s to %s,\n"
                  "%.1f server-days watched, %.1f before them to learn from\n",
                  r->set, r->servers_watched, r->history->n_columns, r->step_s, from, to, r->days,
                  r->days_learned);
    if (r->labels_unknown > 0)
        fw_buf_printf(out, "%zu labels are of servers that the data lacks\n", r->labels_unknown);
}

/* ---- the list ---- */

static void put_alert(struct fw_buf *out, const struct backtest_result *r,
                      const struct backtest_alert *a)
{
    fw_buf_printf(out, "%-9s %-20s ", alert_severity_name(a->severity), metric_name(r, a->metric));
    if (a->outcome == BACKTEST_UNJUDGED) {
        fw_buf_puts(out, "no data");
        return;
    }
    put_lead(out, 9,
             a->crossed_step == INT64_MAX
                 ? (double)NAN
                 : (double)(a->crossed_step - a->fired_step) * (double)r->step_s);
    fw_buf_printf(out, "  %-7s", backtest_outcome_name(a->outcome));
    if (a->steps_ahead > 0)
        fw_buf_printf(out, "  %.4g in %" PRIu32 " steps, %.0f %%, against %.4g",
                      (double)a->predicted, a->steps_ahead, 100.0 * (double)a->probability,
                      (double)a->threshold);
    else
        fw_buf_printf(out, "  %.4g against %.4g", (double)a->current, (double)a->threshold);
}

static void put_alarm(struct fw_buf *out, const struct backtest_result *r,
                      const struct backtest_alarm *a)
{
    fw_buf_printf(out, "%-9s %-20s %9s  %-7s", "unusual", "", "", "");
    fw_buf_printf(out, "  %.2f against %.2f:", (double)a->peak, (double)a->threshold);
    for (size_t i = 0; i < a->reason_count && i < REASONS_SHOWN; i++)
        fw_buf_printf(out, "%s %s %.4g (%.4g to %.4g)", i == 0 ? "" : ",",
                      metric_name(r, a->reasons[i].metric), (double)a->reasons[i].value,
                      (double)a->reasons[i].p10, (double)a->reasons[i].p90);
}

static void put_lines(struct fw_buf *out, const struct backtest_result *r)
{
    size_t n;
    const int width = server_width(r);
    struct backtest_line *lines = backtest_report_lines(r, &n);
    if (lines == NULL) {
        out->failed = true;
        return;
    }
    fw_buf_printf(out, "\n%-20s %-20s %-*s %s%-9s %-20s %9s  %-7s\n", "fired", "until", width,
                  "server", r->labelled ? "label " : "", "kind", "metric", "lead", "true");
    for (size_t i = 0; i < n; i++) {
        put_time(out, r, lines[i].first_step);
        fw_buf_putc(out, ' ');
        put_time(out, r, lines[i].last_step);
        fw_buf_printf(out, " %-*s ", width, r->history->series[lines[i].server].name);
        if (r->labelled)
            fw_buf_printf(out, "%-6s", lines[i].about ? "yes" : "no");
        if (lines[i].alert != NULL)
            put_alert(out, r, lines[i].alert);
        else
            put_alarm(out, r, lines[i].alarm);
        fw_buf_putc(out, '\n');
    }
    if (n == 0)
        fw_buf_puts(out, "nothing\n");
    fw_free(lines);
}

/* ---- thresholds ---- */

static void put_sums(struct fw_buf *out, const struct backtest_sums *s)
{
    fw_buf_printf(out, " %7zu %7zu %7zu", s->alerts, s->outcomes[BACKTEST_CAME_TRUE],
                  s->outcomes[BACKTEST_CAME_FALSE]);
    put_number(out, 10, 2, s->precision);
    put_number(out, 11, 4, s->false_per_day);
    fw_buf_printf(out, " %7zu", s->ahead);
    put_lead(out, 10, s->lead_s);
    fw_buf_printf(out, " %9zu %7zu %6zu\n", s->crossings, s->missed, s->brief);
}

static void put_sums_head(struct fw_buf *out, int width, const char *first)
{
    fw_buf_printf(out, "%-*s %7s %7s %7s %9s %10s %7s %9s %9s %7s %6s\n", width, first, "alerts",
                  "true", "false", "precision", "false/day", "ahead", "lead", "crossings", "missed",
                  "brief");
}

static void put_choices(struct fw_buf *out, const struct backtest_result *r)
{
    enum { WIDTH = 26 };
    fw_buf_puts(out, "\nthresholds: what other settings would have cost\n");
    put_sums_head(out, WIDTH, "setting");
    for (size_t k = 0; k < r->n_choices; k++) {
        const struct backtest_choice *c = &r->choices[k];
        char name[CELL];
        const bool steps = c->knob == BACKTEST_FOR || c->knob == BACKTEST_HORIZON;
        (void)snprintf(name, sizeof name, "%s %.*f", backtest_knob_name(c->knob), steps ? 0 : 2,
                       c->value);
        fw_buf_printf(out, "%-*s", WIDTH, c->current ? "as set" : name);
        put_sums(out, &c->sums);
    }
    if (r->choices[0].sums.silences > 0)
        fw_buf_printf(out, "beside these, %zu alerts of silent servers\n",
                      r->choices[0].sums.silences);
}

static void put_metric_choices(struct fw_buf *out, const struct backtest_result *r)
{
    enum { WIDTH = 44 };
    if (r->n_metric_choices == 0)
        return;
    fw_buf_puts(out, "\nthresholds, metric by metric\n");
    put_sums_head(out, WIDTH, "metric, factor, warning, critical");
    for (size_t k = 0; k < r->n_metric_choices; k++) {
        const struct backtest_metric_choice *c = &r->metric_choices[k];
        fw_buf_printf(out, "%-18.18s", metric_name(r, c->metric));
        put_number(out, 6, 2, c->factor);
        put_number(out, 10, 4, c->warning);
        put_number(out, 10, 4, c->critical);
        put_sums(out, &c->sums);
    }
}

/* ---- unusual behaviour ---- */

static void put_match(struct fw_buf *out, const struct backtest_match *m)
{
    fw_buf_printf(out, " %7zu of %-5zu", m->caught, m->incidents);
    put_number(out, 7, 2, m->recall);
    put_number(out, 8, 2, m->chance_recall);
    put_number(out, 11, 2, m->precision);
    put_number(out, 8, 2, m->chance_precision);
    put_number(out, 11, 4, m->false_per_day);
    put_lead(out, 10, m->lead_s);
    put_number(out, 8, 2, m->warned_share);
}

static void put_match_head(struct fw_buf *out)
{
    fw_buf_printf(out, " %16s %6s %7s %10s %7s %10s %9s %7s", "caught", "recall", "chance",
                  "precision", "chance", "false/day", "lead", "warned");
}

static void put_rates(struct fw_buf *out, const struct backtest_result *r)
{
    fw_buf_puts(out,
                "\nunusual behaviour: alarms by how many are wanted at most, a server and day\n");
    fw_buf_printf(out, "%-14s %7s %9s", "wanted", "alarms", "per day");
    if (r->labelled)
        put_match_head(out);
    fw_buf_putc(out, '\n');
    for (size_t k = 0; k < r->unusual.n_rates; k++) {
        const struct backtest_rate_choice *c = &r->rates[k];
        fw_buf_printf(out, "%-5.2f %-8s %7zu", c->rate, c->current ? "as set" : "", c->alarms);
        put_number(out, 10, 4, c->per_day);
        if (r->labelled)
            put_match(out, &c->match);
        fw_buf_putc(out, '\n');
    }
    if (r->unusual.learning > 0)
        fw_buf_printf(out, "it was still learning for %.1f %% of the time\n",
                      100.0 * (double)r->unusual.learning / (double)r->unusual.judged);
}

static void put_labels(struct fw_buf *out, const struct backtest_result *r)
{
    if (!r->labelled)
        return;
    fw_buf_printf(out, "\nagainst labels, as set\n%-14s %7s %9s", "alarms for", "alarms",
                  "per day");
    put_match_head(out);
    fw_buf_putc(out, '\n');
    for (size_t k = 0; k < BACKTEST_KINDS; k++) {
        const struct backtest_match *m = &r->against[k];
        fw_buf_printf(out, "%-14s %7zu", backtest_kind_name((enum backtest_kind)k), m->alarms);
        put_number(out, 10, 4, m->days > 0.0 ? (double)m->alarms / m->days : (double)NAN);
        put_match(out, m);
        fw_buf_putc(out, '\n');
    }
    const struct backtest_rate_choice *best = backtest_report_best(r);
    if (best == NULL)
        return;
    fw_buf_printf(out,
                  "at no more than 0.1 false alarms per server and day: recall %.2f (chance %.2f), "
                  "with %.2f wanted\n",
                  best->match.recall, best->match.chance_recall, best->rate);
}

void backtest_report_text(const struct backtest_result *r, struct fw_buf *out)
{
    put_head(out, r);
    put_lines(out, r);
    put_choices(out, r);
    put_metric_choices(out, r);
    put_rates(out, r);
    put_labels(out, r);
}
