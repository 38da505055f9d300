/* The service manager's protocol (sd_notify(3)): one datagram to $NOTIFY_SOCKET. Everything here
 * does nothing outside systemd. */
#ifndef FW_DAEMON_SYSTEMD_H
#define FW_DAEMON_SYSTEMD_H

#include <stdint.h>

/* For instance "READY=1\nSTATUS=25 servers". Errors are ignored: there is nobody to tell. */
void systemd_notify(const char *state);

/* How often the watchdog wants a ping: half of $WATCHDOG_USEC, if it is meant for this process; 0:
 * never. */
int64_t systemd_watchdog_interval_ms(void);

#endif
