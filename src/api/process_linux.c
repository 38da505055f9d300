#include "api/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static bool read_file(const char *path, char *text, size_t size)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    const ssize_t len = read(fd, text, size - 1);
    close(fd);
    text[len > 0 ? len : 0] = '\0';
    return len > 0;
}

/* Fields of /proc/self/stat behind the command, counted as proc(5) does (state is 3). */
static bool stat_field(const char *stat, int number, uint64_t *value)
{
    const char *at = strrchr(stat, ')');
    if (at == NULL)
        return false;
    at++;
    for (int i = 3; *at != '\0'; i++) {
        while (*at == ' ')
            at++;
        if (i == number) {
            *value = strtoull(at, NULL, 10);
            return true;
        }
        while (*at != ' ' && *at != '\0')
            at++;
    }
    return false;
}

/* /proc/stat has it too, but a hardened service sees nothing of /proc but processes. */
static double boot_seconds(void)
{
    struct timespec now, since_boot;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0 || clock_gettime(CLOCK_BOOTTIME, &since_boot) != 0)
        return 0.0;
    return (double)(now.tv_sec - since_boot.tv_sec - (now.tv_nsec < since_boot.tv_nsec));
}

static uint64_t count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL)
        return 0;
    uint64_t n = 0;
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n >= 3 ? n - 3 : 0; /* ".", ".." and the directory itself */
}

void api_process_read(struct api_process *process)
{
    memset(process, 0, sizeof *process);
    char stat[2048];
    uint64_t user, system, start, pages;
    const double ticks = (double)sysconf(_SC_CLK_TCK);
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    if (read_file("/proc/self/stat", stat, sizeof stat)) {
        if (stat_field(stat, 14, &user) && stat_field(stat, 15, &system))
            process->cpu_seconds = (double)(user + system) / ticks;
        stat_field(stat, 20, &process->threads);
        if (stat_field(stat, 22, &start))
            process->start_seconds = boot_seconds() + (double)start / ticks;
        stat_field(stat, 23, &process->virtual_bytes);
        if (stat_field(stat, 24, &pages))
            process->resident_bytes = pages * page;
    }
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        process->max_fds = limit.rlim_cur;
    process->open_fds = count_fds();
}
