/*
 * A worker app without processes: the real server on loopback, the real queue and journal, a worker
 * played by the test over a socketpair, and clients over real sockets, all in one thread.
 */
#ifndef SP_TESTS_APP_WORLD_H
#define SP_TESTS_APP_WORLD_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uv.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/app/app.h"
#include "runtime/config.h"
#include "runtime/server/server.h"
#include "ui-protocol/ws.h"

#include "tests/support/test.h"

#define DEADLINE_MS 4000
#define SPACE       7

/* What a client of the queue posts, and where its stream is. */
#define JOIN(fn, data, session)                                                                    \
    "{\"data\":" data ",\"fn_index\":" #fn ",\"session_hash\":\"" session "\"}"
#define DATA(session) "gradio_api/queue/data?session_hash=" session

struct world {
    uv_loop_t loop;
    uv_timer_t beat; /* keeps the loop turning while the test waits */
    struct sp_config *config;
    struct sp_server *server;
    struct sp_apps *apps;
    int port;
    char dir[64];
    char files[96];
    char journal[96];
    /* the worker */
    int worker_fd;
    uint64_t worker;
    struct sp_buf worker_in;
    char ready_line[8192];
    int n_ready, n_failed, n_broken, n_killed, n_idle;
    char why[600];
    bool closed;
    bool stopped;
};

struct client {
    struct world *world;
    int fd;
    struct sp_buf in;
    bool eof;
};

static struct world *the_world; /* for hooks without an argument of their own */

/* --- waiting
 * ---------------------------------------------------------------------------------------- */

static void on_beat(uv_timer_t *timer)
{
    (void)timer;
}

static bool drain_fd(int fd, struct sp_buf *into)
{
    for (;;) {
        char *to = sp_buf_reserve(into, 65536);
        ssize_t n = read(fd, to, 65536);

        if (n <= 0)
            return n == 0 || (errno != EAGAIN && errno != EINTR);
        into->len += (size_t)n;
    }
}

