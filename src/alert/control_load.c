/* What the store has, at a start. */
#include "alert/control_internal.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { JSON_DEPTH = 4 };

struct loading {
    struct alert_control *control;
    struct fw_json_parser *parser;
    size_t unreadable;
    bool out_of_memory;
};

static bool load_silence(void *ctx, const char *key, const void *data, size_t len)
{
    struct loading *loading = ctx;
    struct alert_control *control = loading->control;
    struct fw_json_value root;
    struct alert_silence silence;
    struct fw_error err = {0};
    (void)key;
    if (control->silence_count == ALERT_SILENCES_MAX ||
        fw_json_parse(loading->parser, data, len, &root, NULL) != FW_OK ||
        !alert_silence_get(root, &silence)) {
        loading->unreadable++;
        return true;
    }
    if (alert_silence_find_zone(&silence, &err) != FW_OK)
        FW_LOG_WARN("alert", "silence %s does not hold: its zone is not to be had reason=\"%s\"",
                    silence.id, err.text);
    loading->out_of_memory = !alert_silence_room(control);
    if (!loading->out_of_memory)
        control->silences[control->silence_count++] = silence;
    return !loading->out_of_memory;
}

static bool load_ack(void *ctx, const char *key, const void *data, size_t len)
{
    struct loading *loading = ctx;
    struct fw_json_value root;
    struct alert_ack ack;
    (void)key;
    if (loading->control->ack_count == ALERT_ACKS_MAX ||
        fw_json_parse(loading->parser, data, len, &root, NULL) != FW_OK ||
        !alert_ack_get(root, &ack)) {
        loading->unreadable++;
        return true;
    }
    loading->out_of_memory = !alert_ack_room(loading->control);
    if (!loading->out_of_memory)
        alert_ack_set(loading->control, &ack);
    return !loading->out_of_memory;
}

static int by_age(const void *left, const void *right)
{
    const struct alert_silence *a = left, *b = right;
    if (a->created_ms != b->created_ms)
        return a->created_ms < b->created_ms ? -1 : 1;
    return strcmp(a->id, b->id);
}

enum fw_status alert_control_load(struct alert_control *control, struct fw_error *err)
{
    struct store_state *state = control->options.state;
    struct loading loading = {.control = control};
    uint64_t damaged_silences = 0, damaged_acks = 0;
    if (state == NULL)
        return FW_OK;
    loading.parser = fw_json_parser_new(ALERT_RECORD_MAX, JSON_DEPTH);
    if (loading.parser == NULL)
        return fw_fail(err, FW_ENOMEM, "open the silences");
    enum fw_status status =
        store_state_each(state, ALERT_SILENCES, load_silence, &loading, &damaged_silences, err);
    if (status == FW_OK)
        status = store_state_each(state, ALERT_ACKS, load_ack, &loading, &damaged_acks, err);
    fw_json_parser_free(loading.parser);
    if (status == FW_OK && loading.out_of_memory)
        status = fw_fail(err, FW_ENOMEM, "open the silences");
    if (damaged_silences + damaged_acks + loading.unreadable > 0)
        FW_LOG_WARN("alert",
                    "silences or acknowledgements passed over damaged=%" PRIu64 " unreadable=%zu",
                    damaged_silences + damaged_acks, loading.unreadable);
    if (control->silence_count > 1)
        qsort(control->silences, control->silence_count, sizeof control->silences[0], by_age);
    return status;
}
