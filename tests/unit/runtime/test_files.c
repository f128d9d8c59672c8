/* Uploads and what /file= serves. */
#include "tests/unit/runtime/app_world.h"

#include "runtime/app/files.h"

#define BOUNDARY "----formdata-undici-060461397883"
#define FORM     "Content-Type: multipart/form-data; boundary=" BOUNDARY "\r\n"

static void put_part(struct sp_buf *body, const char *field, const char *filename,
                     struct sp_slice data)
{
    (void)sp_buf_printf(body,
                        "--" BOUNDARY "\r\nContent-Disposition: form-data; name=\"%s\"; "
                        "filename=\"%s\"\r\nContent-Type: text/plain\r\n\r\n",
                        field, filename);
    (void)sp_buf_append_slice(body, data);
    (void)sp_buf_append_str(body, "\r\n");
}

static void end_form(struct sp_buf *body)
{
    (void)sp_buf_append_str(body, "--" BOUNDARY "--\r\n");
}

/* Uploads one file and copies the path that comes back. */
static void upload(struct world *w, const char *filename, struct sp_slice data, char *ret,
                   size_t size)
{
    struct client *c = client_new(w);
    struct sp_buf body SP_AUTO_BUF = {0};
    const char *at;

    put_part(&body, "files", filename, data);
    end_form(&body);
    client_send(c, "POST", "upload", FORM, sp_buf_slice(&body));
    EXPECT(c, "\r\n\r\n[\"");
    at = strstr(sp_buf_str(&c->in), "\r\n\r\n[\"") + strlen("\r\n\r\n[\"");
    EXPECT(c, "\"]");
    (void)snprintf(ret, size, "%.*s", (int)strcspn(at, "\""), at);
    client_free(c);
}