#define WAIT_FOR(world, condition)                                                                 \
    do {                                                                                           \
        uint64_t until_ = sp_clock_mono_ms() + DEADLINE_MS;                                        \
        while (!(condition)) {                                                                     \
            if (sp_clock_mono_ms() > until_)                                                       \
                fail_msg("%s:%d: never came true: %s", __FILE__, __LINE__, #condition);            \
            (void)uv_run(&(world)->loop, UV_RUN_ONCE);                                             \
        }                                                                                          \
    } while (0)

/* Lets the loop turn until nothing has happened for a moment. */
static inline void settle(struct world *w, unsigned ms)
{
    uint64_t until = sp_clock_mono_ms() + ms;

    while (sp_clock_mono_ms() < until)
        (void)uv_run(&w->loop, UV_RUN_ONCE);
}

/* --- the world
 * ---------------------------------------------------------------------------------------- */

static void hook_kill(void *arg, uint64_t worker)
{
    (void)arg;
    (void)worker;
    the_world->n_killed++;
}

static void hook_describe(void *arg, uint64_t space, char *ret, size_t size)
{
    (void)arg;
    (void)space;
    (void)snprintf(ret, size, "The app is not running in this test.");
}

static void route_app(struct sp_exchange *ex)
{
    sp_exchange_set_space(ex, SPACE);
    sp_apps_handle(the_world->apps, ex);
}

static const struct sp_route world_routes[] = {
    {"POST", "/app/:owner/:name/upload", SP_ACCESS_APP, SP_BODY_STREAM, "limit.upload", route_app},
    {"GET POST OPTIONS", "/app/:owner/:name/*rest", SP_ACCESS_APP, SP_BODY_WHOLE, NULL, route_app},
    {0},
};

static void set(struct world *w, const char *name, const char *value)
{
    struct sp_error err;

    if (sp_config_set(w->config, name, value, "test", &err) < 0)
        fail_msg("%s: %s", name, err.msg);
}

static void open_apps(struct world *w)
{
    struct sp_apps_options options = {
        .loop = &w->loop,
        .config = w->config,
        .files_dir = w->files,
        .journal_dir = w->journal,
        .hooks = {.kill_worker = hook_kill, .describe = hook_describe},
    };
    struct sp_error err = {0};

    w->closed = false;
    if (sp_apps_new(&options, &w->apps, &err) < 0)
        fail_msg("sp_apps_new: %s", err.msg);
}

static void on_closed_apps(void *arg)
{
    ((struct world *)arg)->closed = true;
}

static inline void close_apps(struct world *w)
{
    sp_apps_close(w->apps, on_closed_apps, w);
    WAIT_FOR(w, w->closed);
    w->apps = NULL;
}

/* `settings` is a list of name, value, ..., NULL. */
static struct world *world_new(const char *const *settings)
{
    struct world *w = sp_new0(struct world);
    struct sp_server_options options = {.routes = world_routes};
    struct sp_error err;
    char space[128];

    the_world = w;
    sp_log_set_level(SP_LOG_ERROR);
    (void)snprintf(w->dir, sizeof(w->dir), "/tmp/spaces-app-test-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    (void)snprintf(w->files, sizeof(w->files), "%s/files", w->dir);
    (void)snprintf(w->journal, sizeof(w->journal), "%s/journal", w->dir);
    (void)snprintf(space, sizeof(space), "files/%016x", SPACE);
    {
        SP_AUTO_FD int dir = open(w->dir, O_RDONLY | O_DIRECTORY);
        char sub[160];

        (void)snprintf(sub, sizeof(sub), "%s/u", space);
        assert_int_equal(sp_mkdir_p(dir, sub, 0755, NULL), 0);
        (void)snprintf(sub, sizeof(sub), "%s/o", space);
        assert_int_equal(sp_mkdir_p(dir, sub, 0755, NULL), 0);
    }
    assert_int_equal(uv_loop_init(&w->loop), 0);
    (void)uv_timer_init(&w->loop, &w->beat);
    (void)uv_timer_start(&w->beat, on_beat, 1, 1);
    w->config = sp_config_new();
    for (; settings && settings[0]; settings += 2)
        set(w, settings[0], settings[1]);
    w->worker_fd = -1;
    open_apps(w);
    options.config = w->config;
    w->server = sp_server_new(&w->loop, &options);
    if (sp_server_listen(w->server, "127.0.0.1:0", &w->port, &err) < 0)
        fail_msg("listen: %s", err.msg);
    return w;
}

static void on_stopped(void *arg)
{
    ((struct world *)arg)->stopped = true;
}

static void world_free(struct world *w)
{
    if (w->worker_fd >= 0)
        (void)close(w->worker_fd);
    if (w->apps)
        close_apps(w);
    sp_server_stop(w->server, 50, on_stopped, w);
    WAIT_FOR(w, w->stopped);
    sp_server_free(w->server);
    uv_close((uv_handle_t *)&w->beat, NULL);
    while (uv_run(&w->loop, UV_RUN_ONCE))
        ;
    assert_int_equal(uv_loop_close(&w->loop), 0);
    (void)sp_rmtree(AT_FDCWD, w->dir, NULL);
    sp_buf_done(&w->worker_in);
    sp_config_free(w->config);
    free(w);
}

/* --- the worker
 * ----------------------------------------------------------------------------------------- */

static const char default_functions[] = "[{\"fn\":0,\"api_name\":\"echo\",\"queue\":true,\"group\":"
                                        "0,\"limit\":1,\"inputs\":1,\"outputs\":1,"
                                        "\"state_inputs\":[],\"generator\":false,\"api_"
                                        "visibility\":\"public\",\"backend\":true,\"cancels\":[]},"
                                        "{\"fn\":1,\"api_name\":\"gen\",\"queue\":true,\"group\":1,"
                                        "\"limit\":2,\"inputs\":1,\"outputs\":1,"
                                        "\"state_inputs\":[],\"generator\":true,\"api_visibility\":"
                                        "\"public\",\"backend\":true,\"cancels\":[]},"
                                        "{\"fn\":2,\"api_name\":\"state\",\"queue\":true,\"group\":"
                                        "2,\"limit\":1,\"inputs\":2,\"outputs\":2,"
                                        "\"state_inputs\":[1],\"generator\":false,\"api_"
                                        "visibility\":\"private\",\"backend\":true,\"cancels\":[]},"
                                        "{\"fn\":3,\"api_name\":\"direct\",\"queue\":false,"
                                        "\"group\":3,\"limit\":null,\"inputs\":1,\"outputs\":1,"
                                        "\"state_inputs\":[],\"generator\":false,\"api_"
                                        "visibility\":\"public\",\"backend\":true,\"cancels\":[]}]";

static void on_ready(void *arg, uint64_t worker)
{
    struct world *w = arg;

    w->n_ready++;
    sp_apps_worker_serve(w->apps, worker);
}

static void on_failed(void *arg, uint64_t worker, const char *stage, const char *message)
{
    struct world *w = arg;

    (void)worker;
    w->n_failed++;
    (void)snprintf(w->why, sizeof(w->why), "%s: %s", stage, message);
}

static void on_broken(void *arg, uint64_t worker, const char *why)
{
    struct world *w = arg;

    (void)worker;
    w->n_broken++;
    (void)snprintf(w->why, sizeof(w->why), "%s", why);
}

static inline void worker_say(struct world *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static inline void worker_say(struct world *w, const char *fmt, ...)
{
    struct sp_buf line;
    char text[65536];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    sp_buf_init(&line, 0);
    (void)sp_buf_append(&line, text, (size_t)n);
    (void)sp_buf_append_char(&line, '\n');
    for (size_t at = 0; at < line.len;) {
        ssize_t sent = send(w->worker_fd, line.data + at, line.len - at, MSG_NOSIGNAL);

        if (sent > 0)
            at += (size_t)sent;
        else
            (void)uv_run(&w->loop, UV_RUN_ONCE); /* until the daemon has read some */
    }
    sp_buf_done(&line);
}

static inline bool worker_has_line(struct world *w)
{
    (void)drain_fd(w->worker_fd, &w->worker_in);
    return w->worker_in.len && memchr(w->worker_in.data, '\n', w->worker_in.len);
}

/* The next line of that type; pings and others before it are skipped. A new reference. */
static inline json_t *worker_next(struct world *w, const char *type)
{
    for (;;) {
        json_t *msg;
        size_t len;

        WAIT_FOR(w, worker_has_line(w));
        len =
            (size_t)((char *)memchr(w->worker_in.data, '\n', w->worker_in.len) - w->worker_in.data);
        msg = json_loadb(w->worker_in.data, len, 0, NULL);
        assert_non_null(msg);
        sp_buf_consume(&w->worker_in, len + 1);
        if (strcmp(json_string_value(json_object_get(msg, "type")), type) == 0)
            return msg;
        json_decref(msg);
    }
}

/* Waits for a call and copies its id. */
static inline void worker_call(struct world *w, char id[33], const char *data)
{
    json_t *msg = worker_next(w, "call");
    char *got = json_dumps(json_object_get(msg, "data"), JSON_COMPACT);

    (void)snprintf(id, 33, "%s", json_string_value(json_object_get(msg, "id")));
    if (data)
        assert_string_equal(got, data);
    free(got);
    json_decref(msg);
}

static inline void worker_connect(struct world *w)
{
    int pair[2];
    struct sp_app_worker_start start = {.space = SPACE,
                                        .worker = ++w->worker,
                                        .owner = "ann",
                                        .name = "demo",
                                        .app_file = "app.py",
                                        .version_id = "v1",
                                        .ready = on_ready,
                                        .failed = on_failed,
                                        .broken = on_broken,
                                        .arg = w};

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    (void)fcntl(pair[1], F_SETFL, O_NONBLOCK);
    sp_buf_reset(&w->worker_in);
    start.take_fd = pair[0];
    w->worker_fd = pair[1];
    sp_apps_worker_start(w->apps, &start);
    json_decref(worker_next(w, "hello"));
}

static inline void worker_ready_with(struct world *w, const char *functions, const char *more)
{
    worker_connect(w);
    worker_say(
        w,
        "{\"type\":\"ready\",\"version\":1,\"features\":[],\"engine\":\"test\",\"config\":"
        "{\"version\":\"6.25.0\",\"protocol\":\"sse_v3\",\"api_prefix\":\"/gradio_api\"},"
        "\"info\":{\"named_endpoints\":{\"/echo\":{\"parameters\":[{\"parameter_name\":\"x\"}],"
        "\"returns\":[]}},\"unnamed_endpoints\":{}},\"functions\":%s%s}",
        functions, more);
    WAIT_FOR(w, w->n_ready + w->n_broken > 0);
    w->n_ready = 0;
}

static inline void worker_ready(struct world *w)
{
    worker_ready_with(w, default_functions, "");
}

static inline void worker_return(struct world *w, const char *id, const char *data)
{
    worker_say(w,
               "{\"type\":\"return\",\"id\":\"%s\",\"attempt\":1,\"data\":%s,\"duration\":0.25,"
               "\"generator\":false}",
               id, data);
}

/* --- clients
 * ------------------------------------------------------------------------------------------------
 */

static inline struct client *client_new(struct world *w)
{
    struct client *c = sp_new0(struct client);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)w->port)};

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->world = w;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(c->fd, (struct sockaddr *)&to, sizeof(to)), 0);
    (void)fcntl(c->fd, F_SETFL, O_NONBLOCK);
    return c;
}

