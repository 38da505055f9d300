/* GET /metrics: Prometheus text 0.0.4, or OpenMetrics 1.0.0 when accepted. */
#include "api/api_internal.h"

#include "api/events.h"
#include "api/exposition.h"
#include "api/process.h"
#include "base/log.h"
#include "ingest/series_book.h"
#include "notify/notify.h"
#include "outlook/past.h"

#include <stdio.h>
#include <string.h>

enum { UNMAPPED_SHOWN = 20 };

static void put_build(struct exposition *w, struct api *api)
{
    exposition_family(w, "forewarn_build_info", "gauge", "", "The version that runs.");
    exposition_sample(w, "version=\"" FW_VERSION "\"", 1);
    exposition_gauge(w, "forewarn_ready", "", "1 when windows are whole and requests are answered.",
                     atomic_load(&api->attached) ? 1 : 0);
    exposition_counter(w, "forewarn_log_lines_suppressed", "",
                       "Log lines swallowed by the rate cap.", fw_log_suppressed());
}

static void put_ingest(struct exposition *w, struct api *api)
{
    struct api_counts *c = &api->counts;
    char labels[128];
    exposition_family(w, "forewarn_ingest_samples", "counter", "", "Values of accepted records.");
    for (int p = 0; p < API_PROTOCOLS; p++) {
        snprintf(labels, sizeof labels, "protocol=\"%s\"", api_protocol_name((enum api_protocol)p));
        exposition_sample(w, labels, (double)c->samples[p]);
    }
    exposition_family(w, "forewarn_ingest_records", "counter", "", "Records accepted and durable.");
    for (int p = 0; p < API_PROTOCOLS; p++) {
        snprintf(labels, sizeof labels, "protocol=\"%s\"", api_protocol_name((enum api_protocol)p));
        exposition_sample(w, labels, (double)c->records[p]);
    }
    exposition_family(w, "forewarn_ingest_batches", "counter", "", "Batches accepted.");
    for (int p = 0; p < API_PROTOCOLS; p++) {
        snprintf(labels, sizeof labels, "protocol=\"%s\"", api_protocol_name((enum api_protocol)p));
        exposition_sample(w, labels, (double)c->batches[p]);
    }
    exposition_family(w, "forewarn_ingest_rejected", "counter", "", "Records refused, by reason.");
    for (int p = 0; p < API_PROTOCOLS; p++)
        for (int r = BATCH_OK + 1; r < BATCH_REASON_COUNT; r++) {
            snprintf(labels, sizeof labels, "protocol=\"%s\",reason=\"%s\"",
                     api_protocol_name((enum api_protocol)p),
                     batch_reason_name((enum batch_reason)r));
            exposition_sample(w, labels, (double)c->rejected[p][r]);
        }
    exposition_family(w, "forewarn_ingest_values", "counter", "",
                      "What became of values that were not simply stored.");
    exposition_sample(w, "outcome=\"duplicate\"", (double)c->duplicates);
    exposition_sample(w, "outcome=\"overwritten\"", (double)c->overwritten);
    exposition_sample(w, "outcome=\"late\"", (double)c->late);
    exposition_sample(w, "outcome=\"sealed\"", (double)c->sealed);
    exposition_sample(w, "outcome=\"outrun\"", (double)c->outrun);
    exposition_family(w, "forewarn_ingest_refused_batches", "counter", "",
                      "Batches told to come again.");
    exposition_sample(w, "reason=\"journal\"", (double)c->refused_journal);
    exposition_sample(w, "reason=\"queue\"", (double)c->refused_queue);
    exposition_sample(w, "reason=\"memory\"", (double)c->refused_memory);
    exposition_durations(w, "forewarn_ingest_duration_seconds",
                         "From the request line of a feed to its acknowledgement.",
                         &api->ingest_ns);
    exposition_gauge(w, "forewarn_ingest_queue_batches", "", "Large batches waiting for a worker.",
                     (double)api_pool_busy(api->ingest));
}

