#include "notify/settings.h"

#include <curl/curl.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char name_letters[] =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-";

const char *notify_kind_name(enum notify_kind kind)
{
    static const char *const names[NOTIFY_KINDS] = {"alertmanager", "webhook", "exec"};
    return names[kind];
}

void notify_settings_default(struct notify_settings *settings)
{
    *settings = (struct notify_settings){.resend_s = 60, .inhibit = true};
}

/* ---- values ---- */

static bool parse_bool(const char *text, bool *out)
{
    const bool on = strcmp(text, "on") == 0 || strcmp(text, "true") == 0;
    *out = on;
    return on || strcmp(text, "off") == 0 || strcmp(text, "false") == 0;
}

static bool parse_number(const char *text, uint32_t min, uint32_t max, uint32_t *out)
{
    char *end;
    errno = 0;
    const unsigned long value = strtoul(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || errno != 0 || *end != '\0' || value < min ||
        value > max)
        return false;
    *out = (uint32_t)value;
    return true;
}

static bool parse_text(const char *text, char out[NOTIFY_TEXT_MAX + 1])
{
    const size_t len = strlen(text);
    for (size_t i = 0; i < len; i++)
        if (iscntrl((unsigned char)text[i]))
            return false;
    if (len > NOTIFY_TEXT_MAX)
        return false;
    memcpy(out, text, len + 1);
    return true;
}

bool notify_list_item(const char *list, size_t index, char out[NOTIFY_TEXT_MAX + 1])
{
    for (const char *at = list; *at != '\0'; at += *at == ',') {
        at += strspn(at, " \t");
        size_t len = strcspn(at, ",");
        const char *next = at + len;
        while (len > 0 && (at[len - 1] == ' ' || at[len - 1] == '\t'))
            len--;
        if (len > 0 && index-- == 0) {
            if (len > NOTIFY_TEXT_MAX)
                return false;
            memcpy(out, at, len);
            out[len] = '\0';
            return true;
        }
        at = next;
    }
    return false;
}

/* http or https, with a host, without user, query or fragment: what is built from it stays plain.
 */
