/* The daemon as one object: start-up order, recovery, housekeeping, shutdown. docs/ARCHITECTURE.md
 * has the threads. */
#ifndef FW_DAEMON_DAEMON_H
#define FW_DAEMON_DAEMON_H

#include "base/clock.h"
#include "daemon/config.h"
#include "http/server.h"

struct daemon;

struct daemon_options {
    const struct config *config;  /* outlives the daemon */
    const struct fw_clock *clock; /* NULL: the system's. Samples, steps and alerts follow it */
    /* Called once connections are accepted, before recovery; readiness comes later (/readyz). May
     * be NULL. */
    void (*listening)(void *ctx, const char *url);
    void *ctx;
};

/* Locks the data directory, listens, recovers windows from snapshot and journal, starts the first
 * run, and only then returns. While it recovers, /livez and /health answer and everything else is
 * 503. FW_EBUSY: another process has the directory; FW_EIO, FW_ENOSPC, FW_EVERSION, FW_EINVAL
 * (keys, model): err says which. */
FW_MUST_CHECK enum fw_status daemon_start(const struct daemon_options *options, struct daemon **out,
                                          struct fw_error *err);

/* Finishes requests in flight, makes everything acknowledged durable, writes a snapshot, releases
 * all. NULL is fine. */
void daemon_stop(struct daemon *daemon);

/* Takes over from a configuration that was read again (SIGHUP) what docs/configuration.md lists,
 * and tells which changed settings wait for a restart, metrics that were added or removed among
 * them. All or nothing: when the keys or the mapping are wrong, or no key is left to a daemon that
 * listens beyond loopback, the log says so and nothing changes. Requests and forecast runs that
 * have begun end by the old rules. One call at a time; `fresh` is not kept. */
void daemon_reload(struct daemon *daemon, const struct config *fresh);

uint16_t daemon_port(const struct daemon *daemon);

/* Parts that benches and tests look at; they stay the daemon's. */
struct fleet;
struct outlook_board;
struct store_journal;
struct fleet *daemon_fleet(struct daemon *daemon);
struct outlook_board *daemon_board(struct daemon *daemon);
struct store_journal *daemon_journal(struct daemon *daemon);

#endif
