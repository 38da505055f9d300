#include "api/prom.h"

#include <string.h>

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    const char low = (char)(c | 0x20);
    return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

/* In place: '+' is a blank, %XX a byte. False: a broken escape or a NUL. */
static bool decode(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        char c = *from == '+' ? ' ' : *from;
        if (c == '%') {
            const int high = hex(from[1]), low = high >= 0 ? hex(from[2]) : -1;
            if (low < 0 || high * 16 + low == 0)
                return false;
            c = (char)(high * 16 + low);
            from += 2;
        }
        *to++ = c;
    }
    *to = '\0';
    return true;
}

static bool add(struct prom_params *params, const char *name, const char *value)
{
    if (params->count == PROM_PARAMS_MAX)
        return false;
    params->items[params->count].name = name;
    params->items[params->count++].value = value;
    return true;
}

/* NAME=VALUE&NAME=VALUE..., cut up in place. */
static bool read_form(char *form, struct prom_params *params)
{
    for (char *at = form; at != NULL;) {
        char *end = strchr(at, '&');
        if (end != NULL)
            *end++ = '\0';
        char *value = strchr(at, '=');
        if (value != NULL)
            *value++ = '\0';
        if (*at != '\0' && (!decode(at) || (value != NULL && !decode(value)) ||
                            !add(params, at, value != NULL ? value : "")))
            return false;
        at = end;
    }
    return true;
}

bool prom_params_read(struct http_request *request, struct prom_params *params)
{
    size_t len;
    const char *body = http_request_body(request, &len);
    params->count = 0;
    for (size_t i = 0; i < http_request_query_count(request); i++)
        if (!add(params, http_request_query_name(request, i), http_request_query_value(request, i)))
            return false;
    if (len == 0)
        return true;
    char *form = http_request_alloc(request, len + 1);
    if (form == NULL || memchr(body, '\0', len) != NULL)
        return false;
    memcpy(form, body, len);
    return read_form(form, params);
}

const char *prom_param(const struct prom_params *params, const char *name)
{
    for (size_t i = 0; i < params->count; i++)
        if (strcmp(params->items[i].name, name) == 0)
            return params->items[i].value;
    return NULL;
}
