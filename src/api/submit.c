#include "api/submit.h"

#include "api/api_internal.h"
#include "api/rules.h"
#include "base/alloc.h"
#include "base/log.h"

#include <assert.h>

struct submission {
    struct api *api;
    enum api_protocol protocol;
    struct api_rules *rules; /* the batch points into them */
    struct sample_batch *batch;
    api_submitted_fn done;
    void *ctx;
    struct api_submitted result;
};

const char *api_protocol_name(enum api_protocol protocol)
{
    static const char *const names[API_PROTOCOLS] = {[API_FEED] = "feed",
                                                     [API_REMOTE_WRITE] = "remote_write",
                                                     [API_INFLUX] = "influx",
                                                     [API_OTLP] = "otlp"};
    return names[protocol];
}

static void count_refusal(struct api_counts *counts, enum fw_status status)
{
    if (status == FW_ENOMEM)
        counts->refused_memory++;
    else if (status == FW_ELIMIT)
        counts->refused_queue++;
    else
        counts->refused_journal++;
}

static void count_result(const struct submission *s)
{
    struct api_counts *counts = &s->api->counts;
    const struct api_submitted *r = &s->result;
    if (r->status != FW_OK) {
        count_refusal(counts, r->status);
        return;
    }
    counts->batches[s->protocol]++;
    counts->records[s->protocol] += r->accepted;
    counts->samples[s->protocol] += s->batch->value_count;
    counts->duplicates += r->applied.duplicates;
    counts->overwritten += r->applied.overwritten;
    counts->late += r->applied.late;
    counts->sealed += r->applied.sealed;
    counts->outrun += r->applied.outrun;
    for (size_t i = BATCH_OK + 1; i < BATCH_REASON_COUNT; i++)
        counts->rejected[s->protocol][i] += s->batch->rejected[i];
}

static void finish(struct submission *s, enum fw_status status)
{
    s->result.status = status;
    s->result.accepted = status == FW_OK ? s->batch->row_count : 0;
    s->result.rejected = batch_rejected_total(s->batch);
    s->result.batch = s->batch;
    count_result(s);
    s->done(s->ctx, &s->result);
    batch_free(s->batch);
    api_rules_release(s->rules);
    fw_free(s);
}

/* On the journal's thread, in the order of the journal. */
static void journalled(void *ctx, enum fw_status status, uint64_t seq)
{
    struct submission *s = ctx;
    struct api *api = s->api;
    s->result.seq = seq;
    if (status == FW_OK) {
        /* Durable, so acknowledged whatever memory says: a restart replays what misses here. */
        api->counts.labels_dropped += fleet_labels_apply(api->parts.fleet, s->batch);
        const enum fw_status applied =
            fleet_apply(api->parts.fleet, s->batch, seq, &s->result.applied);
        if (applied != FW_OK)
            FW_LOG_ERROR("ingest", "a durable batch is not whole in the windows seq=%llu status=%s",
                         (unsigned long long)seq, fw_status_name(applied));
        if (api->parts.wake != NULL)
            api->parts.wake(api->parts.wake_ctx);
    }
    finish(s, status);
}

static enum fw_status append(struct submission *s)
{
    struct fw_buf body;
    fw_buf_init(&body, s->api->options.answer_bytes_max);
    batch_encode(s->batch, s->api->options.schema, &body);
    const enum fw_status status =
        body.failed
            ? FW_ENOMEM
            : store_journal_append(s->api->parts.journal, body.data, body.len, journalled, s);
    fw_buf_fini(&body);
    return status;
}

void api_submit(struct api *api, enum api_protocol protocol, struct api_rules *rules,
                struct sample_batch *batch, api_submitted_fn done, void *ctx)
{
    struct submission *s = fw_calloc(1, sizeof *s);
    if (s == NULL) {
        const struct api_submitted none = {.status = FW_ENOMEM, .batch = batch};
        count_refusal(&api->counts, FW_ENOMEM);
        done(ctx, &none);
        batch_free(batch);
        return;
    }
    *s = (struct submission){.api = api,
                             .protocol = protocol,
                             .rules = api_rules_retain(rules),
                             .batch = batch,
                             .done = done,
                             .ctx = ctx};
    enum fw_status status = fleet_admit(api->parts.fleet, batch);
    if (status == FW_OK)
        api->counts.labels_dropped += fleet_labels_weigh(api->parts.fleet, batch);
    if (status == FW_OK && batch->row_count + batch_label_changes(batch) > 0)
        status = append(s); /* FW_OK: `s` belongs to the journal now */
    else if (status == FW_OK) {
        finish(s, FW_OK);
        return;
    }
    if (status != FW_OK)
        finish(s, status);
}
