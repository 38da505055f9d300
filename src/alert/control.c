/* What people said: in memory under one lock, and durable before anybody is told so. */
#include "alert/control.h"

#include "alert/codec.h"
#include "base/alloc.h"
#include "base/log.h"
#include "base/rng.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORD_VERSION = 1, RECORD_MAX = 8192, JSON_DEPTH = 4, KEEP_OVER_DAYS = 7 };
#define SILENCES "silence"
#define ACKS "ack"

struct ack {
    uint64_t alert_id;
    enum alert_severity severity; /* covers this and what is less */
    int64_t at_ms;
    char by[ALERT_PERSON_MAX + 1];
    char comment[ALERT_COMMENT_MAX + 1];
};

struct alert_control {
    struct alert_control_options options;
    pthread_mutex_t changing; /* one change at a time; held while the store is written */
    pthread_mutex_t lock;     /* of what follows, which changers alone write; never held for long */
    struct alert_silence *silences; /* oldest first */
    size_t silence_count, silence_cap;
    struct ack *acks; /* by alert id */
    size_t ack_count, ack_cap;
};

/* ---- records ---- */

static void put_text(struct fw_buf *out, const char *key, const char *text)
{
    fw_buf_putc(out, ',');
    fw_buf_json_key(out, key);
    fw_buf_json_string(out, text, strlen(text));
}

static void put_int(struct fw_buf *out, const char *key, int64_t value)
{
    fw_buf_putc(out, ',');
    fw_buf_json_key(out, key);
    fw_buf_put_i64(out, value);
}

static void put_silence(struct fw_buf *out, const struct alert_silence *s)
{
    fw_buf_printf(out, "{\"v\":%d", RECORD_VERSION);
    put_text(out, "id", s->id);
    put_text(out, "server", s->server);
    put_text(out, "metric", s->metric);
    put_int(out, "profile", s->profile);
    put_int(out, "severity", s->severity);
    put_int(out, "starts", s->starts_ms);
    put_int(out, "ends", s->ends_ms);
    put_int(out, "days", s->days);
    put_int(out, "from", s->from_minute);
    put_int(out, "length", s->length_minutes);
    put_int(out, "zone", s->zone_minutes);
    put_int(out, "created", s->created_ms);
    put_text(out, "by", s->created_by);
    put_text(out, "comment", s->comment);
    fw_buf_putc(out, '}');
}

static bool get_silence(struct fw_json_value root, struct alert_silence *s)
{
    int64_t version, profile, severity, days, from, length, zone;
    *s = (struct alert_silence){0};
    if (!alert_get_int(root, "v", RECORD_VERSION, RECORD_VERSION, &version) ||
        !alert_get_text(root, "id", s->id, sizeof s->id) ||
        !alert_get_text(root, "server", s->server, sizeof s->server) ||
        !alert_get_text(root, "metric", s->metric, sizeof s->metric) ||
        !alert_get_int(root, "profile", 0, PROFILE_UNKNOWN, &profile) ||
        !alert_get_int(root, "severity", -1, ALERT_CRITICAL, &severity) ||
        !alert_get_int(root, "starts", INT64_MIN, INT64_MAX, &s->starts_ms) ||
        !alert_get_int(root, "ends", INT64_MIN, INT64_MAX, &s->ends_ms) ||
        !alert_get_int(root, "days", 0, 127, &days) ||
        !alert_get_int(root, "from", 0, UINT16_MAX, &from) ||
        !alert_get_int(root, "length", 0, UINT16_MAX, &length) ||
        !alert_get_int(root, "zone", INT16_MIN, INT16_MAX, &zone) ||
        !alert_get_int(root, "created", INT64_MIN, INT64_MAX, &s->created_ms) ||
        !alert_get_text(root, "by", s->created_by, sizeof s->created_by) ||
        !alert_get_text(root, "comment", s->comment, sizeof s->comment))
        return false;
    s->profile = (enum profile)profile;
    s->severity = (int)severity;
    s->days = (uint8_t)days;
    s->from_minute = (uint16_t)from;
    s->length_minutes = (uint16_t)length;
    s->zone_minutes = (int16_t)zone;
    return s->id[0] != '\0';
}

