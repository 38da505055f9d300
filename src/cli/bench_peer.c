#include "cli/bench_peer.h"

#include "base/alloc.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { WORDS_MAX = 32, OUTPUT_MAX = 1 << 20, LINE_MAX_BYTES = 4096, TICK_MS = 20, ENV_MAX = 512 };

/* ---- one run of the program ---- */

struct words {
    char text[1024], numbers[2][16];
    char *word[WORDS_MAX + 8];
    size_t n;
};

/* The program's words, then `flag --unit n --threads t`. */
static bool make_words(const struct bench_options *options, const char *flag, const char *unit,
                       unsigned n, unsigned threads, struct words *out)
{
    char *rest = NULL;
    out->n = 0;
    if ((size_t)snprintf(out->text, sizeof out->text, "%s", options->peer) >= sizeof out->text)
        return false;
    for (char *word = strtok_r(out->text, " \t", &rest); word != NULL;
         word = strtok_r(NULL, " \t", &rest)) {
        if (out->n == WORDS_MAX)
            return false;
        out->word[out->n++] = word;
    }
    if (out->n == 0)
        return false;
    snprintf(out->numbers[0], sizeof out->numbers[0], "%u", n);
    snprintf(out->numbers[1], sizeof out->numbers[1], "%u", threads);
    const char *const more[] = {flag, unit, out->numbers[0], "--threads", out->numbers[1]};
    for (size_t i = 0; i < COUNT(more); i++) {
        const union {
            const char *text;
            char *word;
        } as = {.text = more[i]};
        out->word[out->n++] = as.word;
    }
    out->word[out->n] = NULL;
    return true;
}

/* Ours, but for the numbers of threads: BLAS threads on top of OpenMP's would be in their way. */
struct surroundings {
    char omp[40], blas[40];
    char *variable[ENV_MAX];
};

static void make_surroundings(unsigned threads, struct surroundings *out)
{
    size_t n = 0;
    for (size_t i = 0; environ[i] != NULL && n < ENV_MAX - 3; i++)
        if (strncmp(environ[i], "OMP_NUM_THREADS=", 16) != 0 &&
            strncmp(environ[i], "OPENBLAS_NUM_THREADS=", 21) != 0)
            out->variable[n++] = environ[i];
    snprintf(out->omp, sizeof out->omp, "OMP_NUM_THREADS=%u", threads);
    snprintf(out->blas, sizeof out->blas, "OPENBLAS_NUM_THREADS=1");
    out->variable[n++] = out->omp;
    out->variable[n++] = out->blas;
    out->variable[n] = NULL;
}

/* In a group of its own, to be ended with all that it starts; 0, or what failed. */
static int spawn(const struct words *words, char *const *variables, int output, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t defaults;
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    if (posix_spawn_file_actions_init(&actions) != 0)
        return ENOMEM;
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return ENOMEM;
    }
    int failed = ENOMEM;
    if (posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0) == 0 &&
        posix_spawn_file_actions_adddup2(&actions, output, 1) == 0 &&
        posix_spawnattr_setpgroup(&attributes, 0) == 0 &&
        posix_spawnattr_setsigdefault(&attributes, &defaults) == 0 &&
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF) == 0)
        failed = posix_spawnp(pid, words->word[0], &actions, &attributes, words->word, variables);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

static void take(int from, struct fw_buf *into, bool *open)
{
    char piece[4096];
    const ssize_t n = read(from, piece, sizeof piece);
    if (n > 0)
        fw_buf_put(into, piece, (size_t)n);
    *open = n > 0 || (n < 0 && errno == EINTR);
}

/* Reads until the program has ended, or must. */
static enum fw_status await(pid_t pid, int from, double until_s, struct fw_buf *output, int *code)
{
    bool open = true;
    for (;;) {
        struct pollfd fd = {.fd = from, .events = POLLIN};
        if (open && poll(&fd, 1, TICK_MS) > 0)
            take(from, output, &open);
        else if (!open)
            nanosleep(&(struct timespec){0, TICK_MS * 1000000L}, NULL);
        if (output->failed || bench_now_s() > until_s)
            return FW_ELIMIT;
        if (waitpid(pid, code, WNOHANG) == pid)
            break;
    }
    /* What it wrote last; a child that holds the pipe is not waited for. */
    struct pollfd fd = {.fd = from, .events = POLLIN};
    while (open && !output->failed && poll(&fd, 1, 0) > 0)
        take(from, output, &open);
    return output->failed ? FW_ELIMIT : FW_OK;
}

static enum fw_status judge_end(const struct bench_options *options, enum fw_status awaited,
                                const struct fw_buf *output, int code, struct fw_error *err)
{
    if (awaited != FW_OK && output->failed)
        return fw_fail(err, FW_ELIMIT, "the peer %s prints more than %d bytes", options->peer,
                       OUTPUT_MAX);
    if (awaited != FW_OK)
        return fw_fail(err, FW_ELIMIT, "the peer %s did not end within %u s", options->peer,
                       options->peer_timeout_s);
    if (WIFSIGNALED(code))
        return fw_fail(err, FW_EIO, "the peer %s was ended by signal %d", options->peer,
                       WTERMSIG(code));
    if (WEXITSTATUS(code) == 127)
        return fw_fail(err, FW_EIO, "the peer %s cannot be run (exit code 127)", options->peer);
    if (WEXITSTATUS(code) != 0)
        return fw_fail(err, FW_EIO, "the peer %s ended with exit code %d", options->peer,
                       WEXITSTATUS(code));
    return FW_OK;
}

