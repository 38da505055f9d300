#include "api/api_internal.h"

#include <string.h>

bool api_ready(struct api *api, struct http_request *request)
{
    if (atomic_load_explicit(&api->attached, memory_order_acquire))
        return true;
    api_reply_busy(request, 503, 1, "starting: windows are being rebuilt");
    return false;
}

void api_reply_busy(struct http_request *request, int status, int retry_after_s, const char *text)
{
    struct fw_buf buf;
    fw_buf_init(&buf, 4096);
    fw_buf_putc(&buf, '{');
    api_put_text(&buf, "detail", text);
    fw_buf_putc(&buf, '}');
    http_reply(request, &(struct http_reply){.status = status,
                                             .body = http_body_new_take(&buf),
                                             .retry_after_s = retry_after_s});
}

void api_reply_buf(struct http_request *request, struct fw_buf *buf)
{
    if (buf->failed) {
        fw_buf_fini(buf);
        api_reply_busy(request, 503, 1, "out of memory for this answer");
        return;
    }
    http_reply_json(request, 200, buf);
}

void api_put_invalid(struct fw_buf *buf, const struct api_invalid *invalid)
{
    fw_buf_putc(buf, '{');
    api_put_text(buf, "type", invalid->type);
    fw_buf_puts(buf, ",\"loc\":[");
    fw_buf_json_string(buf, invalid->where, strlen(invalid->where));
    if (invalid->name != NULL) {
        fw_buf_putc(buf, ',');
        fw_buf_json_string(buf, invalid->name, strlen(invalid->name));
    }
    if (invalid->index >= 0) {
        fw_buf_putc(buf, ',');
        fw_buf_put_i64(buf, invalid->index);
    }
    fw_buf_puts(buf, "],");
    api_put_text(buf, "msg", invalid->msg);
    fw_buf_puts(buf, ",\"input\":");
    if (invalid->input == NULL)
        fw_buf_puts(buf, "null");
    else
        fw_buf_json_string(buf, invalid->input, strnlen(invalid->input, 256));
    fw_buf_putc(buf, '}');
}

void api_reply_invalid(struct http_request *request, const struct api_invalid *invalid)
{
    struct fw_buf buf;
    fw_buf_init(&buf, 65536);
    fw_buf_puts(&buf, "{\"detail\":[");
    api_put_invalid(&buf, invalid);
    fw_buf_puts(&buf, "]}");
    http_reply_json(request, 422, &buf);
}
