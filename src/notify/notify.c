#include "notify/notify.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/rng.h"
#include "notify/notify_internal.h"

#include <stdio.h>
#include <string.h>

/* ---- making ---- */

static bool init_waiting(struct notifier *notifier)
{
    pthread_condattr_t monotonic;
    if (pthread_condattr_init(&monotonic) != 0)
        return false;
    const bool ready = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 &&
                       pthread_cond_init(&notifier->change, &monotonic) == 0;
    pthread_condattr_destroy(&monotonic);
    if (!ready)
        return false;
    if (pthread_mutex_init(&notifier->lock, NULL) == 0) {
        if (pthread_mutex_init(&notifier->members, NULL) == 0)
            return true;
        pthread_mutex_destroy(&notifier->lock);
    }
    pthread_cond_destroy(&notifier->change);
    return false;
}

static void take_url(char *out, size_t size, const char *text, const char *path)
{
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == '/')
        len--;
    snprintf(out, size, "%.*s%s", (int)len, text, path);
}

static void take_general(const struct notifier *notifier, const struct notify_settings *settings,
                         struct notify_general *out)
{
    const char *url =
        settings->external_url[0] != '\0' ? settings->external_url : notifier->external_url;
    memset(out, 0, sizeof *out);
    take_url(out->external_url, sizeof out->external_url, url, "");
    out->labels = settings->labels;
    out->resend_s = settings->resend_s;
}

static void name_receiver(char out[NOTIFY_NAME_MAX + 8], const char *name, char before,
                          size_t instance)
{
    const int len = snprintf(out, NOTIFY_NAME_MAX + 8, "%s", name);
    if (instance > 0)
        snprintf(out + len, (size_t)(NOTIFY_NAME_MAX + 8 - len), "%c%zu", before, instance);
}

/* `instance` 0: it has one address. A receiver's own name has no ':'. */
static enum fw_status make_receiver(struct notifier *notifier, const struct notify_settings *all,
                                    const struct notify_receiver_settings *settings,
                                    size_t instance, const char *url, struct notify_receiver **out,
                                    struct fw_error *err)
{
    const struct notify_rules rules = {
        .kind = settings->kind,
        .min_severity = settings->min_severity,
        .send_resolved = settings->send_resolved,
        .queue_max = settings->queue_max,
        .resend_ms = (int64_t)all->resend_s * 1000,
        .repeat_ms = (int64_t)settings->repeat_s * 1000,
    };
    struct notify_receiver *receiver = fw_calloc(1, sizeof *receiver);
    *out = receiver;
    if (receiver == NULL)
        return fw_fail(err, FW_ENOMEM, "notify: receiver %s", settings->name);
    receiver->notifier = notifier;
    receiver->settings = *settings;
    take_general(notifier, all, &receiver->general);
    fw_rng_init(&receiver->jitter, fw_rng_entropy());
    name_receiver(receiver->name, settings->name, ':', instance);
    name_receiver(receiver->older, settings->name, '-', instance);
    if (settings->kind == NOTIFY_ALERTMANAGER)
        take_url(receiver->url, sizeof receiver->url, url, "/api/v2/alerts");
    else
        snprintf(receiver->url, sizeof receiver->url, "%s", url);
    notify_ledger_init(&receiver->ledger, &rules, notifier->options.schema);
    receiver->ledger.labels = notifier->options.labels;
    return FW_OK;
}

enum fw_status notify_receivers_make(struct notifier *notifier,
                                     const struct notify_settings *settings,
                                     struct notify_receiver **out, size_t *n, struct fw_error *err)
{
    char url[NOTIFY_TEXT_MAX + 1], second[NOTIFY_TEXT_MAX + 1];
    enum fw_status status = FW_OK;
    *n = 0;
    for (size_t i = 0; i < settings->receiver_count && status == FW_OK; i++) {
        const struct notify_receiver_settings *r = &settings->receivers[i];
        const bool several = notify_list_item(r->url, 1, second);
        if (!several) {
            status = make_receiver(notifier, settings, r, 0, r->url, &out[*n], err);
            *n += status == FW_OK;
        }
        for (size_t k = 0; several && notify_list_item(r->url, k, url) && status == FW_OK; k++) {
            status = make_receiver(notifier, settings, r, k + 1, url, &out[*n], err);
            *n += status == FW_OK;
        }
    }
    while (status != FW_OK && *n > 0)
        notify_receiver_free(out[--*n]);
    return status;
}

