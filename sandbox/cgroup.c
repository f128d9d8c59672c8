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

/* The files that usage is read from; the first name is version 1's, the second version 2's. */
enum { U_MEM, U_PEAK, U_OOM, U_PIDS, U_THROTTLE, U_CPU, U_FILES };
static const struct {
    enum sp_cgroup_tree tree;
    const char *v1, *v2;
    const char *v1_word, *v2_word; /* a line in the file, or NULL for a file of one number */
} usage_files[U_FILES] = {
    [U_MEM] = {SP_CGROUP_MEMORY, "memory.usage_in_bytes", "memory.current", NULL, NULL},
    [U_PEAK] = {SP_CGROUP_MEMORY, "memory.max_usage_in_bytes", "memory.peak", NULL, NULL},
    /* memory.failcnt stays 0 after an OOM kill on recent kernels. */
    [U_OOM] = {SP_CGROUP_MEMORY, "memory.oom_control", "memory.events", "oom_kill", "oom_kill"},
    [U_PIDS] = {SP_CGROUP_PIDS, "pids.current", "pids.current", NULL, NULL},
    [U_THROTTLE] = {SP_CGROUP_CPU, "cpu.stat", "cpu.stat", "throttled_time", "throttled_usec"},
    [U_CPU] = {SP_CGROUP_UNIFIED, "cpu.stat", "cpu.stat", "usage_usec", "usage_usec"},
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

    for (int t = 0; t < SP_CGROUP_UNIFIED && r == 0; t++)
        if (sp_cgroup_can(host, t) && !cgroup_add_controller(group, controller_names[t]))
            r = ECGFAIL;
    if (r == 0)
        r = cgroup_create_cgroup(group, 1);
    if (group)
        cgroup_free(&group);
    return r ? lib_error("make", name, r, err) : 0;
}

static int make_dirs(const struct sp_cgroup_host *host, const char *name, struct sp_error *err)
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

/* Version 2 gives a group's children only what the group passes on. */
static void pass_controllers_on(const struct sp_cgroup_host *host, const char *name)
{
    char path[SP_CGROUP_PATH];

    if (!host->v2)
        return;
    for (int t = 0; t <= SP_CGROUP_PIDS; t++) {
        char word[16];

        if (!sp_cgroup_can(host, t))
            continue;
        (void)snprintf(word, sizeof(word), "+%s", controller_names[t]);
        sp_cgroup_path(host, SP_CGROUP_UNIFIED, name, "cgroup.subtree_control", path);
        (void)sp_cgroup_write(path,
                              word); /* what it does not pass on shows when a limit is written */
    }
}

static int make_group(const struct sp_cgroup_host *host, const char *name, struct sp_error *err)
{
    int r = host->use_lib ? make_by_lib(host, name, err) : 0;

    /* Also with libcgroup: it knows nothing of a version 2 tree without controllers. */
    return r == 0 ? make_dirs(host, name, err) : r;
}

int sp_cgroup_limit(const struct sp_cgroup_host *host, const struct sp_cgroup *group,
                    const struct sp_launch_limits *limits, struct sp_error *err)
{
    struct sp_cgroup_knob knobs[SP_CGROUP_KNOBS];
    size_t n = sp_cgroup_knobs(host, limits, knobs);

    /* Plain writes, in the order of the knobs: libcgroup takes 0.5 ms for them, on each start. */
    return write_knobs(host, group->name, knobs, n, err);
}

/* Moves what is in `from` to the leaf; how many there were. */
static size_t move_all(const char *from, const char *to)
{
    SP_AUTO_FREE char *text = NULL;
    struct sp_slice rest, line;
    size_t len, n = 0;

    if (sp_file_read(AT_FDCWD, from, 65536, &text, &len, NULL) < 0)
        return 0;
    rest = sp_slice(text, len);
    while (sp_slice_split(&rest, '\n', &line)) {
        char pid[24];

        if (line.len == 0 || line.len >= sizeof(pid))
            continue;
        memcpy(pid, line.ptr, line.len);
        pid[line.len] = '\0';
        (void)sp_cgroup_write(to, pid);
        n++;
    }
    return n;
}

/* A delegated group holds processes (us), and so cannot pass controllers on: move them to a leaf.
 */
static void make_room_in_delegated(const struct sp_cgroup_host *host)
{
    char path[SP_CGROUP_PATH], target[SP_CGROUP_PATH];

    if (!host->prefix[0])
        return;
    sp_cgroup_path(host, SP_CGROUP_UNIFIED, SP_CGROUP_OWN_LEAF, NULL, path);
    (void)mkdir(path, 0755);
    sp_cgroup_path(host, SP_CGROUP_UNIFIED, SP_CGROUP_OWN_LEAF, "cgroup.procs", target);
    sp_cgroup_path(host, SP_CGROUP_UNIFIED, ".", "cgroup.procs", path);
    /* What forks between the reading and its own move leaves a child behind: again, until empty. */
    for (int i = 0; i < 100 && move_all(path, target) > 0; i++)
        ;
}