/* Raw series, and which of them mean nothing here. */
static void put_series(struct exposition *w, struct api *api)
{
    struct series_counts c;
    struct series_name top[UNMAPPED_SHOWN];
    char labels[SERIES_NAME_MAX + 16];
    uint64_t other, shown = 0;
    series_book_counts(api_series_book(api->series), &c);
    exposition_family(w, "forewarn_series_samples", "counter", "",
                      "Samples of raw series, by what became of them.");
    exposition_sample(w, "outcome=\"mapped\"", (double)c.mapped);
    exposition_sample(w, "outcome=\"filtered\"", (double)c.ignored);
    exposition_sample(w, "outcome=\"unmapped\"", (double)c.unmapped);
    exposition_sample(w, "outcome=\"stale\"", (double)c.stale);
    exposition_sample(w, "outcome=\"not_finite\"", (double)c.not_finite);
    exposition_sample(w, "outcome=\"no_server\"", (double)c.no_server);
    exposition_sample(w, "outcome=\"repeated\"", (double)c.repeated);
    exposition_sample(w, "outcome=\"late\"", (double)c.late);
    exposition_sample(w, "outcome=\"full\"", (double)c.full);
    exposition_family(w, "forewarn_series_unmapped", "counter", "",
                      "Samples whose series means nothing here: the names with most of them.");
    const size_t n = series_book_unmapped(api_series_book(api->series), top, COUNT(top), &other);
    for (size_t i = 0; i < n; i++) {
        snprintf(labels, sizeof labels, "name=\"%.127s\"", top[i].text); /* a name: no escapes */
        exposition_sample(w, labels, (double)top[i].samples);
        shown += top[i].samples;
    }
    exposition_sample(w, "name=\"\"", (double)(c.unmapped > shown ? c.unmapped - shown : 0));
    exposition_gauge(w, "forewarn_series_targets", "",
                     "Scraped targets of which counters are kept.", (double)c.targets);
    exposition_gauge(w, "forewarn_series_bytes", "bytes", "Memory of those counters.",
                     (double)c.bytes);
}

/* What the query API knows of earlier forecasts. */
static void put_past(struct exposition *w, const struct api *api)
{
    struct outlook_past_counts counts;
    outlook_past_counts(api->past, &counts);
    exposition_gauge(w, "forewarn_past_forecasts_bytes", "bytes", "Memory of earlier forecasts.",
                     (double)counts.bytes);
    exposition_gauge(w, "forewarn_past_forecasts_steps", "",
                     "Steps whose forecasts are kept for charts.", (double)counts.steps);
    exposition_family(w, "forewarn_past_forecasts_failures", "counter", "",
                      "Runs that were not kept for charts for lack of memory.");
    exposition_sample(w, "", (double)counts.failures);
}

static void put_fleet(struct exposition *w, const struct api *api)
{
    struct fleet_counts counts;
    fleet_counts(api->parts.fleet, &counts);
    exposition_family(w, "forewarn_servers", "gauge", "", "Servers held, by whether they report.");
    exposition_sample(w, "state=\"reporting\"", (double)(counts.servers - counts.stale));
    exposition_sample(w, "state=\"stale\"", (double)counts.stale);
    exposition_gauge(w, "forewarn_servers_ready", "", "Servers with at least 150 steps.",
                     (double)counts.ready);
    exposition_gauge(w, "forewarn_servers_labelled", "", "Servers of which labels are kept.",
                     (double)fleet_labels_count(api->parts.fleet));
    exposition_counter(w, "forewarn_labels_dropped", "",
                       "Labels that were to be kept and could not be.", api->counts.labels_dropped);
    exposition_gauge(w, "forewarn_window_bytes", "bytes", "Memory of windows and names.",
                     (double)counts.bytes);
    exposition_gauge(w, "forewarn_window_steps_held", "",
                     "Steps that hold anything, over all servers.", (double)counts.records);
}

static void put_journal(struct exposition *w, const struct api *api)
{
    struct store_journal_stats s;
    store_journal_stats(api->parts.journal, &s);
    exposition_gauge(w, "forewarn_wal_bytes", "bytes", "The journal on disk.", (double)s.bytes);
    exposition_gauge(w, "forewarn_wal_segments", "", "Files of the journal.", (double)s.segments);
    exposition_gauge(w, "forewarn_wal_queue_bytes", "bytes", "Taken, not yet durable.",
                     (double)s.queue_bytes);
    exposition_family(w, "forewarn_wal_state", "gauge", "",
                      "1 for the state that the journal is in.");
    exposition_sample(w, "state=\"ok\"", s.state == STORE_JOURNAL_OK);
    exposition_sample(w, "state=\"full\"", s.state == STORE_JOURNAL_FULL);
    exposition_sample(w, "state=\"failed\"", s.state == STORE_JOURNAL_FAILED);
    exposition_counter(w, "forewarn_wal_records", "", "Batches made durable.", s.acknowledged);
    exposition_counter(w, "forewarn_wal_written_bytes", "bytes", "Bytes written to the journal.",
                       s.written_bytes);
    exposition_family(w, "forewarn_wal_failures", "counter", "",
                      "Calls of the operating system that failed.");
    exposition_sample(w, "call=\"write\"", (double)s.write_failures);
    exposition_sample(w, "call=\"sync\"", (double)s.sync_failures);
    exposition_family(w, "forewarn_wal_fsync_duration_seconds", "histogram", "seconds",
                      "Each fdatasync of the journal.");
    exposition_histogram(w, "", &s.sync_ns, 1e-9);
    exposition_family(w, "forewarn_wal_group_records", "histogram", "",
                      "Batches made durable by one sync.");
    exposition_histogram(w, "", &s.group_records, 1.0);
}

