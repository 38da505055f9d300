#include "backtest/report.h"

#include "base/alloc.h"
#include "base/text.h"

#include <math.h>

static void put_time(struct fw_buf *out, const struct backtest_result *r, int64_t step)
{
    char text[FW_TIME_SIZE] = "";
    if (step != INT64_MAX)
        fw_time_format_z(step * (int64_t)r->step_s * 1000, text);
    fw_buf_printf(out, ",%s", text);
}

/* Empty where there is none. */
static void put_number(struct fw_buf *out, double value)
{
    fw_buf_putc(out, ',');
    if (isfinite(value))
        fw_buf_printf(out, "%.7g", value);
}

static void put_alert(struct fw_buf *out, const struct backtest_result *r,
                      const struct backtest_alert *a)
{
    const bool crossed = a->crossed_step != INT64_MAX;
    fw_buf_printf(out, ",%s,%s,%s", a->metric == ALERT_METRIC_SILENT ? "silence" : "threshold",
                  alert_metric_name(&r->schema, a->metric), alert_severity_name(a->severity));
    put_time(out, r, a->pending_step);
    put_time(out, r, a->fired_step);
    put_time(out, r, a->resolved_step);
    put_number(out, (double)a->threshold);
    put_number(out, (double)a->predicted);
    put_number(out, (double)a->probability);
    fw_buf_printf(out, ",%u,%s", (unsigned)a->steps_ahead, backtest_outcome_name(a->outcome));
    put_time(out, r, a->crossed_step);
    put_number(out, crossed ? (double)(a->crossed_step - a->fired_step) * (double)r->step_s
                            : (double)NAN);
}

static void put_alarm(struct fw_buf *out, const struct backtest_result *r,
                      const struct backtest_alarm *a)
{
    const char *first =
        a->reason_count > 0 ? alert_metric_name(&r->schema, a->reasons[0].metric) : "";
    fw_buf_printf(out, ",unusual,%s,", first);
    put_time(out, r, a->first_step);
    put_time(out, r, a->first_step);
    put_time(out, r, a->last_step);
    put_number(out, (double)a->threshold);
    put_number(out, (double)a->peak);
    fw_buf_puts(out, ",,,,,");
}

void backtest_report_csv(size_t n, struct backtest_result *const *results, struct fw_buf *out)
{
    fw_buf_puts(out, "set,server_name,kind,metric,severity,opened,fired,until,threshold,predicted,"
                     "probability,steps_ahead,outcome,crossed,lead_s,label\n");
    for (size_t i = 0; i < n; i++) {
        size_t count;
        const struct backtest_result *r = results[i];
        struct backtest_line *lines = backtest_report_lines(r, &count);
        if (lines == NULL)
            out->failed = true;
        for (size_t k = 0; k < count && lines != NULL; k++) {
            fw_buf_printf(out, "%s,%s", r->set, r->history->series[lines[k].server].name);
            if (lines[k].alert != NULL)
                put_alert(out, r, lines[k].alert);
            else
                put_alarm(out, r, lines[k].alarm);
            fw_buf_printf(out, ",%s\n", !r->labelled ? "" : lines[k].about ? "yes" : "no");
        }
        fw_free(lines);
    }
}
