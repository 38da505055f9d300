/* The dashboard's pages and files: bodies made once, compressed at build time. */
#include "api/api_internal.h"

#include "base/alloc.h"
#include "http/negotiate.h"
#include "web/web.h"

#include <stdio.h>
#include <string.h>

struct api_web {
    struct http_body *bodies[WEB_ASSETS_MAX]; /* parallel to web_assets() */
};

enum fw_status api_web_new(struct api_web **out, struct fw_error *err)
{
    size_t n;
    const struct web_asset *assets = web_assets(&n);
    struct api_web *web = *out = fw_calloc(1, sizeof *web);
    if (web == NULL)
        return fw_fail(err, FW_ENOMEM, "the dashboard's files");
    for (size_t i = 0; i < n; i++) {
        web->bodies[i] = http_body_static(assets[i].bytes, assets[i].size);
        if (web->bodies[i] == NULL)
            return fw_fail(err, FW_ENOMEM, "the dashboard's files");
        http_body_set_variant(web->bodies[i], HTTP_GZIP, assets[i].gzip, assets[i].gzip_size);
    }
    return FW_OK;
}

void api_web_free(struct api_web *web)
{
    if (web == NULL)
        return;
    for (size_t i = 0; i < COUNT(web->bodies); i++)
        http_body_unref(web->bodies[i]);
    fw_free(web);
}

static void reply_with(struct api *api, struct http_request *request, const char *name,
                       const char *cache)
{
    size_t n;
    const struct web_asset *assets = web_assets(&n), *asset = web_find(name);
    if (asset == NULL) {
        http_reply_detail(request, 404, "Not Found");
        return;
    }
    http_reply(request,
               &(struct http_reply){.status = 200,
                                    .content_type = asset->type,
                                    .body = http_body_ref(api->web->bodies[asset - assets]),
                                    .etag = asset->etag,
                                    .cache_control = cache,
                                    .policy = web_policy});
}

bool api_web_root(struct api *api, struct http_request *request)
{
    const char *accept = http_request_header(request, "Accept");
    if (accept == NULL || !http_list_has(accept, strlen(accept), "text/html"))
        return false;
    reply_with(api, request, WEB_PAGE_ROOT, NULL);
    return true;
}

void api_get_page(void *ctx, struct http_request *request)
{
    reply_with(ctx, request, WEB_PAGE_BELOW, NULL);
}

void api_get_asset(void *ctx, struct http_request *request)
{
    char name[128];
    const int len = snprintf(name, sizeof name, "assets/%s", http_request_path(request, "file"));
    if (len >= (int)sizeof name)
        name[0] = '\0';
    /* The name holds a hash of the content, so it never needs to be asked for again. */
    reply_with(ctx, request, name, "public, max-age=31536000, immutable");
}
