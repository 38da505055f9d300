/* The model registry: /admin/models, /admin/reload-model, /admin/model-info (contract 8.1-8.3). */
#include "api/api_internal.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/log.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PATH_SIZE = 4096, BODY_DEPTH = 4 };

static void put_path(struct fw_buf *buf, const char *key, const char *dir, const char *name)
{
    char path[PATH_SIZE];
    const int len = snprintf(path, sizeof path, "%s/%s", dir, name);
    fw_buf_json_key(buf, key);
    fw_buf_json_string(buf, path, len < (int)sizeof path ? (size_t)len : sizeof path - 1);
}

/* What is embedded lies in no directory: its name stands for it. */
static void put_model_path(struct fw_buf *buf, const char *key, const struct api *api,
                           const struct api_model *model)
{
    if (model->embedded)
        api_put_text(buf, key, model->name);
    else
        put_path(buf, key, api->options.models_dir, model->name);
}

static bool current_model(const struct api *api, struct api_model *model)
{
    memset(model, 0, sizeof *model);
    return api->parts.models.current != NULL &&
           api->parts.models.current(api->parts.models.ctx, model);
}

static void put_current(struct fw_buf *buf, const struct api *api, const char *key)
{
    struct api_model model;
    if (current_model(api, &model)) {
        put_model_path(buf, key, api, &model);
    } else {
        fw_buf_json_key(buf, key);
        fw_buf_puts(buf, "null");
    }
}

/* ---- 8.1 ---- */

struct listing {
    const struct api *api;
    struct fw_buf *buf;
    struct api_zone zone;
    size_t count;
};

static void put_training(struct fw_buf *buf, const struct api_model *model)
{
    if (model->epochs < 0)
        return;
    fw_buf_puts(buf, ",\"training\":{");
    api_put_int(buf, "epochs", model->epochs);
    fw_buf_puts(buf, ",\"training_time\":null,\"servers_trained\":null}");
}

static void put_size(struct fw_buf *buf, const struct api_model *model, const struct api_zone *zone)
{
    if (model->size_bytes >= 0) {
        fw_buf_puts(buf, ",\"size_mb\":");
        api_put_number(buf, (double)model->size_bytes / 1048576.0, 2);
    }
    if (model->modified_ms > 0) {
        fw_buf_putc(buf, ',');
        api_put_time_pair(buf, "modified", model->modified_ms, zone);
        fw_buf_putc(buf, ',');
        api_put_time_pair(buf, "created", model->modified_ms, zone);
    }
}

static void put_model(void *ctx, const struct api_model *model)
{
    struct listing *listing = ctx;
    struct fw_buf *buf = listing->buf;
    fw_buf_puts(buf, listing->count++ > 0 ? ",{" : "{");
    put_path(buf, "path", listing->api->options.models_dir, model->name);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "name", model->name);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "timestamp", model->timestamp);
    fw_buf_putc(buf, ',');
    api_put_bool(buf, "is_current", model->current);
    put_size(buf, model, &listing->zone);
    put_training(buf, model);
    fw_buf_puts(buf, ",\"val_loss\":");
    api_put_number(buf, model->val_loss, 6);
    fw_buf_puts(buf, ",\"coverage\":");
    api_put_number(buf, model->coverage, 4);
    fw_buf_puts(buf, ",\"parent\":null,");
    api_put_text(buf, "state", model->current ? "active" : "archived");
    fw_buf_puts(buf, ",\"sha256\":");
    if (model->sha256[0] != '\0')
        fw_buf_json_string(buf, model->sha256, strlen(model->sha256));
    else
        fw_buf_puts(buf, "null");
    fw_buf_putc(buf, '}');
}

