#include "simulate/fleet_internal.h"

#include <string.h>

/* The ramps of the reference's generator (API contract 15), counted in steps. */
static const struct target {
    double share; /* of the fleet */
    unsigned steps;
    double cpu, mem, io;
} targets[SIMULATE_SCENARIOS] = {
    [SIMULATE_DEGRADING] = {0.20, 60, 75, 80, 18},
    [SIMULATE_CRITICAL] = {0.25, 24, 90, 93, 35},
    [SIMULATE_CASCADE] = {0.50, 24, 95, 92, 45},
};
static const struct target escalated = {0.25, 12, 92, 95, 40};
enum { RECOVERY_STEPS = 12, CASCADE_START = 2, CASCADE_EVERY = 3 };

static const char *const names[SIMULATE_SCENARIOS] = {"healthy", "degrading", "critical",
                                                      "cascade"};

const char *simulate_scenario_name(enum simulate_scenario scenario)
{
    return names[scenario];
}

bool simulate_scenario_parse(const char *text, enum simulate_scenario *scenario)
{
    for (int i = 0; i < SIMULATE_SCENARIOS; i++) {
        if (strcmp(text, names[i]) == 0) {
            *scenario = (enum simulate_scenario)i;
            return true;
        }
    }
    return false;
}

static bool holds(const struct pull *p)
{
    return p->share_step > 0 || p->share > 0;
}

/* Takes a server, or leads one that is held already from its targets to the new ones. */
static void take(struct pull *p, const struct target *t)
{
    const double steps = (double)t->steps;
    if (!holds(p)) {
        p->cpu = t->cpu;
        p->mem = t->mem;
        p->io = t->io;
    }
    p->cpu_step = (t->cpu - p->cpu) / steps;
    p->mem_step = (t->mem - p->mem) / steps;
    p->io_step = (t->io - p->io) / steps;
    p->steps_left = t->steps;
    p->share_step = (1.0 - p->share) / steps;
    if (p->share_step <= 0)
        p->share_step = 1.0 / steps;
    p->leaving = false;
}

static unsigned wanted(const struct simulate_fleet *fleet, const struct target *t)
{
    const unsigned n = (unsigned)(t->share * fleet->options.servers + 0.999);
    return n == 0 ? 1 : n;
}

/* Servers under the scenario: neither free nor on their way out. */
static unsigned held(const struct simulate_fleet *fleet)
{
    unsigned n = 0;
    for (unsigned i = 0; i < fleet->options.servers; i++)
        n += holds(&fleet->servers[i].pull) && !fleet->servers[i].pull.leaving;
    return n;
}

static void take_more(struct simulate_fleet *fleet, const struct target *t, unsigned until)
{
    unsigned n = held(fleet);
    for (unsigned i = 0; i < fleet->options.servers && n < until; i++) {
        struct pull *p = &fleet->servers[fleet->order[i]].pull;
        if (!holds(p) || p->leaving) {
            take(p, t);
            n++;
        }
    }
}

static void take_databases(struct simulate_fleet *fleet, const struct target *t, unsigned until)
{
    unsigned n = held(fleet);
    for (unsigned i = 0; i < fleet->options.servers && n < until; i++) {
        struct simulate_server *s = &fleet->servers[fleet->order[i]];
        if (s->profile == PROFILE_DATABASE && (!holds(&s->pull) || s->pull.leaving)) {
            take(&s->pull, t);
            n++;
        }
    }
}

static void shuffle(struct simulate_fleet *fleet)
{
    for (unsigned i = fleet->options.servers; i > 1; i--) {
        const unsigned k = (unsigned)fw_rng_below(&fleet->scenario_rng, i);
        const unsigned swap = fleet->order[i - 1];
        fleet->order[i - 1] = fleet->order[k];
        fleet->order[k] = swap;
    }
}

void simulate_scenario_set(struct simulate_fleet *fleet, enum simulate_scenario scenario)
{
    const enum simulate_scenario old = fleet->scenario;
    if (scenario == old)
        return;
    const bool escalates = scenario == SIMULATE_CRITICAL && old != SIMULATE_HEALTHY;
    const struct target *t = escalates ? &escalated : &targets[scenario];
    fleet->scenario = scenario;
    fleet->scenario_tick = 0;
    shuffle(fleet);
    for (unsigned i = 0; i < fleet->options.servers; i++) {
        struct pull *p = &fleet->servers[i].pull;
        if (!holds(p))
            continue;
        if (escalates && !p->leaving)
            take(p, t); /* who is in trouble already gets into more */
        else
            p->leaving = true;
    }
    if (scenario == SIMULATE_CASCADE) {
        const unsigned first = fleet->options.servers < CASCADE_START ? 1 : CASCADE_START;
        take_databases(fleet, t, first);
        take_more(fleet, t, first); /* a fleet without two databases */
    } else if (scenario != SIMULATE_HEALTHY) {
        take_more(fleet, t, wanted(fleet, t));
    }
}

static void move(struct pull *p)
{
    if (p->leaving) {
        p->share -= 1.0 / RECOVERY_STEPS;
        if (p->share <= 1e-9)
            *p = (struct pull){.label = p->label};
        return;
    }
    p->share = p->share + p->share_step > 1 ? 1 : p->share + p->share_step;
    if (p->steps_left > 0) {
        p->cpu += p->cpu_step;
        p->mem += p->mem_step;
        p->io += p->io_step;
        p->steps_left--;
    }
}

bool simulate_scenario_update(struct simulate_fleet *fleet)
{
    bool kept = true;
    fleet->scenario_tick++;
    if (fleet->scenario == SIMULATE_CASCADE && fleet->scenario_tick % CASCADE_EVERY == 0) {
        const struct target *t = &targets[SIMULATE_CASCADE];
        const unsigned more = held(fleet) + (fleet->options.servers + 49) / 50;
        const unsigned most = wanted(fleet, t);
        take_more(fleet, t, more < most ? more : most);
    }
    for (unsigned i = 0; i < fleet->options.servers && kept; i++) {
        struct pull *p = &fleet->servers[i].pull;
        if (holds(p))
            move(p);
        if (p->share > 0 && p->label == NO_LABEL)
            kept = simulate_incident_open(fleet, i, SIMULATE_SCENARIO, &p->label);
        else if (p->share <= 0 && p->label != NO_LABEL)
            simulate_incident_close(fleet, &p->label);
    }
    return kept;
}
