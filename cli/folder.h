/* cli/folder.h - the files of a folder that is to be deployed. */
#ifndef SP_CLI_FOLDER_H
#define SP_CLI_FOLDER_H

#include <stdbool.h>

#include "cli/http.h"

#define SP_CLI_FOLDER_DEPTH_MAX 32

struct sp_cli_folder {
    struct sp_cli_file *files; /* sorted by name */
    size_t n_files;
    unsigned long long bytes;
};

/*
 * Lists `dir` without what sp_cli_is_left_out names. A symbolic link, or
 * anything else that is neither file nor folder, is an error that names it. Nothing is kept open.
 */
int sp_cli_folder_read(const char *dir, struct sp_cli_folder *ret, struct sp_error *err);
void sp_cli_folder_done(struct sp_cli_folder *folder);
/* .git, __pycache__, .venv, node_modules, *.pyc, and what editors lay beside a file (*~, .*.swp,
 * .#*, #*#). A name without its folder. */
bool sp_cli_is_left_out(const char *name);
#define SP_CLI_AUTO_FOLDER __attribute__((cleanup(sp_cli_folder_done)))

#endif
