/* One receiver's thread: follows the list, sends what is due, waits. */
#include "notify/notify_internal.h"

#include "base/alloc.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    MESSAGE_MAX = 1 << 20,
    RETRY_FIRST_MS = 1000,
    RETRY_MOST_MS = 60000,
    LOOK_MS = 5000,    /* silences begin and end without anybody saying so */
    LOOK_FAKE_MS = 20, /* a clock that is not the system's runs at its own speed */
};

static bool interrupted(void *ctx)
{
    const struct notify_receiver *receiver = ctx;
    return atomic_load_explicit(&receiver->stopping, memory_order_relaxed) ||
           atomic_load_explicit(&receiver->notifier->stopping, memory_order_relaxed);
}

/* ---- the ledger follows ---- */

static void save(struct notify_receiver *receiver)
{
    struct fw_error err = {0};
    const enum fw_status status = notify_ledger_save(
        &receiver->ledger, receiver->notifier->options.state, receiver->name, &err);
    const bool failing = status != FW_OK;
    if (failing && !receiver->store_failing)
        FW_LOG_ERROR("notify",
                     "cannot write what was told, deliveries go on receiver=%s "
                     "reason=\"%s\"",
                     receiver->name, err.text);
    if (!failing && receiver->store_failing)
        FW_LOG_INFO("notify", "what was told is written again receiver=%s", receiver->name);
    receiver->store_failing = failing;
}

/* False: out of memory. */
static bool sync_with(struct notify_receiver *receiver, const struct alert_list *list,
                      int64_t now_ms)
{
    struct alert_control *control = receiver->notifier->options.control;
    struct alert_mark *marks = NULL;
    if (control != NULL && list->count > 0) {
        marks = fw_calloc(list->count, sizeof *marks);
        if (marks == NULL)
            return false;
        alert_control_mark(control, list, now_ms, marks);
    }
    const bool whole = notify_ledger_sync(&receiver->ledger, list, marks, now_ms);
    fw_free(marks);
    return whole;
}

/* ---- deliveries ---- */

static void note_success(struct notify_receiver *receiver)
{
    if (receiver->failures > 0)
        FW_LOG_INFO("notify", "delivers again receiver=%s", receiver->name);
    receiver->failures = 0;
    receiver->retry_ns = 0;
    atomic_fetch_add(&receiver->delivered, 1);
}

/* 1 s, 2 s, 4 s, ... 60 s, each up to a quarter less or more. */
static void note_failure(struct notify_receiver *receiver, const char *reason)
{
    int64_t wait_ms = RETRY_MOST_MS;
    if (receiver->failures < 6)
        wait_ms = (int64_t)RETRY_FIRST_MS << receiver->failures;
    wait_ms += (int64_t)fw_rng_below(&receiver->jitter, (uint64_t)(wait_ms / 2 + 1)) - wait_ms / 4;
    receiver->retry_ns = fw_clock_mono_ns(fw_clock_system()) + wait_ms * 1000000;
    if (receiver->failures++ == 0)
        FW_LOG_WARN("notify", "delivery fails, it is tried again receiver=%s reason=\"%s\"",
                    receiver->name, reason);
    atomic_fetch_add(&receiver->failed, 1);
}

static void note_rejection(struct notify_receiver *receiver, const char *reason)
{
    if (!receiver->rejected_told)
        FW_LOG_ERROR("notify", "the receiver refuses a message for good receiver=%s reason=\"%s\"",
                     receiver->name, reason);
    receiver->rejected_told = true;
    receiver->failures = 0;
    atomic_fetch_add(&receiver->rejected, 1);
}

static void make_message(const struct notify_receiver *receiver, struct notify_entry *const *batch,
                         size_t n, int64_t now_ms, struct fw_buf *out)
{
    const struct notifier *notifier = receiver->notifier;
    const struct notify_context context = {
        .receiver = receiver->settings.name,
        .external_url = receiver->general.external_url,
        .labels = &receiver->general.labels,
        .step_s = notifier->options.step_s,
        .resend_ms = receiver->ledger.rules.resend_ms,
    };
    if (receiver->settings.kind == NOTIFY_ALERTMANAGER)
        notify_put_alertmanager(out, &context, batch, n, now_ms);
    else
        notify_put_webhook(out, &context, batch, n);
}

static void send_message(struct notify_receiver *receiver, const struct fw_buf *message,
                         struct notify_answer *answer)
{
    const struct notify_receiver_settings *s = &receiver->settings;
    if (s->kind == NOTIFY_EXEC)
        notify_exec(s->command, s->timeout_s, message->data, message->len, interrupted, receiver,
                    answer);
    else
        notify_post(receiver->url, s->token_file, s->timeout_s, message->data, message->len,
                    interrupted, receiver, answer);
}

