/* GET /api/v1/events: what changes, as server-sent events (docs/api.md).
 *
 * Events stand in one ring that all clients read; a client costs its place in it. One that comes
 * back with the id of the last event it saw goes on behind it; one that was away for too long, or
 * saw another process, is told to load everything anew. */
#ifndef FW_API_EVENTS_H
#define FW_API_EVENTS_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "http/server.h"

struct api_events;

struct api_events_options {
    const struct fw_clock *clock;
    size_t clients_max;
    size_t events_max; /* in the ring */
    size_t bytes_max;  /* likewise */
    unsigned heartbeat_ms;
    /* Called with each heartbeat, on the thread of the events. May be NULL. */
    void (*tick)(void *ctx);
    void *ctx;
};

/* Starts the thread that wakes clients. FW_ENOMEM, FW_EIO. */
FW_MUST_CHECK enum fw_status api_events_new(const struct api_events_options *options,
                                            struct api_events **out, struct fw_error *err);
/* Ends the thread; clients stay. NULL does nothing. */
void api_events_stop(struct api_events *events);
/* After the last client is gone: the HTTP server has stopped. NULL does nothing. */
void api_events_free(struct api_events *events);

/* Puts an event into the ring; clients hear of it with the next api_events_wake(), so that several
 * cost one waking. `data` is one line of JSON. What does not fit the memory is lost to all, so all
 * are told to load anew. Any thread. */
void api_events_publish(struct api_events *events, const char *name, const struct fw_buf *data);
/* Calls tick() within so many milliseconds, once, unless it is to be called sooner. */
void api_events_tick_within(struct api_events *events, unsigned ms);
void api_events_wake(struct api_events *events);

/* The newest events, as members of a JSON object: what a next process takes over, so that followers
 * go on behind a clean restart. At most `bytes_max` of text. */
void api_events_put(struct api_events *events, size_t bytes_max, struct fw_buf *out);
/* Before the first event and the first follower. False: not such members, and nothing is taken. */
bool api_events_take(struct api_events *events, struct fw_json_value object);

/* The handler's work: answers the request with the stream, or with 503. */
void api_events_serve(struct api_events *events, struct http_request *request);

struct api_events_statistics {
    size_t clients;
    uint64_t published, resets, refused; /* since the start */
};
void api_events_statistics(struct api_events *events, struct api_events_statistics *out);

#endif
