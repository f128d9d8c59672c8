#include <stdio.h>

#include "base/mem.h"
#include "cli/http.h"
#include "cli/print.h"

/* "12.3 s", or "-" when it is not known. */
static const char *seconds(const json_t *obj, const char *key, char ret[SP_CLI_TIME_LEN])
{
    const json_t *value = json_object_get(obj, key);

    if (!json_is_number(value))
        return "-";
    sp_cli_duration(json_number_value(value), ret);
    return ret;
}

static void print_functions(struct sp_cli *cli, const json_t *functions)
{
    struct sp_cli_table table;
    char eta[SP_CLI_TIME_LEN];
    size_t i;
    const json_t *fn;

    sp_cli_table_init(&table, 3);
    sp_cli_table_row(&table, "FUNCTION", "WAITING", "A NEW ONE TAKES");
    json_array_foreach (functions, i, fn) {
        SP_AUTO_FREE char *name =
            sp_asprintf("%lld %s", sp_cli_int(fn, "fn", 0), sp_cli_str(fn, "api_name"));
        SP_AUTO_FREE char *waiting = sp_asprintf("%lld", sp_cli_int(fn, "waiting", 0));

        sp_cli_table_row(&table, name, waiting, seconds(fn, "eta_s", eta));
    }
    sp_cli_table_print_consume(cli, &table);
}

static void print_entries(struct sp_cli *cli, const json_t *entries)
{
    struct sp_cli_table table;
    char age[SP_CLI_TIME_LEN];
    char eta[SP_CLI_TIME_LEN];
    size_t i;
    const json_t *entry;

    sp_cli_table_init(&table, 6);
    sp_cli_table_row(&table, "REQUEST", "FUNCTION", "STATE", "RANK", "AGE", "RESULT IN");
    json_array_foreach (entries, i, entry) {
        const json_t *rank = json_object_get(entry, "rank");
        SP_AUTO_FREE char *name =
            sp_asprintf("%lld %s", sp_cli_int(entry, "fn", 0), sp_cli_str(entry, "api_name"));
        SP_AUTO_FREE char *place =
            json_is_integer(rank) ? sp_asprintf("%lld", sp_cli_int(entry, "rank", 0) + 1) : NULL;

        sp_cli_table_row(&table, sp_cli_str(entry, "event_id"), name, sp_cli_str(entry, "state"),
                         place, seconds(entry, "age_s", age), seconds(entry, "eta_s", eta));
    }
    sp_cli_table_print_consume(cli, &table);
}

static void print_queue(struct sp_cli *cli, const json_t *queue)
{
    const json_t *max = json_object_get(queue, "max_size");
    const json_t *functions = json_object_get(queue, "functions");
    const json_t *entries = json_object_get(queue, "entries");

    printf("%lld running, %lld waiting", sp_cli_int(queue, "running", 0),
           sp_cli_int(queue, "waiting", 0));
    if (json_is_integer(max))
        printf(" (at most %lld)", (long long)json_integer_value(max));
    printf("\n");
    if (json_array_size(functions) > 0) {
        printf("\n");
        print_functions(cli, functions);
    }
    if (json_array_size(entries) > 0) {
        printf("\n");
        print_entries(cli, entries);
    }
}

int sp_cli_cmd_queue_show(struct sp_cli *cli, struct sp_error *err)
{
    SP_CLI_AUTO_REPLY struct sp_cli_reply reply = {0};
    SP_AUTO_FREE char *path = NULL;
    int r = sp_cli_space_path(cli->args.pos[0], "/queue", &path, err);

    if (r == 0)
        r = sp_cli_call(cli, "GET", path, NULL, &reply, err);
    if (r == 0 && !sp_cli_print_json(cli, reply.json))
        print_queue(cli, reply.json);
    return r;
}
