#include "cli/http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/mem.h"
#include "cli/print.h"

#define CONNECT_TIMEOUT_S 10L
#define EVENT_MAX         ((size_t)1 << 20)

/* A daemon that is silent for so long is gone: it holds no answer for longer than 30 s, and an
 * event stream says every 15 s that it is there. */
#define SILENCE_S 120L

/* A request under way. */
struct call {
    const struct sp_cli *cli;
    CURL *curl;
    struct curl_slist *headers;
    char *url;
    char why[CURL_ERROR_SIZE];
    struct sp_cli_reply *reply;
    bool (*on_event)(void *arg, const char *data); /* NULL: the body is kept */
    void *arg;
    struct sp_buf line;  /* of an event stream, not complete yet */
    struct sp_buf event; /* its data so far */
    bool stopped;        /* on_event has had enough */
};

void sp_cli_reply_done(struct sp_cli_reply *reply)
{
    sp_buf_done(&reply->body);
    json_decref(reply->json);
    reply->json = NULL;
}

char *sp_cli_escape(const char *text)
{
    char *escaped = curl_easy_escape(NULL, text, (int)strlen(text));
    char *ret = sp_strdup(escaped ? escaped : "");

    curl_free(escaped);
    return ret;
}

/* --- reading -------------------------------------------------------------------------------------
 */

/* One line of an event stream (WHATWG HTML 9.2; only "data" means something to us). */
static bool take_line(struct call *call, struct sp_slice line)
{
    bool go_on = true;

    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    if (line.len == 0) {
        if (call->event.len > 0)
            go_on = call->on_event(call->arg, sp_buf_str(&call->event));
        sp_buf_reset(&call->event);
        return go_on;
    }
    if (!sp_slice_starts(line, "data:"))
        return true;
    line = sp_slice(line.ptr + 5, line.len - 5);
    if (line.len > 0 && line.ptr[0] == ' ')
        line = sp_slice(line.ptr + 1, line.len - 1);
    if (call->event.len > 0)
        (void)sp_buf_append_char(&call->event, '\n');
    return sp_buf_append_slice(&call->event, line);
}

static bool take_stream(struct call *call, struct sp_slice piece)
{
    const char *end;

    while ((end = memchr(piece.ptr, '\n', piece.len))) {
        size_t len = (size_t)(end - piece.ptr);
        bool go_on = sp_buf_append(&call->line, piece.ptr, len) &&
                     take_line(call, sp_buf_slice(&call->line));

        sp_buf_reset(&call->line);
        piece = sp_slice(end + 1, piece.len - len - 1);
        if (!go_on) {
            call->stopped = true;
            return false;
        }
    }
    return sp_buf_append_slice(&call->line, piece);
}

static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
    struct call *call = arg;
    struct sp_slice piece = sp_slice(data, size * n);
    long status = 0;
    bool taken;

    (void)curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &status);
    if (call->on_event && status < 300)
        taken = take_stream(call, piece);
    else
        taken = sp_buf_append_slice(&call->reply->body, piece);
    return taken ? piece.len : 0;
}

/* Link: <http://host/api/spaces?cursor=5>; rel="next" - only the path is used: the server that we
 * chose stays the one we ask. */
static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
    struct call *call = arg;
    struct sp_slice line = sp_slice(data, size * n);
    const char *open;
    const char *path;
    const char *close;

    if (line.len < 5 || strncasecmp(line.ptr, "link:", 5) != 0 ||
        !memmem(line.ptr, line.len, "rel=\"next\"", 10))
        return line.len;
    open = memchr(line.ptr, '<', line.len);
    close = open ? memchr(open, '>', line.len - (size_t)(open - line.ptr)) : NULL;
    path = close ? memmem(open, (size_t)(close - open), "/api/", 5) : NULL;
    if (path && (size_t)(close - path) < sizeof(call->reply->next))
        (void)snprintf(call->reply->next, sizeof(call->reply->next), "%.*s", (int)(close - path),
                       path);
    return line.len;
}

/* --- errors --------------------------------------------------------------------------------------
 */

static enum sp_err_kind kind_of(const char *name, long status)
{
    for (int kind = SP_ERR_INVALID; kind <= SP_ERR_INTERNAL; kind++) {
        if (name && strcmp(name, sp_err_kind_to_string((enum sp_err_kind)kind)) == 0)
            return (enum sp_err_kind)kind;
    }
    if (status == 401)
        return SP_ERR_DENIED;
    if (status == 413)
        return SP_ERR_LIMIT;
    for (int kind = SP_ERR_INVALID; kind <= SP_ERR_INTERNAL; kind++) {
        if (sp_err_kind_to_http((enum sp_err_kind)kind) == status)
            return (enum sp_err_kind)kind;
    }
    return status < 500 ? SP_ERR_INVALID : SP_ERR_INTERNAL;
}

