/* POST /api/v1/write: Prometheus remote write 1.0 (docs/prometheus.md).
 *
 * Senders drop what gets a 4xx and repeat what gets a 5xx, for ever and in order, so the status
 * says only that: 204 stored, 400 never send this again (what was good in it is stored), 503 later.
 */
#include "api/series.h"

#include "http/negotiate.h"

#include <stdio.h>
#include <string.h>

/* ---- answers ---- */

static void reply_text(struct http_request *request, int status, int retry_after_s,
                       const char *text)
{
    struct fw_buf buf;
    fw_buf_init(&buf, 4096);
    fw_buf_puts(&buf, text);
    fw_buf_putc(&buf, '\n');
    http_reply(request, &(struct http_reply){.status = status,
                                             .content_type = "text/plain; charset=utf-8",
                                             .body = http_body_new_take(&buf),
                                             .retry_after_s = retry_after_s});
}

static void reply_later(struct http_request *request, const char *text)
{
    reply_text(request, 503, 1, text);
}

static void reply_taken(struct api_series_request *r, const struct api_submitted *result)
{
    char text[512];
    if (result->rejected == 0) {
        http_reply(r->request, &(struct http_reply){.status = 204});
        return;
    }
    const struct batch_error *first = &result->batch->errors[0];
    snprintf(text, sizeof text, "%zu refused, the others stored; the first: %s%s%s (%s)",
             result->rejected, first->server_name, first->server_name[0] != '\0' ? ": " : "",
             first->text, batch_reason_name(first->reason));
    reply_text(r->request, 400, 0, text);
}

static void reply_refused(struct api_series_request *r, enum fw_status status,
                          const struct fw_error *err)
{
    (void)status;
    reply_text(r->request, 400, 0, err->text);
}

/* ---- the way in ---- */

static enum fw_status read_body(struct api_series_request *r, struct series_gather *gather,
                                struct fw_error *err)
{
    size_t len;
    struct fw_buf *body = &gather->body;
    const char *packed = http_request_body(r->request, &len);
    const enum fw_status status =
        remote_write_unpack(packed, len, REMOTE_WRITE_UNPACKED_MAX, body, err);
    return status == FW_OK ? series_gather_read(gather, body->data, body->len, err) : status;
}

static const struct api_series_kind remote_write = {
    .protocol = API_REMOTE_WRITE,
    .gather = read_body,
    .refused = reply_refused,
    .taken = reply_taken,
    .later = reply_later,
};

/* NULL: the headers are those of version 1.0. */
static const char *wrong_headers(const struct http_request *request)
{
    const char *type = http_request_header(request, "Content-Type");
    const char *coding = http_request_header(request, "Content-Encoding");
    if (type == NULL || strncmp(type, "application/x-protobuf", 22) != 0 ||
        (type[22] != '\0' && type[22] != ';' && type[22] != ' '))
        return "expected Content-Type: application/x-protobuf";
    const char *proto = strstr(type, "proto=");
    if (proto != NULL && strstr(proto, "prometheus.WriteRequest") == NULL)
        return "only remote write 1.0 (prometheus.WriteRequest) is known here";
    if (coding == NULL || !http_same_nocase(coding, strlen(coding), "snappy"))
        return "expected Content-Encoding: snappy";
    return NULL;
}

void api_remote_write(void *ctx, struct http_request *request)
{
    struct api *api = ctx;
    if (!api_ready(api, request))
        return;
    const char *wrong = wrong_headers(request);
    if (wrong != NULL) {
        reply_text(request, 415, 0, wrong);
        return;
    }
    struct api_series_request *r = http_request_alloc(request, sizeof *r);
    if (r == NULL) {
        reply_later(request, "out of memory");
        return;
    }
    *r = (struct api_series_request){.kind = &remote_write, .api = api, .request = request};
    api_series_request(r);
}
