/* Servers and their rolling windows on the step grid: a cache of the journal, rebuilt from it at
 * start.
 *
 * A window holds, per server and metric, the last `window_steps` steps as float32; NaN is a missing
 * step. Step k covers [k * step_ms, (k + 1) * step_ms) of UTC. Several samples of a metric in one
 * step are averaged; columns exist only for metrics that a server has ever sent. fleet/README.md
 * has the rules for duplicates, late and sealed steps.
 *
 * Threads: one applier (the journal's thread) calls fleet_apply; any number of others call the
 * rest. Names are looked up under a read-write lock, windows are read under one small lock per
 * server for as long as a copy takes. */
#ifndef FW_FLEET_FLEET_H
#define FW_FLEET_FLEET_H

#include "base/clock.h"
#include "domain/batch.h"
#include "domain/identity.h"
#include "domain/schema.h"

struct fleet;

struct fleet_options {
    const struct schema *schema;          /* outlives the fleet */
    const struct profile_rules *profiles; /* copied: fleet_set_profiles() */
    const struct fw_clock *clock;
    uint32_t step_s;        /* 1 to 3600 */
    uint32_t window_steps;  /* 864 by default; 300 to 8640 */
    size_t servers_max;     /* 20,000 by default */
    int64_t future_skew_ms; /* 5 minutes by default; never more than a quarter of the window */
    uint32_t stale_steps;   /* without data for so many steps: stale; 3 by default */
    int64_t expire_ms;      /* without data for so long: forgotten; 7 days by default */
};

void fleet_options_default(struct fleet_options *options); /* all but schema, profiles and clock */
FW_MUST_CHECK enum fw_status fleet_new(const struct fleet_options *options, struct fleet **out,
                                       struct fw_error *err);
void fleet_free(struct fleet *fleet);
const struct fleet_options *fleet_options(const struct fleet *fleet);
/* Other rules than it was made with: of servers that come, and of those that are there. Forecasts
 * made before keep the profile that they were made with. Any thread; one call at a time. */
void fleet_set_profiles(struct fleet *fleet, const struct profile_rules *profiles);

/* Before the journal: refuses rows that are too old, too far ahead or of a server beyond the limit
 * (they leave the batch and are counted in it), resolves the names of the others to servers (new
 * ones get a place, empty until a row is applied) and stamps batch->received_ms. FW_ENOMEM: nothing
 * may be journalled, no row was taken. Any thread. */
FW_MUST_CHECK enum fw_status fleet_admit(struct fleet *fleet, struct sample_batch *batch);

/* The same for a batch that comes back from the journal: its times were judged when it was
 * admitted, so only names are resolved; rows of servers beyond the limit are refused. */
FW_MUST_CHECK enum fw_status fleet_readmit(struct fleet *fleet, struct sample_batch *batch);

struct fleet_applied {
    size_t samples;     /* values that changed a window */
    size_t duplicates;  /* same server, metric, time and value as before */
    size_t overwritten; /* same time, other value: the last wins */
    size_t late;        /* of `samples`: into a step that was not the server's newest */
    size_t sealed;      /* refused: see README */
    size_t outrun;      /* refused: between admission and now the window went past them, or their
                           server was forgotten and the fleet is full */
};

/* After the journal has the batch on disk: puts it into the windows. *applied is overwritten; the
 * five ways in it sum up to the batch's values. `seq` is the journal's number (from 1, ascending);
 * servers that a snapshot holds up to `seq` or beyond are left alone, and their values are counted
 * as duplicates. Cannot fail for admitted batches but by memory for a new column (FW_ENOMEM: those
 * values are missing until restart, which replays them, and counted nowhere). Applier thread only.
 */
FW_MUST_CHECK enum fw_status fleet_apply(struct fleet *fleet, const struct sample_batch *batch,
                                         uint64_t seq, struct fleet_applied *applied);

/* Forgets servers silent for expire_ms; returns how many. Silence is measured by the monotonic
 * clock, so that a wrong wall clock forgets nobody. Applier thread or while it stands still. */
size_t fleet_expire(struct fleet *fleet);

struct fleet_counts {
    size_t servers; /* with at least one sample */
    size_t stale;   /* may be a second behind */
    size_t ready;   /* with at least 150 steps held: the reference's warm-up threshold, counted per
                       server */
    uint64_t batches; /* applied since the state was created; survives restarts */
    uint64_t records; /* rows held: the sum over servers of steps that hold anything */
    uint64_t rows;    /* records taken since this start, several to a step; at least `records` */
    size_t bytes;     /* memory of windows and names */
};
/* Cheap: no walk over the servers, but for `stale` once a second. */
void fleet_counts(const struct fleet *fleet, struct fleet_counts *counts);

/* Servers are numbered by slots 0 .. fleet_slots() - 1; slots of forgotten servers are empty and
 * may be taken anew. */
size_t fleet_slots(const struct fleet *fleet);
/* The slot of a name, or -1; also -1 while the server has a place but no sample yet. */
int64_t fleet_find(const struct fleet *fleet, const char *name, size_t len);
/* Changes whenever the server's window does; 0 for an empty slot. Cheap: no lock. */
uint64_t fleet_revision(const struct fleet *fleet, size_t slot);
/* The newest revision of any server: each change of a window raises it by one. No lock. */
uint64_t fleet_newest_revision(const struct fleet *fleet);

struct fleet_server {
    char name[SERVER_NAME_MAX + 1];
    uint64_t revision;
    enum profile profile;      /* the record's own, else by rule */
    enum server_status status; /* as last reported */
    int64_t first_seen_ms,
        last_seen_ms;    /* newest sample's time; first_seen: when the name was first taken */
    int64_t newest_step; /* index of the newest step that holds anything */
    uint32_t steps_held; /* steps of the window that hold anything */
    bool stale;
    uint64_t metrics; /* bit per metric with at least one value in the window */
};

/* A copy of the newest `steps` steps, ending with the server's newest step, oldest first. The
 * caller owns the arrays and says how large they are; a server's columns are written for every
 * metric of the schema. */
struct fleet_view {
    struct fleet_server server;
    uint32_t steps;       /* in: steps wanted (1 to window_steps); unchanged */
    float *values;        /* (schema count, steps); NaN = missing */
    uint8_t *statuses;    /* (steps) enum server_status, or NULL when not wanted */
    uint32_t *offsets_ms; /* (steps) time of the step's newest sample within the step, or NULL */
};

/* The newest batch that all windows hold, and how many batches have been applied up to it. */
void fleet_position(const struct fleet *fleet, uint64_t *seq, uint64_t *batches);

/* False when the slot is empty. */
bool fleet_read_server(const struct fleet *fleet, size_t slot, struct fleet_server *server);
bool fleet_read_view(const struct fleet *fleet, size_t slot, struct fleet_view *view);

#endif
