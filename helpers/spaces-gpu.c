/*
 * spaces-gpu: which GPUs there are, and who uses how much of their memory. A program of its own,
 * because the driver's library is foreign code that a root process must not load. spaces-launcher
 * starts it without rights, with limits and a deadline, and checks every word that it says.
 *
 *   spaces-gpu --list  [options]   one JSON object: sandbox/gpu/slot.h
 *   spaces-gpu --watch [options]   one line {"usage": [...]} a second, until nobody reads
 *
 * Options: --provider auto|none|nvml|drm|fake, --shared IDS, --every-ms N, --root DIR. The fake
 * provider reads its file from standard input.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/str.h"
#include "sandbox/gpu/provider.h"

static const struct option table[] = {
    {"list", no_argument, NULL, 'l'},
    {"watch", no_argument, NULL, 'w'},
    {"provider", required_argument, NULL, 'p'},
    {"shared", required_argument, NULL, 's'},
    {"every-ms", required_argument, NULL, 'e'},
    {"root", required_argument, NULL, 'r'},
    {NULL, 0, NULL, 0},
};

static int print_list(const struct sp_gpu_options *options)
{
    SP_AUTO_BUF struct sp_buf out;
    struct sp_gpu_list list;
    int r;

    sp_buf_init(&out, SP_GPU_TEXT_MAX);
    sp_gpu_list_init(&list);
    sp_gpu_inventory(options, &list);
    sp_gpu_list_print(&list, &out);
    r = out.failed ? -1 : sp_write_all(STDOUT_FILENO, out.data, out.len);
    sp_gpu_list_done(&list);
    return r < 0 ? 1 : 0;
}

/* Ends when a reading fails: who started us tries again, and says so. */
static int watch(const struct sp_gpu_options *options, uint64_t every_ms)
{
    static struct sp_gpu_usage usage;
    const struct timespec pause = {(time_t)(every_ms / 1000), (long)(every_ms % 1000) * 1000000};
    struct sp_error err = {0};
    const struct sp_gpu_provider *provider = sp_gpu_provider_pick(options, &err);
    struct sp_gpu_list list;
    int r = 0;

    sp_gpu_list_init(&list);
    if (!provider || sp_gpu_provider_list(provider, options, &list, &err) < 0)
        r = -1;
    while (r == 0) {
        SP_AUTO_BUF struct sp_buf out;

        sp_buf_init(&out, SP_GPU_TEXT_MAX);
        r = provider->usage(options, &list, &usage, &err);
        if (r == 0)
            sp_gpu_usage_print(&usage, &out);
        if (r == 0 && (out.failed || sp_write_all(STDOUT_FILENO, out.data, out.len) < 0))
            r = -1;
        if (r == 0)
            (void)nanosleep(&pause, NULL);
    }
    if (err.msg[0])
        (void)fprintf(stderr, "spaces-gpu: %s\n", err.msg);
    sp_gpu_list_done(&list);
    return 1;
}

int main(int argc, char **argv)
{
    struct sp_gpu_options options = {"auto", "", "", STDIN_FILENO};
    uint64_t every_ms = 1000;
    int opt, what = 0;

    (void)signal(SIGPIPE, SIG_IGN);
    while ((opt = getopt_long(argc, argv, "", table, NULL)) != -1) {
        switch (opt) {
        case 'l':
        case 'w': what = opt; break;
        case 'p': options.provider = optarg; break;
        case 's': options.shared = optarg; break;
        case 'r': options.root = optarg; break;
        case 'e':
            if (!sp_parse_u64(sp_slice_str(optarg), 60000, &every_ms) || every_ms < 10)
                return 2;
            break;
        default: return 2;
        }
    }
    if (optind != argc || !what) {
        (void)fprintf(stderr,
                      "usage: spaces-gpu --list|--watch [--provider NAME] [--shared IDS]\n");
        return 2;
    }
    return what == 'l' ? print_list(&options) : watch(&options, every_ms);
}
