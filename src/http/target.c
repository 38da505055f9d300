#include "http/target.h"

#include "base/text.h"

#include <assert.h>
#include <string.h>

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Decodes in place and terminates. False: broken encoding, a control byte, or not UTF-8. */
static bool decode(char *text, size_t len, bool plus_is_blank)
{
    size_t out = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '+' && plus_is_blank) {
            c = ' ';
        } else if (c == '%') {
            const int high = len - i > 2 ? hex(text[i + 1]) : -1;
            const int low = len - i > 2 ? hex(text[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(unsigned char)(high * 16 + low);
            i += 2;
        }
        if ((unsigned char)c < ' ' || c == 0x7f)
            return false;
        text[out++] = c;
    }
    text[out] = '\0';
    return fw_utf8_valid(text, out);
}

static const struct http_fault fine;
static const struct http_fault undecodable = {400, "The request target does not decode to text"};
static const struct http_fault no_such_path = {404, "Not Found"};

static struct http_fault parse_path(struct http_target *target, char *path, char *end)
{
    if (end - path > 1 && end[-1] == '/' && end[-2] != '/')
        end--;
    if (end - path <= 1)
        return fine;
    for (char *at = path + 1;;) {
        char *stop = memchr(at, '/', (size_t)(end - at));
        const bool last = stop == NULL;
        if (last)
            stop = end;
        if (target->n_segments == HTTP_SEGMENTS_MAX || stop == at)
            return no_such_path;
        if (!decode(at, (size_t)(stop - at), false))
            return undecodable;
        if (strcmp(at, ".") == 0 || strcmp(at, "..") == 0)
            return no_such_path;
        target->segments[target->n_segments++] = (uint16_t)(at - target->text);
        if (last)
            return fine;
        at = stop + 1;
    }
}

static struct http_fault parse_query(struct http_target *target, char *at, char *end)
{
    while (at < end) {
        char *stop = memchr(at, '&', (size_t)(end - at));
        if (stop == NULL)
            stop = end;
        if (stop == at) { /* "a=1&&b=2" and a lone '&' at the end say nothing */
            at = stop + 1;
            continue;
        }
        if (target->n_parameters == HTTP_PARAMETERS_MAX)
            return (struct http_fault){400, "Too many query parameters"};
        char *equals = memchr(at, '=', (size_t)(stop - at));
        char *value = equals == NULL ? stop : equals + 1;
        const size_t name_len = (size_t)((equals == NULL ? stop : equals) - at);
        if (!decode(at, name_len, true))
            return undecodable;
        if (equals != NULL && !decode(value, (size_t)(stop - value), true))
            return undecodable;
        if (equals == NULL)
            value = at + strlen(at); /* its terminator: the empty text */
        target->parameters[target->n_parameters].name = (uint16_t)(at - target->text);
        target->parameters[target->n_parameters].value = (uint16_t)(value - target->text);
        target->n_parameters++;
        at = stop + 1;
    }
    return fine;
}

struct http_fault http_target_parse(struct http_target *target, char *text, size_t len)
{
    assert(len > 0 && len <= HTTP_TARGET_MAX && text[0] == '/');
    target->text = text;
    target->n_segments = target->n_parameters = 0;
    char *end = text + len;
    *end = '\0';
    char *query = memchr(text, '?', len);
    const struct http_fault fault = parse_path(target, text, query == NULL ? end : query);
    if (fault.text != NULL || query == NULL)
        return fault;
    return parse_query(target, query + 1, end);
}

/* The segment of a pattern that begins at `at`. */
static size_t pattern_segment(const char *at)
{
    return strcspn(at, "/");
}

bool http_target_fits(const struct http_target *target, const char *pattern,
                      uint8_t at[HTTP_SEGMENTS_MAX], size_t *n_at)
{
    size_t i = 0, n = 0;
    for (pattern++; *pattern != '\0'; i++) {
        const size_t len = pattern_segment(pattern);
        if (i == target->n_segments)
            return false;
        const char *segment = http_target_segment(target, i);
        if (pattern[0] == '{')
            at[n++] = (uint8_t)i;
        else if (strncmp(segment, pattern, len) != 0 || segment[len] != '\0')
            return false;
        pattern += len;
        if (*pattern == '/')
            pattern++;
    }
    *n_at = n;
    return i == target->n_segments;
}

bool http_pattern_valid(const char *pattern)
{
    static const char plain[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
    if (pattern[0] != '/')
        return false;
    size_t segments = 0;
    for (pattern++; *pattern != '\0'; segments++) {
        const size_t len = pattern_segment(pattern);
        const bool parameter = pattern[0] == '{';
        size_t good = parameter ? 1 : 0;
        while (good < len && (strchr(plain, pattern[good]) != NULL ||
                              (!parameter && strchr(".-", pattern[good]) != NULL)))
            good++;
        if (parameter ? good < 2 || good + 1 != len || pattern[good] != '}' : good != len)
            return false;
        if (len == 0 || segments == HTTP_SEGMENTS_MAX)
            return false;
        pattern += len;
        if (*pattern == '/' && *++pattern == '\0')
            return false;
    }
    return true;
}
