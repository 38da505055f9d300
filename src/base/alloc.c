#include "base/alloc.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

enum { CORES_A_POOL = 4 };

static atomic_long asked;
static atomic_long fail_at; /* 0: never */

bool fw_alloc_init(void)
{
#ifdef __GLIBC__
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return mallopt(M_ARENA_MAX, cores < CORES_A_POOL ? 1 : (int)(cores / CORES_A_POOL)) == 1;
#else
    return false;
#endif
}

static bool refused(void)
{
    const long at = atomic_load_explicit(&fail_at, memory_order_relaxed);
    if (at == 0)
        return false;
    return atomic_fetch_add_explicit(&asked, 1, memory_order_relaxed) + 1 == at;
}

void *fw_malloc(size_t size)
{
    return refused() ? NULL : malloc(size);
}

void *fw_calloc(size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size)
        return NULL;
    return refused() ? NULL : calloc(count, size);
}

void *fw_realloc(void *memory, size_t size)
{
    return refused() ? NULL : realloc(memory, size);
}

void *fw_realloc_array(void *memory, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size)
        return NULL;
    return fw_realloc(memory, count * size);
}

void fw_free(void *memory)
{
    free(memory);
}

char *fw_strdup(const char *text)
{
    const size_t size = strlen(text) + 1;
    char *copy = fw_malloc(size);
    return copy == NULL ? NULL : memcpy(copy, text, size);
}

void *fw_alloc_aligned(size_t count, size_t size)
{
    if (size != 0 && count > (SIZE_MAX - 63) / size)
        return NULL;
    const size_t bytes = (count * size + 63) / 64 * 64;
    return refused() ? NULL : aligned_alloc(64, bytes == 0 ? 64 : bytes);
}

void fw_alloc_fail_at(long n)
{
    atomic_store(&asked, 0);
    atomic_store(&fail_at, n);
}

long fw_alloc_count(void)
{
    return atomic_load(&asked);
}
