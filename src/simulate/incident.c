#include "base/alloc.h"
#include "simulate/fleet_internal.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define BIT(metric) (1u << (metric))

/* How often a server has each kind, how long it lasts and which metrics show it. */
static const struct {
    const char *name;
    double per_day;
    double hours_low, hours_high;
    double peak_low, peak_high;
    uint32_t metrics;
} kinds[SIMULATE_INCIDENTS] = {
    [SIMULATE_MEMORY_LEAK] = {"memory_leak",     1 / 20.0, 6,   36, 95, 99,
                              BIT(METRIC_MEM_USED) | BIT(METRIC_SWAP_USED)                          },
    [SIMULATE_DISK_FILL] = {"disk_fill",       1 / 40.0, 6,   48, 96, 100, BIT(METRIC_DISK_USAGE) },
    [SIMULATE_RETRY_STORM] = {"retry_storm",     1 / 15.0, 0.5, 2,  80, 500,
                              BIT(METRIC_BACK_CLOSE_WAIT) | BIT(METRIC_FRONT_CLOSE_WAIT) |
                                  BIT(METRIC_NET_IN) | BIT(METRIC_NET_OUT) | BIT(METRIC_CPU_USER)   },
    [SIMULATE_RUNAWAY] = {"runaway",         1 / 25.0, 1,   4,  60, 95,
                              BIT(METRIC_CPU_USER) | BIT(METRIC_CPU_IDLE) | BIT(METRIC_LOAD_AVERAGE)},
    [SIMULATE_SLOW_DISK] = {"slow_disk",       1 / 30.0, 1,   3,  25, 45,
                              BIT(METRIC_CPU_IOWAIT) | BIT(METRIC_CPU_IDLE) |
                                BIT(METRIC_LOAD_AVERAGE)                                            },
    [SIMULATE_NEIGHBOUR] = {"noisy_neighbour", 1 / 20.0, 1,   3,  8,  20,
                              BIT(METRIC_CPU_IOWAIT) | BIT(METRIC_CPU_IDLE)                         },
    [SIMULATE_SCENARIO] = {"scenario",        0,        0,   0,  0,  0,
                              BIT(METRIC_CPU_USER) | BIT(METRIC_CPU_IDLE) | BIT(METRIC_MEM_USED) |
                               BIT(METRIC_CPU_IOWAIT) | BIT(METRIC_LOAD_AVERAGE)                    },
};

const char *simulate_incident_name(enum simulate_incident_kind kind)
{
    return kinds[kind].name;
}

bool simulate_incident_open(struct simulate_fleet *fleet, unsigned server,
                            enum simulate_incident_kind kind, long *label)
{
    if (fleet->incident_count == fleet->incident_cap) {
        const size_t cap = fleet->incident_cap == 0 ? 64 : fleet->incident_cap * 2;
        struct simulate_incident *grown =
            fw_realloc_array(fleet->incidents, cap, sizeof *fleet->incidents);
        if (grown == NULL)
            return false;
        fleet->incidents = grown;
        fleet->incident_cap = cap;
    }
    *label = (long)fleet->incident_count;
    fleet->incidents[fleet->incident_count++] =
        (struct simulate_incident){.server = server,
                                   .kind = kind,
                                   .start_ms = fleet->time_ms,
                                   .end_ms = INT64_MAX,
                                   .metrics = kinds[kind].metrics};
    return true;
}

void simulate_incident_close(struct simulate_fleet *fleet, long *label)
{
    if (*label != NO_LABEL)
        fleet->incidents[*label].end_ms = fleet->time_ms - (int64_t)fleet->options.step_s * 1000;
    *label = NO_LABEL;
}

static bool begin(struct simulate_fleet *fleet, unsigned index, enum simulate_incident_kind kind,
                  int64_t length_s)
{
    struct simulate_server *s = &fleet->servers[index];
    s->incident.on = true;
    s->incident.kind = kind;
    s->incident.start_ms = fleet->time_ms;
    s->incident.end_ms = fleet->time_ms + length_s * 1000;
    s->incident.peak =
        simulate_server_between(&s->rng, kinds[kind].peak_low, kinds[kind].peak_high);
    s->incident.from = s->disk;
    return simulate_incident_open(fleet, index, kind, &s->incident.label);
}

static void end(struct simulate_fleet *fleet, struct simulate_server *s)
{
    simulate_incident_close(fleet, &s->incident.label);
    s->incident.on = false;
    if (s->incident.kind == SIMULATE_MEMORY_LEAK) /* killed, and started again */
        simulate_server_restart(s, OPERATION_DEPLOY, 300);
}

/* A leak is one of the service: a deploy or a reboot ends it. */
static bool cut_short(const struct simulate_server *s)
{
    return s->incident.kind == SIMULATE_MEMORY_LEAK &&
           (s->operation == OPERATION_DEPLOY || s->operation == OPERATION_REBOOT);
}

static bool begin_scripted(struct simulate_fleet *fleet, unsigned index, bool *begun)
{
    *begun = false;
    for (size_t i = 0; i < fleet->script_count; i++) {
        const struct script script = fleet->scripts[i];
        if (script.server != index || script.start_ms > fleet->time_ms)
            continue;
        fleet->scripts[i] = fleet->scripts[--fleet->script_count];
        if (fleet->servers[index].incident.on)
            end(fleet, &fleet->servers[index]);
        fleet->servers[index].operation = OPERATION_NONE;
        *begun = true;
        const bool kept = begin(fleet, index, script.kind, script.length_s);
        if (script.peak > 0)
            fleet->servers[index].incident.peak = script.peak;
        return kept;
    }
    return true;
}

