#include "web/web.h"

#include "web/web_internal.h"

#include <string.h>

const char web_policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' "
    "data:; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'";

const struct web_asset *web_assets(size_t *count)
{
    *count = web_embedded_count;
    return web_embedded;
}

const struct web_asset *web_find(const char *name)
{
    for (size_t i = 0; i < web_embedded_count; i++)
        if (strcmp(web_embedded[i].name, name) == 0)
            return &web_embedded[i];
    return NULL;
}
