#include "ingest/numbers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { INTEGER_SAFE = 18 /* digits that always fit 64 bits */, NUMBER_MAX = 512 };

static bool in_number(char c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

static void put_number(struct fw_buf *out, const char *text, size_t len)
{
    char copy[NUMBER_MAX];
    bool integer = true;
    for (size_t i = 0; i < len; i++)
        integer = integer && text[i] != '.' && text[i] != 'e' && text[i] != 'E';
    bool finite = len < sizeof copy || !integer;
    if (len < sizeof copy) {
        memcpy(copy, text, len);
        copy[len] = '\0';
        finite = isfinite(strtod(copy, NULL));
    }
    if (!finite) {
        fw_buf_puts(out, "true");
        return;
    }
    fw_buf_put(out, text, len);
    if (integer && len > INTEGER_SAFE)
        fw_buf_puts(out, "e0");
}

/* The length of a string with its quotes. */
static size_t string_length(const char *text, size_t len)
{
    size_t i = 1;
    while (i < len && text[i] != '"')
        i += text[i] == '\\' ? 2 : 1;
    return i < len ? i + 1 : len;
}

void ingest_tame_numbers(const char *text, size_t len, struct fw_buf *out)
{
    for (size_t i = 0; i < len;) {
        size_t run = 1;
        if (text[i] == '"') {
            run = string_length(text + i, len - i);
            fw_buf_put(out, text + i, run);
        } else if (text[i] == '-' || (text[i] >= '0' && text[i] <= '9')) {
            while (i + run < len && in_number(text[i + run]))
                run++;
            put_number(out, text + i, run);
        } else {
            /* Names of values hold an 'e', but none begins with what begins a number. */
            while (i + run < len && text[i + run] != '"' && text[i + run] != '-' &&
                   !(text[i + run] >= '0' && text[i + run] <= '9'))
                run++;
            fw_buf_put(out, text + i, run);
        }
        i += run;
    }
}
