/*
 * spaces-base: makes the files of a base (docs/bases.md). spacesd starts it for each, as its own
 * user. What fetches and what unpacks are children of it, each in a Landlock domain of its own that
 * does not reach the state folder, with limits.
 *
 *   spaces-base --into DIR --source debian:12 --mirror URL [--packages a,b] LIMITS
 *   spaces-base --into DIR --source oci:DIR|docker-archive:FILE|NAME@sha256:DIGEST LIMITS
 *
 * LIMITS: --max-bytes N --max-files N --max-layers N. DIR is absolute and empty; DIR/root is what
 * comes out. Standard output has lines: "step TEXT", at the end "done JSON" or "failed KIND TEXT".
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "helpers/base_oci.h"
#include "helpers/base_tree.h"
#include "helpers/confine.h"

#define LINE_MAX_ 400
#define ASKED     20  /* times, 10 ms apart */
#define LOOK_MS   250 /* between two looks at what a child has written */

static struct {
    const char *into, *source, *mirror, *packages;
    struct sp_layer_limits limits;
    unsigned max_layers;
    char work[600], root[600], layout[620];
} job;

static const struct option options[] = {
    {"into", required_argument, NULL, 'i'},       {"source", required_argument, NULL, 's'},
    {"mirror", required_argument, NULL, 'm'},     {"packages", required_argument, NULL, 'p'},
    {"max-bytes", required_argument, NULL, 'b'},  {"max-files", required_argument, NULL, 'f'},
    {"max-layers", required_argument, NULL, 'l'}, {NULL, 0, NULL, 0},
};

static void say(const char *word, const char *text)
{
    char line[LINE_MAX_ + 64];
    int n = snprintf(line, sizeof(line), "%s %.*s", word, LINE_MAX_, text);

    for (char *c = line; *c; c++)
        if (!isprint((unsigned char)*c))
            *c = '?';
    n = n < (int)sizeof(line) - 1 ? n : (int)sizeof(line) - 2;
    line[n++] = '\n';
    (void)sp_write_all(STDOUT_FILENO, line, (size_t)n);
}

/* --- children --- */

static volatile sig_atomic_t is_ended;

static void on_end(int sig)
{
    (void)sig;
    is_ended = 1;
}

/*
 * All that is left of a child: what it left behind has come to us. Asked first: fakeroot's helper
 * then gives its message queues back.
 */
static void bury(void)
{
    for (int pass = 0;; pass++) {
        SP_AUTO_FREE char *text = NULL;
        struct sp_slice rest, word;
        size_t len = 0;
        uint64_t pid;

        if (sp_file_read(AT_FDCWD, "/proc/thread-self/children", 65536, &text, &len, NULL) < 0)
            len = 0;
        rest = sp_slice(text, len);
        while (len && sp_slice_split(&rest, ' ', &word))
            if (sp_parse_u64(word, INT32_MAX, &pid))
                (void)kill((pid_t)pid, pass < ASKED ? SIGTERM : SIGKILL);
        if (pass < ASKED)
            (void)poll(NULL, 0, 10);
        if (waitpid(-1, NULL, pass < ASKED ? WNOHANG : 0) < 0 && errno == ECHILD)
            return;
    }
}

