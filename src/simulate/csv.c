#include "simulate/csv.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

enum { TEXT_MAX = 64 << 20 /* rows of one call: 20,000 servers make 2 MiB */, DECIMALS = 4 };

struct simulate_csv {
    FILE *file; /* one of the two */
    gzFile gz;
    char *path; /* for error texts */
    struct schema schema;
    struct fw_buf text;
};

static bool ends_in(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

static enum fw_status close_output(struct simulate_csv *csv, struct fw_error *err)
{
    enum fw_status status = FW_OK;
    if (csv == NULL)
        return FW_OK;
    errno = 0;
    if (csv->gz != NULL && gzclose(csv->gz) != Z_OK)
        status = fw_fail(err, FW_EIO, "%s: %s", csv->path, strerror(errno));
    else if (csv->file == stdout && fflush(stdout) != 0)
        status = fw_fail(err, FW_EIO, "standard output: %s", strerror(errno));
    else if (csv->file != NULL && csv->file != stdout && fclose(csv->file) != 0)
        status = fw_fail(err, FW_EIO, "%s: %s", csv->path, strerror(errno));
    fw_buf_fini(&csv->text);
    fw_free(csv->path);
    fw_free(csv);
    return status;
}

static enum fw_status open_output(const char *path, struct simulate_csv **out, struct fw_error *err)
{
    *out = NULL;
    struct simulate_csv *csv = fw_calloc(1, sizeof *csv);
    if (csv == NULL)
        return fw_fail(err, FW_ENOMEM, "%s: out of memory", path);
    csv->path = fw_strdup(path);
    schema_default(&csv->schema);
    fw_buf_init(&csv->text, TEXT_MAX);
    errno = 0;
    if (strcmp(path, "-") == 0)
        csv->file = stdout;
    else if (ends_in(path, ".gz"))
        csv->gz = gzopen(path, "wb6");
    else
        csv->file = fopen(path, "we");
    if (csv->path == NULL || (csv->file == NULL && csv->gz == NULL)) {
        const int why = errno;
        close_output(csv, NULL);
        return fw_fail(err, FW_EIO, "%s: %s", path, strerror(why));
    }
    *out = csv;
    return FW_OK;
}

/* Hands the text over to the file and empties it. */
static enum fw_status flush(struct simulate_csv *csv, struct fw_error *err)
{
    enum fw_status status = FW_OK;
    const size_t len = csv->text.len;
    errno = 0;
    if (csv->text.failed)
        status = fw_fail(err, FW_ENOMEM, "%s: out of memory", csv->path);
    else if (csv->gz != NULL && len > 0 && gzwrite(csv->gz, csv->text.data, (unsigned)len) == 0)
        status = fw_fail(err, FW_EIO, "%s: %s", csv->path, strerror(errno));
    else if (csv->file != NULL && fwrite(csv->text.data, 1, len, csv->file) != len)
        status = fw_fail(err, FW_EIO, "%s: %s", csv->path, strerror(errno));
    fw_buf_reset(&csv->text);
    return status;
}

enum fw_status simulate_csv_open(const char *path, struct simulate_csv **out, struct fw_error *err)
{
    enum fw_status status = open_output(path, out, err);
    if (status != FW_OK)
        return status;
    struct simulate_csv *csv = *out;
    fw_buf_puts(&csv->text, "timestamp,server_name,status,profile");
    for (int m = 0; m < METRIC_CANONICAL_COUNT; m++) {
        fw_buf_putc(&csv->text, ',');
        fw_buf_puts(&csv->text, csv->schema.metrics[m].name);
    }
    fw_buf_putc(&csv->text, '\n');
    status = flush(csv, err);
    if (status != FW_OK) {
        close_output(csv, NULL);
        *out = NULL;
    }
    return status;
}

static void put_row(struct simulate_csv *csv, const struct sample_batch *batch,
                    const struct sample_row *row)
{
    char time[FW_TIME_SIZE];
    const struct sample_value *by_metric[METRIC_CANONICAL_COUNT] = {0};
    fw_time_format_z(row->time_ms, time);
    fw_buf_puts(&csv->text, time);
    fw_buf_putc(&csv->text, ',');
    fw_buf_puts(&csv->text, batch->names[row->name].text); /* made by us: no comma, no quote */
    fw_buf_putc(&csv->text, ',');
    fw_buf_puts(&csv->text, server_status_name((enum server_status)row->status));
    fw_buf_putc(&csv->text, ',');
    fw_buf_puts(&csv->text, profile_name((enum profile)row->profile));
    for (size_t v = 0; v < row->value_count; v++) {
        const struct sample_value *value = &batch->values[row->first_value + v];
        if (value->metric < METRIC_CANONICAL_COUNT)
            by_metric[value->metric] = value;
    }
    for (int m = 0; m < METRIC_CANONICAL_COUNT; m++) {
        fw_buf_putc(&csv->text, ',');
        if (by_metric[m] != NULL)
            fw_buf_json_number(&csv->text, (double)by_metric[m]->value, DECIMALS);
    }
    fw_buf_putc(&csv->text, '\n');
}

enum fw_status simulate_csv_rows(struct simulate_csv *csv, const struct sample_batch *batch,
                                 struct fw_error *err)
{
    for (size_t i = 0; i < batch->row_count; i++)
        put_row(csv, batch, &batch->rows[i]);
    return flush(csv, err);
}

enum fw_status simulate_csv_close(struct simulate_csv *csv, struct fw_error *err)
{
    return close_output(csv, err);
}

static void put_label(struct simulate_csv *csv, const struct simulate_fleet *fleet,
                      const struct simulate_incident *incident)
{
    char start[FW_TIME_SIZE], end[FW_TIME_SIZE] = "";
    fw_time_format_z(incident->start_ms, start);
    if (incident->end_ms != INT64_MAX)
        fw_time_format_z(incident->end_ms, end);
    fw_buf_printf(&csv->text, "%s,%s,%s,", simulate_fleet_name(fleet, incident->server), start,
                  end);
    const char *separator = "";
    for (int m = 0; m < METRIC_CANONICAL_COUNT; m++) {
        if ((incident->metrics >> m & 1u) != 0) {
            fw_buf_printf(&csv->text, "%s%s", separator, csv->schema.metrics[m].name);
            separator = ";";
        }
    }
    fw_buf_printf(&csv->text, ",%s\n", simulate_incident_name(incident->kind));
}

enum fw_status simulate_csv_labels(const char *path, const struct simulate_fleet *fleet,
                                   struct fw_error *err)
{
    struct simulate_csv *csv;
    size_t count;
    enum fw_status status = open_output(path, &csv, err);
    if (status != FW_OK)
        return status;
    assert(csv != NULL);
    const struct simulate_incident *incidents = simulate_fleet_incidents(fleet, &count);
    fw_buf_puts(&csv->text, "server_name,start,end,metrics,kind\n");
    for (size_t i = 0; i < count; i++)
        put_label(csv, fleet, &incidents[i]);
    status = flush(csv, err);
    const enum fw_status closed = close_output(csv, status == FW_OK ? err : NULL);
    return status != FW_OK ? status : closed;
}
