/*
 * sandbox/seccomp.h - the system calls an app may make: an allow-list, compiled once.
 *
 * What is not in the table gets EPERM; a number newer than the table gets ENOSYS, so that libc
 * falls back to what it knows. Other ABIs (32-bit, x32) end the process.
 */
#ifndef SP_SANDBOX_SECCOMP_H
#define SP_SANDBOX_SECCOMP_H

#include <stdbool.h>
#include <stddef.h>

struct sp_error;
struct sock_filter;

struct sp_seccomp {
    struct sock_filter *code; /* owned */
    size_t len;
};

/* Drivers whose requests a sandbox with GPU slots may make. */
enum sp_seccomp_gpu {
    SP_SECCOMP_NVIDIA = 1 << 0,
    SP_SECCOMP_DRM = 1 << 1,
    SP_SECCOMP_KFD = 1 << 2,
};

/* Compiles the table with libseccomp. */
int sp_seccomp_compile(struct sp_seccomp *ret, struct sp_error *err);
/* The table and the requests of these drivers (enum sp_seccomp_gpu): seccomp_gpu.c. */
int sp_seccomp_compile_gpu(unsigned drivers, struct sp_seccomp *ret, struct sp_error *err);
/* The driver that a device node belongs to; 0 = none that is known. A stand-in is NVIDIA's. */
unsigned sp_seccomp_gpu_of_node(const char *path);
/* The same for another machine (AUDIT_ARCH_*), which can only be looked at; for the test. */
int sp_seccomp_compile_for(unsigned arch, struct sp_seccomp *ret, struct sp_error *err);
void sp_seccomp_done(struct sp_seccomp *filter);
/* Loads it into the calling process, whose no_new_privs is set. Async-signal-safe. */
int sp_seccomp_load(const struct sp_seccomp *filter);

/* --- the table, for seccomp.c and its test ---------------------------------------------------- */

/* On which 32 bits of an argument a call is allowed. */
enum sp_seccomp_when {
    SP_SECCOMP_ALWAYS,
    SP_SECCOMP_ARG_IS,       /* (arg & 0xffffffff) == value */
    SP_SECCOMP_ARG_HAS_NONE, /* (arg & mask) == 0 */
    SP_SECCOMP_ARG_MASKED,   /* (arg & mask) == value */
    SP_SECCOMP_TWO_ARE,      /* arg == value and the third argument == mask */
    SP_SECCOMP_NEXT_IS,      /* arg == value and the argument after it == mask */
};

struct sp_seccomp_rule {
    const char *call;
    const char *reason;
    enum sp_seccomp_when when;
    unsigned arg;
    unsigned long long value, mask;
};

extern const struct sp_seccomp_rule sp_seccomp_rules[];
extern const size_t sp_seccomp_n_rules;

struct sp_seccomp_gpu_rule {
    unsigned drivers; /* enum sp_seccomp_gpu */
    struct sp_seccomp_rule rule;
};

extern const struct sp_seccomp_gpu_rule sp_seccomp_gpu_rules[];
extern const size_t sp_seccomp_n_gpu_rules;

#endif
