/* One scraped target: the last two samples of each of its parts, and its slots. No lock of its own;
 * series_book.c holds it. */
#ifndef FW_INGEST_SERIES_TARGET_H
#define FW_INGEST_SERIES_TARGET_H

#include "ingest/series_book.h"

enum series_group {
    GROUP_CPU,
    GROUP_JAVA,
    GROUP_NET,
    GROUP_MEM,
    GROUP_SWAP,
    GROUP_DISK,
    GROUP_TCP,
    GROUP_UPTIME,
    GROUP_COUNT,
};

struct series_part {
    uint64_t key;               /* 0: free */
    int64_t time_ms, before_ms; /* before_ms < 0: there was none */
    double value, before;
};

/* Metrics that are sums, largest or shares of parts, by rule: so many of one target. */
enum { SERIES_SUMS_MAX = 8 };

struct series_sum_id {
    uint16_t metric;
    uint8_t role; /* SERIES_SUM, SERIES_MAX, SERIES_RATE or SERIES_SHARE */
    uint32_t expected;
};

struct series_sum {
    double value, whole;
    uint32_t members;
};

enum { GAUGES = SERIES_SWAP_FREE - SERIES_MEM_TOTAL + 1 };

struct series_slot {
    int64_t time_ms;
    unsigned serial; /* 1: the target's first time; 2; 3 for all others */
    bool settled;    /* two newer times have begun */
    uint8_t dirty;   /* bit per group: something came since it was last given out */
    uint8_t unknown; /* bit per group: a member's share of this interval is not known */
    uint32_t members[GROUP_COUNT];
    double cpu[5]; /* seconds: by role, from SERIES_CPU_USER */
    uint32_t cores;
    double java;   /* cores busy */
    double net[2]; /* bytes per second */
    double gauges[GAUGES], time_s, boot_s;
    uint32_t present; /* bit per gauge; above them time and boot */
    double disk_pct, close_wait;
    bool has_close_wait;
    uint8_t sums_dirty, sums_unknown; /* bit per sum */
    struct series_sum sums[SERIES_SUMS_MAX];
};

struct series_server {
    struct series_server *next; /* in its bucket */
    uint64_t key;
    uint32_t targets;
    uint32_t cores; /* 0: not known */
};

struct series_target {
    struct series_target *next;          /* in its bucket */
    struct series_target *newer, *older; /* by when it was heard last */
    uint64_t key;
    int64_t heard_ns;
    struct series_server *server;
    unsigned times;                 /* newest times seen, at most 3 */
    unsigned gaps;                  /* in a row */
    int64_t interval_ms;            /* the usual one; 0: not known yet */
    uint32_t expected[GROUP_COUNT]; /* members of the newest settled time; 0: none is settled */
    size_t sum_count;
    struct series_sum_id sums[SERIES_SUMS_MAX];
    struct series_slot *slots; /* ascending by time */
    size_t slot_count, slot_cap;
    size_t slots_max;          /* SERIES_SLOTS to SERIES_SLOTS_MAX */
    int64_t over_ms;           /* the newest time whose slot was given up; 0: none */
    struct series_part *parts; /* open addressing; cap is a power of two or 0 */
    size_t part_count, part_cap;
    size_t parts_max; /* at most SERIES_PARTS_MAX; less when the book has no memory left */
};

/* Gives out one value; false when out of memory, and the group stays due. */
typedef bool (*series_value_fn)(void *ctx, int64_t time_ms, int metric, double value);

void series_target_fini(struct series_target *target);
/* Of what it has allocated, itself not counted. */
size_t series_target_bytes(const struct series_target *target);

/* The slot of a time, made when it is new; older slots then grow older and what is whole is given
 * out. NULL: the time is over, or `give` failed and *failed is set. */
struct series_slot *series_target_slot(struct series_target *target, int64_t time_ms,
                                       series_value_fn give, void *ctx, bool *failed);

/* The slot of a loose sample whose fellows carry another time: less than SERIES_LOOSE_MS away, and
 * nothing of its part in it yet. NULL: none, or its own time has a slot. */
enum { SERIES_LOOSE_MS = 1500 };
struct series_slot *series_target_join(struct series_target *target,
                                       const struct series_sample *sample);

enum series_put { SERIES_TAKEN, SERIES_REPEATED, SERIES_LATE, SERIES_FULL };
/* Adds a sample (no gauge, not stale) to the slot of its time. */
enum series_put series_target_put(struct series_target *target, struct series_slot *slot,
                                  const struct series_sample *sample);
/* The series has ended. */
void series_target_end(struct series_target *target, const struct series_sample *sample);

/* Gives out what is whole and was not given, newest time first; with `all` also what nothing will
 * complete any more. False: `give` failed. */
bool series_target_settle(struct series_target *target, bool all, series_value_fn give, void *ctx);

#endif