void notify_receiver_free(struct notify_receiver *receiver)
{
    if (receiver == NULL)
        return;
    notify_ledger_fini(&receiver->ledger);
    fw_free(receiver);
}

/* ---- what nobody owns any more ---- */

struct strangers {
    const struct notifier *notifier;
    size_t n;
    char keys[64][STORE_STATE_NAME_MAX + 1];
};

static bool find_stranger(void *ctx, const char *key, const void *data, size_t len)
{
    struct strangers *strangers = ctx;
    const size_t name_len = strcspn(key, "/");
    (void)data;
    (void)len;
    for (size_t i = 0; i < strangers->notifier->receiver_count; i++) {
        const char *name = strangers->notifier->receivers[i]->name;
        if (strlen(name) == name_len && memcmp(name, key, name_len) == 0)
            return true;
    }
    snprintf(strangers->keys[strangers->n++], sizeof strangers->keys[0], "%s", key);
    return strangers->n < COUNT(strangers->keys);
}

/* Ledgers of receivers that the configuration no longer has. A failure costs their room alone. */
void notify_forget_strangers(struct notifier *notifier)
{
    struct strangers *strangers = fw_malloc(sizeof *strangers);
    if (notifier->options.state == NULL || strangers == NULL) {
        fw_free(strangers);
        return;
    }
    bool more = true;
    while (more) {
        strangers->notifier = notifier;
        strangers->n = 0;
        const struct store_state_range all = {.ns = NOTIFY_NAMESPACE};
        more = store_state_range_each(notifier->options.state, &all, find_stranger, strangers,
                                      NULL) == FW_OK &&
               strangers->n > 0;
        for (size_t i = 0; i < strangers->n && more; i++)
            more = store_state_delete(notifier->options.state, NOTIFY_NAMESPACE, strangers->keys[i],
                                      NULL) == FW_OK;
    }
    fw_free(strangers);
}

static enum fw_status save_inherited(struct notifier *notifier, struct fw_error *err)
{
    const struct store_state_range older = {.ns = NOTIFY_NAMESPACE_OLDER};
    enum fw_status status = FW_OK;
    for (size_t i = 0; i < notifier->receiver_count && status == FW_OK; i++)
        status = notify_ledger_save(&notifier->receivers[i]->ledger, notifier->options.state,
                                    notifier->receivers[i]->name, err);
    return status == FW_OK ? store_state_range_delete(notifier->options.state, &older, 0, NULL, err)
                           : status;
}

/* Once, after an update: then the older namespace is empty. While the store cannot be written it
 * stays, and what the ledgers have meanwhile counts. */
static enum fw_status inherit(struct notifier *notifier, struct fw_error *err)
{
    const struct store_state_range older = {.ns = NOTIFY_NAMESPACE_OLDER};
    uint64_t count = 0;
    struct fw_error why = {0};
    if (notifier->options.state == NULL)
        return FW_OK;
    enum fw_status status = store_state_range_count(notifier->options.state, &older, &count, err);
    for (size_t i = 0; i < notifier->receiver_count && status == FW_OK && count > 0; i++)
        status = notify_ledger_inherit(&notifier->receivers[i]->ledger, notifier->options.state,
                                       notifier->receivers[i]->older, err);
    if (status == FW_OK && count > 0 && save_inherited(notifier, &why) != FW_OK)
        FW_LOG_WARN("notify", "what was told before the update is not moved yet reason=\"%s\"",
                    why.text);
    return status;
}

