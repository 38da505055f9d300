#include "domain/labels.h"

#include "base/buf.h"
#include "base/text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

const char label_rules_default[] =
    "cloud_availability_zone, cloud_region, cluster, datacenter, dc, deployment_environment, env, "
    "environment, job, rack, region, role, service, service_name, team, tenant, zone";

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool label_name_valid(const char *name, size_t len)
{
    if (len == 0 || len > LABEL_NAME_MAX || !is_letter(name[0]))
        return false;
    for (size_t i = 1; i < len; i++)
        if (!is_letter(name[i]) && !(name[i] >= '0' && name[i] <= '9'))
            return false;
    return true;
}

bool label_value_valid(const char *value, size_t len)
{
    return fw_name_valid(value, len, LABEL_VALUE_MAX);
}

bool label_name_reserved(const char *name)
{
    static const char *const ours[] = {"alertname", "for",       "horizon", "host",     "instance",
                                       "lead",      "metric",    "profile", "quantile", "severity",
                                       "server",    "threshold", "within"};
    if (strncmp(name, "__", 2) == 0 || strcmp(name, "ml_forecast") == 0)
        return true;
    for (size_t i = 0; i < COUNT(ours); i++)
        if (strcmp(name, ours[i]) == 0)
            return true;
    return false;
}

/* ---- which are kept ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* "default" stands for the list of defaults, so that one may add to it. */
static enum fw_status add_defaults(struct label_rules *rules, struct fw_error *err);

static enum fw_status add_rule(struct label_rules *rules, const char *name, size_t len,
                               struct fw_error *err)
{
    if (len == 7 && memcmp(name, "default", 7) == 0)
        return add_defaults(rules, err);
    if (!label_name_valid(name, len))
        return fw_fail(err, FW_EINVAL,
                       "\"%.*s\" is no label's name: up to %d letters, digits and _ expected",
                       len < 80 ? (int)len : 80, name, LABEL_NAME_MAX);
    if (rules->count == LABEL_RULES_MAX)
        return fw_fail(err, FW_EINVAL, "more than %d labels", LABEL_RULES_MAX);
    char *rule = rules->names[rules->count];
    memcpy(rule, name, len);
    rule[len] = '\0';
    if (label_name_reserved(rule))
        return fw_fail(err, FW_EINVAL,
                       "\"%s\" cannot be kept: it names the server, or is one of our own", rule);
    for (size_t i = 0; i < rules->count; i++)
        if (strcmp(rules->names[i], rule) == 0)
            return fw_fail(err, FW_EINVAL, "\"%s\" stands there twice", rule);
    rules->count++;
    return FW_OK;
}

static enum fw_status add_list(struct label_rules *rules, const char *list, struct fw_error *err)
{
    enum fw_status status = FW_OK;
    for (const char *at = list; *at != '\0' && status == FW_OK; at += *at == ',') {
        at += strspn(at, " \t");
        size_t len = strcspn(at, ",");
        const char *next = at + len;
        while (len > 0 && (at[len - 1] == ' ' || at[len - 1] == '\t'))
            len--;
        if (len > 0)
            status = add_rule(rules, at, len, err);
        at = next;
    }
    return status;
}

static enum fw_status add_defaults(struct label_rules *rules, struct fw_error *err)
{
    return add_list(rules, label_rules_default, err);
}

enum fw_status label_rules_parse(struct label_rules *rules, const char *list, struct fw_error *err)
{
    *rules = (struct label_rules){0};
    const enum fw_status status = add_list(rules, list, err);
    qsort(rules->names, rules->count, sizeof rules->names[0], by_text);
    return status;
}

/* As strcmp() of the name, mapped, and a rule. */
static int compare(const char *name, size_t len, const char *rule)
{
    for (size_t i = 0; i < len; i++) {
        const char c = name[i] == '.' || name[i] == '-' || name[i] == '/' ? '_' : name[i];
        if (c != rule[i])
            return (unsigned char)c < (unsigned char)rule[i] ? -1 : 1;
    }
    return rule[len] == '\0' ? 0 : -1;
}

const char *label_rules_find(const struct label_rules *rules, const char *name, size_t len)
{
    size_t low = 0, high = rules->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = compare(name, len, rules->names[middle]);
        if (order == 0)
            return rules->names[middle];
        if (order > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* ---- a set ---- */

void label_set_clear(struct label_set *set)
{
    set->count = set->used = 0;
}

void label_set_copy(struct label_set *to, const struct label_set *from)
{
    memcpy(to, from, label_set_size(from));
}

bool label_set_equal(const struct label_set *a, const struct label_set *b)
{
    return a->used == b->used && memcmp(a->text, b->text, a->used) == 0;
}

bool label_set_next(const struct label_set *set, size_t *at, const char **name, const char **value)
{
    if (*at >= set->used)
        return false;
    *name = set->text + *at;
    *value = *name + strlen(*name) + 1;
    *at = (size_t)(*value - set->text) + strlen(*value) + 1;
    return true;
}

/* Where the label stands, or would; *size: its bytes, 0 when it is not there. */
static size_t place_of(const struct label_set *set, const char *name, size_t *size)
{
    size_t at = 0, next = 0;
    const char *have, *value;
    *size = 0;
    while (label_set_next(set, &next, &have, &value)) {
        const int order = strcmp(have, name);
        if (order == 0)
            *size = next - at;
        if (order >= 0)
            return at;
        at = next;
    }
    return at;
}

bool label_set_put(struct label_set *set, const char *name, size_t name_len, const char *value,
                   size_t value_len)
{
    char key[LABEL_NAME_MAX + 1];
    size_t had;
    if (!label_name_valid(name, name_len) || !label_value_valid(value, value_len))
        return false;
    memcpy(key, name, name_len);
    key[name_len] = '\0';
    const size_t at = place_of(set, key, &had), size = name_len + value_len + 2;
    if (set->used - had + size > LABEL_SET_BYTES || (had == 0 && set->count == LABELS_MAX))
        return false;
    char *to = set->text + at;
    memmove(to + size, to + had, set->used - at - had);
    memcpy(to, key, name_len + 1);
    memcpy(to + name_len + 1, value, value_len);
    to[size - 1] = '\0';
    set->used = (uint16_t)(set->used - had + size);
    set->count = (uint16_t)(set->count + (had == 0));
    return true;
}

void label_set_remove(struct label_set *set, const char *name)
{
    size_t size;
    const size_t at = place_of(set, name, &size);
    if (size == 0)
        return;
    memmove(set->text + at, set->text + at + size, set->used - at - size);
    set->used = (uint16_t)(set->used - size);
    set->count--;
}

const char *label_set_get(const struct label_set *set, const char *name)
{
    size_t size;
    const size_t at = place_of(set, name, &size);
    return size > 0 ? set->text + at + strlen(name) + 1 : NULL;
}

void label_set_put_members(struct fw_buf *out, const struct label_set *set)
{
    size_t at = 0;
    const char *name, *value;
    for (size_t n = 0; label_set_next(set, &at, &name, &value); n++) {
        if (n > 0)
            fw_buf_putc(out, ',');
        fw_buf_json_key(out, name);
        fw_buf_json_string(out, value, strlen(value));
    }
}

bool label_source_read(const struct label_source *source, const char *server, struct label_set *out)
{
    label_set_clear(out);
    return source->read != NULL && source->read(source->ctx, server, out);
}
