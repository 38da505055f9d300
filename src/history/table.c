#include "history/table.h"

#include <errno.h>
#include <string.h>

static const struct history_field nothing = {"", 0};

enum fw_status history_table_wrong(const struct history_table *t, enum fw_status status,
                                   const char *why, struct history_field what)
{
    return fw_fail_at(t->err, status, t->number, "%.120s:%zu: %s%s%.*s", t->path, t->number, why,
                      what.len > 0 ? ": " : "", what.len > 60 ? 60 : (int)what.len, what.text);
}

static struct history_field field(const char *line, int place)
{
    for (; place > 0 && *line != '\0'; place--) {
        line += strcspn(line, ",");
        line += *line == ',';
    }
    struct history_field f = {line, strcspn(line, ",")};
    if (f.len >= 2 && f.text[0] == '"' && f.text[f.len - 1] == '"')
        f = (struct history_field){f.text + 1, f.len - 2};
    return f;
}

struct history_field history_table_field(const struct history_table *t, int place)
{
    return field(t->line, place);
}

/* -1: no such column. */
static int place_of(const char *header, const char *name)
{
    int places = 1;
    for (const char *c = header; *c != '\0'; c++)
        places += *c == ',';
    for (int i = 0; i < places; i++) {
        const struct history_field f = field(header, i);
        if (f.len == strlen(name) && memcmp(f.text, name, f.len) == 0)
            return i;
    }
    return -1;
}

static bool next_line(struct history_table *t, enum fw_status *status)
{
    *status = FW_OK;
    t->number++;
    if (fgets(t->line, sizeof t->line, t->file) == NULL) {
        if (ferror(t->file) != 0)
            *status = history_table_wrong(t, FW_EIO, "cannot be read", nothing);
        return false;
    }
    if (strlen(t->line) == sizeof t->line - 1) {
        *status = history_table_wrong(t, FW_ELIMIT, "the line is too long", nothing);
        return false;
    }
    t->line[strcspn(t->line, "\r\n")] = '\0';
    return true;
}

bool history_table_next(struct history_table *t, enum fw_status *status)
{
    while (next_line(t, status)) {
        if (t->line[0] != '\0')
            return true;
    }
    return false;
}

static enum fw_status read_header(struct history_table *t, size_t n, const char *const *names,
                                  int *places)
{
    enum fw_status status;
    if (!next_line(t, &status))
        return status != FW_OK ? status
                               : history_table_wrong(t, FW_EINVAL, "the file is empty", nothing);
    const size_t mark = strncmp(t->line, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    for (size_t i = 0; i < n; i++) {
        places[i] = place_of(t->line + mark, names[i]);
        if (places[i] < 0)
            return history_table_wrong(t, FW_EINVAL, "the header has no column",
                                       (struct history_field){names[i], strlen(names[i])});
    }
    return FW_OK;
}

enum fw_status history_table_open(const char *path, size_t n, const char *const *names, int *places,
                                  struct history_table *t, struct fw_error *err)
{
    *t = (struct history_table){.path = path, .err = err};
    t->file = fopen(path, "re");
    if (t->file == NULL)
        return fw_fail(err, errno == ENOENT ? FW_ENOTFOUND : FW_EIO, "%.200s: %s", path,
                       strerror(errno));
    return read_header(t, n, names, places);
}

void history_table_close(struct history_table *t)
{
    if (t->file != NULL)
        (void)fclose(t->file);
    t->file = NULL;
}
