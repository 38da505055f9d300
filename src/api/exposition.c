#include "api/exposition.h"

#include "api/api_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void exposition_family(struct exposition *w, const char *name, const char *type, const char *unit,
                       const char *help)
{
    w->name = name;
    w->counter = strcmp(type, "counter") == 0;
    const char *suffix = w->counter && !w->open_metrics ? "_total" : "";
    fw_buf_printf(w->buf, "# HELP %s%s %s\n# TYPE %s%s %s\n", name, suffix, help, name, suffix,
                  type);
    if (w->open_metrics && unit[0] != '\0')
        fw_buf_printf(w->buf, "# UNIT %s %s\n", name, unit);
}

static void put_value(struct exposition *w, double value)
{
    if (isnan(value))
        fw_buf_puts(w->buf, "NaN\n");
    else if (value == floor(value) && fabs(value) < 9e15)
        fw_buf_printf(w->buf, "%.0f\n", value);
    else
        fw_buf_printf(w->buf, "%.9g\n", value);
}

void exposition_sample(struct exposition *w, const char *labels, double value)
{
    fw_buf_printf(w->buf, "%s%s", w->name, w->counter ? "_total" : "");
    if (labels[0] != '\0')
        fw_buf_printf(w->buf, "{%s}", labels);
    fw_buf_putc(w->buf, ' ');
    put_value(w, value);
}

void exposition_gauge(struct exposition *w, const char *name, const char *unit, const char *help,
                      double value)
{
    exposition_family(w, name, "gauge", unit, help);
    exposition_sample(w, "", value);
}

void exposition_counter(struct exposition *w, const char *name, const char *unit, const char *help,
                        uint64_t value)
{
    exposition_family(w, name, "counter", unit, help);
    exposition_sample(w, "", (double)value);
}

void exposition_histogram(struct exposition *w, const char *labels,
                          const struct fw_histogram_view *view, double scale)
{
    const char *comma = labels[0] != '\0' ? "," : "";
    uint64_t below = 0;
    for (size_t i = 0; i < view->n; i++) {
        below += view->buckets[i];
        char bound[32];
        const double value = (double)view->bounds[i] * scale;
        snprintf(bound, sizeof bound, value == floor(value) ? "%.1f" : "%.9g", value);
        fw_buf_printf(w->buf, "%s_bucket{%s%sle=\"%s\"} %llu\n", w->name, labels, comma, bound,
                      (unsigned long long)below);
    }
    below += view->buckets[view->n];
    fw_buf_printf(w->buf, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", w->name, labels, comma,
                  (unsigned long long)below);
    const char *open = labels[0] != '\0' ? "{" : "", *close = labels[0] != '\0' ? "}" : "";
    fw_buf_printf(w->buf, "%s_sum%s%s%s %.9g\n%s_count%s%s%s %llu\n", w->name, open, labels, close,
                  (double)view->sum * scale, w->name, open, labels, close,
                  (unsigned long long)below);
}

void exposition_durations(struct exposition *w, const char *name, const char *help,
                          const struct fw_histogram *of)
{
    struct fw_histogram_view view;
    fw_histogram_read(of, &view);
    exposition_family(w, name, "histogram", "seconds", help);
    exposition_histogram(w, "", &view, 1e-9);
}

/* The highest weight that an Accept header gives a media type; -1 when it is not named. */
static double weight(const char *accept, const char *type)
{
    double best = -1.0;
    const size_t type_len = strlen(type);
    while (*accept != '\0') {
        accept += strspn(accept, ", \t");
        const size_t len = strcspn(accept, ",");
        if (len >= type_len && strncmp(accept, type, type_len) == 0 &&
            (len == type_len || strchr("; \t", accept[type_len]) != NULL)) {
            double q = 1.0;
            const char *at = strstr(accept, "q=");
            if (at != NULL && at < accept + len)
                q = strtod(at + 2, NULL);
            best = q > best ? q : best;
        }
        accept += len;
    }
    return best;
}

bool exposition_is_open(const struct http_request *request)
{
    const char *accept = http_request_header(request, "Accept");
    if (accept == NULL)
        return false;
    const double open = weight(accept, "application/openmetrics-text");
    return open > 0.0 && open >= weight(accept, "text/plain");
}

void exposition_label(struct fw_buf *labels, const char *name, const char *value)
{
    fw_buf_puts(labels, labels->len > 0 ? "," : "");
    fw_buf_puts(labels, name);
    fw_buf_puts(labels, "=\"");
    for (const char *at = value; *at != '\0'; at++) {
        if (*at == '\n') {
            fw_buf_puts(labels, "\\n");
            continue;
        }
        if (*at == '"' || *at == '\\')
            fw_buf_putc(labels, '\\');
        fw_buf_putc(labels, *at);
    }
    fw_buf_putc(labels, '"');
}

void exposition_reply(struct exposition *w, struct http_request *request)
{
    if (w->open_metrics)
        fw_buf_puts(w->buf, "# EOF\n");
    if (w->buf->failed) {
        fw_buf_fini(w->buf);
        api_reply_busy(request, 503, 1, "out of memory for this answer");
        return;
    }
    http_reply(request,
               &(struct http_reply){
                   .status = 200,
                   .content_type = w->open_metrics ? "application/openmetrics-text; version=1.0.0; "
                                                     "charset=utf-8"
                                                   : "text/plain; version=0.0.4; charset=utf-8",
                   .body = http_body_new_take(w->buf)});
}
