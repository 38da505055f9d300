#include "simulate/profile.h"

#include <math.h>

const struct simulate_profile simulate_profiles[PROFILE_COUNT] = {
    [PROFILE_ML_COMPUTE] = {.name_format = "ppml%04u",
                            .role = "training",
                            .share = 0.22,
                            .cores_log2_low = 4,
                            .cores_log2_high = 6,
                            .cpu_base = {4, 9},
                            .cpu_span = {52, 68},
                            .sys_share = 0.07,
                            .cpu_noise = 2.5,
                            .io_base = {0.3, 1.0},
                            .io_span = {1, 4},
                            .mem_base = {22, 38},
                            .mem_span = {25, 42},
                            .java_share = {0.00, 0.02},
                            .disk_base = {35, 65},
                            .disk_growth = {0.2, 0.9},
                            .net_in = {20, 90},
                            .net_out = {8, 40},
                            .net_tail = 0.55,
                            .sockets = 1.0,
                            .weekend = 0.9 },
    [PROFILE_DATABASE] = {.name_format = "ppdb%03u",
                            .role = "database",
                            .share = 0.17,
                            .cores_log2_low = 3,
                            .cores_log2_high = 5,
                            .cpu_base = {8, 15},
                            .cpu_span = {28, 48},
                            .sys_share = 0.22,
                            .cpu_noise = 2.2,
                            .io_base = {1.5, 4},
                            .io_span = {4, 9},
                            .mem_base = {66, 80},
                            .mem_span = {2, 7},
                            .java_share = {0.01, 0.04},
                            .disk_base = {45, 72},
                            .disk_growth = {0.2, 0.8},
                            .net_in = {8, 35},
                            .net_out = {15, 60},
                            .net_tail = 0.35,
                            .sockets = 3.0,
                            .weekend = 0.6 },
    [PROFILE_WEB_API] = {.name_format = "ppweb%03u",
                            .role = "web",
                            .share = 0.28,
                            .cores_log2_low = 2,
                            .cores_log2_high = 4,
                            .cpu_base = {6, 12},
                            .cpu_span = {32, 55},
                            .sys_share = 0.28,
                            .cpu_noise = 3.0,
                            .io_base = {0.2, 0.8},
                            .io_span = {0.5, 2},
                            .mem_base = {38, 55},
                            .mem_span = {6, 15},
                            .java_share = {0.55, 0.85},
                            .disk_base = {25, 55},
                            .disk_growth = {0.4, 1.5},
                            .net_in = {6, 25},
                            .net_out = {15, 70},
                            .net_tail = 0.40,
                            .sockets = 9.0,
                            .weekend = 0.55},
    [PROFILE_CONDUCTOR_MGMT] = {.name_format = "ppcon%02u",
                            .role = "scheduler",
                            .share = 0.06,
                            .cores_log2_low = 2,
                            .cores_log2_high = 4,
                            .cpu_base = {8, 14},
                            .cpu_span = {20, 35},
                            .sys_share = 0.30,
                            .cpu_noise = 2.0,
                            .io_base = {0.3, 1.2},
                            .io_span = {0.5, 2},
                            .mem_base = {42, 58},
                            .mem_span = {4, 10},
                            .java_share = {0.65, 0.90},
                            .disk_base = {30, 55},
                            .disk_growth = {0.1, 0.6},
                            .net_in = {2, 10},
                            .net_out = {2, 12},
                            .net_tail = 0.35,
                            .sockets = 6.0,
                            .weekend = 0.7 },
    [PROFILE_DATA_INGEST] = {.name_format = "ppetl%03u",
                            .role = "ingest",
                            .share = 0.11,
                            .cores_log2_low = 3,
                            .cores_log2_high = 5,
                            .cpu_base = {6, 12},
                            .cpu_span = {40, 65},
                            .sys_share = 0.20,
                            .cpu_noise = 3.5,
                            .io_base = {1, 3},
                            .io_span = {4, 11},
                            .mem_base = {40, 55},
                            .mem_span = {10, 22},
                            .java_share = {0.45, 0.75},
                            .disk_base = {40, 66},
                            .disk_growth = {0.8, 3.0},
                            .net_in = {30, 120},
                            .net_out = {15, 70},
                            .net_tail = 0.60,
                            .sockets = 4.0,
                            .weekend = 0.85},
    [PROFILE_RISK_ANALYTICS] = {.name_format = "pprisk%03u",
                            .role = "analytics",
                            .share = 0.09,
                            .cores_log2_low = 4,
                            .cores_log2_high = 6,
                            .cpu_base = {5, 10},
                            .cpu_span = {55, 78},
                            .sys_share = 0.10,
                            .cpu_noise = 2.5,
                            .io_base = {0.3, 1.0},
                            .io_span = {1, 4},
                            .mem_base = {35, 50},
                            .mem_span = {18, 32},
                            .java_share = {0.30, 0.60},
                            .disk_base = {30, 60},
                            .disk_growth = {0.3, 1.0},
                            .net_in = {6, 30},
                            .net_out = {4, 20},
                            .net_tail = 0.45,
                            .sockets = 2.0,
                            .weekend = 0.25},
    [PROFILE_GENERIC] = {.name_format = "ppgen%03u",
                            .role = "generic",
                            .share = 0.07,
                            .cores_log2_low = 1,
                            .cores_log2_high = 3,
                            .cpu_base = {4, 9},
                            .cpu_span = {10, 28},
                            .sys_share = 0.25,
                            .cpu_noise = 1.8,
                            .io_base = {0.2, 0.8},
                            .io_span = {0.5, 2},
                            .mem_base = {28, 48},
                            .mem_span = {4, 10},
                            .java_share = {0.00, 0.30},
                            .disk_base = {25, 60},
                            .disk_growth = {0.05, 0.3},
                            .net_in = {0.5, 4},
                            .net_out = {0.5, 4},
                            .net_tail = 0.50,
                            .sockets = 1.0,
                            .weekend = 0.8 },
};

