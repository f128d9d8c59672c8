#include "runtime/app/turn.h"

static void run_all(struct sp_turn *turn)
{
    struct sp_list now;

    /* What the work itself puts off goes to the next round: no item can keep us here for ever. */
    sp_list_init(&now);
    sp_list_move_all(&turn->items, &now);
    while (!sp_list_empty(&now)) {
        struct sp_turn_item *item = SP_LIST_TAKE(&now, struct sp_turn_item, node);

        item->run(item);
    }
    if (sp_list_empty(&turn->items) && turn->waiting) {
        turn->waiting = false;
        (void)uv_prepare_stop(&turn->prepare);
        (void)uv_check_stop(&turn->check);
    }
}

static void on_prepare(uv_prepare_t *handle)
{
    run_all(handle->data);
}

static void on_check(uv_check_t *handle)
{
    run_all(handle->data);
}

void sp_turn_init(struct sp_turn *turn, uv_loop_t *loop)
{
    *turn = (struct sp_turn){.open_handles = 2};
    (void)uv_prepare_init(loop, &turn->prepare);
    (void)uv_check_init(loop, &turn->check);
    turn->prepare.data = turn->check.data = turn;
    uv_unref((uv_handle_t *)&turn->prepare);
    uv_unref((uv_handle_t *)&turn->check);
    sp_list_init(&turn->items);
}

static void on_closed(uv_handle_t *handle)
{
    struct sp_turn *turn = handle->data;

    if (--turn->open_handles == 0)
        turn->closed(turn);
}

void sp_turn_close(struct sp_turn *turn, void (*closed)(struct sp_turn *turn))
{
    turn->closed = closed;
    run_all(turn);
    uv_close((uv_handle_t *)&turn->prepare, on_closed);
    uv_close((uv_handle_t *)&turn->check, on_closed);
}

void sp_turn_item_init(struct sp_turn_item *item, void (*run)(struct sp_turn_item *item))
{
    sp_list_init(&item->node);
    item->run = run;
}

void sp_turn_later(struct sp_turn *turn, struct sp_turn_item *item)
{
    if (!sp_list_empty(&item->node))
        return;
    sp_list_append(&turn->items, &item->node);
    if (turn->waiting || uv_is_closing((uv_handle_t *)&turn->check))
        return;
    turn->waiting = true;
    (void)uv_prepare_start(&turn->prepare, on_prepare);
    (void)uv_check_start(&turn->check, on_check);
}

void sp_turn_forget(struct sp_turn_item *item)
{
    sp_list_remove(&item->node);
}
