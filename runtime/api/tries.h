/*
 * runtime/api/tries.h - how many wrong tokens came from each network of late.
 *
 * A bounded table with the clock passed in. Where more networks try than it holds, the oldest is
 * forgotten: secrets have 214 random bits, so this is about noise and load, not about guessing.
 */
#ifndef SP_RUNTIME_API_TRIES_H
#define SP_RUNTIME_API_TRIES_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/server/address.h"

#define SP_TRIES_WINDOW_MS 60000
#define SP_TRIES_NETWORKS  512

struct sp_tries {
    struct {
        uint8_t network[16];
        uint64_t since_ms; /* when its minute began; 0 = free */
        unsigned n;
    } of[SP_TRIES_NETWORKS];
};

/*
 * Counts one. False when `max` were counted within the minute: `*ret_wait_ms` is what is left of
 * it.
 */
bool sp_tries_take(struct sp_tries *tries, const struct sp_address *from, unsigned max,
                   uint64_t now_ms, uint64_t *ret_wait_ms);
/* It was a right one after all. */
void sp_tries_give_back(struct sp_tries *tries, const struct sp_address *from);

#endif
