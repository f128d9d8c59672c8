#include "sandbox/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "tests/support/test.h"

static struct sp_seccomp filter;

static int compile(void **state)
{
    struct sp_error err = {0};

    (void)state;
    if (sp_seccomp_compile(&filter, &err) < 0)
        print_error("%s\n", err.msg);
    return filter.code ? 0 : -1;
}

static int release(void **state)
{
    (void)state;
    sp_seccomp_done(&filter);
    return 0;
}

/* The errno of one call in a child under the filter; -signal when it was killed. */
static int under_filter(long number, long a, long b, long c)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        long r;

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || sp_seccomp_load(&filter) < 0)
            _exit(255);
        errno = 0;
        r = syscall(number, a, b, c, 0, 0);
        syscall(SYS_exit_group, r < 0 ? errno : 0); /* no library code in between */
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void test_every_line_has_a_reason_and_none_comes_twice(void **state)
{
    (void)state;
    assert_true(sp_seccomp_n_rules > 250);
    for (size_t i = 0; i < sp_seccomp_n_rules; i++) {
        const struct sp_seccomp_rule *rule = &sp_seccomp_rules[i];

        assert_true(strlen(rule->reason) > 5);
        for (size_t k = 0; k < i; k++)
            if (rule->when == SP_SECCOMP_ALWAYS)
                assert_string_not_equal(rule->call, sp_seccomp_rules[k].call);
    }
}

static void test_the_program_is_short_enough_for_the_kernel(void **state)
{
    (void)state;
    assert_true(filter.len > 100);
    assert_true(filter.len < 4096);
}

static void test_ordinary_calls_pass(void **state)
{
    (void)state;
    assert_int_equal(under_filter(SYS_getpid, 0, 0, 0), 0);
    assert_int_equal(under_filter(SYS_socket, AF_UNIX, SOCK_STREAM, 0), 0);
    assert_int_equal(under_filter(SYS_socket, AF_NETLINK, SOCK_RAW, 0), 0);
    assert_int_equal(under_filter(SYS_personality, 0xffffffff, 0, 0), 0);
    assert_int_equal(under_filter(SYS_futex, 0, 1, 0), EFAULT); /* the kernel's own answer */
}

static void test_forbidden_calls_say_so(void **state)
{
    (void)state;
    assert_int_equal(under_filter(SYS_unshare, CLONE_NEWUSER, 0, 0), EPERM);
    assert_int_equal(under_filter(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0), EPERM);
    assert_int_equal(under_filter(SYS_mount, 0, 0, 0), EPERM);
    assert_int_equal(under_filter(SYS_bpf, 0, 0, 0), EPERM);
    assert_int_equal(under_filter(SYS_ptrace, 0, 0, 0), EPERM);
    assert_int_equal(under_filter(SYS_keyctl, 0, 0, 0), EPERM);
    assert_int_equal(under_filter(SYS_personality, 0x0040000, 0, 0), EPERM);
    assert_int_equal(under_filter(SYS_ioctl, 0, 0x5412, 0), EPERM); /* TIOCSTI */
}

static void test_bits_that_the_kernel_ignores_do_not_hide_a_call(void **state)
{
    const long high = 1L << 32;

    (void)state;
    assert_int_equal(under_filter(SYS_ioctl, 0, 0x5412 | high, 0), EPERM);
    assert_int_equal(under_filter(SYS_socket, 40 | high, SOCK_STREAM, 0), EPERM);
    assert_int_equal(under_filter(SYS_socket, AF_UNIX | high, SOCK_STREAM, 0), 0);
    assert_int_equal(under_filter(SYS_personality, 0x0040000 | high, 0, 0), EPERM);
}

static void test_families_and_protocols_are_filtered(void **state)
{
    static const int refused[] = {17, 38, 40, 29, 31, 44};

    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        assert_int_equal(under_filter(SYS_socket, refused[i], SOCK_STREAM, 0), EPERM);
    assert_int_equal(under_filter(SYS_socket, AF_NETLINK, SOCK_RAW, 15), EPERM);
    assert_int_equal(under_filter(SYS_socketpair, AF_INET, SOCK_STREAM, 0), EPERM);
}

static void test_clone3_and_calls_of_the_future_let_libc_fall_back(void **state)
{
    (void)state;
    assert_int_equal(under_filter(SYS_clone3, 0, 0, 0), ENOSYS);
    assert_int_equal(under_filter(460, 0, 0, 0), ENOSYS);
    assert_int_equal(under_filter(5000, 0, 0, 0), ENOSYS);
}

static void test_other_abis_kill(void **state)
{
    (void)state;
#if defined(__x86_64__)
    assert_int_equal(under_filter(0x40000000 + SYS_getpid, 0, 0, 0), -SIGSYS);
#else
    skip();
#endif
}

