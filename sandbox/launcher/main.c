/*
 * spaces-launcher: the small privileged program. One thread, one poll loop, no library loop.
 *
 * Its end of the conversation with spacesd is a socket; when that ends, everything it has started
 * ends too. Signals are ignored: the daemon decides when to stop, and its end is ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "sandbox/init.h"
#include "sandbox/launcher/doctor.h"
#include "sandbox/launcher/launcher-internal.h"
#include "sandbox/launcher/network.h"
#include "sandbox/privs.h"

#define SWEEP_WAIT_MS      5000
#define CLOSE_WAIT_MS      10000
#define LOCK_WAIT_MS       (CLOSE_WAIT_MS + SWEEP_WAIT_MS)
#define RESERVE_LEAST      (256ull << 20) /* memory that apps never get, at least */
#define PIDS_RESERVE_LEAST 1024

static struct sp_launcher launcher;

static const struct option options[] = {
    {"socket-fd", required_argument, NULL, 's'},
    {"state", required_argument, NULL, 'd'},
    {"sdk", required_argument, NULL, 'k'},
    {"daemon-uid", required_argument, NULL, 'u'},
    {"daemon-gid", required_argument, NULL, 'g'},
    {"state-id", required_argument, NULL, 'i'},
    {"allow-weak", no_argument, NULL, 'w'},
    {"pool", required_argument, NULL, 'p'},
    {"network-allowed", required_argument, NULL, SP_OPT_NETWORK_ALLOWED},
    {"network-range", required_argument, NULL, SP_OPT_NETWORK_RANGE},
    {"network-dns", required_argument, NULL, SP_OPT_NETWORK_DNS},
    {"network-connections", required_argument, NULL, SP_OPT_NETWORK_CONNECTIONS},
    {"network-proxy", required_argument, NULL, SP_OPT_NETWORK_PROXY},
    {"gpu-provider", required_argument, NULL, 'G'},
    {"gpu-fake-file", required_argument, NULL, 'F'},
    {"gpu-shared", required_argument, NULL, 'S'},
    {"doctor", no_argument, NULL, 'D'},
    /*
     * For the escape tests: apps run as uid 0 of their user namespace, still without capabilities,
     * so that the walls are tried without the one that an ordinary uid is. No request can ask for
     * it.
     */
    {"run-as-root-inside", no_argument, NULL, 'r'},
    {NULL, 0, NULL, 0},
};

static bool is_state_id(const char *text)
{
    if (strlen(text) != 16)
        return false;
    for (const char *p = text; *p; p++)
        if (!((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'f')))
            return false;
    return true;
}

static bool take_option(struct sp_launcher *l, int opt, const char *arg)
{
    uint64_t n = 0;

    switch (opt) {
    case 's':
    case 'u':
    case 'g':
        if (!sp_parse_u64(sp_slice_str(arg), INT32_MAX, &n))
            return false;
        if (opt == 's')
            l->sock = (int)n;
        else if (opt == 'u')
            l->daemon_uid = (uid_t)n;
        else
            l->daemon_gid = (gid_t)n;
        return true;
    case 'd': return snprintf(l->state_path, sizeof(l->state_path), "%s", arg) < 400;
    case 'k': return snprintf(l->sdk_path, sizeof(l->sdk_path), "%s", arg) < 400;
    case 'i': (void)snprintf(l->state_id, sizeof(l->state_id), "%s", arg); return is_state_id(arg);
    case 'w': l->allow_weak = true; return true;
    case 'p':
        if (!sp_parse_u64(sp_slice_str(arg), SP_POOL_MAX, &n))
            return false;
        l->pool.size = (unsigned)n;
        return true;
    case 'r': l->root_inside = true; return true;
    case 'G': l->gpus.provider = arg; return true;
    case 'F': l->gpus.fake_file = arg; return true;
    case 'S': l->gpus.shared = arg; return true;
    case 'D': exit(sp_launcher_doctor(l->state_path[0] ? l->state_path : NULL));
    default: return sp_launcher_network_option(l, opt, arg);
    }
}

static bool parse(struct sp_launcher *l, int argc, char **argv)
{
    int opt;

    l->sock = -1;
    l->pool.size = 1;
    l->network.sock = -1;
    sp_network_options_init(&l->network.options);
    l->daemon_uid = (uid_t)-1;
    l->daemon_gid = (gid_t)-1;
    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (!take_option(l, opt, optarg))
            return false;
    return optind == argc && l->sock >= 0 && l->state_path[0] && l->sdk_path[0] && l->state_id[0] &&
           l->daemon_uid != (uid_t)-1 && l->daemon_gid != (gid_t)-1;
}

