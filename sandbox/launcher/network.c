/* Where each sandbox stands with the process that makes networks. Asks; never waits for it. */
#include "sandbox/launcher/network.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/inet.h"
#include "base/log.h"
#include "base/str.h"
#include "sandbox/init.h"
#include "sandbox/launcher/launcher-internal.h"
#include "sandbox/packet.h"

#define START_WAIT_MS 5000
#define END_WAIT_MS   8000

static const char *const mode_names[] = {"none", "outbound", "allow-list"};

bool sp_launcher_network_option(struct sp_launcher *l, int opt, const char *arg)
{
    struct sp_network_options *o = &l->network.options;
    uint64_t n;

    switch (opt) {
    case SP_OPT_NETWORK_ALLOWED: return sp_network_parse_modes(arg, &o->modes, NULL) == 0;
    case SP_OPT_NETWORK_RANGE:
        return sp_network_parse_range(arg, &o->range, &o->range_bits, NULL) == 0;
    case SP_OPT_NETWORK_DNS:
        return sp_network_parse_servers(arg, o->servers, &o->n_servers, NULL) == 0;
    case SP_OPT_NETWORK_CONNECTIONS:
        if (!sp_parse_u64(sp_slice_str(arg), 65535, &n) || n == 0)
            return false;
        o->connections = (unsigned)n;
        return true;
    case SP_OPT_NETWORK_PROXY:
        return sp_network_parse_proxy(arg, &o->proxy, &o->proxy_port, NULL) == 0;
    default: return false;
    }
}

/* spaces-resolver lies where we do. */
static void find_resolver(char *ret, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", ret, size - 1);
    char *slash;

    ret[n > 0 ? n : 0] = '\0';
    slash = strrchr(ret, '/');
    n = slash ? slash - ret : 0;
    (void)snprintf(ret + n, size - (size_t)n, "/spaces-resolver");
}

void sp_launcher_network_start(struct sp_launcher *l)
{
    struct sp_launcher_network *net = &l->network;
    struct sp_error err = {0};

    if (geteuid() == 0)
        sp_network_sweep(l->state_id);
    net->sock = -1;
    if (net->options.modes == 1u << SP_LAUNCH_NETWORK_NONE)
        return;
    memcpy(net->options.state_id, l->state_id, sizeof(net->options.state_id));
    (void)sp_inet_text(sp_network_gateway(&net->options), l->rootfs.nameserver);
    find_resolver(net->options.resolver, sizeof(net->options.resolver));
    if (sp_network_start(&net->options, &net->sock, &net->pid, &err) < 0)
        (void)snprintf(net->why, sizeof(net->why), "%.300s", err.msg);
    else
        (void)snprintf(net->why, sizeof(net->why), "it is being set up");
}

int sp_box_network_may(const struct sp_launcher *l, const struct sp_launch_msg *msg,
                       struct sp_error *err)
{
    uint32_t mode = msg->sandbox_start.network;

    if (mode == SP_LAUNCH_NETWORK_NONE)
        return 0;
    if (!(l->network.options.modes & 1u << mode))
        return sp_error_set(err, SP_ERR_DENIED, 0,
                            "network '%s' is not allowed on this host (see network.allowed)",
                            mode_names[mode]);
    if (!(l->isolate & SP_ISOLATE_NET) || !(l->isolate & SP_ISOLATE_MOUNT))
        return sp_error_set(err, SP_ERR_UNAVAILABLE, 0,
                            "this host cannot isolate a network: only 'none' can be had");
    if (l->network.why[0])
        return sp_error_set(err, SP_ERR_UNAVAILABLE, 0, "this host has no network for Spaces: %s",
                            l->network.why);
    return 0;
}

static int tell(struct sp_launcher *l, enum sp_network_kind kind, const struct sp_box *box, int fd)
{
    struct sp_network_msg msg;

    memset(&msg, 0, sizeof(msg));
    msg.kind = kind;
    msg.box = box ? box->id : 0;
    if (kind == SP_NETWORK_ATTACH) {
        msg.mode = box->network;
        memcpy(msg.text, box->allow, sizeof(msg.text));
    }
    return sp_packet_send(l->network.sock, &msg, sizeof(msg), &fd, fd >= 0 ? 1 : 0);
}

int sp_box_network_ask(struct sp_launcher *l, struct sp_box *box, struct sp_error *err)
{
    int r;

    if (box->network == SP_LAUNCH_NETWORK_NONE)
        return 0;
    r = l->network.sock < 0 ? -EPIPE : tell(l, SP_NETWORK_ATTACH, box, box->netns_fd);
    if (r < 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, r, "ask for a network");
    box->net = SP_BOX_NET_ASKED;
    return 0;
}

