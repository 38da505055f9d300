#include "cli/store.h"

#include "archive/archive.h"
#include "base/buf.h"
#include "base/text.h"
#include "cli/cli.h"
#include "store/check.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: forewarn store check DIR [--json] [--repair-to NEWDIR]\n"
    "       forewarn store backup DIR --to NEWDIR [--json]\n"
    "       forewarn store compact DIR [--json]\n"
    "\n"
    "check    reads a data directory that no daemon uses, tells each damage and how many blocks "
    "and\n"
    "         days of history there are; changes nothing.\n"
    "         With --repair-to, what is whole is copied to NEWDIR, which must be missing or "
    "empty.\n"
    "backup   copies a data directory, also beside a running daemon.\n"
    "compact  removes what two snapshots cover, and shrinks state and history.\n"
    "\n"
    "Exit status: 0 fine, 1 failure, 2 usage, 3 damage was found.\n";

struct request {
    const char *verb, *dir, *to;
    bool json;
};

static void print_line(struct fw_buf *line)
{
    if (!line->failed)
        printf("%.*s\n", (int)line->len, line->data);
    fw_buf_fini(line);
}

static void key_text(struct fw_buf *out, const char *key, const char *text)
{
    fw_buf_json_key(out, key);
    fw_buf_json_string(out, text, strlen(text));
}

static void key_number(struct fw_buf *out, const char *key, uint64_t value)
{
    fw_buf_putc(out, ',');
    fw_buf_json_key(out, key);
    fw_buf_printf(out, "%" PRIu64, value);
}

static void print_finding(void *ctx, const struct store_finding *finding)
{
    const struct request *request = ctx;
    if (!request->json) {
        printf("%s: %s", finding->kind, finding->path);
        if (finding->length > 0)
            printf(": bytes %" PRIu64 " to %" PRIu64, finding->offset,
                   finding->offset + finding->length - 1);
        printf(": %s\n", finding->text);
        return;
    }
    struct fw_buf line;
    fw_buf_init(&line, 64 << 10);
    fw_buf_putc(&line, '{');
    key_text(&line, "finding", finding->kind);
    fw_buf_putc(&line, ',');
    key_text(&line, "path", finding->path);
    key_number(&line, "offset", finding->offset);
    key_number(&line, "length", finding->length);
    fw_buf_putc(&line, ',');
    key_text(&line, "text", finding->text);
    fw_buf_putc(&line, '}');
    print_line(&line);
}

/* ---- the long history ---- */

struct history_report {
    struct request *request;
    const char *path;
    uint64_t blocks, damaged, findings;
    uint64_t servers, servers_now; /* most at one time; at the time of the block seen last */
    int64_t from_s, last_s, to_s;  /* of whole blocks */
};

static void tell_history(struct history_report *report, const char *kind, const char *what,
                         const char *trouble)
{
    struct store_finding finding = {.kind = kind};
    snprintf(finding.path, sizeof finding.path, "%s", report->path);
    snprintf(finding.text, sizeof finding.text, "%.80s: %.70s", what, trouble);
    report->findings++;
    print_finding(report->request, &finding);
}

static bool count_block(void *ctx, const struct archive_found *found)
{
    struct history_report *report = ctx;
    if (found->block == NULL) {
        report->damaged++;
        if (!found->checksum_failed) /* which store_check() has told */
            tell_history(report, "damaged-block", found->key, found->trouble);
        return true;
    }
    const int64_t end_s = found->start_s + archive_length_s(found->block->step_s);
    if (report->blocks++ == 0)
        report->from_s = found->start_s;
    report->servers_now = found->start_s == report->last_s ? report->servers_now + 1 : 1;
    if (report->servers_now > report->servers)
        report->servers = report->servers_now;
    report->last_s = found->start_s;
    report->to_s = end_s > report->to_s ? end_s : report->to_s;
    return true;
}

/* Reads every block. */
static void check_history(struct request *request, bool present, struct history_report *report)
{
    struct store_directory directory;
    struct store_state *state = NULL;
    struct fw_error err = {0};
    const struct store_state_options look = {.read_only = true, .unchecked = true};
    *report = (struct history_report){.request = request, .last_s = -1};
    if (!present ||
        store_directory_init(&directory, request->dir, NULL, STORE_DIRECTORY_LOOK, &err) != FW_OK)
        return;
    report->path = directory.history;
    enum fw_status status = store_state_open(directory.history, &look, NULL, &state, &err);
    if (status == FW_OK)
        status = archive_each(state, count_block, report, &err);
    if (status != FW_OK)
        tell_history(report, "unreadable-history", "not every block can be looked up", err.text);
    report->path = NULL; /* it was the directory's */
    store_state_close(state);
    store_directory_fini(&directory);
}

static double days_of(const struct history_report *report)
{
    return (double)(report->to_s - report->from_s) / 86400.0;
}

static void print_history(const struct history_report *report)
{
    char from[FW_TIME_SIZE], to[FW_TIME_SIZE];
    if (report->blocks + report->damaged == 0)
        return;
    printf("%s: %" PRIu64 " blocks of history, %" PRIu64 " of them damaged", report->request->dir,
           report->blocks + report->damaged, report->damaged);
    if (report->blocks > 0) {
        fw_time_format_z(report->from_s * 1000, from);
        fw_time_format_z(report->to_s * 1000, to);
        printf("; up to %" PRIu64 " servers, %.1f days from %s to %s", report->servers,
               days_of(report), from, to);
    }
    putchar('\n');
}

