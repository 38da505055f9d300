#include "api/events.h"

#include "base/alloc.h"
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    NOTE_MAX = 96,   /* of a greeting, a reset, a heartbeat */
    WAKE_BATCH = 32, /* clients woken before others get the lock */
};

/* An event as it is sent; shared by the ring and by clients in the middle of it. */
struct event {
    uint64_t number;
    unsigned references; /* under the lock */
    size_t len;
    char text[];
};

struct client {
    struct client *next, *prev;
    struct api_events *events;
    struct http_stream *stream;
    uint64_t next_number; /* of the event to be sent next */
    struct event *current;
    size_t sent; /* bytes of it */
    uint64_t heartbeat;
    char note[NOTE_MAX]; /* goes before the next event */
    size_t note_len, note_sent;
};

struct api_events {
    struct api_events_options options;
    pthread_mutex_t lock; /* of everything below */
    pthread_cond_t change;
    struct event **ring;             /* (events_max) by number */
    uint64_t first, next;            /* numbers in the ring: first <= n < next */
    size_t bytes;                    /* of them */
    struct client *clients, *waking; /* the newest; where the waking goes on */
    size_t client_count;
    uint64_t heartbeat;
    bool news, stop, stopped;
    bool ticks; /* at tick_at, not with a heartbeat */
    struct timespec tick_at;
    pthread_t thread;
    struct api_events_statistics statistics;
};

/* ---- the ring ---- */

static struct event **place(struct api_events *events, uint64_t number)
{
    return &events->ring[number % events->options.events_max];
}

static void unref(struct event *event)
{
    if (event != NULL && --event->references == 0)
        fw_free(event);
}

static void drop_first(struct api_events *events)
{
    struct event **slot = place(events, events->first++);
    events->bytes -= (*slot)->len;
    unref(*slot);
    *slot = NULL;
}

/* NULL: no memory. */
static struct event *make_event(uint64_t number, const char *name, const struct fw_buf *data)
{
    struct fw_buf buf;
    struct event *event = NULL;
    fw_buf_init(&buf, data->len + 256);
    fw_buf_printf(&buf, "id: %" PRIu64 "\nevent: %s\ndata: ", number, name);
    fw_buf_put(&buf, data->data, data->len);
    fw_buf_puts(&buf, "\n\n");
    if (!buf.failed && !data->failed)
        event = fw_malloc(sizeof *event + buf.len);
    if (event != NULL) {
        *event = (struct event){.number = number, .references = 1, .len = buf.len};
        memcpy(event->text, buf.data, buf.len);
    }
    fw_buf_fini(&buf);
    return event;
}

void api_events_publish(struct api_events *events, const char *name, const struct fw_buf *data)
{
    assert(data->len == 0 || memchr(data->data, '\n', data->len) == NULL);
    pthread_mutex_lock(&events->lock);
    const uint64_t number = events->next;
    struct event *event = make_event(number, name, data);
    if (event == NULL || event->len > events->options.bytes_max) {
        /* Nobody can go on behind a gap. */
        while (events->first < events->next)
            drop_first(events);
        events->first = events->next = number + 1;
        fw_free(event);
    } else {
        while (events->first < events->next &&
               (events->next - events->first == events->options.events_max ||
                events->bytes + event->len > events->options.bytes_max))
            drop_first(events);
        *place(events, number) = event;
        events->bytes += event->len;
        events->next++;
    }
    events->statistics.published++;
    pthread_mutex_unlock(&events->lock);
}

void api_events_wake(struct api_events *events)
{
    pthread_mutex_lock(&events->lock);
    events->news = true;
    pthread_cond_signal(&events->change);
    pthread_mutex_unlock(&events->lock);
}

/* ---- from one process to the next ---- */

void api_events_put(struct api_events *events, size_t bytes_max, struct fw_buf *out)
{
    pthread_mutex_lock(&events->lock);
    uint64_t from = events->next;
    for (size_t bytes = 0; from > events->first; from--) {
        bytes += (*place(events, from - 1))->len;
        if (bytes > bytes_max)
            break;
    }
    fw_buf_printf(out, "\"first\":\"%" PRIu64 "\",\"events\":[", from);
    for (uint64_t number = from; number < events->next; number++) {
        const struct event *event = *place(events, number);
        if (number > from)
            fw_buf_putc(out, ',');
        fw_buf_json_string(out, event->text, event->len);
    }
    fw_buf_putc(out, ']');
    pthread_mutex_unlock(&events->lock);
}

