#include "base/list.h"

#include "tests/support/test.h"

struct item {
    int number;
    struct sp_list node;
};

struct fixture {
    struct sp_list a;
    struct sp_list b;
    struct item items[4];
};

/* 0 and 1 are in `a`, 2 and 3 in `b`. */
static void fill(struct fixture *f)
{
    sp_list_init(&f->a);
    sp_list_init(&f->b);
    for (int i = 0; i < 4; i++) {
        f->items[i].number = i;
        sp_list_init(&f->items[i].node);
        sp_list_append(i < 2 ? &f->a : &f->b, &f->items[i].node);
    }
}

/* The numbers in the order of the list, as one decimal number behind a 1. */
static int order(struct sp_list *head)
{
    int digits = 1;
    int backwards = 0;

    SP_LIST_EACH (item, head, struct item, node)
        digits = digits * 10 + item->number;
    for (struct sp_list *node = head->prev; node != head; node = node->prev)
        backwards++;
    for (int rest = digits; rest >= 10; rest /= 10)
        backwards--;
    assert_int_equal(backwards, 0); /* both directions see as many */
    return digits;
}

static void test_take_gives_the_first_and_leaves_it_in_no_list(void **state)
{
    struct fixture f;
    struct item *item;

    (void)state;
    fill(&f);
    item = SP_LIST_TAKE(&f.a, struct item, node);
    assert_int_equal(item->number, 0);
    assert_true(sp_list_empty(&item->node));
    assert_int_equal(order(&f.a), 11);
    item = SP_LIST_TAKE(&f.a, struct item, node);
    assert_int_equal(item->number, 1);
    assert_true(sp_list_empty(&f.a));
    assert_int_equal(order(&f.a), 1);
}

static void test_move_all_appends_in_order_and_empties(void **state)
{
    struct fixture f;

    (void)state;
    fill(&f);
    sp_list_move_all(&f.a, &f.b);
    assert_true(sp_list_empty(&f.a));
    assert_int_equal(order(&f.b), 12301);
    sp_list_move_all(&f.a, &f.b); /* nothing to move */
    assert_int_equal(order(&f.b), 12301);
    sp_list_move_all(&f.b, &f.a); /* into an empty one */
    assert_int_equal(order(&f.a), 12301);
    assert_true(sp_list_empty(&f.b));
}

static void test_each_may_remove_the_item_at_hand(void **state)
{
    struct fixture f;

    (void)state;
    fill(&f);
    SP_LIST_EACH (item, &f.b, struct item, node)
        if (item->number == 2)
            sp_list_remove(&item->node);
    assert_int_equal(order(&f.b), 13);
    sp_list_remove(&f.items[2].node); /* harmless */
    assert_int_equal(order(&f.b), 13);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_take_gives_the_first_and_leaves_it_in_no_list),
        cmocka_unit_test(test_move_all_appends_in_order_and_empties),
        cmocka_unit_test(test_each_may_remove_the_item_at_hand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
