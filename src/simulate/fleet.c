#include "base/alloc.h"
#include "base/hash.h"
#include "simulate/fleet_internal.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { DAY_MS = 86400000 };

void simulate_options_default(struct simulate_options *options)
{
    *options = (struct simulate_options){.servers = 25, .seed = 1, .step_s = 300, .incidents = 1.0};
}

static struct moment moment_of(const struct simulate_fleet *fleet)
{
    const int64_t day = fleet->time_ms / DAY_MS, in_day = fleet->time_ms % DAY_MS;
    return (struct moment){.time_ms = fleet->time_ms,
                           .dt_s = fleet->options.step_s,
                           .hour = (double)in_day / 3600000.0,
                           .weekday = (int)((day + 3) % 7), /* 1970-01-01 was a Thursday */
                           .hazard = fleet->options.incidents};
}

/* Each random stream has a seed of its own, so that one server's luck does not move another's. */
static uint64_t stream(uint64_t seed, uint64_t kind, uint64_t index)
{
    const uint64_t key[3] = {seed, kind, index};
    return fw_hash_stable(key, sizeof key);
}

static void make_servers(struct simulate_fleet *fleet)
{
    const struct moment moment = moment_of(fleet);
    const uint64_t seed = fleet->options.seed;
    unsigned counts[PROFILE_COUNT], index = 0;
    simulate_profile_mix(fleet->options.servers, counts);
    for (int p = 0; p < PROFILE_COUNT; p++) {
        fleet->first_of[p] = counts[p] > 0 ? index : 0;
        for (unsigned n = 1; n <= counts[p]; n++, index++) {
            struct simulate_server *s = &fleet->servers[index];
            simulate_server_init(s, (enum profile)p, n, stream(seed, 1, index), &moment);
            s->group = (unsigned)(stream(seed, 2, index) % fleet->group_count);
            fleet->order[index] = index;
        }
    }
    for (unsigned g = 0; g < fleet->group_count; g++)
        fw_rng_init(&fleet->groups[g].rng, stream(seed, 3, g));
    fw_rng_init(&fleet->scenario_rng, stream(seed, 4, 0));
}

enum fw_status simulate_fleet_new(const struct simulate_options *options,
                                  struct simulate_fleet **out, struct fw_error *err)
{
    *out = NULL;
    if (options->servers < 1 || options->servers > SIMULATE_SERVERS_MAX)
        return fw_fail(err, FW_EINVAL, "%u servers: not 1 to %d", options->servers,
                       SIMULATE_SERVERS_MAX);
    if (options->step_s < 1 || options->step_s > 3600)
        return fw_fail(err, FW_EINVAL, "a step of %u seconds: not 1 to 3600", options->step_s);
    if (!(options->incidents >= 0 && options->incidents <= 1000))
        return fw_fail(err, FW_EINVAL, "incidents %g: not 0 to 1000", options->incidents);
    if (options->start_ms < 0)
        return fw_fail(err, FW_EINVAL, "the start lies before 1970");
    struct simulate_fleet *fleet = fw_calloc(1, sizeof *fleet);
    if (fleet == NULL)
        return fw_fail(err, FW_ENOMEM, "simulate: out of memory");
    pthread_mutex_init(&fleet->mutex, NULL);
    schema_default(&fleet->schema);
    fleet->options = *options;
    fleet->time_ms = options->start_ms;
    fleet->group_count = (options->servers + GROUP_SIZE - 1) / GROUP_SIZE;
    fleet->servers = fw_calloc(options->servers, sizeof *fleet->servers);
    fleet->groups = fw_calloc(fleet->group_count, sizeof *fleet->groups);
    fleet->order = fw_calloc(options->servers, sizeof *fleet->order);
    if (fleet->servers == NULL || fleet->groups == NULL || fleet->order == NULL) {
        simulate_fleet_free(fleet);
        return fw_fail(err, FW_ENOMEM, "simulate: out of memory");
    }
    make_servers(fleet);
    simulate_scenario_set(fleet, options->scenario);
    *out = fleet;
    return FW_OK;
}

void simulate_fleet_free(struct simulate_fleet *fleet)
{
    if (fleet == NULL)
        return;
    pthread_mutex_destroy(&fleet->mutex);
    fw_free(fleet->servers);
    fw_free(fleet->groups);
    fw_free(fleet->order);
    fw_free(fleet->incidents);
    fw_free(fleet);
}

static enum fw_status put_row(struct simulate_fleet *fleet, unsigned index,
                              const double values[METRIC_CANONICAL_COUNT],
                              enum server_status status, struct sample_batch *batch)
{
    const struct simulate_server *s = &fleet->servers[index];
    uint32_t name;
    enum fw_status result = batch_name(batch, s->name, strlen(s->name), &name);
    const struct sample_row head = {.name = name,
                                    .record = (uint32_t)batch->row_count,
                                    .time_ms = fleet->time_ms,
                                    .status = (uint8_t)status,
                                    .profile = (uint8_t)s->profile};
    if (result == FW_OK)
        result = batch_row_begin(batch, &head);
    for (int m = 0; m < METRIC_CANONICAL_COUNT && result == FW_OK; m++) {
        assert(isfinite(values[m]) && values[m] >= fleet->schema.metrics[m].min &&
               values[m] <= fleet->schema.metrics[m].max);
        result = batch_value(batch, m, (float)values[m]);
    }
    return result;
}

