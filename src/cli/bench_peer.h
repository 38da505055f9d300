/* Another program that forecasts or trains the same network, measured in the same run: it is asked
 * by turns with us, so that what the machine does besides falls on both. */
#ifndef FW_CLI_BENCH_PEER_H
#define FW_CLI_BENCH_PEER_H

#include "base/status.h"
#include "cli/bench.h"

enum { BENCH_ROUNDS_MAX = 100 };

/* The line of JSON that was looked for. NaN: the line does not say. */
struct bench_peer_answer {
    char name[64]; /* "peer"; else the program's file name */
    double median_ms, cpu_ms, sequences_per_s;
};

/* Runs the peer once and waits for its end: options->peer, its words parted by blanks, then
 *
 *   --bench --servers N --threads T           wanted: a line with "servers": N and "median_ms"
 *   --bench-train --batch N --threads T       wanted: a line with "batch": N and "sequences_per_s"
 *
 * with OMP_NUM_THREADS=T and OPENBLAS_NUM_THREADS=1 in its environment. What it writes to standard
 * error is shown. FW_EIO: it does not start or ends in failure; FW_ELIMIT: it runs beyond
 * options->peer_timeout_s (and is killed, with what it started), or prints more than a MiB;
 * FW_EINVAL: no line of what it prints is the one that is wanted. */
FW_MUST_CHECK enum fw_status bench_peer_forecast(const struct bench_options *options,
                                                 unsigned threads, struct bench_peer_answer *out,
                                                 struct fw_error *err);
FW_MUST_CHECK enum fw_status bench_peer_train(const struct bench_options *options, unsigned threads,
                                              struct bench_peer_answer *out, struct fw_error *err);

/* How the rounds went: ours and the peer's, in what is to be compared, larger being slower. */
struct bench_peer_rounds {
    size_t n;
    double ours[BENCH_ROUNDS_MAX], peer[BENCH_ROUNDS_MAX];
};
/* Adds "rounds", "ratio" (the median of the rounds' peer / ours), "ratio_min", "ratio_max". */
void bench_peer_report(struct bench_report *report, const struct bench_peer_rounds *rounds);

#endif
