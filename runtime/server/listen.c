/* Listening sockets: accepting, refusing over a limit, and backing off when descriptors run out. */
#include "runtime/server/server-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"

#define BACKLOG         1024
#define ACCEPT_PER_TURN 64
#define BACK_OFF_MS     100

struct listener {
    struct sp_list node;
    struct sp_server *server;
    uv_poll_t poll;
    uv_timer_t back_off;
    unsigned open_handles;
    int fd;
    int spare_fd; /* given up for a moment to refuse politely when there are no descriptors left */
};

static void on_connection(uv_poll_t *poll, int status, int events);

/* --- refusing ----------------------------------------------------------------------------- */

static void refuse(struct sp_server *server, int fd, int status, const char *setting)
{
    static struct sp_log_rate rate = {.burst = 5, .window_ms = 10000};
    char answer[320];
    int len = snprintf(answer, sizeof(answer),
                       "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nRetry-After: 5\r\n"
                       "Content-Length: %zu\r\nConnection: close\r\n\r\n"
                       "{\"error\":\"too many connections (%s)\",\"kind\":\"limit\"}",
                       status, sp_http_reason(status),
                       strlen(setting) +
                           sizeof("{\"error\":\"too many connections ()\",\"kind\":\"limit\"}") - 1,
                       setting);

    /* Into an empty socket buffer: it fits, and a client that is gone does not matter. */
    (void)send(fd, answer, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)shutdown(fd, SHUT_WR);
    (void)close(fd);
    server->stats.refused++;
    if (sp_log_allowed(&rate))
        sp_log(SP_LOG_WARN, "server.refused", "setting=%s connections=%llu", setting,
               (unsigned long long)server->stats.connections);
}

static void admit(struct sp_server *server, int fd, const struct sp_address *address)
{
    struct sp_peer *peer = sp_peer_get(server, address);

    if (server->stats.connections >= server->limits.connections && !sp_conn_evict(server)) {
        refuse(server, fd, 503, "limit.connections");
    } else if (peer->connections >= server->limits.per_address &&
               !sp_networks_hold(server->trusted, server->n_trusted, address)) {
        refuse(server, fd, 429, "limit.connections_per_address");
    } else {
        sp_conn_start(server, fd, address, peer);
        return;
    }
    sp_peer_release(server, peer);
}

/* --- accepting ---------------------------------------------------------------------------- */

static int open_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void on_back_off_over(uv_timer_t *timer)
{
    struct listener *listener = timer->data;

    if (listener->spare_fd < 0)
        listener->spare_fd = open_spare();
    (void)uv_poll_start(&listener->poll, UV_READABLE, on_connection);
}

/*
 * No descriptors: the kernel would report the same connection for ever. Take one with the spare
 * descriptor, refuse it, and look away for a moment.
 */
static void back_off(struct listener *listener)
{
    static struct sp_log_rate rate = {.burst = 1, .window_ms = 10000};
    int fd;

    if (listener->spare_fd >= 0) {
        (void)close(listener->spare_fd);
        fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            refuse(listener->server, fd, 503, "open files of the daemon");
        listener->spare_fd = open_spare();
    }
    if (sp_log_allowed(&rate))
        sp_log(SP_LOG_ERROR, "server.no_descriptors", "connections=%llu",
               (unsigned long long)listener->server->stats.connections);
    (void)uv_poll_stop(&listener->poll);
    (void)uv_timer_start(&listener->back_off, on_back_off_over, BACK_OFF_MS, 0);
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
    struct listener *listener = poll->data;

    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPT_PER_TURN; i++) {
        struct sockaddr_storage from = {0};
        socklen_t len = sizeof(from);
        struct sp_address address;
        int fd =
            accept4(listener->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            sp_address_from_sockaddr(&from, &address);
            admit(listener->server, fd, &address);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            back_off(listener);
        if (errno != EINTR && errno != ECONNABORTED)
            return;
    }
}

/* --- opening ------------------------------------------------------------------------------ */

/* "127.0.0.1:7860", "[::1]:0", "localhost:80"; `ret` comes zeroed. */
static int parse_listen(const char *text, struct sockaddr_storage *ret, socklen_t *ret_len,
                        struct sp_error *err)
{
    const char *colon = strrchr(text, ':');
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;
    struct sockaddr_in *in = (struct sockaddr_in *)ret;
    struct sp_address address;
    struct sp_slice host;
    uint64_t port;

