#include "api/predictions.h"

#include "forecast/forecaster.h"

#include <pthread.h>
#include <string.h>

/* Left free for what follows the servers in a body that is cut. */
enum { TAIL_ROOM = 4096 };

void api_empty_outlook(struct outlook *outlook, const struct schema *schema, uint32_t step_s,
                       int64_t now_ms, uint64_t records)
{
    static const struct forecast_set no_servers;
    static const struct alert_list no_alerts;
    memset(outlook, 0, sizeof *outlook);
    outlook->made_ms = now_ms;
    outlook->step_s = step_s;
    outlook->schema = schema;
    outlook->risk_model = "none";
    memcpy(outlook->model_type, "none", 5);
    memcpy(outlook->model_name, "none", 5);
    outlook->set = &no_servers;
    outlook->alerts = &no_alerts;
    outlook->environment.fleet_health = "unknown";
    outlook->records = records;
}

static void put_head(struct fw_buf *buf, const struct api_body_plan *plan)
{
    const struct outlook *outlook = plan->outlook;
    fw_buf_putc(buf, '{');
    if (plan->records < API_RECORDS_MIN) {
        fw_buf_puts(buf, "\"error\":\"insufficient_data\",\"message\":\"Need at least ");
        fw_buf_put_i64(buf, API_RECORDS_MIN);
        fw_buf_puts(buf, " records, have ");
        fw_buf_put_i64(buf, (int64_t)plan->records);
        fw_buf_puts(buf, "\",");
    } else if (outlook->set->count == 0) {
        fw_buf_puts(buf, "\"error\":\"insufficient_data\","
                         "\"message\":\"The first forecast is being made\",");
    }
    api_put_time_pair(buf, "timestamp", outlook->made_ms, &plan->view.zone);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "step_seconds", outlook->step_s);
    fw_buf_putc(buf, ',');
    api_put_bool(buf, "stale", api_outlook_stale(outlook));
}

static bool planned(const struct api_body_plan *plan, const char *server)
{
    if (plan->alert_servers == NULL)
        return true;
    const int64_t index = api_outlook_find(plan->outlook, server);
    size_t low = 0, high = plan->count;
    while (low < high && index >= 0) {
        const size_t middle = low + (high - low) / 2;
        if (plan->alert_servers[middle] == (uint64_t)index)
            return true;
        if (plan->alert_servers[middle] < (uint64_t)index)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static void put_alerts(struct fw_buf *buf, const struct api_body_plan *plan)
{
    const struct alert_list *list = plan->outlook->alerts;
    bool first = true;
    fw_buf_puts(buf, ",\"alerts\":[");
    for (size_t i = 0; i < list->count; i++) {
        const struct alert *alert = &list->items[i];
        if (alert->state == ALERT_RESOLVED || !planned(plan, alert->server))
            continue;
        if (!first)
            fw_buf_putc(buf, ',');
        first = false;
        api_render_alert(buf, plan->outlook, alert, plan->marks != NULL ? &plan->marks[i] : NULL,
                         &plan->labels, &plan->view.zone);
    }
    fw_buf_putc(buf, ']');
}

static void put_page(struct fw_buf *buf, const struct api_body_plan *plan)
{
    fw_buf_puts(buf, ",\"page\":{");
    api_put_int(buf, "total", (int64_t)plan->total);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "offset", (int64_t)plan->offset);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "limit", (int64_t)plan->limit);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "count", (int64_t)plan->count);
    fw_buf_putc(buf, '}');
}

/* The same server in the earlier body, if its forecast is the very same object. Walks forward when
 * asked in ascending order of names, so a whole fleet costs one pass. */
static const struct api_fragment *unchanged(const struct api_body_plan *plan, size_t index,
                                            size_t *at)
{
    if (plan->earlier == NULL)
        return NULL;
    if (plan->earlier == plan->outlook)
        return index < plan->earlier_count ? &plan->earlier_fragments[index] : NULL;
    const struct forecast *forecast = plan->outlook->set->items[index];
    const struct forecast_set *set = plan->earlier->set;
    while (*at < plan->earlier_count && strcmp(set->items[*at]->name, forecast->name) < 0)
        ++*at;
    return *at < plan->earlier_count && set->items[*at] == forecast ? &plan->earlier_fragments[*at]
                                                                    : NULL;
}

