/*
 * sandbox/privs.h - what a process gives up for good: capabilities, keys, limits, descriptors.
 */
#ifndef SP_SANDBOX_PRIVS_H
#define SP_SANDBOX_PRIVS_H

#include <stdbool.h>
#include <stdint.h>

struct sp_error;
struct sp_launch_limits;

/*
 * For pid 1 of a sandbox, root of its user namespace: bounding set and ambient set emptied,
 * securebits locked so that becoming another uid neither gives nor takes anything silently, and
 * only KILL, SETUID and SETGID kept, for its work on workers. no_new_privs is set.
 */
int sp_privs_reduce(struct sp_error *err);
/* For a worker, before its exec: no capability is left. Async-signal-safe; 0 or negative errno. */
int sp_privs_drop_all(void);

/*
 * Only ever lowers: core 0, descriptors, processes, locked memory, message queues, priorities.
 * `grouped`: a group limits the processes and counts what it refuses; the rlimit, which counts
 * forks that have only begun and tells nobody, stays out of its way.
 */
void sp_privs_rlimits(const struct sp_launch_limits *limits, bool grouped);
/* A session keyring of its own: the launcher's keys are not reachable. Absent keyrings are fine. */
void sp_privs_new_keyring(void);
/* Unblocks all signals and puts each back to its default. */
void sp_privs_reset_signals(void);
/*
 * Everyone in the sandbox goes before the host's own processes, and workers go before pid 1. For
 * pid 1, while it is real root: with CAP_SYS_RESOURCE the score then cannot be lowered inside.
 */
void sp_privs_oom_score(int score);
#define SP_PRIVS_OOM_PID1   300
#define SP_PRIVS_OOM_WORKER 500

/* For the launcher: only what its work needs, for good; bounding set included. */
int sp_privs_keep_launcher(struct sp_error *err);
/* The same for the process that makes networks. */
int sp_privs_keep_network(struct sp_error *err);

/* Which memory /proc/PID/cmdline shows; once, from main. */
void sp_privs_note_arguments(int argc, char **argv);
/* Empties it in this process: pid 1 of a sandbox, whose command line apps can read. */
void sp_privs_forget_arguments(void);

#endif