static void test_an_upload_can_be_fetched_again(void **state)
{
    struct world *w = world_new(NULL);
    struct client *c;
    struct stat st;
    char path[300];
    char url[400];
    char disk[500];

    (void)state;
    upload(w, "../../etc/in put.txt", SP_SLICE("hello file"), path, sizeof(path));
    assert_memory_equal(path, "/run/files/u/", strlen("/run/files/u/"));
    assert_string_equal(path + strlen("/run/files/u/") + 32, "/in put.txt");
    (void)snprintf(disk, sizeof(disk), "%s/%016x/%s", w->files, SPACE,
                   path + strlen("/run/files/"));
    assert_int_equal(stat(disk, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0444);
    (void)snprintf(url, sizeof(url), "gradio_api/file=/run/files/u/%.32s/in%%20put.txt",
                   path + strlen("/run/files/u/"));
    c = get(w, url);
    EXPECT(c, "HTTP/1.1 200");
    EXPECT(c, "hello file");
    EXPECT(c, "text/plain; charset=utf-8");
    EXPECT(c, "X-Content-Type-Options: nosniff");
    EXPECT(c, "Content-Security-Policy: sandbox");
    client_free(c);
    c = client_new(w);
    client_send(c, "GET", url, "Range: bytes=1-2\r\n", (struct sp_slice){0});
    EXPECT(c, "HTTP/1.1 206");
    EXPECT(c, "\r\n\r\nel");
    client_free(c);
    world_free(w);
}

static void test_several_files_keep_their_order_and_other_fields_are_dropped(void **state)
{
    struct world *w = world_new(NULL);
    struct client *c = client_new(w);
    struct sp_buf body SP_AUTO_BUF = {0};
    const char *first;

    (void)state;
    put_part(&body, "files", "one.txt", SP_SLICE("1"));
    put_part(&body, "other", "no.txt", SP_SLICE("dropped"));
    put_part(&body, "files", "two.txt", SP_SLICE(""));
    end_form(&body);
    client_send(c, "POST", "upload", FORM, sp_buf_slice(&body));
    EXPECT(c, "/two.txt\"]");
    first = strstr(sp_buf_str(&c->in), "/one.txt\"");
    assert_non_null(first);
    assert_true(first < strstr(sp_buf_str(&c->in), "/two.txt\""));
    assert_null(strstr(sp_buf_str(&c->in), "no.txt"));
    client_free(c);
    world_free(w);
}

static void test_a_big_upload_arrives_whole(void **state)
{
    struct world *w = world_new(NULL);
    size_t len = 3 * 1024 * 1024 + 17;
    SP_AUTO_FREE char *data = malloc(len);
    SP_AUTO_FREE char *back = NULL;
    size_t back_len;
    char path[300];
    char disk[500];

    (void)state;
    assert_non_null(data);
    for (size_t i = 0; i < len; i++)
        data[i] = (char)(i * 31 + i / 251);
    upload(w, "big.bin", sp_slice(data, len), path, sizeof(path));
    (void)snprintf(disk, sizeof(disk), "%s/%016x/%s", w->files, SPACE,
                   path + strlen("/run/files/"));
    assert_int_equal(sp_file_read(AT_FDCWD, disk, len + 1, &back, &back_len, NULL), 0);
    assert_int_equal(back_len, len);
    assert_memory_equal(back, data, len);
    world_free(w);
}

static unsigned n_uploads(struct world *w)
{
    char path[200];
    struct stat st;

    (void)snprintf(path, sizeof(path), "%s/%016x/u", w->files, SPACE);
    assert_int_equal(stat(path, &st), 0);
    return (unsigned)st.st_nlink - 2; /* one link for each folder in it */
}

static void test_an_upload_that_breaks_off_leaves_nothing(void **state)
{
    struct world *w = world_new(NULL);
    struct client *c = client_new(w);
    char head[] = "POST /app/ann/demo/upload HTTP/1.1\r\nHost: 127.0.0.1\r\n" FORM
                  "Content-Length: 100000\r\n\r\n--" BOUNDARY
                  "\r\nContent-Disposition: form-data; name=\"files\"; filename=\"x\"\r\n\r\nabc";

    (void)state;
    assert_int_equal(sp_write_all(c->fd, head, sizeof(head) - 1), 0);
    WAIT_FOR(w, n_uploads(w) == 1);
    client_cut(c);
    WAIT_FOR(w, n_uploads(w) == 0);
    world_free(w);
}

static void test_forms_that_are_wrong_are_refused(void **state)
{
    struct world *w = world_new(NULL);
    struct client *c = client_new(w);

    (void)state;
    client_send(c, "POST", "upload", "Content-Type: application/json\r\n", SP_SLICE("{}"));
    EXPECT(c, "HTTP/1.1 400");
    client_free(c);
    c = client_new(w);
    client_send(c, "POST", "upload", FORM, SP_SLICE("--" BOUNDARY "\r\n\r\nunfinished"));
    EXPECT(c, "HTTP/1.1 400");
    client_free(c);
    WAIT_FOR(w, n_uploads(w) == 0);
    world_free(w);
}

static void test_a_space_has_a_quota(void **state)
{
    static const char *const settings[] = {"limit.files_per_space", "1M", NULL};
    struct world *w = world_new(settings);
    struct client *c = client_new(w);
    struct sp_buf body SP_AUTO_BUF = {0};
    SP_AUTO_FREE char *data = sp_alloc0(1, 1200 * 1024);

    (void)state;
    put_part(&body, "files", "x", sp_slice(data, 1200 * 1024));
    end_form(&body);
    client_send(c, "POST", "upload", FORM, sp_buf_slice(&body));
    EXPECT(c, "HTTP/1.1 413");
    EXPECT(c, "limit.files_per_space");
    client_free(c);
    WAIT_FOR(w, n_uploads(w) == 0);
    world_free(w);
}

/* Makes a folder below the Space's outputs with a file of so many bytes in it. */
static void app_writes(struct world *w, const char *folder, const char *file, size_t bytes)
{
    SP_AUTO_FREE char *path = sp_asprintf("%s/%016x/o/%s", w->files, SPACE, folder);
    SP_AUTO_FREE char *name = sp_asprintf("%s/%s", path, file);
    SP_AUTO_FREE char *data = sp_alloc0(1, bytes);

    assert_int_equal(sp_mkdir_p(AT_FDCWD, path, 0755, NULL), 0);
    assert_int_equal(sp_file_replace(AT_FDCWD, name, 0644, sp_slice(data, bytes), NULL), 0);
}

static void test_hidden_and_nested_files_of_an_app_count_and_go(void **state)
{
    static const char *const settings[] = {"limit.files_per_space", "1M", NULL};
    const struct timespec long_ago[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000}};
    struct world *w = world_new(settings);
    struct sp_buf body SP_AUTO_BUF = {0};
    SP_AUTO_FREE char *old = sp_asprintf("%s/%016x/o/.old", w->files, SPACE);
    struct client *c;
    struct stat st;

    (void)state;
    app_writes(w, ".old/deep", "f", 10);
    assert_int_equal(utimensat(AT_FDCWD, old, long_ago, 0), 0);
    app_writes(w, ".new/a/b/c", "f", 1200 * 1024);
    close_apps(w);
    open_apps(w); /* which looks at once */
    WAIT_FOR(w, stat(old, &st) < 0);
    settle(w, 30);
    c = client_new(w);
    put_part(&body, "files", "x", SP_SLICE("small"));
    end_form(&body);
    client_send(c, "POST", "upload", FORM, sp_buf_slice(&body));
    EXPECT(c, "limit.files_per_space");
    client_free(c);
    world_free(w);
}

