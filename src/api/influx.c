/* Influx line protocol: POST /write (v1), POST /api/v2/write, and what their clients ask besides
 * (docs/inputs.md).
 *
 * Telegraf drops what gets a 400, halves and repeats what gets a 413, repeats what gets a 503, so:
 * 204 stored, 400 something can never be taken (what was good is stored), 413 too many samples, 503
 * later. */
#include "api/series.h"

#include "http/negotiate.h"
#include "ingest/influx.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

struct influx_request {
    struct api_series_request series; /* first */
    enum line_precision precision;
    struct influx_refusal first;
};

/* What clients take for the server's version; some look at its first digit. */
static const char influx_version[] = "1.8-forewarn-" FW_VERSION;

/* ---- answers ---- */

static void reply_json(struct http_request *request, int status, int retry_after_s,
                       struct fw_buf *buf)
{
    http_reply(request, &(struct http_reply){.status = status,
                                             .body = http_body_new_take(buf),
                                             .retry_after_s = retry_after_s});
}

/* {"error":TEXT} */
static void reply_v1(struct http_request *request, int status, const char *text)
{
    struct fw_buf buf;
    fw_buf_init(&buf, 8192);
    fw_buf_puts(&buf, "{\"error\":");
    fw_buf_json_string(&buf, text, strlen(text));
    fw_buf_putc(&buf, '}');
    reply_json(request, status, status == 503, &buf);
}

/* {"code":CODE,"message":TEXT[,"line":LINE]} */
static void reply_v2(struct http_request *request, int status, const char *code, const char *text,
                     size_t line)
{
    struct fw_buf buf;
    fw_buf_init(&buf, 8192);
    fw_buf_puts(&buf, "{\"code\":");
    fw_buf_json_string(&buf, code, strlen(code));
    fw_buf_puts(&buf, ",\"message\":");
    fw_buf_json_string(&buf, text, strlen(text));
    if (line > 0)
        fw_buf_printf(&buf, ",\"line\":%zu", line);
    fw_buf_putc(&buf, '}');
    reply_json(request, status, status == 503, &buf);
}

static void later_v1(struct http_request *request, const char *text)
{
    reply_v1(request, 503, text);
}

static void later_v2(struct http_request *request, const char *text)
{
    reply_v2(request, 503, "unavailable", text, 0);
}

static void refused_v1(struct api_series_request *r, enum fw_status status,
                       const struct fw_error *err)
{
    reply_v1(r->request, status == FW_ELIMIT ? 413 : 400, err->text);
}

static void refused_v2(struct api_series_request *r, enum fw_status status,
                       const struct fw_error *err)
{
    const bool large = status == FW_ELIMIT;
    reply_v2(r->request, large ? 413 : 400, large ? "request too large" : "invalid", err->text, 0);
}

/* The words of both: what of the body was not stored, and the first reason. */
static const char *refusal_text(const struct api_series_request *r,
                                const struct api_submitted *result, char *text, size_t size)
{
    const struct influx_request *request = (const struct influx_request *)r;
    const struct batch_error *error = &result->batch->errors[0];
    if (request->first.line != 0)
        snprintf(text, size, "partial write: %s dropped=%zu", request->first.text,
                 result->rejected);
    else /* by the fleet: too many servers */
        snprintf(text, size, "partial write: %s%s%s (%s) dropped=%zu", error->server_name,
                 error->server_name[0] != '\0' ? ": " : "", error->text,
                 batch_reason_name(error->reason), result->rejected);
    return text;
}

static void taken_v1(struct api_series_request *r, const struct api_submitted *result)
{
    char text[512];
    if (result->rejected == 0)
        http_reply(r->request, &(struct http_reply){.status = 204});
    else
        reply_v1(r->request, 400, refusal_text(r, result, text, sizeof text));
}

static void taken_v2(struct api_series_request *r, const struct api_submitted *result)
{
    const struct influx_request *request = (const struct influx_request *)r;
    char text[512];
    if (result->rejected == 0)
        http_reply(r->request, &(struct http_reply){.status = 204});
    else
        reply_v2(r->request, 400, "invalid", refusal_text(r, result, text, sizeof text),
                 request->first.line);
}

/* ---- the way in ---- */

static enum fw_status read_body(struct api_series_request *r, struct series_gather *gather,
                                struct fw_error *err)
{
    struct influx_request *request = (struct influx_request *)r;
    size_t len;
    const char *body = http_request_body(r->request, &len);
    return influx_read(gather, body, len, request->precision, fw_clock_wall_ms(r->api->clock),
                       &request->first, err);
}

static const struct api_series_kind version_1 = {
    API_INFLUX, read_body, refused_v1, taken_v1, later_v1,
};
static const struct api_series_kind version_2 = {
    API_INFLUX, read_body, refused_v2, taken_v2, later_v2,
};

static void take_write(struct api *api, struct http_request *request,
                       const struct api_series_kind *kind)
{
    const char *precision = http_request_query(request, "precision");
    struct influx_request *r;
    if (!atomic_load(&api->attached)) {
        kind->later(request, "starting");
        return;
    }
    if ((r = http_request_alloc(request, sizeof *r)) == NULL) {
        kind->later(request, "out of memory");
        return;
    }
    r->series = (struct api_series_request){.kind = kind, .api = api, .request = request};
    if (line_precision_parse(precision != NULL ? precision : "", &r->precision)) {
        api_series_request(&r->series);
        return;
    }
    struct fw_error err = {0};
    (void)fw_fail(&err, FW_EINVAL, "invalid precision \"%.16s\" (use n, u, ms, s, m or h)",
                  precision);
    kind->refused(&r->series, FW_EINVAL, &err);
}

void api_influx_write(void *ctx, struct http_request *request)
{
    take_write(ctx, request, &version_1);
}

void api_influx_write_v2(void *ctx, struct http_request *request)
{
    take_write(ctx, request, &version_2);
}

/* ---- what clients ask besides ---- */

void api_influx_ping(void *ctx, struct http_request *request)
{
    (void)ctx;
    http_reply(request, &(struct http_reply){.status = 204,
                                             .extra_name = "X-Influxdb-Version",
                                             .extra_value = influx_version});
}

/* The value of `q` in a form body; false when it has none. Only its first words are looked at. */
static bool form_query(struct http_request *request, char *out, size_t size)
{
    size_t len, n = 0;
    const char *body = http_request_body(request, &len);
    const char *at = strncmp(body, "q=", 2) == 0 ? body : strstr(body, "&q=");
    if (at == NULL)
        return false;
    for (at = strchr(at, '=') + 1; *at != '\0' && *at != '&' && n + 1 < size; at++)
        out[n++] = *at == '+' ? ' ' : *at;
    out[n] = '\0';
    return true;
}

/* Telegraf's v1 output makes its database before it writes: here, any name will do. */
void api_influx_query(void *ctx, struct http_request *request)
{
    static const char create[] = "create database";
    char form[64] = "";
    const char *query = http_request_query(request, "q");
    (void)ctx;
    if (query == NULL)
        query = form_query(request, form, sizeof form) ? form : "";
    size_t i = 0;
    while (create[i] != '\0' && tolower((unsigned char)query[i]) == create[i])
        i++;
    if (create[i] != '\0') {
        reply_v1(request, 400,
                 "only CREATE DATABASE is answered here; forecasts and data are at /api/v1");
        return;
    }
    struct fw_buf buf;
    fw_buf_init(&buf, 256);
    fw_buf_puts(&buf, "{\"results\":[{\"statement_id\":0}]}");
    reply_json(request, 200, 0, &buf);
}
