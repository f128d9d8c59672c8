/*
 * Cold starts: a program in a fresh sandbox, beside the same program alone and in bubblewrap.
 *
 *     bench_start LAUNCHER [ROUNDS]          (as root; prints JSON lines)
 *
 * The ways take turns, so that other load on the machine meets all of them alike. What is measured:
 * from the request until the program has printed its line (python3) or ended (/bin/true). Ours
 * includes the limits; bubblewrap has none. "spare": the launcher has one sandbox prepared, as it
 * does a moment after each start; "cold": that one has just been taken by another start.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
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

static const char *const true_argv[] = {"/bin/true", NULL};
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

struct bench {
    int sock;
    uint64_t seq, next_id;
    char state[64];
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

static pid_t start_launcher(struct bench *b, const char *program)
{
    int pair[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
        die("socketpair");
    pid = fork();
    if (pid == 0) {
        char sdk[128], fd[16], id[20];

        (void)close(pair[0]);
        (void)snprintf(sdk, sizeof(sdk), "%s/sdk", b->state);
        (void)snprintf(fd, sizeof(fd), "%d", pair[1]);
        (void)snprintf(id, sizeof(id), "%016llx", (unsigned long long)getpid() << 24 | 0xbe);
        (void)execl(program, program, "--socket-fd", fd, "--state", b->state, "--sdk", sdk,
                    "--daemon-uid", "12345", "--daemon-gid", "12345", "--state-id", id, NULL);
        die(program);
    }
    (void)close(pair[1]);
    b->sock = pair[0];
    return pid;
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

static double ours(struct bench *b, const char *const *argv, bool prints, double *ret_stop_ms)
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
    if (prints) {
        wait_for_line(log[0]);
        ended = sp_clock_mono_ns();
    }
    receive(b, SP_LAUNCH_OK, seq);
    receive(b, SP_LAUNCH_WORKER_EXITED, 0);
    if (!prints)
        ended = sp_clock_mono_ns();
    (void)close(log[0]);
    (void)close(sock[0]);

    *ret_stop_ms = (double)sp_clock_mono_ns();
    stop_sandbox(b, sandbox);
    *ret_stop_ms = ((double)sp_clock_mono_ns() - *ret_stop_ms) / 1e6;
    return (double)(ended - began) / 1e6;
}

static double plain(const char *const *argv, bool prints)
{
    uint64_t began = sp_clock_mono_ns(), ended = 0;
    int log[2], status;
    pid_t pid;

    if (pipe2(log, O_CLOEXEC) < 0)
        die("pipe");
    pid = fork();
    if (pid == 0) {
        (void)dup2(log[1], 1);
        (void)execve(argv[0], (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env);
        _exit(127);
    }
    (void)close(log[1]);
    if (prints) {
        wait_for_line(log[0]);
        ended = sp_clock_mono_ns();
    }
    if (waitpid(pid, &status, 0) != pid || status != 0)
        die(argv[0]);
    if (!prints)
        ended = sp_clock_mono_ns();
    (void)close(log[0]);
    return (double)(ended - began) / 1e6;
}

static double in_bwrap(const char *const *argv, bool prints)
{
    const char *all[64];
    size_t n = 0;

    for (size_t i = 0; bwrap[i]; i++)
        all[n++] = bwrap[i];
    for (size_t i = 0; argv[i]; i++)
        all[n++] = argv[i];
    all[n] = NULL;
    return plain(all, prints);
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
    double *spare, *cold, *stop, *plain, *bwrap;
};

static void one_round(struct bench *b, const char *const *argv, bool prints, struct rows *rows,
                      size_t i)
{
    uint64_t other;

    rest(SPARE_REST_NS);
    rows->spare[i] = ours(b, argv, prints, &rows->stop[i]);
    rest(SPARE_REST_NS);
    other = start_sandbox(b);
    rows->cold[i] = ours(b, argv, prints, &rows->stop[i]);
    stop_sandbox(b, other);
    rest(REST_NS);
    rows->plain[i] = plain(argv, prints);
    rest(REST_NS);
    rows->bwrap[i] = access(bwrap[0], X_OK) == 0 ? in_bwrap(argv, prints) : 0;
}

static void run(struct bench *b, const char *what, const char *const *argv, bool prints, size_t n)
{
    SP_AUTO_FREE double *all = sp_new0n(double, n * 5);
    struct rows rows = {all, all + n, all + 2 * n, all + 3 * n, all + 4 * n};
    double spare, cold, alone, bubble;

    for (size_t i = 0; i < n; i++)
        one_round(b, argv, prints, &rows, i);
    spare = quantile(rows.spare, n, 0.5);
    cold = quantile(rows.cold, n, 0.5);
    alone = quantile(rows.plain, n, 0.5);
    bubble = quantile(rows.bwrap, n, 0.5);
    (void)printf(
        "{\"bench\": \"start\", \"what\": \"%s\", \"rounds\": %zu, \"spare_ms\": %.2f, "
        "\"spare_p90_ms\": %.2f, \"cold_ms\": %.2f, \"stop_ms\": %.2f, \"plain_ms\": %.2f, "
        "\"spare_to_plain\": %.2f",
        what, n, spare, quantile(rows.spare, n, 0.9), cold, quantile(rows.stop, n, 0.5), alone,
        spare / alone);
    if (bubble > 0)
        (void)printf(", \"bwrap_ms\": %.2f, \"spare_to_bwrap\": %.2f, \"cold_to_bwrap\": %.2f",
                     bubble, spare / bubble, cold / bubble);
    (void)printf("}\n");
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    struct sp_launch_msg hello;
    struct bench b = {.sock = -1};
    size_t rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 40;
    pid_t launcher;
    int status;

    if (argc < 2 || rounds < 1 || rounds > 100000) {
        (void)fprintf(stderr, "usage: bench_start LAUNCHER [ROUNDS]\n");
        return 2;
    }
    make_state(&b);
    launcher = start_launcher(&b, argv[1]);
    sp_launch_msg_init(&hello, SP_LAUNCH_HELLO);
    receive(&b, SP_LAUNCH_OK, request(&b, &hello, NULL, 0));
    run(&b, "/bin/true", true_argv, false, rounds);
    run(&b, "python3 print hello", hello_argv, true, rounds);
    (void)close(b.sock);
    (void)waitpid(launcher, &status, 0);
    return sp_rmtree(AT_FDCWD, b.state, NULL) < 0;
}
