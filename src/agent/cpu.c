#include "agent/cpu.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *next_line(const char *line)
{
    const char *end = strchr(line, '\n');
    return end == NULL ? NULL : end + 1;
}

/* The counters of one line; at least the four that every kernel has. */
static bool parse_counters(const char *at, uint64_t ticks[AGENT_CPU_MODES])
{
    size_t seen = 0;
    for (; seen < AGENT_CPU_MODES; seen++) {
        while (*at == ' ')
            at++;
        if (!isdigit((unsigned char)*at))
            break;
        char *end;
        ticks[seen] = strtoull(at, &end, 10);
        at = end;
    }
    return seen >= 4;
}

bool agent_cpu_parse(const char *text, struct agent_cpu *cpu)
{
    bool found = false;
    memset(cpu, 0, sizeof *cpu);
    for (const char *line = text; line != NULL && strncmp(line, "cpu", 3) == 0;
         line = next_line(line)) {
        if (line[3] == ' ')
            found = parse_counters(line + 4, cpu->ticks);
        else if (isdigit((unsigned char)line[3]))
            cpu->cores++;
    }
    return found;
}

bool agent_cpu_shares(const struct agent_cpu *before, const struct agent_cpu *now,
                      struct agent_cpu_shares *shares)
{
    double delta[AGENT_CPU_MODES], total = 0;
    uint64_t sum_before = 0, sum_now = 0;
    for (size_t i = 0; i < AGENT_CPU_MODES; i++) {
        sum_before += before->ticks[i];
        sum_now += now->ticks[i];
        delta[i] =
            now->ticks[i] > before->ticks[i] ? (double)(now->ticks[i] - before->ticks[i]) : 0;
        total += delta[i];
    }
    if (sum_now < sum_before || total <= 0)
        return false;
    const double scale = 100.0 / total;
    shares->user = scale * (delta[AGENT_CPU_USER] + delta[AGENT_CPU_NICE]);
    shares->sys =
        scale * (delta[AGENT_CPU_SYSTEM] + delta[AGENT_CPU_IRQ] + delta[AGENT_CPU_SOFTIRQ]);
    shares->iowait = scale * delta[AGENT_CPU_IOWAIT];
    shares->idle = scale * delta[AGENT_CPU_IDLE];
    return true;
}
