/* A message to a program. */
#include "notify/notify_internal.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TICK_MS = 50, OUTPUT_MAX = 64 << 10 };

/* The program, its two pipes, and what is left of the message. */
struct run {
    pid_t pid;
    int in, out; /* our ends; -1: closed */
    const char *body;
    size_t len;
    size_t output; /* bytes read */
};

static size_t split(char *text, char *arguments[NOTIFY_ARGUMENTS_MAX + 1])
{
    size_t n = 0;
    char *rest = NULL;
    for (char *word = strtok_r(text, " \t", &rest); word != NULL && n < NOTIFY_ARGUMENTS_MAX;
         word = strtok_r(NULL, " \t", &rest))
        arguments[n++] = word;
    arguments[n] = NULL;
    return n;
}

static void shut(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static bool make_pipe(int ends[2])
{
    if (pipe(ends) != 0)
        return false;
    for (int i = 0; i < 2; i++)
        (void)fcntl(ends[i], F_SETFD, FD_CLOEXEC);
    return true;
}

/* Signals as a fresh program expects them, and a group of its own to be ended by. */
static bool set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    return posix_spawnattr_setsigmask(attributes, &none) == 0 &&
           posix_spawnattr_setsigdefault(attributes, &defaults) == 0 &&
           posix_spawnattr_setpgroup(attributes, 0) == 0 &&
           posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                    POSIX_SPAWN_SETPGROUP) == 0;
}

/* 0, or what failed. */
static int spawn(char *const arguments[], int in, int out, pid_t *pid)
{
    static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    char *environment[] = {path, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return ENOMEM;
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return ENOMEM;
    }
    int failed = ENOMEM;
    if (posix_spawn_file_actions_adddup2(&actions, in, 0) == 0 &&
        posix_spawn_file_actions_adddup2(&actions, out, 1) == 0 &&
        posix_spawn_file_actions_adddup2(&actions, out, 2) == 0 && set_attributes(&attributes))
        failed = posix_spawn(pid, arguments[0], &actions, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

static int start(struct run *run, char *const arguments[])
{
    int in[2], out[2];
    if (!make_pipe(in))
        return errno;
    if (!make_pipe(out)) {
        const int failed = errno;
        close(in[0]);
        close(in[1]);
        return failed;
    }
    const int failed = spawn(arguments, in[0], out[1], &run->pid);
    close(in[0]);
    close(out[1]);
    run->in = in[1];
    run->out = out[0];
    (void)fcntl(run->in, F_SETFL, O_NONBLOCK);
    (void)fcntl(run->out, F_SETFL, O_NONBLOCK);
    if (failed != 0) {
        shut(&run->in);
        shut(&run->out);
    }
    return failed;
}

/* A program that reads nothing of the message is free to do so. */
static void feed(struct run *run)
{
    const ssize_t n = write(run->in, run->body, run->len);
    if (n > 0) {
        run->body += n;
        run->len -= (size_t)n;
    }
    if (run->len == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        shut(&run->in);
}

static void drain(struct run *run)
{
    char dropped[4096];
    const ssize_t n = read(run->out, dropped, sizeof dropped);
    if (n > 0)
        run->output += (size_t)n;
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || run->output > OUTPUT_MAX)
        shut(&run->out); /* a program that writes on gets SIGPIPE */
}

static void exchange(struct run *run)
{
    struct pollfd fds[2] = {
        {.fd = run->in,  .events = POLLOUT},
        {.fd = run->out, .events = POLLIN }
    };
    if (run->in < 0 && run->out < 0) {
        const struct timespec pause = {0, TICK_MS * 1000000L / 5};
        nanosleep(&pause, NULL);
        return;
    }
    if (poll(fds, 2, TICK_MS) <= 0)
        return;
    if (run->in >= 0 && fds[0].revents != 0)
        feed(run);
    if (run->out >= 0 && fds[1].revents != 0)
        drain(run);
}

/* True when it has ended by itself in time. */
static bool await(struct run *run, unsigned timeout_s, notify_interrupted_fn interrupted, void *ctx,
                  int *code)
{
    const struct fw_clock *clock = fw_clock_system();
    const int64_t until_ns = fw_clock_mono_ns(clock) + (int64_t)timeout_s * 1000000000;
    for (;;) {
        const pid_t ended = waitpid(run->pid, code, WNOHANG);
        if (ended == run->pid)
            return true;
        if ((ended < 0 && errno != EINTR) || fw_clock_mono_ns(clock) >= until_ns ||
            interrupted(ctx))
            return false;
        exchange(run);
    }
}

void notify_exec(const char *command, unsigned timeout_s, const char *body, size_t len,
                 notify_interrupted_fn interrupted, void *ctx, struct notify_answer *answer)
{
    char text[NOTIFY_TEXT_MAX + 1], *arguments[NOTIFY_ARGUMENTS_MAX + 1];
    struct run run = {.in = -1, .out = -1, .body = body, .len = len};
    int code = 0;
    *answer = (struct notify_answer){.outcome = NOTIFY_FAILED};
    snprintf(text, sizeof text, "%s", command);
    if (split(text, arguments) == 0)
        return;
    const int failed = start(&run, arguments);
    if (failed != 0) {
        snprintf(answer->text, sizeof answer->text, "does not start: %s", strerror(failed));
        return;
    }
    const bool ended = await(&run, timeout_s, interrupted, ctx, &code);
    shut(&run.in);
    shut(&run.out);
    (void)kill(-run.pid, SIGKILL); /* with whatever it left behind */
    if (!ended) {
        (void)waitpid(run.pid, &code, 0);
        snprintf(answer->text, sizeof answer->text, "did not end within %u s", timeout_s);
    } else if (WIFEXITED(code) && WEXITSTATUS(code) == 0) {
        answer->outcome = NOTIFY_ACCEPTED;
    } else if (WIFEXITED(code)) {
        snprintf(answer->text, sizeof answer->text, "exit code %d", WEXITSTATUS(code));
    } else {
        snprintf(answer->text, sizeof answer->text, "ended by signal %d", WTERMSIG(code));
    }
}
