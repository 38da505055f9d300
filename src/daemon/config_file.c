#include "daemon/config.h"

#include "daemon/config_internal.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>

enum { FILE_BYTES_MAX = 1 << 20, LINE_BYTES = 4096 };

struct reading {
    struct config *config;
    FILE *file;
    size_t bytes;
    unsigned line; /* read last */
    char text[LINE_BYTES];
    const char *long_value; /* of this line; NULL: inih has it */
    struct schema_metric metric;
    unsigned metric_line; /* its last key's; 0: no metric's section is open */
    struct fw_error first;
    unsigned first_line;
};

static void blame(struct reading *r, unsigned line)
{
    if (r->first_line == 0)
        r->first_line = line;
}

static void refuse_line(struct reading *r, const char *reason)
{
    if (r->first_line == 0)
        (void)fw_fail(&r->first, FW_EINVAL, "%s", reason);
    blame(r, r->line);
}

/* One byte of the line; EOF behind the last, or when the file is not taken. */
static int next_byte(struct reading *r)
{
    const int c = getc(r->file);
    if (c == EOF)
        return EOF;
    if (++r->bytes > FILE_BYTES_MAX) {
        refuse_line(r, "the file is larger than a MiB");
        return EOF;
    }
    if (c == '\0')
        refuse_line(r, "a NUL byte");
    return c;
}

/* The next line into r->text, without the blanks before it, which inih would take for more of the
 * value above. False behind the last. */
static bool next_line(struct reading *r)
{
    size_t len = 0;
    int c;
    bool cut = false;
    r->line++;
    while ((c = next_byte(r)) != EOF && c != '\n') {
        if (len == 0 && (c == ' ' || c == '\t'))
            continue;
        if (len < sizeof r->text - 1)
            r->text[len++] = (char)c;
        else
            cut = true;
    }
    r->text[len] = '\0';
    if (cut && r->text[0] != ';' && r->text[0] != '#') {
        char reason[80];
        snprintf(reason, sizeof reason, "the line is longer than %zu bytes", sizeof r->text - 1);
        refuse_line(r, reason);
    }
    return r->first_line == 0 && (c != EOF || len > 0);
}

/* A value up to its comment, as inih takes one. */
static char *value_of(char *text)
{
    text += strspn(text, " \t");
    char *end = text;
    while (*end != '\0' && !(*end == ';' && end > text && isspace((unsigned char)end[-1])))
        end++;
    while (end > text && isspace((unsigned char)end[-1]))
        end--;
    *end = '\0';
    return text;
}

/* For inih, whose lines are as short as `size`: of a longer setting it gets the name, and on_line()
 * the value. */
static char *read_line(char *out, int size, void *ctx)
{
    struct reading *r = ctx;
    r->long_value = NULL;
    if (r->first_line != 0 || !next_line(r))
        return NULL;
    const size_t room = (size_t)size - 1, name = strcspn(r->text, "=:");
    size_t len = strlen(r->text);
    if (len > room && r->text[0] != ';' && r->text[0] != '#' && r->text[0] != '[' && name < room &&
        r->text[name] != '\0') {
        len = name + 1;
        r->long_value = value_of(r->text + len);
    }
    if (len > room)
        len = room;
    memcpy(out, r->text, len);
    out[len] = '\0';
    return out;
}

/* What a metric's section says as a whole. */
static void end_metric(struct reading *r)
{
    if (r->metric_line != 0 && schema_set(&r->config->schema, &r->metric, &r->first) != FW_OK)
        blame(r, r->metric_line);
    r->metric_line = 0;
}

static void metric_key(struct reading *r, const char *name, const char *key, const char *value)
{
    if (r->metric_line != 0 && strcmp(r->metric.name, name) != 0)
        end_metric(r);
    enum fw_status status = FW_OK;
    if (r->metric_line == 0 && r->first_line == 0)
        status = config_metric_begin(r->config, name, &r->metric, &r->first);
    if (status == FW_OK && r->first_line == 0)
        status = config_metric_set(&r->metric, key, value, &r->first);
    if (status != FW_OK)
        blame(r, r->line);
    r->metric_line = r->line;
}

/* inih calls it per line; 0 is an error. */
static int on_line(void *ctx, const char *section, const char *key, const char *value)
{
    struct reading *r = ctx;
    if (r->long_value != NULL)
        value = r->long_value;
    if (strncmp(section, "metric ", 7) == 0) {
        metric_key(r, section + 7, key, value);
    } else {
        end_metric(r);
        if (r->first_line == 0 && config_set(r->config, section, key, value, &r->first) != FW_OK)
            blame(r, r->line);
    }
    return r->first_line == 0;
}

static enum fw_status read_whole(struct reading *r, const char *path, struct fw_error *err)
{
    const int line = ini_parse_stream(read_line, r, on_line, r);
    if (ferror(r->file))
        return fw_fail(err, FW_EIO, "configuration %s: %s", path, strerror(errno));
    if (line < 0)
        return fw_fail(err, FW_ENOMEM, "configuration %s", path);
    if (line > 0 && (r->first_line == 0 || (unsigned)line < r->first_line)) {
        r->first_line = 0; /* inih went on behind a line that it cannot read */
        r->line = (unsigned)line;
        refuse_line(r, "not \"key = value\" or \"[section]\"");
    }
    if (r->first_line == 0)
        end_metric(r);
    if (r->first_line != 0)
        return fw_fail_at(err, FW_EINVAL, r->first_line, "%s:%u: %s", path, r->first_line,
                          r->first.text);
    return FW_OK;
}

enum fw_status config_file(struct config *config, const char *path, struct fw_error *err)
{
    struct reading reading = {.config = config, .file = fopen(path, "re")};
    if (reading.file == NULL)
        return fw_fail(err, FW_EIO, "configuration %s: %s", path, strerror(errno));
    const enum fw_status status = read_whole(&reading, path, err);
    (void)fclose(reading.file);
    return status;
}
