/* Who may speak to us from where: the Host list against DNS rebinding, and CORS. */
#ifndef FW_HTTP_POLICY_H
#define FW_HTTP_POLICY_H

#include "http/guard.h"

#include <stdbool.h>
#include <stddef.h>

struct http_policy;

/* Copies the lists (see struct http_options) and adds this machine's host name. NULL when out of
 * memory. */
struct http_policy *http_policy_new(const char *const *host_names, size_t n_host_names,
                                    const char *const *origins, size_t n_origins);
void http_policy_free(struct http_policy *policy);

/* Is the Host line well-formed ("name", "name:port", "[v6]:port") and its name one of ours? */
bool http_policy_host(const struct http_policy *policy, struct http_text host);

/* The configured origin equal to `origin`, "*" when all are allowed, or NULL. What it returns is
 * ours, never the client's text. */
const char *http_policy_origin(const struct http_policy *policy, struct http_text origin);
/* Does the origin name the very host and port of the Host line? */
bool http_policy_same_origin(struct http_text origin, struct http_text host);
/* Is any origin beside the own one configured? */
bool http_policy_has_origins(const struct http_policy *policy);

#endif
