#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096, TEXT_MAX_BYTES = 1024, AREAS_MAX = 32 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fw_log_options current = {.level = FW_INFO, .lines_per_minute = 100};
static _Atomic int current_level = FW_INFO;
static atomic_ulong suppressed_total;
static int64_t minute; /* guarded by lock, like all below */
static unsigned lines_this_minute;
static unsigned long suppressed_this_minute;
static struct {
    const char *area;
    unsigned lines; /* this minute */
} shares[AREAS_MAX];
static size_t share_count;

void fw_log_configure(const struct fw_log_options *options)
{
    pthread_mutex_lock(&lock);
    current = *options;
    atomic_store(&current_level, (int)options->level);
    lines_this_minute = 0;
    share_count = 0;
    pthread_mutex_unlock(&lock);
}

bool fw_log_level_parse(const char *text, enum fw_log_level *level)
{
    static const struct {
        const char *name;
        enum fw_log_level level;
    } names[] = {
        {"debug",    FW_DEBUG},
        {"info",     FW_INFO },
        {"warn",     FW_WARN },
        {"warning",  FW_WARN },
        {"error",    FW_ERROR},
        {"critical", FW_ERROR}
    };
    for (size_t i = 0; i < COUNT(names); i++) {
        if (strcasecmp(text, names[i].name) == 0) {
            *level = names[i].level;
            return true;
        }
    }
    return false;
}

enum fw_log_level fw_log_level_from_environment(enum fw_log_level fallback)
{
    static const char *const names[] = {"FOREWARN_LOG_LEVEL", "NORDIQ_LOG_LEVEL"};
    for (size_t i = 0; i < COUNT(names); i++) {
        const char *text = getenv(names[i]);
        enum fw_log_level level;
        if (text != NULL && fw_log_level_parse(text, &level))
            return level;
    }
    return fallback;
}

bool fw_log_enabled(enum fw_log_level level)
{
    return (int)level >= atomic_load_explicit(&current_level, memory_order_relaxed);
}

unsigned long fw_log_suppressed(void)
{
    return atomic_load(&suppressed_total);
}

static bool begins_pair(const char *at)
{
    const size_t key = strspn(at, "abcdefghijklmnopqrstuvwxyz_");
    return key > 0 && at[key] == '=';
}

/* Whether the quote begins or ends a value, key="...": behind its end comes nothing or another
 * pair. Others are part of what is quoted. */
static bool is_delimiter(const char *text, const char *quote, bool inside)
{
    if (inside)
        return quote[1] == '\0' || (quote[1] == ' ' && begins_pair(quote + 2));
    return quote > text && quote[-1] == '=';
}

/* Control bytes would let one event forge another, so they are written as \xNN; quotes within a
 * quoted value are escaped as logfmt wants them. */
static void put_clean(struct fw_buf *line, const char *text)
{
    static const char hex[] = "0123456789abcdef";
    const char *at = text, *end = text + strlen(text);
    bool inside = false;
    while (at < end) {
        const char *run = at; /* nearly always all of it */
        while (run < end && *run >= 0x20 && *run < 0x7f && *run != '"' && *run != '\\')
            run++;
        fw_buf_put(line, at, (size_t)(run - at));
        at = run;
        if (at == end)
            return;
        if (*at == '"' || *at == '\\') {
            const bool delimits = *at == '"' && is_delimiter(text, at, inside);
            if (inside && !delimits)
                fw_buf_putc(line, '\\');
            fw_buf_putc(line, *at++);
            inside ^= delimits;
            continue;
        }
        const unsigned char c = (unsigned char)at[0];
        const size_t size = fw_utf8_length(at, (size_t)(end - at));
        if (size <= 1 || (c == 0xc2 && (unsigned char)at[1] < 0xa0)) {
            const char escaped[4] = {'\\', 'x', hex[c >> 4], hex[c & 15]};
            fw_buf_put(line, escaped, sizeof escaped);
            at++;
        } else {
            fw_buf_put(line, at, size);
            at += size;
        }
    }
}

