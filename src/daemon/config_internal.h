/* What the files of the configuration share: a metric's section key by key, so that a file's
 * thresholds are judged together, in whatever order they stand. */
#ifndef FW_DAEMON_CONFIG_INTERNAL_H
#define FW_DAEMON_CONFIG_INTERNAL_H

#include "daemon/config.h"

/* The metric as it is, or as a new one begins. FW_EINVAL: the name is too long. */
FW_MUST_CHECK enum fw_status config_metric_begin(const struct config *config, const char *name,
                                                 struct schema_metric *metric,
                                                 struct fw_error *err);

/* One key of it; schema_set() has the last word on the whole. */
FW_MUST_CHECK enum fw_status config_metric_set(struct schema_metric *metric, const char *key,
                                               const char *value, struct fw_error *err);

#endif
