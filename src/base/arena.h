/* Bump allocation for things that die together: a request, a batch, a worker's scratch.
 *
 * An arena is passed by value where a function may take from it and must give back on return, by
 * pointer where what is taken outlives the call. It never grows: what does not fit is NULL, and the
 * caller reports FW_ELIMIT. */
#ifndef FW_BASE_ARENA_H
#define FW_BASE_ARENA_H

#include <stddef.h>

struct arena {
    unsigned char *at;
    unsigned char *end;
};

/* An arena over the caller's memory. */
struct arena arena_over(void *memory, size_t size);

/* `count` objects of `size` bytes, zeroed, aligned to `align` (a power of two). NULL when they do
 * not fit. */
void *arena_take(struct arena *arena, size_t count, size_t size, size_t align);
/* The same with whatever the memory holds, for what is written before it is read. */
void *arena_take_raw(struct arena *arena, size_t count, size_t size, size_t align);

/* The same, not zeroed: whatever the memory held. */
void *arena_take_raw(struct arena *arena, size_t count, size_t size, size_t align);

size_t arena_left(const struct arena *arena);

#define ARENA_NEW(arena, count, type)                                                              \
    ((type *)arena_take((arena), (count), sizeof(type), _Alignof(type)))
#define ARENA_RAW(arena, count, type) ((type *)arena_take_raw((arena), (count), sizeof(type), 64))
/* For kernels: 64-byte aligned, one cache line. */
#define ARENA_FLOATS(arena, count) ((float *)arena_take((arena), (count), sizeof(float), 64))

#endif
