/*
 * runtime/server/wheel.h - thousands of coarse timeouts on one uv_timer.
 *
 * Deadlines are rounded up to whole seconds, so that connections whose time comes in the same
 * second share one wake-up. With no entry the timer is stopped: an idle daemon is never woken.
 *
 * Ownership: entries are fields of the caller's objects; clear an entry before its memory goes.
 */
#ifndef SP_RUNTIME_SERVER_WHEEL_H
#define SP_RUNTIME_SERVER_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/list.h"

#define SP_WHEEL_SLOTS   128 /* seconds of one turn; later deadlines wait for their round */
#define SP_WHEEL_TICK_MS 1000

struct sp_wheel_entry {
    struct sp_list node;
    uint64_t tick; /* when it is due; 0 while it is not set */
};

/* The entry is no longer set when this is called; it may be set again or freed in here. */
typedef void sp_wheel_fn(struct sp_wheel_entry *entry);

struct sp_wheel {
    uv_timer_t timer;
    struct sp_list slots[SP_WHEEL_SLOTS];
    uint64_t armed_tick; /* 0 while the timer is stopped */
    uint64_t done_tick;  /* everything due up to here has been called */
    size_t count;
    sp_wheel_fn *due;
};

void sp_wheel_init(struct sp_wheel *wheel, uv_loop_t *loop, sp_wheel_fn *due);
/* Closes the timer; `closed` comes from the loop. Entries that are still set are forgotten. */
void sp_wheel_close(struct sp_wheel *wheel, uv_close_cb closed);

void sp_wheel_entry_init(struct sp_wheel_entry *entry);
/* Calls `due` in not less than `ms` and less than ms + 1 s (+ lag). Moves an entry that is set. */
void sp_wheel_set(struct sp_wheel *wheel, struct sp_wheel_entry *entry, uint64_t ms);
/* Harmless for an entry that is not set. */
void sp_wheel_clear(struct sp_wheel *wheel, struct sp_wheel_entry *entry);

static inline bool sp_wheel_is_set(const struct sp_wheel_entry *entry)
{
    return entry->tick != 0;
}

#endif
