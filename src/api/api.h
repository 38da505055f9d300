/* The routes: what the paths of the contract answer. The glue between http, ingest and the domain;
 * docs/api.md says what each path gives.
 *
 * Life: api_new() -> http_server_start() with api_routes() -> api_attach() once windows are whole
 * -> ... -> http_server_stop() -> api_drain() -> store_journal_close() and the runner's stop ->
 * api_free(). Before api_attach() only what says how the process is (/livez, /readyz, /health, /,
 * /metrics, /openapi.json) is answered; everything else is 503. */
#ifndef FW_API_API_H
#define FW_API_API_H

#include "base/clock.h"
#include "domain/schema.h"
#include "http/server.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct api;
struct api_rules;
struct alert_control;
struct fleet;
struct label_rules;
struct notifier;
struct outlook_board;
struct store_journal;
struct store_state;

/* A model of the registry, as a person and the contract (8.1, 8.3) see it. Texts are terminated;
 * "" and -1: unknown. */
struct api_model {
    char name[128];     /* bare name inside the registry */
    char timestamp[32]; /* "20251215_143022" */
    bool current;
    bool embedded; /* in the program: not of the registry */
    int64_t size_bytes;
    int64_t modified_ms;
    int64_t epochs;
    double val_loss; /* NaN: unknown */
    double coverage; /* NaN: unknown */
    char sha256[65];
    int64_t encoder_steps, prediction_steps;
    int64_t known_servers; /* names in the model's vocabulary */
};
typedef void (*api_model_fn)(void *ctx, const struct api_model *model);

enum api_reload { API_RELOADED, API_RELOAD_SAME, API_RELOAD_NONE, API_RELOAD_FAILED };

/* The registry, given by the daemon. Any function may be NULL: then there is none. */
struct api_models {
    void *ctx;
    /* Calls `visit` for each model, newest first. */
    enum fw_status (*list)(void *ctx, api_model_fn visit, void *visit_ctx, struct fw_error *err);
    /* The loaded model; false when there is none. */
    bool (*current)(void *ctx, struct api_model *model);
    /* Loads, checks and swaps; `name` is a bare file name that was checked ([0-9A-Za-z._-], not
     * beginning with a dot), NULL: the newest. Called on a thread of its own, one at a time.
     * *model is the one loaded (API_RELOADED, API_RELOAD_SAME); err says why it failed. */
    enum api_reload (*reload)(void *ctx, const char *name, struct api_model *model,
                              struct fw_error *err);
};

/* The long history on disk, as /metrics and /api/v1/status show it. */
struct api_history {
    unsigned days_max; /* kept */
    bool failing;
    uint64_t blocks, bytes;
    int64_t oldest_s; /* when the oldest block begins; -1: there is none */
    uint64_t written, rewritten, removed, failures, damaged, missed_steps; /* since the start */
};

/* Zero means the default in brackets. Strings and pointers outlive the api. */
struct api_options {
    const struct schema *schema;      /* not NULL; the names count, what else it says may be
                                         replaced by api_rules_use() */
    const struct fw_clock *clock;     /* [the system's] */
    const char *service;              /* `service` of /health ["tft_inference_daemon"] */
    const struct label_rules *labels; /* that are kept of servers [none] */
    const char *mapping;              /* file of a mapping of raw series [none]; docs/mapping.md */
    const char *models_dir;           /* the registry's directory, for people ["models"] */
    const char *zone;                 /* of times, as ?tz= takes it ["naive"] */
    size_t body_bytes_max;            /* of a feed, decoded [64 MiB] */
    size_t records_max;               /* of a feed [100,000] */
    size_t inline_bytes_max;          /* larger feeds are decoded by the ingest workers [512 KiB] */
    unsigned ingest_threads;          /* [2] */
    size_t ingest_queue_max;          /* large feeds waiting; beyond it 503 [32] */
    size_t eager_servers_max;         /* larger fleets are rendered when somebody asks [2000] */
    size_t answer_bytes_max;  /* the longest answer; predictions beyond it are cut and say so
                                 [512 MiB] */
    size_t event_clients_max; /* that follow /api/v1/events at once [2000] */
    size_t past_bytes_max;    /* of what was forecast before, for charts [256 MiB] */
    unsigned renew_ms; /* the whole body of /predictions/current is made anew at most so often,
                          after the outlook is out, and events tell of outlooks once a second at
                          most [0: every outlook's, before it is out] */
    size_t filtered_bytes_max; /* of answers to filtered queries kept for the next one [64 MiB] */
};

