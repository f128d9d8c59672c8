#include <stdio.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/http.h"
#include "cli/print.h"

#define LINES_MAX 5000

/* A pipe that was closed (`| head`) ends the stream: nobody reads any more. */
static bool print_line(void *arg, const char *data)
{
    const struct sp_cli *cli = arg;
    json_t *event = json_loads(data, JSON_REJECT_DUPLICATES, NULL);
    const json_t *text = json_object_get(event, "data");
    const char *line = json_string_value(text);
    size_t len = json_string_length(text);
    bool go_on = true;

    if (line && cli->out_is_terminal) {
        SP_AUTO_FREE char *plain =
            sp_slice_dup(sp_slice(line, len - (len > 0 && line[len - 1] == '\n')));
        SP_AUTO_FREE char *shown = sp_cli_printable_line(plain);

        go_on = printf("%s\n", shown) >= 0;
    } else if (line) {
        go_on = fwrite(line, 1, len, stdout) == len;
    }
    go_on = fflush(stdout) == 0 && go_on;
    json_decref(event);
    return go_on;
}

int sp_cli_cmd_logs(struct sp_cli *cli, struct sp_error *err)
{
    const char *lines = sp_cli_opt(&cli->args, "lines");
    SP_AUTO_FREE char *query = NULL;
    SP_AUTO_FREE char *path = NULL;
    uint64_t n = 200;
    int r;

    if (lines && !sp_parse_u64(sp_slice_str(lines), LINES_MAX, &n))
        return sp_error_set(err, SP_ERR_INVALID, 0, "--lines is a number up to %d, not '%s'",
                            LINES_MAX, lines);
    query = sp_asprintf("/logs/run?lines=%llu%s", (unsigned long long)n,
                        sp_cli_opt(&cli->args, "follow") ? "&follow=1" : "");
    r = sp_cli_space_path(cli->args.pos[0], query, &path, err);
    return r < 0 ? r : sp_cli_stream(cli, path, print_line, cli, err);
}
