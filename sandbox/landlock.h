/*
 * sandbox/landlock.h - a second wall on files, signals and abstract sockets, beside the mounts.
 *
 * pid 1 puts itself into a Landlock domain of its own, and all workers are born in it: what the
 * mounts allow is allowed once more by path, and nothing else. A mount that is writable by mistake
 * stays closed. Signals and abstract sockets end at the domain, so workers of one Space still reach
 * each other. Any change of mounts is refused as well.
 */
#ifndef SP_SANDBOX_LANDLOCK_H
#define SP_SANDBOX_LANDLOCK_H

#include <stdbool.h>

struct sp_error;

/* Below this a rename from one folder to another cannot be allowed: pip and others break. */
#define SP_LANDLOCK_ABI_LEAST 2

/* The version that this kernel speaks; 0 when it has none, or it is off. */
int sp_landlock_abi(void);

/*
 * Enters a domain that fits the root as it is now. The caller has no_new_privs set, or is root of
 * its user namespace; it must be able to search the folders that are the app's. Cannot be undone;
 * later mounts would be outside of the rules. Fails with -ENOSYS where the kernel cannot.
 */
int sp_landlock_enter(bool runs_anywhere, struct sp_error *err);

#endif