static void put_history(struct fw_buf *line, const struct history_report *report)
{
    key_number(line, "history_blocks", report->blocks);
    key_number(line, "history_damaged", report->damaged);
    key_number(line, "history_servers", report->servers);
    fw_buf_puts(line, ",\"history_days\":");
    fw_buf_json_number(line, days_of(report), 3);
}

static void print_report(const struct request *request, const struct store_check_report *report,
                         const struct history_report *history)
{
    const struct store_journal_report *journal = &report->journal;
    if (!request->json) {
        printf("%s: %" PRIu64 " segments with %" PRIu64 " records, %" PRIu64
               " snapshots with %" PRIu64 " blocks, state %s: %" PRIu64 " findings\n",
               request->dir, journal->segments, journal->records, report->snapshots,
               report->snapshot_blocks, report->state_present ? "present" : "absent",
               report->findings + history->findings);
        print_history(history);
        return;
    }
    struct fw_buf line;
    fw_buf_init(&line, 64 << 10);
    fw_buf_putc(&line, '{');
    key_text(&line, "directory", request->dir);
    key_number(&line, "segments", journal->segments);
    key_number(&line, "records", journal->records);
    key_number(&line, "first_seq", journal->first_seq);
    key_number(&line, "last_seq", journal->last_seq);
    key_number(&line, "lost_records", journal->lost_records);
    key_number(&line, "uncertain_records", journal->uncertain_records);
    key_number(&line, "damaged_regions", journal->damaged_regions);
    key_number(&line, "torn_bytes", journal->torn_bytes);
    key_number(&line, "snapshots", report->snapshots);
    key_number(&line, "snapshot_blocks", report->snapshot_blocks);
    key_number(&line, "snapshot_sequence", report->snapshot_sequence);
    key_number(&line, "state_damaged_rows", report->state_damaged_rows);
    put_history(&line, history);
    key_number(&line, "findings", report->findings + history->findings);
    fw_buf_putc(&line, '}');
    print_line(&line);
}

static int run_check(struct request *request)
{
    struct store_check_report report;
    struct history_report history;
    struct fw_error err;
    enum fw_status status;
    if (request->to == NULL)
        status = store_check(request->dir, print_finding, request, &report, &err);
    else
        status = store_copy(request->dir, request->to, print_finding, request, &report, &err);
    if (status != FW_OK)
        return cli_failure("store", "%s", err.text);
    check_history(request, report.history_present, &history);
    print_report(request, &report, &history);
    return report.findings + history.findings > 0 ? CLI_FINDINGS : CLI_OK;
}

static int run_compact(const struct request *request)
{
    struct store_compact_report report;
    struct fw_error err;
    if (store_compact(request->dir, &report, &err) != FW_OK)
        return cli_failure("store", "%s", err.text);
    if (!request->json) {
        printf("%s: removed %" PRIu64 " segments with %" PRIu64 " bytes; state from %" PRIu64
               " to %" PRIu64 " bytes, history from %" PRIu64 " to %" PRIu64 "\n",
               request->dir, report.removed_segments, report.removed_bytes,
               report.state_bytes_before, report.state_bytes_after, report.history_bytes_before,
               report.history_bytes_after);
        return CLI_OK;
    }
    struct fw_buf line;
    fw_buf_init(&line, 64 << 10);
    fw_buf_putc(&line, '{');
    key_text(&line, "directory", request->dir);
    key_number(&line, "removed_segments", report.removed_segments);
    key_number(&line, "removed_bytes", report.removed_bytes);
    key_number(&line, "state_bytes_before", report.state_bytes_before);
    key_number(&line, "state_bytes_after", report.state_bytes_after);
    key_number(&line, "history_bytes_before", report.history_bytes_before);
    key_number(&line, "history_bytes_after", report.history_bytes_after);
    fw_buf_putc(&line, '}');
    print_line(&line);
    return CLI_OK;
}

int cli_store(int argc, char **argv)
{
    static const struct option options[] = {
        {"json",      no_argument,       NULL, 'j'},
        {"repair-to", required_argument, NULL, 'r'},
        {"to",        required_argument, NULL, 't'},
        {"help",      no_argument,       NULL, 'h'},
        {NULL,        0,                 NULL, 0  }
    };
    struct request request = {0};
    bool repair = false;
    int option;
    optind = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'j':
            request.json = true;
            break;
        case 'r':
            repair = true;
            request.to = optarg;
            break;
        case 't':
            request.to = optarg;
            break;
        case 'h':
            fputs(help, stdout);
            return CLI_OK;
        default:
            return cli_bad_option("store", argv);
        }
    }
    if (argc - optind != 2)
        return cli_usage_error("store", "a verb and one directory are needed");
    request.verb = argv[optind];
    request.dir = argv[optind + 1];
    const bool check = strcmp(request.verb, "check") == 0;
    const bool backup = strcmp(request.verb, "backup") == 0;
    if (repair && !check)
        return cli_usage_error("store", "--repair-to belongs to check");
    if (check && request.to != NULL && !repair)
        return cli_usage_error("store", "--to belongs to backup");
    if (backup && request.to == NULL)
        return cli_usage_error("store", "backup needs --to NEWDIR");
    if (check || backup)
        return run_check(&request);
    if (strcmp(request.verb, "compact") == 0 && request.to == NULL)
        return run_compact(&request);
    return cli_usage_error("store", "no verb \"%s\"", request.verb);
}
