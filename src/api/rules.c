#include "api/rules.h"

#include "api/series.h"
#include "base/alloc.h"

#include <assert.h>

static struct api_rules *make(const struct api *api, const struct schema *schema,
                              const struct label_rules *labels)
{
    struct api_rules *rules = fw_calloc(1, sizeof *rules);
    if (rules == NULL)
        return NULL;
    atomic_init(&rules->references, 1);
    rules->schema = *schema;
    if (labels != NULL)
        rules->labels = *labels;
    rules->decoders = api_decoders_new(&rules->schema, api->options.body_bytes_max);
    if (rules->decoders == NULL) {
        api_rules_release(rules);
        return NULL;
    }
    return rules;
}

enum fw_status api_rules_new(const struct api *api, const struct schema *schema,
                             const char *mapping, const struct label_rules *labels,
                             struct api_rules **out, struct fw_error *err)
{
    struct api_rules *rules = make(api, schema, labels);
    *out = NULL;
    if (rules == NULL)
        return fw_fail(err, FW_ENOMEM, "rules of requests");
    enum fw_status status = FW_OK;
    if (mapping != NULL && *mapping != '\0')
        status = series_rules_read(&rules->schema, mapping, &rules->series, err);
    else if ((rules->series = series_rules_new(&rules->schema)) == NULL)
        status = fw_fail(err, FW_ENOMEM, "rules of raw series");
    if (status != FW_OK) {
        api_rules_release(rules);
        return status;
    }
    *out = rules;
    return FW_OK;
}

void api_rules_use(struct api *api, struct api_rules *rules)
{
    struct api_rules *before;
    const bool fits = api->rules == NULL || rules->schema.count == api->rules->schema.count;
    assert(fits); /* windows have a column for each metric */
    api_series_hold(api->series);
    pthread_mutex_lock(&api->rules_lock);
    before = api->rules;
    api->rules = rules;
    pthread_mutex_unlock(&api->rules_lock);
    api_series_resume(api->series, before != NULL && series_rules_digest(before->series) !=
                                                         series_rules_digest(rules->series));
    api_rules_release(before);
}

struct api_rules *api_rules_current(struct api *api)
{
    pthread_mutex_lock(&api->rules_lock);
    struct api_rules *rules = api_rules_retain(api->rules);
    pthread_mutex_unlock(&api->rules_lock);
    return rules;
}

struct api_rules *api_rules_retain(struct api_rules *rules)
{
    atomic_fetch_add_explicit(&rules->references, 1, memory_order_relaxed);
    return rules;
}

void api_rules_release(struct api_rules *rules)
{
    if (rules == NULL ||
        atomic_fetch_sub_explicit(&rules->references, 1, memory_order_acq_rel) != 1)
        return;
    api_decoders_free(rules->decoders);
    series_rules_free(rules->series);
    fw_free(rules);
}
