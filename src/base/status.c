#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>

static void fill(struct fw_error *err, enum fw_status status, uint64_t offset, const char *format,
                 va_list args) FW_PRINTF(4, 0);

static void fill(struct fw_error *err, enum fw_status status, uint64_t offset, const char *format,
                 va_list args)
{
    if (err == NULL)
        return;
    err->status = status;
    err->offset = offset;
    vsnprintf(err->text, sizeof err->text, format, args);
}

enum fw_status(fw_fail)(struct fw_error *err, enum fw_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(err, status, 0, format, args);
    va_end(args);
    return status;
}

enum fw_status(fw_fail_at)(struct fw_error *err, enum fw_status status, uint64_t offset,
                           const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(err, status, offset, format, args);
    va_end(args);
    return status;
}

const char *fw_status_name(enum fw_status status)
{
    switch (status) {
    case FW_OK:
        return "ok";
    case FW_EINVAL:
        return "invalid";
    case FW_ENOMEM:
        return "out of memory";
    case FW_EIO:
        return "input/output error";
    case FW_ENOSPC:
        return "no space left";
    case FW_ECORRUPT:
        return "corrupt";
    case FW_EVERSION:
        return "unknown version";
    case FW_ELIMIT:
        return "limit reached";
    case FW_ENOTFOUND:
        return "not found";
    case FW_EBUSY:
        return "busy";
    case FW_ETIMEOUT:
        return "timed out";
    }
    return "unknown status";
}
