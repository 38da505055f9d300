#include "cli/cli.h"

#include "base/alloc.h"
#include "base/log.h"
#include "daemon/config.h"
#include "daemon/daemon.h"
#include "daemon/systemd.h"
#include "forecast/shipped.h"
#include "http/keys.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void help(const char *command)
{
    printf(
        "usage: forewarn %s [OPTIONS]\n\n"
        "  --config FILE            settings; docs/configuration.md lists them\n"
        "  --listen HOST:PORT       127.0.0.1:8000; port 0 picks a free one\n"
        "  --data DIR               where everything is kept (forewarn-data)\n"
        "  --model PATH|none        a model directory; none: the simple forecasters alone "
        "serves\n"
        "  --models DIR             the registry that /admin/models shows (DATA/models)\n"
        "  --step SECONDS           the grid of time, 1 to 3600 (300)\n"
        "  --history-days N         kept for training beyond the windows; 0 switches it off (60)\n"
        "  --forecaster auto|argus  argus: the reference's straight line\n"
        "  --risk forewarn|argus    the scorer\n"
        "  --api-key-file FILE      keys, mode 0600; needed to listen beyond loopback\n"
        "  --rate-limit on|off\n"
        "  --threads N              forecast workers (one per core)\n"
        "  --log-level LEVEL        debug, info, warn, error\n"
        "  --log-format text|json\n"
        "  --set SECTION.KEY=VALUE  any other setting\n"
        "  --help\n",
        command);
}

enum { OPT_CONFIG = 1, OPT_SET, OPT_LOG_FORMAT, OPT_HELP, OPT_FIRST_SETTING };

/* Flags that are settings of the file by another name. */
static const struct {
    const char *flag, *section, *key;
} flags[] = {
    {"listen",       "server",   "listen"      },
    {"data",         "server",   "data"        },
    {"model",        "forecast", "model"       },
    {"models",       "forecast", "models_dir"  },
    {"step",         "fleet",    "step"        },
    {"history-days", "store",    "history_days"},
    {"forecaster",   "forecast", "forecaster"  },
    {"risk",         "forecast", "risk"        },
    {"api-key-file", "server",   "api_key_file"},
    {"rate-limit",   "server",   "rate_limit"  },
    {"threads",      "forecast", "threads"     },
    {"log-level",    "log",      "level"       },
};

static enum fw_status set_pair(struct config *config, const char *pair, struct fw_error *err)
{
    char section[128], key[128];
    const char *equals = strchr(pair, '=');
    const char *dot = equals == NULL ? NULL : memchr(pair, '.', (size_t)(equals - pair));
    if (dot == NULL || (size_t)(dot - pair) >= sizeof section ||
        (size_t)(equals - dot) > sizeof key)
        return fw_fail(err, FW_EINVAL, "--set %s: expected SECTION.KEY=VALUE", pair);
    memcpy(section, pair, (size_t)(dot - pair));
    section[dot - pair] = '\0';
    memcpy(key, dot + 1, (size_t)(equals - dot - 1));
    key[equals - dot - 1] = '\0';
    return config_set(config, section, key, equals + 1, err);
}

/* Two passes over the flags: the file is read first wherever --config stands, so that flags win.
 * Returns -1 to go on, CLI_OK after --help, or CLI_USAGE: err has the reason, "" when it has been
 * told. */
static int read_flags(int argc, char **argv, struct config *config, struct fw_error *err)
{
    struct option options[COUNT(flags) + 5] = {
        {"config",     required_argument, NULL, OPT_CONFIG    },
        {"set",        required_argument, NULL, OPT_SET       },
        {"log-format", required_argument, NULL, OPT_LOG_FORMAT},
        {"help",       no_argument,       NULL, OPT_HELP      },
    };
    for (size_t i = 0; i < COUNT(flags); i++)
        options[4 + i] =
            (struct option){flags[i].flag, required_argument, NULL, OPT_FIRST_SETTING + (int)i};
    *err = (struct fw_error){0};
    for (int pass = 0; pass < 2; pass++) {
        int option;
        optind = 1;
        opterr = 0;
        while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
            enum fw_status status = FW_OK;
            if (option == 'h' || option == OPT_HELP) {
                help(argv[0]);
                return CLI_OK;
            }
            if (option == '?')
                return cli_bad_option(argv[0], argv);
            if (pass == 0 && option == OPT_CONFIG)
                status = config_file(config, optarg, err);
            else if (pass == 1 && option == OPT_SET)
                status = set_pair(config, optarg, err);
            else if (pass == 1 && option == OPT_LOG_FORMAT)
                status = config_set(config, "log", "json",
                                    strcmp(optarg, "json") == 0 ? "on" : "off", err);
            else if (pass == 1 && option >= OPT_FIRST_SETTING)
                status = config_set(config, flags[option - OPT_FIRST_SETTING].section,
                                    flags[option - OPT_FIRST_SETTING].key, optarg, err);
            if (status != FW_OK)
                return CLI_USAGE;
        }
        if (pass == 0 && config_environment(config, err) != FW_OK)
            return CLI_USAGE;
    }
    enum fw_status status = FW_OK;
    if (optind < argc)
        status = fw_fail(err, FW_EINVAL, "unexpected \"%s\"", argv[optind]);
    else
        status = config_check(config, err);
    return status == FW_OK ? -1 : CLI_USAGE;
}

