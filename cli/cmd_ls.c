/* cmd_ls.c - ls and show. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/http.h"
#include "cli/print.h"

#define PAGES_MAX 1000

/* All pages of the list, as one array. */
static int fetch_all(struct sp_cli *cli, json_t *list, struct sp_error *err)
{
    const char *search = sp_cli_opt(&cli->args, "search");
    const char *author = sp_cli_opt(&cli->args, "author");
    SP_AUTO_FREE char *search_esc = sp_cli_escape(search ? search : "");
    SP_AUTO_FREE char *author_esc = sp_cli_escape(author ? author : "");
    SP_AUTO_FREE char *path =
        sp_asprintf("/api/spaces?limit=100&search=%s&author=%s", search_esc, author_esc);

    for (int page = 0; page < PAGES_MAX; page++) {
        SP_CLI_AUTO_REPLY struct sp_cli_reply reply = {0};
        int r = sp_cli_call(cli, "GET", path, NULL, &reply, err);

        if (r < 0)
            return r;
        (void)json_array_extend(list, reply.json);
        if (!*reply.next)
            return 0;
        free(path);
        path = sp_strdup(reply.next);
    }
    return sp_error_set(err, SP_ERR_LIMIT, 0, "the list has over %d pages; use --search",
                        PAGES_MAX);
}

static void print_list(struct sp_cli *cli, const json_t *list)
{
    struct sp_cli_table table;
    size_t i;
    const json_t *space;

    sp_cli_table_init(&table, 6);
    sp_cli_table_row(&table, "SPACE", "STAGE", "QUEUE", "FOR", "CHANGED", "TITLE");
    json_array_foreach (list, i, space) {
        const json_t *queue = json_object_get(space, "queue");
        char changed[SP_CLI_TIME_LEN];
        SP_AUTO_FREE char *waiting = sp_asprintf("%lld+%lld", sp_cli_int(queue, "running", 0),
                                                 sp_cli_int(queue, "waiting", 0));

        sp_cli_ago_now(sp_cli_str(space, "lastModified"), changed);
        sp_cli_table_row(&table, sp_cli_str(space, "id"),
                         sp_cli_str(json_object_get(space, "runtime"), "stage"), waiting,
                         json_is_true(json_object_get(space, "private")) ? "owner" : "all", changed,
                         sp_cli_str(space, "title"));
    }
    sp_cli_table_print_consume(cli, &table);
}

int sp_cli_cmd_ls(struct sp_cli *cli, struct sp_error *err)
{
    json_t *list = json_array();
    int r = fetch_all(cli, list, err);

    if (r == 0 && !sp_cli_print_json(cli, list)) {
        if (json_array_size(list) > 0)
            print_list(cli, list);
        else
            fprintf(stderr, "no Spaces%s\n", *cli->token ? "" : " that everybody may see");
    }
    json_decref(list);
    return r;
}

static void print_usage_fields(struct sp_cli *cli, const json_t *runtime)
{
    const json_t *limits = json_object_get(runtime, "limits");
    const json_t *usage = json_object_get(runtime, "usage");
    char now[SP_CLI_SIZE_LEN], peak[SP_CLI_SIZE_LEN], most[SP_CLI_SIZE_LEN];
    SP_AUTO_FREE char *text = NULL;

    sp_cli_size((unsigned long long)sp_cli_int(limits, "memory_bytes", 0), most);
    text = sp_asprintf("%.1f CPUs, %s memory, %lld processes",
                       (double)sp_cli_int(limits, "cpu_millis", 0) / 1000, most,
                       sp_cli_int(limits, "pids", 0));
    if (json_is_object(limits))
        sp_cli_field(cli, "limits", text);
    if (!json_is_object(usage))
        return;
    sp_cli_size((unsigned long long)sp_cli_int(usage, "memory_bytes", 0), now);
    sp_cli_size((unsigned long long)sp_cli_int(usage, "memory_peak_bytes", 0), peak);
    free(text);
    text = sp_asprintf("%.1f s CPU, %s memory (%s at most), %lld processes",
                       (double)sp_cli_int(usage, "cpu_ns", 0) / 1e9, now, peak,
                       sp_cli_int(usage, "pids", 0));
    sp_cli_field(cli, "usage", text);
}

static void print_stage(struct sp_cli *cli, const json_t *runtime)
{
    const json_t *failed = json_object_get(runtime, "failed");
    char since[SP_CLI_TIME_LEN];
    SP_AUTO_FREE char *stage = NULL;
    SP_AUTO_FREE char *failure = NULL;

    sp_cli_ago_now(sp_cli_str(runtime, "since"), since);
    stage = sp_asprintf("%s, since %s", sp_cli_str(runtime, "stage"), since);
    sp_cli_field(cli, "stage", stage);
    sp_cli_field(cli, "reason", sp_cli_str(runtime, "reason"));
    if (!json_is_object(failed))
        return;
    failure = sp_asprintf("version %lld: %s: %s", sp_cli_int(failed, "version", 0),
                          sp_cli_str(failed, "stage"), sp_cli_str(failed, "reason"));
    sp_cli_field(cli, "failed", failure);
}

static void print_space(struct sp_cli *cli, const json_t *space)
{
    const json_t *version = json_object_get(space, "version");
    const json_t *queue = json_object_get(space, "queue");
    char when[SP_CLI_TIME_LEN];
    SP_AUTO_FREE char *number = NULL;
    SP_AUTO_FREE char *waiting = NULL;

    sp_cli_ago_now(sp_cli_str(version, "createdAt"), when);
    number = sp_asprintf("%lld (%s), %s", sp_cli_int(version, "number", 0),
                         sp_cli_str(version, "id"), when);
    waiting = sp_asprintf("%lld running, %lld waiting", sp_cli_int(queue, "running", 0),
                          sp_cli_int(queue, "waiting", 0));
    sp_cli_field(cli, "space", sp_cli_str(space, "id"));
    sp_cli_field(cli, "title", sp_cli_str(space, "title"));
    sp_cli_field(cli, "about", sp_cli_str(space, "short_description"));
    print_stage(cli, json_object_get(space, "runtime"));
    sp_cli_field(cli, "version", number);
    sp_cli_field(cli, "copy of", sp_cli_str(json_object_get(space, "originSpace"), "name"));
    sp_cli_field(cli, "engine", sp_cli_str(space, "engine"));
    sp_cli_field(cli, "licence", sp_cli_str(space, "license"));
    sp_cli_field(cli, "for",
                 json_is_true(json_object_get(space, "private")) ? "its owner" : "everybody");
    sp_cli_field(cli, "queue", waiting);
    print_usage_fields(cli, json_object_get(space, "runtime"));
    sp_cli_field(cli, "page", sp_cli_str(space, "url"));
    sp_cli_field(cli, "app", sp_cli_str(space, "app_url"));
    if (json_is_true(json_object_get(space, "weak_sandbox")))
        sp_cli_field(cli, "warning", "this host cannot isolate apps completely; see spaces doctor");
}

int sp_cli_cmd_show(struct sp_cli *cli, struct sp_error *err)
{
    SP_CLI_AUTO_REPLY struct sp_cli_reply reply = {0};
    SP_AUTO_FREE char *path = NULL;
    int r = sp_cli_space_path(cli->args.pos[0], "", &path, err);

    if (r == 0)
        r = sp_cli_call(cli, "GET", path, NULL, &reply, err);
    if (r == 0 && !sp_cli_print_json(cli, reply.json))
        print_space(cli, reply.json);
    return r;
}