void api_get_models(void *ctx, struct http_request *request)
{
    struct api *api = ctx;
    struct fw_buf buf;
    struct listing listing = {.api = api, .buf = &buf};
    struct fw_error err = {0};
    if (!api_ready(api, request) || !api_query_zone(request, api, &listing.zone))
        return;
    fw_buf_init(&buf, API_REPLY_MAX);
    fw_buf_puts(&buf, "{\"models\":[");
    enum fw_status status = FW_OK;
    if (api->parts.models.list != NULL)
        status = api->parts.models.list(api->parts.models.ctx, put_model, &listing, &err);
    fw_buf_puts(&buf, "],");
    api_put_int(&buf, "count", (int64_t)listing.count);
    fw_buf_putc(&buf, ',');
    api_put_text(&buf, "models_dir", api->options.models_dir);
    fw_buf_putc(&buf, ',');
    put_current(&buf, api, "current_model");
    if (status != FW_OK && status != FW_ENOTFOUND) {
        fw_buf_putc(&buf, ',');
        api_put_text(&buf, "error", "The models directory cannot be read");
        FW_LOG_WARN("models", "list failed: %s", err.text);
    }
    fw_buf_putc(&buf, '}');
    api_reply_buf(request, &buf);
}

/* ---- 8.2 ---- */

struct reload {
    struct api *api;
    struct http_request *request;
    char name[128]; /* "": the newest */
};

/* A path as the list shows it, or a bare name -> the bare name. Everything that could lead out of
 * the directory is refused here as text; the registry opens beneath its directory besides. */
static bool bare_name(const char *models_dir, const char *path, char name[128])
{
    static const char allowed[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "._-";
    const size_t dir_len = strlen(models_dir);
    if (strncmp(path, models_dir, dir_len) == 0 && path[dir_len] == '/')
        path += dir_len + 1;
    else if (strncmp(path, "models/", 7) == 0)
        path += 7;
    const size_t len = strlen(path);
    if (len == 0 || len > 127 || path[0] == '.' || strspn(path, allowed) != len)
        return false;
    memcpy(name, path, len + 1);
    return true;
}

static void put_failure(struct fw_buf *buf, const struct api *api, const char *error)
{
    fw_buf_puts(buf, "{\"success\":false,");
    api_put_text(buf, "error", error);
    fw_buf_putc(buf, ',');
    put_current(buf, api, "current_model");
    fw_buf_putc(buf, '}');
}

static void reply_failure(struct reload *reload, const char *error)
{
    struct fw_buf buf;
    fw_buf_init(&buf, 65536);
    put_failure(&buf, reload->api, error);
    api_reply_buf(reload->request, &buf);
}

static void put_reloaded(struct fw_buf *buf, const struct api *api, bool had,
                         const struct api_model *before, const struct api_model *model)
{
    fw_buf_puts(buf, "{\"success\":true,\"message\":\"Model reloaded successfully\",");
    if (had)
        put_model_path(buf, "previous_model", api, before);
    else
        fw_buf_puts(buf, "\"previous_model\":null");
    fw_buf_putc(buf, ',');
    put_model_path(buf, "new_model", api, model);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "model_timestamp", model->timestamp);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "model", model->name);
    fw_buf_putc(buf, '}');
}

static void put_same(struct fw_buf *buf, const struct api *api, const struct api_model *model)
{
    fw_buf_puts(buf, "{\"success\":true,\"message\":\"Model already loaded (same version)\",");
    put_model_path(buf, "model_path", api, model);
    fw_buf_putc(buf, ',');
    api_put_text(buf, "model", model->name);
    fw_buf_putc(buf, '}');
}

static void reload_job(void *ctx)
{
    struct reload *reload = ctx;
    struct api *api = reload->api;
    const struct api_models *models = &api->parts.models;
    struct api_model before, model = {0};
    struct fw_error err = {0};
    const bool had = current_model(api, &before);
    const enum api_reload result =
        models->reload(models->ctx, reload->name[0] == '\0' ? NULL : reload->name, &model, &err);
    struct fw_buf buf;
    fw_buf_init(&buf, 65536);
    if (result == API_RELOADED) {
        put_reloaded(&buf, api, had, &before, &model);
    } else if (result == API_RELOAD_SAME) {
        put_same(&buf, api, &model);
    } else if (result == API_RELOAD_NONE) {
        put_failure(&buf, api, "No model found");
    } else {
        char text[512];
        snprintf(text, sizeof text, "Model load failed, rolled back to the previous model: %s",
                 err.text);
        put_failure(&buf, api, text);
    }
    api_reply_buf(reload->request, &buf);
}

