/* Coarse timeouts: order, moving, clearing, and a timer that sleeps when nothing is due. */
#include "runtime/server/wheel.h"

#include "base/clock.h"
#include "base/mem.h"
#include "tests/support/test.h"

struct item {
    struct sp_wheel_entry entry;
    unsigned called;
    uint64_t at_ms;
    uint64_t again_ms; /* set again from within the call */
};

static struct sp_wheel wheel;
static uv_loop_t loop;

static void on_due(struct sp_wheel_entry *entry)
{
    struct item *item = SP_CONTAINER(entry, struct item, entry);

    item->called++;
    item->at_ms = uv_now(&loop);
    assert_false(sp_wheel_is_set(entry));
    if (item->again_ms)
        sp_wheel_set(&wheel, entry, item->again_ms);
}

static int setup(void **state)
{
    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    sp_wheel_init(&wheel, &loop, on_due);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sp_wheel_close(&wheel, NULL);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop);
}

static struct item new_item(void)
{
    struct item item = {0};

    return item;
}

static void run_until(const unsigned *counter, unsigned wanted)
{
    uint64_t deadline = sp_clock_mono_ms() + 5000;

    while (*counter < wanted && sp_clock_mono_ms() < deadline)
        (void)uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(*counter, wanted);
}

static void test_an_entry_is_due_within_a_second_after_its_time(void **state)
{
    struct item item = new_item();
    uint64_t began = uv_now(&loop);

    (void)state;
    sp_wheel_entry_init(&item.entry);
    sp_wheel_set(&wheel, &item.entry, 300);
    run_until(&item.called, 1);
    assert_in_range(item.at_ms - began, 300, 1450);
}

static void test_a_cleared_entry_is_not_called_and_the_loop_ends(void **state)
{
    struct item item = new_item();

    (void)state;
    sp_wheel_entry_init(&item.entry);
    sp_wheel_set(&wheel, &item.entry, 100);
    sp_wheel_clear(&wheel, &item.entry);
    sp_wheel_clear(&wheel, &item.entry);
    (void)uv_run(&loop, UV_RUN_DEFAULT); /* ends: the timer does not go on without entries */
    assert_int_equal(item.called, 0);
    assert_int_equal(wheel.count, 0);
}

static void test_a_moved_entry_is_called_once_at_its_new_time(void **state)
{
    struct item item = new_item();
    uint64_t began = uv_now(&loop);

    (void)state;
    sp_wheel_entry_init(&item.entry);
    sp_wheel_set(&wheel, &item.entry, 200);
    sp_wheel_set(&wheel, &item.entry, 1500);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(item.called, 1);
    assert_in_range(item.at_ms - began, 1500, 2650);
}

static void test_an_earlier_entry_wakes_the_wheel_earlier(void **state)
{
    struct item late = new_item();
    struct item early = new_item();

    (void)state;
    sp_wheel_entry_init(&late.entry);
    sp_wheel_entry_init(&early.entry);
    sp_wheel_set(&wheel, &late.entry, 100 * 1000);
    sp_wheel_set(&wheel, &early.entry, 10);
    run_until(&early.called, 1);
    assert_int_equal(late.called, 0);
    sp_wheel_clear(&wheel, &late.entry);
}

/* Slots are shared by deadlines that lie whole turns apart. */
static void test_a_deadline_of_a_later_turn_waits(void **state)
{
    struct item now = new_item();
    struct item later = new_item();

    (void)state;
    sp_wheel_entry_init(&now.entry);
    sp_wheel_entry_init(&later.entry);
    sp_wheel_set(&wheel, &now.entry, 10);
    sp_wheel_set(&wheel, &later.entry, 10 + SP_WHEEL_SLOTS * SP_WHEEL_TICK_MS);
    assert_ptr_equal(now.entry.node.next, &later.entry.node);
    run_until(&now.called, 1);
    assert_int_equal(later.called, 0);
    assert_true(sp_wheel_is_set(&later.entry));
    sp_wheel_clear(&wheel, &later.entry);
}

static void test_an_entry_may_set_itself_again(void **state)
{
    struct item item = new_item();

    (void)state;
    item.again_ms = 1;
    sp_wheel_entry_init(&item.entry);
    sp_wheel_set(&wheel, &item.entry, 1);
    run_until(&item.called, 2);
    sp_wheel_clear(&wheel, &item.entry);
}

/* Ten thousand connections with the same timeout wake the loop once. */
static void test_entries_of_one_second_share_a_wake_up(void **state)
{
    enum { N = 10000 };
    struct item *items = sp_new0n(struct item, N);
    unsigned turns = 0;

    (void)state;
    for (int i = 0; i < N; i++) {
        sp_wheel_entry_init(&items[i].entry);
        sp_wheel_set(&wheel, &items[i].entry, 500);
    }
    while (wheel.count) {
        (void)uv_run(&loop, UV_RUN_ONCE);
        turns++;
    }
    assert_true(turns <= 3);
    for (int i = 0; i < N; i++)
        assert_int_equal(items[i].called, 1);
    free(items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_entry_is_due_within_a_second_after_its_time, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_cleared_entry_is_not_called_and_the_loop_ends, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_moved_entry_is_called_once_at_its_new_time, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_an_earlier_entry_wakes_the_wheel_earlier, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_deadline_of_a_later_turn_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_entry_may_set_itself_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_entries_of_one_second_share_a_wake_up, setup,
                                        teardown),
    };

    return cmocka_run_group_tests_name("wheel", tests, NULL, NULL);
}
