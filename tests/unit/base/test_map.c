#include "base/map.h"

#include <stdint.h>
#include <stdio.h>

#include "base/mem.h"
#include "tests/support/test.h"

#define KEYS 200

/* xorshift: the same walk on every run. */
static uint64_t next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* What the map should hold: a value per key, or NULL. Byte keys of several lengths, also empty. */
struct model {
    struct sp_map map;
    void *values[KEYS];
    size_t count;
    bool numbers;
};

static struct sp_slice key_of(size_t i, char text[32])
{
    int n = i ? snprintf(text, 32, "%zx-key%*s", i, (int)(i % 7), "") : 0;

    return sp_slice(text, (size_t)n);
}

static void *get(struct model *m, size_t i)
{
    char text[32];

    return m->numbers ? sp_map_get_u64(&m->map, i << 32) : sp_map_get(&m->map, key_of(i, text));
}

static void put(struct model *m, size_t i, void *value)
{
    char text[32];
    void *before = m->numbers ? sp_map_put_u64(&m->map, i << 32, value)
                              : sp_map_put(&m->map, key_of(i, text), value);

    memset(text, 'x', sizeof(text)); /* the map has its own copy */
    assert_ptr_equal(before, m->values[i]);
    m->count += m->values[i] == NULL;
    m->values[i] = value;
}

static void take(struct model *m, size_t i)
{
    char text[32];
    void *before =
        m->numbers ? sp_map_remove_u64(&m->map, i << 32) : sp_map_remove(&m->map, key_of(i, text));

    assert_ptr_equal(before, m->values[i]);
    m->count -= m->values[i] != NULL;
    m->values[i] = NULL;
}

/* Every entry once and nothing else; some are removed while walking. */
static void walk(struct model *m, uint64_t *seed)
{
    bool seen[KEYS] = {0};
    struct sp_slice key;
    size_t cursor = 0;
    size_t n = 0;
    size_t before = m->count;
    void *value;

    while ((value = sp_map_next(&m->map, &cursor, &key))) {
        size_t i = (size_t)((uintptr_t)value % KEYS);

        assert_ptr_equal(value, m->values[i]);
        assert_false(seen[i]);
        seen[i] = true;
        n++;
        if (!m->numbers) {
            char text[32];

            assert_true(sp_slice_eq(key, key_of(i, text)));
        }
        if (next(seed) % 8 == 0)
            take(m, i);
    }
    assert_int_equal(n, before);
}

static void run(bool numbers, uint64_t seed)
{
    struct model m = {.numbers = numbers};

    sp_map_init(&m.map);
    for (int op = 0; op < 200000; op++) {
        uint64_t r = next(&seed);
        size_t i = (size_t)(r >> 8) % (op % 40000 < 20000 ? KEYS : 12); /* crowded, then sparse */

        if (r % 4 == 0)
            put(&m, i, (void *)(uintptr_t)(KEYS * (1 + (r >> 40)) + i));
        else if (r % 4 == 1)
            take(&m, i);
        else
            assert_ptr_equal(get(&m, i), m.values[i]);
        assert_int_equal(m.map.count, m.count);
        if (r % 1000 == 7)
            walk(&m, &seed);
    }
    assert_true(m.map.cap <= 1024); /* tombstones are cleared away */
    sp_map_done(&m.map);
}

static void test_random_operations_match_a_naive_array(void **state)
{
    (void)state;
    run(false, 42);
    run(true, 43);
}

static void test_an_empty_map_answers_and_holds_no_memory(void **state)
{
    struct sp_map map;
    size_t cursor = 0;
    int value;

    (void)state;
    sp_map_init(&map);
    assert_null(sp_map_get(&map, SP_SLICE("a")));
    assert_null(sp_map_remove(&map, SP_SLICE("a")));
    assert_null(sp_map_next(&map, &cursor, NULL));
    assert_null(sp_map_put(&map, SP_SLICE("a"), &value));
    assert_ptr_equal(sp_map_remove(&map, SP_SLICE("a")), &value);
    assert_null(map.slots);
    sp_map_done(&map);
}

static void test_keys_are_bytes(void **state)
{
    struct sp_map map;
    int a;
    int b;

    (void)state;
    sp_map_init(&map);
    assert_null(sp_map_put(&map, SP_SLICE("x\0y"), &a));
    assert_null(sp_map_put(&map, SP_SLICE("x\0z"), &b));
    assert_ptr_equal(sp_map_get(&map, SP_SLICE("x\0y")), &a);
    assert_ptr_equal(sp_map_get(&map, SP_SLICE("x\0z")), &b);
    assert_null(sp_map_get(&map, SP_SLICE("x")));
    sp_map_done(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_operations_match_a_naive_array),
        cmocka_unit_test(test_an_empty_map_answers_and_holds_no_memory),
        cmocka_unit_test(test_keys_are_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
