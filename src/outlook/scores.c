/* Risks of an outlook. A run for one server of a large fleet scores that one: the others' risks are
 * copied, a line of memory each, and what these point to is shared with the outlook before. */
#include "outlook/outlook_internal.h"

#include "base/alloc.h"

#include <string.h>

enum { BLOCK = 64 /* servers: scored by one worker at a time, drivers in one piece */ };

/* Shared by outlooks, and constant but for the count of references. */
struct outlook_drivers {
    atomic_uint references;
    struct risk_driver items[];
};

static void drivers_release(struct outlook_drivers *drivers)
{
    if (drivers != NULL &&
        atomic_fetch_sub_explicit(&drivers->references, 1, memory_order_acq_rel) == 1)
        fw_free(drivers);
}

static struct outlook_drivers *drivers_retain(struct outlook_drivers *drivers)
{
    atomic_fetch_add_explicit(&drivers->references, 1, memory_order_relaxed);
    return drivers;
}

void outlook_scores_free(struct outlook *outlook)
{
    for (size_t block = 0; outlook->drivers != NULL && block < outlook->driver_blocks; block++)
        drivers_release(outlook->drivers[block]);
    const union {
        const struct risk *shared;
        struct risk *own;
    } risks = {.shared = outlook->risks};
    fw_free(risks.own);
    fw_free(outlook->drivers);
}

struct scoring {
    const struct risk_options *options;
    const struct forecast_set *set;
    const struct outlook *previous;
    bool same; /* servers as in `previous` */
    struct risk *risks;
    struct outlook_drivers **drivers;
    atomic_bool failed;
};

/* Servers first .. first + n - 1, and where the outlook before has each of them with the very same
 * forecast. */
struct block {
    size_t first, n;
    const struct risk *before[BLOCK]; /* NULL: it has not */
    bool kept;                        /* it has them all, as a block too */
};

/* Where the outlook before has the server of item i, or would have it; `at`: of the item before. */
static size_t place_before(const struct scoring *s, size_t i, size_t at)
{
    const struct forecast_set *before = s->previous->set;
    if (s->same)
        return i;
    while (at < before->count && strcmp(before->items[at]->name, s->set->items[i]->name) < 0)
        at++;
    return at;
}

/* Both sets are sorted by name, and forecasts that did not change are the same objects: one walk
 * tells which risks can be taken over. */
static void find_before(const struct scoring *s, struct block *b)
{
    const struct forecast_set *before = s->previous->set;
    size_t at = s->same ? b->first : forecast_set_from(before, s->set->items[b->first]->name);
    b->kept = s->same;
    for (size_t k = 0; k < b->n; k++) {
        at = place_before(s, b->first + k, at);
        const bool known = at < before->count && before->items[at] == s->set->items[b->first + k];
        b->before[k] = known ? &s->previous->risks[at] : NULL;
        b->kept = b->kept && known;
    }
}

static void keep_block(struct scoring *s, const struct block *b)
{
    memcpy(s->risks + b->first, s->previous->risks + b->first, b->n * sizeof *s->risks);
    for (size_t k = 0; k < b->n; k++)
        s->risks[b->first + k].kept = true;
    s->drivers[b->first / BLOCK] = drivers_retain(s->previous->drivers[b->first / BLOCK]);
}

/* Room for the most that its servers can have. */
static struct outlook_drivers *make_room(const struct scoring *s, const struct block *b)
{
    size_t most = 0;
    for (size_t k = 0; k < b->n; k++)
        most += b->before[k] != NULL ? b->before[k]->driver_count
                                     : s->set->items[b->first + k]->path_count;
    struct outlook_drivers *room = fw_malloc(sizeof *room + most * sizeof room->items[0]);
    if (room != NULL)
        atomic_init(&room->references, 1);
    return room;
}

static bool score_block(struct scoring *s, const struct block *b)
{
    struct outlook_drivers *drivers = make_room(s, b);
    if (drivers == NULL)
        return false;
    size_t filled = 0;
    for (size_t k = 0; k < b->n; k++) {
        struct risk *risk = &s->risks[b->first + k];
        if (b->before[k] != NULL) {
            *risk = *b->before[k];
            risk->kept = true;
            if (risk->driver_count > 0)
                memcpy(drivers->items + filled, risk->drivers,
                       risk->driver_count * sizeof *risk->drivers);
        } else {
            risk_score(s->options, s->set->items[b->first + k], risk, drivers->items + filled);
        }
        filled += risk->driver_count;
    }
    /* Most servers have few of those that they could. */
    struct outlook_drivers *fitting =
        fw_realloc(drivers, sizeof *drivers + filled * sizeof drivers->items[0]);
    drivers = fitting != NULL ? fitting : drivers;
    filled = 0;
    for (size_t k = 0; k < b->n; k++) {
        s->risks[b->first + k].drivers = drivers->items + filled;
        filled += s->risks[b->first + k].driver_count;
    }
    s->drivers[b->first / BLOCK] = drivers;
    return true;
}

static void take_block(void *ctx, size_t index)
{
    struct scoring *s = ctx;
    struct block b = {.first = index * BLOCK};
    b.n = s->set->count - b.first < BLOCK ? s->set->count - b.first : BLOCK;
    find_before(s, &b);
    if (b.kept)
        keep_block(s, &b);
    else if (!score_block(s, &b))
        atomic_store(&s->failed, true);
}

enum fw_status outlook_score(const struct outlook_runner_options *options,
                             const struct outlook *previous, struct outlook *outlook,
                             struct fw_error *err)
{
    static const struct forecast_set nobody;
    static const struct outlook nothing = {.set = &nobody};
    const struct forecast_set *set = outlook->set;
    const size_t blocks = (set->count + BLOCK - 1) / BLOCK;
    if (previous == NULL)
        previous = &nothing;
    struct risk *risks = fw_calloc(set->count + 1, sizeof *risks); /* one more: never of size 0 */
    outlook->risks = risks;
    outlook->drivers = fw_calloc(blocks + 1, sizeof *outlook->drivers);
    if (risks == NULL || outlook->drivers == NULL)
        return fw_fail(err, FW_ENOMEM, "make an outlook");
    outlook->driver_blocks = blocks;
    struct scoring scoring = {
        &options->risk,   set,  previous, forecast_set_same_servers(set, previous->set), risks,
        outlook->drivers, false};
    if (set->computed > BLOCK) {
        forecaster_spread(options->forecaster, blocks, take_block, &scoring);
    } else {
        /* For a few the workers would not be awake before it is done. */
        for (size_t block = 0; block < blocks; block++)
            take_block(&scoring, block);
    }
    return atomic_load(&scoring.failed) ? fw_fail(err, FW_ENOMEM, "make an outlook") : FW_OK;
}
