#include "backfill/select.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

bool backfill_texts_add(struct backfill_texts *list, const char *text, size_t len)
{
    if (list->count == list->max)
        return false;
    if (list->count == list->cap) {
        const size_t cap = list->cap == 0 ? 64 : 2 * list->cap;
        void *more = fw_realloc_array(list->items, cap, sizeof *list->items);
        if (more == NULL)
            return false;
        list->items = more;
        list->cap = cap;
    }
    char *own = fw_malloc(len + 1);
    if (own == NULL)
        return false;
    memcpy(own, text, len);
    own[len] = '\0';
    list->items[list->count++] = own;
    return true;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void backfill_texts_sort(struct backfill_texts *list)
{
    size_t kept = 0;
    if (list->count > 1)
        qsort(list->items, list->count, sizeof *list->items, by_text);
    for (size_t i = 0; i < list->count; i++) {
        if (kept > 0 && strcmp(list->items[kept - 1], list->items[i]) == 0)
            fw_free(list->items[i]);
        else
            list->items[kept++] = list->items[i];
    }
    list->count = kept;
}

static int by_key(const void *key, const void *item)
{
    return strcmp(key, *(char *const *)item);
}

void backfill_texts_keep(struct backfill_texts *list, const struct backfill_texts *known)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (known->count > 0 && bsearch(list->items[i], known->items, known->count,
                                        sizeof *known->items, by_key) != NULL)
            list->items[kept++] = list->items[i];
        else
            fw_free(list->items[i]);
    }
    list->count = kept;
}

void backfill_texts_fini(struct backfill_texts *list)
{
    for (size_t i = 0; i < list->count; i++)
        fw_free(list->items[i]);
    fw_free(list->items);
    *list = (struct backfill_texts){0};
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void trim(const char **text, size_t *len)
{
    while (*len > 0 && blank((*text)[*len - 1]))
        --*len;
    for (; *len > 0 && blank(**text); ++*text)
        --*len;
}

enum fw_status backfill_match(const char *text, const char **inner, size_t *len,
                              struct fw_error *err)
{
    *inner = text != NULL ? text : "";
    *len = strlen(*inner);
    if (*len > BACKFILL_MATCH_MAX)
        return fw_fail(err, FW_EINVAL, "the matchers are longer than %d bytes", BACKFILL_MATCH_MAX);
    trim(inner, len);
    const bool opens = *len > 0 && **inner == '{';
    const bool closes = *len > 0 && (*inner)[*len - 1] == '}';
    const size_t word = strcspn(*inner, "={}!~\"");
    if (opens != closes || (!opens && word < *len && (*inner)[word] == '{'))
        return fw_fail(err, FW_EINVAL,
                       "matchers of labels are expected, as {job=\"node\"}, not \"%.100s\"", text);
    if (opens) {
        ++*inner;
        *len -= 2;
        trim(inner, len);
    }
    while (*len > 0 && (*inner)[*len - 1] == ',') { /* which Prometheus allows at the end */
        --*len;
        trim(inner, len);
    }
    return FW_OK;
}

/* Inside the quotes of a string. */
static void put_quoted(struct fw_buf *out, char c)
{
    if (c == '\n') {
        fw_buf_puts(out, "\\n");
        return;
    }
    if (c == '"' || c == '\\')
        fw_buf_putc(out, '\\');
    fw_buf_putc(out, c);
}

void backfill_put_one_of(struct fw_buf *out, const char *label, const struct backfill_texts *list,
                         size_t first, size_t count)
{
    fw_buf_puts(out, label);
    fw_buf_puts(out, "=~\"");
    for (size_t i = first; i < first + count; i++) {
        if (i > first)
            fw_buf_putc(out, '|');
        for (const char *at = list->items[i]; *at != '\0'; at++) {
            if (strchr("\\.+*?()|[]{}^$", *at) != NULL)
                fw_buf_puts(out, "\\\\");
            put_quoted(out, *at);
        }
    }
    fw_buf_putc(out, '"');
}

void backfill_put_is(struct fw_buf *out, const char *label, const char *text)
{
    fw_buf_puts(out, label);
    fw_buf_puts(out, "=\"");
    for (; *text != '\0'; text++)
        put_quoted(out, *text);
    fw_buf_putc(out, '"');
}
