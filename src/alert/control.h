/* What people say to alerts: acknowledgements and silences, and what follows from them for each
 * alert of a list: silenced, inhibited, acknowledged (docs/alerting.md).
 *
 * Everything is durable before a function returns FW_OK, and journalled as events of kind
 * ALERT_ACTION_KIND in the same transaction. All functions are thread-safe. */
#ifndef FW_ALERT_CONTROL_H
#define FW_ALERT_CONTROL_H

#include "alert/alert.h"
#include "base/zone.h"
#include "domain/labels.h"

enum {
    ALERT_SILENCES_MAX = 1000,
    ALERT_ACKS_MAX = 10000,
    ALERT_PATTERN_MAX = 128, /* bytes of a pattern */
    ALERT_PERSON_MAX = 64,
    ALERT_COMMENT_MAX = 512,
    ALERT_SILENCE_ID_SIZE = 17, /* 16 hex digits */
    ALERT_SILENCE_LABELS_MAX = 8,
    ALERT_ACTIONS_MAX = 50000, /* of the journal; older ones go */
    ALERT_ACTIONS_DAYS = 366,  /* and those that are older than this */
};

/* Which alerts, when, and why. Patterns are globs; "" fits everything. */
struct alert_silence {
    char id[ALERT_SILENCE_ID_SIZE];
    char server[ALERT_PATTERN_MAX + 1];
    char metric[SCHEMA_METRIC_NAME_MAX + 1]; /* a glob as well; "server_silent" is a metric here */
    struct label_set labels;    /* of the server; values are globs, all must be there */
    enum profile profile;       /* PROFILE_UNKNOWN: any */
    int severity;               /* enum alert_severity; -1: any */
    int64_t starts_ms, ends_ms; /* ends_ms INT64_MAX: until somebody ends it */
    /* Recurring: only on these days of the week (bit 0: Monday), from so many minutes after
     * midnight by the zone's clock, for so long as it is everywhere. days 0: all the time. */
    uint8_t days;
    uint16_t from_minute;
    uint16_t length_minutes;
    int16_t zone_minutes;                 /* so far from UTC, when the zone has no name */
    char zone_name[FW_ZONE_NAME_MAX + 1]; /* "Europe/Berlin" */
    const struct fw_zone *zone;           /* its rules; NULL: no name, or they are not to be had */
    char created_by[ALERT_PERSON_MAX + 1];
    char comment[ALERT_COMMENT_MAX + 1];
    int64_t created_ms;
};

/* Whether the silence holds at that moment, and when that changes next (INT64_MAX: never); of
 * windows that follow one another without a gap, a moment in a week or so until which it does not.
 * Without its zone's rules it does not hold. Pure. */
bool alert_silence_holds(const struct alert_silence *silence, int64_t now_ms, int64_t *changes_ms);
/* Finds the rules of the zone's name, where there is one and they are missing. As fw_zone_find().
 */
FW_MUST_CHECK enum fw_status alert_silence_find_zone(struct alert_silence *silence,
                                                     struct fw_error *err);
/* It recurs by the clock of a zone whose rules were not to be had. */
static inline bool alert_silence_lacks_zone(const struct alert_silence *silence)
{
    return silence->days != 0 && silence->zone_name[0] != '\0' && silence->zone == NULL;
}
/* Whether it is about the alert, whose server has these labels. Pure. */
bool alert_silence_fits(const struct alert_silence *silence, const struct schema *schema,
                        const struct alert *alert, const struct label_set *labels);
/* FW_EINVAL: nothing is chosen, no such days, ends before it starts, a recurring one without a
 * length or without its zone's rules; err names the field as the API has it. */
FW_MUST_CHECK enum fw_status alert_silence_check(const struct alert_silence *silence,
                                                 struct fw_error *err);

/* Of one alert of a list. */
struct alert_mark {
    char silenced_by[ALERT_SILENCE_ID_SIZE]; /* "": not silenced */
    uint64_t inhibited_by;                   /* id of another alert of the server; 0: not */
    bool acknowledged;
    int64_t acknowledged_ms;
    char acknowledged_by[ALERT_PERSON_MAX + 1];
    char acknowledged_comment[ALERT_COMMENT_MAX + 1];
};
static inline bool alert_mark_suppressed(const struct alert_mark *mark)
{
    return mark->silenced_by[0] != '\0' || mark->inhibited_by != 0;
}