/* The daemon's own sentence; what to do about it where the command line knows better. */
static int refused(const struct call *call, struct sp_error *err)
{
    long status = call->reply->status;
    const char *story = json_string_value(json_object_get(call->reply->json, "error"));
    const char *kind = json_string_value(json_object_get(call->reply->json, "kind"));
    const char *hint = "";
    SP_AUTO_FREE char *plain = NULL;

    if (status == 401 && !*call->cli->token)
        hint = "; set SPACES_TOKEN to your token";
    plain = story ? sp_cli_printable(story) : sp_asprintf("spacesd answered %ld", status);
    return sp_error_set(err, kind_of(kind, status), 0, "%s%s", plain, hint);
}

static int not_reached(const struct call *call, CURLcode code, struct sp_error *err)
{
    const char *why = *call->why ? call->why : curl_easy_strerror(code);
    const char *hint =
        getenv("SPACES_URL") ? "" : "; is spacesd running there? SPACES_URL says where";

    if (code == CURLE_WRITE_ERROR)
        return sp_error_set(err, SP_ERR_LIMIT, 0, "the answer of %s is over %zu MB", call->cli->url,
                            SP_CLI_ANSWER_MAX >> 20);
    if (code == CURLE_READ_ERROR || code == CURLE_ABORTED_BY_CALLBACK)
        return sp_error_set(err, SP_ERR_CONFLICT, 0, "a file changed or went while it was sent");
    if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
        return sp_error_set(err, SP_ERR_INVALID, 0, "'%s' is not an http address", call->cli->url);
    return sp_error_set(err, SP_ERR_UNAVAILABLE, 0, "no answer from %s: %s%s", call->cli->url, why,
                        code == CURLE_COULDNT_CONNECT ? hint : "");
}

/* --- sending -------------------------------------------------------------------------------------
 */

