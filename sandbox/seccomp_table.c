/*
 * The table: one line per call, each with its reason. What is missing is refused; the calls that
 * people look for first are listed at the end with why they are not here.
 */
#include "sandbox/seccomp.h"

#include <linux/fs.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/mem.h"

#define ALLOW(call, why)                                                                           \
    {                                                                                              \
        (call), (why), SP_SECCOMP_ALWAYS, 0, 0, 0                                                  \
    }
#define WHEN(call, n, is, why)                                                                     \
    {                                                                                              \
        (call), (why), SP_SECCOMP_ARG_IS, (n), (is), 0                                             \
    }
#define WITHOUT(call, n, bits, why)                                                                \
    {                                                                                              \
        (call), (why), SP_SECCOMP_ARG_HAS_NONE, (n), 0, (bits)                                     \
    }
#define MASKED(call, n, bits, is, why)                                                             \
    {                                                                                              \
        (call), (why), SP_SECCOMP_ARG_MASKED, (n), (is), (bits)                                    \
    }
#define BOTH(call, n, is, third, why)                                                              \
    {                                                                                              \
        (call), (why), SP_SECCOMP_TWO_ARE, (n), (is), (third)                                      \
    }

#define NEXT(call, n, is, next, why)                                                               \
    {                                                                                              \
        (call), (why), SP_SECCOMP_NEXT_IS, (n), (is), (next)                                       \
    }

/* Younger than some headers. */
#define SET_MDWE    65
#define GET_MDWE    66
#define SET_VMA     0x53564d41
#define SET_PTRACER 0x59616d61

#define NAMESPACES                                                                                 \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |  \
     CLONE_NEWNET)

