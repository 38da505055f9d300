/* The checks between a request's head and its body, in the order that server.h promises. */
#include "http/server_internal.h"

#include "base/hash.h"
#include "http/negotiate.h"

#include <stdio.h>
#include <string.h>

#define LEGACY_KEY_TEXT "Invalid or missing API key. Set TFT_API_KEY environment variable."

static void refuse_fault(struct http_request *request, struct http_fault fault)
{
    const bool route = fault.status == 404;
    http_refuse(request, route ? HTTP_REFUSED_ROUTE : HTTP_REFUSED_WIRE, fault.status, fault.text);
    /* After a malformed head nobody can say where the next request begins. */
    request->closes |= !route;
}

struct header_walk {
    struct http_request *request;
    struct http_wire wire;
    struct http_fault fault;
};

static enum MHD_Result take_header(void *ctx, enum MHD_ValueKind kind, const char *name,
                                   size_t name_len, const char *value, size_t value_len)
{
    struct header_walk *walk = ctx;
    (void)kind;
    if (value == NULL) {
        value = "";
        value_len = 0;
    }
    http_wire_header(&walk->wire, name, name_len, value, value_len);
    walk->fault = http_guard_header(&walk->request->head, name, name_len, value, value_len);
    if (walk->fault.text == NULL &&
        walk->request->head.lines > walk->request->server->options.header_lines_max)
        walk->fault = (struct http_fault){431, "Too many header lines"};
    return walk->fault.text == NULL ? MHD_YES : MHD_NO;
}

static struct http_fault check_head(struct http_request *request, const char *method,
                                    const char *version)
{
    struct http_server *server = request->server;
    if (request->fault.text != NULL)
        return request->fault;
    struct http_fault fault = http_guard_method(method);
    if (fault.text == NULL)
        fault = http_guard_version(version);
    if (fault.text != NULL)
        return fault;
    struct header_walk walk = {.request = request};
    http_wire_begin(&walk.wire, method, request->target_len, version);
    MHD_get_connection_values_n(request->mhd, MHD_HEADER_KIND, take_header, &walk);
    if (walk.fault.text != NULL)
        return walk.fault;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    const size_t head_size = info == NULL ? 0 : info->header_size;
    if (head_size > server->options.header_bytes_max)
        return (struct http_fault){431, "Header too large"};
    request->head_end = method + head_size;
    fault = http_guard_finish(&request->head);
    if (fault.text == NULL && server->wire_checked && !http_wire_whole(&walk.wire, head_size))
        fault = (struct http_fault){400, "Every line must end in CRLF and stand alone"};
    return fault;
}

/* A CORS preflight asks before the browser sends the real request; nobody else does. */
static void answer_preflight(struct http_request *request)
{
    static const char allowed_headers[] =
        "Accept, Accept-Language, Content-Language, Content-Type, X-API-Key";
    const struct http_head *head = &request->head;
    const char *text = "OK";
    if (request->allow_origin == NULL)
        text = "Disallowed CORS origin";
    else if (!http_same_nocase(head->preflight_method.at, head->preflight_method.len, "GET") &&
             !http_same_nocase(head->preflight_method.at, head->preflight_method.len, "POST"))
        text = "Disallowed CORS method";
    const char *at = head->preflight_headers.at;
    size_t left = head->preflight_headers.len;
    while (text[0] == 'O' && at != NULL && left > 0) {
        const char *comma = memchr(at, ',', left);
        size_t len = comma == NULL ? left : (size_t)(comma - at);
        const char *name = at;
        const size_t step = comma == NULL ? left : len + 1;
        http_trim(&name, &len);
        char lower[32] = "";
        if (len < sizeof lower)
            memcpy(lower, name, len);
        if (len >= sizeof lower ||
            (len > 0 && !http_list_has(allowed_headers, sizeof allowed_headers - 1, lower)))
            text = "Disallowed CORS headers";
        at += step;
        left -= step;
    }
    if (text[0] != 'O')
        http_count_refused(request->server, HTTP_REFUSED_ORIGIN);
    const struct http_reply reply = {
        .status = text[0] == 'O' ? 200 : 400,
        .content_type = "text/plain; charset=utf-8",
        .body = http_body_static(text, strlen(text)),
    };
    http_answer_set(request, &reply);
    request->answer.preflight = text[0] == 'O';
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The part after the colon of decoded "user:password"; false when it is none. */
static bool basic_password(const char *at, size_t len, char out[HTTP_KEY_TEXT_MAX + 1],
                           struct http_text *password)
{
    while (len > 0 && at[len - 1] == '=')
        len--;
    unsigned bits = 0, n_bits = 0;
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        const int digit = base64_digit(at[i]);
        if (digit < 0 || n == HTTP_KEY_TEXT_MAX)
            return false;
        bits = (bits << 6 | (unsigned)digit) & 0xffff;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            out[n++] = (char)(unsigned char)(bits >> n_bits & 0xff);
        }
    }
    const char *colon = memchr(out, ':', n);
    if (colon == NULL)
        return false;
    *password = (struct http_text){colon + 1, (size_t)(out + n - colon - 1)};
    return true;
}