static int begin(struct call *call, const struct sp_cli *cli, const char *path,
                 struct sp_cli_reply *reply, struct sp_error *err)
{
    memset(call, 0, sizeof(*call));
    sp_buf_init(&reply->body, SP_CLI_ANSWER_MAX);
    sp_buf_init(&call->line, EVENT_MAX);
    sp_buf_init(&call->event, EVENT_MAX);
    call->cli = cli;
    call->reply = reply;
    call->url = sp_asprintf("%s%s", cli->url, path);
    call->curl = curl_easy_init();
    if (!call->curl)
        return sp_error_set(err, SP_ERR_INTERNAL, 0, "libcurl does not start");
    if (*cli->token) {
        SP_AUTO_FREE char *line = sp_asprintf("Authorization: Bearer %s", cli->token);

        call->headers = curl_slist_append(call->headers, line);
    }
    /* Without this curl waits a second for a "100 Continue" before it sends a large body. */
    call->headers = curl_slist_append(call->headers, "Expect:");
    (void)curl_easy_setopt(call->curl, CURLOPT_URL, call->url);
    (void)curl_easy_setopt(call->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(call->curl, CURLOPT_USERAGENT, "spaces/" SP_VERSION);
    (void)curl_easy_setopt(call->curl, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
    (void)curl_easy_setopt(call->curl, CURLOPT_LOW_SPEED_LIMIT, 1L); /* byte a second */
    (void)curl_easy_setopt(call->curl, CURLOPT_LOW_SPEED_TIME, SILENCE_S);
    (void)curl_easy_setopt(call->curl, CURLOPT_ERRORBUFFER, call->why);
    (void)curl_easy_setopt(call->curl, CURLOPT_WRITEFUNCTION, on_data);
    (void)curl_easy_setopt(call->curl, CURLOPT_WRITEDATA, call);
    (void)curl_easy_setopt(call->curl, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(call->curl, CURLOPT_HEADERDATA, call);
    return 0;
}

static void end(struct call *call)
{
    curl_easy_cleanup(call->curl);
    curl_slist_free_all(call->headers);
    sp_buf_done(&call->line);
    sp_buf_done(&call->event);
    free(call->url);
}

static int perform(struct call *call, struct sp_error *err)
{
    struct sp_cli_reply *reply = call->reply;
    CURLcode code;

    (void)curl_easy_setopt(call->curl, CURLOPT_HTTPHEADER, call->headers);
    code = curl_easy_perform(call->curl);
    (void)curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &reply->status);
    if (code != CURLE_OK && !call->stopped)
        return not_reached(call, code, err);
    if (reply->body.len > 0)
        reply->json = json_loadb(reply->body.data, reply->body.len,
                                 JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    if (reply->status >=
        300) /* redirects are not followed: the token is for the server we were told */
        return refused(call, err);
    if (reply->body.len > 0 && !reply->json)
        return sp_error_set(err, SP_ERR_INTERNAL, 0,
                            "%s did not answer with JSON; is it spacesd? SPACES_URL says where",
                            call->cli->url);
    return 0;
}

int sp_cli_call(const struct sp_cli *cli, const char *method, const char *path, const json_t *body,
                struct sp_cli_reply *ret, struct sp_error *err)
{
    struct call call;
    SP_AUTO_BUF struct sp_buf text;
    int r = begin(&call, cli, path, ret, err);

    sp_buf_init(&text, 0);
    if (r == 0) {
        if (body) {
            (void)sp_json_dump(body, &text);
            call.headers = curl_slist_append(call.headers, "Content-Type: application/json");
        }
        if (strcmp(method, "GET") != 0) {
            (void)curl_easy_setopt(call.curl, CURLOPT_POSTFIELDSIZE, (long)text.len);
            (void)curl_easy_setopt(call.curl, CURLOPT_POSTFIELDS, sp_buf_str(&text));
            (void)curl_easy_setopt(call.curl, CURLOPT_CUSTOMREQUEST, method);
        }
        r = perform(&call, err);
    }
    end(&call);
    return r;
}

int sp_cli_stream(const struct sp_cli *cli, const char *path,
                  bool (*on_event)(void *arg, const char *data), void *arg, struct sp_error *err)
{
    SP_CLI_AUTO_REPLY struct sp_cli_reply reply = {0};
    struct call call;
    int r = begin(&call, cli, path, &reply, err);

    call.on_event = on_event;
    call.arg = arg;
    if (r == 0)
        r = perform(&call, err);
    end(&call);
    return r;
}

/* --- uploading -----------------------------------------------------------------------------------
 */

struct progress {
    size_t n_files;
    int percent; /* shown last */
};

static int on_progress(void *arg, curl_off_t total_down, curl_off_t down, curl_off_t total,
                       curl_off_t sent)
{
    struct progress *progress = arg;
    int percent = total > 0 ? (int)(100 * sent / total) : 0;
    char a[SP_CLI_SIZE_LEN];
    char b[SP_CLI_SIZE_LEN];

    (void)total_down;
    (void)down;
    if (percent == progress->percent)
        return 0;
    progress->percent = percent;
    sp_cli_size((unsigned long long)sent, a);
    sp_cli_size((unsigned long long)total, b);
    sp_cli_progress("sending %zu files: %s of %s (%d%%)", progress->n_files, a, b, percent);
    return 0;
}

static bool add_file(curl_mime *mime, const struct sp_cli_file *file)
{
    curl_mimepart *part = curl_mime_addpart(mime);

    return part && curl_mime_name(part, "file") == CURLE_OK &&
           curl_mime_filedata(part, file->disk_path) == CURLE_OK &&
           curl_mime_filename(part, file->name) == CURLE_OK &&
           curl_mime_type(part, "application/octet-stream") == CURLE_OK;
}

static int fill_form(curl_mime *mime, const char *const *fields, const struct sp_cli_file *files,
                     size_t n_files, struct sp_error *err)
{
    for (; fields[0]; fields += 2) {
        curl_mimepart *part = curl_mime_addpart(mime);

        if (!part || curl_mime_name(part, fields[0]) != CURLE_OK ||
            curl_mime_data(part, fields[1], CURL_ZERO_TERMINATED) != CURLE_OK)
            return sp_error_set(err, SP_ERR_INTERNAL, 0, "add '%s' to the form", fields[0]);
    }
    for (size_t i = 0; i < n_files; i++) {
        if (!add_file(mime, &files[i]))
            return sp_error_set(err, SP_ERR_INVALID, 0, "'%s' cannot be read", files[i].name);
    }
    return 0;
}

int sp_cli_upload(const struct sp_cli *cli, const char *path, const char *const *fields,
                  const struct sp_cli_file *files, size_t n_files, struct sp_cli_reply *ret,
                  struct sp_error *err)
{
    struct progress progress = {.n_files = n_files, .percent = -1};
    struct call call;
    curl_mime *mime = NULL;
    int r = begin(&call, cli, path, ret, err);

    if (r == 0) {
        mime = curl_mime_init(call.curl);
        r = fill_form(mime, fields, files, n_files, err);
    }
    if (r == 0) {
        (void)curl_easy_setopt(call.curl, CURLOPT_MIMEPOST, mime);
        if (cli->err_is_terminal) {
            (void)curl_easy_setopt(call.curl, CURLOPT_NOPROGRESS, 0L);
            (void)curl_easy_setopt(call.curl, CURLOPT_XFERINFOFUNCTION, on_progress);
            (void)curl_easy_setopt(call.curl, CURLOPT_XFERINFODATA, &progress);
        }
        r = perform(&call, err);
        sp_cli_progress_end();
    }
    curl_mime_free(mime);
    end(&call);
    return r;
}
