/* Tables as text for nft(8). The elements of their sets: filter_set.c. */
#include "sandbox/network/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/inet.h"
#include "base/mem.h"

#define TEXT_MAX 8192

/*
 * $T table, $B bridge, $V how its ports' names begin, $G gateway, $R range, $N not public, $C
 * connections, $P the proxy's rule. Priorities are before others' (raw before connection tracking;
 * filter - 10), so that a rule of the host which accepts everything does not come first; an accept
 * of ours decides for no other.
 */
static const char rules[] =
    "table inet $T\n"
    "delete table inet $T\n"
    "table inet $T {\n"
    "  set outbound { type ipv4_addr; size 1024; }\n"
    "  set listed { type ipv4_addr; size 1024; }\n"
    "  set opened { type ipv4_addr . ipv4_addr; flags timeout; size 65536; }\n"
    "  set closed { type ipv4_addr; flags interval; elements = { $N } }\n"
    "  set counts { type ipv4_addr; size 65536; flags dynamic; }\n"
    "  set rates { type ipv4_addr; size 65536; flags dynamic,timeout; timeout 1m; }\n"
    "  set asks { type ipv4_addr; size 65536; flags dynamic,timeout; timeout 1m; }\n"
    /* What is over is no connection to the cap below; this bounds how long the host keeps it. */
    "  ct timeout ended { protocol tcp; l3proto ip; policy = { time_wait: 10, close: 5 }; }\n"
    "  chain early {\n" /* before anything is tracked: what is dropped here costs no entry */
    "    type filter hook prerouting priority raw; policy accept;\n"
    "    iifname != \"$B\" return\n"
    "    meta nfproto != ipv4 drop\n"
    "    ip daddr $G udp dport 53 update @asks { ip saddr limit rate over 200/second burst 400 "
    "packets } drop\n"
    "    ip daddr $G udp dport 53 notrack accept\n"
    "$P"
    "    fib daddr type != unicast drop\n" /* every address of the host, broadcast, multicast */
    "    ip daddr @closed drop\n"
    "    meta l4proto != { tcp, udp } drop\n"
    "    ip saddr @outbound accept\n"
    "    ip saddr != @listed drop\n"
    "  }\n"
    "  chain answers {\n"
    "    type filter hook output priority raw; policy accept;\n"
    "    oifname \"$B\" udp sport 53 notrack\n"
    "  }\n"
    "  chain to_host {\n"
    "    type filter hook input priority filter - 10; policy accept;\n"
    "    iifname \"$B\" ip daddr $G udp dport 53 accept\n"
    "    iifname \"$B\" drop\n"
    "  }\n"
    "  chain through {\n"
    "    type filter hook forward priority filter - 10; policy accept;\n"
    "    iifname \"$B\" oifname \"$B\" drop\n"
    "    oifname \"$B\" ct state established,related accept\n"
    "    oifname \"$B\" drop\n"
    "    iifname \"$B\" jump out\n"
    "  }\n"
    "  chain out {\n"
    "    ct state established,related accept\n"
    "    ct state invalid drop\n"
    "    ip saddr @listed ip saddr . ip daddr != @opened drop\n"
    "    update @rates { ip saddr limit rate over 100/second burst 200 packets } drop\n"
    "    add @counts { ip saddr ct count over $C } drop\n"
    "    meta l4proto tcp ct timeout set \"ended\"\n"
    "    accept\n"
    "  }\n"
    "  chain leave {\n"
    "    type nat hook postrouting priority srcnat; policy accept;\n"
    "    ip saddr $R oifname != \"$B\" masquerade\n"
    "  }\n"
    "}\n"
    "table bridge $T\n"
    "delete table bridge $T\n"
    "table bridge $T {\n"
    "  set ports { type ifname . ether_addr . ipv4_addr; size 1024; }\n"
    "  chain frames {\n" /* one port, one mac, one address; ARP, DHCP, version 6 and the rest: no */
    "    type filter hook prerouting priority -300; policy accept;\n"
    "    iifname != \"$V*\" accept\n"
    "    ether type != ip drop\n"
    "    iifname . ether saddr . ip saddr != @ports drop\n"
    "  }\n"
    "}\n";

