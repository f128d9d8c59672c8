/* wait.c - until a Space runs, or it is clear that it will not. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "cli/http.h"
#include "cli/print.h"

#define LOOK_AGAIN_NS                                                                              \
    100000000L /* while the daemon has not begun with a version that it has stored */

static bool is_final(const char *stage)
{
    static const char *const stages[] = {"RUNNING",  "PAUSED",      "STOPPED",
                                         "SLEEPING", "NO_APP_FILE", "DELETING"};

    for (size_t i = 0; i < SP_LEN(stages); i++) {
        if (strcmp(stage, stages[i]) == 0)
            return true;
    }
    return strstr(stage, "ERROR") != NULL;
}

static void print_log(const json_t *lines)
{
    size_t i;
    const json_t *line;

    json_array_foreach (lines, i, line) {
        SP_AUTO_FREE char *plain = NULL;

        if (!json_is_string(line))
            continue;
        plain = sp_cli_printable_line(json_string_value(line));
        fprintf(stderr, "  | %s\n", plain);
    }
}

/* The story of `about`, which has a stage and a reason: the runtime itself, or what failed beside
 * it. */
static int does_not_run(const json_t *about, const json_t *failed, struct sp_error *err)
{
    SP_AUTO_FREE char *reason = sp_cli_printable(sp_cli_str(about, "reason"));

    sp_cli_progress_end();
    print_log(json_object_get(failed, "log"));
    return sp_error_set(err, SP_ERR_INTERNAL, 0, "it does not run: %s%s%s",
                        sp_cli_str(about, "stage"), *reason ? ": " : "", reason);
}

enum verdict { RUNS, FAILED, GOES_ON, NOT_BEGUN };

static enum verdict judge(const json_t *space, long long number, struct sp_error *err)
{
    const json_t *runtime = json_object_get(space, "runtime");
    const json_t *failed = json_object_get(runtime, "failed");
    const char *stage = sp_cli_str(runtime, "stage");
    bool is_ours = sp_cli_int(json_object_get(space, "version"), "number", 0) >= number;

    if (json_is_object(failed) && sp_cli_int(failed, "version", number) >= number) {
        (void)does_not_run(failed, failed, err);
        return FAILED;
    }
    if (!is_final(stage))
        return GOES_ON;
    if (strcmp(stage, "RUNNING") == 0)
        return is_ours ? RUNS : NOT_BEGUN;
    (void)does_not_run(runtime, failed, err);
    return FAILED;
}

/* The daemon holds this answer for up to 30 s, so that nobody asks ten times a second. */
static int hold(struct sp_cli *cli, const char *ref, const char *stage, long long number,
                struct sp_error *err)
{
    SP_CLI_AUTO_REPLY struct sp_cli_reply reply = {0};
    SP_AUTO_FREE char *escaped = sp_cli_escape(stage);
    SP_AUTO_FREE char *path =
        sp_asprintf("/api/spaces/%s/runtime?wait=%s&version=%lld", ref, escaped, number);

    return sp_cli_call(cli, "GET", path, NULL, &reply, err);
}

int sp_cli_wait_running(struct sp_cli *cli, const char *ref, long long number, struct sp_error *err)
{
    SP_AUTO_FREE char *path = sp_asprintf("/api/spaces/%s", ref);

    for (;;) {
        SP_CLI_AUTO_REPLY struct sp_cli_reply reply = {0};
        SP_AUTO_FREE char *stage = NULL;
        int r = sp_cli_call(cli, "GET", path, NULL, &reply, err);
        enum verdict verdict;

        if (r < 0)
            return r;
        verdict = judge(reply.json, number, err);
        if (verdict == RUNS || verdict == FAILED) {
            sp_cli_progress_end();
            return verdict == RUNS ? 0 : err->sys;
        }
        stage = sp_cli_printable(sp_cli_str(json_object_get(reply.json, "runtime"), "stage"));
        if (cli->err_is_terminal)
            sp_cli_progress("%s: %s", ref, stage);
        if (verdict == NOT_BEGUN)
            (void)nanosleep(&(struct timespec){.tv_nsec = LOOK_AGAIN_NS}, NULL);
        else if ((r = hold(cli, ref, stage, number, err)) < 0)
            return r;
    }
}
