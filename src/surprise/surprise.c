#include "surprise/surprise.h"

#include "base/alloc.h"
#include "surprise/surprise_internal.h"

#include <assert.h>
#include <math.h>
#include <string.h>

struct surprise {
    struct surprise_options options;
    struct surprise_server **servers; /* by name, as the last update's set */
    bool *firing;                     /* (count) their verdicts'; from the first update on */
    size_t count;
    uint64_t roster;        /* of that set; 0: there was none, or it was not known */
    double fleet_threshold; /* as it was when the thresholds were renewed */
    int64_t renewed_step;   /* the newest step that was closed then */
    size_t closed;          /* steps, of all servers, since */
};

/* A server that alarms more often than so many times its share is held back by a threshold of its
 * own, and the fleet's is not raised for its sake beyond that. */
static const double own_share = 4.0;

void surprise_options_default(struct surprise_options *options, uint32_t step_s)
{
    *options = (struct surprise_options){.step_s = step_s, .alarms_per_server_day = 0.2};
}

void surprise_set_rate(struct surprise *surprise, double alarms_per_server_day)
{
    assert(alarms_per_server_day > 0.0);
    surprise->options.alarms_per_server_day = alarms_per_server_day;
}

enum fw_status surprise_new(const struct surprise_options *options, struct surprise **out,
                            struct fw_error *err)
{
    assert(options->step_s > 0 && options->alarms_per_server_day > 0.0);
    *out = fw_calloc(1, sizeof **out);
    if (*out == NULL)
        return fw_fail(err, FW_ENOMEM, "no memory to look for unusual behaviour");
    (*out)->options = *options;
    (*out)->renewed_step = SURPRISE_LONG_AGO;
    return FW_OK;
}

void surprise_free(struct surprise *surprise)
{
    if (surprise == NULL)
        return;
    for (size_t i = 0; i < surprise->count; i++)
        surprise_server_free(surprise->servers[i]);
    fw_free(surprise->servers);
    fw_free(surprise->firing);
    fw_free(surprise);
}

/* ---- who is there ---- */

/* The set is sorted by name, and so are the servers: one walk takes over who stays, makes who is
 * new, and forgets the rest. */
static enum fw_status follow(struct surprise *s, const struct forecast_set *set,
                             struct fw_error *err)
{
    size_t at = 0;
    struct surprise_server **now = fw_calloc(set->count + 1, sizeof *now);
    bool *firing = fw_calloc(set->count + 1, sizeof *firing);
    if (now == NULL || firing == NULL) {
        fw_free(now);
        fw_free(firing);
        return fw_fail(err, FW_ENOMEM, "no memory to look for unusual behaviour");
    }
    for (size_t i = 0; i < set->count; i++) {
        const char *name = set->items[i]->name;
        while (at < s->count && strcmp(s->servers[at]->name, name) < 0)
            at++;
        const bool known = at < s->count && strcmp(s->servers[at]->name, name) == 0;
        now[i] = known ? s->servers[at] : surprise_server_new(name);
        if (now[i] != NULL) {
            now[i]->fresh = !known;
            continue;
        }
        for (size_t k = 0; k < i; k++)
            if (now[k]->fresh)
                surprise_server_free(now[k]);
        fw_free(now);
        fw_free(firing);
        return fw_fail(err, FW_ENOMEM, "no memory to look for unusual behaviour");
    }
    at = 0;
    for (size_t i = 0; i < s->count; i++) {
        while (at < set->count && strcmp(set->items[at]->name, s->servers[i]->name) < 0)
            at++;
        if (at == set->count || now[at] != s->servers[i])
            surprise_server_free(s->servers[i]);
    }
    fw_free(s->servers);
    fw_free(s->firing);
    s->servers = now;
    s->firing = firing;
    s->count = set->count;
    return FW_OK;
}

/* ---- thresholds ---- */

static double fleet_threshold(const struct surprise *s, double per_day)
{
    struct surprise_counts fleet = {0};
    for (size_t i = 0; i < s->count; i++) {
        const struct surprise_ladder *ladder = &s->servers[i]->ladder;
        surprise_counts_add(&fleet, ladder, own_share * per_day * (double)ladder->days + 1.0);
    }
    return surprise_counts_threshold(&fleet, per_day, 1.0);
}

static double server_threshold(const struct surprise *s, size_t index, double per_day, double fleet)
{
    struct surprise_counts own = {0};
    if (!surprise_server_learned(s->servers[index], s->options.step_s))
        return (double)INFINITY;
    surprise_counts_add(&own, &s->servers[index]->ladder, (double)INFINITY);
    return fmax(fleet, surprise_counts_threshold(&own, own_share * per_day, 0.0));
}

