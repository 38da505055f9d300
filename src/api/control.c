/* What people do to alerts: /api/v1/alerts/{id}, its ack, /api/v1/silences. Changes are written to
 * the store, so they are made by a worker while the request waits. */
#include "api/api_internal.h"
#include "api/silence_json.h"

#include "alert/control.h"
#include "base/alloc.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_MAX = 64 << 10, BODY_DEPTH = 6 };

struct alert_mark *api_marks(struct api *api, const struct alert_list *list)
{
    if (api->parts.control == NULL || list->count == 0)
        return NULL;
    struct alert_mark *marks = fw_calloc(list->count, sizeof *marks);
    if (marks != NULL)
        alert_control_mark(api->parts.control, list, fw_clock_wall_ms(api->clock), marks);
    return marks;
}

/* ---- shared ---- */

static void refuse(struct http_request *request, const char *name, const char *expected,
                   const char *type)
{
    char msg[400];
    snprintf(msg, sizeof msg, "Input should be %s", expected);
    api_reply_invalid(request,
                      &(struct api_invalid){
                          .where = "body", .name = name, .index = -1, .type = type, .msg = msg});
}

/* The parser, with the body's root; NULL after the request has been answered. An empty body is an
 * empty object. */
static struct fw_json_parser *parse_body(struct http_request *request, struct fw_json_value *root)
{
    size_t len;
    struct fw_error err = {0};
    const char *body = http_request_body(request, &len);
    struct fw_json_parser *parser = fw_json_parser_new(BODY_MAX, BODY_DEPTH);
    if (parser == NULL) {
        api_reply_busy(request, 503, 1, "out of memory");
        return NULL;
    }
    if (fw_json_parse(parser, len > 0 ? body : "{}", len > 0 ? len : 2, root, &err) == FW_OK)
        return parser;
    fw_json_parser_free(parser);
    api_reply_invalid(request,
                      &(struct api_invalid){
                          .where = "body", .index = -1, .type = "json_invalid", .msg = err.text});
    return NULL;
}

static void reply_status(struct http_request *request, enum fw_status status,
                         const struct fw_error *err)
{
    switch (status) {
    case FW_ENOTFOUND:
        http_reply_detail(request, 404, err->text);
        break;
    case FW_ELIMIT:
        http_reply_detail(request, 409, err->text);
        break;
    case FW_ENOSPC:
        api_reply_busy(request, 507, 10, "the disk is full");
        break;
    case FW_ENOMEM:
        api_reply_busy(request, 503, 1, "out of memory");
        break;
    default:
        api_reply_busy(request, 503, 5, "the state store does not take it");
        break;
    }
}

/* Who says so: the body's word, else the key's name. */
static void name_person(const struct http_request *request, char by[ALERT_PERSON_MAX + 1])
{
    if (by[0] != '\0')
        return;
    const char *key = http_request_key_name(request);
    snprintf(by, ALERT_PERSON_MAX + 1, "%s", key[0] != '\0' ? key : "unknown");
}

static bool controllable(struct api *api, struct http_request *request)
{
    if (!api_ready(api, request))
        return false;
    if (api->parts.control != NULL)
        return true;
    http_reply_detail(request, 501, "Nothing can be acknowledged or silenced here");
    return false;
}

/* ---- one alert ---- */

struct act {
    struct api *api;
    struct http_request *request;
    const struct outlook *outlook;
    size_t index; /* in its alerts */
    bool back;    /* the acknowledgement is taken back */
    char by[ALERT_PERSON_MAX + 1];
    char comment[ALERT_COMMENT_MAX + 1];
    struct alert_silence silence; /* to be added */
    char silence_id[ALERT_SILENCE_ID_SIZE];
};

/* The alert that the path names, with its outlook (retained); false after 404. */
static bool find_alert(struct api *api, struct http_request *request,
                       const struct outlook **outlook, size_t *index)
{
    const char *text = http_request_path(request, "id");
    char *end;
    const uint64_t id = strtoull(text, &end, 16);
    const bool plain = strlen(text) == 16 && *end == '\0' && strspn(text, "0123456789abcdef") == 16;
    *outlook = outlook_board_current(api->parts.board);
    for (size_t i = 0; plain && *outlook != NULL && i < (*outlook)->alerts->count; i++) {
        *index = i;
        if ((*outlook)->alerts->items[i].id == id)
            return true;
    }
    outlook_release(*outlook);
    *outlook = NULL;
    http_reply_detail(request, 404, "No such alert");
    return false;
}

static void reply_alert(struct api *api, struct http_request *request,
                        const struct outlook *outlook, size_t index)
{
    struct fw_buf buf;
    struct alert_mark *marks = api_marks(api, outlook->alerts);
    fw_buf_init(&buf, 65536);
    api_render_alert(&buf, outlook, &outlook->alerts->items[index],
                     marks != NULL ? &marks[index] : NULL, &api->labels, &api->zone);
    fw_free(marks);
    api_reply_buf(request, &buf);
}

