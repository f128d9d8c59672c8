/* cli/folder_watch.h - when a folder that is deployed changes (inotify(7)). */
#ifndef SP_CLI_FOLDER_WATCH_H
#define SP_CLI_FOLDER_WATCH_H

#include "base/error.h"

/*
 * Watches `dir` and the folders in it; what a deploy leaves out (sp_cli_is_left_out) is not a
 * change. Returns a descriptor that is yours to close, or a negative errno with a story.
 */
int sp_cli_watch_open(const char *dir, struct sp_error *err);

/*
 * Returns 0 once something has changed and 100 ms have passed without more, or 2 s after the first
 * change. Folders made meanwhile are watched before it returns: what is read afterwards is what the
 * next change is compared with. SP_ERR_NOT_FOUND when the folder is gone.
 */
int sp_cli_watch_wait(int fd, const char *dir, struct sp_error *err);

#endif
