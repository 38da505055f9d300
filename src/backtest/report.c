#include "backtest/report.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

const struct backtest_rate_choice *backtest_report_best(const struct backtest_result *r)
{
    const struct backtest_rate_choice *best = NULL;
    for (size_t k = 0; r->labelled && k < r->unusual.n_rates; k++) {
        const struct backtest_rate_choice *c = &r->rates[k];
        if (c->match.false_per_day <= BACKTEST_FALSE_PER_DAY &&
            (best == NULL || c->match.caught > best->match.caught))
            best = c;
    }
    return best;
}

static int compare_lines(const void *left, const void *right)
{
    const struct backtest_line *a = left, *b = right;
    if (a->first_step != b->first_step)
        return a->first_step < b->first_step ? -1 : 1;
    if (a->server != b->server)
        return a->server < b->server ? -1 : 1;
    if (a->alert != NULL && b->alert != NULL)
        return (a->alert->metric > b->alert->metric) - (a->alert->metric < b->alert->metric);
    return a->alert != NULL ? -1 : 1;
}

static void fill(const struct backtest_result *r, struct backtest_line *line)
{
    const int64_t step_s = r->step_s;
    const int64_t last =
        line->last_step < r->watch_to[line->server] ? line->last_step : r->watch_to[line->server];
    const struct backtest_span span = {line->first_step * step_s, last * step_s};
    line->about = backtest_result_about(r, line->server, span);
}

struct backtest_line *backtest_report_lines(const struct backtest_result *r, size_t *n)
{
    const struct backtest_trial *t = &r->trials[0];
    *n = 0;
    struct backtest_line *lines = fw_calloc(t->n + r->unusual.n + 1, sizeof *lines);
    if (lines == NULL)
        return NULL;
    for (size_t i = 0; i < t->n; i++)
        lines[(*n)++] = (struct backtest_line){.alert = &t->alerts[i],
                                               .server = t->alerts[i].server,
                                               .first_step = t->alerts[i].fired_step,
                                               .last_step = t->alerts[i].resolved_step};
    for (size_t i = 0; i < r->unusual.n; i++)
        lines[(*n)++] = (struct backtest_line){.alarm = &r->unusual.alarms[i],
                                               .server = r->unusual.alarms[i].server,
                                               .first_step = r->unusual.alarms[i].first_step,
                                               .last_step = r->unusual.alarms[i].last_step};
    for (size_t i = 0; i < *n; i++)
        fill(r, &lines[i]);
    qsort(lines, *n, sizeof *lines, compare_lines);
    return lines;
}
