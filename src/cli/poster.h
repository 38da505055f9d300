/* Posts bodies to a daemon until it takes them: waits while it is away or busy. Used by the
 * simulator's feeder and by `import`. One thread; SIGINT and SIGTERM must be blocked in it
 * (cli_poster_block_signals), and end a wait or a post. */
#ifndef FW_CLI_POSTER_H
#define FW_CLI_POSTER_H

#include "agent/client.h"

struct cli_poster;

void cli_poster_block_signals(void);
/* Whether one of the two signals has come. `ctx` is not used. */
bool cli_poster_interrupted(void *ctx);
/* Waits in real time; false when a signal asked to stop. */
bool cli_poster_wait(int64_t real_ms);

/* `api_key` may be NULL. FW_EINVAL: not such a URL; FW_ENOMEM. */
FW_MUST_CHECK enum fw_status cli_poster_new(const char *url, const char *api_key,
                                            struct cli_poster **out, struct fw_error *err);
void cli_poster_free(struct cli_poster *poster);

/* POST /feed/data. FW_EINVAL: the daemon refuses the body, err has its words; FW_ETIMEOUT: stopped
 * by a signal. *answer is the last one. */
FW_MUST_CHECK enum fw_status cli_poster_post(struct cli_poster *poster, const struct fw_buf *body,
                                             struct agent_answer *answer, struct fw_error *err);

/* GET, once. */
void cli_poster_get(struct cli_poster *poster, const char *path, struct agent_answer *answer);

/* The whole body of the last answer; valid until the next request. */
const struct fw_buf *cli_poster_body(const struct cli_poster *poster);

struct cli_poster_counts {
    uint64_t posts, retries;
};
void cli_poster_counts(const struct cli_poster *poster, struct cli_poster_counts *counts);

#endif
