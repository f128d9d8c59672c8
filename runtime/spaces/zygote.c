#include "runtime/spaces/zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/config.h"
#include "runtime/spaces/launcher.h"
#include "runtime/state/applog.h"

bool sp_zygote_refusals_have(const struct sp_zygote_refusals *refusals,
                             const struct sp_zygote_try *this)
{
    _Static_assert(sizeof(this->limits) == 5 * 8 + 6 * 4, "no padding: compared as bytes");
    for (size_t i = 0; i < refusals->n && i < SP_LEN(refusals->tries); i++)
        if (refusals->tries[i].space == this->space &&
            strcmp(refusals->tries[i].snapshot, this->snapshot) == 0 &&
            strcmp(refusals->tries[i].base, this->base) == 0 &&
            memcmp(&refusals->tries[i].limits, &this->limits, sizeof(this->limits)) == 0)
            return true;
    return false;
}

void sp_zygote_refusals_add(struct sp_zygote_refusals *refusals, const struct sp_zygote_try *this)
{
    size_t at = refusals->n % SP_LEN(refusals->tries);

    if (++refusals->n == 2 * SP_LEN(refusals->tries))
        refusals->n = SP_LEN(refusals->tries); /* full stays full */
    refusals->tries[at].space = this->space;
    refusals->tries[at].limits = this->limits;
    (void)snprintf(refusals->tries[at].snapshot, sizeof(refusals->tries[at].snapshot), "%s",
                   this->snapshot);
    (void)snprintf(refusals->tries[at].base, sizeof(refusals->tries[at].base), "%s", this->base);
}

bool sp_space_zygote_wanted(const struct sp_config *config,
                            const struct sp_zygote_refusals *refusals,
                            const struct sp_zygote_try *this)
{
    return strcmp(sp_config_str(config, "space.zygote"), "auto") == 0 &&
           !sp_zygote_refusals_have(refusals, this);
}

/* The log is the app's: its imports may print. The request has a place for a socket; it is unused.
 */
static int open_channels(struct sp_applog *log, int fds[SP_LAUNCH_WORKER_FDS])
{
    struct sp_error err = {0};
    int pipes[2];

    fds[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fds[0] < 0 || pipe2(pipes, O_CLOEXEC) < 0) {
        int r = -errno;

        if (fds[0] >= 0)
            (void)close(fds[0]);
        return r;
    }
    if (sp_applog_take_pipe(log, pipes[0], &err) < 0)
        sp_log(SP_LOG_WARN, "applog.pipe", "err=%s", sp_log_quoted(err.msg));
    fds[1] = pipes[1];
    return 0;
}

bool sp_space_zygote_start(struct sp_space_zygote *zygote, struct sp_launcher *launcher,
                           struct sp_applog *log, struct sp_launch_msg *msg, sp_launcher_fn *done,
                           void *arg)
{
    int fds[SP_LAUNCH_WORKER_FDS];

    zygote->sandbox = msg->sandbox;
    zygote->worker = msg->worker;
    if (open_channels(log, fds) < 0) {
        zygote->state = SP_ZYGOTE_OFF;
        return false;
    }
    zygote->state = SP_ZYGOTE_STARTING;
    msg->worker_start.how = SP_LAUNCH_ZYGOTE;
    sp_launcher_call(launcher, msg, fds, SP_LAUNCH_WORKER_FDS, done, arg);
    return true;
}

static void tell(const struct sp_space_zygote *zygote, struct sp_applog *log, const char *why)
{
    sp_log(SP_LOG_INFO, "instance.no_zygote", "sandbox=%llu err=%s",
           (unsigned long long)zygote->sandbox, sp_log_quoted(why));
    sp_applog_note(log, "each start of the app does its imports again: %s (space.zygote)", why);
}

void sp_space_zygote_answered(struct sp_space_zygote *zygote, struct sp_zygote_refusals *refusals,
                              const struct sp_zygote_try *this, struct sp_applog *log,
                              const struct sp_error *err)
{
    zygote->state = err ? SP_ZYGOTE_OFF : SP_ZYGOTE_READY;
    if (!err)
        return;
    sp_zygote_refusals_add(refusals, this);
    tell(zygote, log, err->msg);
}

void sp_space_zygote_off(struct sp_space_zygote *zygote, struct sp_launcher *launcher,
                         struct sp_applog *log, const char *why)
{
    struct sp_launch_msg msg;

    if (zygote->state != SP_ZYGOTE_READY)
        return;
    zygote->state = SP_ZYGOTE_OFF;
    tell(zygote, log, why);
    /* One that has ended already is answered NOT_FOUND, which nobody waits for. */
    sp_launch_msg_init(&msg, SP_LAUNCH_WORKER_STOP);
    msg.sandbox = zygote->sandbox;
    msg.worker = zygote->worker;
    sp_launcher_call(launcher, &msg, NULL, 0, NULL, NULL);
}
