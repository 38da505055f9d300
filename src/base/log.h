/* One line per event to standard error: logfmt or JSON, capped in rate and length, control bytes
 * escaped.
 *
 *   2026-11-23T01:56:54.765Z INFO  journal: recovered records=1204 quarantined=0 ms=31
 *
 * An event is "area: what happened" plus key=value pairs, each pair passed as a format; see
 * FW_LOG_*. Levels come from FOREWARN_LOG_LEVEL (or NORDIQ_LOG_LEVEL). With $JOURNAL_STREAM set,
 * lines begin with a <N> priority. */
#ifndef FW_BASE_LOG_H
#define FW_BASE_LOG_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

enum fw_log_level { FW_DEBUG, FW_INFO, FW_WARN, FW_ERROR };

struct fw_log_options {
    enum fw_log_level level;
    bool json;
    unsigned lines_per_minute; /* 0: any number. Beyond it, and beyond half of it for one area,
                                  lines are counted and one summary is written; ERROR always
                                  passes */
    /* Where lines go; NULL for standard error. Called under the log's lock with a whole line. */
    void (*sink)(void *ctx, const char *line, size_t len);
    void *ctx;
};

/* Defaults: INFO, logfmt, 100 lines a minute. Thread-safe; may be called again. */
void fw_log_configure(const struct fw_log_options *options);
/* "debug", "info", "warn" (or "warning"), "error", any case; false for anything else. */
bool fw_log_level_parse(const char *text, enum fw_log_level *level);
/* The environment's wish over `fallback`. */
enum fw_log_level fw_log_level_from_environment(enum fw_log_level fallback);
bool fw_log_enabled(enum fw_log_level level);

/* area: a literal, a short lower-case word; the text: what happened, then key=value pairs. Text
 * that came from outside is passed as an argument of %s only; it is escaped and cut at 1 KiB like
 * the rest of the line. */
void fw_log(enum fw_log_level level, const char *area, const char *format, ...) FW_PRINTF(3, 4);

#define FW_LOG_DEBUG(area, ...) fw_log(FW_DEBUG, area, __VA_ARGS__)
#define FW_LOG_INFO(area, ...) fw_log(FW_INFO, area, __VA_ARGS__)
#define FW_LOG_WARN(area, ...) fw_log(FW_WARN, area, __VA_ARGS__)
#define FW_LOG_ERROR(area, ...) fw_log(FW_ERROR, area, __VA_ARGS__)

/* Lines swallowed by the rate cap since the start. */
unsigned long fw_log_suppressed(void);

#endif
