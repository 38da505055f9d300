#include "cli/cli.h"

#include "cli/client.h"

#include <getopt.h>
#include <stdio.h>

static int fetch(const struct cli_daemon *daemon)
{
    struct fw_buf body;
    fw_buf_init(&body, 1 << 20);
    const int code = cli_daemon_request(daemon, "GET", "/api/v1/status", NULL, &body);
    if (code == CLI_OK) {
        fwrite(body.data, 1, body.len, stdout);
        putchar('\n');
    }
    fw_buf_fini(&body);
    return code;
}

int cli_status(int argc, char **argv)
{
    static const struct option options[] = {
        {"url",          required_argument, NULL, 'u'},
        {"api-key-file", required_argument, NULL, 'k'},
        {"help",         no_argument,       NULL, 'h'},
        {NULL,           0,                 NULL, 0  },
    };
    struct cli_daemon daemon = {.command = argv[0], .url = CLI_DAEMON_URL};
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'u':
            daemon.url = optarg;
            break;
        case 'k':
            if (cli_daemon_key(&daemon, optarg) != CLI_OK)
                return CLI_FAILURE;
            break;
        case 'h':
            puts("usage: forewarn status [--url http://127.0.0.1:8000] [--api-key-file FILE]");
            return CLI_OK;
        default:
            return cli_bad_option("status", argv);
        }
    }
    return optind < argc ? cli_usage_error(argv[0], "unexpected \"%s\"", argv[optind])
                         : fetch(&daemon);
}
