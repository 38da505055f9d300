/* Sets made by hand, for the tests of baselines, origins and figures. */
#ifndef FW_TESTS_MADE_SET_H
#define FW_TESTS_MADE_SET_H

#include "base/alloc.h"
#include "evaluate/set.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Servers "s0", "s1", ... of `steps` steps from 2026-01-05 on, metrics "m0", "m1", ...; everything
 * missing. Released with evaluate_set_free(). */
static inline struct evaluate_set *made_set(size_t servers, size_t metrics, size_t steps,
                                            size_t test)
{
    struct evaluate_set *set = fw_calloc(1, sizeof *set);
    assert(set != NULL);
    strcpy(set->name, "made");
    set->history = fw_calloc(1, sizeof *set->history);
    set->servers = fw_calloc(servers, sizeof *set->servers);
    assert(set->history != NULL && set->servers != NULL);
    struct history *h = set->history;
    h->step_s = 300;
    h->exact = true;
    h->n_columns = metrics;
    for (size_t m = 0; m < metrics; m++)
        (void)snprintf(h->column[m], sizeof h->column[m], "m%zu", m);
    h->series = fw_calloc(servers, sizeof *h->series);
    assert(h->series != NULL);
    h->n_series = set->n_servers = servers;
    for (size_t i = 0; i < servers; i++) {
        struct history_series *s = &h->series[i];
        char name[16];
        (void)snprintf(name, sizeof name, "s%zu", i);
        s->name = fw_strdup(name);
        s->first = 1767571200 / 300;
        s->steps = s->capacity = steps;
        for (size_t m = 0; m < metrics; m++) {
            s->value[m] = fw_calloc(steps, sizeof *s->value[m]);
            s->exact[m] = fw_calloc(steps, sizeof *s->exact[m]);
            assert(s->value[m] != NULL && s->exact[m] != NULL);
            for (size_t t = 0; t < steps; t++) {
                s->value[m][t] = NAN;
                s->exact[m][t] = (double)NAN;
            }
        }
        set->servers[i] = (struct evaluate_server){.series = s, .steps = steps, .test = test};
    }
    return set;
}

static inline void made_value(struct evaluate_set *set, size_t server, size_t metric, size_t t,
                              double value)
{
    struct history_series *s = &set->history->series[server];
    s->value[metric][t] = (float)value;
    s->exact[metric][t] = value;
}

#endif
