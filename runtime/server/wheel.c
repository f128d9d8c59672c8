#include "runtime/server/wheel.h"

static void on_tick(uv_timer_t *timer);

void sp_wheel_init(struct sp_wheel *wheel, uv_loop_t *loop, sp_wheel_fn *due)
{
    *wheel = (struct sp_wheel){.due = due};
    for (size_t i = 0; i < SP_WHEEL_SLOTS; i++)
        sp_list_init(&wheel->slots[i]);
    (void)uv_timer_init(loop, &wheel->timer); /* cannot fail */
    wheel->timer.data = wheel;
    wheel->done_tick = uv_now(loop) / SP_WHEEL_TICK_MS;
}

void sp_wheel_close(struct sp_wheel *wheel, uv_close_cb closed)
{
    for (size_t i = 0; i < SP_WHEEL_SLOTS; i++)
        SP_LIST_EACH (entry, &wheel->slots[i], struct sp_wheel_entry, node)
            sp_wheel_clear(wheel, entry);
    uv_close((uv_handle_t *)&wheel->timer, closed);
}

void sp_wheel_entry_init(struct sp_wheel_entry *entry)
{
    sp_list_init(&entry->node);
    entry->tick = 0;
}

static void arm(struct sp_wheel *wheel, uint64_t tick)
{
    uint64_t now = uv_now(wheel->timer.loop);
    uint64_t at = tick * SP_WHEEL_TICK_MS;

    wheel->armed_tick = tick;
    (void)uv_timer_start(&wheel->timer, on_tick, at > now ? at - now : 0, 0);
}

void sp_wheel_set(struct sp_wheel *wheel, struct sp_wheel_entry *entry, uint64_t ms)
{
    uint64_t now = uv_now(wheel->timer.loop);
    uint64_t tick = (now + ms + SP_WHEEL_TICK_MS - 1) / SP_WHEEL_TICK_MS;

    if (entry->tick == tick)
        return;
    if (tick <= wheel->done_tick)
        tick = wheel->done_tick + 1;
    if (entry->tick)
        sp_list_remove(&entry->node);
    else
        wheel->count++;
    entry->tick = tick;
    sp_list_append(&wheel->slots[tick % SP_WHEEL_SLOTS], &entry->node);

    if (wheel->armed_tick == 0 || tick < wheel->armed_tick)
        arm(wheel, tick);
}

void sp_wheel_clear(struct sp_wheel *wheel, struct sp_wheel_entry *entry)
{
    if (!entry->tick)
        return;
    sp_list_remove(&entry->node);
    entry->tick = 0;
    /* The timer stays armed: stopping it here would cost more than one wake-up later. */
    wheel->count--;
}

/* The next second that has an entry within one turn; a full turn ahead when all are later. */
static uint64_t next_tick(const struct sp_wheel *wheel)
{
    for (uint64_t tick = wheel->done_tick + 1; tick < wheel->done_tick + SP_WHEEL_SLOTS; tick++)
        if (!sp_list_empty(&wheel->slots[tick % SP_WHEEL_SLOTS]))
            return tick;
    return wheel->done_tick + SP_WHEEL_SLOTS;
}

/* Entries of this slot that are due go to a list of their own first: `due` may set entries again.
 */
static void collect_due(struct sp_wheel *wheel, uint64_t tick, uint64_t now_tick,
                        struct sp_list *due)
{
    SP_LIST_EACH (entry, &wheel->slots[tick % SP_WHEEL_SLOTS], struct sp_wheel_entry, node) {
        if (entry->tick > now_tick)
            continue; /* of a later round */
        sp_list_remove(&entry->node);
        sp_list_append(due, &entry->node);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct sp_wheel *wheel = timer->data;
    uint64_t now_tick = uv_now(timer->loop) / SP_WHEEL_TICK_MS;
    uint64_t first = wheel->done_tick + 1;
    struct sp_list due;

    /* After a long stall one turn over all slots finds everything. */
    if (now_tick >= first + SP_WHEEL_SLOTS)
        first = now_tick - SP_WHEEL_SLOTS + 1;
    sp_list_init(&due);
    for (uint64_t tick = first; tick <= now_tick; tick++)
        collect_due(wheel, tick, now_tick, &due);
    wheel->done_tick = now_tick;
    wheel->armed_tick = 0;

    while (!sp_list_empty(&due)) {
        struct sp_wheel_entry *entry = SP_CONTAINER(due.next, struct sp_wheel_entry, node);

        sp_wheel_clear(wheel, entry);
        wheel->due(entry);
    }
    if (wheel->count && !uv_is_closing((uv_handle_t *)timer)) {
        uint64_t tick = next_tick(wheel);

        if (wheel->armed_tick == 0 || tick < wheel->armed_tick)
            arm(wheel, tick);
    }
}
