#include "evaluate/origins.h"

#include "base/alloc.h"

#include <math.h>

/* seen[t]: steps before t in which the server had any value. */
static uint32_t *count_seen(const struct history *h, const struct evaluate_server *server)
{
    uint32_t *seen = fw_calloc(server->steps + 1, sizeof *seen);
    for (size_t t = 0; seen != NULL && t < server->steps; t++) {
        bool any = false;
        for (size_t c = 0; c < h->n_columns && !any; c++)
            any = server->series->exact[c] != NULL && !isnan(server->series->exact[c][t]);
        seen[t + 1] = seen[t] + any;
    }
    return seen;
}

static enum fw_status collect(const uint32_t *seen, size_t first, size_t last, size_t every,
                              struct evaluate_origins *out, struct fw_error *err)
{
    if (first < EVALUATE_CONTEXT)
        first = EVALUATE_CONTEXT;
    if (first + EVALUATE_HORIZON > last)
        return FW_OK;
    out->at = fw_calloc((last - EVALUATE_HORIZON - first) / every + 1, sizeof *out->at);
    if (out->at == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory for the origins");
    for (size_t o = first; o + EVALUATE_HORIZON <= last; o += every) {
        if (2 * (seen[o] - seen[o - EVALUATE_CONTEXT]) >= EVALUATE_CONTEXT)
            out->at[out->n++] = o;
    }
    return FW_OK;
}

enum fw_status evaluate_origins_find(const struct evaluate_set *set, size_t server,
                                     struct evaluate_timeline *out, struct fw_error *err)
{
    const struct evaluate_server *s = &set->servers[server];
    const size_t before = s->test < s->steps ? s->test : s->steps;
    *out = (struct evaluate_timeline){0};
    uint32_t *seen = count_seen(set->history, s);
    if (seen == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory for the origins");
    enum fw_status status = collect(seen, s->test, s->steps, EVALUATE_EVERY, &out->test, err);
    if (status == FW_OK)
        status = collect(seen, EVALUATE_CONTEXT, before, EVALUATE_FIT_EVERY, &out->past, err);
    if (status == FW_OK && set->ett)
        status = collect(seen, s->test, s->steps, 1, &out->each, err);
    fw_free(seen);
    return status;
}

void evaluate_origins_fini(struct evaluate_timeline *timeline)
{
    fw_free(timeline->test.at);
    fw_free(timeline->past.at);
    fw_free(timeline->each.at);
    *timeline = (struct evaluate_timeline){0};
}
