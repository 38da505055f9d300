#include "ingest/raw_series.h"

#include <string.h>

const struct raw_label *raw_series_label(const struct raw_series *series, const char *name)
{
    const size_t len = strlen(name);
    for (size_t i = 0; i < series->label_count; i++)
        if (series->labels[i].name_len == len && memcmp(series->labels[i].name, name, len) == 0)
            return &series->labels[i];
    return NULL;
}
