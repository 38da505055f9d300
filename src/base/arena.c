#include "base/arena.h"

#include <stdint.h>
#include <string.h>

struct arena arena_over(void *memory, size_t size)
{
    unsigned char *start = memory;
    return (struct arena){start, start + size};
}

void *arena_take_raw(struct arena *arena, size_t count, size_t size, size_t align)
{
    const size_t gap = (align - (uintptr_t)arena->at % align) % align;
    const size_t left = (size_t)(arena->end - arena->at);
    if (gap > left || (size != 0 && count > (left - gap) / size))
        return NULL;
    unsigned char *taken = arena->at + gap;
    arena->at = taken + count * size;
    return taken;
}

void *arena_take(struct arena *arena, size_t count, size_t size, size_t align)
{
    void *taken = arena_take_raw(arena, count, size, align);
    return taken == NULL ? NULL : memset(taken, 0, count * size);
}

size_t arena_left(const struct arena *arena)
{
    return (size_t)(arena->end - arena->at);
}
