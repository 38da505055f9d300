/* The query API's other answers: which series, labels and values there are, and about itself. */
#include "api/prom_values.h"

#include "api/rules.h"
#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

enum { SELECTORS_MAX = 16 /* match[] of one request */ };

/* ---- what series there are ---- */

/* All series that one of match[] fits, with their value at one time (which does not matter: series
 * without a value there count as well). False: answered. */
static bool select_matches(const struct prom_request *r, struct prom_reader *reader,
                           struct query_set *set, size_t *matches)
{
    const struct query_source source = prom_reader_source(reader);
    *matches = 0;
    for (size_t i = 0; i < r->params.count; i++) {
        struct fw_error err = {0};
        struct query *query;
        const char *text = r->params.items[i].value;
        if (strcmp(r->params.items[i].name, "match[]") != 0)
            continue;
        if (++*matches > SELECTORS_MAX) {
            prom_reply_bad(r, "match[]", "more than 16 of them");
            return false;
        }
        enum fw_status status = query_parse_selector(text, strlen(text), &query, &err);
        if (status == FW_OK)
            status = source.select(source.ctx, query_selector(query), &set->times, set, &err);
        query_free(query);
        if (status != FW_OK) {
            prom_reply_status(r, "match[]", status, &err);
            return false;
        }
    }
    return true;
}

/* `limit`: 0 and absent mean all. False: answered. */
static bool get_limit(const struct prom_request *r, size_t *limit)
{
    const char *text = prom_param(&r->params, "limit");
    char *end;
    *limit = SIZE_MAX;
    if (text == NULL || *text == '\0')
        return true;
    const unsigned long n = strtoul(text, &end, 10);
    if (*end != '\0' || *text < '0' || *text > '9') {
        prom_reply_bad(r, "limit", "expected a number");
        return false;
    }
    if (n > 0)
        *limit = n;
    return true;
}

/* Gives `put` what match[] chooses. */
static void with_matches(struct prom_request *r, bool required,
                         void (*put)(struct fw_buf *buf, const struct prom_request *r,
                                     struct prom_reader *reader, const struct query_set *set,
                                     bool matched, size_t limit))
{
    struct query_set set = {
        .times = {fw_clock_wall_ms(r->api->clock), 1, 1},
          .bytes_max = PROM_SET_BYTES_MAX
    };
    size_t matches, limit;
    struct fw_buf buf;
    struct prom_reader *reader = prom_reader_new(r->api);
    if (reader == NULL) {
        prom_reply_error(r->request, 503, "timeout", "out of memory; try again");
        return;
    }
    if (get_limit(r, &limit) && select_matches(r, reader, &set, &matches)) {
        if (required && matches == 0) {
            prom_reply_bad(r, "match[]", "it is missing");
        } else {
            prom_begin(&buf);
            put(&buf, r, reader, &set, matches > 0, limit);
            prom_reply(r, &buf);
        }
    }
    query_set_fini(&set);
    prom_reader_free(reader);
}

static void put_all_series(struct fw_buf *buf, const struct prom_request *r,
                           struct prom_reader *reader, const struct query_set *set, bool matched,
                           size_t limit)
{
    (void)r;
    (void)reader;
    (void)matched;
    fw_buf_putc(buf, '[');
    for (size_t i = 0; i < set->count && i < limit && !buf->failed; i++) {
        if (i > 0)
            fw_buf_putc(buf, ',');
        prom_put_labels(buf, &set->series[i]);
    }
    fw_buf_putc(buf, ']');
}

static bool has_label(const struct query_set *set, const char *label)
{
    for (size_t i = 0; i < set->count; i++)
        if (query_series_label(&set->series[i], label)[0] != '\0')
            return true;
    return false;
}

