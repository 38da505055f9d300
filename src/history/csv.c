#include "base/alloc.h"
#include "base/text.h"
#include "domain/identity.h"
#include "domain/schema.h"
#include "history/decimal.h"
#include "history/history_internal.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

enum { FIELDS_MAX = HISTORY_COLUMNS_MAX + 4, PATH_BYTES = 4096, GZ_BUFFER = 1 << 17 };
enum { ROLE_TIME = -1, ROLE_NAME = -2, ROLE_STATUS = -3, ROLE_PROFILE = -4, ROLE_UNUSED = -5 };

struct field {
    const char *text;
    size_t len;
};

/* One file while it is read. */
struct file {
    struct history *data;
    const struct schema *schema;
    const char *path;
    gzFile gz;
    char *line;
    uint64_t number;         /* of the line, from 1 */
    size_t n_fields, n_keys; /* keys: the fields before the metrics, time and perhaps name */
    struct field own_name;   /* of a file that is one server */
    int role[FIELDS_MAX];    /* a column, or ROLE_ */
    const char *complement;  /* the options' */
    int complemented;        /* its column; -1 until a header names it */
    struct fw_error *err;
};

static enum fw_status wrong(const struct file *f, enum fw_status status, const char *why,
                            const struct field *what)
{
    const int len = what == NULL ? 0 : what->len > 60 ? 60 : (int)what->len;
    return fw_fail_at(f->err, status, f->number, "%.120s:%llu: %s%s%.*s%s", f->path,
                      (unsigned long long)f->number, why, what == NULL ? "" : ": \"", len,
                      what == NULL ? "" : what->text, what == NULL ? "" : "\"");
}

/* The next line without its end. False at the end of the file, or on failure: *status says which.
 */
static bool next_line(struct file *f, size_t *len, enum fw_status *status)
{
    int code;
    *status = FW_OK;
    f->number++;
    if (gzgets(f->gz, f->line, HISTORY_LINE_MAX) == NULL) {
        (void)gzerror(f->gz, &code);
        if (code != Z_OK && code != Z_STREAM_END)
            *status =
                wrong(f, FW_EIO, code == Z_ERRNO ? "cannot be read" : "damaged gzip data", NULL);
        return false;
    }
    *len = strlen(f->line);
    if (*len == HISTORY_LINE_MAX - 1) {
        *status = wrong(f, FW_ELIMIT, "the line is too long", NULL);
        return false;
    }
    if ((*len == 0 || f->line[*len - 1] != '\n') && !gzeof(f->gz)) {
        *status = wrong(f, FW_EINVAL, "the line holds a NUL", NULL);
        return false;
    }
    while (*len > 0 && (f->line[*len - 1] == '\n' || f->line[*len - 1] == '\r'))
        f->line[--*len] = '\0';
    return true;
}

/* Cuts a line at its commas; fields may stand in quotes, but hold no comma. Returns their number,
 * or FIELDS_MAX + 1 when there are more. */
static size_t split(const char *line, size_t len, struct field *fields)
{
    size_t n = 0, from = 0;
    for (size_t i = 0; i <= len; i++) {
        if (i != len && line[i] != ',')
            continue;
        if (n == FIELDS_MAX)
            return FIELDS_MAX + 1;
        struct field *f = &fields[n++];
        *f = (struct field){line + from, i - from};
        while (f->len > 0 && f->text[0] == ' ')
            f->text++, f->len--;
        while (f->len > 0 && f->text[f->len - 1] == ' ')
            f->len--;
        if (f->len >= 2 && f->text[0] == '"' && f->text[f->len - 1] == '"')
            *f = (struct field){f->text + 1, f->len - 2};
        from = i + 1;
    }
    return n;
}

static bool is(const struct field *f, const char *word)
{
    return f->len == strlen(word) && memcmp(f->text, word, f->len) == 0;
}

static enum fw_status column_role(struct file *f, const struct field *name, int *role)
{
    char text[HISTORY_COLUMN_NAME_MAX + 1];
    struct fw_error inner;
    if (name->len == 0 || name->len > HISTORY_COLUMN_NAME_MAX)
        return wrong(f, FW_EINVAL, "a column's name is empty or too long", name);
    memcpy(text, name->text, name->len);
    text[name->len] = '\0';
    const enum fw_status status = history_column_of(f->data, text, role, &inner);
    return status == FW_OK ? FW_OK : wrong(f, status, inner.text, name);
}

