/* One dump of the table, narrowed by the kernel to one source, and a deletion for each line. */
#include "sandbox/network/conntrack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"

#define BY_SOURCE 1u /* CTA_FILTER_ORIG_FLAGS: the kernel's name for it is in no header for us */
#define TUPLE_MAX 128

struct request {
    union {
        struct nlmsghdr head;
        char buf[512];
    };
};

struct forget {
    uint32_t wire; /* the source, in network order */
    int nl;        /* for deletions: the dump goes on meanwhile */
    int result;
};

static int open_socket(void)
{
    struct timeval patience = {.tv_sec = 5};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return fd;
}

static struct nlmsghdr *begin(struct request *req, unsigned type, unsigned flags)
{
    struct nlmsghdr *head;
    struct nfgenmsg *body;

    memset(req, 0, sizeof(*req));
    head = mnl_nlmsg_put_header(req->buf);
    head->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
    head->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    body = mnl_nlmsg_put_extra_header(head, sizeof(*body));
    body->nfgen_family = AF_INET;
    body->version = NFNETLINK_V0;
    return head;
}

static const struct nlattr *find(const struct nlattr *nest, unsigned type)
{
    const struct nlattr *attr;

    mnl_attr_for_each_nested(attr, nest)
    {
        if (mnl_attr_get_type(attr) == type)
            return attr;
    }
    return NULL;
}

/* A kernel that knows no such filter gives everybody's. */
static bool comes_from(const struct nlattr *tuple, uint32_t wire)
{
    const struct nlattr *ip = find(tuple, CTA_TUPLE_IP);
    const struct nlattr *source = ip ? find(ip, CTA_IP_V4_SRC) : NULL;

    return source && mnl_attr_get_payload_len(source) == sizeof(wire) &&
           mnl_attr_get_u32(source) == wire;
}

static int delete_one(int nl, const struct nlattr *tuple, const struct nlattr *id,
                      const struct nlattr *zone)
{
    struct request req, answer;
    struct nlmsghdr *head = begin(&req, IPCTNL_MSG_CT_DELETE, NLM_F_ACK);
    ssize_t n;

    if (mnl_attr_get_payload_len(tuple) > TUPLE_MAX)
        return -EPROTO;
    mnl_attr_put(head, NLA_F_NESTED | CTA_TUPLE_ORIG, mnl_attr_get_payload_len(tuple),
                 mnl_attr_get_payload(tuple));
    if (id) /* another one may have come in its place */
        mnl_attr_put_u32(head, CTA_ID, mnl_attr_get_u32(id));
    if (zone)
        mnl_attr_put_u16(head, CTA_ZONE, mnl_attr_get_u16(zone));
    if (send(nl, head, head->nlmsg_len, 0) < 0)
        return -errno;
    n = recv(nl, &answer, sizeof(answer), 0);
    if (n < 0)
        return -errno;
    if (!mnl_nlmsg_ok(&answer.head, (int)n) || answer.head.nlmsg_type != NLMSG_ERROR)
        return -EPROTO;
    return ((struct nlmsgerr *)mnl_nlmsg_get_payload(&answer.head))->error;
}

static int on_entry(const struct nlmsghdr *head, void *arg)
{
    const struct nlattr *attr, *tuple = NULL, *id = NULL, *zone = NULL;
    struct forget *forget = arg;
    int r;

    mnl_attr_for_each(attr, head, sizeof(struct nfgenmsg))
    {
        switch (mnl_attr_get_type(attr)) {
        case CTA_TUPLE_ORIG: tuple = attr; break;
        case CTA_ID: id = attr; break;
        case CTA_ZONE: zone = attr; break;
        default: break;
        }
    }
    if (!tuple || !comes_from(tuple, forget->wire))
        return MNL_CB_OK;
    r = delete_one(forget->nl, tuple, id, zone);
    if (r < 0 && r != -ENOENT) /* its time was over meanwhile */
        forget->result = r;
    return MNL_CB_OK;
}

static int ask_for_entries(int nl, uint32_t wire)
{
    struct request req;
    struct nlmsghdr *head = begin(&req, IPCTNL_MSG_CT_GET, NLM_F_DUMP);
    struct nlattr *tuple, *ip, *filter;

    tuple = mnl_attr_nest_start(head, CTA_TUPLE_ORIG);
    ip = mnl_attr_nest_start(head, CTA_TUPLE_IP);
    mnl_attr_put_u32(head, CTA_IP_V4_SRC, wire);
    mnl_attr_nest_end(head, ip);
    mnl_attr_nest_end(head, tuple);
    filter = mnl_attr_nest_start(head, CTA_FILTER);
    mnl_attr_put_u32(head, CTA_FILTER_ORIG_FLAGS, BY_SOURCE);
    mnl_attr_put_u32(head, CTA_FILTER_REPLY_FLAGS, 0);
    mnl_attr_nest_end(head, filter);
    return send(nl, head, head->nlmsg_len, 0) < 0 ? -errno : 0;
}

int sp_conntrack_forget(uint32_t addr)
{
    SP_AUTO_FD int dump = open_socket(), deletions = open_socket();
    struct forget forget = {.wire = htonl(addr), .nl = deletions};
    union {
        struct nlmsghdr head;
        char buf[32768];
    } answer;
    int r;

    if (dump < 0 || deletions < 0)
        return dump < 0 ? dump : deletions;
    r = ask_for_entries(dump, forget.wire);
    if (r < 0)
        return r;
    do {
        ssize_t n = recv(dump, &answer, sizeof(answer), 0);

        if (n < 0)
            return -errno;
        r = mnl_cb_run(&answer, (size_t)n, 0, 0, on_entry, &forget);
    } while (r > MNL_CB_STOP);
    return r < 0 ? -errno : forget.result;
}