static bool begin_by_chance(struct simulate_fleet *fleet, unsigned index,
                            const struct moment *moment)
{
    struct simulate_server *s = &fleet->servers[index];
    for (int k = 0; k < SIMULATE_NEIGHBOUR; k++) {
        const bool happens =
            simulate_server_happens(&s->rng, kinds[k].per_day * moment->hazard, moment->dt_s);
        if (!happens || s->incident.on || s->operation != OPERATION_NONE)
            continue;
        const double hours =
            simulate_server_between(&s->rng, kinds[k].hours_low, kinds[k].hours_high);
        if (!begin(fleet, index, (enum simulate_incident_kind)k, (int64_t)(hours * 3600)))
            return false;
    }
    return true;
}

/* 0 to 1 over the first part, 1, and back to 0 over the last part. */
static double trapezoid(double at, double part)
{
    const double up = at / part, down = (1 - at) / part;
    const double least = up < down ? up : down;
    return least > 1 ? 1 : least < 0 ? 0 : least;
}

static double position(const struct active *a, int64_t time_ms)
{
    return (double)(time_ms - a->start_ms) / (double)(a->end_ms - a->start_ms);
}

static void affect(struct simulate_server *s, const struct moment *moment, struct effect *e)
{
    const struct active *a = &s->incident;
    const double at = position(a, moment->time_ms);
    const double slow = at / 0.8 > 1 ? 1 : at / 0.8;
    switch (a->kind) {
    case SIMULATE_MEMORY_LEAK:
        e->mem_to = a->peak;
        e->mem_share = slow;
        if (slow > 0.9) /* the collector runs all the time */
            e->user += 15;
        break;
    case SIMULATE_DISK_FILL:
        e->disk_to = a->from + (a->peak - a->from) * slow;
        break;
    case SIMULATE_RETRY_STORM: {
        const double strength = trapezoid(at, 0.25);
        e->sockets_back += a->peak * strength;
        e->sockets_front += 0.4 * a->peak * strength;
        e->net += 2.0 * strength;
        e->user += 16 * strength;
        e->sys += 8 * strength;
        break;
    }
    case SIMULATE_RUNAWAY:
        e->user += a->peak * trapezoid(at, 0.1);
        break;
    case SIMULATE_SLOW_DISK:
        e->io += a->peak * trapezoid(at, 0.15);
        break;
    default:
        assert(false); /* neighbours and scenarios are not incidents of one server */
    }
}

static bool update_neighbour(struct simulate_fleet *fleet, unsigned index,
                             const struct moment *moment, struct effect *e)
{
    struct simulate_server *s = &fleet->servers[index];
    const struct group *g = &fleet->groups[s->group];
    const bool on = g->until_ms > moment->time_ms;
    bool kept = true;
    if (on && !s->neighbour.on)
        kept = simulate_incident_open(fleet, index, SIMULATE_NEIGHBOUR, &s->neighbour.label);
    else if (!on && s->neighbour.on)
        simulate_incident_close(fleet, &s->neighbour.label);
    s->neighbour.on = on;
    if (on) {
        const double at =
            (double)(moment->time_ms - g->since_ms) / (double)(g->until_ms - g->since_ms);
        const double strength = g->strength * trapezoid(at, 0.15);
        e->steal += strength;
        e->io += 0.6 * strength;
    }
    return kept;
}

bool simulate_incident_update(struct simulate_fleet *fleet, unsigned index,
                              const struct moment *moment, struct effect *effect)
{
    struct simulate_server *s = &fleet->servers[index];
    bool scripted;
    memset(effect, 0, sizeof *effect);
    if (s->incident.on && (moment->time_ms >= s->incident.end_ms || cut_short(s))) {
        /* A full disk is cleaned up to about where it was before. */
        if (s->incident.kind == SIMULATE_DISK_FILL)
            s->disk = s->incident.from;
        end(fleet, s);
    }
    if (!begin_scripted(fleet, index, &scripted) || !begin_by_chance(fleet, index, moment))
        return false;
    if (s->incident.on)
        affect(s, moment, effect);
    return update_neighbour(fleet, index, moment, effect);
}

void simulate_incident_groups(struct simulate_fleet *fleet, const struct moment *moment)
{
    const double per_day = kinds[SIMULATE_NEIGHBOUR].per_day * moment->hazard;
    for (unsigned i = 0; i < fleet->group_count; i++) {
        struct group *g = &fleet->groups[i];
        const bool happens = simulate_server_happens(&g->rng, per_day, moment->dt_s);
        if (!happens || g->until_ms > moment->time_ms)
            continue;
        const double hours = simulate_server_between(&g->rng, kinds[SIMULATE_NEIGHBOUR].hours_low,
                                                     kinds[SIMULATE_NEIGHBOUR].hours_high);
        g->since_ms = moment->time_ms;
        g->until_ms = moment->time_ms + (int64_t)(hours * 3600e3);
        g->strength = simulate_server_between(&g->rng, kinds[SIMULATE_NEIGHBOUR].peak_low,
                                              kinds[SIMULATE_NEIGHBOUR].peak_high);
    }
}
