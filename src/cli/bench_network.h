/* The part of `bench forecast` that is about the network alone. */
#ifndef FW_CLI_BENCH_NETWORK_H
#define FW_CLI_BENCH_NETWORK_H

#include "cli/bench.h"

/* By a model's name as --model has it, "none" aside: measures and reports. */
FW_MUST_CHECK enum fw_status bench_network(const struct bench_options *options, const char *name,
                                           struct fw_error *err);

#endif
