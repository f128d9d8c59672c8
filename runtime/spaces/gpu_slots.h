/*
 * runtime/spaces/gpu_slots.h - the GPU slots of this host as the daemon knows them: what there is,
 * which sandbox holds what, and what a hardware flavour can have of it.
 *
 * The launcher finds the slots once, when it starts, and lends them (sandbox/gpu/pool.h); the
 * daemon is the only one who asks it to, so it can keep the same books: a lease begins with its
 * SANDBOX_START and ends when the sandbox is gone. The launcher checks each start again.
 */
#ifndef SP_RUNTIME_SPACES_GPU_SLOTS_H
#define SP_RUNTIME_SPACES_GPU_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/flavors.h"
#include "sandbox/launch.h"

struct sp_error;
struct sp_gpu_slots; /* fields are in gpu_slots.c */
struct sp_launcher;

/* Without a slot, until they are read. */
struct sp_gpu_slots *sp_gpu_slots_new(void);
void sp_gpu_slots_free(struct sp_gpu_slots *slots);

/*
 * Asks the launcher for all that `host` counts. `done` is called once, later, from inside of the
 * launcher's answer; with an error when it did not say them all.
 */
void sp_gpu_slots_read(struct sp_gpu_slots *slots, struct sp_launcher *launcher,
                       const struct sp_launch_host *host,
                       void (*done)(void *arg, const struct sp_error *err), void *arg);

size_t sp_gpu_slots_count(const struct sp_gpu_slots *slots);
/* NULL behind the last. */
const struct sp_launch_gpu_info *sp_gpu_slots_at(const struct sp_gpu_slots *slots, size_t i);
/* Why there is none, or what was left out; "" when there is nothing to say. */
const char *sp_gpu_slots_why(const struct sp_gpu_slots *slots);

enum sp_gpu_fit {
    SP_GPU_FITS,  /* also when the flavour asks for none */
    SP_GPU_SOON,  /* when those that are ending have ended */
    SP_GPU_BUSY,  /* when others let go */
    SP_GPU_NEVER, /* not on this host */
};

/*
 * Whether the flavour's slots can be had. What the sandboxes of Space `without` hold counts as
 * free; 0 = all counts. The sentence in `why` says what is wanted, why it is not there, and what to
 * do.
 */
enum sp_gpu_fit sp_gpu_slots_fit(const struct sp_gpu_slots *slots, const struct sp_flavor *flavor,
                                 uint64_t without, struct sp_error *why);
/* Bytes are those of shared slots; NULL is fine. */
bool sp_gpu_slots_held(const struct sp_gpu_slots *slots, uint64_t sandbox, uint64_t *ret_bytes);

/*
 * Takes the first slots that fit for a sandbox and writes them into its SANDBOX_START.
 * SP_ERR_LIMIT when others hold them, SP_ERR_INVALID when this host has no such slots.
 */
int sp_gpu_slots_take(struct sp_gpu_slots *slots, const struct sp_flavor *flavor,
                      struct sp_launch_msg *msg, struct sp_error *err);
/* The sandbox is on its way out, or (to try what would be then) is not; harmless without a lease.
 */
void sp_gpu_slots_ending(struct sp_gpu_slots *slots, uint64_t sandbox, bool ending);
/* The sandbox is gone, or was never there; harmless when it held nothing. */
void sp_gpu_slots_release(struct sp_gpu_slots *slots, uint64_t sandbox);

/* What a flavour would get here. */
struct sp_gpu_offer {
    char model[64];        /* "" where there is none */
    uint64_t memory_bytes; /* of all its slots; 0 = not known */
    const char *promise;   /* of the weakest kind that it may get; "" where there is none */
};
void sp_gpu_slots_offer(const struct sp_gpu_slots *slots, const struct sp_flavor *flavor,
                        struct sp_gpu_offer *ret);

#endif