FW_MUST_CHECK enum fw_status api_new(const struct api_options *options, struct api **out,
                                     struct fw_error *err);

/* Other thresholds, bounds and units (of the same metrics at the same places), another mapping of
 * raw series, other labels to be kept than those of the options: read and checked first, then in
 * use at once for every request that begins afterwards; requests under way end by the old ones.
 * Senders of raw series whose request was decoded by another mapping are asked to send it again,
 * and the counters' last values are forgotten with that mapping. FW_EINVAL, FW_EIO: the mapping. */
FW_MUST_CHECK enum fw_status api_rules_new(const struct api *api, const struct schema *schema,
                                           const char *mapping, const struct label_rules *labels,
                                           struct api_rules **out, struct fw_error *err);
/* Takes the rules over. Any thread, one call at a time. */
void api_rules_use(struct api *api, struct api_rules *rules);
void api_rules_release(struct api_rules *rules); /* of what is not used; NULL does nothing */

/* The table for http_server_start(); it and its contexts live as long as the api. */
void api_routes(struct api *api, const struct http_route **routes, size_t *n);
/* For /metrics. NULL takes it away, which must happen before the server is freed. */
void api_set_server(struct api *api, const struct http_server *server);

/* What the routes work on, once it is whole; all of it outlives the api's last request. */
struct api_parts {
    struct fleet *fleet;
    struct outlook_board *board;
    struct store_journal *journal;
    struct store_state *state;     /* what a next process takes over; NULL: nothing */
    struct alert_control *control; /* NULL: nobody can acknowledge or silence */
    struct notifier *notifier;     /* for /metrics; NULL: nobody is told */
    /* Whose threads help to render when an outlook is published; the publisher is the thread that
     * runs it. NULL: nobody's. */
    struct forecaster *forecaster;
    struct api_models models;
    /* Windows changed: the runner's wake-up. Called on the journal's thread. May be NULL. */
    void (*wake)(void *ctx);
    void *wake_ctx;
    /* Why the daemon is not ready although it runs (for instance a configured model that did not
     * load): fills `text` and returns true. May be NULL. */
    bool (*trouble)(void *ctx, char *text, size_t size);
    void *trouble_ctx;
    /* False when no long history is kept. May be NULL: then none is. */
    bool (*history)(void *ctx, struct api_history *history);
    /* A server's values of steps first .. first + n - 1 (step k begins at k * step_s seconds) from
     * the long history into values (schema count, n), rounded as it keeps them; NaN where it has
     * none. False when it cannot be read. May be NULL. */
    bool (*history_read)(void *ctx, const char *server, int64_t first, size_t n, float *values);
    void *history_ctx;
};
/* Once, and before the runner starts: the board takes listeners only while nobody publishes. `wake`
 * may be called before there is a runner. */
void api_attach(struct api *api, const struct api_parts *parts);

/* Earlier forecasts to and from a directory (docs/formats/past.md): saved by the publisher of
 * outlooks or while there is none, loaded after api_attach() and before the first. */
FW_MUST_CHECK enum fw_status api_past_save(struct api *api, const char *dir, struct fw_error *err);
FW_MUST_CHECK enum fw_status api_past_load(struct api *api, const char *dir, const char *quarantine,
                                           struct fw_error *err);

/* Silences or acknowledgements changed: those who follow the events are told. Any thread, after
 * api_attach(). */
void api_control_changed(struct api *api);

/* Ends the workers after what they have. No request may come afterwards; what waits in the journal
 * may still be answered. */
void api_drain(struct api *api);
void api_free(struct api *api); /* NULL does nothing */

#endif
