/*
 * runtime/spaces/limit_note.h - a limit that an app came to, in words for its owner.
 */
#ifndef SP_RUNTIME_SPACES_LIMIT_NOTE_H
#define SP_RUNTIME_SPACES_LIMIT_NOTE_H

#include <stdint.h>

#include "sandbox/launch.h"

/* When a limit was last written about, so that an app at its limit does not fill its own log. */
struct sp_limit_notes {
    uint64_t at_ms[SP_LAUNCH_LIMITS];
    uint64_t gpu_used_bytes; /* when its GPU memory was overdrawn: the exit that follows tells */
};

/* "killed: out of memory, limit 2 GiB, peak 2.0 GiB (space.memory)"; yours. */
char *sp_limit_oom_reason(const struct sp_launch_limits *limits,
                          const struct sp_launch_usage *usage);
/* "killed: GPU memory, limit 600 MiB, used 700 MiB"; yours. */
char *sp_limit_gpu_reason(uint64_t limit_bytes, uint64_t used_bytes);
/*
 * The line for the app's log, yours; NULL when there is nothing to say now: an end is told with the
 * exit, and of what lasts once a minute is enough.
 */
char *sp_limit_note(struct sp_limit_notes *notes, const struct sp_launch_limits *limits,
                    const struct sp_launch_msg *event, uint64_t now_ms);

#endif
