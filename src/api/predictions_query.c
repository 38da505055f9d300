/* The query of GET /predictions/current: what it asks for, its key, what it may cost. */
#include "api/predictions_internal.h"

#include "http/negotiate.h"

#include <string.h>

enum {
    KEY_MAX = 16384,
    PACKING_COST = 5, /* compressing a body costs so many times its rendering */
};

/* The one that http will choose first. */
static enum http_encoding encoding_of(const struct http_request *request)
{
    enum http_encoding encoding = HTTP_IDENTITY;
    const char *accept = http_request_header(request, "Accept-Encoding");
    if (accept != NULL)
        http_accept_encoding(accept, strlen(accept), &encoding);
    return encoding;
}

static bool query_fields(struct http_request *request, unsigned *fields)
{
    static const struct {
        const char *name;
        unsigned bit;
    } known[] = {
        {"predictions", API_FIELD_PREDICTIONS},
        {"alerts",      API_FIELD_ALERTS     },
        {"environment", API_FIELD_ENVIRONMENT},
        {"metadata",    API_FIELD_METADATA   },
        {"summary",     API_FIELD_SUMMARY    }
    };
    const char *text = http_request_query(request, "fields");
    if (text == NULL)
        return true;
    *fields = 0;
    const char *at = text;
    while (*at != '\0') {
        const size_t len = strcspn(at, ",");
        unsigned bit = 0;
        for (size_t i = 0; i < COUNT(known); i++)
            if (strlen(known[i].name) == len && memcmp(known[i].name, at, len) == 0)
                bit = known[i].bit;
        *fields |= bit;
        at += len;
        at += *at == ',';
        if (bit == 0) {
            *fields = 0;
            break;
        }
    }
    if (*fields != 0)
        return true;
    api_reply_invalid(request,
                      &(struct api_invalid){.where = "query",
                                            .name = "fields",
                                            .index = -1,
                                            .type = "value_error",
                                            .msg = "Input should be a comma list of predictions, "
                                                   "alerts, environment, metadata, summary",
                                            .input = text});
    return false;
}

bool predictions_parse(struct predictions_asked *asked)
{
    static const char *const orders[] = {"name", "risk"};
    struct http_request *request = asked->request;
    size_t order = 0;
    asked->fields = API_FIELDS;
    asked->limit = INT32_MAX;
    asked->encoding = encoding_of(request);
    api_view_default(&asked->view);
    if (!api_query_view(request, asked->api, &asked->view) ||
        !api_query_selection(request, &asked->selection) ||
        !query_fields(request, &asked->fields) ||
        !api_query_int(request, "limit", 1, INT32_MAX, &asked->limit) ||
        !api_query_int(request, "offset", 0, INT32_MAX, &asked->offset) ||
        !api_query_word(request, "sort", orders, COUNT(orders), &order))
        return false;
    asked->by_risk = order == 1;
    asked->paged = http_request_query(request, "limit") != NULL ||
                   http_request_query(request, "offset") != NULL || asked->selection.count > 0;
    return true;
}

bool predictions_key(struct predictions_asked *asked, bool *is_default)
{
    struct fw_buf key;
    struct api_view plain;
    fw_buf_init(&key, KEY_MAX);
    api_view_default(&plain);
    plain.zone = asked->api->zone;
    const struct api_view *v = &asked->view;
    const bool view_plain = v->metrics == plain.metrics && v->quantiles == plain.quantiles &&
                            v->steps == plain.steps && v->decimals == plain.decimals &&
                            v->counting == plain.counting &&
                            strcmp(api_zone_name(&v->zone), api_zone_name(&plain.zone)) == 0;
    *is_default = view_plain && !asked->paged && !asked->by_risk && asked->fields == API_FIELDS;
    fw_buf_printf(&key, "%llx|%x|%u|%d|%d|%s|%x|%lld|%lld|%d", (unsigned long long)v->metrics,
                  v->quantiles, v->steps, v->decimals, (int)v->counting, api_zone_name(&v->zone),
                  asked->fields, (long long)asked->limit, (long long)asked->offset, asked->by_risk);
    for (size_t i = 0; i < asked->selection.count; i++) {
        const char *pattern = asked->selection.patterns[i];
        fw_buf_put(&key, pattern, strlen(pattern) + 1); /* no text holds a NUL */
    }
    const bool whole = !key.failed;
    if (whole)
        fw_sha256(key.data, key.len, asked->key);
    fw_buf_fini(&key);
    return whole;
}

uint64_t predictions_cost(const struct predictions_asked *asked)
{
    const uint64_t fleet = asked->outlook->set->count;
    const bool exact = asked->selection.count > 0 && !asked->selection.globs;
    uint64_t servers = exact ? asked->selection.count : fleet;
    if ((uint64_t)asked->limit < servers)
        servers = (uint64_t)asked->limit;
    const uint64_t metrics = (uint64_t)__builtin_popcountll(
        asked->view.metrics & (((uint64_t)2 << (asked->outlook->schema->count - 1)) - 1));
    const uint64_t each =
        metrics * (uint64_t)__builtin_popcount(asked->view.quantiles) * asked->view.steps +
        asked->view.steps * 8 + 400;
    uint64_t total = asked->fields & API_FIELD_PREDICTIONS ? servers * each : 0;
    total += asked->outlook->alerts->count * 60;
    if (asked->selection.globs)
        total += fleet * asked->selection.count * 5;
    if (asked->by_risk)
        total += fleet * 20;
    return asked->encoding == HTTP_IDENTITY ? total : total * PACKING_COST;
}