static enum fw_status read_header(struct file *f, const struct field *fields, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        enum fw_status status = FW_OK;
        if (i < f->n_keys)
            f->role[i] = i == 0 ? ROLE_TIME : ROLE_NAME;
        else if (is(&fields[i], "status"))
            f->role[i] = ROLE_STATUS;
        else if (is(&fields[i], "profile"))
            f->role[i] = ROLE_PROFILE;
        else
            status = column_role(f, &fields[i], &f->role[i]);
        if (f->complement != NULL && is(&fields[i], f->complement))
            f->complemented = f->role[i];
        for (size_t j = f->n_keys; status == FW_OK && j < i; j++) {
            if (f->role[j] == f->role[i])
                status = wrong(f, FW_EINVAL, "the column is there twice", &fields[i]);
        }
        if (status != FW_OK)
            return status;
    }
    f->n_fields = n;
    return FW_OK;
}

/* *missing: nothing is there. *exact: the value for exact means, where they are kept. */
static enum fw_status read_number(struct file *f, int column, const struct field *field,
                                  double *value, double *exact, bool *missing)
{
    char text[64], *end;
    const char *name = f->data->column[column];
    *missing = field->len == 0 || is(field, "nan") || is(field, "NaN") || is(field, "null");
    *exact = *value = (double)NAN; /* until one is read */
    if (*missing)
        return FW_OK;
    if (field->len >= sizeof text)
        return wrong(f, FW_EINVAL, "not a number", field);
    memcpy(text, field->text, field->len);
    text[field->len] = '\0';
    *value = strtod(text, &end);
    if (end == text || end != text + field->len) /* a NUL ends no number */
        return wrong(f, FW_EINVAL, "not a number", field);
    const double as_read = *value;
    const int metric = schema_find(f->schema, name, strlen(name));
    if (!isfinite(*value) || fabs(*value) > 1e15 ||
        (metric >= 0 && !schema_accept(&f->schema->metrics[metric], value))) {
        f->data->refused++;
        *missing = true;
    }
    *exact = f->data->exact && *value == as_read ? history_decimal(text) : *value;
    return FW_OK;
}

static enum fw_status read_field(struct file *f, struct history_series *s, size_t at, int role,
                                 const struct field *field)
{
    double value, exact;
    bool missing;
    if (role == ROLE_STATUS) {
        f->data->has_status = true;
        return history_series_status(s, at, (uint8_t)server_status_parse(field->text, field->len),
                                     f->err);
    }
    if (role == ROLE_PROFILE) {
        const enum profile p = profile_parse(field->text, field->len);
        s->profile_given = s->profile_given || p != PROFILE_UNKNOWN;
        s->profile = p != PROFILE_UNKNOWN ? (uint8_t)p : s->profile;
        return FW_OK;
    }
    const enum fw_status status = read_number(f, role, field, &value, &exact, &missing);
    if (status != FW_OK || missing)
        return status;
    f->data->values++;
    exact = role == f->complemented ? 100.0 - exact : exact;
    return history_series_add(s, (size_t)role, at, value, f->data->exact ? &exact : NULL, f->err);
}

static enum fw_status read_row(struct file *f, const struct field *fields, size_t n)
{
    int64_t ms;
    size_t at;
    struct fw_error inner;
    if (n != f->n_fields)
        return wrong(f, FW_EINVAL, "the row has not as many fields as the header", NULL);
    if (!fw_time_parse(fields[0].text, fields[0].len, &ms))
        return wrong(f, FW_EINVAL, "not an ISO 8601 time", &fields[0]);
    const struct field *name = f->n_keys == 2 ? &fields[1] : &f->own_name;
    if (!server_name_valid(name->text, name->len))
        return wrong(f, FW_EINVAL, "not a server's name", name);
    struct history_series *s = history_series_of(f->data, name->text, name->len, &inner);
    if (s == NULL)
        return wrong(f, inner.status, inner.text, NULL);
    enum fw_status status =
        history_series_reach(s, ms / ((int64_t)f->data->step_s * 1000), &at, &inner);
    if (status != FW_OK)
        return wrong(f, status, inner.text, &fields[0]);
    for (size_t i = f->n_keys; i < n && status == FW_OK; i++)
        status = read_field(f, s, at, f->role[i], &fields[i]);
    f->data->rows++;
    return status;
}

/* A file's name without folder and endings. */
static struct field name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *text = slash == NULL ? path : slash + 1;
    return (struct field){text, strcspn(text, ".")};
}

/* Which of the two layouts a header begins; 0: neither. */
static size_t keys_of(const struct field *fields, size_t n)
{
    if (n >= 3 && is(&fields[0], "timestamp") && is(&fields[1], "server_name"))
        return 2;
    return n >= 2 && is(&fields[0], "date") ? 1 : 0;
}

