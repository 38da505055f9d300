/* Which raw series mean something here: names and labels as exporters write them, to the part each
 * plays in a metric. The table is data; its first rule that fits a series decides. */
#ifndef FW_INGEST_SERIES_RULES_H
#define FW_INGEST_SERIES_RULES_H

#include "domain/schema.h"
#include "ingest/remote_write.h"

/* What a series contributes. Gauges are metrics by themselves; all other roles are combined with
 * their fellows of the same target and time (series_book.h). */
enum series_role {
    SERIES_IGNORED, /* known, and of no use here: a file system in memory, a virtual device */
    SERIES_GAUGE,   /* value * scale is the metric */
    SERIES_CPU_USER,
    SERIES_CPU_SYS,
    SERIES_CPU_IOWAIT,
    SERIES_CPU_IDLE,
    SERIES_CPU_OTHER, /* counts for the whole only */
    SERIES_JAVA_CPU,  /* counter of CPU seconds */
    SERIES_NET_IN,    /* counters of bytes */
    SERIES_NET_OUT,
    SERIES_MEM_TOTAL, /* bytes; from here to MEM_RECLAIMABLE in this order */
    SERIES_MEM_AVAILABLE,
    SERIES_MEM_FREE,
    SERIES_MEM_BUFFERS,
    SERIES_MEM_CACHED,
    SERIES_MEM_RECLAIMABLE,
    SERIES_SWAP_TOTAL,
    SERIES_SWAP_FREE,
    SERIES_DISK_SIZE, /* bytes of one file system */
    SERIES_DISK_FREE,
    SERIES_DISK_AVAILABLE,
    SERIES_DISK_READONLY, /* 1: the file system does not count */
    SERIES_TCP_CLOSE_WAIT,
    SERIES_TCP_OTHER, /* says that states are reported, so that no close_wait means none */
    SERIES_TIME,      /* Unix seconds */
    SERIES_BOOT_TIME,
    SERIES_ROLES,
};

enum series_test {
    SERIES_ANY,       /* no filter */
    SERIES_IS_ONE_OF, /* the label's value is one of the words */
    SERIES_BEGINS,    /* begins with one of the words */
    SERIES_IS_BELOW,  /* is one of the paths, or below one */
    SERIES_CONTAINS,  /* holds one of the words, whatever its case */
};

enum { SERIES_KEYS_MAX = 3 };
struct series_rule {
    const char *series;
    const char *label; /* looked at by the test; a label that is missing is "" */
    enum series_test test;
    const char *words; /* blank-separated */
    enum series_role role;
    enum metric_index metric; /* SERIES_GAUGE */
    double scale;             /* SERIES_GAUGE */
    const char
        *keys[SERIES_KEYS_MAX]; /* labels that tell the parts of one target apart; NULL: no more */
};

/* What a series turned out to be. */
struct series_meaning {
    enum series_role role;
    int metric;  /* SERIES_GAUGE: index in the schema */
    bool direct; /* named like the metric; otherwise by a rule */
    double scale;
    const struct series_rule *rule; /* NULL when direct */
};

struct series_rules;

/* The built-in table over a schema, which outlives it. NULL when out of memory. Immutable, so
 * threads share it. */
struct series_rules *series_rules_new(const struct schema *schema);
void series_rules_free(struct series_rules *rules);

/* False: the name means nothing here. A rule's name whose rules all do not fit is SERIES_IGNORED.
 */
bool series_rules_find(const struct series_rules *rules, const struct remote_write_series *series,
                       struct series_meaning *meaning);

#endif
