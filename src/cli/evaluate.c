#include "cli/cli.h"

#include "base/alloc.h"
#include "base/text.h"
#include "evaluate/report.h"
#include "forecast/shipped.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { OUT_BYTES_MAX = 1 << 28 };

static void help(void)
{
    puts("usage: forewarn evaluate --data PATH... [OPTIONS]\n"
         "\n"
         "Measures forecasts of CSV history against six plain ones: q-Risk at P10, P50 and P90\n"
         "and the share of values within P10-P90, by metric and by how far ahead. A directory\n"
         "with servers.csv, or with ETT files, is a set of its own; other CSV files and\n"
         "directories are one set together. docs/evaluation.md has the protocol.\n"
         "\n"
         "  --model PATH|none   a model's directory (the shipped one; none: the simple "
         "forecasters)\n"
         "  --baselines-only    no forecasts of ours\n"
         "  --set NAME          what the set of plain files is called\n"
         "  --step SECONDS      of the grid (300; 3600 for ETT)\n"
         "  --test-from TIME    when the test part begins (as servers.csv or the ETT papers have\n"
         "                      it; else the last fifth)\n"
         "  --threads N         (all cores)\n"
         "  --json              all figures as JSON instead of a table\n"
         "  --csv FILE          the figures of every method as CSV\n"
         "  --svg FILE          a picture of the ratios and of the coverage\n"
         "  --help");
}

struct arguments {
    const char *paths[CLI_PATHS_MAX];
    size_t n_paths;
    const char *set, *csv, *svg;
    long step_s, threads;
    int64_t test_from_ms;
    bool json, model_given;
    struct evaluate_options how;
};

enum {
    OPT_DATA = 1,
    OPT_MODEL,
    OPT_BASELINES_ONLY,
    OPT_SET,
    OPT_STEP,
    OPT_TEST_FROM,
    OPT_THREADS,
    OPT_JSON,
    OPT_CSV,
    OPT_SVG,
};

static const struct option long_options[] = {
    {"data",           required_argument, NULL, OPT_DATA          },
    {"model",          required_argument, NULL, OPT_MODEL         },
    {"baselines-only", no_argument,       NULL, OPT_BASELINES_ONLY},
    {"set",            required_argument, NULL, OPT_SET           },
    {"step",           required_argument, NULL, OPT_STEP          },
    {"test-from",      required_argument, NULL, OPT_TEST_FROM     },
    {"threads",        required_argument, NULL, OPT_THREADS       },
    {"json",           no_argument,       NULL, OPT_JSON          },
    {"csv",            required_argument, NULL, OPT_CSV           },
    {"svg",            required_argument, NULL, OPT_SVG           },
    {"help",           no_argument,       NULL, 'h'               },
    {NULL,             0,                 NULL, 0                 },
};

/* ---- arguments ---- */

static int take(int argc, char **argv, int option, void *arguments)
{
    struct arguments *a = arguments;
    bool good = true;
    switch (option) {
    case OPT_DATA:
        return cli_take_paths("evaluate", argc, argv, a->paths, &a->n_paths);
    case OPT_MODEL:
        a->how.model = strcmp(optarg, "none") == 0 ? NULL : optarg;
        a->model_given = a->how.model != NULL;
        break;
    case OPT_BASELINES_ONLY:
        a->how.baselines_only = true;
        break;
    case OPT_SET:
        a->set = optarg;
        good = fw_name_valid(optarg, strlen(optarg), EVALUATE_NAME_MAX);
        break;
    case OPT_STEP:
        good = cli_number(optarg, 1, 3600, &a->step_s);
        break;
    case OPT_TEST_FROM:
        good = fw_time_parse(optarg, strlen(optarg), &a->test_from_ms);
        break;
    case OPT_THREADS:
        good = cli_number(optarg, 1, 256, &a->threads);
        break;
    case OPT_JSON:
        a->json = true;
        break;
    case OPT_CSV:
        a->csv = optarg;
        break;
    case OPT_SVG:
        a->svg = optarg;
        break;
    default:
        return cli_bad_option("evaluate", argv);
    }
    return good ? CLI_OK : cli_bad_value("evaluate", argv);
}

static int parse(int argc, char **argv, struct arguments *a, bool *helped)
{
    *a = (struct arguments){.test_from_ms = -1, .how.model = FORECAST_SHIPPED};
    const int code = cli_parse("evaluate", argc, argv, long_options, help, take, a, helped);
    if (code != CLI_OK || *helped)
        return code;
    if (a->n_paths == 0)
        return cli_usage_error("evaluate", "which --data?");
    if (a->how.baselines_only && a->model_given)
        return cli_usage_error("evaluate", "--baselines-only and --model exclude each other");
    if (a->how.baselines_only && a->svg != NULL)
        return cli_usage_error("evaluate", "--svg shows forecasts of ours: not --baselines-only");
    a->how.threads = (unsigned)a->threads;
    return CLI_OK;
}

