#include "ingest/json.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/json_locate.h"
#include "ingest/numbers.h"
#include "ingest/record.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct ingest_decoder {
    struct ingest_fields fields;
    struct fw_json_parser *parser; /* NULL until the next body, after one that was large */
    size_t body_max;
    size_t longest; /* body that the parser has had to make room for */
};

/* A body may grow by so much when its numbers are tamed. */
static size_t tamed_max(size_t len)
{
    return len + len / 8 + 64;
}

/* What the parser takes for a body, at most, per byte: tape, strings, structure and a copy. */
enum { PARSER_BYTES_PER_BYTE = 15 };

struct ingest_decoder *ingest_decoder_new(const struct schema *schema, size_t body_max)
{
    struct ingest_decoder *decoder = fw_calloc(1, sizeof *decoder);
    if (decoder == NULL)
        return NULL;
    ingest_fields_init(&decoder->fields, schema);
    decoder->body_max = body_max;
    return decoder;
}

void ingest_decoder_free(struct ingest_decoder *decoder)
{
    if (decoder == NULL)
        return;
    fw_json_parser_free(decoder->parser);
    fw_free(decoder);
}

/* ---- faults of a whole body ---- */

/* A small value as JSON, for people to recognise; null for what is large. */
static void render_input(struct fw_json_value value, char *out, size_t size)
{
    struct fw_buf text;
    double number;
    bool flag;
    size_t len;
    const char *string = fw_json_string(value, &len);
    fw_buf_init(&text, size - 1);
    if (string != NULL)
        fw_buf_json_string(&text, string, len);
    else if (fw_json_bool(value, &flag))
        fw_buf_json_bool(&text, flag);
    else if (fw_json_number(value, &number))
        fw_buf_json_number(&text, number, 6);
    else if (fw_json_type(value) == FW_JSON_OBJECT && fw_json_count(value) == 0)
        fw_buf_puts(&text, "{}");
    else if (fw_json_type(value) == FW_JSON_ARRAY && fw_json_count(value) == 0)
        fw_buf_puts(&text, "[]");
    if (text.failed || text.len == 0) {
        snprintf(out, size, "null");
    } else {
        memcpy(out, text.data, text.len);
        out[text.len] = '\0';
    }
    fw_buf_fini(&text);
}

static struct ingest_request_error *add_error(struct ingest_request_errors *errors,
                                              const char *type, const char *field,
                                              const char *format, ...) FW_PRINTF(4, 5);

static struct ingest_request_error *add_error(struct ingest_request_errors *errors,
                                              const char *type, const char *field,
                                              const char *format, ...)
{
    assert(errors->count < INGEST_REQUEST_ERRORS_MAX);
    struct ingest_request_error *error = &errors->entries[errors->count++];
    *error = (struct ingest_request_error){.type = type, .field = field};
    va_list args;
    va_start(args, format);
    vsnprintf(error->msg, sizeof error->msg, format, args);
    va_end(args);
    snprintf(error->input, sizeof error->input, "null");
    return error;
}

static enum fw_status missing_body(struct ingest_request_errors *errors)
{
    add_error(errors, "missing", NULL, "Field required");
    return FW_EINVAL;
}

static enum fw_status invalid_json(struct ingest_request_errors *errors, size_t base,
                                   const struct fw_error *err)
{
    struct ingest_request_error *error =
        add_error(errors, "json_invalid", NULL, "JSON decode error");
    error->has_offset = true;
    error->offset = base + err->offset;
    snprintf(error->input, sizeof error->input, "{}");
    snprintf(error->ctx_error, sizeof error->ctx_error, "%.150s", err->text);
    return err->status;
}

static enum fw_status too_many(struct ingest_request_errors *errors, size_t count)
{
    add_error(errors, "too_long", "records",
              "List should have at most %d items after validation, not %zu", INGEST_RECORDS_MAX,
              count);
    return FW_ELIMIT;
}

/* ---- one document ---- */

/* After a refusal: the same text with its numbers tamed, when they are all that is wrong with it.
 */