static void limit_child(void)
{
    const struct rlimit file = {job.limits.max_bytes, job.limits.max_bytes}, none = {0, 0};

    (void)setrlimit(RLIMIT_FSIZE, &file);
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGXFSZ, SIG_DFL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static const struct sp_confine_rule host_rules[] = {
    {"/usr", SP_CONFINE_RUN},          {"/bin", SP_CONFINE_RUN},
    {"/sbin", SP_CONFINE_RUN},         {"/lib", SP_CONFINE_RUN},
    {"/lib64", SP_CONFINE_RUN},        {"/etc", SP_CONFINE_READ},
    {"/dev/null", SP_CONFINE_WRITE},   {"/dev/zero", SP_CONFINE_READ},
    {"/dev/urandom", SP_CONFINE_READ}, {"/dev/random", SP_CONFINE_READ},
    {"/proc", SP_CONFINE_READ},        {"/run/systemd/resolve", SP_CONFINE_READ},
};
#define MORE_RULES 2

/* In the child. */
static void __attribute__((noreturn))
run(const char *const *argv, const struct sp_confine_rule *more, bool connects, int out)
{
    struct sp_confine_rule rules[SP_LEN(host_rules) + MORE_RULES];
    SP_AUTO_FREE char *home = sp_asprintf("HOME=%s", job.work);
    SP_AUTO_FREE char *tmp = sp_asprintf("TMPDIR=%s", job.work);
    SP_AUTO_FREE char *run_dir = sp_asprintf("XDG_RUNTIME_DIR=%s", job.work);
    const char *env[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                         "LANG=C.UTF-8",
                         "DEBIAN_FRONTEND=noninteractive",
                         home,
                         tmp,
                         run_dir,
                         NULL};
    struct sp_error err = {0};
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    memcpy(rules, host_rules, sizeof(host_rules));
    memcpy(rules + SP_LEN(host_rules), more, MORE_RULES * sizeof(*more));
    limit_child();
    if (null_fd < 0 || dup2(null_fd, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0 ||
        chdir(job.work) < 0)
        _exit(126);
    if (sp_confine(rules, SP_LEN(rules), connects, &err) < 0) {
        (void)dprintf(1, "%s\n", err.msg);
        _exit(126);
    }
    (void)execvpe(argv[0], (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env);
    (void)dprintf(1, "start %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

/* Bytes that a folder takes on the disk, until there are more than `max`. */
static uint64_t bytes_below(int folder, unsigned depth, uint64_t max)
{
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *entry;
    uint64_t sum = 0;

    while (list && sum <= max && (entry = readdir(list))) {
        struct stat st;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            fstatat(dirfd(list), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        sum += (uint64_t)st.st_blocks * 512 + 512;
        if (S_ISDIR(st.st_mode) && depth < 64) {
            SP_AUTO_FD int child =
                openat(dirfd(list), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

            sum += child < 0 ? 0 : bytes_below(child, depth + 1, max);
        }
    }
    if (list)
        (void)closedir(list);
    return sum;
}

static bool is_too_much(void)
{
    SP_AUTO_FD int fd = open(job.into, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd >= 0 && bytes_below(fd, 0, 2 * job.limits.max_bytes) > 2 * job.limits.max_bytes;
}

/* Passes its lines on, keeps the last, and looks how much there is of its files. */
static int follow(int fd, char last[LINE_MAX_], struct sp_error *err)
{
    char text[LINE_MAX_];
    size_t len = 0;

    for (;;) {
        struct pollfd polled = {.fd = fd, .events = POLLIN};
        int ready = poll(&polled, 1, LOOK_MS);
        char c;

        if (is_ended)
            return sp_error_set(err, SP_ERR_UNAVAILABLE, -EINTR, "it was stopped");
        if (ready == 0 && is_too_much())
            return sp_error_set(err, SP_ERR_LIMIT, -EFBIG,
                                "it takes over %llu bytes (base.max_bytes)",
                                (unsigned long long)job.limits.max_bytes);
        if (ready <= 0)
            continue;
        if (read(fd, &c, 1) <= 0)
            return 0;
        if (c != '\n' && c != '\r') {
            if (len < sizeof(text) - 1)
                text[len++] = c;
            continue;
        }
        text[len] = '\0';
        if (len) {
            say("step", text);
            memcpy(last, text, len + 1);
        }
        len = 0;
    }
}

/* Runs a program of the host to its end; its last line is the reason when it fails. */
static int run_program(const char *const *argv, const struct sp_confine_rule *more, bool connects,
                       struct sp_error *err)
{
    char last[LINE_MAX_] = "it said nothing";
    int pipes[2], status = 0, r;
    pid_t pid;

    if (pipe2(pipes, O_CLOEXEC) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "start %s", argv[0]);
    pid = fork();
    if (pid == 0)
        run(argv, more, connects, pipes[1]);
    (void)close(pipes[1]);
    r = pid < 0 ? sp_error_set(err, SP_ERR_INTERNAL, -errno, "start %s", argv[0])
                : follow(pipes[0], last, err);
    (void)close(pipes[0]);
    if (pid > 0 && r < 0)
        (void)kill(pid, SIGKILL);
    if (pid > 0)
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR && !is_ended)
            ;
    bury();
    if (r == 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
        r = sp_error_set(err, SP_ERR_INVALID, 0, "%s failed: %s", argv[0], last);
    return r;
}

/* --- images --- */

static void tell_layer(unsigned layer, unsigned of)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "layer %u of %u", layer, of);
    say("step", text);
}

static void answer(int fd, const json_t *config, const struct sp_error *err)
{
    SP_AUTO_BUF struct sp_buf out;

    sp_buf_init(&out, SP_JSON_MAX * 2);
    if (config)
        (void)sp_json_dump(config, &out);
    else
        (void)sp_buf_printf(&out, "%c%s", (char)('0' + (int)err->kind), err->msg);
    (void)sp_write_all(fd, out.data, out.len);
}

/* In the child, which reads the archive and touches nothing but the folder that it fills. */
static void __attribute__((noreturn)) unpack(int root_fd, int layout_fd, int out)
{
    const struct rlimit memory = {1u << 30, 1u << 30};
    const struct sp_confine_rule rules[] = {{job.layout, SP_CONFINE_READ},
                                            {job.root, SP_CONFINE_WRITE}};
    const struct sp_oci oci = {layout_fd, root_fd, job.limits, job.max_layers, tell_layer};
    struct sp_error err = {0};
    json_t *config = NULL;

    limit_child();
#ifndef __SANITIZE_ADDRESS__ /* whose shadow is above any limit */
    (void)setrlimit(RLIMIT_DATA, &memory);
#else
    (void)memory;
#endif
    if (sp_confine(rules, SP_LEN(rules), false, &err) == 0)
        (void)sp_oci_unpack(&oci, &config, &err);
    answer(out, config, &err);
    _exit(0);
}

static int read_answer(int fd, json_t **ret, struct sp_error *err)
{
    SP_AUTO_BUF struct sp_buf text;
    ssize_t n = 1;

    sp_buf_init(&text, SP_JSON_MAX);
    while (n > 0 && !is_ended) {
        char *to = sp_buf_reserve(&text, 4096);

        n = to ? read(fd, to, 4096) : 0;
        text.len += n > 0 ? (size_t)n : 0;
    }
    if (is_ended)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -EINTR, "it was stopped");
    if (text.len && text.data[0] == '{')
        return sp_json_parse(sp_buf_slice(&text), ret, err);
    if (text.len && text.data[0] > '0' && text.data[0] <= '0' + SP_ERR_INTERNAL)
        return sp_error_set(err, (enum sp_err_kind)(text.data[0] - '0'), 0, "%.450s",
                            sp_buf_str(&text) + 1);
    return sp_error_set(err, SP_ERR_LIMIT, 0,
                        "unpacking the image was ended: a file over "
                        "base.max_bytes, or memory");
}

static int unpack_image(json_t **ret, struct sp_error *err)
{
    SP_AUTO_FD int root = open(job.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    SP_AUTO_FD int layout = open(job.layout, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int pipes[2], r;
    pid_t pid;

    if (root < 0 || layout < 0 || pipe2(pipes, O_CLOEXEC) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "open the image");
    pid = fork();
    if (pid == 0)
        unpack(root, layout, pipes[1]);
    (void)close(pipes[1]);
    r = pid < 0 ? sp_error_set(err, SP_ERR_INTERNAL, -errno, "fork")
                : read_answer(pipes[0], ret, err);
    (void)close(pipes[0]);
    if (pid > 0)
        (void)kill(pid, SIGKILL);
    bury();
    return r;
}

/* skopeo brings every kind of image into one layout, each blob checked against its digest. */
static int import_image(json_t **ret, struct sp_error *err)
{
    struct sp_slice source = sp_slice_str(job.source);
    bool is_file = sp_slice_starts(source, "oci:") || sp_slice_starts(source, "docker-archive:");
    bool is_registry = !is_file && strstr(job.source, "@sha256:");
    /* This machine's own registry may speak plain HTTP: what it sends must fit the digest anyway.
     */
    bool is_loopback =
        sp_slice_starts(source, "127.0.0.1:") || sp_slice_starts(source, "localhost:");
    SP_AUTO_FREE char *from =
        is_registry ? sp_asprintf("docker://%s", job.source) : sp_strdup(job.source);
    SP_AUTO_FREE char *to = sp_asprintf("oci:%s:image", job.layout);
    SP_AUTO_FREE char *tmp = sp_asprintf("--tmpdir=%s", job.work);
    SP_AUTO_FREE char *path =
        is_file ? sp_strdup(strchr(job.source, ':') + 1) : sp_strdup("/nonexistent");
    const char *argv[] = {
        "skopeo",  "--insecure-policy",
        tmp,       "copy",
        "--quiet", is_loopback ? "--src-tls-verify=false" : "--src-tls-verify=true",
        from,      to,
        NULL};
    const struct sp_confine_rule rules[MORE_RULES] = {{path, SP_CONFINE_READ},
                                                      {job.work, SP_CONFINE_WRITE}};
    int r;

    if (is_file)
        path[strcspn(path, ":")] = '\0'; /* ":tag" */
    if (is_file && access(path, R_OK) < 0)
        return sp_error_set(err, SP_ERR_NOT_FOUND, -errno, "read '%.300s' as the daemon's user",
                            path);
    if (!is_file && !is_registry)
        return sp_error_set(err, SP_ERR_INVALID, 0, "'%.200s' is no image with a digest",
                            job.source);
    say("step", "fetching the image");
    r = run_program(argv, rules, is_registry, err);
    return r == 0 ? unpack_image(ret, err) : r;
}

/* --- Debian --- */

static const char *suite(const char *number)
{
    return strcmp(number, "12") == 0 ? "bookworm" : strcmp(number, "13") == 0 ? "trixie" : NULL;
}

static void remove_of_apt(int root)
{
    static const char *const left[] = {"var/cache/apt",
                                       "var/lib/apt/lists",
                                       "var/log",
                                       "debootstrap",
                                       "var/cache/debconf",
                                       "proc",
                                       "dev",
                                       "sys"};

    for (size_t i = 0; i < SP_LEN(left); i++)
        (void)sp_rmtree(root, left[i], NULL);
    (void)sp_mkdir_p(root, "var/lib/apt/lists/partial", 0755, NULL);
    (void)sp_mkdir_p(root, "var/cache/apt/archives/partial", 0755, NULL);
    (void)sp_mkdir_p(root, "var/log", 0755, NULL);
}

/*
 * Under fakechroot the programs of the base run on the host's C library, which knows older ones
 * only. Nothing is said of hosts that are not Debian: they find out.
 */
static int check_host(const char *number, struct sp_error *err)
{
    SP_AUTO_FREE char *text = NULL;
    struct sp_slice rest, line;
    uint64_t here = 0, wanted = 0;
    bool is_debian = false;
    size_t len;

    if (sp_file_read(AT_FDCWD, "/usr/lib/os-release", 65536, &text, &len, NULL) < 0)
        return 0;
    rest = sp_slice(text, len);
    while (sp_slice_split(&rest, '\n', &line)) {
        is_debian |= sp_slice_eq_str(line, "ID=debian");
        if (sp_slice_starts(line, "VERSION_ID=\"") && line.len > 13)
            (void)sp_parse_u64(sp_slice(line.ptr + 12, line.len - 13), 999, &here);
    }
    (void)sp_parse_u64(sp_slice_str(number), 999, &wanted);
    if (!is_debian || !here || wanted <= here)
        return 0;
    return sp_error_set(err, SP_ERR_UNAVAILABLE, 0,
                        "debian:%s cannot be made on Debian %u, whose C library is older than its "
                        "programs need: make it on Debian %s, or import an image of it",
                        number, (unsigned)here, number);
}

/* The last line of debootstrap's log, which goes with the rest. */
static void put_reason(struct sp_error *err)
{
    SP_AUTO_FREE char *path = sp_asprintf("%s/debootstrap/debootstrap.log", job.root), *text = NULL;
    const char *last;
    size_t len;

    if (sp_file_read(AT_FDCWD, path, 4u << 20, &text, &len, NULL) < 0)
        return;
    while (len && text[len - 1] == '\n')
        text[--len] = '\0';
    last = strrchr(text, '\n');
    (void)sp_error_set(err, SP_ERR_UNAVAILABLE, 0, "debootstrap failed: %.400s",
                       last ? last + 1 : text);
}

/* debootstrap's own list for its variant is a whole system with an init; this is enough for apps.
 */
static int write_script(const char *path, const char *name, struct sp_error *err)
{
    SP_AUTO_FREE char *text =
        sp_asprintf(". /usr/share/debootstrap/scripts/%s\n"
                    "work_out_debs () {\n"
                    "    required=\"$(get_debs Priority: required) binutils\"\n"
                    "    [ \"$CODENAME\" != bookworm ] || required=\"$required usr-is-merged\"\n"
                    "    base=apt\n"
                    "    EXCLUDE_DEPENDENCY=\"$EXCLUDE_DEPENDENCY usrmerge\"\n"
                    "}\n",
                    name);

    return sp_file_replace(AT_FDCWD, path, 0644, sp_slice_str(text), err);
}

/* fakechroot had put its own in place of two programs. */
static int put_back(int root, struct sp_error *err)
{
    static const char *const programs[] = {"usr/sbin/ldconfig", "usr/bin/ldd"};
    SP_AUTO_FREE char *text = NULL;
    SP_AUTO_BUF struct sp_buf kept;
    struct sp_slice rest, lines[3];
    size_t len;

    for (size_t i = 0; i < SP_LEN(programs); i++) {
        SP_AUTO_FREE char *real = sp_asprintf("%s.REAL", programs[i]);

        (void)renameat(root, real, root, programs[i]);
    }
    if (sp_file_read(root, "var/lib/dpkg/diversions", 1 << 20, &text, &len, NULL) < 0)
        return 0;
    sp_buf_init(&kept, 0);
    rest = sp_slice(text, len);
    while (sp_slice_split(&rest, '\n', &lines[0]) && sp_slice_split(&rest, '\n', &lines[1]) &&
           sp_slice_split(&rest, '\n', &lines[2]))
        for (size_t i = 0; i < 3 && !sp_slice_eq_str(lines[2], "fakechroot"); i++) {
            (void)sp_buf_append_slice(&kept, lines[i]);
            (void)sp_buf_append_char(&kept, '\n');
        }
    return sp_file_replace(root, "var/lib/dpkg/diversions", 0644, sp_buf_slice(&kept), err);
}

/*
 * As an ordinary user: fakeroot and fakechroot stand between the packages' scripts and the kernel.
 * They run in the same Landlock domain as debootstrap: what they see of the host is its programs.
 */
static int bootstrap(json_t **ret, struct sp_error *err)
{
    const char *name = suite(job.source + strlen("debian:"));
    SP_AUTO_FREE char *script = sp_asprintf("%s/script", job.work);
    SP_AUTO_FREE char *include = sp_asprintf("--include=ca-certificates,python3,python3-venv%s%s",
                                             *job.packages ? "," : "", job.packages);
    const char *argv[] = {"fakechroot",        "fakeroot", "debootstrap", "--variant=fakechroot",
                          "--force-check-gpg", include,    name,          job.root,
                          job.mirror,          script,     NULL};
    const struct sp_confine_rule rules[MORE_RULES] = {{job.into, SP_CONFINE_WRITE},
                                                      {job.into, SP_CONFINE_WRITE}};
    SP_AUTO_FD int root = -1;
    int r;

    if (!name)
        return sp_error_set(err, SP_ERR_INVALID, 0, "there is debian:12 and debian:13");
    r = check_host(job.source + strlen("debian:"), err);
    if (r == 0)
        r = write_script(script, name, err);
    if (r < 0)
        return r;
    say("step", "debootstrap begins");
    r = run_program(argv, rules, true, err);
    if (r < 0 && !is_ended && err->kind == SP_ERR_INVALID)
        put_reason(err);
    root = open(job.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r == 0 && root < 0)
        r = sp_error_set(err, SP_ERR_INTERNAL, -errno, "open '%s'", job.root);
    if (r == 0)
        r = put_back(root, err);
    if (r == 0)
        remove_of_apt(root);
    if (r == 0)
        *ret = json_object();
    return r;
}

/* --- the whole --- */

static int make(struct sp_error *err)
{
    bool is_debian = sp_slice_starts(sp_slice_str(job.source), "debian:");
    SP_AUTO_JSON json_t *config = NULL, *done = NULL;
    SP_AUTO_BUF struct sp_buf text;
    struct sp_base_sum sum = {0};
    SP_AUTO_FD int root = -1;
    int r;

    sp_buf_init(&text, 0);
    if (mkdir(job.work, 0700) < 0 || mkdir(job.root, 0755) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "make folders in '%s'", job.into);
    r = is_debian ? bootstrap(&config, err) : import_image(&config, err);
    if (r == 0 && (root = open(job.root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
        r = sp_error_set(err, SP_ERR_INTERNAL, -errno, "open '%s'", job.root);
    if (r < 0)
        return r;
    say("step", "reading what was made");
    r = sp_base_finish(root, is_debian ? job.root : "", err);
    if (r == 0)
        r = sp_base_sum(root, &sum, err);
    if (r == 0 && (sum.bytes > job.limits.max_bytes || sum.files > job.limits.max_files))
        r = sp_error_set(err, SP_ERR_LIMIT, -EFBIG,
                         "the base has %llu bytes in %llu files "
                         "(base.max_bytes, base.max_files)",
                         (unsigned long long)sum.bytes, (unsigned long long)sum.files);
    if (r == 0)
        r = sp_rmtree(AT_FDCWD, job.work, err);
    if (r < 0)
        return r;
    done = json_pack("{s:s, s:I, s:I, s:O}", "digest", sum.digest, "bytes", (json_int_t)sum.bytes,
                     "files", (json_int_t)sum.files, "config", config);
    (void)sp_buf_append_str(&text, "done ");
    (void)sp_json_dump(done, &text);
    (void)sp_buf_append_char(&text, '\n');
    return sp_write_all(STDOUT_FILENO, text.data, text.len);
}

static bool parse(int argc, char **argv)
{
    uint64_t layers = 0;
    bool ok = true;
    int opt;

    job.mirror = job.packages = "";
    while (ok && (opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        struct sp_slice arg = sp_slice_str(optarg);

        switch (opt) {
        case 'i': job.into = optarg; break;
        case 's': job.source = optarg; break;
        case 'm': job.mirror = optarg; break;
        case 'p': job.packages = optarg; break;
        case 'b': ok = sp_parse_u64(arg, INT64_MAX / 4, &job.limits.max_bytes); break;
        case 'f': ok = sp_parse_u64(arg, INT32_MAX, &job.limits.max_files); break;
        case 'l': ok = sp_parse_u64(arg, SP_OCI_LAYERS_MAX, &layers); break;
        default: ok = false;
        }
    }
    job.max_layers = (unsigned)layers;
    return ok && optind == argc && job.into && job.into[0] == '/' && strlen(job.into) < 500 &&
           job.source && job.limits.max_bytes && job.limits.max_files && job.max_layers;
}

int main(int argc, char **argv)
{
    const struct sigaction end = {.sa_handler = on_end}; /* no SA_RESTART: it wakes whoever waits */
    struct sp_error err = {0};
    char text[640];

    if (!parse(argc, argv)) {
        (void)fputs("usage: spaces-base --into DIR --source WHAT --max-bytes N --max-files N "
                    "--max-layers N\n",
                    stderr);
        return 2;
    }
    (void)snprintf(job.work, sizeof(job.work), "%s/work", job.into);
    (void)snprintf(job.root, sizeof(job.root), "%s/root", job.into);
    (void)snprintf(job.layout, sizeof(job.layout), "%s/oci", job.work);
    (void)sigaction(SIGTERM, &end, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    (void)umask(022);
    if (make(&err) == 0)
        return 0;
    (void)snprintf(text, sizeof(text), "%s %.500s", sp_err_kind_to_string(err.kind), err.msg);
    say("failed", text);
    return 1;
}
