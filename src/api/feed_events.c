/* What becomes an event: each outlook, each change of an alert as the list shows it, each model. */
#include "api/api_internal.h"

#include "api/events.h"
#include "base/alloc.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "store/state.h"

#include <stdlib.h>
#include <string.h>

enum {
    EVENT_MAX = 64 << 10,
    TELL_MS = 1000,            /* from one event about an outlook to the next */
    KEPT_EVENTS_MAX = 1 << 20, /* bytes of events that a next process takes over */
    KEPT_MAX = 8 << 20,
    KEPT_DEPTH = 6,
};
#define KEPT_NAMESPACE "events"
#define KEPT_KEY "ring"

/* How an alert was shown last. */
struct shown {
    uint64_t id;
    enum alert_severity severity;
    const char *state; /* a literal of api_alert_state() */
};

struct api_feed_events {
    struct api *api;
    struct api_events *events;
    pthread_mutex_t lock; /* one comparison at a time; of the rest */
    struct shown *shown;  /* by id */
    size_t shown_count;
    const struct alert_list *list; /* that they were shown from; NULL: nothing was yet, here */
    bool taken_over;               /* `shown` is from the process before */
    bool model_known, loaded;
    struct api_model model;
    uint64_t told; /* the outlook that was told of last */
    int64_t told_ns;
};

static void publish(struct api_feed_events *feed, const char *name, struct fw_buf *data)
{
    api_events_publish(feed->events, name, data);
    fw_buf_fini(data);
}

/* ---- alerts ---- */

static void tell_alert(struct api_feed_events *feed, const struct outlook *outlook,
                       const struct alert *alert, const struct alert_mark *mark)
{
    struct fw_buf data;
    fw_buf_init(&data, EVENT_MAX);
    api_render_alert_open(&data, outlook, alert, mark, &feed->api->labels, &feed->api->zone);
    fw_buf_putc(&data, ',');
    api_put_text(&data, "transition", api_alert_state(alert, mark));
    fw_buf_putc(&data, '}');
    publish(feed, "alert", &data);
}

static int by_id(const void *left, const void *right)
{
    const struct shown *a = left, *b = right;
    return (a->id > b->id) - (a->id < b->id);
}

static const struct shown *find(const struct shown *shown, size_t n, uint64_t id)
{
    const struct shown key = {.id = id};
    return n > 0 ? bsearch(&key, shown, n, sizeof *shown, by_id) : NULL;
}

/* What the process before showed and this one does not know cannot be shown once more. */
static void tell_lost(struct api_feed_events *feed, const struct shown *now, size_t n)
{
    bool lost = false;
    for (size_t i = 0; i < feed->shown_count; i++)
        lost = lost || (strcmp(feed->shown[i].state, "resolved") != 0 &&
                        find(now, n, feed->shown[i].id) == NULL);
    if (!lost)
        return;
    struct fw_buf data;
    fw_buf_init(&data, EVENT_MAX);
    fw_buf_puts(&data, "{}");
    publish(feed, "reset", &data);
}

/* Suspicions that were dropped are in no list; they are over as they were seen last. */
static void tell_vanished(struct api_feed_events *feed, const struct outlook *outlook,
                          const struct shown *now, size_t n)
{
    for (size_t i = 0; feed->list != NULL && i < feed->list->count; i++) {
        struct alert alert = feed->list->items[i];
        if (alert.state == ALERT_RESOLVED || find(now, n, alert.id) != NULL)
            continue;
        alert.state = ALERT_RESOLVED;
        alert.ends_ms = outlook->made_ms;
        tell_alert(feed, outlook, &alert, NULL);
    }
}

static void tell_alerts(struct api_feed_events *feed, const struct outlook *outlook)
{
    const struct alert_list *list = outlook->alerts;
    struct alert_mark *marks = api_marks(feed->api, list);
    struct shown *now = fw_calloc(list->count + 1, sizeof *now);
    if (now == NULL) {
        fw_free(marks);
        return; /* told with the next outlook */
    }
    for (size_t i = 0; i < list->count; i++) {
        const struct alert *alert = &list->items[i];
        const struct alert_mark *mark = marks != NULL ? &marks[i] : NULL;
        now[i] = (struct shown){alert->id, alert->severity, api_alert_state(alert, mark)};
        const struct shown *before = find(feed->shown, feed->shown_count, alert->id);
        if ((feed->list == NULL && !feed->taken_over) ||
            (before == NULL ? alert->state == ALERT_RESOLVED
                            : before->state == now[i].state && before->severity == alert->severity))
            continue;
        tell_alert(feed, outlook, alert, mark);
    }
    if (list->count > 1)
        qsort(now, list->count, sizeof *now, by_id);
    tell_vanished(feed, outlook, now, list->count);
    if (feed->taken_over)
        tell_lost(feed, now, list->count);
    feed->taken_over = false;
    fw_free(feed->shown);
    feed->shown = now;
    feed->shown_count = list->count;
    alert_list_release(feed->list);
    feed->list = alert_list_retain(list);
    fw_free(marks);
}

