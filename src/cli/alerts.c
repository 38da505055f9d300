/* forewarn alerts and forewarn silence: what fires, and what people say to it. */
#include "cli/cli.h"

#include "base/json.h"
#include "cli/client.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

enum { ANSWER_MAX = 64 << 20, JSON_DEPTH = 16, PATH_MAX_LEN = 512, WORDS_MAX = 8 };

struct command {
    struct cli_daemon daemon;
    bool json;
    const char *state;            /* NULL: the daemon's default */
    const char *by;               /* who says so; NULL: the key's name */
    const char *words[WORDS_MAX]; /* what is no option: verb, id, ... */
    size_t word_count;
    struct fw_buf members;    /* of the body, by options */
    struct fw_buf labels;     /* its members */
    struct fw_buf recurrence; /* likewise */
};

/* ---- options ---- */

static void put_member(struct fw_buf *out, const char *key, const char *text)
{
    if (out->len > 0)
        fw_buf_putc(out, ',');
    fw_buf_json_key(out, key);
    fw_buf_json_string(out, text, strlen(text));
}

/* "rack=r1": false when it is not so. */
static bool put_label(struct fw_buf *out, const char *text)
{
    char name[128];
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text || (size_t)(equals - text) >= sizeof name)
        return false;
    memcpy(name, text, (size_t)(equals - text));
    name[equals - text] = '\0';
    put_member(out, name, equals + 1);
    return true;
}

/* "mon,wed" as a JSON list; "daily" is every day. */
static void put_days(struct fw_buf *out, const char *text)
{
    if (strcmp(text, "daily") == 0)
        text = "mon,tue,wed,thu,fri,sat,sun";
    if (out->len > 0)
        fw_buf_putc(out, ',');
    fw_buf_puts(out, "\"days\":[");
    for (const char *at = text; *at != '\0'; at += *at == ',') {
        const size_t len = strcspn(at, ",");
        if (at != text)
            fw_buf_putc(out, ',');
        fw_buf_json_string(out, at, len);
        at += len;
    }
    fw_buf_putc(out, ']');
}

enum { OPT_URL = 1, OPT_KEY, OPT_JSON, OPT_STATE, OPT_DAYS, OPT_BY, OPT_LABEL, OPT_FIRST };

/* Options that are members of a body by their own names; of the last three, of its recurrence. */
static const struct {
    const char *flag, *key;
} members[] = {
    {"comment",  "comment"  },
    {"server",   "server"   },
    {"metric",   "metric"   },
    {"profile",  "profile"  },
    {"severity", "severity" },
    {"starts",   "starts_at"},
    {"ends",     "ends_at"  },
    {"duration", "duration" },
    {"from",     "from"     },
    {"for",      "duration" },
    {"zone",     "zone"     },
};
enum { RECURRENCE_MEMBERS = 3 };

static int take_option(struct command *command, int option)
{
    switch (option) {
    case OPT_URL:
        command->daemon.url = optarg;
        return CLI_OK;
    case OPT_KEY:
        return cli_daemon_key(&command->daemon, optarg);
    case OPT_JSON:
        command->json = true;
        return CLI_OK;
    case OPT_STATE:
        command->state = optarg;
        return CLI_OK;
    case OPT_BY:
        command->by = optarg;
        return CLI_OK;
    case OPT_LABEL:
        return put_label(&command->labels, optarg)
                   ? CLI_OK
                   : cli_usage_error(command->daemon.command,
                                     "--label takes NAME=PATTERN, not \"%s\"", optarg);
    case OPT_DAYS:
        put_days(&command->recurrence, optarg);
        return CLI_OK;
    default:
        break;
    }
    const size_t index = (size_t)(option - OPT_FIRST);
    put_member(index + RECURRENCE_MEMBERS >= COUNT(members) ? &command->recurrence
                                                            : &command->members,
               members[index].key, optarg);
    return CLI_OK;
}

