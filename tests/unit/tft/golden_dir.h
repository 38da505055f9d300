/* Where the golden sets lie: the small ones in this repository, the others in $FW_SHARED or
 * ../shared. */
#ifndef FW_TESTS_TFT_GOLDEN_DIR_H
#define FW_TESTS_TFT_GOLDEN_DIR_H

#include "base/alloc.h"
#include "tft/file.h"
#include "tft/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GOLDEN_PATH_SIZE = 1024 };

static inline const char *golden_path(char *path, const char *set, const char *name)
{
    const char *shared = getenv("FW_SHARED");
    if (strncmp(set, "tiny", 4) == 0)
        (void)snprintf(path, GOLDEN_PATH_SIZE, "%s/tests/golden/tft/%s/%s", FW_SOURCE_DIR, set,
                       name);
    else if (shared != NULL)
        (void)snprintf(path, GOLDEN_PATH_SIZE, "%s/tft/golden/%s/%s", shared, set, name);
    else
        (void)snprintf(path, GOLDEN_PATH_SIZE, "%s/../shared/tft/golden/%s/%s", FW_SOURCE_DIR, set,
                       name);
    return path;
}

/* A file's bytes, from fw_malloc; the process ends when it cannot be read. */
static inline unsigned char *golden_bytes(const char *path, size_t *size)
{
    char dir[GOLDEN_PATH_SIZE];
    const char *name;
    unsigned char *bytes = NULL;
    struct fw_error err = {0};
    int fd = -1;
    if (!tft_file_split(path, dir, sizeof dir, &name) ||
        tft_file_open_dir(dir, &fd, &err) != FW_OK ||
        tft_file_read(fd, name, (size_t)1 << 28, false, &bytes, size, &err) != FW_OK) {
        (void)fprintf(stderr, "%s: %s\n", path, err.text);
        abort();
    }
    close(fd);
    return bytes;
}

static inline unsigned char *copy_bytes(const void *bytes, size_t size)
{
    unsigned char *copy = fw_malloc(size + 1);
    if (copy == NULL)
        abort();
    return memcpy(copy, bytes, size);
}

#endif