void surprise_thresholds(const struct surprise *s, double alarms_per_server_day, double *thresholds)
{
    const double fleet = fleet_threshold(s, alarms_per_server_day);
    for (size_t i = 0; i < s->count; i++)
        thresholds[i] = server_threshold(s, i, alarms_per_server_day, fleet);
}

/* ---- an update ---- */

static void judge(struct surprise *s, size_t index)
{
    const double threshold =
        server_threshold(s, index, s->options.alarms_per_server_day, s->fleet_threshold);
    surprise_server_judge(s->servers[index], threshold, s->options.step_s);
    s->firing[index] = s->servers[index]->verdict.firing;
}

/* One server's newest forecast; *newest becomes the newest step that was closed. */
static bool update_one(struct surprise *s, size_t index, const struct forecast *forecast,
                       int64_t *newest)
{
    const int64_t open = s->servers[index]->step;
    if (!surprise_server_update(s->servers[index], forecast, s->options.step_s))
        return false;
    if (open >= 0 && s->servers[index]->step != open) {
        *newest = open > *newest ? open : *newest;
        s->closed++;
    }
    return true;
}

/* Thresholds are taken from closed steps, a month of them: they are renewed when the fleet closed
 * one that no server had closed before, or each server one (time was set back). */
static bool renew_due(const struct surprise *s, int64_t newest)
{
    return newest > s->renewed_step || s->closed > s->count;
}

static void renew(struct surprise *s, int64_t newest)
{
    s->fleet_threshold = fleet_threshold(s, s->options.alarms_per_server_day);
    s->renewed_step = newest > s->renewed_step ? newest : s->renewed_step;
    s->closed = 0;
}

enum fw_status surprise_update(struct surprise *s, const struct forecast_set *set,
                               const struct forecast_set *previous, struct fw_error *err)
{
    const bool same =
        previous != NULL && set->roster == s->roster && forecast_set_same_servers(set, previous);
    int64_t newest = SURPRISE_LONG_AGO;
    enum fw_status status = same ? FW_OK : follow(s, set, err);
    if (status == FW_OK)
        s->roster = set->roster;
    for (size_t i = 0; i < set->count && status == FW_OK; i++)
        if (!(same && previous->items[i] == set->items[i]) &&
            !update_one(s, i, set->items[i], &newest))
            status = fw_fail(err, FW_ENOMEM, "no memory to look for unusual behaviour");
    if (status != FW_OK)
        return status;
    const bool all = !same || renew_due(s, newest);
    if (all)
        renew(s, newest);
    for (size_t i = 0; i < s->count; i++)
        if (all || previous->items[i] != set->items[i])
            judge(s, i);
    return FW_OK;
}

const struct surprise_verdict *surprise_verdict(const struct surprise *surprise, size_t index)
{
    assert(index < surprise->count);
    return &surprise->servers[index]->verdict;
}

bool surprise_firing(const struct surprise *surprise, size_t index)
{
    assert(index < surprise->count);
    return surprise->firing[index];
}

/* ---- what is kept ---- */

size_t surprise_count(const struct surprise *surprise)
{
    return surprise->count;
}

const char *surprise_name(const struct surprise *surprise, size_t index)
{
    assert(index < surprise->count);
    return surprise->servers[index]->name;
}

void surprise_encode(const struct surprise *surprise, size_t index, const struct schema *schema,
                     struct fw_buf *out)
{
    assert(index < surprise->count);
    surprise_server_encode(surprise->servers[index], schema, surprise->options.step_s, out);
}

enum fw_status surprise_decode(struct surprise *s, const char *name, const struct schema *schema,
                               const void *data, size_t len, struct fw_error *err)
{
    assert(s->count == 0 || strcmp(s->servers[s->count - 1]->name, name) < 0);
    if (strlen(name) > SERVER_NAME_MAX)
        return fw_fail(err, FW_ECORRUPT, "what was learned is of no server");
    struct surprise_server *server = surprise_server_new(name);
    void *wider = fw_realloc_array(s->servers, s->count + 1, sizeof *s->servers);
    if (wider != NULL)
        s->servers = wider;
    enum fw_status status =
        server == NULL || wider == NULL
            ? fw_fail(err, FW_ENOMEM, "no memory for what was learned of %.100s", name)
            : surprise_server_decode(server, schema, s->options.step_s, data, len, err);
    if (status != FW_OK)
        surprise_server_free(server);
    else
        s->servers[s->count++] = server;
    return status;
}
