/*
 * sandbox/gpu/pool.h - who holds which slot. Pure: no device is touched.
 *
 * Whole and MIG slots have one holder. A shared slot has many, and what they have asked for is
 * never more than there is. A lease is given back when nothing of its sandbox is left, not earlier:
 * an open descriptor outlives every other way of taking a device away.
 */
#ifndef SP_SANDBOX_GPU_POOL_H
#define SP_SANDBOX_GPU_POOL_H

#include "sandbox/gpu/slot.h"
#include "sandbox/launch.h"

/* What one sandbox holds. */
struct sp_gpu_lease {
    size_t n;
    struct {
        size_t slot;           /* index in the list */
        uint64_t memory_bytes; /* of a shared slot; otherwise 0 */
        uint64_t used_bytes;   /* at the last reading */
        unsigned above;        /* readings in a row above memory_bytes */
    } held[SP_LAUNCH_GPUS_MAX];
};

struct sp_gpu_pool {
    struct sp_gpu_list list;
    unsigned holders[SP_GPU_SLOTS_MAX];
    uint64_t lent_bytes[SP_GPU_SLOTS_MAX];
    unsigned n_leases;
};

/* Takes the list over. */
void sp_gpu_pool_init(struct sp_gpu_pool *pool, struct sp_gpu_list *take_list);
void sp_gpu_pool_done(struct sp_gpu_pool *pool);

/*
 * Takes all that is asked for, or nothing: SP_ERR_INVALID (no such slot, named twice, memory of a
 * slot that is not shared, a share of nothing), SP_ERR_CONFLICT (somebody holds it) or SP_ERR_LIMIT
 * (less is left of a shared one). The sentence names the slot.
 */
int sp_gpu_pool_take(struct sp_gpu_pool *pool, const struct sp_launch_gpu *asked, size_t n,
                     struct sp_gpu_lease *ret, struct sp_error *err);
/* Gives it back; an empty lease is fine. */
void sp_gpu_pool_release(struct sp_gpu_pool *pool, struct sp_gpu_lease *lease);

#define SP_GPU_POLLS_ABOVE 2
/*
 * A reading of what the lease's processes hold (used_bytes is set by the caller). True when a
 * shared slot was above its share for SP_GPU_POLLS_ABOVE readings in a row.
 */
bool sp_gpu_lease_overdrawn(const struct sp_gpu_pool *pool, struct sp_gpu_lease *lease);
/* Memory in all slots of the lease, at the last reading. */
uint64_t sp_gpu_lease_used(const struct sp_gpu_lease *lease);

#endif
