/* The rolling window of one server: a ring of steps with a float column per metric it has ever
 * sent. No locks and no clock here; the fleet has both.
 *
 * The ring holds more steps than the view: a sample from the near future moves the view ahead, and
 * what the clock still calls present must find its place nevertheless. */
#ifndef FW_FLEET_WINDOW_H
#define FW_FLEET_WINDOW_H

#include "domain/batch.h"
#include "fleet/fleet.h"
#include "fleet/open_step.h"

enum {
    WINDOW_OPEN_MAX = 8,     /* steps with several samples that are kept open */
    WINDOW_OFFSET_BITS = 22, /* a step has at most 3,600,000 ms */
    WINDOW_COUNT_MAX = (1 << 10) - 1,
};

/* The same for all servers of a fleet. */
struct window_shape {
    uint32_t metrics; /* of the schema */
    uint32_t view;    /* steps that readers see, ending with the newest */
    uint32_t slots;   /* steps of the ring, > view */
    uint32_t step_ms;
};

struct fleet_window {
    void *block;       /* the memory of the four arrays below */
    float **columns;   /* (metrics) each (slots); NULL until the metric's first value */
    uint32_t *present; /* (metrics) values inside the view */
    uint32_t *marks;   /* (slots) sample times in the step << 22 | offset of the newest; 0: none */
    uint8_t *statuses; /* (slots) enum server_status */
    int64_t newest_step; /* -1: no sample yet */
    uint32_t held;       /* steps of the view that hold anything */
    uint32_t open_count;
    struct open_step *open[WINDOW_OPEN_MAX]; /* touched last first */
    size_t bytes;                            /* of all of this beyond the struct */
};

/* FW_ENOMEM leaves a window that window_fini() may be given. */
FW_MUST_CHECK enum fw_status window_init(struct fleet_window *window,
                                         const struct window_shape *shape);
void window_fini(struct fleet_window *window, const struct window_shape *shape);
/* Forgets all samples, keeps the memory of the columns. */
void window_reset(struct fleet_window *window, const struct window_shape *shape);

/* Puts a row in. Its step must not be older than the ring (window_reaches()). FW_ENOMEM: some of
 * its values are missing; all others are in, and counted. */
FW_MUST_CHECK enum fw_status window_put(struct fleet_window *window,
                                        const struct window_shape *shape,
                                        const struct sample_row *row,
                                        const struct sample_value *values,
                                        struct fleet_applied *applied);
/* Whether a step is inside the ring or newer than it. */
bool window_reaches(const struct fleet_window *window, const struct window_shape *shape,
                    int64_t step);

/* The metrics with a value inside the view, a bit each. */
uint64_t window_metrics(const struct fleet_window *window, const struct window_shape *shape);

/* The newest `steps` (1 to view) steps of a column, oldest first, NaN = missing. */
void window_read(const struct fleet_window *window, const struct window_shape *shape, int metric,
                 uint32_t steps, float *out);
void window_read_statuses(const struct fleet_window *window, const struct window_shape *shape,
                          uint32_t steps, uint8_t *out);
void window_read_offsets(const struct fleet_window *window, const struct window_shape *shape,
                         uint32_t steps, uint32_t *out);

/* The column of a metric, made when it is not there yet; NULL when out of memory. */
float *window_column(struct fleet_window *window, const struct window_shape *shape, int metric);
/* Counts `held` and `present` anew, after a load wrote the arrays. */
void window_recount(struct fleet_window *window, const struct window_shape *shape);

#endif
