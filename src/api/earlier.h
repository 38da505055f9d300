/* Forecasts made earlier, so that they can be laid beside what came. Of every quarter of the
 * horizon one run is kept, in a compact form: every eighth step and the last, as 16-bit numbers
 * between each path's own bounds (90 bytes a path, below 5 KiB a server in all). They live in
 * memory, from the start of the process on. */
#ifndef FW_API_EARLIER_H
#define FW_API_EARLIER_H

#include "outlook/outlook.h"

enum {
    API_EARLIER_RUNS = 4,   /* kept at once */
    API_EARLIER_STRIDE = 8, /* steps between the points of a path */
    API_EARLIER_POINTS = FORECAST_HORIZON / API_EARLIER_STRIDE + 1,
    API_EARLIER_BYTES_MAX = 32 << 20, /* of one run; a larger fleet's is not kept */
};

struct api_earlier;
FW_MUST_CHECK enum fw_status api_earlier_new(struct api_earlier **out, struct fw_error *err);
void api_earlier_free(struct api_earlier *earlier); /* NULL does nothing */

/* Keeps the run when a quarter of the horizon has gone by since the last one that was kept. One
 * caller at a time; readers are not held up. Out of memory: this run is not kept. */
void api_earlier_offer(struct api_earlier *earlier, const struct outlook *outlook);

struct api_earlier_path {
    int64_t made_ms, origin_ms;
    uint32_t step_s;
    /* Point i is about step api_earlier_step(i) of the path. */
    float p10[API_EARLIER_POINTS], p50[API_EARLIER_POINTS], p90[API_EARLIER_POINTS];
};
/* 0, 8, ... and the path's last one. */
static inline unsigned api_earlier_step(unsigned point)
{
    const unsigned step = point * API_EARLIER_STRIDE;
    return step < FORECAST_HORIZON ? step : FORECAST_HORIZON - 1;
}
/* The kept paths of a server's metric, newest first; returns how many. Any thread. */
size_t api_earlier_read(struct api_earlier *earlier, const char *server, uint16_t metric,
                        struct api_earlier_path out[API_EARLIER_RUNS]);
/* Bytes held now. Any thread. */
size_t api_earlier_bytes(struct api_earlier *earlier);

#endif