static void settle_in(void)
{
    struct rlimit files = {4096, 4096};

    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGCHLD, SIG_DFL);
    /* About nineteen descriptors a sandbox. */
    files.rlim_cur = files.rlim_max = SP_BOXES_MAX * 24 + 256;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    (void)umask(022);
}

/* What the apps may use together: the host minus an eighth, at least RESERVE_LEAST. */
static uint64_t memory_for_apps(void)
{
    struct sysinfo info;
    uint64_t total, reserve;

    if (sysinfo(&info) < 0)
        return RESERVE_LEAST;
    total = (uint64_t)info.totalram * info.mem_unit;
    reserve = total / 8 > RESERVE_LEAST ? total / 8 : RESERVE_LEAST;
    return total > 2 * reserve ? total - reserve : total / 2;
}

/*
 * One launcher at a time on a state folder. The one before may still be ending what it had started,
 * and at the very end it removes the group above all sandboxes: ours, if we did not wait. The lock
 * is never given back; it ends with us and the last pid 1 that has not closed it.
 */
static int lock_state(const struct sp_launcher *l, struct sp_error *err)
{
    uint64_t deadline = sp_clock_mono_ms() + LOCK_WAIT_MS;
    int fd = open(l->state_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return sp_error_set(err, SP_ERR_NOT_FOUND, -errno, "open the state folder '%s'",
                            l->state_path);
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        struct timespec pause = {.tv_nsec = 2000000};

        if (sp_clock_mono_ms() >= deadline)
            return sp_error_set(err, SP_ERR_CONFLICT, -errno,
                                "another launcher works on the state folder '%s'", l->state_path);
        (void)nanosleep(&pause, NULL);
    }
    return 0;
}

/* A number that the kernel shows, or `otherwise`. */
static uint64_t kernel_number(const char *path, uint64_t otherwise)
{
    SP_AUTO_FREE char *text = NULL;
    uint64_t value;
    size_t len;

    if (sp_file_read(AT_FDCWD, path, 64, &text, &len, NULL) < 0 ||
        !sp_parse_u64(sp_slice(text, strcspn(text, "\n")), UINT32_MAX, &value))
        return otherwise;
    return value;
}

/* As many processes as the host can have, minus an eighth and at least PIDS_RESERVE_LEAST. */
static uint64_t pids_for_apps(void)
{
    uint64_t ids = kernel_number("/proc/sys/kernel/pid_max", 32768);
    uint64_t threads = kernel_number("/proc/sys/kernel/threads-max", 32768);
    uint64_t total = ids < threads ? ids : threads;
    uint64_t reserve = total / 8 > PIDS_RESERVE_LEAST ? total / 8 : PIDS_RESERVE_LEAST;

    return total > 2 * reserve ? total - reserve : total / 2;
}

/* Removes what an earlier life left, and makes the group above all sandboxes. */
static int prepare_groups(struct sp_launcher *l, struct sp_error *err)
{
    struct sp_error no_filter = {0}, no_rate = {0};
    char name[40];
    int r = sp_cgroup_host_init(&l->groups, err);

    if (r < 0)
        return r;
    (void)snprintf(name, sizeof(name), "spacesd-%s", l->state_id);
    r = sp_cgroup_sweep(&l->groups, name, SWEEP_WAIT_MS, err);
    if (r == 0)
        r = sp_cgroup_parent(&l->groups, name, memory_for_apps(), pids_for_apps(), err);
    if (r == 0 && sp_cgroup_find_disk(&l->groups, name, l->state_path, &no_rate) < 0)
        sp_log(SP_LOG_WARN, "launcher.no_write_rate", "err=%s", sp_log_quoted(no_rate.msg));
    if (r == 0 && sp_devices_init(&l->groups, &l->devices, &no_filter) < 0)
        sp_log(SP_LOG_WARN, "launcher.no_device_filter", "err=%s", sp_log_quoted(no_filter.msg));
    return r == 0 ? sp_watch_init(l, err) : r;
}