/* -1: go on, else the exit code. */
static int read_arguments(int argc, char **argv, const char *help, struct command *command)
{
    struct option options[COUNT(members) + 9] = {
        {"url",          required_argument, NULL, OPT_URL  },
        {"api-key-file", required_argument, NULL, OPT_KEY  },
        {"json",         no_argument,       NULL, OPT_JSON },
        {"state",        required_argument, NULL, OPT_STATE},
        {"days",         required_argument, NULL, OPT_DAYS },
        {"by",           required_argument, NULL, OPT_BY   },
        {"label",        required_argument, NULL, OPT_LABEL},
        {"help",         no_argument,       NULL, 'h'      },
    };
    for (size_t i = 0; i < COUNT(members); i++)
        options[8 + i] =
            (struct option){members[i].flag, required_argument, NULL, OPT_FIRST + (int)i};
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (option == 'h') {
            fputs(help, stdout);
            return CLI_OK;
        }
        const int code =
            option == '?' ? cli_bad_option(argv[0], argv) : take_option(command, option);
        if (code != CLI_OK)
            return code;
    }
    while (optind < argc) {
        if (command->word_count == WORDS_MAX)
            return cli_usage_error(argv[0], "unexpected \"%s\"", argv[optind]);
        command->words[command->word_count++] = argv[optind++];
    }
    return -1;
}

static void command_init(struct command *command, const char *name)
{
    *command = (struct command){
        .daemon = {.command = name, .url = CLI_DAEMON_URL}
    };
    fw_buf_init(&command->members, 65536);
    fw_buf_init(&command->labels, 65536);
    fw_buf_init(&command->recurrence, 65536);
}

static void command_fini(struct command *command)
{
    fw_buf_fini(&command->members);
    fw_buf_fini(&command->labels);
    fw_buf_fini(&command->recurrence);
}

/* ---- answers ---- */

/* The text of a member, "-" where there is none. */
static const char *text_of(struct fw_json_value object, const char *key)
{
    struct fw_json_value value;
    size_t len;
    const char *text = fw_json_get(object, key, &value) ? fw_json_string(value, &len) : NULL;
    return text != NULL && text[0] != '\0' ? text : "-";
}

typedef void (*show_fn)(struct fw_json_value item);

/* Each member of `list` in the answer (NULL: the answer itself), or all of it as JSON. */
static int show(const struct command *command, const struct fw_buf *answer, const char *list,
                show_fn each)
{
    if (command->json) {
        fwrite(answer->data, 1, answer->len, stdout);
        putchar('\n');
        return CLI_OK;
    }
    struct fw_json_parser *parser = fw_json_parser_new(ANSWER_MAX, JSON_DEPTH);
    struct fw_json_value root, items, item;
    if (parser == NULL || fw_json_parse(parser, answer->data, answer->len, &root, NULL) != FW_OK) {
        fw_json_parser_free(parser);
        return cli_failure(command->daemon.command, "the answer is no JSON");
    }
    if (list == NULL) {
        each(root);
    } else if (fw_json_get(root, list, &items)) {
        struct fw_json_iter iter = fw_json_walk(items);
        while (fw_json_next(&iter, &item))
            each(item);
    }
    fw_json_parser_free(parser);
    return CLI_OK;
}

static int ask(struct command *command, const char *method, const char *path,
               const struct fw_buf *body, const char *list, show_fn each)
{
    struct fw_buf answer;
    fw_buf_init(&answer, ANSWER_MAX);
    int code = cli_daemon_request(&command->daemon, method, path, body, &answer);
    if (code == CLI_OK)
        code = show(command, &answer, list, each);
    fw_buf_fini(&answer);
    return code;
}

/* ,"key":{members} when there are any. */
static void put_object(struct fw_buf *body, const char *key, const struct fw_buf *object)
{
    if (object->len == 0)
        return;
    if (body->len > 1)
        fw_buf_putc(body, ',');
    fw_buf_json_key(body, key);
    fw_buf_putc(body, '{');
    fw_buf_put(body, object->data, object->len);
    fw_buf_putc(body, '}');
}

/* {members,"labels":{...},"recurrence":{...}} */
static int ask_with_body(struct command *command, const char *method, const char *path,
                         show_fn each)
{
    struct fw_buf body;
    fw_buf_init(&body, 131072);
    fw_buf_putc(&body, '{');
    fw_buf_put(&body, command->members.data, command->members.len);
    put_object(&body, "labels", &command->labels);
    put_object(&body, "recurrence", &command->recurrence);
    fw_buf_putc(&body, '}');
    const int code = ask(command, method, path, &body, NULL, each);
    fw_buf_fini(&body);
    return code;
}

/* Ids are 16 hex digits; anything else would be another path. */
static bool id_fits(const char *id)
{
    return strlen(id) == 16 && strspn(id, "0123456789abcdef") == 16;
}

