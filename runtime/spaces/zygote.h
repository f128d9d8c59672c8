/*
 * runtime/spaces/zygote.h - the zygote of one sandbox, as the daemon sees it: a process with the
 * app's imports done, which workers are forked from. Meaning and conversation: sandbox/launch.h.
 *
 *     NONE -> STARTING -> READY -> OFF      OFF: refused, failed or gone; workers are exec'd
 *
 * It is asked for before the first worker, so that no import is done twice or held in memory twice.
 * An app that cannot be forked would pay that price at each start: its snapshot is remembered.
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

/* Snapshots whose zygote has said no; the oldest is forgotten first. */
struct sp_zygote_refusals {
    unsigned n;
    char snapshots[64][SP_LAUNCH_HASH_LEN + 1];
};

bool sp_space_zygote_wanted(const struct sp_config *config,
                            const struct sp_zygote_refusals *refusals, const char *snapshot);

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
                              const char *snapshot, struct sp_applog *log,
                              const struct sp_error *err);
/* Its use is over: it has ended, or a fork has failed. Told once. */
void sp_space_zygote_off(struct sp_space_zygote *zygote, struct sp_launcher *launcher,
                         struct sp_applog *log, const char *why);

#endif
