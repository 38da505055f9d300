#include "cli/cli.h"

#include "agent/client.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/feeder.h"
#include "cli/poster.h"
#include "simulate/control.h"
#include "simulate/csv.h"
#include "simulate/fleet.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Monday, so that weeks begin where one expects; fixed, so that equal arguments give equal files.
 */
#define DEFAULT_START "2026-01-05T00:00:00Z"

enum { DAY_MS = 86400000, LIVE_WAIT_MS = 200 };

static void help(void)
{
    puts("usage: forewarn simulate (--out FILE | --url URL) [OPTIONS]\n"
         "\n"
         "A made-up fleet: seven kinds of servers with daily and weekly rhythms, and incidents "
         "whose\n"
         "beginning and end are known. Equal arguments give equal samples.\n"
         "\n"
         "  --servers N         1 to 20000 (25)\n"
         "  --days D            of samples, or of history before live feeding; fractions are fine "
         "(7)\n"
         "  --seed S            (1)\n"
         "  --step SECONDS      between samples, 1 to 3600 (300)\n"
         "  --scenario NAME     healthy, degrading, critical or cascade (healthy); with --url it "
         "sets in\n"
         "                      after the history\n"
         "  --incidents X       how often incidents come: 0 none, 1 as documented (1)\n"
         "  --start TIME        of the first sample (" DEFAULT_START
         "), or with --url of live feeding (now)\n"
         "\n"
         "  --out FILE          CSV; gzipped when FILE ends in .gz, standard output when it is -\n"
         "  --labels FILE       the incidents, as CSV\n"
         "\n"
         "  --url URL           feed a daemon: history first, then each step at its time\n"
         "  --api-key-file FILE  the key to send; otherwise FOREWARN_API_KEY is used if set\n"
         "  --speed X           from a --start in the past, run X times as fast until now is "
         "reached (1)\n"
         "  --listen HOST[:PORT]  serve POST /scenario/set, GET /scenario/status (port 8001)\n"
         "  --help");
}

struct arguments {
    struct simulate_options fleet;
    double days, speed;
    bool has_start;
    const char *out, *labels, *url, *key_file;
    char listen_host[64];
    uint16_t listen_port;
    bool listens;
};

/* HOST, HOST:PORT, [V6] or [V6]:PORT. */
static bool parse_listen(const char *text, struct arguments *args)
{
    const bool v6 = text[0] == '[';
    const char *host = text + v6;
    const size_t len = strcspn(host, v6 ? "]" : ":");
    const char *rest = host + len + (v6 && host[len] == ']');
    long port = SIMULATE_CONTROL_PORT;
    if (len == 0 || len >= sizeof args->listen_host || (v6 && host[len] != ']'))
        return false;
    if (*rest != '\0' && (*rest != ':' || !cli_number(rest + 1, 0, 65535, &port)))
        return false;
    memcpy(args->listen_host, host, len);
    args->listen_host[len] = '\0';
    args->listen_port = (uint16_t)port;
    args->listens = true;
    return true;
}

enum {
    OPT_SERVERS = 1,
    OPT_DAYS,
    OPT_SEED,
    OPT_STEP,
    OPT_SCENARIO,
    OPT_INCIDENTS,
    OPT_START,
    OPT_OUT,
    OPT_LABELS,
    OPT_URL,
    OPT_KEY,
    OPT_SPEED,
    OPT_LISTEN,
};

static const struct option long_options[] = {
    {"servers",      required_argument, NULL, OPT_SERVERS  },
    {"days",         required_argument, NULL, OPT_DAYS     },
    {"seed",         required_argument, NULL, OPT_SEED     },
    {"step",         required_argument, NULL, OPT_STEP     },
    {"scenario",     required_argument, NULL, OPT_SCENARIO },
    {"incidents",    required_argument, NULL, OPT_INCIDENTS},
    {"start",        required_argument, NULL, OPT_START    },
    {"out",          required_argument, NULL, OPT_OUT      },
    {"labels",       required_argument, NULL, OPT_LABELS   },
    {"url",          required_argument, NULL, OPT_URL      },
    {"api-key-file", required_argument, NULL, OPT_KEY      },
    {"speed",        required_argument, NULL, OPT_SPEED    },
    {"listen",       required_argument, NULL, OPT_LISTEN   },
    {"help",         no_argument,       NULL, 'h'          },
    {NULL,           0,                 NULL, 0            },
};

