#include "sandbox/init-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/mem.h"
#include "sandbox/ctl.h"
#include "sandbox/privs.h"
#include "sandbox/walk.h"

#define CTL        3
#define FIRST_TAG  20000u /* groups nobody else has: the tags of workers */
#define TAGS       40000u
#define SWEEP_MS   3   /* between two looks for what a dead worker left behind */
#define SWEEPS_MAX 200 /* then the whole sandbox is ended instead */
#define EXEC_LOOKS 50  /* for a child to have exec'd, of EXEC_MS each; being frozen costs one */
#define EXEC_MS    100
#define WORDS_MAX  64 /* of the zygote, before somebody unknown is reaped */
#define FOREVER    UINT64_MAX

void sp_init_tell(enum sp_ctl_kind kind, uint64_t worker, int status, int sig, const char *text)
{
    static struct sp_ctl msg; /* 4 KiB: not on a stack that a signal may need */

    sp_ctl_init(&msg, kind);
    msg.worker = worker;
    msg.status = status;
    msg.signal = sig;
    (void)snprintf(msg.text, sizeof(msg.text), "%s", text);
    (void)sp_ctl_send(CTL, &msg, NULL, 0); /* the launcher gone: the next recv ends us */
}

struct worker *sp_init_find(struct init *init, uint64_t id)
{
    for (size_t i = 0; i < SP_INIT_WORKERS_MAX; i++)
        if (init->workers[i].state != WORKER_FREE && init->workers[i].id == id)
            return &init->workers[i];
    return NULL;
}

struct worker *sp_init_find_pid(struct init *init, pid_t pid)
{
    for (size_t i = 0; i < SP_INIT_WORKERS_MAX; i++)
        if (init->workers[i].state != WORKER_FREE && init->workers[i].pid == pid)
            return &init->workers[i];
    return NULL;
}

/* --- killing --- */

/* Everything but us, in one call that no fork loop can slip through. */
static void kill_all(const struct init *init, int sig)
{
    if (init->has_pid_ns)
        (void)kill(-1, sig);
    else if (sig == SIGKILL)
        (void)sp_walk_kill_below(getpid());
    else
        for (size_t i = 0; i < SP_INIT_WORKERS_MAX; i++)
            if (init->workers[i].state != WORKER_FREE && init->workers[i].pid > 0)
                (void)kill(init->workers[i].pid, sig);
}

static bool is_alone(const struct init *init, const struct worker *worker)
{
    for (size_t i = 0; i < SP_INIT_WORKERS_MAX; i++)
        if (&init->workers[i] != worker &&
            (init->workers[i].state == WORKER_RUNNING || init->workers[i].state == WORKER_STOPPING))
            return false;
    return true;
}

/* True when nothing that carries the worker's tag lives. */
static bool sweep(struct init *init, struct worker *worker)
{
    bool is_kin = worker->is_zygote || worker->is_fork;

    if (init->childless)
        return true;
    if (is_kin && sp_zygote_is_forking(init))
        return false; /* waits, and has not tried in vain */
    /* The only worker: all there is came from it. Also when tags alone do not get to the end. */
    if (is_alone(init, worker) || worker->sweeps++ > SWEEPS_MAX) {
        kill_all(init, SIGKILL);
        return false;
    }
    if (worker->pid > 0)
        return false;
    return is_kin ? sp_zygote_sweep(init, worker->tag) : sp_walk_kill_tagged(worker->tag) == 0;
}

void sp_init_start_sweep(struct worker *worker)
{
    if (worker->pid > 0)
        (void)kill(worker->pid, SIGKILL);
    worker->state = WORKER_SWEEPING;
    worker->sweeps = 0;
}

/*
 * The next one that has ended; as waitpid. A fork that ends at once has said that it is there, and
 * a zygote why: that is heard before it is reaped.
 */
static pid_t next_dead(struct init *init, int *ret_status)
{
    const struct worker *worker;
    siginfo_t info = {0};

    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
        return -1;
    if (info.si_pid == 0)
        return 0;
    worker = sp_init_find_pid(init, info.si_pid);
    if (!worker || worker->is_zygote)
        for (int i = 0; i < WORDS_MAX && sp_zygote_on_readable(init); i++)
            ;
    return waitpid(info.si_pid, ret_status, WNOHANG);
}