static void expect_denied(struct world *w, const char *path)
{
    struct client *c = get(w, path);

    EXPECT(c, "HTTP/1.1 403");
    EXPECT(c, "{\"detail\":\"File not allowed: ");
    client_free(c);
}

static void test_nothing_else_is_served(void **state)
{
    struct world *w = world_new(NULL);
    char path[300];

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/%016x/o/link", w->files, SPACE);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    (void)snprintf(path, sizeof(path), "%s/%016x/o/pipe", w->files, SPACE);
    assert_int_equal(mkfifo(path, 0600), 0);
    (void)snprintf(path, sizeof(path), "%s/%016x/secret", w->files, SPACE);
    assert_int_equal(close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
    expect_denied(w, "file=/etc/passwd");
    expect_denied(w, "gradio_api/file=/etc/passwd");
    expect_denied(w, "file=/run/files/o/link");
    expect_denied(w, "file=/run/files/o/pipe");
    expect_denied(w, "file=/run/files/o");
    expect_denied(w, "file=/run/files/secret");
    expect_denied(w, "file=/run/files/u/nothing");
    expect_denied(w, "file=http://example.org/x");
    expect_denied(w, "file=/run/files/");
    world_free(w);
}

static void make_output(struct world *w, const char *name)
{
    char path[300];
    SP_AUTO_FD int fd = -1;

    (void)snprintf(path, sizeof(path), "%s/%016x/o/%s", w->files, SPACE, name);
    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(sp_write_all(fd, "<b>", 3), 0);
}

static void test_what_a_browser_could_run_is_an_attachment(void **state)
{
    static const char *const names[] = {"a.html", "a.svg", "a.xml", "a.xhtml", "a.js", "a", NULL};
    struct world *w = world_new(NULL);
    struct client *c;
    char path[100];

    (void)state;
    for (int i = 0; names[i]; i++) {
        make_output(w, names[i]);
        (void)snprintf(path, sizeof(path), "file=/run/files/o/%s", names[i]);
        c = get(w, path);
        EXPECT(c, "Content-Disposition: attachment");
        EXPECT(c, "Content-Type: application/octet-stream");
        EXPECT(c, "Content-Security-Policy: sandbox");
        client_free(c);
    }
    make_output(w, "a.png");
    c = get(w, "file=/run/files/o/a.png");
    EXPECT(c, "Content-Disposition: inline");
    EXPECT(c, "Content-Type: image/png");
    client_free(c);
    world_free(w);
}

static void test_file_names_are_made_safe(void **state)
{
    char name[SP_FILES_NAME_MAX + 1];
    char longest[600];

    (void)state;
    sp_files_safe_name("a/b\\c/../x y.txt", name);
    assert_string_equal(name, "x y.txt");
    sp_files_safe_name("..", name);
    assert_string_equal(name, "file");
    sp_files_safe_name(".hidden\"\r\n<>", name);
    assert_string_equal(name, "hidden");
    sp_files_safe_name("", name);
    assert_string_equal(name, "file");
    sp_files_safe_name("caf\xc3\xa9.png", name);
    assert_string_equal(name, "caf\xc3\xa9.png");
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    sp_files_safe_name(longest, name);
    assert_int_equal(strlen(name), SP_FILES_NAME_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_upload_can_be_fetched_again),
        cmocka_unit_test(test_several_files_keep_their_order_and_other_fields_are_dropped),
        cmocka_unit_test(test_a_big_upload_arrives_whole),
        cmocka_unit_test(test_an_upload_that_breaks_off_leaves_nothing),
        cmocka_unit_test(test_forms_that_are_wrong_are_refused),
        cmocka_unit_test(test_a_space_has_a_quota),
        cmocka_unit_test(test_hidden_and_nested_files_of_an_app_count_and_go),
        cmocka_unit_test(test_nothing_else_is_served),
        cmocka_unit_test(test_what_a_browser_could_run_is_an_attachment),
        cmocka_unit_test(test_file_names_are_made_safe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
