#include "http/policy.h"

#include "base/alloc.h"
#include "http/negotiate.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { HOST_MAX = 255 };

struct http_policy {
    char **names;
    size_t n_names;
    char **origins;
    size_t n_origins;
    bool any_name, any_origin;
};

static bool add(char **list, size_t *n, const char *text)
{
    list[*n] = fw_strdup(text);
    if (list[*n] == NULL)
        return false;
    (*n)++;
    return true;
}

struct http_policy *http_policy_new(const char *const *host_names, size_t n_host_names,
                                    const char *const *origins, size_t n_origins)
{
    struct http_policy *policy = fw_calloc(1, sizeof *policy);
    if (policy == NULL)
        return NULL;
    policy->names = fw_calloc(n_host_names + 1, sizeof *policy->names);
    policy->origins = fw_calloc(n_origins + 1, sizeof *policy->origins);
    bool whole = policy->names != NULL && policy->origins != NULL;
    for (size_t i = 0; whole && i < n_host_names; i++) {
        policy->any_name |= strcmp(host_names[i], "*") == 0;
        whole = add(policy->names, &policy->n_names, host_names[i]);
    }
    for (size_t i = 0; whole && i < n_origins; i++) {
        policy->any_origin |= strcmp(origins[i], "*") == 0;
        whole = add(policy->origins, &policy->n_origins, origins[i]);
    }
    char own[HOST_MAX + 1] = "";
    if (whole && gethostname(own, sizeof own - 1) == 0 && own[0] != '\0')
        whole = add(policy->names, &policy->n_names, own);
    if (whole)
        return policy;
    http_policy_free(policy);
    return NULL;
}

void http_policy_free(struct http_policy *policy)
{
    if (policy == NULL)
        return;
    assert(policy->n_names == 0 || policy->names != NULL);
    assert(policy->n_origins == 0 || policy->origins != NULL);
    for (size_t i = 0; i < policy->n_names; i++)
        fw_free(policy->names[i]);
    for (size_t i = 0; i < policy->n_origins; i++)
        fw_free(policy->origins[i]);
    fw_free(policy->names);
    fw_free(policy->origins);
    fw_free(policy);
}

/* Splits "name:port" and "[v6]:port"; the brackets stay off. False when malformed. */
static bool split_host(struct http_text host, struct http_text *name, bool *is_v6)
{
    const char *at = host.at, *end = host.at + host.len, *port;
    *is_v6 = host.len > 0 && *at == '[';
    if (*is_v6) {
        const char *close = memchr(at, ']', host.len);
        if (close == NULL)
            return false;
        *name = (struct http_text){at + 1, (size_t)(close - at - 1)};
        port = close + 1;
    } else {
        port = memchr(at, ':', host.len);
        if (port == NULL)
            port = end;
        *name = (struct http_text){at, (size_t)(port - at)};
    }
    if (name->len == 0 || name->len > HOST_MAX)
        return false;
    if (port == end)
        return true;
    if (*port != ':' || end - port > 6)
        return false;
    for (port++; port < end; port++)
        if (*port < '0' || *port > '9')
            return false;
    return true;
}

static bool name_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' ||
           c == '-' || c == '_';
}

bool http_policy_host(const struct http_policy *policy, struct http_text host)
{
    struct http_text name;
    bool is_v6;
    if (!split_host(host, &name, &is_v6))
        return false;
    char text[HOST_MAX + 1];
    memcpy(text, name.at, name.len);
    text[name.len] = '\0';
    struct in6_addr address;
    if (is_v6)
        return strlen(text) == name.len && inet_pton(AF_INET6, text, &address) == 1;
    for (size_t i = 0; i < name.len; i++)
        if (!name_char(text[i]))
            return false;
    if (policy->any_name || inet_pton(AF_INET, text, &address) == 1)
        return true;
    if (name.len > 1 && text[name.len - 1] == '.') /* a rooted name is the same name */
        name.len--;
    if (http_same_nocase(name.at, name.len, "localhost"))
        return true;
    for (size_t i = 0; i < policy->n_names; i++)
        if (http_same_nocase(name.at, name.len, policy->names[i]))
            return true;
    return false;
}

const char *http_policy_origin(const struct http_policy *policy, struct http_text origin)
{
    for (size_t i = 0; i < policy->n_origins; i++)
        if (http_same_nocase(origin.at, origin.len, policy->origins[i]))
            return policy->origins[i];
    return policy->any_origin ? "*" : NULL;
}

bool http_policy_same_origin(struct http_text origin, struct http_text host)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (int i = 0; i < 2; i++) {
        const size_t len = strlen(schemes[i]);
        if (origin.len == len + host.len && http_same_nocase(origin.at, len, schemes[i]) &&
            strncasecmp(origin.at + len, host.at, host.len) == 0)
            return true;
    }
    return false;
}

bool http_policy_has_origins(const struct http_policy *policy)
{
    return policy->n_origins > 0;
}
