/* One applier, admitters of new names, readers and a snapshot at the same time. Under
 * ThreadSanitizer this finds races; in any build, torn views: all metrics of a step are written
 * with one value, so a reader must never see two. */
#include "fleet_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "fleet/snapshot_internal.h"

enum { SERVERS = 40, ROUNDS = 400, METRICS = 4, STEPS = 64, READERS = 2 };

static struct fixture fx;
static atomic_bool done;
static atomic_int torn, reads;

static void check_view(const struct fleet_view *view)
{
    for (uint32_t i = 0; i < view->steps; i++) {
        const float first = view->values[i];
        for (size_t m = 1; m < METRICS; m++) {
            const float other = view->values[m * view->steps + i];
            if (other != first && !(isnan(other) && isnan(first)))
                atomic_fetch_add(&torn, 1);
        }
    }
}

static void *read_all(void *arg)
{
    static _Thread_local float values[METRIC_DEFAULT_COUNT * STEPS];
    static _Thread_local uint8_t statuses[STEPS];
    uint64_t last[SERVERS * 2] = {0};
    struct fleet_counts counts;
    while (!atomic_load(&done)) {
        const size_t slots = fleet_slots(fx.fleet);
        for (size_t slot = 0; slot < slots; slot++) {
            const uint64_t revision = fleet_revision(fx.fleet, slot);
            if (slot < COUNT_OF(last) && revision == last[slot])
                continue;
            struct fleet_view view = {.steps = STEPS, .values = values, .statuses = statuses};
            if (!fleet_read_view(fx.fleet, slot, &view))
                continue;
            check_view(&view);
            if (slot < COUNT_OF(last))
                last[slot] = view.server.revision;
            atomic_fetch_add(&reads, 1);
        }
        fleet_counts(fx.fleet, &counts);
        if (counts.servers > SERVERS * 2 || counts.ready > counts.servers)
            atomic_fetch_add(&torn, 1);
    }
    return arg;
}

/* Admits new names, as the request threads do; nothing of it is applied. */
static void *admit_names(void *arg)
{
    struct fixture mine = fx;
    mine.batch = batch_new();
    for (int i = 0; !atomic_load(&done); i++) {
        char name[32];
        snprintf(name, sizeof name, "new-%d", i % SERVERS);
        batch_reset(mine.batch);
        add(&mine, name, T0, METRIC_CPU_USER, 1);
        if (fleet_admit(mine.fleet, mine.batch) != FW_OK)
            atomic_fetch_add(&torn, 1);
    }
    batch_free(mine.batch);
    return arg;
}

static void *save_all(void *arg)
{
    struct fw_buf block;
    fw_buf_init(&block, 8 << 20);
    while (!atomic_load(&done)) {
        for (size_t slot = 0; slot < fleet_slots(fx.fleet); slot++) {
            fw_buf_reset(&block);
            fleet_snapshot_put_server(fx.fleet, slot, &block);
            if (block.failed)
                atomic_fetch_add(&torn, 1);
        }
    }
    fw_buf_fini(&block);
    return arg;
}

static void test_readers_beside_the_applier(void **state)
{
    (void)state;
    pthread_t threads[READERS + 2];
    fixture_init(&fx, 300, 300, SERVERS * 2);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_all, NULL), 0);
    assert_int_equal(pthread_create(&threads[READERS], NULL, admit_names, NULL), 0);
    assert_int_equal(pthread_create(&threads[READERS + 1], NULL, save_all, NULL), 0);
    for (int round = 0; round < ROUNDS; round++) {
        for (int s = 0; s < SERVERS; s++) {
            char name[32];
            struct sample_value values[METRICS];
            snprintf(name, sizeof name, "s%d", s);
            for (int m = 0; m < METRICS; m++)
                values[m] = (struct sample_value){(uint16_t)m, (float)((round + s) % 90)};
            add_row(&fx, name, T0 + round * INT64_C(60000), STATUS_HEALTHY, values, METRICS);
        }
        flush(&fx);
        fw_clock_fake_advance_ms(&fx.clock, 60000);
        if (round % 100 == 50)
            fleet_expire(fx.fleet);
    }
    atomic_store(&done, true);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&torn), 0);
    assert_true(atomic_load(&reads) > 0);
    fixture_fini(&fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_readers_beside_the_applier)};
    return cmocka_run_group_tests_name("fleet threads", tests, NULL, NULL);
}
