#include "base/clock.h"

#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

static int64_t system_wall_ms(void *ctx)
{
    (void)ctx;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t system_mono_ns(void *ctx)
{
    (void)ctx;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

const struct fw_clock *fw_clock_system(void)
{
    static const struct fw_clock clock = {system_wall_ms, system_mono_ns, NULL};
    return &clock;
}

int64_t fw_clock_thread_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t fake_wall_ms(void *ctx)
{
    return atomic_load(&((struct fw_clock_fake *)ctx)->wall_now_ms);
}

static int64_t fake_mono_ns(void *ctx)
{
    return atomic_load(&((struct fw_clock_fake *)ctx)->mono_now_ns);
}

void fw_clock_fake_init(struct fw_clock_fake *fake, int64_t wall_ms)
{
    fake->clock = (struct fw_clock){fake_wall_ms, fake_mono_ns, fake};
    atomic_init(&fake->wall_now_ms, wall_ms);
    atomic_init(&fake->mono_now_ns, 1);
}

void fw_clock_fake_advance_ms(struct fw_clock_fake *fake, int64_t ms)
{
    atomic_fetch_add(&fake->wall_now_ms, ms);
    atomic_fetch_add(&fake->mono_now_ns, ms * 1000000);
}
