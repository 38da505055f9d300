/* forewarn check: one server's outlook as a plugin of Nagios, Icinga, Naemon or Zabbix tells it: a
 * line of text with performance data, and 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN. */
#include "cli/cli.h"

#include "base/json.h"
#include "cli/client.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum { ANSWER_MAX = 64 << 20, JSON_DEPTH = 16, REASON_MAX = 1024 };
enum plugin_state { PLUGIN_OK, PLUGIN_WARNING, PLUGIN_CRITICAL, PLUGIN_UNKNOWN };

struct check {
    struct cli_daemon daemon;
    const char *server, *within; /* "30m" or "8h" */
    double warning, critical;    /* chances */
};

static void help(void)
{
    puts("usage: forewarn check --server NAME [OPTIONS]\n"
         "\n"
         "One line about a server for Nagios and its like: the chance that one of its metrics "
         "passes\n"
         "a critical threshold, what is nearest to it, and performance data.\n"
         "Exit status: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN: no answer, no such server, no "
         "recent\n"
         "data, no forecast yet, or a wrong option.\n"
         "\n"
         "  --server NAME        as the daemon names it\n"
         "  --within 30m|8h      how far ahead (8h)\n"
         "  --warning P          a chance from 0 to 1 (0.5)\n"
         "  --critical P         likewise, not below the other (0.8)\n"
         "  --url URL            http://127.0.0.1:8000\n"
         "  --api-key-file FILE  a key; its role may be read\n"
         "  --help");
}

/* What comes from elsewhere must stay in its line and out of the performance data. */
static void put_plain(struct fw_buf *line, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)text[i];
        fw_buf_putc(line, c == '|' ? '/' : c < ' ' || c == 0x7f ? ' ' : (char)c);
    }
}

/* "FOREWARN STATE - NAME: "; what follows is the caller's. */
static void begin_line(struct fw_buf *line, const struct check *check, enum plugin_state state)
{
    static const char *const names[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};
    fw_buf_printf(line, "FOREWARN %s - ", names[state]);
    put_plain(line, check->server, strlen(check->server));
    fw_buf_puts(line, ": ");
}

static int end_line(struct fw_buf *line, enum plugin_state state)
{
    fw_buf_putc(line, '\n');
    return cli_print(line) ? (int)state : PLUGIN_UNKNOWN;
}

static int unknown(const struct check *check, const char *text, size_t len)
{
    struct fw_buf line;
    fw_buf_init(&line, 2 * REASON_MAX);
    begin_line(&line, check, PLUGIN_UNKNOWN);
    put_plain(&line, text, len);
    const int code = end_line(&line, PLUGIN_UNKNOWN);
    fw_buf_fini(&line);
    return code;
}

static bool get_number(struct fw_json_value root, const char *key, double *out)
{
    struct fw_json_value value;
    return fw_json_get(root, key, &value) && fw_json_number(value, out);
}

/* The message of the first alert that the daemon lists. */
static void put_alert(struct fw_buf *line, struct fw_json_value root)
{
    struct fw_json_value alerts, first, message;
    size_t len;
    if (!fw_json_get(root, "alerts", &alerts))
        return;
    struct fw_json_iter iter = fw_json_walk(alerts);
    if (!fw_json_next(&iter, &first) || !fw_json_get(first, "message", &message))
        return;
    const char *text = fw_json_string(message, &len);
    if (text != NULL) {
        fw_buf_puts(line, "; ");
        put_plain(line, text, len);
    }
}

static int judge(const struct check *check, struct fw_json_value root)
{
    char key[32];
    double chance, score;
    struct fw_json_value value;
    struct fw_buf line;
    bool stale = true;
    snprintf(key, sizeof key, "crossing_probability_%s", check->within);
    if (!fw_json_get(root, "stale", &value) || !fw_json_bool(value, &stale) || stale)
        return unknown(check, "no recent data", 14);
    if (!get_number(root, key, &chance) || !get_number(root, "risk_score", &score))
        return unknown(check, "no forecast yet", 15);
    const enum plugin_state state = chance >= check->critical  ? PLUGIN_CRITICAL
                                    : chance >= check->warning ? PLUGIN_WARNING
                                                               : PLUGIN_OK;
    fw_buf_init(&line, ANSWER_MAX);
    begin_line(&line, check, state);
    fw_buf_printf(&line, "chance %.3g of trouble within %s, risk %.1f", chance, check->within,
                  score);
    put_alert(&line, root);
    fw_buf_printf(&line, " | probability=%.3g;%.3g;%.3g;0;1 risk=%.1f;;;0;100", chance,
                  check->warning, check->critical, score);
    const int code = end_line(&line, state);
    fw_buf_fini(&line);
    return code;
}

