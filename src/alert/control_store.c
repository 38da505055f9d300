#include "alert/control_internal.h"

enum fw_status alert_change_write(struct store_state *state, const struct alert_change *c,
                                  struct fw_error *err)
{
    if (state == NULL)
        return FW_OK;
    if ((c->blob != NULL && c->blob->failed) || c->event->failed)
        return fw_fail(err, FW_ENOMEM, "write a silence or an acknowledgement");
    enum fw_status status = store_state_begin(state, err);
    if (status != FW_OK)
        return status;
    status = c->blob != NULL
                 ? store_state_put(state, c->ns, c->key, c->blob->data, c->blob->len, err)
                 : store_state_delete(state, c->ns, c->key, err);
    if (status == FW_OK)
        status = store_state_event_append(state, ALERT_ACTION_KIND, c->now_ms, c->subject,
                                          c->event->data, c->event->len, NULL, err);
    if (status == FW_OK)
        return store_state_commit(state, err);
    store_state_rollback(state);
    return status;
}

enum fw_status alert_actions_prune(struct store_state *state, int64_t now_ms, struct fw_error *err)
{
    const int64_t before_ms = now_ms - ALERT_ACTIONS_DAYS * INT64_C(86400000);
    if (state == NULL)
        return FW_OK;
    const enum fw_status status =
        store_state_event_prune(state, ALERT_ACTION_KIND, before_ms, NULL, err);
    return status == FW_OK
               ? store_state_event_trim(state, ALERT_ACTION_KIND, ALERT_ACTIONS_MAX, NULL, err)
               : status;
}
