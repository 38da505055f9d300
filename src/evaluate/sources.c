#include "evaluate/sources.h"

#include "base/alloc.h"
#include "history/history.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { PATH_BYTES = 4096 };

/* ---- what a path is ---- */

/* Whether a CSV file's header begins with "date,". What cannot be read says so later. */
static bool is_ett_file(const char *path)
{
    char head[8] = {0};
    gzFile gz = gzopen(path, "rb");
    if (gz == NULL)
        return false;
    const int n = gzread(gz, head, 5);
    (void)gzclose(gz);
    return n == 5 && memcmp(head, "date,", 5) == 0;
}

/* In a directory any such file counts; other ones there are passed over. */
static bool holds_ett_file(const char *path)
{
    char file[PATH_BYTES];
    bool found = false;
    DIR *dir = opendir(path);
    if (dir == NULL)
        return false;
    for (const struct dirent *entry; !found && (entry = readdir(dir)) != NULL;) {
        const int len = snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        found = history_file_named(entry->d_name) && len < (int)sizeof file && is_ett_file(file);
    }
    (void)closedir(dir);
    return found;
}

static bool has_servers_csv(const char *path)
{
    char file[PATH_BYTES];
    struct stat st;
    const int len = snprintf(file, sizeof file, "%s/servers.csv", path);
    return len < (int)sizeof file && stat(file, &st) == 0;
}

static enum fw_status look_at(const char *path, enum evaluate_layout *layout, bool *directory,
                              struct fw_error *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return fw_fail(err, errno == ENOENT ? FW_ENOTFOUND : FW_EIO, "%.200s: %s", path,
                       strerror(errno));
    *directory = S_ISDIR(st.st_mode);
    if (*directory && has_servers_csv(path))
        *layout = EVALUATE_FLEET;
    else if (*directory ? holds_ett_file(path) : is_ett_file(path))
        *layout = EVALUATE_ETT;
    return FW_OK;
}

/* ---- names ---- */

/* The last part of a path, of a file without its endings. "." is where we are; other paths that end
 * in dots have no name of their own. */
static void name_by_path(const char *path, bool directory, char *out)
{
    char here[PATH_BYTES];
    if (strcmp(path, ".") == 0 && getcwd(here, sizeof here) != NULL)
        path = here;
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    size_t from = len;
    while (from > 0 && path[from - 1] != '/')
        from--;
    const size_t dot = strcspn(path + from, ".");
    if (!directory && dot > 0 && dot < len - from)
        len = from + dot;
    if (from == len || strspn(path + from, ".") >= len - from)
        (void)snprintf(out, EVALUATE_NAME_MAX + 1, "data");
    else
        (void)snprintf(out, EVALUATE_NAME_MAX + 1, "%.*s", (int)(len - from), path + from);
}

/* `name` goes to plain data, or to the only set. */
static enum fw_status give_names(struct evaluate_sources *s, const char *name, struct fw_error *err)
{
    struct evaluate_source *named = s->n == 1 ? &s->items[0] : NULL;
    for (size_t i = 0; i < s->n; i++) {
        if (s->items[i].layout == EVALUATE_PLAIN)
            named = &s->items[i];
    }
    if (name != NULL && named == NULL)
        return fw_fail(err, FW_EINVAL, "%.60s: there are several sets, and they have names", name);
    if (name != NULL)
        (void)snprintf(named->name, sizeof named->name, "%s", name);
    for (size_t i = 0; i < s->n; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(s->items[i].name, s->items[j].name) == 0)
                return fw_fail(err, FW_EINVAL, "%.100s: another set is called %s",
                               s->items[i].paths[0], s->items[j].name);
        }
    }
    return FW_OK;
}

/* ---- the sets ---- */

/* The set of loose files of that layout, if there is one. */
static struct evaluate_source *gathering(struct evaluate_sources *s, enum evaluate_layout layout,
                                         const bool *gathers)
{
    for (size_t i = 0; i < s->n; i++) {
        if (gathers[i] && s->items[i].layout == layout)
            return &s->items[i];
    }
    return NULL;
}

/* Each set has room for all paths, from paths + i * n on. */
static enum fw_status sort_paths(size_t n, const char *const *paths, struct evaluate_sources *s,
                                 bool *gathers, struct fw_error *err)
{
    for (size_t i = 0; i < n; i++) {
        enum evaluate_layout layout = EVALUATE_PLAIN;
        bool directory = false;
        const enum fw_status status = look_at(paths[i], &layout, &directory, err);
        if (status != FW_OK)
            return status;
        const bool loose = layout == EVALUATE_PLAIN || (layout == EVALUATE_ETT && !directory);
        struct evaluate_source *to = loose ? gathering(s, layout, gathers) : NULL;
        if (to == NULL) {
            to = &s->items[s->n];
            gathers[s->n] = loose;
            to->paths = s->paths + s->n * n;
            to->layout = layout;
            name_by_path(paths[i], directory, to->name);
            s->n++;
        } else {
            strcpy(to->name, layout == EVALUATE_ETT ? "ett" : "data");
        }
        to->paths[to->n_paths++] = paths[i];
    }
    return FW_OK;
}

enum fw_status evaluate_sources_find(size_t n, const char *const *paths, const char *name,
                                     struct evaluate_sources *out, struct fw_error *err)
{
    *out = (struct evaluate_sources){0};
    out->items = fw_calloc(n, sizeof *out->items);
    out->paths = fw_calloc(n * n, sizeof *out->paths);
    bool *gathers = fw_calloc(n, sizeof *gathers);
    enum fw_status status = FW_OK;
    if (out->items == NULL || out->paths == NULL || gathers == NULL)
        status = fw_fail(err, FW_ENOMEM, "no memory for %zu paths", n);
    if (status == FW_OK)
        status = sort_paths(n, paths, out, gathers, err);
    if (status == FW_OK)
        status = give_names(out, name, err);
    fw_free(gathers);
    return status;
}

void evaluate_sources_fini(struct evaluate_sources *sources)
{
    fw_free(sources->items);
    fw_free(sources->paths);
    *sources = (struct evaluate_sources){0};
}
