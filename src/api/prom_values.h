/* Values of the query API's series: windows, the long history, the newest outlook and what was
 * forecast before, at any times. A value belongs to a step of the grid and stands at every time
 * inside it. Private to this folder. */
#ifndef FW_API_PROM_VALUES_H
#define FW_API_PROM_VALUES_H

#include "api/prom.h"

enum prom_what {
    PROM_OBSERVED,
    PROM_FORECAST,  /* the newest one ahead, earlier ones behind */
    PROM_LEAD,      /* as it was said so many steps before */
    PROM_MAXIMUM,   /* over the coming steps */
    PROM_RISK,      /* of a server */
    PROM_CROSSING,  /* chance of passing a threshold */
    PROM_ANOMALOUS, /* -1, 0, 1: below, inside, above what was forecast a step before */
};

struct prom_reader {
    struct api *api;
    struct api_rules *rules;
    const struct outlook *outlook; /* NULL: there is none yet */
    int64_t step_ms, now_ms;
    float *window;  /* (metrics, window_steps): of one server at a time */
    float *past[3]; /* (points' steps), as needed */
    size_t past_cap;
    struct fleet_view view;
    bool viewed;
    float *older; /* (metrics, older_n): of the same server, from the long history */
    size_t older_cap, older_n, older_read;
    int64_t older_first;
    bool older_too_long;
};

/* One series to fill. */
struct prom_filling {
    const struct query_times *times;
    double *values;
    const struct forecast *forecast;
    const struct risk *risk;
    int metric;
    int quantile;
    unsigned steps; /* lead or within */
    size_t lead;    /* its index */
    bool critical;
};

/* Fills in what there is; the rest stays NaN. False when out of memory; reader->older_too_long says
 * that the query asks for too much of the long history. Series of one server one after the other:
 * before the first, `viewed` is false. */
bool prom_fill(struct prom_reader *reader, enum prom_what what, const struct prom_filling *filling);

#endif