/* The event with that text, if it is one of that number. */
static struct event *take_event(uint64_t number, struct fw_json_value value)
{
    size_t len;
    char begin[40];
    const char *text = fw_json_string(value, &len);
    const int begin_len = snprintf(begin, sizeof begin, "id: %" PRIu64 "\nevent: ", number);
    if (text == NULL || strlen(text) != len || strncmp(text, begin, (size_t)begin_len) != 0 ||
        len < (size_t)begin_len + 2 || strcmp(text + len - 2, "\n\n") != 0 ||
        strstr(text, "\n\n") != text + len - 2)
        return NULL;
    struct event *event = fw_malloc(sizeof *event + len);
    if (event != NULL) {
        *event = (struct event){.number = number, .references = 1, .len = len};
        memcpy(event->text, text, len);
    }
    return event;
}

bool api_events_take(struct api_events *events, struct fw_json_value object)
{
    struct fw_json_value value, list;
    size_t len;
    const char *first = fw_json_get(object, "first", &value) ? fw_json_string(value, &len) : NULL;
    if (first == NULL || !fw_json_get(object, "events", &list) ||
        fw_json_count(list) > events->options.events_max)
        return false;
    char *end;
    const uint64_t number = strtoull(first, &end, 10);
    if (*end != '\0' || number == 0 || number + fw_json_count(list) >= events->next)
        return false; /* from a time to come */
    struct fw_json_iter iter = fw_json_walk(list);
    pthread_mutex_lock(&events->lock);
    assert(events->first == events->next && events->clients == NULL);
    const uint64_t own = events->next;
    bool good = true;
    events->first = events->next = number;
    while (good && fw_json_next(&iter, &value)) {
        struct event *event = take_event(events->next, value);
        good = event != NULL && events->bytes + event->len <= events->options.bytes_max;
        if (good) {
            *place(events, events->next++) = event;
            events->bytes += event->len;
        } else {
            fw_free(event);
        }
    }
    if (!good) {
        while (events->first < events->next)
            drop_first(events);
        events->first = events->next = own;
    }
    pthread_mutex_unlock(&events->lock);
    return good;
}

/* ---- one client's stream ---- */

static void set_note(struct client *client, int len)
{
    assert(len > 0 && len < NOTE_MAX);
    client->note_len = (size_t)len;
    client->note_sent = 0;
}

/* Everything before now is as good as unseen. */
static void reset(struct client *client)
{
    struct api_events *events = client->events;
    client->next_number = events->next;
    events->statistics.resets++;
    set_note(client, snprintf(client->note, NOTE_MAX, "id: %" PRIu64 "\nevent: reset\ndata: {}\n\n",
                              events->next - 1));
}

/* Something to send, if there is; under the lock. */
static bool prepare(struct client *client)
{
    struct api_events *events = client->events;
    if (client->note_sent < client->note_len || client->current != NULL)
        return true;
    if (client->next_number < events->first) {
        reset(client);
        return true;
    }
    if (client->next_number < events->next) {
        client->current = *place(events, client->next_number++);
        client->current->references++;
        client->sent = 0;
        client->heartbeat = events->heartbeat;
        return true;
    }
    if (client->heartbeat == events->heartbeat)
        return false;
    client->heartbeat = events->heartbeat;
    set_note(client, snprintf(client->note, NOTE_MAX, ":\n\n"));
    return true;
}

static size_t copy(char *to, size_t size, const char *from, size_t len, size_t *sent)
{
    const size_t n = len - *sent < size ? len - *sent : size;
    memcpy(to, from + *sent, n);
    *sent += n;
    return n;
}

static size_t on_read(void *ctx, char *to, size_t size)
{
    struct client *client = ctx;
    struct api_events *events = client->events;
    size_t n = 0;
    pthread_mutex_lock(&events->lock);
    while (n < size && prepare(client)) {
        if (client->note_sent < client->note_len) {
            n += copy(to + n, size - n, client->note, client->note_len, &client->note_sent);
            continue;
        }
        n += copy(to + n, size - n, client->current->text, client->current->len, &client->sent);
        if (client->sent == client->current->len) {
            unref(client->current);
            client->current = NULL;
        }
    }
    pthread_mutex_unlock(&events->lock);
    return n;
}

