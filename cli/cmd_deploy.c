#include <stdio.h>

#include "base/mem.h"
#include "cli/folder.h"
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

int sp_cli_cmd_deploy(struct sp_cli *cli, struct sp_error *err)
{
    SP_CLI_AUTO_REPLY struct sp_cli_reply reply = {0};
    SP_AUTO_FREE char *path = NULL;
    const char *ref = cli->args.pos[1];
    long long number;
    int r = sp_cli_space_path(ref, "/deploy", &path, err);

    if (r < 0)
        return r;
    if (sp_cli_opt(&cli->args, "private") && sp_cli_opt(&cli->args, "public"))
        return sp_error_set(err, SP_ERR_INVALID, 0, "--private and --public exclude each other");
    r = send_folder(cli, path, &reply, err);
    if (r < 0)
        return r;
    number = sp_cli_int(json_object_get(reply.json, "version"), "number", 0);
    if (!cli->json)
        printf("%s %s, version %lld: %s\n", ref,
               json_is_true(json_object_get(reply.json, "created")) ? "created" : "stored", number,
               sp_cli_str(reply.json, "url"));
    if (sp_cli_opt(&cli->args, "wait")) {
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