    if (!colon || !sp_parse_u64(sp_slice_str(colon + 1), 65535, &port))
        return sp_error_set(err, SP_ERR_INVALID, 0, "listen: '%s': expected ADDRESS:PORT", text);
    host = sp_slice(text, (size_t)(colon - text));
    if (sp_slice_eq_nocase(host, "localhost"))
        host = SP_SLICE("127.0.0.1");
    if (!sp_address_parse(host, &address) ||
        (host.ptr[0] != '[' && memchr(host.ptr, ':', host.len)))
        return sp_error_set(err, SP_ERR_INVALID, 0, "listen: '%s' is not an IP address", text);

    if (host.ptr[0] == '[') {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)port);
        memcpy(&in6->sin6_addr, address.bytes, 16);
        *ret_len = sizeof(*in6);
    } else {
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)port);
        memcpy(&in->sin_addr, address.bytes + 12, 4);
        *ret_len = sizeof(*in);
    }
    return 0;
}

static int open_socket(const struct sockaddr_storage *address, socklen_t len, const char *text,
                       int *ret_fd, struct sp_error *err)
{
    SP_AUTO_FD int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;

    if (fd < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "listen on %s", text);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (address->ss_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(fd, (const struct sockaddr *)address, len) < 0 || listen(fd, BACKLOG) < 0)
        return sp_error_set(err, errno == EADDRINUSE ? SP_ERR_CONFLICT : SP_ERR_INTERNAL, -errno,
                            "listen on %s", text);
    *ret_fd = SP_TAKE_FD(fd);
    return 0;
}

static int bound_port(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } bound = {.in6 = {0}};
    socklen_t len = sizeof(bound);

    if (getsockname(fd, &bound.any, &len) < 0)
        return 0;
    return ntohs(bound.any.sa_family == AF_INET6 ? bound.in6.sin6_port : bound.in.sin_port);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct listener *listener = handle->data;
    struct sp_server *server = listener->server;

    if (--listener->open_handles == 0) {
        (void)close(listener->fd);
        if (listener->spare_fd >= 0)
            (void)close(listener->spare_fd);
        free(listener);
    }
    sp_server_on_handle_closed(server);
}

static void close_listener(struct listener *listener)
{
    sp_list_remove(&listener->node);
    uv_close((uv_handle_t *)&listener->poll, on_handle_closed);
    uv_close((uv_handle_t *)&listener->back_off, on_handle_closed);
}

static int listen_one(struct sp_server *server, const char *addr_port, int *ret_port,
                      struct sp_error *err)
{
    struct sockaddr_storage address = {0};
    struct listener *listener;
    socklen_t len = 0;
    int fd = -1;
    int r;

    r = parse_listen(addr_port, &address, &len, err);
    if (r == 0)
        r = open_socket(&address, len, addr_port, &fd, err);
    if (r < 0)
        return r;

    listener = sp_new0(struct listener);
    listener->server = server;
    listener->fd = fd;
    listener->spare_fd = open_spare();
    listener->poll.data = listener->back_off.data = listener;
    (void)uv_timer_init(server->loop, &listener->back_off);
    if (uv_poll_init(server->loop, &listener->poll, fd) < 0)
        abort(); /* a fresh socket of ours: epoll takes it */
    listener->open_handles = 2;
    sp_server_own_handle(server);
    sp_server_own_handle(server);
    sp_list_append(&server->listeners, &listener->node);
    (void)uv_poll_start(&listener->poll, UV_READABLE, on_connection);
    *ret_port = bound_port(fd);
    return 0;
}

int sp_server_listen(struct sp_server *server, const char *addr_port, int *ret_port,
                     struct sp_error *err)
{
    struct sp_slice rest = sp_slice_str(addr_port);
    struct sp_slice piece;
    int first_port = 0;

    while (sp_slice_split(&rest, ',', &piece)) {
        SP_AUTO_FREE char *one = sp_slice_dup(sp_slice_trim(piece));
        int port;
        int r = listen_one(server, one, &port, err);

        if (r < 0)
            return r;
        if (first_port == 0)
            first_port = port;
    }
    if (ret_port)
        *ret_port = first_port;
    return 0;
}

void sp_listeners_close(struct sp_server *server)
{
    SP_LIST_EACH (listener, &server->listeners, struct listener, node)
        close_listener(listener);
}
