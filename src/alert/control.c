/* What people said: in memory under one lock, and durable before anybody is told so. */
#include "alert/control_internal.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/rng.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JSON_DEPTH = 4, KEEP_OVER_DAYS = 7, PRUNE_INTERVAL_MS = 3600 * 1000 };

/* ---- the two tables ---- */

static void *make_room(void *array, size_t *cap, size_t count, size_t size)
{
    if (count < *cap)
        return array;
    const size_t want = *cap == 0 ? 16 : 2 * *cap;
    void *grown = fw_realloc_array(array, want, size);
    if (grown != NULL)
        *cap = want;
    return grown;
}

static bool silence_room(struct alert_control *control)
{
    void *grown = make_room(control->silences, &control->silence_cap, control->silence_count,
                            sizeof control->silences[0]);
    if (grown == NULL)
        return false;
    control->silences = grown;
    return true;
}

static bool ack_room(struct alert_control *control)
{
    void *grown =
        make_room(control->acks, &control->ack_cap, control->ack_count, sizeof control->acks[0]);
    if (grown == NULL)
        return false;
    control->acks = grown;
    return true;
}

/* Room was made. */
static void set_ack(struct alert_control *control, const struct alert_ack *ack)
{
    const size_t at = alert_ack_place(control, ack->alert_id);
    if (at == control->ack_count || control->acks[at].alert_id != ack->alert_id) {
        memmove(&control->acks[at + 1], &control->acks[at],
                (control->ack_count - at) * sizeof control->acks[0]);
        control->ack_count++;
    }
    control->acks[at] = *ack;
}

static void remove_ack(struct alert_control *control, const struct alert_ack *ack)
{
    const size_t at = (size_t)(ack - control->acks);
    memmove(&control->acks[at], &control->acks[at + 1],
            (control->ack_count - at - 1) * sizeof control->acks[0]);
    control->ack_count--;
}

static void put_action(struct fw_buf *out, const char *action, const char *by, const char *comment)
{
    fw_buf_puts(out, "{\"action\":");
    fw_buf_json_string(out, action, strlen(action));
    alert_put_text(out, "by", by);
    alert_put_text(out, "comment", comment);
}

static void put_alert_action(struct fw_buf *out, const char *action, const char *by,
                             const char *comment, const struct alert_control *control,
                             const struct alert *alert)
{
    char id[17];
    snprintf(id, sizeof id, "%016" PRIx64, alert->id);
    put_action(out, action, by, comment);
    alert_put_text(out, "alert_id", id);
    alert_put_text(out, "metric", alert_metric_name(control->options.schema, alert->metric));
    alert_put_text(out, "severity", alert_severity_name(alert->severity));
    fw_buf_putc(out, '}');
}

static void put_silence_action(struct fw_buf *out, const char *action, const char *by,
                               const struct alert_silence *s)
{
    put_action(out, action, by, s->comment);
    alert_put_text(out, "silence_id", s->id);
    fw_buf_puts(out, ",\"silence\":");
    alert_silence_put(out, s);
    fw_buf_putc(out, '}');
}

static void tell(const struct alert_control *control)
{
    if (control->options.changed != NULL)
        control->options.changed(control->options.ctx);
}

/* ---- opening ---- */

struct loading {
    struct alert_control *control;
    struct fw_json_parser *parser;
    size_t unreadable;
    bool out_of_memory;
};

static bool load_silence(void *ctx, const char *key, const void *data, size_t len)
{
    struct loading *loading = ctx;
    struct alert_control *control = loading->control;
    struct fw_json_value root;
    struct alert_silence silence;
    struct fw_error err = {0};
    (void)key;
    if (control->silence_count == ALERT_SILENCES_MAX ||
        fw_json_parse(loading->parser, data, len, &root, NULL) != FW_OK ||
        !alert_silence_get(root, &silence)) {
        loading->unreadable++;
        return true;
    }
    if (alert_silence_find_zone(&silence, &err) != FW_OK)
        FW_LOG_WARN("alert", "silence %s does not hold: its zone is not to be had reason=\"%s\"",
                    silence.id, err.text);
    loading->out_of_memory = !silence_room(control);
    if (!loading->out_of_memory)
        control->silences[control->silence_count++] = silence;
    return !loading->out_of_memory;
}

