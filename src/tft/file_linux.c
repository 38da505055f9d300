#define _GNU_SOURCE /* syscall() */
#include "tft/file_linux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { COMPONENT_SIZE = 256, DIRECTORY_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

/* The same guarantee by hand: each component is opened relative to the last, links refused. */
static int walk_beneath(int root_fd, const char *name)
{
    int at = fcntl(root_fd, F_DUPFD_CLOEXEC, 0);
    while (at >= 0 && *name != '\0') {
        char component[COMPONENT_SIZE];
        const size_t len = strcspn(name, "/");
        if (len >= sizeof component) {
            close(at);
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(component, name, len);
        component[len] = '\0';
        const int next = openat(at, component, DIRECTORY_FLAGS);
        const int why = errno;
        close(at);
        errno = why;
        at = next;
        name += len + (name[len] == '/');
    }
    return at;
}

int tft_file_linux_open_beneath(int root_fd, const char *name)
{
    struct open_how how = {
        .flags = (unsigned)DIRECTORY_FLAGS,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    const long fd = syscall(SYS_openat2, root_fd, name, &how, sizeof how);
    if (fd < 0 && (errno == ENOSYS ||
                   errno == EPERM)) /* an old kernel, or a filter that does not know the call */
        return walk_beneath(root_fd, name);
    return (int)fd;
}
