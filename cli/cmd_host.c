/* cmd_host.c - doctor and config show: what is asked about the daemon and its host. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/http.h"
#include "cli/print.h"

static void print_checks(struct sp_cli *cli, const json_t *checks)
{
    struct sp_cli_table table;
    size_t i;
    const json_t *check;

    const char *group = "";

    sp_cli_table_init(&table, 3);
    sp_cli_table_row(&table, "CHECK", "", "WHY");
    json_array_foreach (checks, i, check) {
        bool ok = json_is_true(json_object_get(check, "ok"));
        bool may_miss = json_is_false(json_object_get(check, "required"));

        if (strcmp(group, sp_cli_str(check, "group")) != 0) {
            group = sp_cli_str(check, "group");
            sp_cli_table_row(&table, group, " ", " ");
        }
        sp_cli_table_row(&table, sp_cli_str(check, "name"),
                         ok         ? "ok"
                         : may_miss ? "off"
                                    : "missing",
                         sp_cli_str(check, "why"));
        if (!ok && *sp_cli_str(check, "fix")) {
            SP_AUTO_FREE char *fix = sp_asprintf("to mend it: %s", sp_cli_str(check, "fix"));

            sp_cli_table_row(&table, " ", " ", fix);
        }
    }
    sp_cli_table_print_consume(cli, &table);
}

int sp_cli_cmd_doctor(struct sp_cli *cli, struct sp_error *err)
{
    SP_CLI_AUTO_REPLY struct sp_cli_reply reply = {0};
    const json_t *checks;
    size_t n_bad = 0;
    size_t i;
    const json_t *check;
    int r = sp_cli_call(cli, "GET", "/api/doctor", NULL, &reply, err);

    if (r < 0)
        return r;
    checks = json_object_get(reply.json, "checks");
    json_array_foreach (checks, i, check)
        n_bad += !json_is_true(json_object_get(check, "ok")) &&
                 !json_is_false(json_object_get(check, "required"));
    if (!sp_cli_print_json(cli, reply.json)) {
        printf("spacesd %s\n\n", sp_cli_str(reply.json, "version"));
        print_checks(cli, checks);
        if (json_is_true(json_object_get(reply.json, "weak_sandbox")))
            printf("\nApps run although the host cannot isolate them completely "
                   "(--allow-weak-sandbox).\n");
    }
    if (n_bad > 0)
        return sp_error_set(err, SP_ERR_INTERNAL, 0, "%zu of %zu checks are not in order", n_bad,
                            json_array_size(checks));
    return 0;
}

int sp_cli_cmd_config_show(struct sp_cli *cli, struct sp_error *err)
{
    SP_CLI_AUTO_REPLY struct sp_cli_reply reply = {0};
    struct sp_cli_table table;
    size_t i;
    const json_t *row;
    int r = sp_cli_call(cli, "GET", "/api/config", NULL, &reply, err);

    if (r < 0 || sp_cli_print_json(cli, reply.json))
        return r;
    sp_cli_table_init(&table, 4);
    sp_cli_table_row(&table, "SETTING", "VALUE", "FROM", "");
    json_array_foreach (reply.json, i, row)
        sp_cli_table_row(&table, sp_cli_str(row, "name"), sp_cli_str(row, "value"),
                         sp_cli_str(row, "source"), sp_cli_str(row, "help"));
    sp_cli_table_print_consume(cli, &table);
    return 0;
}
