/*
 * runtime/app/turn.h - work put off to the end of the loop's turn, so that many small messages
 * leave in one write. Costs nothing while there is none: the handles are stopped.
 */
#ifndef SP_RUNTIME_APP_TURN_H
#define SP_RUNTIME_APP_TURN_H

#include <stdbool.h>

#include <uv.h>

#include "base/list.h"

struct sp_turn_item {
    struct sp_list node;
    void (*run)(struct sp_turn_item *item); /* no longer put off when this is called */
};

struct sp_turn {
    uv_prepare_t prepare; /* for what timers made */
    uv_check_t check;     /* for what sockets made */
    struct sp_list items;
    bool waiting; /* the handles are started */
    unsigned open_handles;
    void (*closed)(struct sp_turn *turn);
};

void sp_turn_init(struct sp_turn *turn, uv_loop_t *loop);
/* Runs what is put off, then closes; `closed` comes later, once. */
void sp_turn_close(struct sp_turn *turn, void (*closed)(struct sp_turn *turn));

void sp_turn_item_init(struct sp_turn_item *item, void (*run)(struct sp_turn_item *item));
/* Runs `item` once before the loop waits again; harmless when it is put off already. */
void sp_turn_later(struct sp_turn *turn, struct sp_turn_item *item);
void sp_turn_forget(struct sp_turn_item *item);

#endif
