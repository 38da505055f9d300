#include "cli/cli.h"

#include "backtest/report.h"
#include "base/alloc.h"
#include "base/text.h"
#include "daemon/config.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, OUT_BYTES_MAX = 1 << 28 };

static void help(void)
{
    puts("usage: forewarn backtest --data PATH... [OPTIONS]\n"
         "\n"
         "Replays history (CSV or a data directory, as forewarn train reads it) through the "
         "daemon's\n"
         "own windows, forecasters and alerts: which alerts would have fired, how early, how many "
         "in\n"
         "vain, what was missed, and what other settings would have cost. docs/backtest.md "
         "explains\n"
         "the figures.\n"
         "\n"
         "  --model PATH|none   a model's directory, or shipped (none: the simple forecasters "
         "alone)\n"
         "  --labels FILE       known incidents, server_name,start,end (a set's own labels.csv)\n"
         "  --from TIME         alerts count from here on, ISO 8601, UTC (a set's test part; else\n"
         "                      after a third of the time)\n"
         "  --to TIME           and before this (the end of the data)\n"
         "  --config FILE       the daemon's: thresholds of its metrics, [alerts]\n"
         "  --alarms-per-day X  of unusual behaviour, wanted at most, a server and day (0.2, or "
         "the\n"
         "                      configuration's unusual_per_month / 30)\n"
         "  --set NAME          what the set of plain files is called\n"
         "  --step SECONDS      of the grid (300; 3600 for ETT)\n"
         "  --threads N         (all cores)\n"
         "  --format text|json|csv\n"
         "  --help");
}

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_CSV };

struct arguments {
    const char *paths[CLI_PATHS_MAX];
    size_t n_paths;
    const char *set, *labels, *config;
    long step_s, threads;
    enum format format;
    struct backtest_options how;
};

enum {
    OPT_DATA = 1,
    OPT_MODEL,
    OPT_LABELS,
    OPT_FROM,
    OPT_TO,
    OPT_CONFIG,
    OPT_ALARMS,
    OPT_SET,
    OPT_STEP,
    OPT_THREADS,
    OPT_FORMAT,
};

static const struct option long_options[] = {
    {"data",           required_argument, NULL, OPT_DATA   },
    {"model",          required_argument, NULL, OPT_MODEL  },
    {"labels",         required_argument, NULL, OPT_LABELS },
    {"from",           required_argument, NULL, OPT_FROM   },
    {"to",             required_argument, NULL, OPT_TO     },
    {"config",         required_argument, NULL, OPT_CONFIG },
    {"alarms-per-day", required_argument, NULL, OPT_ALARMS },
    {"set",            required_argument, NULL, OPT_SET    },
    {"step",           required_argument, NULL, OPT_STEP   },
    {"threads",        required_argument, NULL, OPT_THREADS},
    {"format",         required_argument, NULL, OPT_FORMAT },
    {"help",           no_argument,       NULL, 'h'        },
    {NULL,             0,                 NULL, 0          },
};

/* ---- arguments ---- */

static bool take_format(const char *text, enum format *format)
{
    static const char *const names[] = {"text", "json", "csv"};
    for (size_t i = 0; i < COUNT(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *format = (enum format)i;
            return true;
        }
    }
    return false;
}

static int take(int argc, char **argv, int option, void *arguments)
{
    struct arguments *a = arguments;
    bool good = true;
    switch (option) {
    case OPT_DATA:
        return cli_take_paths("backtest", argc, argv, a->paths, &a->n_paths);
    case OPT_MODEL:
        a->how.model = strcmp(optarg, "none") == 0 ? NULL : optarg;
        break;
    case OPT_LABELS:
        a->labels = optarg;
        break;
    case OPT_FROM:
        good = fw_time_parse(optarg, strlen(optarg), &a->how.from_ms);
        break;
    case OPT_TO:
        good = fw_time_parse(optarg, strlen(optarg), &a->how.to_ms);
        break;
    case OPT_CONFIG:
        a->config = optarg;
        break;
    case OPT_ALARMS:
        good = cli_real(optarg, 0.001, 100.0, &a->how.alarms_per_server_day);
        break;
    case OPT_SET:
        a->set = optarg;
        good = fw_name_valid(optarg, strlen(optarg), EVALUATE_NAME_MAX);
        break;
    case OPT_STEP:
        good = cli_number(optarg, 1, 3600, &a->step_s);
        break;
    case OPT_THREADS:
        good = cli_number(optarg, 1, 256, &a->threads);
        break;
    case OPT_FORMAT:
        good = take_format(optarg, &a->format);
        break;
    default:
        return cli_bad_option("backtest", argv);
    }
    return good ? CLI_OK : cli_bad_value("backtest", argv);
}

static int parse(int argc, char **argv, struct arguments *a, bool *helped)
{
    *a = (struct arguments){
        .how = {.from_ms = -1, .to_ms = -1}
    };
    const int code = cli_parse("backtest", argc, argv, long_options, help, take, a, helped);
    if (code != CLI_OK || *helped)
        return code;
    if (a->n_paths == 0)
        return cli_usage_error("backtest", "which --data?");
    if (a->how.from_ms >= 0 && a->how.to_ms >= 0 && a->how.to_ms <= a->how.from_ms)
        return cli_usage_error("backtest", "--to is not after --from");
    a->how.threads = (unsigned)a->threads;
    return CLI_OK;
}

