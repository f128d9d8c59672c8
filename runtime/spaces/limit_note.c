#include "runtime/spaces/limit_note.h"

#include <stddef.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/str.h"

#define NOTE_EVERY_MS 60000

/* "2 GiB" of a round number, "2.0 GiB" of another; the unit is that of the rounded one. */
static void human(uint64_t bytes, char ret[24])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;

    while (value >= 1023.95 && unit + 1 < SP_LEN(units)) {
        value /= 1024;
        unit++;
    }
    (void)snprintf(ret, 24, "%.*f %s", bytes % (1ull << (10 * unit)) ? 1 : 0, value, units[unit]);
}

char *sp_limit_oom_reason(const struct sp_launch_limits *limits,
                          const struct sp_launch_usage *usage)
{
    char limit[24], peak[24];

    human(limits->memory_bytes, limit);
    human(usage->memory_peak_bytes, peak);
    return sp_asprintf("killed: out of memory, limit %s, peak %s (space.memory)", limit, peak);
}

char *sp_limit_gpu_reason(uint64_t limit_bytes, uint64_t used_bytes)
{
    char limit[24], used[24];

    human(limit_bytes, limit);
    human(used_bytes, used);
    return sp_asprintf("killed: GPU memory, limit %s, used %s", limit, used);
}

char *sp_limit_note(struct sp_limit_notes *notes, const struct sp_launch_limits *limits,
                    const struct sp_launch_msg *event, uint64_t now_ms)
{
    uint32_t limit = event->hit.limit;
    const struct sp_launch_usage *usage = &event->hit.usage;
    uint64_t *at;

    if (limit >= SP_LAUNCH_LIMITS)
        return NULL;
    if (limit == SP_LAUNCH_LIMIT_GPU_MEMORY)
        notes->gpu_used_bytes = usage->gpu_memory_bytes;
    at = &notes->at_ms[limit];
    if (*at && now_ms - *at < NOTE_EVERY_MS)
        return NULL;
    *at = now_ms;
    switch (limit) {
    case SP_LAUNCH_LIMIT_PIDS:
        return sp_asprintf("a process or thread was refused: the limit is %u (space.pids)",
                           limits->pids);
    case SP_LAUNCH_LIMIT_CPU:
        return sp_asprintf("held back most of the time: the limit is %u.%02u cores (space.cpu)",
                           limits->cpu_millis / 1000, limits->cpu_millis % 1000 / 10);
    case SP_LAUNCH_LIMIT_PRESSURE:
        return sp_asprintf("waits most of the time: %u %% for memory, %u %% for disk (last 10 s)",
                           usage->memory_pressure / 100, usage->io_pressure / 100);
    case SP_LAUNCH_LIMIT_FORKS:
        return sp_asprintf("asks for processes again and again, %u were refused (space.pids): it "
                           "gets 0.%02u cores until it stops",
                           usage->pids_refused, SP_BRAKE_CPU_MILLIS / 10);
    default: return NULL;
    }
}
