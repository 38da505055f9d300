#include "backtest/report.h"

#include "base/alloc.h"
#include "base/text.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- pieces; each begins with a comma but for the first of an object ---- */

static void put_key(struct fw_buf *out, const char *key)
{
    fw_buf_putc(out, ',');
    fw_buf_json_key(out, key);
}

static void put_value(struct fw_buf *out, double value)
{
    if (isfinite(value))
        fw_buf_printf(out, "%.9g", value);
    else
        fw_buf_puts(out, "null");
}

static void put_number(struct fw_buf *out, const char *key, double value)
{
    put_key(out, key);
    put_value(out, value);
}

static void put_count(struct fw_buf *out, const char *key, size_t value)
{
    put_key(out, key);
    fw_buf_printf(out, "%zu", value);
}

static void put_text(struct fw_buf *out, const char *key, const char *text)
{
    put_key(out, key);
    fw_buf_json_string(out, text, strlen(text));
}

static void put_bool(struct fw_buf *out, const char *key, bool value)
{
    put_key(out, key);
    fw_buf_json_bool(out, value);
}

static void put_time(struct fw_buf *out, const char *key, const struct backtest_result *r,
                     int64_t step)
{
    char text[FW_TIME_SIZE];
    put_key(out, key);
    if (step == INT64_MAX) {
        fw_buf_puts(out, "null");
        return;
    }
    fw_time_format_z(step * (int64_t)r->step_s * 1000, text);
    fw_buf_printf(out, "\"%s\"", text);
}

/* ---- the list ---- */

static void put_alert(struct fw_buf *out, const struct backtest_result *r,
                      const struct backtest_alert *a)
{
    const bool silence = a->metric == ALERT_METRIC_SILENT, crossed = a->crossed_step != INT64_MAX;
    put_text(out, "kind", silence ? "silence" : "threshold");
    put_text(out, "metric", alert_metric_name(&r->schema, a->metric));
    put_text(out, "severity", alert_severity_name(a->severity));
    put_time(out, "opened", r, a->pending_step);
    put_time(out, "fired", r, a->fired_step);
    put_time(out, "until", r, a->resolved_step);
    put_number(out, "threshold", (double)a->threshold);
    put_number(out, "predicted", (double)a->predicted);
    put_number(out, "probability", (double)a->probability);
    put_count(out, "steps_ahead", a->steps_ahead);
    put_text(out, "outcome", backtest_outcome_name(a->outcome));
    put_time(out, "crossed", r, a->crossed_step);
    put_number(out, "lead_s",
               crossed ? (double)(a->crossed_step - a->fired_step) * (double)r->step_s
                       : (double)NAN);
}

static void put_alarm(struct fw_buf *out, const struct backtest_result *r,
                      const struct backtest_alarm *a)
{
    put_text(out, "kind", "unusual");
    put_time(out, "fired", r, a->first_step);
    put_time(out, "until", r, a->last_step);
    put_time(out, "peak", r, a->peak_step);
    put_number(out, "score", (double)a->peak);
    put_number(out, "threshold", (double)a->threshold);
    put_key(out, "reasons");
    for (size_t i = 0; i < a->reason_count; i++) {
        const struct surprise_reason *reason = &a->reasons[i];
        const char *name = alert_metric_name(&r->schema, reason->metric);
        fw_buf_puts(out, i == 0 ? "[{\"metric\":" : ",{\"metric\":");
        fw_buf_json_string(out, name, strlen(name));
        put_number(out, "value", (double)reason->value);
        put_number(out, "p10", (double)reason->p10);
        put_number(out, "p90", (double)reason->p90);
        put_number(out, "widths", (double)reason->widths);
        fw_buf_putc(out, '}');
    }
    fw_buf_puts(out, a->reason_count == 0 ? "[]" : "]");
}

static void put_lines(struct fw_buf *out, const struct backtest_result *r)
{
    size_t n;
    struct backtest_line *lines = backtest_report_lines(r, &n);
    if (lines == NULL)
        out->failed = true;
    put_key(out, "alerts");
    fw_buf_putc(out, '[');
    for (size_t i = 0; i < n && lines != NULL; i++) {
        const char *server = r->history->series[lines[i].server].name;
        fw_buf_puts(out, i == 0 ? "{\"server_name\":" : ",{\"server_name\":");
        fw_buf_json_string(out, server, strlen(server));
        if (lines[i].alert != NULL)
            put_alert(out, r, lines[i].alert);
        else
            put_alarm(out, r, lines[i].alarm);
        put_key(out, "label");
        if (r->labelled)
            fw_buf_json_bool(out, lines[i].about);
        else
            fw_buf_puts(out, "null");
        fw_buf_putc(out, '}');
    }
    fw_buf_putc(out, ']');
    fw_free(lines);
}

/* ---- figures ---- */

static void put_sums(struct fw_buf *out, const struct backtest_sums *s)
{
    put_count(out, "alerts", s->alerts);
    put_count(out, "true", s->outcomes[BACKTEST_CAME_TRUE]);
    put_count(out, "false", s->outcomes[BACKTEST_CAME_FALSE]);
    put_count(out, "unknown", s->outcomes[BACKTEST_UNKNOWN]);
    put_number(out, "precision", s->precision);
    put_number(out, "false_per_server_day", s->false_per_day);
    put_count(out, "ahead", s->ahead);
    put_number(out, "median_lead_s", s->lead_s);
    put_count(out, "crossings", s->crossings);
    put_count(out, "missed", s->missed);
    put_count(out, "missed_brief", s->brief);
}

