/* What the operating system says about this process, for /metrics. */
#ifndef FW_API_PROCESS_H
#define FW_API_PROCESS_H

#include <stdint.h>

struct api_process {
    double cpu_seconds;
    double start_seconds; /* Unix time */
    uint64_t resident_bytes, virtual_bytes;
    uint64_t open_fds, max_fds;
    uint64_t threads;
};

/* Zeroes what cannot be read. */
void api_process_read(struct api_process *process);

#endif
