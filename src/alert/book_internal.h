/* What the files of the book share. */
#ifndef FW_ALERT_BOOK_INTERNAL_H
#define FW_ALERT_BOOK_INTERNAL_H

#include "alert/alert_internal.h"

#include <stdatomic.h>

struct alert_book {
    struct alert_options options;
    struct schema schema; /* options.schema points here */
    struct store_state *state;
    struct fw_json_parser *parser;
    const struct surprise *surprise; /* NULL: unusual behaviour is not looked at */

    struct alert_entry **entries; /* by server, then metric; new ones behind, until sorted */
    size_t entry_count, entry_cap;

    struct alert_op **ops; /* oldest first */
    size_t op_count, op_cap;

    const struct alert_list *list; /* of the last update; NULL: none, or no memory */
    bool moved;                    /* it is no longer what the entries say */

    struct alert_transition *transitions; /* since the last write */
    size_t transition_count, transition_cap;

    bool updated_once, alive_once;
    int64_t alive_ms;         /* wall clock of the last alert_book_alive() */
    int64_t judge_silence_ms; /* wall clock from which silence may be judged */
    bool silence_waits;       /* a server is silent and it may not be judged yet */
    bool unsettled;           /* not all that there was to judge has been; who rests is looked at */

    _Atomic uint64_t counted[ALERT_RESOLVED + 1];
    _Atomic uint64_t store_failures, events_lost, events_waiting;
    _Atomic bool store_failing;
};

static inline bool alert_entry_active(const struct alert_entry *entry)
{
    return entry != NULL && entry->alert.state != ALERT_RESOLVED;
}

/* book.c: by server, then metric. */
void alert_book_sort(struct alert_book *book);

/* book_record.c: what changes, for whoever is told and for the history. */

/* Room for one entry more; for whatever one step of one alert can lead to. False: out of memory. */
bool alert_book_entry_room(struct alert_book *book);
bool alert_book_step_room(struct alert_book *book);
/* One more to be written; room was made. The history cannot grow without end while the store fails:
 * the oldest that wait go. NULL: nothing is kept, or out of memory, and it is counted as lost. */
struct alert_op *alert_book_push_op(struct alert_book *book, enum alert_op_kind kind);
/* When and how the alert ended, into its event. */
void alert_event_resolve(const struct alert *alert, struct alert_event *event);
/* A transition of the entry, which is in its new state; room was made. `forecast` may be NULL: the
 * server is gone. */
void alert_book_record(struct alert_book *book, const struct alert_entry *entry,
                       enum alert_state from, enum alert_severity from_severity, bool created,
                       const struct forecast *forecast, int64_t now_ms);
/* The end of an alert, with its transition; room was made. */
void alert_book_resolve(struct alert_book *book, struct alert_entry *entry,
                        enum alert_reason reason, const struct forecast *forecast, int64_t now_ms);

/* book_judge.c: moves every alert on by what the forecasts say. Both the set and the book are
 * sorted by server: one walk over the two. False: out of memory, and not all were judged. */
FW_MUST_CHECK bool alert_book_judge(struct alert_book *book, const struct forecast_set *set,
                                    const struct risk *risks, int64_t now_ms);

/* book_load.c: what the store has, into a book that is empty. */
FW_MUST_CHECK enum fw_status alert_book_load(struct alert_book *book, struct fw_error *err);

#endif
