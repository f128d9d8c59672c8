/*
 * tests/support/http_client.h - a raw client for tests of the server, on the same loop.
 *
 * Sends exactly the bytes that a test wants sent, when it wants them, and collects what comes back.
 */
#ifndef SP_TESTS_SUPPORT_HTTP_CLIENT_H
#define SP_TESTS_SUPPORT_HTTP_CLIENT_H

#include <stdbool.h>

#include <uv.h>

#include "base/buf.h"

struct test_client {
    uv_loop_t *loop;
    uv_tcp_t tcp;
    struct sp_buf in; /* everything that has come; zero bytes are kept */
    bool connected;
    bool eof;  /* closed in order */
    int error; /* or not: the libuv error */
    bool closed;
    bool paused;
    char buffer[64 * 1024];
};

/* Connects; aborts the test when that fails within its deadline. */
struct test_client *test_client_new(uv_loop_t *loop, int port);
/* Closes and frees; NULL is fine. */
void test_client_free(struct test_client *client);
void test_client_send(struct test_client *client, const void *data, size_t len);
void test_client_send_str(struct test_client *client, const char *text);
/* Half-closes: end of the client's bytes. */
void test_client_shutdown(struct test_client *client);
/* Stops or goes on with reading: a slow reader. */
void test_client_pause(struct test_client *client, bool paused);

/* Runs the loop until `condition`; false when `ms` have passed first. */
bool test_run_until(uv_loop_t *loop, bool (*condition)(void *arg), void *arg, unsigned ms);
/* Runs the loop for `ms`, whatever happens: only to show that something does not happen. */
void test_run_for(uv_loop_t *loop, unsigned ms);

/* Waits (5 s) until `text` has been received; false otherwise. */
bool test_client_expect(struct test_client *client, const char *text);
/* Waits until `count` times `text` have been received. */
bool test_client_expect_count(struct test_client *client, const char *text, unsigned count);
unsigned test_client_count(struct test_client *client, const char *text);
/* Waits until the connection is over, in order or not. */
bool test_client_expect_end(struct test_client *client, unsigned ms);
/* Forgets what has been received. */
void test_client_forget(struct test_client *client);

#endif
