/* The values of one metric in a block, as bytes: docs/formats/history.md, "Metric" and "What is
 * lost". */
#ifndef FW_ARCHIVE_COLUMN_H
#define FW_ARCHIVE_COLUMN_H

#include "base/buf.h"
#include "base/bytes.h"

/* Values are multiples of mantissa * 10^exponent. Mantissa 0: no quantum, the values are exact. */
struct archive_quantum {
    uint8_t mantissa; /* 1 to 99 */
    int8_t exponent;
};

/* As a number; 0 when there is none. */
double archive_quantum_value(struct archive_quantum quantum);

enum archive_form { ARCHIVE_CONSTANT, ARCHIVE_MULTIPLES, ARCHIVE_FLOATS, ARCHIVE_FORMS };

/* How a column will be written. */
struct archive_plan {
    enum archive_form form;
    struct archive_quantum quantum;
    unsigned planes;
};

/* Decides for n (1 to ARCHIVE_STEPS) finite values. `kept` is the quantum that some of them are
 * multiples of already, from an earlier block; they stay what they are. */
struct archive_plan archive_column_plan(const float *values, size_t n, struct archive_quantum kept);

/* Writes what follows form and mask; check out->failed. */
void archive_column_put(const float *values, size_t n, const struct archive_plan *plan,
                        struct fw_buf *out);

/* Reads it back: n finite values. False: these are no such bytes. */
bool archive_column_get(struct fw_bytes *in, enum archive_form form, size_t n, float *values,
                        struct archive_quantum *quantum);

#endif
