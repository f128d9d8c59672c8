#include "runtime/privilege.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/config.h"

#define STATE_ID_FILE "state.id"

static void find_user(const struct sp_config *config, struct sp_privilege *priv)
{
    struct passwd *user;

    priv->was_root = geteuid() == 0;
    priv->uid = geteuid();
    priv->gid = getegid();
    if (!priv->was_root)
        return;
    user = getpwnam("spacesd");
    priv->uid = user ? user->pw_uid : (uid_t)sp_config_int(config, "uid");
    priv->gid = user ? user->pw_gid : (gid_t)sp_config_int(config, "uid");
}

static int read_state_id(struct sp_privilege *priv, struct sp_error *err)
{
    SP_AUTO_FREE char *text = NULL;
    struct sp_id id;
    size_t len;
    char hex[SP_ID_HEX];
    int r = sp_file_read(AT_FDCWD, STATE_ID_FILE, 64, &text, &len, err);

    if (r == 0 && len == 16 && strspn(text, "0123456789abcdef") == 16) {
        memcpy(priv->state_id, text, 17);
        return 0;
    }
    if (r != -ENOENT)
        return r < 0 ? r : sp_error_set(err, SP_ERR_INTERNAL, 0, "'%s' is damaged", STATE_ID_FILE);

    sp_id_random(&id);
    sp_id_to_hex(&id, hex);
    memcpy(priv->state_id, hex, 16);
    priv->state_id[16] = '\0';
    return sp_file_replace(AT_FDCWD, STATE_ID_FILE, 0600, sp_slice(priv->state_id, 16), err);
}

/* Ours from before, or new: everything in it must belong to the daemon's user. */
static int own_state(const char *state, const struct sp_privilege *priv, struct sp_error *err)
{
    struct stat st;
    int r = sp_mkdir_p(AT_FDCWD, state, 0755, err);

    if (r < 0)
        return r;
    if (chdir(state) < 0 || stat(".", &st) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "enter state folder '%s'", state);
    if (chmod(".", 0700) < 0 || (priv->was_root && chown(".", priv->uid, priv->gid) < 0))
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "own state folder '%s'", state);
    return 0;
}

int sp_privilege_prepare(const struct sp_config *config, struct sp_privilege *ret,
                         struct sp_error *err)
{
    int r;

    *ret = (struct sp_privilege){0};
    find_user(config, ret);
    (void)umask(077);
    r = own_state(sp_config_str(config, "state"), ret, err);
    if (r == 0)
        r = read_state_id(ret, err);
    /* The folder is the daemon's: a link that it may have put there is not followed as root. */
    if (r == 0 && ret->was_root && lchown(STATE_ID_FILE, ret->uid, ret->gid) < 0)
        r = sp_error_set(err, SP_ERR_INTERNAL, -errno, "own '%s'", STATE_ID_FILE);
    return r;
}

/* --- the launcher ----------------------------------------------------------------------------- */

