#include "sandbox/devices.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "sandbox/cgroup-internal.h"

static const struct sp_device_rule base[] = {
    {'c', 1, 3, SP_DEVICE_RW}, /* null */
    {'c', 1, 5, SP_DEVICE_RW}, /* zero */
    {'c', 1, 7, SP_DEVICE_RW}, /* full */
    {'c', 1, 8, SP_DEVICE_RW}, /* random */
    {'c', 1, 9, SP_DEVICE_RW}, /* urandom */
};

const struct sp_device_rule *sp_devices_base(size_t *ret_n)
{
    *ret_n = SP_LEN(base);
    return base;
}

/* --- version 2: a program --- */

enum { R0, R1, R2, R3, R4, R5, R6 }; /* R1 comes in as struct bpf_cgroup_dev_ctx */

static struct bpf_insn load(int to, size_t offset)
{
    return (struct bpf_insn){.code = BPF_LDX | BPF_MEM | BPF_W,
                             .dst_reg = (unsigned char)to & 0xf,
                             .src_reg = R1,
                             .off = (int16_t)offset};
}

static struct bpf_insn compute(int op, int to, int32_t value)
{
    return (struct bpf_insn){.code = (unsigned char)(BPF_ALU | op | BPF_K),
                             .dst_reg = (unsigned char)to & 0xf,
                             .imm = value};
}

static struct bpf_insn copy(int to, int from)
{
    return (struct bpf_insn){.code = BPF_ALU | BPF_MOV | BPF_X,
                             .dst_reg = (unsigned char)to & 0xf,
                             .src_reg = (unsigned char)from & 0xf};
}

/* Goes on at `target`, an index, unless the register has this value. */
static struct bpf_insn unless(int reg, int32_t value, size_t here, size_t target)
{
    return (struct bpf_insn){.code = BPF_JMP | BPF_JNE | BPF_K,
                             .dst_reg = (unsigned char)reg & 0xf,
                             .off = (int16_t)(target - here - 1),
                             .imm = value};
}

static size_t answer(struct bpf_insn *at, int value)
{
    at[0] = compute(BPF_MOV, R0, value);
    at[1] = (struct bpf_insn){.code = BPF_JMP | BPF_EXIT};
    return 2;
}

static size_t rule_size(const struct sp_device_rule *rule)
{
    return 6 + (rule->major >= 0) + (rule->minor >= 0);
}

size_t sp_devices_program(const struct sp_device_rule *rules, size_t n, struct bpf_insn *ret)
{
    size_t at = 0;

    /* R2 type, R3 wanted access, R4 major, R5 minor. */
    ret[at++] = load(R2, offsetof(struct bpf_cgroup_dev_ctx, access_type));
    ret[at++] = copy(R3, R2);
    ret[at++] = compute(BPF_AND, R2, 0xffff);
    ret[at++] = compute(BPF_RSH, R3, 16);
    ret[at++] = load(R4, offsetof(struct bpf_cgroup_dev_ctx, major));
    ret[at++] = load(R5, offsetof(struct bpf_cgroup_dev_ctx, minor));
    for (size_t i = 0; i < n && i < SP_DEVICE_RULES; i++) {
        const struct sp_device_rule *rule = &rules[i];
        size_t next = at + rule_size(rule);
        int32_t refused = 0;

        refused |= rule->access & SP_DEVICE_READ ? 0 : BPF_DEVCG_ACC_READ;
        refused |= rule->access & SP_DEVICE_WRITE ? 0 : BPF_DEVCG_ACC_WRITE;
        refused |= rule->access & SP_DEVICE_MKNOD ? 0 : BPF_DEVCG_ACC_MKNOD;
        ret[at] =
            unless(R2, rule->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR, at, next);
        at++;
        ret[at++] = copy(R6, R3);
        ret[at++] = compute(BPF_AND, R6, refused);
        ret[at] = unless(R6, 0, at, next);
        at++;
        if (rule->major >= 0) {
            ret[at] = unless(R4, rule->major, at, next);
            at++;
        }
        if (rule->minor >= 0) {
            ret[at] = unless(R5, rule->minor, at, next);
            at++;
        }
        at += answer(ret + at, 1);
    }
    return at + answer(ret + at, 0);
}

static int bpf(int command, union bpf_attr *attr)
{
    int r = (int)syscall(SYS_bpf, command, attr, sizeof(*attr));

    return r < 0 ? -errno : r;
}

static int load_program(const struct sp_device_rule *rules, size_t n, struct sp_error *err)
{
    static const char license[] = "MIT";
    struct bpf_insn insns[SP_DEVICE_INSNS];
    union bpf_attr attr;
    int fd;

    memset(&attr, 0, sizeof(attr));
    attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
    attr.insns = (uint64_t)(uintptr_t)insns;
    attr.insn_cnt = (uint32_t)sp_devices_program(rules, n, insns);
    attr.license = (uint64_t)(uintptr_t)license;
    (void)snprintf(attr.prog_name, sizeof(attr.prog_name), "spaces_devices");
    fd = bpf(BPF_PROG_LOAD, &attr);
    return fd < 0 ? sp_error_set(err, SP_ERR_UNAVAILABLE, fd, "load a device filter") : fd;
}

