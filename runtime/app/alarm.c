#include "runtime/app/alarm.h"

/* Timers that are due within this are served together: fewer wake-ups. */
#define SLACK_MS 10

static void on_timer(uv_timer_t *timer);

static void arm(struct sp_alarms *alarms, uint64_t at_ms)
{
    uint64_t now = uv_now(alarms->timer.loop);

    if (alarms->timer_at_ms && alarms->timer_at_ms <= at_ms)
        return;
    if (uv_is_closing((uv_handle_t *)&alarms->timer))
        return;
    alarms->timer_at_ms = at_ms;
    (void)uv_timer_start(&alarms->timer, on_timer, at_ms > now ? at_ms - now : 0, 0);
}

static struct sp_alarm *first_of(struct sp_alarm_class *cls)
{
    return sp_list_empty(&cls->set) ? NULL : SP_CONTAINER(cls->set.next, struct sp_alarm, node);
}

static void fire_class(struct sp_alarms *alarms, struct sp_alarm_class *cls, uint64_t now_ms)
{
    struct sp_alarm *alarm;

    while ((alarm = first_of(cls)) && alarm->at_ms <= now_ms + SLACK_MS) {
        sp_list_remove(&alarm->node);
        cls->fire(alarms->arg, alarm);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct sp_alarms *alarms = timer->data;
    uint64_t now = uv_now(timer->loop);

    alarms->timer_at_ms = 0;
    for (unsigned i = 0; i < alarms->n_classes; i++)
        fire_class(alarms, &alarms->classes[i], now);
    for (unsigned i = 0; i < alarms->n_classes; i++) {
        struct sp_alarm *alarm = first_of(&alarms->classes[i]);

        if (alarm)
            arm(alarms, alarm->at_ms);
    }
}

void sp_alarms_init(struct sp_alarms *alarms, uv_loop_t *loop, struct sp_alarm_class *classes,
                    unsigned n_classes, void *arg)
{
    *alarms = (struct sp_alarms){.classes = classes, .n_classes = n_classes, .arg = arg};
    (void)uv_timer_init(loop, &alarms->timer); /* cannot fail */
    alarms->timer.data = alarms;
    for (unsigned i = 0; i < n_classes; i++)
        sp_list_init(&classes[i].set);
}

void sp_alarms_close(struct sp_alarms *alarms, uv_close_cb closed)
{
    uv_close((uv_handle_t *)&alarms->timer, closed);
}

void sp_alarm_init(struct sp_alarm *alarm)
{
    sp_list_init(&alarm->node);
    alarm->at_ms = 0;
}

void sp_alarm_set(struct sp_alarms *alarms, unsigned cls, struct sp_alarm *alarm)
{
    sp_list_remove(&alarm->node);
    /* At least SLACK_MS + 1 ahead, so that an alarm set by its own firing ends the round. */
    alarm->at_ms = uv_now(alarms->timer.loop) + alarms->classes[cls].after_ms;
    if (alarms->classes[cls].after_ms <= SLACK_MS)
        alarm->at_ms = uv_now(alarms->timer.loop) + SLACK_MS + 1;
    sp_list_append(&alarms->classes[cls].set, &alarm->node);
    arm(alarms, alarm->at_ms);
}

void sp_alarm_clear(struct sp_alarm *alarm)
{
    sp_list_remove(&alarm->node);
}