struct alert_control;
struct alert_control_options {
    const struct schema *schema;
    struct store_state *state;  /* NULL: nothing is kept */
    struct label_source labels; /* of servers, for silences that choose by them */
    bool inhibit; /* warnings wait while a critical alert of the server, or its silence, fires */
    /* Called after every change, on the changer's thread. May be NULL. */
    void (*changed)(void *ctx);
    void *ctx;
};
/* Reads namespaces "silence" and "ack"; what is damaged is logged and passed over, and so is, once,
 * a zone that is not there. */
FW_MUST_CHECK enum fw_status alert_control_open(const struct alert_control_options *options,
                                                struct alert_control **out, struct fw_error *err);
void alert_control_close(struct alert_control *control); /* NULL does nothing */
/* Switches inhibition; any time. */
void alert_control_inhibit(struct alert_control *control, bool inhibit);
/* Replaces what is called after changes; before anything changes. */
void alert_control_listen(struct alert_control *control, void (*changed)(void *ctx), void *ctx);

/* Marks for each alert of the list (`marks` has list->count). Silences that are over are not in
 * force; an acknowledgement is until the alert resolves or becomes more severe than it was. */
void alert_control_mark(struct alert_control *control, const struct alert_list *list,
                        int64_t now_ms, struct alert_mark *marks);

/* id, created_ms are filled in. FW_EINVAL: alert_silence_check(); FW_ELIMIT; FW_EIO, FW_ENOSPC. */
FW_MUST_CHECK enum fw_status alert_control_silence(struct alert_control *control,
                                                   struct alert_silence *silence, int64_t now_ms,
                                                   struct fw_error *err);
/* Ends it now. FW_ENOTFOUND: no such silence, or it was over. */
FW_MUST_CHECK enum fw_status alert_control_end_silence(struct alert_control *control,
                                                       const char *id, const char *by,
                                                       int64_t now_ms, struct fw_error *err);
/* Acknowledges an alert that is not resolved; a second time replaces who, when and why. */
FW_MUST_CHECK enum fw_status alert_control_acknowledge(struct alert_control *control,
                                                       const struct alert *alert, const char *by,
                                                       const char *comment, int64_t now_ms,
                                                       struct fw_error *err);
/* Takes it back. FW_ENOTFOUND: there is none. */
FW_MUST_CHECK enum fw_status alert_control_unacknowledge(struct alert_control *control,
                                                         const struct alert *alert, const char *by,
                                                         int64_t now_ms, struct fw_error *err);
/* Forgets acknowledgements of alerts that are not in the list or resolved, and silences that have
 * been over for a week; looks again for zones that were not there; once an hour also what the
 * journal holds beyond its bounds. Once a minute. */
void alert_control_tidy(struct alert_control *control, const struct alert_list *list,
                        int64_t now_ms);

/* Copies of all silences, newest first; *out is the caller's (fw_free). FW_ENOMEM. */
FW_MUST_CHECK enum fw_status alert_control_silences(struct alert_control *control,
                                                    struct alert_silence **out, size_t *n,
                                                    struct fw_error *err);

/* What was done, as events: subject is the server (or the silence's pattern), data
 * {"action":"acknowledged|unacknowledged|silence_added|silence_ended","by":..,"comment":..,
 * "alert_id"|"silence_id":..,...}. */
#define ALERT_ACTION_KIND "alert_action"
/* The newest first; `data` is the JSON object. False stops. Visitors may not write. */
typedef bool (*alert_action_fn)(void *ctx, int64_t time_ms, const char *subject, const char *data,
                                size_t len);
FW_MUST_CHECK enum fw_status alert_control_actions(struct alert_control *control, uint64_t limit,
                                                   alert_action_fn visit, void *ctx,
                                                   struct fw_error *err);

#endif
