/* The heap behind one door, so that tests can make the n-th allocation fail. All code of this
 * project allocates through these; libraries keep their own. */
#ifndef FW_BASE_ALLOC_H
#define FW_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* Once, before the first thread: as few pools for threads as serve this machine's cores, four a
 * pool. The C library's eight a core leave holes in each, and of its pools only the first one is
 * laid into large pages (glibc.malloc.hugetlb). False: another C library, or a checked build. */
bool fw_alloc_init(void);

/* As malloc, calloc, realloc and free. fw_calloc and fw_realloc_array check the product for
 * overflow. */
void *fw_malloc(size_t size);
void *fw_calloc(size_t count, size_t size);
void *fw_realloc(void *memory, size_t size);
void *fw_realloc_array(void *memory, size_t count, size_t size);
void fw_free(void *memory);
char *fw_strdup(const char *text);

/* `count * size` bytes at a multiple of 64, uninitialised; released with fw_free. */
void *fw_alloc_aligned(size_t count, size_t size);

/* Tests: the n-th allocation from now on (1 = the next) returns NULL, once. 0 switches it off.
 * Process-wide. */
void fw_alloc_fail_at(long n);
/* Allocations asked for since the last fw_alloc_fail_at(). */
long fw_alloc_count(void);

#endif
