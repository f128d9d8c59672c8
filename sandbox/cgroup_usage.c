/* What a group has used, and which of its limits it came to. */
#include "sandbox/cgroup-internal.h"

#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"

/* The files that are read; the first name is version 1's, the second version 2's. */
enum { U_MEM, U_PEAK, U_OOM, U_PIDS, U_REFUSED, U_CPU_STAT, U_CPU, U_PSI_CPU, U_PSI_MEM, U_PSI_IO };
static const struct {
    enum sp_cgroup_tree tree;
    const char *v1, *v2;
} usage_files[SP_CGROUP_USAGE_FILES] = {
    [U_MEM] = {SP_CGROUP_MEMORY, "memory.usage_in_bytes", "memory.current"},
    [U_PEAK] = {SP_CGROUP_MEMORY, "memory.max_usage_in_bytes", "memory.peak"},
    /* memory.failcnt stays 0 after an OOM kill on recent kernels. */
    [U_OOM] = {SP_CGROUP_MEMORY, "memory.oom_control", "memory.events"},
    [U_PIDS] = {SP_CGROUP_PIDS, "pids.current", "pids.current"},
    [U_REFUSED] = {SP_CGROUP_PIDS, "pids.events", "pids.events"},
    [U_CPU_STAT] = {SP_CGROUP_CPU, "cpu.stat", "cpu.stat"},
    [U_CPU] = {SP_CGROUP_UNIFIED, "cpu.stat", "cpu.stat"},
    [U_PSI_CPU] = {SP_CGROUP_UNIFIED, "cpu.pressure", "cpu.pressure"},
    [U_PSI_MEM] = {SP_CGROUP_UNIFIED, "memory.pressure", "memory.pressure"},
    [U_PSI_IO] = {SP_CGROUP_UNIFIED, "io.pressure", "io.pressure"},
};
#define PERIODS_LEAST 10 /* fewer say nothing */

void sp_cgroup_open_usage(const struct sp_cgroup_host *host, struct sp_cgroup *group)
{
    char path[SP_CGROUP_PATH];

    for (int i = 0; i < SP_CGROUP_USAGE_FILES; i++) {
        enum sp_cgroup_tree tree = usage_files[i].tree;
        const char *file = host->v2 ? usage_files[i].v2 : usage_files[i].v1;

        if (i == U_CPU && !sp_cgroup_can(host, tree)) {
            tree = SP_CGROUP_CPUACCT;
            file = "cpuacct.usage";
        }
        if (!sp_cgroup_can(host, tree))
            continue;
        sp_cgroup_path(host, tree, group->name, file, path);
        group->usage_fd[i] = open(path, O_RDONLY | O_CLOEXEC); /* some are young: may lack */
    }
}

static uint64_t number_at(const char *p)
{
    uint64_t value = 0;

    while (*p == ' ')
        p++;
    for (; *p >= '0' && *p <= '9'; p++)
        value = value * 10 + (uint64_t)(*p - '0');
    return value;
}

/* "" when it cannot be read. */
static void read_text(const struct sp_cgroup *group, int which, char *ret, size_t size)
{
    memset(ret, 0, size);
    if (group->usage_fd[which] >= 0 && pread(group->usage_fd[which], ret, size - 1, 0) < 0)
        ret[0] = '\0';
}

/* A file of one number, or the number behind `word` at the start of a line. */
static uint64_t count(const struct sp_cgroup *group, int which, const char *word)
{
    char buf[2048];
    const char *p = buf;

    read_text(group, which, buf, sizeof(buf));
    if (!word)
        return number_at(buf);
    for (size_t len = strlen(word); p; p = strchr(p, '\n')) {
        p += *p == '\n';
        if (strncmp(p, word, len) == 0 && p[len] == ' ')
            return number_at(p + len);
    }
    return 0;
}

uint32_t sp_cgroup_pressure(const char *text)
{
    static const char head[] = "some avg10=";
    uint64_t whole, parts = 0;
    const char *p;

    if (strncmp(text, head, sizeof(head) - 1) != 0)
        return 0;
    p = text + sizeof(head) - 1;
    whole = number_at(p);
    p = strchr(p, '.');
    for (int digit = 0, scale = 10; p && digit < 2 && *++p >= '0' && *p <= '9'; digit++, scale = 1)
        parts += (uint64_t)(*p - '0') * (uint64_t)scale;
    return whole >= 100 ? 10000 : (uint32_t)(whole * 100 + parts);
}