struct text {
    char buf[TEXT_MAX];
    size_t len;
};

static void add(struct text *text, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *text, const char *fmt, ...)
{
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(text->buf + text->len, sizeof(text->buf) - text->len, fmt, args);
    va_end(args);
    if (n > 0 && text->len + (size_t)n < sizeof(text->buf))
        text->len += (size_t)n;
}

static void add_not_public(struct text *text)
{
    char addr[SP_INET_TEXT];

    for (size_t i = 0; i < sp_inet_n_not_public; i++)
        add(text, "%s%s/%u", i ? ", " : "", sp_inet_text(sp_inet_not_public[i].addr, addr),
            sp_inet_not_public[i].bits);
}

/* Spaces with an allow-list do not get to the proxy: behind it there would be no list. */
static void add_proxy(struct text *text, const struct sp_network_options *options)
{
    char addr[SP_INET_TEXT];

    if (options->proxy)
        add(text, "    ip saddr @outbound ip daddr %s tcp dport %u accept\n",
            sp_inet_text(options->proxy, addr), options->proxy_port);
}

static void fill(struct text *text, const struct sp_filter *filter,
                 const struct sp_network_options *options, const char *bridge, const char *ports)
{
    char addr[SP_INET_TEXT];

    for (const char *p = rules; *p; p++) {
        if (*p != '$') {
            add(text, "%c", *p);
            continue;
        }
        switch (*++p) {
        case 'T': add(text, "%s", filter->table); break;
        case 'V': add(text, "%s", ports); break;
        case 'B': add(text, "%s", bridge); break;
        case 'G': add(text, "%s", sp_inet_text(sp_network_gateway(options), addr)); break;
        case 'R':
            add(text, "%s/%u", sp_inet_text(options->range, addr), options->range_bits);
            break;
        case 'C': add(text, "%u", options->connections); break;
        case 'N': add_not_public(text); break;
        default: add_proxy(text, options); break;
        }
    }
}

static _Noreturn void exec_nft(int in, int out)
{
    static const char *const paths[] = {"/usr/sbin/nft", "/sbin/nft"};
    const char *const argv[] = {"nft", "-f", "-", NULL}, *const env[] = {"LC_ALL=C", NULL};

    if (dup2(in, 0) == 0 && dup2(out, 1) == 1 && dup2(out, 2) == 2)
        for (size_t i = 0; i < SP_LEN(paths); i++)
            (void)execve(paths[i], (char *const *)argv, (char *const *)env);
    _exit(errno == ENOENT ? 127 : 126);
}

/* Runs nft on a text that fits a pipe; its first words when it does not like it. */
static int run_nft(const struct text *text, struct sp_error *err)
{
    SP_AUTO_FD int in_read = -1, in_write = -1, out_read = -1, out_write = -1;
    char said[200] = "";
    int in[2], out[2], status = 0;
    ssize_t n;
    pid_t pid;

    if (pipe2(in, O_CLOEXEC) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "make a pipe for nft");
    in_read = in[0], in_write = in[1];
    if (pipe2(out, O_CLOEXEC) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "make a pipe for nft");
    out_read = out[0], out_write = out[1];
    if (sp_write_all(in_write, text->buf, text->len) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "write to nft");
    pid = fork();
    if (pid == 0)
        exec_nft(in_read, out_write);
    if (pid < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "fork for nft");
    (void)close(SP_TAKE_FD(in_write));
    (void)close(SP_TAKE_FD(out_write));
    n = read(out_read, said, sizeof(said) - 1);
    said[n > 0 ? n : 0] = '\0';
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    said[strcspn(said, "\n")] = '\0';
    return sp_error_set(err, SP_ERR_UNAVAILABLE, 0, "packet filter: %s",
                        WIFEXITED(status) && WEXITSTATUS(status) == 127
                            ? "there is no nft (package nftables)"
                            : said);
}

int sp_filter_build(const struct sp_filter *filter, const struct sp_network_options *options,
                    const char *bridge, const char *ports, struct sp_error *err)
{
    static struct text text;

    text.len = 0;
    fill(&text, filter, options, bridge, ports);
    return run_nft(&text, err);
}
