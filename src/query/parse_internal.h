/* What the files of the parser share: the text, the place in it, and its words. */
#ifndef FW_QUERY_PARSE_INTERNAL_H
#define FW_QUERY_PARSE_INTERNAL_H

#include "query/query_internal.h"

struct parser {
    struct query *query;
    const char *begin, *at, *end;
    int depth;
    enum fw_status status;
    struct fw_error *err;
};

static inline bool parse_is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
}

static inline bool parse_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The first failure is kept: FW_ENOTFOUND for what PromQL has and this has not. Returns 0, which is
 * a node and false. */
int parse_fail(struct parser *p, enum fw_status status, const char *format, ...) FW_PRINTF(3, 4);
/* Blanks and comments. */
void parse_skip(struct parser *p);
/* The character, if it is the next one. */
bool parse_take(struct parser *p, char c);
/* The same; fails if it is not. */
bool parse_expect(struct parser *p, char c);
/* Length of the identifier here, without taking it; 0: none. */
size_t parse_peek_word(struct parser *p);
/* In any case; `word` is in small letters. */
bool parse_is_word(const char *at, size_t len, const char *word);
bool parse_take_word(struct parser *p, const char *word);
/* A copy in the query; texts are no longer than what they were read from. */
const char *parse_keep(struct parser *p, const char *text, size_t len);
/* A text in quotes, into the query; "" after a failure. */
const char *parse_string(struct parser *p);
/* Bytes of the decimal number at the beginning of a text; 0: none. */
size_t parse_number_length(const char *at, const char *end);

#endif
