#include "cli/cli.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/text.h"
#include "forecast/shipped.h"
#include "replay/replay.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ORIGINS_MAX = 1000000, OUT_BYTES_MAX = 1 << 26 };

static void help(void)
{
    puts(
        "usage: forewarn forecast --data PATH... [OPTIONS]\n"
        "\n"
        "Forecasts every metric 96 steps ahead from history (CSV or a data directory, as forewarn\n"
        "train reads it), the way the daemon would have: each forecast has seen everything up to\n"
        "its origin and nothing after it.\n"
        "Without --from: one forecast, from the newest step.\n"
        "\n"
        "  --model PATH|none   a model's directory (the shipped one; none: the simple "
        "forecasters)\n"
        "  --from TIME         replay: the first step to be forecast, ISO 8601, UTC\n"
        "  --to TIME           replay: no origin at or after it (the end of the data)\n"
        "  --every N           replay: steps between origins (96)\n"
        "  --step SECONDS      of the grid (300)\n"
        "  --threads N         (all cores)\n"
        "  --csv               server_name,origin,metric,step,p10,p50,p90,method (the default)\n"
        "  --json              one object a line for each server, origin and metric\n"
        "  --help");
}

struct arguments {
    const char *paths[CLI_PATHS_MAX];
    size_t n_paths;
    const char *model;
    int64_t from_ms, to_ms; /* -1: not given */
    long every, step_s, threads;
    bool json;
};

enum {
    OPT_DATA = 1,
    OPT_MODEL,
    OPT_FROM,
    OPT_TO,
    OPT_EVERY,
    OPT_STEP,
    OPT_THREADS,
    OPT_CSV,
    OPT_JSON
};

static const struct option long_options[] = {
    {"data",    required_argument, NULL, OPT_DATA   },
    {"model",   required_argument, NULL, OPT_MODEL  },
    {"from",    required_argument, NULL, OPT_FROM   },
    {"to",      required_argument, NULL, OPT_TO     },
    {"every",   required_argument, NULL, OPT_EVERY  },
    {"step",    required_argument, NULL, OPT_STEP   },
    {"threads", required_argument, NULL, OPT_THREADS},
    {"csv",     no_argument,       NULL, OPT_CSV    },
    {"json",    no_argument,       NULL, OPT_JSON   },
    {"help",    no_argument,       NULL, 'h'        },
    {NULL,      0,                 NULL, 0          },
};

static int take(int argc, char **argv, int option, void *arguments)
{
    struct arguments *a = arguments;
    bool good = true;
    switch (option) {
    case OPT_DATA:
        return cli_take_paths("forecast", argc, argv, a->paths, &a->n_paths);
    case OPT_MODEL:
        a->model = strcmp(optarg, "none") == 0 ? NULL : optarg;
        break;
    case OPT_FROM:
        good = fw_time_parse(optarg, strlen(optarg), &a->from_ms);
        break;
    case OPT_TO:
        good = fw_time_parse(optarg, strlen(optarg), &a->to_ms);
        break;
    case OPT_EVERY:
        good = cli_number(optarg, 1, 1000000, &a->every);
        break;
    case OPT_STEP:
        good = cli_number(optarg, 1, 3600, &a->step_s);
        break;
    case OPT_THREADS:
        good = cli_number(optarg, 1, 256, &a->threads);
        break;
    case OPT_CSV:
        a->json = false;
        break;
    case OPT_JSON:
        a->json = true;
        break;
    default:
        return cli_bad_option("forecast", argv);
    }
    return good ? CLI_OK : cli_bad_value("forecast", argv);
}

static int parse(int argc, char **argv, struct arguments *a, bool *helped)
{
    *a = (struct arguments){.model = FORECAST_SHIPPED,
                            .from_ms = -1,
                            .to_ms = -1,
                            .every = 96,
                            .step_s = HISTORY_STEP_S};
    const int code = cli_parse("forecast", argc, argv, long_options, help, take, a, helped);
    if (code != CLI_OK || *helped)
        return code;
    if (a->n_paths == 0)
        return cli_usage_error("forecast", "which --data?");
    if (a->to_ms >= 0 && a->from_ms < 0)
        return cli_usage_error("forecast", "--to needs --from");
    return CLI_OK;
}

/* ---- which origins ---- */

static int64_t newest_step(const struct history *h)
{
    int64_t newest = INT64_MIN;
    for (size_t i = 0; i < h->n_series; i++) {
        const int64_t last = h->series[i].first + (int64_t)h->series[i].steps - 1;
        newest = last > newest ? last : newest;
    }
    return newest;
}

