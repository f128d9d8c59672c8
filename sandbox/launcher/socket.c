/* The way in: an unconnected socket that was made in a sandbox's network namespace. */
#include "sandbox/launcher/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "sandbox/init.h"
#include "sandbox/launcher/launcher-internal.h"

static int note(struct sp_box *box, struct sp_error *err)
{
    struct stat own, its;
    char path[40];

    /* Our child, not reaped: the number is still its own. */
    (void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)box->pid);
    box->netns_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (box->netns_fd < 0 || fstat(box->netns_fd, &its) < 0 || stat("/proc/self/ns/net", &own) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "hold the network namespace");
    if (own.st_dev == its.st_dev && own.st_ino == its.st_ino)
        return sp_error_set(err, SP_ERR_INTERNAL, 0, "the sandbox has no network of its own");
    box->netns_dev = its.st_dev;
    box->netns_ino = its.st_ino;
    return 0;
}

int sp_box_note_netns(const struct sp_launcher *l, struct sp_box *box, struct sp_error *err)
{
    int r = l->isolate & SP_ISOLATE_NET ? note(box, err) : 0;

    if (r < 0) {
        /* Nobody will see its end later: a start that fails here leaves nothing behind. */
        (void)kill(box->pid, SIGKILL);
        (void)waitpid(box->pid, NULL, 0);
    }
    return r;
}

/* Whether the namespace that we are in is that of the sandbox. */
static bool is_inside(const struct sp_box *box)
{
    struct stat now;

    return stat("/proc/self/ns/net", &now) == 0 && now.st_dev == box->netns_dev &&
           now.st_ino == box->netns_ino;
}

int sp_box_make_socket(const struct sp_box *box, int family, int type, int protocol)
{
    SP_AUTO_FD int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int fd, r = 0;

    if (home < 0)
        return -errno;
    if (setns(box->netns_fd, CLONE_NEWNET) < 0)
        return -errno;
    fd = is_inside(box) ? socket(family, type | SOCK_CLOEXEC, protocol) : -1;
    if (fd < 0)
        r = errno ? -errno : -EPERM;
    if (setns(home, CLONE_NEWNET) < 0) {
        /* In the wrong namespace everything after this would be wrong too. */
        sp_log(SP_LOG_ERROR, "launcher.namespace", "errno=%d", errno);
        abort();
    }
    return fd < 0 ? r : fd;
}

void sp_box_socket(struct sp_launcher *l, struct sp_box *box, const struct sp_launch_msg *msg)
{
    struct sp_launch_msg answer;
    struct sp_error err = {0};
    int fd;

    if (box->state != SP_BOX_RUNNING)
        (void)sp_error_set(&err, SP_ERR_CONFLICT, 0, "the sandbox is not running");
    else if (box->netns_fd < 0)
        (void)sp_error_set(&err, SP_ERR_UNAVAILABLE, 0, "the sandbox has no network of its own");
    if (err.kind) {
        sp_spacesd_failed(l, msg->seq, box->id, 0, err.kind, err.msg);
        return;
    }
    fd = sp_box_make_socket(box, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        (void)sp_error_set(&err, SP_ERR_INTERNAL, fd, "make a socket in the sandbox");
        sp_spacesd_failed(l, msg->seq, box->id, 0, err.kind, err.msg);
        return;
    }
    sp_launch_msg_init(&answer, SP_LAUNCH_OK);
    answer.seq = msg->seq;
    answer.sandbox = box->id;
    sp_spacesd_send_fd(l, &answer, fd);
}
