#include "runtime/state/applog-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "runtime/config.h"

#define READ_SIZE      ((size_t)64 * 1024)
#define READS_A_TURN   4 /* of one pipe; then the others and the visitors have their turn */
#define RING_LINES     200
#define RING_BYTES     ((size_t)256 * 1024)
#define RATE_WINDOW_MS 1000
#define PAUSE_MS       2 /* between looks at the output of an app that is above its rate */
#define PIPE_BYTES     (READ_SIZE * READS_A_TURN) /* what gathers meanwhile */
#define NOTE_MARK      "===== "
#define CUT_MARK       " [cut]"

struct ring_line {
    int64_t wall_ms;
    size_t len;
    char text[];
};

struct sp_applog {
    uv_loop_t *loop;
    uv_timer_t timer; /* tells how much was dropped when the window ends */
    unsigned open_handles;
    bool closing;
    bool ended; /* the files are closed */
    struct sp_list pipes;
    struct sp_list followers;
    unsigned delivering; /* > 0: followers that leave are freed later */
    struct applog_file file;

    /* the last lines, from the first one on */
    struct ring_line **ring; /* RING_LINES of them, once there is a line */
    size_t ring_first;
    size_t ring_count;
    size_t ring_bytes;

    size_t line_max; /* bytes as the app wrote them */
    char *cleaned;   /* room for one cleaned line, once there is one */
    uint64_t rate;   /* lines in a window */
    uint64_t window_began_ms;
    uint64_t window_lines;
    uint64_t dropped;
};

struct pipe {
    struct sp_list node;
    struct sp_applog *log;
    uv_poll_t poll;
    uv_timer_t pause; /* ticks while we do not listen */
    unsigned open_handles;
    int fd;
    char *line; /* the beginning of a line whose end has not come; line_max bytes */
    size_t line_len;
    bool is_cut;   /* the line was longer than line_max */
    bool dropping; /* until the next line feed */
    bool after_cr; /* a line feed that follows ends nothing */
    bool closing;
};

struct sp_applog_follower {
    struct sp_list node;
    struct sp_applog *log;
    sp_applog_line_fn *each; /* NULL once it has left */
    void (*end)(void *arg);
    void *arg;
};

/* --- lines ------------------------------------------------------------------------------------ */

static void ring_drop_first(struct sp_applog *log)
{
    struct ring_line *line = log->ring[log->ring_first];

    log->ring_bytes -= line->len;
    free(line);
    log->ring_first = (log->ring_first + 1) % RING_LINES;
    log->ring_count--;
}

static void ring_add(struct sp_applog *log, int64_t wall_ms, struct sp_slice text)
{
    struct ring_line *line = sp_realloc(NULL, sizeof(*line) + text.len, 1);

    if (!log->ring)
        log->ring = sp_new0n(struct ring_line *, RING_LINES);
    line->wall_ms = wall_ms;
    line->len = text.len;
    memcpy(line->text, text.ptr, text.len);
    while (log->ring_count == RING_LINES ||
           (log->ring_count && log->ring_bytes + text.len > RING_BYTES))
        ring_drop_first(log);
    log->ring[(log->ring_first + log->ring_count++) % RING_LINES] = line;
    log->ring_bytes += text.len;
}

static void ring_done(struct sp_applog *log)
{
    while (log->ring_count)
        ring_drop_first(log);
    free(log->ring);
}

static void free_gone_followers(struct sp_applog *log)
{
    SP_LIST_EACH (follower, &log->followers, struct sp_applog_follower, node) {
        if (!follower->each) {
            sp_list_remove(&follower->node);
            free(follower);
        }
    }
}

static void add_line(struct sp_applog *log, struct sp_slice text)
{
    int64_t wall_ms = sp_clock_wall_ms();

    if (log->ended)
        return;
    applog_file_add(&log->file, wall_ms, text);
    ring_add(log, wall_ms, text);
    log->delivering++;
    SP_LIST_EACH (follower, &log->followers, struct sp_applog_follower, node) {
        if (follower->each)
            follower->each(follower->arg, wall_ms, text);
    }
    if (--log->delivering == 0)
        free_gone_followers(log);
}

