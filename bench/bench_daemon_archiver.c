/* What the long history costs: a simulated fleet goes through windows and archiver on a clock that
 * the bench moves, one sample a server and step, a tick every ten seconds. Tells blocks, bytes on
 * disk by server and day, time by block, and the longest tick.
 *
 *   bench_daemon_archiver [SERVERS [DAYS [DIRECTORY]]]    1000 servers, 4 days, /tmp */
#include "daemon/archiver.h"
#include "simulate/fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STEP_S = 300, TICK_S = 10 };
#define START_MS INT64_C(1767571200000) /* a Monday */

static void require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "%s\n", what);
    exit(1);
}

struct bench {
    struct fw_clock_fake clock;
    struct schema schema;
    struct profile_rules rules;
    struct fleet *fleet;
    struct store_state *state;
    struct archiver *archiver;
    struct simulate_fleet *simulation;
    struct sample_batch *batch;
    int64_t tick_ns, longest_ns;
};

static void start(struct bench *b, unsigned servers, const char *path)
{
    struct fleet_options fleet;
    struct simulate_options simulation;
    fw_clock_fake_init(&b->clock, START_MS);
    schema_default(&b->schema);
    profile_rules_default(&b->rules);
    fleet_options_default(&fleet);
    fleet.schema = &b->schema;
    fleet.profiles = &b->rules;
    fleet.clock = &b->clock.clock;
    simulate_options_default(&simulation);
    simulation.servers = servers;
    simulation.start_ms = START_MS;
    require(fleet_new(&fleet, &b->fleet, NULL) == FW_OK, "no fleet");
    require(store_state_open(path, NULL, NULL, &b->state, NULL) == FW_OK, "no database");
    require(simulate_fleet_new(&simulation, &b->simulation, NULL) == FW_OK, "no simulation");
    b->batch = batch_new();
    const struct archiver_options archiver = {
        .fleet = b->fleet, .state = b->state, .clock = &b->clock.clock, .days = 60};
    require(b->batch != NULL && archiver_new(&archiver, &b->archiver, NULL) == FW_OK, "no memory");
}

static void step(struct bench *b, uint64_t seq)
{
    struct fleet_applied applied;
    batch_reset(b->batch);
    require(simulate_fleet_step(b->simulation, b->batch) == FW_OK &&
                fleet_admit(b->fleet, b->batch) == FW_OK &&
                fleet_apply(b->fleet, b->batch, seq, &applied) == FW_OK,
            "the windows are out of memory");
    for (int s = 0; s < STEP_S; s += TICK_S) {
        const int64_t begun = fw_clock_mono_ns(fw_clock_system());
        archiver_tick(b->archiver);
        const int64_t took = fw_clock_mono_ns(fw_clock_system()) - begun;
        b->tick_ns += took;
        b->longest_ns = took > b->longest_ns ? took : b->longest_ns;
        fw_clock_fake_advance_ms(&b->clock, TICK_S * 1000);
    }
}

int main(int argc, char **argv)
{
    const unsigned servers = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000;
    const unsigned days = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 4;
    static struct bench b;
    struct archiver_stats stats;
    char dir[512], path[600];
    snprintf(dir, sizeof dir, "%s/fw-bench-XXXXXX", argc > 3 ? argv[3] : "/tmp");
    require(mkdtemp(dir) != NULL, "no directory");
    snprintf(path, sizeof path, "%s/history.db", dir);
    start(&b, servers, path);
    for (uint64_t n = 0; n < (uint64_t)days * 86400 / STEP_S; n++)
        step(&b, n + 1);
    archiver_stats(b.archiver, &stats);
    require(stats.failures == 0 && stats.blocks > 0, "blocks were not written");
    const double server_days = (double)stats.blocks / 2.0;
    printf("%u servers, %u days: %llu blocks, %.0f bytes of file a server and day, %.0f us a block "
           "in all, longest tick %.1f ms\n",
           servers, days, (unsigned long long)stats.blocks, (double)stats.file_bytes / server_days,
           (double)b.tick_ns / 1e3 / (double)stats.blocks, (double)b.longest_ns / 1e6);
    archiver_free(b.archiver);
    store_state_close(b.state);
    simulate_fleet_free(b.simulation);
    fleet_free(b.fleet);
    batch_free(b.batch);
    (void)unlink(path);
    (void)rmdir(dir);
    return 0;
}
