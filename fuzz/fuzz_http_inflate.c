/* Compressed bodies: never more than the cap, and the same result however the input is cut. The
 * first byte picks the cut. */
#include "base/hash.h"
#include "http/inflate.h"

#include <stdint.h>
#include <stdlib.h>

enum { CAP = 1 << 16 };

struct outcome {
    enum http_inflate_result result;
    size_t len;
    uint64_t hash;
};

static struct outcome inflate_in_two(const uint8_t *data, size_t size, size_t cut)
{
    struct http_inflate *inflate = http_inflate_new();
    struct fw_buf out;
    fw_buf_init(&out, CAP);
    enum http_inflate_result result = HTTP_INFLATE_MORE;
    if (cut > 0)
        result = http_inflate_feed(inflate, data, cut, &out);
    if (result == HTTP_INFLATE_MORE || result == HTTP_INFLATE_END)
        result = http_inflate_feed(inflate, data + cut, size - cut, &out);
    if (out.len > CAP || out.cap > CAP)
        abort();
    const struct outcome outcome = {result, out.len, fw_hash_stable(out.data, out.len)};
    fw_buf_fini(&out);
    http_inflate_free(inflate);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const struct outcome whole = inflate_in_two(data + 1, size - 1, 0);
    const struct outcome split = inflate_in_two(data + 1, size - 1, data[0] % size);
    if (whole.result != split.result)
        abort();
    if (whole.result == HTTP_INFLATE_END && (whole.len != split.len || whole.hash != split.hash))
        abort();
    return 0;
}