static enum fw_status step(struct simulate_fleet *fleet, struct sample_batch *batch)
{
    const struct moment moment = moment_of(fleet);
    if (!simulate_scenario_update(fleet))
        return FW_ENOMEM;
    simulate_incident_groups(fleet, &moment);
    for (unsigned i = 0; i < fleet->options.servers; i++) {
        double values[METRIC_CANONICAL_COUNT];
        struct effect effect;
        enum server_status status;
        if (!simulate_incident_update(fleet, i, &moment, &effect))
            return FW_ENOMEM;
        simulate_server_step(&fleet->servers[i], &moment, &effect, values, &status);
        const enum fw_status result = put_row(fleet, i, values, status, batch);
        if (result != FW_OK)
            return result;
    }
    return FW_OK;
}

enum fw_status simulate_fleet_step(struct simulate_fleet *fleet, struct sample_batch *batch)
{
    pthread_mutex_lock(&fleet->mutex);
    const enum fw_status status = step(fleet, batch);
    fleet->time_ms += (int64_t)fleet->options.step_s * 1000;
    fleet->ticks++;
    pthread_mutex_unlock(&fleet->mutex);
    return status;
}

int64_t simulate_fleet_time_ms(const struct simulate_fleet *fleet)
{
    return fleet->time_ms;
}

unsigned simulate_fleet_servers(const struct simulate_fleet *fleet)
{
    return fleet->options.servers;
}

const char *simulate_fleet_name(const struct simulate_fleet *fleet, unsigned server)
{
    assert(server < fleet->options.servers);
    return fleet->servers[server].name;
}

enum profile simulate_fleet_profile(const struct simulate_fleet *fleet, unsigned server)
{
    assert(server < fleet->options.servers);
    return fleet->servers[server].profile;
}

static void put_label(struct label_set *set, const char *name, const char *value)
{
    const bool fits = label_set_put(set, name, strlen(name), value, strlen(value));
    assert(fits); /* three short ones */
}

void simulate_fleet_labels(const struct simulate_fleet *fleet, unsigned server,
                           struct label_set *out)
{
    static const char *const datacenters[] = {"ams1", "fra1", "lon2"};
    assert(server < fleet->options.servers);
    const struct simulate_server *s = &fleet->servers[server];
    char rack[16];
    snprintf(rack, sizeof rack, "r%02u", s->group + 1);
    label_set_clear(out);
    put_label(out, "datacenter", datacenters[s->group % COUNT(datacenters)]);
    put_label(out, "rack", rack);
    put_label(out, "role", simulate_profiles[s->profile].role);
}

unsigned simulate_fleet_first_of(const struct simulate_fleet *fleet, enum profile profile)
{
    return fleet->first_of[profile];
}

enum simulate_scenario simulate_fleet_set_scenario(struct simulate_fleet *fleet,
                                                   enum simulate_scenario scenario)
{
    pthread_mutex_lock(&fleet->mutex);
    const enum simulate_scenario old = fleet->scenario;
    simulate_scenario_set(fleet, scenario);
    pthread_mutex_unlock(&fleet->mutex);
    return old;
}

void simulate_fleet_state(struct simulate_fleet *fleet, struct simulate_state *state)
{
    pthread_mutex_lock(&fleet->mutex);
    *state = (struct simulate_state){
        .scenario = fleet->scenario, .ticks = fleet->ticks, .servers = fleet->options.servers};
    for (unsigned i = 0; i < fleet->options.servers; i++) {
        const struct pull *p = &fleet->servers[i].pull;
        if (p->share <= 0 && p->share_step <= 0)
            continue;
        if (state->affected < SIMULATE_AFFECTED_SHOWN)
            state->shown[state->affected] = i;
        state->affected++;
    }
    pthread_mutex_unlock(&fleet->mutex);
}

const struct simulate_incident *simulate_fleet_incidents(const struct simulate_fleet *fleet,
                                                         size_t *count)
{
    *count = fleet->incident_count;
    return fleet->incidents;
}

enum fw_status simulate_fleet_script(struct simulate_fleet *fleet, unsigned server,
                                     enum simulate_incident_kind kind, int64_t start_ms,
                                     int64_t length_s, double peak)
{
    assert(server < fleet->options.servers && kind < SIMULATE_NEIGHBOUR && length_s > 0);
    if (fleet->script_count == SCRIPTS_MAX)
        return FW_ELIMIT;
    fleet->scripts[fleet->script_count++] = (struct script){server, kind, start_ms, length_s, peak};
    return FW_OK;
}

double simulate_fleet_disk(const struct simulate_fleet *fleet, unsigned server)
{
    assert(server < fleet->options.servers);
    return fleet->servers[server].disk;
}
