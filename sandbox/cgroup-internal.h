/*
 * sandbox/cgroup-internal.h - what the cgroup files share.
 */
#ifndef SP_SANDBOX_CGROUP_INTERNAL_H
#define SP_SANDBOX_CGROUP_INTERNAL_H

#include "sandbox/cgroup.h"

#define SP_CGROUP_PATH 1024
/* Where our own processes are in a delegated group; DelegateSubgroup= of our unit says the same. */
#define SP_CGROUP_OWN_LEAF "supervisor"

/* Several controllers may share a tree: only the first of them stands for it. */
bool sp_cgroup_is_own_tree(const struct sp_cgroup_host *host, enum sp_cgroup_tree tree);
/* "<mount>/<prefix>/<name>/<file>"; `file` may be NULL. */
void sp_cgroup_path(const struct sp_cgroup_host *host, enum sp_cgroup_tree tree, const char *name,
                    const char *file, char ret[SP_CGROUP_PATH]);
/* The tree's controller is the unified tree's. */
bool sp_cgroup_on_v2(const struct sp_cgroup_host *host, enum sp_cgroup_tree tree);
/* The delegated group that we are in, into `prefix`: systemd marks the group of such a unit. */
void sp_cgroup_find_delegated(struct sp_cgroup_host *host);
int sp_cgroup_make_dirs(const struct sp_cgroup_host *host, const char *name, struct sp_error *err);
/* 0 or negative errno. */
int sp_cgroup_write(const char *path, const char *value);
/* Opens the files that usage is read from; what is not there stays -1. */
void sp_cgroup_open_usage(const struct sp_cgroup_host *host, struct sp_cgroup *group);

#endif
