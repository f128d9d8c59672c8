/*
 * runtime/app/worker.h - one worker's socket: lines in, lines out (docs/worker-protocol.md).
 *
 * Knows nothing of requests or Spaces. What the worker may cost us is bounded: one line at a time
 * up to `line_max`, and `write_max` bytes that it has not read; past either it is broken.
 *
 * Lines to the worker are gathered and leave in one write at the end of the loop's turn.
 */
#ifndef SP_RUNTIME_APP_WORKER_H
#define SP_RUNTIME_APP_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

struct sp_buf;
struct sp_error;
struct sp_turn;
struct sp_worker;
struct sp_worker_msg;

struct sp_worker_options {
    uv_loop_t *loop;
    struct sp_turn *turn;
    char *read_buffer; /* shared by all workers of the loop; SP_WORKER_READ_BUFFER bytes */
    size_t line_max;
    size_t write_max;
    void (*message)(void *arg, const struct sp_worker_msg *msg);
    /* Once: the socket ended or the protocol was violated. Nothing is read after it. */
    void (*broken)(void *arg, const char *why);
    /* Something is about to be sent to one that is held: it is not held any more. May be NULL. */
    void (*wanted)(void *arg);
    void *arg;
};
#define SP_WORKER_READ_BUFFER ((size_t)64 * 1024)

/* Takes the descriptor in every case. Calls nothing back before it returns. */
int sp_worker_new(const struct sp_worker_options *options, int take_fd, struct sp_worker **ret,
                  struct sp_error *err);
/* No call back after this. Lines not yet written are written as far as the socket takes them at
 * once. */
void sp_worker_close(struct sp_worker *worker);

/* Where the next line goes: append whole lines with sp_worker_put_*, nothing else. */
struct sp_buf *sp_worker_out(struct sp_worker *worker);
/* Its process is held still: the next line for it is told by `wanted`, once. */
void sp_worker_hold(struct sp_worker *worker, bool held);
/* Bytes that the worker has not read yet. */
size_t sp_worker_backlog(const struct sp_worker *worker);

/* Sends a ping; false when the last two were not answered. Call it at the protocol's interval. */
bool sp_worker_ping(struct sp_worker *worker);

#endif
