/*
 * Calls that an app may not make, by the number of their case: calls CASE|all [int80|x32]. Prints
 * "name ERRNO"; by another ABI, each in a child, "name SIGSYS" when the filter killed it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

struct call {
    int attack; /* number of the case */
    const char *name;
    long number;
    long arg[5];
    long i386; /* its number for int 0x80; 0 = none */
};

static char buf[4096];
static struct iovec iov = {buf, sizeof(buf)};

#define P(x) ((long)(x))
#define HIGH (1L << 32) /* a bit that the kernel does not look at */

static const struct call calls[] = {
    {1, "unshare_user", SYS_unshare, {CLONE_NEWUSER}, 310},
    {1, "unshare_mount", SYS_unshare, {CLONE_NEWNS}, 310},
    {1, "unshare_net", SYS_unshare, {CLONE_NEWNET}, 310},
    {1, "unshare_nothing", SYS_unshare, {0}, 310},
    {2, "clone_user", SYS_clone, {CLONE_NEWUSER | SIGCHLD}, 120},
    {2, "clone_mount", SYS_clone, {CLONE_NEWNS | SIGCHLD}, 120},
    {2, "clone_all", SYS_clone, {CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | SIGCHLD}, 120},
    {2, "clone3", SYS_clone3, {P(buf), 88}, 435},
    {3, "mount_tmpfs", SYS_mount, {P("none"), P("/tmp"), P("tmpfs"), 0, 0}, 21},
    {3, "mount_bind", SYS_mount, {P("/"), P("/tmp"), 0, 4096, 0}, 21},
    {3, "mount_remount", SYS_mount, {P("none"), P("/usr"), 0, 32 | 4096, 0}, 21},
    {3, "umount2", SYS_umount2, {P("/proc"), 2}, 52},
    {3, "pivot_root", SYS_pivot_root, {P("."), P(".")}, 217},
    {3, "chroot", SYS_chroot, {P("/tmp")}, 61},
    {3, "move_mount", 429, {-1, P(""), AT_FDCWD, P("/tmp"), 4}, 429},
    {3, "open_tree", 428, {AT_FDCWD, P("/"), 1}, 428},
    {3, "fsopen", 430, {P("tmpfs"), 0}, 430},
    {3, "fsconfig", 431, {-1, 6, 0, 0, 0}, 431},
    {3, "fsmount", 432, {-1, 0, 0}, 432},
    {3, "fspick", 433, {AT_FDCWD, P("/"), 0}, 433},
    {3, "mount_setattr", 442, {AT_FDCWD, P("/"), 0, P(buf), 32}, 442},
    {5, "setns", SYS_setns, {0, 0}, 346},
    {5, "setns_user", SYS_setns, {0, CLONE_NEWUSER}, 346},
    {5, "setns_net", SYS_setns, {1, CLONE_NEWNET}, 346},
    {6, "bpf", SYS_bpf, {0, P(buf), 64}, 357},
    {6, "perf_event_open", SYS_perf_event_open, {P(buf), 0, -1, -1, 0}, 336},
    {6, "userfaultfd", SYS_userfaultfd, {1}, 374},
    {6, "io_uring_setup", 425, {4, P(buf)}, 425},
    {6, "io_uring_enter", 426, {0, 0, 0, 0}, 426},
    {6, "io_uring_register", 427, {0, 0, 0, 0}, 427},
    {6, "io_setup", SYS_io_setup, {1, P(buf)}, 245},
    {6, "fanotify_init", SYS_fanotify_init, {0, 0}, 338},
    {7, "keyctl", SYS_keyctl, {0, -3, 0}, 288},
    {7, "add_key", SYS_add_key, {P("user"), P("k"), P("v"), 1, -3}, 286},
    {7, "request_key", SYS_request_key, {P("user"), P("k"), 0, -3}, 287},
    {8, "ptrace_attach", SYS_ptrace, {16, 1, 0, 0}, 26},
    {8, "ptrace_seize", SYS_ptrace, {0x4206, 1, 0, 0}, 26},
    {8, "ptrace_me", SYS_ptrace, {0, 0, 0, 0}, 26},
    {8, "process_vm_readv", SYS_process_vm_readv, {1, P(&iov), 1, P(&iov), 1}, 347},
    {8, "process_vm_writev", SYS_process_vm_writev, {1, P(&iov), 1, P(&iov), 1}, 348},
    {8, "process_madvise", 440, {0, P(&iov), 1, 4, 0}, 440},
    {8, "pidfd_getfd", 438, {0, 0, 0}, 438},
    {8, "kcmp", SYS_kcmp, {1, 1, 0, 0, 0}, 349},
    {9, "init_module", SYS_init_module, {P(buf), 64, P("")}, 128},
    {9, "finit_module", SYS_finit_module, {0, P(""), 0}, 350},
    {9, "delete_module", SYS_delete_module, {P("x"), 0}, 129},
    {9, "kexec_load", SYS_kexec_load, {0, 0, 0, 0}, 283},
    {9, "reboot", SYS_reboot, {0xfee1dead, 672274793, 0, 0}, 88},
    {9, "swapon", SYS_swapon, {P("/tmp/x"), 0}, 87},
    {9, "swapoff", SYS_swapoff, {P("/tmp/x")}, 115},
    {9, "acct", SYS_acct, {P("/tmp/x")}, 51},
    {9, "settimeofday", SYS_settimeofday, {P(buf), 0}, 79},
    {9, "clock_settime", SYS_clock_settime, {0, P(buf)}, 264},
    {9, "clock_adjtime", SYS_clock_adjtime, {0, P(buf)}, 343},
    {9, "adjtimex", SYS_adjtimex, {P(buf)}, 124},
    {9, "sethostname", SYS_sethostname, {P("x"), 1}, 74},
    {9, "setdomainname", SYS_setdomainname, {P("x"), 1}, 121},
    {9, "syslog", SYS_syslog, {3, P(buf), 64}, 103},
    {9, "quotactl", SYS_quotactl, {0, P("/"), 0, 0}, 131},
    {9, "vhangup", SYS_vhangup, {0}, 111},
#if defined(__x86_64__)
    {9, "iopl", SYS_iopl, {3}, 110},
    {9, "ioperm", SYS_ioperm, {0x80, 1, 1}, 101},
    {9, "modify_ldt", SYS_modify_ldt, {1, P(buf), 16}, 123},
#endif
    {10, "open_by_handle_at", SYS_open_by_handle_at, {AT_FDCWD, P(buf), 0}, 342},
    {10, "name_to_handle_at", SYS_name_to_handle_at, {AT_FDCWD, P("/"), P(buf), P(buf), 0}, 341},
    {11, "mknod_mem", SYS_mknodat, {AT_FDCWD, P("/tmp/mem"), S_IFCHR | 0666, 1 << 8 | 1}, 297},
    {11, "mknod_disk", SYS_mknodat, {AT_FDCWD, P("/tmp/disk"), S_IFBLK | 0666, 8 << 8}, 297},
    {11, "mknod_gpu", SYS_mknodat, {AT_FDCWD, P("/tmp/gpu"), S_IFCHR | 0666, 195 << 8}, 297},
    {11, "mknod_null", SYS_mknodat, {AT_FDCWD, P("/tmp/null"), S_IFCHR | 0666, 1 << 8 | 3}, 297},
    {37, "socket_vsock", SYS_socket, {40, 1, 0}, 0},
    {37, "socket_alg", SYS_socket, {38, 5, 0}, 0},
    {37, "socket_packet", SYS_socket, {17, 3, 0x0300}, 0},
    {37, "socket_bluetooth", SYS_socket, {31, 3, 0}, 0},
    {37, "socket_can", SYS_socket, {29, 3, 1}, 0},
    {37, "socket_xdp", SYS_socket, {44, 3, 0}, 0},
    {37, "socket_key", SYS_socket, {15, 3, 2}, 0},
    {37, "socket_netlink_audit", SYS_socket, {16, 3, 9}, 0},
    {37, "socket_netlink_uevent", SYS_socket, {16, 3, 15}, 0},
    {37, "socket_netlink_netfilter", SYS_socket, {16, 3, 12}, 0},
    {37, "socket_raw_icmp", SYS_socket, {2, 3, 1}, 0},
    {37, "socket_raw_icmp6", SYS_socket, {10, 3, 58}, 0},
    {43, "tiocsti", SYS_ioctl, {0, TIOCSTI, P("x")}, 0},
    {43, "tioclinux", SYS_ioctl, {0, TIOCLINUX, P(buf)}, 0},
    {43, "tiocsctty", SYS_ioctl, {0, TIOCSCTTY, 1}, 0},
    {43, "tiocsetd", SYS_ioctl, {0, TIOCSETD, P(buf)}, 0},
    {43, "tiocsti_log", SYS_ioctl, {1, TIOCSTI, P("x")}, 0},
    {45, "ioctl_high_bits", SYS_ioctl, {0, TIOCSTI | HIGH, P("x")}, 0},
    {45, "ioctl_higher_bits", SYS_ioctl, {0, TIOCLINUX | HIGH << 8, P("x")}, 0},
    {45, "socket_high_bits", SYS_socket, {40 | HIGH, 1, 0}, 0},
    {45, "socket_protocol_high_bits", SYS_socket, {16, 3, 15 | HIGH}, 0},
    {45, "clone_high_bits", SYS_clone, {CLONE_NEWUSER | SIGCHLD | HIGH}, 0},
    {45, "clone_newtime", SYS_unshare, {0x80}, 0},
    {45, "personality_compat", SYS_personality, {0x0040000}, 0},
    {45, "personality_noaslr_high", SYS_personality, {0x0040000 | HIGH}, 0},
    {45, "personality_read_implies_exec", SYS_personality, {0x0400000}, 0},
    {45, "mknod_high_bits", SYS_mknodat, {AT_FDCWD, P("/tmp/h"), S_IFCHR | 0666 | HIGH, 259}, 0},
};