static void test_prctl_is_a_list_and_orphans_stay_adopted(void **state)
{
    (void)state;
    assert_int_equal(under_filter(SYS_prctl, PR_SET_NAME, (long)"x", 0), 0);
    assert_int_equal(under_filter(SYS_prctl, PR_GET_DUMPABLE, 0, 0), 0);
    assert_int_equal(under_filter(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1, 0), 0);
    assert_int_equal(under_filter(SYS_prctl, PR_SET_CHILD_SUBREAPER, 0, 0), EPERM);
    assert_int_equal(under_filter(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1L << 32, 0), EPERM);
    assert_int_equal(under_filter(SYS_prctl, PR_SET_MM, 8, 0), EPERM);
    assert_int_equal(under_filter(SYS_prctl, PR_SET_SECUREBITS, 0, 0), EPERM);
    assert_int_equal(under_filter(SYS_prctl, 31 /* PR_TASK_PERF_EVENTS_DISABLE */, 0, 0), EPERM);
    assert_int_equal(under_filter(SYS_prctl, 62 /* PR_SCHED_CORE */, 0, 0), EPERM);
}

/* What a program of the filter's instructions answers; enough of the language for libseccomp. */
static unsigned simulate(const struct sp_seccomp *program, unsigned arch, int number, uint64_t arg0,
                         uint64_t arg1)
{
    const struct seccomp_data data = {.nr = number, .arch = arch, .args = {arg0, arg1}};
    uint32_t acc = 0;

    for (size_t pc = 0; pc < program->len; pc++) {
        const struct sock_filter *at = &program->code[pc];
        bool is = false;

        switch (at->code) {
        case BPF_LD | BPF_W | BPF_ABS: memcpy(&acc, (const char *)&data + at->k, 4); continue;
        case BPF_ALU | BPF_AND | BPF_K: acc &= at->k; continue;
        case BPF_JMP | BPF_JA: pc += at->k; continue;
        case BPF_JMP | BPF_JEQ | BPF_K: is = acc == at->k; break;
        case BPF_JMP | BPF_JGT | BPF_K: is = acc > at->k; break;
        case BPF_JMP | BPF_JGE | BPF_K: is = acc >= at->k; break;
        case BPF_RET | BPF_K: return at->k;
        default: fail_msg("instruction 0x%x", at->code);
        }
        pc += is ? at->jt : at->jf;
    }
    fail_msg("the program has no end");
    return 0;
}

static void test_the_table_compiles_for_arm64_and_decides_the_same(void **state)
{
    const unsigned arch = AUDIT_ARCH_AARCH64;
    const unsigned eperm = SECCOMP_RET_ERRNO | EPERM, enosys = SECCOMP_RET_ERRNO | ENOSYS;
    struct sp_seccomp arm = {0};
    struct sp_error err = {0};

    (void)state;
    assert_int_equal(sp_seccomp_compile_for(arch, &arm, &err), 0);
    assert_int_equal(simulate(&arm, arch, 56, 0, 0), SECCOMP_RET_ALLOW);        /* openat */
    assert_int_equal(simulate(&arm, arch, 64, 0, 0), SECCOMP_RET_ALLOW);        /* write */
    assert_int_equal(simulate(&arm, arch, 220, SIGCHLD, 0), SECCOMP_RET_ALLOW); /* clone */
    assert_int_equal(simulate(&arm, arch, 220, SIGCHLD | CLONE_NEWUSER, 0), eperm);
    assert_int_equal(simulate(&arm, arch, 220, CLONE_NEWNS | 1ull << 40, 0), eperm);
    assert_int_equal(simulate(&arm, arch, 435, 0, 0), enosys); /* clone3 */
    assert_int_equal(simulate(&arm, arch, 600, 0, 0), enosys);
    assert_int_equal(simulate(&arm, arch, 198, AF_INET, 0), SECCOMP_RET_ALLOW); /* socket */
    assert_int_equal(simulate(&arm, arch, 198, 40, 0), eperm);
    assert_int_equal(simulate(&arm, arch, 29, 0, 0x5412 | 1ull << 32), eperm); /* ioctl TIOCSTI */
    assert_int_equal(simulate(&arm, arch, 97, 0, 0), eperm);                   /* unshare */
    assert_int_equal(simulate(&arm, arch, 40, 0, 0), eperm);                   /* mount */
    assert_int_equal(simulate(&arm, arch, 117, 0, 0), eperm);                  /* ptrace */
    assert_int_equal(simulate(&arm, arch, 167, PR_SET_CHILD_SUBREAPER, 0), eperm);
    assert_int_equal(simulate(&arm, AUDIT_ARCH_ARM, 5, 0, 0), SECCOMP_RET_KILL_PROCESS);
    sp_seccomp_done(&arm);
}

static unsigned ask_ioctl(const struct sp_seccomp *program, uint64_t request)
{
#if defined(__x86_64__)
    return simulate(program, AUDIT_ARCH_X86_64, SYS_ioctl, 3, request);
#else
    return simulate(program, AUDIT_ARCH_AARCH64, SYS_ioctl, 3, request);
#endif
}

