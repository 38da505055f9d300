#include "ingest/line_protocol.h"

#include "base/alloc.h"
#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { EXCERPT_MAX = 64, NUMBER_MAX = 320, FIELDS_FIRST = 32, EXACT_DIGITS = 15 };

/* What a byte may mean, as bits. */
enum { COMMA = 1, EQUALS = 2, BLANK = 4, QUOTE = 8, LINE_END = 16, BACKSLASH = 32, NOT_ASCII = 64 };
static unsigned class_of(char c)
{
    static const unsigned char classes[128] = {
        [','] = COMMA,     ['='] = EQUALS,    [' '] = BLANK,     ['"'] = QUOTE,
        ['\n'] = LINE_END, ['\r'] = LINE_END, ['\\'] = BACKSLASH};
    return (unsigned char)c < sizeof classes ? classes[(unsigned char)c] : NOT_ASCII;
}

struct line_decoder {
    struct raw_label tags[RAW_SERIES_LABELS_MAX];
    struct line_field *fields;
    size_t field_count, field_cap;
    char *scratch; /* what escapes were taken out of; as long as the line */
    size_t scratch_cap, scratch_used;
};

/* One line under way. What goes wrong is said in `fault`, and `at` is then somewhere inside it. */
struct line {
    struct line_decoder *decoder;
    const char *at, *end; /* end: of the body */
    const char *fault;
    bool out_of_memory;
};

struct line_decoder *line_decoder_new(void)
{
    return fw_calloc(1, sizeof(struct line_decoder));
}

void line_decoder_free(struct line_decoder *decoder)
{
    if (decoder == NULL)
        return;
    fw_free(decoder->fields);
    fw_free(decoder->scratch);
    fw_free(decoder);
}

bool line_precision_parse(const char *text, enum line_precision *precision)
{
    static const struct {
        const char *text;
        enum line_precision precision;
    } known[] = {
        {"",         LINE_NS},
        {"n",        LINE_NS},
        {"ns",       LINE_NS},
        {"u",        LINE_US},
        {"us",       LINE_US},
        {"\xc2\xb5", LINE_US},
        {"ms",       LINE_MS},
        {"s",        LINE_S },
        {"m",        LINE_M },
        {"h",        LINE_H },
    };
    for (size_t i = 0; i < COUNT(known); i++) {
        if (strcmp(text, known[i].text) != 0)
            continue;
        *precision = known[i].precision;
        return true;
    }
    return false;
}

/* ---- pieces ---- */

static bool fail(struct line *l, const char *why)
{
    if (l->fault == NULL)
        l->fault = why;
    return false;
}

static bool at_end(const struct line *l)
{
    return l->at == l->end || *l->at == '\n' ||
           (*l->at == '\r' && (l->at + 1 == l->end || l->at[1] == '\n'));
}

/* The text without the backslashes before what they may escape. */
static const char *unescape(struct line *l, const char *begin, const char *end, unsigned escapable,
                            uint32_t *len)
{
    char *out = l->decoder->scratch + l->decoder->scratch_used, *to = out;
    for (const char *p = begin; p < end; p++) {
        if (*p == '\\' && p + 1 < end && (class_of(p[1]) & escapable))
            p++;
        *to++ = *p;
    }
    *len = (uint32_t)(to - out);
    l->decoder->scratch_used += *len;
    return out;
}

/* Up to one of `stops` or the end of the line; a backslash before one of `escapable` takes it out
 * of the way. */
static bool get_text(struct line *l, unsigned stops, unsigned escapable, const char **text,
                     uint32_t *len)
{
    const unsigned looked_at = stops | LINE_END | BACKSLASH | NOT_ASCII;
    const char *begin = l->at;
    bool escapes = false, ascii = true;
    for (; l->at < l->end; l->at++) {
        const unsigned class = class_of(*l->at) & looked_at;
        if (class == 0)
            continue;
        if ((class & stops) || (class == LINE_END && at_end(l)))
            break;
        ascii = ascii && class != NOT_ASCII;
        if (class == BACKSLASH && l->at + 1 < l->end && (class_of(l->at[1]) & escapable)) {
            escapes = true;
            l->at++;
        }
    }
    *text = begin;
    *len = (uint32_t)(l->at - begin);
    if (escapes)
        *text = unescape(l, begin, l->at, escapable, len);
    return ascii || fw_utf8_valid(*text, *len) || fail(l, "not UTF-8");
}

static void skip_blanks(struct line *l)
{
    while (l->at < l->end && *l->at == ' ')
        l->at++;
}

/* ---- tags ---- */

