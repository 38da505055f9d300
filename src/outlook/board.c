#include "outlook/outlook_internal.h"

#include "base/alloc.h"

#include <assert.h>

struct outlook_board *outlook_board_new(void)
{
    struct outlook_board *board = fw_calloc(1, sizeof *board);
    if (board == NULL)
        return NULL;
    if (pthread_mutex_init(&board->lock, NULL) != 0) {
        fw_free(board);
        return NULL;
    }
    fw_histogram_init_durations(&board->run);
    return board;
}

void outlook_board_free(struct outlook_board *board)
{
    if (board == NULL)
        return;
    outlook_release(board->current);
    pthread_mutex_destroy(&board->lock);
    fw_free(board);
}

const struct outlook *outlook_board_current(struct outlook_board *board)
{
    pthread_mutex_lock(&board->lock);
    const struct outlook *outlook = board->current;
    if (outlook != NULL)
        outlook_retain(outlook);
    pthread_mutex_unlock(&board->lock);
    return outlook;
}

static void call_listeners(struct outlook_board *board, const struct outlook *outlook, bool after)
{
    for (size_t i = 0; i < board->listener_count; i++)
        if (board->listeners[i].after == after)
            board->listeners[i].call(board->listeners[i].ctx, outlook);
}

void outlook_board_publish(struct outlook_board *board, const struct outlook *outlook)
{
    assert(outlook != NULL);
    call_listeners(board, outlook, false);
    pthread_mutex_lock(&board->lock);
    const struct outlook *old = board->current;
    board->current = outlook;
    pthread_mutex_unlock(&board->lock);
    outlook_release(old); /* outside: freeing a large fleet takes a while */
}

void outlook_board_tell(struct outlook_board *board, const struct outlook *outlook)
{
    call_listeners(board, outlook, true);
}

static void add_listener(struct outlook_board *board, outlook_listener_fn listener, void *ctx,
                         bool after)
{
    assert(board->listener_count < OUTLOOK_LISTENERS_MAX);
    board->listeners[board->listener_count].call = listener;
    board->listeners[board->listener_count].ctx = ctx;
    board->listeners[board->listener_count].after = after;
    board->listener_count++;
}

void outlook_board_listen(struct outlook_board *board, outlook_listener_fn listener, void *ctx)
{
    add_listener(board, listener, ctx, false);
}

void outlook_board_follow(struct outlook_board *board, outlook_listener_fn listener, void *ctx)
{
    add_listener(board, listener, ctx, true);
}

void outlook_board_statistics(struct outlook_board *board, struct outlook_statistics *out)
{
    pthread_mutex_lock(&board->lock);
    out->made_ms = board->current != NULL ? board->current->made_ms : 0;
    pthread_mutex_unlock(&board->lock);
    out->runs = atomic_load(&board->runs);
    out->failures = atomic_load(&board->failures);
    out->failing = atomic_load(&board->failing);
    out->history_failures = atomic_load(&board->history_failures);
    fw_histogram_read(&board->run, &out->run);
}
