/* cmd_space.c - what changes a Space that exists: restart, pause, delete, duplicate, visibility. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/http.h"
#include "cli/print.h"

/* One request to "/api/spaces/ref + suffix"; takes the body. */
static int ask(struct sp_cli *cli, const char *method, const char *ref, const char *suffix,
               json_t *consumed, struct sp_cli_reply *reply, struct sp_error *err)
{
    SP_AUTO_FREE char *path = NULL;
    int r = sp_cli_space_path(ref, suffix, &path, err);

    if (r == 0)
        r = sp_cli_call(cli, method, path, consumed, reply, err);
    json_decref(consumed);
    return r;
}

static void print_stage(struct sp_cli *cli, const char *ref, const json_t *runtime)
{
    SP_AUTO_FREE char *reason = sp_cli_printable(sp_cli_str(runtime, "reason"));

    if (!sp_cli_print_json(cli, runtime))
        printf("%s is %s%s%s\n", ref, sp_cli_str(runtime, "stage"), *reason ? ": " : "", reason);
}

int sp_cli_cmd_restart(struct sp_cli *cli, struct sp_error *err)
{
    SP_CLI_AUTO_REPLY struct sp_cli_reply reply = {0};
    const char *ref = cli->args.pos[0];
    int r = ask(cli, "POST", ref, "/restart", NULL, &reply, err);

    if (r < 0)
        return r;
    if (!sp_cli_opt(&cli->args, "wait")) {
        print_stage(cli, ref, reply.json);
        return 0;
    }
    r = sp_cli_wait_running(cli, ref, 0, err);
    if (r == 0 && !sp_cli_print_json(cli, reply.json))
        printf("%s is RUNNING\n", ref);
    return r;
}

int sp_cli_cmd_pause(struct sp_cli *cli, struct sp_error *err)
{
    SP_CLI_AUTO_REPLY struct sp_cli_reply reply = {0};
    int r = ask(cli, "POST", cli->args.pos[0], "/pause", NULL, &reply, err);

    if (r == 0)
        print_stage(cli, cli->args.pos[0], reply.json);
    return r;
}

/* Whoever deletes says the name once more: there is no way back. */
static int confirm(const char *ref, struct sp_error *err)
{
    char line[256] = "";

    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return sp_error_set(
            err, SP_ERR_INVALID, 0,
            "this cannot be undone; say --yes, or run it on a terminal to be asked");
    fprintf(stderr,
            "This deletes %s with its versions and logs, for good.\nType its name to go on: ", ref);
    if (!fgets(line, sizeof(line), stdin))
        line[0] = '\0';
    line[strcspn(line, "\n")] = '\0';
    if (strcmp(line, ref) != 0)
        return sp_error_set(err, SP_ERR_INVALID, 0, "that was not its name; nothing was deleted");
    return 0;
}

int sp_cli_cmd_delete(struct sp_cli *cli, struct sp_error *err)
{
    SP_CLI_AUTO_REPLY struct sp_cli_reply reply = {0};
    SP_AUTO_FREE char *path = NULL;
    const char *ref = cli->args.pos[0];
    int r = sp_cli_space_path(ref, "", &path, err);

    if (r == 0 && !sp_cli_opt(&cli->args, "yes"))
        r = confirm(ref, err);
    if (r == 0)
        r = sp_cli_call(cli, "DELETE", path, NULL, &reply, err);
    if (r == 0)
        printf("%s is deleted\n", ref);
    return r;
}

/* What the copy lacks. */
static void print_secrets(const char *copy, const json_t *secrets)
{
    const json_t *name;
    size_t i;

    json_array_foreach (secrets, i, name)
        printf("it needs a secret: spaces secret set %s %s\n", copy, json_string_value(name));
}

int sp_cli_cmd_duplicate(struct sp_cli *cli, struct sp_error *err)
{
    SP_CLI_AUTO_REPLY struct sp_cli_reply reply = {0};
    SP_AUTO_FREE char *unused = NULL;
    const char *copy = cli->args.pos[1];
    bool is_public = sp_cli_opt(&cli->args, "public") != NULL;
    int r = sp_cli_space_path(copy, "", &unused, err);

    if (r == 0)
        r = ask(cli, "POST", cli->args.pos[0], "/duplicate",
                json_pack("{s:s, s:b}", "repository", copy, "private", !is_public), &reply, err);
    if (r < 0)
        return r;
    if (!cli->json)
        printf("%s is a copy of %s: %s\n", copy, cli->args.pos[0], sp_cli_str(reply.json, "url"));
    if (!cli->json)
        print_secrets(copy, json_object_get(reply.json, "secrets"));
    if (sp_cli_opt(&cli->args, "wait")) {
        (void)fflush(stdout);
        r = sp_cli_wait_running(cli, copy, 0, err);
        if (r < 0)
            return r;
        if (!cli->json)
            printf("%s is RUNNING\n", copy);
    }
    (void)sp_cli_print_json(cli, reply.json);
    return 0;
}

int sp_cli_cmd_visibility(struct sp_cli *cli, struct sp_error *err)
{
    SP_CLI_AUTO_REPLY struct sp_cli_reply reply = {0};
    const char *ref = cli->args.pos[0];
    bool is_private = strcmp(cli->args.pos[1], "private") == 0;
    int r;

    if (!is_private && strcmp(cli->args.pos[1], "public") != 0)
        return sp_error_set(err, SP_ERR_INVALID, 0, "'%s' is neither public nor private",
                            cli->args.pos[1]);
    r = ask(cli, "PUT", ref, "/settings", json_pack("{s:b}", "private", is_private), &reply, err);
    if (r == 0 && !sp_cli_print_json(cli, reply.json))
        printf("%s is for %s now\n", ref, is_private ? "its owner" : "everybody");
    return r;
}
