/*
 * base/map.h - a hash map from bytes or from a number to a pointer. Open addressing; the hash is
 * keyed per process, so that a stranger cannot choose keys that collide.
 *
 * Ownership: the map copies byte keys and never owns the values.
 */
#ifndef SP_BASE_MAP_H
#define SP_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct sp_map {
    struct sp_map_slot *slots; /* NULL while empty */
    size_t cap;                /* power of two */
    size_t count;              /* live entries */
    size_t used;               /* live entries and tombstones */
};

void sp_map_init(struct sp_map *map);
/* Frees keys and slots, not values. */
void sp_map_done(struct sp_map *map);

/* NULL when absent. A map is used either with byte keys or with number keys. */
void *sp_map_get(const struct sp_map *map, struct sp_slice key);
void *sp_map_get_u64(const struct sp_map *map, uint64_t key);
/* Sets and returns the value that was there before, or NULL. `value` is not NULL. */
void *sp_map_put(struct sp_map *map, struct sp_slice key, void *value);
void *sp_map_put_u64(struct sp_map *map, uint64_t key, void *value);
/* Removes and returns the value, or NULL. */
void *sp_map_remove(struct sp_map *map, struct sp_slice key);
void *sp_map_remove_u64(struct sp_map *map, uint64_t key);

/*
 * Iterates in no order: start with *cursor = 0; NULL ends. The entry just returned may be removed;
 * nothing may be put meanwhile. `ret_key` may be NULL.
 */
void *sp_map_next(const struct sp_map *map, size_t *cursor, struct sp_slice *ret_key);

#endif
