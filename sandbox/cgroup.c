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

static const char *const controller_names[SP_CGROUP_TREES] = {
    [SP_CGROUP_CPU] = "cpu",
    [SP_CGROUP_MEMORY] = "memory",
    [SP_CGROUP_PIDS] = "pids",
    [SP_CGROUP_CPUACCT] = "cpuacct",
};

/* Several controllers may share a tree: then only the first of them stands for it. */
bool sp_cgroup_is_own_tree(const struct sp_cgroup_host *host, enum sp_cgroup_tree tree)
{
    if (!sp_cgroup_can(host, tree))
        return false;
    for (int other = 0; other < (int)tree; other++)
        if (strcmp(host->mount[other], host->mount[tree]) == 0)
            return false;
    return true;
}

void sp_cgroup_path(const struct sp_cgroup_host *host, enum sp_cgroup_tree tree, const char *name,
                    const char *file, char ret[SP_CGROUP_PATH])
{
    (void)snprintf(ret, SP_CGROUP_PATH, "%s/%s%s%s%s%s", host->mount[tree], host->prefix,
                   host->prefix[0] ? "/" : "", name, file ? "/" : "", file ? file : "");
}

int sp_cgroup_write(const char *path, const char *value)
{
    SP_AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    if (write(fd, value, strlen(value)) < 0)
        return -errno;
    return 0;
}

void sp_cgroup_init(struct sp_cgroup *group)
{
    memset(group, 0, sizeof(*group));
    for (int i = 0; i < SP_CGROUP_TREES; i++)
        group->procs[i] = -1;
    for (size_t i = 0; i < SP_LEN(group->usage_fd); i++)
        group->usage_fd[i] = -1;
    group->dir_v2 = -1;
}

/* --- making --- */

static int lib_error(const char *what, const char *name, int r, struct sp_error *err)
{
    return sp_error_set(err, SP_ERR_UNAVAILABLE, 0, "%s cgroup '%s': %s", what, name,
                        r == ECGOTHER ? strerror(cgroup_get_last_errno()) : cgroup_strerror(r));
}

/* A fresh struct each time: libcgroup writes every value of an old one again. */
static struct cgroup *lib_group(const struct sp_cgroup_host *host, const char *name)
{
    SP_AUTO_FREE char *full = sp_asprintf("%s%s%s", host->prefix, host->prefix[0] ? "/" : "", name);

    return cgroup_new_cgroup(full);
}

static int make_by_lib(const struct sp_cgroup_host *host, const char *name, struct sp_error *err)
{
    struct cgroup *group = lib_group(host, name);
    int r = group ? 0 : ECGFAIL;

    for (int t = 0; t <= SP_CGROUP_CPUACCT && r == 0; t++)
        if (sp_cgroup_can(host, t) && !cgroup_add_controller(group, controller_names[t]))
            r = ECGFAIL;
    if (r == 0)
        r = cgroup_create_cgroup(group, 1);
    if (group)
        cgroup_free(&group);
    return r ? lib_error("make", name, r, err) : 0;
}

int sp_cgroup_make_dirs(const struct sp_cgroup_host *host, const char *name, struct sp_error *err)
{
    char path[SP_CGROUP_PATH];

    for (int t = 0; t < SP_CGROUP_TREES; t++) {
        if (!sp_cgroup_is_own_tree(host, t))
            continue;
        sp_cgroup_path(host, t, name, NULL, path);
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
            return sp_error_set(err, SP_ERR_UNAVAILABLE, -errno, "make cgroup '%s'", path);
    }
    return 0;
}

static int write_knobs(const struct sp_cgroup_host *host, const char *name,
                       const struct sp_cgroup_knob *knobs, size_t n, struct sp_error *err)
{
    char path[SP_CGROUP_PATH];

    for (size_t i = 0; i < n; i++) {
        int r;

        sp_cgroup_path(host, knobs[i].tree, name, knobs[i].key, path);
        r = sp_cgroup_write(path, knobs[i].value);
        if (r < 0 && !knobs[i].optional)
            return sp_error_set(err, SP_ERR_UNAVAILABLE, r, "write '%s' to '%s'", knobs[i].value,
                                path);
    }
    return 0;
}

