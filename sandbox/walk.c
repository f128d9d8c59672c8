#include "sandbox/walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "sandbox/kin.h"

static bool has_group(struct sp_slice list, gid_t tag)
{
    struct sp_slice word;
    uint64_t value;

    while (sp_slice_split(&list, ' ', &word))
        if (sp_parse_u64(word, UINT32_MAX, &value) && value == tag)
            return true;
    return false;
}

static bool has_number(struct sp_slice line, const char *name, uint64_t *ret)
{
    size_t len = strlen(name);

    return sp_slice_starts(line, name) &&
           sp_parse_u64(sp_slice(line.ptr + len, line.len - len), INT32_MAX, ret);
}

/* Reads what we need of /proc/PID/status; false when the process has gone meanwhile. */
static bool read_proc(int proc_fd, const char *name, gid_t tag, struct sp_kin_proc *ret)
{
    char path[32], text[4096];
    struct sp_slice rest, line;
    uint64_t value;
    SP_AUTO_FD int fd = -1;
    ssize_t n;

    (void)snprintf(path, sizeof(path), "%s/status", name);
    fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : read(fd, text, sizeof(text));
    if (n <= 0 || !sp_parse_u64(sp_slice_str(name), INT32_MAX, &value))
        return false;
    memset(ret, 0, sizeof(*ret));
    ret->pid = (pid_t)value;
    rest = sp_slice(text, (size_t)n);
    while (sp_slice_split(&rest, '\n', &line)) {
        if (sp_slice_starts(line, "State:\tZ") || sp_slice_starts(line, "State:\tX"))
            ret->is_zombie = true;
        else if (has_number(line, "PPid:\t", &value))
            ret->parent = (pid_t)value;
        else if (has_number(line, "Threads:\t", &value) && value > 1)
            ret->is_zombie = false; /* only its first thread has ended */
        else if (tag && sp_slice_starts(line, "Groups:\t"))
            ret->is_tagged = has_group(sp_slice(line.ptr + 8, line.len - 8), tag);
    }
    return true;
}

/* All processes that /proc shows; the list is the caller's to free. */
static struct sp_kin_proc *read_all(gid_t tag, size_t *ret_n)
{
    SP_AUTO_FD int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = proc_fd < 0 ? NULL : fdopendir(dup(proc_fd));
    struct sp_kin_proc *list = NULL;
    size_t n = 0, cap = 0;
    const struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
            continue;
        if (n == cap) {
            cap = cap ? cap * 2 : 64;
            list = sp_realloc(list, cap, sizeof(*list));
        }
        n += read_proc(proc_fd, entry->d_name, tag, &list[n]);
    }
    if (dir)
        (void)closedir(dir);
    *ret_n = n;
    return list;
}

unsigned sp_walk_kill_tagged(gid_t tag)
{
    SP_AUTO_FREE struct sp_kin_proc *list = NULL;
    unsigned found = 0;
    size_t n;

    list = read_all(tag, &n);
    for (size_t i = 0; i < n; i++) {
        if (!list[i].is_tagged || list[i].is_zombie || list[i].pid <= 1)
            continue;
        (void)kill(list[i].pid, SIGKILL);
        found++;
    }
    return found;
}

unsigned sp_walk_kill_below(pid_t ancestor)
{
    SP_AUTO_FREE struct sp_kin_proc *list = NULL;
    unsigned found = 0;
    size_t n;

    list = read_all(0, &n);
    sp_kin_of_ancestor(list, n, ancestor);
    for (size_t i = 0; i < n; i++) {
        if (list[i].kin != SP_KIN_KEPT || list[i].pid == ancestor || list[i].is_zombie ||
            list[i].pid <= 1)
            continue;
        (void)kill(list[i].pid, SIGKILL);
        found++;
    }
    return found;
}

static bool read_one(pid_t pid, gid_t tag, struct sp_kin_proc *ret)
{
    SP_AUTO_FD int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char name[16];

    (void)snprintf(name, sizeof(name), "%d", (int)pid);
    return proc_fd >= 0 && read_proc(proc_fd, name, tag, ret);
}

pid_t sp_walk_parent(pid_t pid)
{
    struct sp_kin_proc proc;

    return read_one(pid, 0, &proc) ? proc.parent : 0;
}

bool sp_walk_is_child(pid_t pid, pid_t parent, gid_t tag)
{
    struct sp_kin_proc proc;

    return read_one(pid, tag, &proc) && proc.parent == parent && (!tag || proc.is_tagged);
}

unsigned sp_walk_kill_orphans(gid_t tag, const pid_t *keepers, size_t n_keepers)
{
    SP_AUTO_FREE struct sp_kin_proc *list = NULL;
    unsigned found = 0;
    size_t n;

    list = read_all(tag, &n);
    sp_kin_of_keepers(list, n, getpid(), keepers, n_keepers);
    for (size_t i = 0; i < n; i++) {
        if (!list[i].is_tagged || list[i].is_zombie || list[i].pid <= 1)
            continue;
        if (list[i].kin == SP_KIN_ORPHAN)
            (void)kill(list[i].pid, SIGKILL);
        found += list[i].kin != SP_KIN_KEPT;
    }
    return found;
}
