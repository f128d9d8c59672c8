#include "base/slice.h"

#include <sched.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As in linux/sched/types.h, which cannot stand beside sched.h. */
struct attributes {
    uint32_t size;
    uint32_t sched_policy;
    uint64_t sched_flags;
    int32_t sched_nice;
    uint32_t sched_priority;
    uint64_t sched_runtime, sched_deadline, sched_period;
};

void sp_slice_set(unsigned us)
{
    struct attributes attr = {.size = sizeof(attr),
                              .sched_policy = SCHED_OTHER,
                              .sched_nice = getpriority(PRIO_PROCESS, 0),
                              .sched_runtime = (uint64_t)us * 1000};

    (void)syscall(SYS_sched_setattr, 0, &attr, 0);
}
