/*
 * base/slice.h - how long a process runs before another one's wake-up may take the processor.
 *
 * The scheduler lets who runs finish a slice of about 3 ms, however late that makes one who has
 * just woken. Shorter slices, for the daemon and for all apps alike, let a Space that wants a
 * moment have it beside one that burns. They change no shares. Linux 6.12 and newer; before that,
 * nothing happens.
 */
#ifndef SP_BASE_SLICE_H
#define SP_BASE_SLICE_H

#define SP_SLICE_DAEMON_US 100
#define SP_SLICE_APP_US    500

/* Of this thread, and of what it starts from now on. */
void sp_slice_set(unsigned us);

#endif
