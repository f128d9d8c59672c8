/* spacesd: flags, configuration, privileges; then runtime/daemon.c. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/slice.h"
#include "base/buf.h"
#include "runtime/config.h"
#include "runtime/crash.h"
#include "runtime/daemon.h"
#include "runtime/privilege.h"
#include "runtime/supervise.h"

#define EXIT_USAGE       2
#define LAUNCHER_WAIT_MS 15000

static const char usage_text[] =
    "usage: spacesd [--state DIR] [--listen ADDR:PORT] [--config FILE] [options]\n"
    "\n"
    "Serves Spaces. Prints 'ready url=...' when it accepts; SIGTERM or Ctrl-C stops it.\n"
    "\n"
    "  --state DIR            where everything is kept (default /var/lib/spacesd)\n"
    "  --listen ADDR:PORT     where to listen (default 127.0.0.1:7860; port 0 takes a free one)\n"
    "  --config FILE          settings as 'name = value' lines; see docs/config.md\n"
    "  --set NAME=VALUE       one setting; may be repeated\n"
    "  --supervise            start again after a crash (systemd does this in its place)\n"
    "  --allow-weak-sandbox   run apps although this host cannot isolate them fully\n"
    "  --insecure-http        listen on other addresses than loopback without TLS\n"
    "  --config-docs          print docs/config.md and exit\n"
    "  --version, --help\n"
    "\n"
    "Every setting can be given as SPACESD_NAME in the environment, too.\n"
    "Exit codes: 0 stopped on request, 1 failed, 2 wrong flags or configuration.\n";

enum {
    OPT_STATE = 1,
    OPT_LISTEN,
    OPT_CONFIG,
    OPT_SET,
    OPT_SUPERVISE,
    OPT_WEAK,
    OPT_INSECURE,
    OPT_DOCS,
    OPT_VERSION,
    OPT_HELP
};

static const struct option options[] = {
    {"state", required_argument, NULL, OPT_STATE},
    {"listen", required_argument, NULL, OPT_LISTEN},
    {"config", required_argument, NULL, OPT_CONFIG},
    {"set", required_argument, NULL, OPT_SET},
    {"supervise", no_argument, NULL, OPT_SUPERVISE},
    {"allow-weak-sandbox", no_argument, NULL, OPT_WEAK},
    {"insecure-http", no_argument, NULL, OPT_INSECURE},
    {"config-docs", no_argument, NULL, OPT_DOCS},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static int set_pair(struct sp_config *config, const char *pair, struct sp_error *err)
{
    const char *equals = strchr(pair, '=');
    SP_AUTO_FREE char *name = NULL;

    if (!equals)
        return sp_error_set(err, SP_ERR_INVALID, 0, "--set '%s': expected NAME=VALUE", pair);
    name = sp_strndup(pair, (size_t)(equals - pair));
    return sp_config_set(config, name, equals + 1, "flag --set", err);
}

static int print_docs(void)
{
    SP_AUTO_BUF struct sp_buf docs;

    sp_buf_init(&docs, 0);
    sp_config_write_docs(&docs);
    (void)fputs(sp_buf_str(&docs), stdout);
    return 0;
}

/* Flags that end the program at once; -1 for the others. */
static int flag_that_ends(int flag)
{
    switch (flag) {
    case OPT_HELP: (void)fputs(usage_text, stdout); return 0;
    case OPT_VERSION: (void)puts("spacesd " SP_VERSION); return 0;
    case OPT_DOCS: return print_docs();
    case '?': (void)fputs("try 'spacesd --help'\n", stderr); return EXIT_USAGE;
    default: return -1;
    }
}

