/* The registry: a directory of model directories, each with model.safetensors and spec.json. Which
 * one is current is kept in the state database, so that a reload survives a restart. */
#include "daemon/daemon_internal.h"

#include "base/alloc.h"
#include "base/log.h"
#include "forecast/forecaster.h"
#include "forecast/model.h"
#include "forecast/shipped.h"
#include "tft/model.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MODELS_MAX = 1000 };
#define STATE_NAMESPACE "registry"
#define STATE_CURRENT "current"

enum fw_status daemon_models_init(struct daemon *daemon, struct fw_error *err)
{
    struct daemon_models *models = &daemon->models;
    const char *given = daemon->config->models_dir;
    const int len = given[0] != '\0'
                        ? snprintf(models->directory, sizeof models->directory, "%s", given)
                        : snprintf(models->directory, sizeof models->directory, "%s/models",
                                   daemon->directory.path);
    if (len < 0 || (size_t)len >= sizeof models->directory)
        return fw_fail(err, FW_EINVAL, "the path of the models directory is longer than %zu bytes",
                       sizeof models->directory - 1);
    if (mkdir(models->directory, 0700) != 0 && errno != EEXIST)
        return fw_fail(err, FW_EIO, "models directory %s: %s", models->directory, strerror(errno));
    return FW_OK;
}

void daemon_models_fini(struct daemon *daemon)
{
    daemon->models.loaded = false;
}

/* ---- what is there ---- */

/* The reference's names end in "YYYYMMDD_HHMMSS". */
static void timestamp_of(const char *name, char out[32])
{
    enum { STAMP = 15, DAY = 8, TIME = 6 };
    const size_t len = strlen(name);
    out[0] = '\0';
    if (len < STAMP)
        return;
    const char *stamp = name + (len - STAMP);
    if (strspn(stamp, "0123456789") == DAY && stamp[DAY] == '_' &&
        strspn(stamp + DAY + 1, "0123456789") == TIME)
        snprintf(out, 32, "%s", stamp);
}

static void blank_model(struct api_model *model, const char *name)
{
    *model = (struct api_model){.size_bytes = -1,
                                .modified_ms = -1,
                                .epochs = -1,
                                .val_loss = (double)NAN,
                                .coverage = (double)NAN,
                                .encoder_steps = -1,
                                .prediction_steps = -1,
                                .known_servers = -1};
    snprintf(model->name, sizeof model->name, "%s", name);
    timestamp_of(name, model->timestamp);
}

/* False when `name` is no model directory. */
static bool describe(const char *directory, const char *name, struct api_model *model)
{
    char path[STORE_PATH_MAX + 320];
    struct stat weights;
    if (name[0] == '.' || strlen(name) >= sizeof model->name)
        return false;
    snprintf(path, sizeof path, "%s/%s/" TFT_WEIGHTS_NAME, directory, name);
    if (lstat(path, &weights) != 0 || !S_ISREG(weights.st_mode))
        return false;
    blank_model(model, name);
    model->size_bytes = weights.st_size;
    model->modified_ms = (int64_t)weights.st_mtim.tv_sec * 1000 + weights.st_mtim.tv_nsec / 1000000;
    return true;
}

/* Newest first; by name where the file times agree. */
static int newer(const void *a, const void *b)
{
    const struct api_model *left = a, *right = b;
    if (left->modified_ms != right->modified_ms)
        return left->modified_ms > right->modified_ms ? -1 : 1;
    return strcmp(right->name, left->name);
}

static enum fw_status read_registry(const char *directory, struct api_model **out, size_t *count,
                                    struct fw_error *err)
{
    *out = NULL;
    *count = 0;
    DIR *stream = opendir(directory);
    if (stream == NULL)
        return fw_fail(err, FW_EIO, "models directory %s: %s", directory, strerror(errno));
    struct api_model *models = NULL;
    size_t cap = 0, n = 0;
    enum fw_status status = FW_OK;
    for (struct dirent *entry;
         status == FW_OK && n < MODELS_MAX && (entry = readdir(stream)) != NULL;) {
        if (n == cap) {
            cap = cap == 0 ? 16 : cap * 2;
            struct api_model *grown = fw_realloc_array(models, cap, sizeof *grown);
            if (grown == NULL) {
                status = fw_fail(err, FW_ENOMEM, "list of models");
                break;
            }
            models = grown;
        }
        n += describe(directory, entry->d_name, &models[n]);
    }
    closedir(stream);
    if (status != FW_OK) {
        fw_free(models);
        return status;
    }
    if (n > 0)
        qsort(models, n, sizeof *models, newer);
    *out = models;
    *count = n;
    return FW_OK;
}

