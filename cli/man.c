/* man.c - the table as a man page (troff, man macros). */
#include <stdio.h>

#include "base/mem.h"
#include "cli/cli.h"

/* Text with what troff would take for its own escaped: a backslash, a hyphen that is one, a leading
 * dot. */
static void put(const char *text)
{
    bool at_start = true;

    for (; *text; text++) {
        if (at_start && (*text == '.' || *text == '\''))
            printf("\\&");
        if (*text == '\\')
            printf("\\e");
        else if (*text == '-')
            printf("\\-");
        else
            putchar(*text);
        at_start = *text == '\n';
    }
}

static void put_options(const struct sp_cli_option *options)
{
    for (; options && options->name; options++) {
        printf(".TP\n\\fB");
        if (options->letter)
            printf("\\-%c\\fR, \\fB", options->letter);
        printf("\\-\\-");
        put(options->name);
        printf("\\fR");
        if (options->arg) {
            printf(" \\fI");
            put(options->arg);
            printf("\\fR");
        }
        printf("\n");
        put(options->help);
        printf("\n");
    }
}

static void put_command(const struct sp_cli_command *row)
{
    printf(".SS \"");
    put("spaces ");
    put(row->name);
    if (*row->args) {
        printf(" ");
        put(row->args);
    }
    printf("\"\n%c", row->summary[0] - 'a' + 'A');
    put(row->summary + 1);
    printf(".\n");
    if (row->details) {
        printf(".PP\n");
        put(row->details);
        printf("\n");
    }
    put_options(row->options);
    if (row->has_output)
        put_options((const struct sp_cli_option[]){
            {'o', "output", "json|table", "json prints the API's answer"}, {0, NULL, NULL, NULL}});
}

int sp_cli_cmd_man(struct sp_cli *cli, struct sp_error *err)
{
    (void)cli;
    (void)err;
    printf(".TH SPACES 1 \"\" \"spaces %s\"\n.SH NAME\n", SP_VERSION);
    printf("spaces \\- the command line of spacesd, a Spaces runtime\n");
    printf(".SH SYNOPSIS\n\\fBspaces\\fR \\fICOMMAND\\fR [\\fIARGUMENTS\\fR] [\\fIOPTIONS\\fR]\n");
    printf(".SH COMMANDS\n");
    for (const struct sp_cli_command *row = sp_cli_commands; row->name; row++)
        put_command(row);
    printf(".SH OPTIONS OF EVERY COMMAND\n");
    put_options(sp_cli_global_options);
    printf(".SH ENVIRONMENT\n"
           ".TP\n\\fBSPACES_URL\\fR\nWhere spacesd answers.\n"
           ".TP\n\\fBSPACES_TOKEN\\fR\nWho you are.\n"
           ".TP\n\\fBNO_COLOR\\fR\nWhen set, nothing is printed bold.\n");
    printf(".SH EXIT STATUS\n0 done, 2 the input is wrong, 3 not found, 4 conflict, 5 denied, 6 a "
           "limit "
           "is reached,\n7 not available now, 1 anything else.\n");
    return 0;
}
