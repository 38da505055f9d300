/* The long history among the daemon's parts: opened by housekeeping, after everything is ready. */
#include "daemon/daemon_internal.h"

#include "base/log.h"

/* Free disk that the history leaves to the journal. */
enum { RESERVE_BYTES = 256 << 20 };

bool daemon_history_urgent(const struct daemon *daemon)
{
    return daemon->config->history_days > 0 && archiver_urgent(daemon->fleet, daemon->clock);
}

void daemon_history_start(struct daemon *daemon)
{
    if (daemon->config->history_days == 0 || daemon->history != NULL)
        return;
    struct fw_error err = {0};
    struct archiver *archiver = NULL;
    enum fw_status status =
        daemon_open_database(daemon, daemon->directory.history, &daemon->history, &err);
    const struct archiver_options options = {
        .fleet = daemon->fleet,
        .state = daemon->history,
        .clock = daemon->clock,
        .days = daemon->config->history_days,
        .directory = daemon->directory.path,
        .reserve_bytes = RESERVE_BYTES,
    };
    if (status == FW_OK)
        status = archiver_new(&options, &archiver, &err);
    if (status == FW_OK)
        archiver_catch_up(archiver);
    else
        FW_LOG_ERROR("history", "no long history is kept until the next start reason=\"%s\"",
                     err.text);
    daemon->archiver = archiver;
}

void daemon_history_stop(struct daemon *daemon)
{
    archiver_free(daemon->archiver);
    store_state_close(daemon->history);
}

bool daemon_history_describe(void *ctx, struct api_history *history)
{
    const struct daemon *daemon = ctx;
    struct archiver_stats stats;
    struct archiver *archiver = daemon->archiver;
    if (archiver == NULL)
        return false;
    archiver_stats(archiver, &stats);
    *history = (struct api_history){.days_max = daemon->config->history_days,
                                    .failing = stats.failing,
                                    .blocks = stats.blocks,
                                    .bytes = stats.file_bytes,
                                    .oldest_s = stats.oldest_s,
                                    .written = stats.written,
                                    .rewritten = stats.rewritten,
                                    .removed = stats.removed,
                                    .failures = stats.failures,
                                    .damaged = stats.damaged,
                                    .missed_steps = stats.missed_steps};
    return true;
}
