/* Incidents that are known: "server_name,start,end" and further columns, both ends inclusive; an
 * empty end means that it never ended. */
#ifndef FW_BACKTEST_LABELS_H
#define FW_BACKTEST_LABELS_H

#include "backtest/spans.h"

enum { BACKTEST_LABELS_MAX = 1000000 };

/* Adds the incidents of `n` servers, whose names ascend, to incidents[n]. *unknown: rows of other
 * servers. FW_EINVAL: a column or field is missing or wrong, or an incident ends before it begins;
 * FW_ELIMIT, FW_ENOTFOUND, FW_EIO, FW_ENOMEM. err names file and line (err->offset). */
FW_MUST_CHECK enum fw_status backtest_labels_read(const char *path, size_t n,
                                                  const char *const *names,
                                                  struct backtest_spans *incidents, size_t *unknown,
                                                  struct fw_error *err);

#endif
