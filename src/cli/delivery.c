#include "cli/delivery.h"

#include "agent/feed.h"
#include "backfill/select.h"
#include "base/alloc.h"
#include "base/json.h"

#include <stdio.h>
#include <string.h>

enum {
    RECORDS_PER_POST = 20000,
    RECORDS_MAX = 90000, /* a daemon takes 100,000, and 64 MiB */
    BODY_MAX = 60 << 20,
    ANSWER_MAX = 1 << 20,
    JSON_DEPTH = 16,
    SERVERS_MAX = 1 << 20
};

struct cli_delivery {
    struct cli_poster *poster;
    const struct schema *schema;
    struct fw_json_parser *parser;
    struct fw_buf body;
    size_t records; /* in the body */
    struct backfill_texts servers;
    size_t sorted; /* of them, each once */
    struct cli_delivery_counts counts;
};

struct cli_delivery *cli_delivery_new(struct cli_poster *poster, const struct schema *schema)
{
    struct cli_delivery *delivery = fw_calloc(1, sizeof *delivery);
    if (delivery == NULL)
        return NULL;
    delivery->poster = poster;
    delivery->schema = schema;
    delivery->servers.max = SERVERS_MAX;
    fw_buf_init(&delivery->body, BODY_MAX);
    delivery->parser = fw_json_parser_new(ANSWER_MAX, JSON_DEPTH);
    if (delivery->parser == NULL) {
        cli_delivery_free(delivery);
        return NULL;
    }
    return delivery;
}

void cli_delivery_free(struct cli_delivery *delivery)
{
    if (delivery == NULL)
        return;
    fw_json_parser_free(delivery->parser);
    fw_buf_fini(&delivery->body);
    backfill_texts_fini(&delivery->servers);
    fw_free(delivery);
}

/* ---- the answer ---- */

static void add_number(struct fw_json_value object, const char *key, uint64_t *sum)
{
    struct fw_json_value value;
    int64_t number;
    if (fw_json_get(object, key, &value) && fw_json_int64(value, &number) && number > 0)
        *sum += (uint64_t)number;
}

static void keep_first(struct cli_delivery *delivery, struct fw_json_value root)
{
    struct fw_json_value errors, first, msg;
    size_t len;
    char *kept = delivery->counts.first_rejection;
    if (kept[0] != '\0' || !fw_json_get(root, "errors", &errors))
        return;
    struct fw_json_iter iter = fw_json_walk(errors);
    const char *text = fw_json_next(&iter, &first) && fw_json_get(first, "msg", &msg)
                           ? fw_json_string(msg, &len)
                           : NULL;
    if (text != NULL)
        snprintf(kept, sizeof delivery->counts.first_rejection, "%s", text);
}

/* False: the answer does not say what became of the records. */
static bool read_answer(struct cli_delivery *delivery)
{
    struct cli_delivery_counts *counts = &delivery->counts;
    const struct fw_buf *answer = cli_poster_body(delivery->poster);
    struct fw_json_value root, member;
    if (fw_json_parse(delivery->parser, answer->data, answer->len, &root, NULL) != FW_OK ||
        !fw_json_get(root, "records_accepted", &member))
        return false;
    add_number(root, "records_accepted", &counts->accepted);
    add_number(root, "records_rejected", &counts->rejected);
    if (fw_json_get(root, "rejected_by", &member))
        for (int i = BATCH_OK + 1; i < BATCH_REASON_COUNT; i++)
            add_number(member, batch_reason_name((enum batch_reason)i), &counts->rejected_by[i]);
    if (fw_json_get(root, "samples", &member)) {
        add_number(member, "stored", &counts->stored);
        add_number(member, "duplicates", &counts->duplicates);
        add_number(member, "refused", &counts->refused);
    }
    keep_first(delivery, root);
    return true;
}

enum fw_status cli_delivery_flush(struct cli_delivery *delivery, struct fw_error *err)
{
    struct agent_answer answer;
    if (delivery->records == 0)
        return FW_OK;
    agent_feed_end(&delivery->body);
    if (delivery->body.failed)
        return fw_fail(err, FW_ENOMEM, "out of memory");
    enum fw_status status = cli_poster_post(delivery->poster, &delivery->body, &answer, err);
    /* A body whose records are all refused was read, though it is answered 422. */
    if (status == FW_OK || answer.code == 422) {
        const bool read = read_answer(delivery);
        if (read)
            status = FW_OK;
        else if (status == FW_OK)
            status = fw_fail(err, FW_EINVAL, "the daemon's answer is none: %.180s", answer.text);
    }
    delivery->counts.records += status == FW_OK ? delivery->records : 0;
    delivery->records = 0;
    return status;
}

/* ---- rows ---- */

static size_t rows_of_server(const struct sample_batch *batch, size_t first)
{
    size_t i = first + 1;
    while (i < batch->row_count && batch->rows[i].name == batch->rows[first].name &&
           i - first < RECORDS_MAX)
        i++;
    return i - first;
}

/* False: out of memory. */
static bool note_servers(struct cli_delivery *delivery, const struct sample_batch *batch)
{
    struct backfill_texts *servers = &delivery->servers;
    for (size_t i = 0; i < batch->row_count; i += rows_of_server(batch, i)) {
        const struct batch_name *name = &batch->names[batch->rows[i].name];
        if (!backfill_texts_add(servers, name->text, name->len))
            return false;
    }
    if (servers->count > 2 * delivery->sorted + 1024) {
        backfill_texts_sort(servers);
        delivery->sorted = servers->count;
    }
    return true;
}

enum fw_status cli_delivery_put(struct cli_delivery *delivery, const struct sample_batch *batch,
                                struct fw_error *err)
{
    enum fw_status status = FW_OK;
    if (!note_servers(delivery, batch))
        return fw_fail(err, FW_ENOMEM, "out of memory");
    if (delivery->poster == NULL) {
        delivery->counts.records += batch->row_count;
        return FW_OK;
    }
    for (size_t i = 0, n; status == FW_OK && i < batch->row_count; i += n) {
        n = rows_of_server(batch, i);
        if (delivery->records > 0 && delivery->records + n > RECORDS_PER_POST)
            status = cli_delivery_flush(delivery, err);
        if (status != FW_OK)
            break;
        if (delivery->records == 0) {
            fw_buf_reset(&delivery->body);
            agent_feed_begin(&delivery->body);
        }
        agent_feed_rows(&delivery->body, batch, delivery->schema, i, n);
        delivery->records += n;
    }
    return status;
}

void cli_delivery_counts(struct cli_delivery *delivery, struct cli_delivery_counts *counts)
{
    backfill_texts_sort(&delivery->servers);
    delivery->sorted = delivery->servers.count;
    *counts = delivery->counts;
    counts->servers = delivery->servers.count;
    counts->a_server = delivery->servers.count > 0 ? delivery->servers.items[0] : NULL;
}