static inline void client_free(struct client *c)
{
    (void)close(c->fd);
    sp_buf_done(&c->in);
    free(c);
}

/* Closes at once with a reset, as a phone that loses its network would in the end. */
static inline void client_cut(struct client *c)
{
    struct linger hard = {.l_onoff = 1};

    (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    client_free(c);
}

static inline void client_send(struct client *c, const char *method, const char *path,
                               const char *headers, struct sp_slice body)
{
    struct sp_buf out;

    sp_buf_init(&out, 0);
    (void)sp_buf_printf(&out, "%s /app/ann/demo/%s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s", method, path,
                        headers);
    if (strcmp(method, "POST") == 0)
        (void)sp_buf_printf(&out, "Content-Length: %zu\r\n", body.len);
    (void)sp_buf_append_str(&out, "\r\n");
    (void)sp_buf_append_slice(&out, body);
    for (size_t at = 0; at < out.len;) {
        ssize_t n = write(c->fd, out.data + at, out.len - at);

        if (n > 0)
            at += (size_t)n;
        else
            (void)uv_run(&c->world->loop, UV_RUN_ONCE);
    }
    sp_buf_done(&out);
}

static inline bool client_has(struct client *c, const char *text)
{
    if (!c->eof)
        c->eof = drain_fd(c->fd, &c->in);
    return strstr(sp_buf_str(&c->in), text) != NULL;
}

static inline bool client_has_or_eof(struct client *c, const char *text)
{
    return client_has(c, text) || c->eof;
}

#define EXPECT(client, text)                                                                       \
    do {                                                                                           \
        uint64_t until_ = sp_clock_mono_ms() + DEADLINE_MS;                                        \
        while (!client_has_or_eof((client), (text)) && sp_clock_mono_ms() < until_)                \
            (void)uv_run(&(client)->world->loop, UV_RUN_ONCE);                                     \
        if (!client_has((client), (text)))                                                         \
            fail_msg("%s:%d: expected <%s> in <%s>", __FILE__, __LINE__, (text),                   \
                     sp_buf_str(&(client)->in));                                                   \
    } while (0)

/* Forgets what has been read, up to and with `text`. */
static inline void client_skip(struct client *c, const char *text)
{
    const char *at = strstr(sp_buf_str(&c->in), text);

    assert_non_null(at);
    sp_buf_consume(&c->in, (size_t)(at - c->in.data) + strlen(text));
}

static inline struct client *get(struct world *w, const char *path)
{
    struct client *c = client_new(w);

    client_send(c, "GET", path, "", (struct sp_slice){0});
    return c;
}

static inline struct client *post(struct world *w, const char *path, const char *body)
{
    struct client *c = client_new(w);

    client_send(c, "POST", path, "Content-Type: application/json\r\n", sp_slice_str(body));
    return c;
}

/* Posts, expects, and lets go. */
static inline void post_expect(struct world *w, const char *path, const char *body,
                               const char *expected)
{
    struct client *c = post(w, path, body);

    EXPECT(c, expected);
    client_free(c);
}

static inline void join(struct world *w, const char *path, const char *body, char event_id[33])
{
    struct client *c = post(w, path, body);
    const char *at;

    EXPECT(c, "\"event_id\":\"");
    at = strstr(sp_buf_str(&c->in), "\"event_id\":\"") + strlen("\"event_id\":\"");
    (void)snprintf(event_id, 33, "%.32s", at);
    client_free(c);
}

/* --- WebSockets
 * --------------------------------------------------------------------------------------------- */

static inline struct client *ws_open(struct world *w, const char *path)
{
    struct client *c = client_new(w);

    client_send(c, "GET", path,
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
                (struct sp_slice){0});
    EXPECT(c, "\r\n\r\n");
    assert_non_null(strstr(sp_buf_str(&c->in), "101 Switching"));
    client_skip(c, "\r\n\r\n");
    return c;
}

static inline void ws_say(struct client *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static inline void ws_say(struct client *c, const char *fmt, ...)
{
    static const uint8_t mask[4] = {1, 2, 3, 4};
    struct sp_buf frame;
    char text[8192];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    sp_buf_init(&frame, 0);
    sp_ws_put_client(&frame, 1, true, sp_slice(text, (size_t)n), mask);
    assert_int_equal(sp_write_all(c->fd, frame.data, frame.len), 0);
    sp_buf_done(&frame);
}

/* Length of the first frame, 0 when it is not whole; `*ret` is its payload. */
static inline size_t ws_frame(const struct sp_buf *in, uint8_t *ret_opcode, struct sp_slice *ret)
{
    const uint8_t *d = (const uint8_t *)in->data;
    size_t head = 2;
    uint64_t len;

    if (in->len < 2)
        return 0;
    len = d[1];
    if (len == 126 && in->len >= 4) {
        len = (uint64_t)d[2] << 8 | d[3];
        head = 4;
    } else if (len == 127 && in->len >= 10) {
        len = 0;
        for (int i = 2; i < 10; i++)
            len = len << 8 | d[i];
        head = 10;
    } else if (len >= 126) {
        return 0;
    }
    if (in->len < head + len)
        return 0;
    *ret_opcode = d[0] & 15;
    *ret = sp_slice(in->data + head, (size_t)len);
    return head + (size_t)len;
}

static inline bool ws_has_frame(struct client *c)
{
    struct sp_slice payload;
    uint8_t opcode;

    if (!c->eof)
        c->eof = drain_fd(c->fd, &c->in);
    return ws_frame(&c->in, &opcode, &payload) > 0;
}

/* The next text message whole; free it. A close frame reads "close CODE". */
static inline char *ws_next(struct client *c)
{
    struct sp_slice payload = {0};
    uint8_t opcode = 0;
    size_t len;
    char *text;

    WAIT_FOR(c->world, ws_has_frame(c));
    len = ws_frame(&c->in, &opcode, &payload);
    if (opcode == 8)
        text = sp_asprintf("close %d", payload.len >= 2
                                           ? (uint8_t)payload.ptr[0] << 8 | (uint8_t)payload.ptr[1]
                                           : 1005);
    else
        text = sp_strndup(payload.ptr, payload.len);
    sp_buf_consume(&c->in, len);
    return text;
}

/* Skips messages until one holds `text`; free it. */
static inline char *ws_until(struct client *c, const char *text)
{
    for (;;) {
        char *msg = ws_next(c);

        if (strstr(msg, text))
            return msg;
        if (strncmp(msg, "close", 5) == 0)
            fail_msg("closed (%s) before <%s>", msg, text);
        free(msg);
    }
}

#define WS_EXPECT(client, text)                                                                    \
    do {                                                                                           \
        char *msg_ = ws_next(client);                                                              \
        if (!strstr(msg_, (text)))                                                                 \
            fail_msg("%s:%d: expected <%s> in <%s>", __FILE__, __LINE__, (text), msg_);            \
        free(msg_);                                                                                \
    } while (0)

#endif
