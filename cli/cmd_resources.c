/* cmd_resources.c - what a Space is given: hardware, storage, network, sleep. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/http.h"
#include "cli/print.h"

/* Changes it when there is a body, and gets the runtime document in both cases; takes the body. */
static int change(struct sp_cli *cli, const char *method, const char *suffix, json_t *consumed,
                  struct sp_cli_reply *reply, struct sp_error *err)
{
    SP_AUTO_FREE char *path = NULL;
    int r = sp_cli_space_path(cli->args.pos[0], suffix, &path, err);

    if (r == 0)
        r = sp_cli_call(cli, method, path, consumed, reply, err);
    json_decref(consumed);
    return r;
}

static int show(struct sp_cli *cli, struct sp_cli_reply *reply, struct sp_error *err)
{
    return change(cli, "GET", "/runtime", NULL, reply, err);
}

/* Below a row: what a GPU of it is, what it promises, or why it cannot be had here. */
static void print_accelerator(const json_t *flavor)
{
    const json_t *gpu = json_object_get(flavor, "accelerator");
    SP_AUTO_FREE char *model = sp_cli_printable(sp_cli_str(gpu, "model"));
    SP_AUTO_FREE char *promise = sp_cli_printable(sp_cli_str(flavor, "promise"));
    SP_AUTO_FREE char *reason = sp_cli_printable(sp_cli_str(flavor, "reason"));

    if (*reason)
        printf("    not here: %s\n", reason);
    else if (json_is_object(gpu))
        printf("    %s GPU, %s, %s: %s\n", sp_cli_str(gpu, "quantity"), model,
               sp_cli_str(gpu, "vram"), promise);
}

static void print_flavors(const json_t *flavors, const char *current)
{
    const json_t *flavor;
    size_t i;

    json_array_foreach (flavors, i, flavor) {
        SP_AUTO_FREE char *name = sp_cli_printable(sp_cli_str(flavor, "name"));

        printf("%s %-20s %s, %s\n", strcmp(name, current) == 0 ? "*" : " ", name,
               sp_cli_str(flavor, "cpu"), sp_cli_str(flavor, "ram"));
        print_accelerator(flavor);
    }
}

int sp_cli_cmd_hardware(struct sp_cli *cli, struct sp_error *err)
{
    SP_CLI_AUTO_REPLY struct sp_cli_reply reply = {0};
    SP_CLI_AUTO_REPLY struct sp_cli_reply flavors = {0};
    const char *flavor = cli->args.n_pos > 1 ? cli->args.pos[1] : NULL;
    const char *current;
    int r =
        flavor ? change(cli, "POST", "/hardware", json_pack("{s:s}", "flavor", flavor), &reply, err)
               : show(cli, &reply, err);

    if (r < 0)
        return r;
    current = sp_cli_str(json_object_get(reply.json, "hardware"), "current");
    if (cli->json || flavor) {
        if (!sp_cli_print_json(cli, reply.json))
            printf("%s runs on %s\n", cli->args.pos[0], current);
        return 0;
    }
    r = sp_cli_call(cli, "GET", "/api/spaces/hardware", NULL, &flavors, err);
    if (r == 0)
        print_flavors(flavors.json, current);
    return r;
}

/* As delete does: what is in /data does not come back. */
static int confirm(struct sp_cli *cli, struct sp_error *err)
{
    const char *ref = cli->args.pos[0];
    char line[256] = "";

    if (sp_cli_opt(&cli->args, "yes"))
        return 0;
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return sp_error_set(err, SP_ERR_INVALID, 0,
                            "this deletes /data, which cannot be undone; say --yes, or run it on a "
                            "terminal to be asked");
    fprintf(stderr, "This deletes /data of %s, for good.\nType its name to go on: ", ref);
    if (!fgets(line, sizeof(line), stdin))
        line[0] = '\0';
    line[strcspn(line, "\n")] = '\0';
    if (strcmp(line, ref) != 0)
        return sp_error_set(err, SP_ERR_INVALID, 0, "that was not its name; nothing was deleted");
    return 0;
}

