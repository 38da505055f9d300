#include "simulate/fleet_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { HOUR_S = 3600, DAY_S = 86400 };

double simulate_server_between(struct fw_rng *rng, double low, double high)
{
    return low + (high - low) * fw_rng_uniform(rng);
}

static double draw(struct fw_rng *rng, struct simulate_range range)
{
    return simulate_server_between(rng, range.low, range.high);
}

bool simulate_server_happens(struct fw_rng *rng, double per_day, double dt_s)
{
    /* Drawn in any case, so that a rate of 0 does not shift the numbers that follow. */
    return fw_rng_uniform(rng) < 1.0 - exp(-per_day * dt_s / DAY_S);
}

static double clamp(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

/* The next value of an AR(1) process of unit variance that forgets over tau_s. */
static double wander(struct fw_rng *rng, double value, double tau_s, double dt_s)
{
    const double keep = exp(-dt_s / tau_s);
    return keep * value + sqrt(1.0 - keep * keep) * fw_rng_normal(rng);
}

void simulate_server_init(struct simulate_server *s, enum profile profile, unsigned number,
                          uint64_t seed, const struct moment *moment)
{
    const struct simulate_profile *p = &simulate_profiles[profile];
    struct fw_rng *rng = &s->rng;
    memset(s, 0, sizeof *s);
    fw_rng_init(rng, seed);
    s->profile = profile;
    /* The formats are the table's; a switch would say the same seven times. */
    _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wformat-nonliteral\"")
        snprintf(s->name, sizeof s->name, p->name_format, number);
    _Pragma("GCC diagnostic pop") const unsigned steps = p->cores_log2_high - p->cores_log2_low + 1;
    s->cores = exp2((double)(p->cores_log2_low + (unsigned)fw_rng_below(rng, steps)));
    s->level = simulate_server_between(rng, 0.7, 1.15);
    s->phase_h = 0.7 * fw_rng_normal(rng);
    s->weekend = p->weekend * simulate_server_between(rng, 0.85, 1.15);
    s->cpu_base = draw(rng, p->cpu_base);
    s->cpu_span = draw(rng, p->cpu_span);
    s->io_base = draw(rng, p->io_base);
    s->io_span = draw(rng, p->io_span);
    s->mem_base = draw(rng, p->mem_base);
    s->mem_span = draw(rng, p->mem_span);
    s->java_share = draw(rng, p->java_share);
    s->disk = draw(rng, p->disk_base);
    s->disk_growth = draw(rng, p->disk_growth);
    s->disk_clean_at = simulate_server_between(rng, 74, 83);
    s->net_in = draw(rng, p->net_in);
    s->net_out = draw(rng, p->net_out);
    s->uptime_s = simulate_server_between(rng, 0.5, 60) * DAY_S;
    s->n_demand = fw_rng_normal(rng);
    s->n_cpu = fw_rng_normal(rng);
    s->n_io = fw_rng_normal(rng);
    s->n_mem = fw_rng_normal(rng);
    s->n_net = fw_rng_normal(rng);
    s->n_load = fw_rng_normal(rng);
    s->work = simulate_profile_demand(profile, moment->hour + s->phase_h);
    s->job = fw_rng_uniform(rng) < 0.5;
    s->job_left_s = simulate_server_between(rng, 0, 4) * HOUR_S;
    s->job_level = simulate_server_between(rng, 0.8, 1.05);
    s->incident.label = s->neighbour.label = s->pull.label = NO_LABEL;
}

void simulate_server_restart(struct simulate_server *s, enum operation operation, double seconds)
{
    s->operation = operation;
    s->operation_left_s = seconds;
    s->swap *= 0.3;
    s->sockets_back *= 0.1;
    s->sockets_front *= 0.1;
}

/* Training jobs last hours and take what they can get; in between the machine idles. */
static double job_demand(struct simulate_server *s, const struct moment *m, double shape)
{
    s->job_left_s -= m->dt_s;
    if (s->job_left_s <= 0) {
        s->job = !s->job;
        s->job_level = simulate_server_between(&s->rng, 0.75, 1.05);
        const double hours = s->job ? simulate_server_between(&s->rng, 1.5, 10)
                                    : simulate_server_between(&s->rng, 0.3, 5) / shape;
        s->job_left_s = hours * HOUR_S;
    }
    return s->job ? s->job_level : 0.04;
}

