#include "runtime/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/app/app.h"
#include "runtime/state/auth.h"
#include "runtime/config.h"
#include "runtime/api/gate.h"
#include "runtime/api/handlers.h"
#include "runtime/spaces/bases.h"
#include "runtime/spaces/gpu_slots.h"
#include "runtime/spaces/launcher.h"
#include "runtime/metrics.h"
#include "runtime/api/tries.h"
#include "runtime/notify.h"
#include "runtime/state/secrets.h"
#include "runtime/state/store.h"

#define ADMIN            "admin"
#define ADMIN_TOKEN_FILE "admin.token"

static void stop(struct sp_daemon *daemon, int exit_code);

static void give_up(struct sp_daemon *daemon, const char *step, const struct sp_error *err)
{
    sp_log(SP_LOG_ERROR, "start.failed", "step=%s err=%s", step, sp_log_quoted(err->msg));
    (void)fprintf(stderr, "spacesd: %s: %s\n", step, err->msg);
    stop(daemon, 1);
}

/* --- what the parts tell each other ----------------------------------------------------------- */

static void hook_kill_worker(void *arg, uint64_t worker)
{
    struct sp_daemon *daemon = arg;

    sp_instances_kill_worker(&daemon->spaces.instances, worker);
}

static void hook_wake_worker(void *arg, uint64_t worker)
{
    struct sp_daemon *daemon = arg;

    sp_instances_wake_worker(&daemon->spaces.instances, worker);
}

static void hook_wake_space(void *arg, uint64_t id)
{
    struct sp_daemon *daemon = arg;
    struct sp_space *space = sp_spaces_by_id(&daemon->spaces, id);

    if (space)
        sp_space_step(space, SP_SPACE_WANTED, SP_STAGE_COUNT, "");
}

static void hook_describe(void *arg, uint64_t id, char *ret, size_t size)
{
    struct sp_daemon *daemon = arg;
    const struct sp_space *space = sp_spaces_by_id(&daemon->spaces, id);

    if (!space)
        (void)snprintf(ret, size, "the Space was deleted");
    else
        (void)snprintf(ret, size, "%s%s%s", sp_stage_to_string(space->stage),
                       space->reason[0] ? ": " : "", space->reason);
}

static void hook_queue_changed(void *arg, uint64_t id)
{
    struct sp_daemon *daemon = arg;
    struct sp_space *space = sp_spaces_by_id(&daemon->spaces, id);

    if (space)
        sp_api_queue_changed(space);
}

static void hook_worker_exited(void *arg, const struct sp_launch_msg *event)
{
    struct sp_daemon *daemon = arg;

    sp_instances_worker_exited(&daemon->spaces.instances, event);
}

static void hook_sandbox_gone(void *arg, const struct sp_launch_msg *event)
{
    struct sp_daemon *daemon = arg;

    sp_instances_sandbox_gone(&daemon->spaces.instances, event);
}

static void hook_limit_hit(void *arg, const struct sp_launch_msg *event)
{
    struct sp_daemon *daemon = arg;

    sp_instances_limit_hit(&daemon->spaces.instances, event);
}

static void hook_launcher_lost(void *arg, const char *why)
{
    (void)arg;
    /* No app can be held or stopped any more. What was answered is in the journal and the store. */
    sp_log(SP_LOG_ERROR, "launcher.lost", "err=%s", sp_log_quoted(why));
    _exit(1);
}

/* --- start, step by step ---------------------------------------------------------------------- */

char *sp_daemon_url(const struct sp_daemon *daemon)
{
    const char *public_url = sp_config_str(daemon->config, "public_url");
    const char *listen = sp_config_str(daemon->config, "listen");
    const char *colon = strrchr(listen, ':');
    int host_len = colon ? (int)(colon - listen) : (int)strlen(listen);

    if (public_url[0])
        return sp_strdup(public_url);
    return sp_asprintf("http://%.*s:%d", host_len, listen, daemon->port);
}

static void on_gpu_slots(void *arg, const struct sp_error *err)
{
    struct sp_daemon *daemon = arg;
    SP_AUTO_FREE char *url = NULL;

    if (daemon->stopping)
        return;
    if (err) {
        give_up(daemon, "GPU slots", err);
        return;
    }
    if (!daemon->host.complete)
        sp_log(SP_LOG_WARN, "sandbox.weak", "allowed=%d missing=%s",
               sp_config_bool(daemon->config, "sandbox.allow_weak"),
               sp_log_quoted(daemon->host.missing));
    daemon->ready = true;
    sp_spaces_start(&daemon->spaces);
    url = sp_daemon_url(daemon);
    sp_log(SP_LOG_INFO, "daemon.ready", "version=" SP_VERSION " url=%s ms=%llu", url,
           (unsigned long long)(sp_clock_mono_ms() - daemon->began_ms));
    (void)printf("ready url=%s\n", url);
    (void)fflush(stdout);
    sp_notify("READY=1");
}

