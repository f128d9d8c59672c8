/* Where the trees are on this machine, and what to write into a group. */
#include "sandbox/cgroup-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <libcgroup.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"

#define CPU_PERIOD_US 100000

static bool has_word(struct sp_slice list, const char *word)
{
    struct sp_slice item;

    while (sp_slice_split(&list, ',', &item))
        if (sp_slice_eq_str(item, word))
            return true;
    return false;
}

static void note_v1(struct sp_cgroup_host *host, struct sp_slice point, struct sp_slice options)
{
    static const struct {
        const char *word;
        enum sp_cgroup_tree tree;
    } names[] = {
        {"cpu", SP_CGROUP_CPU},         {"memory", SP_CGROUP_MEMORY},
        {"pids", SP_CGROUP_PIDS},       {"cpuacct", SP_CGROUP_CPUACCT},
        {"devices", SP_CGROUP_DEVICES}, {"freezer", SP_CGROUP_FREEZER},
        {"blkio", SP_CGROUP_IO},
    };

    for (size_t i = 0; i < SP_LEN(names); i++) {
        char *mount = host->mount[names[i].tree];

        if (has_word(options, names[i].word) && !mount[0] && point.len < sizeof(host->mount[0]))
            memcpy(mount, point.ptr, point.len);
    }
}

/* "36 35 0:31 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory" */
static void note_mount(struct sp_cgroup_host *host, struct sp_slice line)
{
    struct sp_slice field[32];
    size_t n = 0, dash = 0;

    while (n < SP_LEN(field) && sp_slice_split(&line, ' ', &field[n]))
        n++;
    for (size_t i = 6; i < n && !dash; i++)
        if (sp_slice_eq_str(field[i], "-"))
            dash = i;
    if (!dash || dash + 3 >= n)
        return;

    if (sp_slice_eq_str(field[dash + 1], "cgroup2")) {
        if (!host->mount[SP_CGROUP_UNIFIED][0] && field[4].len < sizeof(host->mount[0]))
            memcpy(host->mount[SP_CGROUP_UNIFIED], field[4].ptr, field[4].len);
    } else if (sp_slice_eq_str(field[dash + 1], "cgroup")) {
        note_v1(host, field[4], field[dash + 3]);
    }
}

void sp_cgroup_parse_mountinfo(const char *text, struct sp_cgroup_host *ret)
{
    struct sp_slice rest = sp_slice_str(text), line;

    memset(ret, 0, sizeof(*ret));
    while (sp_slice_split(&rest, '\n', &line))
        note_mount(ret, line);
}

bool sp_cgroup_can(const struct sp_cgroup_host *host, enum sp_cgroup_tree tree)
{
    return host->mount[tree][0] != '\0';
}

bool sp_cgroup_on_v2(const struct sp_cgroup_host *host, enum sp_cgroup_tree tree)
{
    return sp_cgroup_can(host, tree) &&
           strcmp(host->mount[tree], host->mount[SP_CGROUP_UNIFIED]) == 0;
}

/* Controllers of the unified tree that version 1 has not taken. */
static void note_v2_controllers(struct sp_cgroup_host *host)
{
    static const struct {
        const char *word;
        enum sp_cgroup_tree tree;
    } names[] = {{"cpu", SP_CGROUP_CPU},
                 {"memory", SP_CGROUP_MEMORY},
                 {"pids", SP_CGROUP_PIDS},
                 {"io", SP_CGROUP_IO}};
    SP_AUTO_FREE char *path = NULL;
    SP_AUTO_FREE char *text = NULL;
    struct sp_slice rest, word;
    size_t len;

    if (!sp_cgroup_can(host, SP_CGROUP_UNIFIED))
        return;
    path = sp_asprintf("%s%s%s/cgroup.controllers", host->mount[SP_CGROUP_UNIFIED],
                       host->prefix[0] ? "/" : "", host->prefix);
    if (sp_file_read(AT_FDCWD, path, 4096, &text, &len, NULL) < 0)
        return;
    rest = sp_slice_trim(sp_slice(text, len));
    if (rest.len && rest.ptr[rest.len - 1] == '\n')
        rest.len--;
    while (sp_slice_split(&rest, ' ', &word))
        for (size_t i = 0; i < SP_LEN(names); i++)
            if (sp_slice_eq_str(word, names[i].word) && !host->mount[names[i].tree][0]) {
                (void)snprintf(host->mount[names[i].tree], sizeof(host->mount[0]), "%s",
                               host->mount[SP_CGROUP_UNIFIED]);
                host->v2 = host->v2 || names[i].tree != SP_CGROUP_IO;
            }
}