static bool load_ack(void *ctx, const char *key, const void *data, size_t len)
{
    struct loading *loading = ctx;
    struct fw_json_value root;
    struct alert_ack ack;
    (void)key;
    if (loading->control->ack_count == ALERT_ACKS_MAX ||
        fw_json_parse(loading->parser, data, len, &root, NULL) != FW_OK ||
        !alert_ack_get(root, &ack)) {
        loading->unreadable++;
        return true;
    }
    loading->out_of_memory = !ack_room(loading->control);
    if (!loading->out_of_memory)
        set_ack(loading->control, &ack);
    return !loading->out_of_memory;
}

static int by_age(const void *left, const void *right)
{
    const struct alert_silence *a = left, *b = right;
    if (a->created_ms != b->created_ms)
        return a->created_ms < b->created_ms ? -1 : 1;
    return strcmp(a->id, b->id);
}

static enum fw_status load(struct alert_control *control, struct fw_error *err)
{
    struct store_state *state = control->options.state;
    struct loading loading = {.control = control};
    uint64_t damaged_silences = 0, damaged_acks = 0;
    if (state == NULL)
        return FW_OK;
    loading.parser = fw_json_parser_new(ALERT_RECORD_MAX, JSON_DEPTH);
    if (loading.parser == NULL)
        return fw_fail(err, FW_ENOMEM, "open the silences");
    enum fw_status status =
        store_state_each(state, ALERT_SILENCES, load_silence, &loading, &damaged_silences, err);
    if (status == FW_OK)
        status = store_state_each(state, ALERT_ACKS, load_ack, &loading, &damaged_acks, err);
    fw_json_parser_free(loading.parser);
    if (status == FW_OK && loading.out_of_memory)
        status = fw_fail(err, FW_ENOMEM, "open the silences");
    if (damaged_silences + damaged_acks + loading.unreadable > 0)
        FW_LOG_WARN("alert",
                    "silences or acknowledgements passed over damaged=%" PRIu64 " unreadable=%zu",
                    damaged_silences + damaged_acks, loading.unreadable);
    if (control->silence_count > 1)
        qsort(control->silences, control->silence_count, sizeof control->silences[0], by_age);
    return status;
}

enum fw_status alert_control_open(const struct alert_control_options *options,
                                  struct alert_control **out, struct fw_error *err)
{
    *out = NULL;
    struct alert_control *control = fw_calloc(1, sizeof *control);
    if (control == NULL)
        return fw_fail(err, FW_ENOMEM, "open the silences");
    control->options = *options;
    if (pthread_mutex_init(&control->lock, NULL) != 0 ||
        pthread_mutex_init(&control->changing, NULL) != 0) {
        fw_free(control);
        return fw_fail(err, FW_EIO, "open the silences: no lock to be had");
    }
    const enum fw_status status = load(control, err);
    if (status != FW_OK) {
        alert_control_close(control);
        return status;
    }
    *out = control;
    return FW_OK;
}

void alert_control_close(struct alert_control *control)
{
    if (control == NULL)
        return;
    pthread_mutex_destroy(&control->lock);
    pthread_mutex_destroy(&control->changing);
    fw_free(control->silences);
    fw_free(control->acks);
    fw_free(control);
}

void alert_control_inhibit(struct alert_control *control, bool inhibit)
{
    pthread_mutex_lock(&control->changing);
    pthread_mutex_lock(&control->lock);
    const bool changed = control->options.inhibit != inhibit;
    control->options.inhibit = inhibit;
    pthread_mutex_unlock(&control->lock);
    pthread_mutex_unlock(&control->changing);
    if (changed)
        tell(control);
}

void alert_control_listen(struct alert_control *control, void (*changed)(void *ctx), void *ctx)
{
    control->options.changed = changed;
    control->options.ctx = ctx;
}

/* ---- what people do ---- */

static const char *subject_of(const struct alert_silence *s)
{
    return s->server[0] != '\0' ? s->server : "*";
}

