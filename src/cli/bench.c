#define _XOPEN_SOURCE 700 /* nftw */
#include "cli/bench.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/cli.h"
#include "daemon/config.h"
#include "daemon/daemon.h"

#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void help(void)
{
    puts(
        "usage: forewarn bench ingest|http|store|forecast|train|latency [OPTIONS]\n"
        "\n"
        "  ingest    samples a second through POST /feed/data, acknowledged = on disk; batches of "
        "1, 100, 1000\n"
        "  http      GET /predictions/current: plain, gzip, 304; and small GETs\n"
        "  store     appends to the journal, and the seconds that a restart takes\n"
        "  forecast  seconds from windows to the rendered body, by part, and bytes per server; the "
        "network\n"
        "            alone: ms a server when all is recomputed, its stages, operations, share of "
        "the "
        "peak;\n"
        "            where a model allows it, after one new step with and without what is kept\n"
        "  train     sequences a second at the reference product's shapes, by part\n"
        "  latency   from a sample's acknowledgement to a forecast that holds it, idle and while "
        "the fleet is\n"
        "            forecast; feeds of 50 records alone, and beside runs of the whole fleet\n"
        "\n"
        "  --servers N     (500)\n"
        "  --batch N       of train: sequences in a step (128)\n"
        "  --threads N     of the client, the forecaster or training (one per core)\n"
        "  --seconds N     that a measurement lasts (3)\n"
        "  --runs N        of what is timed as a whole; rounds with a peer (3)\n"
        "  --data DIR      where data goes while measuring (a temporary directory)\n"
        "  --model PATH    forecast with this model; shipped, none (forecast and latency: shipped, "
        "others: none)\n"
        "  --url URL       measure this daemon (http://ADDRESS:PORT) instead of one in this "
        "process;\n"
        "                  ingest and http only. It gets made-up servers\n"
        "  --peer PROGRAM  forecast and train: by turns with us in the same run, run with\n"
        "                  --bench --servers N --threads N, or --bench-train --batch N --threads "
        "N;\n"
        "                  it prints lines of JSON, one of them with \"servers\" and "
        "\"median_ms\", or with\n"
        "                  \"batch\" and \"sequences_per_s\". Words after the program's, parted by "
        "blanks, go\n"
        "                  first: --peer \"python3 tft.py --model DIR\"\n"
        "  --peer-timeout N  seconds that one run of it may take (600)\n"
        "  --json          one object a line\n"
        "  --help");
}

/* ---- reports ---- */

enum { REPORT_MAX = 16384 };

unsigned bench_threads(const struct bench_options *options)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return options->threads != 0 ? options->threads : cores < 1 ? 1U : (unsigned)cores;
}

void bench_report_begin(struct bench_report *report, const struct bench_options *options,
                        const char *bench, const char *path)
{
    report->options = options;
    fw_buf_init(&report->text, REPORT_MAX);
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const unsigned threads = bench_threads(options);
    if (options->json)
        fw_buf_printf(
            &report->text,
            "{\"bench\":\"%s\",\"servers\":%u,\"threads\":%u,\"cores\":%ld,\"path\":\"%s\"", bench,
            options->servers, threads, cores, path);
    else
        fw_buf_printf(&report->text, "%s %s (%u servers, %u threads, %ld cores)\n", bench, path,
                      options->servers, threads, cores);
}

void bench_report_number(struct bench_report *report, const char *key, double value, int decimals)
{
    if (report->options->json) {
        fw_buf_putc(&report->text, ',');
        fw_buf_json_key(&report->text, key);
        fw_buf_json_number(&report->text, value, decimals);
    } else {
        fw_buf_printf(&report->text, "  %-24s %.*f\n", key, decimals, value);
    }
}

