/*
 * base/log.h - structured log lines on stderr: `event key=value key="two words"`.
 *
 *     sp_log(SP_LOG_INFO, "space.started", "space=%s pid=%d", id, pid);
 *
 * Events have stable names (docs/logging.md). Values that may hold spaces, quotes or anything from
 * outside go through SP_QUOTED / sp_log_quoted. Code that returns an error does not log it too.
 */
#ifndef SP_BASE_LOG_H
#define SP_BASE_LOG_H

#include <stddef.h>

enum sp_log_level { SP_LOG_DEBUG, SP_LOG_INFO, SP_LOG_WARN, SP_LOG_ERROR };

/* Lines below this level are dropped. Default INFO. */
void sp_log_set_level(enum sp_log_level level);
/* "debug", "info", "warn", "error"; -1 for anything else. */
int sp_log_level_from_string(const char *s);
/* Put in front of every line, e.g. "launcher"; NULL for none. Borrowed for ever. */
void sp_log_set_program(const char *name);

/*
 * Writes one line with one write(2): time, level, event, fields. `event` is what docs list; `fmt`
 * makes the fields. Never fails, never blocks on a full pipe longer than write does, keeps errno.
 * Lines longer than 2 KiB are cut. Bytes below 0x20 become '?'.
 */
void sp_log(enum sp_log_level level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * `text` in double quotes, cut after 400 bytes: quotes, backslashes and ends of lines escaped,
 * control bytes and what is no UTF-8 as '?', C1 controls and what turns the direction of text as
 * \uXXXX; in one of eight rotating per-thread buffers: for use as an argument of the same sp_log
 * call.
 */
const char *sp_log_quoted(const char *text);

/* Repeats: true when an event of this kind may be logged now (at most `burst` in `window_ms`). */
struct sp_log_rate {
    unsigned burst;
    unsigned window_ms;
    unsigned long long window_began_ms; /* 0 before the first */
    unsigned seen;
    unsigned dropped; /* since the last that was let through */
};
int sp_log_allowed(struct sp_log_rate *rate);

#endif