int sp_cli_cmd_storage(struct sp_cli *cli, struct sp_error *err)
{
    SP_CLI_AUTO_REPLY struct sp_cli_reply reply = {0};
    const char *tier = cli->args.n_pos > 1 ? cli->args.pos[1] : NULL;
    long long bytes;
    int r;

    if (!tier) {
        r = show(cli, &reply, err);
    } else if (strcmp(tier, "none") == 0) {
        r = confirm(cli, err);
        if (r == 0)
            r = change(cli, "DELETE", "/storage", NULL, &reply, err);
    } else {
        r = change(cli, "POST", "/storage", json_pack("{s:s}", "tier", tier), &reply, err);
    }
    if (r < 0 || sp_cli_print_json(cli, reply.json))
        return r;
    tier = sp_cli_str(reply.json, "storage");
    bytes =
        json_integer_value(json_object_get(json_object_get(reply.json, "limits"), "data_bytes"));
    if (*tier)
        printf("%s has %s storage: /data of %lld MiB\n", cli->args.pos[0], tier, bytes >> 20);
    else
        printf("%s has no storage\n", cli->args.pos[0]);
    return 0;
}

static json_t *names_json(const char *names)
{
    struct sp_slice rest = sp_slice_str(names), name;
    json_t *list = json_array();

    while (sp_slice_split(&rest, ',', &name)) {
        name = sp_slice_trim(name);
        if (name.len)
            (void)json_array_append_new(list, json_stringn(name.ptr, name.len));
    }
    return list;
}

int sp_cli_cmd_network(struct sp_cli *cli, struct sp_error *err)
{
    SP_CLI_AUTO_REPLY struct sp_cli_reply reply = {0};
    const char *mode = cli->args.n_pos > 1 ? cli->args.pos[1] : NULL;
    const char *names = cli->args.n_pos > 2 ? cli->args.pos[2] : "";
    const json_t *network, *name;
    size_t i;
    int r = mode ? change(cli, "POST", "/network",
                          json_pack("{s:s, s:o}", "mode", mode, "allow", names_json(names)), &reply,
                          err)
                 : show(cli, &reply, err);

    if (r < 0 || sp_cli_print_json(cli, reply.json))
        return r;
    network = json_object_get(reply.json, "network");
    printf("%s has network %s\n", cli->args.pos[0], sp_cli_str(network, "mode"));
    json_array_foreach (json_object_get(network, "allow"), i, name) {
        SP_AUTO_FREE char *text = sp_cli_printable(json_string_value(name));

        printf("  %s\n", text);
    }
    return 0;
}

int sp_cli_cmd_sleep(struct sp_cli *cli, struct sp_error *err)
{
    SP_CLI_AUTO_REPLY struct sp_cli_reply reply = {0};
    const char *text = cli->args.n_pos > 1 ? cli->args.pos[1] : NULL;
    bool never = text && strcmp(text, "never") == 0;
    uint64_t seconds = 0;
    const json_t *shown;
    int r;

    if (text && !never && !sp_parse_u64(sp_slice_str(text), INT32_MAX, &seconds))
        return sp_error_set(err, SP_ERR_INVALID, 0, "'%.40s' is neither seconds nor never", text);
    r = text ? change(cli, "POST", "/sleeptime",
                      json_pack("{s:I}", "seconds", never ? (json_int_t)-1 : (json_int_t)seconds),
                      &reply, err)
             : show(cli, &reply, err);
    if (r < 0 || sp_cli_print_json(cli, reply.json))
        return r;
    shown = json_object_get(reply.json, "gcTimeout");
    if (json_is_integer(shown))
        printf("%s is held still after %lld s without a visitor\n", cli->args.pos[0],
               (long long)json_integer_value(shown));
    else
        printf("%s is never held still\n", cli->args.pos[0]);
    return 0;
}
