#include "tft/import.h"

#include "base/alloc.h"
#include "tft/file.h"
#include "tft/safetensors.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct files {
    unsigned char *weights, *spec;
    size_t weights_size, spec_size;
};

static enum fw_status read_one(const char *dir, const char *name, size_t max, unsigned char **bytes,
                               size_t *size, struct fw_error *err)
{
    int fd;
    enum fw_status status = tft_file_open_dir(dir, &fd, err);
    if (status != FW_OK)
        return status;
    status = tft_file_read(fd, name, max, false, bytes, size, err);
    close(fd);
    return status;
}

static enum fw_status read_spec(const char *source, const char *spec_path, struct files *f,
                                struct fw_error *err)
{
    char dir[4096];
    const char *name;
    if (spec_path != NULL) {
        if (!tft_file_split(spec_path, dir, sizeof dir, &name))
            return fw_fail(err, FW_EINVAL, "%s: not the path of a file", spec_path);
        return read_one(dir, name, TFT_SPEC_MAX_BYTES, &f->spec, &f->spec_size, err);
    }
    const enum fw_status status =
        read_one(source, TFT_SPEC_NAME, TFT_SPEC_MAX_BYTES, &f->spec, &f->spec_size, err);
    if (status == FW_ENOTFOUND)
        return fw_fail(err, FW_ENOTFOUND,
                       "%.100s has no spec.json; tools/export_pytorch_forecasting.py makes one",
                       source);
    return status;
}

/* The loader takes its bytes over, so it gets a copy. */
static enum fw_status check(const struct files *f, const struct tft_report *report,
                            struct fw_error *err)
{
    struct tft_model *model;
    unsigned char *copy = fw_malloc(f->weights_size + 1);
    if (copy == NULL)
        return fw_fail(err, FW_ENOMEM, "%zu bytes of weights", f->weights_size);
    memcpy(copy, f->weights, f->weights_size);
    const enum fw_status status = tft_model_load(copy, f->weights_size, (const char *)f->spec,
                                                 f->spec_size, report, &model, err);
    tft_model_close(model);
    return status;
}

static enum fw_status write_both(const char *target, const struct files *f, struct fw_error *err)
{
    int fd;
    if (mkdir(target, 0755) != 0 && errno != EEXIST)
        return fw_fail(err, FW_EIO, "%s: %s", target, strerror(errno));
    enum fw_status status = tft_file_open_dir(target, &fd, err);
    if (status != FW_OK)
        return status;
    if (faccessat(fd, TFT_WEIGHTS_NAME, F_OK, 0) == 0 || faccessat(fd, TFT_SPEC_NAME, F_OK, 0) == 0)
        status = fw_fail(err, FW_EINVAL, "%s: holds a model already", target);
    /* The weights last: a directory without them is no model, so a torn import is never opened. */
    if (status == FW_OK)
        status = tft_file_write(fd, TFT_SPEC_NAME, f->spec, f->spec_size, err);
    if (status == FW_OK)
        status = tft_file_write(fd, TFT_WEIGHTS_NAME, f->weights, f->weights_size, err);
    close(fd);
    return status;
}

enum fw_status tft_import(const char *source, const char *spec_path, const char *target,
                          const struct tft_report *report, struct fw_error *err)
{
    struct files f = {0};
    struct fw_error inner;
    enum fw_status status = read_spec(source, spec_path, &f, &inner);
    if (status == FW_OK)
        status = read_one(source, TFT_WEIGHTS_NAME, TFT_SAFETENSORS_MAX_BYTES, &f.weights,
                          &f.weights_size, &inner);
    if (status == FW_OK)
        status = check(&f, report, &inner);
    else if (report != NULL)
        report->reason(report->ctx, inner.text);
    if (status == FW_OK) {
        status = write_both(target, &f, &inner);
        if (status != FW_OK && report != NULL)
            report->reason(report->ctx, inner.text);
    }
    if (status != FW_OK && err != NULL)
        *err = inner;
    fw_free(f.weights);
    fw_free(f.spec);
    return status;
}
