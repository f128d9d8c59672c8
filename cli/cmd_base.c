/* cmd_base.c - base create, import, ls, show and rm: the root file systems that Spaces run in. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/http.h"
#include "cli/print.h"

#define LOOK_MS 300

static int get(struct sp_cli *cli, const char *method, const char *name, struct sp_cli_reply *reply,
               struct sp_error *err)
{
    SP_AUTO_FREE char *escaped = sp_cli_escape(name);
    SP_AUTO_FREE char *path = sp_asprintf("/api/bases/%s", escaped);

    return sp_cli_call(cli, method, path, NULL, reply, err);
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

/* What it is at, when that has changed: over one line of a terminal, else a line each. */
static void tell_step(const struct sp_cli *cli, const json_t *base, char last[256])
{
    SP_AUTO_FREE char *step = sp_cli_printable(sp_cli_str(base, "step"));

    if (!*step || strncmp(step, last, 255) == 0)
        return;
    (void)snprintf(last, 256, "%s", step);
    if (cli->err_is_terminal)
        sp_cli_progress("%.120s", step);
    else
        fprintf(stderr, "%s\n", step);
}

/* Until it is ready, or it is clear that it will not be. */
static int wait_ready(struct sp_cli *cli, const char *name, json_t **ret, struct sp_error *err)
{
    const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
    char last[256] = "";

    for (;;) {
        SP_CLI_AUTO_REPLY struct sp_cli_reply reply = {0};
        int r = get(cli, "GET", name, &reply, err);
        const char *state = r < 0 ? "" : sp_cli_str(reply.json, "state");

        if (r < 0)
            return r;
        if (strcmp(state, "making") != 0)
            sp_cli_progress_end();
        if (strcmp(state, "failed") == 0)
            return sp_error_set(err, SP_ERR_UNAVAILABLE, 0, "%s", sp_cli_str(reply.json, "reason"));
        if (strcmp(state, "ready") == 0) {
            *ret = SP_TAKE(reply.json);
            return 0;
        }
        tell_step(cli, reply.json, last);
        (void)nanosleep(&pause, NULL);
    }
}

static int make(struct sp_cli *cli, struct sp_error *err)
{
    const char *name = cli->args.pos[0];
    const char *packages = sp_cli_opt(&cli->args, "packages"),
               *mirror = sp_cli_opt(&cli->args, "mirror");
    json_t *body =
        json_pack("{s:s, s:s, s:s, s:o}", "name", name, "source", cli->args.pos[1], "mirror",
                  mirror ? mirror : "", "packages", names_json(packages ? packages : ""));
    SP_CLI_AUTO_REPLY struct sp_cli_reply reply = {0};
    char size[SP_CLI_SIZE_LEN];
    json_t *base = NULL;
    int r = sp_cli_call(cli, "POST", "/api/bases", body, &reply, err);

    json_decref(body);
    if (r == 0)
        r = wait_ready(cli, name, &base, err);
    if (r < 0)
        return r;
    sp_cli_size((unsigned long long)sp_cli_int(base, "bytes", 0), size);
    if (!sp_cli_print_json(cli, base))
        printf("base %s is ready: %s, %s\n", name, sp_cli_str(base, "digest"), size);
    json_decref(base);
    return 0;
}

int sp_cli_cmd_base_create(struct sp_cli *cli, struct sp_error *err)
{
    if (!sp_slice_starts(sp_slice_str(cli->args.pos[1]), "debian:"))
        return sp_error_set(err, SP_ERR_INVALID, 0,
                            "there is debian:12 and debian:13; for images: spaces base import");
    return make(cli, err);
}

int sp_cli_cmd_base_import(struct sp_cli *cli, struct sp_error *err)
{
    return make(cli, err);
}

int sp_cli_cmd_base_ls(struct sp_cli *cli, struct sp_error *err)
{
    SP_CLI_AUTO_REPLY struct sp_cli_reply reply = {0};
    struct sp_cli_table table;
    const json_t *base;
    size_t i;
    int r = sp_cli_call(cli, "GET", "/api/bases", NULL, &reply, err);

    if (r < 0 || sp_cli_print_json(cli, reply.json))
        return r;
    sp_cli_table_init(&table, 5);
    sp_cli_table_row(&table, "BASE", "STATE", "SIZE", "DIGEST", "SOURCE");
    json_array_foreach (reply.json, i, base) {
        char size[SP_CLI_SIZE_LEN];
        SP_AUTO_FREE char *digest = sp_strndup(sp_cli_str(base, "digest"), 12);

        sp_cli_size((unsigned long long)sp_cli_int(base, "bytes", 0), size);
        sp_cli_table_row(&table, sp_cli_str(base, "name"), sp_cli_str(base, "state"), size,
                         *digest ? digest : NULL, sp_cli_str(base, "source"));
    }
    sp_cli_table_print_consume(cli, &table);
    return 0;
}

int sp_cli_cmd_base_show(struct sp_cli *cli, struct sp_error *err)
{
    static const char *const fields[] = {"state",  "step",   "reason",
                                         "digest", "source", "createdAt"};
    SP_CLI_AUTO_REPLY struct sp_cli_reply reply = {0};
    char size[SP_CLI_SIZE_LEN];
    int r = get(cli, "GET", cli->args.pos[0], &reply, err);

    if (r < 0 || sp_cli_print_json(cli, reply.json))
        return r;
    for (size_t i = 0; i < SP_LEN(fields); i++)
        sp_cli_field(cli, fields[i], sp_cli_str(reply.json, fields[i]));
    sp_cli_size((unsigned long long)sp_cli_int(reply.json, "bytes", 0), size);
    sp_cli_field(cli, "size", size);
    return 0;
}

int sp_cli_cmd_base_rm(struct sp_cli *cli, struct sp_error *err)
{
    SP_CLI_AUTO_REPLY struct sp_cli_reply reply = {0};
    int r = get(cli, "DELETE", cli->args.pos[0], &reply, err);

    if (r == 0)
        printf("base %s is removed\n", cli->args.pos[0]);
    return r;
}