/* What the unified tree does by itself, without a controller, needs no version 1 tree. */
static void use_unified_first(struct sp_cgroup_host *host)
{
    static const enum sp_cgroup_tree unneeded[] = {SP_CGROUP_CPUACCT, SP_CGROUP_DEVICES,
                                                   SP_CGROUP_FREEZER};

    for (size_t i = 0; i < SP_LEN(unneeded) && sp_cgroup_can(host, SP_CGROUP_UNIFIED); i++)
        host->mount[unneeded[i]][0] = '\0';
}

/*
 * Version 1 shows the weight only below the top, and only with a disk scheduler that knows it; the
 * rate only if the kernel was built with it: look. Version 2 may show any or none, once a parent
 * passes the controller on: all are tried.
 */
static void find_io(struct sp_cgroup_host *host)
{
    SP_AUTO_FREE char *dir = NULL;
    SP_AUTO_FREE char *weight = NULL;
    SP_AUTO_FREE char *rate = NULL;

    host->has_io_weight = sp_cgroup_can(host, SP_CGROUP_IO);
    if (!host->has_io_weight || sp_cgroup_on_v2(host, SP_CGROUP_IO))
        return;
    dir = sp_asprintf("%s/spacesd-look-%d", host->mount[SP_CGROUP_IO], (int)getpid());
    weight = sp_asprintf("%s/blkio.bfq.weight", dir);
    rate = sp_asprintf("%s/blkio.throttle.write_bps_device", dir);
    host->has_io_weight = mkdir(dir, 0755) == 0 && access(weight, W_OK) == 0;
    if (!host->has_io_weight && access(rate, W_OK) < 0)
        host->mount[SP_CGROUP_IO][0] = '\0'; /* nothing to enter it for */
    (void)rmdir(dir);
}

int sp_cgroup_host_init(struct sp_cgroup_host *ret, struct sp_error *err)
{
    SP_AUTO_FREE char *text = NULL;
    SP_AUTO_FREE char *memsw = NULL;
    size_t len;
    int r;

    r = sp_file_read(AT_FDCWD, "/proc/self/mountinfo", (size_t)4 << 20, &text, &len, err);
    if (r < 0)
        return sp_error_wrap(err, "find the cgroup trees");
    sp_cgroup_parse_mountinfo(text, ret);
    if (!sp_cgroup_can(ret, SP_CGROUP_MEMORY)) /* otherwise version 1 has the controllers */
        sp_cgroup_find_delegated(ret);
    note_v2_controllers(ret);
    use_unified_first(ret);
    find_io(ret);

    if (!ret->v2 && sp_cgroup_can(ret, SP_CGROUP_MEMORY)) {
        memsw = sp_asprintf("%s/memory.memsw.limit_in_bytes", ret->mount[SP_CGROUP_MEMORY]);
        ret->has_memsw = access(memsw, F_OK) == 0;
    }
    if (!sp_cgroup_can(ret, SP_CGROUP_CPU) && !sp_cgroup_can(ret, SP_CGROUP_MEMORY) &&
        !sp_cgroup_can(ret, SP_CGROUP_PIDS))
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -ENOENT,
                            "find the cgroup controllers cpu, memory and pids");

    /* Once per process: a second call refills libcgroup's global table under our feet. */
    r = cgroup_init();
    if (r != 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, 0, "start libcgroup: %s", cgroup_strerror(r));
    ret->use_lib = true;
    return 0;
}

static void knob(struct sp_cgroup_knob *list, size_t *n, enum sp_cgroup_tree tree, const char *key,
                 bool optional, uint64_t value)
{
    struct sp_cgroup_knob *k = &list[(*n)++];

    k->tree = tree;
    k->optional = optional;
    (void)snprintf(k->key, sizeof(k->key), "%s", key);
    (void)snprintf(k->value, sizeof(k->value), "%llu", (unsigned long long)value);
}

