/* What the files of this folder share: one server's character and state, and the fleet around them.
 */
#ifndef FW_SIMULATE_FLEET_INTERNAL_H
#define FW_SIMULATE_FLEET_INTERNAL_H

#include "base/rng.h"
#include "simulate/fleet.h"
#include "simulate/profile.h"

#include <pthread.h>

enum { NAME_MAX_LEN = 31, GROUP_SIZE = 8, SCRIPTS_MAX = 16, NO_LABEL = -1 };

/* One step's place in time. */
struct moment {
    int64_t time_ms;
    double dt_s;
    double hour;   /* 0 to 24, UTC */
    int weekday;   /* 0 = Monday */
    double hazard; /* multiplies the rate of incidents */
};

enum operation {
    OPERATION_NONE,
    OPERATION_DEPLOY,      /* the service is replaced: memory starts anew, a moment of CPU */
    OPERATION_MAINTENANCE, /* drained; ends in a reboot half of the time */
    OPERATION_REBOOT,      /* one step */
    OPERATION_RECOVERY,    /* warming up */
};

/* An incident under way. */
struct active {
    bool on;
    enum simulate_incident_kind kind;
    int64_t start_ms, end_ms; /* the step at end_ms is the first one without it */
    double peak;              /* in the kind's own measure */
    double from;              /* disk: the level it began at */
    long label;               /* in the fleet's list */
};

/* What incidents add to an ordinary step. */
struct effect {
    double user, sys, io, steal; /* percent added */
    double mem_share, mem_to; /* memory goes this share of the way from its own level to mem_to */
    double disk_to;           /* at least this full */
    double sockets_back, sockets_front;
    double net; /* factor - 1 */
};

/* A scenario's hold on a server. */
struct pull {
    double share; /* 0: none, 1: the targets rule */
    double share_step;
    double cpu, mem, io; /* targets now */
    double cpu_step, mem_step, io_step;
    unsigned steps_left; /* until the targets stand still */
    bool leaving;
    long label;
};

struct simulate_server {
    char name[NAME_MAX_LEN + 1];
    enum profile profile;
    unsigned group;
    double cores;
    struct fw_rng rng;
    /* character, drawn once */
    double level, phase_h, cpu_base, cpu_span, io_base, io_span, mem_base, mem_span, java_share;
    double disk_growth, disk_clean_at, net_in, net_out, weekend;
    /* noise: AR(1) processes of unit variance */
    double n_demand, n_cpu, n_io, n_mem, n_net, n_load;
    /* what has a memory */
    double work; /* demand as memory feels it: smoothed over hours */
    double swap, disk, uptime_s, sockets_back, sockets_front;
    bool job;
    double job_left_s, job_level;
    enum operation operation;
    double operation_left_s;
    struct active incident, neighbour;
    struct pull pull;
};

struct group {
    struct fw_rng rng;
    int64_t until_ms; /* a noisy neighbour until then; 0: none */
    int64_t since_ms;
    double strength;
};

struct script {
    unsigned server;
    enum simulate_incident_kind kind;
    int64_t start_ms, length_s;
    double peak; /* 0: drawn */
};

struct simulate_fleet {
    struct simulate_options options;
    struct schema schema;
    pthread_mutex_t mutex; /* scenario and ticks: the control endpoints look at them meanwhile */
    unsigned first_of[PROFILE_COUNT];
    struct simulate_server *servers;
    struct group *groups;
    unsigned group_count;
    int64_t time_ms;
    uint64_t ticks;
    enum simulate_scenario scenario;
    uint64_t scenario_tick; /* steps since it was set */
    struct fw_rng scenario_rng;
    unsigned *order; /* the servers shuffled: whom a scenario takes next */
    struct script scripts[SCRIPTS_MAX];
    size_t script_count;
    struct simulate_incident *incidents;
    size_t incident_count, incident_cap;
};

/* server.c */
void simulate_server_init(struct simulate_server *server, enum profile profile, unsigned number,
                          uint64_t seed, const struct moment *moment);
/* One step: values in the schema's order, rounded as a collector would. */
void simulate_server_step(struct simulate_server *server, const struct moment *moment,
                          const struct effect *effect, double values[METRIC_CANONICAL_COUNT],
                          enum server_status *status);
double simulate_server_between(struct fw_rng *rng, double low, double high);
/* True with the probability that something of this rate happens within the step. */
bool simulate_server_happens(struct fw_rng *rng, double per_day, double dt_s);
/* The service starts anew: after a kill, a deploy or a reboot. */
void simulate_server_restart(struct simulate_server *server, enum operation operation,
                             double seconds);

/* incident.c: begins and ends incidents of one server, and says what they do to this step. False:
 * out of memory. */
bool simulate_incident_update(struct simulate_fleet *fleet, unsigned server,
                              const struct moment *moment, struct effect *effect);
void simulate_incident_groups(struct simulate_fleet *fleet, const struct moment *moment);
/* Adds an open label; NO_LABEL and false when out of memory. */
bool simulate_incident_open(struct simulate_fleet *fleet, unsigned server,
                            enum simulate_incident_kind kind, long *label);
/* Its last step was the one before this. */
void simulate_incident_close(struct simulate_fleet *fleet, long *label);

/* scenario.c, under the mutex */
void simulate_scenario_set(struct simulate_fleet *fleet, enum simulate_scenario scenario);
/* Moves every server's pull on by one step. False: out of memory. */
bool simulate_scenario_update(struct simulate_fleet *fleet);

#endif
