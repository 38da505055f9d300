#include "cli/cli.h"

#include "ingest/series_rules.h"

#include <stdio.h>
#include <string.h>

static int usage(FILE *to, int code)
{
    fputs(
        "usage: forewarn mapping [FILE]\n\n"
        "Prints the built-in rules that say what raw series mean; with FILE, checks the rules in "
        "it\n"
        "(for metrics that a configuration adds: forewarn check-config). The language is that of\n"
        "docs/mapping.md.\n",
        to);
    return code;
}

static int check(const char *command, const char *path)
{
    struct schema schema;
    struct series_rules *rules;
    struct fw_error err = {0};
    schema_default(&schema);
    const enum fw_status status = series_rules_read(&schema, path, &rules, &err);
    series_rules_free(rules);
    if (status != FW_OK)
        return cli_failure(command, "%s", err.text);
    puts("the mapping is fine");
    return CLI_OK;
}

int cli_mapping(int argc, char **argv)
{
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return usage(stdout, CLI_OK);
    if (argc == 2 && argv[1][0] != '-')
        return check(argv[0], argv[1]);
    if (argc != 1)
        return usage(stderr, CLI_USAGE);
    for (size_t i = 0; series_builtin[i] != NULL; i++)
        fputs(series_builtin[i], stdout);
    return CLI_OK;
}
