/* commands.c - the table of commands. One row drives parsing, help, completion, man page and docs.
 */
#include "cli/cli.h"

#define END_OF_OPTIONS                                                                             \
    {                                                                                              \
        0, NULL, NULL, NULL                                                                        \
    }

const struct sp_cli_option sp_cli_global_options[] = {
    {0, "url", "URL", "where spacesd answers (default: $SPACES_URL, else http://127.0.0.1:7860)"},
    {0, "token", "TOKEN",
     "who you are (default: $SPACES_TOKEN, which other users of the machine cannot see)"},
    {'h', "help", NULL, "show the command's help"},
    END_OF_OPTIONS,
};

static const struct sp_cli_option deploy_options[] = {
    {0, "private", NULL, "a new Space is yours alone"},
    {0, "public", NULL, "a new Space is for everybody (the default)"},
    {'w', "wait", NULL, "wait until the new version is RUNNING; fail with its reason otherwise"},
    {0, "watch", NULL, "deploy again whenever a file is saved, until Ctrl-C"},
    {'m', "message", "TEXT", "what changed"},
    END_OF_OPTIONS,
};

static const struct sp_cli_option ls_options[] = {
    {0, "search", "TEXT", "only Spaces whose name or title has this in it"},
    {0, "author", "OWNER", "only Spaces of this owner"},
    END_OF_OPTIONS,
};

static const struct sp_cli_option logs_options[] = {
    {'f', "follow", NULL, "go on with what comes"},
    {'n', "lines", "N", "the last N lines (default 200, at most 5000)"},
    END_OF_OPTIONS,
};

static const struct sp_cli_option wait_options[] = {
    {'w', "wait", NULL, "wait until it is RUNNING; fail with its reason otherwise"},
    END_OF_OPTIONS,
};

static const struct sp_cli_option delete_options[] = {
    {'y', "yes", NULL, "do not ask"},
    END_OF_OPTIONS,
};

static const struct sp_cli_option storage_options[] = {
    {'y', "yes", NULL, "with none: delete without asking"},
    END_OF_OPTIONS,
};

static const struct sp_cli_option duplicate_options[] = {
    {0, "public", NULL, "the copy is for everybody; without this it is yours alone"},
    {'w', "wait", NULL, "wait until the copy is RUNNING; fail with its reason otherwise"},
    END_OF_OPTIONS,
};

static const struct sp_cli_option base_options[] = {
    {0, "packages", "A,B", "Debian packages to have in it (default: base.packages)"},
    {0, "mirror", "URL", "where Debian's packages come from (default: base.mirror)"},
    END_OF_OPTIONS,
};

static const struct sp_cli_option help_options[] = {
    {0, "markdown", NULL, "all commands as Markdown: docs/cli.md"},
    END_OF_OPTIONS,
};

