/* A fleet and a forecaster that give what the test says, in place of the real ones: what an outlook
 * needs of both. Including it replaces them in that program. */
#ifndef FW_TESTS_OUTLOOK_DOUBLES_H
#define FW_TESTS_OUTLOOK_DOUBLES_H

#include "unit/risk/build_forecast.h"

#include "fleet/fleet.h"
#include "forecast/forecaster.h"
#include "forecast/model.h"
#include "forecast/share.h"

#include <pthread.h>

enum { DOUBLE_SERVERS_MAX = 2048 };

struct fleet {
    struct fleet_options options;
    pthread_mutex_t lock;
    size_t count;
    const struct forecast *forecasts[DOUBLE_SERVERS_MAX]; /* sorted by name; one reference each */
    bool stale[DOUBLE_SERVERS_MAX];
};

struct forecaster {
    const struct fw_clock *clock;
    uint64_t runs;
    size_t calls;
    size_t waiting;         /* servers that a run leaves; the next one leaves two fewer */
    enum fw_status fail;    /* FW_OK: do not */
    struct schema schema;   /* as forecaster_set_schema() left it */
    bool anew;              /* the last run was given nothing to share */
    const char *model_name; /* NULL: no model */
    uint64_t roster;        /* of the sets to come; 0: not known */
};

static inline void double_fleet_init(struct fleet *fleet)
{
    memset(fleet, 0, sizeof *fleet);
    fleet->options.step_s = BUILD_STEP_MS / 1000;
    pthread_mutex_init(&fleet->lock, NULL);
}

/* Takes over the reference. */
static inline void double_fleet_put(struct fleet *fleet, size_t slot, struct forecast *forecast)
{
    pthread_mutex_lock(&fleet->lock);
    assert(slot < DOUBLE_SERVERS_MAX && slot <= fleet->count);
    if (slot == fleet->count)
        fleet->count++;
    else
        forecast_release(fleet->forecasts[slot]);
    fleet->forecasts[slot] = forecast;
    fleet->stale[slot] = forecast->stale;
    pthread_mutex_unlock(&fleet->lock);
}

static inline void double_fleet_fini(struct fleet *fleet)
{
    for (size_t i = 0; i < fleet->count; i++)
        forecast_release(fleet->forecasts[i]);
    pthread_mutex_destroy(&fleet->lock);
}

const struct fleet_options *fleet_options(const struct fleet *fleet)
{
    return &fleet->options;
}

void fleet_counts(const struct fleet *fleet, struct fleet_counts *counts)
{
    *counts = (struct fleet_counts){.servers = fleet->count, .rows = 10 * fleet->count};
}

size_t fleet_slots(const struct fleet *fleet)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&fleet->lock;
    pthread_mutex_lock(lock);
    const size_t count = fleet->count;
    pthread_mutex_unlock(lock);
    return count;
}

bool fleet_read_server(const struct fleet *fleet, size_t slot, struct fleet_server *server)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&fleet->lock;
    memset(server, 0, sizeof *server);
    pthread_mutex_lock(lock);
    server->stale = fleet->stale[slot];
    pthread_mutex_unlock(lock);
    return true;
}

/* A model is its forecaster here. */
struct forecast_model *forecaster_model(struct forecaster *forecaster)
{
    return forecaster->model_name != NULL ? (struct forecast_model *)(void *)forecaster : NULL;
}

void forecast_model_release(struct forecast_model *model)
{
    (void)model;
}

struct forecast_model_info forecast_model_info(const struct forecast_model *model)
{
    return (struct forecast_model_info){
        .name = ((const struct forecaster *)(const void *)model)->model_name};
}

void forecaster_set_schema(struct forecaster *forecaster, const struct schema *schema)
{
    forecaster->schema = *schema;
}

void forecaster_spread(struct forecaster *forecaster, size_t n, forecaster_work_fn work, void *ctx)
{
    (void)forecaster;
    for (size_t i = 0; i < n; i++)
        work(ctx, i);
}

static inline enum fw_status double_take_row(struct forecast_set *set, const struct fleet *fleet,
                                             size_t n)
{
    struct forecast_share *share = fw_calloc(1, sizeof *share);
    if (share == NULL)
        return FW_ENOMEM;
    atomic_init(&share->references, 1);
    set->shares[set->share_count++] = share;
    for (; share->count < n; share->count++, set->count++)
        set->items[set->count] = share->items[share->count] =
            forecast_retain(fleet->forecasts[set->count]);
    return FW_OK;
}

enum fw_status forecaster_run(struct forecaster *forecaster, const struct fleet *fleet,
                              const struct forecast_set *previous, const struct forecast_set **out,
                              struct fw_error *err)
{
    forecaster->anew = previous == NULL;
    *out = NULL;
    forecaster->calls++;
    if (forecaster->fail != FW_OK)
        return fw_fail(err, forecaster->fail, "as the test wished");
    struct forecast_set *set =
        fw_calloc(1, sizeof *set + DOUBLE_SERVERS_MAX * sizeof set->items[0]);
    if (set == NULL)
        return fw_fail(err, FW_ENOMEM, "a set");
    set->shares = fw_calloc(DOUBLE_SERVERS_MAX / SHARE_ITEMS, sizeof(struct forecast_share *));
    if (set->shares == NULL) {
        fw_free(set);
        return fw_fail(err, FW_ENOMEM, "a set");
    }
    pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&fleet->lock;
    atomic_init(&set->references, 1);
    set->run = ++forecaster->runs;
    set->made_ms = fw_clock_wall_ms(forecaster->clock);
    set->step_s = fleet->options.step_s;
    set->computed = 2;
    set->waiting = forecaster->waiting;
    forecaster->waiting -= forecaster->waiting < 2 ? forecaster->waiting : 2;
    set->roster = forecaster->roster;
    pthread_mutex_lock(lock);
    enum fw_status status = FW_OK;
    while (set->count < fleet->count && status == FW_OK)
        status = double_take_row(set, fleet, share_items(set->count, fleet->count));
    pthread_mutex_unlock(lock);
    if (status != FW_OK) {
        forecast_set_release(set);
        return fw_fail(err, status, "a set");
    }
    *out = set;
    return FW_OK;
}

#endif
