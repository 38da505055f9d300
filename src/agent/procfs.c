#include "agent/procfs.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool agent_procfs_path(const char *root, char out[AGENT_PATH_MAX], const char *format, ...)
{
    const int head = snprintf(out, AGENT_PATH_MAX, "%s/", root);
    if (head < 0 || head >= AGENT_PATH_MAX)
        return false;
    va_list args;
    va_start(args, format);
    const int tail = vsnprintf(out + head, (size_t)(AGENT_PATH_MAX - head), format, args);
    va_end(args);
    return tail >= 0 && tail < AGENT_PATH_MAX - head;
}

FILE *agent_procfs_open(const char *root, const char *path)
{
    char full[AGENT_PATH_MAX];
    return agent_procfs_path(root, full, "%s", path) ? fopen(full, "re") : NULL;
}

long agent_procfs_read(const char *root, const char *path, char *text, size_t cap)
{
    FILE *file = agent_procfs_open(root, path);
    if (file == NULL)
        return -1;
    const size_t len = fread(text, 1, cap - 1, file);
    const bool failed = ferror(file) != 0; /* a directory opens and cannot be read */
    fclose(file);
    if (failed)
        return -1;
    text[len] = '\0';
    return (long)len;
}

bool agent_procfs_exists(const char *root, const char *path)
{
    char full[AGENT_PATH_MAX];
    return agent_procfs_path(root, full, "%s", path) && access(full, F_OK) == 0;
}

bool agent_procfs_field(const char *text, const char *key, uint64_t *value)
{
    const size_t len = strlen(key);
    for (const char *line = text; line != NULL && *line != '\0';) {
        if (strncmp(line, key, len) == 0) {
            const char *at = line + len;
            while (*at == ' ' || *at == '\t')
                at++;
            if (!isdigit((unsigned char)*at))
                return false;
            errno = 0;
            *value = strtoull(at, NULL, 10);
            return errno == 0;
        }
        line = strchr(line, '\n');
        if (line != NULL)
            line++;
    }
    return false;
}
