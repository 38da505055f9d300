#include "ingest/fields.h"

#include <string.h>

static const char *const own_names[] = {"server_name", "timestamp", "status", "profile", "labels"};

const char *ingest_field_name(const struct ingest_fields *fields, int field)
{
    return field >= FIELD_SERVER_NAME ? own_names[field - FIELD_SERVER_NAME]
                                      : fields->schema->metrics[field].name;
}

/* Length, first and last bytes tell apart all names of the default schema; a clash costs one more
 * comparison. The table is small and fixed, and a key is looked up in constant time whatever it is:
 * at most as many probes as fields share one run of slots, so no keyed hash is needed. */
static unsigned hash_of(const char *key, size_t len)
{
    uint64_t head = 0, tail = 0;
    if (len >= 8) {
        memcpy(&head, key, 8);
        memcpy(&tail, key + len - 8, 8);
    } else {
        memcpy(&head, key, len);
    }
    const uint64_t mixed = (head ^ tail << 7 ^ tail >> 57 ^ len) * UINT64_C(0x9e3779b97f4a7c15);
    return (unsigned)(mixed >> 56);
}

static void add(struct ingest_fields *fields, int field)
{
    const char *name = ingest_field_name(fields, field);
    unsigned slot = hash_of(name, strlen(name));
    while (fields->slots[slot].field != FIELD_NONE)
        slot = (slot + 1) % FIELD_SLOTS;
    fields->slots[slot].field = (int16_t)field;
    fields->slots[slot].len = (uint16_t)strlen(name);
    fields->slots[slot].name = name;
}

void ingest_fields_init(struct ingest_fields *fields, const struct schema *schema)
{
    fields->schema = schema;
    for (size_t i = 0; i < FIELD_SLOTS; i++)
        fields->slots[i].field = FIELD_NONE;
    /* The five first: a metric cannot take their names away. */
    for (int field = FIELD_SERVER_NAME; field <= FIELD_LABELS; field++)
        add(fields, field);
    for (size_t i = 0; i < schema->count; i++)
        add(fields, (int)i);
}

int ingest_fields_find(const struct ingest_fields *fields, const char *key, size_t len)
{
    for (unsigned slot = hash_of(key, len);; slot = (slot + 1) % FIELD_SLOTS) {
        const int field = fields->slots[slot].field;
        if (field == FIELD_NONE)
            return FIELD_NONE;
        if (fields->slots[slot].len == len && memcmp(fields->slots[slot].name, key, len) == 0)
            return field;
    }
}