enum fw_status notifier_new(const struct notifier_options *options, struct notifier **out,
                            struct fw_error *err)
{
    *out = NULL;
    enum fw_status status = notify_settings_check(options->settings, err);
    if (status != FW_OK)
        return status;
    struct notifier *notifier = fw_calloc(1, sizeof *notifier);
    if (notifier == NULL)
        return fw_fail(err, FW_ENOMEM, "notify");
    notifier->options = *options;
    if (!init_waiting(notifier)) {
        fw_free(notifier);
        return fw_fail(err, FW_EIO, "notify: no lock to be had");
    }
    take_url(notifier->external_url, sizeof notifier->external_url, options->external_url, "");
    status = notify_receivers_make(notifier, options->settings, notifier->receivers,
                                   &notifier->receiver_count, err);
    for (size_t i = 0; i < notifier->receiver_count && status == FW_OK; i++)
        status = notify_ledger_load(&notifier->receivers[i]->ledger, options->state,
                                    notifier->receivers[i]->name, err);
    if (status == FW_OK)
        status = inherit(notifier, err);
    notifier->options.settings = NULL;
    notifier->options.external_url = NULL;
    if (status != FW_OK) {
        notifier_free(notifier);
        return status;
    }
    notify_forget_strangers(notifier);
    *out = notifier;
    return FW_OK;
}

enum fw_status notify_receiver_start(struct notify_receiver *receiver, struct fw_error *err)
{
    if (pthread_create(&receiver->thread, NULL, notify_receiver_main, receiver) != 0)
        return fw_fail(err, FW_EIO, "notify: no thread for receiver %s", receiver->name);
    receiver->started = true;
    return FW_OK;
}

void notify_receiver_join(struct notify_receiver *receiver)
{
    if (receiver->started)
        pthread_join(receiver->thread, NULL);
    receiver->started = false;
}

enum fw_status notifier_start(struct notifier *notifier, struct fw_error *err)
{
    enum fw_status status = FW_OK;
    for (size_t i = 0; i < notifier->receiver_count && status == FW_OK; i++)
        status = notify_receiver_start(notifier->receivers[i], err);
    return status;
}

/* ---- living ---- */

void notifier_on_outlook(void *ctx, const struct outlook *outlook)
{
    struct notifier *notifier = ctx;
    const struct alert_list *list = alert_list_retain(outlook->alerts);
    pthread_mutex_lock(&notifier->lock);
    const struct alert_list *old = notifier->list;
    notifier->list = list;
    notifier->generation++;
    pthread_cond_broadcast(&notifier->change);
    pthread_mutex_unlock(&notifier->lock);
    alert_list_release(old);
}

void notifier_wake(struct notifier *notifier)
{
    pthread_mutex_lock(&notifier->lock);
    notifier->generation++;
    pthread_cond_broadcast(&notifier->change);
    pthread_mutex_unlock(&notifier->lock);
}

void notifier_stop(struct notifier *notifier)
{
    if (notifier == NULL)
        return;
    atomic_store(&notifier->stopping, true);
    pthread_mutex_lock(&notifier->lock);
    notifier->stop = true;
    pthread_cond_broadcast(&notifier->change);
    pthread_mutex_unlock(&notifier->lock);
}

void notifier_free(struct notifier *notifier)
{
    if (notifier == NULL)
        return;
    notifier_stop(notifier);
    for (size_t i = 0; i < notifier->receiver_count; i++) {
        notify_receiver_join(notifier->receivers[i]);
        notify_receiver_free(notifier->receivers[i]);
    }
    alert_list_release(notifier->list);
    pthread_mutex_destroy(&notifier->members);
    pthread_cond_destroy(&notifier->change);
    pthread_mutex_destroy(&notifier->lock);
    fw_free(notifier);
}

bool notifier_statistics(struct notifier *notifier, size_t index, struct notify_statistics *out)
{
    pthread_mutex_lock(&notifier->members);
    const bool there = index < notifier->receiver_count;
    if (there) {
        struct notify_receiver *receiver = notifier->receivers[index];
        *out = (struct notify_statistics){
            .kind = receiver->settings.kind,
            .failing = atomic_load(&receiver->failing_now),
            .delivered = atomic_load(&receiver->delivered),
            .failed = atomic_load(&receiver->failed),
            .rejected = atomic_load(&receiver->rejected),
            .dropped = atomic_load(&receiver->dropped),
            .held = atomic_load(&receiver->held),
            .waiting = atomic_load(&receiver->waiting),
            .store_failing = atomic_load(&receiver->store_failing_now),
        };
        memcpy(out->name, receiver->name, sizeof out->name);
    }
    pthread_mutex_unlock(&notifier->members);
    return there;
}
