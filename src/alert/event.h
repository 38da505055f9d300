/* The history of alerts: what stands in an event of kind ALERT_EVENT_KIND in the state store, as
 * JSON with the keys of API contract 7.2 (docs/alerts.md, "History"). The event's time and subject
 * are the row's timestamp and server.
 *
 * A row that opens or changes an alert is closed when the alert resolves: resolved_at and the
 * duration are filled in there. The row "resolved" carries both from the beginning. */
#ifndef FW_ALERT_EVENT_H
#define FW_ALERT_EVENT_H

#include "alert/alert.h"
#include "base/buf.h"
#include "base/json.h"

#define ALERT_EVENT_KIND "alert"

enum alert_event_type { ALERT_ESCALATION, ALERT_DE_ESCALATION, ALERT_EVENT_RESOLVED };
const char *alert_event_type_name(enum alert_event_type type); /* "escalation", ... */

enum { ALERT_SNAPSHOT_MAX = 6143 };

struct alert_event {
    uint64_t alert_id;
    enum alert_event_type type;
    char metric[SCHEMA_METRIC_NAME_MAX + 1];   /* or as alert_metric_name() has it */
    enum risk_level previous_level, new_level; /* healthy, warning, critical */
    double risk_score;
    double threshold, predicted, probability; /* NaN: none */
    uint32_t steps_ahead;
    int64_t starts_ms;
    int64_t resolved_at_ms;  /* 0: open */
    double duration_minutes; /* from starts_ms to resolved_at_ms; NaN while it is open */
    bool caused_incident;    /* the value itself passed the critical threshold */
    enum alert_reason reason;
    char snapshot[ALERT_SNAPSHOT_MAX + 1]; /* JSON text: "cpu", "memory" and every metric's newest
                                              value; "" when it is not known */
};

/* Appends the JSON object. */
void alert_event_encode(const struct alert_event *event, const char *server, struct fw_buf *out);
/* FW_EINVAL: not such an object. `parser` must take documents of 16 KiB. */
FW_MUST_CHECK enum fw_status alert_event_decode(struct fw_json_parser *parser, const void *data,
                                                size_t len, struct alert_event *event,
                                                struct fw_error *err);

#endif
