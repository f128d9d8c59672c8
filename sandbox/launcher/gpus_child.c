/* spaces-gpu as a child: another user, no rights, no descriptors, limits, a deadline. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "sandbox/launcher/gpus.h"
#include "sandbox/launcher/launcher-internal.h"
#include "sandbox/privs.h"

#define LIST_MAX_MS 10000 /* a driver that is not loaded yet takes seconds */
#define REAP_MAX_MS 500   /* one that hangs in the kernel is left to itself */

static int open_program(void)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 32);
    char *slash;

    if (n <= 0)
        return -1;
    path[n] = '\0';
    slash = strrchr(path, '/');
    (void)snprintf(slash, 32, "/spaces-gpu");
    return open(path, O_PATH | O_CLOEXEC);
}

static void limit(int what, rlim_t most)
{
    const struct rlimit pair = {most, most};

    (void)setrlimit(what, &pair);
}

/* The drm provider reads /proc/PID/fdinfo of the apps: ours, no foreign code runs with it. */
static int keep_ptrace(void)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{0}};

    data[0].effective = data[0].permitted = data[0].inheritable = 1u << CAP_SYS_PTRACE;
    if (syscall(SYS_capset, &head, data) < 0)
        return -errno;
    return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_PTRACE, 0, 0) < 0 ? -errno : 0;
}

static int drop(uint32_t uid_base, bool needs_ptrace)
{
    uid_t uid = uid_base + 1;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    if (geteuid() != 0)
        return 0;
    (void)prctl(PR_SET_KEEPCAPS, needs_ptrace, 0, 0, 0);
    if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
        return -errno;
    return needs_ptrace ? keep_ptrace() : sp_privs_drop_all();
}

static void __attribute__((noreturn))
run(const struct sp_gpus *gpus, const char *what, int out, bool needs_ptrace)
{
    const char *argv[] = {"spaces-gpu", what,         "--provider", gpus->provider,
                          "--shared",   gpus->shared, NULL};
    SP_AUTO_FREE char *libraries = NULL;
    const char *env[] = {"PATH=/usr/bin:/bin", NULL, NULL};
    int in = gpus->fake_fd >= 0 ? gpus->fake_fd : open("/dev/null", O_RDONLY | O_CLOEXEC);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC), program = gpus->program_fd;

    if (getenv("LD_LIBRARY_PATH")) /* of whoever started us: root */
        env[1] = libraries = sp_asprintf("LD_LIBRARY_PATH=%s", getenv("LD_LIBRARY_PATH"));
    (void)setsid();
    sp_privs_reset_signals();
    in = fcntl(in, F_DUPFD_CLOEXEC, 10);
    out = fcntl(out, F_DUPFD_CLOEXEC, 10);
    program = fcntl(program, F_DUPFD_CLOEXEC, 10);
    if (in < 0 || out < 0 || program < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 ||
        dup2(null, 2) < 0 || dup3(program, 3, O_CLOEXEC) < 0 || close_range(4, ~0u, 0) < 0)
        _exit(127);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, 0);
    limit(RLIMIT_NOFILE, 256);
#ifndef __SANITIZE_ADDRESS__
    limit(RLIMIT_DATA, 512u << 20);
#endif
    if (drop(gpus->uid_base, needs_ptrace) < 0)
        _exit(126);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    (void)syscall(SYS_execveat, 3, "", argv, env, AT_EMPTY_PATH);
    _exit(127);
}

pid_t sp_gpus_spawn(struct sp_launcher *l, const char *what, int *ret_fd)
{
    int out[2];
    pid_t pid;

    if (l->gpus.program_fd < 0)
        return -ENOENT;
    if (pipe2(out, O_CLOEXEC) < 0)
        return -errno;
    pid = fork();
    if (pid == 0)
        run(&l->gpus, what, out[1], strcmp(l->gpus.pool.list.provider, "drm") == 0);
    (void)close(out[1]);
    if (pid < 0) {
        (void)close(out[0]);
        return -EAGAIN;
    }
    (void)fcntl(out[0], F_SETFL, O_NONBLOCK);
    *ret_fd = out[0];
    return pid;
}