/* Without flags: exclusive, and a second one takes the place of the first in one step. */
static int attach(int group_fd, int program_fd, struct sp_error *err)
{
    union bpf_attr attr;
    int r;

    memset(&attr, 0, sizeof(attr));
    attr.target_fd = (uint32_t)group_fd;
    attr.attach_bpf_fd = (uint32_t)program_fd;
    attr.attach_type = BPF_CGROUP_DEVICE;
    r = bpf(BPF_PROG_ATTACH, &attr);
    return r < 0 ? sp_error_set(err, SP_ERR_UNAVAILABLE, r, "attach a device filter") : 0;
}

/* --- version 1: files --- */

void sp_devices_line(const struct sp_device_rule *rule, char ret[48])
{
    char major[12] = "*", minor[12] = "*";

    if (rule->major >= 0)
        (void)snprintf(major, sizeof(major), "%d", rule->major);
    if (rule->minor >= 0)
        (void)snprintf(minor, sizeof(minor), "%d", rule->minor);
    (void)snprintf(ret, 48, "%c %s:%s %s%s%s", rule->type, major, minor,
                   rule->access & SP_DEVICE_READ ? "r" : "",
                   rule->access & SP_DEVICE_WRITE ? "w" : "",
                   rule->access & SP_DEVICE_MKNOD ? "m" : "");
}

static bool has_line(struct sp_slice text, const char *wanted)
{
    struct sp_slice line;

    while (sp_slice_split(&text, '\n', &line))
        if (sp_slice_eq_str(line, wanted))
            return true;
    return false;
}

static int write_rule(const char *path, const char *line, struct sp_error *err)
{
    int r = sp_cgroup_write(path, line);

    return r < 0 ? sp_error_set(err, SP_ERR_UNAVAILABLE, r, "write '%s' to '%s'", line, path) : 0;
}

/* One write takes one rule and ignores a second line without a word: so we look what came of it. */
static int write_rules(const struct sp_cgroup_host *host, const struct sp_cgroup *group,
                       const struct sp_device_rule *rules, size_t n, struct sp_error *err)
{
    char allow[SP_CGROUP_PATH], deny[SP_CGROUP_PATH], list[SP_CGROUP_PATH], line[48];
    SP_AUTO_FREE char *text = NULL;
    size_t len = 0, lines = 0;
    int r;

    sp_cgroup_path(host, SP_CGROUP_DEVICES, group->name, "devices.deny", deny);
    sp_cgroup_path(host, SP_CGROUP_DEVICES, group->name, "devices.allow", allow);
    sp_cgroup_path(host, SP_CGROUP_DEVICES, group->name, "devices.list", list);
    r = write_rule(deny, "a", err);
    for (size_t i = 0; i < n && r == 0; i++) {
        sp_devices_line(&rules[i], line);
        r = write_rule(allow, line, err);
    }
    if (r == 0)
        r = sp_file_read(AT_FDCWD, list, 65536, &text, &len, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < len; i++)
        lines += text[i] == '\n';
    for (size_t i = 0; i < n; i++) {
        sp_devices_line(&rules[i], line);
        if (lines != n || !has_line(sp_slice(text, len), line))
            return sp_error_set(err, SP_ERR_INTERNAL, 0, "'%s' is not what was written to it",
                                list);
    }
    return 0;
}

/* --- both --- */

int sp_devices_init(const struct sp_cgroup_host *host, struct sp_devices *ret, struct sp_error *err)
{
    ret->way = SP_DEVICES_NONE;
    ret->base_fd = -1;
    if (sp_cgroup_can(host, SP_CGROUP_UNIFIED)) {
        int fd = load_program(base, SP_LEN(base), err);

        if (fd < 0)
            return fd;
        ret->base_fd = fd;
        ret->way = SP_DEVICES_V2;
        return 0;
    }
    if (!sp_cgroup_can(host, SP_CGROUP_DEVICES))
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -ENOENT,
                            "find cgroup2 or the devices controller");
    ret->way = SP_DEVICES_V1;
    return 0;
}

void sp_devices_done(struct sp_devices *devices)
{
    sp_auto_fd(&devices->base_fd);
    devices->base_fd = -1;
    devices->way = SP_DEVICES_NONE;
}

int sp_devices_guard(const struct sp_devices *devices, const struct sp_cgroup_host *host,
                     const struct sp_cgroup *group, const struct sp_device_rule *extra,
                     size_t n_extra, struct sp_error *err)
{
    struct sp_device_rule rules[SP_DEVICE_RULES];
    SP_AUTO_FD int program = -1;

    if (n_extra > SP_LEN(rules) - SP_LEN(base))
        return sp_error_set(err, SP_ERR_LIMIT, 0, "allow %zu devices: at most %zu", n_extra,
                            SP_LEN(rules) - SP_LEN(base));
    if (devices->way == SP_DEVICES_NONE)
        return n_extra ? sp_error_set(err, SP_ERR_UNAVAILABLE, 0,
                                      "allow devices: this host cannot filter them")
                       : 0;
    if (devices->way == SP_DEVICES_V2 && n_extra == 0)
        return attach(group->dir_v2, devices->base_fd, err);
    memcpy(rules, base, sizeof(base));
    if (n_extra)
        memcpy(rules + SP_LEN(base), extra, n_extra * sizeof(*extra));
    if (devices->way == SP_DEVICES_V1)
        return write_rules(host, group, rules, SP_LEN(base) + n_extra, err);
    program = load_program(rules, SP_LEN(base) + n_extra, err);
    return program < 0 ? program : attach(group->dir_v2, program, err);
}
