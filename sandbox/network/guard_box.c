/* One sandbox: its pair of interfaces, its address, its place in the filter. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/inet.h"
#include "base/log.h"
#include "base/mem.h"
#include "sandbox/network/conntrack.h"
#include "sandbox/network/guard-internal.h"

static struct sp_guard_box *find(struct sp_guard *guard, uint64_t id)
{
    for (size_t i = 0; i < SP_GUARD_BOXES_MAX; i++)
        if (guard->boxes[i].id == id)
            return &guard->boxes[i];
    return NULL;
}

static bool is_taken(const struct sp_guard *guard, uint32_t addr)
{
    for (size_t i = 0; i < SP_GUARD_BOXES_MAX; i++)
        if (guard->boxes[i].id && guard->boxes[i].addr == addr)
            return true;
    return false;
}

/* The next one after the last: what strangers still send to an address is over when it returns. */
static bool take_address(struct sp_guard *guard, uint32_t *ret)
{
    const struct sp_network_options *options = guard->options;
    uint32_t n = (1u << (32 - options->range_bits)) - 3; /* but net, gateway, broadcast */

    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = (guard->last + i) % n, addr = options->range + 2 + at;

        if (is_taken(guard, addr))
            continue;
        guard->last = at + 1;
        *ret = addr;
        return true;
    }
    return false;
}

static int set_up_inside(const struct sp_guard *guard, const struct sp_guard_box *box, int netns_fd)
{
    SP_AUTO_FD int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), nl = -1;
    int r;

    if (home < 0 || setns(netns_fd, CLONE_NEWNET) < 0)
        return -errno;
    nl = sp_link_open();
    r = nl < 0
            ? nl
            : sp_link_set_up_inside(nl, box->addr, sp_network_gateway(guard->options), guard->mac);
    if (setns(home, CLONE_NEWNET) < 0) {
        sp_log(SP_LOG_ERROR, "launcher.namespace", "errno=%d", errno);
        abort(); /* in the wrong namespace everything after this would be wrong too */
    }
    return r;
}

static struct sp_filter_box in_filter(const struct sp_guard_box *box)
{
    return (struct sp_filter_box){.port = box->name,
                                  .mac = box->mac,
                                  .addr = box->addr,
                                  .listed = box->mode == SP_LAUNCH_NETWORK_ALLOW_LIST};
}

static int set_up(struct sp_guard *guard, struct sp_guard_box *box, int netns_fd,
                  struct sp_error *err)
{
    struct sp_filter_box filtered = in_filter(box);
    int r = sp_link_add_pair(guard->nl, box->name, guard->bridge, netns_fd, box->mac, &box->port);

    if (r < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, r, "make a pair of interfaces");
    /* Also of who had it in a life before ours, and had no time to give it back. */
    r = sp_conntrack_forget(box->addr);
    if (r < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, r, "forget the connections of its address");
    r = sp_filter_add_box(&guard->filter, &filtered);
    if (r < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, r, "let it through the packet filter");
    r = sp_link_pin(guard->nl, guard->bridge, box->port, box->addr, box->mac);
    if (r == 0)
        r = sp_link_up(guard->nl, box->port);
    if (r < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, r, "set up its port");
    r = set_up_inside(guard, box, netns_fd);
    return r < 0 ? sp_error_set(err, SP_ERR_INTERNAL, r, "set up its interface") : 0;
}

int sp_guard_attach(struct sp_guard *guard, const struct sp_network_msg *msg, int netns_fd,
                    struct sp_error *err)
{
    struct sp_guard_box *box = find(guard, 0);
    uint32_t wire;
    int r;

    if (!box || find(guard, msg->box))
        return sp_error_set(err, SP_ERR_LIMIT, 0, "no place for another network");
    memset(box, 0, sizeof(*box));
    if (!take_address(guard, &box->addr))
        return sp_error_set(err, SP_ERR_LIMIT, 0, "all addresses of network.range are taken");
    box->id = msg->box;
    box->mode = msg->mode;
    memcpy(box->allow, msg->text, sizeof(box->allow) - 1);
    wire = htonl(box->addr);
    memcpy(box->mac, "\x02\x5a", 2);
    memcpy(box->mac + 2, &wire, sizeof(wire));
    (void)snprintf(box->name, sizeof(box->name), "%.12s%x", guard->port_prefix,
                   (unsigned)(box - guard->boxes));
    r = set_up(guard, box, netns_fd, err);
    if (r < 0)
        sp_guard_detach(guard, msg->box);
    else
        sp_guard_tell_resolver(guard, box, false);
    return r;
}

void sp_guard_detach(struct sp_guard *guard, uint64_t id)
{
    struct sp_guard_box *box = find(guard, id);
    unsigned n;

    if (!box)
        return;
    {
        struct sp_filter_box filtered = in_filter(box);

        sp_guard_tell_resolver(guard, box, true);
        if (box->port > 0)
            (void)sp_link_remove(guard->nl, box->port);
        (void)sp_filter_remove_box(&guard->filter, &filtered);
    }
    (void)sp_conntrack_forget(box->addr); /* who gets it next asks again, and needs it */
    n = box->n_opened < SP_GUARD_OPENED_MAX ? box->n_opened : SP_GUARD_OPENED_MAX;
    for (unsigned i = 0; i < n; i++)
        (void)sp_filter_close_address(&guard->filter, box->addr, box->opened[i]);
    memset(box, 0, sizeof(*box));
}
