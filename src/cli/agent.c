#include "cli/cli.h"

#include "agent/agent.h"
#include "agent/client.h"
#include "base/log.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void help(void)
{
    puts("usage: forewarn agent --url URL [OPTIONS]\n"
         "\n"
         "Reads this host's metrics from /proc and /sys and posts them to a daemon. While the "
         "daemon is\n"
         "away the samples are kept, and handed in later, oldest first.\n"
         "\n"
         "  --url URL            the daemon, for instance http://127.0.0.1:8000\n"
         "  --interval SECONDS   between samples, 1 to 3600 (60)\n"
         "  --name NAME          the server's name (the host name)\n"
         "  --label NAME=VALUE   a label to send, repeatable; the daemon keeps those it lists "
         "(ingest.labels)\n"
         "  --api-key-file FILE  the key to send; otherwise FOREWARN_API_KEY is used if set\n"
         "  --queue N            samples kept while the daemon is away (24 hours of them)\n"
         "  --once               take one sample, post it, and tell by the exit code whether it "
         "was taken\n"
         "  --print              write the records to standard output instead of posting them\n"
         "  --root DIR           read DIR/proc and DIR/sys (in a container: where the host's are "
         "mounted)\n"
         "  --help");
}

enum {
    OPT_URL = 1,
    OPT_INTERVAL,
    OPT_NAME,
    OPT_KEY,
    OPT_QUEUE,
    OPT_ONCE,
    OPT_PRINT,
    OPT_ROOT,
    OPT_LABEL,
};

static const struct option long_options[] = {
    {"url",          required_argument, NULL, OPT_URL     },
    {"interval",     required_argument, NULL, OPT_INTERVAL},
    {"name",         required_argument, NULL, OPT_NAME    },
    {"api-key-file", required_argument, NULL, OPT_KEY     },
    {"queue",        required_argument, NULL, OPT_QUEUE   },
    {"once",         no_argument,       NULL, OPT_ONCE    },
    {"print",        no_argument,       NULL, OPT_PRINT   },
    {"root",         required_argument, NULL, OPT_ROOT    },
    {"label",        required_argument, NULL, OPT_LABEL   },
    {"help",         no_argument,       NULL, 'h'         },
    {NULL,           0,                 NULL, 0           },
};

static bool put_label(struct label_set *labels, const char *text)
{
    const char *equals = strchr(text, '=');
    return equals != NULL &&
           label_set_put(labels, text, (size_t)(equals - text), equals + 1, strlen(equals + 1));
}

int cli_agent(int argc, char **argv)
{
    struct label_set labels = {0};
    struct agent_options options = {.interval_s = 60, .labels = &labels};
    const char *key_file = NULL;
    long number;
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, "h", long_options, NULL)) != -1;) {
        switch (option) {
        case 'h':
            help();
            return CLI_OK;
        case OPT_URL:
            options.url = optarg;
            break;
        case OPT_INTERVAL:
            if (!cli_number(optarg, 1, 3600, &number))
                return cli_usage_error("agent", "--interval %s is not 1 to 3600", optarg);
            options.interval_s = (unsigned)number;
            break;
        case OPT_NAME:
            options.server_name = optarg;
            break;
        case OPT_KEY:
            key_file = optarg;
            break;
        case OPT_QUEUE:
            if (!cli_number(optarg, 1, 1000000, &number))
                return cli_usage_error("agent", "--queue %s is not 1 to 1000000", optarg);
            options.queue_max = (size_t)number;
            break;
        case OPT_ONCE:
            options.once = true;
            break;
        case OPT_PRINT:
            options.print = true;
            break;
        case OPT_LABEL:
            if (!put_label(&labels, optarg))
                return cli_usage_error("agent",
                                       "--label takes NAME=VALUE, up to %d of them, not \"%s\"",
                                       LABELS_MAX, optarg);
            break;
        case OPT_ROOT:
            options.root = optarg;
            break;
        default:
            return cli_bad_option("agent", argv);
        }
    }
    if (optind < argc)
        return cli_usage_error("agent", "unexpected \"%s\"", argv[optind]);
    if (options.url == NULL && !options.print)
        return cli_usage_error("agent", "--url is missing");

    char key[512];
    struct fw_error err = {0};
    if (key_file != NULL) {
        if (agent_client_read_key(key_file, key, sizeof key, &err) != FW_OK)
            return cli_failure("agent", "%s", err.text);
        options.api_key = key;
    } else {
        options.api_key = getenv("FOREWARN_API_KEY");
    }
    const struct fw_log_options log = {.level = fw_log_level_from_environment(FW_INFO),
                                       .lines_per_minute = 600};
    fw_log_configure(&log);
    const enum fw_status status = agent_run(&options, &err);
    if (status == FW_EINVAL)
        return cli_usage_error("agent", "%s", err.text);
    return status == FW_OK ? CLI_OK : cli_failure("agent", "%s", err.text);
}