static void put_server(struct fw_buf *buf, const struct api_body_plan *plan, size_t index,
                       size_t *earlier_at)
{
    const struct forecast *forecast = plan->outlook->set->items[index];
    const struct api_fragment *copy = unchanged(plan, index, earlier_at);
    if (copy != NULL) {
        fw_buf_put(buf, plan->earlier_bytes + copy->at, copy->len);
        return;
    }
    fw_buf_json_key(buf, forecast->name);
    api_render_server(buf, plan->outlook, index, &plan->labels, &plan->view);
}

/* True when the server went in whole; otherwise the buffer is as it was. */
static bool try_server(struct fw_buf *buf, const struct api_body_plan *plan, size_t n,
                       struct api_fragment *fragments, size_t *earlier_at)
{
    const size_t before = buf->len;
    if (n > 0)
        fw_buf_putc(buf, ',');
    const size_t at = buf->len;
    put_server(buf, plan, plan->order != NULL ? plan->order[n] : n, earlier_at);
    if (!buf->failed && buf->max - buf->len >= TAIL_ROOM) {
        if (fragments != NULL)
            fragments[n] = (struct api_fragment){at, (uint32_t)(buf->len - at)};
        return true;
    }
    /* Only the ceiling is forgiven; without memory the whole body fails. */
    const bool ceiling = buf->max - before < ((size_t)1 << 20) || !buf->failed;
    buf->len = before;
    buf->failed = !ceiling;
    return false;
}

/* ---- blocks of servers side by side ---- */

/* A block is rendered into memory of its own, waits for its place until the blocks before it have
 * theirs, and is copied there while others go on. Room is made before and does not move: where it
 * ends, the rest is left to one thread, which knows how to cut a body. */
enum {
    BLOCK_SERVERS = 16,
    BLOCKS_MIN = 4,
    ROOM_SHARE = 8 /* beyond what is expected, an eighth */
};

struct blocks {
    const struct api_body_plan *plan;
    struct api_fragment *fragments; /* may be NULL */
    struct fw_buf *body;
    size_t first, room; /* server of block 0; bytes that the body may take without moving */
    size_t block_bytes; /* about */
    pthread_mutex_t lock;
    pthread_cond_t placed;
    size_t next; /* block whose turn it is */
    size_t done; /* servers in the body */
    bool full;   /* no block after this one */
};

/* Renders servers [from, to) with a comma before each; fragments count from the block's begin. */
static void render_block(const struct blocks *b, size_t from, size_t to, struct fw_buf *buf)
{
    const struct api_body_plan *plan = b->plan;
    const struct forecast_set *earlier = plan->earlier != NULL ? plan->earlier->set : NULL;
    const size_t first = plan->order != NULL ? plan->order[from] : from;
    size_t earlier_at =
        earlier != NULL ? forecast_set_from(earlier, plan->outlook->set->items[first]->name) : 0;
    for (size_t n = from; n < to; n++) {
        fw_buf_putc(buf, ',');
        const size_t at = buf->len;
        put_server(buf, plan, plan->order != NULL ? plan->order[n] : n, &earlier_at);
        if (b->fragments != NULL)
            b->fragments[n] = (struct api_fragment){at, (uint32_t)(buf->len - at)};
    }
}

/* Where the block goes; false: nowhere. */
static bool take_place(struct blocks *b, size_t block, size_t servers, const struct fw_buf *buf,
                       size_t *at)
{
    pthread_mutex_lock(&b->lock);
    while (b->next != block)
        pthread_cond_wait(&b->placed, &b->lock);
    const bool fits = !b->full && !buf->failed && buf->len + TAIL_ROOM <= b->room - b->body->len;
    *at = b->body->len;
    if (fits) {
        b->body->len += buf->len;
        b->done += servers;
    } else {
        b->full = true;
    }
    b->next++;
    pthread_cond_broadcast(&b->placed);
    pthread_mutex_unlock(&b->lock);
    return fits;
}