/* The same for a person at the terminal. */
static int take_flags(int argc, char **argv, struct config *config)
{
    struct fw_error err;
    const int code = read_flags(argc, argv, config, &err);
    return code == CLI_USAGE && err.text[0] != '\0' ? cli_usage_error(argv[0], "%s", err.text)
                                                    : code;
}

static void on_listening(void *ctx, const char *url)
{
    (void)ctx;
    printf("forewarn listening on %s\n", url);
    fflush(stdout);
}

/* Signals are taken in one place, by sigwait: nothing runs in a handler. */
static void block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* A second SIGTERM or SIGINT while stopping ends the process at once: what was acknowledged is on
 * disk. */
static void end_now(int number)
{
    (void)number;
    _exit(1);
}

/* File, environment and command line once more, as at the start. */
static void reload(struct daemon *daemon, int argc, char **argv)
{
    struct fw_error err;
    struct config *fresh = fw_malloc(sizeof *fresh);
    if (fresh == NULL) {
        FW_LOG_ERROR("daemon", "reload failed, nothing changes reason=\"out of memory\"");
        return;
    }
    config_default(fresh);
    if (read_flags(argc, argv, fresh, &err) == -1)
        daemon_reload(daemon, fresh);
    else
        FW_LOG_ERROR("daemon", "reload failed, nothing changes reason=\"%s\"", err.text);
    fw_free(fresh);
}

static void serve_until_stopped(struct daemon *daemon, const sigset_t *set, int argc, char **argv)
{
    for (;;) {
        int number = 0;
        if (sigwait(set, &number) != 0)
            continue;
        if (number == SIGHUP) {
            reload(daemon, argc, argv);
            continue;
        }
        FW_LOG_INFO("daemon", "stopping signal=%s", number == SIGINT ? "INT" : "TERM");
        break;
    }
    struct sigaction now = {.sa_handler = end_now};
    sigaction(SIGTERM, &now, NULL);
    sigaction(SIGINT, &now, NULL);
    pthread_sigmask(SIG_UNBLOCK, set, NULL);
}

int cli_serve(int argc, char **argv)
{
    struct config *config = fw_malloc(sizeof *config);
    if (config == NULL)
        return cli_failure(argv[0], "out of memory");
    config_default(config);
    int code = take_flags(argc, argv, config);
    if (code < 0) {
        sigset_t set;
        block_signals(&set);
        struct daemon *daemon = NULL;
        struct fw_error err = {0};
        const struct daemon_options options = {.config = config, .listening = on_listening};
        if (daemon_start(&options, &daemon, &err) == FW_OK) {
            systemd_notify("READY=1");
            serve_until_stopped(daemon, &set, argc, argv);
            systemd_notify("STOPPING=1");
            daemon_stop(daemon);
            code = CLI_OK;
        } else {
            code = cli_failure(argv[0], "%s", err.text);
        }
    }
    fw_free(config);
    return code;
}

/* What a start would find wrong with the files that the settings name. */
static enum fw_status check_files(const struct config *config, struct fw_error *err)
{
    struct fw_error inner;
    const char *model = config->model;
    if (config->api_key_file[0] != '\0' &&
        http_keys_check_file(config->api_key_file, &inner) != FW_OK)
        return fw_fail(err, inner.status, "server.api_key_file: %s", inner.text);
    if (model[0] != '\0' && strcmp(model, "none") != 0 && strcmp(model, FORECAST_SHIPPED) != 0 &&
        access(model, R_OK) != 0)
        return fw_fail(err, FW_EIO, "forecast.model: %s: %s", model, strerror(errno));
    return FW_OK;
}

/* The hint of a usage error would lead nowhere: it is the file that is wrong. */
static int check_config(char *command, char *path)
{
    char *arguments[] = {command, (char[]){"--config"}, path, NULL};
    struct fw_error err = {0};
    struct config *config = fw_malloc(sizeof *config);
    if (config == NULL)
        return cli_failure(command, "out of memory");
    config_default(config);
    const bool good =
        read_flags(3, arguments, config, &err) == -1 && check_files(config, &err) == FW_OK;
    fw_free(config);
    if (!good)
        return cli_failure(command, "%s", err.text);
    puts("configuration is fine");
    return CLI_OK;
}

int cli_check_config(int argc, char **argv)
{
    if (argc == 2 && argv[1][0] != '-')
        return check_config(argv[0], argv[1]);
    const bool help_wanted =
        argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
    fputs("usage: forewarn check-config FILE\n", help_wanted ? stdout : stderr);
    return help_wanted ? CLI_OK : CLI_USAGE;
}