static int open_folders(struct sp_launcher *l, struct sp_error *err)
{
    l->state_fd = open(l->state_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (l->state_fd < 0)
        return sp_error_set(err, SP_ERR_NOT_FOUND, -errno, "open the state folder '%s'",
                            l->state_path);
    l->sdk_fd = open(l->sdk_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (l->sdk_fd < 0)
        return sp_error_set(err, SP_ERR_NOT_FOUND, -errno, "open the SDK '%s'", l->sdk_path);
    return 0;
}

/* With `allow_weak` what is missing is left out; otherwise starts are refused later, with the list.
 */
static int prepare(struct sp_launcher *l, struct sp_error *err)
{
    bool has_groups;
    int r = lock_state(l, err);

    if (r < 0)
        return r;
    has_groups = prepare_groups(l, err) == 0;
    if (!has_groups)
        sp_log(SP_LOG_WARN, "launcher.no_groups", "err=%s", sp_log_quoted(err->msg));
    r = open_folders(l, err);
    if (r < 0)
        return r;
    sp_probe_run(&l->probe, l->state_path, has_groups ? &l->groups : NULL);
    l->isolate = sp_probe_isolate(&l->probe);
    if (!has_groups)
        l->isolate &= ~(unsigned)SP_ISOLATE_LIMITS;
    if (l->root_inside && !(l->isolate & SP_ISOLATE_USER && l->isolate & SP_ISOLATE_IDMAP))
        return sp_error_set(err, SP_ERR_UNAVAILABLE, 0,
                            "--run-as-root-inside needs user namespaces and idmapped mounts");

    sp_launcher_network_start(l);
    r = sp_privs_keep_launcher(err);
    if (r == 0)
        r = sp_seccomp_compile(&l->seccomp, err);
    if (r == 0)
        sp_gpus_find(l);
    if (r == 0)
        r = sp_gpus_compile_filter(&l->gpus, err);
    if (r < 0 || !(l->isolate & SP_ISOLATE_MOUNT))
        return r;
    r = sp_rootfs_leave_host(err);
    if (r == 0) {
        /* Anew: mounts are cloned from the namespace that we are in. */
        (void)close(l->state_fd);
        (void)close(l->sdk_fd);
        r = open_folders(l, err);
    }
    if (r == 0)
        sp_gpus_put_files(l, sp_rootfs_place());
    if (r == 0)
        r = sp_rootfs_build(&l->rootfs, l->sdk_fd, err);
    return r;
}

/* --- the loop --- */

static int poll_timeout(const struct sp_launcher *l)
{
    uint64_t first = sp_pool_next_ms(l);
    uint64_t now = sp_clock_mono_ms();

    if (sp_gpus_next_ms(l) < first)
        first = sp_gpus_next_ms(l);
    if (l->oom_look_ms && l->oom_look_ms < first)
        first = l->oom_look_ms;
    SP_LIST_EACH (box, &l->boxes, struct sp_box, list) {
        const uint64_t times[] = {box->deadline_ms, box->watch_at_ms, box->freeze_at_ms,
                                  box->brake.look_at_ms};

        for (size_t i = 0; i < SP_LEN(times); i++)
            if (times[i] && times[i] < first)
                first = times[i];
    }
    if (first == UINT64_MAX)
        return -1;
    return first > now ? (int)(first - now) : 0;
}

static void run_deadlines(struct sp_launcher *l)
{
    uint64_t now = sp_clock_mono_ms();

    if (l->oom_look_ms && now >= l->oom_look_ms)
        sp_watch_look_for_oom(l);
    SP_LIST_EACH (box, &l->boxes, struct sp_box, list) {
        if (box->watch_at_ms && now >= box->watch_at_ms)
            sp_watch_look(l, box);
        if (box->brake.look_at_ms && now >= box->brake.look_at_ms)
            sp_brake_look(l, box);
        if (box->freeze_at_ms && now >= box->freeze_at_ms)
            sp_freeze_look(l, box);
        if (box->deadline_ms && now >= box->deadline_ms)
            sp_box_on_time(l, box); /* may free it */
    }
}

/* Those of the launcher, then three descriptors of each sandbox, in the order of the list. */
enum { POLL_NETWORK, POLL_DAEMON, POLL_LIMITS, POLL_OOM, POLL_BOXES };

static size_t fill_polls(const struct sp_launcher *l, struct pollfd *polls)
{
    size_t n = POLL_BOXES;

    polls[POLL_NETWORK] = (struct pollfd){.fd = l->network.sock, .events = POLLIN};
    polls[POLL_DAEMON] = (struct pollfd){
        .fd = l->closing ? -1 : l->sock,
        .events = sp_list_empty(&l->out) ? POLLIN : POLLOUT,
    };
    polls[POLL_LIMITS] = (struct pollfd){.fd = l->inotify, .events = POLLIN};
    polls[POLL_OOM] = (struct pollfd){.fd = l->oom_events, .events = POLLIN};
    SP_LIST_EACH (box, &l->boxes, struct sp_box, list) {
        polls[n++] = (struct pollfd){.fd = box->ctl, .events = POLLIN};
        polls[n++] = (struct pollfd){.fd = box->pidfd, .events = POLLIN};
        polls[n++] = (struct pollfd){.fd = box->data.pidfd, .events = POLLIN};
    }
    return n;
}

static void on_box(struct sp_launcher *l, struct sp_box *box, const struct pollfd *its)
{
    if (its[0].revents && box->ctl >= 0)
        sp_box_on_ctl(l, box);
    if (its[2].revents)
        sp_box_on_data(l, box);
    if (its[1].revents)
        sp_box_on_exit(l, box);
}

static void dispatch(struct sp_launcher *l, const struct pollfd *polls, size_t n)
{
    const struct pollfd *at = polls + POLL_BOXES, *end = polls + n, *daemon = polls + POLL_DAEMON;

    if (polls[POLL_LIMITS].revents)
        sp_watch_on_inotify(l);
    if (polls[POLL_OOM].revents)
        sp_watch_on_oom(l);
    /*
     * Ends before requests: a stop never waits behind a start. New boxes go to the list's end, and
     * one that is made in here, for a start's second attempt, was not polled.
     */
    SP_LIST_EACH (box, &l->boxes, struct sp_box, list) {
        if (at == end)
            break;
        on_box(l, box, at); /* may free it */
        at += 3;
    }
    if (polls[POLL_NETWORK].revents && l->network.sock >= 0)
        sp_launcher_network_read(l);
    if (daemon->revents & (POLLOUT | POLLERR | POLLHUP))
        sp_spacesd_flush(l);
    if (daemon->revents & (POLLIN | POLLERR | POLLHUP))
        sp_spacesd_read(l);
}

static void turn(struct sp_launcher *l, int timeout)
{
    static struct pollfd polls[POLL_BOXES + 3 * SP_BOXES_MAX];
    size_t n = fill_polls(l, polls);

    if (poll(polls, n, timeout) < 0)
        return;
    dispatch(l, polls, n);
    run_deadlines(l);
    sp_pool_fill(l);
    sp_gpus_turn(l);
}

/* The daemon is gone: nothing of what we started may stay. */
static int end_everything(struct sp_launcher *l)
{
    uint64_t deadline = sp_clock_mono_ms() + CLOSE_WAIT_MS;
    struct sp_error err = {0};
    char name[40];

    SP_LIST_EACH (box, &l->boxes, struct sp_box, list)
        sp_box_kill(l, box);
    while (!sp_list_empty(&l->boxes) && sp_clock_mono_ms() < deadline) {
        int wait = poll_timeout(l);

        turn(l, wait < 0 || wait > 100 ? 100 : wait);
    }
    sp_launcher_network_end(l);
    sp_gpus_end(l);
    (void)snprintf(name, sizeof(name), "spacesd-%s", l->state_id);
    if ((l->isolate & SP_ISOLATE_LIMITS) &&
        sp_cgroup_sweep(&l->groups, name, SWEEP_WAIT_MS, &err) < 0)
        sp_log(SP_LOG_ERROR, "launcher.not_clean", "err=%s", sp_log_quoted(err.msg));
    return sp_list_empty(&l->boxes) ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct sp_launcher *l = &launcher;
    struct sp_error err = {0};
    uint64_t seed;

    sp_log_set_program("launcher");
    sp_privs_note_arguments(argc, argv);
    if (!parse(l, argc, argv)) {
        sp_log(SP_LOG_ERROR, "launcher.usage",
               "expected=\"--socket-fd N --state DIR --sdk DIR --daemon-uid UID --daemon-gid GID "
               "--state-id HEX16 [--pool N] [--gpu-provider NAME] [--gpu-fake-file FILE] "
               "[--gpu-shared IDS] [--allow-weak] [--network-allowed MODES] "
               "[--run-as-root-inside (for tests only)]\"");
        return 2;
    }
    if (fcntl(l->sock, F_SETFL, O_NONBLOCK) < 0 || fcntl(l->sock, F_SETFD, FD_CLOEXEC) < 0) {
        sp_log(SP_LOG_ERROR, "launcher.socket", "fd=%d", l->sock);
        return 2;
    }
    settle_in();
    l->trace = getenv("SP_LAUNCH_TRACE") != NULL;
    sp_random(&seed, sizeof(seed));
    sp_random(&l->life, sizeof(l->life));
    sp_userns_slots_init(&l->slots, seed);
    sp_list_init(&l->boxes);
    sp_list_init(&l->out);
    l->inotify = l->oom_events = l->devices.base_fd = -1;
    if (prepare(l, &err) < 0) {
        sp_log(SP_LOG_ERROR, "launcher.start_failed", "err=%s", sp_log_quoted(err.msg));
        return 1;
    }
    sp_launcher_network_wait(l);
    while (!l->closing)
        turn(l, poll_timeout(l));
    return end_everything(l);
}
