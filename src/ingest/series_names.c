#include "ingest/series_names.h"

#include "base/hash.h"
#include "base/status.h"

#include <stdbool.h>
#include <string.h>

static bool is_name(const char *text, size_t len)
{
    if (len == 0 || len > SERIES_NAME_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        const char c = text[i];
        const bool letter =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
        if (!letter && (i == 0 || ((c < '0' || c > '9') && c != '.' && c != '-')))
            return false;
    }
    return true;
}

void series_names_add(struct series_names *names, const char *text, size_t len, uint64_t samples)
{
    if (!is_name(text, len)) {
        names->other += samples;
        return;
    }
    size_t slot = (size_t)fw_hash_keyed(text, len) % COUNT(names->slots);
    for (; names->slots[slot] != 0; slot = (slot + 1) % COUNT(names->slots)) {
        struct series_name *name = &names->names[names->slots[slot] - 1];
        if (memcmp(name->text, text, len) == 0 && name->text[len] == '\0') {
            name->samples += samples;
            return;
        }
    }
    if (names->count == SERIES_NAMES_MAX) {
        names->other += samples;
        return;
    }
    struct series_name *name = &names->names[names->count++];
    memcpy(name->text, text, len);
    name->text[len] = '\0';
    name->samples = samples;
    names->slots[slot] = (uint16_t)names->count;
}

size_t series_names_top(const struct series_names *names, struct series_name *out, size_t n)
{
    size_t held = 0;
    for (size_t i = 0; i < names->count; i++) {
        const struct series_name *name = &names->names[i];
        if (held == n && (n == 0 || out[n - 1].samples >= name->samples))
            continue;
        size_t at = held < n ? held++ : n - 1;
        for (; at > 0 && out[at - 1].samples < name->samples; at--)
            out[at] = out[at - 1];
        out[at] = *name;
    }
    return held;
}
