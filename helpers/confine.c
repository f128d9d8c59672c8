#include "helpers/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

/* Younger than some headers that this is built with. */
#define FS_REFER    (1ull << 13) /* ABI 2 */
#define FS_TRUNCATE (1ull << 14) /* ABI 3 */
#define NET_BIND    (1ull << 0)  /* ABI 4 */
#define NET_CONNECT (1ull << 1)
#define SCOPE_ALL   (3ull << 0) /* ABI 6: abstract sockets, signals */

#define READ  (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define RUN   (READ | LANDLOCK_ACCESS_FS_EXECUTE)
#define NODES (LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK)
#define FILES                                                                                      \
    (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |   \
     FS_TRUNCATE)

struct ruleset_attr {
    uint64_t handled_fs, handled_net, scoped;
};

static uint64_t known_fs(long abi)
{
    uint64_t all = FS_REFER - 1;

    all |= abi >= 2 ? FS_REFER : 0;
    all |= abi >= 3 ? FS_TRUNCATE : 0;
    return all;
}

static int allow(int set, const struct sp_confine_rule *rule, uint64_t known)
{
    const uint64_t rights[] = {
        [SP_CONFINE_READ] = READ, [SP_CONFINE_RUN] = RUN, [SP_CONFINE_WRITE] = ~(uint64_t)NODES};
    struct landlock_path_beneath_attr attr = {.allowed_access = rights[rule->how] & known};
    SP_AUTO_FD int fd = open(rule->path, O_PATH | O_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISDIR(st.st_mode))
        attr.allowed_access &= FILES;
    attr.parent_fd = fd;
    return syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &attr, 0) < 0 ? -errno
                                                                                         : 0;
}

int sp_confine(const struct sp_confine_rule *rules, size_t n, bool connects, struct sp_error *err)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    struct ruleset_attr attr = {.handled_fs = known_fs(abi)};
    SP_AUTO_FD int set = -1;

    if (abi < 2)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -ENOSYS,
                            "bases are made under Landlock, which this kernel does not have");
    if (abi >= 4 && !connects)
        attr.handled_net = NET_BIND | NET_CONNECT;
    if (abi >= 6)
        attr.scoped = SCOPE_ALL;
    set = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
    if (set < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "make a Landlock ruleset");
    for (size_t i = 0; i < n; i++) {
        int r = allow(set, &rules[i], known_fs(abi));

        if (r < 0)
            return sp_error_set(err, SP_ERR_UNAVAILABLE, r, "use '%.200s'", rules[i].path);
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        syscall(SYS_landlock_restrict_self, set, 0) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "enter a Landlock domain");
    return 0;
}
