/* Numbers that JSON allows and the parser does not take. */
#ifndef FW_INGEST_NUMBERS_H
#define FW_INGEST_NUMBERS_H

#include "base/buf.h"

/* Copies a JSON text whose form is right into *out, with two changes: an integer beyond 64 bits
 * gets the exponent 0, so that it is read as a double; a number beyond a double becomes `true`, so
 * that it is a fault of the one record it stands in, not of the body. Check out->failed. */
void ingest_tame_numbers(const char *text, size_t len, struct fw_buf *out);

#endif
