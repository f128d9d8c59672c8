#include "runtime/app/worker.h"

#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "runtime/app/turn.h"
#include "ui-protocol/worker_msg.h"

struct sp_worker {
    uv_pipe_t pipe;
    struct sp_worker_options opts;
    struct sp_buf in;       /* the beginning of a line whose end has not come */
    struct sp_buf out;      /* whole lines for the end of the turn */
    struct sp_buf inflight; /* handed to libuv because the socket was full */
    uv_write_t write;
    bool writing;
    bool broken;
    bool closing;
    bool held;
    uint64_t pings;
    uint64_t pongs;
    struct sp_turn_item flush;
};

/* The only place where a worker is freed. */
static void on_closed(uv_handle_t *handle)
{
    struct sp_worker *worker = handle->data;

    sp_buf_done(&worker->in);
    sp_buf_done(&worker->out);
    sp_buf_done(&worker->inflight);
    free(worker);
}

static void break_off(struct sp_worker *worker, const char *why)
{
    if (worker->broken || worker->closing)
        return;
    worker->broken = true;
    (void)uv_read_stop((uv_stream_t *)&worker->pipe);
    worker->opts.broken(worker->opts.arg, why);
}

/* --- out ---------------------------------------------------------------------------------------
 */

static void flush(struct sp_worker *worker);

static void on_written(uv_write_t *req, int status)
{
    struct sp_worker *worker = req->data;

    worker->writing = false;
    sp_buf_done(&worker->inflight);
    if (worker->closing)
        return;
    if (status < 0)
        break_off(worker, "the app closed its connection");
    else
        flush(worker);
}

/* What the socket did not take at once is libuv's until it did; meanwhile new lines gather. */
static void write_rest(struct sp_worker *worker)
{
    uv_buf_t buf;

    worker->inflight = worker->out;
    sp_buf_init(&worker->out, worker->opts.write_max);
    buf = uv_buf_init(worker->inflight.data, (unsigned)worker->inflight.len);
    worker->write.data = worker;
    worker->writing = true;
    if (uv_write(&worker->write, (uv_stream_t *)&worker->pipe, &buf, 1, on_written) < 0) {
        worker->writing = false;
        break_off(worker, "the app closed its connection");
    }
}

static void flush(struct sp_worker *worker)
{
    uv_buf_t buf = uv_buf_init(worker->out.data, (unsigned)worker->out.len);
    int n;

    if (worker->out.failed) {
        break_off(worker, "the app does not read its messages");
        return;
    }
    if (worker->writing || worker->broken || worker->out.len == 0)
        return;
    n = uv_try_write((uv_stream_t *)&worker->pipe, &buf, 1);
    if (n < 0 && n != UV_EAGAIN) {
        break_off(worker, "the app closed its connection");
        return;
    }
    if (n > 0)
        sp_buf_consume(&worker->out, (size_t)n);
    if (worker->out.len == 0)
        sp_buf_reset(&worker->out);
    else
        write_rest(worker);
}

static void on_turn_end(struct sp_turn_item *item)
{
    flush(SP_CONTAINER(item, struct sp_worker, flush));
}

struct sp_buf *sp_worker_out(struct sp_worker *worker)
{
    if (!worker->closing)
        sp_turn_later(worker->opts.turn, &worker->flush);
    if (SP_TAKE_FLAG(worker->held) && worker->opts.wanted)
        worker->opts.wanted(worker->opts.arg);
    return &worker->out;
}

void sp_worker_hold(struct sp_worker *worker, bool held)
{
    worker->held = held;
}

size_t sp_worker_backlog(const struct sp_worker *worker)
{
    return worker->out.len + worker->inflight.len;
}

/* --- in ----------------------------------------------------------------------------------------
 */

static void on_line(struct sp_worker *worker, struct sp_slice line)
{
    struct sp_error err;
    struct sp_worker_msg msg;

    if (sp_worker_msg_decode(line, &msg, &err) < 0) {
        (void)sp_error_wrap(&err, "protocol error");
        break_off(worker, err.msg);
        return;
    }
    if (msg.type == SP_WORKER_PONG) {
        if (msg.n <= worker->pings)
            worker->pongs = msg.n;
        return;
    }
    worker->opts.message(worker->opts.arg, &msg);
}

