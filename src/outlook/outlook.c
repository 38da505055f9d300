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
    outlook_scores_free(outlook);
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
    enum fw_status status = outlook_score(options, previous, outlook, err);
    if (status == FW_OK && options->surprise != NULL)
        status =
            surprise_update(options->surprise, set, previous != NULL ? previous->set : NULL, err);
    if (status == FW_OK)
        status =
            alert_book_update(options->alerts, set, outlook->risks, now_ms, &outlook->alerts, err);
    if (status != FW_OK) {
        outlook_free(outlook);
        return status;
    }
    risk_environment(&options->risk, set, outlook->risks, &outlook->environment);
    summarise(&options->risk, outlook);
    describe(options, model_name, outlook);
    *out = outlook;
    return FW_OK;
}
