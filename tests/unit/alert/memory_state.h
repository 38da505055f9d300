/* store/state.h in memory, with failures on order: what the alert book and the outlook need of the
 * store, so that their tests can fail any write and look at what was kept. Including it replaces
 * the real one in that program. One thread. */
#ifndef FW_TESTS_MEMORY_STATE_H
#define FW_TESTS_MEMORY_STATE_H

#include "store/state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { MEMORY_BLOBS = 512, MEMORY_EVENTS = 4096 };

struct memory_blob {
    char ns[32], key[300];
    char *data;
    size_t len;
};
struct memory_event {
    int64_t id, time_ms;
    char kind[32], subject[200];
    char *data;
    size_t len;
};
struct memory_content {
    struct memory_blob blobs[MEMORY_BLOBS];
    size_t blob_count;
    struct memory_event events[MEMORY_EVENTS];
    size_t event_count;
};

struct store_state {
    struct memory_content now, before; /* `before`: for rollback */
    bool open;                         /* a transaction */
    long writes, fail_from, fail_to;   /* writes numbered from 1 that fail */
    long commits;
};

static inline char *memory_copy(const void *data, size_t len)
{
    char *copy = malloc(len + 1);
    assert(copy != NULL);
    memcpy(copy, data, len);
    copy[len] = '\0';
    return copy;
}

static inline void memory_clear(struct memory_content *content)
{
    for (size_t i = 0; i < content->blob_count; i++)
        free(content->blobs[i].data);
    for (size_t i = 0; i < content->event_count; i++)
        free(content->events[i].data);
    content->blob_count = content->event_count = 0;
}

static inline void memory_clone(struct memory_content *to, const struct memory_content *from)
{
    memory_clear(to);
    for (size_t i = 0; i < from->blob_count; i++) {
        to->blobs[i] = from->blobs[i];
        to->blobs[i].data = memory_copy(from->blobs[i].data, from->blobs[i].len);
    }
    for (size_t i = 0; i < from->event_count; i++) {
        to->events[i] = from->events[i];
        to->events[i].data = memory_copy(from->events[i].data, from->events[i].len);
    }
    to->blob_count = from->blob_count;
    to->event_count = from->event_count;
}

static inline struct store_state *memory_state_new(void)
{
    struct store_state *state = calloc(1, sizeof *state);
    assert(state != NULL);
    return state;
}

static inline void memory_state_free(struct store_state *state)
{
    memory_clear(&state->now);
    memory_clear(&state->before);
    free(state);
}

static inline enum fw_status memory_write(struct store_state *state, struct fw_error *err)
{
    state->writes++;
    if (state->writes >= state->fail_from && state->writes <= state->fail_to)
        return fw_fail(err, FW_ENOSPC, "the disk is full");
    return FW_OK;
}

enum fw_status store_state_begin(struct store_state *state, struct fw_error *err)
{
    (void)err;
    assert(!state->open);
    state->open = true;
    memory_clone(&state->before, &state->now);
    return FW_OK;
}

void store_state_rollback(struct store_state *state)
{
    assert(state->open);
    memory_clone(&state->now, &state->before);
    state->open = false;
}

/* Ends the transaction either way, as the real one. */
enum fw_status store_state_commit(struct store_state *state, struct fw_error *err)
{
    assert(state->open);
    const enum fw_status status = memory_write(state, err);
    if (status != FW_OK)
        store_state_rollback(state);
    state->open = false;
    state->commits += status == FW_OK;
    return status;
}

static inline struct memory_blob *memory_find(struct store_state *state, const char *ns,
                                              const char *key)
{
    for (size_t i = 0; i < state->now.blob_count; i++) {
        if (strcmp(state->now.blobs[i].ns, ns) == 0 && strcmp(state->now.blobs[i].key, key) == 0)
            return &state->now.blobs[i];
    }
    return NULL;
}

enum fw_status store_state_put(struct store_state *state, const char *ns, const char *key,
                               const void *data, size_t len, struct fw_error *err)
{
    const enum fw_status status = memory_write(state, err);
    if (status != FW_OK)
        return status;
    struct memory_blob *blob = memory_find(state, ns, key);
    if (blob == NULL) {
        assert(state->now.blob_count < MEMORY_BLOBS);
        blob = &state->now.blobs[state->now.blob_count++];
        assert(strlen(ns) < sizeof blob->ns && strlen(key) < sizeof blob->key);
        memcpy(blob->ns, ns, strlen(ns) + 1);
        memcpy(blob->key, key, strlen(key) + 1);
    } else {
        free(blob->data);
    }
    blob->data = memory_copy(data, len);
    blob->len = len;
    return FW_OK;
}