static enum fw_status list(void *ctx, api_model_fn visit, void *visit_ctx, struct fw_error *err)
{
    struct daemon *daemon = ctx;
    struct api_model *found;
    size_t count;
    const enum fw_status status = read_registry(daemon->models.directory, &found, &count, err);
    pthread_mutex_lock(&daemon->models.lock);
    const struct api_model current = daemon->models.current;
    const bool loaded = daemon->models.loaded;
    pthread_mutex_unlock(&daemon->models.lock);
    for (size_t i = 0; i < count; i++) {
        found[i].current = loaded && strcmp(found[i].name, current.name) == 0;
        if (found[i].current)
            found[i] = current;
        visit(visit_ctx, &found[i]);
    }
    fw_free(found);
    return status;
}

static bool current(void *ctx, struct api_model *model)
{
    struct daemon_models *models = &((struct daemon *)ctx)->models;
    pthread_mutex_lock(&models->lock);
    const bool loaded = models->loaded;
    *model = models->current;
    pthread_mutex_unlock(&models->lock);
    return loaded;
}

/* ---- loading ---- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL || slash[1] == '\0' ? path : slash + 1;
}

static void fill_from(const struct forecast_model *loaded, struct api_model *model)
{
    const struct forecast_model_info info = forecast_model_info(loaded);
    const struct tft_spec *spec = tft_model_spec(forecast_model_network(loaded));
    snprintf(model->sha256, sizeof model->sha256, "%s", info.sha256);
    model->encoder_steps = (int64_t)info.history_max;
    model->prediction_steps = FORECAST_HORIZON;
    model->known_servers = (int64_t)spec->normalizers[0].n_groups;
    model->current = true;
}

/* Makes an opened model the one that serves. */
static void install(struct daemon *daemon, struct forecast_model *loaded, struct api_model *model)
{
    struct daemon_models *models = &daemon->models;
    fill_from(loaded, model);
    const struct forecast_model_info info = forecast_model_info(loaded);
    pthread_mutex_lock(&models->lock);
    models->current = *model;
    models->loaded = true;
    models->trouble[0] = '\0';
    if (!info.serves)
        snprintf(models->trouble, sizeof models->trouble,
                 "model %s was trained on steps of %u s, the grid has %u s: it serves nothing",
                 model->name, info.step_s, daemon->config->step_s);
    pthread_mutex_unlock(&models->lock);
    if (info.plain_reason != NULL)
        FW_LOG_WARN("model", "forecasts take the plain path name=%s reason=\"%s\"", model->name,
                    info.plain_reason);
    forecaster_set_model(daemon->forecaster, loaded);
    FW_LOG_INFO("model", "loaded name=%s sha256=%.12s parameters=%zu targets=%zu serves=%d",
                model->name, model->sha256, info.parameters, info.target_count, info.serves);
}

static void remember(struct daemon *daemon, const char *name)
{
    struct fw_error err = {0};
    if (store_state_put(daemon->state, STATE_NAMESPACE, STATE_CURRENT, name, strlen(name), &err) !=
        FW_OK)
        FW_LOG_WARN("model", "the choice will not survive a restart name=%s reason=\"%s\"", name,
                    err.text);
}

/* From the registry, by a name that may have come over the network. */
static enum fw_status open_registered(struct daemon *daemon, const char *name,
                                      struct forecast_model **out, struct fw_error *err)
{
    struct tft_model *network = NULL;
    const enum fw_status status =
        tft_model_open_beneath(daemon->models.directory, name, NULL, &network, err);
    if (status != FW_OK)
        return status;
    pthread_mutex_lock(&daemon->models.lock);
    struct schema schema = daemon->models.schema;
    pthread_mutex_unlock(&daemon->models.lock);
    return forecast_model_adopt(network, name, &schema, daemon->config->step_s, out, err);
}

