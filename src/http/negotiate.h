/* The two request headers that choose between answers: which encoding, and whether the client has
 * it already. Pure functions over bytes from the network. */
#ifndef FW_HTTP_NEGOTIATE_H
#define FW_HTTP_NEGOTIATE_H

#include "http/body.h"

#include <stdbool.h>
#include <stddef.h>

/* Bits 1 << HTTP_GZIP and 1 << HTTP_ZSTD for what Accept-Encoding (RFC 9110, 12.5.3) allows; "q=0"
 * forbids, and anything unreadable allows nothing. *best is the one to try first: the highest q,
 * zstd before gzip when equal. */
unsigned http_accept_encoding(const char *value, size_t len, enum http_encoding *best);

/* Does If-None-Match (a list of entity tags, or "*") hold the tag whose bare text is `etag`? Weak
 * comparison: W/ in front makes no difference (RFC 9110, 13.1.2). A malformed list matches nothing
 * beyond its well-formed beginning. */
bool http_none_match(const char *value, size_t len, const char *etag);

/* Cuts blanks and tabs at both ends. */
void http_trim(const char **text, size_t *len);
/* Does a comma-separated list hold the token, whatever its case? */
bool http_list_has(const char *value, size_t len, const char *token);
/* Equality with a terminated text, whatever the case of ASCII letters. */
bool http_same_nocase(const char *text, size_t len, const char *other);

#endif
