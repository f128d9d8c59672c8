/*
 * runtime/spaces/freezer.h - an instance that nobody uses is held still, with its memory, and let
 * go by whoever wants something of it.
 *
 * Bytes for a held worker wait in its socket: the first of them wakes it. Watching costs a look at
 * each quarter of the time, so it freezes up to a quarter late.
 */
#ifndef SP_RUNTIME_SPACES_FREEZER_H
#define SP_RUNTIME_SPACES_FREEZER_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

struct sp_apps;
struct sp_launcher;

enum sp_freezer_state {
    SP_FREEZER_OFF,
    SP_FREEZER_WATCHING,
    SP_FREEZER_FREEZING, /* the launcher was asked */
    SP_FREEZER_FROZEN,
    SP_FREEZER_WAKING, /* it was let go; what follows from that comes with the next turn */
};

/* The first part is the instance's to fill in. */
struct sp_freezer {
    uv_timer_t *timer; /* the instance's: it has nothing else to time while it serves */
    void (*on_time)(uv_timer_t *timer); /* calls sp_freezer_on_time */
    struct sp_launcher *launcher;
    struct sp_apps *apps;
    uint64_t space, sandbox, worker;
    uint64_t after_ms; /* 0 = never */
    void (*changed)(void *arg, bool frozen);
    void *arg;

    enum sp_freezer_state state;
    int64_t since_ms; /* wall clock, while FROZEN */
    struct sp_freezer_call *call;
};

/* It serves from now on. */
void sp_freezer_start(struct sp_freezer *freezer);
void sp_freezer_on_time(struct sp_freezer *freezer);
/* Harmless when it is not frozen. `changed` comes later, not from inside. */
void sp_freezer_wake(struct sp_freezer *freezer);
/* Lets it go, tells nobody, and does not touch the timer any more. */
void sp_freezer_stop(struct sp_freezer *freezer);
/* Another time from now on. */
void sp_freezer_set(struct sp_freezer *freezer, uint64_t after_ms);

#endif
