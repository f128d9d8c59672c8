/* Filters of its own, in a child each: until no more go in, with a listener, for all threads. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct sock_filter allow[4096];

static long load(unsigned flags, unsigned short len)
{
    struct sock_fprog prog = {.len = len, .filter = allow};

    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

static int until_no_more(void)
{
    for (int i = 0; i < 1000; i++)
        if (load(0, 4096) < 0)
            return -1;
    return 0;
}

static int listener(void)
{
    return (int)load(SECCOMP_FILTER_FLAG_NEW_LISTENER, 1);
}

static int tsync(void)
{
    return (int)load(SECCOMP_FILTER_FLAG_TSYNC, 1);
}

/* There is no way to name another process; its files would be the only one. */
static int init(void)
{
    return open("/proc/1/mem", O_RDWR);
}

static void attempt(const char *name, int action(void))
{
    (void)fflush(stdout);
    if (fork() == 0) {
        int r = action();

        (void)printf("%s %s\n", name, r >= 0 ? "OK" : strerrorname_np(errno));
        (void)fflush(stdout);
        _exit(0);
    }
    (void)wait(NULL);
}

int main(void)
{
    for (size_t i = 0; i < 4096; i++)
        allow[i] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    attempt("filters", until_no_more);
    attempt("listener", listener);
    attempt("tsync", tsync);
    attempt("init", init);
    return 0;
}