static void reap(struct init *init)
{
    int status;
    pid_t pid;

    while ((pid = next_dead(init, &status)) > 0) {
        struct worker *worker = sp_init_find_pid(init, pid);

        if (!worker)
            continue; /* an orphan that became ours */
        worker->pid = 0;
        worker->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        worker->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        sp_init_start_sweep(worker);
        if (worker->is_zygote)
            sp_zygote_lost(init);
    }
    init->childless = pid < 0 && errno == ECHILD;
}

static void tell_end(const struct worker *worker)
{
    if (!worker->is_unanswered)
        sp_init_tell(SP_CTL_EXITED, worker->id, worker->status, worker->signal, "");
    else
        sp_init_tell(SP_CTL_START_FAILED, worker->id, SP_ERR_UNAVAILABLE, 0,
                     worker->why[0] ? worker->why : "it ended before it was ready");
}

static void sweep_all(struct init *init)
{
    for (size_t i = 0; i < SP_INIT_WORKERS_MAX; i++) {
        struct worker *worker = &init->workers[i];

        if (worker->state != WORKER_SWEEPING || !sweep(init, worker))
            continue;
        tell_end(worker);
        worker->state = WORKER_FREE;
    }
}

/* --- starting --- */

/* Cuts the packed strings apart; false when they are not `count` terminated strings. */
static bool unpack(char *text, size_t len, size_t *at, char **ret, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char *end = *at < len ? memchr(text + *at, '\0', len - *at) : NULL;

        if (!end)
            return false;
        ret[i] = text + *at;
        *at = (size_t)(end - text) + 1;
    }
    ret[count] = NULL;
    return true;
}

/* 0 is /dev/null, 1 and 2 the log, 3 the protocol; all others close at exec. */
static int arrange_fds(int sock, int log, int *report)
{
    sock = fcntl(sock, F_DUPFD_CLOEXEC, 10);
    log = fcntl(log, F_DUPFD_CLOEXEC, 10);
    *report = fcntl(*report, F_DUPFD_CLOEXEC, 10);
    if (sock < 0 || log < 0 || *report < 0)
        return -errno;
    if (dup2(log, 1) < 0 || dup2(log, 2) < 0 || dup2(sock, 3) < 0)
        return -errno;
    return close_range(4, ~0u, CLOSE_RANGE_CLOEXEC) < 0 ? -errno : 0;
}

static int become_app(const struct init *init, gid_t tag)
{
    uid_t uid = init->plan->app_uid;
    gid_t gid = init->plan->app_gid;
    int r;

    if (geteuid() == 0 &&
        (setgroups(1, &tag) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0))
        return -errno;
    r = sp_privs_drop_all();
    if (r < 0)
        return r;
    if (!init->has_pid_ns)
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    return 0;
}

