/* Deliveries: tells receivers (Alertmanagers, webhooks, programs) which alerts fire and which are
 * over. docs/alerting.md has the rules.
 *
 * Each receiver has a thread and a ledger of its own: what it should know and what it has accepted.
 * The ledger follows the list of alerts of the newest outlook, so nothing is queued that is no
 * longer true, and it is kept in the state store (namespace "receiver"), so a restart goes on where
 * it stopped. What was accepted is written down afterwards: a crash in between tells it twice,
 * never not at all. A receiver that is dead costs itself alone. */
#ifndef FW_NOTIFY_NOTIFY_H
#define FW_NOTIFY_NOTIFY_H

#include "alert/control.h"
#include "base/clock.h"
#include "notify/settings.h"
#include "outlook/outlook.h"

struct notifier;

struct notifier_options {
    const struct notify_settings *settings; /* copied */
    const struct schema *schema;            /* outlives the notifier */
    struct store_state *state;              /* likewise; NULL: nothing is kept */
    struct label_source labels;             /* of servers */
    struct alert_control *control;          /* likewise; NULL: nothing is silenced */
    const struct fw_clock *clock;
    const char *external_url; /* used where the settings have none; copied */
    uint32_t step_s;
};

/* Reads the ledgers; nothing is sent before notifier_start(). FW_ENOMEM, FW_EIO, FW_ECORRUPT,
 * FW_EINVAL. */
FW_MUST_CHECK enum fw_status notifier_new(const struct notifier_options *options,
                                          struct notifier **out, struct fw_error *err);
/* Starts the threads. FW_EIO: no thread to be had; notifier_free() then ends those that run. */
FW_MUST_CHECK enum fw_status notifier_start(struct notifier *notifier, struct fw_error *err);
/* The board's follower: hands the outlook's alerts, written by then, to the threads. Takes a lock
 * for a moment. */
void notifier_on_outlook(void *notifier, const struct outlook *outlook);
/* Silences or acknowledgements changed: the threads look again. Any thread. */
void notifier_wake(struct notifier *notifier);
/* Takes over other settings while it runs: receivers that are new begin with what fires, those that
 * are gone lose their ledger and what waited in it, those that changed go on with their ledger, as
 * over a restart, and those that did not are not disturbed. Deliveries of the first three that are
 * under way are broken off. FW_EINVAL, FW_ENOMEM, FW_EIO: nothing changed. From the thread that
 * started it. */
FW_MUST_CHECK enum fw_status notifier_reload(struct notifier *notifier,
                                             const struct notify_settings *settings,
                                             struct fw_error *err);
/* Breaks deliveries off, without waiting until they are; the first step of an end. NULL does
 * nothing. */
void notifier_stop(struct notifier *notifier);
/* Joins the threads; what was not accepted stays in the store. NULL does nothing. */
void notifier_free(struct notifier *notifier);

/* Since the start, by receiver; an Alertmanager with several URLs is several receivers, NAME:1, ...
 */
struct notify_statistics {
    char name[NOTIFY_NAME_MAX + 8];
    enum notify_kind kind;
    bool failing;       /* the last try failed */
    uint64_t delivered; /* requests or programs that succeeded */
    uint64_t failed;    /* that failed and are tried again */
    uint64_t rejected;  /* whose content the receiver refused for good */
    uint64_t dropped;   /* alerts for which there was no room */
    size_t held;        /* alerts in the ledger */
    size_t waiting;     /* of these, with something not yet accepted */
    bool store_failing; /* the ledger cannot be written */
};
/* False: there are no more. Any thread; a reload may change who has an index. */
bool notifier_statistics(struct notifier *notifier, size_t index, struct notify_statistics *out);

#endif