static void on_close(void *ctx)
{
    struct client *client = ctx;
    struct api_events *events = client->events;
    pthread_mutex_lock(&events->lock);
    if (events->waking == client)
        events->waking = client->next;
    if (client->prev != NULL)
        client->prev->next = client->next;
    else
        events->clients = client->next;
    if (client->next != NULL)
        client->next->prev = client->prev;
    events->client_count--;
    unref(client->current);
    pthread_mutex_unlock(&events->lock);
    fw_free(client);
}

/* Where a client begins: behind the last event that it saw, or here and now. */
static void greet(struct client *client, const char *last)
{
    struct api_events *events = client->events;
    char *end;
    client->heartbeat = events->heartbeat;
    client->next_number = events->next;
    set_note(client, snprintf(client->note, NOTE_MAX, "retry: 3000\nid: %" PRIu64 "\n\n",
                              events->next - 1));
    if (last == NULL)
        return;
    errno = 0;
    const uint64_t seen = strtoull(last, &end, 10);
    const bool known = last[0] >= '0' && last[0] <= '9' && *end == '\0' && errno == 0 &&
                       seen < events->next && seen + 1 >= events->first;
    if (!known) {
        reset(client);
        return;
    }
    client->next_number = seen + 1;
    set_note(client, snprintf(client->note, NOTE_MAX, "retry: 3000\n\n"));
}

static bool join(struct client *client, const char *last)
{
    struct api_events *events = client->events;
    pthread_mutex_lock(&events->lock);
    const bool room = events->client_count < events->options.clients_max && !events->stopped;
    if (room) {
        greet(client, last);
        client->next = events->clients;
        if (client->next != NULL)
            client->next->prev = client;
        events->clients = client;
        events->client_count++;
    } else {
        events->statistics.refused++;
    }
    pthread_mutex_unlock(&events->lock);
    return room;
}

static void reply_later(struct http_request *request, const char *text)
{
    struct fw_buf buf;
    fw_buf_init(&buf, 256);
    fw_buf_printf(&buf, "{\"detail\":\"%s\"}", text);
    http_reply(request, &(struct http_reply){
                            .status = 503, .body = http_body_new_take(&buf), .retry_after_s = 5});
}

void api_events_serve(struct api_events *events, struct http_request *request)
{
    const char *last = http_request_header(request, "Last-Event-ID");
    if (last == NULL)
        last = http_request_query(request, "last_event_id");
    struct client *client = fw_calloc(1, sizeof *client);
    if (client == NULL) {
        reply_later(request, "out of memory");
        return;
    }
    client->events = events;
    if (!join(client, last)) {
        fw_free(client);
        reply_later(request, "as many clients follow the events as may");
        return;
    }
    const struct http_source source = {.read = on_read, .close = on_close, .ctx = client};
    struct http_stream *stream = http_reply_stream(request, "text/event-stream", &source);
    if (stream == NULL) {
        on_close(client);
        return;
    }
    pthread_mutex_lock(&events->lock);
    client->stream = stream; /* what came meanwhile is read with the greeting */
    pthread_mutex_unlock(&events->lock);
}

/* ---- the thread ---- */

/* Everybody, a few at a time: those who read must not wait for all who are woken. */
static void wake_all(struct api_events *events)
{
    events->waking = events->clients;
    while (events->waking != NULL && !events->stop) {
        for (int i = 0; i < WAKE_BATCH && events->waking != NULL; i++) {
            struct client *client = events->waking;
            events->waking = client->next;
            if (client->stream != NULL)
                http_stream_wake(client->stream);
        }
        pthread_mutex_unlock(&events->lock);
        pthread_mutex_lock(&events->lock);
    }
}

static void later(struct timespec *time, unsigned ms)
{
    clock_gettime(CLOCK_MONOTONIC, time);
    time->tv_sec += ms / 1000;
    time->tv_nsec += (long)(ms % 1000) * 1000000;
    if (time->tv_nsec >= 1000000000) {
        time->tv_sec++;
        time->tv_nsec -= 1000000000;
    }
}