static bool url_valid(const char *text)
{
    CURLU *url = curl_url();
    char *scheme = NULL, *part = NULL;
    bool valid = url != NULL && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
                 curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                 (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    static const CURLUPart unwanted[] = {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_FRAGMENT};
    for (size_t i = 0; i < COUNT(unwanted) && valid; i++) {
        valid = curl_url_get(url, unwanted[i], &part, 0) != CURLUE_OK;
        curl_free(part);
        part = NULL;
    }
    curl_free(scheme);
    curl_url_cleanup(url);
    return valid;
}

static bool urls_valid(const char *list, size_t most)
{
    char item[NOTIFY_TEXT_MAX + 1];
    size_t n = 0;
    while (notify_list_item(list, n, item)) {
        if (!url_valid(item))
            return false;
        n++;
    }
    return n >= 1 && n <= most;
}

/* ---- labels ---- */

static bool label_name_valid(const char *name)
{
    static const char *const ours[] = {"alertname", "server", "metric", "severity", "profile"};
    if (!schema_name_valid(name, strlen(name)))
        return false;
    for (size_t i = 0; i < COUNT(ours); i++)
        if (strcmp(name, ours[i]) == 0)
            return false;
    return true;
}

static bool parse_label(const char *text, struct notify_labels *labels)
{
    const char *equals = strchr(text, '=');
    const size_t name_len = equals == NULL ? 0 : (size_t)(equals - text);
    if (name_len == 0 || name_len > NOTIFY_LABEL_MAX || equals[1] == '\0' ||
        strlen(equals + 1) > NOTIFY_LABEL_MAX || labels->count == NOTIFY_LABELS_MAX)
        return false;
    char *name = labels->items[labels->count].name;
    memcpy(name, text, name_len);
    name[name_len] = '\0';
    if (!label_name_valid(name))
        return false;
    for (size_t i = 0; i < labels->count; i++)
        if (strcmp(labels->items[i].name, name) == 0)
            return false;
    snprintf(labels->items[labels->count].value, NOTIFY_LABEL_MAX + 1, "%s", equals + 1);
    labels->count++;
    return true;
}

static bool parse_labels(const char *text, struct notify_labels *labels)
{
    char item[NOTIFY_TEXT_MAX + 1];
    *labels = (struct notify_labels){0};
    for (size_t i = 0; notify_list_item(text, i, item); i++)
        if (!parse_label(item, labels))
            return false;
    return true;
}

/* ---- keys ---- */

static enum fw_status bad(struct fw_error *err, const char *receiver, const char *key,
                          const char *expected)
{
    if (receiver == NULL)
        return fw_fail(err, FW_EINVAL, "notify.%s: expected %s", key, expected);
    return fw_fail(err, FW_EINVAL, "receiver %s: %s: expected %s", receiver, key, expected);
}

static enum fw_status set_general(struct notify_settings *settings, const char *key,
                                  const char *value, struct fw_error *err)
{
    if (strcmp(key, "external_url") == 0)
        return parse_text(value, settings->external_url) && (value[0] == '\0' || url_valid(value))
                   ? FW_OK
                   : bad(err, NULL, key, "a http or https URL");
    if (strcmp(key, "labels") == 0)
        return parse_labels(value, &settings->labels)
                   ? FW_OK
                   : bad(err, NULL, key,
                         "up to 8 of name=value between commas, none of our own names");
    if (strcmp(key, "resend") == 0)
        return parse_number(value, 1, 3600, &settings->resend_s)
                   ? FW_OK
                   : bad(err, NULL, key, "seconds from 1 to 3600");
    if (strcmp(key, "inhibit") == 0)
        return parse_bool(value, &settings->inhibit) ? FW_OK : bad(err, NULL, key, "on or off");
    return fw_fail(err, FW_EINVAL,
                   "unknown setting notify.%s (external_url, labels, resend, inhibit)", key);
}

static enum fw_status find_receiver(struct notify_settings *settings, const char *name,
                                    struct notify_receiver_settings **out, struct fw_error *err)
{
    const size_t len = strlen(name);
    if (len == 0 || len > NOTIFY_NAME_MAX || strspn(name, name_letters) != len)
        return fw_fail(err, FW_EINVAL,
                       "[receiver %.40s]: the name is not 1 to %d letters, digits, _ or -", name,
                       NOTIFY_NAME_MAX);
    for (size_t i = 0; i < settings->receiver_count; i++) {
        *out = &settings->receivers[i];
        if (strcmp((*out)->name, name) == 0)
            return FW_OK;
    }
    if (settings->receiver_count == NOTIFY_RECEIVERS_MAX)
        return fw_fail(err, FW_ELIMIT, "[receiver %s]: more than %d receivers", name,
                       NOTIFY_RECEIVERS_MAX);
    *out = &settings->receivers[settings->receiver_count++];
    **out =
        (struct notify_receiver_settings){.send_resolved = true, .timeout_s = 5, .queue_max = 1000};
    memcpy((*out)->name, name, len + 1);
    return FW_OK;
}

static bool parse_kind(const char *text, struct notify_receiver_settings *r)
{
    for (int kind = 0; kind < NOTIFY_KINDS; kind++) {
        if (strcmp(text, notify_kind_name((enum notify_kind)kind)) != 0)
            continue;
        r->kind = (enum notify_kind)kind;
        r->has_kind = true;
        return true;
    }
    return false;
}

static bool parse_severity(const char *text, enum alert_severity *out)
{
    *out = strcmp(text, "critical") == 0 ? ALERT_CRITICAL : ALERT_WARNING;
    return strcmp(text, alert_severity_name(*out)) == 0;
}

static const char *set_one(struct notify_receiver_settings *r, const char *key, const char *value)
{
    if (strcmp(key, "type") == 0)
        return parse_kind(value, r) ? NULL : "alertmanager, webhook or exec";
    if (strcmp(key, "url") == 0)
        return parse_text(value, r->url) && urls_valid(value, NOTIFY_URLS_MAX)
                   ? NULL
                   : "a http or https URL without user and fragment; for Alertmanager up to 8 "
                     "between commas";
    if (strcmp(key, "command") == 0)
        return parse_text(value, r->command) && value[0] == '/'
                   ? NULL
                   : "the absolute path of a program and its arguments, up to 511 bytes";
    if (strcmp(key, "token_file") == 0)
        return parse_text(value, r->token_file) ? NULL : "a path of up to 511 bytes";
    if (strcmp(key, "min_severity") == 0)
        return parse_severity(value, &r->min_severity) ? NULL : "warning or critical";
    if (strcmp(key, "send_resolved") == 0)
        return parse_bool(value, &r->send_resolved) ? NULL : "on or off";
    if (strcmp(key, "timeout") == 0)
        return parse_number(value, 1, 60, &r->timeout_s) ? NULL : "seconds from 1 to 60";
    if (strcmp(key, "repeat") == 0)
        return parse_number(value, 0, 7 * 86400, &r->repeat_s) ? NULL : "seconds from 0 to 604800";
    if (strcmp(key, "queue") == 0)
        return parse_number(value, 1, 100000, &r->queue_max) ? NULL : "a number from 1 to 100000";
    return "one of type, url, command, token_file, min_severity, send_resolved, timeout, repeat, "
           "queue instead of this key";
}

enum fw_status notify_settings_set(struct notify_settings *settings, const char *receiver,
                                   const char *key, const char *value, struct fw_error *err)
{
    if (receiver == NULL)
        return set_general(settings, key, value, err);
    struct notify_receiver_settings *r = NULL;
    const enum fw_status status = find_receiver(settings, receiver, &r, err);
    if (status != FW_OK)
        return status;
    const char *expected = set_one(r, key, value);
    return expected == NULL ? FW_OK : bad(err, receiver, key, expected);
}

enum fw_status notify_settings_check(const struct notify_settings *settings, struct fw_error *err)
{
    char second[NOTIFY_TEXT_MAX + 1];
    for (size_t i = 0; i < settings->receiver_count; i++) {
        const struct notify_receiver_settings *r = &settings->receivers[i];
        if (!r->has_kind)
            return bad(err, r->name, "type", "alertmanager, webhook or exec, but it is missing");
        if (r->kind == NOTIFY_EXEC ? r->url[0] != '\0' : r->command[0] != '\0')
            return fw_fail(err, FW_EINVAL, "receiver %s: %s has no %s", r->name,
                           notify_kind_name(r->kind), r->kind == NOTIFY_EXEC ? "url" : "command");
        if (r->kind == NOTIFY_EXEC ? r->command[0] == '\0' : r->url[0] == '\0')
            return fw_fail(err, FW_EINVAL, "receiver %s: %s needs a %s", r->name,
                           notify_kind_name(r->kind), r->kind == NOTIFY_EXEC ? "command" : "url");
        if (r->kind == NOTIFY_WEBHOOK && notify_list_item(r->url, 1, second))
            return bad(err, r->name, "url", "one URL: only an Alertmanager has several instances");
        if (r->kind == NOTIFY_ALERTMANAGER && r->repeat_s != 0)
            return bad(err, r->name, "repeat", "nothing: Alertmanager repeats by its own rules");
    }
    return FW_OK;
}
