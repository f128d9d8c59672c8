/*
 * The group above all sandboxes: what the apps may take together, so that the host keeps a reserve.
 * In a unit with Delegate=yes it lies in that unit's group, beside a leaf with our own processes,
 * because a version 2 group that passes controllers on holds no process.
 */
#include "sandbox/cgroup-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"

#define PASSES_MAX 100 /* a process that forks while it is moved leaves a child behind */

/* The daemon may sit in a leaf of the delegated group already: look upwards. */
void sp_cgroup_find_delegated(struct sp_cgroup_host *host)
{
    SP_AUTO_FREE char *text = NULL;
    struct sp_slice rest, line;
    char path[sizeof(host->prefix)] = "";
    size_t len;

    if (!sp_cgroup_can(host, SP_CGROUP_UNIFIED) ||
        sp_file_read(AT_FDCWD, "/proc/self/cgroup", 65536, &text, &len, NULL) < 0)
        return;
    rest = sp_slice(text, len);
    while (sp_slice_split(&rest, '\n', &line))
        if (sp_slice_starts(line, "0::/") && line.len - 4 < sizeof(path))
            memcpy(path, line.ptr + 4, line.len - 4);
    while (path[0]) {
        SP_AUTO_FREE char *dir = sp_asprintf("%s/%s", host->mount[SP_CGROUP_UNIFIED], path);
        char *slash = strrchr(path, '/'), flag[4];

        if (getxattr(dir, "trusted.delegate", flag, sizeof(flag)) == 1 && flag[0] == '1') {
            memcpy(host->prefix, path, sizeof(host->prefix));
            return;
        }
        *(slash ? slash : path) = '\0';
    }
}

/* Moves what is in the delegated group itself; returns how many there were. */
static int move_processes(const struct sp_cgroup_host *host)
{
    char from[SP_CGROUP_PATH], to[SP_CGROUP_PATH], pid[24];
    SP_AUTO_FREE char *text = NULL;
    struct sp_slice rest, line;
    int found = 0;
    size_t len;

    sp_cgroup_path(host, SP_CGROUP_UNIFIED, ".", "cgroup.procs", from);
    sp_cgroup_path(host, SP_CGROUP_UNIFIED, SP_CGROUP_OWN_LEAF, "cgroup.procs", to);
    if (sp_file_read(AT_FDCWD, from, (size_t)1 << 20, &text, &len, NULL) < 0)
        return 0;
    rest = sp_slice(text, len);
    while (sp_slice_split(&rest, '\n', &line)) {
        if (line.len == 0 || line.len >= sizeof(pid))
            continue;
        memcpy(pid, line.ptr, line.len);
        pid[line.len] = '\0';
        (void)sp_cgroup_write(to, pid); /* gone meanwhile: fine; refused: the caller counts it */
        found++;
    }
    return found;
}

static void make_room(const struct sp_cgroup_host *host)
{
    char path[SP_CGROUP_PATH];

    if (!host->prefix[0])
        return;
    sp_cgroup_path(host, SP_CGROUP_UNIFIED, SP_CGROUP_OWN_LEAF, NULL, path);
    (void)mkdir(path, 0755);
    for (int pass = 0; pass < PASSES_MAX && move_processes(host) > 0; pass++)
        ;
}

/* A group's children have only what the group passes on. */
static int pass_on(const struct sp_cgroup_host *host, const char *name, struct sp_error *err)
{
    static const struct {
        const char *word;
        enum sp_cgroup_tree tree;
        bool required;
    } controllers[] = {{"+cpu", SP_CGROUP_CPU, true},
                       {"+memory", SP_CGROUP_MEMORY, true},
                       {"+pids", SP_CGROUP_PIDS, true},
                       {"+io", SP_CGROUP_IO, false}};
    char path[SP_CGROUP_PATH];

    for (size_t i = 0; i < SP_LEN(controllers); i++) {
        int r;

        if (!sp_cgroup_on_v2(host, controllers[i].tree))
            continue;
        sp_cgroup_path(host, SP_CGROUP_UNIFIED, name, "cgroup.subtree_control", path);
        r = sp_cgroup_write(path, controllers[i].word);
        if (r < 0 && controllers[i].required)
            return sp_error_set(err, SP_ERR_UNAVAILABLE, r, "write '%s' to '%s'%s",
                                controllers[i].word, path,
                                r == -EBUSY ? " (processes that cannot be moved are in it)" : "");
    }
    return 0;
}

static void knob(struct sp_cgroup_knob *knobs, size_t *n, const struct sp_cgroup_host *host,
                 enum sp_cgroup_tree tree, const char *key, uint64_t value)
{
    struct sp_cgroup_knob *k = &knobs[*n];

    if (!sp_cgroup_can(host, tree))
        return;
    k->tree = tree;
    (void)snprintf(k->key, sizeof(k->key), "%s", key);
    (void)snprintf(k->value, sizeof(k->value), "%llu", (unsigned long long)value);
    (*n)++;
}

int sp_cgroup_parent(const struct sp_cgroup_host *host, const char *name, uint64_t memory_bytes,
                     uint64_t pids, struct sp_error *err)
{
    struct sp_cgroup_knob knobs[3];
    char path[SP_CGROUP_PATH];
    size_t n = 0;
    int r;

    knob(knobs, &n, host, SP_CGROUP_MEMORY, host->v2 ? "memory.max" : "memory.limit_in_bytes",
         memory_bytes);
    knob(knobs, &n, host, SP_CGROUP_PIDS, "pids.max", pids);
    /* Half of what one ordinary process gets: daemon and launcher stay ahead of the apps. */
    knob(knobs, &n, host, SP_CGROUP_CPU, host->v2 ? "cpu.weight" : "cpu.shares",
         host->v2 ? 50 : 512);

    make_room(host);
    r = pass_on(host, ".", err);
    if (r == 0)
        r = sp_cgroup_make_dirs(host, name, err);
    for (size_t i = 0; i < n && r == 0; i++) {
        sp_cgroup_path(host, knobs[i].tree, name, knobs[i].key, path);
        r = sp_cgroup_write(path, knobs[i].value);
        if (r < 0)
            (void)sp_error_set(err, SP_ERR_UNAVAILABLE, r, "write '%s' to '%s'", knobs[i].value,
                               path);
    }
    if (r == 0)
        r = pass_on(host, name, err);
    return r < 0 ? sp_error_wrap(err, "make the group above all Spaces") : 0;
}
