/* Query parameters: each is checked, and nonsense is answered 422 as the reference's framework
 * does it. Names that nobody knows are ignored, as there. */
#include "api/api_internal.h"
#include "base/text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool refuse(struct http_request *request, const char *name, const char *type,
                   const char *msg, const char *input)
{
    api_reply_invalid(
        request,
        &(struct api_invalid){
            .where = "query", .name = name, .index = -1, .type = type, .msg = msg, .input = input});
    return false;
}

bool api_query_int(struct http_request *request, const char *name, int64_t min, int64_t max,
                   int64_t *value)
{
    const char *text = http_request_query(request, name);
    if (text == NULL)
        return true;
    char *end;
    errno = 0;
    const long long parsed = strtoll(text, &end, 10);
    const bool digits = text[0] != '\0' && strspn(text, "+-0123456789") == strlen(text);
    if (!digits || *end != '\0' || errno != 0)
        return refuse(request, name, "int_parsing",
                      "Input should be a valid integer, unable to parse string as an integer",
                      text);
    char msg[80];
    if (parsed < min) {
        snprintf(msg, sizeof msg, "Input should be greater than or equal to %lld", (long long)min);
        return refuse(request, name, "greater_than_equal", msg, text);
    }
    if (parsed > max) {
        snprintf(msg, sizeof msg, "Input should be less than or equal to %lld", (long long)max);
        return refuse(request, name, "less_than_equal", msg, text);
    }
    *value = parsed;
    return true;
}

bool api_query_number(struct http_request *request, const char *name, double min, double max,
                      double *value)
{
    const char *text = http_request_query(request, name);
    if (text == NULL)
        return true;
    char *end;
    const double parsed = strtod(text, &end);
    const bool plain = text[0] != '\0' && strspn(text, "+-.0123456789eE") == strlen(text);
    if (!plain || *end != '\0' || !isfinite(parsed))
        return refuse(request, name, "float_parsing",
                      "Input should be a valid number, unable to parse string as a number", text);
    if (parsed < min || parsed > max) {
        char msg[80];
        snprintf(msg, sizeof msg, "Input should be between %g and %g", min, max);
        return refuse(request, name, "value_error", msg, text);
    }
    *value = parsed;
    return true;
}

