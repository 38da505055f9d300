#include "fleet/labels.h"

#include "base/alloc.h"
#include "fleet/fleet_internal.h"

#include <string.h>

/* Of one place, under its lock. */
struct fleet_labels {
    uint64_t revision;
    int64_t heard_ms[LABELS_MAX]; /* when a label's value was last sent; in the set's order */
    struct label_set set;         /* allocated as far as it is used */
};

static int64_t now_ms(const struct fleet *fleet)
{
    return fw_clock_mono_ns(fleet->options.clock) / 1000000;
}

static size_t size_of(const struct label_set *set)
{
    return offsetof(struct fleet_labels, set) + label_set_size(set);
}

void fleet_labels_drop(struct fleet *fleet, struct fleet_place *place)
{
    if (place->labels == NULL)
        return;
    atomic_fetch_sub(&fleet->labelled, 1);
    atomic_fetch_sub(&fleet->bytes, size_of(&place->labels->set));
    fw_free(place->labels);
    place->labels = NULL;
}

static bool replace(struct fleet *fleet, struct fleet_place *place, const struct label_set *set,
                    const int64_t heard_ms[LABELS_MAX])
{
    struct fleet_labels *labels = fw_malloc(size_of(set));
    if (labels == NULL)
        return false;
    labels->revision = atomic_fetch_add(&fleet->label_revisions, 1) + 1;
    memcpy(labels->heard_ms, heard_ms, sizeof labels->heard_ms);
    label_set_copy(&labels->set, set);
    fleet_labels_drop(fleet, place);
    place->labels = labels;
    atomic_fetch_add(&fleet->labelled, 1);
    atomic_fetch_add(&fleet->bytes, size_of(set));
    return true;
}

/* Marks as heard what is said as it stands here. True: nothing else is to be done. */
static bool hear_again(struct fleet_labels *have, const struct label_set *said, int64_t now)
{
    const char *name, *value;
    size_t at = 0, same = 0;
    bool old = false;
    for (size_t i = 0; label_set_next(&have->set, &at, &name, &value); i++) {
        const char *other = label_set_get(said, name);
        if (other != NULL && strcmp(other, value) == 0) {
            have->heard_ms[i] = now;
            same++;
        }
        old = old || now - have->heard_ms[i] > FLEET_LABEL_FORGET_MS;
    }
    return same == said->count && !old;
}

static int64_t heard_of(const struct fleet_labels *have, const char *label)
{
    const char *name, *value;
    size_t at = 0;
    for (size_t i = 0; have != NULL && label_set_next(&have->set, &at, &name, &value); i++)
        if (strcmp(name, label) == 0)
            return have->heard_ms[i];
    return INT64_MIN / 2;
}

static bool forgotten(const struct fleet_labels *have, const char *label, int64_t now)
{
    return now - heard_of(have, label) > FLEET_LABEL_FORGET_MS;
}

/* What the labels become; returns how many found no room. `anyway`: no value is held against a new
 * one. */
static size_t merge(const struct fleet_labels *have, const struct label_set *said, int64_t now,
                    bool anyway, struct label_set *next)
{
    const char *name, *value;
    size_t dropped = 0;
    label_set_clear(next);
    for (size_t at = 0; have != NULL && label_set_next(&have->set, &at, &name, &value);)
        if (!forgotten(have, name, now))
            (void)label_set_put(next, name, strlen(name), value, strlen(value));
    for (size_t at = 0; label_set_next(said, &at, &name, &value);)
        if (anyway || now - heard_of(have, name) >= FLEET_LABEL_HOLD_MS ||
            label_set_get(next, name) == NULL)
            dropped += !label_set_put(next, name, strlen(name), value, strlen(value));
    return dropped;
}

/* Times of `next`, which comes from `have` and `said`. */
static void hear_next(const struct fleet_labels *have, const struct label_set *said,
                      const struct label_set *next, int64_t now, int64_t heard_ms[LABELS_MAX])
{
    const char *name, *value;
    size_t at = 0;
    for (size_t i = 0; label_set_next(next, &at, &name, &value); i++) {
        const char *other = label_set_get(said, name);
        const bool same = other != NULL && strcmp(other, value) == 0;
        heard_ms[i] = same ? now : heard_of(have, name);
    }
}

/* What of `next` is not so in `have`. */
static void find_news(const struct fleet_labels *have, const struct label_set *next,
                      struct label_set *news)
{
    const char *name, *value;
    label_set_clear(news);
    for (size_t at = 0; label_set_next(next, &at, &name, &value);) {
        const char *known = have != NULL ? label_set_get(&have->set, name) : NULL;
        if (known == NULL || strcmp(known, value) != 0)
            (void)label_set_put(news, name, strlen(name), value, strlen(value));
    }
}

/* Under the place's lock. Labels that only go need no journal: nobody was told of it, and they go
 * again. */
static size_t weigh_one(struct fleet *fleet, struct fleet_place *place,
                        const struct label_set *said, struct label_set *news)
{
    const int64_t now = now_ms(fleet);
    struct fleet_labels *have = place->labels;
    struct label_set next;
    int64_t heard_ms[LABELS_MAX] = {0};
    label_set_clear(news);
    if (have != NULL && hear_again(have, said, now))
        return 0;
    const size_t dropped = merge(have, said, now, false, &next);
    find_news(have, &next, news);
    if (news->count > 0 || have == NULL || label_set_equal(&have->set, &next))
        return dropped;
    hear_next(have, said, &next, now, heard_ms);
    return replace(fleet, place, &next, heard_ms) ? dropped : dropped + said->count;
}

