/* GET /file=: what lies below /run/files, and only that; nothing of it runs in the hub's origin. */
#include "runtime/app/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "runtime/server/server.h"

int sp_files_open_space(const struct sp_files *files, uint64_t space)
{
    SP_AUTO_FREE char *path =
        sp_asprintf("%s/%016llx", files->apps->files_dir, (unsigned long long)space);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

    return fd < 0 ? -errno : fd;
}

static bool is_plain(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c >= 0x80 || (c && strchr("._-, ()", c));
}

void sp_files_safe_name(const char *sent, char ret[SP_FILES_NAME_MAX + 1])
{
    size_t len = 0;

    for (const char *at = sent; *at; at++)
        if (*at == '/' || *at == '\\')
            sent = at + 1;
    while (*sent == '.' || *sent == ' ')
        sent++;
    for (; *sent && len < SP_FILES_NAME_MAX; sent++)
        if (is_plain((unsigned char)*sent))
            ret[len++] = *sent;
    /* Not in the middle of a character. */
    while (len == SP_FILES_NAME_MAX && ((unsigned char)*sent & 0xC0) == 0x80 &&
           ((unsigned char)ret[len - 1] & 0x80))
        len--;
    ret[len] = '\0';
    if (len == 0)
        memcpy(ret, "file", sizeof("file"));
}

/* --- types ------------------------------------------------------------------------------------ */

struct type {
    const char *extension;
    const char *type;
};

/* What a browser may show. HTML, SVG and XML can carry scripts: they are attachments, like the
 * rest. */
static const struct type shown[] = {
    {"png", "image/png"},
    {"jpg", "image/jpeg"},
    {"jpeg", "image/jpeg"},
    {"gif", "image/gif"},
    {"webp", "image/webp"},
    {"avif", "image/avif"},
    {"bmp", "image/bmp"},
    {"mp4", "video/mp4"},
    {"webm", "video/webm"},
    {"ogv", "video/ogg"},
    {"ogg", "audio/ogg"},
    {"mp3", "audio/mpeg"},
    {"wav", "audio/wav"},
    {"flac", "audio/flac"},
    {"m4a", "audio/mp4"},
    {"txt", "text/plain; charset=utf-8"},
    {"csv", "text/csv; charset=utf-8"},
    {"json", "application/json"},
    {"pdf", "application/pdf"},
};

const char *sp_files_type(const char *name, bool *ret_inline)
{
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; dot && i < SP_LEN(shown); i++)
        if (strcasecmp(dot + 1, shown[i].extension) == 0) {
            *ret_inline = true;
            return shown[i].type;
        }
    *ret_inline = false;
    return "application/octet-stream";
}

/* --- serving ---------------------------------------------------------------------------------- */

static void refuse(struct sp_exchange *ex, const char *path)
{
    sp_app_reply_detail(ex, 403, "File not allowed: %.300s.", path);
}

/* "u/<folder>/<name>" of "/run/files/u/<folder>/<name>"; NULL for anything else. */
static const char *below_run_files(const char *path)
{
    static const char prefix[] = "run/files/";

    while (*path == '/')
        path++;
    if (strncmp(path, prefix, sizeof(prefix) - 1) != 0)
        return NULL;
    path += sizeof(prefix) - 1;
    if ((path[0] != 'u' && path[0] != 'o') || path[1] != '/')
        return NULL;
    /* The kernel refuses to leave the folder anyway; this keeps u and o apart and errors plain. */
    return strstr(path, "/../") || strstr(path, "//") ? NULL : path;
}

static void put_headers(struct sp_exchange *ex, const char *name, bool shown_inline)
{
    char safe[SP_FILES_NAME_MAX + 1];
    SP_AUTO_FREE char *disposition = NULL;
    struct sp_buf encoded SP_AUTO_BUF = {0};

    sp_files_safe_name(name, safe);
    sp_buf_init(&encoded, 0);
    (void)sp_http_percent_encode(sp_slice_str(safe), false, &encoded);
    disposition = sp_asprintf("%s; filename*=UTF-8''%s", shown_inline ? "inline" : "attachment",
                              sp_buf_str(&encoded));
    sp_reply_header(ex, "Content-Disposition", disposition);
    sp_reply_header(ex, "X-Content-Type-Options", "nosniff");
    sp_reply_header(ex, "Content-Security-Policy", "sandbox");
    sp_reply_header(ex, "Cross-Origin-Resource-Policy", "cross-origin");
}

void sp_app_file(struct sp_app_space *space, struct sp_exchange *ex, const char *rest)
{
    struct sp_files *files = space->apps->files;
    const char *path = below_run_files(rest);
    SP_AUTO_FD int dir = path ? sp_files_open_space(files, space->id) : -1;
    const char *type;
    bool shown_inline;
    int fd;

    if (!path || dir < 0 || sp_open_beneath(dir, path, O_RDONLY, 0, &fd, NULL) < 0) {
        refuse(ex, rest);
        return;
    }
    type = sp_files_type(path, &shown_inline);
    put_headers(ex, path, shown_inline);
    sp_reply_file(ex, type, fd);
}

/* Only Gradio's own page asks, to draw a bar; ours reads the progress of its own request. */
void sp_app_upload_progress(struct sp_app_space *space, struct sp_exchange *ex, const char *rest)
{
    (void)space;
    (void)rest;
    sp_reply(ex, 404, "text/plain; charset=utf-8", SP_SLICE("Upload not found"));
}