static int apply_flag(struct sp_config *config, int flag, struct sp_error *err)
{
    switch (flag) {
    case OPT_STATE: return sp_config_set(config, "state", optarg, "flag --state", err);
    case OPT_LISTEN: return sp_config_set(config, "listen", optarg, "flag --listen", err);
    case OPT_SET: return set_pair(config, optarg, err);
    case OPT_WEAK:
        return sp_config_set(config, "sandbox.allow_weak", "true", "flag --allow-weak-sandbox",
                             err);
    case OPT_INSECURE:
        return sp_config_set(config, "insecure_http", "true", "flag --insecure-http", err);
    default: return 0;
    }
}

/* File first, then environment, then flags: each overrides what came before. */
static int read_config(struct sp_config *config, int argc, char **argv, bool *ret_supervise,
                       struct sp_error *err)
{
    int flag;
    int r = 0;

    optind = 1;
    while (r == 0 && (flag = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (flag == OPT_CONFIG)
            r = sp_config_load_file(config, optarg, err);
    if (r == 0)
        r = sp_config_load_env(config, environ, err);
    optind = 1;
    while (r == 0 && (flag = getopt_long(argc, argv, "", options, NULL)) != -1) {
        *ret_supervise = *ret_supervise || flag == OPT_SUPERVISE;
        r = apply_flag(config, flag, err);
    }
    return r;
}

/* Without TLS in front, only this machine may be listened to, unless the operator says so. */
static int check_listen(const struct sp_config *config, struct sp_error *err)
{
    const char *listen = sp_config_str(config, "listen");

    if (sp_config_bool(config, "insecure_http") || strncmp(listen, "127.", 4) == 0 ||
        strncmp(listen, "localhost:", 10) == 0 || strncmp(listen, "[::1]:", 6) == 0)
        return 0;
    return sp_error_set(
        err, SP_ERR_INVALID, 0,
        "listen '%s' is not this machine only: put a TLS front before spacesd, or pass "
        "--insecure-http",
        listen);
}

static int fail(const struct sp_error *err, int code)
{
    (void)fprintf(stderr, "spacesd: %s\n", err->msg);
    return code;
}

static int serve(struct sp_config *config)
{
    struct sp_privilege priv;
    struct sp_daemon *daemon;
    struct sp_error err = {0};
    char *doctor;
    int launcher_fd = -1;
    int base_fd;
    int code;

    if (sp_privilege_prepare(config, &priv, &err) < 0 ||
        sp_privilege_start_launcher(config, &priv, &launcher_fd, &err) < 0)
        return fail(&err, 1);
    doctor = sp_privilege_ask_doctor();
    base_fd = sp_privilege_open_part("spaces-base", "libexec/spaces-base");
    if (sp_daemon_new(config, launcher_fd, base_fd, doctor, &daemon, &err) < 0 ||
        sp_privilege_drop(&priv, &err) < 0)
        return fail(&err, 1);
    code = sp_daemon_run_consume(daemon);
    sp_privilege_wait_launcher(&priv, LAUNCHER_WAIT_MS);
    return code;
}

int main(int argc, char **argv)
{
    struct sp_config *config = sp_config_new();
    struct sp_error err = {0};
    bool supervise = false;
    int code;
    int flag;

    while ((flag = getopt_long(argc, argv, "", options, NULL)) != -1) {
        code = flag_that_ends(flag);
        if (code >= 0)
            return code;
    }
    if (optind < argc) {
        (void)fprintf(stderr, "spacesd: '%s' is not a flag; try 'spacesd --help'\n", argv[optind]);
        return EXIT_USAGE;
    }
    if (read_config(config, argc, argv, &supervise, &err) < 0 || check_listen(config, &err) < 0)
        return fail(&err, EXIT_USAGE);
    sp_log_set_level(
        (enum sp_log_level)sp_log_level_from_string(sp_config_str(config, "log.level")));
    (void)signal(SIGPIPE, SIG_IGN);
    if (supervise)
        sp_supervise();
    sp_crash_install();
    sp_slice_set(SP_SLICE_DAEMON_US);
    code = serve(config);
    sp_config_free(config);
    return code;
}
