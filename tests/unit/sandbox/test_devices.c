/* The list of device nodes as a program, run here by a few lines, and by the kernel where it may.
 */
#include "sandbox/devices.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "sandbox/cgroup.h"
#include "tests/support/test.h"

/* The few instructions that the program is made of; anything else fails the test. */
static int run(const struct bpf_insn *insns, size_t n, const struct bpf_cgroup_dev_ctx *ctx)
{
    uint32_t reg[11] = {0};

    for (size_t at = 0; at < n; at++) {
        const struct bpf_insn *i = &insns[at];

        switch (i->code) {
        case BPF_LDX | BPF_MEM | BPF_W:
            memcpy(&reg[i->dst_reg], (const char *)ctx + i->off, sizeof(uint32_t));
            break;
        case BPF_ALU | BPF_MOV | BPF_X: reg[i->dst_reg] = reg[i->src_reg]; break;
        case BPF_ALU | BPF_MOV | BPF_K: reg[i->dst_reg] = (uint32_t)i->imm; break;
        case BPF_ALU | BPF_AND | BPF_K: reg[i->dst_reg] &= (uint32_t)i->imm; break;
        case BPF_ALU | BPF_RSH | BPF_K: reg[i->dst_reg] >>= i->imm; break;
        case BPF_JMP | BPF_JNE | BPF_K:
            at += reg[i->dst_reg] != (uint32_t)i->imm ? (size_t)i->off : 0;
            break;
        case BPF_JMP | BPF_EXIT: return (int)reg[0];
        default: fail_msg("instruction %zu is of kind %#x", at, i->code);
        }
    }
    fail_msg("the program has no end");
    return -1;
}

static int allows(const struct sp_device_rule *rules, size_t n, char type, uint32_t major,
                  uint32_t minor, uint32_t access)
{
    struct bpf_insn insns[SP_DEVICE_INSNS];
    struct bpf_cgroup_dev_ctx ctx = {
        .access_type = access << 16 | (type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR),
        .major = major,
        .minor = minor,
    };

    return run(insns, sp_devices_program(rules, n, insns), &ctx);
}

static void test_the_base_list_allows_five_nodes_to_read_and_write(void **state)
{
    size_t n;
    const struct sp_device_rule *base = sp_devices_base(&n);
    const uint32_t rw = BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE;

    (void)state;
    for (uint32_t minor = 0; minor < 20; minor++) {
        int wanted = minor == 3 || minor == 5 || minor == 7 || minor == 8 || minor == 9;

        assert_int_equal(allows(base, n, 'c', 1, minor, rw), wanted);
        assert_int_equal(allows(base, n, 'c', 1, minor, BPF_DEVCG_ACC_READ), wanted);
        assert_int_equal(allows(base, n, 'c', 1, minor, BPF_DEVCG_ACC_MKNOD), 0);
        assert_int_equal(allows(base, n, 'b', 1, minor, rw), 0);
        assert_int_equal(allows(base, n, 'c', 2, minor, rw), 0);
    }
}

static void test_no_rule_allows_nothing(void **state)
{
    (void)state;
    assert_int_equal(allows(NULL, 0, 'c', 1, 3, BPF_DEVCG_ACC_READ), 0);
}

static void test_wildcards_blocks_and_single_rights_are_kept_apart(void **state)
{
    const struct sp_device_rule rules[] = {
        {'c', 195, SP_DEVICE_ANY, SP_DEVICE_READ},
        {'b', 7, 2, SP_DEVICE_RW | SP_DEVICE_MKNOD},
    };

    (void)state;
    assert_int_equal(allows(rules, 2, 'c', 195, 255, BPF_DEVCG_ACC_READ), 1);
    assert_int_equal(allows(rules, 2, 'c', 195, 255, BPF_DEVCG_ACC_WRITE), 0);
    assert_int_equal(allows(rules, 2, 'c', 196, 255, BPF_DEVCG_ACC_READ), 0);
    assert_int_equal(allows(rules, 2, 'b', 7, 2, BPF_DEVCG_ACC_MKNOD), 1);
    assert_int_equal(allows(rules, 2, 'b', 7, 3, BPF_DEVCG_ACC_READ), 0);
}

static void test_version_1_lines_are_what_the_kernel_shows(void **state)
{
    const struct sp_device_rule one = {'c', 1, 3, SP_DEVICE_RW};
    const struct sp_device_rule all = {'b', 7, SP_DEVICE_ANY, SP_DEVICE_RW | SP_DEVICE_MKNOD};
    char line[48];

    (void)state;
    sp_devices_line(&one, line);
    assert_string_equal(line, "c 1:3 rw");
    sp_devices_line(&all, line);
    assert_string_equal(line, "b 7:* rwm");
}

