/* What the store's tests share: a journal on a disk in memory, and a list of what was acknowledged
 * and replayed. */
#ifndef FW_TESTS_STORE_SUPPORT_H
#define FW_TESTS_STORE_SUPPORT_H

#include "support.h"

#include "base/rng.h"
#include "store/io_memory.h"
#include "store/journal.h"
#include "store/segment.h"

#include <stdlib.h>

/* Payloads carry their own number and a body that follows from it, so that a wrong byte anywhere
 * shows. */
struct payload {
    uint64_t id;
    size_t len;
};

static inline size_t payload_make(unsigned char *out, uint64_t id, size_t len)
{
    struct fw_rng rng;
    fw_rng_init(&rng, id);
    if (len < 8)
        len = 8;
    memcpy(out, &id, 8);
    for (size_t i = 8; i < len; i += 8) {
        const uint64_t word = fw_rng_next(&rng);
        memcpy(out + i, &word, len - i < 8 ? len - i : 8);
    }
    return len;
}

/* The number in a payload, or 0 when any byte is not as it was made. */
static inline uint64_t payload_id(const void *data, size_t len)
{
    static _Thread_local unsigned char wanted[1 << 20];
    uint64_t id;
    if (len < 8 || len > sizeof wanted)
        return 0;
    memcpy(&id, data, 8);
    payload_make(wanted, id, len);
    return memcmp(wanted, data, len) == 0 ? id : 0;
}

/* ids in the order they came. */
struct id_list {
    uint64_t *ids;
    uint64_t *seqs;
    size_t n, cap;
    size_t broken; /* payloads with a wrong byte */
    size_t refused;
};

static inline void id_list_add(struct id_list *list, uint64_t id, uint64_t seq)
{
    if (list->n == list->cap) {
        list->cap = list->cap == 0 ? 256 : list->cap * 2;
        list->ids = realloc(list->ids, list->cap * sizeof *list->ids);
        list->seqs = realloc(list->seqs, list->cap * sizeof *list->seqs);
        if (list->ids == NULL || list->seqs == NULL)
            abort();
    }
    list->ids[list->n] = id;
    list->seqs[list->n++] = seq;
}

static inline void id_list_fini(struct id_list *list)
{
    free(list->ids);
    free(list->seqs);
    memset(list, 0, sizeof *list);
}

static inline bool id_list_has(const struct id_list *list, uint64_t id)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->ids[i] == id)
            return true;
    return false;
}

static inline enum fw_status collect(void *ctx, uint64_t seq, const void *payload, size_t len)
{
    struct id_list *list = ctx;
    const uint64_t id = payload_id(payload, len);
    if (id == 0)
        list->broken++;
    id_list_add(list, id, seq);
    return FW_OK;
}

/* One append whose fate is written into `acked`. */
struct ticket {
    struct id_list *acked;
    uint64_t id;
};

static inline void note_done(void *ctx, enum fw_status status, uint64_t seq)
{
    struct ticket *ticket = ctx;
    if (status == FW_OK)
        id_list_add(ticket->acked, ticket->id, seq);
    else
        ticket->acked->refused++;
    free(ticket);
}

static inline enum fw_status append_id(struct store_journal *journal, struct id_list *acked,
                                       uint64_t id, size_t len)
{
    static _Thread_local unsigned char bytes[1 << 20];
    struct ticket *ticket = malloc(sizeof *ticket);
    if (ticket == NULL)
        abort();
    ticket->acked = acked;
    ticket->id = id;
    len = payload_make(bytes, id, len);
    const enum fw_status status = store_journal_append(journal, bytes, len, note_done, ticket);
    if (status != FW_OK)
        free(ticket);
    return status;
}

/* A journal without a thread on a disk in memory, so that a seed decides everything. */
static inline struct store_journal_options manual_options(struct store_io_memory *memory,
                                                          uint64_t seed)
{
    return (struct store_journal_options){.io = store_io_memory_io(memory),
                                          .segment_bytes = 16 << 10,
                                          .record_bytes_max = 64 << 10,
                                          .queue_bytes_max = 256 << 10,
                                          .reserve_bytes = 1,
                                          .manual = true,
                                          .marker_seed = seed * 2 + 1};
}

static inline struct store_journal *reopen(const struct store_journal_options *options,
                                           struct id_list *found,
                                           struct store_journal_report *report)
{
    struct store_journal *journal = NULL;
    struct fw_error err = {0};
    const enum fw_status status = store_journal_open(
        "/log", options, 0, found != NULL ? collect : NULL, found, report, &journal, &err);
    if (status != FW_OK)
        fail_msg("journal does not open: %s", err.text);
    return journal;
}

static inline bool keep_segment_name(void *ctx, const char *name)
{
    uint64_t seq;
    uint32_t marker;
    if (store_segment_name_parse(name, &seq, &marker) && strcmp(name, ctx) > 0)
        strcpy(ctx, name);
    return true;
}

/* Path of the segment with the highest name. */
static inline void newest_segment(struct store_io_memory *memory, char path[STORE_PATH_MAX])
{
    char name[STORE_SEGMENT_NAME_MAX] = "";
    const struct store_io *io = store_io_memory_io(memory);
    assert_int_equal(io->list(io->ctx, "/log", keep_segment_name, name), 0);
    assert_true(store_io_path(path, STORE_PATH_MAX, "/log", name));
}

static inline bool keep_first_name(void *ctx, const char *name)
{
    uint64_t seq;
    uint32_t marker;
    char *kept = ctx;
    if (store_segment_name_parse(name, &seq, &marker) &&
        (kept[0] == '\0' || strcmp(name, kept) < 0))
        strcpy(kept, name);
    return true;
}

static inline void oldest_segment(struct store_io_memory *memory, char path[STORE_PATH_MAX])
{
    char name[STORE_SEGMENT_NAME_MAX] = "";
    const struct store_io *io = store_io_memory_io(memory);
    assert_int_equal(io->list(io->ctx, "/log", keep_first_name, name), 0);
    assert_true(store_io_path(path, STORE_PATH_MAX, "/log", name));
}

static inline void quiet_log_sink(void *ctx, const char *line, size_t len)
{
    (void)ctx;
    (void)line;
    (void)len;
}

#endif