/* One message, if something is due. */
static void deliver_one(struct notify_receiver *receiver)
{
    struct notify_entry *batch[NOTIFY_BATCH_MAX];
    struct notify_answer answer = {.outcome = NOTIFY_FAILED, .text = "out of memory"};
    struct fw_buf message;
    const struct fw_clock *clock = receiver->notifier->options.clock;
    const int64_t now_ms = fw_clock_wall_ms(clock);
    const size_t n = notify_ledger_collect(&receiver->ledger, now_ms, batch);
    if (n == 0)
        return;
    fw_buf_init(&message, MESSAGE_MAX);
    make_message(receiver, batch, n, now_ms, &message);
    if (!message.failed)
        send_message(receiver, &message, &answer);
    fw_buf_fini(&message);
    if (interrupted(receiver) && answer.outcome != NOTIFY_ACCEPTED)
        return; /* broken off by us */
    if (answer.outcome == NOTIFY_FAILED) {
        note_failure(receiver, answer.text);
        return;
    }
    if (answer.outcome == NOTIFY_ACCEPTED)
        note_success(receiver);
    else
        note_rejection(receiver, answer.text);
    notify_ledger_accepted(&receiver->ledger, batch, n, now_ms);
    save(receiver);
}

/* ---- the thread ---- */

static void show(struct notify_receiver *receiver)
{
    atomic_store(&receiver->failing_now, receiver->failures > 0);
    atomic_store(&receiver->store_failing_now, receiver->store_failing);
    atomic_store(&receiver->dropped, receiver->ledger.dropped);
    atomic_store(&receiver->held, receiver->ledger.count);
    atomic_store(&receiver->waiting, notify_ledger_waiting(&receiver->ledger));
}

static int64_t wait_ms(const struct notify_receiver *receiver)
{
    const struct fw_clock *clock = receiver->notifier->options.clock;
    const int64_t now_ms = fw_clock_wall_ms(clock);
    const int64_t due_ms = notify_ledger_due_ms(&receiver->ledger, now_ms);
    const int64_t look_ms = clock == fw_clock_system() ? LOOK_MS : LOOK_FAKE_MS;
    int64_t wait = due_ms == INT64_MAX || due_ms - now_ms > look_ms ? look_ms : due_ms - now_ms;
    const int64_t retry_ms =
        (receiver->retry_ns - fw_clock_mono_ns(fw_clock_system())) / 1000000 + 1;
    if (receiver->retry_ns != 0 && retry_ms > wait)
        wait = retry_ms < look_ms ? retry_ms : look_ms;
    return wait < 0 ? 0 : wait;
}

/* Sleeps until a new list comes or there is something to do; the newest list, retained. NULL: none
 * yet. */
static const struct alert_list *await_list(struct notify_receiver *receiver, bool *stop)
{
    struct notifier *notifier = receiver->notifier;
    const int64_t wait = wait_ms(receiver);
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(wait / 1000);
    until.tv_nsec += (long)(wait % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&notifier->lock);
    if (wait > 0 && !notifier->stop && !receiver->stopping &&
        notifier->generation == receiver->generation)
        (void)pthread_cond_timedwait(&notifier->change, &notifier->lock, &until);
    *stop = notifier->stop || receiver->stopping;
    receiver->generation = notifier->generation;
    const struct alert_list *list =
        notifier->list != NULL ? alert_list_retain(notifier->list) : NULL;
    pthread_mutex_unlock(&notifier->lock);
    return list;
}

/* Reads the list when it is another one, and now and then when it is not. */
static void follow(struct notify_receiver *receiver, const struct alert_list *list,
                   uint64_t generation)
{
    const struct fw_clock *clock = receiver->notifier->options.clock;
    const int64_t now_ms = fw_clock_wall_ms(clock), age_ms = now_ms - receiver->ledger.synced_ms;
    if (generation == receiver->synced_generation && age_ms >= 0 && age_ms < LOOK_MS)
        return;
    if (sync_with(receiver, list, now_ms))
        receiver->synced_generation = generation;
    else
        FW_LOG_WARN("notify", "out of memory, the alerts are read again later receiver=%s",
                    receiver->name);
    save(receiver);
}

void *notify_receiver_main(void *argument)
{
    struct notify_receiver *receiver = argument;
    for (;;) {
        bool stop;
        const struct alert_list *list = await_list(receiver, &stop);
        if (stop) {
            alert_list_release(list);
            return NULL;
        }
        /* Without a list nothing is known to fire: what was told before the restart waits for it.
         * After each message the list is looked at again: a slow receiver is told the newest. */
        if (list != NULL) {
            follow(receiver, list, receiver->generation);
            alert_list_release(list);
            if (fw_clock_mono_ns(fw_clock_system()) >= receiver->retry_ns)
                deliver_one(receiver);
        }
        show(receiver);
    }
}
