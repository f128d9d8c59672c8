/* base/clock.h - the two clocks. Never compare one with the other. */
#ifndef SP_BASE_CLOCK_H
#define SP_BASE_CLOCK_H

#include <stdint.h>

uint64_t sp_clock_mono_ns(void); /* CLOCK_MONOTONIC: durations and deadlines */
uint64_t sp_clock_mono_ms(void);
int64_t sp_clock_wall_ms(void); /* CLOCK_REALTIME since 1970: what is stored and shown */

/* "2026-08-01T12:34:56.789Z" (the Hub API's form) into `ret`, terminated. */
#define SP_TIME_LEN 25
void sp_clock_format(int64_t wall_ms, char ret[SP_TIME_LEN]);

#endif
