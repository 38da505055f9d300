#include "http/server_internal.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

static const char *const methods[HTTP_METHODS] = {"GET", "POST", "PUT", "PATCH", "DELETE"};

int http_method_index(const char *method)
{
    if (strcmp(method, "HEAD") == 0)
        return 0;
    for (int i = 0; i < HTTP_METHODS; i++)
        if (strcmp(method, methods[i]) == 0)
            return i;
    return -1;
}

static enum fw_status check_route(const struct http_route *route, struct fw_error *err)
{
    if (route->method == NULL || strcmp(route->method, "HEAD") == 0 ||
        http_method_index(route->method) < 0)
        return fw_fail(err, FW_EINVAL, "route %s: method", route->path);
    if (route->path == NULL || !http_pattern_valid(route->path))
        return fw_fail(err, FW_EINVAL, "route %s: path", route->path);
    if (route->handler == NULL || route->operation == NULL || route->operation[0] == '\0')
        return fw_fail(err, FW_EINVAL, "route %s: handler or operation missing", route->path);
    if (route->role > HTTP_ADMIN)
        return fw_fail(err, FW_EINVAL, "route %s: role", route->path);
    return FW_OK;
}

/* Two patterns are one path when they differ in the names of parameters only; they must then be
 * written alike, so that a handler finds its parameters. */
static struct http_path *path_of(struct http_routes *routes, const char *pattern)
{
    for (size_t i = 0; i < routes->n_paths; i++)
        if (strcmp(routes->paths[i].pattern, pattern) == 0)
            return &routes->paths[i];
    struct http_path *path = &routes->paths[routes->n_paths++];
    path->pattern = pattern;
    for (const char *at = pattern; *at != '\0'; at++)
        path->parameters += *at == '{';
    return path;
}

static unsigned operation_of(struct http_routes *routes, const char *name)
{
    for (unsigned i = 0; i < routes->n_operations; i++)
        if (strcmp(routes->operations[i].name, name) == 0)
            return i;
    struct http_operation *operation = &routes->operations[routes->n_operations];
    operation->name = name;
    fw_histogram_init_durations(&operation->duration);
    return (unsigned)routes->n_operations++;
}

static void write_allow(struct http_path *path)
{
    char *at = path->allow;
    for (int i = 0; i < HTTP_METHODS; i++) {
        if (path->routes[i] == NULL)
            continue;
        if (at != path->allow)
            at = stpcpy(at, ", ");
        at = stpcpy(at, methods[i]);
        if (i == 0)
            at = stpcpy(at, ", HEAD");
    }
}

static int fewer_parameters_first(const void *a, const void *b)
{
    const struct http_path *x = a, *y = b;
    if (x->parameters != y->parameters)
        return x->parameters < y->parameters ? -1 : 1;
    return strcmp(x->pattern, y->pattern);
}

enum fw_status http_routes_init(struct http_routes *routes, const struct http_route *all, size_t n,
                                struct fw_error *err)
{
    *routes = (struct http_routes){.n = n};
    routes->all = fw_calloc(n + 1, sizeof *routes->all);
    routes->operation_of = fw_calloc(n + 1, sizeof *routes->operation_of);
    routes->paths = fw_calloc(n + 1, sizeof *routes->paths);
    routes->operations = fw_calloc(n + 1, sizeof *routes->operations);
    if (routes->all == NULL || routes->operation_of == NULL || routes->paths == NULL ||
        routes->operations == NULL)
        return fw_fail(err, FW_ENOMEM, "routes");
    for (size_t i = 0; i < n; i++) {
        const enum fw_status status = check_route(&all[i], err);
        if (status != FW_OK)
            return status;
        routes->all[i] = all[i];
        struct http_path *path = path_of(routes, all[i].path);
        const struct http_route **slot = &path->routes[http_method_index(all[i].method)];
        if (*slot != NULL)
            return fw_fail(err, FW_EINVAL, "route %s %s: given twice", all[i].method, all[i].path);
        *slot = &routes->all[i];
        routes->operation_of[i] = operation_of(routes, all[i].operation);
    }
    for (size_t i = 0; i < routes->n_paths; i++)
        write_allow(&routes->paths[i]);
    qsort(routes->paths, routes->n_paths, sizeof *routes->paths, fewer_parameters_first);
    operation_of(routes, "other");
    return FW_OK;
}

void http_routes_fini(struct http_routes *routes)
{
    fw_free(routes->all);
    fw_free(routes->operation_of);
    fw_free(routes->paths);
    fw_free(routes->operations);
    *routes = (struct http_routes){0};
}

const struct http_path *http_routes_find(const struct http_routes *routes,
                                         const struct http_target *target,
                                         uint8_t at[HTTP_SEGMENTS_MAX], size_t *n_at)
{
    for (size_t i = 0; i < routes->n_paths; i++)
        if (http_target_fits(target, routes->paths[i].pattern, at, n_at))
            return &routes->paths[i];
    return NULL;
}
