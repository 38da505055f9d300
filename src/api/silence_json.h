/* Silences as the JSON of docs/api.md. */
#ifndef FW_API_SILENCE_JSON_H
#define FW_API_SILENCE_JSON_H

#include "alert/control.h"
#include "api/text.h"
#include "base/json.h"

/* What is wrong with a body: the member ("recurrence.from") and what was expected. */
struct silence_fault {
    char where[64];
    char text[360];
};

/* Reads the object of POST /api/v1/silences; unknown members are faults. False: *fault says which.
 * `now_ms` is when it starts if it does not say. Pure. */
bool silence_read(struct fw_json_value root, int64_t now_ms, struct alert_silence *silence,
                  struct silence_fault *fault);

void silence_put(struct fw_buf *out, const struct alert_silence *silence, int64_t now_ms,
                 const struct api_zone *zone);
/* "active" while it holds, "pending" while it will or would if its zone were there, "expired". */
const char *silence_state(const struct alert_silence *silence, int64_t now_ms);

#endif