/* In the child. A failure travels through the pipe as {errno, step}; exec closes it. */
static void __attribute__((noreturn))
exec_worker(const struct init *init, gid_t tag, char **argv, char **env, const int *fds, int report)
{
    char here[600];
    int failed[2] = {0, 0};

    if (init->exec_hangs)
        (void)pause();
    (void)setsid();
    (void)setpriority(PRIO_PROCESS, 0, 0); /* pid 1 may stand before the app */
    sp_privs_reset_signals();
    /* Its own /proc files are closed to a process that is not dumpable; nobody can look meanwhile.
     */
    (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    sp_privs_oom_score(SP_PRIVS_OOM_WORKER);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    failed[1] = 1;
    failed[0] = arrange_fds(fds[0], fds[1], &report);
    if (failed[0] == 0) {
        failed[1] = 2;
        failed[0] = become_app(init, tag);
    }
    if (failed[0] == 0) {
        failed[1] = 3;
        /* getcwd says "(unreachable)" where the folder lies outside of the root. */
        if (chdir(init->order.app_dir) < 0 || !getcwd(here, sizeof(here)) || here[0] != '/')
            failed[0] = -errno;
    }
    if (failed[0] == 0) {
        failed[1] = 4;
        (void)execve(argv[0], argv, env);
        failed[0] = -errno;
    }
    (void)!write(report, failed, sizeof(failed));
    _exit(127);
}

static const char *step_name(int step)
{
    switch (step) {
    case 1: return "arrange its descriptors";
    case 2: return "become the app's user";
    case 3: return "enter the app's folder";
    default: return "execute";
    }
}

/*
 * Waits until the child has exec'd or failed. Both are our own code, a few calls away, but on files
 * that may lie on a disk or a network that hangs.
 */
static bool has_execed(int report, struct sp_error *err, const char *program)
{
    struct pollfd polled = {.fd = report, .events = POLLIN};
    int failed[2], looks = 0;
    ssize_t n;

    while (looks < EXEC_LOOKS && poll(&polled, 1, EXEC_MS) <= 0)
        looks++;
    if (looks == EXEC_LOOKS) {
        (void)sp_error_set(err, SP_ERR_UNAVAILABLE, -ETIMEDOUT,
                           "start '%.200s': it could not be executed in %d ms", program,
                           EXEC_LOOKS * EXEC_MS);
        return false;
    }
    do
        n = read(report, failed, sizeof(failed));
    while (n < 0 && errno == EINTR);
    if (n == 0)
        return true;
    if (n != sizeof(failed))
        failed[0] = -EIO;
    (void)sp_error_set(err, failed[0] == -ENOENT ? SP_ERR_NOT_FOUND : SP_ERR_UNAVAILABLE, failed[0],
                       "start '%.200s': %s", program, step_name(failed[1]));
    return false;
}

struct worker *sp_init_free_worker(struct init *init)
{
    for (size_t i = 0; i < SP_INIT_WORKERS_MAX; i++)
        if (init->workers[i].state == WORKER_FREE)
            return &init->workers[i];
    return NULL;
}

static int start_worker(struct init *init, struct sp_ctl *msg, const int *fds, struct worker **ret,
                        struct sp_error *err)
{
    static char *argv[SP_LAUNCH_ARGS_MAX + 1], *env[SP_LAUNCH_ARGS_MAX + 1];
    struct worker *worker = sp_init_free_worker(init);
    int report[2];
    size_t at = 0;
    pid_t pid;
    bool started;

    if (!worker)
        return sp_error_set(err, SP_ERR_LIMIT, 0, "start a worker: there are %d",
                            SP_INIT_WORKERS_MAX);
    if (msg->argc == 0 || msg->argc > SP_LAUNCH_ARGS_MAX || msg->envc > SP_LAUNCH_ARGS_MAX ||
        msg->args_len > sizeof(msg->text) ||
        !unpack(msg->text, msg->args_len, &at, argv, msg->argc) ||
        !unpack(msg->text, msg->args_len, &at, env, msg->envc))
        return sp_error_set(err, SP_ERR_INVALID, 0,
                            "start a worker: arguments are not well-formed");
    if (pipe2(report, O_CLOEXEC) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "start a worker");

    *worker = (struct worker){.tag = FIRST_TAG + init->next_tag++ % TAGS};
    init->exec_hangs = sp_fault("init.exec");
    pid = fork();
    if (pid == 0)
        exec_worker(init, worker->tag, argv, env, fds, report[1]);
    (void)close(report[1]);
    if (pid < 0) {
        (void)close(report[0]);
        return sp_error_set(err, SP_ERR_LIMIT, -errno, "start a worker (limit: processes)");
    }
    init->childless = false;
    started = has_execed(report[0], err, argv[0]);
    (void)close(report[0]);
    if (!started) {
        (void)kill(pid, SIGKILL); /* and reaped like any orphan; it cannot have been already */
        return err->sys ? err->sys : -EIO;
    }

    worker->state = WORKER_RUNNING;
    worker->id = msg->worker;
    worker->pid = worker->main = pid;
    *ret = worker;
    return 0;
}

/* A worker whose protocol is the conversation with us; STARTED is said when it can fork. */
static int start_zygote(struct init *init, struct sp_ctl *msg, const int *fds, struct sp_error *err)
{
    struct worker *worker = NULL;
    int theirs, r;

    if (!init->has_pid_ns)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, 0, "a zygote needs a pid namespace");
    r = sp_zygote_open(init, &theirs, err);
    if (r < 0)
        return r;
    r = start_worker(init, msg, (int[]){theirs, fds[1]}, &worker, err);
    (void)close(theirs);
    if (!worker) {
        sp_zygote_lost(init);
        return r;
    }
    worker->is_zygote = worker->is_unanswered = true;
    return 0;
}

