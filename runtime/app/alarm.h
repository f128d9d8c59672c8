/*
 * runtime/app/alarm.h - very many timeouts on one uv_timer.
 *
 * All alarms of a class have the same duration, so each class is a list in the order of time: set
 * and clear cost the same whatever the number, an alarm is 24 bytes, and with none set the timer
 * does not tick, so that an idle daemon sleeps.
 */
#ifndef SP_RUNTIME_APP_ALARM_H
#define SP_RUNTIME_APP_ALARM_H

#include <stdint.h>

#include <uv.h>

#include "base/list.h"

struct sp_alarm {
    struct sp_list node;
    uint64_t at_ms;
};

struct sp_alarm_class {
    struct sp_list set; /* soonest first */
    uint64_t after_ms;
    /* The alarm is no longer set when this is called; it may be set again or freed. */
    void (*fire)(void *arg, struct sp_alarm *alarm);
};

struct sp_alarms {
    uv_timer_t timer;
    uint64_t timer_at_ms; /* 0 = not ticking */
    struct sp_alarm_class *classes;
    unsigned n_classes;
    void *arg;
};

/* `classes` is the caller's, with after_ms and fire filled in; it must outlive the alarms. */
void sp_alarms_init(struct sp_alarms *alarms, uv_loop_t *loop, struct sp_alarm_class *classes,
                    unsigned n_classes, void *arg);
/* No alarm fires after this; `closed` is called when libuv has let go of the timer. */
void sp_alarms_close(struct sp_alarms *alarms, uv_close_cb closed);

/* A fresh alarm, set nowhere. */
void sp_alarm_init(struct sp_alarm *alarm);
/* Fires in after_ms of the class from now on; moves an alarm that is set already. */
void sp_alarm_set(struct sp_alarms *alarms, unsigned cls, struct sp_alarm *alarm);
/* Harmless when it is not set. */
void sp_alarm_clear(struct sp_alarm *alarm);

#endif