static void test_extra_rules_need_a_filter_and_have_a_limit(void **state)
{
    const struct sp_devices none = {.way = SP_DEVICES_NONE, .base_fd = -1};
    struct sp_device_rule many[SP_DEVICE_RULES];
    struct sp_cgroup_host host;
    struct sp_cgroup group;
    struct sp_error err = {0};

    (void)state;
    memset(&host, 0, sizeof(host));
    memset(many, 0, sizeof(many));
    sp_cgroup_init(&group);
    assert_int_equal(sp_devices_guard(&none, &host, &group, NULL, 0, &err), 0);
    assert_true(sp_devices_guard(&none, &host, &group, many, 1, &err) < 0);
    assert_int_equal(err.kind, SP_ERR_UNAVAILABLE);
    assert_true(sp_devices_guard(&none, &host, &group, many, SP_DEVICE_RULES, &err) < 0);
    assert_int_equal(err.kind, SP_ERR_LIMIT);
}

static void test_the_kernel_takes_the_program(void **state)
{
    struct sp_cgroup_host host;
    struct sp_devices devices;
    struct sp_error err = {0};

    (void)state;
    memset(&host, 0, sizeof(host));
    (void)snprintf(host.mount[SP_CGROUP_UNIFIED], sizeof(host.mount[0]), "/sys/fs/cgroup");
    if (geteuid() != 0 || sp_devices_init(&host, &devices, &err) == -EPERM)
        skip(); /* needs root */
    assert_string_equal(err.msg, "");
    assert_int_equal(devices.way, SP_DEVICES_V2);
    sp_devices_done(&devices);
}

/* In a child that enters the group: 0, or the errno of opening the node. */
static int open_in(const struct sp_cgroup *group, const char *node)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        int fd = sp_cgroup_enter(group, false) < 0 ? -1 : open(node, O_RDONLY | O_CLOEXEC);

        _exit(fd < 0 ? errno : 0);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* As for a GPU's lease: a stand-in node, 1:11, is allowed for a while. A group of our own. */
static void test_extra_rules_come_and_go_while_the_group_lives(void **state)
{
    const struct sp_device_rule lease = {'c', 1, 11, SP_DEVICE_RW};
    char node[] = "/tmp/sp-device-XXXXXX", name[40];
    struct sp_cgroup_host host;
    struct sp_devices devices;
    struct sp_cgroup group;
    struct sp_error err = {0};

    (void)state;
    if (geteuid() != 0 || sp_cgroup_host_init(&host, NULL) < 0 ||
        sp_devices_init(&host, &devices, NULL) < 0)
        skip(); /* needs root and groups */
    assert_true(mkdtemp(node) && rmdir(node) == 0);
    assert_int_equal(mknod(node, S_IFCHR | 0600, makedev(1, 11)), 0);
    (void)snprintf(name, sizeof(name), "spacesd-test-%d", (int)getpid());
    assert_int_equal(sp_cgroup_create(&host, name, &group, &err), 0);
    assert_int_equal(sp_devices_guard(&devices, &host, &group, NULL, 0, &err), 0);
    assert_int_equal(open_in(&group, node), EPERM);
    assert_int_equal(open_in(&group, "/dev/null"), 0);
    assert_int_equal(sp_devices_guard(&devices, &host, &group, &lease, 1, &err), 0);
    assert_int_equal(open_in(&group, node), 0);
    assert_int_equal(open_in(&group, "/dev/null"), 0);
    assert_int_equal(sp_devices_guard(&devices, &host, &group, NULL, 0, &err), 0);
    assert_int_equal(open_in(&group, node), EPERM);
    assert_int_equal(unlink(node), 0);
    sp_devices_done(&devices);
    assert_int_equal(sp_cgroup_sweep(&host, name, 2000, &err), 0);
    sp_cgroup_done(&group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_base_list_allows_five_nodes_to_read_and_write),
        cmocka_unit_test(test_no_rule_allows_nothing),
        cmocka_unit_test(test_wildcards_blocks_and_single_rights_are_kept_apart),
        cmocka_unit_test(test_version_1_lines_are_what_the_kernel_shows),
        cmocka_unit_test(test_extra_rules_need_a_filter_and_have_a_limit),
        cmocka_unit_test(test_the_kernel_takes_the_program),
        cmocka_unit_test(test_extra_rules_come_and_go_while_the_group_lives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
