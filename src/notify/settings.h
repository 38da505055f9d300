/* What an operator says about deliveries: the sections [notify] and [receiver NAME] of the
 * configuration (docs/alerting.md). Pure functions. */
#ifndef FW_NOTIFY_SETTINGS_H
#define FW_NOTIFY_SETTINGS_H

#include "alert/alert.h"

enum {
    NOTIFY_RECEIVERS_MAX = 16,
    NOTIFY_NAME_MAX = 32, /* bytes of [0-9A-Za-z_-] */
    NOTIFY_TEXT_MAX = 511,
    NOTIFY_LABELS_MAX = 8,
    NOTIFY_LABEL_MAX = 127, /* bytes of a label's name or value */
    NOTIFY_URLS_MAX = 8,    /* instances of one Alertmanager */
    NOTIFY_ARGUMENTS_MAX = 16,
};

enum notify_kind { NOTIFY_ALERTMANAGER, NOTIFY_WEBHOOK, NOTIFY_EXEC, NOTIFY_KINDS };
const char *notify_kind_name(enum notify_kind kind); /* "alertmanager", "webhook", "exec" */

/* Labels that every alert carries. */
struct notify_labels {
    size_t count;
    struct {
        char name[NOTIFY_LABEL_MAX + 1], value[NOTIFY_LABEL_MAX + 1];
    } items[NOTIFY_LABELS_MAX];
};

struct notify_receiver_settings {
    char name[NOTIFY_NAME_MAX + 1];
    bool has_kind;
    enum notify_kind kind;
    char url[NOTIFY_TEXT_MAX + 1];     /* http(s); of an Alertmanager a comma list, each is told */
    char command[NOTIFY_TEXT_MAX + 1]; /* exec: program and arguments between blanks; no shell */
    char token_file[NOTIFY_TEXT_MAX + 1]; /* its first line is sent as a bearer token */
    enum alert_severity min_severity;
    bool send_resolved;
    uint32_t timeout_s; /* of one delivery */
    uint32_t repeat_s;  /* webhook, exec: told again while it fires and nobody has acknowledged it;
                           0: never */
    uint32_t queue_max; /* alerts held for it */
};

struct notify_settings {
    char external_url[NOTIFY_TEXT_MAX + 1]; /* where people reach us; "": the address listened on */
    struct notify_labels labels;
    uint32_t resend_s; /* to Alertmanager, while an alert fires */
    bool inhibit; /* warnings of a server whose critical alert fires, or which is silent, wait */
    size_t receiver_count;
    struct notify_receiver_settings receivers[NOTIFY_RECEIVERS_MAX];
};

void notify_settings_default(struct notify_settings *settings);
/* One line of [notify] (`receiver` NULL) or of [receiver NAME], which begins to exist by it.
 * FW_EINVAL: err names section, key and what was expected; FW_ELIMIT: too many receivers. */
FW_MUST_CHECK enum fw_status notify_settings_set(struct notify_settings *settings,
                                                 const char *receiver, const char *key,
                                                 const char *value, struct fw_error *err);
/* What only the whole can tell: a receiver without a kind or an address. FW_EINVAL. */
FW_MUST_CHECK enum fw_status notify_settings_check(const struct notify_settings *settings,
                                                   struct fw_error *err);

/* The index-th item of a comma list, blanks around it cut; false when there is none or when it is
 * longer than NOTIFY_TEXT_MAX. */
bool notify_list_item(const char *list, size_t index, char out[NOTIFY_TEXT_MAX + 1]);

#endif