/* The key shown, or at == NULL. X-API-Key comes before Authorization. *by_browser: a page elsewhere
 * can make a browser send it unasked. */
static struct http_text shown_key(const struct http_head *head, char scratch[HTTP_KEY_TEXT_MAX + 1],
                                  bool *by_browser)
{
    *by_browser = false;
    if (head->api_key.at != NULL)
        return head->api_key;
    struct http_text text = head->authorization, none = {NULL, 0};
    if (text.at == NULL)
        return none;
    const char *blank = memchr(text.at, ' ', text.len);
    const size_t scheme = blank == NULL ? text.len : (size_t)(blank - text.at);
    struct http_text rest = {text.at + scheme, text.len - scheme};
    http_trim(&rest.at, &rest.len);
    if (http_same_nocase(text.at, scheme, "Bearer") || http_same_nocase(text.at, scheme, "Token"))
        return rest;
    if (!http_same_nocase(text.at, scheme, "Basic"))
        return (struct http_text){"", 0}; /* a way we do not know: a bad key, not an absent one */
    *by_browser = true;
    return basic_password(rest.at, rest.len, scratch, &text) ? text : (struct http_text){"", 0};
}

/* A peer as the limits see it: an IPv6 source owns its /64. */
static uint64_t source_hash(const struct http_request *request, const char *key_name, size_t salt)
{
    struct {
        struct in6_addr peer;
        uint64_t salt;
        char key[HTTP_KEY_NAME_MAX + 1];
        char pad[7];
    } source;
    memset(&source, 0, sizeof source);
    source.salt = salt;
    source.peer = request->connection->peer;
    if (!IN6_IS_ADDR_V4MAPPED(&source.peer))
        memset(&source.peer.s6_addr[8], 0, 8);
    memcpy(source.key, key_name, strlen(key_name));
    return fw_hash_keyed(&source, sizeof source);
}

static void refuse_busy_source(struct http_request *request, uint32_t left_ms)
{
    http_refuse(request, HTTP_REFUSED_FAILURES, 429, "Too many bad keys; try again later");
    request->answer.retry_after_s = (int)((left_ms + 999) / 1000);
}

static void refuse_key(struct http_request *request, bool role_too_low, bool shown)
{
    const struct http_route *route = request->route;
    if (route->legacy) {
        http_refuse(request, HTTP_REFUSED_KEY, 403, LEGACY_KEY_TEXT);
    } else if (role_too_low) {
        http_refuse(request, HTTP_REFUSED_KEY, 403, "This key may not do that");
    } else {
        http_refuse(request, HTTP_REFUSED_KEY, 401,
                    shown ? "Unknown API key" : "An API key is needed");
        request->answer.authenticate = true;
    }
}

