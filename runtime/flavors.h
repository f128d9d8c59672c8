/*
 * runtime/flavors.h - the hardware that Spaces may ask for: the setting space.flavors taken apart.
 *
 *     cpu-small cpu=500 memory=1G; cpu-upgrade cpu=8000 memory=32G pids=1024
 *
 * A flavour says what differs from the space.* settings, which are `cpu-basic`.
 */
#ifndef SP_RUNTIME_FLAVORS_H
#define SP_RUNTIME_FLAVORS_H

#include <stddef.h>
#include <stdint.h>

struct sp_error;

#define SP_FLAVORS_MAX  32
#define SP_FLAVOR_BASIC "cpu-basic" /* always there */

/* 0 and "" mean: as cpu-basic has it. */
struct sp_flavor {
    char name[40];
    uint64_t cpu_millis;
    uint64_t memory_bytes;
    uint64_t layer_bytes;
    uint64_t shm_bytes;
    uint64_t pids;
    uint64_t gpus;             /* slots; 1 when only one of the next two is said */
    uint64_t gpu_memory_bytes; /* of each: the share of a shared slot, the least of another */
    char gpu[40];              /* "whole", "mig", "shared", or a part of the model; "" = any */
};

/* cpu-basic is the first of them. */
int sp_flavors_parse(const char *text, struct sp_flavor ret[SP_FLAVORS_MAX], size_t *ret_n,
                     struct sp_error *err);

#endif