static void put_ack(struct fw_buf *out, const struct ack *a)
{
    fw_buf_printf(out, "{\"v\":%d,\"id\":\"%016" PRIx64 "\"", RECORD_VERSION, a->alert_id);
    put_int(out, "severity", a->severity);
    put_int(out, "at", a->at_ms);
    put_text(out, "by", a->by);
    put_text(out, "comment", a->comment);
    fw_buf_putc(out, '}');
}

static bool get_ack(struct fw_json_value root, struct ack *a)
{
    char id[17];
    int64_t version, severity;
    *a = (struct ack){0};
    if (!alert_get_int(root, "v", RECORD_VERSION, RECORD_VERSION, &version) ||
        !alert_get_text(root, "id", id, sizeof id) ||
        !alert_get_int(root, "severity", ALERT_WARNING, ALERT_CRITICAL, &severity) ||
        !alert_get_int(root, "at", INT64_MIN, INT64_MAX, &a->at_ms) ||
        !alert_get_text(root, "by", a->by, sizeof a->by) ||
        !alert_get_text(root, "comment", a->comment, sizeof a->comment))
        return false;
    a->alert_id = strtoull(id, NULL, 16);
    a->severity = (enum alert_severity)severity;
    return true;
}

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

/* The first ack that is not before `id`. */
static size_t ack_place(const struct alert_control *control, uint64_t id)
{
    size_t low = 0, high = control->ack_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (control->acks[middle].alert_id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct ack *find_ack(const struct alert_control *control, uint64_t id)
{
    const size_t at = ack_place(control, id);
    return at < control->ack_count && control->acks[at].alert_id == id ? &control->acks[at] : NULL;
}

/* Room was made. */
static void set_ack(struct alert_control *control, const struct ack *ack)
{
    const size_t at = ack_place(control, ack->alert_id);
    if (at == control->ack_count || control->acks[at].alert_id != ack->alert_id) {
        memmove(&control->acks[at + 1], &control->acks[at],
                (control->ack_count - at) * sizeof control->acks[0]);
        control->ack_count++;
    }
    control->acks[at] = *ack;
}

static void remove_ack(struct alert_control *control, const struct ack *ack)
{
    const size_t at = (size_t)(ack - control->acks);
    memmove(&control->acks[at], &control->acks[at + 1],
            (control->ack_count - at - 1) * sizeof control->acks[0]);
    control->ack_count--;
}

/* ---- the store ---- */

/* A blob that changes (data NULL: goes) and the event that says why, as one. */
struct change {
    const char *ns, *key, *subject;
    const struct fw_buf *blob;
    const struct fw_buf *event;
    int64_t now_ms;
};

static enum fw_status write_change(struct store_state *state, const struct change *c,
                                   struct fw_error *err)
{
    if (state == NULL)
        return FW_OK;
    if ((c->blob != NULL && c->blob->failed) || c->event->failed)
        return fw_fail(err, FW_ENOMEM, "write a silence or an acknowledgement");
    enum fw_status status = store_state_begin(state, err);
    if (status != FW_OK)
        return status;
    status = c->blob != NULL
                 ? store_state_put(state, c->ns, c->key, c->blob->data, c->blob->len, err)
                 : store_state_delete(state, c->ns, c->key, err);
    if (status == FW_OK)
        status = store_state_event_append(state, ALERT_ACTION_KIND, c->now_ms, c->subject,
                                          c->event->data, c->event->len, NULL, err);
    if (status == FW_OK)
        return store_state_commit(state, err);
    store_state_rollback(state);
    return status;
}

static void put_action(struct fw_buf *out, const char *action, const char *by, const char *comment)
{
    fw_buf_puts(out, "{\"action\":");
    fw_buf_json_string(out, action, strlen(action));
    put_text(out, "by", by);
    put_text(out, "comment", comment);
}

static void put_alert_action(struct fw_buf *out, const char *action, const char *by,
                             const char *comment, const struct alert_control *control,
                             const struct alert *alert)
{
    char id[17];
    snprintf(id, sizeof id, "%016" PRIx64, alert->id);
    put_action(out, action, by, comment);
    put_text(out, "alert_id", id);
    put_text(out, "metric", alert_metric_name(control->options.schema, alert->metric));
    put_text(out, "severity", alert_severity_name(alert->severity));
    fw_buf_putc(out, '}');
}

static void put_silence_action(struct fw_buf *out, const char *action, const char *by,
                               const struct alert_silence *s)
{
    put_action(out, action, by, s->comment);
    put_text(out, "silence_id", s->id);
    fw_buf_puts(out, ",\"silence\":");
    put_silence(out, s);
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
    (void)key;
    if (control->silence_count == ALERT_SILENCES_MAX ||
        fw_json_parse(loading->parser, data, len, &root, NULL) != FW_OK ||
        !get_silence(root, &silence)) {
        loading->unreadable++;
        return true;
    }
    loading->out_of_memory = !silence_room(control);
    if (!loading->out_of_memory)
        control->silences[control->silence_count++] = silence;
    return !loading->out_of_memory;
}

static bool load_ack(void *ctx, const char *key, const void *data, size_t len)
{
    struct loading *loading = ctx;
    struct fw_json_value root;
    struct ack ack;
    (void)key;
    if (loading->control->ack_count == ALERT_ACKS_MAX ||
        fw_json_parse(loading->parser, data, len, &root, NULL) != FW_OK || !get_ack(root, &ack)) {
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
    loading.parser = fw_json_parser_new(RECORD_MAX, JSON_DEPTH);
    if (loading.parser == NULL)
        return fw_fail(err, FW_ENOMEM, "open the silences");
    enum fw_status status =
        store_state_each(state, SILENCES, load_silence, &loading, &damaged_silences, err);
    if (status == FW_OK)
        status = store_state_each(state, ACKS, load_ack, &loading, &damaged_acks, err);
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

void alert_control_listen(struct alert_control *control, void (*changed)(void *ctx), void *ctx)
{
    control->options.changed = changed;
    control->options.ctx = ctx;
}

/* ---- marks ---- */

static int by_server(const void *left, const void *right)
{
    const struct alert *a = *(const struct alert *const *)left;
    const struct alert *b = *(const struct alert *const *)right;
    const int order = strcmp(a->server, b->server);
    return order != 0 ? order : (a->severity < b->severity) - (a->severity > b->severity);
}

static bool inhibits(const struct alert *a)
{
    return a->state == ALERT_FIRING &&
           (a->severity == ALERT_CRITICAL || a->metric == ALERT_METRIC_SILENT);
}

/* For each warning the alert that makes it needless to speak of. Without memory nothing is
 * inhibited: too much is told rather than too little. */
static void mark_inhibited(const struct alert_list *list, struct alert_mark *marks)
{
    const struct alert **causes = fw_calloc(list->count + 1, sizeof(const struct alert *));
    size_t n = 0;
    if (causes == NULL)
        return;
    for (size_t i = 0; i < list->count; i++)
        if (inhibits(&list->items[i]))
            causes[n++] = &list->items[i];
    if (n > 1)
        qsort(causes, n, sizeof(const struct alert *), by_server);
    for (size_t i = 0; i < list->count && n > 0; i++) {
        const struct alert *a = &list->items[i];
        if (a->state != ALERT_FIRING || a->severity != ALERT_WARNING ||
            a->metric == ALERT_METRIC_SILENT)
            continue;
        size_t low = 0, high = n;
        while (low < high) {
            const size_t middle = low + (high - low) / 2;
            if (strcmp(causes[middle]->server, a->server) < 0)
                low = middle + 1;
            else
                high = middle;
        }
        if (low < n && strcmp(causes[low]->server, a->server) == 0)
            marks[i].inhibited_by = causes[low]->id;
    }
    fw_free(causes);
}

static void mark_one(const struct alert_control *control, const struct alert *alert,
                     const struct alert_silence *const *holding, size_t n, struct alert_mark *mark)
{
    for (size_t i = 0; i < n; i++) {
        if (!alert_silence_fits(holding[i], control->options.schema, alert))
            continue;
        memcpy(mark->silenced_by, holding[i]->id, sizeof mark->silenced_by);
        break;
    }
    const struct ack *ack = find_ack(control, alert->id);
    if (ack == NULL || alert->severity > ack->severity)
        return;
    mark->acknowledged = true;
    mark->acknowledged_ms = ack->at_ms;
    memcpy(mark->acknowledged_by, ack->by, sizeof mark->acknowledged_by);
    memcpy(mark->acknowledged_comment, ack->comment, sizeof mark->acknowledged_comment);
}

void alert_control_mark(struct alert_control *control, const struct alert_list *list,
                        int64_t now_ms, struct alert_mark *marks)
{
    const struct alert_silence *holding[ALERT_SILENCES_MAX];
    size_t n = 0;
    int64_t changes_ms;
    if (list->count == 0)
        return;
    memset(marks, 0, list->count * sizeof marks[0]);
    pthread_mutex_lock(&control->lock);
    for (size_t i = 0; i < control->silence_count; i++)
        if (alert_silence_holds(&control->silences[i], now_ms, &changes_ms))
            holding[n++] = &control->silences[i];
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].state != ALERT_RESOLVED)
            mark_one(control, &list->items[i], holding, n, &marks[i]);
    pthread_mutex_unlock(&control->lock);
    if (control->options.inhibit)
        mark_inhibited(list, marks);
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
    fw_buf_init(&blob, RECORD_MAX);
    fw_buf_init(&event, 2 * RECORD_MAX);
    put_silence(&blob, s);
    put_silence_action(&event, action, by, s);
    const struct change change = {SILENCES, s->id, subject_of(s), &blob, &event, now_ms};
    const enum fw_status status = write_change(control->options.state, &change, err);
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
                                const struct ack *ack, const char *by, int64_t now_ms,
                                struct fw_error *err)
{
    struct fw_buf blob, event;
    char key[17];
    snprintf(key, sizeof key, "%016" PRIx64, alert->id);
    fw_buf_init(&blob, RECORD_MAX);
    fw_buf_init(&event, RECORD_MAX);
    if (ack != NULL)
        put_ack(&blob, ack);
    put_alert_action(&event, ack != NULL ? "acknowledged" : "unacknowledged", by,
                     ack != NULL ? ack->comment : "", control, alert);
    const struct change change = {ACKS,   key,   alert->server, ack != NULL ? &blob : NULL,
                                  &event, now_ms};
    const enum fw_status status = write_change(control->options.state, &change, err);
    fw_buf_fini(&blob);
    fw_buf_fini(&event);
    return status;
}

static enum fw_status add_ack(struct alert_control *control, const struct alert *alert,
                              const struct ack *ack, int64_t now_ms, struct fw_error *err)
{
    if (control->ack_count >= ALERT_ACKS_MAX && find_ack(control, alert->id) == NULL)
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
    struct ack ack = {.alert_id = alert->id, .severity = alert->severity, .at_ms = now_ms};
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
    const struct ack *ack = find_ack(control, alert->id);
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
static bool forget_ack(struct alert_control *control, const struct ack *ack, const uint64_t *living,
                       size_t n)
{
    char key[17];
    if (n > 0 && bsearch(&ack->alert_id, living, n, sizeof living[0], by_id) != NULL)
        return false;
    snprintf(key, sizeof key, "%016" PRIx64, ack->alert_id);
    forget(control, ACKS, key);
    return true;
}

static bool forget_silence(struct alert_control *control, const struct alert_silence *s,
                           int64_t now_ms)
{
    if (s->ends_ms > now_ms - KEEP_OVER_DAYS * INT64_C(86400000))
        return false;
    forget(control, SILENCES, s->id);
    return true;
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
    pthread_mutex_unlock(&control->changing);
    fw_free(living);
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