/* A bump around `middle`, wrapping at midnight; 1 at the middle. */
static double bump(double hour, double middle, double width)
{
    double d = fmod(fabs(hour - middle), 24.0);
    if (d > 12.0)
        d = 24.0 - d;
    return exp(-0.5 * (d / width) * (d / width));
}

double simulate_profile_demand(enum profile profile, double hour)
{
    switch (profile) {
    case PROFILE_ML_COMPUTE: /* jobs decide (server.c); people start more of them by day */
        return 0.75 + 0.25 * bump(hour, 15, 5);
    case PROFILE_DATABASE: /* business hours, and the backup at two */
        return 0.15 + 0.60 * bump(hour, 11, 2.6) + 0.55 * bump(hour, 15.5, 2.4) +
               0.45 * bump(hour, 2, 0.8);
    case PROFILE_WEB_API: /* two humps with lunch between, and an evening */
        return 0.08 + 0.70 * bump(hour, 10, 2.0) + 0.70 * bump(hour, 15, 2.3) +
               0.30 * bump(hour, 20.5, 1.8);
    case PROFILE_CONDUCTOR_MGMT: /* the morning's schedule */
        return 0.25 + 0.75 * bump(hour, 8.5, 0.9) + 0.30 * bump(hour, 14, 4);
    case PROFILE_DATA_INGEST: /* a wave at the top of every hour, and the night's loads */
        return 0.25 + 0.15 * bump(fmod(hour + 24, 1.0) * 24, 3, 3.5) + 0.75 * bump(hour, 3, 1.6);
    case PROFILE_RISK_ANALYTICS: /* the end of the trading day, and the overnight run */
        return 0.06 + 0.85 * bump(hour, 17.5, 1.3) + 0.80 * bump(hour, 22, 1.5);
    default:
        return 0.45 + 0.35 * bump(hour, 13, 4);
    }
}

void simulate_profile_mix(unsigned servers, unsigned counts[PROFILE_COUNT])
{
    double left[PROFILE_COUNT];
    unsigned given = 0;
    for (int p = 0; p < PROFILE_COUNT; p++) {
        const double exact = simulate_profiles[p].share * servers;
        counts[p] = (unsigned)floor(exact + 1e-9);
        left[p] = exact - counts[p];
        given += counts[p];
    }
    for (; given < servers; given++) {
        int most = 0;
        for (int p = 1; p < PROFILE_COUNT; p++)
            if (left[p] > left[most])
                most = p;
        counts[most]++;
        left[most] -= 1.0;
    }
}
