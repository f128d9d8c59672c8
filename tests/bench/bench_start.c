/*
 * Cold starts: a program in a fresh sandbox, beside the same program alone, in bubblewrap and in
 * crun.
 *
 *     bench_start LAUNCHER ROUNDS [CRUN STATE BUNDLE...]     (as root; prints JSON lines)
 *
 * The ways take turns, so that other load on the machine meets all of them alike. What is measured:
 * from the request until the first line of the program has been read here (it prints in main()).
 * Three launchers: "pool" keeps spares and limits, as spacesd runs it; "cold" has no pool; "bare"
 * has neither pool nor limits: it sees no cgroups, as bubblewrap and this crun use none. BUNDLE is
 * one for each program, in their order (see bench_start.py).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/mem.h"
#include "sandbox/launch.h"

#define HASH          "abababababababababababababababababababababababababababababababab"
#define REST_NS       20000000
#define SPARE_REST_NS 200000000

static const char *const echo_argv[] = {"/bin/echo", "hello", NULL};
static const char *const hello_argv[] = {"/usr/bin/python3", "-c", "print(\"hello\")", NULL};
static const char *const env[] = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8", NULL};
static const char *const bwrap[] = {"/usr/bin/bwrap", "--unshare-all", "--die-with-parent",
                                    "--new-session",  "--ro-bind",     "/usr",
                                    "/usr",           "--symlink",     "usr/bin",
                                    "/bin",           "--symlink",     "usr/lib",
                                    "/lib",           "--symlink",     "usr/lib64",
                                    "/lib64",         "--proc",        "/proc",
                                    "--dev",          "/dev",          "--tmpfs",
                                    "/tmp",           "--tmpfs",       "/home",
                                    "--cap-drop",     "ALL",           NULL};

enum way { POOL, COLD, BARE, PLAIN, BWRAP, CRUN, WAYS };
static const char *const way_names[] = {"pool", "cold", "bare", "plain", "bwrap", "crun"};

struct bench {
    int sock;
    pid_t launcher;
    uint64_t seq, next_id;
    char state[64];
};

struct crun {
    const char *program, *state;
    const char *bundles[2];
    int view;
};

static void __attribute__((noreturn)) die(const char *what)
{
    (void)fprintf(stderr, "bench_start: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* --- the launcher --- */

static void make_state(struct bench *b)
{
    char path[256];
    static const char *const folders[] = {"sdk", "files", "snapshots", ("snapshots/" HASH)};

    (void)snprintf(b->state, sizeof(b->state), "/tmp/spaces-bench-XXXXXX");
    if (!mkdtemp(b->state))
        die("mkdtemp");
    for (size_t i = 0; i < SP_LEN(folders); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", b->state, folders[i]);
        if (mkdir(path, 0755) < 0)
            die(path);
    }
}

/* Without cgroups in its view a launcher can set no limits. */
static void hide_cgroups(void)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0 ||
        umount2("/sys/fs/cgroup", MNT_DETACH) < 0)
        die("hide the cgroups");
}

static void start_launcher(struct bench *b, const char *program, enum way way)
{
    const char *size = way == POOL ? "4" : "0";
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        die("socketpair");
    b->launcher = fork();
    if (b->launcher == 0) {
        char sdk[128], fd[16], id[20];

        if (way == BARE)
            hide_cgroups();
        (void)fcntl(pair[1], F_SETFD, 0);
        (void)snprintf(sdk, sizeof(sdk), "%s/sdk", b->state);
        (void)snprintf(fd, sizeof(fd), "%d", pair[1]);
        (void)snprintf(id, sizeof(id), "%016llx", (unsigned long long)getpid() << 24 | 0xbe);
        (void)execl(program, program, "--socket-fd", fd, "--state", b->state, "--sdk", sdk,
                    "--daemon-uid", "12345", "--daemon-gid", "12345", "--state-id", id, "--pool",
                    size, way == BARE ? "--allow-weak" : NULL, NULL);
        die(program);
    }
    (void)close(pair[1]);
    b->sock = pair[0];
}

static void receive(struct bench *b, uint32_t kind, uint64_t seq)
{
    struct sp_launch_msg msg;
    int fds[SP_LAUNCH_FDS_MAX];
    size_t n_fds;

    do {
        if (sp_launch_recv(b->sock, &msg, fds, &n_fds, NULL) <= 0)
            die("the launcher is gone");
        if (msg.kind == SP_LAUNCH_FAILED) {
            (void)fprintf(stderr, "bench_start: %s\n", msg.failed.text);
            exit(1);
        }
    } while (msg.kind != kind || msg.seq != seq);
}

static uint64_t request(struct bench *b, struct sp_launch_msg *msg, const int *fds, size_t n)
{
    msg->seq = ++b->seq;
    if (sp_launch_send(b->sock, msg, fds, n, NULL) < 0)
        die("send");
    return msg->seq;
}

