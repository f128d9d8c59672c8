#include "sandbox/launcher/pool.h"

#include "base/clock.h"
#include "base/log.h"
#include "sandbox/launcher/launcher-internal.h"

#define AFTER_START_MS 50   /* a start and what the app does first are out of the way by then */
#define AGAIN_MS       1000 /* after a failure; doubles with each */
#define AGAIN_MAX_MS   60000

static bool may_isolate(const struct sp_launcher *l)
{
    return l->allow_weak || sp_probe_complete(&l->probe);
}

static bool wants_more(const struct sp_launcher *l)
{
    return l->pool.count < l->pool.size && l->n_boxes < SP_BOXES_MAX && !l->closing &&
           may_isolate(l);
}

static bool is_making_one(struct sp_launcher *l)
{
    SP_LIST_EACH (box, &l->boxes, struct sp_box, list)
        if (box->is_spare && box->state == SP_BOX_PREPARING)
            return true;
    return false;
}

void sp_pool_start(struct sp_launcher *l)
{
    l->pool.fill_at_ms = sp_clock_mono_ms();
}

/* One that is being killed, or has said that it failed, is none any more. */
static bool is_fit(const struct sp_box *box)
{
    return box->is_spare && box->state <= SP_BOX_WAITING && !box->fail_text[0];
}

bool sp_pool_has_one(struct sp_launcher *l)
{
    SP_LIST_EACH (box, &l->boxes, struct sp_box, list)
        if (is_fit(box))
            return true;
    return false;
}

/* New boxes go to the end of the list: the first that waits is the oldest. */
struct sp_box *sp_pool_take(struct sp_launcher *l)
{
    struct sp_box *best = NULL;

    SP_LIST_EACH (box, &l->boxes, struct sp_box, list)
        if (is_fit(box) && (!best || box->state == SP_BOX_WAITING)) {
            best = box;
            if (box->state == SP_BOX_WAITING)
                break;
        }
    if (best) {
        best->is_spare = false;
        best->from_pool = true;
        l->pool.count--;
    }
    if (!l->pool.failures || !l->pool.fill_at_ms)
        l->pool.fill_at_ms = sp_clock_mono_ms() + AFTER_START_MS;
    return best;
}

void sp_pool_fill(struct sp_launcher *l)
{
    if (!l->pool.fill_at_ms || sp_clock_mono_ms() < l->pool.fill_at_ms)
        return;
    l->pool.fill_at_ms = 0; /* the one that is being made asks for the next */
    if (!wants_more(l) || is_making_one(l))
        return;
    l->pool.count++;
    sp_box_begin_spare(l);
}

uint64_t sp_pool_next_ms(const struct sp_launcher *l)
{
    return l->pool.fill_at_ms && !l->closing ? l->pool.fill_at_ms : UINT64_MAX;
}

void sp_pool_waiting(struct sp_launcher *l)
{
    if (!l->pool.failures || !l->pool.fill_at_ms)
        l->pool.fill_at_ms = sp_clock_mono_ms();
}

void sp_pool_served(struct sp_launcher *l)
{
    if (l->pool.failures)
        l->pool.fill_at_ms = sp_clock_mono_ms() + AFTER_START_MS;
    l->pool.failures = 0;
}

void sp_pool_lost(struct sp_launcher *l, struct sp_box *box)
{
    uint64_t wait_ms = (uint64_t)AGAIN_MS << (l->pool.failures < 6 ? l->pool.failures : 6);

    if (box->is_spare)
        l->pool.count--;
    box->is_spare = false;
    if (l->closing)
        return;
    l->pool.failures++;
    if (wait_ms > AGAIN_MAX_MS)
        wait_ms = AGAIN_MAX_MS;
    l->pool.fill_at_ms = sp_clock_mono_ms() + wait_ms;
    sp_log(SP_LOG_WARN, "launcher.spare_lost", "again_ms=%llu err=%s", (unsigned long long)wait_ms,
           sp_log_quoted(box->fail_text));
}