static int need_id(const struct command *command)
{
    if (command->word_count != 2 || !id_fits(command->words[1]))
        return cli_usage_error(command->daemon.command, "%s needs one id of 16 hex digits",
                               command->words[0]);
    return CLI_OK;
}

static bool verb_is(const struct command *command, const char *verb)
{
    return command->word_count > 0 && strcmp(command->words[0], verb) == 0;
}

static void list_path(const struct command *command, const char *path, char out[PATH_MAX_LEN])
{
    snprintf(out, PATH_MAX_LEN, "%s%s%.64s", path, command->state != NULL ? "?state=" : "",
             command->state != NULL ? command->state : "");
}

static bool state_fits(const struct command *command)
{
    return command->state == NULL ||
           strspn(command->state, "abcdefghijklmnopqrstuvwxyz") == strlen(command->state);
}

/* ---- alerts ---- */

static void show_alert_line(struct fw_json_value alert)
{
    printf("%s  %-12s %-8s %-24s %-18s %s\n", text_of(alert, "id"), text_of(alert, "state"),
           text_of(alert, "severity"), text_of(alert, "server"), text_of(alert, "metric"),
           text_of(alert, "message"));
}

static void show_alert(struct fw_json_value alert)
{
    static const char *const keys[] = {"id",          "state",   "severity",        "server",
                                       "metric",      "message", "time_to_issue",   "profile",
                                       "starts_at",   "ends_at", "acknowledged_by", "silenced_by",
                                       "inhibited_by"};
    for (size_t i = 0; i < COUNT(keys); i++)
        printf("%-16s %s\n", keys[i], text_of(alert, keys[i]));
}

static void show_action(struct fw_json_value action)
{
    const char *id = text_of(action, "alert_id");
    if (strcmp(id, "-") == 0)
        id = text_of(action, "silence_id");
    printf("%s  %-14s %s  %-24s %s: %s\n", text_of(action, "timestamp"), text_of(action, "action"),
           id, text_of(action, "subject"), text_of(action, "by"), text_of(action, "comment"));
}

static const char alerts_help[] =
    "usage: forewarn alerts [list] [--state STATE]   active, firing, acknowledged, silenced, "
    "resolved, all\n"
    "       forewarn alerts show ID\n"
    "       forewarn alerts ack ID [--by WHO] [--comment TEXT]\n"
    "       forewarn alerts unack ID\n"
    "       forewarn alerts actions                  who acknowledged and silenced what\n"
    "  --url URL            " CLI_DAEMON_URL "\n"
    "  --api-key-file FILE  a key; ack and unack need the role admin\n"
    "  --json               the API's answer as it is\n";

static int run_alerts(struct command *command)
{
    char path[PATH_MAX_LEN];
    if (command->word_count == 0 || (verb_is(command, "list") && command->word_count == 1)) {
        list_path(command, "/api/v1/alerts", path);
        return ask(command, "GET", path, NULL, "alerts", show_alert_line);
    }
    if (verb_is(command, "actions") && command->word_count == 1)
        return ask(command, "GET", "/api/v1/alerts/actions", NULL, "actions", show_action);
    const bool ack = verb_is(command, "ack"), unack = verb_is(command, "unack");
    if (!ack && !unack && !verb_is(command, "show"))
        return cli_usage_error(command->daemon.command, "unexpected \"%s\"", command->words[0]);
    const int code = need_id(command);
    if (code != CLI_OK)
        return code;
    snprintf(path, sizeof path, "/api/v1/alerts/%s%s", command->words[1],
             ack || unack ? "/ack" : "");
    if (ack && command->by != NULL)
        put_member(&command->members, "by", command->by);
    if (ack)
        return ask_with_body(command, "POST", path, show_alert_line);
    return ask(command, unack ? "DELETE" : "GET", path, NULL, NULL,
               unack ? show_alert_line : show_alert);
}

int cli_alerts(int argc, char **argv)
{
    struct command command;
    command_init(&command, argv[0]);
    int code = read_arguments(argc, argv, alerts_help, &command);
    if (code < 0)
        code = state_fits(&command) ? run_alerts(&command)
                                    : cli_usage_error(argv[0], "no state \"%s\"", command.state);
    command_fini(&command);
    return code;
}

/* ---- silences ---- */

