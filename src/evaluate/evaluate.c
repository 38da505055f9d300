#include "evaluate/evaluate.h"

#include "base/alloc.h"
#include "evaluate/baseline.h"
#include "evaluate/ours.h"

#include <stdio.h>
#include <string.h>

static enum fw_status result_new(const struct evaluate_set *set, struct evaluate_result **out,
                                 struct fw_error *err)
{
    const size_t n_servers = set->n_servers, n_metrics = set->history->n_columns;
    struct evaluate_result *r = fw_calloc(1, sizeof *r);
    *out = r;
    if (r == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory for a result");
    memcpy(r->set, set->name, sizeof r->set);
    r->step_s = set->history->step_s;
    r->refused = set->history->refused;
    enum fw_status status = evaluate_score_init(&r->scores, n_servers, n_metrics, err);
    if (status != FW_OK)
        return status;
    r->servers = fw_calloc(n_servers, sizeof *r->servers);
    r->metrics = fw_calloc(n_metrics, sizeof *r->metrics);
    r->ett = set->ett ? fw_calloc(n_servers, sizeof *r->ett) : NULL;
    bool made = r->servers != NULL && r->metrics != NULL && (!set->ett || r->ett != NULL);
    for (size_t i = 0; made && i < n_servers; i++) {
        r->servers[i] = fw_strdup(set->servers[i].series->name);
        made = r->servers[i] != NULL;
    }
    for (size_t m = 0; made && m < n_metrics; m++) {
        struct evaluate_metric *metric = &r->metrics[m];
        (void)snprintf(metric->name, sizeof metric->name, "%s",
                       evaluate_set_metric(set, m, &metric->complement));
    }
    return made ? FW_OK : fw_fail(err, FW_ENOMEM, "no memory for a result");
}

void evaluate_result_free(struct evaluate_result *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; r->servers != NULL && i < r->scores.n_servers; i++)
        fw_free(r->servers[i]);
    fw_free(r->servers);
    fw_free(r->metrics);
    fw_free(r->ett);
    evaluate_score_fini(&r->scores);
    fw_free(r);
}

static enum fw_status score_baselines(const struct evaluate_set *set,
                                      const struct evaluate_options *options,
                                      struct evaluate_timeline *timelines,
                                      struct evaluate_result *r, struct fw_error *err)
{
    for (size_t i = 0; i < set->n_servers; i++) {
        enum fw_status status = evaluate_origins_find(set, i, &timelines[i], err);
        if (status == FW_OK)
            status = evaluate_baseline_score(set, i, &timelines[i], &r->scores, err);
        if (status != FW_OK)
            return status;
        r->origins += timelines[i].test.n;
        r->servers_without += timelines[i].test.n == 0;
        if (set->ett) {
            r->ett[i].origins = timelines[i].each.n;
            evaluate_ett_fit(&set->servers[i], set->history->n_columns, &r->ett[i]);
            evaluate_ett_persistence(&set->servers[i], set->history->n_columns, &timelines[i].each,
                                     &r->ett[i]);
        }
        if (options->progress != NULL)
            options->progress(options->progress_ctx, set->name, "baselines", i + 1, set->n_servers);
    }
    return r->origins > 0
               ? FW_OK
               : fw_fail(err, FW_EINVAL,
                         "%s: no server has %d steps, half of them with values, before a test part "
                         "of %d steps or more",
                         set->name, EVALUATE_CONTEXT, EVALUATE_HORIZON);
}

enum fw_status evaluate_run(const struct evaluate_set *set, const struct evaluate_options *options,
                            struct evaluate_result **out, struct fw_error *err)
{
    struct evaluate_result *r = NULL;
    struct evaluate_timeline *timelines = fw_calloc(set->n_servers, sizeof *timelines);
    *out = NULL;
    enum fw_status status = timelines == NULL ? fw_fail(err, FW_ENOMEM, "no memory for the origins")
                                              : result_new(set, &r, err);
    if (status == FW_OK)
        status = score_baselines(set, options, timelines, r, err);
    if (status == FW_OK && !options->baselines_only) {
        r->ours = true;
        status = evaluate_ours_score(set, options, timelines, r, err);
    }
    for (size_t i = 0; timelines != NULL && i < set->n_servers; i++)
        evaluate_origins_fini(&timelines[i]);
    fw_free(timelines);
    if (status == FW_OK) {
        *out = r;
        r = NULL;
    }
    evaluate_result_free(r);
    return status;
}
