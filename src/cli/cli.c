#include "cli/cli.h"

#include "base/buf.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cli_usage_error(const char *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "forewarn %s: ", command);
    vfprintf(stderr, format, args);
    fprintf(stderr, " (see forewarn %s --help)\n", command);
    va_end(args);
    return CLI_USAGE;
}

int cli_failure(const char *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "forewarn %s: ", command);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return CLI_FAILURE;
}

int cli_bad_option(const char *command, char **argv)
{
    const char *word = argv[optind - 1];
    if (strncmp(word, "--", 2) != 0)
        return cli_usage_error(command, "no option -%c", optopt);
    if (optopt == 0) /* unknown; else the option's own value */
        return cli_usage_error(command, "no option %s", word);
    return cli_usage_error(command, "%s %s", word,
                           strchr(word, '=') != NULL ? "has a value and takes none"
                                                     : "needs a value");
}

int cli_bad_value(const char *command, char **argv)
{
    const char *word = argv[optind - 1];
    return word == optarg ? cli_usage_error(command, "%s %s: not a value in its range",
                                            argv[optind - 2], optarg)
                          : cli_usage_error(command, "%s: not a value in its range", word);
}

bool cli_number(const char *text, long min, long max, long *out)
{
    char *end;
    errno = 0;
    const long value = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < min || value > max)
        return false;
    *out = value;
    return true;
}

bool cli_real(const char *text, double min, double max, double *out)
{
    char *end;
    errno = 0;
    const double value = strtod(text, &end);
    if (errno != 0 || end == text || *end != '\0' || !(value >= min && value <= max))
        return false;
    *out = value;
    return true;
}

bool cli_print(const struct fw_buf *buf)
{
    return !buf->failed && fwrite(buf->data, 1, buf->len, stdout) == buf->len &&
           fflush(stdout) == 0;
}

void cli_progress(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fputs("\r\033[K", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fflush(stderr);
    va_end(args);
}

void cli_progress_end(void)
{
    (void)fputs("\r\033[K", stderr);
}

int cli_parse(const char *command, int argc, char **argv, const struct option *options,
              void (*help)(void), int (*take)(int argc, char **argv, int option, void *arguments),
              void *arguments, bool *helped)
{
    *helped = false;
    optind = 1;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (c == 'h') {
            help();
            *helped = true;
            return CLI_OK;
        }
        const int code = take(argc, argv, c, arguments);
        if (code != CLI_OK)
            return code;
    }
    return optind < argc ? cli_usage_error(command, "what is %s?", argv[optind]) : CLI_OK;
}

int cli_take_paths(const char *command, int argc, char **argv, const char **paths, size_t *n_paths)
{
    for (optind--; optind < argc && strncmp(argv[optind], "--", 2) != 0; optind++) {
        if (*n_paths == CLI_PATHS_MAX)
            return cli_usage_error(command, "more than %d paths", CLI_PATHS_MAX);
        paths[(*n_paths)++] = argv[optind];
    }
    return CLI_OK;
}
