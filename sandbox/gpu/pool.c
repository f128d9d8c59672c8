#include "sandbox/gpu/pool.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"

void sp_gpu_pool_init(struct sp_gpu_pool *pool, struct sp_gpu_list *take_list)
{
    memset(pool, 0, sizeof(*pool));
    pool->list = *take_list;
    sp_gpu_list_init(take_list);
}

void sp_gpu_pool_done(struct sp_gpu_pool *pool)
{
    sp_gpu_list_done(&pool->list);
}

static int take_one(struct sp_gpu_pool *pool, const struct sp_launch_gpu *asked,
                    struct sp_gpu_lease *lease, struct sp_error *err)
{
    const struct sp_gpu_slot *slot;
    uint64_t left;
    size_t i;

    if (!memchr(asked->id, '\0', sizeof(asked->id)) ||
        !(slot = sp_gpu_list_find(&pool->list, asked->id)))
        return sp_error_set(err, SP_ERR_INVALID, 0, "there is no GPU slot '%.79s'", asked->id);
    i = (size_t)(slot - pool->list.slots);
    for (size_t k = 0; k < lease->n; k++)
        if (lease->held[k].slot == i)
            return sp_error_set(err, SP_ERR_INVALID, 0, "GPU slot '%s' is named twice", slot->id);
    if (slot->kind != SP_GPU_SHARED && asked->memory_bytes != 0)
        return sp_error_set(err, SP_ERR_INVALID, 0, "GPU slot '%s' is not shared", slot->id);
    if (slot->kind == SP_GPU_SHARED && asked->memory_bytes == 0)
        return sp_error_set(err, SP_ERR_INVALID, 0, "a share of GPU slot '%s' has a size",
                            slot->id);
    if (slot->kind != SP_GPU_SHARED && pool->holders[i] > 0)
        return sp_error_set(err, SP_ERR_CONFLICT, 0, "GPU slot '%s' is taken", slot->id);
    left = slot->memory_bytes - pool->lent_bytes[i];
    if (slot->kind == SP_GPU_SHARED && asked->memory_bytes > left)
        return sp_error_set(err, SP_ERR_LIMIT, 0, "GPU slot '%s' has %llu of %llu MiB left",
                            slot->id, (unsigned long long)left >> 20,
                            (unsigned long long)slot->memory_bytes >> 20);
    pool->holders[i]++;
    pool->lent_bytes[i] += asked->memory_bytes;
    lease->held[lease->n].slot = i;
    lease->held[lease->n++].memory_bytes = asked->memory_bytes;
    return 0;
}

int sp_gpu_pool_take(struct sp_gpu_pool *pool, const struct sp_launch_gpu *asked, size_t n,
                     struct sp_gpu_lease *ret, struct sp_error *err)
{
    struct sp_gpu_lease lease = {.n = 0};
    int r = 0;

    if (n > SP_LAUNCH_GPUS_MAX)
        return sp_error_set(err, SP_ERR_LIMIT, 0, "over %d GPU slots", SP_LAUNCH_GPUS_MAX);
    if (n > 0)
        pool->n_leases++;
    for (size_t i = 0; r == 0 && i < n; i++)
        r = take_one(pool, &asked[i], &lease, err);
    if (r < 0) {
        if (lease.n > 0)
            sp_gpu_pool_release(pool, &lease);
        else
            pool->n_leases--;
        return r;
    }
    *ret = lease;
    return 0;
}

void sp_gpu_pool_release(struct sp_gpu_pool *pool, struct sp_gpu_lease *lease)
{
    if (lease->n > 0)
        pool->n_leases--;
    for (size_t k = 0; k < lease->n; k++) {
        pool->holders[lease->held[k].slot]--;
        pool->lent_bytes[lease->held[k].slot] -= lease->held[k].memory_bytes;
    }
    memset(lease, 0, sizeof(*lease));
}

bool sp_gpu_lease_overdrawn(const struct sp_gpu_pool *pool, struct sp_gpu_lease *lease)
{
    bool overdrawn = false;

    for (size_t k = 0; k < lease->n; k++) {
        bool shared = pool->list.slots[lease->held[k].slot].kind == SP_GPU_SHARED;

        if (shared && lease->held[k].used_bytes > lease->held[k].memory_bytes)
            overdrawn |= ++lease->held[k].above >= SP_GPU_POLLS_ABOVE;
        else
            lease->held[k].above = 0;
    }
    return overdrawn;
}

uint64_t sp_gpu_lease_used(const struct sp_gpu_lease *lease)
{
    uint64_t sum = 0;

    for (size_t k = 0; k < lease->n; k++)
        sum += lease->held[k].used_bytes;
    return sum;
}
