/*
 * Tries what an app may not do, call by call, and prints "name errno" for each. Built static by
 * the test and run inside of a sandbox. With an argument it makes one call by another ABI instead.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANY 0L

struct call {
    const char *name;
    long number;
    long arg[5];
};

static char buf[4096];
static struct iovec iov = {buf, sizeof(buf)};

#define P(x) ((long)(x))

static const struct call calls[] = {
    {"unshare_user", SYS_unshare, {CLONE_NEWUSER}},
    {"unshare_mount", SYS_unshare, {CLONE_NEWNS}},
    {"unshare_net", SYS_unshare, {CLONE_NEWNET}},
    {"clone_user", SYS_clone, {CLONE_NEWUSER | SIGCHLD}},
    {"clone_mount", SYS_clone, {CLONE_NEWNS | SIGCHLD}},
    {"clone3", SYS_clone3, {P(buf), 88}},
    {"mount", SYS_mount, {P("none"), P("/tmp"), P("tmpfs"), 0, 0}},
    {"mount_bind", SYS_mount, {P("/"), P("/tmp"), 0, 4096, 0}},
    {"umount2", SYS_umount2, {P("/proc"), 2}},
    {"pivot_root", SYS_pivot_root, {P("."), P(".")}},
    {"chroot", SYS_chroot, {P("/tmp")}},
    {"move_mount", 429, {-1, P(""), AT_FDCWD, P("/tmp"), 4}},
    {"open_tree", 428, {AT_FDCWD, P("/"), 1}},
    {"fsopen", 430, {P("tmpfs"), 0}},
    {"fsmount", 432, {-1, 0, 0}},
    {"mount_setattr", 442, {AT_FDCWD, P("/"), 0, P(buf), 32}},
    {"setns", SYS_setns, {0, 0}},
    {"bpf", SYS_bpf, {0, P(buf), 64}},
    {"perf_event_open", SYS_perf_event_open, {P(buf), 0, -1, -1, 0}},
    {"userfaultfd", SYS_userfaultfd, {1}},
    {"io_uring_setup", 425, {4, P(buf)}},
    {"keyctl", SYS_keyctl, {0, -3, 0}},
    {"add_key", SYS_add_key, {P("user"), P("k"), P("v"), 1, -3}},
    {"request_key", SYS_request_key, {P("user"), P("k"), 0, -3}},
    {"ptrace_attach", SYS_ptrace, {16, 1, 0, 0}},
    {"process_vm_readv", SYS_process_vm_readv, {1, P(&iov), 1, P(&iov), 1}},
    {"pidfd_getfd", 438, {0, 0, 0}},
    {"kcmp", SYS_kcmp, {1, 1, 0, 0, 0}},
    {"init_module", SYS_init_module, {P(buf), 64, P("")}},
    {"finit_module", SYS_finit_module, {0, P(""), 0}},
    {"delete_module", SYS_delete_module, {P("x"), 0}},
    {"kexec_load", SYS_kexec_load, {0, 0, 0, 0}},
    {"reboot", SYS_reboot, {0xfee1dead, 672274793, 0, 0}},
    {"swapon", SYS_swapon, {P("/tmp/x"), 0}},
    {"acct", SYS_acct, {P("/tmp/x")}},
    {"settimeofday", SYS_settimeofday, {P(buf), 0}},
    {"clock_settime", SYS_clock_settime, {0, P(buf)}},
    {"sethostname", SYS_sethostname, {P("x"), 1}},
    {"syslog", SYS_syslog, {3, P(buf), 64}},
    {"open_by_handle_at", SYS_open_by_handle_at, {AT_FDCWD, P(buf), 0}},
    {"name_to_handle_at", SYS_name_to_handle_at, {AT_FDCWD, P("/"), P(buf), P(buf), 0}},
    {"quotactl", SYS_quotactl, {0, P("/"), 0, 0}},
    {"fanotify_init", SYS_fanotify_init, {0, 0}},
    {"personality", SYS_personality, {0x0040000}},
    {"ioctl_tiocsti", SYS_ioctl, {0, TIOCSTI, P("x")}},
    {"ioctl_tioclinux", SYS_ioctl, {0, TIOCLINUX, P(buf)}},
    {"ioctl_high_bits", SYS_ioctl, {0, TIOCSTI | (1L << 40), P("x")}},
    {"mknod_mem", SYS_mknodat, {AT_FDCWD, P("/tmp/mem"), S_IFCHR | 0666, 1 << 8 | 1}},
    {"mknod_disk", SYS_mknodat, {AT_FDCWD, P("/tmp/disk"), S_IFBLK | 0666, 8 << 8}},
    {"mknod_gpu", SYS_mknodat, {AT_FDCWD, P("/tmp/gpu"), S_IFCHR | 0666, 195 << 8}},
    {"socket_packet", SYS_socket, {17, 3, 0x0300}},
    {"socket_vsock", SYS_socket, {40, 1, 0}},
    {"socket_alg", SYS_socket, {38, 5, 0}},
    {"socket_bluetooth", SYS_socket, {31, 3, 0}},
    {"socket_can", SYS_socket, {29, 3, 1}},
    {"socket_netlink_audit", SYS_socket, {16, 3, 9}},
    {"socket_netlink_uevent", SYS_socket, {16, 3, 15}},
    {"socket_raw_icmp", SYS_socket, {2, 3, 1}},
    {"socket_high_bits", SYS_socket, {40 | (1L << 32), 1, 0}},
    {"setuid_root", SYS_setuid, {0}},
    {"setgid_root", SYS_setgid, {0}},
    {"setgroups_none", SYS_setgroups, {0, 0}},
    {"chown_root", SYS_fchownat, {AT_FDCWD, P("/home/user"), 0, 0, 0}},
};

/* Allowed: a filter that refuses everything would pass all of the above. */
static const struct call allowed[] = {
    {"socket_unix", SYS_socket, {1, 1, 0}},
    {"socket_inet", SYS_socket, {2, 1, 0}},
    {"socket_inet6", SYS_socket, {10, 1, 0}},
    {"socket_netlink_route", SYS_socket, {16, 3, 0}},
    {"personality_query", SYS_personality, {0xffffffff}},
    {"mkfifo", SYS_mknodat, {AT_FDCWD, P("/tmp/fifo"), S_IFIFO | 0600, 0}},
    {"getpid", SYS_getpid, {0}},
};

static void attempt(const struct call *c)
{
    long r;

    errno = 0;
    r = syscall(c->number, c->arg[0], c->arg[1], c->arg[2], c->arg[3], c->arg[4]);
    if (r == 0 && (c->number == SYS_clone || c->number == SYS_clone3) && getppid() != 1)
        _exit(0); /* the child of a clone that should not have worked */
    printf("%s %s\n", c->name, r >= 0 ? "OK" : strerrorname_np(errno));
}

static int other_abi(const char *which)
{
    long r = -1;

    if (strcmp(which, "x32") == 0)
        r = syscall(0x40000000 + SYS_getpid);
#if defined(__x86_64__)
    if (strcmp(which, "int80") == 0)
        __asm__ volatile("int $0x80" : "=a"(r) : "a"(20L) : "memory");
#endif
    printf("%s returned %ld\n", which, r);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "euid") == 0) {
        printf("uid %d euid %d\n", getuid(), geteuid());
        return 0;
    }
    if (argc > 1)
        return other_abi(argv[1]);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        attempt(&calls[i]);
    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
        attempt(&allowed[i]);
    return 0;
}
