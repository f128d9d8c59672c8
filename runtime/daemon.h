/*
 * runtime/daemon.h - everything that one spacesd has, and the order in which it comes and goes.
 *
 * Handlers reach it by sp_daemon_of(ex). Only daemon.c starts and stops parts; nobody keeps state
 * that is not in here.
 *
 *     new:  loop, server, listen                      (may still be root)
 *     run:  store -> auth -> Spaces -> apps -> launcher's hello -> start Spaces -> ready
 *     stop: Spaces (calls finish within `drain`) -> apps (goodbye) -> server -> launcher -> store
 */
#ifndef SP_RUNTIME_DAEMON_H
#define SP_RUNTIME_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "runtime/loop.h"
#include "runtime/server/server.h"
#include "runtime/spaces/spaces.h"

struct sp_apps;
struct sp_auth;
struct sp_bases;
struct sp_config;
struct sp_error;
struct sp_launcher;
struct sp_metrics;
struct sp_secrets;
struct sp_store;

struct sp_tries;

struct sp_daemon {
    uv_loop_t loop_storage;
    uv_loop_t *loop;
    struct sp_config *config;
    struct sp_store *store;
    struct sp_auth *auth;
    struct sp_tries *tries; /* wrong tokens of late */
    struct sp_apps *apps;
    struct sp_launcher *launcher;
    struct sp_server *server;
    struct sp_spaces spaces;
    struct sp_bases *bases;
    struct sp_secrets *secrets; /* the key of the state folder */
    struct sp_launch_host host; /* what the launcher can isolate */
    char *doctor;               /* JSON list of sandbox/launcher/doctor.c */
    struct sp_metrics *metrics;
    struct sp_loop_watch lag;
    uv_signal_t on_term;
    uv_signal_t on_int;
    uint64_t began_ms;
    unsigned deploys;   /* being received: deploy.parallel */
    unsigned api_waits; /* answers held back: limit.api_wait */
    int launcher_fd;
    int base_fd; /* the program spaces-base; -1 = it is not there */
    int port;
    bool spaces_loaded;
    bool ready;
    bool stopping;
    int exit_code;
};

static inline struct sp_daemon *sp_daemon_of(const struct sp_exchange *ex)
{
    return sp_exchange_app(ex);
}

/* Binds the listening socket. Borrows the configuration; takes the launcher's socket, the program
 * spaces-base (or -1) and the list.
 */
int sp_daemon_new(struct sp_config *config, int take_launcher_fd, int take_base_fd,
                  char *take_doctor, struct sp_daemon **ret, struct sp_error *err);
/*
 * Runs until SIGTERM, SIGINT or a failure that no request can mend, then takes everything down and
 * frees it. Returns the exit code. Prints `ready url=...` on stdout once it serves.
 */
int sp_daemon_run_consume(struct sp_daemon *daemon);

/* "http://127.0.0.1:7860" as it is told to people: public_url, else the listening address. */
char *sp_daemon_url(const struct sp_daemon *daemon);

#endif
