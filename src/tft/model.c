#include "tft/model.h"

#include "base/alloc.h"
#include "tft/file.h"
#include "tft/model_loader.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FULL_REASONS = 40 };

void tft_loader_refuse(struct tft_loader *l, enum fw_status status, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (l->reasons++ == 0)
        l->first = fw_fail(l->err, status, "%s", text);
    if (l->report != NULL && l->reasons <= FULL_REASONS)
        l->report->reason(l->report->ctx, text);
}

static void hex(const unsigned char *bytes, size_t n, char *text)
{
    for (size_t i = 0; i < n; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

static void check_digest(struct tft_loader *l)
{
    char text[2 * FW_SHA256_SIZE + 1];
    hex(l->model->sha256, FW_SHA256_SIZE, text);
    if (l->model->spec->weights_sha256 != NULL && strcmp(text, l->model->spec->weights_sha256) != 0)
        tft_loader_refuse(
            l, FW_ECORRUPT,
            "the weights are not the ones that the spec was made for (SHA-256 differs)");
}

static void load_steps(struct tft_loader *l, unsigned char *weights, size_t weights_size,
                       const char *spec_json, size_t spec_size)
{
    struct tft_model *m = l->model;
    struct fw_error inner;
    fw_sha256(weights, weights_size, m->sha256);
    m->weights_bytes = weights_size;
    m->kernels = tft_kernels_best();
    enum fw_status status =
        tft_safetensors_parse(weights, weights_size, TFT_WEIGHTS_NAME, &l->file, &inner);
    if (status != FW_OK)
        tft_loader_refuse(l, status, "%s", inner.text);
    status = tft_spec_parse(spec_json, spec_size, TFT_SPEC_NAME, &m->spec, &inner);
    if (status != FW_OK)
        tft_loader_refuse(l, status, "%s", inner.text);
    if (l->reasons == 0)
        check_digest(l);
    if (l->file != NULL && m->spec != NULL)
        tft_loader_build(l);
    if (m->net != NULL)
        tft_loader_fill(l);
    if (l->reasons == 0)
        tft_loader_probe(l);
}

enum fw_status tft_model_load(unsigned char *weights, size_t weights_size, const char *spec_json,
                              size_t spec_size, const struct tft_report *report,
                              struct tft_model **out, struct fw_error *err)
{
    struct tft_loader l = {.report = report, .err = err};
    *out = NULL;
    l.model = fw_calloc(1, sizeof *l.model);
    if (l.model == NULL) {
        fw_free(weights);
        return fw_fail(err, FW_ENOMEM, "open a model");
    }
    load_steps(&l, weights, weights_size, spec_json, spec_size);
    tft_safetensors_close(l.file);
    if (l.reasons != 0) {
        tft_model_close(l.model);
        return l.first;
    }
    *out = l.model;
    return FW_OK;
}

static enum fw_status told(const struct tft_report *report, enum fw_status status,
                           const struct fw_error *inner, struct fw_error *err)
{
    if (err != NULL)
        *err = *inner;
    if (report != NULL)
        report->reason(report->ctx, inner->text);
    return status;
}

static enum fw_status load_dir(int dir_fd, const char *weights_name, bool single_link,
                               const struct tft_report *report, struct tft_model **out,
                               struct fw_error *err)
{
    unsigned char *weights, *spec;
    size_t weights_size = 0, spec_size = 0;
    struct fw_error inner;
    enum fw_status status = tft_file_read(dir_fd, TFT_SPEC_NAME, TFT_SPEC_MAX_BYTES, single_link,
                                          &spec, &spec_size, &inner);
    if (status != FW_OK)
        return told(report, status, &inner, err);
    status = tft_file_read(dir_fd, weights_name, TFT_SAFETENSORS_MAX_BYTES, single_link, &weights,
                           &weights_size, &inner);
    if (status == FW_OK)
        status =
            tft_model_load(weights, weights_size, (const char *)spec, spec_size, report, out, err);
    else
        status = told(report, status, &inner, err);
    fw_free(spec);
    return status;
}

static bool is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

enum fw_status tft_model_open(const char *path, const struct tft_report *report,
                              struct tft_model **out, struct fw_error *err)
{
    char parent[4096];
    const char *name = TFT_WEIGHTS_NAME, *dir = path;
    struct fw_error inner;
    int fd;
    *out = NULL;
    if (!is_directory(path)) {
        if (!tft_file_split(path, parent, sizeof parent, &name)) {
            (void)fw_fail(&inner, FW_EINVAL, "%s: neither a directory nor a file", path);
            return told(report, FW_EINVAL, &inner, err);
        }
        dir = parent;
    }
    enum fw_status status = tft_file_open_dir(dir, &fd, &inner);
    if (status != FW_OK)
        return told(report, status, &inner, err);
    status = load_dir(fd, name, false, report, out, err);
    close(fd);
    return status;
}

enum fw_status tft_model_open_beneath(const char *root, const char *name,
                                      const struct tft_report *report, struct tft_model **out,
                                      struct fw_error *err)
{
    struct fw_error inner;
    int root_fd, fd;
    *out = NULL;
    enum fw_status status = tft_file_open_dir(root, &root_fd, &inner);
    if (status != FW_OK)
        return told(report, status, &inner, err);
    status = tft_file_open_dir_beneath(root_fd, name, &fd, &inner);
    close(root_fd);
    if (status != FW_OK)
        return told(report, status, &inner, err);
    status = load_dir(fd, TFT_WEIGHTS_NAME, true, report, out, err);
    close(fd);
    return status;
}

void tft_model_close(struct tft_model *model)
{
    if (model == NULL)
        return;
    tft_net_free(model->net);
    tft_spec_free(model->spec);
    fw_free(model->params);
    fw_free(model->packed);
    fw_free(model);
}

const struct tft_spec *tft_model_spec(const struct tft_model *model)
{
    return model->spec;
}

struct tft_model_info tft_model_info(const struct tft_model *model)
{
    struct tft_model_info info = {
        .hidden = model->net->hidden,
        .heads = model->net->heads,
        .lstm_layers = model->net->layers,
        .parameters = model->net->n_parameters,
        .weights_bytes = model->weights_bytes,
        .resident_bytes = 2 * model->net->n_floats * sizeof(float),
        .kernels = model->kernels->name,
    };
    hex(model->sha256, FW_SHA256_SIZE, info.sha256);
    return info;
}

void tft_model_use_kernels(struct tft_model *model, const struct tft_kernels *kernels)
{
    model->kernels = kernels;
}
