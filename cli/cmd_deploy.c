#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "cli/folder.h"
#include "cli/folder_watch.h"
#include "cli/print.h"

static int send_folder(struct sp_cli *cli, const char *path, struct sp_cli_reply *reply,
                       struct sp_error *err)
{
    SP_CLI_AUTO_FOLDER struct sp_cli_folder folder = {0};
    const char *message = sp_cli_opt(&cli->args, "message");
    const char *is_private = sp_cli_opt(&cli->args, "private") ? "true" : "false";
    const char *const fields[] = {"private", is_private, "message", message ? message : "", NULL};
    int r = sp_cli_folder_read(cli->args.pos[0], &folder, err);

    if (r < 0)
        return r;
    return sp_cli_upload(cli, path, fields, folder.files, folder.n_files, reply, err);
}

/* What was said, else "me/folder". */
static int find_ref(struct sp_cli *cli, char **ret_ref, struct sp_error *err)
{
    SP_CLI_AUTO_REPLY struct sp_cli_reply reply = {0};
    SP_AUTO_FREE char *folder = NULL;
    int r;

    if (cli->args.n_pos > 1) {
        *ret_ref = sp_strdup(cli->args.pos[1]);
        return 0;
    }
    folder = realpath(cli->args.pos[0], NULL);
    if (!folder)
        return sp_error_set(err, errno == ENOENT ? SP_ERR_NOT_FOUND : SP_ERR_INVALID, -errno,
                            "read '%s'", cli->args.pos[0]);
    r = sp_cli_call(cli, "GET", "/api/whoami-v2", NULL, &reply, err);
    if (r == 0)
        *ret_ref = sp_asprintf("%s/%s", sp_cli_str(reply.json, "name"), strrchr(folder, '/') + 1);
    return r;
}

static int deploy_once(struct sp_cli *cli, const char *ref, bool wait, struct sp_error *err)
{
    SP_CLI_AUTO_REPLY struct sp_cli_reply reply = {0};
    SP_AUTO_FREE char *path = NULL;
    long long number;
    int r = sp_cli_space_path(ref, "/deploy", &path, err);

    if (r == 0)
        r = send_folder(cli, path, &reply, err);
    if (r < 0)
        return r;
    number = sp_cli_int(json_object_get(reply.json, "version"), "number", 0);
    if (!cli->json)
        printf("%s %s, version %lld: %s\n", ref,
               json_is_true(json_object_get(reply.json, "created")) ? "created" : "stored", number,
               sp_cli_str(reply.json, "url"));
    if (wait) {
        (void)fflush(stdout);
        r = sp_cli_wait_running(cli, ref, number, err);
        if (r < 0)
            return r;
        if (!cli->json)
            printf("%s is RUNNING\n", ref);
    }
    (void)sp_cli_print_json(cli, reply.json);
    return 0;
}

/* Deploys in a process of its own, so that a save while the one before still starts is not kept
 * waiting: that process is ended, and what it has stored so far is simply an older version. */
static pid_t deploy_beside(struct sp_cli *cli, const char *ref)
{
    struct sp_error err = {0};
    pid_t parent = getpid();
    pid_t pid;
    int r;

    (void)fflush(NULL);
    pid = fork();
    if (pid != 0)
        return pid;
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(1);
    r = deploy_once(cli, ref, true, &err);
    if (r < 0)
        (void)sp_cli_report("deploy", ref, &err);
    (void)fflush(stdout);
    _exit(r < 0);
}

static void end_deploy(pid_t pid)
{
    (void)kill(pid, SIGTERM);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

static int deploy_and_watch(struct sp_cli *cli, const char *ref, struct sp_error *err)
{
    const char *dir = cli->args.pos[0];
    SP_AUTO_FD int fd = sp_cli_watch_open(dir, err);
    int r = fd < 0 ? fd : 0;

    while (r == 0) {
        pid_t pid = deploy_beside(cli, ref);

        if (pid < 0)
            return sp_error_set(err, SP_ERR_LIMIT, -errno, "deploy '%s'", dir);
        r = sp_cli_watch_wait(fd, dir, err);
        end_deploy(pid);
    }
    return r;
}

int sp_cli_cmd_deploy(struct sp_cli *cli, struct sp_error *err)
{
    SP_AUTO_FREE char *ref = NULL;
    int r;

    if (sp_cli_opt(&cli->args, "private") && sp_cli_opt(&cli->args, "public"))
        return sp_error_set(err, SP_ERR_INVALID, 0, "--private and --public exclude each other");
    r = find_ref(cli, &ref, err);
    if (r < 0)
        return r;
    if (sp_cli_opt(&cli->args, "watch"))
        return deploy_and_watch(cli, ref, err);
    return deploy_once(cli, ref, sp_cli_opt(&cli->args, "wait") != NULL, err);
}