static void on_hello(void *arg, const struct sp_error *err, const struct sp_launch_msg *reply)
{
    struct sp_daemon *daemon = arg;

    if (daemon->stopping)
        return;
    if (err) {
        give_up(daemon, "launcher", err);
        return;
    }
    daemon->host = reply->host;
    sp_gpu_slots_read(daemon->spaces.instances.gpus, daemon->launcher, &daemon->host, on_gpu_slots,
                      daemon);
}

static void start_apps(struct sp_daemon *daemon)
{
    const struct sp_launcher_hooks hooks = {hook_worker_exited, hook_sandbox_gone, hook_limit_hit,
                                            hook_launcher_lost, daemon};
    struct sp_apps_options options = {
        .loop = daemon->loop,
        .config = daemon->config,
        .files_dir = SP_DIR_FILES,
        .journal_dir = "journal",
        .hooks = {hook_kill_worker, hook_wake_worker, hook_wake_space, hook_describe,
                  hook_queue_changed, daemon},
    };
    struct sp_launch_msg hello;
    struct sp_error err = {0};

    if (sp_apps_new(&options, &daemon->apps, &err) < 0) {
        give_up(daemon, "journal", &err);
        return;
    }
    if (sp_launcher_new(daemon->loop, SP_TAKE_FD(daemon->launcher_fd), &hooks, &daemon->launcher,
                        &err) < 0) {
        give_up(daemon, "launcher", &err);
        return;
    }
    daemon->spaces.apps = daemon->apps;
    sp_instances_init(&daemon->spaces.instances, daemon->loop, daemon->config, daemon->launcher,
                      daemon->apps);
    daemon->spaces.instances.gpus = sp_gpu_slots_new();
    daemon->spaces.instances.bases = daemon->bases;
    daemon->spaces.instances.secrets = daemon->secrets;
    sp_launch_msg_init(&hello, SP_LAUNCH_HELLO);
    sp_launcher_call(daemon->launcher, &hello, NULL, 0, on_hello, daemon);
}

static void on_spaces_loaded(void *arg, const struct sp_error *err)
{
    struct sp_daemon *daemon = arg;

    if (daemon->stopping)
        return;
    if (err) {
        give_up(daemon, "spaces", err);
        return;
    }
    daemon->spaces_loaded = true;
    start_apps(daemon);
}

static void base_used_by(void *arg, const char *name, const char *digest, char *ret, size_t size)
{
    struct sp_daemon *daemon = arg;

    sp_spaces_base_used_by(&daemon->spaces, name, digest, ret, size);
}

static void on_bases_loaded(void *arg, const struct sp_error *err)
{
    struct sp_daemon *daemon = arg;

    if (daemon->stopping)
        return;
    if (err)
        give_up(daemon, "bases", err);
    else
        sp_spaces_load(&daemon->spaces, on_spaces_loaded, daemon);
}

static void load_spaces(struct sp_daemon *daemon)
{
    const struct sp_bases_options options = {
        .loop = daemon->loop,
        .config = daemon->config,
        .store = daemon->store,
        .take_program_fd = SP_TAKE_FD(daemon->base_fd),
        .used_by = base_used_by,
        .arg = daemon,
    };

    daemon->spaces.loop = daemon->loop;
    daemon->spaces.config = daemon->config;
    daemon->spaces.store = daemon->store;
    daemon->bases = sp_bases_new(&options);
    sp_bases_load(daemon->bases, on_bases_loaded, daemon);
}

static void on_admin_token(void *arg, const struct sp_error *err, const struct sp_user *user,
                           const char *secret)
{
    struct sp_daemon *daemon = arg;
    SP_AUTO_FREE char *line = NULL;
    struct sp_error own = {0};

    (void)user;
    if (daemon->stopping)
        return;
    if (!err) {
        line = sp_asprintf("%s\n", secret);
        if (sp_file_replace(AT_FDCWD, ADMIN_TOKEN_FILE, 0600, sp_slice_str(line), &own) < 0)
            err = &own;
    }
    if (err) {
        give_up(daemon, "first user", err);
        return;
    }
    load_spaces(daemon);
}

/* The first user, and a token of theirs for whoever may read the state folder. */
static void on_auth_ready(void *arg, const struct sp_error *err)
{
    struct sp_daemon *daemon = arg;

    if (daemon->stopping)
        return;
    if (err)
        give_up(daemon, "users", err);
    else if (!sp_auth_by_name(daemon->auth, SP_SLICE(ADMIN)))
        sp_auth_add_user(daemon->auth, ADMIN, true, on_admin_token, daemon);
    else if (access(ADMIN_TOKEN_FILE, F_OK) < 0)
        sp_auth_add_token(daemon->auth, ADMIN, ADMIN_TOKEN_FILE, on_admin_token, daemon);
    else
        load_spaces(daemon);
}