static uint64_t start_sandbox(struct bench *b)
{
    struct sp_launch_msg msg;

    sp_launch_msg_init(&msg, SP_LAUNCH_SANDBOX_START);
    msg.sandbox = ++b->next_id;
    msg.sandbox_start.space = 1;
    (void)snprintf(msg.sandbox_start.snapshot, sizeof(msg.sandbox_start.snapshot), "%s", HASH);
    (void)snprintf(msg.sandbox_start.hostname, sizeof(msg.sandbox_start.hostname), "bench");
    msg.sandbox_start.limits = (struct sp_launch_limits){.memory_bytes = 512u << 20,
                                                         .layer_bytes = 64u << 20,
                                                         .shm_bytes = 16u << 20,
                                                         .layer_inodes = 10000,
                                                         .cpu_millis = 2000,
                                                         .pids = 128,
                                                         .nofile = 1024};
    receive(b, SP_LAUNCH_OK, request(b, &msg, NULL, 0));
    return msg.sandbox;
}

/* --- one start each way --- */

static void wait_for_line(int fd)
{
    char buf[256];
    ssize_t n = read(fd, buf, sizeof(buf));

    if (n <= 0)
        die("the program printed nothing");
}

static void stop_sandbox(struct bench *b, uint64_t sandbox)
{
    struct sp_launch_msg msg;

    sp_launch_msg_init(&msg, SP_LAUNCH_SANDBOX_STOP);
    msg.sandbox = sandbox;
    (void)request(b, &msg, NULL, 0);
    receive(b, SP_LAUNCH_SANDBOX_GONE, 0);
}

static double ours(struct bench *b, const char *const *argv, double *ret_stop_ms)
{
    struct sp_launch_msg msg;
    int log[2], sock[2], fds[2];
    uint64_t began = sp_clock_mono_ns(), sandbox = start_sandbox(b), ended = 0, seq;

    if (pipe2(log, O_CLOEXEC) < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock) < 0)
        die("pipe");
    sp_launch_msg_init(&msg, SP_LAUNCH_WORKER_START);
    msg.sandbox = sandbox;
    msg.worker = ++b->next_id;
    if (sp_launch_pack_args(&msg, argv, env, NULL) < 0)
        die("pack");
    fds[0] = sock[1];
    fds[1] = log[1];
    seq = request(b, &msg, fds, 2);
    (void)close(log[1]);
    (void)close(sock[1]);
    wait_for_line(log[0]);
    ended = sp_clock_mono_ns();
    receive(b, SP_LAUNCH_OK, seq);
    receive(b, SP_LAUNCH_WORKER_EXITED, 0);
    (void)close(log[0]);
    (void)close(sock[0]);

    *ret_stop_ms = (double)sp_clock_mono_ns();
    stop_sandbox(b, sandbox);
    *ret_stop_ms = ((double)sp_clock_mono_ns() - *ret_stop_ms) / 1e6;
    return (double)(ended - began) / 1e6;
}

/* In the mounts of `view`, unless that is -1. */
static double plain(const char *const *argv, int view)
{
    uint64_t began = sp_clock_mono_ns(), ended = 0;
    int log[2], status;
    pid_t pid;

    if (pipe2(log, O_CLOEXEC) < 0)
        die("pipe");
    pid = fork();
    if (pid == 0) {
        if (view >= 0 && setns(view, CLONE_NEWNS) < 0)
            _exit(126);
        (void)dup2(log[1], 1);
        (void)execve(argv[0], (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env);
        _exit(127);
    }
    (void)close(log[1]);
    wait_for_line(log[0]);
    ended = sp_clock_mono_ns();
    if (waitpid(pid, &status, 0) != pid || status != 0)
        die(argv[0]);
    (void)close(log[0]);
    return (double)(ended - began) / 1e6;
}

static double in_bwrap(const char *const *argv)
{
    const char *all[64];
    size_t n = 0;

    for (size_t i = 0; bwrap[i]; i++)
        all[n++] = bwrap[i];
    for (size_t i = 0; argv[i]; i++)
        all[n++] = argv[i];
    all[n] = NULL;
    return plain(all, -1);
}

/*
 * crun refuses to start where version 2 has a controller beside version 1, whether it is to use
 * cgroups or not: it gets a view without the version 2 tree. Entering the view costs microseconds.
 */
static int view_for_crun(void)
{
    char path[64], byte;
    int done[2], fd;
    pid_t pid;

    if (pipe2(done, O_CLOEXEC) < 0)
        die("pipe");
    pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0)
            die("make a view for crun");
        (void)umount2("/sys/fs/cgroup/unified", MNT_DETACH); /* absent on other layouts */
        (void)write(done[1], "", 1);
        (void)pause();
    }
    (void)close(done[1]);
    (void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
    fd = read(done[0], &byte, 1) == 1 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    (void)close(done[0]);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    return fd;
}

