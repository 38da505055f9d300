/* All metrics of one host from its /proc and /sys.
 *
 * A reading holds what could be known; every other metric is missing. Rates need two readings, so
 * the first one has none. The derivations are in README.md. One thread at a time. */
#ifndef FW_AGENT_HOST_H
#define FW_AGENT_HOST_H

#include "agent/disk.h"
#include "base/clock.h"
#include "base/status.h"
#include "domain/schema.h"

#include <stdbool.h>
#include <stdint.h>

struct agent_host;

struct agent_host_options {
    const char *root; /* before /proc, /sys and every mount point; "" or NULL: this host */
    const struct fw_clock *clock; /* NULL: the system's */
    agent_space_fn space;         /* NULL: statvfs(3) */
    void *space_ctx;
    long ticks_per_second; /* of the counters in /proc; 0: sysconf(_SC_CLK_TCK) */
    int64_t gap_ms;        /* readings farther apart than this give no rates; 0: no limit */
};

struct agent_reading {
    int64_t time_ms;  /* UTC */
    uint32_t present; /* bit per enum metric_index */
    float values[METRIC_CANONICAL_COUNT];
};

static inline bool agent_reading_has(const struct agent_reading *reading, enum metric_index metric)
{
    return (reading->present >> metric & 1u) != 0;
}

/* FW_ENOMEM; FW_EINVAL: the root's path is too long. *out is the caller's, released with
 * agent_host_free(). */
FW_MUST_CHECK enum fw_status agent_host_new(const struct agent_host_options *options,
                                            struct agent_host **out, struct fw_error *err);
void agent_host_free(struct agent_host *host);

/* Reads everything now. Cannot fail: what cannot be read is missing from *reading. */
void agent_host_read(struct agent_host *host, struct agent_reading *reading);

/* What the last reading saw besides: the file system that disk_usage_pct is about ("" when none),
 * and the number of CPUs (0 when not known). */
const char *agent_host_disk_path(const struct agent_host *host);
unsigned agent_host_cores(const struct agent_host *host);

#endif
