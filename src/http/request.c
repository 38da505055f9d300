/* What a handler sees of a request. */
#include "http/server_internal.h"

#include "base/alloc.h"

#include <assert.h>
#include <string.h>

const char *http_request_method(const struct http_request *request)
{
    return request->route->method;
}

bool http_request_is_head(const struct http_request *request)
{
    return request->head_only;
}

const struct http_route *http_request_route(const struct http_request *request)
{
    return request->route;
}

const char *http_request_path_at(const struct http_request *request, size_t index)
{
    if (index >= request->n_parameters)
        return NULL;
    return http_target_segment(&request->target, request->parameter_at[index]);
}

const char *http_request_path(const struct http_request *request, const char *name)
{
    const size_t len = strlen(name);
    size_t index = 0;
    for (const char *at = strchr(request->route->path, '{'); at != NULL;
         at = strchr(at + 1, '{'), index++)
        if (strncmp(at + 1, name, len) == 0 && at[1 + len] == '}')
            return http_request_path_at(request, index);
    return NULL;
}

size_t http_request_query_count(const struct http_request *request)
{
    return request->target.n_parameters;
}

const char *http_request_query_name(const struct http_request *request, size_t index)
{
    assert(index < request->target.n_parameters);
    return request->target.text + request->target.parameters[index].name;
}

const char *http_request_query_value(const struct http_request *request, size_t index)
{
    assert(index < request->target.n_parameters);
    return request->target.text + request->target.parameters[index].value;
}

const char *http_request_query(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->target.n_parameters; i++)
        if (strcmp(http_request_query_name(request, i), name) == 0)
            return http_request_query_value(request, i);
    return NULL;
}

const char *http_request_header(const struct http_request *request, const char *name)
{
    assert(request->in_handler && !request->deferred);
    return MHD_lookup_connection_value(request->mhd, MHD_HEADER_KIND, name);
}

const char *http_request_body(const struct http_request *request, size_t *len)
{
    *len = request->body.len;
    return request->body.data == NULL ? "" : request->body.data;
}

uint64_t http_request_body_wire(const struct http_request *request)
{
    return request->body_wire;
}

const char *http_request_peer(const struct http_request *request)
{
    return request->peer;
}

const char *http_request_key_name(const struct http_request *request)
{
    return request->key_name;
}

enum http_role http_request_role(const struct http_request *request)
{
    return request->role;
}

int64_t http_request_since_ns(const struct http_request *request)
{
    return request->since_ns;
}

void *http_request_alloc(struct http_request *request, size_t size)
{
    if (size > HTTP_REQUEST_ALLOC_MAX - request->chunk_bytes)
        return NULL;
    struct http_chunk *chunk = fw_calloc(1, sizeof *chunk + size);
    if (chunk == NULL)
        return NULL;
    request->chunk_bytes += size;
    chunk->next = request->chunks;
    request->chunks = chunk;
    return chunk->memory;
}

void http_request_undefer(struct http_request *request)
{
    struct http_request *next = request->next_deferred, *prev = request->prev_deferred;
    if (prev != NULL)
        prev->next_deferred = next;
    else
        request->server->deferred = next;
    if (next != NULL)
        next->prev_deferred = prev;
}

void http_request_unref(struct http_request *request)
{
    struct http_server *server = request->server;
    const bool deferred = request->deferred;
    if (atomic_fetch_sub(&request->refs, 1) != 1)
        return;
    http_upload_free(request);
    http_body_unref(request->answer.body);
    while (request->chunks != NULL) {
        struct http_chunk *next = request->chunks->next;
        fw_free(request->chunks);
        request->chunks = next;
    }
    fw_free(request);
    if (deferred)
        http_server_unref(server);
}