/* Valid UTF-8 without control characters, except the tab and the escape that begins colours. */
static size_t clean(const char *from, size_t len, char *to)
{
    static const char unreadable[] = {'\xef', '\xbf', '\xbd'}; /* U+FFFD */
    char *at = to;

    for (size_t i = 0; i < len;) {
        size_t n = sp_utf8_sequence(from + i, len - i);
        unsigned char c = (unsigned char)from[i];

        if (n == 0) {
            memcpy(at, unreadable, sizeof(unreadable));
            at += sizeof(unreadable);
            i++;
        } else if (n == 1) {
            *at++ = (c < 0x20 && c != '\t' && c != 0x1b) || c == 0x7f ? '?' : (char)c;
            i++;
        } else {
            memcpy(at, from + i, n);
            at += n;
            i += n;
        }
    }
    return (size_t)(at - to);
}

/* --- the rate --------------------------------------------------------------------------------- */

static void tell_dropped(struct sp_applog *log)
{
    char text[96];
    int len;

    if (log->dropped == 0)
        return;
    len = snprintf(text, sizeof(text), NOTE_MARK "%llu lines dropped (log.rate)",
                   (unsigned long long)log->dropped);
    log->dropped = 0;
    add_line(log, sp_slice(text, (size_t)len));
}

static void on_window_end(uv_timer_t *timer)
{
    struct sp_applog *log = timer->data;

    tell_dropped(log);
    applog_file_flush(&log->file);
}

/* May one more line be kept now? */
static bool rate_left(struct sp_applog *log)
{
    uint64_t now = uv_now(log->loop);

    if (now - log->window_began_ms >= RATE_WINDOW_MS) {
        tell_dropped(log);
        log->window_began_ms = now;
        log->window_lines = 0;
    }
    return log->window_lines < log->rate;
}

static void drop_line(struct sp_applog *log)
{
    if (log->dropped++ == 0)
        (void)uv_timer_start(&log->timer, on_window_end,
                             log->window_began_ms + RATE_WINDOW_MS + 1 - uv_now(log->loop), 0);
}

/* --- cutting into lines ----------------------------------------------------------------------- */

static void emit(struct pipe *pipe, const char *text, size_t len)
{
    struct sp_applog *log = pipe->log;
    size_t cleaned;

    if (!rate_left(log)) {
        drop_line(log);
        return;
    }
    log->window_lines++;
    if (!log->cleaned)
        log->cleaned = sp_realloc(NULL, APPLOG_GROWTH * log->line_max + sizeof(CUT_MARK), 1);
    cleaned = clean(text, len, log->cleaned);
    if (pipe->is_cut) {
        memcpy(log->cleaned + cleaned, CUT_MARK, strlen(CUT_MARK));
        cleaned += strlen(CUT_MARK);
    }
    add_line(log, sp_slice(log->cleaned, cleaned));
}

/* How much of an over-long line is kept: not half a character. */
static size_t cut_at(const char *line, size_t len)
{
    size_t back = 0;

    while (back < 3 && ((unsigned char)line[len - 1 - back] & 0xc0) == 0x80)
        back++;
    /* `line[len - 1 - back]` begins a sequence, or nothing does. */
    if ((unsigned char)line[len - 1 - back] >= 0xc0 &&
        sp_utf8_sequence(line + len - 1 - back, back + 1) == 0)
        return len - 1 - back;
    return len;
}

/* Adds text without a line end; what a line may not hold is left out. */
static void add_text(struct pipe *pipe, const char *text, size_t len)
{
    size_t room = pipe->log->line_max - pipe->line_len;
    size_t n = len < room ? len : room;

    if (!pipe->line)
        pipe->line = sp_realloc(NULL, pipe->log->line_max, 1);
    memcpy(pipe->line + pipe->line_len, text, n);
    pipe->line_len += n;
    pipe->is_cut |= n < len;
}

static void end_line(struct pipe *pipe)
{
    size_t len = pipe->is_cut ? cut_at(pipe->line, pipe->line_len) : pipe->line_len;

    emit(pipe, pipe->line ? pipe->line : "", len);
    pipe->line_len = 0;
    pipe->is_cut = false;
}

/* One run of text up to a line feed. A carriage return (a progress bar) ends a line as well. */
static void add_run(struct pipe *pipe, const char *text, size_t len)
{
    const char *cr;

    while (len && (cr = memchr(text, '\r', len))) {
        add_text(pipe, text, (size_t)(cr - text));
        end_line(pipe);
        len -= (size_t)(cr + 1 - text);
        text = cr + 1;
        pipe->after_cr = len == 0;
    }
    if (len) {
        add_text(pipe, text, len);
        pipe->after_cr = false;
    }
}