void api_events_tick_within(struct api_events *events, unsigned ms)
{
    pthread_mutex_lock(&events->lock);
    if (!events->ticks) {
        events->ticks = true;
        later(&events->tick_at, ms);
        pthread_cond_signal(&events->change);
    }
    pthread_mutex_unlock(&events->lock);
}

static bool sooner(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

/* Until there is news; says what else it is time for. */
static void await_news(struct api_events *events, const struct timespec *beat, bool *beats,
                       bool *ticks)
{
    *beats = *ticks = false;
    while (!events->news && !events->stop && !*beats && !*ticks) {
        const bool tick_first = events->ticks && sooner(&events->tick_at, beat);
        const struct timespec until = tick_first ? events->tick_at : *beat;
        if (pthread_cond_timedwait(&events->change, &events->lock, &until) == ETIMEDOUT) {
            *ticks = true; /* with a heartbeat as well */
            *beats = !tick_first;
        }
    }
}

static void *run(void *argument)
{
    struct api_events *events = argument;
    struct timespec beat;
    later(&beat, events->options.heartbeat_ms);
    pthread_mutex_lock(&events->lock);
    while (!events->stop) {
        bool beats, ticks;
        await_news(events, &beat, &beats, &ticks);
        events->news = false;
        if (beats) {
            events->heartbeat++;
            later(&beat, events->options.heartbeat_ms);
        }
        if (ticks && events->options.tick != NULL) {
            events->ticks = false;
            pthread_mutex_unlock(&events->lock);
            events->options.tick(events->options.ctx);
            pthread_mutex_lock(&events->lock);
        }
        wake_all(events);
    }
    pthread_mutex_unlock(&events->lock);
    return NULL;
}

static bool init_waiting(struct api_events *events)
{
    pthread_condattr_t monotonic;
    if (pthread_condattr_init(&monotonic) != 0)
        return false;
    bool ready = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 &&
                 pthread_cond_init(&events->change, &monotonic) == 0;
    pthread_condattr_destroy(&monotonic);
    if (ready && pthread_mutex_init(&events->lock, NULL) != 0) {
        pthread_cond_destroy(&events->change);
        ready = false;
    }
    return ready;
}

enum fw_status api_events_new(const struct api_events_options *options, struct api_events **out,
                              struct fw_error *err)
{
    *out = NULL;
    assert(options->events_max >= 1 && options->heartbeat_ms >= 1);
    struct api_events *events = fw_calloc(1, sizeof *events);
    if (events == NULL)
        return fw_fail(err, FW_ENOMEM, "events");
    events->options = *options;
    /* Numbers of a later process are higher than ours, so nobody takes one for the other. */
    events->first = events->next = (uint64_t)fw_clock_wall_ms(options->clock) << 12;
    events->ring = fw_calloc(options->events_max, sizeof(struct event *));
    if (events->ring == NULL || !init_waiting(events)) {
        fw_free(events->ring);
        fw_free(events);
        return fw_fail(err, FW_ENOMEM, "events");
    }
    if (pthread_create(&events->thread, NULL, run, events) != 0) {
        events->stopped = true;
        api_events_free(events);
        return fw_fail(err, FW_EIO, "events: no thread to be had");
    }
    *out = events;
    return FW_OK;
}

void api_events_stop(struct api_events *events)
{
    if (events == NULL || events->stopped)
        return;
    pthread_mutex_lock(&events->lock);
    events->stop = true;
    events->stopped = true;
    pthread_cond_signal(&events->change);
    pthread_mutex_unlock(&events->lock);
    pthread_join(events->thread, NULL);
}

void api_events_free(struct api_events *events)
{
    if (events == NULL)
        return;
    api_events_stop(events);
    assert(events->clients == NULL);
    while (events->first < events->next)
        drop_first(events);
    pthread_cond_destroy(&events->change);
    pthread_mutex_destroy(&events->lock);
    fw_free(events->ring);
    fw_free(events);
}

void api_events_statistics(struct api_events *events, struct api_events_statistics *out)
{
    pthread_mutex_lock(&events->lock);
    *out = events->statistics;
    out->clients = events->client_count;
    pthread_mutex_unlock(&events->lock);
}
