/* One series as its sender names it: a name and labels, whatever the protocol. What it means here
 * is said by series_rules.h. */
#ifndef FW_INGEST_RAW_SERIES_H
#define FW_INGEST_RAW_SERIES_H

#include <stddef.h>
#include <stdint.h>

enum { RAW_SERIES_LABELS_MAX = 64 };

struct raw_label {
    const char *name, *value; /* not terminated; bytes of the body or of the decoder */
    uint32_t name_len, value_len;
};

struct raw_series {
    const char *name;
    uint32_t name_len;
    size_t label_count;
    struct raw_label labels[RAW_SERIES_LABELS_MAX];
};

/* The first label of that name; NULL when the series has none. */
const struct raw_label *raw_series_label(const struct raw_series *series, const char *name);

#endif
