/* runtime/state/applog-internal.h - between applog.c (pipes, lines, followers) and applog_file.c
 * (files).
 */
#ifndef SP_RUNTIME_STATE_APPLOG_INTERNAL_H
#define SP_RUNTIME_STATE_APPLOG_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "runtime/state/applog.h"

#define APPLOG_TAIL_MAX   5000
#define APPLOG_TAIL_BYTES ((uint64_t)16 << 20) /* read for one tail */

/* A cleaned line may have grown: each byte that was no UTF-8 became the three of U+FFFD. */
#define APPLOG_GROWTH 3

/* run.log and run.log.1 of one Space: lines "<wall ms> <text>\n". */
struct applog_file {
    char *dir; /* of this Space */
    int fd;    /* -1: not opened yet */
    uint64_t size;
    size_t line_max;   /* of a cleaned line with its time */
    uint64_t half;     /* of log.max_bytes: then run.log becomes run.log.1 */
    struct sp_buf out; /* lines that are not written yet */
    bool broken;       /* the last write failed: said once */
};

void applog_file_init(struct applog_file *file, const char *dir, uint64_t space, uint64_t max_bytes,
                      size_t line_max);
/* Removes what was last written to longer ago than `ttl_ms`. */
void applog_file_expire(const struct applog_file *file, uint64_t ttl_ms);
/* Puts a line into the buffer; writes when it is full. Failures are logged and the lines dropped.
 */
void applog_file_add(struct applog_file *file, int64_t wall_ms, struct sp_slice line);
void applog_file_flush(struct applog_file *file);
void applog_file_done(struct applog_file *file);
/* Reads the last lines back. */
void applog_file_tail(const struct applog_file *file, size_t max, sp_applog_line_fn *each,
                      void *arg);

#endif
