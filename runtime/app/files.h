/*
 * runtime/app/files.h - what apps and their visitors give each other as files: private to
 * runtime/files*.c.
 *
 * On disk: <files_dir>/<space as 16 hex digits>/u/<32 hex>/<name> for uploads, .../o/... for what
 * the app made. The app sees that folder as /run/files.
 */
#ifndef SP_RUNTIME_APP_FILES_H
#define SP_RUNTIME_APP_FILES_H

#include "runtime/app/app-internal.h"

#define SP_FILES_NAME_MAX 200

struct sp_files {
    struct sp_apps *apps;
    uv_timer_t timer;
    struct sp_list uploads;
    struct sp_map used;  /* space id -> bytes on disk as far as known, plus 1 */
    struct sp_map since; /* space id -> struct since: what came while a sweep looks */
    bool sweeping;
    bool closing;
    bool timer_open;
};

/* Bytes that the Space's files take: from the last sweep, plus what was uploaded since. */
uint64_t sp_files_used(const struct sp_files *files, uint64_t space);
void sp_files_add_used(struct sp_files *files, uint64_t space, int64_t bytes);
/* Looks for files whose time is over, now and again while there are any. */
void sp_files_watch(struct sp_files *files);
/* When the last upload or sweep has let go: frees. */
void sp_files_check_closed(struct sp_files *files);
/* Ends uploads under way; they free themselves. */
void sp_uploads_close(struct sp_files *files);

/* The Space's folder, or a negative errno. */
int sp_files_open_space(const struct sp_files *files, uint64_t space);
/* A file name that is safe on disk and in a header: the last part, without what could confuse. */
void sp_files_safe_name(const char *sent, char ret[SP_FILES_NAME_MAX + 1]);
/* By the extension; `*ret_inline` says whether a browser may show it. */
const char *sp_files_type(const char *name, bool *ret_inline);

#endif
