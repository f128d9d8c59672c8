/*
 * spaces-resolver: answers the names that Spaces ask for. It holds no right at all: no user of its
 * own that could do anything, no file it may open, two descriptors, and a filter of a few calls.
 *
 *     spaces-resolver 192.0.2.53[,192.0.2.54]     with descriptors 3 and 4: helpers/resolver_msg.h
 *
 * Only addresses are answered. One that is not public spoils the whole answer (a name that leads to
 * a private address is an attack, or none of an app's business). A listed Space hears of an address
 * only when the packet filter has been opened for it.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/inet.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "helpers/dns.h"
#include "helpers/resolver_filter.h"
#include "helpers/resolver_msg.h"

#define SPACES_MAX      512
#define QUERIES_MAX     256 /* under way, of all Spaces */
#define QUERIES_OF_ONE  24  /* under way, of one */
#define RATE            100 /* questions a second of one Space */
#define BURST           200
#define TRY_MS          1500
#define TRIES           3
#define OPEN_MS         3000 /* for the packet filter to be opened */
#define DATAGRAMS_A_RUN 64

struct space {
    uint32_t addr; /* 0 = free */
    bool listed;
    unsigned n_queries;
    unsigned credit; /* in thousandths of a question */
    uint64_t credit_at_ms;
    char allow[SP_RESOLVER_LIST_MAX];
};

struct query {
    int fd; /* to the server; -1 = free, or waiting to be opened */
    bool used;
    struct space *space;
    uint32_t space_addr;
    struct sockaddr_in client;
    struct sp_dns_question question;
    struct sp_dns_answer answer;
    uint16_t id;
    uint32_t token; /* not 0 while it waits to be opened */
    unsigned tries;
    uint64_t deadline_ms;
};

static struct space spaces[SPACES_MAX];
static struct query queries[QUERIES_MAX];
static struct sockaddr_in servers[SP_RESOLVER_SERVERS];
static size_t n_servers;
static uint32_t last_token;

static struct space *find_space(uint32_t addr)
{
    for (size_t i = 0; i < SPACES_MAX; i++)
        if (spaces[i].addr == addr)
            return &spaces[i];
    return NULL;
}

static void end_query(struct query *q)
{
    if (q->fd >= 0)
        (void)close(q->fd);
    if (q->space && q->space->addr == q->space_addr && q->space->n_queries)
        q->space->n_queries--;
    memset(q, 0, sizeof(*q));
    q->fd = -1;
}

static void reply(const struct sockaddr_in *to, const struct sp_dns_question *question,
                  const struct sp_dns_answer *answer)
{
    uint8_t buf[SP_DNS_ANSWER_MAX];
    size_t n = sp_dns_write_answer(buf, question, answer);

    (void)sendto(SP_RESOLVER_DNS, buf, n, MSG_DONTWAIT, (const struct sockaddr *)to, sizeof(*to));
}

static void reply_code(const struct sockaddr_in *to, const struct sp_dns_question *question,
                       unsigned rcode)
{
    struct sp_dns_answer answer = {.rcode = rcode};

    reply(to, question, &answer);
}

/* --- to the servers --- */

/* A socket of its own for each try: a port that nobody can guess, and answers of one server only.
 */
static bool ask_server(struct query *q)
{
    const struct sockaddr_in *server = &servers[q->tries++ % n_servers];
    uint8_t buf[SP_DNS_ANSWER_MAX];
    size_t n;

    if (q->fd >= 0)
        (void)close(q->fd);
    q->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sp_random(&q->id, sizeof(q->id));
    n = sp_dns_write_question(buf, &q->question, q->id);
    q->deadline_ms = sp_clock_mono_ms() + TRY_MS;
    return q->fd >= 0 && connect(q->fd, (const struct sockaddr *)server, sizeof(*server)) == 0 &&
           send(q->fd, buf, n, 0) == (ssize_t)n;
}

static void try_again(struct query *q)
{
    while (q->tries < TRIES)
        if (ask_server(q))
            return;
    reply_code(&q->client, &q->question, SP_DNS_FAILED);
    end_query(q);
}

/* One address that is not public, and the whole answer is not to be trusted. */
static bool all_public(const struct sp_dns_answer *answer)
{
    for (size_t i = 0; i < answer->n; i++)
        if (!sp_inet_is_public(answer->addresses[i]))
            return false;
    return true;
}