static enum fw_status run(const struct bench_options *options, const struct words *words,
                          unsigned threads, struct fw_buf *output, struct fw_error *err)
{
    static struct surroundings around;
    int ends[2], code = 0;
    pid_t pid;
    make_surroundings(threads, &around);
    if (pipe(ends) != 0)
        return fw_fail(err, FW_EIO, "no pipe for the peer: %s", strerror(errno));
    for (int i = 0; i < 2; i++)
        (void)fcntl(ends[i], F_SETFD, FD_CLOEXEC);
    const int failed = spawn(words, around.variable, ends[1], &pid);
    close(ends[1]);
    if (failed != 0) {
        close(ends[0]);
        return fw_fail(err, FW_EIO, "the peer %s does not start: %s", options->peer,
                       strerror(failed));
    }
    const double until_s = bench_now_s() + (double)options->peer_timeout_s;
    const enum fw_status awaited = await(pid, ends[0], until_s, output, &code);
    (void)kill(-pid, SIGKILL); /* with whatever it left behind */
    if (awaited != FW_OK)
        (void)waitpid(pid, &code, 0);
    close(ends[0]);
    return judge_end(options, awaited, output, code, err);
}

/* ---- what it printed ---- */

static double number_of(struct fw_json_value object, const char *key)
{
    struct fw_json_value value;
    double number = (double)NAN;
    if (fw_json_get(object, key, &value) && !fw_json_number(value, &number))
        return (double)NAN;
    return number;
}

static void name_of(struct fw_json_value object, const char *program, char name[64])
{
    struct fw_json_value value;
    size_t len;
    const char *slash = strrchr(program, '/'), *said = NULL;
    if (fw_json_get(object, "peer", &value))
        said = fw_json_string(value, &len);
    snprintf(name, 64, "%s", said != NULL ? said : slash != NULL ? slash + 1 : program);
}

/* Whether the line is an object with `unit` n and a positive `wanted`. */
static bool fits(struct fw_json_parser *parser, const char *line, size_t len, const char *unit,
                 unsigned n, const char *wanted, struct fw_json_value *root)
{
    if (len == 0 || line[0] != '{' || fw_json_parse(parser, line, len, root, NULL) != FW_OK)
        return false;
    return number_of(*root, unit) == (double)n && number_of(*root, wanted) > 0.0;
}

/* For people: what is not printable becomes a point. */
static void first_line(const struct fw_buf *output, char *out, size_t size)
{
    size_t n = 0;
    for (; n < output->len && n + 1 < size && output->data[n] != '\n'; n++)
        out[n] = output->data[n] >= ' ' && output->data[n] <= '~' ? output->data[n] : '.';
    out[n] = '\0';
}

static enum fw_status find_answer(const struct bench_options *options, const struct fw_buf *output,
                                  const char *unit, unsigned n, const char *wanted,
                                  struct bench_peer_answer *out, struct fw_error *err)
{
    struct fw_json_parser *parser = fw_json_parser_new(LINE_MAX_BYTES, 8);
    const char *text = output->len > 0 ? output->data : "", *end = text + output->len;
    struct fw_json_value root;
    bool found = false;
    if (parser == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory to read what the peer printed");
    for (const char *line = text; line < end && !found;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        stop = stop != NULL ? stop : end;
        found = fits(parser, line, (size_t)(stop - line), unit, n, wanted, &root);
        line = stop + 1;
    }
    if (found) {
        out->median_ms = number_of(root, "median_ms");
        out->cpu_ms = number_of(root, "cpu_ms");
        out->sequences_per_s = number_of(root, "sequences_per_s");
        name_of(root, options->peer, out->name);
    }
    fw_json_parser_free(parser);
    if (found)
        return FW_OK;
    char first[61];
    first_line(output, first, sizeof first);
    return fw_fail(err, FW_EINVAL,
                   "the peer %s printed no line of JSON with \"%s\": %u and a positive \"%s\"; its "
                   "output begins \"%s\"",
                   options->peer, unit, n, wanted, first);
}

static enum fw_status ask(const struct bench_options *options, const char *flag, const char *unit,
                          unsigned n, unsigned threads, const char *wanted,
                          struct bench_peer_answer *out, struct fw_error *err)
{
    struct words words;
    struct fw_buf output;
    char option[24];
    snprintf(option, sizeof option, "--%s", unit);
    if (!make_words(options, flag, option, n, threads, &words))
        return fw_fail(err, FW_EINVAL, "the peer \"%.200s\" is no program with at most %d words",
                       options->peer, WORDS_MAX);
    fw_buf_init(&output, OUTPUT_MAX);
    enum fw_status status = run(options, &words, threads, &output, err);
    if (status == FW_OK)
        status = find_answer(options, &output, unit, n, wanted, out, err);
    fw_buf_fini(&output);
    return status;
}

enum fw_status bench_peer_forecast(const struct bench_options *options, unsigned threads,
                                   struct bench_peer_answer *out, struct fw_error *err)
{
    return ask(options, "--bench", "servers", options->servers, threads, "median_ms", out, err);
}

enum fw_status bench_peer_train(const struct bench_options *options, unsigned threads,
                                struct bench_peer_answer *out, struct fw_error *err)
{
    return ask(options, "--bench-train", "batch", options->batch, threads, "sequences_per_s", out,
               err);
}

/* ---- the comparison ---- */

void bench_peer_report(struct bench_report *report, const struct bench_peer_rounds *rounds)
{
    double ratio[BENCH_ROUNDS_MAX];
    for (size_t i = 0; i < rounds->n; i++)
        ratio[i] = rounds->peer[i] / rounds->ours[i];
    const double middle = bench_median(ratio, rounds->n); /* sorts */
    bench_report_number(report, "rounds", (double)rounds->n, 0);
    bench_report_number(report, "ratio", middle, 2);
    bench_report_number(report, "ratio_min", ratio[0], 2);
    bench_report_number(report, "ratio_max", ratio[rounds->n - 1], 2);
}
