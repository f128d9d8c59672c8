/*
 * runtime/loop.h - watching the event loop: how long its turns take, and what it still has open.
 *
 * The lag of a turn is the time from the poll's return to the next poll: what an event that came in
 * meanwhile had to wait at most. It is measured in passing, so that an idle loop is not woken.
 */
#ifndef SP_RUNTIME_LOOP_H
#define SP_RUNTIME_LOOP_H

#include <uv.h>

#include "runtime/metrics.h"

struct sp_loop_watch {
    uv_prepare_t prepare;
    uv_check_t check;
    uint64_t woke_ns;        /* 0 before the first poll */
    uint64_t longest_us;     /* since the last sp_loop_watch_longest */
    struct sp_histogram lag; /* of turns */
    unsigned open_handles;
};

/* The handles do not keep the loop alive. */
void sp_loop_watch_start(struct sp_loop_watch *watch, uv_loop_t *loop);
/* Closes the handles; the memory may go when uv_run has returned. */
void sp_loop_watch_stop(struct sp_loop_watch *watch);
/* The longest turn since the last call. */
uint64_t sp_loop_watch_longest(struct sp_loop_watch *watch);
/* A collector for sp_metrics_add; `arg` is the watch. */
void sp_loop_watch_collect(void *arg, struct sp_buf *out);

/* Writes "timer active\ntcp active closing\n...": what keeps a loop from ending. */
void sp_loop_list_handles(uv_loop_t *loop, struct sp_buf *out);

#endif
