/* Who am I, what have I, and whom can I become: ids [map]. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static void tell(const char *name, int r)
{
    (void)printf("%s %s\n", name, r >= 0 ? "OK" : strerrorname_np(errno));
}

static void map(void)
{
    const uid_t outside = 70000;
    gid_t group = 5;
    int fd = open("/tmp/mine", O_CREAT | O_WRONLY, 0600);

    tell("setuid", setresuid(outside, outside, outside));
    tell("setgid", setresgid(outside, outside, outside));
    tell("setgroups", setgroups(1, &group));
    tell("chown", fchown(fd, outside, outside));
    tell("other_uid", setresuid(4242, 4242, 4242));
    tell("other_gid", setresgid(4242, 4242, 4242));
    tell("chown_other", fchown(fd, 4242, 4242));
}

static void who(void)
{
    static const uint32_t caps[5] = {0x02000001, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff};
    char line[256];
    FILE *status = fopen("/proc/self/status", "r");

    (void)printf("ids %d %d %d %d\n", getuid(), geteuid(), getgid(), getegid());
    while (status && fgets(line, sizeof(line), status))
        if (strncmp(line, "CapEff:", 7) == 0)
            (void)printf("caps %s", line + 8);
    (void)close(open("/tmp/setcap", O_CREAT | O_WRONLY, 0755));
    tell("setcap", setxattr("/tmp/setcap", "security.capability", caps, sizeof(caps), 0));
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "map") == 0)
        map();
    else
        who();
    return 0;
}
