#include "ingest/record.h"

#include "base/text.h"

#include <math.h>
#include <stdlib.h>

enum fault_kind {
    FAULT_NONE,
    FAULT_NO_OBJECT,
    FAULT_MISSING,
    FAULT_TYPE,
    FAULT_TWICE,
    FAULT_NAME,
    FAULT_TIME,
    FAULT_NUMBER,
    FAULT_BOUNDS,
    FAULT_NO_VALUES,
};

/* What a record has said so far. Only the first fault counts, but the rest is read nevertheless:
 * the server's name may stand behind it, and the sender wants to know whose record it was. */
struct reading {
    const struct ingest_fields *fields;
    const char *name;
    size_t name_len;
    bool has_time;
    uint32_t seen; /* bit per own field: it was there, even as null */
    int64_t time_ms;
    uint8_t status, profile;
    bool has_labels;
    struct fw_json_value labels;
    uint64_t mask;
    float values[SCHEMA_METRICS_MAX];

    enum fault_kind fault;
    enum batch_reason reason;
    int field; /* FIELD_NONE: the record as a whole */
    enum fw_json_type found;
    double value;
};

static void blame(struct reading *r, enum fault_kind fault, enum batch_reason reason, int field)
{
    if (r->fault != FAULT_NONE)
        return;
    r->fault = fault;
    r->reason = reason;
    r->field = field;
}

static void blame_type(struct reading *r, enum batch_reason reason, int field,
                       struct fw_json_value value)
{
    if (r->fault == FAULT_NONE)
        r->found = fw_json_type(value);
    blame(r, FAULT_TYPE, reason, field);
}

/* strtod also takes hexadecimal, "inf", "nan" and leading blanks; letters other than the exponent's
 * are refused before it is asked. */
bool ingest_number_text(const char *text, size_t len, double *value)
{
    if (len == 0 || len > 64)
        return false;
    for (size_t i = 0; i < len; i++) {
        const char c = text[i];
        const bool fits = (c >= '0' && c <= '9') || c == '.' || c == 'e' || c == 'E' || c == '-' ||
                          (c == '+' && i > 0);
        if (!fits)
            return false;
    }
    char *end;
    const double parsed = strtod(text, &end);
    if (end != text + len || !isfinite(parsed))
        return false;
    *value = parsed;
    return true;
}

static void read_metric(struct reading *r, int field, struct fw_json_value value)
{
    double number;
    size_t len;
    if (!fw_json_number(value, &number)) {
        const char *text = fw_json_string(value, &len);
        if (text == NULL) {
            /* A gap, also when an earlier member of this name had a value: the last one wins. */
            r->mask &= ~((uint64_t)1 << field);
            if (fw_json_type(value) != FW_JSON_NULL)
                blame_type(r, BATCH_BAD_VALUE, field, value);
            return;
        }
        if (!ingest_number_text(text, len, &number)) {
            blame(r, FAULT_NUMBER, BATCH_BAD_VALUE, field);
            return;
        }
    }
    const double sent = number;
    if (!schema_accept(&r->fields->schema->metrics[field], &number)) {
        if (r->fault == FAULT_NONE)
            r->value = sent;
        blame(r, FAULT_BOUNDS, BATCH_BAD_VALUE, field);
        return;
    }
    r->mask |= (uint64_t)1 << field;
    r->values[field] = (float)number;
}

static void read_name(struct reading *r, struct fw_json_value value)
{
    size_t len;
    const char *text = fw_json_string(value, &len);
    if (text == NULL) {
        if (fw_json_type(value) != FW_JSON_NULL)
            blame_type(r, BATCH_NO_NAME, FIELD_SERVER_NAME, value);
        return;
    }
    if (!server_name_valid(text, len)) {
        blame(r, FAULT_NAME, BATCH_NO_NAME, FIELD_SERVER_NAME);
        return;
    }
    r->name = text;
    r->name_len = len;
}