static enum fw_status store_silence(struct alert_control *control, const struct alert_silence *s,
                                    const char *action, const char *by, int64_t now_ms,
                                    struct fw_error *err)
{
    struct fw_buf blob, event;
    fw_buf_init(&blob, ALERT_RECORD_MAX);
    fw_buf_init(&event, 2 * ALERT_RECORD_MAX);
    alert_silence_put(&blob, s);
    put_silence_action(&event, action, by, s);
    const struct alert_change change = {ALERT_SILENCES, s->id,  subject_of(s),
                                        &blob,          &event, now_ms};
    const enum fw_status status = alert_change_write(control->options.state, &change, err);
    fw_buf_fini(&blob);
    fw_buf_fini(&event);
    return status;
}

static enum fw_status add_silence(struct alert_control *control, struct alert_silence *silence,
                                  int64_t now_ms, struct fw_error *err)
{
    if (control->silence_count >= ALERT_SILENCES_MAX)
        return fw_fail(err, FW_ELIMIT, "more than %d silences", ALERT_SILENCES_MAX);
    pthread_mutex_lock(&control->lock);
    const bool room = silence_room(control);
    pthread_mutex_unlock(&control->lock);
    if (!room)
        return fw_fail(err, FW_ENOMEM, "add a silence");
    const enum fw_status status =
        store_silence(control, silence, "silence_added", silence->created_by, now_ms, err);
    if (status != FW_OK)
        return status;
    pthread_mutex_lock(&control->lock);
    control->silences[control->silence_count++] = *silence;
    pthread_mutex_unlock(&control->lock);
    return FW_OK;
}

enum fw_status alert_control_silence(struct alert_control *control, struct alert_silence *silence,
                                     int64_t now_ms, struct fw_error *err)
{
    enum fw_status status = alert_silence_check(silence, err);
    if (status != FW_OK)
        return status;
    snprintf(silence->id, sizeof silence->id, "%016" PRIx64, fw_rng_entropy());
    silence->created_ms = now_ms;
    pthread_mutex_lock(&control->changing);
    status = add_silence(control, silence, now_ms, err);
    pthread_mutex_unlock(&control->changing);
    if (status == FW_OK)
        tell(control);
    return status;
}

static enum fw_status end_silence(struct alert_control *control, const char *id, const char *by,
                                  int64_t now_ms, struct fw_error *err)
{
    for (size_t i = 0; i < control->silence_count; i++) {
        struct alert_silence *s = &control->silences[i];
        if (strcmp(s->id, id) != 0 || s->ends_ms <= now_ms)
            continue;
        struct alert_silence ended = *s;
        ended.ends_ms = now_ms;
        const enum fw_status status =
            store_silence(control, &ended, "silence_ended", by, now_ms, err);
        if (status != FW_OK)
            return status;
        pthread_mutex_lock(&control->lock);
        *s = ended;
        pthread_mutex_unlock(&control->lock);
        return FW_OK;
    }
    return fw_fail(err, FW_ENOTFOUND, "no such silence, or it is over");
}

enum fw_status alert_control_end_silence(struct alert_control *control, const char *id,
                                         const char *by, int64_t now_ms, struct fw_error *err)
{
    pthread_mutex_lock(&control->changing);
    const enum fw_status status = end_silence(control, id, by, now_ms, err);
    pthread_mutex_unlock(&control->changing);
    if (status == FW_OK)
        tell(control);
    return status;
}

/* `ack` NULL: taken back. */
static enum fw_status store_ack(struct alert_control *control, const struct alert *alert,
                                const struct alert_ack *ack, const char *by, int64_t now_ms,
                                struct fw_error *err)
{
    struct fw_buf blob, event;
    char key[17];
    snprintf(key, sizeof key, "%016" PRIx64, alert->id);
    fw_buf_init(&blob, ALERT_RECORD_MAX);
    fw_buf_init(&event, ALERT_RECORD_MAX);
    if (ack != NULL)
        alert_ack_put(&blob, ack);
    put_alert_action(&event, ack != NULL ? "acknowledged" : "unacknowledged", by,
                     ack != NULL ? ack->comment : "", control, alert);
    const struct alert_change change = {
        ALERT_ACKS, key, alert->server, ack != NULL ? &blob : NULL, &event, now_ms};
    const enum fw_status status = alert_change_write(control->options.state, &change, err);
    fw_buf_fini(&blob);
    fw_buf_fini(&event);
    return status;
}

