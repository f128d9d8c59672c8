/*
 * runtime/spaces/zygote.h - the zygote of one sandbox, as the daemon sees it: a process with the
 * app's imports done, which workers are forked from. Meaning and conversation: sandbox/launch.h.
 *
 *     NONE -> STARTING -> READY -> OFF      OFF: refused, failed or gone; workers are exec'd
 *
 * It is asked for before the first worker, so that no import is done twice or held in memory twice.
 * An app that cannot be forked would pay that price at each start: that is remembered, of this
 * Space, version and these limits alone. Another Space of the same files may set other variables,
 * and a zygote that ran out of memory or processes may get along with more.
 */
#ifndef SP_RUNTIME_SPACES_ZYGOTE_H
#define SP_RUNTIME_SPACES_ZYGOTE_H

#include <stdbool.h>
#include <stdint.h>

#include "sandbox/launch.h"

struct sp_applog;
struct sp_config;
struct sp_error;
struct sp_launcher;

enum sp_space_zygote_state { SP_ZYGOTE_NONE, SP_ZYGOTE_STARTING, SP_ZYGOTE_READY, SP_ZYGOTE_OFF };

struct sp_space_zygote {
    enum sp_space_zygote_state state;
    uint64_t sandbox;
    uint64_t worker; /* its id at the launcher; 0 before STARTING */
};

/* What a zygote was tried with. */
struct sp_zygote_try {
    uint64_t space;
    struct sp_launch_limits limits;
    const char *snapshot; /* borrowed */
    const char *base;     /* borrowed; "" = the host's files */
};

/* The tries that came to nothing; the oldest is forgotten first. */
struct sp_zygote_refusals {
    unsigned n;
    struct {
        uint64_t space;
        struct sp_launch_limits limits;
        char snapshot[SP_LAUNCH_HASH_LEN + 1];
        char base[SP_LAUNCH_HASH_LEN + 1];
    } tries[64];
};

bool sp_zygote_refusals_have(const struct sp_zygote_refusals *refusals,
                             const struct sp_zygote_try *this);
void sp_zygote_refusals_add(struct sp_zygote_refusals *refusals, const struct sp_zygote_try *this);

bool sp_space_zygote_wanted(const struct sp_config *config,
                            const struct sp_zygote_refusals *refusals,
                            const struct sp_zygote_try *this);

/*
 * Asks the launcher for it; `msg` is a WORKER_START with ids and words. False when it could not be
 * asked (OFF then); otherwise `done` comes as from sp_launcher_call.
 */
bool sp_space_zygote_start(struct sp_space_zygote *zygote, struct sp_launcher *launcher,
                           struct sp_applog *log, struct sp_launch_msg *msg,
                           void (*done)(void *arg, const struct sp_error *err,
                                        const struct sp_launch_msg *reply),
                           void *arg);
/* The launcher's answer: READY, or OFF and remembered. */
void sp_space_zygote_answered(struct sp_space_zygote *zygote, struct sp_zygote_refusals *refusals,
                              const struct sp_zygote_try *this, struct sp_applog *log,
                              const struct sp_error *err);
/* Its use is over: it has ended, or a fork has failed. Told once. */
void sp_space_zygote_off(struct sp_space_zygote *zygote, struct sp_launcher *launcher,
                         struct sp_applog *log, const char *why);

#endif
