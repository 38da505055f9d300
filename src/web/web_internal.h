/* What tools/embed.py writes into the build folder. */
#ifndef FW_WEB_WEB_INTERNAL_H
#define FW_WEB_WEB_INTERNAL_H

#include "web/web.h"

extern const struct web_asset web_embedded[];
extern const size_t web_embedded_count;

#endif