static enum fw_status parse_tamed(struct ingest_decoder *decoder, const char *text, size_t len,
                                  struct fw_json_value *root)
{
    size_t offset;
    const char *reason;
    struct fw_buf tamed;
    if (!fw_json_locate(text, len, INGEST_JSON_DEPTH, &offset, &reason) &&
        strcmp(reason, FW_JSON_OUT_OF_RANGE) != 0)
        return FW_EINVAL;
    fw_buf_init(&tamed, tamed_max(len));
    ingest_tame_numbers(text, len, &tamed);
    const enum fw_status status =
        tamed.failed ? FW_ENOMEM
                     : fw_json_parse(decoder->parser, tamed.data, tamed.len, root, NULL);
    fw_buf_fini(&tamed);
    return status;
}

static enum fw_status parse(struct ingest_decoder *decoder, const char *text, size_t len,
                            size_t base, struct fw_json_value *root,
                            struct ingest_request_errors *errors)
{
    struct fw_error err = {0};
    if (decoder->parser == NULL)
        decoder->parser = fw_json_parser_new(tamed_max(decoder->body_max), INGEST_JSON_DEPTH);
    if (decoder->parser == NULL) {
        add_error(errors, "out_of_memory", NULL, "out of memory");
        return FW_ENOMEM;
    }
    if (len > decoder->longest)
        decoder->longest = len;
    const enum fw_status status = fw_json_parse(decoder->parser, text, len, root, &err);
    if (status == FW_OK || (status == FW_EINVAL && parse_tamed(decoder, text, len, root) == FW_OK))
        return FW_OK;
    return invalid_json(errors, base, &err);
}

static enum fw_status decode_list(struct ingest_decoder *decoder, struct fw_json_value list,
                                  struct sample_batch *batch, struct ingest_request_errors *errors)
{
    const size_t count = fw_json_count(list);
    if (count > INGEST_RECORDS_MAX)
        return too_many(errors, count);
    struct fw_json_iter records = fw_json_walk(list);
    struct fw_json_value record;
    enum fw_status status = FW_OK;
    while (status == FW_OK && fw_json_next(&records, &record))
        status = ingest_record(&decoder->fields, record, batch->records++, batch);
    if (status != FW_OK)
        add_error(errors, "out_of_memory", NULL, "out of memory");
    return status;
}

/* The last member of that name, as Python's reader and so the reference takes it. */
static bool last_member(struct fw_json_value object, const char *name, struct fw_json_value *value)
{
    struct fw_json_iter members = fw_json_walk(object);
    struct fw_json_value here;
    const char *key;
    size_t key_len;
    bool found = false;
    while (fw_json_next_member(&members, &key, &key_len, &here)) {
        if (key_len == strlen(name) && memcmp(key, name, key_len) == 0) {
            *value = here;
            found = true;
        }
    }
    return found;
}

static enum fw_status decode_root(struct ingest_decoder *decoder, struct fw_json_value root,
                                  struct sample_batch *batch, struct ingest_request_errors *errors)
{
    struct fw_json_value list;
    const enum fw_json_type type = fw_json_type(root);
    struct ingest_request_error *error;
    if (type == FW_JSON_ARRAY)
        return decode_list(decoder, root, batch, errors);
    if (type == FW_JSON_NULL)
        return missing_body(errors);
    if (type != FW_JSON_OBJECT) {
        error = add_error(errors, "model_attributes_type", NULL,
                          "Input should be a valid dictionary or object to extract fields from");
        render_input(root, error->input, sizeof error->input);
        return FW_EINVAL;
    }
    if (!last_member(root, "records", &list)) {
        error = add_error(errors, "missing", "records", "Field required");
        render_input(root, error->input, sizeof error->input);
        return FW_EINVAL;
    }
    if (fw_json_type(list) == FW_JSON_ARRAY)
        return decode_list(decoder, list, batch, errors);
    error = add_error(errors, "list_type", "records", "Input should be a valid list");
    render_input(list, error->input, sizeof error->input);
    return FW_EINVAL;
}

/* ---- one record per line ---- */