static enum fw_status add_ack(struct alert_control *control, const struct alert *alert,
                              const struct alert_ack *ack, int64_t now_ms, struct fw_error *err)
{
    if (control->ack_count >= ALERT_ACKS_MAX && alert_ack_find(control, alert->id) == NULL)
        return fw_fail(err, FW_ELIMIT, "more than %d acknowledgements", ALERT_ACKS_MAX);
    pthread_mutex_lock(&control->lock);
    const bool room = ack_room(control);
    pthread_mutex_unlock(&control->lock);
    if (!room)
        return fw_fail(err, FW_ENOMEM, "acknowledge an alert");
    const enum fw_status status = store_ack(control, alert, ack, ack->by, now_ms, err);
    if (status != FW_OK)
        return status;
    pthread_mutex_lock(&control->lock);
    set_ack(control, ack);
    pthread_mutex_unlock(&control->lock);
    return FW_OK;
}

enum fw_status alert_control_acknowledge(struct alert_control *control, const struct alert *alert,
                                         const char *by, const char *comment, int64_t now_ms,
                                         struct fw_error *err)
{
    struct alert_ack ack = {.alert_id = alert->id, .severity = alert->severity, .at_ms = now_ms};
    assert(strlen(by) <= ALERT_PERSON_MAX && strlen(comment) <= ALERT_COMMENT_MAX);
    memcpy(ack.by, by, strlen(by));
    memcpy(ack.comment, comment, strlen(comment));
    pthread_mutex_lock(&control->changing);
    const enum fw_status status = add_ack(control, alert, &ack, now_ms, err);
    pthread_mutex_unlock(&control->changing);
    if (status == FW_OK)
        tell(control);
    return status;
}

enum fw_status alert_control_unacknowledge(struct alert_control *control, const struct alert *alert,
                                           const char *by, int64_t now_ms, struct fw_error *err)
{
    pthread_mutex_lock(&control->changing);
    const struct alert_ack *ack = alert_ack_find(control, alert->id);
    enum fw_status status = ack == NULL
                                ? fw_fail(err, FW_ENOTFOUND, "the alert is not acknowledged")
                                : store_ack(control, alert, NULL, by, now_ms, err);
    if (status == FW_OK) {
        pthread_mutex_lock(&control->lock);
        remove_ack(control, ack);
        pthread_mutex_unlock(&control->lock);
    }
    pthread_mutex_unlock(&control->changing);
    if (status == FW_OK)
        tell(control);
    return status;
}

/* ---- tidying ---- */

