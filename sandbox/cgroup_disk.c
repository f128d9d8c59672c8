/*
 * How fast a group may write to the disk behind the state folder. A weight only sorts what waits in
 * the kernel, and only with a scheduler that knows it; a disk that is full of somebody's writes
 * makes the queue's journal wait all the same. So there is a rate.
 *
 * On version 1 it holds what the group's own calls send to the disk (fsync, direct and synchronous
 * writes), and not what the kernel writes back by itself later.
 */
#include "sandbox/cgroup-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"

/* The whole disk of a partition: the kernel takes rates for nothing less. */
int sp_cgroup_disk_of(const char *path, char *ret, size_t size)
{
    SP_AUTO_FREE char *text = NULL;
    char dir[64], file[96];
    struct stat st;
    size_t len;
    int r;

    if (stat(path, &st) < 0)
        return -errno;
    (void)snprintf(dir, sizeof(dir), "/sys/dev/block/%u:%u", major(st.st_dev), minor(st.st_dev));
    if (access(dir, F_OK) < 0)
        return -ENODEV;
    (void)snprintf(file, sizeof(file), "%s/partition", dir);
    (void)snprintf(file, sizeof(file), "%s%s/dev", dir, access(file, F_OK) == 0 ? "/.." : "");
    r = sp_file_read(AT_FDCWD, file, 64, &text, &len, NULL);
    if (r == 0)
        (void)snprintf(ret, size, "%.*s", (int)strcspn(text, "\n"), text);
    return r;
}

static int write_rate(const struct sp_cgroup_host *host, const char *name, uint64_t bytes)
{
    bool is_v2 = sp_cgroup_on_v2(host, SP_CGROUP_IO);
    char path[SP_CGROUP_PATH], value[64];

    sp_cgroup_path(host, SP_CGROUP_IO, name, is_v2 ? "io.max" : "blkio.throttle.write_bps_device",
                   path);
    if (is_v2 && bytes == 0)
        (void)snprintf(value, sizeof(value), "%s wbps=max", host->disk);
    else
        (void)snprintf(value, sizeof(value), "%s %s%llu", host->disk, is_v2 ? "wbps=" : "",
                       (unsigned long long)bytes);
    return sp_cgroup_write(path, value);
}

int sp_cgroup_find_disk(struct sp_cgroup_host *host, const char *name, const char *path,
                        struct sp_error *err)
{
    int r;

    if (!sp_cgroup_can(host, SP_CGROUP_IO))
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -ENOENT, "there is no io controller");
    r = sp_cgroup_disk_of(path, host->disk, sizeof(host->disk));
    if (r == 0)
        r = write_rate(host, name, 0); /* changes nothing, and shows whether it would */
    if (r < 0) {
        host->disk[0] = '\0';
        return sp_error_set(err, SP_ERR_UNAVAILABLE, r, "limit writes to the disk behind '%s'",
                            path);
    }
    return 0;
}

int sp_cgroup_limit_writes(const struct sp_cgroup_host *host, const struct sp_cgroup *group,
                           uint64_t bytes, struct sp_error *err)
{
    int r = host->disk[0] && group->exists ? write_rate(host, group->name, bytes) : 0;

    return r < 0 ? sp_error_set(err, SP_ERR_UNAVAILABLE, r, "limit writes to disk %s", host->disk)
                 : 0;
}
