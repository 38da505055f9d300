/* What the files of src/notify share: ledger.c (who knows what), ledger_store.c (on disk),
 * message.c (bytes of a message), post.c and exec.c (on its way), receiver.c (one thread's work),
 * notify.c (the threads). */
#ifndef FW_NOTIFY_NOTIFY_INTERNAL_H
#define FW_NOTIFY_NOTIFY_INTERNAL_H

#include "base/buf.h"
#include "base/json.h"
#include "base/rng.h"
#include "notify/notify.h"

#include <pthread.h>
#include <stdatomic.h>

/* ---- the ledger: one receiver's knowledge, used by its thread alone ---- */

enum notify_told { NOTIFY_NOTHING, NOTIFY_FIRING, NOTIFY_RESOLVED };

/* An alert at one severity: to receivers a change of severity is an end and a beginning, since
 * labels are identity. */
struct notify_entry {
    struct alert alert; /* as seen last; what becomes a label stays as it was first seen */
    char metric[SCHEMA_METRIC_NAME_MAX + 1];
    struct label_set *labels; /* of the server when it was first seen; NULL: none */
    bool over;
    int64_t over_ms;
    enum notify_told told; /* what the receiver has accepted */
    int64_t told_ms;
    bool acknowledged;
    char acknowledged_by[ALERT_PERSON_MAX + 1];
    bool seen;  /* in the list that is being read */
    bool dirty; /* differs from the store */
    bool gone;  /* leaves the ledger, and the store first */
};

struct notify_rules {
    enum notify_kind kind;
    enum alert_severity min_severity;
    bool send_resolved;
    size_t queue_max;
    int64_t resend_ms; /* Alertmanager: of what fires, and of what is over for RESOLVE_KEEP_MS */
    int64_t repeat_ms; /* others; 0: never */
};
enum { NOTIFY_RESOLVE_KEEP_MS = 15 * 60 * 1000, NOTIFY_BATCH_MAX = 100 };

struct notify_ledger {
    struct notify_rules rules;
    const struct schema *schema;
    struct label_source labels;    /* of servers; set after notify_ledger_init() */
    struct notify_entry **entries; /* by alert id, then severity */
    size_t count, cap;
    uint64_t dropped;
    int64_t synced_ms; /* of the newest list read; 0: none */
};

void notify_ledger_init(struct notify_ledger *ledger, const struct notify_rules *rules,
                        const struct schema *schema);
void notify_ledger_fini(struct notify_ledger *ledger);
/* Makes the ledger follow the list and its marks (parallel; NULL: none). False: out of memory; it
 * is tried again with the next list. */
bool notify_ledger_sync(struct notify_ledger *ledger, const struct alert_list *list,
                        const struct alert_mark *marks, int64_t now_ms);
/* What to tell now: an Alertmanager any of its alerts, others those of one server. At most
 * NOTIFY_BATCH_MAX; 0: nothing is due. */
size_t notify_ledger_collect(struct notify_ledger *ledger, int64_t now_ms,
                             struct notify_entry *batch[NOTIFY_BATCH_MAX]);
/* The receiver has accepted them, or refused them for good. */
void notify_ledger_accepted(struct notify_ledger *ledger, struct notify_entry *const *batch,
                            size_t n, int64_t now_ms);
/* When something is due next: wall clock; INT64_MAX: never. */
int64_t notify_ledger_due_ms(const struct notify_ledger *ledger, int64_t now_ms);
size_t notify_ledger_waiting(const struct notify_ledger *ledger);
/* Removes what is gone. */
void notify_ledger_sweep(struct notify_ledger *ledger);
/* Takes over `entry`. False: out of memory, and it is freed. */
bool notify_ledger_add(struct notify_ledger *ledger, struct notify_entry *entry);
/* With what it holds; NULL does nothing. */
void notify_entry_free(struct notify_entry *entry);
/* Gives an entry a copy of its labels. False: out of memory. */
bool notify_entry_label(struct notify_entry *entry, const struct label_set *labels);

bool notify_ledger_has(const struct notify_ledger *ledger, uint64_t id,
                       enum alert_severity severity);

/* ledger_store.c. Entries are blobs of namespace "receiver", key "<receiver>/<id>-<severity>". */
#define NOTIFY_NAMESPACE "receiver"
FW_MUST_CHECK enum fw_status notify_ledger_load(struct notify_ledger *ledger,
                                                struct store_state *state, const char *receiver,
                                                struct fw_error *err);
/* They were in another namespace while instances had names that a receiver could have as well.
 * Adds what it has for `older` and the ledger has not, to be saved. */
#define NOTIFY_NAMESPACE_OLDER "notify"
FW_MUST_CHECK enum fw_status notify_ledger_inherit(struct notify_ledger *ledger,
                                                   struct store_state *state, const char *older,
                                                   struct fw_error *err);
