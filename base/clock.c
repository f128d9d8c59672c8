#include "base/clock.h"

#include <stdio.h>
#include <time.h>

uint64_t sp_clock_mono_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t sp_clock_mono_ms(void)
{
    return sp_clock_mono_ns() / 1000000u;
}

int64_t sp_clock_wall_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void sp_clock_format(int64_t wall_ms, char ret[SP_TIME_LEN])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    char date[40];
    struct tm tm;

    (void)gmtime_r(&seconds, &tm);
    (void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(ret, SP_TIME_LEN, "%.19s.%03uZ", date, (unsigned)(wall_ms % 1000) % 1000u);
}
