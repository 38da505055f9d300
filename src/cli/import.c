/* forewarn import prometheus: a fleet's last days from a Prometheus into a running daemon. */
#include "cli/cli.h"

#include "backfill/select.h"
#include "base/alloc.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/client.h"
#include "cli/import.h"
#include "daemon/config.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    DAY_MS = 86400000,
    SECRET_MAX = 1024,
    KEY_MAX = 512,
    STATUS_MAX = 1 << 20,
    JSON_DEPTH = 16,
    WINDOW_STEPS = 864, /* a daemon's, unless it says otherwise */
    STEP_S = 300,
};

static void help(void)
{
    puts("usage: forewarn import prometheus --from URL [OPTIONS]\n"
         "\n"
         "Fills a daemon's windows with what a Prometheus has of the last days, so that forecasts "
         "are\n"
         "good at once. It asks for the raw series that the mapping knows (forewarn mapping), "
         "minute by\n"
         "minute, and makes of them what remote write would have made. It can be stopped and "
         "repeated, and\n"
         "live data may come at the same time. docs/prometheus.md says more.\n"
         "\n"
         "  --from URL           of Prometheus, Thanos, Mimir or VictoriaMetrics, as "
         "http://localhost:9090\n"
         "  --url URL            of the daemon (http://127.0.0.1:8000)\n"
         "  --days D             how far back (as far as the daemon's windows reach)\n"
         "  --match MATCHERS     only series with such labels, as '{job=\"node\"}'\n"
         "  --mapping FILE       rules for series of your own, as the daemon has them\n"
         "  --config FILE        the daemon's: its metrics, and its mapping\n"
         "  --api-key-file FILE  the daemon's key; its role is write\n"
         "  --bearer-token-file FILE  what Prometheus wants to see: a token\n"
         "  --basic-auth-file FILE    or a line USER:PASSWORD\n"
         "  --gone               also servers that have been silent for three steps\n"
         "  --dry-run            read and count, send nothing\n"
         "  --help");
}

struct import {
    const char *from, *url, *match, *mapping, *key_file, *bearer_file, *basic_file;
    double days; /* 0: as far as the windows reach */
    bool dry_run, gone;
    struct config *config;
    bool has_config;
    char key[KEY_MAX], bearer[SECRET_MAX], basic[SECRET_MAX];
    struct series_rules *rules;
    struct cli_poster *poster;
    struct cli_delivery *delivery;
    struct backfill_source *source;
    struct backfill_counts counts;
    int64_t window_ms, step_ms; /* the daemon's */
    bool live;                  /* standard error is a terminal */
    int told;                   /* percent */
};

/* ---- arguments ---- */

enum {
    OPT_FROM = 1,
    OPT_URL,
    OPT_DAYS,
    OPT_MATCH,
    OPT_MAPPING,
    OPT_CONFIG,
    OPT_KEY,
    OPT_BEARER,
    OPT_BASIC,
    OPT_GONE,
    OPT_DRY,
};

static int take(int argc, char **argv, int option, void *arguments)
{
    struct import *a = arguments;
    struct fw_error err = {0};
    const char *inner;
    size_t len;
    (void)argc;
    (void)argv;
    switch (option) {
    case OPT_FROM:
        a->from = optarg;
        return CLI_OK;
    case OPT_URL:
        a->url = optarg;
        return CLI_OK;
    case OPT_DAYS:
        return cli_real(optarg, 0.01, 3660, &a->days)
                   ? CLI_OK
                   : cli_usage_error("import", "--days: %s is no number of days", optarg);
    case OPT_MATCH:
        a->match = optarg;
        return backfill_match(optarg, &inner, &len, &err) == FW_OK
                   ? CLI_OK
                   : cli_usage_error("import", "--match: %s", err.text);
    case OPT_MAPPING:
        a->mapping = optarg;
        return CLI_OK;
    case OPT_CONFIG:
        a->has_config = true;
        return config_file(a->config, optarg, &err) == FW_OK
                   ? CLI_OK
                   : cli_failure("import", "%s", err.text);
    case OPT_KEY:
        a->key_file = optarg;
        return CLI_OK;
    case OPT_BEARER:
        a->bearer_file = optarg;
        return CLI_OK;
    case OPT_BASIC:
        a->basic_file = optarg;
        return CLI_OK;
    case OPT_GONE:
        a->gone = true;
        return CLI_OK;
    case OPT_DRY:
        a->dry_run = true;
        return CLI_OK;
    default:
        return cli_bad_option("import", argv);
    }
}

