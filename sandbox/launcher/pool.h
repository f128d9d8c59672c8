/*
 * sandbox/launcher/pool.h - blank sandboxes, prepared ahead of demand.
 *
 * A spare has its ids, groups, namespaces, root and /proc, and its pid 1 waits for an order. It has
 * seen no Space, and serves one. Spares are made one at a time, a moment after the last start, so
 * that making them delays nobody; a burst of starts uses them up and then pays the whole price.
 */
#ifndef SP_SANDBOX_LAUNCHER_POOL_H
#define SP_SANDBOX_LAUNCHER_POOL_H

#include <stdbool.h>
#include <stdint.h>

struct sp_box;
struct sp_launcher;

#define SP_POOL_MAX 64

struct sp_pool {
    unsigned size; /* spares to have ready; 0 = none */
    unsigned count;
    unsigned failures;   /* spares that died since one has served */
    uint64_t fill_at_ms; /* when to make the next; 0 = not now */
};

/* Fills from now on. */
void sp_pool_start(struct sp_launcher *l);

bool sp_pool_has_one(struct sp_launcher *l);
/* A spare for a start, the readiest there is; NULL when there is none. It is no spare any more. */
struct sp_box *sp_pool_take(struct sp_launcher *l);

/* Makes a spare when it is time for one; the loop asks in every turn. */
void sp_pool_fill(struct sp_launcher *l);

/* When it wants to be asked again; UINT64_MAX = after the next event. */
uint64_t sp_pool_next_ms(const struct sp_launcher *l);

/* A spare is ready and waits. */
void sp_pool_waiting(struct sp_launcher *l);

/* A sandbox out of the pool runs: the host is well. */
void sp_pool_served(struct sp_launcher *l);

/* One that was made ahead died before it served: the next ones come slower. */
void sp_pool_lost(struct sp_launcher *l, struct sp_box *box);

#endif
