/* How functions report what the world can do to them: bad input, a full disk, a lost peer. What
 * only the program itself can do wrong is an assert() instead. */
#ifndef FW_BASE_STATUS_H
#define FW_BASE_STATUS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FW_MUST_CHECK __attribute__((warn_unused_result))
#define FW_PRINTF(format_index, first_index)                                                       \
    __attribute__((format(printf, format_index, first_index)))
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum fw_status {
    FW_OK = 0,
    FW_EINVAL,    /* the caller's data or request is wrong */
    FW_ENOMEM,    /* the allocator said no */
    FW_EIO,       /* a file or socket operation failed */
    FW_ENOSPC,    /* the disk is full; may pass */
    FW_ECORRUPT,  /* stored data fails its checks */
    FW_EVERSION,  /* written by a version this program does not know */
    FW_ELIMIT,    /* a configured limit would be passed */
    FW_ENOTFOUND, /* no such thing */
    FW_EBUSY,     /* somebody else holds it; try later */
    FW_ETIMEOUT,  /* a deadline passed */
};

/* Where a person will read it. `offset` is the byte (or line, where a function says so) of the
 * fault. */
struct fw_error {
    enum fw_status status;
    uint64_t offset;
    char text[256];
};

/* Fills *err (may be NULL) and returns `status`, so that a failing function can end in one line. */
enum fw_status fw_fail(struct fw_error *err, enum fw_status status, const char *format, ...)
    FW_PRINTF(3, 4);

/* The same with the position of the fault. */
enum fw_status fw_fail_at(struct fw_error *err, enum fw_status status, uint64_t offset,
                          const char *format, ...) FW_PRINTF(4, 5);

/* The static analyzer reads one source at a time; without this it takes every failure for a
 * possible FW_OK and follows paths that cannot be. */
#ifdef __clang_analyzer__
#define fw_fail(err, status, ...) ((void)(fw_fail)(err, status, __VA_ARGS__), (status))
#define fw_fail_at(err, status, offset, ...)                                                       \
    ((void)(fw_fail_at)(err, status, offset, __VA_ARGS__), (status))
#endif

/* "ok", "invalid", ... Never NULL. */
const char *fw_status_name(enum fw_status status);

#ifdef __cplusplus
}
#endif

#endif
