/* The resolver: a child of ours without any right, which says what names have led to. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/inet.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "sandbox/network/guard-internal.h"

#define NOBODY      65534
#define TTL_LEAST_S 10 /* an app needs a moment to use what it was told */
#define TTL_MOST_S  3600

/* The host's own servers, where the operator names none. */
static size_t servers_of_host(uint32_t *ret)
{
    SP_AUTO_FREE char *text = NULL;
    struct sp_slice rest, line;
    size_t len, n = 0;

    if (sp_file_read(AT_FDCWD, "/etc/resolv.conf", 65536, &text, &len, NULL) < 0)
        return 0;
    rest = sp_slice(text, len);
    while (rest.len && sp_slice_split(&rest, '\n', &line)) {
        char addr[SP_INET_TEXT];
        struct sp_slice value;

        line = sp_slice_trim(line);
        if (!sp_slice_starts(line, "nameserver ") && !sp_slice_starts(line, "nameserver\t"))
            continue;
        value = sp_slice_trim(sp_slice(line.ptr + 11, line.len - 11));
        (void)snprintf(addr, sizeof(addr), "%.*s", value.len < 16 ? (int)value.len : 0, value.ptr);
        if (n < SP_NETWORK_SERVERS && sp_inet_parse(addr, &ret[n]))
            n++;
    }
    return n;
}

static void name_servers(const struct sp_network_options *options, char *ret, size_t size)
{
    uint32_t found[SP_NETWORK_SERVERS];
    const uint32_t *servers = options->n_servers ? options->servers : found;
    size_t n = options->n_servers ? options->n_servers : servers_of_host(found), len = 0;
    char addr[SP_INET_TEXT];

    ret[0] = '\0';
    for (size_t i = 0; i < n && len < size; i++)
        len += (size_t)snprintf(ret + len, size - len, "%s%s", i ? "," : "",
                                sp_inet_text(servers[i], addr));
}

static void lower(int which, rlim_t most)
{
    struct rlimit limit = {most, most};

    (void)setrlimit(which, &limit);
}

/* Nothing of ours goes along but two sockets and the log. */
static _Noreturn void exec_resolver(const struct sp_guard *guard, int sock, const char *servers)
{
    const char *const argv[] = {"spaces-resolver", servers, NULL}, *const env[] = {NULL};
    int high_sock = fcntl(sock, F_DUPFD_CLOEXEC, 10);
    int high_dns = fcntl(guard->dns, F_DUPFD_CLOEXEC, 10);
    int exe = fcntl(guard->resolver_exe, F_DUPFD_CLOEXEC, 10);

    (void)setpriority(PRIO_PROCESS, 0, 5);
    lower(RLIMIT_CORE, 0);
    lower(RLIMIT_NOFILE, 300);
    lower(RLIMIT_FSIZE, 0);
    lower(RLIMIT_AS, (rlim_t)64 << 20);
    if (dup2(high_sock, SP_RESOLVER_SOCK) == SP_RESOLVER_SOCK &&
        dup2(high_dns, SP_RESOLVER_DNS) == SP_RESOLVER_DNS && close_range(5, 9, 0) == 0 &&
        close_range(10, ~0u, CLOSE_RANGE_CLOEXEC) == 0 && chdir("/") == 0 &&
        setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
        setresuid(NOBODY, NOBODY, NOBODY) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0) /* a change of ids takes it away */
        (void)execveat(exe, "", (char *const *)argv, (char *const *)env, AT_EMPTY_PATH);
    sp_log(SP_LOG_ERROR, "network.resolver_exec", "program=%s errno=%d", guard->options->resolver,
           errno);
    _exit(127);
}

int sp_guard_start_resolver(struct sp_guard *guard, struct sp_error *err)
{
    char servers[SP_NETWORK_SERVERS * SP_INET_TEXT];
    int pair[2];

    name_servers(guard->options, servers, sizeof(servers));
    if (!servers[0])
        return sp_error_set(err, SP_ERR_UNAVAILABLE, 0,
                            "no server for names: none in network.dns nor in /etc/resolv.conf");
    if (guard->resolver_exe < 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -ENOENT, "find '%s'",
                            guard->options->resolver);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "make the resolver's socket");
    sp_guard_make_room(pair[0], sizeof(struct sp_resolver_msg));
    guard->resolver_pid = fork();
    if (guard->resolver_pid == 0)
        exec_resolver(guard, pair[1], servers);
    (void)close(pair[1]);
    if (guard->resolver_pid < 0) {
        (void)close(pair[0]);
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "fork for the resolver");
    }
    guard->resolver = pair[0];
    guard->resolver_at_ms = 0;
    for (size_t i = 0; i < SP_GUARD_BOXES_MAX; i++)
        if (guard->boxes[i].id)
            sp_guard_tell_resolver(guard, &guard->boxes[i], false);
    return 0;
}