static void end_run(struct pipe *pipe)
{
    if (pipe->dropping)
        drop_line(pipe->log);
    else if (!pipe->after_cr)
        end_line(pipe);
    pipe->dropping = pipe->after_cr = false;
}

/* Above the rate nothing is copied: lines are only counted, as fast as memchr goes. */
static void consume(struct pipe *pipe, const char *data, size_t len)
{
    while (len) {
        const char *feed = memchr(data, '\n', len);
        size_t run = feed ? (size_t)(feed - data) : len;

        if (pipe->line_len == 0 && !pipe->dropping && !rate_left(pipe->log))
            pipe->dropping = true;
        if (!pipe->dropping)
            add_run(pipe, data, run);
        if (feed)
            end_run(pipe);
        run += feed ? 1 : 0;
        data += run;
        len -= run;
    }
}

/* --- pipes ------------------------------------------------------------------------------------ */

static void log_free(struct sp_applog *log);

static void on_pipe_closed(uv_handle_t *handle)
{
    struct pipe *pipe = handle->data;
    struct sp_applog *log = pipe->log;

    if (--pipe->open_handles > 0)
        return;
    sp_auto_fd(&pipe->fd);
    free(pipe->line);
    free(pipe);
    if (--log->open_handles == 0)
        log_free(log);
}

/* What stands in the buffer is the last line, even without its end. */
static void close_pipe(struct pipe *pipe)
{
    if (pipe->closing)
        return;
    pipe->closing = true;
    if (pipe->line_len > 0)
        end_line(pipe);
    sp_list_remove(&pipe->node);
    (void)uv_poll_stop(&pipe->poll);
    uv_close((uv_handle_t *)&pipe->poll, on_pipe_closed);
    uv_close((uv_handle_t *)&pipe->pause, on_pipe_closed);
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *timer)
{
    struct pipe *pipe = timer->data;

    (void)uv_poll_start(&pipe->poll, UV_READABLE, on_readable);
}

/*
 * What is above the rate is thrown away, so nobody is served by taking it as fast as the app can
 * write: that would cost a processor on both sides. The pipe fills up, and the app waits.
 */
static void rest(struct pipe *pipe)
{
    (void)uv_poll_stop(&pipe->poll);
    (void)uv_timer_start(&pipe->pause, on_pause_over, PAUSE_MS, 0);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    static char buffer[READ_SIZE]; /* the loop is one thread, and nothing stays in it */
    struct pipe *pipe = poll->data;
    ssize_t n = 1;

    (void)events;
    for (int i = 0; status == 0 && !pipe->closing && i < READS_A_TURN; i++) {
        n = read(pipe->fd, buffer, sizeof(buffer));
        if (n <= 0)
            break;
        consume(pipe, buffer, (size_t)n);
    }
    if (status < 0 || n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        close_pipe(pipe);
    else if (!rate_left(pipe->log))
        rest(pipe);
    applog_file_flush(&pipe->log->file);
}

int sp_applog_take_pipe(struct sp_applog *log, int take_fd, struct sp_error *err)
{
    SP_AUTO_FD int fd = take_fd;
    int flags = fcntl(fd, F_GETFL);
    struct pipe *pipe;
    int r;

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "read an app's output");
    pipe = sp_new0(struct pipe);
    r = uv_poll_init(log->loop, &pipe->poll, fd);
    if (r < 0) {
        free(pipe);
        return sp_error_set(err, SP_ERR_INTERNAL, r, "read an app's output");
    }
    (void)uv_timer_init(log->loop, &pipe->pause);
    pipe->open_handles = 2;
    pipe->log = log;
    pipe->fd = SP_TAKE_FD(fd);
    (void)fcntl(pipe->fd, F_SETPIPE_SZ, (int)PIPE_BYTES); /* refused: it is small, and works */
    pipe->poll.data = pipe->pause.data = pipe;
    log->open_handles++;
    sp_list_append(&log->pipes, &pipe->node);
    r = uv_poll_start(&pipe->poll, UV_READABLE, on_readable);
    if (r < 0) {
        close_pipe(pipe);
        return sp_error_set(err, SP_ERR_INTERNAL, r, "read an app's output");
    }
    return 0;
}