enum fw_status store_state_delete(struct store_state *state, const char *ns, const char *key,
                                  struct fw_error *err)
{
    const enum fw_status status = memory_write(state, err);
    struct memory_blob *blob = memory_find(state, ns, key);
    if (status != FW_OK || blob == NULL)
        return status;
    free(blob->data);
    *blob = state->now.blobs[--state->now.blob_count];
    return FW_OK;
}

enum fw_status store_state_each(struct store_state *state, const char *ns,
                                store_state_blob_fn visit, void *ctx, uint64_t *damaged,
                                struct fw_error *err)
{
    (void)err;
    if (damaged != NULL)
        *damaged = 0;
    for (size_t i = 0; i < state->now.blob_count; i++) {
        const struct memory_blob *blob = &state->now.blobs[i];
        if (strcmp(blob->ns, ns) == 0 && !visit(ctx, blob->key, blob->data, blob->len))
            break;
    }
    return FW_OK;
}

enum fw_status store_state_event_append(struct store_state *state, const char *kind,
                                        int64_t time_ms, const char *subject, const void *data,
                                        size_t len, int64_t *id, struct fw_error *err)
{
    const enum fw_status status = memory_write(state, err);
    if (status != FW_OK)
        return status;
    assert(state->now.event_count < MEMORY_EVENTS);
    struct memory_event *event = &state->now.events[state->now.event_count++];
    assert(strlen(kind) < sizeof event->kind && strlen(subject) < sizeof event->subject);
    memcpy(event->kind, kind, strlen(kind) + 1);
    memcpy(event->subject, subject, strlen(subject) + 1);
    event->id = (int64_t)state->now.event_count;
    event->time_ms = time_ms;
    event->data = memory_copy(data, len);
    event->len = len;
    if (id != NULL)
        *id = event->id;
    return FW_OK;
}

enum fw_status store_state_event_update(struct store_state *state, int64_t id, const void *data,
                                        size_t len, struct fw_error *err)
{
    const enum fw_status status = memory_write(state, err);
    if (status != FW_OK)
        return status;
    for (size_t i = 0; i < state->now.event_count; i++) {
        struct memory_event *event = &state->now.events[i];
        if (event->id != id)
            continue;
        free(event->data);
        event->data = memory_copy(data, len);
        event->len = len;
        return FW_OK;
    }
    return FW_ENOTFOUND;
}

enum fw_status store_state_event_each(struct store_state *state,
                                      const struct store_state_event_query *query,
                                      store_state_event_fn visit, void *ctx, uint64_t *damaged,
                                      struct fw_error *err)
{
    (void)err;
    if (damaged != NULL)
        *damaged = 0;
    uint64_t given = 0;
    for (size_t k = 0; k < state->now.event_count; k++) {
        const size_t i = query->newest_first ? state->now.event_count - 1 - k : k;
        const struct memory_event *event = &state->now.events[i];
        if (strcmp(event->kind, query->kind) != 0 || event->time_ms < query->from_ms ||
            event->time_ms >= query->to_ms ||
            (query->subject != NULL && strcmp(event->subject, query->subject) != 0))
            continue;
        const struct store_state_event shown = {event->id,      event->kind, event->time_ms,
                                                event->subject, event->data, event->len};
        if (!visit(ctx, &shown) || (query->limit != 0 && ++given == query->limit))
            break;
    }
    return FW_OK;
}

enum fw_status store_state_event_prune(struct store_state *state, const char *kind,
                                       int64_t before_ms, uint64_t *removed, struct fw_error *err)
{
    const enum fw_status status = memory_write(state, err);
    if (status != FW_OK)
        return status;
    size_t kept = 0;
    for (size_t i = 0; i < state->now.event_count; i++) {
        struct memory_event *event = &state->now.events[i];
        if (strcmp(event->kind, kind) == 0 && event->time_ms < before_ms)
            free(event->data);
        else
            state->now.events[kept++] = *event;
    }
    if (removed != NULL)
        *removed = state->now.event_count - kept;
    state->now.event_count = kept;
    return FW_OK;
}

/* Events stand in the order of their times here. */
enum fw_status store_state_event_trim(struct store_state *state, const char *kind, uint64_t keep,
                                      uint64_t *removed, struct fw_error *err)
{
    const enum fw_status status = memory_write(state, err);
    if (status != FW_OK)
        return status;
    size_t of_kind = 0, kept = 0;
    for (size_t i = 0; i < state->now.event_count; i++)
        of_kind += strcmp(state->now.events[i].kind, kind) == 0;
    for (size_t i = 0; i < state->now.event_count; i++) {
        struct memory_event *event = &state->now.events[i];
        const bool goes = strcmp(event->kind, kind) == 0 && of_kind > keep;
        of_kind -= goes;
        if (goes)
            free(event->data);
        else
            state->now.events[kept++] = *event;
    }
    if (removed != NULL)
        *removed = state->now.event_count - kept;
    state->now.event_count = kept;
    return FW_OK;
}

#endif
