#include "runtime/supervise.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define LONG_LIFE_MS  10000 /* a child that lived this long starts a new row of failures */
#define BACKOFF_MAX_S 30
#define CANNOT_WORK   2 /* bad flags or configuration: another try would end the same */

static volatile sig_atomic_t child;
static volatile sig_atomic_t stopping;

static void pass_on(int signal)
{
    stopping = 1;
    if (child > 0)
        (void)kill(child, signal);
}

static void be_child(pid_t parent)
{
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(1); /* it died between fork and prctl */
}

static int wait_for_child(void)
{
    int status = 0;

    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void sp_supervise(void)
{
    struct sigaction action = {.sa_handler = pass_on};
    pid_t parent = getpid();
    unsigned backoff_s = 1;

    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    for (;;) {
        uint64_t began_ms = sp_clock_mono_ms();
        int code;

        child = fork();
        if (child == 0) {
            be_child(parent);
            return;
        }
        code = child < 0 ? 1 : wait_for_child();
        child = 0;
        if (stopping || code == 0 || code == CANNOT_WORK)
            _exit(code);
        if (sp_clock_mono_ms() - began_ms > LONG_LIFE_MS)
            backoff_s = 1;
        sp_log(SP_LOG_ERROR, "supervise.restart", "exit=%d again_in_s=%u", code, backoff_s);
        (void)sleep(backoff_s);
        if (stopping)
            _exit(code);
        backoff_s = backoff_s * 2 < BACKOFF_MAX_S ? backoff_s * 2 : BACKOFF_MAX_S;
    }
}
