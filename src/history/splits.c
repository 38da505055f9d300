#include "history/splits.h"

#include "base/alloc.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { LINE_BYTES = 4096, SPLITS_MAX = 10000 };

struct reader {
    const char *path;
    FILE *file;
    char line[LINE_BYTES];
    size_t number;         /* of the line, from 1 */
    int name_at, split_at; /* the columns' places */
    struct fw_error *err;
};

struct span {
    const char *text;
    size_t len;
};

static enum fw_status wrong(const struct reader *r, enum fw_status status, const char *why,
                            struct span what)
{
    return fw_fail_at(r->err, status, r->number, "%.120s:%zu: %s%s%.*s", r->path, r->number, why,
                      what.len > 0 ? ": " : "", what.len > 60 ? 60 : (int)what.len, what.text);
}

/* The field at a place, without quotes; empty where the line has fewer. */
static struct span field(const char *line, int place)
{
    for (; place > 0 && *line != '\0'; place--) {
        line += strcspn(line, ",");
        line += *line == ',';
    }
    struct span s = {line, strcspn(line, ",")};
    if (s.len >= 2 && s.text[0] == '"' && s.text[s.len - 1] == '"')
        s = (struct span){s.text + 1, s.len - 2};
    return s;
}

/* -1: no such column. */
static int place_of(const char *header, const char *name)
{
    int places = 1;
    for (const char *c = header; *c != '\0'; c++)
        places += *c == ',';
    for (int i = 0; i < places; i++) {
        const struct span s = field(header, i);
        if (s.len == strlen(name) && memcmp(s.text, name, s.len) == 0)
            return i;
    }
    return -1;
}

/* False at the end, or when the line does not fit: *status says which. */
static bool next_line(struct reader *r, enum fw_status *status)
{
    *status = FW_OK;
    r->number++;
    if (fgets(r->line, sizeof r->line, r->file) == NULL) {
        if (ferror(r->file) != 0)
            *status = wrong(r, FW_EIO, "cannot be read", (struct span){"", 0});
        return false;
    }
    const size_t len = strlen(r->line);
    if (len == sizeof r->line - 1) {
        *status = wrong(r, FW_ELIMIT, "the line is too long", (struct span){"", 0});
        return false;
    }
    r->line[strcspn(r->line, "\r\n")] = '\0';
    return true;
}

static enum fw_status read_header(struct reader *r)
{
    enum fw_status status;
    if (!next_line(r, &status))
        return status != FW_OK ? status
                               : wrong(r, FW_EINVAL, "the file is empty", (struct span){"", 0});
    const size_t mark = strncmp(r->line, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    r->name_at = place_of(r->line + mark, "server_name");
    r->split_at = place_of(r->line + mark, "test_from");
    if (r->name_at < 0 || r->split_at < 0)
        return wrong(r, FW_EINVAL, "the header has no column",
                     r->name_at < 0 ? (struct span){"server_name", 11}
                                    : (struct span){"test_from", 9});
    return FW_OK;
}

static enum fw_status read_row(struct reader *r, struct history_splits *out)
{
    const struct span name = field(r->line, r->name_at), from = field(r->line, r->split_at);
    if (!server_name_valid(name.text, name.len) || memchr(name.text, '/', name.len) != NULL)
        return wrong(r, FW_EINVAL, "server_name is not a server's name", name);
    if (out->n == SPLITS_MAX)
        return wrong(r, FW_ELIMIT, "too many servers", name);
    if (out->n == out->capacity) {
        const size_t wanted = out->capacity == 0 ? 64 : 2 * out->capacity;
        void *wider = fw_realloc_array(out->items, wanted, sizeof *out->items);
        if (wider == NULL)
            return wrong(r, FW_ENOMEM, "no memory for more servers", name);
        out->items = wider;
        out->capacity = wanted;
    }
    struct history_split *to = &out->items[out->n];
    memcpy(to->server, name.text, name.len);
    to->server[name.len] = '\0';
    to->line = r->number;
    if (!fw_time_parse(from.text, from.len, &to->test_from_ms))
        return wrong(r, FW_EINVAL, "test_from is not an ISO 8601 time", from);
    for (size_t i = 0; i < out->n; i++) {
        if (strcmp(out->items[i].server, to->server) == 0)
            return wrong(r, FW_EINVAL, "the server is there twice", name);
    }
    out->n++;
    return FW_OK;
}

enum fw_status history_splits_read(const char *path, struct history_splits *out,
                                   struct fw_error *err)
{
    struct reader r = {.path = path, .err = err};
    *out = (struct history_splits){0};
    r.file = fopen(path, "re");
    if (r.file == NULL)
        return fw_fail(err, errno == ENOENT ? FW_ENOTFOUND : FW_EIO, "%.200s: %s", path,
                       strerror(errno));
    enum fw_status status = read_header(&r);
    while (status == FW_OK && next_line(&r, &status)) {
        if (r.line[0] != '\0')
            status = read_row(&r, out);
    }
    if (status == FW_OK && out->n == 0)
        status = wrong(&r, FW_EINVAL, "no servers", (struct span){"", 0});
    (void)fclose(r.file);
    return status;
}

void history_splits_fini(struct history_splits *splits)
{
    fw_free(splits->items);
    *splits = (struct history_splits){0};
}
