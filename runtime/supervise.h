/*
 * runtime/supervise.h - `spacesd --supervise`: a parent that starts the daemon again when it ends
 * badly. systemd does the same in its place.
 */
#ifndef SP_RUNTIME_SUPERVISE_H
#define SP_RUNTIME_SUPERVISE_H

/*
 * Returns in the child, which goes on to be the daemon, with 0. In the parent it never returns: it
 * passes SIGTERM and SIGINT on, starts the child again after a failure (1, 2, 4, ... 30 s apart
 * when it fails at once), and exits with its code after a success or after a start that cannot work
 * (2).
 */
void sp_supervise(void);

#endif
