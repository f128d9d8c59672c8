/*
 * sandbox/rootfs.h - the read-only root that all sandboxes of a launcher share.
 *
 * Built once, in the launcher's own mount namespace: the host's /usr, a small /etc of our own, a
 * /dev with six nodes, the SDK. A sandbox gets a clone of the mounts and adds what is its own.
 * Nothing of it is visible on the host, and it is gone with the launcher.
 */
#ifndef SP_SANDBOX_ROOTFS_H
#define SP_SANDBOX_ROOTFS_H

#include <stdbool.h>

struct sp_error;

struct sp_rootfs {
    char at[16]; /* where it is mounted in the launcher's namespace */
    bool mounted;
    char nameserver[16]; /* set before the build: whom Spaces with a network ask; "" = none */
};

/*
 * Puts the caller into a mount namespace of its own. Folders whose mounts are to be cloned must be
 * opened after this, and before sp_rootfs_build covers a folder of the host.
 */
int sp_rootfs_leave_host(struct sp_error *err);
#define SP_ROOTFS_RESOLV "/etc/resolv.space" /* goes over /etc/resolv.conf of those Spaces */

/* The folder of the host that the root covers in our namespace. */
const char *sp_rootfs_place(void);
/* Builds the root. `sdk_fd`: a folder. */
int sp_rootfs_build(struct sp_rootfs *ret, int sdk_fd, struct sp_error *err);
/* A detached clone of all its mounts, for one sandbox. */
int sp_rootfs_clone(const struct sp_rootfs *rootfs, int *ret_fd, struct sp_error *err);

/* Into an empty, mounted folder: what every sandbox has in /dev. For one that gets more. */
int sp_rootfs_fill_dev(int dev, struct sp_error *err);

/* open_tree(OPEN_TREE_CLONE) of `fd`, with these MOUNT_ATTR_* set and, unless -1, idmapped. */
int sp_mount_clone(int fd, unsigned long long attrs, int userns_fd, int *ret_fd,
                   struct sp_error *err);

#endif