static double demand(struct simulate_server *s, const struct moment *m)
{
    const double shape = simulate_profile_demand(s->profile, m->hour + s->phase_h);
    double d = s->profile == PROFILE_ML_COMPUTE ? job_demand(s, m, shape) : shape * s->level;
    if (m->weekday >= 5)
        d *= s->weekend;
    d *= 1.0 + 0.10 * s->n_demand;
    if (s->operation == OPERATION_MAINTENANCE || s->operation == OPERATION_REBOOT)
        d *= 0.03;
    return clamp(d, 0, 1.4);
}

/* Work that is planned: deploys on weekday afternoons, maintenance on Sunday nights. */
static void operate(struct simulate_server *s, const struct moment *m)
{
    const bool office = m->weekday < 5 && m->hour >= 9 && m->hour < 16;
    const bool night = m->weekday == 6 && m->hour >= 1 && m->hour < 5;
    /* A third of a day is open to deploys on 5 of 7 days, so 0.4 a day there is one in ten days
     * overall. */
    const bool deploy = simulate_server_happens(&s->rng, office ? 0.48 : 0, m->dt_s);
    const bool maintain = simulate_server_happens(&s->rng, night ? 1.5 : 0, m->dt_s);
    const double minutes = simulate_server_between(&s->rng, 30, 90);
    if (s->operation == OPERATION_NONE) {
        if (deploy)
            simulate_server_restart(s, OPERATION_DEPLOY, 600);
        else if (maintain && !s->incident.on)
            simulate_server_restart(s, OPERATION_MAINTENANCE, minutes * 60);
        return;
    }
    s->operation_left_s -= m->dt_s;
    if (s->operation_left_s > 0)
        return;
    switch (s->operation) {
    case OPERATION_MAINTENANCE:
        simulate_server_restart(s, minutes < 60 ? OPERATION_REBOOT : OPERATION_RECOVERY,
                                minutes < 60 ? m->dt_s : 900);
        break;
    case OPERATION_REBOOT:
    case OPERATION_DEPLOY:
        simulate_server_restart(s, OPERATION_RECOVERY, 900);
        break;
    default:
        s->operation = OPERATION_NONE;
    }
}

static void move_noise(struct simulate_server *s, double dt_s)
{
    s->n_demand = wander(&s->rng, s->n_demand, 2400, dt_s);
    s->n_cpu = wander(&s->rng, s->n_cpu, 420, dt_s);
    s->n_io = wander(&s->rng, s->n_io, 900, dt_s);
    s->n_mem = wander(&s->rng, s->n_mem, 5400, dt_s);
    s->n_net = wander(&s->rng, s->n_net, 300, dt_s);
    s->n_load = wander(&s->rng, s->n_load, 120, dt_s);
}

struct cpu {
    double user, sys, io, steal;
};

/* Whatever is asked for, a CPU has 100 %; near the top, demand queues instead. */
static void saturate(struct cpu *c)
{
    const double total = c->user + c->sys + c->io + c->steal;
    const double kept = total < 80 ? total : 80 + 19.2 * (1.0 - exp(-(total - 80) / 19.2));
    const double scale = total > 0 ? kept / total : 1;
    c->user *= scale;
    c->sys *= scale;
    c->io *= scale;
    c->steal *= scale;
}

static void apply_pull(struct simulate_server *s, struct cpu *c)
{
    const struct pull *p = &s->pull;
    if (p->share <= 0)
        return;
    const double busy = c->user + c->sys + c->io + c->steal;
    const double io = c->io + p->share * (p->io + 0.8 * s->n_io - c->io);
    double want = busy + p->share * (p->cpu + 0.8 * s->n_cpu - busy);
    want = clamp(want, busy, 99.5);
    c->io = clamp(io, 0, want);
    const double rest = c->user + c->sys;
    const double room = clamp(want - c->io - c->steal, 0.5, 100);
    c->user = rest > 0 ? c->user * room / rest : room;
    c->sys = rest > 0 ? c->sys * room / rest : 0;
}

