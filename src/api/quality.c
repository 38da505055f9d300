/* What forecasts were worth, for /api/v1/status: by metric and block of the horizon. */
#include "api/api_internal.h"

#include <math.h>

struct api_block_quality api_block_quality(const struct forecast_quality *sums, size_t block)
{
    struct api_block_quality out = {.from = block == 0 ? 1 : forecast_block_end[block - 1] + 1,
                                    .to = forecast_block_end[block],
                                    .samples = sums->scored};
    const double n = sums->scored > 0.0 ? sums->scored : (double)NAN;
    const double *const losses[API_JUDGED] = {sums->issued, sums->persistence, sums->day};
    out.coverage = sums->inside / n;
    for (size_t j = 0; j < API_JUDGED; j++) {
        out.median[j] = losses[j][1] / n;
        out.mean[j] = (losses[j][0] + losses[j][1] + losses[j][2]) / (3.0 * n);
    }
    for (size_t v = 0; v < FORECAST_VOICES; v++)
        out.weight[v] = sums->weight[v] / (double)sums->tracks;
    return out;
}

const char *const api_judged_name[API_JUDGED] = {"ours", "persistence", "day_before"};

static void put_losses(struct fw_buf *buf, const char *key, const double loss[API_JUDGED])
{
    fw_buf_json_key(buf, key);
    for (size_t j = 0; j < API_JUDGED; j++) {
        fw_buf_putc(buf, j == 0 ? '{' : ',');
        fw_buf_json_key(buf, api_judged_name[j]);
        api_put_number(buf, loss[j], 6);
    }
    fw_buf_puts(buf, "},");
}

static void put_block(struct fw_buf *buf, const char *metric, size_t block,
                      const struct forecast_quality *sums)
{
    const struct api_block_quality q = api_block_quality(sums, block);
    fw_buf_putc(buf, '{');
    api_put_text(buf, "metric", metric);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "block", (int64_t)block);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "horizon_from", q.from);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "horizon_to", q.to);
    fw_buf_putc(buf, ',');
    api_put_int(buf, "samples", (int64_t)q.samples);
    fw_buf_puts(buf, ",\"coverage\":");
    api_put_number(buf, q.coverage, 4);
    fw_buf_putc(buf, ',');
    put_losses(buf, "pinball", q.mean);
    put_losses(buf, "pinball_p50", q.median);
    fw_buf_puts(buf, "\"weights\":");
    for (size_t v = 0; v < FORECAST_VOICES; v++) {
        fw_buf_putc(buf, v == 0 ? '{' : ',');
        fw_buf_json_key(buf, forecast_voice_name(v));
        api_put_number(buf, q.weight[v], 3);
    }
    fw_buf_puts(buf, "}}");
}

void api_put_forecast_quality(struct fw_buf *buf, struct api *api)
{
    const struct outlook *outlook = outlook_board_current(api->parts.board);
    bool any = false;
    fw_buf_puts(buf, "\"forecast_quality\":[");
    const struct schema *schema = api->options.schema;
    for (size_t m = 0; outlook != NULL && outlook->set->quality != NULL && m < schema->count; m++)
        for (size_t b = 0; b < FORECAST_BLOCKS; b++) {
            const struct forecast_quality *sums = &outlook->set->quality[m][b];
            if (!(sums->scored >= 1.0))
                continue;
            if (any)
                fw_buf_putc(buf, ',');
            any = true;
            put_block(buf, schema->metrics[m].name, b, sums);
        }
    fw_buf_putc(buf, ']');
    outlook_release(outlook);
}