/* The first origin is the step before --from. */
static int64_t *origins_of(const struct arguments *a, const struct history *h, size_t *n,
                           struct fw_error *err)
{
    const int64_t step_ms = (int64_t)a->step_s * 1000, newest = newest_step(h);
    const int64_t first = a->from_ms < 0 ? newest : (a->from_ms + step_ms - 1) / step_ms - 1;
    int64_t last = a->to_ms < 0 ? newest : (a->to_ms - 1) / step_ms;
    last = last < newest ? last : newest;
    *n = first > last ? 0 : (size_t)((last - first) / a->every) + 1;
    if (*n == 0 || *n > ORIGINS_MAX) {
        (void)fw_fail(err, FW_EINVAL, "%s",
                      *n == 0 ? "the data ends before --from" : "too many origins");
        return NULL;
    }
    int64_t *origins = fw_calloc(*n, sizeof *origins);
    if (origins == NULL)
        (void)fw_fail(err, FW_ENOMEM, "no memory for %zu origins", *n);
    for (size_t i = 0; origins != NULL && i < *n; i++)
        origins[i] = first + (int64_t)i * a->every;
    return origins;
}

/* ---- what is printed ---- */

struct printer {
    const struct arguments *arguments;
    const struct schema *schema;
    struct fw_buf buf;
    bool failed;
};

static void put_csv(struct printer *p, const char *server, const char *origin, const char *metric,
                    const char *method, float q[3][FORECAST_HORIZON])
{
    for (int h = 0; h < FORECAST_HORIZON; h++)
        fw_buf_printf(&p->buf, "%s,%s,%s,%d,%.7g,%.7g,%.7g,%s\n", server, origin, metric, h + 1,
                      (double)q[0][h], (double)q[1][h], (double)q[2][h], method);
}

static void put_json(struct printer *p, const char *server, const char *origin, const char *metric,
                     const char *method, float q[3][FORECAST_HORIZON])
{
    static const char *const keys[3] = {"p10", "p50", "p90"};
    fw_buf_puts(&p->buf, "{\"server_name\":");
    fw_buf_json_string(&p->buf, server, strlen(server));
    fw_buf_printf(&p->buf, ",\"origin\":\"%s\",\"metric\":\"%s\",\"method\":\"%s\"", origin, metric,
                  method);
    for (size_t k = 0; k < 3; k++) {
        fw_buf_printf(&p->buf, ",\"%s\":", keys[k]);
        for (int h = 0; h < FORECAST_HORIZON; h++)
            fw_buf_printf(&p->buf, "%c%.7g", h == 0 ? '[' : ',', (double)q[k][h]);
        fw_buf_putc(&p->buf, ']');
    }
    fw_buf_puts(&p->buf, "}\n");
}

static bool print_set(void *ctx, int64_t origin, const struct forecast_set *set)
{
    struct printer *p = ctx;
    char time[FW_TIME_SIZE];
    float q[3][FORECAST_HORIZON];
    fw_time_format_z(origin * (int64_t)set->step_s * 1000, time);
    for (size_t i = 0; i < set->count; i++) {
        const struct forecast *f = set->items[i];
        for (size_t k = 0; k < f->path_count; k++) {
            const struct forecast_path *path = &f->paths[k];
            const char *metric = p->schema->metrics[path->metric].name;
            const char *method = forecast_method_name((enum forecast_method)path->method);
            replay_quantiles(f, path, set->step_s, origin, q);
            (p->arguments->json ? put_json : put_csv)(p, f->name, time, metric, method, q);
        }
        p->failed =
            p->failed || p->buf.failed || fwrite(p->buf.data, 1, p->buf.len, stdout) != p->buf.len;
        fw_buf_reset(&p->buf);
    }
    return !p->failed;
}

static int run(const struct arguments *a)
{
    struct history *history = NULL;
    struct replay *replay = NULL;
    struct fw_error err = {0};
    int64_t *origins = NULL;
    struct printer printer = {.arguments = a};
    const struct history_options grid = {.step_s = (uint32_t)a->step_s};
    struct replay_options options = {.model = a->model, .threads = (unsigned)a->threads};
    fw_buf_init(&printer.buf, OUT_BYTES_MAX);
    enum fw_status status = history_read(&grid, a->n_paths, a->paths, &history, &err);
    if (status == FW_OK) {
        origins = origins_of(a, history, &options.n_origins, &err);
        options.origins = origins;
        status = origins == NULL ? err.status : FW_OK;
    }
    if (status == FW_OK)
        status = replay_new(history, &options, &replay, &err);
    if (status == FW_OK) {
        printer.schema = replay_schema(replay);
        if (!a->json)
            puts("server_name,origin,metric,step,p10,p50,p90,method");
        status = replay_run(replay, print_set, &printer, &err);
    }
    replay_free(replay);
    history_free(history);
    fw_free(origins);
    fw_buf_fini(&printer.buf);
    if (status != FW_OK)
        return cli_failure("forecast", "%s", err.text);
    if (printer.failed || fflush(stdout) != 0)
        return cli_failure("forecast", "cannot write the forecasts");
    return CLI_OK;
}

int cli_forecast(int argc, char **argv)
{
    struct arguments arguments;
    bool helped;
    const int code = parse(argc, argv, &arguments, &helped);
    return code != CLI_OK || helped ? code : run(&arguments);
}