/* What it runs is in the bundle. crun removes what it made before it ends, after the line. */
static double in_crun(const struct crun *crun, const char *bundle)
{
    static unsigned count;
    char id[32];
    const char *const argv[] = {crun->program, "--root",   crun->state, "--cgroup-manager=disabled",
                                "run",         "--bundle", bundle,      id,
                                NULL};

    (void)snprintf(id, sizeof(id), "bench-%d-%u", (int)getpid(), ++count);
    return plain(argv, crun->view);
}

/* --- the numbers --- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double quantile(double *values, size_t n, double q)
{
    qsort(values, n, sizeof(*values), by_value);
    return values[(size_t)((double)(n - 1) * q + 0.5)];
}

static void rest(long ns)
{
    struct timespec pause = {.tv_nsec = ns};

    (void)nanosleep(&pause, NULL);
}

struct rows {
    double *took[WAYS], *stop;
};

static void one_round(struct bench *benches, const struct crun *crun, const char *const *argv,
                      size_t which, struct rows *rows, size_t i)
{
    double stop;

    rest(SPARE_REST_NS);
    for (int way = POOL; way <= BARE; way++) {
        rows->took[way][i] = ours(&benches[way], argv, way == POOL ? &rows->stop[i] : &stop);
        rest(REST_NS);
    }
    rows->took[PLAIN][i] = plain(argv, -1);
    rest(REST_NS);
    rows->took[BWRAP][i] = access(bwrap[0], X_OK) == 0 ? in_bwrap(argv) : 0;
    rest(REST_NS);
    rows->took[CRUN][i] = crun->program ? in_crun(crun, crun->bundles[which]) : 0;
}

static void run(struct bench *benches, const struct crun *crun, const char *what,
                const char *const *argv, size_t which, size_t n)
{
    SP_AUTO_FREE double *all = sp_new0n(double, n *(WAYS + 1));
    struct rows rows = {.stop = all + n * WAYS};
    double median[WAYS];

    for (int way = 0; way < WAYS; way++)
        rows.took[way] = all + (size_t)way * n;
    for (size_t i = 0; i < n; i++)
        one_round(benches, crun, argv, which, &rows, i);
    (void)printf("{\"bench\": \"start\", \"what\": \"%s\", \"rounds\": %zu", what, n);
    for (int way = 0; way < WAYS; way++) {
        median[way] = quantile(rows.took[way], n, 0.5);
        if (median[way] > 0)
            (void)printf(", \"%s_ms\": %.2f, \"%s_p90_ms\": %.2f", way_names[way], median[way],
                         way_names[way], quantile(rows.took[way], n, 0.9));
    }
    (void)printf(", \"stop_ms\": %.2f, \"pool_to_plain\": %.2f", quantile(rows.stop, n, 0.5),
                 median[POOL] / median[PLAIN]);
    for (int way = BWRAP; way <= CRUN; way++)
        if (median[way] > 0)
            (void)printf(", \"pool_to_%s\": %.2f, \"bare_to_%s\": %.2f", way_names[way],
                         median[POOL] / median[way], way_names[way], median[BARE] / median[way]);
    (void)printf("}\n");
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    struct bench benches[BARE + 1] = {{.sock = -1}, {.sock = -1}, {.sock = -1}};
    struct crun crun = {NULL, NULL, {NULL, NULL}, -1};
    size_t rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    int status, r = 0;

    if (rounds < 1 || rounds > 100000 || (argc != 3 && argc != 7)) {
        (void)fprintf(stderr, "usage: bench_start LAUNCHER ROUNDS [CRUN STATE BUNDLE BUNDLE]\n");
        return 2;
    }
    if (argc == 7)
        crun = (struct crun){argv[3], argv[4], {argv[5], argv[6]}, view_for_crun()};
    for (int way = POOL; way <= BARE; way++) {
        struct sp_launch_msg hello;

        make_state(&benches[way]);
        start_launcher(&benches[way], argv[1], way);
        sp_launch_msg_init(&hello, SP_LAUNCH_HELLO);
        receive(&benches[way], SP_LAUNCH_OK, request(&benches[way], &hello, NULL, 0));
    }
    run(benches, &crun, "/bin/echo", echo_argv, 0, rounds);
    run(benches, &crun, "python3 print hello", hello_argv, 1, rounds);
    for (int way = POOL; way <= BARE; way++) {
        (void)close(benches[way].sock);
        (void)waitpid(benches[way].launcher, &status, 0);
        r |= sp_rmtree(AT_FDCWD, benches[way].state, NULL);
    }
    return r < 0;
}
