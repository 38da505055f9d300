/* Which field a key names: a table of fixed hashes, built once per decoder. */
#ifndef FW_INGEST_FIELDS_H
#define FW_INGEST_FIELDS_H

#include "domain/schema.h"

enum {
    FIELD_NONE = -1, /* not ours: ignored */
    /* 0 and up: metrics of the schema */
    FIELD_SERVER_NAME = SCHEMA_METRICS_MAX,
    FIELD_TIMESTAMP,
    FIELD_STATUS,
    FIELD_PROFILE,
    FIELD_LABELS,
    FIELD_SLOTS = 256,
};

struct ingest_fields {
    const struct schema *schema;
    struct {
        int16_t field; /* FIELD_NONE: free */
        uint16_t len;
        const char *name;
    } slots[FIELD_SLOTS]; /* by hash, open addressing */
};

void ingest_fields_init(struct ingest_fields *fields, const struct schema *schema);
int ingest_fields_find(const struct ingest_fields *fields, const char *key, size_t len);
/* "server_name", "cpu_user_pct", ... */
const char *ingest_field_name(const struct ingest_fields *fields, int field);

#endif