/* --- what others ask -------------------------------------------------------------------------- */

void sp_applog_note(struct sp_applog *log, const char *fmt, ...)
{
    char text[2048] = NOTE_MARK;
    char cleaned[3 * sizeof(text)];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text + strlen(NOTE_MARK), sizeof(text) - strlen(NOTE_MARK), fmt, args);
    va_end(args);
    add_line(log, sp_slice(cleaned, clean(text, strlen(text), cleaned)));
    applog_file_flush(&log->file);
}

void sp_applog_tail(struct sp_applog *log, size_t max, sp_applog_line_fn *each, void *arg)
{
    if (max > APPLOG_TAIL_MAX)
        max = APPLOG_TAIL_MAX;
    applog_file_flush(&log->file);
    if (max > log->ring_count && !log->file.broken) {
        applog_file_tail(&log->file, max, each, arg);
        return;
    }
    for (size_t i = max < log->ring_count ? log->ring_count - max : 0; i < log->ring_count; i++) {
        const struct ring_line *line = log->ring[(log->ring_first + i) % RING_LINES];

        each(arg, line->wall_ms, sp_slice(line->text, line->len));
    }
}

struct sp_applog_follower *sp_applog_follow(struct sp_applog *log, sp_applog_line_fn *each,
                                            void (*end)(void *arg), void *arg)
{
    struct sp_applog_follower *follower = sp_new0(struct sp_applog_follower);

    follower->log = log;
    follower->each = each;
    follower->end = end;
    follower->arg = arg;
    sp_list_append(&log->followers, &follower->node);
    return follower;
}

size_t sp_applog_followers(const struct sp_applog *log)
{
    size_t n = 0;

    SP_LIST_EACH (follower, &log->followers, struct sp_applog_follower, node) {
        n += follower->each != NULL;
    }
    return n;
}

void sp_applog_unfollow(struct sp_applog_follower *follower)
{
    if (!follower)
        return;
    follower->each = NULL;
    follower->end = NULL;
    if (follower->log->delivering > 0)
        return;
    sp_list_remove(&follower->node);
    free(follower);
}

/* --- life ------------------------------------------------------------------------------------- */

struct sp_applog *sp_applog_new(uv_loop_t *loop, const char *dir, uint64_t space,
                                const struct sp_config *config)
{
    struct sp_applog *log = sp_new0(struct sp_applog);
    uint64_t max_bytes = sp_config_size(config, "log.max_bytes");
    uint64_t line_max = sp_config_size(config, "limit.log_line");

    /* However it grows by cleaning, a line fits into one of the two files. */
    log->line_max = (size_t)(line_max < max_bytes / 8 ? line_max : max_bytes / 8);
    log->loop = loop;
    log->rate = sp_config_int(config, "log.rate");
    (void)uv_timer_init(loop, &log->timer);
    log->timer.data = log;
    log->open_handles = 1;
    sp_list_init(&log->pipes);
    sp_list_init(&log->followers);
    applog_file_init(&log->file, dir, space, max_bytes, log->line_max);
    applog_file_expire(&log->file, sp_config_duration(config, "log.ttl"));
    return log;
}

/* The followers hear it here, from the loop, so that nobody is called from inside a close. */
static void log_free(struct sp_applog *log)
{
    log->delivering++;
    SP_LIST_EACH (follower, &log->followers, struct sp_applog_follower, node) {
        if (follower->end)
            follower->end(follower->arg);
        follower->each = NULL;
    }
    log->delivering--;
    free_gone_followers(log);
    ring_done(log);
    free(log->cleaned);
    free(log);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct sp_applog *log = handle->data;

    if (--log->open_handles == 0)
        log_free(log);
}

void sp_applog_close(struct sp_applog *log)
{
    if (!log || log->closing)
        return;
    log->closing = true;
    SP_LIST_EACH (pipe, &log->pipes, struct pipe, node) {
        close_pipe(pipe);
    }
    tell_dropped(log);
    log->ended = true;
    applog_file_done(&log->file); /* at once: the caller may erase the folder next */
    uv_close((uv_handle_t *)&log->timer, on_timer_closed);
}