static int parse(int argc, char **argv, struct import *a, bool *helped)
{
    static const struct option options[] = {
        {"from",              required_argument, NULL, OPT_FROM   },
        {"url",               required_argument, NULL, OPT_URL    },
        {"days",              required_argument, NULL, OPT_DAYS   },
        {"match",             required_argument, NULL, OPT_MATCH  },
        {"mapping",           required_argument, NULL, OPT_MAPPING},
        {"config",            required_argument, NULL, OPT_CONFIG },
        {"api-key-file",      required_argument, NULL, OPT_KEY    },
        {"bearer-token-file", required_argument, NULL, OPT_BEARER },
        {"basic-auth-file",   required_argument, NULL, OPT_BASIC  },
        {"gone",              no_argument,       NULL, OPT_GONE   },
        {"dry-run",           no_argument,       NULL, OPT_DRY    },
        {"help",              no_argument,       NULL, 'h'        },
        {NULL,                0,                 NULL, 0          },
    };
    const bool named = argc > 1 && strcmp(argv[1], "prometheus") == 0;
    const int code =
        cli_parse("import", argc - named, argv + named, options, help, take, a, helped);
    if (code != CLI_OK || *helped)
        return code;
    if (!named)
        return cli_usage_error("import", "what to import from? prometheus is all there is");
    if (a->from == NULL)
        return cli_usage_error("import", "--from where?");
    return a->bearer_file != NULL && a->basic_file != NULL
               ? cli_usage_error("import", "--bearer-token-file or --basic-auth-file, not both")
               : CLI_OK;
}

/* ---- progress ---- */

static void show_progress(void *ctx, const struct backfill_progress *progress)
{
    struct import *a = ctx;
    const int percent = (int)(progress->done * 100.0);
    if (!a->live && percent < a->told + 10)
        return;
    a->told = percent;
    (void)fprintf(stderr, "%shosts %zu of %zu, samples %" PRIu64 ", %d %%%s",
                  a->live ? "\r\033[K" : "", progress->hosts_done, progress->hosts,
                  progress->samples, percent, a->live ? "" : "\n");
    (void)fflush(stderr);
}

static enum fw_status take_rows(void *ctx, struct sample_batch *batch, struct fw_error *err)
{
    struct import *a = ctx;
    return cli_delivery_put(a->delivery, batch, err);
}

/* ---- what it works with ---- */

static enum fw_status read_secrets(struct import *a, struct fw_error *err)
{
    enum fw_status status = FW_OK;
    const char *environment = getenv("FOREWARN_API_KEY");
    if (a->key_file != NULL)
        status = agent_client_read_key(a->key_file, a->key, sizeof a->key, err);
    else if (environment != NULL)
        snprintf(a->key, sizeof a->key, "%s", environment);
    if (status == FW_OK && a->bearer_file != NULL)
        status = agent_client_read_key(a->bearer_file, a->bearer, sizeof a->bearer, err);
    if (status == FW_OK && a->basic_file != NULL)
        status = agent_client_read_key(a->basic_file, a->basic, sizeof a->basic, err);
    if (status == FW_OK && a->basic_file != NULL && strchr(a->basic, ':') == NULL)
        status = fw_fail(err, FW_EINVAL, "%s: expected USER:PASSWORD", a->basic_file);
    return status;
}

static enum fw_status read_rules(struct import *a, struct fw_error *err)
{
    const char *mapping = a->mapping != NULL              ? a->mapping
                          : a->config->mapping[0] != '\0' ? a->config->mapping
                                                          : NULL;
    if (mapping != NULL)
        return series_rules_read(&a->config->schema, mapping, &a->rules, err);
    a->rules = series_rules_new(&a->config->schema);
    return a->rules != NULL ? FW_OK : fw_fail(err, FW_ENOMEM, "out of memory");
}

/* The daemon's step and window, out of its status. */
static enum fw_status read_window(struct import *a, struct fw_error *err)
{
    const struct fw_buf *body = cli_poster_body(a->poster);
    struct fw_json_parser *parser = fw_json_parser_new(STATUS_MAX, JSON_DEPTH);
    struct fw_json_value root, fleet, value;
    int64_t step_s, steps;
    const bool good = parser != NULL &&
                      fw_json_parse(parser, body->data, body->len, &root, NULL) == FW_OK &&
                      fw_json_get(root, "fleet", &fleet) &&
                      fw_json_get(fleet, "step_seconds", &value) && fw_json_int64(value, &step_s) &&
                      fw_json_get(fleet, "window_steps", &value) && fw_json_int64(value, &steps) &&
                      step_s > 0 && step_s <= 3600 && steps > 0 && steps <= 100000;
    if (good) {
        a->step_ms = step_s * 1000;
        a->window_ms = steps * a->step_ms;
    }
    fw_json_parser_free(parser);
    return good ? FW_OK : fw_fail(err, FW_EINVAL, "%s: that is no forewarn", a->url);
}

static enum fw_status ask_daemon(struct import *a, struct fw_error *err)
{
    struct agent_answer answer;
    enum fw_status status =
        cli_poster_new(a->url, a->key[0] != '\0' ? a->key : NULL, &a->poster, err);
    if (status != FW_OK)
        return status;
    cli_poster_get(a->poster, "/api/v1/status", &answer);
    if (answer.code == 200)
        return read_window(a, err);
    if (answer.code == 0)
        return fw_fail(err, FW_EIO, "the daemon does not answer: %.200s", answer.text);
    if (answer.code == 401 || answer.code == 403)
        return fw_fail(err, FW_EIO,
                       "%s: the daemon wants a key of the role write (--api-key-file): %.120s",
                       a->url, answer.text);
    return answer.code == 503 ? FW_OK /* it starts; posts wait for it */
                              : fw_fail(err, FW_EINVAL, "%s: it answers %ld, not as a forewarn",
                                        a->url, answer.code);
}