/* One call a line reads as a table; clang-format would fill it. */
/* clang-format off */
const struct sp_seccomp_rule sp_seccomp_rules[] = {
    /* files by path */
    ALLOW("open", "files by path"),
    ALLOW("openat", "files by path"),
    ALLOW("openat2", "files by path"),
    ALLOW("creat", "files by path"),
    ALLOW("access", "files by path"),
    ALLOW("faccessat", "files by path"),
    ALLOW("faccessat2", "files by path"),
    ALLOW("stat", "files by path"),
    ALLOW("lstat", "files by path"),
    ALLOW("newfstatat", "files by path"),
    ALLOW("statx", "files by path"),
    ALLOW("readlink", "files by path"),
    ALLOW("readlinkat", "files by path"),
    ALLOW("getcwd", "files by path"),
    ALLOW("chdir", "files by path"),
    ALLOW("mkdir", "files by path"),
    ALLOW("mkdirat", "files by path"),
    ALLOW("rmdir", "files by path"),
    ALLOW("unlink", "files by path"),
    ALLOW("unlinkat", "files by path"),
    ALLOW("rename", "files by path"),
    ALLOW("renameat", "files by path"),
    ALLOW("renameat2", "files by path"),
    ALLOW("link", "files by path"),
    ALLOW("linkat", "files by path"),
    ALLOW("symlink", "files by path"),
    ALLOW("symlinkat", "files by path"),
    ALLOW("chmod", "files by path"),
    ALLOW("fchmodat", "files by path"),
    ALLOW("fchmodat2", "files by path"),
    ALLOW("truncate", "files by path"),
    ALLOW("utime", "files by path"),
    ALLOW("utimes", "files by path"),
    ALLOW("utimensat", "files by path"),
    ALLOW("futimesat", "files by path"),
    /* files by descriptor */
    ALLOW("close", "files by descriptor"),
    ALLOW("close_range", "files by descriptor"),
    ALLOW("read", "files by descriptor"),
    ALLOW("write", "files by descriptor"),
    ALLOW("readv", "files by descriptor"),
    ALLOW("writev", "files by descriptor"),
    ALLOW("pread64", "files by descriptor"),
    ALLOW("pwrite64", "files by descriptor"),
    ALLOW("preadv", "files by descriptor"),
    ALLOW("pwritev", "files by descriptor"),
    ALLOW("preadv2", "files by descriptor"),
    ALLOW("pwritev2", "files by descriptor"),
    ALLOW("lseek", "files by descriptor"),
    ALLOW("fstat", "files by descriptor"),
    ALLOW("fchdir", "files by descriptor"),
    ALLOW("fchmod", "files by descriptor"),
    ALLOW("ftruncate", "files by descriptor"),
    ALLOW("fallocate", "files by descriptor"),
    ALLOW("fsync", "files by descriptor"),
    ALLOW("fdatasync", "files by descriptor"),
    ALLOW("sync_file_range", "files by descriptor"),
    ALLOW("fadvise64", "files by descriptor"),
    ALLOW("readahead", "files by descriptor"),
    ALLOW("getdents", "files by descriptor"),
    ALLOW("getdents64", "files by descriptor"),
    ALLOW("flock", "files by descriptor"),
    ALLOW("dup", "files by descriptor"),
    ALLOW("dup2", "files by descriptor"),
    ALLOW("dup3", "files by descriptor"),
    ALLOW("fcntl", "files by descriptor"),
    ALLOW("umask", "files by descriptor"),
    ALLOW("sendfile", "files by descriptor"),
    ALLOW("copy_file_range", "files by descriptor"),
    ALLOW("splice", "files by descriptor"),
    ALLOW("tee", "files by descriptor"),
    ALLOW("vmsplice", "files by descriptor"),
    /* size of the disk, flushed writes */
    ALLOW("statfs", "size of the disk, flushed writes"),
    ALLOW("fstatfs", "size of the disk, flushed writes"),
    ALLOW("ustat", "size of the disk, flushed writes"),
    ALLOW("sync", "size of the disk, flushed writes"),
    ALLOW("syncfs", "size of the disk, flushed writes"),
    /* owners and attributes: the kernel lets an app change only its own */
    ALLOW("chown", "owners and attributes"),
    ALLOW("fchown", "owners and attributes"),
    ALLOW("lchown", "owners and attributes"),
    ALLOW("fchownat", "owners and attributes"),
    ALLOW("setxattr", "owners and attributes"),
    ALLOW("lsetxattr", "owners and attributes"),
    ALLOW("fsetxattr", "owners and attributes"),
    ALLOW("getxattr", "owners and attributes"),
    ALLOW("lgetxattr", "owners and attributes"),
    ALLOW("fgetxattr", "owners and attributes"),
    ALLOW("listxattr", "owners and attributes"),
    ALLOW("llistxattr", "owners and attributes"),
    ALLOW("flistxattr", "owners and attributes"),
    ALLOW("removexattr", "owners and attributes"),
    ALLOW("lremovexattr", "owners and attributes"),
    ALLOW("fremovexattr", "owners and attributes"),
    /* waiting for descriptors */
    ALLOW("select", "waiting for descriptors"),
    ALLOW("pselect6", "waiting for descriptors"),
    ALLOW("poll", "waiting for descriptors"),
    ALLOW("ppoll", "waiting for descriptors"),
    ALLOW("epoll_create", "waiting for descriptors"),
    ALLOW("epoll_create1", "waiting for descriptors"),
    ALLOW("epoll_ctl", "waiting for descriptors"),
    ALLOW("epoll_wait", "waiting for descriptors"),
    ALLOW("epoll_pwait", "waiting for descriptors"),
    ALLOW("epoll_pwait2", "waiting for descriptors"),
    ALLOW("eventfd", "waiting for descriptors"),
    ALLOW("eventfd2", "waiting for descriptors"),
    ALLOW("signalfd", "waiting for descriptors"),
    ALLOW("signalfd4", "waiting for descriptors"),
    ALLOW("timerfd_create", "waiting for descriptors"),
    ALLOW("timerfd_settime", "waiting for descriptors"),
    ALLOW("timerfd_gettime", "waiting for descriptors"),
    ALLOW("inotify_init", "waiting for descriptors"),
    ALLOW("inotify_init1", "waiting for descriptors"),
    ALLOW("inotify_add_watch", "waiting for descriptors"),
    ALLOW("inotify_rm_watch", "waiting for descriptors"),
    ALLOW("pipe", "waiting for descriptors"),
    ALLOW("pipe2", "waiting for descriptors"),
    /* memory */
    ALLOW("brk", "memory"),
    ALLOW("mmap", "memory"),
    ALLOW("munmap", "memory"),
    ALLOW("mremap", "memory"),
    ALLOW("mprotect", "memory"),
    ALLOW("madvise", "memory"),
    ALLOW("msync", "memory"),
    ALLOW("mincore", "memory"),
    ALLOW("mlock", "memory"),
    ALLOW("mlock2", "memory"),
    ALLOW("munlock", "memory"),
    ALLOW("mlockall", "memory"),
    ALLOW("munlockall", "memory"),
    ALLOW("memfd_create", "memory"),
    ALLOW("membarrier", "memory"),
    ALLOW("pkey_alloc", "memory"),
    ALLOW("pkey_free", "memory"),
    ALLOW("pkey_mprotect", "memory"),
    /* memory placement on NUMA machines, asked for by numeric libraries */
    ALLOW("get_mempolicy", "memory placement on NUMA machines, asked for by numeric libraries"),
    ALLOW("set_mempolicy", "memory placement on NUMA machines, asked for by numeric libraries"),
    ALLOW("mbind", "memory placement on NUMA machines, asked for by numeric libraries"),
    /* processes */
    ALLOW("fork", "processes"),
    ALLOW("vfork", "processes"),
    ALLOW("execve", "processes"),
    ALLOW("execveat", "processes"),
    ALLOW("exit", "processes"),
    ALLOW("exit_group", "processes"),
    ALLOW("wait4", "processes"),
    ALLOW("waitid", "processes"),
    ALLOW("getpid", "processes"),
    ALLOW("getppid", "processes"),
    ALLOW("gettid", "processes"),
    ALLOW("getpgid", "processes"),
    ALLOW("getpgrp", "processes"),
    ALLOW("setpgid", "processes"),
    ALLOW("getsid", "processes"),
    ALLOW("setsid", "processes"),
    ALLOW("set_tid_address", "processes"),
    ALLOW("pidfd_open", "processes"),
    ALLOW("pidfd_send_signal", "processes"),
    /* threads and locks */
    ALLOW("futex", "threads and locks"),
    ALLOW("futex_waitv", "threads and locks"),
    ALLOW("set_robust_list", "threads and locks"),
    ALLOW("get_robust_list", "threads and locks"),
    ALLOW("rseq", "threads and locks"),
    ALLOW("sched_yield", "threads and locks"),
    ALLOW("sched_getaffinity", "threads and locks"),
    ALLOW("sched_setaffinity", "threads and locks"),
    ALLOW("sched_getparam", "threads and locks"),
    ALLOW("sched_getscheduler", "threads and locks"),
    ALLOW("sched_get_priority_max", "threads and locks"),
    ALLOW("sched_get_priority_min", "threads and locks"),
    ALLOW("sched_rr_get_interval", "threads and locks"),
    ALLOW("sched_getattr", "threads and locks"),
    ALLOW("getcpu", "threads and locks"),
    ALLOW("restart_syscall", "threads and locks"),
    /* priorities: the kernel lets an app only lower its own */
    ALLOW("sched_setscheduler", "priorities"),
    ALLOW("sched_setparam", "priorities"),
    ALLOW("sched_setattr", "priorities"),
    ALLOW("getpriority", "priorities"),
    ALLOW("setpriority", "priorities"),
    ALLOW("ioprio_get", "priorities"),
    ALLOW("ioprio_set", "priorities"),
    /* signals, within its own process namespace */
    ALLOW("kill", "signals, within its own process namespace"),
    ALLOW("tkill", "signals, within its own process namespace"),
    ALLOW("tgkill", "signals, within its own process namespace"),
    ALLOW("rt_sigaction", "signals, within its own process namespace"),
    ALLOW("rt_sigprocmask", "signals, within its own process namespace"),
    ALLOW("rt_sigpending", "signals, within its own process namespace"),
    ALLOW("rt_sigqueueinfo", "signals, within its own process namespace"),
    ALLOW("rt_tgsigqueueinfo", "signals, within its own process namespace"),
    ALLOW("rt_sigreturn", "signals, within its own process namespace"),
    ALLOW("rt_sigsuspend", "signals, within its own process namespace"),
    ALLOW("rt_sigtimedwait", "signals, within its own process namespace"),
    ALLOW("sigaltstack", "signals, within its own process namespace"),
    ALLOW("pause", "signals, within its own process namespace"),
    ALLOW("alarm", "signals, within its own process namespace"),
    /* time, read and waited for */
    ALLOW("clock_gettime", "time, read and waited for"),
    ALLOW("clock_getres", "time, read and waited for"),
    ALLOW("clock_nanosleep", "time, read and waited for"),
    ALLOW("nanosleep", "time, read and waited for"),
    ALLOW("gettimeofday", "time, read and waited for"),
    ALLOW("time", "time, read and waited for"),
    ALLOW("times", "time, read and waited for"),
    ALLOW("getitimer", "time, read and waited for"),
    ALLOW("setitimer", "time, read and waited for"),
    ALLOW("timer_create", "time, read and waited for"),
    ALLOW("timer_settime", "time, read and waited for"),
    ALLOW("timer_gettime", "time, read and waited for"),
    ALLOW("timer_getoverrun", "time, read and waited for"),
    ALLOW("timer_delete", "time, read and waited for"),
    /* who am I; setting ids gains nothing without capabilities */
    ALLOW("getuid", "who am I"),
    ALLOW("geteuid", "who am I"),
    ALLOW("getgid", "who am I"),
    ALLOW("getegid", "who am I"),
    ALLOW("getresuid", "who am I"),
    ALLOW("getresgid", "who am I"),
    ALLOW("getgroups", "who am I"),
    ALLOW("setuid", "who am I"),
    ALLOW("setgid", "who am I"),
    ALLOW("setreuid", "who am I"),
    ALLOW("setregid", "who am I"),
    ALLOW("setresuid", "who am I"),
    ALLOW("setresgid", "who am I"),
    ALLOW("setgroups", "who am I"),
    ALLOW("setfsuid", "who am I"),
    ALLOW("setfsgid", "who am I"),
    ALLOW("capget", "who am I"),
    ALLOW("capset", "who am I"),
    /* limits: hard ones only go down */
    ALLOW("getrlimit", "limits"),
    ALLOW("setrlimit", "limits"),
    ALLOW("prlimit64", "limits"),
    ALLOW("getrusage", "limits"),
    ALLOW("sysinfo", "limits"),
    ALLOW("uname", "limits"),
    /* sockets once made (the families are below) */
    ALLOW("bind", "sockets once made (the families are below)"),
    ALLOW("connect", "sockets once made (the families are below)"),
    ALLOW("listen", "sockets once made (the families are below)"),
    ALLOW("accept", "sockets once made (the families are below)"),
    ALLOW("accept4", "sockets once made (the families are below)"),
    ALLOW("getsockname", "sockets once made (the families are below)"),
    ALLOW("getpeername", "sockets once made (the families are below)"),
    ALLOW("getsockopt", "sockets once made (the families are below)"),
    ALLOW("setsockopt", "sockets once made (the families are below)"),
    ALLOW("sendto", "sockets once made (the families are below)"),
    ALLOW("recvfrom", "sockets once made (the families are below)"),
    ALLOW("sendmsg", "sockets once made (the families are below)"),
    ALLOW("recvmsg", "sockets once made (the families are below)"),
    ALLOW("sendmmsg", "sockets once made (the families are below)"),
    ALLOW("recvmmsg", "sockets once made (the families are below)"),
    ALLOW("shutdown", "sockets once made (the families are below)"),
    /* System V and POSIX message passing, in its own ipc namespace */
    ALLOW("shmget", "System V and POSIX message passing, in its own ipc namespace"),
    ALLOW("shmat", "System V and POSIX message passing, in its own ipc namespace"),
    ALLOW("shmdt", "System V and POSIX message passing, in its own ipc namespace"),
    ALLOW("shmctl", "System V and POSIX message passing, in its own ipc namespace"),
    ALLOW("semget", "System V and POSIX message passing, in its own ipc namespace"),
    ALLOW("semop", "System V and POSIX message passing, in its own ipc namespace"),
    ALLOW("semtimedop", "System V and POSIX message passing, in its own ipc namespace"),
    ALLOW("semctl", "System V and POSIX message passing, in its own ipc namespace"),
    ALLOW("msgget", "System V and POSIX message passing, in its own ipc namespace"),
    ALLOW("msgsnd", "System V and POSIX message passing, in its own ipc namespace"),
    ALLOW("msgrcv", "System V and POSIX message passing, in its own ipc namespace"),
    ALLOW("msgctl", "System V and POSIX message passing, in its own ipc namespace"),
    ALLOW("mq_open", "System V and POSIX message passing, in its own ipc namespace"),
    ALLOW("mq_unlink", "System V and POSIX message passing, in its own ipc namespace"),
    ALLOW("mq_timedsend", "System V and POSIX message passing, in its own ipc namespace"),
    ALLOW("mq_timedreceive", "System V and POSIX message passing, in its own ipc namespace"),
    ALLOW("mq_notify", "System V and POSIX message passing, in its own ipc namespace"),
    ALLOW("mq_getsetattr", "System V and POSIX message passing, in its own ipc namespace"),
    /* per-process settings; a process can only tighten itself */
    ALLOW("arch_prctl", "per-process settings"),
    ALLOW("seccomp", "per-process settings"),
    ALLOW("landlock_create_ruleset", "per-process settings"),
    ALLOW("landlock_add_rule", "per-process settings"),
    ALLOW("landlock_restrict_self", "per-process settings"),
    ALLOW("getrandom", "per-process settings"),

    /* processes and threads, but no namespaces; clone3 hides its flags in memory: see below */
    WITHOUT("clone", 0, NAMESPACES, "processes and threads, no namespaces"),

    /* families: vsock reaches the host past a network namespace, alg and the rest are attack surface */
    WHEN("socket", 0, AF_UNIX, "sockets within the sandbox"),
    WHEN("socket", 0, AF_INET, "the sandbox's own network"),
    WHEN("socket", 0, AF_INET6, "the sandbox's own network"),
    BOTH("socket", 0, AF_NETLINK, 0 /* NETLINK_ROUTE */, "getifaddrs"),
    WHEN("socketpair", 0, AF_UNIX, "pipes in both directions"),

    /* ioctl: only these numbers, compared on 32 bits as the kernel does; no TIOCSTI, no TIOCLINUX */
    WHEN("ioctl", 1, TCGETS, "is it a terminal"),
    WHEN("ioctl", 1, TIOCGWINSZ, "how wide is the terminal"),
    WHEN("ioctl", 1, TIOCGPGRP, "who is in the foreground"),
    WHEN("ioctl", 1, FIONREAD, "how much is there to read"),
    WHEN("ioctl", 1, FIONBIO, "non-blocking"),
    WHEN("ioctl", 1, FIOCLEX, "close on exec"),
    WHEN("ioctl", 1, FIONCLEX, "keep on exec"),
    WHEN("ioctl", 1, FICLONE, "copies that share blocks"),
    WHEN("ioctl", 1, FS_IOC_GETFLAGS, "attributes of a file"),
    WHEN("ioctl", 1, SIOCGIFCONF, "list of network interfaces"),
    WHEN("ioctl", 1, SIOCGIFNAME, "name of an interface"),
    WHEN("ioctl", 1, SIOCGIFINDEX, "number of an interface"),
    WHEN("ioctl", 1, SIOCGIFFLAGS, "state of an interface"),
    WHEN("ioctl", 1, SIOCGIFADDR, "address of an interface"),
    WHEN("ioctl", 1, SIOCGIFNETMASK, "mask of an interface"),
    WHEN("ioctl", 1, SIOCGIFMTU, "packet size of an interface"),
    WHEN("ioctl", 1, SIOCGIFHWADDR, "hardware address, for uuid1"),

    /* personality: the ordinary one, and asking; others switch protections off */
    WHEN("personality", 0, 0, "the ordinary personality"),
    WHEN("personality", 0, 0xffffffff, "which personality"),

    /* prctl: settings of the process itself; not PR_SET_MM, PR_SET_SECUREBITS, PR_SCHED_CORE, perf, TSC */
    WHEN("prctl", 0, PR_SET_PDEATHSIG, "die with the parent"),
    WHEN("prctl", 0, PR_GET_PDEATHSIG, "die with the parent"),
    WHEN("prctl", 0, PR_SET_DUMPABLE, "closes its own /proc files to its like"),
    WHEN("prctl", 0, PR_GET_DUMPABLE, "asking what it has"),
    WHEN("prctl", 0, PR_SET_NAME, "the name of a thread"),
    WHEN("prctl", 0, PR_GET_NAME, "the name of a thread"),
    WHEN("prctl", 0, PR_SET_KEEPCAPS, "locked by the securebits, and there are none to keep"),
    WHEN("prctl", 0, PR_GET_KEEPCAPS, "asking what it has"),
    WHEN("prctl", 0, PR_GET_SECCOMP, "asking what it has"),
    WHEN("prctl", 0, PR_SET_SECCOMP, "a stricter filter of its own"),
    WHEN("prctl", 0, PR_SET_NO_NEW_PRIVS, "only tightens"),
    WHEN("prctl", 0, PR_GET_NO_NEW_PRIVS, "asking what it has"),
    WHEN("prctl", 0, PR_CAPBSET_READ, "asking what it has"),
    WHEN("prctl", 0, PR_CAPBSET_DROP, "only tightens"),
    WHEN("prctl", 0, PR_GET_SECUREBITS, "asking what it has"),
    WHEN("prctl", 0, PR_CAP_AMBIENT, "asking; raising needs a capability"),
    WHEN("prctl", 0, PR_SET_TIMERSLACK, "how exact its own timers are"),
    WHEN("prctl", 0, PR_GET_TIMERSLACK, "asking what it has"),
    WHEN("prctl", 0, PR_SET_THP_DISABLE, "huge pages of its own"),
    WHEN("prctl", 0, PR_GET_THP_DISABLE, "asking what it has"),
    WHEN("prctl", 0, PR_GET_CHILD_SUBREAPER, "asking what it has"),
    WHEN("prctl", 0, PR_GET_TID_ADDRESS, "asking what it has"),
    WHEN("prctl", 0, PR_GET_TIMING, "asking what it has"),
    WHEN("prctl", 0, PR_GET_SPECULATION_CTRL, "asking what it has"),
    WHEN("prctl", 0, PR_SET_SPECULATION_CTRL, "speculation of its own"),
    WHEN("prctl", 0, PR_SVE_SET_VL, "vector length of arm64"),
    WHEN("prctl", 0, PR_SVE_GET_VL, "asking what it has"),
    WHEN("prctl", 0, PR_PAC_RESET_KEYS, "pointer keys of arm64"),
    WHEN("prctl", 0, PR_SET_TAGGED_ADDR_CTRL, "tagged pointers of arm64"),
    WHEN("prctl", 0, PR_GET_TAGGED_ADDR_CTRL, "asking what it has"),
    WHEN("prctl", 0, SET_MDWE, "no memory that is writable and executable"),
    WHEN("prctl", 0, GET_MDWE, "asking what it has"),
    WHEN("prctl", 0, SET_VMA, "names of its own memory"),
    WHEN("prctl", 0, SET_PTRACER, "tightens: nobody may trace"),
    NEXT("prctl", 0, PR_SET_CHILD_SUBREAPER, 1, "adopt orphans; giving that up would lose them"),

    /* nodes: FIFOs, files and sockets; devices would need a capability too */
    MASKED("mknod", 1, S_IFMT, S_IFIFO, "mkfifo"),
    MASKED("mknod", 1, S_IFMT, S_IFREG, "an empty file"),
    MASKED("mknod", 1, S_IFMT, S_IFSOCK, "a socket's name"),
    MASKED("mknodat", 2, S_IFMT, S_IFIFO, "mkfifo"),
    MASKED("mknodat", 2, S_IFMT, S_IFREG, "an empty file"),
    MASKED("mknodat", 2, S_IFMT, S_IFSOCK, "a socket's name"),

    /*
     * Not here, on purpose:
     * unshare setns mount* umount2 pivot_root chroot move_mount open_tree fs* : other worlds to be root in
     * bpf perf_event_open userfaultfd io_uring_* : large kernel surfaces, the last goes past filters
     * keyctl add_key request_key : keys are not separated by namespaces alone
     * ptrace process_vm_* process_madvise pidfd_getfd kcmp : other processes of the same user, and pid 1
     * name_to_handle_at open_by_handle_at : files by number, past every folder
     * *_module kexec_* reboot swap* acct syslog quotactl iopl ioperm vhangup : the machine itself
     * settimeofday clock_settime clock_adjtime adjtimex : the machine's clock
     * fanotify_init lookup_dcookie modify_ldt move_pages migrate_pages io_setup : rarely used, often broken
     * clone3 : its flags cannot be checked; answered ENOSYS, libc then uses clone
     */
};
/* clang-format on */

const size_t sp_seccomp_n_rules = SP_LEN(sp_seccomp_rules);
