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
static int whole_disk(dev_t dev, char *ret, size_t size)
{
    SP_AUTO_FREE char *partition =
        sp_asprintf("/sys/dev/block/%u:%u/partition", major(dev), minor(dev));
    SP_AUTO_FREE char *parent = sp_asprintf("/sys/dev/block/%u:%u/../dev", major(dev), minor(dev));
    SP_AUTO_FREE char *text = NULL;
    struct sp_slice number;
    size_t len;
    int r;

    if (access(partition, F_OK) < 0) {
        (void)snprintf(ret, size, "%u:%u", major(dev), minor(dev));
        return 0;
    }
    r = sp_file_read(AT_FDCWD, parent, 64, &text, &len, NULL);
    if (r < 0)
        return r;
    number = sp_slice(text, strcspn(text, "\n"));
    (void)snprintf(ret, size, "%.*s", (int)number.len, number.ptr);
    return 0;
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
    struct stat st;
    int r;

    if (!sp_cgroup_can(host, SP_CGROUP_IO))
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -ENOENT, "there is no io controller");
    if (stat(path, &st) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "look at '%s'", path);
    r = whole_disk(st.st_dev, host->disk, sizeof(host->disk));
    if (r == 0)
        r = write_rate(host, name, 0); /* changes nothing, and shows whether it would */
    if (r < 0) {
        host->disk[0] = '\0';
        return sp_error_set(err, SP_ERR_UNAVAILABLE, r, "limit writes to device %u:%u behind '%s'",
                            major(st.st_dev), minor(st.st_dev), path);
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
