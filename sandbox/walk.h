/*
 * sandbox/walk.h - finds and kills the processes that belong to a worker, by reading /proc.
 *
 * A worker's processes carry its tag: a supplementary group that they cannot drop, because they
 * have no capability. It stays with a process that daemonises, whoever its parent is by then.
 */
#ifndef SP_SANDBOX_WALK_H
#define SP_SANDBOX_WALK_H

#include <sys/types.h>

/* SIGKILL to each living process with this group; returns how many there were, zombies aside. */
unsigned sp_walk_kill_tagged(gid_t tag);

/* The same for all descendants of `ancestor`, itself excluded: where there is no pid namespace. */
unsigned sp_walk_kill_below(pid_t ancestor);

#endif