/* The body form of the documentation: {"model_path": "..."}. False after a 422. */
static bool body_path(struct http_request *request, const char **path)
{
    size_t len;
    const char *body = http_request_body(request, &len);
    if (len == 0)
        return true;
    struct fw_json_parser *parser = fw_json_parser_new(65536, BODY_DEPTH);
    struct fw_json_value root, value;
    const char *text = NULL;
    size_t text_len = 0;
    bool good = parser != NULL && fw_json_parse(parser, body, len, &root, NULL) == FW_OK &&
                fw_json_type(root) == FW_JSON_OBJECT;
    if (good && fw_json_get(root, "model_path", &value) && fw_json_type(value) != FW_JSON_NULL) {
        text = fw_json_string(value, &text_len);
        char *copy = text != NULL && strlen(text) == text_len
                         ? http_request_alloc(request, text_len + 1)
                         : NULL;
        good = copy != NULL;
        if (good)
            memcpy(copy, text, text_len);
        *path = copy;
    }
    fw_json_parser_free(parser);
    if (!good)
        api_reply_invalid(request, &(struct api_invalid){.where = "body",
                                                         .name = "model_path",
                                                         .index = -1,
                                                         .type = "string_type",
                                                         .msg = "Input should be an object with "
                                                                "the string model_path"});
    return good;
}

void api_reload_model(void *ctx, struct http_request *request)
{
    struct api *api = ctx;
    const char *path = http_request_query(request, "model_path");
    if (!api_ready(api, request) || (path == NULL && !body_path(request, &path)))
        return;
    struct reload *reload = http_request_alloc(request, sizeof *reload);
    if (reload == NULL) {
        api_reply_busy(request, 503, 1, "out of memory");
        return;
    }
    reload->api = api;
    reload->request = request;
    if (api->parts.models.reload == NULL) {
        reply_failure(reload, "No model found");
        return;
    }
    if (path != NULL && path[0] != '\0' &&
        !bare_name(api->options.models_dir, path, reload->name)) {
        reply_failure(reload, "No model of that name in the models directory");
        return;
    }
    http_defer(request);
    if (!api_pool_submit(api->admin, reload_job, reload))
        api_reply_busy(request, 503, 5, "a model is being loaded already");
}

/* ---- 8.3 ---- */

void api_get_model_info(void *ctx, struct http_request *request)
{
    struct api *api = ctx;
    struct api_model model;
    struct fw_buf buf;
    if (!api_ready(api, request))
        return;
    fw_buf_init(&buf, 65536);
    if (!current_model(api, &model)) {
        fw_buf_puts(&buf, "{\"loaded\":false,\"mode\":\"heuristic\"}");
        api_reply_buf(request, &buf);
        return;
    }
    struct fleet_counts counts;
    fleet_counts(api->parts.fleet, &counts);
    fw_buf_puts(&buf, "{\"loaded\":true,\"mode\":\"tft\",");
    put_model_path(&buf, "model_path", api, &model);
    fw_buf_putc(&buf, ',');
    api_put_text(&buf, "model_name", model.name);
    fw_buf_putc(&buf, ',');
    api_put_text(&buf, "model_timestamp", model.timestamp);
    fw_buf_puts(&buf, ",\"config\":{");
    api_put_int(&buf, "max_prediction_length", model.prediction_steps);
    fw_buf_putc(&buf, ',');
    api_put_int(&buf, "max_encoder_length", model.encoder_steps);
    fw_buf_puts(&buf, "},\"servers\":{");
    api_put_int(&buf, "total", (int64_t)counts.servers);
    fw_buf_putc(&buf, ',');
    api_put_int(&buf, "known", model.known_servers < 0 ? 0 : model.known_servers);
    fw_buf_puts(&buf, "},\"sha256\":");
    if (model.sha256[0] != '\0')
        fw_buf_json_string(&buf, model.sha256, strlen(model.sha256));
    else
        fw_buf_puts(&buf, "null");
    fw_buf_putc(&buf, '}');
    api_reply_buf(request, &buf);
}