/* Tells what a listed name has led to; the answer is kept until the filter is open for it. */
static void report(struct query *q)
{
    struct sp_resolver_msg msg = {.kind = SP_RESOLVER_REPORT,
                                  .space = q->space_addr,
                                  .ttl = q->answer.ttl,
                                  .n = (uint32_t)q->answer.n};

    memcpy(msg.addresses, q->answer.addresses, sizeof(msg.addresses));
    if (++last_token == 0)
        last_token = 1;
    msg.token = q->token = last_token;
    (void)close(q->fd);
    q->fd = -1;
    q->deadline_ms = sp_clock_mono_ms() + OPEN_MS;
    if (send(SP_RESOLVER_SOCK, &msg, sizeof(msg), MSG_DONTWAIT) != (ssize_t)sizeof(msg)) {
        reply_code(&q->client, &q->question, SP_DNS_FAILED);
        end_query(q);
    }
}

static void on_server(struct query *q)
{
    uint8_t buf[SP_DNS_PACKET_MAX];
    ssize_t n = recv(q->fd, buf, sizeof(buf), MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        try_again(q); /* nobody is there */
        return;
    }
    if (!sp_dns_read_answer(buf, (size_t)n, &q->question, q->id, &q->answer))
        return; /* not what was asked for: the right one may still come */
    if (q->answer.rcode != SP_DNS_OK && q->answer.rcode != SP_DNS_NO_NAME) {
        try_again(q);
        return;
    }
    if (!all_public(&q->answer)) {
        reply_code(&q->client, &q->question, SP_DNS_REFUSED);
        end_query(q);
    } else if (q->answer.n && q->space->listed) {
        report(q);
    } else {
        reply(&q->client, &q->question, &q->answer);
        end_query(q);
    }
}

/* --- from the Spaces --- */

static bool within_rate(struct space *space)
{
    uint64_t now = sp_clock_mono_ms(), passed = now - space->credit_at_ms;

    space->credit_at_ms = now;
    if (passed > BURST * 1000 / RATE)
        passed = BURST * 1000 / RATE;
    space->credit += (unsigned)passed * RATE;
    if (space->credit > BURST * 1000)
        space->credit = BURST * 1000;
    if (space->credit < 1000)
        return false;
    space->credit -= 1000;
    return true;
}

static struct query *free_query(const struct space *space)
{
    if (space->n_queries >= QUERIES_OF_ONE)
        return NULL;
    for (size_t i = 0; i < QUERIES_MAX; i++)
        if (!queries[i].used)
            return &queries[i];
    return NULL;
}

static void on_question(struct space *space, const struct sockaddr_in *from, const uint8_t *data,
                        size_t len)
{
    struct sp_dns_question question;
    int code = sp_dns_read_question(data, len, &question);
    struct query *q;

    if (code < 0)
        return;
    if (code == 0 && space->listed && !sp_dns_is_listed(question.name, space->allow))
        code = SP_DNS_NO_NAME;
    else if (code == 0 && question.type != SP_DNS_A && question.type != SP_DNS_AAAA)
        code = SP_DNS_REFUSED;
    /* There is no version 6 in a Space: a name has no such address. */
    if (code || question.type == SP_DNS_AAAA) {
        reply_code(from, &question, (unsigned)code);
        return;
    }
    q = free_query(space);
    if (!q)
        return; /* as if lost on the way: it asks again, later */
    *q = (struct query){.fd = -1,
                        .used = true,
                        .space = space,
                        .space_addr = space->addr,
                        .client = *from,
                        .question = question};
    space->n_queries++;
    try_again(q);
}

static void on_spaces(void)
{
    for (int i = 0; i < DATAGRAMS_A_RUN; i++) {
        uint8_t buf[SP_DNS_ANSWER_MAX];
        struct sockaddr_in from;
        socklen_t size = sizeof(from);
        ssize_t n = recvfrom(SP_RESOLVER_DNS, buf, sizeof(buf), MSG_DONTWAIT,
                             (struct sockaddr *)&from, &size);
        struct space *space;

        if (n < 0)
            return;
        space = from.sin_addr.s_addr ? find_space(ntohl(from.sin_addr.s_addr)) : NULL;
        if (space && within_rate(space))
            on_question(space, &from, buf, (size_t)n);
    }
}

/* --- from who guards the network --- */

