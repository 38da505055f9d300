/* Other settings for a notifier that runs: receivers come, go and change, each with its ledger. */
#include "notify/notify_internal.h"

#include "base/log.h"

#include <string.h>

struct change {
    struct notifier *notifier;
    size_t count;
    struct notify_receiver *next[NOTIFY_INSTANCES_MAX]; /* what there will be */
    struct notify_receiver *from[NOTIFY_INSTANCES_MAX]; /* who had the name; the same one stays */
};

static struct notify_receiver *find(struct notify_receiver *const *receivers, size_t n,
                                    const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(receivers[i]->name, name) == 0)
            return receivers[i];
    return NULL;
}

static bool same_receiver(const struct notify_receiver_settings *a,
                          const struct notify_receiver_settings *b)
{
    return strcmp(a->name, b->name) == 0 && a->kind == b->kind && strcmp(a->url, b->url) == 0 &&
           strcmp(a->command, b->command) == 0 && strcmp(a->token_file, b->token_file) == 0 &&
           a->min_severity == b->min_severity && a->send_resolved == b->send_resolved &&
           a->timeout_s == b->timeout_s && a->repeat_s == b->repeat_s &&
           a->queue_max == b->queue_max;
}

static bool same_general(const struct notify_general *a, const struct notify_general *b)
{
    bool same = strcmp(a->external_url, b->external_url) == 0 && a->resend_s == b->resend_s &&
                a->labels.count == b->labels.count;
    for (size_t i = 0; i < a->labels.count && same; i++)
        same = strcmp(a->labels.items[i].name, b->labels.items[i].name) == 0 &&
               strcmp(a->labels.items[i].value, b->labels.items[i].value) == 0;
    return same;
}

static bool unchanged(const struct notify_receiver *a, const struct notify_receiver *b)
{
    return same_receiver(&a->settings, &b->settings) && same_general(&a->general, &b->general) &&
           strcmp(a->url, b->url) == 0;
}

static bool stays(const struct change *change, const struct notify_receiver *receiver)
{
    for (size_t i = 0; i < change->count; i++)
        if (change->next[i] == receiver)
            return true;
    return false;
}

/* Everything that can fail for want of memory or by the store comes first. */
static enum fw_status prepare(struct change *change, const struct notify_settings *settings,
                              struct fw_error *err)
{
    struct notifier *notifier = change->notifier;
    enum fw_status status =
        notify_receivers_make(notifier, settings, change->next, &change->count, err);
    for (size_t i = 0; i < change->count && status == FW_OK; i++) {
        struct notify_receiver *old =
            find(notifier->receivers, notifier->receiver_count, change->next[i]->name);
        change->from[i] = old;
        if (old == NULL)
            status = notify_ledger_load(&change->next[i]->ledger, notifier->options.state,
                                        change->next[i]->name, err);
    }
    for (size_t i = 0; i < change->count && status != FW_OK; i++)
        notify_receiver_free(change->next[i]);
    return status;
}

static void keep_unchanged(struct change *change)
{
    for (size_t i = 0; i < change->count; i++) {
        struct notify_receiver *old = change->from[i];
        if (old == NULL || !unchanged(old, change->next[i]))
            continue;
        notify_receiver_free(change->next[i]);
        change->next[i] = old;
    }
}

static void stop_others(struct change *change)
{
    struct notifier *notifier = change->notifier;
    pthread_mutex_lock(&notifier->lock);
    for (size_t i = 0; i < notifier->receiver_count; i++)
        if (!stays(change, notifier->receivers[i]))
            atomic_store(&notifier->receivers[i]->stopping, true);
    pthread_cond_broadcast(&notifier->change);
    pthread_mutex_unlock(&notifier->lock);
    for (size_t i = 0; i < notifier->receiver_count; i++)
        if (!stays(change, notifier->receivers[i]))
            notify_receiver_join(notifier->receivers[i]);
}

/* What the old one knew and counted is the new one's: a receiver is its name. */
static void hand_over(struct notify_receiver *from, struct notify_receiver *to)
{
    const struct notify_rules rules = to->ledger.rules;
    notify_ledger_fini(&to->ledger);
    to->ledger = from->ledger;
    to->ledger.rules = rules;
    notify_ledger_init(&from->ledger, &rules, to->ledger.schema);
    to->rejected_told = from->rejected_told;
    to->store_failing = from->store_failing;
    atomic_store(&to->delivered, atomic_load(&from->delivered));
    atomic_store(&to->failed, atomic_load(&from->failed));
    atomic_store(&to->rejected, atomic_load(&from->rejected));
    atomic_store(&to->dropped, atomic_load(&from->dropped));
    atomic_store(&to->held, atomic_load(&from->held));
    atomic_store(&to->waiting, atomic_load(&from->waiting));
}

/* Those that leave are put into `gone`; returns how many. */
static size_t swap(struct change *change, struct notify_receiver *gone[NOTIFY_INSTANCES_MAX])
{
    struct notifier *notifier = change->notifier;
    size_t n = 0;
    pthread_mutex_lock(&notifier->members);
    for (size_t i = 0; i < notifier->receiver_count; i++)
        if (!stays(change, notifier->receivers[i]))
            gone[n++] = notifier->receivers[i];
    for (size_t i = 0; i < change->count; i++)
        if (change->from[i] != NULL && change->next[i] != change->from[i])
            hand_over(change->from[i], change->next[i]);
    memcpy(notifier->receivers, change->next, change->count * sizeof change->next[0]);
    notifier->receiver_count = change->count;
    pthread_mutex_unlock(&notifier->members);
    return n;
}

static void tell(const struct change *change, struct notify_receiver *const *gone, size_t n)
{
    for (size_t i = 0; i < change->count; i++)
        if (change->from[i] == NULL)
            FW_LOG_INFO("notify", "a receiver was added receiver=%s", change->next[i]->name);
        else if (change->from[i] != change->next[i])
            FW_LOG_INFO("notify", "a receiver was changed receiver=%s", change->next[i]->name);
    for (size_t i = 0; i < n; i++)
        if (find(change->next, change->count, gone[i]->name) == NULL)
            FW_LOG_WARN("notify",
                        "a receiver was removed, what it was still to be told is dropped "
                        "receiver=%s waiting=%zu",
                        gone[i]->name, notify_ledger_waiting(&gone[i]->ledger));
}

enum fw_status notifier_reload(struct notifier *notifier, const struct notify_settings *settings,
                               struct fw_error *err)
{
    struct change change = {.notifier = notifier, .count = 0};
    struct notify_receiver *gone[NOTIFY_INSTANCES_MAX] = {NULL};
    struct fw_error why = {0};
    enum fw_status status = notify_settings_check(settings, err);
    if (status == FW_OK)
        status = prepare(&change, settings, err);
    if (status != FW_OK)
        return status;
    keep_unchanged(&change);
    stop_others(&change);
    const size_t n = swap(&change, gone);
    tell(&change, gone, n);
    for (size_t i = 0; i < change.count; i++)
        if (!change.next[i]->started && notify_receiver_start(change.next[i], &why) != FW_OK) {
            atomic_store(&change.next[i]->failing_now, true);
            FW_LOG_ERROR("notify", "a receiver has no thread and is told nothing reason=\"%s\"",
                         why.text);
        }
    for (size_t i = 0; i < n; i++)
        notify_receiver_free(gone[i]);
    notify_forget_strangers(notifier);
    return FW_OK;
}
