/* A made-up fleet that behaves like a real one: seven kinds of servers with daily and weekly
 * rhythms, noise of their own, incidents whose beginning and end are known, and four scenarios.
 *
 * Everything follows from the options: the same seed and options give the same samples, bit for
 * bit, on the same machine and C library. docs/simulate.md says what is in it and what is not.
 *
 * Threads: one thread steps; simulate_fleet_set_scenario() and simulate_fleet_state() may be called
 * from any other. */
#ifndef FW_SIMULATE_FLEET_H
#define FW_SIMULATE_FLEET_H

#include "base/status.h"
#include "domain/batch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct simulate_fleet;

enum simulate_scenario {
    SIMULATE_HEALTHY,   /* ordinary life, its ordinary incidents included */
    SIMULATE_DEGRADING, /* 20 % of the servers, over 60 steps, to CPU 75, memory 80, I/O wait 18 */
    SIMULATE_CRITICAL,  /* 25 % over 24 steps to 90, 93, 35; over 12 steps to 92, 95, 40 after
                           "degrading" or "cascade" */
    SIMULATE_CASCADE, /* two databases, then whoever depends on them, 24 steps each to 95, 92, 45 */
    SIMULATE_SCENARIOS,
};
const char *simulate_scenario_name(enum simulate_scenario scenario);
bool simulate_scenario_parse(const char *text, enum simulate_scenario *scenario);

enum { SIMULATE_SERVERS_MAX = 20000 };

struct simulate_options {
    unsigned servers; /* 1 to SIMULATE_SERVERS_MAX */
    uint64_t seed;
    int64_t start_ms; /* of the first step, UTC */
    uint32_t step_s;  /* 1 to 3600 */
    enum simulate_scenario scenario;
    double incidents; /* how often incidents come, 1: as in docs/simulate.md, 0: none */
};
/* 25 servers, seed 1, step 300, healthy, incidents 1; start_ms is left 0. */
void simulate_options_default(struct simulate_options *options);

/* FW_EINVAL: an option outside its range; FW_ENOMEM. *out is the caller's (simulate_fleet_free). */
FW_MUST_CHECK enum fw_status simulate_fleet_new(const struct simulate_options *options,
                                                struct simulate_fleet **out, struct fw_error *err);
void simulate_fleet_free(struct simulate_fleet *fleet);

/* Appends one row per server, in the order of server indices, for simulate_fleet_time_ms(), then
 * moves on one step. Each row has all 14 canonical metrics, a status and a profile; CPU shares add
 * up to at most 100. FW_ENOMEM: the batch holds a part of the step, which is then lost. */
FW_MUST_CHECK enum fw_status simulate_fleet_step(struct simulate_fleet *fleet,
                                                 struct sample_batch *batch);
/* The time of the next step. */
int64_t simulate_fleet_time_ms(const struct simulate_fleet *fleet);

unsigned simulate_fleet_servers(const struct simulate_fleet *fleet);
const char *simulate_fleet_name(const struct simulate_fleet *fleet, unsigned server);
enum profile simulate_fleet_profile(const struct simulate_fleet *fleet, unsigned server);
/* Where it stands and what it does: `datacenter`, `rack` (a noisy neighbour takes a rack at once)
 * and `role`. *out is overwritten. */
void simulate_fleet_labels(const struct simulate_fleet *fleet, unsigned server,
                           struct label_set *out);
/* The first server of a profile, or 0 when the fleet has none. */
unsigned simulate_fleet_first_of(const struct simulate_fleet *fleet, enum profile profile);

/* ---- scenarios ---- */

enum { SIMULATE_AFFECTED_SHOWN = 10 };
struct simulate_state {
    enum simulate_scenario scenario;
    uint64_t ticks; /* steps made */
    unsigned servers;
    unsigned affected; /* servers under the scenario, those recovering from it included */
    unsigned shown[SIMULATE_AFFECTED_SHOWN]; /* the first of them */
};
/* From the next step on. Returns the scenario until now. */
enum simulate_scenario simulate_fleet_set_scenario(struct simulate_fleet *fleet,
                                                   enum simulate_scenario scenario);
void simulate_fleet_state(struct simulate_fleet *fleet, struct simulate_state *state);

/* ---- incidents ---- */

enum simulate_incident_kind {
    SIMULATE_MEMORY_LEAK, /* memory grows until the process is killed */
    SIMULATE_DISK_FILL,   /* the disk grows until it is full, then somebody cleans up */
    SIMULATE_RETRY_STORM, /* sockets in CLOSE_WAIT, network and CPU */
    SIMULATE_RUNAWAY,     /* a process takes the whole CPU */
    SIMULATE_SLOW_DISK,   /* I/O wait and load */
    SIMULATE_NEIGHBOUR, /* another guest of the same host takes CPU and disk: a group of servers at
                           once */
    SIMULATE_SCENARIO,  /* the server is under a scenario */
    SIMULATE_INCIDENTS,
};
const char *simulate_incident_name(enum simulate_incident_kind kind);

/* What was really going on, for scoring forecasts and alerts. */
struct simulate_incident {
    unsigned server;
    enum simulate_incident_kind kind;
    int64_t start_ms, end_ms; /* first and last step; end_ms is INT64_MAX while it lasts */
    uint32_t metrics;         /* bit per enum metric_index that shows it */
};
/* Those that began so far, ascending by start. The array is the fleet's and valid until the next
 * step. */
const struct simulate_incident *simulate_fleet_incidents(const struct simulate_fleet *fleet,
                                                         size_t *count);

/* Has an incident of one server (not SIMULATE_NEIGHBOUR or SIMULATE_SCENARIO) begin at start_ms and
 * last length_s, instead of any of its own meanwhile. A leak or a filling disk reaches its peak
 * after 80 % of that. `peak` is in the kind's own measure (docs/simulate.md: percent, or sockets);
 * 0 draws one. FW_ELIMIT: 16 are waiting already. */
FW_MUST_CHECK enum fw_status simulate_fleet_script(struct simulate_fleet *fleet, unsigned server,
                                                   enum simulate_incident_kind kind,
                                                   int64_t start_ms, int64_t length_s, double peak);

/* How full the server's disk is without any incident, for scripts that want to know where they
 * begin. */
double simulate_fleet_disk(const struct simulate_fleet *fleet, unsigned server);

#endif
