#include "sandbox/network/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"

#define BUF_SIZE  8192
#define PORTS_MAX 1024

struct request {
    union {
        struct nlmsghdr head;
        char buf[1024];
    };
};

int sp_link_open(void)
{
    struct timeval patience = {.tv_sec = 5};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    if (fd >= 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return fd < 0 ? -errno : fd;
}

static struct nlmsghdr *begin(struct request *req, unsigned type, unsigned flags)
{
    struct nlmsghdr *head;

    memset(req, 0, sizeof(*req));
    head = mnl_nlmsg_put_header(req->buf);
    head->nlmsg_type = (uint16_t)type;
    head->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
    return head;
}

static int ask(int nl, struct nlmsghdr *head)
{
    union {
        struct nlmsghdr head;
        char buf[BUF_SIZE];
    } answer;
    static unsigned seq;
    ssize_t n;

    head->nlmsg_seq = ++seq;
    if (send(nl, head, head->nlmsg_len, 0) < 0)
        return -errno;
    do {
        n = recv(nl, &answer, sizeof(answer), 0);
        if (n < 0)
            return -errno;
    } while (answer.head.nlmsg_seq != seq);
    if (answer.head.nlmsg_type != NLMSG_ERROR)
        return -EPROTO;
    return ((struct nlmsgerr *)mnl_nlmsg_get_payload(&answer.head))->error;
}

static struct ifinfomsg *link_body(struct nlmsghdr *head, int family, int index)
{
    struct ifinfomsg *body = mnl_nlmsg_put_extra_header(head, sizeof(*body));

    body->ifi_family = (unsigned char)family;
    body->ifi_index = index;
    return body;
}

int sp_link_no_v6(const char *name)
{
    SP_AUTO_FD int fd = -1;
    char path[80];

    (void)snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno; /* this kernel has no version 6 */
    return write(fd, "1", 1) < 0 ? -errno : 0;
}

int sp_link_find(int nl, const char *name)
{
    unsigned index = if_nametoindex(name);

    (void)nl;
    return index ? (int)index : -errno;
}

int sp_link_remove(int nl, int index)
{
    struct request req;
    struct nlmsghdr *head = begin(&req, RTM_DELLINK, 0);

    (void)link_body(head, AF_UNSPEC, index);
    return ask(nl, head);
}

struct ports {
    int bridge;
    size_t n;
    int index[PORTS_MAX];
};

static int note_port(const struct nlmsghdr *head, void *arg)
{
    const struct ifinfomsg *body = mnl_nlmsg_get_payload(head);
    struct ports *ports = arg;
    const struct nlattr *attr;

    mnl_attr_for_each(attr, head, sizeof(*body))
    {
        if (mnl_attr_get_type(attr) == IFLA_MASTER &&
            (int)mnl_attr_get_u32(attr) == ports->bridge && ports->n < PORTS_MAX)
            ports->index[ports->n++] = body->ifi_index;
    }
    return MNL_CB_OK;
}

static int list_ports(int nl, struct ports *ports)
{
    union {
        struct nlmsghdr head;
        char buf[BUF_SIZE * 4];
    } answer;
    struct request req;
    struct nlmsghdr *head = begin(&req, RTM_GETLINK, NLM_F_DUMP);
    int r = MNL_CB_OK;

    head->nlmsg_flags &= (uint16_t)~NLM_F_ACK;
    (void)link_body(head, AF_UNSPEC, 0);
    if (send(nl, head, head->nlmsg_len, 0) < 0)
        return -errno;
    while (r > MNL_CB_STOP) {
        ssize_t n = recv(nl, &answer, sizeof(answer), 0);

        if (n < 0)
            return -errno;
        r = mnl_cb_run(&answer, (size_t)n, 0, 0, note_port, ports);
    }
    return r < 0 ? -errno : 0;
}

int sp_link_remove_bridge(int nl, const char *name)
{
    static struct ports ports;
    int index = sp_link_find(nl, name), r;

    if (index < 0)
        return 0;
    ports.n = 0;
    ports.bridge = index;
    r = list_ports(nl, &ports);
    for (size_t i = 0; i < ports.n && r == 0; i++) {
        r = sp_link_remove(nl, ports.index[i]);
        r = r == -ENODEV ? 0 : r;
    }
    return r < 0 ? r : sp_link_remove(nl, index);
}

int sp_link_up(int nl, int index)
{
    struct request req;
    struct nlmsghdr *head = begin(&req, RTM_NEWLINK, 0);
    struct ifinfomsg *body = link_body(head, AF_UNSPEC, index);

    body->ifi_flags = body->ifi_change = IFF_UP;
    return ask(nl, head);
}

static int add_addr(int nl, int index, uint32_t addr, unsigned bits)
{
    struct request req;
    struct nlmsghdr *head = begin(&req, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
    struct ifaddrmsg *body = mnl_nlmsg_put_extra_header(head, sizeof(*body));

    body->ifa_family = AF_INET;
    body->ifa_prefixlen = (unsigned char)bits;
    body->ifa_index = (unsigned)index;
    mnl_attr_put_u32(head, IFA_LOCAL, htonl(addr));
    mnl_attr_put_u32(head, IFA_ADDRESS, htonl(addr));
    return ask(nl, head);
}

/* Asks for the new interface `name`; it gets no address of version 6. */
static int make(int nl, struct nlmsghdr *head, const char *name, int *ret_index)
{
    int r = ask(nl, head);

    if (r == 0)
        r = sp_link_find(nl, name);
    if (r < 0)
        return r;
    *ret_index = r;
    return sp_link_no_v6(name);
}

int sp_link_add_bridge(int nl, const char *name, const uint8_t mac[SP_MAC_LEN], uint32_t addr,
                       unsigned bits, int *ret_index)
{
    struct request req;
    struct nlmsghdr *head = begin(&req, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    struct nlattr *info, *data;
    int r;

    (void)link_body(head, AF_UNSPEC, 0);
    mnl_attr_put_strz(head, IFLA_IFNAME, name);
    mnl_attr_put(head, IFLA_ADDRESS, SP_MAC_LEN, mac);
    info = mnl_attr_nest_start(head, IFLA_LINKINFO);
    mnl_attr_put_strz(head, IFLA_INFO_KIND, "bridge");
    data = mnl_attr_nest_start(head, IFLA_INFO_DATA);
    mnl_attr_put_u32(head, IFLA_BR_STP_STATE, 0);
    mnl_attr_put_u8(head, IFLA_BR_MCAST_SNOOPING, 0);
    mnl_attr_nest_end(head, data);
    mnl_attr_nest_end(head, info);
    r = make(nl, head, name, ret_index);
    if (r == 0)
        r = add_addr(nl, *ret_index, addr, bits);
    return r < 0 ? r : sp_link_up(nl, *ret_index);
}

/* Cut off from other ports, and nothing is learned from it or flooded to it. */
static int close_port(int nl, int index)
{
    static const struct {
        unsigned attr;
        uint8_t value;
    } table[] = {
        {IFLA_BRPORT_ISOLATED, 1}, /* no other port hears it */
        {IFLA_BRPORT_LEARNING, 0}, /* no frame moves an address here */
        {IFLA_BRPORT_UNICAST_FLOOD, 0}, {IFLA_BRPORT_MCAST_FLOOD, 0},
        {IFLA_BRPORT_BCAST_FLOOD, 0},   {IFLA_BRPORT_GUARD, 1}, /* not a bridge */
    };
    struct request req;
    struct nlmsghdr *head = begin(&req, RTM_SETLINK, 0);
    struct nlattr *info;

    (void)link_body(head, AF_BRIDGE, index);
    info = mnl_attr_nest_start(head, IFLA_PROTINFO);
    for (size_t i = 0; i < SP_LEN(table); i++)
        mnl_attr_put_u8(head, (uint16_t)table[i].attr, table[i].value);
    mnl_attr_nest_end(head, info);
    return ask(nl, head);
}

int sp_link_add_pair(int nl, const char *name, int bridge, int netns_fd,
                     const uint8_t mac[SP_MAC_LEN], int *ret_index)
{
    struct request req;
    struct nlmsghdr *head = begin(&req, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    struct nlattr *info, *data, *peer;
    int r;

    (void)link_body(head, AF_UNSPEC, 0);
    mnl_attr_put_strz(head, IFLA_IFNAME, name);
    mnl_attr_put_u32(head, IFLA_MASTER, (uint32_t)bridge); /* at once: the sweep finds it by this */
    info = mnl_attr_nest_start(head, IFLA_LINKINFO);
    mnl_attr_put_strz(head, IFLA_INFO_KIND, "veth");
    data = mnl_attr_nest_start(head, IFLA_INFO_DATA);
    peer = mnl_attr_nest_start(head, VETH_INFO_PEER);
    (void)mnl_nlmsg_put_extra_header(head, sizeof(struct ifinfomsg));
    mnl_attr_put_strz(head, IFLA_IFNAME, "eth0");
    mnl_attr_put(head, IFLA_ADDRESS, SP_MAC_LEN, mac);
    mnl_attr_put_u32(head, IFLA_NET_NS_FD, (uint32_t)netns_fd);
    mnl_attr_nest_end(head, peer);
    mnl_attr_nest_end(head, data);
    mnl_attr_nest_end(head, info);
    r = make(nl, head, name, ret_index);
    return r < 0 ? r : close_port(nl, *ret_index);
}

static int add_neighbour(int nl, int index, uint32_t addr, const uint8_t mac[SP_MAC_LEN])
{
    struct request req;
    struct nlmsghdr *head = begin(&req, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
    struct ndmsg *body = mnl_nlmsg_put_extra_header(head, sizeof(*body));

    body->ndm_family = AF_INET;
    body->ndm_ifindex = index;
    body->ndm_state = NUD_PERMANENT;
    mnl_attr_put_u32(head, NDA_DST, htonl(addr));
    mnl_attr_put(head, NDA_LLADDR, SP_MAC_LEN, mac);
    return ask(nl, head);
}

int sp_link_pin(int nl, int bridge, int port, uint32_t addr, const uint8_t mac[SP_MAC_LEN])
{
    struct request req;
    struct nlmsghdr *head = begin(&req, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
    struct ndmsg *body = mnl_nlmsg_put_extra_header(head, sizeof(*body));
    int r;

    body->ndm_family = AF_BRIDGE;
    body->ndm_ifindex = port;
    body->ndm_state = NUD_NOARP;
    body->ndm_flags = NTF_MASTER;
    mnl_attr_put(head, NDA_LLADDR, SP_MAC_LEN, mac);
    r = ask(nl, head);
    return r < 0 ? r : add_neighbour(nl, bridge, addr, mac);
}

static int add_way_out(int nl, int index, uint32_t gateway)
{
    struct request req;
    struct nlmsghdr *head = begin(&req, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
    struct rtmsg *body = mnl_nlmsg_put_extra_header(head, sizeof(*body));

    body->rtm_family = AF_INET;
    body->rtm_table = RT_TABLE_MAIN;
    body->rtm_protocol = RTPROT_STATIC;
    body->rtm_scope = RT_SCOPE_UNIVERSE;
    body->rtm_type = RTN_UNICAST;
    body->rtm_flags = RTNH_F_ONLINK; /* nothing else is on this link: our address is alone there */
    mnl_attr_put_u32(head, RTA_GATEWAY, htonl(gateway));
    mnl_attr_put_u32(head, RTA_OIF, (uint32_t)index);
    return ask(nl, head);
}

int sp_link_set_up_inside(int nl, uint32_t addr, uint32_t gateway,
                          const uint8_t gateway_mac[SP_MAC_LEN])
{
    int index = sp_link_find(nl, "eth0"), r;

    if (index < 0)
        return index;
    r = sp_link_no_v6("eth0");
    if (r == 0)
        r = add_addr(nl, index, addr, 32);
    if (r == 0)
        r = sp_link_up(nl, index);
    if (r == 0)
        r = add_neighbour(nl, index, gateway, gateway_mac);
    return r < 0 ? r : add_way_out(nl, index, gateway);
}