/* All that it says until it ends; false when that is too much or too late. */
static bool read_answer(int fd, struct sp_buf *out)
{
    uint64_t end = sp_clock_mono_ms() + LIST_MAX_MS, now;

    while ((now = sp_clock_mono_ms()) < end) {
        struct pollfd polled = {.fd = fd, .events = POLLIN};
        char *to;
        ssize_t n;

        if (poll(&polled, 1, (int)(end - now)) <= 0)
            continue;
        to = sp_buf_reserve(out, 4096);
        n = to ? read(fd, to, 4096) : -1;
        if (n == 0)
            return true;
        if (n < 0 && to && errno == EAGAIN)
            continue;
        if (n < 0)
            return false;
        out->len += (size_t)n;
    }
    return false;
}

static void reap(pid_t pid)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    (void)kill(pid, SIGKILL);
    for (int i = 0; i < REAP_MAX_MS && waitpid(pid, NULL, WNOHANG) == 0; i++)
        (void)nanosleep(&pause, NULL);
}

static void ask(struct sp_launcher *l, struct sp_gpu_list *ret)
{
    SP_AUTO_BUF struct sp_buf out;
    struct sp_error err = {0};
    int fd = -1;
    pid_t pid = sp_gpus_spawn(l, "--list", &fd);
    bool complete;

    if (pid < 0) {
        sp_gpu_list_note(ret, "spaces-gpu cannot be started: %s", strerror(-(int)pid));
        return;
    }
    sp_buf_init(&out, SP_GPU_TEXT_MAX);
    complete = read_answer(fd, &out);
    (void)close(fd);
    reap(pid);
    if (!complete)
        sp_gpu_list_note(ret, "spaces-gpu did not answer within %d s", LIST_MAX_MS / 1000);
    else if (out.len == 0)
        sp_gpu_list_note(ret, "spaces-gpu ended without an answer");
    else if (sp_gpu_list_parse(sp_buf_slice(&out), ret, &err) < 0)
        sp_gpu_list_note(ret, "spaces-gpu: %.200s", err.msg);
}

/* Saves a start of the child, and what a driver's library would do, where there is no driver. */
static bool is_worth_it(const char *provider)
{
    return strcmp(provider, "auto") != 0 || access("/proc/driver/nvidia", F_OK) == 0 ||
           access("/sys/class/drm", F_OK) == 0;
}

void sp_gpus_find(struct sp_launcher *l)
{
    struct sp_gpus *gpus = &l->gpus;
    struct sp_gpu_list list;

    gpus->program_fd = gpus->fake_fd = gpus->files_fd = -1;
    gpus->watch.fd = -1;
    if (!gpus->provider)
        gpus->provider = "auto";
    if (!gpus->shared)
        gpus->shared = "";
    sp_gpu_list_init(&list);
    if (strcmp(gpus->provider, "none") == 0) {
        sp_gpu_list_note(&list, "gpu.provider is none");
    } else if (!is_worth_it(gpus->provider)) {
        sp_gpu_list_note(&list, "no GPU driver was found");
    } else {
        gpus->program_fd = open_program();
        if (strcmp(gpus->provider, "fake") == 0 && gpus->fake_file)
            gpus->fake_fd = open(gpus->fake_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (geteuid() == 0 && !gpus->uid_base)
            (void)sp_userns_take(&l->slots, &gpus->uid_base);
        ask(l, &list);
        sp_gpus_check(&list);
    }
    if (list.n > 0 || gpus->program_fd >= 0)
        sp_log(SP_LOG_INFO, "launcher.gpus", "provider=%s slots=%zu note=%s", list.provider, list.n,
               sp_log_quoted(list.why));
    sp_gpu_pool_init(&gpus->pool, &list);
}

int sp_gpus_compile_filter(struct sp_gpus *gpus, struct sp_error *err)
{
    const struct sp_gpu_list *list = &gpus->pool.list;
    unsigned drivers = 0;

    for (size_t i = 0; i < list->n; i++)
        for (size_t k = 0; k < list->slots[i].n_nodes; k++)
            drivers |= sp_seccomp_gpu_of_node(list->slots[i].nodes[k].path);
    return list->n ? sp_seccomp_compile_gpu(drivers, &gpus->seccomp, err) : 0;
}