static enum api_reload reload(void *ctx, const char *name, struct api_model *model,
                              struct fw_error *err)
{
    struct daemon *daemon = ctx;
    struct api_model *found, before;
    size_t count;
    if (read_registry(daemon->models.directory, &found, &count, err) != FW_OK)
        return API_RELOAD_FAILED;
    const struct api_model *chosen = NULL;
    for (size_t i = 0; i < count && chosen == NULL; i++)
        if (name == NULL || strcmp(found[i].name, name) == 0)
            chosen = &found[i];
    enum api_reload result = API_RELOAD_NONE;
    if (chosen != NULL) {
        *model = *chosen;
        struct forecast_model *loaded = NULL;
        result = API_RELOAD_FAILED;
        if (open_registered(daemon, chosen->name, &loaded, err) == FW_OK) {
            const char *sha256 = forecast_model_info(loaded).sha256;
            if (current(daemon, &before) && strcmp(before.sha256, sha256) == 0 &&
                strcmp(before.name, model->name) == 0) {
                *model = before;
                forecast_model_release(loaded);
                result = API_RELOAD_SAME;
            } else {
                install(daemon, loaded, model);
                remember(daemon, model->name);
                outlook_runner_wake(daemon->runner);
                result = API_RELOADED;
            }
        } else {
            FW_LOG_WARN("model", "refused, the last one goes on name=%s reason=\"%s\"",
                        chosen->name, err->text);
        }
    }
    fw_free(found);
    return result;
}

/* What comes with the program, where it can serve: it was trained on five minutes. */
static void load_shipped(struct daemon *daemon)
{
    struct fw_error err = {0};
    struct forecast_model *loaded = NULL;
    struct api_model model;
    if (daemon->config->step_s != FORECAST_MODEL_STEP_S)
        return;
    if (forecast_shipped_open(&daemon->config->schema, daemon->config->step_s, &loaded, &err) !=
        FW_OK) {
        FW_LOG_ERROR("model", "the shipped model does not load, the statistics serve reason=\"%s\"",
                     err.text);
        return;
    }
    blank_model(&model, FORECAST_SHIPPED);
    model.embedded = true;
    install(daemon, loaded, &model);
}

/* The one that was current when the daemon last ran; false: there was none. */
static bool load_remembered(struct daemon *daemon)
{
    struct fw_error err = {0};
    struct fw_buf name;
    fw_buf_init(&name, 128);
    const bool remembered =
        store_state_get(daemon->state, STATE_NAMESPACE, STATE_CURRENT, &name, NULL) == FW_OK;
    if (remembered) {
        fw_buf_putc(&name, '\0');
        struct forecast_model *loaded = NULL;
        struct api_model model;
        enum fw_status status = FW_ENOTFOUND;
        if (name.failed || !describe(daemon->models.directory, name.data, &model))
            fw_fail(&err, FW_ENOTFOUND, "it is not in %s", daemon->models.directory);
        else
            status = open_registered(daemon, name.data, &loaded, &err);
        if (status == FW_OK) {
            install(daemon, loaded, &model);
        } else {
            snprintf(daemon->models.trouble, sizeof daemon->models.trouble,
                     "the current model does not load: %.200s", err.text);
            FW_LOG_ERROR("model",
                         "the current model does not load, the statistics serve reason=\"%s\"",
                         err.text);
        }
    }
    fw_buf_fini(&name);
    return remembered;
}

enum fw_status daemon_models_load(struct daemon *daemon, struct fw_error *err)
{
    const char *path = daemon->config->model;
    if (strcmp(path, "none") == 0)
        return FW_OK;
    if (path[0] == '\0') {
        if (!load_remembered(daemon))
            load_shipped(daemon);
        return FW_OK;
    }
    struct forecast_model *loaded = NULL;
    struct fw_error inner = {0};
    const enum fw_status status = forecast_model_open_named(
        path, &daemon->config->schema, daemon->config->step_s, &loaded, &inner);
    if (status != FW_OK)
        return fw_fail(err, status, "forecast.model: %s: %s", path, inner.text);
    struct api_model model;
    blank_model(&model, base_name(path));
    model.embedded = strcmp(path, FORECAST_SHIPPED) == 0;
    install(daemon, loaded, &model);
    return FW_OK;
}

struct api_models daemon_models_api(struct daemon *daemon)
{
    return (struct api_models){.ctx = daemon, .list = list, .current = current, .reload = reload};
}
