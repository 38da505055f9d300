/* Shares of CPU time from the counters of /proc/stat. */
#ifndef FW_AGENT_CPU_H
#define FW_AGENT_CPU_H

#include <stdbool.h>
#include <stdint.h>

enum agent_cpu_mode {
    AGENT_CPU_USER,
    AGENT_CPU_NICE,
    AGENT_CPU_SYSTEM,
    AGENT_CPU_IDLE,
    AGENT_CPU_IOWAIT,
    AGENT_CPU_IRQ,
    AGENT_CPU_SOFTIRQ,
    AGENT_CPU_STEAL, /* guest time is part of user and nice already */
    AGENT_CPU_MODES,
};

struct agent_cpu {
    uint64_t ticks[AGENT_CPU_MODES]; /* summed over all CPUs; modes an old kernel lacks are 0 */
    unsigned cores;                  /* "cpuN" lines; 0 when there are none */
};

/* Reads the text of /proc/stat; false when it has no usable "cpu" line. */
bool agent_cpu_parse(const char *text, struct agent_cpu *cpu);

struct agent_cpu_shares {
    double user, sys, iowait, idle; /* percent; what is missing to 100 is steal */
};

/* The shares between two readings. A mode that stepped back (iowait and idle may) counts as 0 of
 * its own, the others stay. False, and nothing written, when nothing passed or when the counters as
 * a whole were reset. */
bool agent_cpu_shares(const struct agent_cpu *before, const struct agent_cpu *now,
                      struct agent_cpu_shares *shares);

#endif
