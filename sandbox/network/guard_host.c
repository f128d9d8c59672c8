/* What is there once for all sandboxes: the bridge, its address, the filter, the socket for DNS. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/inet.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "sandbox/network/conntrack.h"
#include "sandbox/network/guard-internal.h"

/* An interface's name has room for 15: the end of the id, because tests count there. */
void sp_guard_names(const char *state_id, char bridge[IFNAMSIZ], char prefix[IFNAMSIZ])
{
    size_t len = strlen(state_id);

    (void)snprintf(bridge, IFNAMSIZ, "sp%.12s", state_id + (len > 12 ? len - 12 : 0));
    (void)snprintf(prefix, IFNAMSIZ, "sv%.9s-", state_id + (len > 9 ? len - 9 : 0));
}

static int set_sysctl(const char *interface, const char *what, const char *value)
{
    char path[96];
    int fd, r = 0;

    (void)snprintf(path, sizeof(path), "/proc/sys/net/%s", what);
    if (interface)
        (void)snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/%s", interface, what);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (write(fd, value, strlen(value)) < 0)
        r = -errno;
    (void)close(fd);
    return r;
}

/* The interface of the default route, or "" when there is none. */
static void find_uplink(char ret[IFNAMSIZ])
{
    SP_AUTO_FREE char *text = NULL;
    struct sp_slice rest, line;
    size_t len;

    ret[0] = '\0';
    if (sp_file_read(AT_FDCWD, "/proc/net/route", 1 << 20, &text, &len, NULL) < 0)
        return;
    rest = sp_slice(text, len);
    while (rest.len && sp_slice_split(&rest, '\n', &line)) {
        struct sp_slice name, to;

        if (sp_slice_split(&line, '\t', &name) && sp_slice_split(&line, '\t', &to) &&
            sp_slice_eq_str(to, "00000000")) {
            (void)snprintf(ret, IFNAMSIZ, "%.*s", (int)name.len, name.ptr);
            return;
        }
    }
}

/* Answers come in by the uplink: what the host lets through there is the operator's to say. */
static int check_forwarding(struct sp_error *err)
{
    SP_AUTO_FREE char *text = NULL;
    char uplink[IFNAMSIZ], path[96];
    size_t len;

    find_uplink(uplink);
    if (!uplink[0])
        return sp_error_set(err, SP_ERR_UNAVAILABLE, 0, "the host has no default route");
    (void)snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/forwarding", uplink);
    if (sp_file_read(AT_FDCWD, path, 16, &text, &len, NULL) == 0 && text[0] == '1')
        return 0;
    return sp_error_set(err, SP_ERR_UNAVAILABLE, 0,
                        "the host forwards nothing that comes in by '%s': set sysctl "
                        "net.ipv4.conf.%s.forwarding=1",
                        uplink, uplink);
}

static int check_range(const struct sp_network_options *options, struct sp_error *err)
{
    struct ifaddrs *all, *one;
    int r = 0;

    if (getifaddrs(&all) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "list the addresses of the host");
    for (one = all; one && r == 0; one = one->ifa_next) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)one->ifa_addr;
        char text[SP_INET_TEXT];

        if (!in || in->sin_family != AF_INET ||
            !sp_inet_in(ntohl(in->sin_addr.s_addr), options->range, options->range_bits))
            continue;
        r = sp_error_set(err, SP_ERR_CONFLICT, 0,
                         "the range %s/%u has the host's address of '%s' in it: choose another "
                         "network.range",
                         sp_inet_text(options->range, text), options->range_bits, one->ifa_name);
    }
    freeifaddrs(all);
    return r;
}

static int bind_dns(struct sp_guard *guard, struct sp_error *err)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons(53),
                               .sin_addr.s_addr = htonl(sp_network_gateway(guard->options))};

    guard->dns = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (guard->dns < 0 || bind(guard->dns, (struct sockaddr *)&addr, sizeof(addr)) < 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -errno, "listen for DNS on the bridge");
    return 0;
}

static int build_bridge(struct sp_guard *guard, struct sp_error *err)
{
    const struct sp_network_options *options = guard->options;
    uint32_t addr = sp_network_gateway(options), wire = htonl(addr);
    int r;

    memcpy(guard->mac, "\x02\x5a", 2);
    memcpy(guard->mac + 2, &wire, sizeof(wire));
    r = sp_link_add_bridge(guard->nl, guard->bridge_name, guard->mac, addr, options->range_bits,
                           &guard->bridge);
    if (r < 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, r, "make the bridge '%s'", guard->bridge_name);
    r = set_sysctl(guard->bridge_name, "forwarding", "1");
    if (r < 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, r, "let packets from the bridge through");
    (void)set_sysctl(guard->bridge_name, "send_redirects", "0");
    (void)set_sysctl(guard->bridge_name, "rp_filter", "1");
    return 0;
}

