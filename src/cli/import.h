/* What an import says at its end. */
#ifndef FW_CLI_IMPORT_H
#define FW_CLI_IMPORT_H

#include "backfill/backfill.h"
#include "cli/delivery.h"

struct import_summary {
    const struct backfill_counts *read;
    struct backfill_source_counts asked;
    struct cli_delivery_counts delivered;
    const char *url; /* of the daemon */
    bool dry_run;
};

/* To standard output. */
void cli_import_summary(const struct import_summary *summary);

#endif