static struct cpu cpu_step(struct simulate_server *s, double d, const struct effect *e)
{
    const struct simulate_profile *p = &simulate_profiles[s->profile];
    const double work = clamp(s->cpu_base + s->cpu_span * d + p->cpu_noise * s->n_cpu, 0.4, 400);
    /* I/O comes in spells: the square makes most of it small and some of it large. */
    const double io = s->io_base + s->io_span * d * 0.5 +
                      0.25 * (s->io_base + s->io_span * d) * s->n_io * s->n_io;
    struct cpu c = {.user = work / (1 + p->sys_share),
                    .sys = work * p->sys_share / (1 + p->sys_share),
                    .io = io,
                    .steal = 0.05 + 0.1 * fw_rng_uniform(&s->rng)};
    if (s->operation == OPERATION_DEPLOY || s->operation == OPERATION_RECOVERY)
        c.user += 12 + 6 * fw_rng_uniform(&s->rng);
    c.user += e->user;
    c.sys += e->sys;
    c.io += e->io;
    c.steal += e->steal;
    saturate(&c);
    apply_pull(s, &c);
    return c;
}

static double memory_step(struct simulate_server *s, double d, const struct effect *e, double dt_s)
{
    /* Caches and heaps follow the work of hours, quicker up than down; a new process begins small.
     */
    const bool fresh = s->operation == OPERATION_DEPLOY || s->operation == OPERATION_REBOOT;
    const double tau_s = d > s->work ? 2400 : 9000;
    s->work = fresh ? 0 : d + (s->work - d) * exp(-dt_s / tau_s);
    double mem = s->mem_base + s->mem_span * s->work + 0.7 * s->n_mem;
    if (s->operation == OPERATION_REBOOT)
        mem *= 0.3;
    mem += e->mem_share * (clamp(e->mem_to, mem, 100) - mem);
    if (s->pull.share > 0)
        mem += s->pull.share * (clamp(s->pull.mem + 0.5 * s->n_mem, mem, 100) - mem);
    mem = clamp(mem, 1, 99.4);
    /* What does not fit goes to swap within minutes, and comes back over hours. */
    const double wanted = mem > 88 ? (mem - 88) * 4.0 : 0.3 + 0.2 * s->n_mem * s->n_mem;
    s->swap = wanted + (s->swap - wanted) * exp(-dt_s / (wanted > s->swap ? 1200 : 14400));
    return mem;
}

static double disk_step(struct simulate_server *s, double d, const struct effect *e,
                        const struct moment *m)
{
    s->disk += s->disk_growth * (0.5 + 0.7 * d) * m->dt_s / DAY_S;
    /* Logs are rotated at night; above its limit somebody makes room, in office hours. */
    const bool rotate = simulate_server_happens(&s->rng, m->hour < 1 ? 24 : 0, m->dt_s);
    const bool office = m->weekday < 5 && m->hour >= 8 && m->hour < 18;
    const bool clean = simulate_server_happens(&s->rng, office ? 6 : 0, m->dt_s);
    const double part = fw_rng_uniform(&s->rng);
    if (rotate)
        s->disk -= 0.6 * s->disk_growth * part;
    if (clean && s->disk > s->disk_clean_at)
        s->disk -= 10 + 18 * part;
    s->disk = clamp(s->disk, 3, 99);
    return e->disk_to > s->disk ? e->disk_to : s->disk;
}

/* A count with about the spread of a Poisson variable, that does not forget at once. */
static double sockets_step(struct simulate_server *s, double *now, double mean, double dt_s)
{
    *now = mean + (*now - mean) * exp(-dt_s / 600);
    return floor(clamp(*now + sqrt(*now + 0.05) * fw_rng_normal(&s->rng), 0, 1e6) + 0.5);
}

static enum server_status status_of(const struct simulate_server *s, const struct moment *m,
                                    const double v[METRIC_CANONICAL_COUNT], double d)
{
    switch (s->operation) {
    case OPERATION_MAINTENANCE:
        return STATUS_MAINTENANCE;
    case OPERATION_REBOOT:
        return STATUS_OFFLINE;
    case OPERATION_RECOVERY:
        return STATUS_RECOVERY;
    default:
        break;
    }
    const double idle = v[METRIC_CPU_IDLE];
    if (idle < 8 || v[METRIC_MEM_USED] > 95 || v[METRIC_CPU_IOWAIT] > 28 ||
        v[METRIC_DISK_USAGE] > 95 || v[METRIC_SWAP_USED] > 40)
        return STATUS_CRITICAL_ISSUE;
    const bool mornings = s->profile == PROFILE_WEB_API || s->profile == PROFILE_CONDUCTOR_MGMT ||
                          s->profile == PROFILE_DATABASE;
    if (mornings && m->weekday < 5 && m->hour >= 7.5 && m->hour < 10.5 && d > 0.6)
        return STATUS_MORNING_SPIKE;
    if (idle < 30)
        return STATUS_HEAVY_LOAD;
    return idle > 86 ? STATUS_IDLE : STATUS_HEALTHY;
}

