/* An outlook as the JSON of API contract sections 4 and 5. Pure functions of the outlook: any
 * thread. What they write is documented in docs/api.md. */
#ifndef FW_API_RENDER_H
#define FW_API_RENDER_H

#include "alert/control.h"
#include "api/text.h"
#include "outlook/outlook.h"

enum {
    API_RECORDS_MIN = 100, /* fewer held: the answer says insufficient_data (contract 4.1) */
    API_READY_STEPS = 150, /* the reference's warm-up threshold, counted per server */
    API_DISPLAY_STEPS = 6, /* display_metrics predict the mean of so many steps */
};

enum api_quantile { API_P10 = 1, API_P50 = 2, API_P90 = 4, API_QUANTILES = 7 };

/* By which bounds the summary counts. */
enum api_counting {
    API_COUNT_CONFIGURED, /* as the outlook has them */
    API_COUNT_LEVELS,     /* by the level of each server */
    API_COUNT_ARGUS,      /* by the reference's 80/60/50 */
};

/* What of the paths is written. */
struct api_view {
    uint64_t metrics;   /* bit per metric of the schema */
    unsigned quantiles; /* enum api_quantile, or-ed */
    unsigned steps;     /* 1 to FORECAST_HORIZON */
    int decimals;       /* API_DECIMALS_AUTO or 0 to 9, of paths and current values */
    bool forecast;      /* with the documented `forecast` object */
    enum api_counting counting;
    struct api_zone zone;
};
/* Everything, as without parameters. */
void api_view_default(struct api_view *view);

/* The ServerPrediction object of set->items[index]. Depends on nothing but the forecast, its risk,
 * the schema, the step, the view, and the server's labels: in bodies that are kept these are as old
 * as the forecast. */
void api_render_server(struct fw_buf *buf, const struct outlook *outlook, size_t index,
                       const struct label_source *labels, const struct api_view *view);

/* {"p50":[...],...,"current":..,...}: one metric. */
void api_render_path(struct fw_buf *buf, const struct schema *schema,
                     const struct forecast_path *path, const struct api_view *view);
/* The members `"risk_score":..,"alert":{..}` of one server, without commas around them. */
void api_render_level(struct fw_buf *buf, const struct risk *risk);
void api_render_drivers(struct fw_buf *buf, const struct schema *schema, const struct risk *risk);
/* {"cpu":{...},...}, contract 13.7. */
void api_render_display(struct fw_buf *buf, const struct forecast *forecast);

/* The objects beside the predictions. `model_dir` may be NULL. */
void api_render_environment(struct fw_buf *buf, const struct outlook *outlook);
void api_render_summary(struct fw_buf *buf, const struct outlook *outlook,
                        const struct api_view *view);
void api_render_metadata(struct fw_buf *buf, const struct outlook *outlook, const char *model_dir,
                         const struct api_view *view);

/* True when every server that the outlook knows is silent, or it knows none: then an empty list of
 * alerts means nothing. */
bool api_outlook_stale(const struct outlook *outlook);
/* "TFT" paths, or the word of the contract for the others: "tft", "baseline", "insufficient". */
const char *api_method(const struct forecast_path *path);
/* The same of a server: "tft" as soon as the model serves one of its metrics. */
const char *api_server_method(const struct forecast *forecast);

/* The place of a server in outlook->set, or -1. */
int64_t api_outlook_find(const struct outlook *outlook, const char *name);

/* One AlertItem of contract 5. `mark` is what people said to it, NULL: nothing; `labels` knows
 * the server's. The first leaves the object open, behind its last member, for more. */
void api_render_alert_open(struct fw_buf *buf, const struct outlook *outlook,
                           const struct alert *alert, const struct alert_mark *mark,
                           const struct label_source *labels, const struct api_zone *zone);
void api_render_alert(struct fw_buf *buf, const struct outlook *outlook, const struct alert *alert,
                      const struct alert_mark *mark, const struct label_source *labels,
                      const struct api_zone *zone);
/* "labels":{...}, with the comma. */
void api_put_labels(struct fw_buf *buf, const struct label_source *labels, const char *server);
/* "pending", "firing", "acknowledged", "silenced" or "resolved". */
const char *api_alert_state(const struct alert *alert, const struct alert_mark *mark);
/* The reference's own item, without identity or life. */
void api_render_legacy_alert(struct fw_buf *buf, const struct schema *schema, uint32_t step_s,
                             const char *server, const struct alert_legacy_item *item);

#endif
