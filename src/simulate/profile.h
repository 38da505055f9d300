/* How the seven kinds of servers differ: names, sizes, levels and the shape of their days. */
#ifndef FW_SIMULATE_PROFILE_H
#define FW_SIMULATE_PROFILE_H

#include "domain/identity.h"

#include <stddef.h>
#include <stdint.h>

struct simulate_range {
    double low, high; /* a server draws its own value in between */
};

struct simulate_profile {
    const char *name_format; /* with one %u: the number within the profile, from 1 */
    const char *role;        /* the label */
    double share;            /* of the fleet */
    unsigned cores_log2_low, cores_log2_high;
    struct simulate_range cpu_base, cpu_span; /* percent at no demand, and added at full demand */
    double sys_share;                         /* of user */
    double cpu_noise;                         /* standard deviation, percent */
    struct simulate_range io_base, io_span;   /* I/O wait, percent */
    struct simulate_range mem_base, mem_span;
    struct simulate_range java_share; /* of user + system */
    struct simulate_range disk_base;
    struct simulate_range disk_growth;     /* percent a day */
    struct simulate_range net_in, net_out; /* MB/s at full demand */
    double net_tail;                       /* standard deviation of the logarithm */
    double sockets;                        /* in CLOSE_WAIT at full demand, on average */
    double weekend;                        /* demand on Saturday and Sunday against weekdays */
};

extern const struct simulate_profile simulate_profiles[PROFILE_COUNT];

/* Demand between 0 and about 1.3 at an hour of the day, before weekends and noise. `hour` may lie
 * outside 0..24; it wraps. */
double simulate_profile_demand(enum profile profile, double hour);

/* How `servers` are shared out: counts[] adds up to it (largest remainders). */
void simulate_profile_mix(unsigned servers, unsigned counts[PROFILE_COUNT]);

#endif