void api_get_alert(void *ctx, struct http_request *request)
{
    struct api *api = ctx;
    const struct outlook *outlook;
    size_t index;
    if (!api_ready(api, request) || !find_alert(api, request, &outlook, &index))
        return;
    reply_alert(api, request, outlook, index);
    outlook_release(outlook);
}

static void acknowledge_job(void *ctx)
{
    struct act *act = ctx;
    struct alert_control *control = act->api->parts.control;
    const struct alert *alert = &act->outlook->alerts->items[act->index];
    const struct outlook *outlook = act->outlook;
    struct fw_error err = {0};
    const int64_t now_ms = fw_clock_wall_ms(act->api->clock);
    const enum fw_status status =
        act->back ? alert_control_unacknowledge(control, alert, act->by, now_ms, &err)
                  : alert_control_acknowledge(control, alert, act->by, act->comment, now_ms, &err);
    if (status == FW_OK)
        reply_alert(act->api, act->request, outlook, act->index);
    else
        reply_status(act->request, status, &err);
    outlook_release(outlook);
}

/* "by" and "comment"; false after the request has been answered. */
static bool read_words(struct http_request *request, struct act *act)
{
    struct fw_json_value root, value;
    struct fw_json_parser *parser = parse_body(request, &root);
    struct fw_json_iter iter;
    const char *key;
    size_t key_len, len;
    bool good = parser != NULL;
    if (!good)
        return false;
    iter = fw_json_walk(root);
    good = fw_json_type(root) == FW_JSON_OBJECT;
    if (!good)
        refuse(request, NULL, "an object with by and comment", "value_error");
    while (good && fw_json_next_member(&iter, &key, &key_len, &value)) {
        const bool by = strcmp(key, "by") == 0, comment = strcmp(key, "comment") == 0;
        const char *text = fw_json_string(value, &len);
        const size_t max = by ? ALERT_PERSON_MAX : ALERT_COMMENT_MAX;
        good = (by || comment) && text != NULL && (len == 0 || fw_name_valid(text, len, max));
        if (good)
            memcpy(by ? act->by : act->comment, text, len + 1);
        else
            refuse(request,
                   by        ? "by"
                   : comment ? "comment"
                             : "body",
                   by        ? "one line of up to 64 bytes"
                   : comment ? "one line of up to 512 bytes"
                             : "an object with by and comment and nothing else",
                   "value_error");
    }
    fw_json_parser_free(parser);
    return good;
}

static struct act *new_act(struct api *api, struct http_request *request)
{
    struct act *act = http_request_alloc(request, sizeof *act);
    if (act == NULL) {
        api_reply_busy(request, 503, 1, "out of memory");
        return NULL;
    }
    act->api = api;
    act->request = request;
    return act;
}

static void submit(struct act *act, api_pool_fn job)
{
    const struct outlook *outlook = act->outlook;
    http_defer(act->request);
    if (api_pool_submit(act->api->render, job, act))
        return;
    api_reply_busy(act->request, 503, 1, "too much is waiting");
    outlook_release(outlook);
}

static void begin_acknowledge(struct api *api, struct http_request *request, bool back)
{
    if (!controllable(api, request))
        return;
    struct act *act = new_act(api, request);
    if (act == NULL || !read_words(request, act) ||
        !find_alert(api, request, &act->outlook, &act->index))
        return;
    name_person(request, act->by);
    act->back = back;
    if (act->outlook->alerts->items[act->index].state == ALERT_RESOLVED) {
        outlook_release(act->outlook);
        http_reply_detail(request, 409, "The alert is over");
        return;
    }
    submit(act, acknowledge_job);
}

void api_acknowledge(void *ctx, struct http_request *request)
{
    begin_acknowledge(ctx, request, false);
}

void api_unacknowledge(void *ctx, struct http_request *request)
{
    begin_acknowledge(ctx, request, true);
}

/* ---- silences ---- */

static void reply_silence(struct api *api, struct http_request *request,
                          const struct alert_silence *silence)
{
    struct fw_buf buf;
    fw_buf_init(&buf, 65536);
    silence_put(&buf, silence, fw_clock_wall_ms(api->clock), &api->zone);
    api_reply_buf(request, &buf);
}

void api_get_silences(void *ctx, struct http_request *request)
{
    static const char *const states[] = {"all", "active", "pending", "expired", "current"};
    struct api *api = ctx;
    struct alert_silence *silences = NULL;
    struct fw_error err = {0};
    size_t n = 0, state = 4, shown = 0;
    struct api_zone zone;
    struct fw_buf buf;
    if (!controllable(api, request) || !api_query_zone(request, api, &zone) ||
        !api_query_word(request, "state", states, COUNT(states), &state))
        return;
    const enum fw_status status = alert_control_silences(api->parts.control, &silences, &n, &err);
    if (status != FW_OK) {
        reply_status(request, status, &err);
        return;
    }
    const int64_t now_ms = fw_clock_wall_ms(api->clock);
    fw_buf_init(&buf, API_REPLY_MAX);
    fw_buf_puts(&buf, "{\"silences\":[");
    for (size_t i = 0; i < n; i++) {
        const char *is = silence_state(&silences[i], now_ms);
        if (state == 4 ? strcmp(is, "expired") == 0 : state > 0 && strcmp(is, states[state]) != 0)
            continue;
        if (shown++ > 0)
            fw_buf_putc(&buf, ',');
        silence_put(&buf, &silences[i], now_ms, &zone);
    }
    fw_buf_puts(&buf, "],");
    api_put_int(&buf, "count", (int64_t)shown);
    fw_buf_putc(&buf, '}');
    fw_free(silences);
    api_reply_buf(request, &buf);
}

