/* The numbers of the protocol, all in steps of the grid; docs/evaluation.md has the words. */
#ifndef FW_EVALUATE_PROTOCOL_H
#define FW_EVALUATE_PROTOCOL_H

enum {
    EVALUATE_HORIZON = 96,
    EVALUATE_CONTEXT = 288,    /* before an origin, half of it with values */
    EVALUATE_EVERY = 96,       /* between origins of the test part */
    EVALUATE_FIT_EVERY = 24,   /* and of the past on which errors are studied, */
    EVALUATE_FIT_MINIMUM = 20, /* as many of which are needed */
    EVALUATE_QUANTILES = 3,
};

#endif
