/* Bodies of GET /predictions/current: the whole one rendered once per outlook, filtered ones once
 * per outlook and query. */
#ifndef FW_API_PREDICTIONS_H
#define FW_API_PREDICTIONS_H

#include "api/render.h"

enum api_field {
    API_FIELD_PREDICTIONS = 1,
    API_FIELD_ALERTS = 2,
    API_FIELD_ENVIRONMENT = 4,
    API_FIELD_METADATA = 8,
    API_FIELD_SUMMARY = 16,
    API_FIELDS = 31,
};

/* Where a server stands in a finished body. */
struct api_fragment {
    uint64_t at;
    uint32_t len; /* of `"name":{...}` */
};

/* What goes into one body. */
struct api_body_plan {
    const struct outlook *outlook;
    uint64_t records; /* held by the windows: decides whether there is too little */
    struct api_view view;
    unsigned fields;       /* enum api_field, or-ed */
    const uint32_t *order; /* indices into the set, or NULL: all */
    size_t count;          /* of `order`, or of all */
    bool paged;            /* with a `page` object: */
    size_t total, offset, limit;
    const uint32_t *alert_servers;  /* (count) ascending: alerts of these alone; NULL: all */
    struct label_source labels;     /* of the alerts' servers */
    const struct alert_mark *marks; /* parallel to the outlook's alerts; NULL: none */
    const char *model_dir;
    /* Where servers that have not changed can be copied from; may be NULL. */
    const struct outlook *earlier;
    const char *earlier_bytes;
    const struct api_fragment *earlier_fragments;
    size_t earlier_count;
    /* Whose threads render blocks of servers side by side (forecaster_spread()); NULL: the caller
     * renders alone. The same body either way. */
    struct forecaster *workers;
};

/* Writes the body. Servers that do not fit buf->max are left out, and the body says
 * `"truncated":true` and where to go on. `fragments` (count) may be NULL; *written is how many
 * servers were. Check buf->failed. */
void api_render_body(struct fw_buf *buf, const struct api_body_plan *plan,
                     struct api_fragment *fragments, size_t *written);

/* An outlook without servers, for the time before the first run. Owns nothing. */
void api_empty_outlook(struct outlook *outlook, const struct schema *schema, uint32_t step_s,
                       int64_t now_ms, uint64_t records);

#endif
