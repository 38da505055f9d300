#include "agent/agent.h"

#include "agent/client.h"
#include "agent/feed.h"
#include "agent/host.h"
#include "agent/uploader.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"
#include "domain/identity.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { DAY_S = 86400, GAP_INTERVALS = 3 };

struct agent {
    const struct agent_options *options;
    const struct fw_clock *clock;
    char name[SERVER_NAME_MAX + 1];
    sigset_t signals; /* blocked; waited for with sigtimedwait */
    struct agent_host *host;
    struct agent_client *client;
    struct agent_uploader *uploader;
    struct agent_answer last;
    char disk_path[AGENT_MOUNT_MAX + 1];
};

/* Ends a post under way when we are asked to stop; the flush itself is not cut short by the signal
 * that began it, which has been taken off by then. */
static bool interrupted(void *ctx)
{
    (void)ctx;
    sigset_t pending;
    return sigpending(&pending) == 0 &&
           (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1);
}

static void post(void *ctx, const char *body, size_t len, struct agent_answer *answer)
{
    struct agent *agent = ctx;
    agent_client_request(agent->client, "/feed/data", body, len, answer);
    agent->last = *answer;
}

/* Sleeps until the monotonic time; false when a signal asks us to stop. */
static bool sleep_until(const struct agent *agent, int64_t mono_ms)
{
    for (;;) {
        int64_t left_ms = mono_ms - fw_clock_mono_ns(agent->clock) / 1000000;
        if (left_ms < 0)
            left_ms = 0;
        const struct timespec wait = {.tv_sec = left_ms / 1000,
                                      .tv_nsec = left_ms % 1000 * 1000000};
        const int signal = sigtimedwait(&agent->signals, NULL, &wait);
        if (signal > 0)
            return false;
        if (errno == EAGAIN)
            return true;
        /* EINTR: another signal's handler ran; wait for the rest. */
    }
}

static enum fw_status find_name(struct agent *agent, struct fw_error *err)
{
    char host[256] = "";
    const char *name = agent->options->server_name;
    if (name == NULL) {
        if (gethostname(host, sizeof host - 1) != 0)
            return fw_fail(err, FW_EIO, "the host's name: %s", strerror(errno));
        name = host;
    }
    if (!server_name_valid(name, strlen(name)))
        return fw_fail(err, FW_EINVAL,
                       "\"%.128s\" is no server name (1 to %d bytes of printable UTF-8); give one "
                       "with --name",
                       name, SERVER_NAME_MAX);
    strcpy(agent->name, name);
    return FW_OK;
}

static enum fw_status set_up(struct agent *agent, struct fw_error *err)
{
    const struct agent_options *options = agent->options;
    enum fw_status status = find_name(agent, err);
    if (status != FW_OK)
        return status;
    const struct agent_host_options host = {
        .root = options->root,
        .clock = agent->clock,
        .gap_ms = (int64_t)options->interval_s * 1000 * GAP_INTERVALS + AGENT_ONCE_GAP_MS};
    status = agent_host_new(&host, &agent->host, err);
    if (status != FW_OK || options->print)
        return status;
    const struct agent_client_options client = {
        .url = options->url, .api_key = options->api_key, .interrupted = interrupted, .ctx = agent};
    status = agent_client_new(&client, &agent->client, err);
    if (status != FW_OK)
        return status;
    const size_t day = DAY_S / options->interval_s;
    const struct agent_uploader_options uploader = {
        .server_name = agent->name,
        .labels = options->labels,
        .queue_max = options->queue_max > 0 ? options->queue_max : day,
        .post = post,
        .post_ctx = agent,
        .seed = fw_rng_entropy()};
    return agent_uploader_new(&uploader, &agent->uploader, err);
}

static enum fw_status print_reading(const struct agent *agent, const struct agent_reading *reading,
                                    struct fw_error *err)
{
    struct fw_buf line;
    fw_buf_init(&line, 65536);
    agent_feed_reading(&line, agent->name, agent->options->labels, reading);
    fw_buf_putc(&line, '\n');
    const bool written =
        !line.failed && fwrite(line.data, 1, line.len, stdout) == line.len && fflush(stdout) == 0;
    fw_buf_fini(&line);
    return written ? FW_OK : fw_fail(err, FW_EIO, "standard output: %s", strerror(errno));
}

/* The file system behind disk_usage_pct is said once, and again when another one becomes the
 * fullest. */
static void tell_disk(struct agent *agent)
{
    const char *path = agent_host_disk_path(agent->host);
    if (path[0] != '\0' && strcmp(path, agent->disk_path) != 0) {
        FW_LOG_INFO("agent", "the fullest file system path=\"%s\"", path);
        snprintf(agent->disk_path, sizeof agent->disk_path, "%s", path);
    }
}