static bool keep_rest(struct sp_worker *worker, struct sp_slice rest)
{
    if (rest.len == 0 || sp_buf_append_slice(&worker->in, rest))
        return true;
    break_off(worker, "protocol error: a line is longer than limit.worker_line");
    return false;
}

/* Ends the line that began in earlier reads. */
static bool finish_line(struct sp_worker *worker, struct sp_slice *data)
{
    char *end = memchr(data->ptr, '\n', data->len);
    size_t len = end ? (size_t)(end - data->ptr) : data->len;

    if (!keep_rest(worker, sp_slice(data->ptr, len)) || !end)
        return false;
    *data = sp_slice(end + 1, data->len - len - 1);
    on_line(worker, sp_buf_slice(&worker->in));
    /* A long line's memory is given back: most are short and never come here. */
    sp_buf_done(&worker->in);
    sp_buf_init(&worker->in, worker->opts.line_max);
    return true;
}

static void on_data(struct sp_worker *worker, struct sp_slice data)
{
    if (worker->in.len && !finish_line(worker, &data))
        return;
    while (data.len && !worker->broken && !worker->closing) {
        char *end = memchr(data.ptr, '\n', data.len);

        if (!end) {
            (void)keep_rest(worker, data);
            return;
        }
        on_line(worker, sp_slice(data.ptr, (size_t)(end - data.ptr)));
        data = sp_slice(end + 1, data.len - (size_t)(end + 1 - data.ptr));
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct sp_worker *worker = handle->data;

    (void)suggested;
    *buf = uv_buf_init(worker->opts.read_buffer, (unsigned)SP_WORKER_READ_BUFFER);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct sp_worker *worker = stream->data;

    if (n > 0)
        on_data(worker, sp_slice(buf->base, (size_t)n));
    else if (n < 0)
        break_off(worker, "the app closed its connection");
}

/* --- life --------------------------------------------------------------------------------------
 */

int sp_worker_new(const struct sp_worker_options *options, int take_fd, struct sp_worker **ret,
                  struct sp_error *err)
{
    struct sp_worker *worker = sp_new0(struct sp_worker);
    int r;

    worker->opts = *options;
    sp_buf_init(&worker->in, options->line_max);
    sp_buf_init(&worker->out, options->write_max);
    sp_turn_item_init(&worker->flush, on_turn_end);
    r = uv_pipe_init(options->loop, &worker->pipe, 0);
    worker->pipe.data = worker;
    if (r == 0)
        r = uv_pipe_open(&worker->pipe, take_fd);
    if (r < 0)
        (void)close(take_fd);
    if (r == 0)
        r = uv_read_start((uv_stream_t *)&worker->pipe, on_alloc, on_read);
    if (r < 0) {
        worker->closing = true;
        uv_close((uv_handle_t *)&worker->pipe, on_closed);
        return sp_error_set(err, SP_ERR_INTERNAL, r, "open a worker's socket");
    }
    *ret = worker;
    return 0;
}

void sp_worker_close(struct sp_worker *worker)
{
    if (!worker || worker->closing)
        return;
    worker->closing = true; /* from here on break_off is silent */
    if (!worker->writing && worker->out.len && !worker->out.failed) {
        uv_buf_t buf = uv_buf_init(worker->out.data, (unsigned)worker->out.len);

        (void)uv_try_write((uv_stream_t *)&worker->pipe, &buf, 1);
    }
    sp_turn_forget(&worker->flush);
    uv_close((uv_handle_t *)&worker->pipe, on_closed);
}

bool sp_worker_ping(struct sp_worker *worker)
{
    if (worker->pings >= worker->pongs + 2)
        return false;
    sp_worker_put_ping(sp_worker_out(worker), ++worker->pings);
    return true;
}
