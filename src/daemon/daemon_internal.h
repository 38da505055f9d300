/* The daemon's parts, shared by its files: daemon.c (order of start and stop), recover.c (data
 * directory -> windows), housekeeping.c (snapshots, expiry, watchdog), history.c (the long
 * history), learned.c (what was learned), models.c (the registry), reload.c (SIGHUP). */
#ifndef FW_DAEMON_DAEMON_INTERNAL_H
#define FW_DAEMON_DAEMON_INTERNAL_H

#include "api/api.h"
#include "daemon/archiver.h"
#include "daemon/daemon.h"
#include "fleet/fleet.h"
#include "fleet/labels.h"
#include "http/keys.h"
#include "notify/notify.h"
#include "outlook/outlook.h"
#include "store/directory.h"
#include "store/journal.h"
#include "store/snapshot.h"

#include <pthread.h>

struct daemon {
    const struct config *config;
    const struct fw_clock *clock;
    char url[320];
    struct store_directory directory;
    struct http_keys *keys;
    struct http_server *http;
    struct api *api;
    struct store_state *state;
    struct store_state *history;       /* both NULL when no long history is kept */
    struct archiver *_Atomic archiver; /* requests may come before it is there */
    struct fleet *fleet;
    struct store_journal *journal;
    struct forecaster *forecaster;
    struct alert_book *alerts;
    struct alert_control *control;
    struct notifier *notifier;
    struct outlook_board *board;
    struct outlook_runner *_Atomic runner; /* feeds may come before it runs */

    struct daemon_models {
        pthread_mutex_t lock; /* over `current`, `trouble` and `schema` */
        struct schema schema; /* as it is now: a model is tried against its bounds */
        char directory[STORE_PATH_MAX];
        struct api_model current;
        bool loaded;
        char trouble[256]; /* why a configured model does not serve; "" when all is well */
    } models;

    struct surprise *surprise; /* the runner's; NULL: unusual behaviour is not looked for */
    int64_t learned_ns;        /* when what was learned was last written; the runner's */

    struct daemon_housekeeping {
        pthread_t thread;
        bool started;
        pthread_mutex_t lock; /* over `stopping` */
        pthread_cond_t wake;
        bool stopping;
        uint64_t snapshot_bytes; /* journal bytes written when the last snapshot was begun */
        uint64_t snapshot_seq;
        int64_t snapshot_ns; /* monotonic */
        int64_t expiry_ns, tidy_ns, labels_ns;
        uint64_t labels_revision; /* of the fleet's labels when they were last written */
        bool labels_failing;
        atomic_bool forgot; /* servers were forgotten, and perhaps their labels not yet */
    } housekeeping;
};

/* recover.c: the newest snapshot, then the journal behind it, into daemon->fleet; opens
 * daemon->journal. */
FW_MUST_CHECK enum fw_status daemon_recover(struct daemon *daemon, struct fw_error *err);

/* housekeeping.c */
FW_MUST_CHECK enum fw_status daemon_housekeeping_start(struct daemon *daemon, struct fw_error *err);
void daemon_housekeeping_stop(struct daemon *daemon);
/* All windows into one file, and journal segments that it covers let go. */
FW_MUST_CHECK enum fw_status daemon_snapshot(struct daemon *daemon, struct fw_error *err);

/* daemon.c: a database of the data directory; damage is told in the log. */
FW_MUST_CHECK enum fw_status daemon_open_database(struct daemon *daemon, const char *path,
                                                  struct store_state **out, struct fw_error *err);

/* reload.c */
/* The configured keys into an empty set. */
FW_MUST_CHECK enum fw_status daemon_read_keys(const struct config *config, struct http_keys *keys,
                                              struct fw_error *err);
void daemon_configure_log(const struct config *config);
/* What the configuration wants of unusual behaviour; 0: it is not looked for. */
double daemon_unusual_rate(const struct config *config);
/* How risks are scored. */
enum risk_scorer daemon_scorer(const struct config *config);

/* learned.c: what forecasters have learned, and what is unusual, from and to the data directory. */
/* Before the first run, windows being whole. A failure is told, and learning begins anew. */
void daemon_learned_load(struct daemon *daemon);
void daemon_unusual_load(struct daemon *daemon);
void daemon_past_load(struct daemon *daemon); /* after the api is attached */
/* Called with every outlook, on the runner's thread: writes when it is due. */
void daemon_learned_due(void *ctx, const struct outlook *outlook);
/* While no run is made. */
void daemon_learned_save(struct daemon *daemon);

/* labels.c: labels of servers, from and to the state store (namespace "labels"). */
/* After the windows are whole; what the configuration no longer keeps goes. */
void daemon_labels_load(struct daemon *daemon);
/* Writes what changed, and removes what belongs to servers that are gone. */
void daemon_labels_save(struct daemon *daemon);

/* history.c */
/* Whether samples must wait until the windows, which stood still for long, are in the history. */
bool daemon_history_urgent(const struct daemon *daemon);
/* Opens the long history, unless it is open or none is to be kept. Without one everything else
 * works, so a failure is told and that is all. */
void daemon_history_start(struct daemon *daemon);
void daemon_history_stop(struct daemon *daemon);
bool daemon_history_describe(void *ctx, struct api_history *history); /* api_parts.history */

/* history_read.c */
bool daemon_history_read(void *ctx, const char *server, int64_t first, size_t n,
                         float *values); /* api_parts.history_read */

/* models.c */
FW_MUST_CHECK enum fw_status daemon_models_init(struct daemon *daemon, struct fw_error *err);
void daemon_models_fini(struct daemon *daemon);
/* The model that configuration or store name, if any. A model that cannot be loaded is an error
 * only when the operator named it on this start (config.model); otherwise it is trouble (/readyz)
 * and the statistics serve. */
FW_MUST_CHECK enum fw_status daemon_models_load(struct daemon *daemon, struct fw_error *err);
struct api_models daemon_models_api(struct daemon *daemon);

#endif
