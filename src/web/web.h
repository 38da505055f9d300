/* The dashboard's files, embedded at build time from src/web/dist: what a browser is given for the
 * pages and what these refer to. Constant data: any thread. */
#ifndef FW_WEB_WEB_H
#define FW_WEB_WEB_H

#include <stddef.h>

enum { WEB_ASSETS_MAX = 16 };

struct web_asset {
    const char *name; /* "assets/app-5XK3.js"; [0-9A-Za-z._-] in each segment */
    const char *type; /* media type */
    const char *etag; /* changes with the content; [0-9a-f] */
    const unsigned char *bytes, *gzip;
    size_t size, gzip_size;
};

/* Every embedded file, sorted by name; at most WEB_ASSETS_MAX. */
const struct web_asset *web_assets(size_t *count);
/* By name; NULL when there is none. */
const struct web_asset *web_find(const char *name);

/* The page itself, for addresses at the root ("/") and one segment below it ("/servers/db1"): they
 * differ in how they refer to the assets, so that the dashboard also works below a proxy's prefix.
 */
#define WEB_PAGE_ROOT "index.html"
#define WEB_PAGE_BELOW "below.html"

/* What the pages may do (Content-Security-Policy): scripts, styles and connections of this origin
 * only, nothing inline, no frames, no forms, and no markup made from text. */
extern const char web_policy[];

#endif