/* False: the value does not fit. */
static bool take_option(int option, const char *value, struct arguments *args)
{
    long number;
    switch (option) {
    case OPT_SERVERS:
        if (!cli_number(value, 1, SIMULATE_SERVERS_MAX, &number))
            return false;
        args->fleet.servers = (unsigned)number;
        return true;
    case OPT_DAYS:
        return cli_real(value, 0, 3660, &args->days);
    case OPT_SEED:
        if (!cli_number(value, 0, 0x7fffffffffffffff, &number))
            return false;
        args->fleet.seed = (uint64_t)number;
        return true;
    case OPT_STEP:
        if (!cli_number(value, 1, 3600, &number))
            return false;
        args->fleet.step_s = (uint32_t)number;
        return true;
    case OPT_SCENARIO:
        return simulate_scenario_parse(value, &args->fleet.scenario);
    case OPT_INCIDENTS:
        return cli_real(value, 0, 1000, &args->fleet.incidents);
    case OPT_START:
        args->has_start = true;
        return fw_time_parse(value, strlen(value), &args->fleet.start_ms);
    case OPT_OUT:
        args->out = value;
        return true;
    case OPT_LABELS:
        args->labels = value;
        return true;
    case OPT_URL:
        args->url = value;
        return true;
    case OPT_KEY:
        args->key_file = value;
        return true;
    case OPT_SPEED:
        return cli_real(value, 1, 1e6, &args->speed);
    default:
        return parse_listen(value, args);
    }
}

/* -1 to go on, else the exit code. */
static int read_arguments(int argc, char **argv, struct arguments *args)
{
    int index = 0;
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, "h", long_options, &index)) != -1;) {
        if (option == 'h') {
            help();
            return CLI_OK;
        }
        if (option == '?')
            return cli_bad_option("simulate", argv);
        if (!take_option(option, optarg, args))
            return cli_usage_error("simulate", "--%s: \"%s\" does not fit",
                                   long_options[index].name, optarg);
    }
    if (optind < argc)
        return cli_usage_error("simulate", "unexpected \"%s\"", argv[optind]);
    if ((args->out == NULL) == (args->url == NULL))
        return cli_usage_error("simulate", "give either --out or --url");
    if (args->url == NULL && args->listens)
        return cli_usage_error("simulate", "--listen goes with --url");
    return -1;
}

static enum fw_status write_rows(struct simulate_fleet *fleet, struct simulate_csv *csv,
                                 uint64_t steps, struct fw_error *err)
{
    enum fw_status status = FW_OK;
    for (uint64_t i = 0; i < steps && status == FW_OK; i++) {
        struct sample_batch *batch = batch_new();
        if (batch == NULL || simulate_fleet_step(fleet, batch) != FW_OK)
            status = fw_fail(err, FW_ENOMEM, "out of memory");
        else
            status = simulate_csv_rows(csv, batch, err);
        batch_free(batch);
    }
    return status;
}

static enum fw_status write_csv(const struct arguments *args, struct fw_error *err)
{
    struct simulate_fleet *fleet;
    struct simulate_csv *csv;
    const uint64_t steps =
        (uint64_t)floor(args->days * 86400.0 / (double)args->fleet.step_s + 1e-9);
    enum fw_status status = simulate_fleet_new(&args->fleet, &fleet, err);
    if (status != FW_OK)
        return status;
    status = simulate_csv_open(args->out, &csv, err);
    if (status == FW_OK) {
        status = write_rows(fleet, csv, steps, err);
        const enum fw_status closed = simulate_csv_close(csv, status == FW_OK ? err : NULL);
        status = status != FW_OK ? status : closed;
    }
    if (status == FW_OK && args->labels != NULL)
        status = simulate_csv_labels(args->labels, fleet, err);
    simulate_fleet_free(fleet);
    return status;
}

