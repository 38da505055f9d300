/* A disk in memory, with the vices of real ones: what was not synced may be lost by the sector,
 * names that were not synced may vanish, a failed sync forgets what it did not write, and the disk
 * can be full.
 *
 * For tests of everything that stores. What a crash leaves is decided by a seed, so a run can be
 * repeated. Thread-safe. */
#ifndef FW_STORE_IO_MEMORY_H
#define FW_STORE_IO_MEMORY_H

#include "store/io.h"

#include <stdbool.h>

struct store_io_memory;

enum { STORE_IO_MEMORY_SECTOR = 512 }; /* bytes that reach the disk together */

/* An empty disk with the root directory "/". NULL when there is no memory. */
struct store_io_memory *store_io_memory_new(uint64_t seed);
void store_io_memory_free(struct store_io_memory *memory);
const struct store_io *store_io_memory_io(struct store_io_memory *memory);

/* Bytes the disk holds (whole 4 KiB blocks of each file count); UINT64_MAX, the default, is no
 * limit. */
void store_io_memory_set_capacity(struct store_io_memory *memory, uint64_t bytes);
/* Makes the nth sync_data from now on fail with EIO; as on Linux, a random part of the unsynced
 * sectors was written, the rest is forgotten by later syncs although reads still show it. 0 takes
 * it back. */
void store_io_memory_fail_sync(struct store_io_memory *memory, uint64_t nth);
/* After this many more calls that change something, the power is off: that call and all others fail
 * with EIO and change nothing. A write at which it goes off may have been taken by the cache in
 * part. */
void store_io_memory_power_off_after(struct store_io_memory *memory, uint64_t changes);
/* Number of calls that changed something so far. */
uint64_t store_io_memory_changes(struct store_io_memory *memory);

/* The power goes and comes back: descriptors and locks are gone, files and names are what the disk
 * had plus none, all or a random half of what was not synced (by the sector; a torn sector stays
 * whole). All descriptors become invalid; nobody may be inside a call. */
void store_io_memory_crash(struct store_io_memory *memory);

/* Whether a crash now would leave these bytes and the file's name as they are. */
bool store_io_memory_is_durable(struct store_io_memory *memory, const char *path, uint64_t offset,
                                uint64_t len);

/* Access behind the layer's back. The bytes of a file, valid until the next call of anything; NULL
 * when there is none. */
unsigned char *store_io_memory_bytes(struct store_io_memory *memory, const char *path, size_t *len);
/* Puts a whole durable file (and its directory) there. */
bool store_io_memory_put(struct store_io_memory *memory, const char *path, const void *data,
                         size_t len);

#endif