static void show_labels(struct fw_json_value silence)
{
    struct fw_json_value labels, value;
    const char *key;
    size_t key_len, len;
    if (!fw_json_get(silence, "labels", &labels) || fw_json_type(labels) != FW_JSON_OBJECT)
        return;
    struct fw_json_iter iter = fw_json_walk(labels);
    while (fw_json_next_member(&iter, &key, &key_len, &value))
        printf(" %s=%s", key, fw_json_string(value, &len));
}

static void show_silence(struct fw_json_value silence)
{
    static const char *const choices[] = {"server", "metric", "profile", "severity"};
    struct fw_json_value window, reason, ends;
    printf("%s  %-8s", text_of(silence, "id"), text_of(silence, "state"));
    for (size_t i = 0; i < COUNT(choices); i++)
        if (strcmp(text_of(silence, choices[i]), "-") != 0)
            printf(" %s=%s", choices[i], text_of(silence, choices[i]));
    show_labels(silence);
    if (fw_json_get(silence, "ends_at", &ends) && fw_json_type(ends) == FW_JSON_STRING)
        printf(", until %s UTC", text_of(silence, "ends_at"));
    if (fw_json_get(silence, "recurrence", &window) && fw_json_type(window) == FW_JSON_OBJECT) {
        struct fw_json_value days, day;
        size_t len;
        fputs(", every", stdout);
        if (fw_json_get(window, "days", &days)) {
            struct fw_json_iter iter = fw_json_walk(days);
            while (fw_json_next(&iter, &day))
                printf(" %s", fw_json_string(day, &len));
        }
        printf(" %s for %s (%s)", text_of(window, "from"), text_of(window, "duration"),
               text_of(window, "zone"));
    }
    if (fw_json_get(silence, "reason", &reason) && fw_json_type(reason) == FW_JSON_STRING)
        printf(", does not hold: %s", text_of(silence, "reason"));
    printf("  %s: %s\n", text_of(silence, "created_by"), text_of(silence, "comment"));
}

static void show_ended(struct fw_json_value silence)
{
    printf("%s  %s\n", text_of(silence, "id"), text_of(silence, "state"));
}

static const char silence_help[] =
    "usage: forewarn silence [list] [--state STATE]  current, active, pending, expired, all\n"
    "       forewarn silence add CHOICE TIME [--by WHO] [--comment TEXT]\n"
    "       forewarn silence end ID\n"
    "choice, one or more:\n"
    "  --server PATTERN  --metric PATTERN  --profile NAME  --severity warning|critical\n"
    "  --label NAME=PATTERN        of the server; up to 8, all must fit\n"
    "time, once:\n"
    "  --duration 2h               from now, or from --starts TIME; or --ends TIME\n"
    "time, every week:\n"
    "  --days mon,wed|daily --from 22:30 --for 3h [--starts TIME] [--ends TIME]\n"
    "  --zone Europe/Berlin        whose clock that is; or an offset, +01:00; default: utc\n"
    "  --url URL            " CLI_DAEMON_URL "\n"
    "  --api-key-file FILE  a key; add and end need the role admin\n"
    "  --json               the API's answer as it is\n";

static int run_silence(struct command *command)
{
    char path[PATH_MAX_LEN];
    if (command->word_count == 0 || (verb_is(command, "list") && command->word_count == 1)) {
        list_path(command, "/api/v1/silences", path);
        return ask(command, "GET", path, NULL, "silences", show_silence);
    }
    if (verb_is(command, "add") && command->word_count == 1) {
        if (command->by != NULL)
            put_member(&command->members, "created_by", command->by);
        return ask_with_body(command, "POST", "/api/v1/silences", show_silence);
    }
    if (!verb_is(command, "end"))
        return cli_usage_error(command->daemon.command, "unexpected \"%s\"", command->words[0]);
    const int code = need_id(command);
    if (code != CLI_OK)
        return code;
    snprintf(path, sizeof path, "/api/v1/silences/%s", command->words[1]);
    return ask(command, "DELETE", path, NULL, NULL, show_ended);
}

int cli_silence(int argc, char **argv)
{
    struct command command;
    command_init(&command, argv[0]);
    int code = read_arguments(argc, argv, silence_help, &command);
    if (code < 0)
        code = state_fits(&command) ? run_silence(&command)
                                    : cli_usage_error(argv[0], "no state \"%s\"", command.state);
    command_fini(&command);
    return code;
}