static void set_space(const struct sp_resolver_msg *msg)
{
    struct space *space = find_space(msg->space);

    if (!space)
        space = find_space(0);
    if (!space || !msg->space)
        return;
    memset(space, 0, sizeof(*space));
    space->addr = msg->space;
    space->listed = msg->listed != 0;
    space->credit = BURST * 1000;
    space->credit_at_ms = sp_clock_mono_ms();
    memcpy(space->allow, msg->allow, sizeof(space->allow) - 1);
}

static void forget_space(uint32_t addr)
{
    struct space *space = addr ? find_space(addr) : NULL;

    for (size_t i = 0; i < QUERIES_MAX; i++)
        if (queries[i].used && queries[i].space_addr == addr)
            end_query(&queries[i]);
    if (space)
        memset(space, 0, sizeof(*space));
}

static void opened(uint32_t token)
{
    for (size_t i = 0; i < QUERIES_MAX; i++) {
        struct query *q = &queries[i];

        if (!q->used || !token || q->token != token)
            continue;
        reply(&q->client, &q->question, &q->answer);
        end_query(q);
    }
}

/* False at the end of the conversation. */
static bool on_guard(void)
{
    struct sp_resolver_msg msg;
    ssize_t n = recv(SP_RESOLVER_SOCK, &msg, sizeof(msg), MSG_DONTWAIT);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n != (ssize_t)sizeof(msg))
        return false;
    switch (msg.kind) {
    case SP_RESOLVER_SET: set_space(&msg); break;
    case SP_RESOLVER_FORGET: forget_space(msg.space); break;
    case SP_RESOLVER_OPENED: opened(msg.token); break;
    default: break;
    }
    return true;
}

/* --- the loop --- */

static int run_deadlines(void)
{
    uint64_t now = sp_clock_mono_ms(), first = UINT64_MAX;

    for (size_t i = 0; i < QUERIES_MAX; i++) {
        struct query *q = &queries[i];

        if (q->used && now >= q->deadline_ms) {
            if (q->token)
                end_query(q);
            else
                try_again(q);
        }
        if (q->used && q->deadline_ms < first)
            first = q->deadline_ms;
    }
    return first == UINT64_MAX ? -1 : first > now ? (int)(first - now) : 0;
}

static void serve(void)
{
    static struct pollfd polls[2 + QUERIES_MAX];

    for (;;) {
        int timeout = run_deadlines();

        polls[0] = (struct pollfd){.fd = SP_RESOLVER_SOCK, .events = POLLIN};
        polls[1] = (struct pollfd){.fd = SP_RESOLVER_DNS, .events = POLLIN};
        for (size_t i = 0; i < QUERIES_MAX; i++)
            polls[2 + i] = (struct pollfd){.fd = queries[i].fd, .events = POLLIN};
        if (poll(polls, SP_LEN(polls), timeout) < 0)
            continue;
        for (size_t i = 0; i < QUERIES_MAX; i++)
            if (polls[2 + i].revents && queries[i].used && queries[i].fd == polls[2 + i].fd)
                on_server(&queries[i]);
        if (polls[1].revents)
            on_spaces();
        if (polls[0].revents && !on_guard())
            return;
    }
}

static bool parse_servers(const char *text)
{
    struct sp_slice rest = sp_slice_str(text), one;
    char name[SP_INET_TEXT];
    uint32_t addr;

    while (rest.len && sp_slice_split(&rest, ',', &one) && n_servers < SP_LEN(servers)) {
        (void)snprintf(name, sizeof(name), "%.*s", (int)one.len, one.ptr);
        if (!sp_inet_parse(name, &addr))
            return false;
        servers[n_servers++] = (struct sockaddr_in){
            .sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(addr)};
    }
    return n_servers > 0;
}

int main(int argc, char **argv)
{
    sp_log_set_program("resolver");
    (void)signal(SIGPIPE, SIG_IGN);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (argc != 2 || !parse_servers(argv[1])) {
        sp_log(SP_LOG_ERROR, "resolver.usage", "expected=\"spaces-resolver ADDRESS[,ADDRESS]\"");
        return 2;
    }
    for (size_t i = 0; i < QUERIES_MAX; i++)
        queries[i].fd = -1;
    if (sp_resolver_filter() < 0) {
        sp_log(SP_LOG_ERROR, "resolver.filter", "errno=%d", errno);
        return 1;
    }
    serve();
    return 0;
}
