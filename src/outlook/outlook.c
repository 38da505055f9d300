#include "outlook/outlook.h"

#include "base/alloc.h"
#include "outlook/outlook_internal.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* What is shared is constant but for the count of references, and is freed by its last owner. */
static struct outlook *own(const struct outlook *outlook)
{
    const union {
        const struct outlook *shared;
        struct outlook *own;
    } both = {.shared = outlook};
    return both.own;
}

const struct outlook *outlook_retain(const struct outlook *outlook)
{
    atomic_fetch_add_explicit(&own(outlook)->references, 1, memory_order_relaxed);
    return outlook;
}

static void outlook_free(struct outlook *outlook)
{
    if (outlook->set != NULL)
        forecast_set_release(outlook->set);
    alert_list_release(outlook->alerts);
    const union {
        const struct risk *shared;
        struct risk *own;
    } risks = {.shared = outlook->risks};
    fw_free(risks.own);
    fw_free(outlook);
}

void outlook_release(const struct outlook *outlook)
{
    if (outlook == NULL)
        return;
    const unsigned before =
        atomic_fetch_sub_explicit(&own(outlook)->references, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1)
        outlook_free(own(outlook));
}

enum { SCORE_SERVERS = 64 }; /* that one worker scores at a time */

struct scoring {
    const struct risk_options *options;
    const struct forecast_set *set;
    const struct outlook *previous;
    bool same; /* servers as in `previous` */
    struct risk *risks;
};

/* Where the outlook before has the server of item i, or would have it; `at`: of the item before. */
static size_t place_before(const struct scoring *s, size_t i, size_t at)
{
    const struct forecast_set *before = s->previous->set;
    if (s->same)
        return i;
    while (at < before->count && strcmp(before->items[at]->name, s->set->items[i]->name) < 0)
        at++;
    return at;
}

/* Both sets are sorted by name, and forecasts that did not change are the same objects: one walk
 * tells which risks can be taken over. */
static void score_block(void *ctx, size_t block)
{
    const struct scoring *s = ctx;
    const size_t first = block * SCORE_SERVERS, known = s->previous->set->count;
    const size_t left = s->set->count - first,
                 end = first + (left < SCORE_SERVERS ? left : SCORE_SERVERS);
    size_t at = s->same ? first : forecast_set_from(s->previous->set, s->set->items[first]->name);
    for (size_t i = first; i < end; i++) {
        const struct forecast *forecast = s->set->items[i];
        at = place_before(s, i, at);
        if (at < known && s->previous->set->items[at] == forecast) {
            s->risks[i] = s->previous->risks[at];
            s->risks[i].kept = true;
        } else {
            risk_score(s->options, forecast, &s->risks[i]);
        }
    }
}

static void score_all(const struct outlook_runner_options *options, const struct forecast_set *set,
                      const struct outlook *previous, struct risk *risks)
{
    static const struct forecast_set nobody;
    static const struct risk none;
    static const struct outlook nothing = {.set = &nobody, .risks = &none};
    if (previous == NULL)
        previous = &nothing;
    struct scoring scoring = {&options->risk, set, previous,
                              forecast_set_same_servers(set, previous->set), risks};
    const size_t blocks = (set->count + SCORE_SERVERS - 1) / SCORE_SERVERS;
    if (set->computed > SCORE_SERVERS) {
        forecaster_spread(options->forecaster, blocks, score_block, &scoring);
        return;
    }
    /* For a few the workers would not be awake before it is done. */
    for (size_t block = 0; block < blocks; block++)
        score_block(&scoring, block);
}

/* Keeps the `OUTLOOK_TOP_MAX` riskiest, first come first where equal: the set is sorted by name. */
static void rank(struct outlook *outlook, uint32_t index)
{
    const float score = outlook->risks[index].score;
    size_t at = outlook->top_count;
    if (at == OUTLOOK_TOP_MAX) {
        if (!(score > outlook->risks[outlook->top[at - 1]].score))
            return;
        at--;
    } else {
        outlook->top_count++;
    }
    while (at > 0 && outlook->risks[outlook->top[at - 1]].score < score) {
        outlook->top[at] = outlook->top[at - 1];
        at--;
    }
    outlook->top[at] = index;
}

static void summarise(const struct risk_options *options, struct outlook *outlook)
{
    double sum = 0.0;
    for (size_t i = 0; i < outlook->set->count; i++) {
        const double score = (double)outlook->risks[i].score;
        sum += score;
        if (score > outlook->max_risk)
            outlook->max_risk = score;
        outlook->level_counts[risk_count_level(options, score)]++;
        rank(outlook, (uint32_t)i);
    }
    if (outlook->set->count > 0)
        outlook->average_risk = sum / (double)outlook->set->count;
    outlook->health_score = 100.0 - outlook->average_risk;
}

static bool any_tft(const struct forecast_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        for (size_t k = 0; k < set->items[i]->path_count; k++) {
            if (forecast_path_by_model(&set->items[i]->paths[k]))
                return true;
        }
    }
    return false;
}

static void describe(const struct outlook_runner_options *options, const char *model_name,
                     struct outlook *outlook)
{
    struct fleet_counts counts;
    fleet_counts(options->fleet, &counts);
    outlook->records = counts.rows;
    outlook->own_schema = *options->risk.schema;
    outlook->schema = &outlook->own_schema;
    outlook->risk_model = risk_scorer_name(options->risk.scorer);
    snprintf(outlook->model_type, sizeof outlook->model_type, "%s",
             any_tft(outlook->set) ? "TFT" : "heuristic");
    snprintf(outlook->model_name, sizeof outlook->model_name, "%s", model_name);
}

enum fw_status outlook_build(const struct outlook_runner_options *options,
                             const struct forecast_set *set, const struct outlook *previous,
                             const char *model_name, int64_t now_ms, const struct outlook **out,
                             struct fw_error *err)
{
    *out = NULL;
    struct outlook *outlook = fw_calloc(1, sizeof *outlook);
    if (outlook == NULL) {
        forecast_set_release(set);
        return fw_fail(err, FW_ENOMEM, "make an outlook");
    }
    atomic_init(&outlook->references, 1);
    outlook->set = set;
    outlook->id = set->run;
    outlook->made_ms = set->made_ms;
    outlook->step_s = set->step_s;
    struct risk *risks = fw_calloc(set->count + 1, sizeof *risks); /* one more: never of size 0 */
    outlook->risks = risks;
    if (risks == NULL) {
        outlook_free(outlook);
        return fw_fail(err, FW_ENOMEM, "make an outlook");
    }
    score_all(options, set, previous, risks);
    enum fw_status status = FW_OK;
    if (options->surprise != NULL)
        status =
            surprise_update(options->surprise, set, previous != NULL ? previous->set : NULL, err);
    if (status == FW_OK)
        status = alert_book_update(options->alerts, set, risks, now_ms, options->on_transition,
                                   options->on_transition_ctx, &outlook->alerts, err);
    if (status != FW_OK) {
        outlook_free(outlook);
        return status;
    }
    risk_environment(&options->risk, set, risks, &outlook->environment);
    summarise(&options->risk, outlook);
    describe(options, model_name, outlook);
    *out = outlook;
    return FW_OK;
}
