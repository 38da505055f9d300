#include "agent/java.h"

#include "agent/procfs.h"

#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

bool agent_java_parse(const char *text, struct agent_java_process *process)
{
    /* pid (comm) state ppid ...: the name may itself hold blanks and brackets, so it ends at the
     * last one. */
    const char *open = strchr(text, '(');
    const char *close = strrchr(text, ')');
    if (open == NULL || close == NULL || close - open != 5 || memcmp(open, "(java", 5) != 0)
        return false;
    uint64_t utime, stime, start;
    const int fields = sscanf(close + 1,
                              " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64
                              " %*d %*d %*d %*d %*d %*d %" SCNu64,
                              &utime, &stime, &start);
    if (fields != 3)
        return false;
    process->pid = strtoull(text, NULL, 10);
    process->cpu_ticks = utime + stime;
    process->start_ticks = start;
    return true;
}

static int by_pid(const void *a, const void *b)
{
    const struct agent_java_process *x = a, *y = b;
    return x->pid < y->pid ? -1 : x->pid > y->pid;
}

static bool all_digits(const char *text)
{
    while (isdigit((unsigned char)*text))
        text++;
    return *text == '\0';
}

bool agent_java_read(const char *root, struct agent_java *java)
{
    char path[AGENT_PATH_MAX];
    java->count = 0;
    DIR *directory = agent_procfs_path(root, path, "proc") ? opendir(path) : NULL;
    if (directory == NULL)
        return false;
    for (const struct dirent *entry;
         java->count < AGENT_JAVA_MAX && (entry = readdir(directory)) != NULL;) {
        char stat[32 + 256], text[1024];
        if (!isdigit((unsigned char)entry->d_name[0]) || !all_digits(entry->d_name))
            continue;
        snprintf(stat, sizeof stat, "proc/%s/stat", entry->d_name);
        if (agent_procfs_read(root, stat, text, sizeof text) > 0 &&
            agent_java_parse(text, &java->processes[java->count]))
            java->count++;
    }
    closedir(directory);
    qsort(java->processes, java->count, sizeof java->processes[0], by_pid);
    return true;
}

uint64_t agent_java_used(const struct agent_java *before, const struct agent_java *now,
                         uint64_t before_ticks)
{
    uint64_t used = 0;
    for (size_t i = 0, k = 0; i < now->count; i++) {
        const struct agent_java_process *p = &now->processes[i];
        while (k < before->count && before->processes[k].pid < p->pid)
            k++;
        const struct agent_java_process *old =
            k < before->count && before->processes[k].pid == p->pid &&
                    before->processes[k].start_ticks == p->start_ticks
                ? &before->processes[k]
                : NULL;
        if (old != NULL)
            used += p->cpu_ticks > old->cpu_ticks ? p->cpu_ticks - old->cpu_ticks : 0;
        else if (p->start_ticks >= before_ticks)
            used += p->cpu_ticks;
    }
    return used;
}