const struct sp_cli_command sp_cli_commands[] = {
    {"deploy", "DIR [OWNER/NAME]", "store a folder as the Space's new version and start it",
     "Without OWNER/NAME it is your own Space with the folder's name.\n"
     "Left out are .git, __pycache__, .venv, node_modules, *.pyc and what editors lay beside a "
     "file "
     "(*~, .*.swp, .#*, #*#). A symbolic link is refused: "
     "what it points to would be another thing on the host.\n"
     "A version that does not start leaves the one before serving.\n"
     "--watch says what became of each save: that it runs, or why not. A save while another is "
     "still starting "
     "takes its place.",
     true, sp_cli_cmd_deploy, deploy_options},
    {"ls", "", "list the Spaces that you may see", NULL, true, sp_cli_cmd_ls, ls_options},
    {"show", "OWNER/NAME", "show a Space: stage, version, limits, usage, addresses", NULL, true,
     sp_cli_cmd_show, NULL},
    {"logs", "OWNER/NAME", "print what the app wrote",
     "On a terminal, control characters are shown and not obeyed.", false, sp_cli_cmd_logs,
     logs_options},
    {"queue show", "OWNER/NAME", "show who waits and who runs",
     "The entries are shown to the Space's owner and to operators.", true, sp_cli_cmd_queue_show,
     NULL},
    {"restart", "OWNER/NAME", "start the Space anew", NULL, true, sp_cli_cmd_restart, wait_options},
    {"pause", "OWNER/NAME", "stop the Space until it is restarted", NULL, true, sp_cli_cmd_pause,
     NULL},
    {"delete", "OWNER/NAME", "delete the Space with its versions and logs",
     "Asks for the name on a terminal. Elsewhere --yes is needed.", false, sp_cli_cmd_delete,
     delete_options},
    {"duplicate", "OWNER/NAME OWNER/COPY", "copy a Space: same files, own sandbox and limits", NULL,
     true, sp_cli_cmd_duplicate, duplicate_options},
    {"visibility", "OWNER/NAME public|private", "say who may see and use the Space", NULL, true,
     sp_cli_cmd_visibility, NULL},
    {"hardware", "OWNER/NAME [FLAVOR]", "show or choose what the Space runs on",
     "Without FLAVOR it lists what this host offers. A Space that runs starts anew.", true,
     sp_cli_cmd_hardware, NULL},
    {"storage", "OWNER/NAME [small|medium|large|none]",
     "show or choose the size of /data, which is kept between starts",
     "It grows and is never made smaller; none deletes it with all that is in it. A Space that "
     "runs starts anew.",
     true, sp_cli_cmd_storage, storage_options},
    {"network", "OWNER/NAME [none|outbound|allow-list] [NAMES]",
     "show or choose what the app may reach",
     "NAMES are the host names of an allow-list, divided by commas: pypi.org,*.example.org. A "
     "Space that runs starts anew.",
     true, sp_cli_cmd_network, NULL},
    {"sleep", "OWNER/NAME [SECONDS|never]",
     "show or choose after how long without a visitor the Space is held still",
     "It keeps its memory and wakes with the next visit.", true, sp_cli_cmd_sleep, NULL},
    {"variable set", "OWNER/NAME NAME VALUE", "set a variable of the app's environment",
     "A Space that runs starts anew.", true, sp_cli_cmd_variable_set, NULL},
    {"variable list", "OWNER/NAME", "list the variables", NULL, true, sp_cli_cmd_variable_list,
     NULL},
    {"variable rm", "OWNER/NAME NAME", "remove a variable", "A Space that runs starts anew.", false,
     sp_cli_cmd_variable_rm, NULL},
    {"secret set", "OWNER/NAME NAME", "set a secret of the app's environment",
     "The value is read from standard input: arguments can be seen by other users. It is stored "
     "encrypted and never shown again. A Space that runs starts anew.",
     true, sp_cli_cmd_secret_set, NULL},
    {"secret list", "OWNER/NAME", "list the names of the secrets", NULL, true,
     sp_cli_cmd_secret_list, NULL},
    {"secret rm", "OWNER/NAME NAME", "remove a secret", "A Space that runs starts anew.", false,
     sp_cli_cmd_secret_rm, NULL},
    {"base create", "NAME DEBIAN", "make a base of Debian packages: debian:12 or debian:13",
     "A base is a root file system that Spaces run in instead of the host's own. A card chooses "
     "one "
     "with 'base: NAME'. For operators.",
     true, sp_cli_cmd_base_create, base_options},
    {"base import", "NAME IMAGE", "make a base of an image",
     "IMAGE is oci:DIR or docker-archive:FILE, absolute paths on the daemon's host that its user "
     "may "
     "read, or NAME@sha256:DIGEST of a registry. For operators.",
     true, sp_cli_cmd_base_import, NULL},
    {"base ls", "", "list the bases of the host", NULL, true, sp_cli_cmd_base_ls, NULL},
    {"base show", "NAME", "show a base: state, digest, where it is from", NULL, true,
     sp_cli_cmd_base_show, NULL},
    {"base rm", "NAME", "remove a base that no Space uses, or stop making it", "For operators.",
     false, sp_cli_cmd_base_rm, NULL},
    {"user add", "NAME", "add a user; prints a login link and a token",
     "The token is shown this once. For operators.", true, sp_cli_cmd_user_add, NULL},
    {"user ls", "", "list the users", "For operators.", true, sp_cli_cmd_user_ls, NULL},
    {"login-link", "NAME", "make a link that signs a browser in, once", NULL, true,
     sp_cli_cmd_login_link, NULL},
    {"whoami", "", "say whose token this is", NULL, true, sp_cli_cmd_whoami, NULL},
    {"doctor", "", "say what the host can isolate, what is missing, and how to mend it",
     "Missing: apps are refused without it. Off: they run, with a layer less. The exit code is 0 "
     "when "
     "nothing is missing, else 1.",
     true, sp_cli_cmd_doctor, NULL},
    {"config show", "", "show every setting of the daemon, its value and where it is from",
     "For operators.", true, sp_cli_cmd_config_show, NULL},
    {"completion", "bash|zsh|fish", "print a completion script for the shell",
     "For example: spaces completion bash > /etc/bash_completion.d/spaces", false,
     sp_cli_cmd_completion, NULL},
    {"help", "[COMMAND] [WORD]", "show help on a command", NULL, false, sp_cli_cmd_help,
     help_options},
    {"man", "", "print the man page", "For example: spaces man | man -l -", false, sp_cli_cmd_man,
     NULL},
    {NULL, NULL, NULL, NULL, false, NULL, NULL},
};
