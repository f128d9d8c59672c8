/*
 * sandbox/launcher/data.h - a sandbox that starts gets its Space's /data: a child prepares the
 * mount (sandbox/image.h), which may take seconds, and the launcher goes on meanwhile.
 */
#ifndef SP_SANDBOX_LAUNCHER_DATA_H
#define SP_SANDBOX_LAUNCHER_DATA_H

#include <sys/types.h>

struct sp_box;
struct sp_error;
struct sp_launcher;

struct sp_box_data {
    pid_t pid;    /* of the child; 0 = there is none */
    int pidfd;    /* readable when it has ended; -1 = there is none */
    int sock;     /* its answer waits here */
    int mount_fd; /* what it has made; -1 = nothing */
};

void sp_box_data_init(struct sp_box_data *data);
/* Starts the child. */
int sp_box_data_start(const struct sp_launcher *l, struct sp_box *box, struct sp_error *err);
/* The child has ended: mount_fd is set, or the error says why not. */
int sp_box_data_end(struct sp_box *box, struct sp_error *err);
/* Ends the child; its pidfd says when it is gone. */
void sp_box_data_kill(const struct sp_box *box);
/* Closes what is left; there must be no child. */
void sp_box_data_done(struct sp_box_data *data);

#endif