/* ---- models and outlooks ---- */

static void put_utc(struct fw_buf *data, const char *key, int64_t ms)
{
    char text[FW_TIME_SIZE];
    fw_time_format_z(ms, text);
    api_put_text(data, key, text);
}

static void tell_model(struct api_feed_events *feed)
{
    const struct api_models *models = &feed->api->parts.models;
    struct api_model model = {0};
    struct fw_buf data;
    const bool loaded = models->current != NULL && models->current(models->ctx, &model);
    const bool same = feed->loaded == loaded && strcmp(feed->model.name, model.name) == 0 &&
                      strcmp(feed->model.sha256, model.sha256) == 0;
    const bool first = !feed->model_known;
    feed->model_known = true;
    feed->loaded = loaded;
    feed->model = model;
    if (same || first)
        return;
    fw_buf_init(&data, EVENT_MAX);
    fw_buf_putc(&data, '{');
    api_put_text(&data, "model", loaded ? model.name : "none");
    fw_buf_putc(&data, ',');
    put_utc(&data, "loaded_at", fw_clock_wall_ms(feed->api->clock));
    fw_buf_putc(&data, '}');
    publish(feed, "model", &data);
}

static void tell_outlook(struct api_feed_events *feed, const struct outlook *outlook)
{
    struct fw_buf data;
    fw_buf_init(&data, EVENT_MAX);
    fw_buf_putc(&data, '{');
    api_put_int(&data, "run", (int64_t)outlook->id);
    fw_buf_putc(&data, ',');
    put_utc(&data, "generated_at", outlook->made_ms);
    fw_buf_putc(&data, ',');
    api_put_int(&data, "servers", (int64_t)outlook->set->count);
    fw_buf_putc(&data, ',');
    api_put_int(&data, "changed", (int64_t)outlook->set->computed);
    fw_buf_putc(&data, '}');
    publish(feed, "outlook", &data);
    feed->told = outlook->id;
    feed->told_ns = fw_clock_mono_ns(feed->api->clock);
}

/* Followers load the fleet when they hear of an outlook: of several within a second they hear
 * once, and of the last one in the end. */
static void tell_in_time(struct api_feed_events *feed, const struct outlook *outlook)
{
    const unsigned renew_ms = feed->api->options.renew_ms;
    const int64_t least_ms = renew_ms < TELL_MS ? renew_ms : TELL_MS;
    const int64_t since_ms = (fw_clock_mono_ns(feed->api->clock) - feed->told_ns) / 1000000;
    if (outlook->id <= feed->told)
        return;
    if (feed->told == 0 || since_ms >= least_ms)
        tell_outlook(feed, outlook);
    else
        api_events_tick_within(feed->events, (unsigned)(least_ms - since_ms));
}

/* After the swap: who hears of it finds it. */
static void on_published(void *ctx, const struct outlook *outlook)
{
    struct api_feed_events *feed = ctx;
    pthread_mutex_lock(&feed->lock);
    tell_model(feed);
    tell_alerts(feed, outlook);
    tell_in_time(feed, outlook);
    pthread_mutex_unlock(&feed->lock);
    api_events_wake(feed->events);
}

/* Silences begin and end without an outlook. */
static void look(void *ctx)
{
    struct api_feed_events *feed = ctx;
    struct api *api = feed->api;
    if (!atomic_load_explicit(&api->attached, memory_order_acquire))
        return;
    const struct outlook *outlook = outlook_board_current(api->parts.board);
    if (outlook == NULL)
        return;
    pthread_mutex_lock(&feed->lock);
    /* An outlook that is being published is told of by its publisher. */
    if (outlook->alerts == feed->list) {
        tell_alerts(feed, outlook);
        tell_in_time(feed, outlook);
    }
    tell_model(feed);
    pthread_mutex_unlock(&feed->lock);
    outlook_release(outlook);
    api_events_wake(feed->events);
}

/* ---- from one process to the next ---- */

/* The literal that api_alert_state() would give; NULL: no such state. */
static const char *state_literal(const char *text)
{
    static const char *const states[] = {"pending", "firing", "acknowledged", "silenced",
                                         "resolved"};
    for (size_t i = 0; i < COUNT(states); i++)
        if (strcmp(text, states[i]) == 0)
            return states[i];
    return NULL;
}

