/* What a request says of servers beside samples: labels that are kept, in the order they came, and
 * what of them is news. */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "domain/batch.h"

#include <assert.h>
#include <string.h>

/* An entry: length of the server's name, the name, number of labels; of each the rule's number,
 * the value's length, the value. All numbers are single bytes. */
struct batch_label_bytes {
    size_t used, cap;
    size_t entry;    /* where the open entry begins */
    size_t before;   /* where the one before it begins; SIZE_MAX: there is none */
    size_t count_at; /* of the open entry: where its number of labels stands */
    unsigned char bytes[];
};

static bool grow(struct sample_batch *batch, size_t more)
{
    struct batch_label_bytes *have = batch->label_bytes;
    const size_t used = have != NULL ? have->used : 0, cap = have != NULL ? have->cap : 0;
    if (cap - used >= more)
        return true;
    if (used + more > BATCH_LABELS_BYTES_MAX)
        return false;
    size_t wanted = cap == 0 ? 1024 : 2 * cap;
    while (wanted < used + more)
        wanted *= 2;
    struct batch_label_bytes *grown = fw_realloc(have, sizeof *grown + wanted);
    if (grown == NULL)
        return false;
    if (have == NULL)
        *grown = (struct batch_label_bytes){.before = SIZE_MAX};
    grown->cap = wanted;
    batch->label_bytes = grown;
    return true;
}

bool batch_labels_begin(struct sample_batch *batch, const char *server, size_t len)
{
    if (batch->label_rules == NULL || batch->label_rules->count == 0)
        return false;
    if (!grow(batch, len + 2)) {
        batch->labels_dropped++;
        return false;
    }
    struct batch_label_bytes *l = batch->label_bytes;
    l->entry = l->used;
    l->bytes[l->used++] = (unsigned char)len;
    memcpy(l->bytes + l->used, server, len);
    l->used += len;
    l->count_at = l->used;
    l->bytes[l->used++] = 0;
    return true;
}

void batch_label(struct sample_batch *batch, const char *name, size_t name_len, const char *value,
                 size_t value_len)
{
    const char *rule = label_rules_find(batch->label_rules, name, name_len);
    if (rule == NULL || value_len == 0)
        return;
    if (!label_value_valid(value, value_len) ||
        batch->label_bytes->bytes[batch->label_bytes->count_at] == LABELS_MAX ||
        !grow(batch, value_len + 2)) {
        batch->labels_dropped++;
        return;
    }
    struct batch_label_bytes *l = batch->label_bytes;
    const size_t index =
        (size_t)(rule - batch->label_rules->names[0]) / sizeof batch->label_rules->names[0];
    l->bytes[l->count_at]++;
    l->bytes[l->used++] = (unsigned char)index;
    l->bytes[l->used++] = (unsigned char)value_len;
    memcpy(l->bytes + l->used, value, value_len);
    l->used += value_len;
}

void batch_labels_end(struct sample_batch *batch)
{
    struct batch_label_bytes *l = batch->label_bytes;
    const size_t size = l->used - l->entry;
    const bool again = l->before != SIZE_MAX && l->entry - l->before == size &&
                       memcmp(l->bytes + l->before, l->bytes + l->entry, size) == 0;
    if (again || l->bytes[l->count_at] == 0)
        l->used = l->entry;
    else
        l->before = l->entry;
}

bool batch_labels_next(const struct sample_batch *batch, size_t *at, const char **server,
                       size_t *len, struct label_set *set)
{
    const struct batch_label_bytes *l = batch->label_bytes;
    label_set_clear(set);
    if (l == NULL || *at >= l->used)
        return false;
    const unsigned char *next = l->bytes + *at;
    *len = *next++;
    *server = (const char *)next;
    next += *len;
    for (unsigned n = *next++; n > 0; n--) {
        const char *name = batch->label_rules->names[next[0]];
        /* What does not fit in all is left out; the sender's order decides. */
        (void)label_set_put(set, name, strlen(name), (const char *)next + 2, next[1]);
        next += 2 + next[1];
    }
    *at = (size_t)(next - l->bytes);
    return true;
}

/* ---- changes ---- */

struct batch_label_changes {
    size_t count;
    struct fw_buf bytes; /* as they are journalled, without the count in front */
};

static struct batch_label_changes *changes_of(struct sample_batch *batch)
{
    if (batch->label_changes == NULL) {
        batch->label_changes = fw_calloc(1, sizeof *batch->label_changes);
        if (batch->label_changes != NULL)
            fw_buf_init(&batch->label_changes->bytes, BATCH_LABELS_BYTES_MAX);
    }
    return batch->label_changes;
}

