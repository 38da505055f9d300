/* GET /predictions/current. The whole body is rendered at most once per outlook and interval, by a
 * worker as soon as the outlook is out, unless the fleet is huge and nobody asks; then for the
 * first who does, while others wait for the same. Until then, and for an interval at most, the one
 * before is handed out. Filtered bodies are made of the newest outlook, and kept per query. */
#include "api/predictions_internal.h"

#include "base/alloc.h"

#include <stdio.h>

int64_t predictions_now_ns(const struct api_predictions *p)
{
    const int64_t now = fw_clock_mono_ns(p->api->clock);
    return now == 0 ? 1 : now;
}

void predictions_etag(char etag[PREDICTIONS_ETAG], const struct api *api,
                      const struct outlook *outlook, const unsigned char *key)
{
    int len = snprintf(etag, PREDICTIONS_ETAG, "p%llx-%llx", (unsigned long long)api->boot,
                       (unsigned long long)outlook->id);
    if (key != NULL)
        snprintf(etag + len, (size_t)(PREDICTIONS_ETAG - len), "-%02x%02x%02x%02x%02x%02x", key[0],
                 key[1], key[2], key[3], key[4], key[5]);
}

void api_get_predictions(void *ctx, struct http_request *request)
{
    struct api *api = ctx;
    bool is_default;
    struct predictions_asked asked = {.api = api, .request = request};
    if (!api_ready(api, request) || !predictions_parse(&asked))
        return;
    if (!predictions_key(&asked, &is_default)) {
        api_reply_busy(request, 503, 1, "out of memory");
        return;
    }
    asked.outlook = outlook_board_current(api->parts.board);
    if (asked.outlook != NULL)
        asked.records = asked.outlook->records;
    if (asked.outlook == NULL || asked.records < API_RECORDS_MIN)
        predictions_get_little(&asked);
    else if (is_default)
        predictions_get_whole(api->predictions, &asked);
    else
        predictions_get_filtered(api->predictions, &asked);
    if (asked.outlook != NULL)
        outlook_release(asked.outlook);
}

enum fw_status api_predictions_new(struct api *api, struct api_predictions **out,
                                   struct fw_error *err)
{
    struct api_predictions *p = fw_calloc(1, sizeof *p);
    *out = p;
    if (p == NULL)
        return fw_fail(err, FW_ENOMEM, "predictions");
    p->api = api;
    pthread_mutex_init(&p->lock, NULL);
    /* Clients that poll want gzip. Until we know better, have it ready: the first of them must not
     * wait for the compression of a whole fleet. */
    atomic_store(&p->asked_ns[HTTP_GZIP], predictions_now_ns(p));
    return FW_OK;
}

void api_predictions_free(struct api_predictions *predictions)
{
    if (predictions == NULL)
        return;
    predictions_full_release(predictions->full);
    for (size_t i = 0; i < PREDICTIONS_KEPT; i++)
        http_body_unref(predictions->kept[i].body);
    pthread_mutex_destroy(&predictions->lock);
    fw_free(predictions);
}
