/*
 * runtime/privilege.h - what spacesd does while it is still root, and how it stops being root.
 *
 * Order: folder for the state, launcher, private view of the state folder, own user for good. After
 * sp_privilege_drop nothing can be regained; the launcher is the only part that stays root.
 */
#ifndef SP_RUNTIME_PRIVILEGE_H
#define SP_RUNTIME_PRIVILEGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct sp_config;
struct sp_error;

struct sp_privilege {
    bool was_root;
    uid_t uid; /* the daemon's own user: "spacesd" where it exists, else the setting `uid` */
    gid_t gid;
    pid_t launcher;    /* 0 until it is started */
    char state_id[17]; /* marks cgroups, mounts and folders as ours; kept in the state folder */
};

/* Makes the state folder (0700, the daemon's own) and makes it the working folder. */
int sp_privilege_prepare(const struct sp_config *config, struct sp_privilege *ret,
                         struct sp_error *err);

/* Starts spaces-launcher (beside our own program, or in libexec); `*ret_fd` is our end. */
int sp_privilege_start_launcher(const struct sp_config *config, struct sp_privilege *priv,
                                int *ret_fd, struct sp_error *err);

/*
 * Waits until the launcher, whose socket is closed, has removed what it made and ended; at most
 * `wait_ms`. Whoever stops us (systemd, a shell) may kill what is left the moment we are gone.
 */
void sp_privilege_wait_launcher(const struct sp_privilege *priv, int wait_ms);

/*
 * Runs `spaces-launcher --doctor`, which tries every protection with the rights that we still have:
 * a JSON list for /api/doctor, at most 64 KiB, yours; "[]" when it cannot be run.
 */
char *sp_privilege_ask_doctor(void);

/* A program of ours, opened while we may walk to it; -1 when it is not there. */
int sp_privilege_open_part(const char *beside, const char *installed);

/*
 * Becomes the daemon's user: no groups, no capabilities, no way back. The state folder stays
 * reachable even below a folder that this user may not enter (a checkout in /root): it is bound to
 * SP_STATE_MOUNT in a mount namespace of our own. Harmless when we never were root.
 */
int sp_privilege_drop(const struct sp_privilege *priv, struct sp_error *err);

#define SP_STATE_MOUNT "/run/spacesd"

#endif