static uint32_t pressure(const struct sp_cgroup *group, int which)
{
    char buf[256];

    read_text(group, which, buf, sizeof(buf));
    return sp_cgroup_pressure(buf);
}

void sp_cgroup_usage(const struct sp_cgroup_host *host, const struct sp_cgroup *group,
                     struct sp_launch_usage *ret)
{
    memset(ret, 0, sizeof(*ret));
    if (sp_cgroup_can(host, SP_CGROUP_UNIFIED))
        ret->cpu_ns = count(group, U_CPU, "usage_usec") * 1000;
    else
        ret->cpu_ns = count(group, U_CPU, NULL);
    ret->memory_bytes = count(group, U_MEM, NULL);
    ret->memory_peak_bytes = count(group, U_PEAK, NULL);
    ret->throttled_ns = host->v2 ? count(group, U_CPU_STAT, "throttled_usec") * 1000
                                 : count(group, U_CPU_STAT, "throttled_time");
    ret->pids = (uint32_t)count(group, U_PIDS, NULL);
    ret->oom_kills = (uint32_t)count(group, U_OOM, "oom_kill");
    ret->pids_refused = (uint32_t)sp_cgroup_refused(group);
    ret->cpu_pressure = pressure(group, U_PSI_CPU);
    ret->memory_pressure = pressure(group, U_PSI_MEM);
    ret->io_pressure = pressure(group, U_PSI_IO);
}

uint64_t sp_cgroup_refused(const struct sp_cgroup *group)
{
    return count(group, U_REFUSED, "max");
}

static bool went_up(uint64_t now, uint64_t *seen)
{
    bool more = now > *seen;

    *seen = now;
    return more;
}

static bool is_cut_short(struct sp_cgroup *group)
{
    uint64_t periods = count(group, U_CPU_STAT, "nr_periods");
    uint64_t throttled = count(group, U_CPU_STAT, "nr_throttled");
    uint64_t new_periods = periods - group->seen.periods;
    uint64_t new_throttled = throttled - group->seen.throttled;

    group->seen.periods = periods;
    group->seen.throttled = throttled;
    return new_periods >= PERIODS_LEAST && new_throttled * 2 > new_periods;
}

bool sp_cgroup_hit(struct sp_cgroup *group, enum sp_launch_limit limit)
{
    switch (limit) {
    case SP_LAUNCH_LIMIT_MEMORY:
        return went_up(count(group, U_OOM, "oom_kill"), &group->seen.oom_kills);
    case SP_LAUNCH_LIMIT_PIDS: return went_up(sp_cgroup_refused(group), &group->seen.pids_refused);
    case SP_LAUNCH_LIMIT_CPU: return is_cut_short(group);
    case SP_LAUNCH_LIMIT_PRESSURE:
        return pressure(group, U_PSI_MEM) > 5000 || pressure(group, U_PSI_IO) > 5000;
    default: return false;
    }
}

int sp_cgroup_watch(const struct sp_cgroup_host *host, const struct sp_cgroup *group,
                    enum sp_launch_limit limit, int inotify)
{
    bool is_memory = limit == SP_LAUNCH_LIMIT_MEMORY;
    enum sp_cgroup_tree tree = is_memory ? SP_CGROUP_MEMORY : SP_CGROUP_PIDS;
    char path[SP_CGROUP_PATH];

    if (!sp_cgroup_can(host, tree))
        return -1;
    sp_cgroup_path(host, tree, group->name, is_memory ? "memory.events" : "pids.events", path);
    return inotify_add_watch(inotify, path, IN_MODIFY);
}

void sp_cgroup_watch_oom(const struct sp_cgroup_host *host, const struct sp_cgroup *group,
                         int eventfd)
{
    char path[SP_CGROUP_PATH], order[32];
    SP_AUTO_FD int control = -1;

    sp_cgroup_path(host, SP_CGROUP_MEMORY, group->name, "memory.oom_control", path);
    control = open(path, O_RDONLY | O_CLOEXEC);
    if (control < 0)
        return;
    (void)snprintf(order, sizeof(order), "%d %d", eventfd, control);
    sp_cgroup_path(host, SP_CGROUP_MEMORY, group->name, "cgroup.event_control", path);
    (void)sp_cgroup_write(path, order);
}
