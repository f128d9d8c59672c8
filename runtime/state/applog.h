/*
 * runtime/state/applog.h - what an app prints, per Space: read from its pipe, cut into lines, kept
 * in rotated files and followed live.
 *
 * An app may print without end: lines above limit.log_line are cut, the files of a Space never
 * exceed log.max_bytes, and above log.rate lines per second the rest is dropped and counted in a
 * line of its own. The pipe is always drained, so that a chatty app neither blocks nor grows the
 * daemon.
 */
#ifndef SP_RUNTIME_STATE_APPLOG_H
#define SP_RUNTIME_STATE_APPLOG_H

#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/str.h"

struct sp_applog;
struct sp_config;
struct sp_error;

/* Logs lie in `dir`/<space as 16 hex digits>/run.log and run.log.1; opened at the first line. */
struct sp_applog *sp_applog_new(uv_loop_t *loop, const char *dir, uint64_t space,
                                const struct sp_config *config);
/* Closes pipes and followers (each gets its end); the files stay. Asynchronous inside. */
void sp_applog_close(struct sp_applog *log);
/* Removes the files of a Space. */
void sp_applog_erase(const char *dir, uint64_t space);

/* Reads the pipe until its end; several may be open at once. Takes the descriptor. */
int sp_applog_take_pipe(struct sp_applog *log, int take_fd, struct sp_error *err);
/* A line of the daemon's own, marked "===== ". */
void sp_applog_note(struct sp_applog *log, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* `wall_ms` is when the line was read; `line` has no line feed and is valid UTF-8. */
typedef void sp_applog_line_fn(void *arg, int64_t wall_ms, struct sp_slice line);
/* The last `max` lines (<= 5,000), oldest first, from memory and files. */
void sp_applog_tail(struct sp_applog *log, size_t max, sp_applog_line_fn *each, void *arg);

struct sp_applog_follower;
/* `end` is called once when the log is closed; not after unfollow. */
struct sp_applog_follower *sp_applog_follow(struct sp_applog *log, sp_applog_line_fn *each,
                                            void (*end)(void *arg), void *arg);
/* How many follow now. */
size_t sp_applog_followers(const struct sp_applog *log);
void sp_applog_unfollow(struct sp_applog_follower *follower);

#endif
