/* A file layer that fails on request, in front of any other: for tests of everything that stores.
 *
 * Calls are counted by kind; a plan makes the n-th of a kind fail, once or from then on, or moves
 * fewer bytes than asked. Thread-safe. */
#ifndef FW_STORE_IO_FAULT_H
#define FW_STORE_IO_FAULT_H

#include "store/io.h"

#include <pthread.h>

enum store_io_call {
    STORE_IO_OPEN,
    STORE_IO_CLOSE,
    STORE_IO_READ,
    STORE_IO_WRITE,
    STORE_IO_SYNC_DATA,
    STORE_IO_SYNC_DIR,
    STORE_IO_TRUNCATE,
    STORE_IO_PREALLOCATE,
    STORE_IO_SIZE,
    STORE_IO_DROP_CACHE,
    STORE_IO_LOCK,
    STORE_IO_RENAME,
    STORE_IO_UNLINK,
    STORE_IO_MKDIR,
    STORE_IO_LIST,
    STORE_IO_FREE_BYTES,
    STORE_IO_CALLS
};

struct store_io_fault {
    struct store_io io; /* pass &fault.io on */
    const struct store_io *under;
    pthread_mutex_t lock;
    struct {
        uint64_t calls;   /* since init */
        uint64_t fail_at; /* absolute number of the first call that fails; 0: none */
        uint64_t times;   /* how many fail from there on */
        int error;        /* positive errno */
    } kinds[STORE_IO_CALLS];
    size_t write_bytes_max; /* a write moves at most so many bytes; 0: all */
};

/* "write", "sync_data", ...: for the names of test rows. */
const char *store_io_call_name(enum store_io_call call);

/* Nothing fails at first. `under` must outlive *fault. */
void store_io_fault_init(struct store_io_fault *fault, const struct store_io *under);
void store_io_fault_fini(struct store_io_fault *fault);

/* The nth call of this kind from now on (1: the next) and the times - 1 after it return -error
 * without reaching the layer below. nth 0 takes the plan back; times UINT64_MAX: all from there on.
 */
void store_io_fault_plan(struct store_io_fault *fault, enum store_io_call call, uint64_t nth,
                         uint64_t times, int error);
/* Takes every plan back. */
void store_io_fault_clear(struct store_io_fault *fault);
uint64_t store_io_fault_calls(struct store_io_fault *fault, enum store_io_call call);

#endif
