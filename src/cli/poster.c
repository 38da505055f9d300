#include "cli/poster.h"

#include "base/alloc.h"
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    ANSWER_MAX = 1 << 20,
    RETRY_MIN_MS = 250,
    RETRY_MAX_MS = 10000,
    RETRY_AFTER_MAX_S = 60,
    POST_MS = 60000
};

struct cli_poster {
    struct agent_client *client;
    struct fw_buf answer;
    bool away_told;
    struct cli_poster_counts counts;
};

static void stop_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGTERM);
}

void cli_poster_block_signals(void)
{
    sigset_t signals;
    stop_signals(&signals);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
}

bool cli_poster_interrupted(void *ctx)
{
    (void)ctx;
    sigset_t pending;
    return sigpending(&pending) == 0 &&
           (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1);
}

bool cli_poster_wait(int64_t real_ms)
{
    sigset_t signals;
    const struct timespec wait = {.tv_sec = real_ms / 1000, .tv_nsec = real_ms % 1000 * 1000000};
    stop_signals(&signals);
    for (;;) {
        if (sigtimedwait(&signals, NULL, &wait) > 0)
            return false;
        if (errno == EAGAIN)
            return true;
    }
}

enum fw_status cli_poster_new(const char *url, const char *api_key, struct cli_poster **out,
                              struct fw_error *err)
{
    *out = NULL;
    struct cli_poster *poster = fw_calloc(1, sizeof *poster);
    if (poster == NULL)
        return fw_fail(err, FW_ENOMEM, "out of memory");
    fw_buf_init(&poster->answer, ANSWER_MAX);
    const struct agent_client_options client = {.url = url,
                                                .api_key = api_key,
                                                .total_ms = POST_MS,
                                                .interrupted = cli_poster_interrupted,
                                                .whole = &poster->answer};
    const enum fw_status status = agent_client_new(&client, &poster->client, err);
    if (status != FW_OK) {
        cli_poster_free(poster);
        return status;
    }
    *out = poster;
    return FW_OK;
}

void cli_poster_free(struct cli_poster *poster)
{
    if (poster == NULL)
        return;
    agent_client_free(poster->client);
    fw_buf_fini(&poster->answer);
    fw_free(poster);
}

void cli_poster_counts(const struct cli_poster *poster, struct cli_poster_counts *counts)
{
    *counts = poster->counts;
}

static bool worth_repeating(long code)
{
    return code == 0 || code >= 500 || code == 429 || code == 408;
}

static void tell_away(struct cli_poster *poster, const struct agent_answer *answer)
{
    if (!poster->away_told && !cli_poster_interrupted(NULL))
        FW_LOG_WARN("feeder", "the daemon takes no samples, waiting code=%ld reason=\"%.200s\"",
                    answer->code, answer->text);
    poster->away_told = true;
}

enum fw_status cli_poster_post(struct cli_poster *poster, const struct fw_buf *body,
                               struct agent_answer *answer, struct fw_error *err)
{
    int64_t pause_ms = RETRY_MIN_MS;
    for (;;) {
        agent_client_request(poster->client, "/feed/data", body->data, body->len, answer);
        poster->counts.posts++;
        if (answer->code >= 200 && answer->code < 300) {
            if (poster->away_told)
                FW_LOG_INFO("feeder", "the daemon takes samples again");
            poster->away_told = false;
            return FW_OK;
        }
        if (!worth_repeating(answer->code))
            return fw_fail(err, FW_EINVAL, "the daemon answered %ld: %.180s", answer->code,
                           answer->text);
        tell_away(poster, answer);
        poster->counts.retries++;
        int64_t wait_ms = pause_ms;
        if (answer->retry_after_s >= 0)
            wait_ms = 1000 * (answer->retry_after_s < RETRY_AFTER_MAX_S ? answer->retry_after_s
                                                                        : RETRY_AFTER_MAX_S);
        if (!cli_poster_wait(wait_ms))
            return fw_fail(err, FW_ETIMEOUT, "stopped");
        pause_ms = pause_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : pause_ms * 2;
    }
}

void cli_poster_get(struct cli_poster *poster, const char *path, struct agent_answer *answer)
{
    agent_client_request(poster->client, path, NULL, 0, answer);
}

const struct fw_buf *cli_poster_body(const struct cli_poster *poster)
{
    return &poster->answer;
}