static void put_history(struct exposition *w, const struct api *api)
{
    struct api_history h;
    if (api->parts.history == NULL || !api->parts.history(api->parts.history_ctx, &h))
        return;
    exposition_gauge(w, "forewarn_history_bytes", "bytes", "The long history on disk.",
                     (double)h.bytes);
    exposition_gauge(w, "forewarn_history_blocks", "", "Blocks of 144 steps held in it.",
                     (double)h.blocks);
    if (h.oldest_s >= 0)
        exposition_gauge(w, "forewarn_history_oldest_timestamp_seconds", "seconds",
                         "When its oldest block begins, Unix time.", (double)h.oldest_s);
    exposition_gauge(w, "forewarn_history_failing", "",
                     "1 when the last try to write to it failed.", h.failing);
    exposition_counter(w, "forewarn_history_written_blocks", "", "Blocks written.", h.written);
    exposition_counter(w, "forewarn_history_rewritten_blocks", "",
                       "Of these, in place of an earlier one: late samples.", h.rewritten);
    exposition_counter(w, "forewarn_history_removed_blocks", "", "Blocks removed for their age.",
                       h.removed);
    exposition_counter(w, "forewarn_history_failures", "", "Tries to write that failed.",
                       h.failures);
    exposition_counter(w, "forewarn_history_damaged_blocks", "", "Blocks that could not be read.",
                       h.damaged);
    exposition_counter(w, "forewarn_history_missed_steps", "",
                       "Steps of a server that left its window before they were written.",
                       h.missed_steps);
}

static void put_events(struct exposition *w, struct api *api)
{
    struct api_events_statistics s;
    api_events_statistics(api_feed_events_hub(api->feed_events), &s);
    exposition_gauge(w, "forewarn_events_clients", "", "Clients that follow /api/v1/events.",
                     (double)s.clients);
    exposition_counter(w, "forewarn_events_published", "", "Events.", s.published);
    exposition_counter(w, "forewarn_events_resets", "", "Clients told to load everything anew.",
                       s.resets);
    exposition_counter(w, "forewarn_events_refused", "", "Clients beyond the limit.", s.refused);
}

/* One figure of each receiver; names of receivers need no escapes. */
static void each_receiver(struct exposition *w, struct notifier *notifier,
                          double (*figure)(const struct notify_statistics *s))
{
    struct notify_statistics s;
    char labels[NOTIFY_NAME_MAX + 32];
    for (size_t i = 0; notifier_statistics(notifier, i, &s); i++) {
        snprintf(labels, sizeof labels, "target=\"%s\"", s.name);
        exposition_sample(w, labels, figure(&s));
    }
}

static double alerts_waiting(const struct notify_statistics *s)
{
    return (double)s->waiting;
}

static double alerts_held(const struct notify_statistics *s)
{
    return (double)s->held;
}

static double alerts_dropped(const struct notify_statistics *s)
{
    return (double)s->dropped;
}

static double delivery_failing(const struct notify_statistics *s)
{
    return s->failing;
}

static double ledger_failing(const struct notify_statistics *s)
{
    return s->store_failing;
}

static void put_notifications(struct exposition *w, struct notifier *notifier)
{
    char labels[NOTIFY_NAME_MAX + 64];
    struct notify_statistics s;
    if (notifier == NULL || !notifier_statistics(notifier, 0, &s))
        return;
    exposition_family(w, "forewarn_notifications", "counter", "",
                      "Messages to receivers, by what came of it.");
    for (size_t i = 0; notifier_statistics(notifier, i, &s); i++) {
        const struct {
            const char *outcome;
            uint64_t count;
        } outcomes[] = {
            {"delivered", s.delivered},
            {"failed",    s.failed   },
            {"rejected",  s.rejected }
        };
        for (size_t k = 0; k < COUNT(outcomes); k++) {
            snprintf(labels, sizeof labels, "target=\"%s\",outcome=\"%s\"", s.name,
                     outcomes[k].outcome);
            exposition_sample(w, labels, (double)outcomes[k].count);
        }
    }
    exposition_family(w, "forewarn_notifications_waiting", "gauge", "",
                      "Alerts whose newest state the receiver has not accepted.");
    each_receiver(w, notifier, alerts_waiting);
    exposition_family(w, "forewarn_notifications_held", "gauge", "",
                      "Alerts in the receiver's ledger.");
    each_receiver(w, notifier, alerts_held);
    exposition_family(w, "forewarn_notifications_dropped", "counter", "",
                      "Alerts for which the receiver's queue had no room.");
    each_receiver(w, notifier, alerts_dropped);
    exposition_family(w, "forewarn_notifications_failing", "gauge", "",
                      "1 when the last delivery failed.");
    each_receiver(w, notifier, delivery_failing);
    exposition_family(w, "forewarn_notifications_ledger_failing", "gauge", "",
                      "1 when what was told cannot be written down.");
    each_receiver(w, notifier, ledger_failing);
}

