/* Time zones by their names of the IANA time zone database, "Europe/Berlin". Their rules are read
 * from $TZDIR or /usr/share/zoneinfo (Debian: tzdata) by cctz, once: a zone is immutable, is there
 * until the process ends, and whoever asks for it again gets the same one. Any thread. */
#ifndef FW_BASE_ZONE_H
#define FW_BASE_ZONE_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    FW_ZONE_NAME_MAX = 63,
    FW_ZONES_MAX = 1024, /* the database has 600, which take 10 MB when all are asked for */
};

struct fw_zone;

/* Letters, digits, '_', '+', '-' between slashes: no name leads out of the directory. "posix/" and
 * "right/" are other forms of the same zones, no names. Pure. */
bool fw_zone_name_valid(const char *name);

/* On success *out is the zone; else it is NULL:
 *   FW_EINVAL    not such a name
 *   FW_ENOTFOUND the directory has no such zone; it may have one later
 *   FW_ECORRUPT  the file is not a zone's; not asked again before the next start
 *   FW_ELIMIT    FW_ZONES_MAX others were asked for
 *   FW_ENOMEM */
FW_MUST_CHECK enum fw_status fw_zone_find(const char *name, const struct fw_zone **out,
                                          struct fw_error *err);
const char *fw_zone_name(const struct fw_zone *zone);

/* Milliseconds east of UTC at that moment. Cannot fail; years 1970 to 9999. */
int64_t fw_zone_offset_ms(const struct fw_zone *zone, int64_t utc_ms);
/* When the clock on the wall shows `local_ms`, counted as if it were UTC's. Of an hour that comes
 * twice the first one; of one that is skipped the moment at which the clock is put forward. */
int64_t fw_zone_to_utc_ms(const struct fw_zone *zone, int64_t local_ms);

#ifdef __cplusplus
}
#endif

#endif
