/* Named API keys with roles. Only SHA-256 hashes are kept; a key shown is hashed and compared with
 * every stored hash, without branches that depend on the secret and without early exit.
 *
 * All functions are thread-safe; a set may be replaced while it is in use. */
#ifndef FW_HTTP_KEYS_H
#define FW_HTTP_KEYS_H

#include "base/status.h"
#include "http/server.h"

#include <stdbool.h>
#include <stddef.h>

enum { HTTP_KEY_NAME_MAX = 64, HTTP_KEYS_MAX = 256, HTTP_KEY_TEXT_MAX = 512 };

struct http_keys;

/* An empty set: everything is open. NULL when out of memory. */
struct http_keys *http_keys_new(void);
void http_keys_free(struct http_keys *keys);

/* `name`: 1 to 64 of [0-9A-Za-z._-], shown in logs. `text`: 1 to 512 bytes, blanks around it are
 * cut; it is hashed at once and not kept. FW_EINVAL, FW_ELIMIT (256 keys). Two keys may share a
 * name: that is rotation. */
FW_MUST_CHECK enum fw_status http_keys_add_plain(struct http_keys *keys, const char *name,
                                                 enum http_role role, const char *text,
                                                 struct fw_error *err);

/* Adds the keys of a file (at most 64 KiB). Lines: name:role:sha256:HEX (64 digits, any case),
 * name:role:TEXT, blank, or "# comment"; role is read, write or admin. A file of one bare line
 * without ':' is one admin key called "admin". The file must be a regular file owned by the caller
 * or root, and closed to group and others (0600 or less): otherwise FW_EINVAL. FW_EIO, FW_EINVAL
 * with err->offset = line. Nothing is added unless all is well; no error text holds a key. */
FW_MUST_CHECK enum fw_status http_keys_add_file(struct http_keys *keys, const char *path,
                                                struct fw_error *err);

/* The same for a file that somebody else will read, the daemon's user: whose it is is not looked
 * at. A file without any key is FW_EINVAL. */
FW_MUST_CHECK enum fw_status http_keys_check_file(const char *path, struct fw_error *err);

/* Makes `keys` hold what `from` holds; `from` is left empty. For SIGHUP. */
void http_keys_replace(struct http_keys *keys, struct http_keys *from);

size_t http_keys_count(struct http_keys *keys);

/* Looks up the key shown (`len` bytes, blanks around cut). On success role and name are written.
 * Takes the same steps whatever the bytes are, apart from hashing their length. */
bool http_keys_check(struct http_keys *keys, const char *text, size_t len, enum http_role *role,
                     char name[HTTP_KEY_NAME_MAX + 1]);

/* "open", "read", "write", "admin". */
const char *http_role_name(enum http_role role);
bool http_role_parse(const char *text, enum http_role *role);

#endif
