#include "cli/cli.h"

#include "base/clock.h"
#include "train/trainer.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATHS_MAX = 256, BAR_WIDTH = 24, MINUTES_MAX = 525600 };

static const char usage_text[] =
    "usage: forewarn train --data PATH... --out DIR [OPTIONS]\n"
    "PATH is a CSV file (timestamp,server_name[,status][,profile],<metric>...; gzip too), a\n"
    "directory of them, or a data directory of forewarn serve, in use or not. DIR gets spec.json,\n"
    "model.safetensors (the best so far) and a checkpoint; SIGINT stops after the step under way\n"
    "and leaves them usable.\n"
    "  --epochs N          at most (60)\n"
    "  --seed S            (1) the same seed gives the same model, whatever --threads\n"
    "  --threads N         (all cores)\n"
    "  --resume            go on from DIR's checkpoint\n"
    "  --from MODEL        begin with a model's weights, inputs and targets: fine-tuning; "
    "\"shipped\"\n"
    "                      is the one that comes with the program\n"
    "  --form metric|fleet (metric) one network for every metric of any server, or one for all\n"
    "                      metrics of a server together, by their names\n"
    "  --metrics a,b       of form fleet: targets and inputs (all that data and schema have)\n"
    "  --samples N         of form metric: so many are drawn from, 0.7 KB each (131072)\n"
    "  --batch N           samples a step (32)\n"
    "  --learning-rate X   (0.003) halved when the validation loss stops falling\n"
    "  --dropout X         (0.2)\n"
    "  --history N         of form fleet: steps of 5 minutes that the model sees (288)\n"
    "  --scales window|fleet (window) of form fleet: a metric is scaled by its window's mean and\n"
    "                      deviation, or by one pair for all servers; then the daemon need not\n"
    "                      compute anew what past steps become\n"
    "  --horizon N         of form fleet: steps that it forecasts (96, which the daemon serves)\n"
    "  --max-minutes M     stop after that time\n";

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

struct screen {
    bool terminal;
    const struct train_options *options;
};

static bool stop(void *ctx)
{
    (void)ctx;
    return interrupted != 0;
}

static void say(void *ctx, const char *text)
{
    (void)ctx;
    (void)fprintf(stderr, "%s\n", text);
}

/* The time left, by the steps or by --max-minutes, whichever ends first. */
static double left_s(const struct screen *s, const struct train_progress *p, double done)
{
    const double by_steps = done > 0.0 ? p->seconds * (1.0 - done) / done : (double)INFINITY;
    const double by_time = s->options->max_minutes > 0.0
                               ? s->options->max_minutes * 60.0 - p->seconds
                               : (double)INFINITY;
    const double left = fmin(by_steps, by_time);
    return left < 0.0 ? 0.0 : left;
}

static void bar(const struct screen *s, const struct train_progress *p)
{
    char text[BAR_WIDTH + 1];
    const double part = (double)p->step / (double)p->steps;
    const double done = ((double)p->epoch + part) / (double)p->epochs;
    for (int i = 0; i < BAR_WIDTH; i++)
        text[i] = (double)i < part * BAR_WIDTH ? '#' : '.';
    text[BAR_WIDTH] = '\0';
    const double left = left_s(s, p, done);
    (void)fprintf(stderr, "\r\033[Kepoch %zu/%zu [%s] loss %.4f  %.0f sequences/s", p->epoch + 1,
                  p->epochs, text, p->loss, p->sequences_per_s);
    if (isfinite(left))
        (void)fprintf(stderr, "  at most %d:%02d left", (int)left / 60, (int)left % 60);
    (void)fflush(stderr);
}

static void progress(void *ctx, const struct train_progress *p)
{
    const struct screen *s = ctx;
    if (s->terminal && !p->epoch_done)
        bar(s, p);
    if (!p->epoch_done)
        return;
    (void)fprintf(stderr,
                  "%sepoch %zu: loss %.5f, validation %.5f%s, rate %g, %.0f sequences/s, %.0f s\n",
                  s->terminal ? "\r\033[K" : "", p->epoch, p->loss, p->validation,
                  p->improved ? " (best)" : "", p->rate, p->sequences_per_s, p->seconds);
}

/* A value that did not fit its option. */
static int refused(const char *option, const char *value)
{
    return cli_usage_error("train", "%s %s: not a value in its range", option, value);
}

