#include "base/map.h"

#include <stdlib.h>

#include "base/id.h"
#include "base/mem.h"

struct sp_map_slot {
    char *key; /* NULL for a number key */
    uint64_t hash_or_number;
    size_t key_len;
    void *value; /* NULL: free, or a tombstone */
    bool tombstone;
};

/* FNV-1a over a secret start and finish: cheap, and not predictable from outside. */
static uint64_t hash_bytes(struct sp_slice key)
{
    static uint64_t secret[2];
    uint64_t h;

    if (secret[0] == 0) {
        sp_random(secret, sizeof(secret));
        secret[0] |= 1;
    }
    h = secret[0];
    for (size_t i = 0; i < key.len; i++) {
        h ^= (unsigned char)key.ptr[i];
        h *= 0x100000001b3ull;
        h ^= h >> 29;
    }
    h ^= secret[1];
    h *= 0xff51afd7ed558ccdull;
    return h ^ h >> 32;
}

static size_t spread(uint64_t h)
{
    h *= 0x9e3779b97f4a7c15ull;
    return (size_t)(h >> 32 ^ h);
}

void sp_map_init(struct sp_map *map)
{
    *map = (struct sp_map){0};
}

void sp_map_done(struct sp_map *map)
{
    for (size_t i = 0; i < map->cap; i++)
        free(map->slots[i].key);
    free(map->slots);
    sp_map_init(map);
}

static bool matches(const struct sp_map_slot *slot, uint64_t h, const struct sp_slice *key)
{
    if (slot->hash_or_number != h)
        return false;
    return !key || sp_slice_eq(sp_slice(slot->key, slot->key_len), *key);
}

/* The slot of the key, or the free slot where it would go. `key` is NULL for numbers. */
static struct sp_map_slot *find(const struct sp_map *map, uint64_t h, const struct sp_slice *key)
{
    struct sp_map_slot *grave = NULL;

    for (size_t i = spread(h);; i++) {
        struct sp_map_slot *slot = &map->slots[i & (map->cap - 1)];

        if (slot->value && matches(slot, h, key))
            return slot;
        if (!slot->value && !slot->tombstone)
            return grave ? grave : slot;
        if (!slot->value && !grave)
            grave = slot;
    }
}

static void *get(const struct sp_map *map, uint64_t h, const struct sp_slice *key)
{
    return map->cap ? find(map, h, key)->value : NULL;
}

static void rehash(struct sp_map *map)
{
    struct sp_map old = *map;

    map->cap = 8;
    while (map->cap < 2 * old.count + 2)
        map->cap *= 2;
    map->slots = sp_new0n(struct sp_map_slot, map->cap);
    map->used = map->count;
    for (size_t i = 0; i < old.cap; i++) {
        struct sp_map_slot *slot = &old.slots[i];
        size_t at = spread(slot->hash_or_number);

        if (!slot->value)
            continue;
        while (map->slots[at & (map->cap - 1)].value)
            at++;
        map->slots[at & (map->cap - 1)] = *slot;
    }
    free(old.slots);
}

static void *put(struct sp_map *map, uint64_t h, const struct sp_slice *key, void *value)
{
    struct sp_map_slot *slot;
    void *before;

    if (4 * (map->used + 1) > 3 * map->cap)
        rehash(map);
    slot = find(map, h, key);
    before = slot->value;
    if (!before) {
        map->count++;
        if (!slot->tombstone)
            map->used++;
        *slot = (struct sp_map_slot){.hash_or_number = h};
        if (key) {
            slot->key = sp_slice_dup(*key);
            slot->key_len = key->len;
        }
    }
    slot->value = value;
    return before;
}

static void *take_out(struct sp_map *map, uint64_t h, const struct sp_slice *key)
{
    struct sp_map_slot *slot;
    void *value;

    if (!map->cap)
        return NULL;
    slot = find(map, h, key);
    value = slot->value;
    if (!value)
        return NULL;
    free(slot->key);
    *slot = (struct sp_map_slot){.tombstone = true};
    if (--map->count == 0) /* give the memory back: most maps are empty most of the time */
        sp_map_done(map);
    return value;
}

void *sp_map_get(const struct sp_map *map, struct sp_slice key)
{
    return get(map, hash_bytes(key), &key);
}

void *sp_map_get_u64(const struct sp_map *map, uint64_t key)
{
    return get(map, key, NULL);
}

void *sp_map_put(struct sp_map *map, struct sp_slice key, void *value)
{
    return put(map, hash_bytes(key), &key, value);
}

void *sp_map_put_u64(struct sp_map *map, uint64_t key, void *value)
{
    return put(map, key, NULL, value);
}

void *sp_map_remove(struct sp_map *map, struct sp_slice key)
{
    return take_out(map, hash_bytes(key), &key);
}

void *sp_map_remove_u64(struct sp_map *map, uint64_t key)
{
    return take_out(map, key, NULL);
}

void *sp_map_next(const struct sp_map *map, size_t *cursor, struct sp_slice *ret_key)
{
    while (*cursor < map->cap) {
        const struct sp_map_slot *slot = &map->slots[(*cursor)++];

        if (!slot->value)
            continue;
        if (ret_key)
            *ret_key = sp_slice(slot->key, slot->key_len);
        return slot->value;
    }
    return NULL;
}