static bool get_tag(struct line *l, struct line_point *point)
{
    struct raw_label *tag = &l->decoder->tags[point->tag_count];
    if (point->tag_count == RAW_SERIES_LABELS_MAX)
        return fail(l, "more than 64 tags");
    if (!get_text(l, COMMA | EQUALS | BLANK, COMMA | EQUALS | BLANK, &tag->name, &tag->name_len))
        return false;
    if (tag->name_len == 0)
        return fail(l, "missing tag key");
    if (l->at == l->end || *l->at != '=')
        return fail(l, "missing tag value");
    l->at++;
    if (!get_text(l, COMMA | EQUALS | BLANK, COMMA | EQUALS | BLANK, &tag->value, &tag->value_len))
        return false;
    if (tag->value_len == 0)
        return fail(l, "missing tag value");
    if (l->at < l->end && *l->at == '=')
        return fail(l, "invalid tag format");
    for (size_t i = 0; i < point->tag_count; i++) {
        const struct raw_label *other = &l->decoder->tags[i];
        if (other->name_len == tag->name_len && memcmp(other->name, tag->name, tag->name_len) == 0)
            return fail(l, "duplicate tags");
    }
    point->tag_count++;
    return true;
}

static bool get_head(struct line *l, struct line_point *point)
{
    if (!get_text(l, COMMA | BLANK, COMMA | EQUALS | BLANK, &point->measurement,
                  &point->measurement_len))
        return false;
    if (point->measurement_len == 0)
        return fail(l, "missing measurement");
    while (l->at < l->end && *l->at == ',') {
        l->at++;
        if (!get_tag(l, point))
            return false;
    }
    return true;
}

/* ---- values ---- */

/* A quoted text may hold line ends. */
static bool get_string(struct line *l, struct line_field *field)
{
    const char *p = l->at + 1;
    bool escapes = false;
    while (p < l->end && *p != '"') {
        const bool escape =
            *p == '\\' && p + 1 < l->end && (class_of(p[1]) & (QUOTE | BACKSLASH)) != 0;
        escapes = escapes || escape;
        p += escape ? 2 : 1;
    }
    if (p >= l->end) {
        l->at = l->end;
        return fail(l, "unbalanced quotes");
    }
    field->type = LINE_STRING;
    field->text = l->at + 1;
    field->text_len = (uint32_t)(p - l->at - 1);
    if (escapes)
        field->text = unescape(l, field->text, p, QUOTE | BACKSLASH, &field->text_len);
    l->at = p + 1;
    return true;
}

static bool is_word(const char *text, size_t len, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strlen(*words) == len && memcmp(*words, text, len) == 0)
            return true;
    return false;
}

static bool get_boolean(struct line *l, const char *text, size_t len, struct line_field *field)
{
    static const char *const yes[] = {"t", "T", "true", "True", "TRUE", NULL};
    static const char *const no[] = {"f", "F", "false", "False", "FALSE", NULL};
    field->type = LINE_BOOLEAN;
    field->number = is_word(text, len, yes) ? 1 : 0;
    return field->number > 0 || is_word(text, len, no) || fail(l, "invalid boolean");
}

