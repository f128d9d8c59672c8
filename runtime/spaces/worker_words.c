#include "runtime/spaces/worker_words.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "runtime/spaces/instance.h"
#include "runtime/spaces/resources.h"
#include "runtime/spaces/space_env.h"

#define ENV_MAX 250 /* the launcher takes 256 */

/* Whether a list has the name of `pair`, "NAME=value", already. */
static bool has_name(const char *const *list, const char *pair)
{
    size_t len = strcspn(pair, "=") + 1;

    for (; *list; list++)
        if (strncmp(*list, pair, len) == 0)
            return true;
    return false;
}

static int join(char **own, const char *const *ours, const char *env[ENV_MAX + 1],
                struct sp_error *err)
{
    size_t n = 0;

    for (char **at = own; *at && n < ENV_MAX; at++)
        env[n++] = *at;
    env[n] = NULL;
    for (; *ours && n < ENV_MAX; ours++) {
        if (has_name(env, *ours))
            continue;
        env[n++] = *ours;
        env[n] = NULL;
    }
    return *ours ? sp_error_set(err, SP_ERR_LIMIT, 0, "the app has over %d variables", ENV_MAX) : 0;
}

int sp_worker_words_pack(const struct sp_config *config, const struct sp_secrets *secrets,
                         const struct sp_instance_plan *plan, uint32_t network,
                         const char *const *argv, struct sp_launch_msg *msg, struct sp_error *err)
{
    SP_AUTO_FREE char *id = sp_asprintf("SPACE_ID=%s/%s", plan->owner, plan->name);
    SP_AUTO_FREE char *author = sp_asprintf("SPACE_AUTHOR_NAME=%s", plan->owner);
    SP_AUTO_FREE char *repo = sp_asprintf("SPACE_REPO_NAME=%s", plan->name);
    SP_AUTO_FREE char *host = sp_asprintf("SPACE_HOST=%s", plan->host);
    SP_AUTO_FREE char *http = sp_resources_proxy(config, network, "http_proxy");
    SP_AUTO_FREE char *https = sp_resources_proxy(config, network, "https_proxy");
    const char *const ours[] = {
        "SPACEKIT_FD=3",
        "SYSTEM=spaces",
        "HOME=/home/user",
        "TMPDIR=/tmp",
        "PATH=/usr/local/bin:/usr/bin:/bin",
        "LANG=C.UTF-8",
        "PYTHONUNBUFFERED=1",
        "PYTHONDONTWRITEBYTECODE=1",
        id,
        author,
        repo,
        host,
        http, /* the list ends here where there is none */
        https,
        "no_proxy=localhost,127.0.0.1",
        NULL,
    };
    const char *env[ENV_MAX + 1];
    char **own = NULL;
    int r = sp_space_env_open(plan->env, secrets, plan->space, &own, err);

    if (r < 0)
        return r;
    r = join(own, ours, env, err);
    if (r == 0)
        r = sp_launch_pack_args(msg, argv, env, err);
    sp_space_env_erase(own);
    return r;
}

int sp_worker_channels_open(int socks[2], int pipes[2], struct sp_error *err)
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "make the worker's socket");
    if (pipe2(pipes, O_CLOEXEC) < 0) {
        int r = -errno;

        (void)close(socks[0]);
        (void)close(socks[1]);
        return sp_error_set(err, SP_ERR_INTERNAL, r, "make the app's log pipe");
    }
    return 0;
}