static enum fw_status run_feeder(const struct arguments *args, struct simulate_fleet *fleet,
                                 struct cli_feeder *feeder, int64_t live_ms, struct fw_error *err)
{
    enum fw_status status = cli_feeder_history(feeder, live_ms, err);
    struct cli_feeder_counts counts;
    cli_feeder_counts(feeder, &counts);
    if (status == FW_OK)
        FW_LOG_INFO("simulate", "history fed, going on live records=%llu servers=%u",
                    (unsigned long long)counts.records, simulate_fleet_servers(fleet));
    simulate_fleet_set_scenario(fleet, args->fleet.scenario);
    do
        if (status == FW_OK)
            status = cli_feeder_live(feeder, err);
    while (status == FW_OK && cli_poster_wait(LIVE_WAIT_MS));
    cli_feeder_counts(feeder, &counts);
    FW_LOG_INFO("simulate", "stopped records=%llu rejected=%llu",
                (unsigned long long)counts.records, (unsigned long long)counts.rejected);
    return status == FW_ETIMEOUT ? FW_OK : status; /* a signal is how this ends */
}

static enum fw_status feed(const struct arguments *args, struct fw_error *err)
{
    char key[512];
    struct simulate_fleet *fleet = NULL;
    struct cli_feeder *feeder = NULL;
    struct simulate_control *control = NULL;
    struct simulate_options options = args->fleet;
    const int64_t step_ms = (int64_t)options.step_s * 1000;
    int64_t live_ms = args->has_start ? options.start_ms : fw_clock_wall_ms(fw_clock_system());
    live_ms -= live_ms % step_ms;
    options.start_ms = live_ms - (int64_t)(args->days * DAY_MS) / step_ms * step_ms;
    if (!args->has_start && options.start_ms < live_ms)
        options.start_ms +=
            step_ms; /* the last of these days' steps is now's, the first one live */
    options.scenario = SIMULATE_HEALTHY; /* until live */
    const char *api_key = getenv("FOREWARN_API_KEY");
    cli_poster_block_signals();
    if (args->key_file != NULL) {
        const enum fw_status read = agent_client_read_key(args->key_file, key, sizeof key, err);
        if (read != FW_OK)
            return read;
        api_key = key;
    }
    enum fw_status status = simulate_fleet_new(&options, &fleet, err);
    if (status == FW_OK) {
        const struct cli_feeder_options feeding = {
            .fleet = fleet, .url = args->url, .api_key = api_key, .speed = args->speed};
        status = cli_feeder_new(&feeding, &feeder, err);
    }
    if (status == FW_OK && args->listens) {
        status = simulate_control_start(fleet, args->listen_host, args->listen_port, &control, err);
        if (status == FW_OK)
            FW_LOG_INFO("simulate", "listening host=%s port=%u", args->listen_host,
                        simulate_control_port(control));
    }
    if (status == FW_OK)
        status = run_feeder(args, fleet, feeder, live_ms, err);
    if (status == FW_OK && args->labels != NULL)
        status = simulate_csv_labels(args->labels, fleet, err);
    simulate_control_stop(control);
    cli_feeder_free(feeder);
    simulate_fleet_free(fleet);
    return status;
}

int cli_simulate(int argc, char **argv)
{
    struct arguments args = {.days = 7, .speed = 1};
    struct fw_error err = {0};
    simulate_options_default(&args.fleet);
    (void)fw_time_parse(DEFAULT_START, sizeof DEFAULT_START - 1, &args.fleet.start_ms);
    const int code = read_arguments(argc, argv, &args);
    if (code >= 0)
        return code;
    const struct fw_log_options log = {.level = fw_log_level_from_environment(FW_INFO),
                                       .lines_per_minute = 600};
    fw_log_configure(&log);
    const enum fw_status status = args.out != NULL ? write_csv(&args, &err) : feed(&args, &err);
    return status == FW_OK ? CLI_OK : cli_failure("simulate", "%s", err.text);
}
