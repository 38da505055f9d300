/* Results as text, JSON, CSV and as a picture. All write into a buffer and cannot fail otherwise
 * than by its `failed`. */
#ifndef FW_EVALUATE_REPORT_H
#define FW_EVALUATE_REPORT_H

#include "base/buf.h"
#include "evaluate/figures.h"

/* A result with its figures. */
struct evaluate_report {
    const struct evaluate_result *result;
    const struct evaluate_row *rows; /* (metrics) */
    struct evaluate_summary summary;
};

/* A table for people. */
void evaluate_report_text(const struct evaluate_report *report, struct fw_buf *out);

/* {"sets":[one element for each set and metric],"summary":[one for each set],"ett":[...]}; keys in
 * docs/evaluation.md. */
void evaluate_report_json(const struct evaluate_report *reports, size_t n, struct fw_buf *out);

/* set,metric,method,q10,q50,q90,coverage,q50_median_server,points; then the means over metrics. */
void evaluate_report_csv(const struct evaluate_report *reports, size_t n, struct fw_buf *out);

/* A picture that stands alone: no script, no reference to anything outside. */
void evaluate_report_svg(const struct evaluate_report *reports, size_t n, struct fw_buf *out);

#endif