/* Seconds below 1e11, milliseconds from there on. */
static bool time_from_number(double number, int64_t *ms)
{
    const double scaled = number < 1e11 ? number * 1000.0 : number;
    if (!(number >= 0.0) || !(scaled + 0.5 < (double)BATCH_TIME_END_MS))
        return false;
    *ms = (int64_t)floor(scaled + 0.5);
    return true;
}

static void read_time(struct reading *r, struct fw_json_value value)
{
    double number;
    size_t len;
    const char *text = fw_json_string(value, &len);
    if (text != NULL) {
        r->has_time =
            (fw_time_parse(text, len, &r->time_ms) && r->time_ms < BATCH_TIME_END_MS) ||
            (ingest_number_text(text, len, &number) && time_from_number(number, &r->time_ms));
    } else if (fw_json_number(value, &number)) {
        r->has_time = time_from_number(number, &r->time_ms);
    } else {
        if (fw_json_type(value) != FW_JSON_NULL)
            blame_type(r, BATCH_BAD_TIME, FIELD_TIMESTAMP, value);
        return;
    }
    if (!r->has_time)
        blame(r, FAULT_TIME, BATCH_BAD_TIME, FIELD_TIMESTAMP);
}

static void read_word(struct reading *r, int field, struct fw_json_value value)
{
    size_t len;
    const char *text = fw_json_string(value, &len);
    if (text == NULL) {
        if (fw_json_type(value) != FW_JSON_NULL)
            blame_type(r, BATCH_BAD_RECORD, field, value);
        return;
    }
    if (field == FIELD_STATUS)
        r->status = (uint8_t)server_status_parse(text, len);
    else
        r->profile = (uint8_t)profile_parse(text, len);
}

/* Text by text: numbers and the like are no labels, and none is worth a record. */
static void read_labels(struct reading *r, struct fw_json_value value)
{
    if (fw_json_type(value) == FW_JSON_NULL)
        return;
    if (fw_json_type(value) != FW_JSON_OBJECT) {
        blame_type(r, BATCH_BAD_RECORD, FIELD_LABELS, value);
        return;
    }
    r->has_labels = true;
    r->labels = value;
}

static void put_labels(const struct reading *r, struct sample_batch *batch)
{
    struct fw_json_iter members = fw_json_walk(r->labels);
    struct fw_json_value value;
    const char *key, *text;
    size_t key_len, len;
    if (!batch_labels_begin(batch, r->name, r->name_len))
        return;
    while (fw_json_next_member(&members, &key, &key_len, &value))
        if ((text = fw_json_string(value, &len)) != NULL)
            batch_label(batch, key, key_len, text, len);
    batch_labels_end(batch);
}

static void read_own(struct reading *r, int field, struct fw_json_value value)
{
    const uint32_t bit = (uint32_t)1 << (field - FIELD_SERVER_NAME);
    if ((r->seen & bit) != 0 && (field == FIELD_SERVER_NAME || field == FIELD_TIMESTAMP)) {
        blame(r, FAULT_TWICE, BATCH_BAD_RECORD, field);
        return;
    }
    r->seen |= bit;
    switch (field) {
    case FIELD_SERVER_NAME:
        read_name(r, value);
        return;
    case FIELD_TIMESTAMP:
        read_time(r, value);
        return;
    case FIELD_LABELS:
        read_labels(r, value);
        return;
    default:
        read_word(r, field, value);
    }
}

static void read_members(struct reading *r, struct fw_json_value record)
{
    struct fw_json_iter members = fw_json_walk(record);
    struct fw_json_value value;
    const char *key;
    size_t key_len;
    while (fw_json_next_member(&members, &key, &key_len, &value)) {
        const int field = ingest_fields_find(r->fields, key, key_len);
        if (field >= FIELD_SERVER_NAME)
            read_own(r, field, value);
        else if (field >= 0)
            read_metric(r, field, value);
    }
    if (r->name == NULL)
        blame(r, FAULT_MISSING, BATCH_NO_NAME, FIELD_SERVER_NAME);
    if (!r->has_time)
        blame(r, FAULT_MISSING, BATCH_BAD_TIME, FIELD_TIMESTAMP);
    if (r->mask == 0)
        blame(r, FAULT_NO_VALUES, BATCH_NO_VALUES, FIELD_NONE);
}