static void silence_job(void *ctx)
{
    struct act *act = ctx;
    struct fw_error err = {0};
    const enum fw_status status = alert_control_silence(act->api->parts.control, &act->silence,
                                                        fw_clock_wall_ms(act->api->clock), &err);
    if (status == FW_OK)
        reply_silence(act->api, act->request, &act->silence);
    else
        reply_status(act->request, status, &err);
}

void api_add_silence(void *ctx, struct http_request *request)
{
    struct api *api = ctx;
    struct fw_json_value root;
    struct silence_fault fault;
    struct act *act = controllable(api, request) ? new_act(api, request) : NULL;
    struct fw_json_parser *parser = act != NULL ? parse_body(request, &root) : NULL;
    if (parser == NULL)
        return;
    const bool good = silence_read(root, fw_clock_wall_ms(api->clock), &act->silence, &fault);
    fw_json_parser_free(parser);
    if (!good) {
        refuse(request, fault.where, fault.text, "value_error");
        return;
    }
    name_person(request, act->silence.created_by);
    submit(act, silence_job);
}

static void end_silence_job(void *ctx)
{
    struct act *act = ctx;
    struct fw_error err = {0};
    const enum fw_status status = alert_control_end_silence(
        act->api->parts.control, act->silence_id, act->by, fw_clock_wall_ms(act->api->clock), &err);
    if (status != FW_OK) {
        reply_status(act->request, status, &err);
        return;
    }
    struct fw_buf buf;
    fw_buf_init(&buf, 4096);
    fw_buf_putc(&buf, '{');
    api_put_text(&buf, "id", act->silence_id);
    fw_buf_puts(&buf, ",\"state\":\"expired\"}");
    api_reply_buf(act->request, &buf);
}

void api_end_silence(void *ctx, struct http_request *request)
{
    struct api *api = ctx;
    struct act *act = controllable(api, request) ? new_act(api, request) : NULL;
    if (act == NULL)
        return;
    const char *id = http_request_path(request, "id");
    if (strlen(id) >= sizeof act->silence_id) {
        http_reply_detail(request, 404, "No such silence");
        return;
    }
    memcpy(act->silence_id, id, strlen(id) + 1);
    name_person(request, act->by);
    submit(act, end_silence_job);
}

/* ---- what was done ---- */

struct listing {
    struct act *act;
    struct fw_buf buf;
    struct api_zone zone;
    size_t count;
};

/* The record's own object, with time and subject before its members. */
static bool put_action(void *ctx, int64_t time_ms, const char *subject, const char *data,
                       size_t len)
{
    struct listing *listing = ctx;
    if (len < 3 || data[0] != '{')
        return true;
    if (listing->count++ > 0)
        fw_buf_putc(&listing->buf, ',');
    fw_buf_putc(&listing->buf, '{');
    api_put_time_pair(&listing->buf, "timestamp", time_ms, &listing->zone);
    fw_buf_putc(&listing->buf, ',');
    api_put_text(&listing->buf, "subject", subject);
    fw_buf_putc(&listing->buf, ',');
    fw_buf_put(&listing->buf, data + 1, len - 1);
    return !listing->buf.failed;
}

static void actions_job(void *ctx)
{
    struct act *act = ctx;
    struct listing listing = {.act = act, .zone = act->api->zone};
    struct fw_error err = {0};
    fw_buf_init(&listing.buf, API_REPLY_MAX);
    fw_buf_puts(&listing.buf, "{\"actions\":[");
    const enum fw_status status =
        alert_control_actions(act->api->parts.control, act->index, put_action, &listing, &err);
    fw_buf_puts(&listing.buf, "],");
    api_put_int(&listing.buf, "count", (int64_t)listing.count);
    fw_buf_putc(&listing.buf, '}');
    if (status == FW_OK) {
        api_reply_buf(act->request, &listing.buf);
        return;
    }
    fw_buf_fini(&listing.buf);
    reply_status(act->request, status, &err);
}

void api_get_actions(void *ctx, struct http_request *request)
{
    struct api *api = ctx;
    int64_t limit = 100;
    if (!controllable(api, request) || !api_query_int(request, "limit", 1, 10000, &limit))
        return;
    struct act *act = new_act(api, request);
    if (act == NULL)
        return;
    act->index = (size_t)limit;
    submit(act, actions_job);
}
