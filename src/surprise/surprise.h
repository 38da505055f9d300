/* Unusual behaviour: how far what a server does is from what was forecast for it, over all its
 * metrics together, known and unknown ones alike, with a threshold that is learned from the past.
 *
 * The score of a step. A value is compared with the bands (p10 to p90) that were forecast for its
 * step 3 and 12 steps before. z is how far it is outside, in widths of the band; a metric's
 * surprise is ln(1 + z), the mean of both; the server's score is the mean over its metrics. What
 * comes at the same time every day is expected by half: the score less half of what was usual at
 * this time on the days before.
 *
 * The threshold. Alarms are counted for 64 thresholds at once (ladder.h), over the whole fleet,
 * since scores are in the same unit for all: the lowest one that keeps within the wanted number of
 * alarms per server and day is used, or a higher one for a server that has far more of them. The
 * false ones are among them, so that number is a bound for them. Nothing is learned from labels,
 * and nothing from the future.
 *
 * docs/backtest.md has the reasons, and what was measured. */
#ifndef FW_SURPRISE_SURPRISE_H
#define FW_SURPRISE_SURPRISE_H

#include "base/buf.h"
#include "forecast/forecast.h"

enum { SURPRISE_REASONS_MAX = 5 };

struct surprise; /* the fleet's memory, about 3 KiB a server of 14 metrics; one thread uses it */

struct surprise_options {
    uint32_t step_s;
    double alarms_per_server_day; /* wanted at most; above 0 */
};
void surprise_options_default(struct surprise_options *options,
                              uint32_t step_s); /* 0.2: docs/backtest.md says why */

/* One metric's part in a score, most surprising first. */
struct surprise_reason {
    uint16_t metric;
    float value;
    float p10, p90; /* forecast for this step 3 steps before; where that is missing, 12 before */
    float widths; /* how far outside, in widths of that band: above 0 over p90, below 0 under p10 */
};

struct surprise_verdict {
    bool judged;     /* the newest step had values and forecasts to compare them with */
    bool above;      /* its score is above the threshold */
    bool lately;     /* that of a closed step within the last hour was */
    bool firing;     /* either */
    float score;     /* NaN: not judged */
    float threshold; /* INFINITY: still learning */
    int64_t step;    /* the newest one, seconds since 1970 / step_s */
    int64_t since_step, above_step; /* of the firing alarm: its first and its newest step above */
    size_t reason_count;            /* of step `above_step` while firing, else of the newest */
    struct surprise_reason reasons[SURPRISE_REASONS_MAX];
};

/* FW_ENOMEM. */
FW_MUST_CHECK enum fw_status surprise_new(const struct surprise_options *options,
                                          struct surprise **out, struct fw_error *err);
void surprise_free(struct surprise *surprise); /* NULL does nothing */

/* Another rate than it was made with, from the next update on: what was counted serves any. */
void surprise_set_rate(struct surprise *surprise, double alarms_per_server_day);

/* One run's forecasts: every server's newest step is judged by forecasts of earlier runs, then this
 * run's are remembered. Several runs within a step replace each other; a server without a new step
 * keeps its verdict. Servers that the set no longer has are forgotten. What `previous` (NULL: not
 * known) had as well, with the same servers, is not looked at again: a set that an update before
 * was of. FW_ENOMEM: some servers may not have been judged; they are at the next update. */
FW_MUST_CHECK enum fw_status surprise_update(struct surprise *surprise,
                                             const struct forecast_set *set,
                                             const struct forecast_set *previous,
                                             struct fw_error *err);

/* Of set->items[index] of the last update, which succeeded; valid until the next one. */
const struct surprise_verdict *surprise_verdict(const struct surprise *surprise, size_t index);

/* Whether that verdict is `firing`; who walks over a fleet reads little memory. */
bool surprise_firing(const struct surprise *surprise, size_t index);

/* What was learned, to be kept over a restart (docs/formats/surprise.md): how many servers there
 * are, and the name and bytes of each. */
size_t surprise_count(const struct surprise *surprise);
const char *surprise_name(const struct surprise *surprise, size_t index);
void surprise_encode(const struct surprise *surprise, size_t index, const struct schema *schema,
                     struct fw_buf *out);
/* Before the first update, names ascending (asserted). After a restart an hour passes before
 * anything is judged. On failure the server is left out: FW_EVERSION, FW_EINVAL (learned on another
 * step), FW_ECORRUPT, FW_ENOMEM. */
FW_MUST_CHECK enum fw_status surprise_decode(struct surprise *surprise, const char *name,
                                             const struct schema *schema, const void *data,
                                             size_t len, struct fw_error *err);

/* The thresholds that the servers had in the last update, had another number of alarms been wanted:
 * (count of the set's items) written. */
void surprise_thresholds(const struct surprise *surprise, double alarms_per_server_day,
                         double *thresholds);

#endif
