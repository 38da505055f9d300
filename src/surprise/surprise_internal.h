/* What the files of src/surprise share: one server's memory. */
#ifndef FW_SURPRISE_SURPRISE_INTERNAL_H
#define FW_SURPRISE_SURPRISE_INTERNAL_H

#include "base/buf.h"
#include "surprise/ladder.h"
#include "surprise/surprise.h"

enum {
    SURPRISE_NEAR = 3,
    SURPRISE_FAR = 12,
    SURPRISE_AHEADS = 2,
    SURPRISE_RING = SURPRISE_NEAR + 1 + SURPRISE_FAR + 1,
    SURPRISE_BINS = 48, /* of a day */
};

/* What was usual at each half hour of the day. */
struct surprise_daily {
    float usual[SURPRISE_BINS]; /* faded maxima of the days before */
    float today[SURPRISE_BINS]; /* maxima since; they count from a day later on */
    int64_t bin;                /* the newest one, half hours since 1970; < 0: none */
};

/* What is expected of a moment: the most of its half hour and both neighbours. `bin` ascends. */
double surprise_daily_expected(struct surprise_daily *daily, int64_t bin);
void surprise_daily_add(struct surprise_daily *daily, double score); /* of the bin asked for last */

struct surprise_band {
    float p10, p50, p90;
};

struct surprise_metric {
    uint16_t metric;
    bool seen;                      /* in the newest step, with forecasts to compare with */
    int64_t seen_step;              /* the newest step with a value */
    float error[SURPRISE_AHEADS];   /* |value - p50| of the newest step */
    float errors[SURPRISE_AHEADS];  /* their faded sums */
    float weights[SURPRISE_AHEADS]; /* and numbers */
    struct surprise_band ring[SURPRISE_RING]; /* NaN: none; places as in surprise_server.target */
};

struct surprise_server {
    char name[SERVER_NAME_MAX + 1];
    bool fresh;                    /* made in this update */
    int64_t step;                  /* the newest one judged; < 0: none */
    uint64_t revision;             /* of the window behind it */
    int64_t target[SURPRISE_RING]; /* which step the bands of a place are for */
    uint32_t scored;               /* steps with a score */
    float raw;                     /* of the newest step, before the day is considered; NaN: none */
    struct surprise_daily daily;
    struct surprise_ladder ladder;
    struct surprise_verdict verdict;
    int64_t above_step, since_step; /* of closed steps */
    size_t reason_count;            /* of above_step */
    struct surprise_reason reasons[SURPRISE_REASONS_MAX];
    size_t metric_count, metric_capacity;
    struct surprise_metric *metrics; /* ascending by metric */
};

/* NULL: no memory. */
struct surprise_server *surprise_server_new(const char *name);
void surprise_server_free(struct surprise_server *server);

/* The metric's memory, made where there is none; NULL: no memory. */
struct surprise_metric *surprise_server_metric(struct surprise_server *server, uint16_t metric);

/* keep.c. Bands and the step that is not closed are left out. */
void surprise_server_encode(const struct surprise_server *server, const struct schema *schema,
                            uint32_t step_s, struct fw_buf *out);
/* Into a new server. FW_EVERSION, FW_EINVAL (another step), FW_ECORRUPT, FW_ENOMEM. */
FW_MUST_CHECK enum fw_status surprise_server_decode(struct surprise_server *server,
                                                    const struct schema *schema, uint32_t step_s,
                                                    const void *data, size_t len,
                                                    struct fw_error *err);

/* Takes in a forecast: closes the step before when a new one came, scores the newest one, and
 * remembers the bands. The verdict has all but what depends on the threshold. False: no memory. */
bool surprise_server_update(struct surprise_server *server, const struct forecast *forecast,
                            uint32_t step_s);
/* Whether a day's course has been seen, so that its scores count. */
bool surprise_server_learned(const struct surprise_server *server, uint32_t step_s);
/* The rest of the verdict. */
void surprise_server_judge(struct surprise_server *server, double threshold, uint32_t step_s);

#endif
