/* What holds of every label that a batch carries. */
#ifndef FW_FUZZ_CHECK_LABELS_H
#define FW_FUZZ_CHECK_LABELS_H

#include "domain/batch.h"

#include <stdlib.h>
#include <string.h>

/* Labels are kept as in the daemon. */
static inline void keep_labels(struct sample_batch *batch)
{
    static struct label_rules rules;
    if (label_rules_parse(&rules, label_rules_default, NULL) != FW_OK)
        abort();
    batch->label_rules = &rules;
}

/* Every label is on the list, of a possible server and value, ascending, within its bounds. */
static inline void check_labels(const struct sample_batch *batch)
{
    size_t at = 0, len;
    const char *server, *name, *value;
    struct label_set set;
    while (batch_labels_next(batch, &at, &server, &len, &set)) {
        const char *before = "";
        if (!server_name_valid(server, len) || set.count == 0 || set.count > LABELS_MAX ||
            set.used > LABEL_SET_BYTES)
            abort();
        for (size_t i = 0; label_set_next(&set, &i, &name, &value); before = name)
            if (strcmp(before, name) >= 0 || !label_value_valid(value, strlen(value)) ||
                label_rules_find(batch->label_rules, name, strlen(name)) == NULL)
                abort();
    }
}

#endif