struct line {
    size_t start, len; /* without blanks at the ends */
};

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The next line that is not blank, from *at on. */
static bool next_line(const char *body, size_t len, size_t *at, struct line *line)
{
    while (*at < len && blank(body[*at]))
        (*at)++;
    if (*at == len)
        return false;
    const char *newline = memchr(body + *at, '\n', len - *at);
    size_t end = newline == NULL ? len : (size_t)(newline - body);
    line->start = *at;
    *at = end;
    while (blank(body[end - 1]))
        end--;
    line->len = end - line->start;
    return true;
}

/* Whether a body that starts with a line `first` is NDJSON: a whole object there, which is no
 * {"records":...}, and more behind it. */
static bool is_lines(struct ingest_decoder *decoder, const char *body, size_t len)
{
    struct line first, second;
    size_t at = 0;
    if (!next_line(body, len, &at, &first) || !next_line(body, len, &at, &second) ||
        body[first.start] != '{' || body[first.start + first.len - 1] != '}')
        return false;
    struct ingest_request_errors unused = {0};
    struct fw_json_value root, list;
    return parse(decoder, body + first.start, first.len, 0, &root, &unused) == FW_OK &&
           fw_json_type(root) == FW_JSON_OBJECT && !last_member(root, "records", &list);
}

/* A line that is no JSON ends the whole: the sender lost its framing, and what follows may be
 * anything. */
static enum fw_status decode_lines(struct ingest_decoder *decoder, const char *body, size_t len,
                                   struct sample_batch *batch, struct ingest_request_errors *errors)
{
    struct line line;
    size_t count = 0;
    for (size_t at = 0; next_line(body, len, &at, &line); count++) {
        struct fw_json_value record;
        if (count == INGEST_RECORDS_MAX)
            return too_many(errors, count + 1);
        enum fw_status status =
            parse(decoder, body + line.start, line.len, line.start, &record, errors);
        if (status != FW_OK)
            return status;
        status = ingest_record(&decoder->fields, record, batch->records++, batch);
        if (status != FW_OK) {
            add_error(errors, "out_of_memory", NULL, "out of memory");
            return status;
        }
    }
    return count > 0 ? FW_OK : missing_body(errors);
}

/* ---- the whole ---- */

static enum fw_status decode(struct ingest_decoder *decoder, const char *body, size_t len,
                             enum ingest_json_form form, struct sample_batch *batch,
                             struct ingest_request_errors *errors)
{
    struct fw_json_value root;
    if (len == 0)
        return missing_body(errors);
    if (len > decoder->body_max) {
        add_error(errors, "too_long", NULL, "Body should have at most %zu bytes, not %zu",
                  decoder->body_max, len);
        return FW_ELIMIT;
    }
    if (form == INGEST_JSON_LINES || is_lines(decoder, body, len))
        return decode_lines(decoder, body, len, batch, errors);
    const enum fw_status status = parse(decoder, body, len, 0, &root, errors);
    return status == FW_OK ? decode_root(decoder, root, batch, errors) : status;
}

/* What a batch was before a body that is refused as a whole. */
struct mark {
    size_t rows, values, records, errors;
    size_t rejected[BATCH_REASON_COUNT];
};

static struct mark mark_of(const struct sample_batch *batch)
{
    struct mark mark = {
        batch->row_count, batch->value_count, batch->records, batch->error_count, {0}};
    memcpy(mark.rejected, batch->rejected, sizeof mark.rejected);
    return mark;
}

static void return_to(struct sample_batch *batch, const struct mark *mark)
{
    batch->row_count = mark->rows;
    batch->value_count = mark->values;
    batch->records = mark->records;
    batch->error_count = mark->errors;
    memcpy(batch->rejected, mark->rejected, sizeof mark->rejected);
}

enum fw_status ingest_json(struct ingest_decoder *decoder, const char *body, size_t len,
                           enum ingest_json_form form, struct sample_batch *batch,
                           struct ingest_request_errors *errors)
{
    const struct mark before = mark_of(batch);
    errors->count = 0;
    const enum fw_status status = decode(decoder, body, len, form, batch, errors);
    if (status != FW_OK)
        return_to(batch, &before);
    if (decoder->longest > INGEST_KEEP_BYTES / PARSER_BYTES_PER_BYTE) {
        fw_json_parser_free(decoder->parser);
        decoder->parser = NULL;
        decoder->longest = 0;
    }
    return status;
}
