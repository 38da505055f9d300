/* A model in training: parameters, their gradients and Adam's moments as blocks of one layout, and
 * a batch spread over threads. */
#ifndef FW_TFT_LEARNER_H
#define FW_TFT_LEARNER_H

#include "base/buf.h"
#include "base/status.h"
#include "tft/gradient.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tft_model;
struct tft_learner; /* opaque; one thread calls it */

enum { TFT_LEARNER_THREADS_MAX = 64 };

struct tft_learner_sizes {
    size_t hidden, heads, layers, continuous;
};

/* A fresh network for a spec (kept; `what` names it in error texts), initialised as FORWARD.md 7
 * says from `seed`. *out is released with tft_learner_free(). Statuses as tft_spec_parse() and
 * tft_net_build(). */
FW_MUST_CHECK enum fw_status tft_learner_new(const char *spec_json, size_t spec_size,
                                             const char *what,
                                             const struct tft_learner_sizes *sizes, uint64_t seed,
                                             size_t threads, struct tft_learner **out,
                                             struct fw_error *err);

/* The same with the sizes and weights of a model; spec_json is the text that it was opened with. */
FW_MUST_CHECK enum fw_status tft_learner_from_model(const struct tft_model *model,
                                                    const char *spec_json, size_t spec_size,
                                                    size_t threads, struct tft_learner **out,
                                                    struct fw_error *err);
void tft_learner_free(struct tft_learner *learner);

const struct tft_spec *tft_learner_spec(const struct tft_learner *learner);
const struct tft_net *tft_learner_net(const struct tft_learner *learner);

/* Blocks of tft_learner_floats() each; writing parameters takes tft_learner_changed() afterwards.
 */
size_t tft_learner_floats(const struct tft_learner *learner);
float *tft_learner_params(struct tft_learner *learner);
float *tft_learner_gradient_block(struct tft_learner *learner);
float *tft_learner_moment(struct tft_learner *learner, int which); /* 1 or 2 */
uint64_t *tft_learner_steps(struct tft_learner *learner);          /* Adam's, so far */
void tft_learner_changed(struct tft_learner *learner);

/* Slower kernels, for tests. */
void tft_learner_use_plain(struct tft_learner *learner);

/* Where a batch comes from: fills *out for sample i; its arrays live until the same worker (below
 * the number of threads) asks again. Called from several threads. */
struct tft_learner_source {
    void (*fetch)(void *ctx, size_t i, size_t worker, struct tft_gradient_series *out);
    void *ctx;
};

/* The gradient of the sum of n samples' losses, into the gradient block (overwritten; padding rows
 * cleared), and that sum. The same bits for every number of threads: samples are dealt to a fixed
 * number of lanes, whose sums are added in order. Fewer threads are used where some cannot be
 * started. */
double tft_learner_gradient(struct tft_learner *learner, size_t n,
                            const struct tft_learner_source *source, float dropout);

/* The sum of the losses alone, without dropout. `each` (n) gets every sample's. */
double tft_learner_loss(struct tft_learner *learner, size_t n,
                        const struct tft_learner_source *source, double *each);

/* Clips the gradient block to `max_norm` and takes one step of Adam; returns the norm before. */
double tft_learner_step(struct tft_learner *learner, double rate, double max_norm);

/* Appends a model.safetensors of `params` (a block) to buf; check buf->failed. FW_ENOMEM. */
FW_MUST_CHECK enum fw_status tft_learner_write(const struct tft_learner *learner,
                                               const float *params, struct fw_buf *buf,
                                               struct fw_error *err);

#endif