/* skip: a file without our header is passed over. */
static enum fw_status read_lines(struct file *f, bool skip)
{
    struct field fields[FIELDS_MAX];
    enum fw_status status;
    size_t len;
    if (!next_line(f, &len, &status))
        return status != FW_OK || skip ? status : wrong(f, FW_EINVAL, "the file is empty", NULL);
    const size_t offset = strncmp(f->line, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    size_t n = split(f->line + offset, len - offset, fields);
    f->n_keys = n > FIELDS_MAX ? 2 : keys_of(fields, n);
    f->own_name = name_of(f->path);
    if (f->n_keys == 0) {
        if (!skip)
            return wrong(f, FW_EINVAL,
                         "the header must begin with timestamp,server_name and name a metric",
                         NULL);
        f->data->files_skipped++;
        return FW_OK;
    }
    if (n > FIELDS_MAX)
        return wrong(f, FW_ELIMIT, "too many columns", NULL);
    status = read_header(f, fields, n);
    while (status == FW_OK && next_line(f, &len, &status)) {
        if (len != 0)
            status = read_row(f, fields, split(f->line, len, fields));
    }
    f->data->files++;
    return status;
}

static enum fw_status read_file(struct file *f, const char *path, bool skip)
{
    errno = 0;
    f->gz = gzopen(path, "rb");
    if (f->gz == NULL)
        return fw_fail(f->err, errno == ENOENT ? FW_ENOTFOUND : FW_EIO, "%.200s: %s", path,
                       errno == 0 ? "no memory" : strerror(errno));
    f->path = path;
    f->number = 0;
    (void)gzbuffer(f->gz, GZ_BUFFER);
    const enum fw_status status = read_lines(f, skip);
    (void)gzclose(f->gz);
    return status;
}

bool history_file_named(const char *name)
{
    const size_t len = strlen(name);
    return name[0] != '.' && ((len > 4 && strcmp(name + len - 4, ".csv") == 0) ||
                              (len > 7 && strcmp(name + len - 7, ".csv.gz") == 0));
}

static int is_csv(const struct dirent *entry)
{
    return history_file_named(entry->d_name);
}

static enum fw_status read_directory(struct file *f, const char *dir)
{
    struct dirent **entries;
    char path[PATH_BYTES];
    enum fw_status status = FW_OK;
    const int n = scandir(dir, &entries, is_csv, alphasort);
    if (n < 0)
        return fw_fail(f->err, FW_EIO, "%.200s: %s", dir, strerror(errno));
    for (int i = 0; i < n; i++) {
        const int len = snprintf(path, sizeof path, "%s/%s", dir, entries[i]->d_name);
        if (status == FW_OK && len >= (int)sizeof path)
            status = fw_fail(f->err, FW_ELIMIT, "%.200s: the path is too long", dir);
        else if (status == FW_OK)
            status = read_file(f, path, true);
        free(entries[i]); /* scandir's own */
    }
    free(entries);
    f->path = NULL; /* it was this function's, and the name a part of it */
    f->own_name = (struct field){0};
    if (status == FW_OK && n == 0)
        return fw_fail(f->err, FW_ENOTFOUND, "%.200s: holds no .csv or .csv.gz", dir);
    return status;
}

static enum fw_status read_path(struct file *f, const struct history_options *options,
                                const char *path)
{
    struct stat st;
    bool daemons = false;
    if (stat(path, &st) != 0)
        return fw_fail(f->err, errno == ENOENT ? FW_ENOTFOUND : FW_EIO, "%.200s: %s", path,
                       strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return read_file(f, path, false);
    const enum fw_status status =
        history_read_datadir(f->data, options, f->schema, path, &daemons, f->err);
    return daemons ? status : read_directory(f, path);
}

enum fw_status history_read(const struct history_options *options, size_t n,
                            const char *const *paths, struct history **out, struct fw_error *err)
{
    struct schema schema;
    struct file f = {.schema = &schema, .complemented = -1, .err = err};
    enum fw_status status = FW_OK;
    schema_default(&schema);
    *out = NULL;
    f.data = fw_calloc(1, sizeof *f.data);
    f.line = fw_malloc(HISTORY_LINE_MAX);
    if (f.data == NULL || f.line == NULL) {
        status = fw_fail(err, FW_ENOMEM, "no memory to read the data");
    } else {
        f.data->step_s = options->step_s;
        f.data->exact = options->exact;
        f.complement = options->complement;
    }
    for (size_t i = 0; i < n && status == FW_OK; i++)
        status = read_path(&f, options, paths[i]);
    fw_free(f.line);
    if (status == FW_OK && f.data->n_series == 0)
        status = fw_fail(err, FW_EINVAL, "the data holds no rows");
    if (status == FW_OK) {
        history_finish(f.data);
        *out = f.data;
        f.data = NULL;
    }
    history_free(f.data);
    return status;
}
