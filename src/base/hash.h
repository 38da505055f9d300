/* Checksums and hashes, each for its purpose. */
#ifndef FW_BASE_HASH_H
#define FW_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* CRC32C (Castagnoli, RFC 3720 B.4) of data that is stored. Start with 0; chain by passing the last
 * result. */
uint32_t fw_crc32c(uint32_t crc, const void *data, size_t len);

/* Keyed 64-bit hash for tables whose keys come from the network (XXH3, seeded at random once per
 * process). */
uint64_t fw_hash_keyed(const void *data, size_t len);
/* The same function with a fixed seed: for ETags and fingerprints that must agree between runs. */
uint64_t fw_hash_stable(const void *data, size_t len);

enum { FW_SHA256_SIZE = 32 };
void fw_sha256(const void *data, size_t len, unsigned char out[FW_SHA256_SIZE]);

#endif