static void put_line(struct fw_buf *line, enum fw_log_level level, const char *area,
                     const char *text)
{
    static const char *const names[] = {"DEBUG", "INFO", "WARN", "ERROR"};
    static const char *const priorities[] = {"<7>", "<6>", "<4>", "<3>"};
    char time[FW_TIME_SIZE];
    fw_time_format_z(fw_clock_wall_ms(fw_clock_system()), time);
    if (current.sink == NULL && getenv("JOURNAL_STREAM") != NULL)
        fw_buf_puts(line, priorities[level]);
    if (current.json) {
        fw_buf_printf(line, "{\"time\":\"%s\",\"level\":\"%s\",\"area\":\"%s\",\"event\":", time,
                      names[level], area);
        fw_buf_json_string(line, text, strlen(text));
        fw_buf_puts(line, "}\n");
    } else {
        fw_buf_printf(line, "%s %-5s %s: ", time, names[level], area);
        put_clean(line, text);
        fw_buf_putc(line, '\n');
    }
}

/* Under `lock`; the line's memory is kept for the next. */
static void emit(enum fw_log_level level, const char *area, const char *text)
{
    static struct fw_buf line = {.max = LINE_MAX_BYTES * 2};
    fw_buf_reset(&line);
    put_line(&line, level, area, text);
    if (line.data != NULL) {
        if (line.failed)
            line.data[line.len - 1] = '\n';
        if (current.sink != NULL)
            current.sink(current.ctx, line.data, line.len);
        else if (write(STDERR_FILENO, line.data, line.len) < 0)
            atomic_fetch_add(&suppressed_total, 1); /* nobody can be told */
    }
}

/* The area's lines of this minute. Areas beyond AREAS_MAX share the last one's. */
static unsigned *lines_of(const char *area)
{
    size_t i = 0;
    while (i < share_count && strcmp(shares[i].area, area) != 0)
        i++;
    if (i == AREAS_MAX)
        return &shares[AREAS_MAX - 1].lines;
    if (i == share_count) {
        shares[i].area = area;
        shares[i].lines = 0;
        share_count++;
    }
    return &shares[i].lines;
}

/* Half of a minute's lines, rounded up, is as much as one area gets: a thousand alerts at once do
 * not hide that the disk is full. */
static bool has_room(unsigned lines)
{
    return current.lines_per_minute == 0 || (lines_this_minute < current.lines_per_minute &&
                                             lines < (current.lines_per_minute + 1) / 2);
}

/* True when the line may pass. A new minute first tells what the last one swallowed. */
static bool within_rate(enum fw_log_level level, const char *area)
{
    const int64_t now_minute = fw_clock_mono_ns(fw_clock_system()) / 60000000000;
    if (now_minute != minute) {
        const unsigned long swallowed = suppressed_this_minute;
        minute = now_minute;
        lines_this_minute = 0;
        suppressed_this_minute = 0;
        share_count = 0;
        if (swallowed > 0) {
            char text[80];
            snprintf(text, sizeof text, "lines suppressed by the rate cap count=%lu", swallowed);
            emit(FW_WARN, "log", text);
        }
    }
    unsigned *lines = lines_of(area);
    if (level == FW_ERROR || has_room(*lines)) {
        (*lines)++;
        lines_this_minute++;
        return true;
    }
    suppressed_this_minute++;
    atomic_fetch_add(&suppressed_total, 1);
    return false;
}

void fw_log(enum fw_log_level level, const char *area, const char *format, ...)
{
    if (!fw_log_enabled(level))
        return;
    char text[TEXT_MAX_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    pthread_mutex_lock(&lock);
    if (within_rate(level, area))
        emit(level, area, text);
    pthread_mutex_unlock(&lock);
}