/* [-]digits, with the value when it fits `max` (or max + 1 behind a minus). */
static bool get_digits(const char *text, size_t len, uint64_t max, bool sign, double *value)
{
    const bool minus = sign && len > 0 && text[0] == '-';
    uint64_t n = 0;
    if (len == (minus ? 1u : 0u))
        return false;
    for (size_t i = minus; i < len; i++) {
        const unsigned digit = (unsigned)(text[i] - '0');
        if (text[i] < '0' || text[i] > '9' || n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    if (n > max + (minus ? 1u : 0u))
        return false;
    *value = minus ? -(double)n : (double)n;
    return true;
}

/* [-](digits[.digits] | .digits)[(e|E)[+-]digits]: where the exponent begins (or the end), or NULL.
 */
static const char *check_float(const char *text, const char *end)
{
    const char *p = text + (text < end && *text == '-');
    size_t digits = 0, points = 0;
    for (; p < end && ((*p >= '0' && *p <= '9') || *p == '.'); p++) {
        digits += *p != '.';
        points += *p == '.';
    }
    if (digits == 0 || points > 1)
        return NULL;
    if (p == end)
        return p;
    const char *exponent = p;
    if (*p != 'e' && *p != 'E')
        return NULL;
    p++;
    p += p < end && (*p == '+' || *p == '-');
    if (p == end)
        return NULL;
    for (; p < end; p++)
        if (*p < '0' || *p > '9')
            return NULL;
    return exponent;
}

/* The usual: few digits and no exponent, where one division is exact enough to be right. */
static bool short_float(const char *text, size_t len, double *value)
{
    static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    const bool minus = text[0] == '-';
    uint64_t n = 0;
    size_t digits = 0, behind = 0;
    bool point = false;
    for (size_t i = minus; i < len; i++) {
        if (text[i] == '.') {
            point = true;
            continue;
        }
        n = n * 10 + (unsigned)(text[i] - '0');
        behind += point;
        if (++digits > EXACT_DIGITS)
            return false;
    }
    *value = (double)n / powers[behind];
    if (minus)
        *value = -*value;
    return true;
}

static bool get_float(struct line *l, const char *text, size_t len, struct line_field *field)
{
    char copy[NUMBER_MAX + 1];
    const char *exponent = check_float(text, text + len);
    field->type = LINE_FLOAT;
    if (exponent == NULL || len > NUMBER_MAX)
        return fail(l, "invalid number");
    if (exponent == text + len && short_float(text, len, &field->number))
        return true;
    memcpy(copy, text, len);
    copy[len] = '\0';
    field->number = strtod(copy, NULL);
    return isfinite(field->number) || fail(l, "invalid float");
}

static bool get_number(struct line *l, const char *text, size_t len, struct line_field *field)
{
    const char last = text[len - 1];
    if (last == 'i') {
        field->type = LINE_INTEGER;
        return get_digits(text, len - 1, INT64_MAX, true, &field->number) ||
               fail(l, "invalid number");
    }
    if (last == 'u') {
        field->type = LINE_UNSIGNED;
        return get_digits(text, len - 1, UINT64_MAX, false, &field->number) ||
               fail(l, "invalid number");
    }
    return get_float(l, text, len, field);
}

static bool get_value(struct line *l, struct line_field *field)
{
    if (at_end(l) || *l->at == ',' || *l->at == ' ')
        return fail(l, "missing field value");
    if (*l->at == '"')
        return get_string(l, field);
    const char *text = l->at;
    while (!at_end(l) && *l->at != ',' && *l->at != ' ')
        l->at++;
    const size_t len = (size_t)(l->at - text);
    const bool numeric = (*text >= '0' && *text <= '9') || *text == '-' || *text == '.' ||
                         *text == 'N' || *text == 'n';
    return numeric ? get_number(l, text, len, field) : get_boolean(l, text, len, field);
}

/* ---- fields ---- */

static struct line_field *new_field(struct line *l)
{
    struct line_decoder *d = l->decoder;
    if (d->field_count == LINE_FIELDS_MAX) {
        fail(l, "more than 4096 fields");
        return NULL;
    }
    if (d->field_count == d->field_cap) {
        const size_t cap = d->field_cap == 0 ? FIELDS_FIRST : d->field_cap * 2;
        void *more = fw_realloc_array(d->fields, cap, sizeof *d->fields);
        if (more == NULL) {
            l->out_of_memory = true;
            return NULL;
        }
        d->fields = more;
        d->field_cap = cap;
    }
    struct line_field *field = &d->fields[d->field_count];
    *field = (struct line_field){.text = ""};
    return field;
}

static bool get_field(struct line *l)
{
    struct line_field *field = new_field(l);
    if (field == NULL || !get_text(l, COMMA | EQUALS | BLANK, COMMA | EQUALS | BLANK | QUOTE,
                                   &field->key, &field->key_len))
        return false;
    if (l->at == l->end || *l->at != '=')
        return fail(l, "invalid field format");
    if (field->key_len == 0)
        return fail(l, "missing field key");
    l->at++;
    if (!get_value(l, field))
        return false;
    if (!at_end(l) && *l->at != ',' && *l->at != ' ')
        return fail(l, "invalid field format");
    l->decoder->field_count++;
    return true;
}

static bool get_fields(struct line *l)
{
    if (at_end(l))
        return fail(l, "missing fields");
    skip_blanks(l);
    if (!get_field(l))
        return false;
    while (l->at < l->end && *l->at == ',') {
        l->at++;
        if (!get_field(l))
            return false;
    }
    return true;
}

/* ---- the time ---- */

/* Milliseconds, rounded down; false when they are beyond what InfluxDB can hold. */
static bool to_ms(int64_t time, enum line_precision precision, int64_t *ms)
{
    static const int64_t divisors[] = {[LINE_NS] = 1000000, [LINE_US] = 1000, [LINE_MS] = 1};
    static const int64_t factors[] = {[LINE_S] = 1000, [LINE_M] = 60000, [LINE_H] = 3600000};
    const int64_t limit = INT64_MAX / 1000000;
    if (precision <= LINE_MS) {
        const int64_t divisor = divisors[precision];
        *ms = time / divisor - (time % divisor < 0);
    } else {
        if (time > limit / factors[precision] || time < -limit / factors[precision])
            return false;
        *ms = time * factors[precision];
    }
    return *ms <= limit && *ms >= -limit;
}

static bool get_time(struct line *l, enum line_precision precision, int64_t *time_ms)
{
    skip_blanks(l);
    if (at_end(l))
        return true; /* *time_ms is now */
    const char *text = l->at;
    while (!at_end(l) && *l->at != ' ')
        l->at++;
    size_t len = (size_t)(l->at - text);
    const bool minus = *text == '-';
    uint64_t n = 0;
    if (len == (minus ? 1u : 0u))
        return fail(l, "bad timestamp");
    for (size_t i = minus; i < len; i++) {
        const unsigned digit = (unsigned)(text[i] - '0');
        if (text[i] < '0' || text[i] > '9')
            return fail(l, "bad timestamp");
        if (n > ((uint64_t)INT64_MAX - digit) / 10)
            return fail(l, "time outside range");
        n = n * 10 + digit;
    }
    skip_blanks(l);
    if (!at_end(l))
        return fail(l, "something behind the timestamp");
    return to_ms(minus ? -(int64_t)n : (int64_t)n, precision, time_ms) ||
           fail(l, "time outside range");
}

/* ---- lines ---- */

static bool get_point(struct line *l, const struct line_visitor *visitor, struct line_point *point)
{
    l->decoder->field_count = 0;
    if (!get_head(l, point) || !get_fields(l) || !get_time(l, visitor->precision, &point->time_ms))
        return false;
    point->tags = l->decoder->tags;
    point->fields = l->decoder->fields;
    point->field_count = l->decoder->field_count;
    return true;
}

/* Room for all that a line may hold escaped. */
static bool make_room(struct line_decoder *d, const char *body, size_t len)
{
    const size_t wanted = len < LINE_BYTES_MAX ? len : LINE_BYTES_MAX;
    if (memchr(body, '\\', len) == NULL || d->scratch_cap >= wanted)
        return true;
    char *more = fw_realloc(d->scratch, wanted);
    if (more == NULL)
        return false;
    d->scratch = more;
    d->scratch_cap = wanted;
    return true;
}

static size_t count_lines(const char *from, const char *to)
{
    size_t lines = 0;
    for (const char *p = from; p < to && (p = memchr(p, '\n', (size_t)(to - p))) != NULL; p++)
        lines++;
    return lines;
}

/* The walker reads no further than LINE_BYTES_MAX, so no line is longer. */
static enum fw_status read_line(struct line *l, size_t number, const struct line_visitor *visitor)
{
    const char *begin = l->at, *body_end = l->end;
    struct line_point point = {.line = number, .time_ms = visitor->now_ms};
    if (body_end - begin > LINE_BYTES_MAX)
        l->end = begin + LINE_BYTES_MAX;
    l->fault = NULL;
    const bool good = get_point(l, visitor, &point);
    const bool cut = l->at == l->end && l->end != body_end;
    l->end = body_end;
    if (l->out_of_memory)
        return FW_ENOMEM;
    if (good && !cut)
        return visitor->point(visitor->ctx, &point);
    const char *newline = memchr(begin, '\n', (size_t)(l->end - begin));
    const size_t len = (size_t)((newline != NULL ? newline : l->end) - begin);
    const struct line_fault fault = {number, cut ? "longer than 1 MiB" : l->fault, begin,
                                     len < EXCERPT_MAX ? len : EXCERPT_MAX};
    return visitor->fault(visitor->ctx, &fault);
}

static void skip_line(struct line *l)
{
    const char *newline = l->at < l->end ? memchr(l->at, '\n', (size_t)(l->end - l->at)) : NULL;
    l->at = newline != NULL ? newline + 1 : l->end;
}

enum fw_status line_protocol_read(struct line_decoder *decoder, const char *body, size_t len,
                                  const struct line_visitor *visitor)
{
    if (len == 0)
        return FW_OK; /* `body` may be NULL */
    if (!make_room(decoder, body, len))
        return FW_ENOMEM;
    struct line l = {.decoder = decoder, .at = body, .end = body + len};
    size_t number = 1;
    enum fw_status status = FW_OK;
    while (l.at < l.end && status == FW_OK) {
        const char *begin = l.at;
        while (l.at < l.end && (*l.at == ' ' || *l.at == '\t'))
            l.at++;
        if (!at_end(&l) && *l.at != '#') {
            decoder->scratch_used = 0;
            status = read_line(&l, number, visitor);
        }
        skip_line(&l);
        number += count_lines(begin, l.at);
    }
    return status;
}