static void put_match(struct fw_buf *out, const struct backtest_match *m)
{
    put_count(out, "incidents", m->incidents);
    put_count(out, "caught", m->caught);
    put_number(out, "recall", m->recall);
    put_number(out, "chance_recall", m->chance_recall);
    put_count(out, "about_incidents", m->good);
    put_number(out, "precision", m->precision);
    put_number(out, "chance_precision", m->chance_precision);
    put_number(out, "false_per_server_day", m->false_per_day);
    put_number(out, "median_lead_s", m->lead_s);
    put_number(out, "warned_30min", m->warned_share);
}

static void put_choices(struct fw_buf *out, const struct backtest_result *r)
{
    put_key(out, "threshold_settings");
    for (size_t k = 0; k < r->n_choices; k++) {
        const struct backtest_choice *c = &r->choices[k];
        fw_buf_printf(out, "%s\"setting\":\"%s\"", k == 0 ? "[{" : ",{",
                      backtest_knob_name(c->knob));
        put_number(out, "value", c->value);
        put_bool(out, "current", c->current);
        put_sums(out, &c->sums);
        fw_buf_putc(out, '}');
    }
    fw_buf_putc(out, ']');
    put_key(out, "threshold_settings_by_metric");
    fw_buf_putc(out, '[');
    for (size_t k = 0; k < r->n_metric_choices; k++) {
        const struct backtest_metric_choice *c = &r->metric_choices[k];
        fw_buf_printf(out, "%s\"metric\":\"%s\"", k == 0 ? "{" : ",{",
                      r->schema.metrics[c->metric].name);
        put_number(out, "factor", c->factor);
        put_number(out, "warning", c->warning);
        put_number(out, "critical", c->critical);
        put_sums(out, &c->sums);
        fw_buf_putc(out, '}');
    }
    fw_buf_putc(out, ']');
}

static void put_rates(struct fw_buf *out, const struct backtest_result *r)
{
    put_key(out, "unusual_settings");
    for (size_t k = 0; k < r->unusual.n_rates; k++) {
        const struct backtest_rate_choice *c = &r->rates[k];
        fw_buf_puts(out, k == 0 ? "[{" : ",{");
        fw_buf_json_key(out, "wanted_per_server_day");
        put_value(out, c->rate);
        put_bool(out, "current", c->current);
        put_count(out, "alarms", c->alarms);
        put_number(out, "per_server_day", c->per_day);
        if (r->labelled)
            put_match(out, &c->match);
        fw_buf_putc(out, '}');
    }
    fw_buf_putc(out, ']');
}

static void put_labels(struct fw_buf *out, const struct backtest_result *r)
{
    const struct backtest_rate_choice *best = backtest_report_best(r);
    put_key(out, "labels");
    if (!r->labelled) {
        fw_buf_puts(out, "null");
        return;
    }
    fw_buf_printf(out, "{\"unknown_servers\":%zu", r->labels_unknown);
    for (size_t k = 0; k < BACKTEST_KINDS; k++) {
        put_key(out, backtest_kind_name((enum backtest_kind)k));
        fw_buf_printf(out, "{\"alarms\":%zu", r->against[k].alarms);
        put_match(out, &r->against[k]);
        fw_buf_putc(out, '}');
    }
    put_key(out, "at_0_1_false_per_server_day");
    if (best != NULL) {
        fw_buf_printf(out, "{\"wanted_per_server_day\":%.9g", best->rate);
        put_match(out, &best->match);
        fw_buf_putc(out, '}');
    } else {
        fw_buf_puts(out, "null");
    }
    fw_buf_putc(out, '}');
}

static void put_servers(struct fw_buf *out, const struct backtest_result *r)
{
    bool first = true;
    put_key(out, "servers");
    fw_buf_putc(out, '[');
    for (size_t i = 0; i < r->history->n_series; i++) {
        const char *name = r->history->series[i].name;
        if (r->watch_to[i] < r->watch_from[i])
            continue;
        fw_buf_puts(out, first ? "{\"server_name\":" : ",{\"server_name\":");
        fw_buf_json_string(out, name, strlen(name));
        put_time(out, "from", r, r->watch_from[i]);
        put_time(out, "to", r, r->watch_to[i]);
        fw_buf_putc(out, '}');
        first = false;
    }
    fw_buf_putc(out, ']');
}

static void put_set(struct fw_buf *out, const struct backtest_result *r)
{
    fw_buf_puts(out, "{\"set\":");
    fw_buf_json_string(out, r->set, strlen(r->set));
    put_count(out, "step_seconds", r->step_s);
    put_number(out, "server_days", r->days);
    put_number(out, "server_days_learned", r->days_learned);
    put_servers(out, r);
    put_lines(out, r);
    put_choices(out, r);
    put_rates(out, r);
    put_labels(out, r);
    fw_buf_putc(out, '}');
}

void backtest_report_json(size_t n, struct backtest_result *const *results, struct fw_buf *out)
{
    fw_buf_puts(out, "{\"sets\":[");
    for (size_t i = 0; i < n; i++) {
        fw_buf_puts(out, i == 0 ? "" : ",");
        put_set(out, results[i]);
    }
    fw_buf_puts(out, "]}\n");
}
