/* Strictness about the head of a request, beyond what libmicrohttpd 0.9.75 asks: whatever two
 * readers could understand differently is refused, since a proxy in front may be the other reader.
 * Pure functions over bytes from the network; they keep pointers into the caller's bytes. */
#ifndef FW_HTTP_GUARD_H
#define FW_HTTP_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_text {
    const char *at; /* NULL: absent */
    size_t len;
};

/* What the server reads from a head. */
struct http_head {
    struct http_text host, api_key, authorization, origin, content_encoding, accept_encoding;
    struct http_text if_none_match, expect, preflight_method, preflight_headers;
    struct http_text length_text, transfer_encoding;
    uint64_t content_length; /* 0 when absent */
    unsigned lines;
    bool chunked;
};

/* A refusal: what to answer. `text` is a literal, NULL when all is well. */
struct http_fault {
    int status;
    const char *text;
};

/* Only upper-case letters, 1 to 16 of them. */
struct http_fault http_guard_method(const char *method);
/* "HTTP/1.1" or "HTTP/1.0". */
struct http_fault http_guard_version(const char *version);
/* Origin form only ("/..."): printable ASCII without '#', '\\' and blanks. */
struct http_fault http_guard_target(const char *target, size_t len);
/* One header line, in the order sent; fills *head (zeroed before the first). */
struct http_fault http_guard_header(struct http_head *head, const char *name, size_t name_len,
                                    const char *value, size_t value_len);
/* After the last line. */
struct http_fault http_guard_finish(struct http_head *head);

/* Compares where libmicrohttpd 0.9.75 left the pieces of a head with where they would lie had each
 * line ended in CRLF and none been joined with the next: it parses in place, so a bare LF, a folded
 * line or a NUL in a value shows as a gap of the wrong size. (A NUL directly before a bare LF looks
 * like CRLF: that one passes.) */
struct http_wire {
    const char *start;
    const char *next; /* where the next piece must begin; NULL once something was out of place */
};
void http_wire_begin(struct http_wire *wire, const char *method, size_t target_len,
                     const char *version);
void http_wire_header(struct http_wire *wire, const char *name, size_t name_len, const char *value,
                      size_t value_len);
/* Chunk headers are seen where the same read brought data behind them: `gap` are the bytes that
 * libmicrohttpd skipped, from what it handled before up to the data. True for [CRLF] size CRLF with
 * a size of at most `max` and 15 digits. */
bool http_wire_chunk(const char *gap, size_t len, uint64_t max);
/* head_size: bytes from the method to the end of the empty line. */
bool http_wire_whole(const struct http_wire *wire, size_t head_size);

#endif
