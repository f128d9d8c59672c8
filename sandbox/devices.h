/*
 * sandbox/devices.h - which device nodes a sandbox may open: a list, and what the kernel is told.
 *
 * Version 2: a small program of type CGROUP_DEVICE, attached to the sandbox's group exclusively, so
 * that nothing below can widen it. It works on a version 2 tree without controllers too. Version 1,
 * where there is no such tree: the files of the devices controller. What was opened before a list
 * is narrowed stays open: end the process.
 */
#ifndef SP_SANDBOX_DEVICES_H
#define SP_SANDBOX_DEVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bpf_insn;
struct sp_cgroup;
struct sp_cgroup_host;
struct sp_error;

enum sp_device_access {
    SP_DEVICE_READ = 1 << 0,
    SP_DEVICE_WRITE = 1 << 1,
    SP_DEVICE_MKNOD = 1 << 2,
    SP_DEVICE_RW = SP_DEVICE_READ | SP_DEVICE_WRITE,
};

#define SP_DEVICE_ANY (-1)

struct sp_device_rule {
    char type;            /* 'c' or 'b' */
    int32_t major, minor; /* SP_DEVICE_ANY = each */
    unsigned access;      /* enum sp_device_access */
};
#define SP_DEVICE_RULES 64 /* base list and extra rules together */
#define SP_DEVICE_INSNS (SP_DEVICE_RULES * 9 + 8)

/* How this host filters, and the program of the base list. */
struct sp_devices {
    enum { SP_DEVICES_NONE, SP_DEVICES_V2, SP_DEVICES_V1 } way;
    int base_fd;
};

/* The nodes that each sandbox has in its /dev. */
const struct sp_device_rule *sp_devices_base(size_t *ret_n);
/* The program for a list; `ret` holds SP_DEVICE_INSNS. Returns its length. Pure. */
size_t sp_devices_program(const struct sp_device_rule *rules, size_t n, struct bpf_insn *ret);
/* "c 1:3 rw", as the version 1 files want and show it. Pure. */
void sp_devices_line(const struct sp_device_rule *rule, char ret[48]);

/* Finds out which way works here; SP_DEVICES_NONE with the reason in `err` is a negative errno. */
int sp_devices_init(const struct sp_cgroup_host *host, struct sp_devices *ret,
                    struct sp_error *err);
void sp_devices_done(struct sp_devices *devices);

/*
 * Allows a group the base list and `extra`, and nothing else; what an earlier call allowed is
 * replaced. The first call comes before anything of an app is born in the group. Without a filter
 * on this host: fine for the base list, SP_ERR_UNAVAILABLE with extra rules.
 */
int sp_devices_guard(const struct sp_devices *devices, const struct sp_cgroup_host *host,
                     const struct sp_cgroup *group, const struct sp_device_rule *extra,
                     size_t n_extra, struct sp_error *err);

#endif