static enum fw_status set_up(struct import *a, struct fw_error *err)
{
    enum fw_status status = read_secrets(a, err);
    a->step_ms = STEP_S * 1000;
    a->window_ms = WINDOW_STEPS * a->step_ms;
    if (status == FW_OK)
        status = read_rules(a, err);
    if (status == FW_OK && !a->dry_run)
        status = ask_daemon(a, err);
    if (status != FW_OK)
        return status;
    a->delivery = cli_delivery_new(a->poster, &a->config->schema);
    if (a->delivery == NULL)
        return fw_fail(err, FW_ENOMEM, "out of memory");
    const struct backfill_source_options source = {.url = a->from,
                                                   .bearer =
                                                       a->bearer_file != NULL ? a->bearer : NULL,
                                                   .basic = a->basic_file != NULL ? a->basic : NULL,
                                                   .interrupted = cli_poster_interrupted};
    return backfill_source_new(&source, &a->source, err);
}

static void tear_down(struct import *a)
{
    backfill_source_free(a->source);
    cli_delivery_free(a->delivery);
    cli_poster_free(a->poster);
    series_rules_free(a->rules);
    fw_free(a->config);
}

/* ---- the run ---- */

static void summarise(const struct import *a)
{
    struct import_summary summary = {.read = &a->counts, .url = a->url, .dry_run = a->dry_run};
    cli_delivery_counts(a->delivery, &summary.delivered);
    backfill_source_counts(a->source, &summary.asked);
    cli_import_summary(&summary);
}

static enum fw_status run(struct import *a, struct fw_error *err)
{
    const int64_t wanted_ms = a->days > 0 ? (int64_t)(a->days * DAY_MS) : a->window_ms;
    if (wanted_ms > a->window_ms && !a->dry_run)
        (void)fprintf(
            stderr,
            "forewarn import: the daemon's windows reach back %.3g days; no more is asked for\n",
            (double)a->window_ms / DAY_MS);
    const struct backfill_options options = {
        .source = a->source,
        .match = a->match,
        .schema = &a->config->schema,
        .rules = a->rules,
        .span_ms = wanted_ms < a->window_ms || a->dry_run ? wanted_ms : a->window_ms,
        .align_ms = a->step_ms,
        .gone = a->gone,
        .take = take_rows,
        .progress = show_progress,
        .ctx = a,
    };
    enum fw_status status = backfill_run(&options, &a->counts, err);
    if (a->live)
        (void)fputs("\r\033[K", stderr);
    if (status == FW_OK && !a->dry_run)
        status = cli_delivery_flush(a->delivery, err);
    return status;
}

static int tell_failure(const struct import *a, enum fw_status status, const struct fw_error *err)
{
    if (status == FW_ETIMEOUT)
        return cli_failure("import",
                           "stopped; the same command goes on, and repeats nothing wrongly");
    if (status == FW_ENOTFOUND)
        return cli_failure("import",
                           "%s: %s (forewarn mapping lists the series, --mapping FILE adds your "
                           "own; --match '{job=\"node\"}' narrows by labels)",
                           a->from, err->text);
    return cli_failure("import", "%s", err->text);
}

int cli_import(int argc, char **argv)
{
    struct import a = {.url = CLI_DAEMON_URL};
    struct fw_error err = {0};
    bool helped;
    a.config = fw_malloc(sizeof *a.config);
    if (a.config == NULL)
        return cli_failure("import", "out of memory");
    config_default(a.config);
    const int code = parse(argc, argv, &a, &helped);
    if (code != CLI_OK || helped) {
        fw_free(a.config);
        return code;
    }
    const struct fw_log_options log = {.level = fw_log_level_from_environment(FW_INFO),
                                       .lines_per_minute = 600};
    fw_log_configure(&log);
    cli_poster_block_signals();
    a.live = isatty(STDERR_FILENO) != 0;
    enum fw_status status = set_up(&a, &err);
    if (status == FW_OK) {
        status = run(&a, &err);
        if (status == FW_OK || a.counts.rows > 0)
            summarise(&a);
    }
    struct cli_delivery_counts d = {0};
    if (status == FW_OK && !a.dry_run)
        cli_delivery_counts(a.delivery, &d);
    if (status == FW_OK && d.records > 0 && d.accepted == 0)
        status = fw_fail(&err, FW_EINVAL, "%s: the daemon took none of the records", a.url);
    const int result = status == FW_OK ? CLI_OK : tell_failure(&a, status, &err);
    tear_down(&a);
    return result;
}
