/*
 * sandbox/mounts.h - what one sandbox sees of the file system: the shared root, and its own parts.
 *
 * Runs in the set-up child as real root, in a fresh mount namespace, before the user namespace:
 * the mounts then belong to the host's root, and even a root inside cannot change them. Every
 * source is a descriptor that the launcher opened; no path of the host is resolved here.
 */
#ifndef SP_SANDBOX_MOUNTS_H
#define SP_SANDBOX_MOUNTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct sp_error;

struct sp_mounts {
    int snapshot_fd; /* detached mount: the version's files */
    int files_fd;    /* detached mount: /run/files; -1 = none */
    int uploads_fd;  /* detached mount: /run/files/u, read-only */
    int dev_fd;      /* detached mount: a /dev with more than the shared one has; -1 = none */
    int gpu_fd;      /* detached mount: /run/gpu, files of a GPU's driver; -1 = none */
    int data_fd;     /* detached mount: what /data leads into; -1 = none */
    uint64_t layer_bytes;
    uint32_t layer_inodes;
    uint64_t shm_bytes;
    uid_t app_uid; /* as the host sees it */
    gid_t app_gid;
    bool asks_names; /* has a network and our resolver */
    bool overlay;    /* false: the app's files are read-only */
};

/*
 * What is the same for every Space: ends with the new root as "/", the old one detached, "/" as
 * working folder, and /proc with its covers.
 */
int sp_mounts_enter_root(int root_fd, const char *at, struct sp_error *err);
/* What is this Space's own. */
int sp_mounts_put_own(const struct sp_mounts *mounts, struct sp_error *err);

#endif
