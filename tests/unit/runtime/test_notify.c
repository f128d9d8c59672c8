#include "runtime/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/test.h"

static int listener(const char *name, size_t len)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    memcpy(at.sun_path, name, len);
    assert_int_equal(bind(fd, (const struct sockaddr *)&at,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
                     0);
    return fd;
}

static void expect_word(int fd, const char *word)
{
    char got[64] = "";

    assert_int_equal(recv(fd, got, sizeof(got) - 1, 0), (ssize_t)strlen(word));
    assert_string_equal(got, word);
    (void)close(fd);
}

static void test_a_word_reaches_a_socket_in_the_file_system(void **state)
{
    char dir[] = "/tmp/spacesd-notify-XXXXXX";
    char path[64];
    int fd;

    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/socket", dir);
    fd = listener(path, strlen(path));
    (void)setenv("NOTIFY_SOCKET", path, 1);
    sp_notify("READY=1");
    expect_word(fd, "READY=1");
    (void)unlink(path);
    (void)rmdir(dir);
}

static void test_a_word_reaches_an_abstract_socket(void **state)
{
    char name[64];
    int fd;

    (void)state;
    (void)snprintf(name, sizeof(name), "@spacesd-notify-%d", (int)getpid());
    (void)setenv("NOTIFY_SOCKET", name, 1);
    name[0] = '\0';
    fd = listener(name, 1 + strlen(name + 1));
    sp_notify("STOPPING=1");
    expect_word(fd, "STOPPING=1");
}

static void test_without_a_manager_nothing_happens(void **state)
{
    (void)state;
    (void)unsetenv("NOTIFY_SOCKET");
    sp_notify("READY=1");
    (void)setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1);
    sp_notify("READY=1");
    (void)setenv("NOTIFY_SOCKET", "relative", 1);
    sp_notify("READY=1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_word_reaches_a_socket_in_the_file_system),
        cmocka_unit_test(test_a_word_reaches_an_abstract_socket),
        cmocka_unit_test(test_without_a_manager_nothing_happens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
