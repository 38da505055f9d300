#include "base/alloc.h"
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"serve",        cli_serve,        "take in metrics, forecast, alert, answer (the daemon)"             },
    {"demo",         cli_demo,         "a simulated fleet that gets into trouble, in a temporary directory"},
    {"agent",        cli_agent,        "send this host's own metrics to a daemon"                          },
    {"simulate",     cli_simulate,     "make a believable fleet: CSV, or a feeder"                         },
    {"import",       cli_import,       "fill a daemon's windows from a Prometheus"                         },
    {"train",        cli_train,        "train a model from CSV history"                                    },
    {"forecast",     cli_forecast,     "forecast from CSV history, or replay it"                           },
    {"evaluate",     cli_evaluate,     "measure forecasts of CSV history against plain ones"               },
    {"backtest",     cli_backtest,
     "replay history: which alerts would have fired, how early, how many in vain"                          },
    {"model",        cli_model,        "info, check, run and import of model files"                        },
    {"store",        cli_store,        "check, backup and compact of a data directory"                     },
    {"bench",        cli_bench,        "measure ingest, http, store, forecast, train, latency"             },
    {"alerts",       cli_alerts,       "list, show and acknowledge a running daemon's alerts"              },
    {"silence",      cli_silence,      "list, add and end silences and maintenance windows"                },
    {"check",        cli_check,        "one server's outlook, for Nagios and its like"                     },
    {"check-config", cli_check_config, "read a configuration and say what is wrong with it"                },
    {"mapping",      cli_mapping,      "print what raw series mean, or check a file of such rules"         },
    {"status",       cli_status,       "ask a running daemon how it is"                                    },
};

static int usage(FILE *to, int code)
{
    fputs("usage: forewarn COMMAND [OPTIONS]\n\n", to);
    for (size_t i = 0; i < COUNT(commands); i++)
        fprintf(to, "  %-13s %s\n", commands[i].name, commands[i].summary);
    fputs(
        "  version       print the version\n\nforewarn COMMAND --help tells the options of one.\n",
        to);
    return code;
}

int main(int argc, char **argv)
{
    (void)fw_alloc_init();
    if (argc < 2) {
        return usage(stderr, CLI_USAGE);
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
        return usage(stdout, CLI_OK);
    if (strcmp(name, "version") == 0 || strcmp(name, "--version") == 0) {
        puts("forewarn " FW_VERSION);
        return CLI_OK;
    }
    for (size_t i = 0; i < COUNT(commands); i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "forewarn: no command \"%s\" (see forewarn --help)\n", name);
    return CLI_USAGE;
}