/* "/api/v1/servers/NAME" with every byte that could mean something escaped. */
static void put_path(struct fw_buf *path, const char *server)
{
    fw_buf_puts(path, "/api/v1/servers/");
    fw_buf_put_url(path, server, strlen(server));
    fw_buf_putc(path, '\0');
}

static int ask(struct check *check)
{
    struct fw_buf path, answer, reason;
    struct fw_json_value root;
    int code;
    fw_buf_init(&path, REASON_MAX);
    fw_buf_init(&answer, ANSWER_MAX);
    fw_buf_init(&reason, REASON_MAX);
    check->daemon.reason = &reason;
    struct fw_json_parser *parser = fw_json_parser_new(ANSWER_MAX, JSON_DEPTH);
    put_path(&path, check->server);
    if (parser == NULL || path.failed)
        code = unknown(check, "out of memory", 13);
    else if (cli_daemon_request(&check->daemon, "GET", path.data, NULL, &answer) != CLI_OK)
        code = unknown(check, reason.len > 0 ? reason.data : "no answer",
                       reason.len > 0 ? reason.len : 9);
    else if (fw_json_parse(parser, answer.data, answer.len, &root, NULL) != FW_OK)
        code = unknown(check, "the answer is no JSON", 21);
    else
        code = judge(check, root);
    fw_json_parser_free(parser);
    check->daemon.reason = NULL;
    fw_buf_fini(&reason);
    fw_buf_fini(&answer);
    fw_buf_fini(&path);
    return code;
}

enum { OPT_SERVER = 1, OPT_WITHIN, OPT_WARNING, OPT_CRITICAL, OPT_URL, OPT_KEY };

static int take(int argc, char **argv, int option, void *arguments)
{
    struct check *check = arguments;
    bool good = true;
    (void)argc;
    (void)argv;
    switch (option) {
    case OPT_SERVER:
        check->server = optarg;
        good = optarg[0] != '\0' && strlen(optarg) <= 128;
        break;
    case OPT_WITHIN:
        check->within = optarg;
        good = strcmp(optarg, "30m") == 0 || strcmp(optarg, "8h") == 0;
        break;
    case OPT_WARNING:
        good = cli_real(optarg, 0, 1, &check->warning);
        break;
    case OPT_CRITICAL:
        good = cli_real(optarg, 0, 1, &check->critical);
        break;
    case OPT_URL:
        check->daemon.url = optarg;
        break;
    case OPT_KEY:
        return cli_daemon_key(&check->daemon, optarg);
    default:
        return cli_bad_option("check", argv);
    }
    return good ? CLI_OK : cli_bad_value("check", argv);
}

int cli_check(int argc, char **argv)
{
    static const struct option options[] = {
        {"server",       required_argument, NULL, OPT_SERVER  },
        {"within",       required_argument, NULL, OPT_WITHIN  },
        {"warning",      required_argument, NULL, OPT_WARNING },
        {"critical",     required_argument, NULL, OPT_CRITICAL},
        {"url",          required_argument, NULL, OPT_URL     },
        {"api-key-file", required_argument, NULL, OPT_KEY     },
        {"help",         no_argument,       NULL, 'h'         },
        {NULL,           0,                 NULL, 0           },
    };
    struct check check = {
        .daemon = {.command = argv[0], .url = CLI_DAEMON_URL},
        .within = "8h",
        .warning = 0.5,
        .critical = 0.8
    };
    bool helped;
    const int code = cli_parse("check", argc, argv, options, help, take, &check, &helped);
    if (helped)
        return CLI_OK;
    if (code != CLI_OK)
        return PLUGIN_UNKNOWN;
    if (check.server == NULL) {
        (void)cli_usage_error("check", "which --server?");
        return PLUGIN_UNKNOWN;
    }
    if (check.critical < check.warning) {
        (void)cli_usage_error("check", "--critical is below --warning");
        return PLUGIN_UNKNOWN;
    }
    return ask(&check);
}