static void start_store(struct sp_daemon *daemon)
{
    struct sp_error err = {0};

    if (sp_secrets_open(&daemon->secrets, &err) < 0) {
        give_up(daemon, "secrets", &err);
        return;
    }
    if (sp_store_open(daemon->loop, ".", &daemon->store, &err) < 0) {
        give_up(daemon, "store", &err);
        return;
    }
    sp_store_limit(daemon->store, sp_config_size(daemon->config, "store.max_bytes"));
    daemon->auth = sp_auth_new(daemon->store, daemon->config, on_auth_ready, daemon);
}

/* --- stop, step by step, each when the one before is done ------------------------------------- */

static void close_signals(struct sp_daemon *daemon)
{
    sp_loop_watch_stop(&daemon->lag);
    uv_close((uv_handle_t *)&daemon->on_term, NULL);
    uv_close((uv_handle_t *)&daemon->on_int, NULL);
}

static void after_spaces_freed(void *arg)
{
    struct sp_daemon *daemon = arg;

    if (daemon->spaces.instances.all)
        sp_instances_done(&daemon->spaces.instances);
    sp_gpu_slots_free(daemon->spaces.instances.gpus);
    close_signals(daemon);
}

static void after_store(void *arg)
{
    struct sp_daemon *daemon = arg;

    sp_auth_free(daemon->auth);
    if (daemon->spaces_loaded)
        sp_spaces_free(&daemon->spaces, after_spaces_freed, daemon);
    else
        after_spaces_freed(daemon);
}

static void after_server(void *arg)
{
    struct sp_daemon *daemon = arg;

    sp_launcher_close(daemon->launcher);
    if (daemon->store)
        sp_store_close(daemon->store, after_store, daemon);
    else
        after_store(daemon);
}

static void after_apps(void *arg)
{
    struct sp_daemon *daemon = arg;

    sp_server_stop(daemon->server, 1000, after_server, daemon);
}

static void after_spaces(void *arg)
{
    struct sp_daemon *daemon = arg;

    if (daemon->apps)
        sp_apps_close(daemon->apps, after_apps, daemon);
    else
        after_apps(daemon);
}

static void stop(struct sp_daemon *daemon, int exit_code)
{
    if (daemon->stopping)
        return;
    daemon->stopping = true;
    daemon->ready = false;
    daemon->exit_code = exit_code;
    sp_notify("STOPPING=1");
    sp_bases_stop(daemon->bases);
    if (daemon->launcher)
        sp_spaces_stop(&daemon->spaces, after_spaces, daemon);
    else
        after_spaces(daemon);
}

static void on_signal(uv_signal_t *handle, int signal)
{
    struct sp_daemon *daemon = handle->data;

    sp_log(SP_LOG_INFO, "daemon.stopping", "signal=%d", signal);
    stop(daemon, 0);
}

/* --- the whole -------------------------------------------------------------------------------- */

static bool gate(struct sp_exchange *ex)
{
    const char *pattern = sp_exchange_route(ex)->pattern;

    if (sp_daemon_of(ex)->ready || strcmp(pattern, "/healthz") == 0)
        return sp_daemon_of(ex)->auth ? sp_gate(ex) : true;
    sp_reply_header(ex, "Retry-After", "1");
    sp_reply_problem(ex, 503, "unavailable",
                     sp_daemon_of(ex)->stopping ? "spacesd stops" : "spacesd starts");
    return false;
}

static void collect_spaces(struct sp_daemon *daemon, struct sp_buf *out)
{
    unsigned counts[SP_STAGE_COUNT] = {0};

    sp_metrics_family(out, "spacesd_spaces", "gauge", "Spaces by stage.");
    SP_LIST_EACH (space, &daemon->spaces.list, struct sp_space, node)
        counts[space->stage]++;
    for (int stage = 0; stage < SP_STAGE_COUNT; stage++) {
        SP_AUTO_BUF struct sp_buf label;

        sp_buf_init(&label, 0);
        sp_metrics_label(&label, "stage", sp_stage_to_string((enum sp_stage)stage));
        sp_metrics_value(out, "spacesd_spaces", sp_buf_str(&label), counts[stage]);
    }
}

