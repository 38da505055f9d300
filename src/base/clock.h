/* Time is read through this struct only, so that a test can run a day in a second. */
#ifndef FW_BASE_CLOCK_H
#define FW_BASE_CLOCK_H

#include <stdint.h>

struct fw_clock {
    int64_t (*wall_ms)(void *ctx); /* UTC, milliseconds since 1970; may jump */
    int64_t (*mono_ns)(void *ctx); /* never goes back; for durations and deadlines */
    void *ctx;
};

/* The system's clocks. Thread-safe, never NULL. */
const struct fw_clock *fw_clock_system(void);

static inline int64_t fw_clock_wall_ms(const struct fw_clock *clock)
{
    return clock->wall_ms(clock->ctx);
}

static inline int64_t fw_clock_mono_ns(const struct fw_clock *clock)
{
    return clock->mono_ns(clock->ctx);
}

/* Processor time of the calling thread: what a stretch of work costs however busy the machine is. A
 * system call. */
int64_t fw_clock_thread_ns(void);

/* A clock that stands still until it is told otherwise; set the fields from one thread, or between
 * runs. */
struct fw_clock_fake {
    struct fw_clock clock;
    _Atomic int64_t wall_now_ms;
    _Atomic int64_t mono_now_ns;
};
void fw_clock_fake_init(struct fw_clock_fake *fake, int64_t wall_ms);
void fw_clock_fake_advance_ms(struct fw_clock_fake *fake, int64_t ms);

#endif
