/* Who is measured: server names, the reference's numeric ids, profiles and reported states. */
#ifndef FW_DOMAIN_IDENTITY_H
#define FW_DOMAIN_IDENTITY_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SERVER_NAME_MAX = 128 /* bytes of printable UTF-8 */ };

/* 1 to SERVER_NAME_MAX bytes of printable UTF-8 (fw_name_valid). */
bool server_name_valid(const char *name, size_t len);

/* The reference's id: the first 8 hex digits of SHA-256(name), as a number, mod 1,000,000 (API
 * contract 13.5). Kept for compatibility only: two servers may share one. */
uint32_t server_id(const char *name, size_t len);

enum profile {
    PROFILE_GENERIC,
    PROFILE_ML_COMPUTE,
    PROFILE_DATABASE,
    PROFILE_WEB_API,
    PROFILE_CONDUCTOR_MGMT,
    PROFILE_DATA_INGEST,
    PROFILE_RISK_ANALYTICS,
    PROFILE_COUNT,
    PROFILE_UNKNOWN = 255, /* a record that names none, or one that is not known */
};

const char *
profile_name(enum profile profile); /* "ml_compute", ...; PROFILE_UNKNOWN gives "generic" */
const char *profile_display(enum profile profile); /* "ML Compute", ... */
enum profile profile_parse(const char *text,
                           size_t len); /* by name; PROFILE_UNKNOWN when it is none */

/* Name patterns (globs, ASCII case ignored) to profiles, first match wins. */
enum { PROFILE_RULES_MAX = 256, PROFILE_PATTERN_MAX = 127 };
struct profile_rules {
    size_t count;
    struct {
        char pattern[PROFILE_PATTERN_MAX + 1];
        enum profile profile;
    } rules[PROFILE_RULES_MAX];
};
/* The default table of API contract 13.4: prefix followed by a digit, or by "-" or "_". */
void profile_rules_default(struct profile_rules *rules);
FW_MUST_CHECK enum fw_status profile_rules_prepend(struct profile_rules *rules, const char *pattern,
                                                   enum profile profile, struct fw_error *err);
enum profile profile_resolve(const struct profile_rules *rules, const char *name);

/* The `status` a record reports; a categorical input of the model. */
enum server_status {
    STATUS_UNKNOWN, /* absent or not one of the eight */
    STATUS_HEALTHY,
    STATUS_HEAVY_LOAD,
    STATUS_CRITICAL_ISSUE,
    STATUS_MAINTENANCE,
    STATUS_IDLE,
    STATUS_MORNING_SPIKE,
    STATUS_OFFLINE,
    STATUS_RECOVERY,
    STATUS_COUNT,
};
const char *server_status_name(enum server_status status); /* "unknown" for STATUS_UNKNOWN */
enum server_status server_status_parse(const char *text, size_t len);

#endif
