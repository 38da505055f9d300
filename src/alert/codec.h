/* An alert as members of a JSON object: what the book, and whoever remembers an alert beside it,
 * keeps in the state store (docs/alerts.md, "What is kept"). Pure functions. */
#ifndef FW_ALERT_CODEC_H
#define FW_ALERT_CODEC_H

#include "alert/alert.h"
#include "base/buf.h"
#include "base/json.h"
#include "domain/labels.h"

/* Members from "id" to "risk", commas between them and none around. `metric` is the name. */
void alert_put_members(struct fw_buf *out, const struct alert *alert, const char *metric);
/* False: a member is missing or wrong. alert->metric is left alone: its name is in `metric`. */
/* The member "labels"; a record without it, as before there were labels, has none. */
bool alert_get_labels(struct fw_json_value root, struct label_set *labels);
bool alert_get_members(struct fw_json_value object, struct alert *alert,
                       char metric[SCHEMA_METRIC_NAME_MAX + 1]);

/* Members of an object: false when missing, of another type, or out of bounds. */
bool alert_get_int(struct fw_json_value object, const char *key, int64_t least, int64_t most,
                   int64_t *out);
/* Text without NUL, shorter than `size`. */
bool alert_get_text(struct fw_json_value object, const char *key, char *out, size_t size);

#endif
