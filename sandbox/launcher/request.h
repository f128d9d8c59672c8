/*
 * sandbox/launcher/request.h - checks what the daemon asks for, as if a stranger had asked.
 */
#ifndef SP_SANDBOX_LAUNCHER_REQUEST_H
#define SP_SANDBOX_LAUNCHER_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "sandbox/launch.h"

struct sp_error;

/*
 * Is this a request that we know, in the right phase (HELLO first, once), with as many
 * descriptors as its kind has, and every field within its limits? Strings are terminated after a
 * success. Touches nothing else.
 */
int sp_launch_request_check(const struct sp_launch_msg *msg, size_t n_fds, bool greeted,
                            struct sp_error *err);

/* The limits as they will be applied: raised to the least that works. */
void sp_launch_request_limits(const struct sp_launch_limits *asked, struct sp_launch_limits *ret);

#endif
