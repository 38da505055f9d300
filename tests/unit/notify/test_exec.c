/* Programs as receivers: what they get, and what their ends mean. */
#include "notify/notify_internal.h"

#include "support.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static char directory[] = "/tmp/forewarn-exec-XXXXXX";

static bool never(void *ctx)
{
    (void)ctx;
    return false;
}

static bool at_once(void *ctx)
{
    (void)ctx;
    return true;
}

/* A script of that name; its path is valid until the next. */
static const char *script(const char *text)
{
    static char path[128];
    static int n;
    snprintf(path, sizeof path, "%s/script-%d", directory, n++);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "#!/bin/sh\n%s\n", text);
    assert_int_equal(fclose(file), 0);
    char command[160];
    snprintf(command, sizeof command, "chmod 700 %s", path);
    assert_int_equal(system(command), 0);
    return path;
}

static void test_ends(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        enum notify_outcome outcome;
        const char *answer;
    } rows[] = {
        {"fine",                              "cat >/dev/null",                   NOTIFY_ACCEPTED, ""                  },
        {"reads nothing",                     "exit 0",                           NOTIFY_ACCEPTED, ""                  },
        {"fails",                             "exit 3",                           NOTIFY_FAILED,   "exit code 3"       },
        {"is killed",                         "kill -9 $$",                       NOTIFY_FAILED,   "ended by signal 9" },
        {"takes too long",                    "sleep 100",                        NOTIFY_FAILED,   "did not end within"},
        {"takes too long, ignores all",       "trap '' TERM INT; sleep 100",      NOTIFY_FAILED,
         "did not end within"                                                                                          },
        {"writes without end",                "yes; exit 0",                      NOTIFY_ACCEPTED, ""                  },
        {"leaves a child behind",             "sleep 100 & exit 0",               NOTIFY_ACCEPTED, ""                  },
        {"has no secrets in its environment",
         "env | grep -qv -e ^PATH= -e ^PWD= -e ^_= -e ^SHLVL= && exit 1; exit 0", NOTIFY_ACCEPTED,
         ""                                                                                                            },
    };
    char *body = malloc(300000);
    assert_non_null(body);
    memset(body, 'x', 300000); /* more than a pipe holds */
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct notify_answer answer;
        notify_exec(script(rows[i].text), 1, body, 300000, never, NULL, &answer);
        CHECK_EQ(rows[i].name, answer.outcome, rows[i].outcome);
        if (strstr(answer.text, rows[i].answer) == NULL)
            fail_msg("%s: \"%s\"", rows[i].name, answer.text);
    }
    free(body);
}

static void test_message_and_arguments(void **state)
{
    (void)state;
    char command[256], path[128], text[64] = "";
    struct notify_answer answer;
    snprintf(path, sizeof path, "%s/out", directory);
    /* No shell: what looks like one is an argument. */
    snprintf(command, sizeof command, "%s %s  $(id) ;", script("{ echo \"$#$2$3\"; cat; } > $1"),
             path);
    notify_exec(command, 5, "{\"a\":1}", 7, never, NULL, &answer);
    assert_int_equal(answer.outcome, NOTIFY_ACCEPTED);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    const size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = '\0';
    assert_string_equal(text, "3$(id);\n{\"a\":1}");
}

static void test_broken_off_and_absent(void **state)
{
    (void)state;
    struct notify_answer answer;
    notify_exec(script("sleep 100"), 60, "", 0, at_once, NULL, &answer);
    assert_int_equal(answer.outcome, NOTIFY_FAILED);
    notify_exec("/nonexistent/program", 1, "", 0, never, NULL, &answer);
    assert_int_equal(answer.outcome, NOTIFY_FAILED);
    assert_non_null(strstr(answer.text, "does not start"));
}

static int set_up(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN); /* as the daemon does */
    return mkdtemp(directory) != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "rm -r %s", directory);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_message_and_arguments),
        cmocka_unit_test(test_broken_off_and_absent),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