bool api_query_bool(struct http_request *request, const char *name, bool *value)
{
    static const char *const words[2][6] = {
        {"false", "0", "no",  "off", "f", "n"},
        {"true",  "1", "yes", "on",  "t", "y"}
    };
    const char *text = http_request_query(request, name);
    if (text == NULL)
        return true;
    char lower[8] = "";
    for (size_t i = 0; i < sizeof lower - 1 && text[i] != '\0'; i++)
        lower[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
    for (int truth = 0; truth < 2; truth++)
        for (size_t i = 0; i < COUNT(words[truth]); i++)
            if (strlen(text) < sizeof lower && strcmp(lower, words[truth][i]) == 0) {
                *value = truth == 1;
                return true;
            }
    return refuse(request, name, "bool_parsing",
                  "Input should be a valid boolean, unable to interpret input", text);
}

bool api_query_word(struct http_request *request, const char *name, const char *const *words,
                    size_t n, size_t *index)
{
    const char *text = http_request_query(request, name);
    if (text == NULL)
        return true;
    for (size_t i = 0; i < n; i++)
        if (strcmp(text, words[i]) == 0) {
            *index = i;
            return true;
        }
    char msg[512] = "Input should be ";
    size_t len = strlen(msg);
    for (size_t i = 0; i < n && len < sizeof msg; i++)
        len += (size_t)snprintf(msg + len, sizeof msg - len, "%s'%s'",
                                i == 0 ? "" : (i + 1 == n ? " or " : ", "), words[i]);
    return refuse(request, name, "literal_error", msg, text);
}

bool api_query_zone(struct http_request *request, const struct api *api, struct api_zone *zone)
{
    struct fw_error err = {0};
    char msg[sizeof err.text + 64];
    *zone = api->zone;
    const char *text = http_request_query(request, "tz");
    const enum fw_status status = text == NULL ? FW_OK : api_zone_parse(text, zone, &err);
    if (status == FW_OK)
        return true;
    if (status == FW_EINVAL)
        snprintf(msg, sizeof msg,
                 "Input should be 'naive', 'utc', '+hh:mm' or a name as 'Europe/Berlin'");
    else
        snprintf(msg, sizeof msg, "Input should be a time zone that is there: %s", err.text);
    return refuse(request, "tz", "value_error", msg, text);
}

/* Walks a comma list; false at its end. */
static bool next_word(const char **at, const char **word, size_t *len)
{
    if (**at == '\0')
        return false;
    *word = *at;
    *len = strcspn(*at, ",");
    *at += *len;
    if (**at == ',')
        (*at)++;
    return true;
}

bool api_query_metrics(struct http_request *request, const struct schema *schema, uint64_t *mask)
{
    const char *text = http_request_query(request, "metrics");
    if (text == NULL)
        return true;
    const char *at = text, *word;
    size_t len;
    *mask = 0;
    while (next_word(&at, &word, &len)) {
        const int metric = schema_find(schema, word, len);
        if (metric < 0)
            return refuse(request, "metrics", "value_error",
                          "Input should be a comma list of known metrics", text);
        *mask |= (uint64_t)1 << metric;
    }
    return true;
}

static bool query_quantiles(struct http_request *request, unsigned *quantiles)
{
    static const char *const names[] = {"p10", "p50", "p90"};
    const char *text = http_request_query(request, "quantiles");
    if (text == NULL)
        return true;
    const char *at = text, *word;
    size_t len;
    *quantiles = 0;
    while (next_word(&at, &word, &len)) {
        unsigned bit = 0;
        for (size_t i = 0; i < COUNT(names); i++)
            if (len == 3 && memcmp(word, names[i], 3) == 0)
                bit = 1u << i;
        if (bit == 0)
            return refuse(request, "quantiles", "value_error",
                          "Input should be a comma list of p10, p50, p90", text);
        *quantiles |= bit;
    }
    return true;
}

bool api_query_view(struct http_request *request, const struct api *api, struct api_view *view)
{
    static const char *const levels[] = {"configured", "forewarn", "argus-counts"};
    int64_t steps = view->steps, decimals = view->decimals;
    size_t counting = view->counting;
    if (!api_query_metrics(request, api->options.schema, &view->metrics) ||
        !query_quantiles(request, &view->quantiles) ||
        !api_query_int(request, "steps", 1, FORECAST_HORIZON, &steps) ||
        !api_query_int(request, "precision", 0, API_DECIMALS_MAX, &decimals) ||
        !api_query_word(request, "levels", levels, COUNT(levels), &counting) ||
        !api_query_zone(request, api, &view->zone))
        return false;
    view->steps = (unsigned)steps;
    view->decimals = (int)decimals;
    view->counting = (enum api_counting)counting;
    return true;
}

static bool add_pattern(struct http_request *request, struct api_selection *selection,
                        const char *name, const char *pattern)
{
    if (pattern[0] == '\0')
        return true;
    if (selection->count == API_PATTERNS_MAX)
        return refuse(request, name, "too_long", "At most 64 servers or patterns can be named",
                      NULL);
    selection->patterns[selection->count++] = pattern;
    if (strpbrk(pattern, "*?") != NULL)
        selection->globs = true;
    return true;
}

static bool add_list(struct http_request *request, struct api_selection *selection,
                     const char *text)
{
    char *copy = http_request_alloc(request, strlen(text) + 1);
    if (copy == NULL) {
        api_reply_busy(request, 503, 1, "out of memory");
        return false;
    }
    memcpy(copy, text, strlen(text) + 1);
    char *rest = copy;
    while (rest != NULL) {
        char *word = rest;
        rest = strchr(rest, ',');
        if (rest != NULL)
            *rest++ = '\0';
        if (!add_pattern(request, selection, "servers", word))
            return false;
    }
    return true;
}

bool api_query_selection(struct http_request *request, struct api_selection *selection)
{
    *selection = (struct api_selection){0};
    for (size_t i = 0; i < http_request_query_count(request); i++) {
        const char *name = http_request_query_name(request, i);
        const char *value = http_request_query_value(request, i);
        if (strcmp(name, "server") == 0 && !add_pattern(request, selection, name, value))
            return false;
        if (strcmp(name, "servers") == 0 && !add_list(request, selection, value))
            return false;
    }
    return true;
}

bool api_selected(const struct api_selection *selection, const char *name)
{
    if (selection->count == 0)
        return true;
    for (size_t i = 0; i < selection->count; i++)
        if (strcmp(selection->patterns[i], name) == 0 ||
            (selection->globs && fw_glob_match(selection->patterns[i], name)))
            return true;
    return false;
}
