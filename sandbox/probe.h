/*
 * sandbox/probe.h - what this kernel, in this place (container, VM, unprivileged), can isolate.
 *
 * Every answer comes from trying it in a forked child, not from a version number. Needs the rights
 * that the launcher has: a daemon that wants the list asks before it drops root.
 */
#ifndef SP_SANDBOX_PROBE_H
#define SP_SANDBOX_PROBE_H

#include <stdbool.h>
#include <stddef.h>

struct sp_cgroup_host;

struct sp_probe_item {
    const char *name; /* "user namespace" */
    bool on;
    bool required;   /* without it a sandbox is weak */
    unsigned bit;    /* enum sp_isolate, or 0 */
    char why[128];   /* not on: what the kernel said; on: more about it, or empty */
    const char *how; /* not on: how to turn it on, and what its absence costs */
};
#define SP_PROBE_MAX 48

struct sp_probe {
    size_t n;
    struct sp_probe_item items[SP_PROBE_MAX];
};

/*
 * Tries everything; a few milliseconds, forks. `state_path`: the folder whose mounts would get
 * ids of their own, or NULL. `groups` may be NULL: then it looks for itself.
 */
void sp_probe_run(struct sp_probe *ret, const char *state_path,
                  const struct sp_cgroup_host *groups);
/* All that is required is on. */
bool sp_probe_complete(const struct sp_probe *probe);
/* enum sp_isolate of all that is on. */
unsigned sp_probe_isolate(const struct sp_probe *probe);
/* "user namespace: Operation not permitted; ..." of what is required and missing. Cut at `size`. */
void sp_probe_missing(const struct sp_probe *probe, char *ret, size_t size);

#endif
