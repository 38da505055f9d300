/* The commands of the program: one file each, all with main's signature and exit codes 0 fine, 1
 * failure, 2 usage. argv[0] is the command's own name. */
#ifndef FW_CLI_CLI_H
#define FW_CLI_CLI_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

int cli_serve(int argc, char **argv);
int cli_demo(int argc, char **argv);
int cli_agent(int argc, char **argv);
int cli_simulate(int argc, char **argv);
int cli_import(int argc, char **argv);
int cli_train(int argc, char **argv);
int cli_forecast(int argc, char **argv);
int cli_evaluate(int argc, char **argv);
int cli_backtest(int argc, char **argv);
int cli_model(int argc, char **argv);
int cli_store(int argc, char **argv);
int cli_bench(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_check_config(int argc, char **argv);
int cli_mapping(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_alerts(int argc, char **argv);
int cli_silence(int argc, char **argv);

enum { CLI_OK = 0, CLI_FAILURE = 1, CLI_USAGE = 2, CLI_FINDINGS = 3 };

/* "forewarn COMMAND: <text>" and a hint to standard error; returns CLI_USAGE. */
int cli_usage_error(const char *command, const char *format, ...) FW_PRINTF(2, 3);
/* The same for what went wrong later; returns CLI_FAILURE. */
int cli_failure(const char *command, const char *format, ...) FW_PRINTF(2, 3);

/* For what getopt_long() with opterr = 0 answered '?': names the option, and says what is wrong
 * with it; returns CLI_USAGE. */
int cli_bad_option(const char *command, char **argv);
/* The same for an option whose value (optarg) does not fit. */
int cli_bad_value(const char *command, char **argv);

/* A whole decimal number within [min, max]; false for anything else, overflow included. */
bool cli_number(const char *text, long min, long max, long *out);
/* The same for a decimal fraction. */
bool cli_real(const char *text, double min, double max, double *out);

struct fw_buf;

/* The buffer to standard output, to the last byte; false when it had failed, or when that does. */
bool cli_print(const struct fw_buf *buf);

/* A line on the terminal (standard error), in place of the one before; and none there any more. */
void cli_progress(const char *format, ...) FW_PRINTF(1, 2);
void cli_progress_end(void);

struct option; /* <getopt.h> */

/* Walks the options with getopt_long(). -h or --help calls help(), sets *helped and ends the walk;
 * every other one goes to take(), with '?' for what is unknown or lacks its value. Anything that is
 * no option is refused. The code of what failed, or CLI_OK. */
int cli_parse(const char *command, int argc, char **argv, const struct option *options,
              void (*help)(void), int (*take)(int argc, char **argv, int option, void *arguments),
              void *arguments, bool *helped);

enum { CLI_PATHS_MAX = 256 };
/* In take(): takes optarg and what follows it up to the next option into paths (CLI_PATHS_MAX), and
 * moves optind behind it. CLI_USAGE when they are too many. */
int cli_take_paths(const char *command, int argc, char **argv, const char **paths, size_t *n_paths);

#endif
