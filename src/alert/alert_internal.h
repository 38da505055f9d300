/* What the files of src/alert share. */
#ifndef FW_ALERT_ALERT_INTERNAL_H
#define FW_ALERT_ALERT_INTERNAL_H

#include "alert/event.h"

/* One threshold's memory: on after `for_runs` steps of data in which it was crossed, off after
 * `clear_runs` in which even the relaxed one was not. Steps are told apart by the forecast's
 * origin, so the same data never counts twice. */
struct alert_latch {
    bool on;
    uint32_t held, clear; /* steps */
    int64_t held_origin_ms, clear_origin_ms;
};

struct alert_entry {
    struct alert alert;
    struct alert_latch latches[ALERT_SEVERITY_COUNT];
    bool dirty;  /* differs from the store */
    bool remove; /* leaves the book, and the store first */
    /* Where the server is in sets of that roster; ALERT_PLACE_GONE: in none. */
    uint64_t roster;
    size_t place;
};
#define ALERT_PLACE_GONE SIZE_MAX

/* What one path says about one threshold. */
struct alert_condition {
    bool set;     /* the metric has this threshold */
    bool strict;  /* crossed now or to be crossed: raises */
    bool relaxed; /* not yet safely gone: keeps up */
    double threshold;
    float predicted; /* see struct alert */
    uint32_t steps_ahead;
};
struct alert_verdict {
    struct alert_condition conditions[ALERT_SEVERITY_COUNT];
    float peak;
    uint32_t peak_steps;
    float near_worst; /* worst p50 of the near horizon and its step */
    uint32_t near_steps;
};
/* False: nothing is crossed or near, and the verdict is not to be used. `active` says that an entry
 * exists, so that the relaxed conditions matter; without thresholds no condition of it is set. */
bool alert_judge(const struct alert_options *options, const struct schema_metric *metric,
                 const struct forecast_path *path, bool active, struct alert_verdict *verdict);

/* True when the latch changed in any way. */
bool alert_latch_update(struct alert_latch *latch, const struct alert_options *options, bool strict,
                        bool relaxed, int64_t origin_ms);

/* What is waiting to be written to the history. */
enum alert_op_kind {
    ALERT_OP_APPEND, /* `event` at time_ms */
    ALERT_OP_CLOSE,  /* fills resolved_at into the open rows of event->alert_id */
    ALERT_OP_FORGET, /* removes the blob of (server, event->metric) */
};
struct alert_op {
    enum alert_op_kind kind;
    int64_t time_ms;
    char server[SERVER_NAME_MAX + 1];
    struct alert_event event;
};

enum {
    ALERT_OPS_MAX = 4096,
    ALERT_NAMESPACE_KEY_MAX = SERVER_NAME_MAX + SCHEMA_METRIC_NAME_MAX + 2
};

/* The store's side: entries are blobs of namespace "alert", key "<metric> <server>". */
void alert_entry_encode(const struct schema *schema, const struct alert_entry *entry,
                        struct fw_buf *out);
/* FW_ENOTFOUND: the schema lacks the metric; entry->alert.server and `metric` are filled. */
FW_MUST_CHECK enum fw_status alert_entry_decode(const struct schema *schema,
                                                struct fw_json_parser *parser, const void *data,
                                                size_t len, struct alert_entry *entry,
                                                char metric[SCHEMA_METRIC_NAME_MAX + 1],
                                                struct fw_error *err);

/* Everything in one transaction. `parser` reads open rows back. */
FW_MUST_CHECK enum fw_status alert_persist(struct store_state *state, const struct schema *schema,
                                           struct fw_json_parser *parser,
                                           struct alert_op *const *ops, size_t op_count,
                                           struct alert_entry *const *entries, size_t entry_count,
                                           struct fw_error *err);

/* "cpu", "memory" and every metric's newest value as JSON text. */
void alert_snapshot(const struct schema *schema, const struct forecast *forecast,
                    char out[ALERT_SNAPSHOT_MAX + 1]);

#endif