static void put_http(struct exposition *w, const struct http_server *server)
{
    struct http_stats stats;
    char labels[160];
    http_server_stats(server, &stats);
    const size_t operations = http_server_operations(server);
    exposition_gauge(w, "forewarn_http_connections", "", "Open connections.",
                     (double)stats.connections_open);
    exposition_counter(w, "forewarn_http_connections_opened", "", "Connections since the start.",
                       stats.connections_total);
    exposition_gauge(w, "forewarn_http_requests_active", "", "Requests being answered.",
                     (double)stats.requests_active);
    exposition_counter(w, "forewarn_http_received_bytes", "bytes", "Request bodies as sent.",
                       stats.body_bytes_in);
    exposition_counter(w, "forewarn_http_sent_bytes", "bytes", "Response bodies as sent.",
                       stats.body_bytes_out);
    exposition_family(w, "forewarn_http_refused", "counter", "", "Requests and peers turned away.");
    for (int i = 0; i < HTTP_REFUSALS; i++) {
        snprintf(labels, sizeof labels, "reason=\"%s\"", http_refusal_name((enum http_refusal)i));
        exposition_sample(w, labels, (double)stats.refused[i]);
    }
    exposition_family(w, "forewarn_http_requests", "counter", "", "Requests answered.");
    for (size_t i = 0; i < operations; i++)
        for (int class = 2; class <= 5; class ++) {
            snprintf(labels, sizeof labels, "operation=\"%s\",code=\"%dxx\"",
                     http_server_operation_name(server, i), class);
            exposition_sample(w, labels, (double)http_server_operation_requests(server, i, class));
        }
    exposition_family(w, "forewarn_http_request_duration_seconds", "histogram", "seconds",
                      "From the request line to the last byte of the answer.");
    for (size_t i = 0; i < operations; i++) {
        struct fw_histogram_view view;
        fw_histogram_read(http_server_operation_duration(server, i), &view);
        snprintf(labels, sizeof labels, "operation=\"%s\"", http_server_operation_name(server, i));
        if (view.count > 0)
            exposition_histogram(w, labels, &view, 1e-9);
    }
}

static void put_process(struct exposition *w)
{
    struct api_process p;
    api_process_read(&p);
    exposition_family(w, "process_cpu_seconds", "counter", "seconds", "User and system time.");
    exposition_sample(w, "", p.cpu_seconds);
    exposition_gauge(w, "process_resident_memory_bytes", "bytes", "Resident memory.",
                     (double)p.resident_bytes);
    exposition_gauge(w, "process_virtual_memory_bytes", "bytes", "Address space.",
                     (double)p.virtual_bytes);
    exposition_gauge(w, "process_open_fds", "", "Open descriptors.", (double)p.open_fds);
    exposition_gauge(w, "process_max_fds", "", "Descriptors allowed.", (double)p.max_fds);
    exposition_gauge(w, "process_threads", "", "Threads.", (double)p.threads);
    exposition_gauge(w, "process_start_time_seconds", "seconds", "Start, Unix time.",
                     p.start_seconds);
}

void api_get_metrics(void *ctx, struct http_request *request)
{
    struct api *api = ctx;
    struct fw_buf buf;
    fw_buf_init(&buf, API_REPLY_MAX);
    struct exposition w = {.buf = &buf, .open_metrics = exposition_is_open(request)};
    put_build(&w, api);
    put_ingest(&w, api);
    put_series(&w, api);
    put_events(&w, api);
    put_past(&w, api);
    if (atomic_load_explicit(&api->attached, memory_order_acquire)) {
        put_fleet(&w, api);
        put_journal(&w, api);
        put_history(&w, api);
        api_metrics_outlook(&w, api);
        put_notifications(&w, api->parts.notifier);
    }
    const struct http_server *server = atomic_load(&api->server);
    if (server != NULL)
        put_http(&w, server);
    put_process(&w);
    exposition_reply(&w, request);
}
