#include "runtime/loop.h"

#include "base/clock.h"

/* Right before the poll: the turn is over. */
static void on_prepare(uv_prepare_t *handle)
{
    struct sp_loop_watch *watch = handle->data;
    uint64_t us;

    if (watch->woke_ns == 0)
        return;
    us = (sp_clock_mono_ns() - watch->woke_ns) / 1000;
    watch->woke_ns = 0;
    sp_histogram_observe(&watch->lag, us);
    if (us > watch->longest_us)
        watch->longest_us = us;
}

/*
 * libuv calls the handlers of sockets from within its poll, before this; uv_now is the time when
 * the poll returned, to the millisecond. Hence lag from there, not from now.
 */
static void on_check(uv_check_t *handle)
{
    struct sp_loop_watch *watch = handle->data;
    uint64_t now_ns = sp_clock_mono_ns();
    uint64_t poll_ns = uv_now(handle->loop) * 1000000;

    watch->woke_ns = poll_ns < now_ns ? poll_ns : now_ns;
}

void sp_loop_watch_start(struct sp_loop_watch *watch, uv_loop_t *loop)
{
    *watch = (struct sp_loop_watch){.open_handles = 2};
    (void)uv_prepare_init(loop, &watch->prepare); /* these cannot fail */
    (void)uv_check_init(loop, &watch->check);
    watch->prepare.data = watch->check.data = watch;
    (void)uv_prepare_start(&watch->prepare, on_prepare);
    (void)uv_check_start(&watch->check, on_check);
    uv_unref((uv_handle_t *)&watch->prepare);
    uv_unref((uv_handle_t *)&watch->check);
}

static void on_closed(uv_handle_t *handle)
{
    struct sp_loop_watch *watch = handle->data;

    watch->open_handles--;
}

void sp_loop_watch_stop(struct sp_loop_watch *watch)
{
    if (uv_is_closing((uv_handle_t *)&watch->prepare))
        return;
    uv_close((uv_handle_t *)&watch->prepare, on_closed);
    uv_close((uv_handle_t *)&watch->check, on_closed);
}

uint64_t sp_loop_watch_longest(struct sp_loop_watch *watch)
{
    uint64_t longest = watch->longest_us;

    watch->longest_us = 0;
    return longest;
}

void sp_loop_watch_collect(void *arg, struct sp_buf *out)
{
    struct sp_loop_watch *watch = arg;

    sp_metrics_histogram(out, "spacesd_loop_turn_seconds",
                         "How long a turn of the event loop keeps others waiting", &watch->lag);
    sp_metrics_gauge(out, "spacesd_loop_turn_longest_seconds", "Longest turn since the last scrape",
                     (double)sp_loop_watch_longest(watch) / 1e6);
}

static void list_one(uv_handle_t *handle, void *arg)
{
    struct sp_buf *out = arg;

    (void)sp_buf_printf(out, "%s%s%s%s\n", uv_handle_type_name(uv_handle_get_type(handle)),
                        uv_is_active(handle) ? " active" : "", uv_has_ref(handle) ? "" : " unref",
                        uv_is_closing(handle) ? " closing" : "");
}

void sp_loop_list_handles(uv_loop_t *loop, struct sp_buf *out)
{
    uv_walk(loop, list_one, out);
}