void bench_report_text(struct bench_report *report, const char *key, const char *value)
{
    if (report->options->json) {
        fw_buf_putc(&report->text, ',');
        fw_buf_json_key(&report->text, key);
        fw_buf_json_string(&report->text, value, strlen(value));
    } else {
        fw_buf_printf(&report->text, "  %-24s %s\n", key, value);
    }
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double bench_median(double *values, size_t n)
{
    if (n == 0)
        return (double)NAN;
    qsort(values, n, sizeof *values, by_value);
    return values[n / 2];
}

void bench_report_times(struct bench_report *report, double *seconds, unsigned runs)
{
    bench_report_number(report, "median_s", bench_median(seconds, runs), 6);
    bench_report_number(report, "min_s", seconds[0], 6);
    bench_report_number(report, "runs", runs, 0);
}

void bench_report_end(struct bench_report *report)
{
    if (report->options->json)
        fw_buf_puts(&report->text, "}\n");
    if (report->text.failed)
        fputs("forewarn bench: the report does not fit\n", stderr);
    else
        fwrite(report->text.data, 1, report->text.len, stdout);
    fflush(stdout);
    fw_buf_fini(&report->text);
}

/* ---- surroundings ---- */

double bench_now_s(void)
{
    return (double)fw_clock_mono_ns(fw_clock_system()) / 1e9;
}

double bench_core_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double bench_rss_bytes(void)
{
    unsigned long total, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return (double)NAN;
    if (fscanf(file, "%lu %lu", &total, &resident) != 2)
        resident = 0;
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

enum fw_status bench_directory_make(const struct bench_options *options, char path[256],
                                    struct fw_error *err)
{
    const char *base = options->data != NULL ? options->data : getenv("TMPDIR");
    snprintf(path, 256, "%.200s/forewarn-bench-XXXXXX",
             base == NULL || base[0] == '\0' ? "/tmp" : base);
    return mkdtemp(path) != NULL ? FW_OK : fw_fail(err, FW_EIO, "%s: %s", path, strerror(errno));
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)status, (void)type, (void)ftw;
    (void)remove(path);
    return 0;
}

void bench_directory_remove(const struct bench_options *options, const char *path)
{
    (void)options;
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

enum fw_status bench_daemon_start(const char *data, const char *model, struct bench_daemon *out,
                                  struct fw_error *err)
{
    memset(out, 0, sizeof *out);
    struct config *config = fw_calloc(1, sizeof *config);
    if (config == NULL)
        return fw_fail(err, FW_ENOMEM, "out of memory");
    out->config = config;
    config_default(config);
    config->log_level = fw_log_level_from_environment(FW_WARN);
    enum fw_status status = config_set(config, "server", "listen", "127.0.0.1:0", err);
    if (status == FW_OK)
        status = config_set(config, "server", "data", data, err);
    if (status == FW_OK)
        status = config_set(config, "server", "rate_limit", "off", err);
    if (status == FW_OK)
        status = config_set(config, "forecast", "model", model == NULL ? "none" : model, err);
    if (status == FW_OK) {
        const struct daemon_options options = {.config = config};
        status = daemon_start(&options, &out->daemon, err);
    }
    if (status == FW_OK)
        out->port = daemon_port(out->daemon);
    else
        bench_daemon_stop(out);
    return status;
}

void bench_daemon_stop(struct bench_daemon *daemon)
{
    daemon_stop(daemon->daemon);
    fw_free(daemon->config);
    memset(daemon, 0, sizeof *daemon);
}

/* ---- the command ---- */

static const struct {
    const char *name;
    int (*run)(const struct bench_options *options, struct fw_error *err);
} benches[] = {
    {"ingest",   bench_ingest  },
    {"http",     bench_http    },
    {"store",    bench_store   },
    {"forecast", bench_forecast},
    {"train",    bench_train   },
    {"latency",  bench_latency },
};

enum {
    OPT_SERVERS = 1,
    OPT_THREADS,
    OPT_SECONDS,
    OPT_RUNS,
    OPT_DATA,
    OPT_MODEL,
    OPT_URL,
    OPT_BATCH,
    OPT_PEER,
    OPT_PEER_TIMEOUT,
    OPT_JSON
};

static const struct option long_options[] = {
    {"servers",      required_argument, NULL, OPT_SERVERS     },
    {"threads",      required_argument, NULL, OPT_THREADS     },
    {"seconds",      required_argument, NULL, OPT_SECONDS     },
    {"runs",         required_argument, NULL, OPT_RUNS        },
    {"data",         required_argument, NULL, OPT_DATA        },
    {"model",        required_argument, NULL, OPT_MODEL       },
    {"url",          required_argument, NULL, OPT_URL         },
    {"batch",        required_argument, NULL, OPT_BATCH       },
    {"peer",         required_argument, NULL, OPT_PEER        },
    {"peer-timeout", required_argument, NULL, OPT_PEER_TIMEOUT},
    {"json",         no_argument,       NULL, OPT_JSON        },
    {"help",         no_argument,       NULL, 'h'             },
    {NULL,           0,                 NULL, 0               },
};

/* http://ADDRESS:PORT with an IPv4 address, into host[64]. */
static bool parse_url(const char *text, char host[64], struct bench_options *options)
{
    unsigned port;
    int end = 0;
    if (sscanf(text, "http://%63[0-9.]:%u%n", host, &port, &end) != 2 || port > 65535 ||
        (text[end] != '\0' && strcmp(text + end, "/") != 0))
        return false;
    options->host = host;
    options->port = (uint16_t)port;
    return true;
}

static bool take_option(int option, const char *value, char host[64], struct bench_options *options)
{
    static const struct {
        int option;
        long min, max;
        size_t offset;
    } numbers[] = {
        {OPT_SERVERS,      1, 50000, offsetof(struct bench_options, servers)       },
        {OPT_THREADS,      1, 256,   offsetof(struct bench_options, threads)       },
        {OPT_SECONDS,      1, 3600,  offsetof(struct bench_options, seconds)       },
        {OPT_RUNS,         1, 100,   offsetof(struct bench_options, runs)          },
        {OPT_BATCH,        1, 4096,  offsetof(struct bench_options, batch)         },
        {OPT_PEER_TIMEOUT, 1, 86400, offsetof(struct bench_options, peer_timeout_s)},
    };
    long number;
    for (size_t i = 0; i < COUNT(numbers); i++) {
        if (numbers[i].option != option)
            continue;
        if (!cli_number(value, numbers[i].min, numbers[i].max, &number))
            return false;
        const unsigned chosen = (unsigned)number;
        memcpy((char *)options + numbers[i].offset, &chosen, sizeof chosen);
        return true;
    }
    switch (option) {
    case OPT_DATA:
        options->data = value;
        return true;
    case OPT_PEER:
        options->peer = value;
        return value[0] != '\0';
    case OPT_MODEL:
        options->model = value;
        return true;
    case OPT_JSON:
        options->json = true;
        return true;
    default:
        return parse_url(value, host, options);
    }
}

int cli_bench(int argc, char **argv)
{
    struct bench_options options = {
        .servers = 500, .seconds = 3, .runs = 3, .batch = 128, .peer_timeout_s = 600};
    char host[64];
    int index = 0;
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, "h", long_options, &index)) != -1;) {
        if (option == 'h') {
            help();
            return CLI_OK;
        }
        if (option == '?')
            return cli_bad_option("bench", argv);
        if (!take_option(option, optarg, host, &options))
            return cli_usage_error("bench", "--%s: \"%s\" does not fit", long_options[index].name,
                                   optarg);
    }
    if (optind + 1 != argc)
        return cli_usage_error(
            "bench", "say what to measure: ingest, http, store, forecast, train or latency");
    signal(SIGPIPE, SIG_IGN);
    const struct fw_log_options log = {.level = fw_log_level_from_environment(FW_WARN),
                                       .lines_per_minute = 600};
    fw_log_configure(&log);
    struct fw_error err = {0};
    for (size_t i = 0; i < COUNT(benches); i++) {
        if (strcmp(argv[optind], benches[i].name) != 0)
            continue;
        const int code = benches[i].run(&options, &err);
        return code == CLI_OK ? CLI_OK : cli_failure("bench", "%s", err.text);
    }
    return cli_usage_error(
        "bench", "no bench \"%s\": ingest, http, store, forecast, train or latency", argv[optind]);
}