static void test_the_requests_of_a_gpu_driver_pass_only_with_a_lease_of_that_driver(void **state)
{
    static const struct {
        unsigned driver;
        uint64_t request;
    } table[] = {
        {SP_SECCOMP_NVIDIA, 0xc020462b},                                  /* NV_ESC_RM_ALLOC */
        {SP_SECCOMP_NVIDIA, 0xc00846d6}, {SP_SECCOMP_NVIDIA, 0x30000001}, /* UVM_INITIALIZE */
        {SP_SECCOMP_NVIDIA, 0x30000002}, {SP_SECCOMP_NVIDIA, 0x25},
        {SP_SECCOMP_NVIDIA, 0x4f},       {SP_SECCOMP_DRM, 0xc0406400}, /* DRM_IOCTL_VERSION */
        {SP_SECCOMP_DRM, 0x40086409},    {SP_SECCOMP_KFD, 0x80084b01}, /* AMDKFD_IOC_GET_VERSION */
        {SP_SECCOMP_KFD, 0xc0584b02},    {SP_SECCOMP_KFD, 0x40104b04},
    };
    static const unsigned drivers[] = {SP_SECCOMP_NVIDIA, SP_SECCOMP_DRM, SP_SECCOMP_KFD};
    const unsigned eperm = SECCOMP_RET_ERRNO | EPERM;
    struct sp_error err = {0};

    (void)state;
    for (size_t d = 0; d < sizeof(drivers) / sizeof(drivers[0]); d++) {
        struct sp_seccomp gpu = {0};

        assert_int_equal(sp_seccomp_compile_gpu(drivers[d], &gpu, &err), 0);
        assert_true(gpu.len < 4096);
        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
            assert_int_equal(ask_ioctl(&filter, table[i].request), eperm);
            assert_int_equal(ask_ioctl(&gpu, table[i].request),
                             table[i].driver == drivers[d] ? SECCOMP_RET_ALLOW : eperm);
        }
        assert_int_equal(ask_ioctl(&gpu, 0x5401), SECCOMP_RET_ALLOW); /* TCGETS, as before */
        sp_seccomp_done(&gpu);
    }
}

static void test_a_lease_of_all_drivers_allows_no_terminal_nor_console(void **state)
{
    static const uint64_t refused[] = {
        0x5412 /* TIOCSTI */,
        0x5412 | 1ull << 32,
        0x541c /* TIOCLINUX */,
        0x4b47 /* KDSKBENT */,
        0x4b61 /* PIO_FONT */,
        0x50,
        0x30000003,
        0x30000000,
        0x5423 /* TIOCSETD */,
        0x8946 /* SIOCETHTOOL */,
    };
    struct sp_seccomp gpu = {0};
    struct sp_error err = {0};

    (void)state;
    assert_int_equal(
        sp_seccomp_compile_gpu(SP_SECCOMP_NVIDIA | SP_SECCOMP_DRM | SP_SECCOMP_KFD, &gpu, &err), 0);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        assert_int_equal(ask_ioctl(&gpu, refused[i]), SECCOMP_RET_ERRNO | EPERM);
        assert_int_equal(ask_ioctl(&filter, refused[i]), SECCOMP_RET_ERRNO | EPERM);
    }
    sp_seccomp_done(&gpu);
}

static void test_a_node_names_its_driver(void **state)
{
    (void)state;
    assert_int_equal(sp_seccomp_gpu_of_node("/dev/nvidia-uvm"), SP_SECCOMP_NVIDIA);
    assert_int_equal(sp_seccomp_gpu_of_node("/dev/nvidia-caps/nvidia-cap1"), SP_SECCOMP_NVIDIA);
    assert_int_equal(sp_seccomp_gpu_of_node("/dev/dri/renderD128"), SP_SECCOMP_DRM);
    assert_int_equal(sp_seccomp_gpu_of_node("/dev/kfd"), SP_SECCOMP_KFD);
    assert_int_equal(sp_seccomp_gpu_of_node("/dev/tty"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_line_has_a_reason_and_none_comes_twice),
        cmocka_unit_test(test_the_program_is_short_enough_for_the_kernel),
        cmocka_unit_test(test_ordinary_calls_pass),
        cmocka_unit_test(test_forbidden_calls_say_so),
        cmocka_unit_test(test_bits_that_the_kernel_ignores_do_not_hide_a_call),
        cmocka_unit_test(test_families_and_protocols_are_filtered),
        cmocka_unit_test(test_clone3_and_calls_of_the_future_let_libc_fall_back),
        cmocka_unit_test(test_other_abis_kill),
        cmocka_unit_test(test_prctl_is_a_list_and_orphans_stay_adopted),
        cmocka_unit_test(test_the_table_compiles_for_arm64_and_decides_the_same),
        cmocka_unit_test(test_the_requests_of_a_gpu_driver_pass_only_with_a_lease_of_that_driver),
        cmocka_unit_test(test_a_lease_of_all_drivers_allows_no_terminal_nor_console),
        cmocka_unit_test(test_a_node_names_its_driver),
    };

    return cmocka_run_group_tests(tests, compile, release);
}
