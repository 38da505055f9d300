/* `forewarn agent`: reads this host at every interval and hands the readings to a daemon. */
#ifndef FW_AGENT_AGENT_H
#define FW_AGENT_AGENT_H

#include "base/status.h"
#include "domain/labels.h"

#include <stdbool.h>
#include <stddef.h>

struct agent_options {
    const char *url;                /* NULL only with `print` */
    const char *server_name;        /* NULL: the host's name */
    const char *api_key;            /* NULL: none */
    const struct label_set *labels; /* sent with each record; NULL: none. Outlives the run */
    const char *root;               /* "" or NULL: this host */
    unsigned interval_s;            /* 1 to 3600 */
    size_t queue_max;               /* 0: as many as 24 hours hold */
    bool once;                      /* one reading, posted once */
    bool print; /* records go to standard output, one JSON object a line, and nowhere else */
};

enum { AGENT_ONCE_GAP_MS = 1000 /* between the two readings that the first rates are made of */ };

/* Runs until SIGTERM or SIGINT (then what is queued is posted once more), or, with `once`, until
 * the one post is answered. Blocks both signals for the calling thread and ignores SIGPIPE for the
 * process; call it from the main thread of a command, once. FW_OK: ended as asked, and with `once`
 * the sample was taken. FW_EINVAL, FW_ENOMEM: the options; FW_EIO: the one post failed, err says
 * how. */
FW_MUST_CHECK enum fw_status agent_run(const struct agent_options *options, struct fw_error *err);

#endif
