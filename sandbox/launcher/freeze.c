/* Holding a sandbox where it stands, and letting it go on. Nothing waits: the loop looks again. */
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fault.h"
#include "sandbox/launcher/launcher-internal.h"

#define LOOK_MS   1
#define GIVEUP_MS 2000 /* a process in an uninterruptible wait cannot be held until it returns */

static void answer(struct sp_launcher *l, struct sp_box *box, const char *failed)
{
    uint64_t seq = box->freeze_seq;

    box->freeze_seq = box->freeze_at_ms = 0;
    if (seq && failed)
        sp_spacesd_failed(l, seq, box->id, 0, SP_ERR_UNAVAILABLE, failed);
    else if (seq)
        sp_spacesd_ok(l, seq, box->id, 0);
}

void sp_freeze(struct sp_launcher *l, struct sp_box *box, const struct sp_launch_msg *msg)
{
    int r;

    if (box->state != SP_BOX_RUNNING || (msg->freeze.on && box->freeze_seq)) {
        sp_spacesd_failed(l, msg->seq, box->id, 0, SP_ERR_CONFLICT,
                          box->freeze_seq ? "the sandbox is being frozen already"
                                          : "the sandbox is not running");
        return;
    }
    r = sp_cgroup_freeze(&l->groups, &box->cgroup, msg->freeze.on);
    if (r < 0) {
        sp_spacesd_failed(l, msg->seq, box->id, 0, SP_ERR_UNAVAILABLE,
                          msg->freeze.on
                              ? "this host cannot freeze a sandbox: it needs cgroup2 or the freezer"
                              : "the kernel does not let the sandbox go on");
        return;
    }
    box->frozen = msg->freeze.on;
    if (!msg->freeze.on) {
        answer(l, box, "let go meanwhile");
        sp_spacesd_ok(l, msg->seq, box->id, 0);
        return;
    }
    box->freeze_seq = msg->seq;
    box->freeze_end_ms = sp_clock_mono_ms() + GIVEUP_MS;
    sp_freeze_look(l, box);
}

void sp_freeze_look(struct sp_launcher *l, struct sp_box *box)
{
    uint64_t now = sp_clock_mono_ms();

    if (!sp_fault("freeze.look") && sp_cgroup_is_frozen(&l->groups, &box->cgroup)) {
        answer(l, box, NULL);
    } else if (now >= box->freeze_end_ms) {
        (void)sp_cgroup_freeze(&l->groups, &box->cgroup, false);
        box->frozen = false;
        answer(l, box, "it could not be held: a process waits in the kernel");
    } else {
        /* Version 1 may lose the race with a fork: asking again tries again. */
        if (!sp_cgroup_can(&l->groups, SP_CGROUP_UNIFIED))
            (void)sp_cgroup_freeze(&l->groups, &box->cgroup, true);
        box->freeze_at_ms = now + LOOK_MS;
    }
}

void sp_freeze_end(struct sp_launcher *l, struct sp_box *box)
{
    if (!box->frozen && !box->freeze_seq)
        return;
    (void)sp_cgroup_freeze(&l->groups, &box->cgroup, false);
    box->frozen = false;
    answer(l, box, "it is being stopped");
}