int sp_cgroup_parent(const struct sp_cgroup_host *host, const char *name, uint64_t memory_bytes,
                     struct sp_error *err)
{
    struct sp_cgroup_knob knobs[2] = {
        {SP_CGROUP_MEMORY, "", "", false},
        /* Half of what one ordinary process gets: daemon and launcher stay ahead of the apps. */
        {SP_CGROUP_CPU, "", "", false},
    };
    int r;

    (void)snprintf(knobs[0].key, sizeof(knobs[0].key), "%s",
                   host->v2 ? "memory.max" : "memory.limit_in_bytes");
    (void)snprintf(knobs[0].value, sizeof(knobs[0].value), "%llu",
                   (unsigned long long)memory_bytes);
    (void)snprintf(knobs[1].key, sizeof(knobs[1].key), "%s",
                   host->v2 ? "cpu.weight" : "cpu.shares");
    (void)snprintf(knobs[1].value, sizeof(knobs[1].value), "%d", host->v2 ? 50 : 512);

    make_room_in_delegated(host);
    pass_controllers_on(host, ".");
    r = make_dirs(host, name, err);
    for (size_t i = 0; i < SP_LEN(knobs) && r == 0; i++)
        if (sp_cgroup_can(host, knobs[i].tree))
            r = write_knobs(host, name, &knobs[i], 1, err);
    pass_controllers_on(host, name);
    return r < 0 ? sp_error_wrap(err, "make the group above all Spaces") : 0;
}

static int open_files(const struct sp_cgroup_host *host, struct sp_cgroup *group,
                      struct sp_error *err)
{
    char path[SP_CGROUP_PATH];

    for (int t = 0; t < SP_CGROUP_TREES; t++) {
        if (!sp_cgroup_is_own_tree(host, t))
            continue;
        sp_cgroup_path(host, t, group->name, "cgroup.procs", path);
        group->procs[t] = open(path, O_WRONLY | O_CLOEXEC);
        if (group->procs[t] < 0)
            return sp_error_set(err, SP_ERR_INTERNAL, -errno, "open '%s'", path);
    }
    if (sp_cgroup_can(host, SP_CGROUP_UNIFIED)) {
        sp_cgroup_path(host, SP_CGROUP_UNIFIED, group->name, NULL, path);
        group->dir_v2 = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    for (int i = 0; i < U_FILES; i++) {
        enum sp_cgroup_tree tree = usage_files[i].tree;
        const char *file = host->v2 ? usage_files[i].v2 : usage_files[i].v1;

        if (i == U_CPU && !sp_cgroup_can(host, tree)) {
            tree = SP_CGROUP_CPUACCT;
            file = "cpuacct.usage";
        }
        if (!sp_cgroup_can(host, tree))
            continue;
        sp_cgroup_path(host, tree, group->name, file, path);
        group->usage_fd[i] = open(path, O_RDONLY | O_CLOEXEC); /* memory.peak is young: may lack */
    }
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

/* --- reading --- */

static uint64_t number_at(const char *p)
{
    uint64_t value = 0;

    while (*p == ' ')
        p++;
    for (; *p >= '0' && *p <= '9'; p++)
        value = value * 10 + (uint64_t)(*p - '0');
    return value;
}

/* A file of one number, or the number behind `word` at the start of a line. */
static uint64_t read_count(int fd, const char *word)
{
    char buf[2048];
    ssize_t n = fd < 0 ? -1 : pread(fd, buf, sizeof(buf) - 1, 0);
    const char *p = buf;

    if (n <= 0)
        return 0;
    buf[n] = '\0';
    if (!word)
        return number_at(buf);
    for (size_t len = strlen(word); p; p = strchr(p, '\n')) {
        p += *p == '\n';
        if (strncmp(p, word, len) == 0 && p[len] == ' ')
            return number_at(p + len);
    }
    return 0;
}

static uint64_t count(const struct sp_cgroup_host *host, const struct sp_cgroup *group, int which)
{
    return read_count(group->usage_fd[which],
                      host->v2 ? usage_files[which].v2_word : usage_files[which].v1_word);
}

void sp_cgroup_usage(const struct sp_cgroup_host *host, const struct sp_cgroup *group,
                     struct sp_launch_usage *ret)
{
    memset(ret, 0, sizeof(*ret));
    if (sp_cgroup_can(host, SP_CGROUP_UNIFIED))
        ret->cpu_ns = count(host, group, U_CPU) * 1000;
    else
        ret->cpu_ns = read_count(group->usage_fd[U_CPU], NULL);
    ret->memory_bytes = count(host, group, U_MEM);
    ret->memory_peak_bytes = count(host, group, U_PEAK);
    ret->throttled_ns = count(host, group, U_THROTTLE) * (host->v2 ? 1000 : 1);
    ret->pids = (uint32_t)count(host, group, U_PIDS);
    ret->oom_kills = (uint32_t)count(host, group, U_OOM);
}

bool sp_cgroup_oomed(const struct sp_cgroup_host *host, struct sp_cgroup *group)
{
    uint64_t kills = count(host, group, U_OOM);
    bool more = kills > group->seen_oom_kills;

    group->seen_oom_kills = kills;
    return more;
}
