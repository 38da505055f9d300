/* Which raw series mean something here: names and labels as exporters write them, to the part each
 * plays in a metric. The rules are data: text in the language of docs/mapping.md, the built-in ones
 * (series_builtin.c) and, before them, those of a user's file. The first rule of a series' name
 * that fits decides; a name that the user's file has is the user's alone. */
#ifndef FW_INGEST_SERIES_RULES_H
#define FW_INGEST_SERIES_RULES_H

#include "domain/schema.h"
#include "ingest/raw_series.h"

/* What a series contributes. Gauges are metrics by themselves; all other roles are combined with
 * their fellows of the same target and time (series_book.h). */
enum series_role {
    SERIES_IGNORED, /* known, and of no use here: a file system in memory, a virtual device */
    SERIES_GAUGE,   /* the value is the metric */
    SERIES_SUM,     /* the metric is the sum of its parts */
    SERIES_MAX,     /* the largest of its parts */
    SERIES_RATE,    /* the sum of its counters' growth per second */
    SERIES_SHARE,   /* 100 * what has this role / what has this or the next */
    SERIES_WHOLE,
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
    SERIES_DISK_USED,     /* where the sender gives this instead of size and free */
    SERIES_TCP_CLOSE_WAIT,
    SERIES_TCP_OTHER, /* says that states are reported, so that no close_wait means none */
    SERIES_TIME,      /* Unix seconds */
    SERIES_BOOT_TIME,
    SERIES_CORES, /* number of cores of the server */
    SERIES_ROLES,
};

enum series_test {
    SERIES_ANY,       /* no filter */
    SERIES_IS_ONE_OF, /* the label's value is one of the words */
    SERIES_BEGINS,    /* begins with one of the words */
    SERIES_IS_BELOW,  /* is one of the paths, or below one */
    SERIES_CONTAINS,  /* holds one of the words, whatever its case */
};

enum { SERIES_KEYS_MAX = 4, SERIES_RULES_MAX = 4096, SERIES_RULES_TEXT_MAX = 1 << 20 };

struct series_rule {
    const char *series;
    const char *label; /* looked at by the test; a label that is missing is "" */
    enum series_test test;
    const char *words; /* blank-separated */
    enum series_role role;
    int metric;           /* index in the schema; -1 for roles of no single metric */
    double scale, offset; /* applied to the value first */
    bool level;           /* of a role for counters: the value is the growth per second already */
    const char
        *keys[SERIES_KEYS_MAX]; /* labels that tell the parts of one target apart; NULL: no more */
    int32_t next;               /* the next rule of the same name, or -1 */
};

/* What a series turned out to be. */
struct series_meaning {
    enum series_role role;
    int metric;
    bool direct; /* named like the metric; otherwise by a rule */
    bool level;
    double scale, offset;
    const struct series_rule *rule; /* NULL when direct */
};

struct series_rules;

/* The built-in rules over a schema, which outlives them. NULL when out of memory. Immutable, so
 * threads share it. */
struct series_rules *series_rules_new(const struct schema *schema);
/* The rules of a text before the built-in ones. FW_EINVAL: err->text says what is wrong,
 * err->offset is the line; FW_ELIMIT: too long or too many; FW_ENOMEM. */
FW_MUST_CHECK enum fw_status series_rules_parse(const struct schema *schema, const char *text,
                                                size_t len, struct series_rules **out,
                                                struct fw_error *err);
/* The same of a file; err->text begins with "PATH:LINE: ". FW_EIO besides. */
FW_MUST_CHECK enum fw_status series_rules_read(const struct schema *schema, const char *path,
                                               struct series_rules **out, struct fw_error *err);
void series_rules_free(struct series_rules *rules);
/* A hash of the user's text: rules of other texts may mean something else by the same series. */
uint64_t series_rules_digest(const struct series_rules *rules);

/* False: the name means nothing here. A rule's name whose rules all do not fit is SERIES_IGNORED.
 */
bool series_rules_find(const struct series_rules *rules, const struct raw_series *series,
                       struct series_meaning *meaning);

/* Names that may mean something, of rules and of metrics, one after the other: *at begins as 0.
 * NULL after the last one. Terminated; in no order that matters. */
const char *series_rules_name(const struct series_rules *rules, size_t *at);

/* The built-in rules as text, in pieces; NULL ends them. */
extern const char *const series_builtin[];

#endif