static const char *result(long r)
{
    return r >= 0 ? "OK" : strerrorname_np(errno);
}

static long native(const struct call *c)
{
    long r = syscall(c->number, c->arg[0], c->arg[1], c->arg[2], c->arg[3], c->arg[4]);

    if (r == 0 && c->number == SYS_clone && getppid() != 1)
        _exit(0); /* the child of a clone that should not have worked */
    return r;
}

/* The bit that makes a number one of x32; the filter sees it before the kernel says ENOSYS. */
static long x32(const struct call *c)
{
    return syscall(0x40000000 | c->number, c->arg[0], c->arg[1], c->arg[2], c->arg[3], c->arg[4]);
}

static long int80(const struct call *c)
{
#if defined(__x86_64__)
    long r;

    __asm__ volatile("int $0x80"
                     : "=a"(r)
                     : "a"(c->i386), "b"(c->arg[0]), "c"(c->arg[1]), "d"(c->arg[2]), "S"(c->arg[3]),
                       "D"(c->arg[4])
                     : "memory", "r8", "r9", "r10", "r11");
    errno = r < 0 ? (int)-r : 0;
    return r < 0 ? -1 : r;
#else
    (void)c;
    errno = ENOSYS;
    return -1;
#endif
}

static void in_child(const struct call *c, long call(const struct call *c))
{
    int status;
    pid_t pid;

    (void)fflush(stdout);
    pid = fork();
    if (pid == 0) {
        (void)printf("%s %s\n", c->name, result(call(c)));
        (void)fflush(stdout);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        exit(3);
    if (WIFSIGNALED(status))
        (void)printf("%s SIG%s\n", c->name, sigabbrev_np(WTERMSIG(status)));
}

int main(int argc, char **argv)
{
    int attack = argc > 1 ? atoi(argv[1]) : 0; /* "all" is 0 */
    const char *abi = argc > 2 ? argv[2] : "";

    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        const struct call *c = &calls[i];

        if (attack ? c->attack != attack : c->attack > 11)
            continue;
        if (strcmp(abi, "int80") == 0)
            in_child(c, int80);
        else if (strcmp(abi, "x32") == 0)
            in_child(c, x32);
        else
            (void)printf("%s %s\n", c->name, result(native(c)));
    }
    return 0;
}
