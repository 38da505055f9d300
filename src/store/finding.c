#include "store/finding.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void store_finding_tell(store_finding_fn fn, void *ctx, const char *kind, const char *path,
                        uint64_t offset, uint64_t length, const char *format, ...)
{
    if (fn == NULL)
        return;
    struct store_finding finding = {.kind = kind, .offset = offset, .length = length};
    snprintf(finding.path, sizeof finding.path, "%s", path);
    va_list args;
    va_start(args, format);
    vsnprintf(finding.text, sizeof finding.text, format, args);
    va_end(args);
    fn(ctx, &finding);
}

static bool copy_range(const struct store_io *io, int from, int to, uint64_t offset,
                       uint64_t length)
{
    unsigned char piece[8192];
    for (uint64_t done = 0; done < length;) {
        const size_t n = length - done < sizeof piece ? (size_t)(length - done) : sizeof piece;
        if (store_io_read_full(io, from, piece, n, offset + done) < 0)
            memset(piece, 0, n); /* what the device refuses to tell is kept as zeros */
        if (store_io_write_full(io, to, piece, n, done) < 0)
            return false;
        done += n;
    }
    return true;
}

void store_quarantine_range(struct store_quarantine *quarantine, const char *name, int fd,
                            uint64_t offset, uint64_t length)
{
    const struct store_io *io = quarantine->io;
    if (quarantine->dir == NULL || length == 0)
        return;
    char path[STORE_PATH_MAX];
    const int n =
        snprintf(path, sizeof path, "%s/%s-%" PRIx64 ".bad", quarantine->dir, name, offset);
    int out = -1;
    if (n >= 0 && (size_t)n < sizeof path && length <= quarantine->bytes_max - quarantine->bytes) {
        const int made = io->mkdir(io->ctx, quarantine->dir, 0700);
        if (made == 0 || made == -EEXIST)
            out = io->open(io->ctx, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    }
    bool kept = false;
    if (out >= 0) {
        kept = copy_range(io, fd, out, offset, length) && io->sync_data(io->ctx, out) == 0 &&
               io->sync_dir(io->ctx, quarantine->dir) == 0;
        (void)io->close(io->ctx, out);
    }
    if (kept)
        quarantine->bytes += length;
    else
        quarantine->skipped += length;
}
