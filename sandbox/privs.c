#include "sandbox/privs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/securebits.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "sandbox/launch.h"

#define LOCKED_BITS                                                                                \
    (SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |                               \
     SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |       \
     SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

static int set_caps(uint32_t low)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];

    if (syscall(SYS_capget, &head, data) < 0)
        return -errno;
    low &= data[0].permitted; /* in a container root may have less than that */
    memset(data, 0, sizeof(data));
    data[0].effective = data[0].permitted = low;
    return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

/* Both need CAP_SETPCAP, which an ordinary user does not have, and with it nothing to drop. */
static int empty_bounding_set(struct sp_error *err)
{
    if (prctl(PR_SET_SECUREBITS, LOCKED_BITS, 0, 0, 0) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "lock the securebits");
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    /* Until the kernel says that there are no more: it may know more than our headers. */
    for (unsigned long cap = 0; cap < 64; cap++)
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) {
            if (errno == EINVAL && cap > 0)
                break;
            return sp_error_set(err, SP_ERR_INTERNAL, -errno, "drop capability %lu", cap);
        }
    return 0;
}

int sp_privs_reduce(struct sp_error *err)
{
    const uint32_t kept = 1u << CAP_KILL | 1u << CAP_SETUID | 1u << CAP_SETGID;
    int r;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "set no_new_privs");
    r = geteuid() == 0 ? empty_bounding_set(err) : 0;
    if (r < 0)
        return r;
    r = set_caps(kept);
    return r < 0 ? sp_error_set(err, SP_ERR_INTERNAL, r, "drop the capabilities") : 0;
}

static int keep(const unsigned *needed, size_t n, struct sp_error *err)
{
    uint32_t mask = 0;
    int r;

    for (size_t i = 0; i < n; i++)
        mask |= 1u << needed[i];
    for (unsigned long cap = 0; cap < 64; cap++)
        if ((cap >= 32 || !(mask & 1u << cap)) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
            break; /* past the last one, or an ordinary user, who has nothing to drop */
    r = set_caps(mask);
    return r < 0 ? sp_error_set(err, SP_ERR_INTERNAL, r, "drop capabilities") : 0;
}

int sp_privs_keep_launcher(struct sp_error *err)
{
    static const unsigned needed[] = {
        CAP_SYS_ADMIN,       /* mounts and namespaces */
        CAP_NET_ADMIN,       /* loopback up */
        CAP_SETUID,          /* id maps; workers */
        CAP_SETGID,          /* the same */
        CAP_SETPCAP,         /* emptying bounding sets */
        CAP_CHOWN,           /* folders of the layer */
        CAP_FOWNER,          /* their modes */
        CAP_DAC_OVERRIDE,    /* the state folder is the daemon's */
        CAP_DAC_READ_SEARCH, /* a checkout under a closed home */
        CAP_KILL,            /* the last resort */
        CAP_MKNOD,           /* five device nodes */
        CAP_SYS_PTRACE,      /* /proc/PID/ns of a child that is not dumpable */
        CAP_SYS_RESOURCE,    /* OOM scores that stay */
    };

    return keep(needed, SP_LEN(needed), err);
}

int sp_privs_keep_network(struct sp_error *err)
{
    static const unsigned needed[] = {
        CAP_SYS_ADMIN,        /* entering the network namespace of a sandbox */
        CAP_NET_ADMIN,        /* interfaces, the packet filter */
        CAP_NET_BIND_SERVICE, /* port 53 of the bridge */
        CAP_SETUID,           /* the resolver gives up its user */
        CAP_SETGID,           /* the same */
        CAP_KILL,             /* and is ended */
    };

    return keep(needed, SP_LEN(needed), err);
}

int sp_privs_drop_all(void)
{
    return set_caps(0);
}

static void lower(int which, rlim_t most)
{
    struct rlimit now;

    if (getrlimit(which, &now) < 0)
        return;
    /* Raising a hard limit needs a capability that containers withhold even from root. */
    if (now.rlim_max == RLIM_INFINITY || now.rlim_max > most)
        now.rlim_max = most;
    now.rlim_cur = now.rlim_max;
    (void)setrlimit(which, &now);
}

void sp_privs_rlimits(const struct sp_launch_limits *limits, bool grouped)
{
    lower(RLIMIT_CORE, 0);
    lower(RLIMIT_NOFILE, limits->nofile);
    lower(RLIMIT_NPROC, (grouped ? 2 : 1) * (rlim_t)limits->pids);
    lower(RLIMIT_MEMLOCK, 8u << 20);
    lower(RLIMIT_MSGQUEUE, 819200);
    lower(RLIMIT_SIGPENDING, 4096);
    lower(RLIMIT_NICE, 0);
    lower(RLIMIT_RTPRIO, 0);
}

void sp_privs_new_keyring(void)
{
    (void)syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0);
}

void sp_privs_reset_signals(void)
{
    struct sigaction plain;
    sigset_t none;

    memset(&plain, 0, sizeof(plain));
    plain.sa_handler = SIG_DFL;
    for (int sig = 1; sig < NSIG; sig++)
        (void)sigaction(sig, &plain, NULL); /* KILL, STOP and libc's own refuse; they are default */
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

void sp_privs_oom_score(int score)
{
    char text[8];
    int n = snprintf(text, sizeof(text), "%d", score);
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    (void)!write(fd, text, (size_t)n);
    (void)close(fd);
}

static struct {
    char *start;
    size_t len;
} arguments;

void sp_privs_note_arguments(int argc, char **argv)
{
    if (argc < 1)
        return;
    arguments.start = argv[0];
    arguments.len = (size_t)(argv[argc - 1] + strlen(argv[argc - 1]) - argv[0]);
}

void sp_privs_forget_arguments(void)
{
    /* PR_SET_MM would say that there are none, but needs a capability. Zeros tell only the length.
     */
    memset(arguments.start, 0, arguments.len);
}
