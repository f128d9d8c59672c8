/* cmd_user.c - user add, user ls, login-link, whoami. */
#include <stdio.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/http.h"
#include "cli/print.h"

static int check_name(const char *name, struct sp_error *err)
{
    if (sp_name_valid(sp_slice_str(name)))
        return 0;
    return sp_error_set(err, SP_ERR_INVALID, 0,
                        "'%s' is not a name: 1-96 letters, digits, '.', '_' or '-'", name);
}

int sp_cli_cmd_user_add(struct sp_cli *cli, struct sp_error *err)
{
    SP_CLI_AUTO_REPLY struct sp_cli_reply reply = {0};
    const char *name = cli->args.pos[0];
    json_t *body = json_pack("{s:s}", "name", name);
    int r = check_name(name, err);

    if (r == 0)
        r = sp_cli_call(cli, "POST", "/api/users", body, &reply, err);
    json_decref(body);
    if (r < 0 || sp_cli_print_json(cli, reply.json))
        return r;
    sp_cli_field(cli, "user", sp_cli_str(reply.json, "name"));
    sp_cli_field(cli, "login", sp_cli_str(reply.json, "login_url"));
    sp_cli_field(cli, "token", sp_cli_str(reply.json, "token"));
    fprintf(stderr, "The link signs a browser in, once. The token is not shown again.\n");
    return 0;
}

int sp_cli_cmd_user_ls(struct sp_cli *cli, struct sp_error *err)
{
    SP_CLI_AUTO_REPLY struct sp_cli_reply reply = {0};
    struct sp_cli_table table;
    char since[SP_CLI_TIME_LEN];
    size_t i;
    const json_t *user;
    int r = sp_cli_call(cli, "GET", "/api/users", NULL, &reply, err);

    if (r < 0 || sp_cli_print_json(cli, reply.json))
        return r;
    sp_cli_table_init(&table, 3);
    sp_cli_table_row(&table, "USER", "ROLE", "ADDED");
    json_array_foreach (reply.json, i, user) {
        sp_cli_ago_now(sp_cli_str(user, "createdAt"), since);
        sp_cli_table_row(&table, sp_cli_str(user, "name"),
                         json_is_true(json_object_get(user, "isAdmin")) ? "operator" : "user",
                         since);
    }
    sp_cli_table_print_consume(cli, &table);
    return 0;
}

int sp_cli_cmd_login_link(struct sp_cli *cli, struct sp_error *err)
{
    SP_CLI_AUTO_REPLY struct sp_cli_reply reply = {0};
    SP_AUTO_FREE char *path = sp_asprintf("/api/users/%s/login-link", cli->args.pos[0]);
    int r = check_name(cli->args.pos[0], err);

    if (r == 0)
        r = sp_cli_call(cli, "POST", path, NULL, &reply, err);
    if (r == 0 && !sp_cli_print_json(cli, reply.json))
        printf("%s\n", sp_cli_str(reply.json, "login_url"));
    return r;
}

int sp_cli_cmd_whoami(struct sp_cli *cli, struct sp_error *err)
{
    SP_CLI_AUTO_REPLY struct sp_cli_reply reply = {0};
    int r = sp_cli_call(cli, "GET", "/api/whoami-v2", NULL, &reply, err);

    if (r == 0 && !sp_cli_print_json(cli, reply.json))
        printf("%s%s\n", sp_cli_str(reply.json, "name"),
               json_is_true(json_object_get(reply.json, "isAdmin")) ? " (operator)" : "");
    return r;
}