/* --- orders --- */

static int start_somehow(struct init *init, struct sp_ctl *msg, const int *fds, size_t n_fds,
                         struct sp_error *err)
{
    struct worker *worker;
    int r;

    if (n_fds != SP_LAUNCH_WORKER_FDS || init->stopping)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, 0, "the sandbox is stopping");
    if (msg->how == SP_LAUNCH_ZYGOTE)
        return start_zygote(init, msg, fds, err);
    if (msg->how == SP_LAUNCH_FORK)
        return sp_zygote_fork(init, msg, fds, err);
    r = start_worker(init, msg, fds, &worker, err);
    if (r == 0)
        sp_init_tell(SP_CTL_STARTED, msg->worker, 0, 0, "");
    return r;
}

static void on_worker_start(struct init *init, struct sp_ctl *msg, const int *fds, size_t n_fds)
{
    struct sp_error err = {0};

    if (start_somehow(init, msg, fds, n_fds, &err) < 0)
        sp_init_tell(SP_CTL_START_FAILED, msg->worker, (int)err.kind, 0, err.msg);
    for (size_t i = 0; i < n_fds; i++)
        (void)close(fds[i]);
}

void sp_init_stop_worker(struct worker *worker, uint32_t grace_ms)
{
    uint64_t kill_at = sp_clock_mono_ms() + grace_ms;

    if (worker->state == WORKER_SWEEPING)
        return; /* its end is on its way */
    if (worker->state == WORKER_FORKING) {
        worker->is_unwanted = true;
        worker->grace_ms = grace_ms;
        return;
    }
    if (worker->state == WORKER_RUNNING || kill_at < worker->kill_at)
        worker->kill_at = kill_at;
    worker->state = WORKER_STOPPING;
    /* Only while it is there: a minder may have reaped it, and its number be another's. */
    if (worker->main == worker->pid || sp_walk_is_child(worker->main, worker->pid, 0))
        (void)kill(worker->main, SIGTERM);
}

static void on_worker_stop(struct init *init, const struct sp_ctl *msg)
{
    struct worker *worker = sp_init_find(init, msg->worker);

    if (worker)
        sp_init_stop_worker(worker, msg->grace_ms);
}

static void on_stop(struct init *init, const struct sp_ctl *msg)
{
    uint64_t kill_at = sp_clock_mono_ms() + msg->grace_ms;

    if (!init->stopping || kill_at < init->kill_all_at)
        init->kill_all_at = kill_at;
    init->stopping = true;
    kill_all(init, msg->grace_ms > 0 ? SIGTERM : SIGKILL);
}

/* Of an app that has lost one process to the memory limit nothing goes on in pieces. */
static void on_end_workers(struct init *init)
{
    kill_all(init, SIGKILL);
    for (size_t i = 0; i < SP_INIT_WORKERS_MAX; i++)
        if (init->workers[i].state == WORKER_RUNNING || init->workers[i].state == WORKER_STOPPING)
            sp_init_start_sweep(&init->workers[i]);
}

static void __attribute__((noreturn)) leave(struct init *init)
{
    for (int pass = 0; pass < SWEEPS_MAX && !init->childless; pass++) {
        struct timespec pause = {.tv_nsec = 1000000};

        kill_all(init, SIGKILL);
        (void)nanosleep(&pause, NULL);
        reap(init);
    }
    _exit(0);
}

