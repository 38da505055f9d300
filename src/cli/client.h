/* One request to a running daemon, for the commands that ask or tell it something. */
#ifndef FW_CLI_CLIENT_H
#define FW_CLI_CLIENT_H

#include "base/buf.h"

enum { CLI_KEY_HEADER_SIZE = 528 };

struct cli_daemon {
    const char *command;                  /* for error texts */
    const char *url;                      /* "http://127.0.0.1:8000" */
    char key_header[CLI_KEY_HEADER_SIZE]; /* "X-API-Key: ...", "" without a key */
    struct fw_buf *reason; /* gets what a request has to complain of; NULL: standard error does */
};
#define CLI_DAEMON_URL "http://127.0.0.1:8000"

/* Takes the key from a file's first line. CLI_OK or CLI_FAILURE, which has been told. */
int cli_daemon_key(struct cli_daemon *daemon, const char *path);

/* `path` begins with a slash; `json` is the body, NULL: none. The answer is appended to `answer`.
 * CLI_OK for a 2xx; CLI_FAILURE after telling what came instead. */
int cli_daemon_request(const struct cli_daemon *daemon, const char *method, const char *path,
                       const struct fw_buf *json, struct fw_buf *answer);

#endif