static enum fw_status run_once(struct agent *agent, struct fw_error *err)
{
    struct agent_reading reading;
    agent_host_read(agent->host, &reading);
    if (!sleep_until(agent, fw_clock_mono_ns(agent->clock) / 1000000 + AGENT_ONCE_GAP_MS))
        return fw_fail(err, FW_EIO, "interrupted");
    agent_host_read(agent->host, &reading);
    if (reading.present == 0)
        return fw_fail(err, FW_EIO, "nothing could be read from %s/proc",
                       agent->options->root == NULL ? "" : agent->options->root);
    if (agent->options->print)
        return print_reading(agent, &reading, err);
    agent_uploader_push(agent->uploader, &reading);
    (void)agent_uploader_run(agent->uploader, 0, true);
    struct agent_uploader_counts counts;
    agent_uploader_counts(agent->uploader, &counts);
    if (counts.sent == 1)
        return FW_OK;
    if (agent->last.code == 0)
        return fw_fail(err, FW_EIO, "%s: %.180s", agent->options->url, agent->last.text);
    return fw_fail(err, FW_EIO, "%s answered %ld: %.150s", agent->options->url, agent->last.code,
                   agent->last.text);
}

/* Readings fall on multiples of the interval in UTC, so that the hosts of a fleet and the daemon's
 * steps agree. */
static int64_t next_reading_ms(const struct agent *agent)
{
    const int64_t interval_ms = (int64_t)agent->options->interval_s * 1000;
    const int64_t wall_ms = fw_clock_wall_ms(agent->clock);
    const int64_t mono_ms = fw_clock_mono_ns(agent->clock) / 1000000;
    return mono_ms + interval_ms - wall_ms % interval_ms;
}

static enum fw_status take_reading(struct agent *agent, struct fw_error *err)
{
    struct agent_reading reading;
    agent_host_read(agent->host, &reading);
    if (agent->options->print)
        return print_reading(agent, &reading, err);
    tell_disk(agent);
    agent_uploader_push(agent->uploader, &reading);
    return FW_OK;
}

static enum fw_status run_on(struct agent *agent, struct fw_error *err)
{
    struct agent_reading first;
    enum fw_status status = FW_OK;
    agent_host_read(agent->host, &first); /* what the first rates are counted from */
    int64_t read_ms = fw_clock_mono_ns(agent->clock) / 1000000 + AGENT_ONCE_GAP_MS;
    bool running = true;
    while (running && status == FW_OK) {
        int64_t wake_ms = read_ms;
        if (agent->uploader != NULL) {
            const int64_t due_ms = agent_uploader_due_ms(agent->uploader);
            wake_ms = due_ms < read_ms ? due_ms : read_ms;
        }
        running = sleep_until(agent, wake_ms);
        if (running && fw_clock_mono_ns(agent->clock) / 1000000 >= read_ms) {
            status = take_reading(agent, err);
            read_ms = next_reading_ms(agent);
        }
        if (running && agent->uploader != NULL)
            (void)agent_uploader_run(agent->uploader, fw_clock_mono_ns(agent->clock) / 1000000,
                                     false);
    }
    if (agent->uploader != NULL && status == FW_OK) {
        const bool all = agent_uploader_run(agent->uploader, 0, true);
        struct agent_uploader_counts counts;
        agent_uploader_counts(agent->uploader, &counts);
        FW_LOG_INFO("agent", "stopped sent=%llu lost=%zu", (unsigned long long)counts.sent,
                    all ? (size_t)0 : counts.queued);
    }
    return status;
}

enum fw_status agent_run(const struct agent_options *options, struct fw_error *err)
{
    struct agent agent = {.options = options, .clock = fw_clock_system()};
    sigemptyset(&agent.signals);
    sigaddset(&agent.signals, SIGTERM);
    sigaddset(&agent.signals, SIGINT);
    if (sigprocmask(SIG_BLOCK, &agent.signals, NULL) != 0)
        return fw_fail(err, FW_EIO, "signals: %s", strerror(errno));
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);

    enum fw_status status = set_up(&agent, err);
    if (status == FW_OK && !options->print && !options->once)
        FW_LOG_INFO("agent", "started server=%s url=%s interval_s=%u", agent.name, options->url,
                    options->interval_s);
    if (status == FW_OK)
        status = options->once ? run_once(&agent, err) : run_on(&agent, err);
    agent_uploader_free(agent.uploader);
    agent_client_free(agent.client);
    agent_host_free(agent.host);
    return status;
}