/* The place of a server, its lock held. */
static struct fleet_place *lock_server(const struct fleet *fleet, const char *name, size_t len)
{
    struct fleet_place *place = fleet_place_of(fleet, name, len);
    if (place == NULL)
        return NULL;
    pthread_mutex_lock(&place->lock);
    if (place->taken && place->name_len == len && memcmp(place->name, name, len) == 0)
        return place;
    pthread_mutex_unlock(&place->lock);
    return NULL;
}

size_t fleet_labels_weigh(struct fleet *fleet, struct sample_batch *batch)
{
    size_t at = 0, len, dropped = batch->labels_dropped;
    const char *server;
    struct label_set said, news;
    while (batch_labels_next(batch, &at, &server, &len, &said)) {
        struct fleet_place *place = lock_server(fleet, server, len);
        if (place == NULL)
            continue;
        dropped += weigh_one(fleet, place, &said, &news);
        pthread_mutex_unlock(&place->lock);
        if (news.count > 0 && !batch_label_change(batch, server, len, &news))
            dropped += news.count;
    }
    return dropped;
}

/* Under the place's lock. */
static size_t set_one(struct fleet *fleet, struct fleet_place *place, const struct label_set *news)
{
    const int64_t now = now_ms(fleet);
    struct label_set next;
    int64_t heard_ms[LABELS_MAX] = {0};
    const size_t dropped = merge(place->labels, news, now, true, &next);
    hear_next(place->labels, news, &next, now, heard_ms);
    return replace(fleet, place, &next, heard_ms) ? dropped : news->count;
}

size_t fleet_labels_apply(struct fleet *fleet, const struct sample_batch *batch)
{
    size_t at = 0, len, dropped = 0;
    const char *server;
    struct label_set news;
    while (batch_label_changes_next(batch, &at, &server, &len, &news)) {
        struct fleet_place *place = lock_server(fleet, server, len);
        if (place == NULL)
            continue;
        dropped += set_one(fleet, place, &news);
        pthread_mutex_unlock(&place->lock);
    }
    return dropped;
}

bool fleet_labels_put(struct fleet *fleet, const char *name, size_t len,
                      const struct label_set *set)
{
    struct fleet_place *place = lock_server(fleet, name, len);
    struct label_set all;
    int64_t heard_ms[LABELS_MAX];
    const char *label, *value;
    for (size_t i = 0; i < LABELS_MAX; i++)
        heard_ms[i] = now_ms(fleet);
    if (place == NULL)
        return false;
    label_set_copy(&all, set);
    for (size_t at = 0;
         place->labels != NULL && label_set_next(&place->labels->set, &at, &label, &value);)
        (void)label_set_put(&all, label, strlen(label), value, strlen(value));
    const bool good = replace(fleet, place, &all, heard_ms);
    pthread_mutex_unlock(&place->lock);
    return good;
}

/* Under the place's lock. What cannot be allocated stays, and is forgotten with time. */
static void keep_listed(struct fleet *fleet, struct fleet_place *place,
                        const struct label_rules *rules)
{
    const struct fleet_labels *have = place->labels;
    struct label_set next;
    int64_t heard_ms[LABELS_MAX] = {0};
    const char *name, *value;
    size_t at = 0;
    label_set_clear(&next);
    for (size_t i = 0; label_set_next(&have->set, &at, &name, &value); i++) {
        if (label_rules_find(rules, name, strlen(name)) == NULL)
            continue;
        heard_ms[next.count] = have->heard_ms[i]; /* both ascend by name */
        (void)label_set_put(&next, name, strlen(name), value, strlen(value));
    }
    if (next.count < have->set.count)
        (void)replace(fleet, place, &next, heard_ms);
}

void fleet_labels_keep(struct fleet *fleet, const struct label_rules *rules)
{
    const size_t slots = fleet_slots(fleet);
    for (size_t i = 0; i < slots; i++) {
        struct fleet_place *place = fleet_place_at(fleet, i);
        pthread_mutex_lock(&place->lock);
        if (place->taken && place->labels != NULL)
            keep_listed(fleet, place, rules);
        pthread_mutex_unlock(&place->lock);
    }
}

bool fleet_labels_changed(const struct fleet *fleet, size_t slot, uint64_t revision,
                          char name[SERVER_NAME_MAX + 1], struct label_set *out)
{
    struct fleet_place *place = fleet_place_at(fleet, slot);
    label_set_clear(out);
    if (place == NULL)
        return false;
    pthread_mutex_lock(&place->lock);
    const struct fleet_labels *labels = place->labels;
    const bool changed = place->taken && labels != NULL && labels->revision > revision;
    if (changed)
        label_set_copy(out, &labels->set);
    if (changed && name != NULL)
        memcpy(name, place->name, sizeof place->name);
    pthread_mutex_unlock(&place->lock);
    return changed;
}

bool fleet_labels_read(const struct fleet *fleet, size_t slot, struct label_set *out)
{
    return fleet_labels_changed(fleet, slot, 0, NULL, out) && out->count > 0;
}

bool fleet_labels_find(void *fleet, const char *server, struct label_set *out)
{
    const int64_t slot = fleet_find(fleet, server, strlen(server));
    label_set_clear(out);
    return slot >= 0 && fleet_labels_read(fleet, (size_t)slot, out);
}

uint64_t fleet_labels_revision(const struct fleet *fleet)
{
    return atomic_load(&fleet->label_revisions);
}

size_t fleet_labels_count(const struct fleet *fleet)
{
    return atomic_load(&fleet->labelled);
}
