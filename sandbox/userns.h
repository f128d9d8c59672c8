/*
 * sandbox/userns.h - ranges of user ids, one per sandbox, and the user namespaces that use them.
 *
 * A range is 65536 ids wide and lies outside of what systemd, useradd and containers hand out. It
 * is given back only after everything of the sandbox is gone.
 */
#ifndef SP_SANDBOX_USERNS_H
#define SP_SANDBOX_USERNS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct sp_error;

#define SP_USERNS_WIDTH 65536u
#define SP_USERNS_FIRST 0x70000000u /* above systemd's container ids, below its foreign ids */
#define SP_USERNS_SLOTS 4000u
#define SP_USERNS_APP   1000u /* uid and gid of the app inside */

struct sp_userns_slots {
    uint8_t used[SP_USERNS_SLOTS];
    unsigned next; /* goes round, so that a range rests before it is used again */
};

/* Begins at a place made from `seed`, so that two daemons on one host seldom share ranges. */
void sp_userns_slots_init(struct sp_userns_slots *slots, uint64_t seed);
/* Takes a range; false when all are taken. */
bool sp_userns_take(struct sp_userns_slots *slots, uint32_t *ret_base);
void sp_userns_release(struct sp_userns_slots *slots, uint32_t base);

/*
 * Writes uid_map and gid_map of a process that has just entered a fresh user namespace. With
 * `app_is_uid`/`app_is_gid` not (uid_t)-1 the app's id 1000 is that id outside: the fallback where
 * mounts cannot be idmapped.
 */
int sp_userns_map(pid_t pid, uint32_t base, uid_t app_is_uid, gid_t app_is_gid,
                  struct sp_error *err);

/*
 * A user namespace for mount_setattr(MOUNT_ATTR_IDMAP): what belongs to uid:gid on disk belongs to
 * `app`, the id outside of who runs the app, through the mount. No process lives in it.
 */
int sp_userns_for_mount(uid_t uid, gid_t gid, uint32_t app, int *ret_fd, struct sp_error *err);

#endif
