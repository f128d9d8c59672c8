#include "tests/support/http_client.h"

#include <arpa/inet.h>

#include "base/clock.h"
#include "base/mem.h"

struct send {
    uv_write_t req;
    char data[];
};

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    struct test_client *client = handle->data;

    (void)suggested;
    *ret = uv_buf_init(client->buffer, sizeof(client->buffer));
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    struct test_client *client = stream->data;

    if (nread > 0)
        (void)sp_buf_append(&client->in, buf->base, (size_t)nread);
    else if (nread == UV_EOF)
        client->eof = true;
    else if (nread < 0)
        client->error = (int)nread;
}

static void on_connected(uv_connect_t *req, int status)
{
    struct test_client *client = req->handle->data;

    client->connected = status == 0;
    client->error = status;
}

static bool is_settled(void *arg)
{
    struct test_client *client = arg;

    return client->connected || client->error;
}

struct test_client *test_client_new(uv_loop_t *loop, int port)
{
    struct test_client *client = sp_new0(struct test_client);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    uv_connect_t req;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client->loop = loop;
    (void)uv_tcp_init(loop, &client->tcp);
    client->tcp.data = client;
    (void)uv_tcp_connect(&req, &client->tcp, (struct sockaddr *)&to, on_connected);
    if (!test_run_until(loop, is_settled, client, 5000) || client->error)
        abort();
    test_client_pause(client, false);
    return client;
}

static void on_closed(uv_handle_t *handle)
{
    ((struct test_client *)handle->data)->closed = true;
}

static bool is_closed(void *arg)
{
    return ((struct test_client *)arg)->closed;
}

void test_client_free(struct test_client *client)
{
    if (!client)
        return;
    uv_close((uv_handle_t *)&client->tcp, on_closed);
    (void)test_run_until(client->loop, is_closed, client, 5000);
    sp_buf_done(&client->in);
    free(client);
}

static void on_sent(uv_write_t *req, int status)
{
    (void)status; /* a peer that has closed shows as `error` or `eof` */
    free(SP_CONTAINER(req, struct send, req));
}

void test_client_send(struct test_client *client, const void *data, size_t len)
{
    struct send *send = sp_realloc(NULL, sizeof(*send) + len, 1);
    uv_buf_t buf = uv_buf_init(send->data, (unsigned)len);

    memcpy(send->data, data, len);
    if (uv_write(&send->req, (uv_stream_t *)&client->tcp, &buf, 1, on_sent) < 0)
        free(send);
}

void test_client_send_str(struct test_client *client, const char *text)
{
    test_client_send(client, text, strlen(text));
}

static void on_shutdown(uv_shutdown_t *req, int status)
{
    (void)status;
    free(req);
}

void test_client_shutdown(struct test_client *client)
{
    uv_shutdown_t *req = sp_new0(uv_shutdown_t);

    if (uv_shutdown(req, (uv_stream_t *)&client->tcp, on_shutdown) < 0)
        free(req);
}

void test_client_pause(struct test_client *client, bool paused)
{
    if (paused)
        (void)uv_read_stop((uv_stream_t *)&client->tcp);
    else
        (void)uv_read_start((uv_stream_t *)&client->tcp, on_alloc, on_read);
}

/* --- waiting ------------------------------------------------------------------------------ */

static void on_deadline(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

static void on_timer_closed(uv_handle_t *handle)
{
    handle->data = NULL;
}

bool test_run_until(uv_loop_t *loop, bool (*condition)(void *arg), void *arg, unsigned ms)
{
    uv_timer_t timer;
    bool late = false;
    bool met;

    (void)uv_timer_init(loop, &timer);
    timer.data = &late;
    uv_update_time(loop);
    (void)uv_timer_start(&timer, on_deadline, ms, 0);
    while (!(met = condition(arg)) && !late)
        (void)uv_run(loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, on_timer_closed);
    while (timer.data)
        (void)uv_run(loop, UV_RUN_NOWAIT);
    return met;
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

void test_run_for(uv_loop_t *loop, unsigned ms)
{
    (void)test_run_until(loop, never, NULL, ms);
}

struct wish {
    struct test_client *client;
    const char *text;
    unsigned count;
};

unsigned test_client_count(struct test_client *client, const char *text)
{
    const char *at = client->in.data;
    size_t left = client->in.len;
    size_t len = strlen(text);
    unsigned count = 0;

    while (left >= len) {
        const char *found = memmem(at, left, text, len);

        if (!found)
            break;
        count++;
        left -= (size_t)(found + len - at);
        at = found + len;
    }
    return count;
}

static bool is_fulfilled(void *arg)
{
    struct wish *wish = arg;

    return test_client_count(wish->client, wish->text) >= wish->count;
}

bool test_client_expect_count(struct test_client *client, const char *text, unsigned count)
{
    struct wish wish = {client, text, count};

    return test_run_until(client->loop, is_fulfilled, &wish, 5000);
}

bool test_client_expect(struct test_client *client, const char *text)
{
    return test_client_expect_count(client, text, 1);
}

static bool is_over(void *arg)
{
    struct test_client *client = arg;

    return client->eof || client->error;
}

bool test_client_expect_end(struct test_client *client, unsigned ms)
{
    return test_run_until(client->loop, is_over, client, ms);
}

void test_client_forget(struct test_client *client)
{
    sp_buf_reset(&client->in);
}