static void put_text(struct fw_buf *out, const char *text, size_t len)
{
    fw_buf_put_varint(out, len);
    fw_buf_put(out, text, len);
}

bool batch_label_change(struct sample_batch *batch, const char *server, size_t len,
                        const struct label_set *set)
{
    struct batch_label_changes *changes = changes_of(batch);
    const char *name, *value;
    if (changes == NULL)
        return false;
    struct fw_buf *out = &changes->bytes;
    const size_t before = out->len;
    put_text(out, server, len);
    fw_buf_put_varint(out, set->count);
    for (size_t at = 0; label_set_next(set, &at, &name, &value);) {
        put_text(out, name, strlen(name));
        put_text(out, value, strlen(value));
    }
    if (out->failed) { /* what stood before it counts */
        out->failed = false;
        out->len = before;
        return false;
    }
    changes->count++;
    return true;
}

static const char *get_text(struct fw_bytes *in, size_t max, size_t *len)
{
    const uint64_t n = fw_bytes_varint(in);
    if (n > max)
        in->bad = true;
    *len = in->bad ? 0 : (size_t)n;
    return fw_bytes_take(in, *len);
}

/* One server's; false: not such bytes. */
static bool get_change(struct fw_bytes *in, const char **server, size_t *len, struct label_set *set)
{
    label_set_clear(set);
    *server = get_text(in, SERVER_NAME_MAX, len);
    const uint64_t count = fw_bytes_varint(in);
    if (in->bad || count == 0 || count > LABELS_MAX || !server_name_valid(*server, *len))
        return false;
    for (uint64_t i = 0; i < count; i++) {
        size_t name_len, value_len;
        const char *name = get_text(in, LABEL_NAME_MAX, &name_len);
        const char *value = get_text(in, LABEL_VALUE_MAX, &value_len);
        if (in->bad || !label_set_put(set, name, name_len, value, value_len))
            return false;
    }
    return set->count == count; /* no name twice */
}

bool batch_label_changes_next(const struct sample_batch *batch, size_t *at, const char **server,
                              size_t *len, struct label_set *set)
{
    const struct batch_label_changes *changes = batch->label_changes;
    label_set_clear(set);
    if (changes == NULL || *at >= changes->bytes.len)
        return false;
    struct fw_bytes in = fw_bytes_of(changes->bytes.data + *at, changes->bytes.len - *at);
    const bool whole = get_change(&in, server, len, set);
    assert(whole); /* checked when it was put in */
    *at = changes->bytes.len - (size_t)(in.end - in.at);
    return true;
}

size_t batch_label_changes(const struct sample_batch *batch)
{
    return batch->label_changes == NULL ? 0 : batch->label_changes->count;
}

void batch_label_changes_encode(const struct sample_batch *batch, struct fw_buf *out)
{
    const struct batch_label_changes *changes = batch->label_changes;
    fw_buf_put_varint(out, changes->count);
    fw_buf_put(out, changes->bytes.data, changes->bytes.len);
}

enum fw_status batch_label_changes_decode(struct fw_bytes *in, struct sample_batch *batch)
{
    const uint64_t count = fw_bytes_varint(in);
    struct label_set set;
    const char *server;
    size_t len;
    if (in->end - in->at > BATCH_LABELS_BYTES_MAX)
        return FW_ECORRUPT; /* more than is ever written */
    for (uint64_t i = 0; i < count; i++) {
        if (in->bad || !get_change(in, &server, &len, &set))
            return FW_ECORRUPT;
        if (!batch_label_change(batch, server, len, &set))
            return FW_ENOMEM;
    }
    return in->bad || count == 0 ? FW_ECORRUPT : FW_OK;
}

void batch_labels_reset(struct sample_batch *batch, bool keep)
{
    struct batch_label_bytes *l = batch->label_bytes;
    batch->labels_dropped = 0;
    if (batch->label_changes != NULL)
        fw_buf_fini(&batch->label_changes->bytes);
    fw_free(batch->label_changes);
    batch->label_changes = NULL;
    if (l == NULL)
        return;
    if (keep && l->cap <= BATCH_LABELS_KEEP) {
        l->used = 0;
        l->before = SIZE_MAX;
        return;
    }
    fw_free(l);
    batch->label_bytes = NULL;
}