static int make_group(const struct sp_cgroup_host *host, const char *name, struct sp_error *err)
{
    int r = host->use_lib ? make_by_lib(host, name, err) : 0;

    /* Also with libcgroup: it knows nothing of a version 2 tree without controllers. */
    return r == 0 ? sp_cgroup_make_dirs(host, name, err) : r;
}

int sp_cgroup_limit(const struct sp_cgroup_host *host, const struct sp_cgroup *group,
                    const struct sp_launch_limits *limits, struct sp_error *err)
{
    struct sp_cgroup_knob knobs[SP_CGROUP_KNOBS];
    size_t n = sp_cgroup_knobs(host, limits, knobs);

    /* Plain writes, in the order of the knobs: libcgroup takes 0.5 ms for them, on each start. */
    int r = write_knobs(host, group->name, knobs, n, err);

    return r < 0 ? r : sp_cgroup_limit_writes(host, group, limits->disk_write_bytes, err);
}

int sp_cgroup_limit_cpu(const struct sp_cgroup_host *host, const struct sp_cgroup *group,
                        uint32_t cpu_millis, struct sp_error *err)
{
    const struct sp_launch_limits limits = {.cpu_millis = cpu_millis};
    struct sp_cgroup_knob knobs[SP_CGROUP_KNOBS];
    size_t n = sp_cgroup_knobs(host, &limits, knobs);

    for (size_t i = 0; i < n; i++)
        if (strcmp(knobs[i].key, host->v2 ? "cpu.max" : "cpu.cfs_quota_us") == 0)
            return write_knobs(host, group->name, &knobs[i], 1, err);
    return 0; /* this host has no limit of the processor */
}

static int open_files(const struct sp_cgroup_host *host, struct sp_cgroup *group,
                      struct sp_error *err)
{
    char path[SP_CGROUP_PATH];

    for (int t = 0; t < SP_CGROUP_TREES; t++) {
        bool is_v2 = strcmp(host->mount[t], host->mount[SP_CGROUP_UNIFIED]) == 0;
        int *fd = &group->procs[is_v2 ? SP_CGROUP_UNIFIED : t];

        if (!sp_cgroup_is_own_tree(host, t))
            continue;
        sp_cgroup_path(host, t, group->name, "cgroup.procs", path);
        *fd = open(path, O_WRONLY | O_CLOEXEC);
        if (*fd < 0)
            return sp_error_set(err, SP_ERR_INTERNAL, -errno, "open '%s'", path);
    }
    if (sp_cgroup_can(host, SP_CGROUP_UNIFIED)) {
        sp_cgroup_path(host, SP_CGROUP_UNIFIED, group->name, NULL, path);
        group->dir_v2 = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    sp_cgroup_open_usage(host, group);
    return 0;
}

int sp_cgroup_create(const struct sp_cgroup_host *host, const char *name, struct sp_cgroup *ret,
                     struct sp_error *err)
{
    int r;

    sp_cgroup_init(ret);
    (void)snprintf(ret->name, sizeof(ret->name), "%s", name);
    r = make_group(host, name, err);
    if (r == 0)
        r = open_files(host, ret, err);
    ret->exists = true;
    if (r < 0)
        (void)sp_cgroup_remove(host, ret);
    return r;
}

int sp_cgroup_enter(const struct sp_cgroup *group, bool born_in_v2)
{
    for (int t = 0; t < SP_CGROUP_TREES; t++) {
        if (group->procs[t] < 0 || (born_in_v2 && t == SP_CGROUP_UNIFIED))
            continue;
        if (write(group->procs[t], "0", 1) < 0)
            return -errno;
    }
    return 0;
}
