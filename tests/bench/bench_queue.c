/*
 * A load generator for the queue: each client repeats join, wait for the result, on connections
 * that stay open. One thread a client, blocking I/O, no JSON tree: cheap beside what it measures.
 *
 *   bench_queue sse|ws HOST PORT SPACE CLIENTS SECONDS   closed loop: one JSON line with ev/s, p50,
 * p99 bench_queue hold-sse|hold-ws|hold-legacy HOST PORT SPACE CLIENTS 0 CLIENTS visitors join and
 * wait; says "holding" and lets go when stdin closes
 *
 * The Space's function 0 takes one text and returns it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "ui-protocol/ws.h"

#define SAMPLES_MAX 2000000

struct client {
    pthread_t thread;
    int sock;
    unsigned number;
    struct sp_buf in;
    uint32_t *samples_us;
    size_t n_samples;
};

static const char *host;
static int port;
static const char *space;
static uint64_t end_ns;
static unsigned prefix; /* of session names: differs from run to run */

static _Noreturn void die(const char *what)
{
    (void)fprintf(stderr, "bench_queue: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int dial(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;

    (void)inet_pton(AF_INET, host, &addr.sin_addr);
    if (sock < 0 || connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0)
        die("connect");
    (void)setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return sock;
}

static void send_all(int sock, const char *data, size_t len)
{
    while (len) {
        ssize_t n = send(sock, data, len, MSG_NOSIGNAL);

        if (n <= 0)
            die("send");
        data += n;
        len -= (size_t)n;
    }
}

static void read_more(struct client *c)
{
    char *to = sp_buf_reserve(&c->in, 16384);
    ssize_t n = recv(c->sock, to, 16384, 0);

    if (n <= 0)
        die("recv");
    c->in.len += (size_t)n;
}

/* Reads until `text` is there and drops everything up to its end. */
static void read_past(struct client *c, const char *text)
{
    size_t len = strlen(text);
    char *at;

    while (!(at = memmem(c->in.data ? c->in.data : "", c->in.len, text, len)))
        read_more(c);
    sp_buf_consume(&c->in, (size_t)(at - c->in.data) + len);
}

/* --- SSE
 * ---------------------------------------------------------------------------------------------- */

static void sse_join(struct client *c)
{
    char body[160];
    char head[512];
    int body_len = snprintf(body, sizeof(body),
                            "{\"data\":[\"hello\"],\"fn_index\":0,\"session_hash\":\"b%x-%u\"}",
                            prefix, c->number);
    int head_len = snprintf(head, sizeof(head),
                            "POST /app/%s/gradio_api/queue/join HTTP/1.1\r\nHost: %s\r\n"
                            "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                            space, host, body_len, body);

    send_all(c->sock, head, (size_t)head_len);
    read_past(c, "\"event_id\":\"");
    read_past(c, "\"}");
}

static void sse_open(struct client *c)
{
    char head[512];
    int len =
        snprintf(head, sizeof(head),
                 "GET /app/%s/gradio_api/queue/data?session_hash=b%x-%u HTTP/1.1\r\nHost: %s\r\n"
                 "Accept: text/event-stream\r\n\r\n",
                 space, prefix, c->number, host);

    send_all(c->sock, head, (size_t)len);
}

static void sse_event(struct client *c)
{
    sse_join(c);
    sse_open(c);
    read_past(c, "\"process_completed\"");
    read_past(c, "\r\n0\r\n\r\n"); /* the stream closes after its last event */
}

/* --- WebSocket
 * ---------------------------------------------------------------------------------------- */

static const uint8_t mask[4] = {1, 2, 3, 4};

static void ws_send(struct client *c, const char *text)
{
    SP_AUTO_BUF struct sp_buf frame;

    sp_buf_init(&frame, 0);
    sp_ws_put_client(&frame, 1, true, sp_slice_str(text), mask);
    send_all(c->sock, frame.data, frame.len);
}

static void ws_upgrade(struct client *c, const char *path)
{
    char head[512];
    int len = snprintf(
        head, sizeof(head),
        "GET /app/%s/%s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        space, path, host);

    send_all(c->sock, head, (size_t)len);
    read_past(c, "\r\n\r\n");
}

static void ws_open(struct client *c)
{
    ws_upgrade(c, "live");
    ws_send(c, "{\"type\":\"hello\",\"v\":1,\"resume\":null}");
    read_past(c, "\"secret\"");
}

static void ws_join(struct client *c)
{
    char join[160];

    (void)snprintf(join, sizeof(join),
                   "{\"type\":\"join\",\"ref\":\"r%zu\",\"fn\":0,\"data\":[\"hello\"],\"event_"
                   "data\":null,\"trigger_id\":null}",
                   c->n_samples);
    ws_send(c, join);
}

static void ws_event(struct client *c)
{
    ws_join(c);
    read_past(c, "\"process_completed\"");
    read_past(c, "\"outcome\"");
}

/* --- runs
 * --------------------------------------------------------------------------------------------- */

static void (*run_event)(struct client *c);

static void *run_client(void *arg)
{
    struct client *c = arg;

    while (sp_clock_mono_ns() < end_ns && c->n_samples < SAMPLES_MAX) {
        uint64_t began = sp_clock_mono_ns();

        run_event(c);
        c->samples_us[c->n_samples++] = (uint32_t)((sp_clock_mono_ns() - began) / 1000);
    }
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static void report(struct client *clients, unsigned n, double seconds)
{
    uint32_t *all;
    size_t total = 0;
    size_t at = 0;

    for (unsigned i = 0; i < n; i++)
        total += clients[i].n_samples;
    all = sp_new0n(uint32_t, total + 1);
    for (unsigned i = 0; i < n; i++) {
        memcpy(all + at, clients[i].samples_us, clients[i].n_samples * sizeof(*all));
        at += clients[i].n_samples;
    }
    qsort(all, total, sizeof(*all), by_value);
    (void)printf("{\"events\":%zu,\"ev_per_s\":%.1f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,"
                 "\"max_ms\":%.3f}\n",
                 total, (double)total / seconds, all[total / 2] / 1000.0,
                 all[total * 99 / 100] / 1000.0, total > 0 ? all[total - 1] / 1000.0 : 0);
    free(all);
}

static void hold(struct client *clients, unsigned n, const char *mode)
{
    char byte;

    for (unsigned i = 0; i < n; i++) {
        struct client *c = &clients[i];

        if (strcmp(mode, "hold-sse") == 0) {
            sse_join(c);
            sse_open(c);
        } else if (strcmp(mode, "hold-ws") == 0) {
            ws_open(c);
            ws_join(c);
            read_past(c, "\"joined\"");
        } else {
            char hash[96];

            ws_upgrade(c, "queue/join");
            (void)snprintf(hash, sizeof(hash), "{\"fn_index\":0,\"session_hash\":\"b%x-%u\"}",
                           prefix, i);
            ws_send(c, hash);
            read_past(c, "\"send_data\"");
            ws_send(c, "{\"data\":[\"hello\"],\"fn_index\":0,\"event_data\":null}");
        }
    }
    (void)puts("holding");
    (void)fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
}

int main(int argc, char **argv)
{
    struct client *clients;
    uint64_t seconds;
    uint64_t began;
    uint64_t count;
    uint64_t number = 0;

    if (argc != 7 || !sp_parse_u64(sp_slice_str(argv[3]), 65535, &number) ||
        !sp_parse_u64(sp_slice_str(argv[5]), 20000, &count) ||
        !sp_parse_u64(sp_slice_str(argv[6]), 600, &seconds)) {
        (void)fputs("usage: bench_queue sse|ws|hold-sse|hold-ws|hold-legacy HOST PORT SPACE "
                    "CLIENTS SECONDS\n",
                    stderr);
        return 2;
    }
    host = argv[2];
    port = (int)number;
    space = argv[4];
    prefix = (unsigned)getpid();
    clients = sp_new0n(struct client, count);
    for (unsigned i = 0; i < count; i++) {
        clients[i].number = i;
        clients[i].sock = dial();
        sp_buf_init(&clients[i].in, 0);
    }
    if (strncmp(argv[1], "hold-", 5) == 0) {
        hold(clients, (unsigned)count, argv[1]);
        return 0;
    }

    run_event = strcmp(argv[1], "ws") == 0 ? ws_event : sse_event;
    for (unsigned i = 0; i < count && run_event == ws_event; i++)
        ws_open(&clients[i]);
    began = sp_clock_mono_ns();
    end_ns = began + seconds * 1000000000u;
    for (unsigned i = 0; i < count; i++) {
        clients[i].samples_us = sp_new0n(uint32_t, SAMPLES_MAX);
        (void)pthread_create(&clients[i].thread, NULL, run_client, &clients[i]);
    }
    for (unsigned i = 0; i < count; i++)
        (void)pthread_join(clients[i].thread, NULL);
    report(clients, (unsigned)count, (double)(sp_clock_mono_ns() - began) / 1e9);
    return 0;
}