static void keep(struct api_feed_events *feed)
{
    struct store_state *state = feed->api->parts.state;
    struct fw_error err = {0};
    struct fw_buf kept;
    if (state == NULL || feed->list == NULL)
        return; /* nothing was ever shown */
    fw_buf_init(&kept, KEPT_MAX);
    fw_buf_puts(&kept, "{\"v\":1,");
    api_events_put(feed->events, KEPT_EVENTS_MAX, &kept);
    fw_buf_puts(&kept, ",\"shown\":[");
    for (size_t i = 0; i < feed->shown_count; i++)
        fw_buf_printf(&kept, "%s{\"id\":\"%016llx\",\"severity\":%d,\"state\":\"%s\"}",
                      i > 0 ? "," : "", (unsigned long long)feed->shown[i].id,
                      (int)feed->shown[i].severity, feed->shown[i].state);
    fw_buf_puts(&kept, "]}");
    if (kept.failed ||
        store_state_put(state, KEPT_NAMESPACE, KEPT_KEY, kept.data, kept.len, &err) != FW_OK)
        FW_LOG_DEBUG("events", "followers will load anew after the restart");
    fw_buf_fini(&kept);
}

static bool take_shown(struct api_feed_events *feed, struct fw_json_value root)
{
    struct fw_json_value list, item, member;
    int64_t severity;
    size_t len;
    if (!fw_json_get(root, "shown", &list))
        return false;
    feed->shown = fw_calloc(fw_json_count(list) + 1, sizeof *feed->shown);
    struct fw_json_iter iter = fw_json_walk(list);
    while (feed->shown != NULL && fw_json_next(&iter, &item)) {
        struct shown *s = &feed->shown[feed->shown_count++];
        const char *id = fw_json_get(item, "id", &member) ? fw_json_string(member, &len) : NULL;
        s->id = id != NULL ? strtoull(id, NULL, 16) : 0;
        const char *text =
            fw_json_get(item, "state", &member) ? fw_json_string(member, &len) : NULL;
        s->state = text != NULL ? state_literal(text) : NULL;
        if (s->state == NULL || !fw_json_get(item, "severity", &member) ||
            !fw_json_int64(member, &severity) || severity < ALERT_WARNING ||
            severity > ALERT_CRITICAL)
            return false;
        s->severity = (enum alert_severity)severity;
    }
    if (feed->shown != NULL)
        qsort(feed->shown, feed->shown_count, sizeof *feed->shown, by_id);
    return feed->shown != NULL;
}

/* What the process before left when it ended cleanly. It is used up at once: after a crash it would
 * know less than followers have seen. */
static void take_over(struct api_feed_events *feed)
{
    struct store_state *state = feed->api->parts.state;
    struct fw_json_value root;
    struct fw_buf kept;
    if (state == NULL)
        return;
    fw_buf_init(&kept, KEPT_MAX);
    struct fw_json_parser *parser = fw_json_parser_new(KEPT_MAX, KEPT_DEPTH);
    const bool found = parser != NULL &&
                       store_state_get(state, KEPT_NAMESPACE, KEPT_KEY, &kept, NULL) == FW_OK &&
                       store_state_delete(state, KEPT_NAMESPACE, KEPT_KEY, NULL) == FW_OK &&
                       fw_json_parse(parser, kept.data, kept.len, &root, NULL) == FW_OK;
    feed->taken_over = found && take_shown(feed, root) && api_events_take(feed->events, root);
    if (!feed->taken_over) {
        fw_free(feed->shown);
        feed->shown = NULL;
        feed->shown_count = 0;
    }
    fw_json_parser_free(parser);
    fw_buf_fini(&kept);
}

/* ---- life ---- */

enum fw_status api_feed_events_new(struct api *api, struct api_feed_events **out,
                                   struct fw_error *err)
{
    *out = NULL;
    struct api_feed_events *feed = fw_calloc(1, sizeof *feed);
    if (feed == NULL)
        return fw_fail(err, FW_ENOMEM, "events");
    feed->api = api;
    pthread_mutex_init(&feed->lock, NULL);
    const struct api_events_options options = {
        .clock = api->clock,
        .clients_max = api->options.event_clients_max,
        .events_max = 4096,
        .bytes_max = (size_t)8 << 20,
        .heartbeat_ms = 15000,
        .tick = look,
        .ctx = feed,
    };
    const enum fw_status status = api_events_new(&options, &feed->events, err);
    if (status != FW_OK) {
        api_feed_events_free(feed);
        return status;
    }
    *out = feed;
    return FW_OK;
}

void api_feed_events_attach(struct api_feed_events *feed)
{
    take_over(feed);
    outlook_board_follow(feed->api->parts.board, on_published, feed);
}

void api_feed_events_look(struct api_feed_events *feed)
{
    look(feed);
}

void api_feed_events_stop(struct api_feed_events *feed)
{
    if (feed != NULL)
        api_events_stop(feed->events);
}

void api_feed_events_free(struct api_feed_events *feed)
{
    if (feed == NULL)
        return;
    keep(feed);
    api_events_free(feed->events);
    alert_list_release(feed->list);
    fw_free(feed->shown);
    pthread_mutex_destroy(&feed->lock);
    fw_free(feed);
}

struct api_events *api_feed_events_hub(struct api_feed_events *feed)
{
    return feed->events;
}

void api_get_events(void *ctx, struct http_request *request)
{
    struct api *api = ctx;
    if (api_ready(api, request))
        api_events_serve(api->feed_events->events, request);
}
