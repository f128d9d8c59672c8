/* Landlock alone, on the host's own folders: no mount is read-only here, and often we are root. */
#include "sandbox/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "tests/support/test.h"

/* A folder that no rule makes writable. */
static char outside[] = "/var/tmp/landlock-XXXXXX";
static char file[64];
static struct sockaddr_un name = {.sun_family = AF_UNIX};
static socklen_t name_len;

static int make_outside(void **state)
{
    int fd;

    (void)state;
    if (!mkdtemp(outside))
        return -1;
    (void)snprintf(file, sizeof(file), "%s/kept", outside);
    fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, "kept", 4) != 4)
        return -1;
    return close(fd);
}

static int remove_outside(void **state)
{
    (void)state;
    (void)unlink(file);
    return rmdir(outside);
}

static int write_into_a_kept_file(void)
{
    return open(file, O_WRONLY | O_CLOEXEC);
}

static int cut_a_kept_file(void)
{
    return truncate(file, 0);
}

static int make_a_file(void)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "%s/new", outside);
    return open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
}

static int remove_a_file(void)
{
    return unlink(file);
}

static int run_from_outside(void)
{
    return execl(file, file, (char *)NULL);
}

static int read_a_kept_file(void)
{
    return open(file, O_RDONLY | O_CLOEXEC);
}

static int work_in_tmp(void)
{
    char dir[] = "/tmp/landlock-XXXXXX", from[64], to[64];
    int fd;

    if (!mkdtemp(dir))
        return -1;
    (void)snprintf(from, sizeof(from), "%s/a", dir);
    (void)snprintf(to, sizeof(to), "%s.b", dir); /* into another folder */
    fd = open(from, O_CREAT | O_RDWR | O_CLOEXEC, 0700);
    if (fd < 0 || ftruncate(fd, 10) < 0 || rename(from, to) < 0 || unlink(to) < 0)
        return -1;
    (void)close(fd);
    return rmdir(dir);
}

static int run_a_program(void)
{
    return execl("/bin/true", "true", (char *)NULL);
}

static int signal_the_parent(void)
{
    return kill(getppid(), 0);
}

static int signal_a_brother(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        for (;;)
            (void)pause();
    }
    if (kill(pid, SIGKILL) < 0)
        return -1;
    return waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

static int connect_outside(void)
{
    int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return connect(sock, (struct sockaddr *)&name, name_len);
}

/* The errno of an attempt in a child within a domain; 0 when it went well. */
static int within(int attempt(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        struct sp_error err = {0};

        (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (sp_landlock_enter(false, &err) < 0) {
            print_error("%s\n", err.msg);
            _exit(255);
        }
        errno = 0;
        _exit(attempt() < 0 ? errno : 0);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void needs(int abi)
{
    if (sp_landlock_abi() < abi) {
        print_message("needs landlock: version %d, this kernel has %d\n", abi, sp_landlock_abi());
        skip();
    }
}

static void test_what_is_writable_to_the_user_is_closed_outside_of_the_apps_folders(void **state)
{
    (void)state;
    needs(SP_LANDLOCK_ABI_LEAST);
    assert_int_equal(within(write_into_a_kept_file), EACCES);
    assert_int_equal(within(make_a_file), EACCES);
    assert_int_equal(within(remove_a_file), EACCES);
    assert_int_equal(within(read_a_kept_file), 0);
    if (sp_landlock_abi() >= 3)
        assert_int_equal(within(cut_a_kept_file), EACCES);
}

static void test_programs_run_only_from_the_apps_folders_and_the_base(void **state)
{
    (void)state;
    needs(SP_LANDLOCK_ABI_LEAST);
    assert_int_equal(chmod(file, 0700), 0);
    assert_int_equal(within(run_from_outside), EACCES);
    assert_int_equal(within(run_a_program), 0);
}

static void test_files_are_made_moved_and_removed_in_tmp(void **state)
{
    (void)state;
    needs(SP_LANDLOCK_ABI_LEAST);
    assert_int_equal(within(work_in_tmp), 0);
}

static void test_signals_and_abstract_sockets_end_at_the_domain(void **state)
{
    int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    needs(6);
    name_len = (socklen_t)offsetof(struct sockaddr_un, sun_path) + 1 +
               (socklen_t)snprintf(name.sun_path + 1, 60, "landlock-test-%d", getpid());
    assert_int_equal(bind(sock, (struct sockaddr *)&name, name_len), 0);
    assert_int_equal(listen(sock, 1), 0);
    assert_int_equal(within(connect_outside), EPERM);
    assert_int_equal(within(signal_the_parent), EPERM);
    assert_int_equal(within(signal_a_brother), 0);
    assert_int_equal(close(sock), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_writable_to_the_user_is_closed_outside_of_the_apps_folders),
        cmocka_unit_test(test_programs_run_only_from_the_apps_folders_and_the_base),
        cmocka_unit_test(test_files_are_made_moved_and_removed_in_tmp),
        cmocka_unit_test(test_signals_and_abstract_sockets_end_at_the_domain),
    };

    return cmocka_run_group_tests(tests, make_outside, remove_outside);
}