static uint64_t clamp(uint64_t value, uint64_t low, uint64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* What the disks have no scheduler for is left out: the weight is a courtesy, not a wall. */
static void knobs_io(const struct sp_cgroup_host *host, const struct sp_launch_limits *limits,
                     struct sp_cgroup_knob *ret, size_t *n)
{
    uint64_t weight = limits->io_weight ? limits->io_weight : 100;

    if (!sp_cgroup_can(host, SP_CGROUP_IO))
        return;
    if (sp_cgroup_on_v2(host, SP_CGROUP_IO)) {
        knob(ret, n, SP_CGROUP_IO, "io.weight", true, weight);
        knob(ret, n, SP_CGROUP_IO, "io.bfq.weight", true, weight);
    } else {
        knob(ret, n, SP_CGROUP_IO, "blkio.bfq.weight", true, weight);
    }
}

static size_t knobs_v1(const struct sp_cgroup_host *host, const struct sp_launch_limits *limits,
                       uint64_t quota_us, struct sp_cgroup_knob *ret)
{
    size_t n = 0;

    if (sp_cgroup_can(host, SP_CGROUP_CPU)) {
        knob(ret, &n, SP_CGROUP_CPU, "cpu.cfs_period_us", false, CPU_PERIOD_US);
        knob(ret, &n, SP_CGROUP_CPU, "cpu.cfs_quota_us", false, quota_us);
        knob(ret, &n, SP_CGROUP_CPU, "cpu.shares", false,
             clamp((uint64_t)limits->cpu_millis * 1024 / 1000, 2, 262144));
    }
    if (sp_cgroup_can(host, SP_CGROUP_MEMORY)) {
        /* Order: with memsw first the kernel says EINVAL, and the group stays half made. */
        knob(ret, &n, SP_CGROUP_MEMORY, "memory.limit_in_bytes", false, limits->memory_bytes);
        if (host->has_memsw)
            knob(ret, &n, SP_CGROUP_MEMORY, "memory.memsw.limit_in_bytes", false,
                 limits->memory_bytes);
        else
            knob(ret, &n, SP_CGROUP_MEMORY, "memory.swappiness", true, 0);
    }
    if (sp_cgroup_can(host, SP_CGROUP_PIDS))
        knob(ret, &n, SP_CGROUP_PIDS, "pids.max", false, limits->pids);
    knobs_io(host, limits, ret, &n);
    return n;
}

static size_t knobs_v2(const struct sp_cgroup_host *host, const struct sp_launch_limits *limits,
                       uint64_t quota_us, struct sp_cgroup_knob *ret)
{
    size_t n = 0;

    if (sp_cgroup_can(host, SP_CGROUP_CPU)) {
        knob(ret, &n, SP_CGROUP_CPU, "cpu.max", false, 0);
        (void)snprintf(ret[n - 1].value, sizeof(ret[0].value), "%llu %d",
                       (unsigned long long)quota_us, CPU_PERIOD_US);
        knob(ret, &n, SP_CGROUP_CPU, "cpu.weight", false,
             clamp((uint64_t)limits->cpu_millis / 10, 1, 10000));
    }
    if (sp_cgroup_can(host, SP_CGROUP_MEMORY)) {
        knob(ret, &n, SP_CGROUP_MEMORY, "memory.max", false, limits->memory_bytes);
        knob(ret, &n, SP_CGROUP_MEMORY, "memory.swap.max", true, 0);
    }
    if (sp_cgroup_can(host, SP_CGROUP_PIDS))
        knob(ret, &n, SP_CGROUP_PIDS, "pids.max", false, limits->pids);
    knobs_io(host, limits, ret, &n);
    return n;
}

size_t sp_cgroup_knobs(const struct sp_cgroup_host *host, const struct sp_launch_limits *limits,
                       struct sp_cgroup_knob ret[SP_CGROUP_KNOBS])
{
    /* Less than 1 ms per period is refused by the kernel. */
    uint64_t quota_us = clamp((uint64_t)limits->cpu_millis * (CPU_PERIOD_US / 1000), 1000,
                              (uint64_t)4096 * CPU_PERIOD_US);

    return host->v2 ? knobs_v2(host, limits, quota_us, ret) : knobs_v1(host, limits, quota_us, ret);
}
