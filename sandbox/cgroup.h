/*
 * sandbox/cgroup.h - one group per sandbox: limits, usage, kill. Version 1, version 2, and the
 * mixed layout where the controllers are on version 1 and a bare version 2 tree stands beside them.
 *
 * A host is a table: where each controller's tree is. Everything below works on paths made from
 * that table, so a test can hand in a folder of plain files. Names are never used twice: a group
 * that was killed once kills whoever is born in it (seen on Linux 6.18).
 *
 * Groups are made and limited through libcgroup; kill, usage and removal are plain file work,
 * because libcgroup's own delete sets tasks free and its reads are slow.
 */
#ifndef SP_SANDBOX_CGROUP_H
#define SP_SANDBOX_CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sandbox/launch.h"

struct sp_error;

enum sp_cgroup_tree {
    SP_CGROUP_CPU,
    SP_CGROUP_MEMORY,
    SP_CGROUP_PIDS,
    SP_CGROUP_CPUACCT, /* version 1 without a version 2 tree: the only CPU counter there */
    SP_CGROUP_DEVICES, /* the same: the only filter of device nodes */
    SP_CGROUP_FREEZER, /* the same: the only way to hold a sandbox */
    SP_CGROUP_IO,      /* disk weight and rate; "blkio" on version 1 */
    SP_CGROUP_UNIFIED, /* version 2: kill, and the counters that need no controller */
    SP_CGROUP_TREES,
};

struct sp_cgroup_host {
    char mount[SP_CGROUP_TREES][256]; /* "" = not there */
    bool v2;                          /* cpu, memory and pids live on the unified tree */
    bool has_memsw;                   /* version 1 can limit memory and swap together */
    bool has_io_weight;               /* version 2: perhaps, depending on the disk's scheduler */
    bool use_lib;                     /* through libcgroup; otherwise plain files */
    char disk[24];                    /* "8:0" of the state folder; "" = no write rates */
    char prefix[256]; /* "" or the delegated group's path, without slashes at the ends */
};

/* One value to write, in the order in which the kernel wants them. */
struct sp_cgroup_knob {
    enum sp_cgroup_tree tree;
    char key[40];
    char value[48];
    bool optional; /* go on when the kernel does not have it */
};
#define SP_CGROUP_KNOBS 12

#define SP_CGROUP_USAGE_FILES 10

struct sp_cgroup {
    char name[128]; /* below the prefix: "spacesd-<state>/<sandbox>" */
    int procs[SP_CGROUP_TREES];
    int dir_v2; /* for clone3(CLONE_INTO_CGROUP) */
    int usage_fd[SP_CGROUP_USAGE_FILES];
    struct {
        uint64_t oom_kills, pids_refused, periods, throttled;
    } seen; /* for sp_cgroup_hit */
    bool exists;
};

/* Reads the text of /proc/self/mountinfo. Pure. */
void sp_cgroup_parse_mountinfo(const char *text, struct sp_cgroup_host *ret);
/* This machine: mounts, controllers, delegation, libcgroup. Fails when no limit can be set at all.
 */
int sp_cgroup_host_init(struct sp_cgroup_host *ret, struct sp_error *err);
/* True when a group there can limit this. */
bool sp_cgroup_can(const struct sp_cgroup_host *host, enum sp_cgroup_tree tree);

/* What to write for these limits; returns how many. Pure. */
size_t sp_cgroup_knobs(const struct sp_cgroup_host *host, const struct sp_launch_limits *limits,
                       struct sp_cgroup_knob ret[SP_CGROUP_KNOBS]);

/*
 * The group above all sandboxes, capped at the host minus a reserve. Exists already: fine. In a
 * delegated group our own processes move to a leaf beside it first.
 */
int sp_cgroup_parent(const struct sp_cgroup_host *host, const char *name, uint64_t memory_bytes,
                     uint64_t pids, struct sp_error *err);