static int by_text(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

/* Sorts, leaves out what is there twice. */
static void put_texts(struct fw_buf *buf, const char **texts, size_t n, size_t limit)
{
    size_t put = 0;
    if (n > 1)
        qsort(texts, n, sizeof *texts, by_text);
    fw_buf_putc(buf, '[');
    for (size_t i = 0; i < n && put < limit; i++) {
        if (texts[i][0] == '\0' || (i > 0 && strcmp(texts[i], texts[i - 1]) == 0))
            continue;
        if (put++ > 0)
            fw_buf_putc(buf, ',');
        fw_buf_json_string(buf, texts[i], strlen(texts[i]));
    }
    fw_buf_putc(buf, ']');
}

/* Values that servers have of a label of theirs, ended by NUL each; "" for one without. */
static size_t collect_values(struct api *api, const char *label, struct fw_buf *values)
{
    struct label_set set;
    size_t n = 0;
    for (size_t slot = 0; slot < fleet_slots(api->parts.fleet); slot++) {
        const char *value =
            fleet_labels_read(api->parts.fleet, slot, &set) ? label_set_get(&set, label) : NULL;
        if (value == NULL)
            continue;
        fw_buf_put(values, value, strlen(value) + 1);
        n++;
    }
    return n;
}

static void put_server_values(struct fw_buf *buf, struct api *api, const char *label, size_t limit)
{
    struct fw_buf values;
    fw_buf_init(&values, PROM_SET_BYTES_MAX);
    const size_t n = collect_values(api, label, &values);
    const char **texts = fw_calloc(n + 1, sizeof *texts);
    size_t at = 0;
    for (size_t i = 0; i < n && texts != NULL && !values.failed; i++) {
        texts[i] = values.data + at;
        at += strlen(texts[i]) + 1;
    }
    if (texts != NULL && !values.failed)
        put_texts(buf, texts, n, limit);
    else
        buf->failed = true;
    fw_free(texts);
    fw_buf_fini(&values);
}

/* Our own labels' names, and of those that are kept of servers the ones that some server has. */
static void put_labels_list(struct fw_buf *buf, const struct prom_request *r,
                            struct prom_reader *reader, const struct query_set *set, bool matched,
                            size_t limit)
{
    const char *texts[PROM_LABELS_MAX + LABEL_RULES_MAX];
    const struct label_rules *rules = &reader->rules->labels;
    struct fw_buf values;
    size_t n = 0;
    for (size_t i = 0; prom_labels[i] != NULL; i++)
        if (!matched || has_label(set, prom_labels[i]))
            texts[n++] = prom_labels[i];
    for (size_t i = 0; i < rules->count; i++) {
        fw_buf_init(&values, PROM_SET_BYTES_MAX);
        if (matched ? has_label(set, rules->names[i])
                    : collect_values(r->api, rules->names[i], &values) > 0)
            texts[n++] = rules->names[i];
        fw_buf_fini(&values);
    }
    put_texts(buf, texts, n, limit);
}

/* Values of the label in the path: of what was chosen, or of everything. */
static void put_values(struct fw_buf *buf, const struct prom_request *r, struct prom_reader *reader,
                       const struct query_set *set, bool matched, size_t limit)
{
    const char *label = http_request_path_at(r->request, 0), *value;
    size_t n = 0;
    if (matched) {
        const char **texts = fw_calloc(set->count + 1, sizeof *texts);
        for (size_t i = 0; i < set->count && texts != NULL; i++)
            texts[n++] = query_series_label(&set->series[i], label);
        if (texts != NULL)
            put_texts(buf, texts, n, limit);
        else
            buf->failed = true;
        fw_free(texts);
        return;
    }
    if (label_rules_find(&reader->rules->labels, label, strlen(label)) != NULL) {
        put_server_values(buf, r->api, label, limit);
        return;
    }
    fw_buf_putc(buf, '[');
    for (; n < limit && prom_label_value(reader, label, n, &value) && !buf->failed; n++) {
        if (n > 0)
            fw_buf_putc(buf, ',');
        fw_buf_json_string(buf, value, strlen(value));
    }
    fw_buf_putc(buf, ']');
}

void prom_answer_series(struct prom_request *r)
{
    with_matches(r, true, put_all_series);
}

void prom_answer_labels(struct prom_request *r)
{
    with_matches(r, false, put_labels_list);
}

void prom_answer_values(struct prom_request *r)
{
    with_matches(r, false, put_values);
}

/* ---- about ---- */

void prom_answer_metadata(struct prom_request *r)
{
    struct fw_buf buf;
    struct prom_family_text family;
    const char *only = prom_param(&r->params, "metric");
    size_t n = 0, limit;
    if (!get_limit(r, &limit))
        return;
    prom_begin(&buf);
    fw_buf_putc(&buf, '{');
    for (size_t i = 0; prom_family(r->api, i, &family) && n < limit; i++) {
        if (only != NULL && *only != '\0' && strcmp(only, family.name) != 0)
            continue;
        if (n++ > 0)
            fw_buf_putc(&buf, ',');
        fw_buf_json_key(&buf, family.name);
        fw_buf_puts(&buf, "[{\"type\":\"gauge\",\"help\":");
        fw_buf_json_string(&buf, family.help, strlen(family.help));
        fw_buf_puts(&buf, ",\"unit\":\"\"}]");
    }
    fw_buf_putc(&buf, '}');
    prom_reply(r, &buf);
}

void prom_answer_buildinfo(struct prom_request *r)
{
    struct fw_buf buf;
    prom_begin(&buf);
    fw_buf_puts(&buf, "{\"version\":\"2.42.0\",\"revision\":\"forewarn " FW_VERSION "\"," //
                      "\"branch\":\"\",\"buildUser\":\"\",\"buildDate\":\"\",\"goVersion\":\"\"}");
    prom_reply(r, &buf);
}

void prom_answer_exemplars(struct prom_request *r)
{
    struct fw_buf buf;
    prom_begin(&buf);
    fw_buf_puts(&buf, "[]");
    prom_reply(r, &buf);
}

void prom_answer_format(struct prom_request *r)
{
    struct fw_buf buf;
    struct query *query;
    const char *text = prom_param(&r->params, "query");
    if (!prom_get_query(r, &query))
        return;
    query_free(query);
    prom_begin(&buf);
    fw_buf_json_string(&buf, text, strlen(text));
    prom_reply(r, &buf);
}
