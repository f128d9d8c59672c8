/* cli/http.h - requests to spacesd, by libcurl. Answers with an error status become sp_errors. */
#ifndef SP_CLI_HTTP_H
#define SP_CLI_HTTP_H

#include <jansson.h>

#include "base/buf.h"
#include "cli/cli.h"

#define SP_CLI_ANSWER_MAX ((size_t)16 << 20) /* a longer answer is refused */

struct sp_cli_reply {
    long status;
    struct sp_buf body;
    json_t *json;    /* NULL when the body is empty */
    char next[2048]; /* path and query of the Link rel="next", or "" */
};

/* Fine on a zeroed one. */
void sp_cli_reply_done(struct sp_cli_reply *reply);
#define SP_CLI_AUTO_REPLY __attribute__((cleanup(sp_cli_reply_done)))

/*
 * Sends one request and reads the answer whole. `body` (borrowed) goes as JSON; NULL: none.
 * Fails with the daemon's own sentence and kind, or with UNAVAILABLE when nobody answers.
 */
int sp_cli_call(const struct sp_cli *cli, const char *method, const char *path, const json_t *body,
                struct sp_cli_reply *ret, struct sp_error *err);

/* Reads server-sent events until the stream ends. `on_event` gets each event's data, terminated,
 * and returns false to stop. */
int sp_cli_stream(const struct sp_cli *cli, const char *path,
                  bool (*on_event)(void *arg, const char *data), void *arg, struct sp_error *err);

/* One file of an upload. */
struct sp_cli_file {
    char *disk_path;
    char *name; /* as the server is to call it */
    unsigned long long size;
};

/* Posts fields, then files, as multipart/form-data; never holds a file in memory. `fields` is pairs
 * of name and value and ends with NULL. On a terminal it shows how far it is. */
int sp_cli_upload(const struct sp_cli *cli, const char *path, const char *const *fields,
                  const struct sp_cli_file *files, size_t n_files, struct sp_cli_reply *ret,
                  struct sp_error *err);

/* What goes behind '=' in a query; yours. */
char *sp_cli_escape(const char *text);

#endif
