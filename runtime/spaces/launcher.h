/*
 * runtime/spaces/launcher.h - the daemon's side of the conversation with spaces-launcher: requests
 * go out, each is answered once, events come in. Framing and meaning: sandbox/launch.h.
 */
#ifndef SP_RUNTIME_SPACES_LAUNCHER_H
#define SP_RUNTIME_SPACES_LAUNCHER_H

#include <stddef.h>

#include <uv.h>

#include "sandbox/launch.h"

struct sp_error;
struct sp_launcher;

struct sp_launcher_hooks {
    void (*worker_exited)(void *arg, const struct sp_launch_msg *event);
    void (*sandbox_gone)(void *arg, const struct sp_launch_msg *event);
    void (*limit_hit)(void *arg, const struct sp_launch_msg *event);
    /* The launcher ended or broke the protocol: without it no app is safe, so the daemon ends. */
    void (*lost)(void *arg, const char *why);
    void *arg;
};

/* Takes the socket. Calls no hook before it returns. */
int sp_launcher_new(uv_loop_t *loop, int take_fd, const struct sp_launcher_hooks *hooks,
                    struct sp_launcher **ret, struct sp_error *err);
/*
 * Ends the conversation: the launcher then kills and removes everything. Calls that wait
 * for an answer get SP_ERR_UNAVAILABLE, from inside. */
void sp_launcher_close(struct sp_launcher *launcher);

/* `err` is NULL and `reply` the OK message, or `err` says why not. */
typedef void sp_launcher_fn(void *arg, const struct sp_error *err,
                            const struct sp_launch_msg *reply);

/*
 * Sends a request (its seq is set here) and the descriptors, which are taken in every case. `done`
 * is called once, later; with SP_ERR_UNAVAILABLE when the launcher is closed.
 */
void sp_launcher_call(struct sp_launcher *launcher, struct sp_launch_msg *msg, int *take_fds,
                      size_t n_fds, sp_launcher_fn *done, void *arg);

/*
 * From inside of `done`: the descriptor that came with the OK, yours from now on; -1 when there is
 * none. What is not taken is closed when `done` returns. SP_LAUNCH_SOCKET brings one.
 */
int sp_launcher_take_fd(struct sp_launcher *launcher);

#endif
