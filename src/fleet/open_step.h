/* One step of one server that holds samples of several distinct times, while it is still open for
 * more of them. It keeps the samples themselves, so that order of arrival and repeats change
 * nothing; past OPEN_SAMPLES_MAX times it *folds*: sums and counts per metric remain, and only
 * newer samples may come.
 *
 * Belongs to its server's window, under that server's lock. */
#ifndef FW_FLEET_OPEN_STEP_H
#define FW_FLEET_OPEN_STEP_H

#include "domain/batch.h"
#include "fleet/fleet.h"

enum { OPEN_SAMPLES_MAX = 64 };

/* One sample as it is put in: `mask` has a bit per metric, `values` one float per bit, lowest
 * first. */
struct open_sample {
    uint32_t offset_ms; /* within the step */
    uint8_t status;     /* enum server_status */
    uint64_t mask;
    const float *values;
};

struct open_step {
    int64_t step;
    uint64_t mask;        /* metrics that any sample has had */
    uint16_t count, cap;  /* samples held and room for; 0 once folded */
    bool folded;          /* then `sums`, `counts`, `last_ms`; else `values`, `offsets`, ... */
    size_t bytes;         /* of the whole allocation */
    double *sums;         /* (metrics of mask) */
    uint32_t *counts;     /* (metrics of mask) */
    uint32_t *last_ms;    /* (metrics of mask) offset of the newest sample */
    float *values;        /* (cap, metrics of mask); NaN where a sample lacks the metric */
    uint32_t *offsets_ms; /* (cap) ascending */
    uint8_t *statuses;    /* (cap) */
};

/* An open step with one sample. NULL when out of memory. Released with fw_free(). */
struct open_step *open_step_new(int64_t step, const struct open_sample *sample);

/* What changed: bits of `mask` for metrics whose mean is another one now. */
struct open_change {
    uint64_t mask;
    bool new_time; /* the sample's time was not there before */
};

/* Puts a sample in; *step may be another allocation afterwards. Counts values into *applied.
 * FW_ENOMEM: nothing changed. */
FW_MUST_CHECK enum fw_status open_step_put(struct open_step **step,
                                           const struct open_sample *sample,
                                           struct fleet_applied *applied,
                                           struct open_change *change);

/* The mean of a metric that is in the mask; summed in the order of time, in double. NaN when no
 * sample has it. */
float open_step_mean(const struct open_step *step, int metric);

/* The state reported last within the step; STATUS_UNKNOWN when none was, or once folded. */
uint8_t open_step_status(const struct open_step *step);

/* Snapshots: the bytes of a step, and back. A size that is not a multiple of 8 never comes out.
 * open_step_load gives NULL for bytes that do not hold together (*corrupt set) or when out of
 * memory (*corrupt cleared). `map` turns the writer's metrics into ours, -1 where there is none. */
struct fw_buf;
void open_step_save(const struct open_step *step, struct fw_buf *out);
struct open_step *open_step_load(const unsigned char **at, const unsigned char *end, const int *map,
                                 uint32_t step_ms, bool *corrupt);

#endif
