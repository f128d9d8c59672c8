/*
 * sandbox/base_root.h - another root than the host's: a base below, a few folders of ours above.
 *
 * Runs in pid 1 as real root, after sp_mounts_enter_root and before sp_mounts_put_own. What the
 * base says about /proc, /dev, /tmp and the other places that we mount on does not count: there our
 * own folders lie above it, so a link in an image leads nowhere.
 */
#ifndef SP_SANDBOX_BASE_ROOT_H
#define SP_SANDBOX_BASE_ROOT_H

struct sp_error;

/* `base_fd`: a detached mount of the base's files. Ends with the new root as "/" and working
 * folder. */
int sp_base_root_enter(int base_fd, struct sp_error *err);

#endif