void sp_guard_stop_resolver(struct sp_guard *guard)
{
    sp_auto_fd(&guard->resolver);
    guard->resolver = -1;
    if (guard->resolver_pid <= 0)
        return;
    (void)kill(guard->resolver_pid, SIGKILL);
    while (waitpid(guard->resolver_pid, NULL, 0) < 0 && errno == EINTR)
        ;
    guard->resolver_pid = 0;
}

/* It reads what it is told at once; one that does not is ended, and started anew. */
static void tell(struct sp_guard *guard, const struct sp_resolver_msg *msg)
{
    if (guard->resolver < 0 || send(guard->resolver, msg, sizeof(*msg),
                                    MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof(*msg))
        return;
    sp_log(SP_LOG_WARN, "network.resolver_stuck", "errno=%d", errno);
    sp_guard_stop_resolver(guard);
    guard->resolver_at_ms = sp_clock_mono_ms() + SP_GUARD_AGAIN_MS;
}

void sp_guard_tell_resolver(struct sp_guard *guard, const struct sp_guard_box *box, bool forget)
{
    struct sp_resolver_msg msg = {.kind = forget ? SP_RESOLVER_FORGET : SP_RESOLVER_SET,
                                  .space = box->addr,
                                  .listed = box->mode == SP_LAUNCH_NETWORK_ALLOW_LIST};

    memcpy(msg.allow, box->allow, sizeof(msg.allow));
    tell(guard, &msg);
}

/* Opens one address for a listed sandbox; the one that was opened longest ago makes room. */
static void open_address(struct sp_guard *guard, struct sp_guard_box *box, uint32_t addr,
                         uint32_t ttl_s)
{
    unsigned n = box->n_opened < SP_GUARD_OPENED_MAX ? box->n_opened : SP_GUARD_OPENED_MAX, at;
    int r;

    if (!sp_inet_is_public(addr))
        return; /* the resolver has looked; nobody's word is enough here */
    for (at = 0; at < n && box->opened[at] != addr; at++)
        ;
    if (at == n) {
        at = box->n_opened++ % SP_GUARD_OPENED_MAX;
        if (n == SP_GUARD_OPENED_MAX)
            (void)sp_filter_close_address(&guard->filter, box->addr, box->opened[at]);
        box->opened[at] = addr;
    }
    ttl_s = ttl_s < TTL_LEAST_S ? TTL_LEAST_S : ttl_s > TTL_MOST_S ? TTL_MOST_S : ttl_s;
    r = sp_filter_open_address(&guard->filter, box->addr, addr, ttl_s);
    if (r < 0)
        sp_log(SP_LOG_WARN, "network.not_opened", "errno=%d", -r);
}

static void on_report(struct sp_guard *guard, const struct sp_resolver_msg *msg)
{
    struct sp_resolver_msg answer = {.kind = SP_RESOLVER_OPENED, .token = msg->token};

    for (size_t i = 0; i < SP_GUARD_BOXES_MAX; i++) {
        struct sp_guard_box *box = &guard->boxes[i];

        if (!box->id || box->addr != msg->space || box->mode != SP_LAUNCH_NETWORK_ALLOW_LIST)
            continue;
        for (uint32_t k = 0; k < msg->n && k < SP_LEN(msg->addresses); k++)
            open_address(guard, box, msg->addresses[k], msg->ttl);
        tell(guard, &answer);
        return;
    }
}

bool sp_guard_read_resolver(struct sp_guard *guard)
{
    struct sp_resolver_msg msg;
    ssize_t n = recv(guard->resolver, &msg, sizeof(msg), MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n != (ssize_t)sizeof(msg))
        return false;
    if (msg.kind == SP_RESOLVER_REPORT)
        on_report(guard, &msg);
    return true;
}