static int by_id(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* Blobs that cannot be deleted are met again after a restart, and go then. */
static void forget(struct alert_control *control, const char *ns, const char *key)
{
    if (control->options.state != NULL &&
        store_state_delete(control->options.state, ns, key, NULL) != FW_OK)
        FW_LOG_DEBUG("alert", "cannot delete ns=%s key=%s", ns, key);
}

/* True: nobody can ask for it any more, and its blob is gone or will be met again at a start. */
static bool forget_ack(struct alert_control *control, const struct alert_ack *ack,
                       const uint64_t *living, size_t n)
{
    char key[17];
    if (n > 0 && bsearch(&ack->alert_id, living, n, sizeof living[0], by_id) != NULL)
        return false;
    snprintf(key, sizeof key, "%016" PRIx64, ack->alert_id);
    forget(control, ALERT_ACKS, key);
    return true;
}

static bool forget_silence(struct alert_control *control, const struct alert_silence *s,
                           int64_t now_ms)
{
    if (s->ends_ms > now_ms - KEEP_OVER_DAYS * INT64_C(86400000))
        return false;
    forget(control, ALERT_SILENCES, s->id);
    return true;
}

/* Each removal is a transaction of its own: a crash in between costs nothing. A store that fails is
 * told of by those who write to it. */
static void prune_journal(struct alert_control *control, int64_t now_ms)
{
    struct fw_error err = {0};
    const int64_t since_ms = now_ms - control->pruned_ms;
    if (control->pruned_ms != 0 && since_ms >= 0 && since_ms < PRUNE_INTERVAL_MS)
        return;
    control->pruned_ms = now_ms;
    if (alert_actions_prune(control->options.state, now_ms, &err) != FW_OK)
        FW_LOG_DEBUG("alert", "the journal of actions is not pruned reason=\"%s\"", err.text);
}

/* By a changer. True: a silence holds again. */
static bool find_zones(struct alert_control *control)
{
    bool found = false;
    for (size_t i = 0; i < control->silence_count; i++) {
        struct alert_silence now = control->silences[i];
        if (!alert_silence_lacks_zone(&now) || alert_silence_find_zone(&now, NULL) != FW_OK)
            continue;
        pthread_mutex_lock(&control->lock);
        control->silences[i].zone = now.zone;
        pthread_mutex_unlock(&control->lock);
        FW_LOG_INFO("alert", "silence %s has its zone again zone=%s", now.id, now.zone_name);
        found = true;
    }
    return found;
}

void alert_control_tidy(struct alert_control *control, const struct alert_list *list,
                        int64_t now_ms)
{
    uint64_t *living = fw_calloc(list->count + 1, sizeof *living);
    size_t n = 0;
    if (living == NULL)
        return; /* another time */
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].state != ALERT_RESOLVED)
            living[n++] = list->items[i].id;
    if (n > 1)
        qsort(living, n, sizeof living[0], by_id);
    pthread_mutex_lock(&control->changing);
    for (size_t i = control->ack_count; i-- > 0;) {
        if (!forget_ack(control, &control->acks[i], living, n))
            continue;
        pthread_mutex_lock(&control->lock);
        remove_ack(control, &control->acks[i]);
        pthread_mutex_unlock(&control->lock);
    }
    for (size_t i = control->silence_count; i-- > 0;) {
        if (!forget_silence(control, &control->silences[i], now_ms))
            continue;
        pthread_mutex_lock(&control->lock);
        memmove(&control->silences[i], &control->silences[i + 1],
                (control->silence_count - i - 1) * sizeof control->silences[0]);
        control->silence_count--;
        pthread_mutex_unlock(&control->lock);
    }
    const bool changed = find_zones(control);
    prune_journal(control, now_ms);
    pthread_mutex_unlock(&control->changing);
    fw_free(living);
    if (changed)
        tell(control);
}

enum fw_status alert_control_silences(struct alert_control *control, struct alert_silence **out,
                                      size_t *n, struct fw_error *err)
{
    pthread_mutex_lock(&control->lock);
    *n = control->silence_count;
    *out = fw_calloc(*n + 1, sizeof **out);
    for (size_t i = 0; *out != NULL && i < *n; i++)
        (*out)[i] = control->silences[*n - 1 - i];
    pthread_mutex_unlock(&control->lock);
    return *out != NULL ? FW_OK : fw_fail(err, FW_ENOMEM, "list the silences");
}

struct showing {
    alert_action_fn visit;
    void *ctx;
};

static bool show_action(void *ctx, const struct store_state_event *event)
{
    const struct showing *showing = ctx;
    return showing->visit(showing->ctx, event->time_ms, event->subject, event->data, event->len);
}

enum fw_status alert_control_actions(struct alert_control *control, uint64_t limit,
                                     alert_action_fn visit, void *ctx, struct fw_error *err)
{
    struct showing showing = {.visit = visit, .ctx = ctx};
    const struct store_state_event_query query = {.kind = ALERT_ACTION_KIND,
                                                  .from_ms = INT64_MIN,
                                                  .to_ms = INT64_MAX,
                                                  .newest_first = true,
                                                  .limit = limit};
    if (control->options.state == NULL)
        return FW_OK;
    return store_state_event_each(control->options.state, &query, show_action, &showing, NULL, err);
}
