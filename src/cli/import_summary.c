#include "cli/import.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>

static void print_rejections(const struct cli_delivery_counts *d)
{
    const char *between = " (";
    for (int i = BATCH_OK + 1; i < BATCH_REASON_COUNT; i++) {
        if (d->rejected_by[i] == 0)
            continue;
        printf("%s%s %" PRIu64, between, batch_reason_name((enum batch_reason)i),
               d->rejected_by[i]);
        between = ", ";
    }
    printf("%s\n", between[0] == ',' ? ")" : "");
    if (d->first_rejection[0] != '\0')
        printf("  the first refusal: %s\n", d->first_rejection);
}

static void print_left_out(const struct backfill_counts *c)
{
    if (c->no_server + c->not_finite + c->full + c->refused == 0)
        return;
    printf("  left out: samples without a server %" PRIu64 ", not finite %" PRIu64
           ", of too many counters %" PRIu64 ", series refused %" PRIu64 "%s%s\n",
           c->no_server, c->not_finite, c->full, c->refused,
           c->first_refusal[0] != '\0' ? ", the first: " : "", c->first_refusal);
}

static void print_read(const struct import_summary *s)
{
    char first[FW_TIME_SIZE], last[FW_TIME_SIZE];
    const struct backfill_counts *c = s->read;
    printf("servers %zu, of %zu hosts; %zu of %zu known series; %" PRIu64 " samples, %" PRIu64
           " requests, %" PRIu64 " MiB\n",
           s->delivered.servers, c->hosts, c->names_found, c->names_known, c->samples,
           s->asked.requests, s->asked.bytes >> 20);
    if (c->first_ms > 0) {
        fw_time_format_z(c->first_ms, first);
        fw_time_format_z(c->last_ms, last);
        printf("  from %s to %s\n", first, last);
    }
    if (c->gone > 0)
        printf("  silent for three steps and left out (--gone takes them): %zu, as %s\n", c->gone,
               c->a_gone);
    print_left_out(c);
}

void cli_import_summary(const struct import_summary *s)
{
    const struct cli_delivery_counts *d = &s->delivered;
    print_read(s);
    if (s->dry_run) {
        printf("  records %" PRIu64 ", none sent\n", d->records);
        return;
    }
    printf("  records %" PRIu64 ", accepted %" PRIu64 ", refused %" PRIu64, d->records, d->accepted,
           d->rejected);
    print_rejections(d);
    printf("  values new %" PRIu64 ", there before %" PRIu64 ", of closed steps %" PRIu64 "\n",
           d->stored, d->duplicates, d->refused);
    if (d->accepted > 0)
        printf("next: forewarn check --server %s --url %s\n", d->a_server, s->url);
}
