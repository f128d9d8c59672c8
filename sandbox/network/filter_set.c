/* Elements of the filter's sets, and the removal of its tables: nf_tables by netlink. */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/mem.h"
#include "sandbox/network/filter.h"

/* Some changes that become true together or not at all. */
struct batch {
    union {
        struct nlmsghdr head;
        char buf[4096];
    };
    size_t len;
    unsigned seq;
};

struct key {
    uint8_t bytes[32];
    size_t len;
};

static struct nlmsghdr *put(struct batch *b, unsigned type, unsigned flags, unsigned family,
                            unsigned res_id)
{
    struct nlmsghdr *head = mnl_nlmsg_put_header(b->buf + b->len);
    struct nfgenmsg *body;

    head->nlmsg_type = (uint16_t)type;
    head->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    head->nlmsg_seq = ++b->seq;
    body = mnl_nlmsg_put_extra_header(head, sizeof(*body));
    body->nfgen_family = (uint8_t)family;
    body->version = NFNETLINK_V0;
    body->res_id = htons((uint16_t)res_id);
    return head;
}

static void finish(struct batch *b, const struct nlmsghdr *head)
{
    b->len += head->nlmsg_len;
}

static void begin(struct batch *b)
{
    memset(b, 0, sizeof(*b));
    finish(b, put(b, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
}

/* Sends it; 0, or what the kernel said first. */
static int commit(const struct sp_filter *filter, struct batch *b)
{
    union {
        struct nlmsghdr head;
        char buf[8192];
    } answer;
    unsigned last = b->seq; /* the one that asks for an answer */
    int result = 0;

    finish(b, put(b, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
    /* What an earlier batch has left, as after an error: not about this one. */
    while (recv(filter->nl, &answer, sizeof(answer), MSG_DONTWAIT) > 0)
        ;
    if (send(filter->nl, b->buf, b->len, 0) < 0)
        return -errno;
    for (;;) {
        ssize_t n = recv(filter->nl, &answer, sizeof(answer), 0);
        struct nlmsghdr *head = &answer.head;
        int left = (int)n;

        if (n < 0)
            return -errno;
        for (; mnl_nlmsg_ok(head, left); head = mnl_nlmsg_next(head, &left)) {
            int error;

            if (head->nlmsg_type != NLMSG_ERROR)
                continue;
            error = ((struct nlmsgerr *)mnl_nlmsg_get_payload(head))->error;
            if (error < 0)
                return error;
            if (head->nlmsg_seq == last)
                return result;
        }
    }
}

static void key_add(struct key *key, const void *data, size_t len)
{
    memcpy(key->bytes + key->len, data, len);
    key->len += (len + 3) & ~(size_t)3; /* parts of a key begin at words */
}

static void key_addr(struct key *key, uint32_t addr)
{
    uint32_t wire = htonl(addr);

    key_add(key, &wire, sizeof(wire));
}

static void put_element(struct batch *b, const struct sp_filter *filter, bool adds, unsigned family,
                        const char *set, const struct key *key, uint64_t timeout_ms)
{
    struct nlmsghdr *head =
        put(b, NFNL_SUBSYS_NFTABLES << 8 | (adds ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM),
            (adds ? NLM_F_CREATE : 0) | NLM_F_ACK, family, 0);
    struct nlattr *list, *element, *part;

    mnl_attr_put_strz(head, NFTA_SET_ELEM_LIST_TABLE, filter->table);
    mnl_attr_put_strz(head, NFTA_SET_ELEM_LIST_SET, set);
    list = mnl_attr_nest_start(head, NFTA_SET_ELEM_LIST_ELEMENTS);
    element = mnl_attr_nest_start(head, NFTA_LIST_ELEM);
    part = mnl_attr_nest_start(head, NFTA_SET_ELEM_KEY);
    mnl_attr_put(head, NFTA_DATA_VALUE, key->len, key->bytes);
    mnl_attr_nest_end(head, part);
    if (timeout_ms)
        mnl_attr_put_u64(head, NFTA_SET_ELEM_TIMEOUT, htobe64(timeout_ms));
    mnl_attr_nest_end(head, element);
    mnl_attr_nest_end(head, list);
    finish(b, head);
}

static int change_box(struct sp_filter *filter, const struct sp_filter_box *box, bool adds)
{
    struct key source = {.len = 0}, port = {.len = 0};
    char name[IFNAMSIZ] = "";
    struct batch b;

    (void)snprintf(name, sizeof(name), "%s", box->port);
    key_addr(&source, box->addr);
    key_add(&port, name, sizeof(name));
    key_add(&port, box->mac, SP_MAC_LEN);
    key_addr(&port, box->addr);
    begin(&b);
    put_element(&b, filter, adds, NFPROTO_INET, box->listed ? "listed" : "outbound", &source, 0);
    put_element(&b, filter, adds, NFPROTO_BRIDGE, "ports", &port, 0);
    return commit(filter, &b);
}

int sp_filter_add_box(struct sp_filter *filter, const struct sp_filter_box *box)
{
    return change_box(filter, box, true);
}

int sp_filter_remove_box(struct sp_filter *filter, const struct sp_filter_box *box)
{
    return change_box(filter, box, false);
}

int sp_filter_open_address(struct sp_filter *filter, uint32_t box, uint32_t addr, uint32_t ttl_s)
{
    struct key key = {.len = 0};
    int r = -ENOENT;
    struct batch b;

    key_addr(&key, box);
    key_addr(&key, addr);
    /* Adding what is there leaves its time as it was: out and in, together, unless it is not there.
     */
    for (int fresh = 0; fresh < 2 && r == -ENOENT; fresh++) {
        begin(&b);
        if (!fresh)
            put_element(&b, filter, false, NFPROTO_INET, "opened", &key, 0);
        put_element(&b, filter, true, NFPROTO_INET, "opened", &key, ttl_s * 1000ull);
        r = commit(filter, &b);
    }
    return r;
}

int sp_filter_close_address(struct sp_filter *filter, uint32_t box, uint32_t addr)
{
    struct key key = {.len = 0};
    struct batch b;
    int r;

    key_addr(&key, box);
    key_addr(&key, addr);
    begin(&b);
    put_element(&b, filter, false, NFPROTO_INET, "opened", &key, 0);
    r = commit(filter, &b);
    return r == -ENOENT ? 0 : r;
}

static int remove_table(struct sp_filter *filter, unsigned family)
{
    struct nlmsghdr *head;
    struct batch b;
    int r;

    begin(&b);
    head = put(&b, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELTABLE, NLM_F_ACK, family, 0);
    mnl_attr_put_strz(head, NFTA_TABLE_NAME, filter->table);
    finish(&b, head);
    r = commit(filter, &b);
    return r == -ENOENT ? 0 : r;
}

int sp_filter_remove(struct sp_filter *filter)
{
    int inet = remove_table(filter, NFPROTO_INET), bridge = remove_table(filter, NFPROTO_BRIDGE);

    return inet < 0 ? inet : bridge;
}

int sp_filter_open(struct sp_filter *ret, const char *state_id, struct sp_error *err)
{
    struct timeval patience = {.tv_sec = 5};

    (void)snprintf(ret->table, sizeof(ret->table), "spacesd-%.16s", state_id);
    ret->nl = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    if (ret->nl < 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -errno, "talk to the packet filter");
    (void)setsockopt(ret->nl, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return 0;
}

void sp_filter_close(struct sp_filter *filter)
{
    sp_auto_fd(&filter->nl);
    filter->nl = -1;
}