/* The disk behind `path`, "8:0"; -ENODEV on a file system that is on no single disk. */
int sp_cgroup_disk_of(const char *path, char *ret, size_t size);
/* Notes the disk of `path`, once the parent `name` is there. Fails where rates cannot be set. */
int sp_cgroup_find_disk(struct sp_cgroup_host *host, const char *name, const char *path,
                        struct sp_error *err);
/* Bytes a second to that disk; 0 = no limit. Nothing where the host has no rates. */
int sp_cgroup_limit_writes(const struct sp_cgroup_host *host, const struct sp_cgroup *group,
                           uint64_t bytes, struct sp_error *err);
/* A cleared group. */
void sp_cgroup_init(struct sp_cgroup *group);
/* Makes it without limits, keeps descriptors open. On failure nothing is left. */
int sp_cgroup_create(const struct sp_cgroup_host *host, const char *name, struct sp_cgroup *ret,
                     struct sp_error *err);
/* Once, before anything of an app runs in it. */
int sp_cgroup_limit(const struct sp_cgroup_host *host, const struct sp_cgroup *group,
                    const struct sp_launch_limits *limits, struct sp_error *err);
/* Another share of the processor than `limits` gave; nothing else changes. */
int sp_cgroup_limit_cpu(const struct sp_cgroup_host *host, const struct sp_cgroup *group,
                        uint32_t cpu_millis, struct sp_error *err);
/* Moves the calling process in; `born_in_v2`: clone3 has done that tree. Async-signal-safe. */
int sp_cgroup_enter(const struct sp_cgroup *group, bool born_in_v2);
/* Counters; what the host does not count stays 0. */
void sp_cgroup_usage(const struct sp_cgroup_host *host, const struct sp_cgroup *group,
                     struct sp_launch_usage *ret);
/*
 * True when the limit was hit since the last call: memory has killed something, a fork was refused,
 * more than half of the CPU periods were cut short (of at least 10), memory or disk was waited for
 * in more than half of the last 10 s (that one is a state, and stays true).
 */
bool sp_cgroup_hit(struct sp_cgroup *group, enum sp_launch_limit limit);
/* Forks that its limit has refused so far. */
uint64_t sp_cgroup_refused(const struct sp_cgroup *group);
/* An inotify watch that fires when MEMORY (version 2) or PIDS was hit, or -1: no such file. */
int sp_cgroup_watch(const struct sp_cgroup_host *host, const struct sp_cgroup *group,
                    enum sp_launch_limit limit, int inotify);
/* Version 1: the eventfd is written to when memory runs out, before anything is killed. */
void sp_cgroup_watch_oom(const struct sp_cgroup_host *host, const struct sp_cgroup *group,
                         int eventfd);
/* "some avg10=12.34 ..." of a pressure file as 1234; 0 when it is another text. Pure. */
uint32_t sp_cgroup_pressure(const char *text);
/* Holds all of it, or lets it go on. -ENOENT where the host has no way. Held: ask is_frozen. */
int sp_cgroup_freeze(const struct sp_cgroup_host *host, const struct sp_cgroup *group, bool on);
bool sp_cgroup_is_frozen(const struct sp_cgroup_host *host, const struct sp_cgroup *group);
/* SIGKILL to every process in it; frozen ones go on in order to die. */
void sp_cgroup_kill(const struct sp_cgroup_host *host, const struct sp_cgroup *group);
/* Removes the folders: -EBUSY while something lives in it, 0 when nothing is left. */
int sp_cgroup_remove(const struct sp_cgroup_host *host, struct sp_cgroup *group);
/* Closes the descriptors. */
void sp_cgroup_done(struct sp_cgroup *group);
/* Kills and removes `name` and all groups in it, whoever made them; waits at most `wait_ms`. */
int sp_cgroup_sweep(const struct sp_cgroup_host *host, const char *name, unsigned wait_ms,
                    struct sp_error *err);

#endif