static double rounded(double value, double scale)
{
    return floor(value * scale + 0.5) / scale;
}

static void put_cpu(const struct simulate_server *s, const struct cpu *c,
                    double v[METRIC_CANONICAL_COUNT])
{
    v[METRIC_CPU_USER] = rounded(c->user, 100);
    v[METRIC_CPU_SYS] = rounded(c->sys, 100);
    v[METRIC_CPU_IOWAIT] = rounded(c->io, 100);
    const double busy = v[METRIC_CPU_USER] + v[METRIC_CPU_SYS] + v[METRIC_CPU_IOWAIT];
    /* Rounded down, so that the shares never add up to more than 100. */
    v[METRIC_CPU_IDLE] = floor(clamp(100.0 - busy - c->steal, 0, 100) * 100) / 100;
    v[METRIC_JAVA_CPU] = rounded(clamp(s->java_share * (c->user + c->sys), 0, 100), 100);
}

static void put_net(struct simulate_server *s, double d, const struct effect *e,
                    double v[METRIC_CANONICAL_COUNT])
{
    const struct simulate_profile *p = &simulate_profiles[s->profile];
    const double traffic = (0.04 + d) * (1 + e->net) * exp(p->net_tail * (s->n_net - 0.5));
    /* One sample in a hundred is a transfer of its own. */
    const double u = fw_rng_uniform(&s->rng);
    const double burst = u < 0.01 ? 1.0 / (0.08 + 0.9 * (u / 0.01)) : 0.0;
    v[METRIC_NET_IN] = rounded(s->net_in * (traffic + burst), 1000);
    v[METRIC_NET_OUT] =
        rounded(s->net_out * (traffic * exp(0.12 * fw_rng_normal(&s->rng)) + 0.3 * burst), 1000);
}

static void put_load(struct simulate_server *s, const struct cpu *c,
                     double v[METRIC_CANONICAL_COUNT])
{
    const double busy = c->user + c->sys;
    const double over = busy + c->steal > 85 ? (busy + c->steal - 85) / 15 : 0;
    const double runnable = s->cores * (busy / 100 + 0.9 * over * over);
    const double waiting = s->cores * c->io / 100 * 1.3;
    v[METRIC_LOAD_AVERAGE] =
        rounded(clamp((runnable + waiting) * (1 + 0.06 * s->n_load) + 0.02, 0, 1e4), 100);
}

void simulate_server_step(struct simulate_server *s, const struct moment *m, const struct effect *e,
                          double v[METRIC_CANONICAL_COUNT], enum server_status *status)
{
    const struct simulate_profile *p = &simulate_profiles[s->profile];
    move_noise(s, m->dt_s);
    operate(s, m);
    const double d = demand(s, m);
    const struct cpu c = cpu_step(s, d, e);
    put_cpu(s, &c, v);
    v[METRIC_MEM_USED] = rounded(memory_step(s, d, e, m->dt_s), 100);
    v[METRIC_SWAP_USED] = rounded(clamp(s->swap, 0, 100), 100);
    v[METRIC_DISK_USAGE] = rounded(clamp(disk_step(s, d, e, m), 0, 100), 100);
    put_net(s, d, e, v);
    v[METRIC_BACK_CLOSE_WAIT] =
        sockets_step(s, &s->sockets_back, p->sockets * d + e->sockets_back, m->dt_s);
    v[METRIC_FRONT_CLOSE_WAIT] =
        sockets_step(s, &s->sockets_front, 0.6 * p->sockets * d + e->sockets_front, m->dt_s);
    put_load(s, &c, v);
    s->uptime_s = s->operation == OPERATION_REBOOT ? 0 : s->uptime_s + m->dt_s;
    v[METRIC_UPTIME_DAYS] = floor(s->uptime_s / DAY_S);
    *status = status_of(s, m, v, d);
}
