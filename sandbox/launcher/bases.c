/* The base of a sandbox: a folder of the state folder, checked here again. */
#include <fcntl.h>
#include <linux/mount.h>

#include "base/error.h"
#include "base/fd.h"
#include "sandbox/init.h"
#include "sandbox/launcher/launcher-internal.h"

int sp_box_base_open(const struct sp_launcher *l, const struct sp_box *box, int *ret_fd,
                     struct sp_error *err)
{
    const unsigned long long attrs = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    SP_AUTO_FD int folder = -1, ids = -1;
    char path[96];
    int r;

    if (!box->base[0])
        return 0;
    if (!(l->isolate & SP_ISOLATE_MOUNT) || !(l->isolate & SP_ISOLATE_OVERLAY))
        return sp_error_set(err, SP_ERR_UNAVAILABLE, 0,
                            "a base needs mounts and overlay, which this host does not give");
    (void)snprintf(path, sizeof(path), "bases/%s/root", box->base);
    r = sp_state_open(l, path, &folder, err);
    /* On disk all of it is the daemon's; inside it is root's, so that the app owns none of it. */
    if (r == 0 && (l->isolate & SP_ISOLATE_IDMAP))
        r = sp_userns_for_mount(l->daemon_uid, l->daemon_gid, box->uid_base, &ids, err);
    if (r == 0)
        r = sp_mount_clone(folder, attrs, ids, ret_fd, err);
    return r < 0 ? sp_error_wrap(err, "prepare the base") : 0;
}