static void collect_queue(struct sp_daemon *daemon, struct sp_buf *out)
{
    struct sp_apps_stats stats = {0};

    sp_apps_stats(daemon->apps, &stats);
    sp_metrics_counter(out, "spacesd_queue_joined_total", "Requests that were accepted.",
                       stats.joined);
    sp_metrics_counter(out, "spacesd_queue_refused_total", "Requests that were not.",
                       stats.refused);
    sp_metrics_family(out, "spacesd_queue_ended_total", "counter", "Requests by how they ended.");
    sp_metrics_value(out, "spacesd_queue_ended_total", "outcome=\"done\"", (double)stats.done);
    sp_metrics_value(out, "spacesd_queue_ended_total", "outcome=\"failed\"", (double)stats.failed);
    sp_metrics_value(out, "spacesd_queue_ended_total", "outcome=\"canceled\"",
                     (double)stats.canceled);
    sp_metrics_value(out, "spacesd_queue_ended_total", "outcome=\"lost\"", (double)stats.lost);
    sp_metrics_gauge(out, "spacesd_queue_waiting", "Requests in line.", (double)stats.waiting);
    sp_metrics_gauge(out, "spacesd_queue_running", "Requests in a worker.", (double)stats.running);
    sp_metrics_gauge(out, "spacesd_sessions", "Visitors that are remembered.",
                     (double)stats.sessions);
    sp_metrics_gauge(out, "spacesd_live_streams", "Open streams of visitors.",
                     (double)stats.live_streams);
    sp_metrics_gauge(out, "spacesd_session_bytes", "Messages kept for visitors.",
                     (double)stats.buffered_bytes);
}

static void collect(void *arg, struct sp_buf *out)
{
    struct sp_daemon *daemon = arg;

    if (!daemon->ready)
        return;
    collect_spaces(daemon, out);
    collect_queue(daemon, out);
}

int sp_daemon_new(struct sp_config *config, int take_launcher_fd, int take_base_fd,
                  char *take_doctor, struct sp_daemon **ret, struct sp_error *err)
{
    struct sp_daemon *daemon = sp_new0(struct sp_daemon);
    struct sp_server_options options = {
        .config = config, .routes = sp_routes, .app = daemon, .gate = gate};
    int r;

    daemon->loop = &daemon->loop_storage;
    (void)uv_loop_init(daemon->loop);
    daemon->config = config;
    daemon->launcher_fd = take_launcher_fd;
    daemon->base_fd = take_base_fd;
    daemon->doctor = take_doctor;
    daemon->tries = sp_new0(struct sp_tries);
    daemon->began_ms = sp_clock_mono_ms();
    daemon->server = sp_server_new(daemon->loop, &options);
    r = sp_server_listen(daemon->server, sp_config_str(config, "listen"), &daemon->port, err);
    if (r < 0)
        return r; /* the process ends: nothing to give back that it does not give back itself */
    daemon->metrics = sp_metrics_new();
    sp_loop_watch_start(&daemon->lag, daemon->loop);
    sp_metrics_add(daemon->metrics, sp_loop_watch_collect, &daemon->lag);
    sp_metrics_add(daemon->metrics, collect, daemon);
    *ret = daemon;
    return 0;
}

static void watch_signal(struct sp_daemon *daemon, uv_signal_t *handle, int signal)
{
    (void)uv_signal_init(daemon->loop, handle);
    handle->data = daemon;
    (void)uv_signal_start(handle, on_signal, signal);
}

#ifndef NDEBUG
static void list_open(uv_handle_t *handle, void *arg)
{
    (void)arg;
    sp_log(SP_LOG_ERROR, "loop.left_open", "type=%s closing=%d", uv_handle_type_name(handle->type),
           uv_is_closing(handle));
}
#endif

int sp_daemon_run_consume(struct sp_daemon *daemon)
{
    int exit_code;

    watch_signal(daemon, &daemon->on_term, SIGTERM);
    watch_signal(daemon, &daemon->on_int, SIGINT);
    start_store(daemon);
    (void)uv_run(daemon->loop, UV_RUN_DEFAULT);
    exit_code = daemon->exit_code;
    if (uv_loop_close(daemon->loop) < 0) {
#ifndef NDEBUG
        uv_walk(daemon->loop, list_open, NULL);
#endif
        sp_log(SP_LOG_ERROR, "loop.busy_at_exit", "exit=%d", exit_code);
    }
    if (daemon->launcher_fd >= 0)
        (void)close(daemon->launcher_fd);
    sp_log(SP_LOG_INFO, "daemon.stopped", "exit=%d", exit_code);
    sp_server_free(daemon->server); /* late answers of the store and the pool look for clients */
    sp_metrics_free(daemon->metrics);
    sp_bases_free(daemon->bases);
    sp_secrets_free(daemon->secrets);
    free(daemon->doctor);
    free(daemon->tries);
    free(daemon);
    return exit_code;
}
