/* What the scorers share; for src/risk only. */
#ifndef FW_RISK_RISK_INTERNAL_H
#define FW_RISK_RISK_INTERNAL_H

#include "risk/risk.h"

enum { RISK_STEPS_30M = 6 };

struct risk_drivers {
    uint32_t count;
    size_t room;               /* each path makes one driver at most */
    struct risk_driver *items; /* (room) */
};

/* Both fill `drivers` and return the unclamped, unrounded score. */
double risk_forewarn_score(const struct schema *schema, const struct forecast *forecast,
                           struct risk_drivers *drivers);
double risk_argus_score(const struct schema *schema, const struct forecast *forecast,
                        struct risk_drivers *drivers);

/* crossing_30m and crossing_8h. */
void risk_server_crossing(const struct schema *schema, const struct forecast *forecast,
                          struct risk *risk);

/* argus_soon and argus_late. */
void risk_server_argus(const struct forecast *forecast, struct risk *risk);

/* The path of a metric, or NULL. Few paths: a walk. */
const struct forecast_path *risk_path(const struct forecast *forecast, int metric);

/* Signals that describe the same resource share a family; only the family's worst counts, so that
 * one pinned processor is not counted as three troubles. Metrics without kin get one of their own,
 * above every shared one. */
enum { RISK_FAMILY_CPU = 0, RISK_FAMILY_OWN = 1, RISK_FAMILIES_MAX = 1 + SCHEMA_METRICS_MAX };
size_t risk_family(uint16_t metric);

/* Puts a driver in its place when it has points. There is room (asserted). */
void risk_add_driver(struct risk_drivers *drivers, const struct risk_driver *driver);

#endif
