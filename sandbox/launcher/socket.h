/*
 * sandbox/launcher/socket.h - the way into a sandbox: a socket made in its network namespace, and
 * handed over before it is connected. No address, no port on the host, no rule.
 */
#ifndef SP_SANDBOX_LAUNCHER_SOCKET_H
#define SP_SANDBOX_LAUNCHER_SOCKET_H

struct sp_box;
struct sp_error;
struct sp_launch_msg;
struct sp_launcher;

/* Holds the namespace of a pid 1 that has just been cloned; by descriptor, because pids return. */
int sp_box_note_netns(const struct sp_launcher *l, struct sp_box *box, struct sp_error *err);

/* A socket of that namespace, or negative errno. Yours. */
int sp_box_make_socket(const struct sp_box *box, int family, int type, int protocol);

/* Answers SP_LAUNCH_SOCKET. */
void sp_box_socket(struct sp_launcher *l, struct sp_box *box, const struct sp_launch_msg *msg);

#endif