static int set_option(struct train_options *o, const char *name, const char *value, bool *known)
{
    const struct {
        const char *name;
        size_t *to;
        long min, max;
    } counts[] = {
        {"--epochs",  &o->epochs,  1,  1000000                },
        {"--threads", &o->threads, 1,  TFT_LEARNER_THREADS_MAX},
        {"--batch",   &o->batch,   1,  65536                  },
        {"--history", &o->history, 12, 16384                  },
        {"--horizon", &o->horizon, 1,  16384                  },
        {"--samples", &o->samples, 64, 16777216               },
    };
    const struct {
        const char *name;
        double *to, min, max;
    } reals[] = {
        {"--learning-rate", &o->rate,        1e-8, 1.0        },
        {"--dropout",       &o->dropout,     0.0,  0.9        },
        {"--max-minutes",   &o->max_minutes, 0.0,  MINUTES_MAX},
    };
    const struct {
        const char *name;
        const char **to;
    } texts[] = {
        {"--out",     &o->out    },
        {"--from",    &o->from   },
        {"--metrics", &o->metrics},
    };
    long n;
    *known = true;
    for (size_t i = 0; i < COUNT(counts); i++) {
        if (strcmp(name, counts[i].name) != 0)
            continue;
        if (!cli_number(value, counts[i].min, counts[i].max, &n))
            return refused(name, value);
        *counts[i].to = (size_t)n;
        return CLI_OK;
    }
    for (size_t i = 0; i < COUNT(reals); i++) {
        if (strcmp(name, reals[i].name) == 0)
            return cli_real(value, reals[i].min, reals[i].max, reals[i].to) ? CLI_OK
                                                                            : refused(name, value);
    }
    for (size_t i = 0; i < COUNT(texts); i++) {
        if (strcmp(name, texts[i].name) == 0) {
            *texts[i].to = value;
            return CLI_OK;
        }
    }
    if (strcmp(name, "--form") == 0) {
        if (strcmp(value, "metric") != 0 && strcmp(value, "fleet") != 0)
            return refused(name, value);
        o->form = strcmp(value, "fleet") == 0 ? TRAIN_FLEET : TRAIN_METRIC;
        return CLI_OK;
    }
    if (strcmp(name, "--scales") == 0) {
        if (strcmp(value, "window") != 0 && strcmp(value, "fleet") != 0)
            return refused(name, value);
        o->pooled = strcmp(value, "fleet") == 0;
        return CLI_OK;
    }
    if (strcmp(name, "--seed") == 0) {
        if (!cli_number(value, 0, 0x7fffffffffffffff, &n))
            return refused(name, value);
        o->seed = (uint64_t)n;
        return CLI_OK;
    }
    *known = false;
    return CLI_OK;
}

static int parse(int argc, char **argv, struct train_options *o, const char **paths)
{
    for (int i = 1; i < argc; i++) {
        bool known;
        if (strcmp(argv[i], "--resume") == 0) {
            o->resume = true;
            continue;
        }
        if (i + 1 >= argc)
            return cli_usage_error(
                "train", strncmp(argv[i], "--", 2) == 0 ? "%s needs a value" : "what is %s?",
                argv[i]);
        if (strcmp(argv[i], "--data") == 0) {
            while (i + 1 < argc && strncmp(argv[i + 1], "--", 2) != 0) {
                if (o->n_paths == PATHS_MAX)
                    return cli_usage_error("train", "more than %d paths", PATHS_MAX);
                paths[o->n_paths++] = argv[++i];
            }
            continue;
        }
        const int code = set_option(o, argv[i], argv[i + 1], &known);
        if (code != CLI_OK)
            return code;
        if (!known)
            return cli_usage_error("train", "no option %s", argv[i]);
        i++;
    }
    if (o->n_paths == 0 || o->out == NULL)
        return cli_usage_error("train", "%s", o->n_paths == 0 ? "which --data?" : "where --out?");
    if (o->resume && o->from != NULL)
        return cli_usage_error("train", "--resume and --from exclude each other");
    return CLI_OK;
}

static void listen_to_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

int cli_train(int argc, char **argv)
{
    const char *paths[PATHS_MAX];
    struct train_options options;
    struct train_result result;
    struct fw_error err;
    train_options_default(&options);
    options.paths = paths;
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    options.threads = cores < 1                         ? 1
                      : cores > TFT_LEARNER_THREADS_MAX ? TFT_LEARNER_THREADS_MAX
                                                        : (size_t)cores;
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        (void)fputs(usage_text, stdout);
        return CLI_OK;
    }
    const int code = parse(argc, argv, &options, paths);
    if (code != CLI_OK)
        return code;
    struct screen screen = {isatty(STDERR_FILENO) != 0, &options};
    const struct train_hooks hooks = {fw_clock_system(), stop, say, progress, &screen};
    listen_to_signals();
    if (train_run(&options, &hooks, &result, &err) != FW_OK)
        return cli_failure("train", "%s", err.text);
    (void)fprintf(stderr, "%s%s: %zu epochs", screen.terminal ? "\r\033[K" : "", options.out,
                  result.epochs);
    if (result.best_epoch != 0)
        (void)fprintf(stderr, ", best validation loss %.5f in epoch %zu", result.best,
                      result.best_epoch);
    (void)fprintf(stderr, "\n");
    if (result.interrupted)
        (void)fprintf(stderr, "stopped; forewarn train --resume goes on from here\n");
    return CLI_OK;
}