/* Who asks? False: answered. A key is looked at on open routes too, so that its holder is known
 * there, but then it cannot be wrong. */
static bool check_key(struct http_request *request)
{
    struct http_server *server = request->server;
    const struct http_route *route = request->route;
    if (server->options.keys == NULL || http_keys_count(server->options.keys) == 0) {
        request->role = HTTP_ADMIN;
        return true;
    }
    char scratch[HTTP_KEY_TEXT_MAX + 1];
    bool by_browser;
    const struct http_text key = shown_key(&request->head, scratch, &by_browser);
    const int64_t now_ms = http_now_ns(server) / 1000000;
    const uint64_t source = source_hash(request, "", 0);
    uint32_t left_ms;
    const bool known = key.at != NULL && http_keys_check(server->options.keys, key.at, key.len,
                                                         &request->role, request->key_name);
    const uint64_t proof = known ? source_hash(request, request->key_name, 1) : 0;
    if (key.at != NULL && http_limiter_count(server->failures, source, 0, now_ms, &left_ms) >=
                              server->options.failures_per_minute) {
        /* A guesser learns nothing, not even by guessing right; whoever worked from here before
         * goes on working. */
        if (!known || http_limiter_count(server->proven, proof, 0, now_ms, NULL) == 0) {
            request->role = HTTP_OPEN;
            request->key_name[0] = '\0';
            if (route->role == HTTP_OPEN)
                return true;
            refuse_busy_source(request, left_ms);
            return false;
        }
    }
    if (known) {
        http_limiter_count(server->proven, proof, 1, now_ms, NULL);
        atomic_store_explicit(&request->connection->keyed, true, memory_order_relaxed);
    }
    if (route->role == HTTP_OPEN || (known && request->role >= route->role))
        return true;
    if (key.at != NULL && !known)
        http_limiter_count(server->failures, source, 1, now_ms, NULL);
    refuse_key(request, known, key.at != NULL);
    return false;
}

/* A page on another site can make a browser send a POST here, with a body of its choice but without
 * our key header. Where no such header was needed or shown, its Origin must be ours or a configured
 * one. */
static bool check_origin(struct http_request *request)
{
    const struct http_head *head = &request->head;
    const bool changes = strcmp(request->route->method, "GET") != 0;
    if (!changes || head->origin.at == NULL || request->allow_origin != NULL)
        return true;
    const bool deliberate =
        head->api_key.at != NULL ||
        (head->authorization.len > 6 && !http_same_nocase(head->authorization.at, 6, "Basic "));
    const bool keyed = request->key_name[0] != '\0';
    if ((deliberate && keyed) || http_policy_same_origin(head->origin, head->host))
        return true;
    http_refuse(request, HTTP_REFUSED_ORIGIN, 403, "This origin may not do that");
    return false;
}

static bool check_rate(struct http_request *request)
{
    struct http_server *server = request->server;
    const struct http_route *route = request->route;
    if (route->rate_per_minute == 0 || atomic_load(&server->rates_lifted))
        return true;
    const size_t index = (size_t)(route - server->routes.all);
    uint64_t source;
    if (request->key_name[0] == '\0') {
        source = source_hash(request, "", index + 2);
    } else {
        struct {
            uint64_t salt;
            char name[HTTP_KEY_NAME_MAX + 8];
        } key;
        memset(&key, 0, sizeof key);
        key.salt = index + 2;
        memcpy(key.name, request->key_name, strlen(request->key_name));
        source = fw_hash_keyed(&key, sizeof key);
    }
    uint32_t left_ms;
    const uint32_t count =
        http_limiter_count(server->rates, source, 1, http_now_ns(server) / 1000000, &left_ms);
    if (count <= route->rate_per_minute)
        return true;
    char text[64];
    snprintf(text, sizeof text, "Rate limit exceeded: %u per 1 minute", route->rate_per_minute);
    http_refuse(request, HTTP_REFUSED_RATE, 429, text);
    request->answer.retry_after_s = (int)((left_ms + 999) / 1000);
    request->answer.rate_limit = route->rate_per_minute;
    return false;
}