static void on_ctl(struct init *init)
{
    static struct sp_ctl msg;
    int fds[SP_CTL_FDS_MAX];
    size_t n_fds;

    /* The launcher is gone: as pid 1 we take everything with us; elsewhere we must kill first. */
    if (sp_ctl_recv(CTL, &msg, fds, &n_fds) <= 0) {
        leave(init);
    }
    switch (msg.kind) {
    case SP_CTL_WORKER_START: on_worker_start(init, &msg, fds, n_fds); break;
    case SP_CTL_WORKER_STOP: on_worker_stop(init, &msg); break;
    case SP_CTL_STOP: on_stop(init, &msg); break;
    case SP_CTL_END_WORKERS: on_end_workers(init); break;
    default: break;
    }
}

static uint64_t next_deadline(const struct init *init)
{
    uint64_t at = init->stopping ? init->kill_all_at : FOREVER;

    for (size_t i = 0; i < SP_INIT_WORKERS_MAX; i++) {
        if (init->workers[i].state == WORKER_SWEEPING)
            return sp_clock_mono_ms() + SWEEP_MS;
        if ((init->workers[i].state == WORKER_STOPPING ||
             init->workers[i].state == WORKER_FORKING) &&
            init->workers[i].kill_at < at)
            at = init->workers[i].kill_at;
    }
    return at;
}

static void on_time(struct init *init)
{
    uint64_t now = sp_clock_mono_ms();

    for (size_t i = 0; i < SP_INIT_WORKERS_MAX; i++)
        if (init->workers[i].state == WORKER_STOPPING && now >= init->workers[i].kill_at)
            sp_init_start_sweep(&init->workers[i]);
    sp_zygote_on_time(init, now);
    if (init->stopping && now >= init->kill_all_at) {
        kill_all(init, SIGKILL);
        init->kill_all_at = now + SWEEP_MS;
    }
}

static void __attribute__((noreturn)) serve(struct init *init)
{
    for (;;) {
        struct pollfd polled[3] = {{.fd = CTL, .events = POLLIN},
                                   {.fd = init->sigchld, .events = POLLIN},
                                   {.fd = init->zygote, .events = POLLIN}};
        struct signalfd_siginfo info;
        uint64_t at, now;

        reap(init);
        sweep_all(init);
        if (init->stopping && init->childless)
            _exit(0);

        at = next_deadline(init);
        now = sp_clock_mono_ms();
        (void)poll(polled, 3, at == FOREVER ? -1 : at > now ? (int)(at - now) : 0);
        if (polled[1].revents)
            (void)!read(init->sigchld, &info, sizeof(info));
        if (polled[2].revents)
            (void)sp_zygote_on_readable(init);
        if (polled[0].revents)
            on_ctl(init);
        on_time(init);
    }
}

/* "born=1200 groups=1900 ...": microseconds on the clock that the launcher reads too. */
static const char *format_times(const struct sp_init_times *times)
{
    static char text[512];
    size_t len = 0;

    for (size_t i = 0; times && i < times->n && len < sizeof(text); i++) {
        int n = snprintf(text + len, sizeof(text) - len, "%s%s=%llu", len ? " " : "",
                         times->marks[i].step, (unsigned long long)times->marks[i].at_ns / 1000);

        len += n > 0 ? (size_t)n : 0;
    }
    return text;
}

void sp_init_run(const struct sp_init_plan *plan)
{
    static struct init init;
    struct sp_error err = {0};
    sigset_t chld;

    if (sp_setup_enter(plan, &init.order, &err) < 0) {
        static struct sp_ctl msg;

        sp_ctl_init(&msg, SP_CTL_FAILED);
        msg.status = (int)err.kind;
        (void)snprintf(msg.text, sizeof(msg.text), "%s", err.msg);
        /* The socket may have moved to its final place already. */
        if (sp_ctl_send(plan->ctl, &msg, NULL, 0) < 0)
            (void)sp_ctl_send(CTL, &msg, NULL, 0);
        _exit(1);
    }
    init.plan = plan;
    init.childless = true;
    init.zygote = -1;
    init.has_pid_ns = getpid() == 1 && (plan->isolate & SP_ISOLATE_PID);
    (void)sigemptyset(&chld);
    (void)sigaddset(&chld, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &chld, NULL);
    init.sigchld = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
    if (init.sigchld < 0)
        _exit(1);
    sp_init_tell(SP_CTL_READY, 0, 0, 0, format_times(plan->times));
    serve(&init);
}