/* Where our files are: `name` beside this program, else below the prefix it was built for. */
static char *find_part(const char *beside, const char *installed)
{
    char exe[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    SP_AUTO_FREE char *path = NULL;
    char *slash;

    if (n > 0) {
        exe[n] = '\0';
        slash = strrchr(exe, '/');
        *slash = '\0';
        path = sp_asprintf("%s/%s", exe, beside);
        if (access(path, R_OK) == 0)
            return SP_TAKE(path);
    }
    return sp_asprintf("%s/%s", SP_PREFIX, installed);
}

int sp_privilege_open_part(const char *beside, const char *installed)
{
    SP_AUTO_FREE char *path = find_part(beside, installed);

    return open(path, O_PATH | O_CLOEXEC);
}

/* Appends the operator's words about networks and GPUs, and the weakness that is allowed. */
static void put_options(const struct sp_config *config, const char *connections, const char **argv)
{
    const struct {
        const char *flag, *value;
    } table[] = {
        {"--network-allowed", sp_config_str(config, "network.allowed")},
        {"--network-range", sp_config_str(config, "network.range")},
        {"--network-dns", sp_config_str(config, "network.dns")},
        {"--network-proxy", sp_config_str(config, "network.proxy")},
        {"--network-connections", connections},
        {"--gpu-provider", sp_config_str(config, "gpu.provider")},
        {"--gpu-fake-file", sp_config_str(config, "gpu.fake_file")},
        {"--gpu-shared", sp_config_str(config, "gpu.share")},
    };

    for (size_t i = 0; i < SP_LEN(table); i++) {
        if (!table[i].value[0])
            continue;
        *argv++ = table[i].flag;
        *argv++ = table[i].value;
    }
    if (sp_config_bool(config, "sandbox.allow_weak"))
        *argv++ = "--allow-weak";
}

static _Noreturn void exec_launcher(const struct sp_config *config, const struct sp_privilege *priv,
                                    int sock)
{
    SP_AUTO_FREE char *program = find_part("spaces-launcher", "libexec/spaces-launcher");
    SP_AUTO_FREE char *sdk = find_part("../sdk/python", "lib/spacesd/python");
    char state[PATH_MAX];
    char uid[16];
    char gid[16];
    char pool[16];
    const char *argv[40] = {
        program, "--socket-fd",  "3", "--state",    state,          "--sdk",  sdk, "--daemon-uid",
        uid,     "--daemon-gid", gid, "--state-id", priv->state_id, "--pool", pool};
    char connections[16];
    sigset_t none;

    (void)snprintf(uid, sizeof(uid), "%u", (unsigned)priv->uid);
    (void)snprintf(gid, sizeof(gid), "%u", (unsigned)priv->gid);
    (void)snprintf(pool, sizeof(pool), "%u", (unsigned)sp_config_int(config, "sandbox.pool"));
    (void)snprintf(connections, sizeof(connections), "%u",
                   (unsigned)sp_config_int(config, "network.connections"));
    put_options(config, connections, &argv[15]);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    /* A session of its own: Ctrl-C is for the daemon, which then tells the launcher. */
    (void)setsid();
    if (getcwd(state, sizeof(state)) &&
        (sock == 3 ? fcntl(3, F_SETFD, 0) == 0 : dup2(sock, 3) == 3))
        (void)execv(program, (char *const *)argv);
    sp_log(SP_LOG_ERROR, "launcher.exec", "program=%s errno=%d", program, errno);
    _exit(127);
}

int sp_privilege_start_launcher(const struct sp_config *config, struct sp_privilege *priv,
                                int *ret_fd, struct sp_error *err)
{
    int socks[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "make the launcher's socket");
    pid = fork(); /* no threads yet: the loop does not exist */
    if (pid < 0) {
        int r = -errno;

        (void)close(socks[0]);
        (void)close(socks[1]);
        return sp_error_set(err, SP_ERR_INTERNAL, r, "fork for the launcher");
    }
    if (pid == 0)
        exec_launcher(config, priv, socks[1]);
    (void)close(socks[1]);
    (void)fcntl(socks[0], F_SETFL, O_NONBLOCK);
    priv->launcher = pid;
    *ret_fd = socks[0];
    return 0;
}

void sp_privilege_wait_launcher(const struct sp_privilege *priv, int wait_ms)
{
    struct pollfd ended = {.fd = -1, .events = POLLIN};

    if (priv->launcher <= 0)
        return;
    ended.fd = (int)syscall(SYS_pidfd_open, priv->launcher, 0);
    if (ended.fd < 0 || poll(&ended, 1, wait_ms) <= 0)
        sp_log(SP_LOG_WARN, "launcher.lingers", "pid=%d", (int)priv->launcher);
    else
        (void)waitpid(priv->launcher, NULL, 0);
    sp_auto_fd(&ended.fd);
}

/* Everything that comes until the other end closes, or the first 64 KiB. */
static char *read_all(int fd)
{
    SP_AUTO_BUF struct sp_buf text;
    ssize_t n = 1;

    sp_buf_init(&text, (size_t)64 << 10);
    while (n > 0) {
        char *to = sp_buf_reserve(&text, 4096);

        n = to ? read(fd, to, 4096) : 0;
        text.len += n > 0 ? (size_t)n : 0;
    }
    return sp_buf_steal(&text, NULL);
}

char *sp_privilege_ask_doctor(void)
{
    SP_AUTO_FREE char *program = find_part("spaces-launcher", "libexec/spaces-launcher");
    const char *argv[] = {program, "--state", ".", "--doctor", NULL};
    char *text;
    int pipes[2];
    pid_t pid;

    if (pipe2(pipes, O_CLOEXEC) < 0)
        return sp_strdup("[]");
    pid = fork(); /* no threads yet */
    if (pid == 0) {
        if (dup2(pipes[1], STDOUT_FILENO) == STDOUT_FILENO)
            (void)execv(program, (char *const *)argv);
        _exit(127);
    }
    (void)close(pipes[1]);
    text = read_all(pipes[0]);
    (void)close(pipes[0]);
    if (pid > 0)
        (void)waitpid(pid, NULL, 0);
    if (text[0] == '[')
        return text;
    free(text);
    return sp_strdup("[]");
}

/* --- leaving root ----------------------------------------------------------------------------- */

/* A view of our own in which the state folder is at a path that everybody may enter. */
static int bind_state(struct sp_error *err)
{
    if (unshare(CLONE_NEWNS) < 0) {
        sp_log(SP_LOG_DEBUG, "state.unbound", "errno=%d", errno);
        return 0; /* as in a container without the right: the path must then be enterable */
    }
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "make mounts private");
    if (mkdir(SP_STATE_MOUNT, 0755) < 0 && errno != EEXIST)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "make '%s'", SP_STATE_MOUNT);
    (void)chmod(SP_STATE_MOUNT, 0755); /* our umask is strict */
    if (mount(".", SP_STATE_MOUNT, NULL, MS_BIND, NULL) < 0 || chdir(SP_STATE_MOUNT) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "bind the state folder to '%s'",
                            SP_STATE_MOUNT);
    return 0;
}

int sp_privilege_drop(const struct sp_privilege *priv, struct sp_error *err)
{
    int death_signal = 0;
    int r;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "set no_new_privs");
    if (!priv->was_root)
        return 0;
    r = bind_state(err);
    if (r < 0)
        return r;
    (void)prctl(PR_GET_PDEATHSIG, &death_signal);
    if (setgroups(0, NULL) < 0 || setresgid(priv->gid, priv->gid, priv->gid) < 0 ||
        setresuid(priv->uid, priv->uid, priv->uid) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "become user %u", (unsigned)priv->uid);
    if (setuid(0) == 0)
        return sp_error_set(err, SP_ERR_INTERNAL, 0, "could become root again");
    (void)prctl(PR_SET_PDEATHSIG, death_signal); /* a change of user clears it (prctl(2)) */
    return 0;
}