int sp_guard_build(struct sp_guard *guard, struct sp_error *err)
{
    int r;

    guard->resolver = guard->dns = guard->filter.nl = -1;
    guard->nl = sp_link_open();
    if (guard->nl < 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, guard->nl, "talk to the kernel's network");
    sp_guard_names(guard->options->state_id, guard->bridge_name, guard->port_prefix);
    r = check_forwarding(err);
    if (r == 0)
        r = check_range(guard->options, err);
    if (r == 0)
        r = sp_filter_open(&guard->filter, guard->options->state_id, err);
    /* The filter is there before the first packet can be. */
    if (r == 0)
        r = sp_filter_build(&guard->filter, guard->options, guard->bridge_name, guard->port_prefix,
                            err);
    if (r == 0)
        r = build_bridge(guard, err);
    if (r == 0)
        r = bind_dns(guard, err);
    return r == 0 ? sp_guard_start_resolver(guard, err) : r;
}

void sp_guard_remove(struct sp_guard *guard)
{
    int r = 0;

    sp_guard_stop_resolver(guard);
    if (guard->nl >= 0)
        r = sp_link_remove_bridge(guard->nl, guard->bridge_name);
    if (guard->filter.nl >= 0 && r == 0)
        r = sp_filter_remove(&guard->filter);
    if (r < 0)
        sp_log(SP_LOG_ERROR, "network.not_clean", "bridge=%s errno=%d", guard->bridge_name, -r);
}

void sp_network_sweep(const char *state_id)
{
    char bridge[IFNAMSIZ], prefix[IFNAMSIZ];
    struct sp_filter filter;
    SP_AUTO_FD int nl = sp_link_open();
    int r = 0;

    sp_guard_names(state_id, bridge, prefix);
    if (nl >= 0)
        r = sp_link_remove_bridge(nl, bridge);
    if (sp_filter_open(&filter, state_id, NULL) == 0) {
        int removed = sp_filter_remove(&filter);

        /* A kernel without the filter has nothing of it either. */
        r = r < 0                                                                ? r
            : removed == -ENODEV || removed == -EOPNOTSUPP || removed == -EINVAL ? 0
                                                                                 : removed;
        sp_filter_close(&filter);
    }
    if (r < 0 && r != -EPERM)
        sp_log(SP_LOG_WARN, "network.not_swept", "bridge=%s errno=%d", bridge, -r);
}

/* Everything but the resolver, in a namespace of its own. */
static int try_all(struct sp_error *err)
{
    static struct sp_network_options options;
    static struct sp_guard guard;
    SP_AUTO_FD int netns = -1;
    uint8_t mac[SP_MAC_LEN] = {2, 0x5a, 0, 0, 0, 2};
    int r, port;

    if (unshare(CLONE_NEWNET) < 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -errno, "make a network namespace");
    sp_network_options_init(&options);
    (void)snprintf(options.state_id, sizeof(options.state_id), "0123456789abcdef");
    guard.options = &options;
    guard.nl = sp_link_open();
    sp_guard_names(options.state_id, guard.bridge_name, guard.port_prefix);
    r = sp_filter_open(&guard.filter, options.state_id, err);
    if (r == 0)
        r = sp_filter_build(&guard.filter, &options, guard.bridge_name, guard.port_prefix, err);
    if (r == 0)
        r = build_bridge(&guard, err);
    if (r < 0)
        return r;
    netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    r = sp_link_add_pair(guard.nl, "probe", guard.bridge, netns, mac, &port);
    if (r < 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, r, "make a pair of interfaces");
    r = sp_conntrack_forget(options.range);
    return r < 0 ? sp_error_set(err, SP_ERR_UNAVAILABLE, r, "remove entries of connections") : 0;
}

int sp_network_probe(struct sp_error *err)
{
    struct sp_error found = {0};
    int pipes[2], status;
    pid_t pid;

    if (pipe2(pipes, O_CLOEXEC) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "make a pipe");
    pid = fork();
    if (pid == 0) {
        if (check_forwarding(&found) == 0)
            (void)try_all(&found);
        (void)!write(pipes[1], &found, sizeof(found));
        _exit(0);
    }
    (void)close(pipes[1]);
    if (pid < 0 || read(pipes[0], &found, sizeof(found)) != (ssize_t)sizeof(found))
        (void)sp_error_set(&found, SP_ERR_INTERNAL, 0, "it could not be tried");
    (void)close(pipes[0]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!found.kind)
        return 0;
    if (err)
        *err = found;
    return -EOPNOTSUPP;
}
