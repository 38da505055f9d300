#include "store/io_fault.h"

#include <assert.h>
#include <string.h>

static const char *const names[STORE_IO_CALLS] = {
    "open", "close",      "read", "write",  "sync_data", "sync_dir", "truncate", "preallocate",
    "size", "drop_cache", "lock", "rename", "unlink",    "mkdir",    "list",     "free_bytes"};

const char *store_io_call_name(enum store_io_call call)
{
    assert(call < STORE_IO_CALLS);
    return names[call];
}

/* Counts the call; the negative error when it is to fail, else 0. */
static int strike(struct store_io_fault *fault, enum store_io_call call)
{
    int result = 0;
    pthread_mutex_lock(&fault->lock);
    const uint64_t n = ++fault->kinds[call].calls;
    const uint64_t at = fault->kinds[call].fail_at;
    if (at != 0 && n >= at && n - at < fault->kinds[call].times)
        result = -fault->kinds[call].error;
    pthread_mutex_unlock(&fault->lock);
    return result;
}

/* One wrapper per call: strike first, then the layer below. */
#define UNDER(call, name, ...)                                                                     \
    struct store_io_fault *fault = ctx;                                                            \
    const int struck = strike(fault, call);                                                        \
    return struck < 0 ? struck : fault->under->name(fault->under->ctx, __VA_ARGS__)

static int fault_open(void *ctx, const char *path, int flags, unsigned mode)
{
    UNDER(STORE_IO_OPEN, open, path, flags, mode);
}

/* Closes even when it reports a failure, as close(2) does. */
static int fault_close(void *ctx, int fd)
{
    struct store_io_fault *fault = ctx;
    const int struck = strike(fault, STORE_IO_CLOSE);
    const int result = fault->under->close(fault->under->ctx, fd);
    return struck < 0 ? struck : result;
}

static ssize_t fault_read_at(void *ctx, int fd, void *data, size_t len, uint64_t offset)
{
    UNDER(STORE_IO_READ, read_at, fd, data, len, offset);
}

static ssize_t fault_write_at(void *ctx, int fd, const void *data, size_t len, uint64_t offset)
{
    struct store_io_fault *limits = ctx;
    if (limits->write_bytes_max != 0 && len > limits->write_bytes_max)
        len = limits->write_bytes_max;
    UNDER(STORE_IO_WRITE, write_at, fd, data, len, offset);
}

static int fault_sync_data(void *ctx, int fd)
{
    UNDER(STORE_IO_SYNC_DATA, sync_data, fd);
}

static int fault_sync_dir(void *ctx, const char *path)
{
    UNDER(STORE_IO_SYNC_DIR, sync_dir, path);
}

static int fault_truncate(void *ctx, int fd, uint64_t size_bytes)
{
    UNDER(STORE_IO_TRUNCATE, truncate, fd, size_bytes);
}

static int fault_preallocate(void *ctx, int fd, uint64_t size_bytes)
{
    UNDER(STORE_IO_PREALLOCATE, preallocate, fd, size_bytes);
}

static int fault_size(void *ctx, int fd, uint64_t *size_bytes)
{
    UNDER(STORE_IO_SIZE, size, fd, size_bytes);
}

static int fault_drop_cache(void *ctx, int fd)
{
    UNDER(STORE_IO_DROP_CACHE, drop_cache, fd);
}

static int fault_lock(void *ctx, int fd)
{
    UNDER(STORE_IO_LOCK, lock, fd);
}

static int fault_rename(void *ctx, const char *from, const char *to)
{
    UNDER(STORE_IO_RENAME, rename, from, to);
}

static int fault_unlink(void *ctx, const char *path)
{
    UNDER(STORE_IO_UNLINK, unlink, path);
}

static int fault_mkdir(void *ctx, const char *path, unsigned mode)
{
    UNDER(STORE_IO_MKDIR, mkdir, path, mode);
}

static int fault_list(void *ctx, const char *path, store_io_entry_fn visit, void *visit_ctx)
{
    UNDER(STORE_IO_LIST, list, path, visit, visit_ctx);
}

static int fault_free_bytes(void *ctx, const char *path, uint64_t *free_bytes)
{
    UNDER(STORE_IO_FREE_BYTES, free_bytes, path, free_bytes);
}

void store_io_fault_init(struct store_io_fault *fault, const struct store_io *under)
{
    memset(fault, 0, sizeof *fault);
    pthread_mutex_init(&fault->lock, NULL);
    fault->under = under;
    fault->io = (struct store_io){
        .ctx = fault,
        .open = fault_open,
        .close = fault_close,
        .read_at = fault_read_at,
        .write_at = fault_write_at,
        .sync_data = fault_sync_data,
        .sync_dir = fault_sync_dir,
        .truncate = fault_truncate,
        .preallocate = fault_preallocate,
        .size = fault_size,
        .drop_cache = fault_drop_cache,
        .lock = fault_lock,
        .rename = fault_rename,
        .unlink = fault_unlink,
        .mkdir = fault_mkdir,
        .list = fault_list,
        .free_bytes = fault_free_bytes,
    };
}

void store_io_fault_fini(struct store_io_fault *fault)
{
    pthread_mutex_destroy(&fault->lock);
}

void store_io_fault_plan(struct store_io_fault *fault, enum store_io_call call, uint64_t nth,
                         uint64_t times, int error)
{
    assert(call < STORE_IO_CALLS && (nth == 0 || error > 0));
    pthread_mutex_lock(&fault->lock);
    fault->kinds[call].fail_at = nth == 0 ? 0 : fault->kinds[call].calls + nth;
    fault->kinds[call].times = times;
    fault->kinds[call].error = error;
    pthread_mutex_unlock(&fault->lock);
}

void store_io_fault_clear(struct store_io_fault *fault)
{
    pthread_mutex_lock(&fault->lock);
    for (size_t i = 0; i < STORE_IO_CALLS; i++)
        fault->kinds[i].fail_at = 0;
    pthread_mutex_unlock(&fault->lock);
}

uint64_t store_io_fault_calls(struct store_io_fault *fault, enum store_io_call call)
{
    pthread_mutex_lock(&fault->lock);
    const uint64_t calls = fault->kinds[call].calls;
    pthread_mutex_unlock(&fault->lock);
    return calls;
}
