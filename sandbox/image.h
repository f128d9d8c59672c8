/*
 * sandbox/image.h - the file system of one Space that outlives its sandboxes: `/data`.
 *
 * A sparse ext4 image on a loop device that clears itself. Its size and its inodes are hard limits,
 * whatever file system the state folder is on. Slow (mkfs, resize2fs, a journal to replay): for a
 * child of its own, as root. An image is root's file: what the daemon could have written is never
 * given to the kernel as a file system.
 *
 * Two sandboxes of a Space, the old version and the new, share one loop device and one superblock.
 * That there is never a second one is kept by a lock on the open file that the loop device holds.
 */
#ifndef SP_SANDBOX_IMAGE_H
#define SP_SANDBOX_IMAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct sp_error;
struct stat;

struct sp_image {
    int folder_fd;   /* data/ of the state folder */
    uint64_t space;  /* <16 hex digits>.img in it */
    uint64_t bytes;  /* hard limit; what is smaller grows, what is larger is refused */
    uint32_t inodes; /* hard limit, when it is made; 0 = one for each 16 KiB */
    uid_t uid;       /* who owns the files in it, on the disk */
    gid_t gid;
    int idmap_fd; /* user namespace for the mount, or -1 */
};

/* The folder in it that the app sees; the rest (lost+found) is not for it. */
#define SP_IMAGE_FOLDER "d"
#define SP_IMAGE_LEAST  (16ull << 20)

/* This host has what it takes: loop devices and mkfs.ext4. */
int sp_image_possible(struct sp_error *err);
/* Makes or grows the image where needed; *ret_fd is a detached mount, nosuid and nodev. */
int sp_image_mount(const struct sp_image *image, int *ret_fd, struct sp_error *err);

/* For image_grow.c. A regular file with one name that nobody but root can have written. */
bool sp_image_is_roots(const struct stat *st);
/* After a power cut the names in it are as they are now. */
int sp_image_sync_folder(const struct sp_image *image, struct sp_error *err);

#endif