bool sp_box_network_holds(struct sp_box *box, const char *times)
{
    if (box->net != SP_BOX_NET_ASKED)
        return false;
    box->is_ready = true;
    (void)snprintf(box->ready_times, sizeof(box->ready_times), "%.299s", times);
    return true;
}

bool sp_box_network_gone(struct sp_launcher *l, struct sp_box *box)
{
    if (box->net == SP_BOX_NET_NONE || l->network.sock < 0)
        return true;
    if (box->net == SP_BOX_NET_LEAVING)
        return false;
    box->net = SP_BOX_NET_LEAVING;
    /* Full: as long as it reads nothing, nothing can be said. It is asked again. */
    if (tell(l, SP_NETWORK_DETACH, box, -1) < 0)
        box->net = SP_BOX_NET_ON;
    return false;
}

/* --- what it says --- */

static void attached(struct sp_launcher *l, struct sp_box *box)
{
    if (box->net != SP_BOX_NET_ASKED)
        return;
    box->net = SP_BOX_NET_ON;
    if (box->is_ready && box->state == SP_BOX_STARTING)
        sp_box_ready(l, box, box->ready_times);
}

static void refused(struct sp_launcher *l, struct sp_box *box, const char *text)
{
    if (box->net != SP_BOX_NET_ASKED)
        return;
    box->net = SP_BOX_NET_NONE;
    box->fail_kind = SP_ERR_UNAVAILABLE;
    (void)snprintf(box->fail_text, sizeof(box->fail_text), "network: %.400s", text);
    sp_box_kill(l, box);
}

static void on_message(struct sp_launcher *l, const struct sp_network_msg *msg)
{
    struct sp_box *box = msg->box ? sp_box_find(l, msg->box) : NULL;

    switch (msg->kind) {
    case SP_NETWORK_READY: l->network.why[0] = '\0'; break;
    case SP_NETWORK_FAILED:
        (void)snprintf(l->network.why, sizeof(l->network.why), "%.300s", msg->text);
        l->network.failed = true;
        sp_log(SP_LOG_WARN, "launcher.no_network", "err=%s", sp_log_quoted(msg->text));
        break;
    case SP_NETWORK_ATTACHED:
        if (box)
            attached(l, box);
        break;
    case SP_NETWORK_REFUSED:
        if (box)
            refused(l, box, msg->text);
        break;
    case SP_NETWORK_DETACHED:
        if (box && box->net == SP_BOX_NET_LEAVING) {
            box->net = SP_BOX_NET_NONE;
            if (box->state == SP_BOX_REMOVING)
                sp_box_on_time(l, box);
        }
        break;
    default: break;
    }
}

static void lost(struct sp_launcher *l)
{
    struct sp_launcher_network *net = &l->network;

    sp_auto_fd(&net->sock);
    net->sock = -1;
    (void)kill(net->pid, SIGKILL);
    (void)waitpid(net->pid, NULL, 0);
    if (net->failed || l->closing)
        return;
    /* The filter stands, but names and new networks are gone: better a new life than half of one.
     */
    sp_log(SP_LOG_ERROR, "launcher.network_lost", "pid=%d", (int)net->pid);
    l->closing = true;
}

void sp_launcher_network_read(struct sp_launcher *l)
{
    static struct sp_network_msg msg;
    size_t n_fds;
    int fd = -1;

    for (;;) {
        int r = sp_packet_recv(l->network.sock, &msg, sizeof(msg), &fd, 0, &n_fds);

        if (r == -EAGAIN)
            return;
        if (r <= 0) {
            lost(l);
            return;
        }
        msg.text[sizeof(msg.text) - 1] = '\0';
        on_message(l, &msg);
    }
}

void sp_launcher_network_wait(struct sp_launcher *l)
{
    struct pollfd answer = {.fd = l->network.sock, .events = POLLIN};

    while (l->network.sock >= 0 && l->network.why[0] && !l->network.failed &&
           poll(&answer, 1, START_WAIT_MS) > 0)
        sp_launcher_network_read(l);
}

void sp_launcher_network_end(struct sp_launcher *l)
{
    struct sp_launcher_network *net = &l->network;
    struct pollfd poll_end = {.fd = net->sock, .events = POLLIN};

    if (net->sock < 0)
        return;
    if (tell(l, SP_NETWORK_END, NULL, -1) == 0)
        while (net->sock >= 0 && poll(&poll_end, 1, END_WAIT_MS) > 0)
            sp_launcher_network_read(l);
    if (net->sock >= 0)
        lost(l);
}
