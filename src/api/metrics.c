/* GET /metrics: Prometheus text 0.0.4, or OpenMetrics 1.0.0 when accepted. */
#include "api/api_internal.h"

#include "api/process.h"
#include "base/log.h"
#include "ingest/series_book.h"
#include "outlook/past.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UNMAPPED_SHOWN = 20 };

struct writer {
    struct fw_buf *buf;
    bool open_metrics;
    const char *name; /* of the family being written */
    bool counter;
};

/* Begins a family. Names carry their unit as a suffix; those of counters are given without
 * "_total". */
static void family(struct writer *w, const char *name, const char *type, const char *unit,
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

static void put_value(struct writer *w, double value)
{
    if (isnan(value))
        fw_buf_puts(w->buf, "NaN\n");
    else if (value == floor(value) && fabs(value) < 9e15)
        fw_buf_printf(w->buf, "%.0f\n", value);
    else
        fw_buf_printf(w->buf, "%.9g\n", value);
}

/* `labels` is text like `state="ok"`, or "". All labels are the program's own words or names of the
 * schema, so none needs escaping. */
static void sample(struct writer *w, const char *labels, double value)
{
    fw_buf_printf(w->buf, "%s%s", w->name, w->counter ? "_total" : "");
    if (labels[0] != '\0')
        fw_buf_printf(w->buf, "{%s}", labels);
    fw_buf_putc(w->buf, ' ');
    put_value(w, value);
}

static void gauge(struct writer *w, const char *name, const char *unit, const char *help,
                  double value)
{
    family(w, name, "gauge", unit, help);
    sample(w, "", value);
}

static void counter(struct writer *w, const char *name, const char *unit, const char *help,
                    uint64_t value)
{
    family(w, name, "counter", unit, help);
    sample(w, "", (double)value);
}

/* One histogram of a family; nanoseconds are written as seconds when `scale` is 1e-9. */
static void histogram(struct writer *w, const char *labels, const struct fw_histogram_view *view,
                      double scale)
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

static void durations(struct writer *w, const char *name, const char *help,
                      const struct fw_histogram *of)
{
    struct fw_histogram_view view;
    fw_histogram_read(of, &view);
    family(w, name, "histogram", "seconds", help);
    histogram(w, "", &view, 1e-9);
}

/* ---- what there is ---- */

static void put_build(struct writer *w, struct api *api)
{
    family(w, "forewarn_build_info", "gauge", "", "The version that runs.");
    sample(w, "version=\"" FW_VERSION "\"", 1);
    gauge(w, "forewarn_ready", "", "1 when windows are whole and requests are answered.",
          atomic_load(&api->attached) ? 1 : 0);
    counter(w, "forewarn_log_lines_suppressed", "", "Log lines swallowed by the rate cap.",
            fw_log_suppressed());
}

static void put_ingest(struct writer *w, struct api *api)
{
    struct api_counts *c = &api->counts;
    char labels[128];
    family(w, "forewarn_ingest_samples", "counter", "", "Values of accepted records.");
    for (int p = 0; p < API_PROTOCOLS; p++) {
        snprintf(labels, sizeof labels, "protocol=\"%s\"", api_protocol_name((enum api_protocol)p));
        sample(w, labels, (double)c->samples[p]);
    }
    family(w, "forewarn_ingest_records", "counter", "", "Records accepted and durable.");
    for (int p = 0; p < API_PROTOCOLS; p++) {
        snprintf(labels, sizeof labels, "protocol=\"%s\"", api_protocol_name((enum api_protocol)p));
        sample(w, labels, (double)c->records[p]);
    }
    family(w, "forewarn_ingest_batches", "counter", "", "Batches accepted.");
    for (int p = 0; p < API_PROTOCOLS; p++) {
        snprintf(labels, sizeof labels, "protocol=\"%s\"", api_protocol_name((enum api_protocol)p));
        sample(w, labels, (double)c->batches[p]);
    }
    family(w, "forewarn_ingest_rejected", "counter", "", "Records refused, by reason.");
    for (int p = 0; p < API_PROTOCOLS; p++)
        for (int r = BATCH_OK + 1; r < BATCH_REASON_COUNT; r++) {
            snprintf(labels, sizeof labels, "protocol=\"%s\",reason=\"%s\"",
                     api_protocol_name((enum api_protocol)p),
                     batch_reason_name((enum batch_reason)r));
            sample(w, labels, (double)c->rejected[p][r]);
        }
    family(w, "forewarn_ingest_values", "counter", "",
           "What became of values that were not simply stored.");
    sample(w, "outcome=\"duplicate\"", (double)c->duplicates);
    sample(w, "outcome=\"overwritten\"", (double)c->overwritten);
    sample(w, "outcome=\"late\"", (double)c->late);
    sample(w, "outcome=\"sealed\"", (double)c->sealed);
    sample(w, "outcome=\"outrun\"", (double)c->outrun);
    family(w, "forewarn_ingest_refused_batches", "counter", "", "Batches told to come again.");
    sample(w, "reason=\"journal\"", (double)c->refused_journal);
    sample(w, "reason=\"queue\"", (double)c->refused_queue);
    sample(w, "reason=\"memory\"", (double)c->refused_memory);
    durations(w, "forewarn_ingest_duration_seconds",
              "From the request line of a feed to its acknowledgement.", &api->ingest_ns);
    gauge(w, "forewarn_ingest_queue_batches", "", "Large batches waiting for a worker.",
          (double)api_pool_busy(api->ingest));
}

/* Raw series, and which of them mean nothing here. */
static void put_series(struct writer *w, struct api *api)
{
    struct series_counts c;
    struct series_name top[UNMAPPED_SHOWN];
    char labels[SERIES_NAME_MAX + 16];
    uint64_t other, shown = 0;
    series_book_counts(api_series_book(api->series), &c);
    family(w, "forewarn_series_samples", "counter", "",
           "Samples of raw series, by what became of them.");
    sample(w, "outcome=\"mapped\"", (double)c.mapped);
    sample(w, "outcome=\"filtered\"", (double)c.ignored);
    sample(w, "outcome=\"unmapped\"", (double)c.unmapped);
    sample(w, "outcome=\"stale\"", (double)c.stale);
    sample(w, "outcome=\"not_finite\"", (double)c.not_finite);
    sample(w, "outcome=\"no_server\"", (double)c.no_server);
    sample(w, "outcome=\"repeated\"", (double)c.repeated);
    sample(w, "outcome=\"late\"", (double)c.late);
    sample(w, "outcome=\"full\"", (double)c.full);
    family(w, "forewarn_series_unmapped", "counter", "",
           "Samples whose series means nothing here: the names with most of them.");
    const size_t n = series_book_unmapped(api_series_book(api->series), top, COUNT(top), &other);
    for (size_t i = 0; i < n; i++) {
        snprintf(labels, sizeof labels, "name=\"%.127s\"", top[i].text); /* a name: no escapes */
        sample(w, labels, (double)top[i].samples);
        shown += top[i].samples;
    }
    sample(w, "name=\"\"", (double)(c.unmapped > shown ? c.unmapped - shown : 0));
    gauge(w, "forewarn_series_targets", "", "Scraped targets of which counters are kept.",
          (double)c.targets);
    gauge(w, "forewarn_series_bytes", "bytes", "Memory of those counters.", (double)c.bytes);
}

/* What the query API knows of earlier forecasts. */
static void put_past(struct writer *w, const struct api *api)
{
    struct outlook_past_counts counts;
    outlook_past_counts(api->past, &counts);
    gauge(w, "forewarn_past_forecasts_bytes", "bytes", "Memory of earlier forecasts.",
          (double)counts.bytes);
    gauge(w, "forewarn_past_forecasts_steps", "", "Steps whose forecasts are kept for charts.",
          (double)counts.steps);
    family(w, "forewarn_past_forecasts_failures", "counter", "",
           "Runs that were not kept for charts for lack of memory.");
    sample(w, "", (double)counts.failures);
}

static void put_fleet(struct writer *w, const struct api *api)
{
    struct fleet_counts counts;
    fleet_counts(api->parts.fleet, &counts);
    family(w, "forewarn_servers", "gauge", "", "Servers held, by whether they report.");
    sample(w, "state=\"reporting\"", (double)(counts.servers - counts.stale));
    sample(w, "state=\"stale\"", (double)counts.stale);
    gauge(w, "forewarn_servers_ready", "", "Servers with at least 150 steps.",
          (double)counts.ready);
    gauge(w, "forewarn_window_bytes", "bytes", "Memory of windows and names.",
          (double)counts.bytes);
    gauge(w, "forewarn_window_steps_held", "", "Steps that hold anything, over all servers.",
          (double)counts.records);
}

static void put_journal(struct writer *w, const struct api *api)
{
    struct store_journal_stats s;
    store_journal_stats(api->parts.journal, &s);
    gauge(w, "forewarn_wal_bytes", "bytes", "The journal on disk.", (double)s.bytes);
    gauge(w, "forewarn_wal_segments", "", "Files of the journal.", (double)s.segments);
    gauge(w, "forewarn_wal_queue_bytes", "bytes", "Taken, not yet durable.", (double)s.queue_bytes);
    family(w, "forewarn_wal_state", "gauge", "", "1 for the state that the journal is in.");
    sample(w, "state=\"ok\"", s.state == STORE_JOURNAL_OK);
    sample(w, "state=\"full\"", s.state == STORE_JOURNAL_FULL);
    sample(w, "state=\"failed\"", s.state == STORE_JOURNAL_FAILED);
    counter(w, "forewarn_wal_records", "", "Batches made durable.", s.acknowledged);
    counter(w, "forewarn_wal_written_bytes", "bytes", "Bytes written to the journal.",
            s.written_bytes);
    family(w, "forewarn_wal_failures", "counter", "", "Calls of the operating system that failed.");
    sample(w, "call=\"write\"", (double)s.write_failures);
    sample(w, "call=\"sync\"", (double)s.sync_failures);
    family(w, "forewarn_wal_fsync_duration_seconds", "histogram", "seconds",
           "Each fdatasync of the journal.");
    histogram(w, "", &s.sync_ns, 1e-9);
    family(w, "forewarn_wal_group_records", "histogram", "", "Batches made durable by one sync.");
    histogram(w, "", &s.group_records, 1.0);
}

static void put_history(struct writer *w, const struct api *api)
{
    struct api_history h;
    if (api->parts.history == NULL || !api->parts.history(api->parts.history_ctx, &h))
        return;
    gauge(w, "forewarn_history_bytes", "bytes", "The long history on disk.", (double)h.bytes);
    gauge(w, "forewarn_history_blocks", "", "Blocks of 144 steps held in it.", (double)h.blocks);
    if (h.oldest_s >= 0)
        gauge(w, "forewarn_history_oldest_timestamp_seconds", "seconds",
              "When its oldest block begins, Unix time.", (double)h.oldest_s);
    gauge(w, "forewarn_history_failing", "", "1 when the last try to write to it failed.",
          h.failing);
    counter(w, "forewarn_history_written_blocks", "", "Blocks written.", h.written);
    counter(w, "forewarn_history_rewritten_blocks", "",
            "Of these, in place of an earlier one: late samples.", h.rewritten);
    counter(w, "forewarn_history_removed_blocks", "", "Blocks removed for their age.", h.removed);
    counter(w, "forewarn_history_failures", "", "Tries to write that failed.", h.failures);
    counter(w, "forewarn_history_damaged_blocks", "", "Blocks that could not be read.", h.damaged);
    counter(w, "forewarn_history_missed_steps", "",
            "Steps of a server that left its window before they were written.", h.missed_steps);
}

static void put_alerts(struct writer *w, const struct outlook *outlook)
{
    size_t counts[3][2] = {{0}};
    char labels[96];
    for (size_t i = 0; i < outlook->alerts->count; i++)
        counts[outlook->alerts->items[i].state][outlook->alerts->items[i].severity]++;
    family(w, "forewarn_alerts", "gauge", "", "Alerts of the newest outlook.");
    for (int state = ALERT_PENDING; state <= ALERT_RESOLVED; state++)
        for (int severity = ALERT_WARNING; severity <= ALERT_CRITICAL; severity++) {
            snprintf(labels, sizeof labels, "severity=\"%s\",state=\"%s\"",
                     alert_severity_name((enum alert_severity)severity),
                     alert_state_name((enum alert_state)state));
            sample(w, labels, (double)counts[state][severity]);
        }
}

static void put_quality(struct writer *w, struct api *api)
{
    struct api_quality quality[SCHEMA_METRICS_MAX];
    char labels[SCHEMA_METRIC_NAME_MAX + 64];
    pthread_mutex_lock(&api->quality_lock);
    memcpy(quality, api->quality, sizeof quality);
    pthread_mutex_unlock(&api->quality_lock);
    const struct schema *schema = api->options.schema;
    family(w, "forewarn_forecast_coverage_ratio", "gauge", "ratio",
           "Share of recent observations inside p10..p90, mean over servers; 0.8 is promised.");
    for (size_t i = 0; i < schema->count; i++) {
        snprintf(labels, sizeof labels, "metric=\"%s\",horizon=\"all\"", schema->metrics[i].name);
        if (!isnan(quality[i].coverage))
            sample(w, labels, quality[i].coverage);
    }
    family(w, "forewarn_pinball_loss", "gauge", "",
           "Mean pinball loss of recent forecasts in the metric's unit, mean over servers.");
    for (size_t i = 0; i < schema->count; i++) {
        snprintf(labels, sizeof labels, "metric=\"%s\",horizon=\"all\"", schema->metrics[i].name);
        if (!isnan(quality[i].pinball))
            sample(w, labels, quality[i].pinball);
    }
}

static const struct outlook *measured(struct api *api)
{
    const struct outlook *outlook = outlook_board_current(api->parts.board);
    if (outlook != NULL && outlook->set->quality != NULL)
        return outlook;
    outlook_release(outlook);
    return NULL;
}

/* By block of the horizon: losses of forecasts as they were issued, beside plain ones on the same
 * values, and who makes them. */
static void put_block_quality(struct writer *w, struct api *api)
{
    enum { COVERAGE, LOSS, WEIGHT, FAMILIES };
    static const struct {
        const char *name, *unit, *help;
        size_t n;
    } families[FAMILIES] = {
        {"forewarn_block_coverage_ratio", "ratio",
         "Share of values inside p10..p90 as issued, by steps ahead; 0.8 is promised.",             1              },
        {"forewarn_block_pinball_loss",   "",
         "Mean pinball loss in the metric's unit, ours and of plain forecasts of the same values.", API_JUDGED     },
        {"forewarn_blend_weight_ratio",   "ratio",
         "Weight of each forecaster in the median, mean over servers.",                             FORECAST_VOICES},
    };
    const struct outlook *outlook = measured(api);
    const struct schema *schema = api->options.schema;
    for (size_t f = 0; outlook != NULL && f < FAMILIES; f++) {
        family(w, families[f].name, "gauge", families[f].unit, families[f].help);
        for (size_t i = 0; i < schema->count * FORECAST_BLOCKS * families[f].n; i++) {
            const size_t m = i / families[f].n / FORECAST_BLOCKS, k = i % families[f].n;
            const size_t block = i / families[f].n % FORECAST_BLOCKS;
            const struct forecast_quality *sums = &outlook->set->quality[m][block];
            if (!(sums->scored >= 1.0))
                continue;
            const struct api_block_quality q = api_block_quality(sums, block);
            char labels[SCHEMA_METRIC_NAME_MAX + 96];
            int n = snprintf(labels, sizeof labels, "metric=\"%s\",horizon=\"%d-%d\"",
                             schema->metrics[m].name, q.from, q.to);
            if (f != COVERAGE)
                (void)snprintf(labels + n, sizeof labels - (size_t)n, ",forecaster=\"%s\"",
                               f == LOSS ? api_judged_name[k] : forecast_voice_name(k));
            sample(w, labels, f == COVERAGE ? q.coverage : f == LOSS ? q.mean[k] : q.weight[k]);
        }
    }
    outlook_release(outlook);
}

static void put_forecast(struct writer *w, struct api *api)
{
    struct outlook_statistics statistics;
    outlook_board_statistics(api->parts.board, &statistics);
    family(w, "forewarn_forecast_duration_seconds", "histogram", "seconds", "Forecast runs.");
    histogram(w, "", &statistics.run, 1e-9);
    counter(w, "forewarn_forecast_failures", "", "Forecast runs that did not come to their end.",
            statistics.failures);
    const struct outlook *outlook = outlook_board_current(api->parts.board);
    if (outlook == NULL)
        return;
    const int64_t age_ms = fw_clock_wall_ms(api->clock) - outlook->made_ms;
    gauge(w, "forewarn_forecast_age_seconds", "seconds", "Since the newest outlook was made.",
          (double)(age_ms < 0 ? 0 : age_ms) / 1000.0);
    gauge(w, "forewarn_forecast_servers_computed", "",
          "Servers forecast anew in the newest run; the others had not changed.",
          (double)outlook->set->computed);
    family(w, "forewarn_servers_at_level", "gauge", "", "Servers by level of risk.");
    for (int level = 0; level < RISK_LEVEL_COUNT; level++) {
        char labels[48];
        snprintf(labels, sizeof labels, "level=\"%s\"",
                 risk_level_style((enum risk_level)level)->name);
        sample(w, labels, (double)outlook->level_counts[level]);
    }
    family(w, "forewarn_fleet_crossing_probability_ratio", "gauge", "ratio",
           "Chance that any server crosses a threshold within the time.");
    sample(w, "within=\"30m\"", outlook->environment.prob_30m);
    sample(w, "within=\"8h\"", outlook->environment.prob_8h);
    family(w, "forewarn_model_info", "gauge", "", "What made the newest outlook.");
    char labels[64];
    snprintf(labels, sizeof labels, "type=\"%s\",risk_model=\"%s\"", outlook->model_type,
             outlook->risk_model);
    sample(w, labels, 1);
    put_alerts(w, outlook);
    put_quality(w, api);
    put_block_quality(w, api);
    outlook_release(outlook);
}

static void put_http(struct writer *w, const struct http_server *server)
{
    struct http_stats stats;
    char labels[160];
    http_server_stats(server, &stats);
    const size_t operations = http_server_operations(server);
    gauge(w, "forewarn_http_connections", "", "Open connections.", (double)stats.connections_open);
    counter(w, "forewarn_http_connections_opened", "", "Connections since the start.",
            stats.connections_total);
    gauge(w, "forewarn_http_requests_active", "", "Requests being answered.",
          (double)stats.requests_active);
    counter(w, "forewarn_http_received_bytes", "bytes", "Request bodies as sent.",
            stats.body_bytes_in);
    counter(w, "forewarn_http_sent_bytes", "bytes", "Response bodies as sent.",
            stats.body_bytes_out);
    family(w, "forewarn_http_refused", "counter", "", "Requests and peers turned away.");
    for (int i = 0; i < HTTP_REFUSALS; i++) {
        snprintf(labels, sizeof labels, "reason=\"%s\"", http_refusal_name((enum http_refusal)i));
        sample(w, labels, (double)stats.refused[i]);
    }
    family(w, "forewarn_http_requests", "counter", "", "Requests answered.");
    for (size_t i = 0; i < operations; i++)
        for (int class = 2; class <= 5; class ++) {
            snprintf(labels, sizeof labels, "operation=\"%s\",code=\"%dxx\"",
                     http_server_operation_name(server, i), class);
            sample(w, labels, (double)http_server_operation_requests(server, i, class));
        }
    family(w, "forewarn_http_request_duration_seconds", "histogram", "seconds",
           "From the request line to the last byte of the answer.");
    for (size_t i = 0; i < operations; i++) {
        struct fw_histogram_view view;
        fw_histogram_read(http_server_operation_duration(server, i), &view);
        snprintf(labels, sizeof labels, "operation=\"%s\"", http_server_operation_name(server, i));
        if (view.count > 0)
            histogram(w, labels, &view, 1e-9);
    }
}

static void put_process(struct writer *w)
{
    struct api_process p;
    api_process_read(&p);
    family(w, "process_cpu_seconds", "counter", "seconds", "User and system time.");
    sample(w, "", p.cpu_seconds);
    gauge(w, "process_resident_memory_bytes", "bytes", "Resident memory.",
          (double)p.resident_bytes);
    gauge(w, "process_virtual_memory_bytes", "bytes", "Address space.", (double)p.virtual_bytes);
    gauge(w, "process_open_fds", "", "Open descriptors.", (double)p.open_fds);
    gauge(w, "process_max_fds", "", "Descriptors allowed.", (double)p.max_fds);
    gauge(w, "process_threads", "", "Threads.", (double)p.threads);
    gauge(w, "process_start_time_seconds", "seconds", "Start, Unix time.", p.start_seconds);
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

static bool wants_open_metrics(const struct http_request *request)
{
    const char *accept = http_request_header(request, "Accept");
    if (accept == NULL)
        return false;
    const double open = weight(accept, "application/openmetrics-text");
    return open > 0.0 && open >= weight(accept, "text/plain");
}

void api_get_metrics(void *ctx, struct http_request *request)
{
    struct api *api = ctx;
    struct fw_buf buf;
    fw_buf_init(&buf, API_REPLY_MAX);
    struct writer w = {.buf = &buf, .open_metrics = wants_open_metrics(request)};
    put_build(&w, api);
    put_ingest(&w, api);
    put_series(&w, api);
    put_past(&w, api);
    if (atomic_load_explicit(&api->attached, memory_order_acquire)) {
        put_fleet(&w, api);
        put_journal(&w, api);
        put_history(&w, api);
        put_forecast(&w, api);
    }
    const struct http_server *server = atomic_load(&api->server);
    if (server != NULL)
        put_http(&w, server);
    put_process(&w);
    if (w.open_metrics)
        fw_buf_puts(&buf, "# EOF\n");
    if (buf.failed) {
        fw_buf_fini(&buf);
        api_reply_busy(request, 503, 1, "out of memory for this answer");
        return;
    }
    http_reply(request,
               &(struct http_reply){
                   .status = 200,
                   .content_type = w.open_metrics ? "application/openmetrics-text; version=1.0.0; "
                                                    "charset=utf-8"
                                                  : "text/plain; version=0.0.4; charset=utf-8",
                   .body = http_body_new_take(&buf)});
}
