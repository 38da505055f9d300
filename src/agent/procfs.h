/* Reading small files below a root directory: "" for this host, a fixture tree in tests, "/host" in
 * a container that has the host's trees mounted there. */
#ifndef FW_AGENT_PROCFS_H
#define FW_AGENT_PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { AGENT_PATH_MAX = 1024 };

/* root + "/" + the formatted path into out[AGENT_PATH_MAX]; false when it does not fit. */
bool agent_procfs_path(const char *root, char out[AGENT_PATH_MAX], const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Opens for reading; NULL when it cannot be read. The caller closes it. */
FILE *agent_procfs_open(const char *root, const char *path);

/* The file's first cap - 1 bytes, terminated. -1 when it cannot be read, else the length. */
long agent_procfs_read(const char *root, const char *path, char *text, size_t cap);

bool agent_procfs_exists(const char *root, const char *path);

/* The number behind "key" at the start of a line of `text` ("MemTotal:   123 kB"); false when there
 * is none. */
bool agent_procfs_field(const char *text, const char *key, uint64_t *value);

#endif