static bool check_body(struct http_request *request)
{
    struct http_server *server = request->server;
    const struct http_head *head = &request->head;
    const struct http_text coding = head->content_encoding;
    request->has_body = head->chunked || head->content_length > 0;
    request->body_max = request->route->body_max;
    if (!request->has_body)
        return true;
    const bool identity =
        coding.at == NULL || coding.len == 0 || http_same_nocase(coding.at, coding.len, "identity");
    const char *own = request->route->coding;
    const bool as_sent = identity || (own != NULL && http_same_nocase(coding.at, coding.len, own));
    if (!as_sent && !http_same_nocase(coding.at, coding.len, "gzip") &&
        !http_same_nocase(coding.at, coding.len, "x-gzip")) {
        http_refuse(request, HTTP_REFUSED_ENCODING, 415, "Only the content coding gzip is known");
        return false;
    }
    if (head->content_length > request->body_max || request->body_max == 0) {
        http_refuse(request, HTTP_REFUSED_SIZE, 413,
                    request->body_max == 0 ? "No body is taken here" : "Request body too large");
        return false;
    }
    if (atomic_load_explicit(&server->bodies_held, memory_order_relaxed) + head->content_length >
        server->options.bodies_bytes_max) {
        http_refuse(request, HTTP_REFUSED_BUSY, 503, "Too many uploads at once; try again");
        request->answer.retry_after_s = 1;
        return false;
    }
    if (!as_sent && (request->inflate = http_inflate_new()) == NULL) {
        http_refuse(request, HTTP_REFUSED_BUSY, 503, "Out of memory; try again");
        return false;
    }
    /* One byte more than the limit tells "too long" from "just fits"; it also holds the terminator.
     */
    fw_buf_init(&request->body, request->body_max + 1);
    return true;
}

void http_admit(struct http_request *request, const char *method, const char *version)
{
    struct http_server *server = request->server;
    const struct http_head *head = &request->head;
    struct http_fault fault = check_head(request, method, version);
    request->has_body = head->chunked || head->content_length > 0;
    if (fault.text != NULL) {
        refuse_fault(request, fault);
        return;
    }
    request->head_only = strcmp(method, "HEAD") == 0;
    if (!http_policy_host(server->policy, head->host)) {
        http_refuse(request, HTTP_REFUSED_HOST, 400,
                    "Invalid host header: server.host_names does not have it");
        return;
    }
    if (head->origin.at != NULL)
        request->allow_origin = http_policy_origin(server->policy, head->origin);
    if (strcmp(method, "OPTIONS") == 0 && head->origin.at != NULL &&
        head->preflight_method.at != NULL) {
        answer_preflight(request);
        return;
    }
    fault = http_target_parse(&request->target, request->text, request->target_len);
    if (fault.text != NULL) {
        refuse_fault(request, fault);
        return;
    }
    const struct http_path *path = http_routes_find(&server->routes, &request->target,
                                                    request->parameter_at, &request->n_parameters);
    if (path == NULL) {
        http_refuse(request, HTTP_REFUSED_ROUTE, 404, "Not Found");
        return;
    }
    const int index = http_method_index(method);
    if (index < 0 || path->routes[index] == NULL) {
        http_refuse(request, HTTP_REFUSED_ROUTE, 405, "Method Not Allowed");
        request->answer.allow = path->allow;
        return;
    }
    request->route = path->routes[index];
    request->operation = server->routes.operation_of[request->route - server->routes.all];
    if (check_key(request) && check_origin(request) && check_rate(request))
        (void)check_body(request);
}