/* ---- progress, on a terminal only ---- */

static void show_progress(void *ctx, const char *set, const char *doing, size_t done, size_t of)
{
    (void)ctx;
    cli_progress("%s: %s %zu of %zu", set, doing, done, of);
}

/* ---- the sets ---- */

/* Everything that is alive during a run. */
struct run {
    struct evaluate_sources sources;
    struct evaluate_result **results; /* (sources) */
    struct evaluate_row **rows;       /* (sources) */
    struct evaluate_report *reports;  /* (sources) */
};

static void run_fini(struct run *r)
{
    for (size_t i = 0; i < r->sources.n; i++) {
        if (r->results != NULL)
            evaluate_result_free(r->results[i]);
        if (r->rows != NULL)
            fw_free(r->rows[i]);
    }
    fw_free(r->results);
    fw_free(r->rows);
    fw_free(r->reports);
    evaluate_sources_fini(&r->sources);
}

static enum fw_status evaluate_one(const struct arguments *a, struct run *r, size_t i,
                                   struct fw_error *err)
{
    const struct evaluate_set_options options = {.step_s = (uint32_t)a->step_s,
                                                 .test_from_ms = a->test_from_ms};
    struct evaluate_set *set = NULL;
    enum fw_status status = evaluate_set_read(&r->sources.items[i], &options, &set, err);
    if (status == FW_OK)
        status = evaluate_run(set, &a->how, &r->results[i], err);
    evaluate_set_free(set);
    if (status == FW_OK)
        status = evaluate_figures_rows(r->results[i], &r->rows[i], err);
    if (status != FW_OK)
        return status;
    struct evaluate_report *report = &r->reports[i];
    report->result = r->results[i];
    report->rows = r->rows[i];
    evaluate_figures_summary(report->rows, report->result->scores.n_metrics, &report->summary);
    return FW_OK;
}

static enum fw_status evaluate_all(const struct arguments *a, struct run *r, struct fw_error *err)
{
    enum fw_status status = evaluate_sources_find(a->n_paths, a->paths, a->set, &r->sources, err);
    if (status != FW_OK)
        return status;
    r->results = fw_calloc(r->sources.n, sizeof(void *));
    r->rows = fw_calloc(r->sources.n, sizeof(void *));
    r->reports = fw_calloc(r->sources.n, sizeof *r->reports);
    if (r->results == NULL || r->rows == NULL || r->reports == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory for %zu sets", r->sources.n);
    for (size_t i = 0; i < r->sources.n && status == FW_OK; i++)
        status = evaluate_one(a, r, i, err);
    return status;
}

/* ---- output ---- */

static bool write_file(const char *path, const struct fw_buf *buf, struct fw_error *err)
{
    FILE *file = fopen(path, "we");
    bool good = file != NULL && !buf->failed && fwrite(buf->data, 1, buf->len, file) == buf->len;
    int why = errno;
    if (file != NULL && fclose(file) != 0 && good) {
        good = false;
        why = errno;
    }
    if (!good)
        (void)fw_fail(err, FW_EIO, "%.200s: %s", path, buf->failed ? "no memory" : strerror(why));
    return good;
}

static bool put_screen(const struct arguments *a, const struct run *r, struct fw_buf *buf,
                       struct fw_error *err)
{
    if (a->json)
        evaluate_report_json(r->reports, r->sources.n, buf);
    for (size_t i = 0; i < r->sources.n && !a->json; i++) {
        fw_buf_puts(buf, i == 0 ? "" : "\n\n");
        evaluate_report_text(&r->reports[i], buf);
    }
    if (cli_print(buf))
        return true;
    (void)fw_fail(err, FW_EIO, "cannot write the figures");
    return false;
}

static bool put_all(const struct arguments *a, const struct run *r, struct fw_error *err)
{
    struct fw_buf buf;
    fw_buf_init(&buf, OUT_BYTES_MAX);
    bool good = put_screen(a, r, &buf, err);
    if (good && a->csv != NULL) {
        fw_buf_reset(&buf);
        evaluate_report_csv(r->reports, r->sources.n, &buf);
        good = write_file(a->csv, &buf, err);
    }
    if (good && a->svg != NULL) {
        fw_buf_reset(&buf);
        evaluate_report_svg(r->reports, r->sources.n, &buf);
        good = write_file(a->svg, &buf, err);
    }
    fw_buf_fini(&buf);
    return good;
}

int cli_evaluate(int argc, char **argv)
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
    bool good = evaluate_all(&a, &run, &err) == FW_OK;
    if (a.how.progress != NULL)
        cli_progress_end();
    good = good && put_all(&a, &run, &err);
    run_fini(&run);
    return good ? CLI_OK : cli_failure("evaluate", "%s", err.text);
}
