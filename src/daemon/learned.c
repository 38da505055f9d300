/* What forecasters have learned is written once an hour and at the end. What a crash takes is
 * learned again from the windows, which reach back three days. */
#include "daemon/daemon_internal.h"

#include "base/log.h"

enum { SAVE_INTERVAL_S = 3600 };

void daemon_learned_load(struct daemon *daemon)
{
    struct fw_error err = {0};
    size_t servers;
    daemon->learned_ns = fw_clock_mono_ns(daemon->clock);
    const enum fw_status status =
        forecaster_load(daemon->forecaster, daemon->fleet, daemon->directory.learned, NULL,
                        daemon->directory.quarantine, &servers, &err);
    if (status != FW_OK)
        FW_LOG_WARN("forecast",
                    "what was learned cannot be read, learning begins anew reason=\"%s\"",
                    err.text);
    else if (servers > 0)
        FW_LOG_DEBUG("forecast", "read what was learned servers=%zu", servers);
}

void daemon_learned_save(struct daemon *daemon)
{
    struct fw_error err = {0};
    uint64_t bytes;
    const int64_t begin_ns = fw_clock_mono_ns(daemon->clock);
    daemon->learned_ns = begin_ns;
    if (forecaster_save(daemon->forecaster, daemon->directory.learned, NULL, &bytes, &err) != FW_OK)
        FW_LOG_WARN("forecast", "what was learned is not written reason=\"%s\"", err.text);
    else
        FW_LOG_DEBUG("forecast", "wrote what was learned bytes=%llu ms=%lld",
                     (unsigned long long)bytes,
                     (long long)(fw_clock_mono_ns(daemon->clock) - begin_ns) / 1000000);
}

void daemon_learned_due(void *ctx, const struct outlook *outlook)
{
    struct daemon *daemon = ctx;
    (void)outlook;
    if (fw_clock_mono_ns(daemon->clock) - daemon->learned_ns >=
        (int64_t)SAVE_INTERVAL_S * 1000000000)
        daemon_learned_save(daemon);
}