static void place_block(void *ctx, size_t block)
{
    struct blocks *b = ctx;
    const size_t from = b->first + block * BLOCK_SERVERS, left = b->plan->count - from;
    const size_t to = from + (left < BLOCK_SERVERS ? left : BLOCK_SERVERS);
    struct fw_buf buf;
    size_t at;
    fw_buf_init(&buf, b->room);
    fw_buf_reserve(&buf, b->block_bytes);
    render_block(b, from, to, &buf);
    if (take_place(b, block, to - from, &buf, &at)) {
        memcpy(b->body->data + at, buf.data, buf.len);
        for (size_t n = from; b->fragments != NULL && n < to; n++)
            b->fragments[n].at += at;
    }
    fw_buf_fini(&buf);
}

/* The servers from `first` on, as far as there is room; returns how many are in the body. */
static size_t put_blocks(struct fw_buf *buf, const struct api_body_plan *plan, size_t first,
                         size_t servers_bytes, struct api_fragment *fragments)
{
    const size_t blocks = (plan->count - first + BLOCK_SERVERS - 1) / BLOCK_SERVERS;
    size_t more = servers_bytes / first * (plan->count - first);
    more += more / ROOM_SHARE + TAIL_ROOM;
    if (plan->workers == NULL || blocks < BLOCKS_MIN || more > buf->max - buf->len ||
        fw_buf_reserve(buf, more) == NULL)
        return first;
    struct blocks b = {.plan = plan,
                       .fragments = fragments,
                       .body = buf,
                       .first = first,
                       .room = buf->cap,
                       .block_bytes = servers_bytes + servers_bytes / ROOM_SHARE,
                       .done = first};
    pthread_mutex_init(&b.lock, NULL);
    pthread_cond_init(&b.placed, NULL);
    forecaster_spread(plan->workers, blocks, place_block, &b);
    pthread_cond_destroy(&b.placed);
    pthread_mutex_destroy(&b.lock);
    return b.done;
}

/* The first block is rendered by the caller, and tells how large the rest will be. */
static size_t put_servers(struct fw_buf *buf, const struct api_body_plan *plan,
                          struct api_fragment *fragments)
{
    const size_t begin = buf->len;
    size_t n = 0, earlier_at = 0;
    while (n < plan->count && !buf->failed && try_server(buf, plan, n, fragments, &earlier_at)) {
        n++;
        if (n == BLOCK_SERVERS && n < plan->count)
            n = put_blocks(buf, plan, n, buf->len - begin, fragments);
    }
    return n;
}

void api_render_body(struct fw_buf *buf, const struct api_body_plan *plan,
                     struct api_fragment *fragments, size_t *written)
{
    put_head(buf, plan);
    if (plan->fields & API_FIELD_SUMMARY) {
        fw_buf_puts(buf, ",\"summary\":");
        api_render_summary(buf, plan->outlook, &plan->view);
    }
    if (plan->fields & API_FIELD_ENVIRONMENT) {
        fw_buf_puts(buf, ",\"environment\":");
        api_render_environment(buf, plan->outlook);
    }
    if (plan->fields & API_FIELD_METADATA) {
        fw_buf_puts(buf, ",\"metadata\":");
        api_render_metadata(buf, plan->outlook, plan->model_dir, &plan->view);
    }
    if (plan->fields & API_FIELD_ALERTS)
        put_alerts(buf, plan);
    if (plan->paged)
        put_page(buf, plan);
    size_t n = 0;
    if (plan->fields & API_FIELD_PREDICTIONS) {
        fw_buf_puts(buf, ",\"predictions\":{");
        n = put_servers(buf, plan, fragments);
        fw_buf_putc(buf, '}');
        if (n < plan->count) {
            fw_buf_puts(buf, ",\"truncated\":true,");
            api_put_int(buf, "next_offset", (int64_t)(plan->offset + n));
        }
    }
    fw_buf_putc(buf, '}');
    if (written != NULL)
        *written = n;
}
