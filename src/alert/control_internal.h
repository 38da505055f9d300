/* What the files of control share: records of silences and acknowledgements as they are stored. */
#ifndef FW_ALERT_CONTROL_INTERNAL_H
#define FW_ALERT_CONTROL_INTERNAL_H

#include "alert/control.h"
#include "base/buf.h"
#include "base/json.h"

#include <pthread.h>

enum { ALERT_RECORD_MAX = 8192 };

struct alert_ack {
    uint64_t alert_id;
    enum alert_severity severity; /* covers this and what is less */
    int64_t at_ms;
    char by[ALERT_PERSON_MAX + 1];
    char comment[ALERT_COMMENT_MAX + 1];
};

/* JSON objects, for blobs of namespaces "silence" and "ack". */
void alert_silence_put(struct fw_buf *out, const struct alert_silence *silence);
void alert_ack_put(struct fw_buf *out, const struct alert_ack *ack);
/* False: not such an object. */
bool alert_silence_get(struct fw_json_value root, struct alert_silence *silence);
bool alert_ack_get(struct fw_json_value root, struct alert_ack *ack);

struct alert_control {
    struct alert_control_options options;
    pthread_mutex_t changing; /* one change at a time; held while the store is written */
    pthread_mutex_t lock;     /* of what follows, which changers alone write; never held for long */
    struct alert_silence *silences; /* oldest first */
    size_t silence_count, silence_cap;
    struct alert_ack *acks; /* by alert id */
    size_t ack_count, ack_cap;
    int64_t pruned_ms; /* when the journal was last pruned; the tidier's */
};

/* control_table.c. The acknowledgement of `id`, or NULL. Under the lock, or by a changer. */
struct alert_ack *alert_ack_find(const struct alert_control *control, uint64_t id);
/* Room for one more. False: out of memory. */
bool alert_silence_room(struct alert_control *control);
bool alert_ack_room(struct alert_control *control);
/* Adds or replaces; room was made. */
void alert_ack_set(struct alert_control *control, const struct alert_ack *ack);
void alert_ack_remove(struct alert_control *control, const struct alert_ack *ack);

/* control_load.c: into empty tables, before others see them. */
FW_MUST_CHECK enum fw_status alert_control_load(struct alert_control *control,
                                                struct fw_error *err);
/* control.c: that something changed; without a lock. */
void alert_control_tell(const struct alert_control *control);

/* control_store.c: a change of a blob (`blob` NULL: it goes) and the event that says why, as one.
 */
struct alert_change {
    const char *ns, *key, *subject;
    const struct fw_buf *blob;
    const struct fw_buf *event;
    int64_t now_ms;
};
FW_MUST_CHECK enum fw_status alert_change_write(struct store_state *state,
                                                const struct alert_change *change,
                                                struct fw_error *err);
/* The journal's bounds: by age, then by number. */
FW_MUST_CHECK enum fw_status alert_actions_prune(struct store_state *state, int64_t now_ms,
                                                 struct fw_error *err);
#define ALERT_SILENCES "silence"
#define ALERT_ACKS "ack"

/* A member behind others: ,"key":"text" */
void alert_put_text(struct fw_buf *out, const char *key, const char *text);

#endif
