#include "cli/feeder.h"

#include "agent/feed.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "cli/poster.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    RECORDS_PER_POST = 5000,
    BODY_MAX = 48 << 20,
};

struct cli_feeder {
    struct simulate_fleet *fleet;
    const struct fw_clock *clock;
    double speed;
    struct cli_poster *poster;
    struct sample_batch *batch; /* emptied after each post */
    struct schema schema;
    struct fw_buf body;
    bool live;
    int64_t live_wall_ms, live_time_ms; /* the clock and the simulated time when it began */
    bool rejected_told;
    struct cli_feeder_counts counts;
};

enum fw_status cli_feeder_new(const struct cli_feeder_options *options, struct cli_feeder **out,
                              struct fw_error *err)
{
    *out = NULL;
    assert(options->speed >= 1);
    struct cli_feeder *feeder = fw_calloc(1, sizeof *feeder);
    if (feeder == NULL)
        return fw_fail(err, FW_ENOMEM, "feeder: out of memory");
    feeder->fleet = options->fleet;
    feeder->clock = options->clock == NULL ? fw_clock_system() : options->clock;
    feeder->speed = options->speed;
    schema_default(&feeder->schema);
    fw_buf_init(&feeder->body, BODY_MAX);
    feeder->batch = batch_new();
    enum fw_status status = cli_poster_new(options->url, options->api_key, &feeder->poster, err);
    if (status == FW_OK && feeder->batch == NULL)
        status = fw_fail(err, FW_ENOMEM, "feeder: out of memory");
    if (status != FW_OK) {
        cli_feeder_free(feeder);
        return status;
    }
    *out = feeder;
    return FW_OK;
}

void cli_feeder_free(struct cli_feeder *feeder)
{
    if (feeder == NULL)
        return;
    cli_poster_free(feeder->poster);
    batch_free(feeder->batch);
    fw_buf_fini(&feeder->body);
    fw_free(feeder);
}

/* The number behind "records_rejected" in an answer; 0 when there is none. */
static uint64_t rejected_in(const char *answer)
{
    static const char key[] = "\"records_rejected\":";
    const char *at = strstr(answer, key);
    return at == NULL ? 0 : strtoull(at + sizeof key - 1, NULL, 10);
}

static void note_rejected(struct cli_feeder *feeder, const struct agent_answer *answer)
{
    const uint64_t rejected = rejected_in(answer->text);
    const char *errors = strstr(answer->text, "\"errors\":");
    feeder->counts.rejected += rejected;
    if (rejected > 0 && !feeder->rejected_told)
        FW_LOG_WARN("feeder",
                    "the daemon does not take every record rejected=%llu answer=\"%.300s\"",
                    (unsigned long long)rejected, errors != NULL ? errors : answer->text);
    feeder->rejected_told = rejected > 0;
}

static enum fw_status post(struct cli_feeder *feeder, struct fw_error *err)
{
    struct agent_answer answer;
    const enum fw_status status = cli_poster_post(feeder->poster, &feeder->body, &answer, err);
    if (status == FW_OK)
        note_rejected(feeder, &answer);
    return status;
}

/* A batch is of whole steps, so its row i is of server i modulo their number; each is labelled once
 * a post. */
static void put_rows(struct cli_feeder *feeder)
{
    const unsigned servers = simulate_fleet_servers(feeder->fleet);
    for (size_t i = 0; i < feeder->batch->row_count; i++) {
        struct label_set labels;
        label_set_clear(&labels);
        if (i < servers)
            simulate_fleet_labels(feeder->fleet, (unsigned)i, &labels);
        agent_feed_row(&feeder->body, feeder->batch, &feeder->schema, i, &labels);
    }
}

static enum fw_status post_batch(struct cli_feeder *feeder, struct fw_error *err)
{
    fw_buf_reset(&feeder->body);
    agent_feed_begin(&feeder->body);
    put_rows(feeder);
    agent_feed_end(&feeder->body);
    feeder->counts.records += feeder->batch->row_count;
    batch_free(feeder->batch);
    feeder->batch = batch_new();
    if (feeder->body.failed || feeder->batch == NULL)
        return fw_fail(err, FW_ENOMEM, "feeder: out of memory");
    return post(feeder, err);
}

static enum fw_status step(struct cli_feeder *feeder, struct fw_error *err)
{
    return simulate_fleet_step(feeder->fleet, feeder->batch) == FW_OK
               ? FW_OK
               : fw_fail(err, FW_ENOMEM, "feeder: out of memory");
}

enum fw_status cli_feeder_history(struct cli_feeder *feeder, int64_t until_ms, struct fw_error *err)
{
    enum fw_status status = FW_OK;
    while (status == FW_OK && simulate_fleet_time_ms(feeder->fleet) < until_ms) {
        status = step(feeder, err);
        const bool last = simulate_fleet_time_ms(feeder->fleet) >= until_ms;
        if (status == FW_OK && (last || feeder->batch->row_count >= RECORDS_PER_POST))
            status = post_batch(feeder, err);
    }
    return status;
}

enum fw_status cli_feeder_live(struct cli_feeder *feeder, struct fw_error *err)
{
    const int64_t wall_ms = fw_clock_wall_ms(feeder->clock);
    if (!feeder->live) {
        feeder->live = true;
        feeder->live_wall_ms = wall_ms;
        feeder->live_time_ms = simulate_fleet_time_ms(feeder->fleet);
    }
    int64_t now_ms =
        feeder->live_time_ms + (int64_t)((double)(wall_ms - feeder->live_wall_ms) * feeder->speed);
    if (now_ms > wall_ms)
        now_ms = wall_ms;
    enum fw_status status = FW_OK;
    while (status == FW_OK && simulate_fleet_time_ms(feeder->fleet) <= now_ms) {
        status = step(feeder, err);
        if (status == FW_OK)
            status = post_batch(feeder, err);
    }
    return status;
}

void cli_feeder_counts(const struct cli_feeder *feeder, struct cli_feeder_counts *counts)
{
    struct cli_poster_counts posted;
    cli_poster_counts(feeder->poster, &posted);
    *counts = feeder->counts;
    counts->posts = posted.posts;
    counts->retries = posted.retries;
}
