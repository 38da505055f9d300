/* CPU time of the processes named "java", from /proc/<pid>/stat. */
#ifndef FW_AGENT_JAVA_H
#define FW_AGENT_JAVA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AGENT_JAVA_MAX = 4096 /* processes looked at; further ones are not counted */ };

struct agent_java_process {
    uint64_t pid;
    uint64_t start_ticks; /* since boot: tells a reused pid apart */
    uint64_t cpu_ticks;   /* user + system */
};

struct agent_java {
    size_t count;
    struct agent_java_process processes[AGENT_JAVA_MAX]; /* ascending by pid */
};

/* One line of /proc/<pid>/stat; false when it is not that of a process named java. */
bool agent_java_parse(const char *text, struct agent_java_process *process);

/* Walks <root>/proc; false when it cannot be listed. */
bool agent_java_read(const char *root, struct agent_java *java);

/* CPU ticks used between two readings. A process that was not there before counts whole if it began
 * at or after `before_ticks` (ticks since boot at the first reading), else not at all: its past is
 * not ours. */
uint64_t agent_java_used(const struct agent_java *before, const struct agent_java *now,
                         uint64_t before_ticks);

#endif
