#include "sandbox/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/mem.h"

#define LOW32 0xffffffffull

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#else
#error "the system call filter has not been written for this machine"
#endif

/* Calls that this libseccomp may be too old to know by name; the same number on every machine. */
static const struct {
    const char *name;
    int number;
} young[] = {{"futex_waitv", 449}, {"fchmodat2", 452}};

static int resolve(unsigned arch, const char *name)
{
    int number = seccomp_syscall_resolve_name_arch(arch, name);

    if (number >= 0)
        return number;
    for (size_t i = 0; i < SP_LEN(young); i++)
        if (strcmp(young[i].name, name) == 0)
            return young[i].number;
    return -1; /* this machine does not have it: "open" on arm64 */
}

static int add_rule(scmp_filter_ctx ctx, unsigned arch, const struct sp_seccomp_rule *rule)
{
    struct scmp_arg_cmp cmp[2];
    int number = resolve(arch, rule->call);
    unsigned n = 1;

    if (number < 0)
        return 0;
    /* Rules are added by our own machine's number, or its stand-in, and translated. */
    if (arch != NATIVE_ARCH)
        number = seccomp_syscall_resolve_name(rule->call);
    if (number == __NR_SCMP_ERROR)
        return 0; /* a young one, by number alone */
    switch (rule->when) {
    case SP_SECCOMP_ALWAYS: n = 0; break;
    case SP_SECCOMP_ARG_IS:
        cmp[0] = SCMP_CMP(rule->arg, SCMP_CMP_MASKED_EQ, LOW32, rule->value);
        break;
    case SP_SECCOMP_ARG_HAS_NONE:
        cmp[0] = SCMP_CMP(rule->arg, SCMP_CMP_MASKED_EQ, rule->mask, 0);
        break;
    case SP_SECCOMP_ARG_MASKED:
        cmp[0] = SCMP_CMP(rule->arg, SCMP_CMP_MASKED_EQ, rule->mask, rule->value);
        break;
    case SP_SECCOMP_TWO_ARE:
        cmp[0] = SCMP_CMP(rule->arg, SCMP_CMP_MASKED_EQ, LOW32, rule->value);
        cmp[1] = SCMP_CMP(2, SCMP_CMP_MASKED_EQ, LOW32, rule->mask);
        n = 2;
        break;
    case SP_SECCOMP_NEXT_IS:
        cmp[0] = SCMP_CMP(rule->arg, SCMP_CMP_MASKED_EQ, LOW32, rule->value);
        cmp[1] = SCMP_CMP(rule->arg + 1, SCMP_CMP_MASKED_EQ, LOW32, rule->mask);
        n = 2;
        break;
    }
    return seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, number, n, cmp);
}

static int add_gpu_rules(scmp_filter_ctx ctx, unsigned arch, unsigned drivers, struct sp_error *err)
{
    for (size_t i = 0; i < sp_seccomp_n_gpu_rules; i++) {
        const struct sp_seccomp_gpu_rule *gpu = &sp_seccomp_gpu_rules[i];
        int r = gpu->drivers & drivers ? add_rule(ctx, arch, &gpu->rule) : 0;

        if (r < 0)
            return sp_error_set(err, SP_ERR_INTERNAL, r, "allow '%s'", gpu->rule.reason);
    }
    return 0;
}

/* Fills the context; returns the highest number that the table knows. */
static int add_rules(scmp_filter_ctx ctx, unsigned arch, struct sp_error *err)
{
    int highest = 0, r;

    /* A tree over the numbers: about eight comparisons instead of three hundred. */
    (void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (r == 0)
        r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (r < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, r, "set up the system call filter");
    for (size_t i = 0; i < sp_seccomp_n_rules; i++) {
        int number = resolve(arch, sp_seccomp_rules[i].call);

        r = add_rule(ctx, arch, &sp_seccomp_rules[i]);
        if (r < 0)
            return sp_error_set(err, SP_ERR_INTERNAL, r, "allow '%s'", sp_seccomp_rules[i].call);
        highest = number > highest ? number : highest;
    }
    return highest;
}

/*
 * In front of libseccomp's program: a number above all that we know is ENOSYS, not EPERM. libc
 * falls back only on ENOSYS. x32 numbers (bit 30) and other ABIs go on to the program, which kills.
 */
static size_t put_prelude(struct sock_filter *code, unsigned arch, int highest)
{
    const struct sock_filter prelude[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, arch, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (unsigned)highest, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
    };

    if (code)
        memcpy(code, prelude, sizeof(prelude));
    return SP_LEN(prelude);
}

/* libseccomp writes its program only to a descriptor. */
static int export_code(scmp_filter_ctx ctx, unsigned arch, int highest, struct sp_seccomp *ret,
                       struct sp_error *err)
{
    SP_AUTO_FD int fd = memfd_create("seccomp", MFD_CLOEXEC);
    size_t front = put_prelude(NULL, arch, 0), len;
    off_t size;
    int r;

    if (fd < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "export the system call filter");
    r = seccomp_export_bpf(ctx, fd);
    size = lseek(fd, 0, SEEK_END);
    if (r < 0 || size <= 0 || (size_t)size % sizeof(struct sock_filter) != 0)
        return sp_error_set(err, SP_ERR_INTERNAL, r < 0 ? r : -EIO,
                            "export the system call filter");
    len = front + (size_t)size / sizeof(struct sock_filter);
    ret->code = sp_new0n(struct sock_filter, len);
    ret->len = len;
    (void)put_prelude(ret->code, arch, highest);
    if (pread(fd, ret->code + front, (size_t)size, 0) != size) {
        sp_seccomp_done(ret);
        return sp_error_set(err, SP_ERR_INTERNAL, -EIO, "export the system call filter");
    }
    return 0;
}

static int compile(unsigned arch, unsigned drivers, struct sp_seccomp *ret, struct sp_error *err)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int r = 0, highest = 0;

    if (!ctx)
        return sp_error_set(err, SP_ERR_INTERNAL, -ENOMEM, "set up the system call filter");
    if (arch != NATIVE_ARCH) {
        r = seccomp_arch_add(ctx, arch);
        if (r == 0)
            r = seccomp_arch_remove(ctx, NATIVE_ARCH);
    }
    if (r == 0)
        r = highest = add_rules(ctx, arch, err);
    if (r >= 0)
        r = add_gpu_rules(ctx, arch, drivers, err);
    if (r >= 0)
        r = export_code(ctx, arch, highest, ret, err);
    seccomp_release(ctx);
    return r < 0 ? r : 0;
}

int sp_seccomp_compile(struct sp_seccomp *ret, struct sp_error *err)
{
    return compile(NATIVE_ARCH, 0, ret, err);
}

int sp_seccomp_compile_gpu(unsigned drivers, struct sp_seccomp *ret, struct sp_error *err)
{
    return compile(NATIVE_ARCH, drivers, ret, err);
}

int sp_seccomp_compile_for(unsigned arch, struct sp_seccomp *ret, struct sp_error *err)
{
    return compile(arch, 0, ret, err);
}

void sp_seccomp_done(struct sp_seccomp *filter)
{
    free(filter->code);
    filter->code = NULL;
    filter->len = 0;
}

int sp_seccomp_load(const struct sp_seccomp *filter)
{
    struct sock_fprog prog = {.len = (unsigned short)filter->len, .filter = filter->code};

    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0)
        return -errno;
    return 0;
}
