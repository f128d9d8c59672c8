#include "sandbox/landlock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/mem.h"

/* Younger than some headers that this is built with. */
#define FS_REFER      (1ull << 13) /* ABI 2 */
#define FS_TRUNCATE   (1ull << 14) /* ABI 3 */
#define FS_IOCTL_DEV  (1ull << 15) /* ABI 5 */
#define SCOPE_SOCKETS (1ull << 0)  /* ABI 6 */
#define SCOPE_SIGNALS (1ull << 1)  /* ABI 6 */

#define READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define EXEC LANDLOCK_ACCESS_FS_EXECUTE
#define PUT  (LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE) /* into files that are there */
#define MAKE                                                                                       \
    (PUT | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                        \
     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |    \
     LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM | FS_REFER)
#define NODES   (LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK) /* nowhere */
#define OF_FILE (LANDLOCK_ACCESS_FS_READ_FILE | PUT | EXEC | FS_IOCTL_DEV)

struct ruleset_attr {
    uint64_t handled_fs, handled_net, scoped;
};

static const struct {
    const char *path;
    uint64_t rights;
} rules[] = {
    {"/", READ}, /* what may be read is a matter of what is mounted */
    {"/usr", EXEC},
    {"/bin", EXEC}, /* folders of their own on a host without a merged /usr */
    {"/sbin", EXEC},
    {"/lib", EXEC},
    {"/lib32", EXEC},
    {"/lib64", EXEC},
    {"/libx32", EXEC},
    {"/opt", EXEC},
    {"/home/user", MAKE | EXEC}, /* virtual environments, what pip builds */
    {"/tmp", MAKE | EXEC},
    {"/data", MAKE | EXEC},
    {"/dev/shm", MAKE},
    {"/run/files/o", MAKE},
    {"/run/space/state", MAKE},
    {"/dev", LANDLOCK_ACCESS_FS_WRITE_FILE},
    {"/proc", PUT}, /* oom_score_adj, comm; sysctl is mounted read-only */
};

/* What each version has added to the rights that a ruleset can be about. */
static uint64_t known_fs(int abi)
{
    uint64_t all = FS_REFER - 1;

    all |= abi >= 2 ? FS_REFER : 0;
    all |= abi >= 3 ? FS_TRUNCATE : 0;
    all |= abi >= 5 ? FS_IOCTL_DEV : 0;
    return all;
}

int sp_landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    return abi < 0 ? 0 : (int)abi;
}

static int allow(int set, const char *path, uint64_t rights)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = rights};
    SP_AUTO_FD int fd = open(path, O_PATH | O_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return errno == ENOENT ? 0 : -errno; /* this sandbox does not have it */
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISDIR(st.st_mode))
        rule.allowed_access &= OF_FILE;
    rule.parent_fd = fd;
    if (syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
        return -errno;
    return 0;
}

/* GPU nodes live on ioctl; the five that every sandbox has need none. */
static int allow_devices(int set)
{
    static const char *const plain[] = {"null", "zero", "full", "random", "urandom", "shm"};
    DIR *dev = opendir("/dev");
    struct dirent *entry;
    int r = 0;

    while (dev && r == 0 && (entry = readdir(dev))) {
        char path[300];
        bool is_plain = entry->d_name[0] == '.' || entry->d_type == DT_LNK;

        for (size_t i = 0; i < SP_LEN(plain); i++)
            is_plain |= strcmp(entry->d_name, plain[i]) == 0;
        (void)snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
        if (!is_plain)
            r = allow(set, path, FS_IOCTL_DEV);
    }
    if (dev)
        (void)closedir(dev);
    return r;
}

static int fill(int set, int abi, bool runs_anywhere)
{
    int r = runs_anywhere ? allow(set, "/", EXEC) : 0;

    for (size_t i = 0; i < SP_LEN(rules) && r == 0; i++)
        r = allow(set, rules[i].path, rules[i].rights & known_fs(abi));
    return r == 0 && abi >= 5 ? allow_devices(set) : r;
}

int sp_landlock_enter(bool runs_anywhere, struct sp_error *err)
{
    int abi = sp_landlock_abi();
    struct ruleset_attr attr = {.handled_fs = known_fs(abi)};
    SP_AUTO_FD int set = -1;
    int r;

    _Static_assert((NODES & MAKE) == 0, "no device node is ever made");
    if (abi < SP_LANDLOCK_ABI_LEAST)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -ENOSYS, "enter a Landlock domain");
    if (abi >= 6)
        attr.scoped = SCOPE_SOCKETS | SCOPE_SIGNALS;
    set = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
    if (set < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "make a Landlock ruleset");
    r = fill(set, abi, runs_anywhere);
    if (r < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, r, "fill a Landlock ruleset");
    if (syscall(SYS_landlock_restrict_self, set, 0) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "enter a Landlock domain");
    return 0;
}
