/* Names of series that mean nothing here, counted: so that an operator sees what arrives in vain.
 * The first SERIES_NAMES_MAX names have a count of their own, all others share one; memory never
 * grows. Not locked. */
#ifndef FW_INGEST_SERIES_NAMES_H
#define FW_INGEST_SERIES_NAMES_H

#include <stddef.h>
#include <stdint.h>

enum { SERIES_NAMES_MAX = 1024, SERIES_NAME_MAX = 127 };

struct series_name {
    char text[SERIES_NAME_MAX + 1]; /* [a-zA-Z_:][a-zA-Z0-9_:.-]* */
    uint64_t samples;
};

struct series_names {
    uint64_t other; /* of names beyond, and of such that are no names */
    size_t count;
    struct series_name names[SERIES_NAMES_MAX];
    uint16_t slots[2 * SERIES_NAMES_MAX]; /* by keyed hash: place + 1, 0 free */
};

/* A zeroed struct is empty. */
void series_names_add(struct series_names *names, const char *text, size_t len, uint64_t samples);
/* The `n` names with most samples into out, most first; returns how many there are. */
size_t series_names_top(const struct series_names *names, struct series_name *out, size_t n);

#endif
