/* cmd_env.c - variable and secret: what an owner adds to the environment of a Space's app. */
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cli/http.h"
#include "cli/print.h"

#define VALUE_MAX ((size_t)64 << 10)

static int ask(struct sp_cli *cli, const char *method, const char *suffix, json_t *consumed,
               struct sp_cli_reply *reply, struct sp_error *err)
{
    SP_AUTO_FREE char *path = NULL;
    int r = sp_cli_space_path(cli->args.pos[0], suffix, &path, err);

    if (r == 0)
        r = sp_cli_call(cli, method, path, consumed, reply, err);
    json_decref(consumed);
    return r;
}

/* Standard input to its end, or one line of a terminal, which does not show it. */
static int read_value(struct sp_buf *value, const char *key, struct sp_error *err)
{
    bool is_terminal = isatty(STDIN_FILENO);
    struct termios shown, hidden;
    ssize_t n = 1;

    if (is_terminal) {
        fprintf(stderr, "Value of %s: ", key);
        (void)tcgetattr(STDIN_FILENO, &shown);
        hidden = shown;
        hidden.c_lflag &= ~(tcflag_t)ECHO;
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    }
    while (n > 0 && !(is_terminal && value->len && value->data[value->len - 1] == '\n')) {
        char *to = sp_buf_reserve(value, 4096);

        n = to ? read(STDIN_FILENO, to, 4096) : 0;
        value->len += n > 0 ? (size_t)n : 0;
    }
    if (is_terminal) {
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
        fputc('\n', stderr);
    }
    if (value->failed)
        return sp_error_set(err, SP_ERR_LIMIT, 0, "the value is over 64 KiB");
    if (value->len && value->data[value->len - 1] == '\n')
        value->len--;
    return 0;
}

static int set(struct sp_cli *cli, const char *suffix, const char *value, struct sp_error *err)
{
    SP_CLI_AUTO_REPLY struct sp_cli_reply reply = {0};
    const char *key = cli->args.pos[1];
    int r =
        ask(cli, "POST", suffix, json_pack("{s:s, s:s}", "key", key, "value", value), &reply, err);

    if (r == 0 && !sp_cli_print_json(cli, reply.json))
        printf("%s is set; %s starts anew with it if it runs\n", key, cli->args.pos[0]);
    return r;
}

int sp_cli_cmd_variable_set(struct sp_cli *cli, struct sp_error *err)
{
    return set(cli, "/variables", cli->args.pos[2], err);
}

/* Not as an argument: every user of the machine can see those. */
int sp_cli_cmd_secret_set(struct sp_cli *cli, struct sp_error *err)
{
    SP_AUTO_BUF struct sp_buf value;
    int r;

    sp_buf_init(&value, VALUE_MAX);
    r = read_value(&value, cli->args.pos[1], err);
    return r == 0 ? set(cli, "/secrets", sp_buf_str(&value), err) : r;
}

static int list(struct sp_cli *cli, const char *suffix, struct sp_error *err)
{
    SP_CLI_AUTO_REPLY struct sp_cli_reply reply = {0};
    struct sp_cli_table table;
    const char *key;
    json_t *one;
    int r = ask(cli, "GET", suffix, NULL, &reply, err);

    if (r < 0 || sp_cli_print_json(cli, reply.json))
        return r;
    sp_cli_table_init(&table, 3);
    sp_cli_table_row(&table, "NAME", "SET", "VALUE");
    json_object_foreach (reply.json, key, one) {
        char ago[SP_CLI_TIME_LEN];
        const json_t *value = json_object_get(one, "value");

        sp_cli_ago_now(sp_cli_str(one, "updatedAt"), ago);
        sp_cli_table_row(&table, key, ago, value ? json_string_value(value) : "(hidden)");
    }
    sp_cli_table_print_consume(cli, &table);
    return 0;
}

int sp_cli_cmd_variable_list(struct sp_cli *cli, struct sp_error *err)
{
    return list(cli, "/variables", err);
}

int sp_cli_cmd_secret_list(struct sp_cli *cli, struct sp_error *err)
{
    return list(cli, "/secrets", err);
}

static int take_away(struct sp_cli *cli, const char *suffix, struct sp_error *err)
{
    SP_CLI_AUTO_REPLY struct sp_cli_reply reply = {0};
    int r = ask(cli, "DELETE", suffix, json_pack("{s:s}", "key", cli->args.pos[1]), &reply, err);

    if (r == 0)
        printf("%s is removed from %s\n", cli->args.pos[1], cli->args.pos[0]);
    return r;
}

int sp_cli_cmd_variable_rm(struct sp_cli *cli, struct sp_error *err)
{
    return take_away(cli, "/variables", err);
}

int sp_cli_cmd_secret_rm(struct sp_cli *cli, struct sp_error *err)
{
    return take_away(cli, "/secrets", err);
}
