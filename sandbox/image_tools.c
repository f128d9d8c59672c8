#include "sandbox/image_tools.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "sandbox/image.h"

#define BYTES_PER_NODE (16u << 10)
#define NODES_OF_OURS  12 /* ten are reserved by ext4, one is lost+found, one the app's folder */

/* What e2fsck ends with, as bits (e2fsck(8)). */
#define FSCK_LEFT  4 /* errors that it did not repair */
#define FSCK_BROKE 8 /* it could not go on; also: this is no file system */

/* A place in an argv that is to name an open file. */
struct place {
    size_t at;
    int fd;
};

static const char *find_tool(const char *name, char *ret, size_t size)
{
    static const char *const folders[] = {"/usr/sbin", "/sbin"};

    for (size_t i = 0; i < SP_LEN(folders); i++) {
        (void)snprintf(ret, size, "%s/%s", folders[i], name);
        if (access(ret, X_OK) == 0)
            return ret;
    }
    return NULL;
}

int sp_image_tools_found(struct sp_error *err)
{
    static const char *const names[] = {"mkfs.ext4", "e2fsck", "resize2fs", "e2undo"};
    char path[64];

    for (size_t i = 0; i < SP_LEN(names); i++)
        if (!find_tool(names[i], path, sizeof(path)))
            return sp_error_set(err, SP_ERR_UNAVAILABLE, -ENOENT, "find %s (of e2fsprogs)",
                                names[i]);
    return 0;
}

/* The name of an open file for a program that inherits it: without O_CLOEXEC. */
static void name_fd(int fd, char *ret, size_t size)
{
    (void)snprintf(ret, size, "/proc/self/fd/%d", dup(fd));
}

/* Returns the exit status. */
static int run(const char **argv, const struct place *places, size_t n, struct sp_error *err)
{
    static const char *const env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C", NULL};
    char tool[64], names[2][32];
    int status = 0;
    pid_t pid;

    if (!find_tool(argv[0], tool, sizeof(tool)))
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -ENOENT, "find %s (of e2fsprogs)", argv[0]);
    pid = fork();
    if (pid == 0) {
        int null_fd = open("/dev/null", O_RDWR);

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (int i = 0; i <= 2; i++)
            (void)dup2(null_fd, i);
        for (size_t i = 0; i < n; i++) {
            name_fd(places[i].fd, names[i], sizeof(names[i]));
            argv[places[i].at] = names[i];
        }
        (void)execve(tool, (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env);
        _exit(127);
    }
    if (pid < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "start %s", argv[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!WIFEXITED(status))
        return sp_error_set(err, SP_ERR_INTERNAL, -EIO, "%s ended by signal %d", argv[0],
                            WTERMSIG(status));
    return WEXITSTATUS(status);
}

static int only_0(const char *tool, int status, struct sp_error *err)
{
    return status <= 0 ? status
                       : sp_error_set(err, SP_ERR_INTERNAL, -EIO, "%s ended with %d", tool, status);
}

int sp_image_make_fs(const struct sp_image *image, int fd, struct sp_error *err)
{
    uint64_t inodes = image->inodes ? image->inodes : image->bytes / BYTES_PER_NODE;
    char count[24];
    /* Not lazily: the kernel's later zeroing would fill the holes of the image. */
    const char *argv[] = {"mkfs.ext4",
                          "-q",
                          "-F",
                          "-m",
                          "0",
                          "-b",
                          "4096",
                          "-N",
                          count,
                          "-E",
                          "lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0",
                          NULL,
                          NULL};

    (void)snprintf(count, sizeof(count), "%llu", (unsigned long long)inodes + NODES_OF_OURS);
    return only_0(argv[0], run(argv, &(struct place){SP_LEN(argv) - 2, fd}, 1, err), err);
}

int sp_image_damaged(const struct sp_image *image, const char *why, struct sp_error *err)
{
    return sp_error_set(
        err, SP_ERR_UNAVAILABLE, 0,
        "its file system is damaged beyond automatic repair (%s); nothing in it "
        "was deleted. The operator can repair 'data/%016llx.img' in the state "
        "folder with 'e2fsck -f', or put a backup there; to begin with an empty one, "
        "delete the storage and choose it again",
        why, (unsigned long long)image->space);
}

/* `depth`: -p looks deeper only where the file system says that it is not clean; -f always. */
static int check(const struct sp_image *image, int fd, const char *depth, struct sp_error *err)
{
    const char *argv[] = {"e2fsck", depth, NULL, NULL};
    int status = run(argv, &(struct place){SP_LEN(argv) - 2, fd}, 1, err);
    char why[32];

    if (status < 0)
        return status;
    (void)snprintf(why, sizeof(why), "e2fsck ended with %d", status);
    if (status & (FSCK_LEFT | FSCK_BROKE))
        return sp_image_damaged(image, why, err);
    if (status > 3) /* it was interrupted, or cannot run */
        return only_0(argv[0], status, err);
    return 0;
}

int sp_image_check_fs(const struct sp_image *image, int fd, struct sp_error *err)
{
    return check(image, fd, "-p", err);
}

int sp_image_check_all(const struct sp_image *image, int fd, struct sp_error *err)
{
    return check(image, fd, "-fp", err);
}

int sp_image_resize_fs(int fd, int undo_fd, struct sp_error *err)
{
    const char *argv[] = {"resize2fs", "-z", NULL, NULL, NULL};
    const struct place places[] = {{2, undo_fd}, {3, fd}};

    return only_0(argv[0], run(argv, places, SP_LEN(places), err), err);
}

int sp_image_undo_fs(int fd, int undo_fd, struct sp_error *err)
{
    const char *argv[] = {"e2undo", NULL, NULL, NULL};
    const struct place places[] = {{1, undo_fd}, {2, fd}};

    return only_0(argv[0], run(argv, places, SP_LEN(places), err), err);
}
