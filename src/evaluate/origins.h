/* Which origins count: the first step of a horizon that lies inside a part of a server's time, with
 * enough seen before it. */
#ifndef FW_EVALUATE_ORIGINS_H
#define FW_EVALUATE_ORIGINS_H

#include "evaluate/protocol.h"
#include "evaluate/set.h"

struct evaluate_origins {
    size_t n;
    size_t *at; /* (n) indices of the server's steps */
};

struct evaluate_timeline {
    struct evaluate_origins test; /* from the test part's begin, EVALUATE_EVERY apart */
    struct evaluate_origins past; /* before it, EVALUATE_FIT_EVERY apart */
    struct evaluate_origins each; /* ETT only: every step of the test part */
};

/* Of one server. Released with evaluate_origins_fini(), also after a failure. FW_ENOMEM. */
FW_MUST_CHECK enum fw_status evaluate_origins_find(const struct evaluate_set *set, size_t server,
                                                   struct evaluate_timeline *out,
                                                   struct fw_error *err);
void evaluate_origins_fini(struct evaluate_timeline *timeline);

#endif
