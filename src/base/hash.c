#include "base/hash.h"

#include "base/rng.h"

#include <assert.h>
#include <gnutls/crypto.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <xxhash.h>

static uint32_t crc_table[8][256];
static uint64_t process_seed;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void prepare(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
        crc_table[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int k = 1; k < 8; k++)
            crc_table[k][i] = crc_table[k - 1][i] >> 8 ^ crc_table[0][crc_table[k - 1][i] & 0xff];
    process_seed = fw_rng_entropy();
}

/* Eight bytes a round by table; the machine's own instruction where it has one. */
static uint32_t crc_table_run(uint32_t crc, const unsigned char *p, size_t len)
{
    for (; len >= 8; len -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        word ^= crc;
        crc = 0;
        for (int k = 0; k < 8; k++)
            crc ^= crc_table[7 - k][word >> (8 * k) & 0xff];
    }
    for (; len > 0; len--, p++)
        crc = crc >> 8 ^ crc_table[0][(crc ^ *p) & 0xff];
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc_sse42(uint32_t crc, const unsigned char *p,
                                                            size_t len)
{
    uint64_t wide = crc;
    for (; len >= 8; len -= 8, p += 8) {
        unsigned long long word;
        memcpy(&word, p, 8);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = (uint32_t)wide;
    for (; len > 0; len--, p++)
        crc = __builtin_ia32_crc32qi(crc, *p);
    return crc;
}
#endif

uint32_t fw_crc32c(uint32_t crc, const void *data, size_t len)
{
    pthread_once(&once, prepare);
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc_sse42(~crc, data, len);
#endif
    return ~crc_table_run(~crc, data, len);
}

uint64_t fw_hash_keyed(const void *data, size_t len)
{
    pthread_once(&once, prepare);
    return XXH3_64bits_withSeed(data, len, process_seed);
}

uint64_t fw_hash_stable(const void *data, size_t len)
{
    return XXH3_64bits(data, len);
}

void fw_sha256(const void *data, size_t len, unsigned char out[FW_SHA256_SIZE])
{
    const int result = gnutls_hash_fast(GNUTLS_DIG_SHA256, data, len, out);
    assert(result == 0);
    (void)result;
}
