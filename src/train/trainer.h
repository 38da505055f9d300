/* Training from CSV files to a model directory (docs/training.md). */
#ifndef FW_TRAIN_TRAINER_H
#define FW_TRAIN_TRAINER_H

#include "base/clock.h"
#include "base/status.h"
#include "tft/learner.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum train_form_kind {
    TRAIN_METRIC, /* one network for every metric, of whatever server: forewarn's own */
    TRAIN_FLEET,  /* one for all metrics of a server together, by their names */
};

struct train_options {
    enum train_form_kind form; /* of a new model; one that is there has its own */
    size_t n_paths;
    const char *const *paths;
    const char *out;     /* directory of model.safetensors, spec.json and the checkpoint; made if
                            it is not there */
    const char *from;    /* a model to begin with, "shipped" for the program's own, or NULL */
    const char *metrics; /* of TRAIN_FLEET: names with commas between, or NULL: all that the schema
                            knows */
    bool resume;
    size_t epochs, threads, batch;
    size_t history, horizon; /* of TRAIN_FLEET */
    bool pooled;    /* of TRAIN_FLEET: a metric has one center and scale for all servers and
                       times, instead of each window's own */
    size_t samples; /* of TRAIN_METRIC: in the pool, at most */
    uint64_t seed;
    double rate, dropout;
    double max_minutes; /* 0: no limit */
    double clip;        /* of the gradient's norm */
    double validation;  /* share of the time that is held out at the end */
    size_t patience;    /* epochs without an improvement after which training ends */
    struct tft_learner_sizes sizes;
    size_t steps_per_epoch; /* 0: by the size of the data */
};

/* Everything but paths and out. */
void train_options_default(struct train_options *options);

struct train_progress {
    size_t epoch, epochs;    /* epochs done, or under way; at most */
    size_t step, steps;      /* of the epoch */
    double loss;             /* mean of the epoch so far */
    double validation, best; /* NaN before there is one */
    double rate, seconds;    /* since the start */
    double sequences_per_s;
    bool epoch_done, improved;
};

/* What happens on the way. All may be NULL but the clock. */
struct train_hooks {
    const struct fw_clock *clock;
    bool (*stop)(void *ctx); /* asked before every step; true ends training with a checkpoint */
    void (*note)(void *ctx, const char *text);
    void (*progress)(void *ctx, const struct train_progress *progress);
    void *ctx;
};

struct train_result {
    size_t epochs, best_epoch;
    double best;      /* validation loss, in units of the targets' scales */
    bool interrupted; /* by hooks->stop or max_minutes */
    size_t parameters, servers, targets, windows, validation_windows;
};

/* Reads, trains, and writes the best model whenever it improves, and a checkpoint after every epoch
 * and on the way out. The same seed, data and options give the same bits, whatever the number of
 * threads, and whether the run was cut by stop and resumed or not. Statuses as history_read();
 * FW_EINVAL where the data is too short or has nothing to forecast; FW_EIO, FW_ENOSPC on writing.
 */
FW_MUST_CHECK enum fw_status train_run(const struct train_options *options,
                                       const struct train_hooks *hooks, struct train_result *result,
                                       struct fw_error *err);

#endif
