#include "base/nice_linux.h"

#include <errno.h>
#include <sys/resource.h>

void fw_nice_thread(int by)
{
    errno = 0;
    const int now = getpriority(PRIO_PROCESS, 0);
    if (errno == 0)
        (void)setpriority(PRIO_PROCESS, 0, now + by > 19 ? 19 : now + by);
}
