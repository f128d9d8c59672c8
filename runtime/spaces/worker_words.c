#include "runtime/spaces/worker_words.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "runtime/spaces/instance.h"
#include "runtime/spaces/resources.h"

void sp_worker_words_pack(const struct sp_config *config, const struct sp_instance_plan *plan,
                          uint32_t network, const char *const *argv, struct sp_launch_msg *msg)
{
    SP_AUTO_FREE char *id = sp_asprintf("SPACE_ID=%s/%s", plan->owner, plan->name);
    SP_AUTO_FREE char *author = sp_asprintf("SPACE_AUTHOR_NAME=%s", plan->owner);
    SP_AUTO_FREE char *repo = sp_asprintf("SPACE_REPO_NAME=%s", plan->name);
    SP_AUTO_FREE char *host = sp_asprintf("SPACE_HOST=%s", plan->host);
    SP_AUTO_FREE char *http = sp_resources_proxy(config, network, "http_proxy");
    SP_AUTO_FREE char *https = sp_resources_proxy(config, network, "https_proxy");
    const char *env[] = {
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

    (void)sp_launch_pack_args(msg, argv, env, NULL); /* names are bounded: it fits */
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
