/* What people said: in memory under one lock, and durable before anybody is told so. */
#include "alert/control_internal.h"

#include "base/alloc.h"
#include "base/rng.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- what the journal says ---- */

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

void alert_control_tell(const struct alert_control *control)
{
    if (control->options.changed != NULL)
        control->options.changed(control->options.ctx);
}

/* ---- opening ---- */

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
    const enum fw_status status = alert_control_load(control, err);
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
        alert_control_tell(control);
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
    const bool room = alert_silence_room(control);
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
        alert_control_tell(control);
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
        alert_control_tell(control);
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
    const bool room = alert_ack_room(control);
    pthread_mutex_unlock(&control->lock);
    if (!room)
        return fw_fail(err, FW_ENOMEM, "acknowledge an alert");
    const enum fw_status status = store_ack(control, alert, ack, ack->by, now_ms, err);
    if (status != FW_OK)
        return status;
    pthread_mutex_lock(&control->lock);
    alert_ack_set(control, ack);
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
        alert_control_tell(control);
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
        alert_ack_remove(control, ack);
        pthread_mutex_unlock(&control->lock);
    }
    pthread_mutex_unlock(&control->changing);
    if (status == FW_OK)
        alert_control_tell(control);
    return status;
}

/* ---- lists ---- */

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
