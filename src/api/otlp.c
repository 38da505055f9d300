/* OTLP/HTTP: POST /v1/metrics (docs/inputs.md).
 *
 * Exporters repeat 429, 502, 503 and 504 and drop what gets anything else, so: 200 taken (with a
 * partial_success when something of it never can be), 400 and 413 drop it, 503 later. Answers have
 * the form of the request, protobuf or JSON. */
#include "api/series.h"

#include "http/negotiate.h"
#include "ingest/otlp.h"

#include <stdio.h>
#include <string.h>

enum { CODE_INVALID = 3, CODE_TOO_MUCH = 8, CODE_UNAVAILABLE = 14 }; /* of google.rpc.Code */

static const char protobuf[] = "application/x-protobuf";

static void reply(struct http_request *request, int status, bool json, struct fw_buf *buf)
{
    struct http_body *body = buf->len > 0 ? http_body_new_take(buf) : NULL;
    http_reply(request, &(struct http_reply){.status = status,
                                             .content_type = json ? NULL : protobuf,
                                             .body = body,
                                             .retry_after_s = status == 503});
}

/* A field of protobuf whose value is a text. */
static void put_text(struct fw_buf *buf, unsigned number, const char *text, size_t len)
{
    fw_buf_put_varint(buf, number << 3 | 2);
    fw_buf_put_varint(buf, len);
    fw_buf_put(buf, text, len);
}

static void put_number(struct fw_buf *buf, unsigned number, uint64_t value)
{
    fw_buf_put_varint(buf, number << 3);
    fw_buf_put_varint(buf, value);
}

/* google.rpc.Status: code 1, message 2. */
static void reply_status(struct http_request *request, int status, bool json, int code,
                         const char *text)
{
    struct fw_buf buf;
    fw_buf_init(&buf, 8192);
    if (json) {
        fw_buf_printf(&buf, "{\"code\":%d,\"message\":", code);
        fw_buf_json_string(&buf, text, strlen(text));
        fw_buf_putc(&buf, '}');
    } else {
        put_number(&buf, 1, (uint64_t)code);
        put_text(&buf, 2, text, strlen(text));
    }
    reply(request, status, json, &buf);
}

static void refuse(struct api_series_request *r, bool json, enum fw_status status,
                   const struct fw_error *err)
{
    const bool large = status == FW_ELIMIT;
    reply_status(r->request, large ? 413 : 400, json, large ? CODE_TOO_MUCH : CODE_INVALID,
                 err->text);
}

/* ExportMetricsServiceResponse: partial_success 1 {rejected_data_points 1, error_message 2}. */
static void take(struct api_series_request *r, bool json, const struct api_submitted *result)
{
    struct fw_buf buf, inner;
    char text[512];
    const struct batch_error *first = &result->batch->errors[0];
    fw_buf_init(&buf, 8192);
    fw_buf_init(&inner, 4096);
    if (result->rejected > 0)
        snprintf(text, sizeof text, "the first: %s%s%s (%s)", first->server_name,
                 first->server_name[0] != '\0' ? ": " : "", first->text,
                 batch_reason_name(first->reason));
    if (result->rejected == 0) {
        fw_buf_puts(&buf, json ? "{}" : "");
    } else if (json) {
        fw_buf_printf(&buf, "{\"partialSuccess\":{\"rejectedDataPoints\":\"%zu\",\"errorMessage\":",
                      result->rejected);
        fw_buf_json_string(&buf, text, strlen(text));
        fw_buf_puts(&buf, "}}");
    } else {
        put_number(&inner, 1, result->rejected);
        put_text(&inner, 2, text, strlen(text));
        put_text(&buf, 1, inner.data, inner.len);
    }
    reply(r->request, 200, json, &buf);
    fw_buf_fini(&inner);
    fw_buf_fini(&buf);
}

/* ---- the two forms ---- */

static enum fw_status read_protobuf(struct api_series_request *r, struct series_gather *gather,
                                    struct fw_error *err)
{
    size_t len;
    const char *body = http_request_body(r->request, &len);
    return otlp_read_protobuf(gather, body, len, http_request_peer(r->request), err);
}

static enum fw_status read_json(struct api_series_request *r, struct series_gather *gather,
                                struct fw_error *err)
{
    size_t len;
    const char *body = http_request_body(r->request, &len);
    return otlp_read_json(gather, body, len, http_request_peer(r->request), err);
}

static void refused_protobuf(struct api_series_request *r, enum fw_status status,
                             const struct fw_error *err)
{
    refuse(r, false, status, err);
}

static void refused_json(struct api_series_request *r, enum fw_status status,
                         const struct fw_error *err)
{
    refuse(r, true, status, err);
}

static void taken_protobuf(struct api_series_request *r, const struct api_submitted *result)
{
    take(r, false, result);
}

static void taken_json(struct api_series_request *r, const struct api_submitted *result)
{
    take(r, true, result);
}

static void later_protobuf(struct http_request *request, const char *text)
{
    reply_status(request, 503, false, CODE_UNAVAILABLE, text);
}

static void later_json(struct http_request *request, const char *text)
{
    reply_status(request, 503, true, CODE_UNAVAILABLE, text);
}

static const struct api_series_kind kinds[] = {
    {API_OTLP, read_protobuf, refused_protobuf, taken_protobuf, later_protobuf},
    {API_OTLP, read_json,     refused_json,     taken_json,     later_json    },
};

/* NULL: neither of the two. */
static const struct api_series_kind *kind_of(const struct http_request *request)
{
    const char *type = http_request_header(request, "Content-Type");
    const size_t len = type != NULL ? strcspn(type, "; ") : 0;
    if (http_same_nocase(type != NULL ? type : "", len, protobuf))
        return &kinds[0];
    return http_same_nocase(type != NULL ? type : "", len, "application/json") ? &kinds[1] : NULL;
}

void api_otlp(void *ctx, struct http_request *request)
{
    struct api *api = ctx;
    const struct api_series_kind *kind = kind_of(request);
    if (kind == NULL) {
        reply_status(request, 415, true, CODE_INVALID,
                     "expected Content-Type: application/x-protobuf or application/json");
        return;
    }
    if (!atomic_load_explicit(&api->attached, memory_order_acquire)) {
        kind->later(request, "starting");
        return;
    }
    struct api_series_request *r = http_request_alloc(request, sizeof *r);
    if (r == NULL) {
        kind->later(request, "out of memory");
        return;
    }
    *r = (struct api_series_request){.kind = kind, .api = api, .request = request};
    api_series_request(r);
}
