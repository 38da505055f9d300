#include "http/negotiate.h"

#include <string.h>

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool http_same_nocase(const char *text, size_t len, const char *other)
{
    for (size_t i = 0; i < len; i++)
        if (other[i] == '\0' || lower(text[i]) != lower(other[i]))
            return false;
    return other[len] == '\0';
}

void http_trim(const char **text, size_t *len)
{
    while (*len > 0 && (**text == ' ' || **text == '\t')) {
        (*text)++;
        (*len)--;
    }
    while (*len > 0 && ((*text)[*len - 1] == ' ' || (*text)[*len - 1] == '\t'))
        (*len)--;
}

/* Cuts the next element off a list separated by `separator`; false at the end. */
static bool next_element(const char **at, const char *end, char separator, const char **element,
                         size_t *len)
{
    if (*at > end)
        return false;
    const char *stop = memchr(*at, separator, (size_t)(end - *at));
    if (stop == NULL)
        stop = end;
    *element = *at;
    *len = (size_t)(stop - *at);
    *at = stop + 1;
    http_trim(element, len);
    return true;
}

bool http_list_has(const char *value, size_t len, const char *token)
{
    const char *at = value, *end = value + len, *element;
    size_t element_len;
    while (next_element(&at, end, ',', &element, &element_len))
        if (http_same_nocase(element, element_len, token))
            return true;
    return false;
}

/* A weight of RFC 9110, 12.4.2 in thousandths ("0.5", "1.000"); -1 when it is none. */
static int weight_of(const char *text, size_t len)
{
    if (len < 1 || len > 5 || (text[0] != '0' && text[0] != '1') || (len > 1 && text[1] != '.'))
        return -1;
    int thousandths = (text[0] - '0') * 1000;
    int unit = 100;
    for (size_t i = 2; i < len; i++, unit /= 10) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        thousandths += (text[i] - '0') * unit;
    }
    return thousandths > 1000 ? -1 : thousandths;
}

/* "gzip;q=0.5": the coding's name and its weight; false when the element is malformed. */
static bool coding_of(const char *element, size_t len, const char **name, size_t *name_len, int *q)
{
    const char *at = element, *end = element + len, *part;
    size_t part_len;
    *q = 1000;
    if (!next_element(&at, end, ';', name, name_len) || *name_len == 0)
        return false;
    while (next_element(&at, end, ';', &part, &part_len)) {
        if (part_len < 2 || lower(part[0]) != 'q' || part[1] != '=')
            return false;
        *q = weight_of(part + 2, part_len - 2);
        if (*q < 0)
            return false;
    }
    return true;
}

unsigned http_accept_encoding(const char *value, size_t len, enum http_encoding *best)
{
    int weights[HTTP_ENCODINGS] = {-1, -1, -1}; /* -1: not named */
    int others = 0;
    const char *at = value, *end = value + len, *element, *name;
    size_t element_len, name_len;
    int q;
    while (next_element(&at, end, ',', &element, &element_len)) {
        if (!coding_of(element, element_len, &name, &name_len, &q))
            continue;
        if (http_same_nocase(name, name_len, "gzip") || http_same_nocase(name, name_len, "x-gzip"))
            weights[HTTP_GZIP] = q;
        else if (http_same_nocase(name, name_len, "zstd"))
            weights[HTTP_ZSTD] = q;
        else if (http_same_nocase(name, name_len, "*"))
            others = q;
    }
    unsigned allowed = 0;
    int highest = 0;
    *best = HTTP_IDENTITY;
    for (int i = HTTP_ENCODINGS - 1; i > HTTP_IDENTITY; i--) {
        const int weight = weights[i] < 0 ? others : weights[i];
        if (weight > 0)
            allowed |= 1U << i;
        if (weight > highest) {
            highest = weight;
            *best = (enum http_encoding)i;
        }
    }
    return allowed;
}

bool http_none_match(const char *value, size_t len, const char *etag)
{
    const size_t etag_len = strlen(etag);
    const char *at = value, *end = value + len;
    http_trim(&at, &len);
    if (len == 1 && *at == '*')
        return true;
    for (;;) {
        while (at < end && (*at == ' ' || *at == '\t' || *at == ','))
            at++;
        if (end - at >= 2 && at[0] == 'W' && at[1] == '/')
            at += 2;
        if (at >= end || *at != '"')
            return false;
        at++;
        const char *close = memchr(at, '"', (size_t)(end - at));
        if (close == NULL)
            return false;
        if ((size_t)(close - at) == etag_len && memcmp(at, etag, etag_len) == 0)
            return true;
        at = close + 1;
        if (at < end && *at != ',' && *at != ' ' && *at != '\t')
            return false;
    }
}
