#include "sandbox/launcher/data.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "sandbox/image.h"
#include "sandbox/launcher/launcher-internal.h"
#include "sandbox/packet.h"

struct answer {
    struct sp_error err; /* why not; otherwise a mount goes with it */
    bool failed;
};

void sp_box_data_init(struct sp_box_data *data)
{
    *data = (struct sp_box_data){.pidfd = -1, .sock = -1, .mount_fd = -1};
}

static void restore_signals(void)
{
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};

    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        (void)signal(ignored[i], SIG_DFL);
}

/*
 * Nothing else of the launcher stays open in the child: another sandbox's control socket must end
 * when the launcher closes it. The three go to 3, 4 and 5 by way of numbers above.
 */
static void keep_three(int *folder, int *idmap, int *sock)
{
    int high[3] = {fcntl(*folder, F_DUPFD_CLOEXEC, 16),
                   *idmap < 0 ? -1 : fcntl(*idmap, F_DUPFD_CLOEXEC, 16),
                   fcntl(*sock, F_DUPFD_CLOEXEC, 16)};

    *folder = dup3(high[0], 3, O_CLOEXEC);
    *idmap = high[1] < 0 ? -1 : dup3(high[1], 4, O_CLOEXEC);
    *sock = dup3(high[2], 5, O_CLOEXEC);
    (void)close_range(6, ~0u, 0);
}

static void child(struct sp_image image, int sock) __attribute__((noreturn));
static void child(struct sp_image image, int sock)
{
    struct answer answer = {0};
    int mount_fd = -1;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)setsid();
    restore_signals();
    keep_three(&image.folder_fd, &image.idmap_fd, &sock);
    answer.failed = sp_image_mount(&image, &mount_fd, &answer.err) < 0;
    _exit(sp_packet_send(sock, &answer, sizeof(answer), &mount_fd, answer.failed ? 0 : 1) < 0);
}

int sp_box_data_start(const struct sp_launcher *l, struct sp_box *box, struct sp_error *err)
{
    struct sp_image image = {
        .space = box->space,
        .bytes = box->limits.data_bytes,
        .inodes = box->limits.data_inodes,
        .uid = l->daemon_uid,
        .gid = l->daemon_gid,
        .idmap_fd = box->idmap_fd,
    };
    SP_AUTO_FD int folder = -1, ours = -1, theirs = -1;
    int pair[2], r;
    pid_t pid;

    r = sp_image_possible(err);
    if (r < 0)
        return sp_error_wrap(err, "this host offers no '/data'");
    r = sp_state_folder(l, "data", &folder, err);
    if (r < 0)
        return r;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "make a socket");
    ours = pair[0];
    theirs = pair[1];
    image.folder_fd = folder;
    pid = fork();
    if (pid == 0)
        child(image, theirs);
    if (pid < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "fork");
    box->data.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (box->data.pidfd < 0) { /* no descriptor is left: without it nobody would reap the child */
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "watch the child");
    }
    box->data.pid = pid;
    box->data.sock = SP_TAKE_FD(ours);
    return 0;
}

int sp_box_data_end(struct sp_box *box, struct sp_error *err)
{
    struct sp_box_data *data = &box->data;
    struct answer answer;
    size_t n_fds = 0;
    int r;

    while (waitpid(data->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    data->pid = 0;
    sp_auto_fd(&data->pidfd);
    data->pidfd = -1;
    (void)fcntl(data->sock, F_SETFL, O_NONBLOCK);
    r = sp_packet_recv(data->sock, &answer, sizeof(answer), &data->mount_fd, 1, &n_fds);
    sp_auto_fd(&data->sock);
    data->sock = -1;
    if (r <= 0) {
        data->mount_fd = -1; /* -EPROTO has closed it */
        return sp_error_set(err, SP_ERR_UNAVAILABLE, 0, "prepare '/data': it was interrupted");
    }
    answer.err.msg[sizeof(answer.err.msg) - 1] = '\0';
    if (answer.failed)
        return sp_error_set(err, answer.err.kind, 0, "prepare '/data': %.400s", answer.err.msg);
    return n_fds == 1 ? 0 : sp_error_set(err, SP_ERR_INTERNAL, 0, "prepare '/data': no mount came");
}

void sp_box_data_kill(const struct sp_box *box)
{
    if (box->data.pid)
        (void)syscall(SYS_pidfd_send_signal, box->data.pidfd, SIGKILL, NULL, 0);
}

void sp_box_data_done(struct sp_box_data *data)
{
    sp_auto_fd(&data->mount_fd);
    sp_auto_fd(&data->pidfd);
    sp_auto_fd(&data->sock);
    sp_box_data_init(data);
}
