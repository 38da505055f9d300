#include "http/guard.h"

#include "base/status.h"
#include "http/negotiate.h"

#include <string.h>

static const struct http_fault fine;

static struct http_fault bad(const char *text)
{
    return (struct http_fault){400, text};
}

struct http_fault http_guard_method(const char *method)
{
    size_t len = 0;
    for (; method[len] != '\0'; len++)
        if (method[len] < 'A' || method[len] > 'Z' || len == 16)
            return bad("Malformed method");
    return len == 0 ? bad("Malformed method") : fine;
}

struct http_fault http_guard_version(const char *version)
{
    if (strcmp(version, "HTTP/1.1") == 0 || strcmp(version, "HTTP/1.0") == 0)
        return fine;
    return bad("Only HTTP/1.0 and HTTP/1.1 are spoken here");
}

struct http_fault http_guard_target(const char *target, size_t len)
{
    if (len == 0 || target[0] != '/')
        return bad("The request target must be a path");
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)target[i];
        if (c <= ' ' || c >= 0x7f || c == '#' || c == '\\')
            return bad("The request target holds a byte that must be percent-encoded");
    }
    return fine;
}

static bool token_char(unsigned char c)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != '\0' && strchr(others, c) != NULL);
}

static bool is_token(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!token_char((unsigned char)text[i]))
            return false;
    return len > 0;
}

static bool clean_value(const char *value, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)value[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

struct http_fault http_guard_header(struct http_head *head, const char *name, size_t name_len,
                                    const char *value, size_t value_len)
{
    const struct {
        const char *name;
        struct http_text *text;
        const char *twice; /* the fault when it comes twice; NULL: the first counts */
    } known[] = {
        {"Host",                           &head->host,              "More than one Host"             },
        {"Content-Length",                 &head->length_text,       "More than one Content-Length"   },
        {"Transfer-Encoding",              &head->transfer_encoding, "More than one Transfer-Encoding"},
        {"X-API-Key",                      &head->api_key,           "More than one X-API-Key"        },
        {"Authorization",                  &head->authorization,     "More than one Authorization"    },
        {"Origin",                         &head->origin,            "More than one Origin"           },
        {"Content-Encoding",               &head->content_encoding,  "More than one Content-Encoding" },
        {"Expect",                         &head->expect,            "More than one Expect"           },
        {"Accept-Encoding",                &head->accept_encoding,   NULL                             },
        {"If-None-Match",                  &head->if_none_match,     NULL                             },
        {"Access-Control-Request-Method",  &head->preflight_method,  NULL                             },
        {"Access-Control-Request-Headers", &head->preflight_headers, NULL                             },
    };
    head->lines++;
    if (!is_token(name, name_len))
        return bad("Malformed header name");
    if (!clean_value(value, value_len))
        return bad("Control byte in a header value");
    http_trim(&value, &value_len);
    for (size_t i = 0; i < COUNT(known); i++) {
        if (!http_same_nocase(name, name_len, known[i].name))
            continue;
        if (known[i].text->at == NULL)
            *known[i].text = (struct http_text){value, value_len};
        else if (known[i].twice != NULL)
            return bad(known[i].twice);
        break;
    }
    return fine;
}

/* At most 18 digits, so that it fits 64 bits with room to add. */
static struct http_fault read_length(struct http_head *head)
{
    const struct http_text text = head->length_text;
    if (text.len == 0)
        return bad("Malformed Content-Length");
    uint64_t length = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return bad("Malformed Content-Length");
        if (i < 18)
            length = length * 10 + (uint64_t)(text.at[i] - '0');
    }
    if (text.len > 18)
        return (struct http_fault){413, "Request body too large"};
    head->content_length = length;
    return fine;
}

struct http_fault http_guard_finish(struct http_head *head)
{
    if (head->host.at == NULL)
        return bad("Host is missing");
    if (head->transfer_encoding.at != NULL) {
        if (head->length_text.at != NULL)
            return bad("Content-Length with Transfer-Encoding");
        if (!http_same_nocase(head->transfer_encoding.at, head->transfer_encoding.len, "chunked"))
            return bad("Only the transfer coding \"chunked\" is known");
        head->chunked = true;
    }
    if (head->length_text.at != NULL) {
        const struct http_fault fault = read_length(head);
        if (fault.text != NULL)
            return fault;
    }
    if (head->expect.at != NULL &&
        !http_same_nocase(head->expect.at, head->expect.len, "100-continue"))
        return (struct http_fault){417, "Expectation failed"};
    return fine;
}

void http_wire_begin(struct http_wire *wire, const char *method, size_t target_len,
                     const char *version)
{
    wire->start = method;
    /* One blank after the method, one after the target. */
    const bool close_by = version == method + strlen(method) + 1 + target_len + 1;
    wire->next = close_by ? version + strlen(version) + 2 : NULL;
}

void http_wire_header(struct http_wire *wire, const char *name, size_t name_len, const char *value,
                      size_t value_len)
{
    /* Between a name and its value lie the colon and blanks that were skipped. */
    const bool in_place = wire->next != NULL && wire->next == name && value > name + name_len;
    wire->next = in_place ? value + value_len + 2 : NULL;
}

bool http_wire_whole(const struct http_wire *wire, size_t head_size)
{
    return wire->next != NULL && wire->next + 2 == wire->start + head_size;
}

bool http_wire_chunk(const char *gap, size_t len, uint64_t max)
{
    if (len >= 2 && gap[0] == '\r' && gap[1] == '\n') {
        gap += 2;
        len -= 2;
    }
    if (len < 3 || len > 15 + 2 || gap[len - 2] != '\r' || gap[len - 1] != '\n')
        return false;
    uint64_t size = 0;
    for (size_t i = 0; i < len - 2; i++) {
        const char c = gap[i];
        const char lower = (char)(c | 0x20);
        if (c >= '0' && c <= '9')
            size = size * 16 + (uint64_t)(c - '0');
        else if (lower >= 'a' && lower <= 'f')
            size = size * 16 + (uint64_t)(lower - 'a' + 10);
        else
            return false;
    }
    return size <= max;
}
