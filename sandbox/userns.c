#include "sandbox/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

void sp_userns_slots_init(struct sp_userns_slots *slots, uint64_t seed)
{
    memset(slots, 0, sizeof(*slots));
    slots->next = (unsigned)(seed % SP_USERNS_SLOTS);
}

bool sp_userns_take(struct sp_userns_slots *slots, uint32_t *ret_base)
{
    for (unsigned i = 0; i < SP_USERNS_SLOTS; i++) {
        unsigned slot = (slots->next + i) % SP_USERNS_SLOTS;

        if (slots->used[slot])
            continue;
        slots->used[slot] = 1;
        slots->next = (slot + 1) % SP_USERNS_SLOTS;
        *ret_base = SP_USERNS_FIRST + slot * SP_USERNS_WIDTH;
        return true;
    }
    return false;
}

void sp_userns_release(struct sp_userns_slots *slots, uint32_t base)
{
    unsigned slot = (base - SP_USERNS_FIRST) / SP_USERNS_WIDTH;

    if (base >= SP_USERNS_FIRST && slot < SP_USERNS_SLOTS)
        slots->used[slot] = 0;
}

/* The kernel wants the whole map in one write. */
static int write_map(pid_t pid, const char *file, const char *map, struct sp_error *err)
{
    char path[64];
    SP_AUTO_FD int fd = -1;

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, map, strlen(map)) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "write the id map '%s'", path);
    return 0;
}

static void format_map(char *map, size_t size, uint32_t base, uint32_t app_is)
{
    if (app_is == (uint32_t)-1)
        (void)snprintf(map, size, "0 %u %u\n", base, SP_USERNS_WIDTH);
    else
        (void)snprintf(map, size, "0 %u %u\n%u %u 1\n%u %u %u\n", base, SP_USERNS_APP,
                       SP_USERNS_APP, app_is, SP_USERNS_APP + 1, base + SP_USERNS_APP + 1,
                       SP_USERNS_WIDTH - SP_USERNS_APP - 1);
}

int sp_userns_map(pid_t pid, uint32_t base, uid_t app_is_uid, gid_t app_is_gid,
                  struct sp_error *err)
{
    char map[128];
    int r;

    format_map(map, sizeof(map), base, app_is_uid);
    r = write_map(pid, "uid_map", map, err);
    if (r < 0)
        return r;
    format_map(map, sizeof(map), base, app_is_gid);
    return write_map(pid, "gid_map", map, err);
}

/* A child in a new user namespace that only waits for us to open it. */
static pid_t start_holder(struct sp_error *err)
{
    pid_t parent = getpid();
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);

    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1); /* it died before we had asked for the signal */
        for (;;)
            (void)pause();
    }
    if (pid < 0)
        (void)sp_error_set(err, SP_ERR_UNAVAILABLE, -errno, "make a user namespace");
    return pid;
}

int sp_userns_for_mount(uid_t uid, gid_t gid, uint32_t app, int *ret_fd, struct sp_error *err)
{
    pid_t pid = start_holder(err);
    char text[64];
    int fd = -1, r;

    if (pid < 0)
        return err ? err->sys : -EPERM;
    (void)snprintf(text, sizeof(text), "%u %u 1\n", uid, app);
    r = write_map(pid, "uid_map", text, err);
    (void)snprintf(text, sizeof(text), "%u %u 1\n", gid, app);
    if (r == 0)
        r = write_map(pid, "gid_map", text, err);
    (void)snprintf(text, sizeof(text), "/proc/%d/ns/user", (int)pid);
    if (r == 0 && (fd = open(text, O_RDONLY | O_CLOEXEC)) < 0)
        r = sp_error_set(err, SP_ERR_INTERNAL, -errno, "open '%s'", text);

    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    if (r == 0)
        *ret_fd = fd;
    return r;
}
