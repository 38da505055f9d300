/* What the files of the fleet and of its snapshots share. */
#ifndef FW_FLEET_FLEET_INTERNAL_H
#define FW_FLEET_FLEET_INTERNAL_H

#include "fleet/changes.h"
#include "fleet/fleet.h"
#include "fleet/window.h"

#include <pthread.h>
#include <stdatomic.h>

enum { FLEET_CHUNK = 256 /* servers allocated together; they never move */ };
#define FLEET_NO_SLOT UINT32_MAX

/* A place for one server. `lock` guards all but what is atomic; name, hash and taken change under
 * both names_lock (writing) and lock, so either is enough to read them. */
struct fleet_place {
    pthread_mutex_t lock;
    _Atomic uint64_t *revision;   /* in the chunk; 0: no sample yet, or nobody here */
    _Atomic int64_t last_seen_ms; /* of the newest sample; read by the stale count without a lock */
    struct fleet_window window;
    uint64_t applied_seq; /* newest batch wholly in the window */
    uint64_t loaded_seq;  /* what a snapshot said; batches up to it are not applied again */
    int64_t first_seen_ms;
    int64_t status_ms, profile_ms; /* times of the samples that reported them last */
    int64_t heard_ms;              /* monotonic: when a sample was last applied */
    int64_t changed_step;          /* the oldest since fleet_changes_take(); FLEET_UNCHANGED */
    uint64_t hash;
    uint32_t next_free;
    bool taken;
    uint8_t name_len, status;
    uint8_t own_profile;         /* as records name it; PROFILE_UNKNOWN when none does */
    uint8_t rule_profile;        /* by the rules */
    struct fleet_labels *labels; /* labels.c's; NULL: none */
    char name[SERVER_NAME_MAX + 1];
};

struct fleet_chunk {
    _Atomic uint64_t revisions[FLEET_CHUNK]; /* together: who looks for changes reads little */
    struct fleet_place places[FLEET_CHUNK];
};

/* What asking changes, so that a fleet can be asked through a pointer to const. */
struct fleet_shared {
    pthread_rwlock_t names_lock;
    pthread_mutex_t position_lock;
    _Atomic int64_t stale_at_ms;
    _Atomic size_t stale;
};

struct fleet {
    struct fleet_shared *shared;
    struct fleet_options options;
    struct window_shape shape;
    int64_t skew_ms; /* what of options.future_skew_ms fits the window */

    /* Under shared->names_lock. */
    struct profile_rules *profiles; /* options.profiles points here */
    uint32_t *table;                /* slot + 1 by hash of the name; 0 = free */
    size_t table_size;
    uint32_t free_head; /* places given back; FLEET_NO_SLOT when none */
    size_t taken;       /* places in use */
    size_t chunk_count;
    struct fleet_chunk *_Atomic *chunks;

    _Atomic size_t slots; /* places ever used */
    _Atomic uint64_t revisions;
    _Atomic size_t servers, ready, bytes;
    _Atomic uint64_t records;
    _Atomic uint64_t rows;
    _Atomic uint64_t label_revisions;
    _Atomic size_t labelled; /* places with labels */

    uint64_t seq, batches; /* under shared->position_lock */
};

/* That of a slot; NULL when no server has ever been in it. */
struct fleet_chunk *fleet_chunk_of(const struct fleet *fleet, size_t slot);
/* NULL when no server has ever been there. */
struct fleet_place *fleet_place_at(const struct fleet *fleet, size_t slot);
/* The place that a name has, with a sample or without, or NULL. */
struct fleet_place *fleet_place_of(const struct fleet *fleet, const char *name, size_t len);
/* Finds or makes the place of a name. FW_ELIMIT: the fleet is full; FW_ENOMEM. Any thread. */
enum fw_status fleet_place_for(struct fleet *fleet, const char *name, size_t len,
                               int64_t first_seen_ms, uint32_t *slot);

/* Under the place's lock: what a change of its window does to the fleet's counts. Take before,
 * settle after. */
struct fleet_tally {
    uint32_t held;
    size_t bytes;
};
struct fleet_tally fleet_tally_take(const struct fleet_place *place);
void fleet_tally_settle(struct fleet *fleet, struct fleet_place *place, struct fleet_tally before);
/* Under the place's lock: marks the window as changed. */
void fleet_place_changed(struct fleet *fleet, struct fleet_place *place);
/* Under the place's lock: its labels go. */
void fleet_labels_drop(struct fleet *fleet, struct fleet_place *place);
/* The monotonic time at which a server counts as heard when its news came at `received_ms`. */
int64_t fleet_heard_ms(const struct fleet *fleet, int64_t received_ms);

void fleet_position_set(struct fleet *fleet, uint64_t seq, uint64_t batches);

#endif