/* ---- progress, on a terminal only ---- */

static void show_progress(void *ctx, const char *set, size_t done, size_t of)
{
    (void)ctx;
    cli_progress("%s: step %zu of %zu", set, done, of);
}

/* ---- the sets ---- */

/* Everything that is alive during a run. Results refer to their sets. */
struct run {
    struct evaluate_sources sources;
    struct evaluate_set **sets;       /* (sources) */
    struct backtest_result **results; /* (sources) */
    struct config *config;            /* NULL: none was given */
};

static void run_fini(struct run *r)
{
    for (size_t i = 0; i < r->sources.n; i++) {
        if (r->results != NULL)
            backtest_result_free(r->results[i]);
        if (r->sets != NULL)
            evaluate_set_free(r->sets[i]);
    }
    fw_free(r->results);
    fw_free(r->sets);
    fw_free(r->config);
    evaluate_sources_fini(&r->sources);
}

static enum fw_status read_config(const struct arguments *a, struct run *r, struct fw_error *err)
{
    if (a->config == NULL)
        return FW_OK;
    r->config = fw_malloc(sizeof *r->config);
    if (r->config == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory for the configuration");
    config_default(r->config);
    return config_file(r->config, a->config, err);
}

/* The labels beside a set; NULL: there are none. `path` holds PATH_BYTES. */
static const char *own_labels(const struct evaluate_source *source, char *path)
{
    if (source->layout != EVALUATE_FLEET ||
        snprintf(path, PATH_BYTES, "%s/labels.csv", source->paths[0]) >= PATH_BYTES)
        return NULL;
    return access(path, F_OK) == 0 ? path : NULL;
}

static enum fw_status backtest_one(const struct arguments *a, struct run *r, size_t i,
                                   struct fw_error *err)
{
    char path[PATH_BYTES];
    const struct evaluate_source *source = &r->sources.items[i];
    const struct evaluate_set_options options = {.step_s = (uint32_t)a->step_s, .test_from_ms = -1};
    struct backtest_options how = a->how;
    how.split = source->layout == EVALUATE_FLEET;
    how.labels = a->labels != NULL ? a->labels : own_labels(source, path);
    struct alert_options alerts;
    if (r->config != NULL) {
        config_alert_options(r->config, &alerts);
        how.alerts = &alerts;
        how.thresholds = &r->config->schema;
        if (how.alarms_per_server_day == 0 && r->config->unusual_per_month > 0)
            how.alarms_per_server_day = (double)r->config->unusual_per_month / 30;
    }
    const enum fw_status status = evaluate_set_read(source, &options, &r->sets[i], err);
    return status != FW_OK ? status : backtest_run(r->sets[i], &how, &r->results[i], err);
}

static enum fw_status backtest_all(const struct arguments *a, struct run *r, struct fw_error *err)
{
    enum fw_status status = read_config(a, r, err);
    if (status == FW_OK)
        status = evaluate_sources_find(a->n_paths, a->paths, a->set, &r->sources, err);
    if (status != FW_OK)
        return status;
    r->sets = fw_calloc(r->sources.n, sizeof(void *));
    r->results = fw_calloc(r->sources.n, sizeof(void *));
    if (r->sets == NULL || r->results == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory for %zu sets", r->sources.n);
    for (size_t i = 0; i < r->sources.n && status == FW_OK; i++)
        status = backtest_one(a, r, i, err);
    return status;
}

static bool put_all(const struct arguments *a, const struct run *r, struct fw_error *err)
{
    struct fw_buf buf;
    fw_buf_init(&buf, OUT_BYTES_MAX);
    if (a->format == FORMAT_JSON)
        backtest_report_json(r->sources.n, r->results, &buf);
    else if (a->format == FORMAT_CSV)
        backtest_report_csv(r->sources.n, r->results, &buf);
    for (size_t i = 0; i < r->sources.n && a->format == FORMAT_TEXT; i++) {
        fw_buf_puts(&buf, i == 0 ? "" : "\n\n");
        backtest_report_text(r->results[i], &buf);
    }
    const bool good = cli_print(&buf);
    fw_buf_fini(&buf);
    if (!good)
        (void)fw_fail(err, FW_EIO, "cannot write the report");
    return good;
}

int cli_backtest(int argc, char **argv)
{
    struct arguments a;
    struct run run = {0};
    struct fw_error err = {0};
    bool helped;
    const int code = parse(argc, argv, &a, &helped);
    if (code != CLI_OK || helped)
        return code;
    if (isatty(STDERR_FILENO) != 0)
        a.how.progress = show_progress;
    bool good = backtest_all(&a, &run, &err) == FW_OK;
    if (a.how.progress != NULL)
        cli_progress_end();
    good = good && put_all(&a, &run, &err);
    run_fini(&run);
    return good ? CLI_OK : cli_failure("backtest", "%s", err.text);
}
