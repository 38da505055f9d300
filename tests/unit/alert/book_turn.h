/* What a run does with the book: moves it, and writes what moved. */
#ifndef FW_TESTS_BOOK_TURN_H
#define FW_TESTS_BOOK_TURN_H

#include "alert/alert.h"

static inline enum fw_status book_turn(struct alert_book *book, const struct forecast_set *set,
                                       const struct risk *risks, int64_t now_ms,
                                       alert_transition_fn notify, void *ctx,
                                       const struct alert_list **list, struct fw_error *err)
{
    const enum fw_status status = alert_book_update(book, set, risks, now_ms, list, err);
    alert_book_write(book, notify, ctx);
    return status;
}

#endif