/* numbers.h: what is no double comes as a bool. */
static const char *found_name(const struct reading *r)
{
    return r->found == FW_JSON_BOOL ? "bool or beyond a double" : fw_json_type_name(r->found);
}

static void reject(const struct reading *r, size_t index, struct sample_batch *batch)
{
    const char *field = r->field == FIELD_NONE ? NULL : ingest_field_name(r->fields, r->field);
    switch (r->fault) {
    case FAULT_NO_OBJECT:
        batch_reject(batch, index, r->reason, field, NULL, 0,
                     "Input should be a valid dictionary, not %s", fw_json_type_name(r->found));
        return;
    case FAULT_TYPE:
        batch_reject(batch, index, r->reason, field, r->name, r->name_len, "%s expected, not %s",
                     r->field < FIELD_SERVER_NAME  ? "a number"
                     : r->field == FIELD_TIMESTAMP ? "a date and time"
                     : r->field == FIELD_LABELS    ? "an object of texts"
                                                   : "a string",
                     found_name(r));
        return;
    case FAULT_BOUNDS: {
        const struct schema_metric *m = &r->fields->schema->metrics[r->field];
        batch_reject(batch, index, r->reason, field, r->name, r->name_len, "%g is outside %g to %g",
                     r->value, m->min, m->max);
        return;
    }
    default:
        break;
    }
    static const char *const texts[] = {
        [FAULT_MISSING] = "Field required",
        [FAULT_TWICE] = "named twice in one record",
        [FAULT_NAME] = "1 to 128 bytes of printable UTF-8 expected, without blanks at the ends",
        [FAULT_TIME] = "neither an ISO 8601 date and time from 1970 on nor Unix seconds or "
                       "milliseconds",
        [FAULT_NUMBER] = "the text is not a finite number",
        [FAULT_NO_VALUES] = "no value of a known metric",
    };
    batch_reject(batch, index, r->reason, field, r->name, r->name_len, "%s", texts[r->fault]);
}

static enum fw_status add_row(const struct reading *r, size_t index, struct sample_batch *batch)
{
    struct sample_value values[SCHEMA_METRICS_MAX];
    struct sample_row head = {.record = (uint32_t)index,
                              .time_ms = r->time_ms,
                              .status = r->status,
                              .profile = r->profile};
    const enum fw_status status = batch_name(batch, r->name, r->name_len, &head.name);
    if (status != FW_OK)
        return status;
    size_t n = 0;
    for (uint64_t bits = r->mask; bits != 0; bits &= bits - 1) {
        const int metric = __builtin_ctzll(bits);
        values[n++] = (struct sample_value){(uint16_t)metric, r->values[metric]};
    }
    if (r->has_labels)
        put_labels(r, batch);
    return batch_row_put(batch, &head, values, n);
}

enum fw_status ingest_record(const struct ingest_fields *fields, struct fw_json_value record,
                             size_t index, struct sample_batch *batch)
{
    struct reading r;
    r.fields = fields;
    r.name = NULL;
    r.name_len = 0;
    r.has_time = r.has_labels = false;
    r.seen = 0;
    r.time_ms = 0;
    r.status = STATUS_UNKNOWN;
    r.profile = PROFILE_UNKNOWN;
    r.mask = 0;
    r.fault = FAULT_NONE;
    if (fw_json_type(record) == FW_JSON_OBJECT) {
        read_members(&r, record);
    } else {
        r.found = fw_json_type(record);
        blame(&r, FAULT_NO_OBJECT, BATCH_BAD_RECORD, FIELD_NONE);
    }
    if (r.fault == FAULT_NONE)
        return add_row(&r, index, batch);
    reject(&r, index, batch);
    return FW_OK;
}
