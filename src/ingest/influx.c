#include "ingest/influx.h"

#include "base/hash.h"

#include <stdio.h>
#include <string.h>

enum { NAME_MAX_BYTES = 512 };

struct reading {
    struct series_gather *gather;
    struct influx_refusal *first;
    struct raw_series series;
    char name[NAME_MAX_BYTES]; /* "MEASUREMENT." with each field's name behind it */
};

static enum fw_status take_fault(void *ctx, const struct line_fault *fault)
{
    struct reading *r = ctx;
    struct sample_batch *batch = r->gather->batch;
    batch_reject(batch, batch->records, BATCH_BAD_RECORD, NULL, NULL, 0, "line %zu: %s",
                 fault->line, fault->text);
    batch->records++;
    if (r->first->line != 0)
        return FW_OK;
    r->first->line = fault->line;
    snprintf(r->first->text, sizeof r->first->text, "unable to parse '%.*s': %s",
             (int)fault->excerpt_len, fault->excerpt, fault->text);
    return FW_OK;
}

/* The samples of a line that were refused by time or value. */
static void note_refusals(struct reading *r, const struct line_point *point, size_t before)
{
    const struct sample_batch *batch = r->gather->batch;
    if (r->first->line != 0 || batch_rejected_total(batch) == before)
        return;
    const struct batch_error *error = &batch->errors[batch->error_count - 1];
    r->first->line = point->line;
    snprintf(r->first->text, sizeof r->first->text, "%s%s%s (%s)", error->server_name,
             error->server_name[0] != '\0' ? ": " : "", error->text,
             batch_reason_name(error->reason));
}

/* Where fields' names go: behind "MEASUREMENT.", or at the beginning. */
static size_t begin_name(struct reading *r, const struct line_point *point)
{
    static const char own[] = "forewarn";
    size_t len = point->measurement_len;
    if (len == sizeof own - 1 && memcmp(point->measurement, own, len) == 0)
        return 0;
    if (len > NAME_MAX_BYTES - 1)
        len = NAME_MAX_BYTES - 1;
    memcpy(r->name, point->measurement, len);
    r->name[len] = '.';
    return len + 1;
}

static enum fw_status take_point(void *ctx, const struct line_point *point)
{
    struct reading *r = ctx;
    struct series_gather *g = r->gather;
    const size_t refused = batch_rejected_total(g->batch);
    const size_t prefix = begin_name(r, point);
    enum fw_status status = FW_OK;
    r->series.label_count = point->tag_count;
    memcpy(r->series.labels, point->tags, point->tag_count * sizeof *point->tags);
    const struct raw_label *host = raw_series_label(&r->series, "host");
    const struct series_source source = {
        .server = host != NULL ? host->value : NULL,
        .server_len = host != NULL ? host->value_len : 0,
        .target = fw_hash_keyed(point->measurement, point->measurement_len),
        .loose = true, /* each line is stamped when it is made, and rounded to a second */
    };
    for (size_t i = 0; i < point->field_count && status == FW_OK; i++) {
        const struct line_field *field = &point->fields[i];
        if (field->type == LINE_STRING)
            continue;
        const size_t room = NAME_MAX_BYTES - prefix;
        const size_t len = field->key_len < room ? field->key_len : room;
        memcpy(r->name + prefix, field->key, len);
        r->series.name = r->name;
        r->series.name_len = (uint32_t)(prefix + len);
        status = series_gather_put(g, &r->series, &source, point->time_ms, field->number,
                                   SERIES_CUMULATIVE);
    }
    note_refusals(r, point, refused);
    return status;
}

enum fw_status influx_read(struct series_gather *gather, const char *body, size_t len,
                           enum line_precision precision, int64_t now_ms,
                           struct influx_refusal *first, struct fw_error *err)
{
    struct line_decoder *decoder = line_decoder_new();
    struct reading reading = {.gather = gather, .first = first};
    const struct line_visitor visitor = {.ctx = &reading,
                                         .precision = precision,
                                         .now_ms = now_ms,
                                         .point = take_point,
                                         .fault = take_fault};
    *first = (struct influx_refusal){0};
    const enum fw_status status =
        decoder != NULL ? line_protocol_read(decoder, body, len, &visitor) : FW_ENOMEM;
    line_decoder_free(decoder);
    return series_gather_explain(status, err);
}
