/*
 * sandbox/walk.h - finds and kills the processes that belong to a worker, by reading /proc.
 *
 * A worker's processes carry its tag: a supplementary group that they cannot drop, because they
 * have no capability. It stays with a process that daemonises, whoever its parent is by then.
 */
#ifndef SP_SANDBOX_WALK_H
#define SP_SANDBOX_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* SIGKILL to each living process with this group; returns how many there were, zombies aside. */
unsigned sp_walk_kill_tagged(gid_t tag);

/* The same for all descendants of `ancestor`, itself excluded: where there is no pid namespace. */
unsigned sp_walk_kill_below(pid_t ancestor);

/*
 * SIGKILL to each living process with this group that is none of the `keepers` and has none of them
 * among its ancestors: what dead workers left behind, where several share a group. Returns how many
 * there were, and those whose ancestors could not be followed to the end this time.
 */
unsigned sp_walk_kill_orphans(gid_t tag, const pid_t *keepers, size_t n_keepers);

/* Its parent at this moment; 0 when there is no such process. */
pid_t sp_walk_parent(pid_t pid);

/* `pid` is, at this moment, a child of `parent` and carries this group (0 = any). */
bool sp_walk_is_child(pid_t pid, pid_t parent, gid_t tag);

#endif