/* Writes what changed in one transaction, and sweeps. */
FW_MUST_CHECK enum fw_status notify_ledger_save(struct notify_ledger *ledger,
                                                struct store_state *state, const char *receiver,
                                                struct fw_error *err);

/* ---- messages ---- */

struct notify_context {
    const char *receiver;     /* its name */
    const char *external_url; /* without a slash at the end */
    const struct notify_labels *labels;
    uint32_t step_s;
    int64_t resend_ms;
};
/* The body of POST /api/v2/alerts. */
void notify_put_alertmanager(struct fw_buf *out, const struct notify_context *context,
                             struct notify_entry *const *batch, size_t n, int64_t now_ms);
/* Alertmanager's webhook message, version 4; the batch is one server's. */
void notify_put_webhook(struct fw_buf *out, const struct notify_context *context,
                        struct notify_entry *const *batch, size_t n);

/* ---- on its way ---- */

enum notify_outcome { NOTIFY_ACCEPTED, NOTIFY_FAILED, NOTIFY_REJECTED };
struct notify_answer {
    enum notify_outcome outcome;
    char text[256]; /* why not; never the receiver's own words */
};
/* True ends a delivery. */
typedef bool (*notify_interrupted_fn)(void *ctx);

/* Redirects are not followed, at most 64 KiB of the answer are read, and none of it is shown. */
void notify_post(const char *url, const char *token_file, unsigned timeout_s, const char *body,
                 size_t len, notify_interrupted_fn interrupted, void *ctx,
                 struct notify_answer *answer);
/* Runs the program, without a shell and with an empty environment but for PATH, in a group of its
 * own that is killed when time is up. The message is its standard input, its output is read and
 * dropped. Exit code 0: accepted. The process must ignore SIGPIPE. */
void notify_exec(const char *command, unsigned timeout_s, const char *body, size_t len,
                 notify_interrupted_fn interrupted, void *ctx, struct notify_answer *answer);

/* ---- one receiver ---- */

/* Of [notify], as a receiver works with it; copied, so that a reload changes nothing under its
 * thread. */
struct notify_general {
    char external_url[NOTIFY_TEXT_MAX + 1]; /* without a slash at the end */
    struct notify_labels labels;
    uint32_t resend_s;
};

struct notify_receiver {
    struct notifier *notifier;
    struct notify_receiver_settings settings;
    struct notify_general general;
    char name[NOTIFY_NAME_MAX + 8];  /* the receiver's, or "am:2": no receiver is called so */
    char older[NOTIFY_NAME_MAX + 8]; /* what its entries were kept under before: "am-2" */
    char url[NOTIFY_TEXT_MAX + 32];
    pthread_t thread;
    bool started;
    _Atomic bool stopping; /* this one alone */
    struct notify_ledger ledger;
    uint64_t generation, synced_generation; /* of the list taken last, and of the one followed */
    unsigned failures;                      /* in a row */
    int64_t retry_ns;                       /* monotonic: not before */
    struct fw_rng jitter;                   /* of the waiting: receivers must not knock in step */
    bool store_failing, rejected_told;

    /* For notifier_statistics(). */
    _Atomic bool failing_now, store_failing_now;
    _Atomic uint64_t delivered, failed, rejected, dropped;
    _Atomic size_t held, waiting;
};

enum { NOTIFY_INSTANCES_MAX = NOTIFY_RECEIVERS_MAX * NOTIFY_URLS_MAX };

struct notifier {
    struct notifier_options options; /* `settings` and `external_url` only while it is made */
    char external_url[NOTIFY_TEXT_MAX + 1]; /* where the settings have none */
    pthread_mutex_t lock;                   /* of the next four */
    pthread_cond_t change;
    const struct alert_list *list; /* of the newest outlook; NULL before the first */
    uint64_t generation;
    bool stop;
    _Atomic bool stopping;   /* the same, for interrupted() */
    pthread_mutex_t members; /* of the next two, which only a reload changes */
    size_t receiver_count;
    struct notify_receiver *receivers[NOTIFY_INSTANCES_MAX];
};

/* Receivers as the settings have them, one for each instance of an Alertmanager, without ledgers
 * and threads. On failure *n is 0. */
FW_MUST_CHECK enum fw_status notify_receivers_make(struct notifier *notifier,
                                                   const struct notify_settings *settings,
                                                   struct notify_receiver **out, size_t *n,
                                                   struct fw_error *err);
void notify_receiver_free(struct notify_receiver *receiver);
/* Starts its thread. FW_EIO. */
FW_MUST_CHECK enum fw_status notify_receiver_start(struct notify_receiver *receiver,
                                                   struct fw_error *err);
/* Waits for its end; it has been told to stop. */
void notify_receiver_join(struct notify_receiver *receiver);
/* Ledgers of receivers that there are no more leave the store. */
void notify_forget_strangers(struct notifier *notifier);

/* The thread. */
void *notify_receiver_main(void *receiver);

#endif
