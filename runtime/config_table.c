/* The settings. A new setting is a new row here and nothing else; docs/config.md follows. */
#include "runtime/config-internal.h"

#include <sys/sysinfo.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "runtime/address.h"

#define KIB      (1ull << 10)
#define MIB      (1ull << 20)
#define GIB      (1ull << 30)
#define TIB      (1ull << 40)
#define SECOND   1000ull
#define MINUTE   (60 * SECOND)
#define HOUR     (60 * MINUTE)
#define DAY      (24 * HOUR)
#define ANY_TEXT 0, 4096
#define FLAG     0, 1

/* cpu-basic has 16 GB on Hugging Face; a small host gives a quarter of itself. */
static uint64_t default_space_memory(void)
{
    struct sysinfo info;
    uint64_t quarter = 512 * MIB;

    if (sysinfo(&info) == 0)
        quarter = (uint64_t)info.totalram * info.mem_unit / 4;
    return quarter < 16 * GIB ? quarter : 16 * GIB;
}

static int check_level(const char *text, struct sp_error *err)
{
    if (sp_log_level_from_string(text) >= 0)
        return 0;
    return sp_error_set(err, SP_ERR_INVALID, 0, "expected debug, info, warn or error");
}

static int check_url(const char *text, struct sp_error *err)
{
    struct sp_slice url = sp_slice_str(text);

    if (url.len == 0 || sp_slice_starts(url, "http://") || sp_slice_starts(url, "https://"))
        return 0;
    return sp_error_set(err, SP_ERR_INVALID, 0,
                        "expected a URL such as https://spaces.example.org");
}

static int check_networks(const char *text, struct sp_error *err)
{
    struct sp_network *networks = NULL;
    size_t n;
    int r = sp_networks_parse(text, &networks, &n, err);

    free(networks);
    return r;
}

const struct sp_config_row sp_config_rows[] = {
    {"listen", SP_CONFIG_STR, "127.0.0.1:7860", ANY_TEXT, NULL, NULL,
     "Addresses and ports to listen on, divided by commas. Other than loopback needs insecure_http "
     "or a TLS front",
     NULL},
    {"public_url", SP_CONFIG_STR, "", ANY_TEXT, NULL, NULL,
     "Address that visitors use, such as https://spaces.example.org; empty: as the request names "
     "it",
     check_url},
    {"insecure_http", SP_CONFIG_BOOL, "false", FLAG, NULL, NULL,
     "Listen on an address that is not loopback without TLS in front", NULL},
    {"trusted_proxies", SP_CONFIG_STR, "", ANY_TEXT, NULL, NULL,
     "Addresses or networks (CIDR), divided by commas, whose X-Forwarded-For, -Proto and -Host "
     "count",
     check_networks},
    {"state", SP_CONFIG_STR, "/var/lib/spacesd", ANY_TEXT, NULL, NULL,
     "Folder of everything that is kept: store, journal, snapshots, files, logs", NULL},
    {"uid", SP_CONFIG_INT, "63910", 1, 4294967293, NULL, NULL,
     "Numeric user and group to run as when started by root and there is no user 'spacesd'", NULL},
    {"drain", SP_CONFIG_DURATION, "10s", 0, HOUR, NULL, NULL,
     "How long running requests may go on after SIGTERM", NULL},
    {"sandbox.allow_weak", SP_CONFIG_BOOL, "false", FLAG, NULL, NULL,
     "Run apps although this host cannot isolate them fully; every page says so", NULL},

    {"log.level", SP_CONFIG_STR, "info", 4, 5, NULL, NULL,
     "Least level of the daemon's own log: debug, info, warn, error", check_level},
    {"log.max_bytes", SP_CONFIG_SIZE, "10M", 64 * KIB, TIB, NULL, NULL,
     "Size of what is kept of a Space's output, in two files", NULL},
    {"log.rate", SP_CONFIG_INT, "1000", 1, 1000000, NULL, NULL,
     "Lines per second of a Space's output; the rest is dropped and counted", NULL},
    {"log.ttl", SP_CONFIG_DURATION, "14d", HOUR, 3650 * DAY, NULL, NULL,
     "How long a Space's output is kept", NULL},

    {"timeout.head", SP_CONFIG_DURATION, "10s", SECOND, HOUR, NULL, NULL,
     "From the first byte of a request to the end of its head", NULL},
    {"timeout.body", SP_CONFIG_DURATION, "30s", SECOND, HOUR, NULL, NULL,
     "Longest silence inside of a request body", NULL},
    {"timeout.keep_alive", SP_CONFIG_DURATION, "75s", SECOND, HOUR, NULL, NULL,
     "Longest silence between two requests of a connection", NULL},
    {"timeout.write", SP_CONFIG_DURATION, "60s", SECOND, HOUR, NULL, NULL,
     "Longest time in which a client takes no byte of what waits for it", NULL},
    {"timeout.ping", SP_CONFIG_DURATION, "30s", SECOND, HOUR, NULL, NULL,
     "Between pings on a silent WebSocket; one that stays unanswered for as long is closed", NULL},

    {"queue.grace", SP_CONFIG_DURATION, "15s", 0, HOUR, NULL, NULL,
     "How long a visitor without a stream keeps place and running call", NULL},
    {"queue.publish", SP_CONFIG_DURATION, "500ms", 10, MINUTE, NULL, NULL,
     "Least time between two estimates or progress messages about one request", NULL},
    {"queue.cancel_grace", SP_CONFIG_DURATION, "2s", 0, HOUR, NULL, NULL,
     "How long a cancelled function may go on before its worker is ended", NULL},
    {"queue.max_size", SP_CONFIG_INT, "none", 0, 1000000, "none", NULL,
     "Waiting requests of one Space, where the app says nothing itself", NULL},
    {"queue.call_detached", SP_CONFIG_DURATION, "10m", SECOND, 7 * DAY, NULL, NULL,
     "How long a request made by /call waits for somebody to fetch it", NULL},
    {"result.ttl", SP_CONFIG_DURATION, "10m", SECOND, 7 * DAY, NULL, NULL,
     "How long the result of a request can be fetched again", NULL},
    {"upload.ttl", SP_CONFIG_DURATION, "24h", MINUTE, 365 * DAY, NULL, NULL,
     "How long an uploaded file is kept", NULL},
    {"output.ttl", SP_CONFIG_DURATION, "1h", MINUTE, 365 * DAY, NULL, NULL,
     "How long a file that an app has made is kept", NULL},
    {"login.ttl", SP_CONFIG_DURATION, "15m", MINUTE, 30 * DAY, NULL, NULL,
     "How long a one-time login link works", NULL},
    {"session.ttl", SP_CONFIG_DURATION, "30d", MINUTE, 365 * DAY, NULL, NULL,
     "How long a browser stays signed in", NULL},

    {"space.memory", SP_CONFIG_SIZE, "auto", 16 * MIB, 16 * TIB, "auto", default_space_memory,
     "Memory of one Space; auto is 16 GiB or a quarter of the host, the smaller", NULL},
    {"space.cpu", SP_CONFIG_INT, "2000", 10, 1024000, NULL, NULL,
     "CPU of one Space, in thousandths of a core", NULL},
    {"space.pids", SP_CONFIG_INT, "256", 8, 65536, NULL, NULL, "Processes and threads of one Space",
     NULL},
    {"space.layer", SP_CONFIG_SIZE, "256M", MIB, TIB, NULL, NULL,
     "What a Space may write outside of its files; counts as its memory", NULL},
    {"space.layer_inodes", SP_CONFIG_INT, "65536", 128, 100000000, NULL, NULL,
     "Files and folders in that layer", NULL},
    {"space.shm", SP_CONFIG_SIZE, "64M", 64 * KIB, TIB, NULL, NULL,
     "Size of /dev/shm in a Space; counts as its memory", NULL},
    {"space.nofile", SP_CONFIG_INT, "1024", 32, 1048576, NULL, NULL,
     "Open files of one process in a Space", NULL},
    {"space.start_timeout", SP_CONFIG_DURATION, "5m", SECOND, DAY, NULL, NULL,
     "From the start of an app to its being ready", NULL},
    {"space.stop_grace", SP_CONFIG_DURATION, "5s", 0, HOUR, NULL, NULL,
     "Between asking an app to stop and killing it", NULL},
    {"space.backoff", SP_CONFIG_DURATION, "500ms", 10, HOUR, NULL, NULL,
     "Wait before the first restart of an app that has died; doubles with each, up to "
     "space.backoff_max",
     NULL},
    {"space.backoff_max", SP_CONFIG_DURATION, "5m", SECOND, DAY, NULL, NULL,
     "Longest wait before a restart", NULL},
    {"spaces.max_per_user", SP_CONFIG_INT, "100", 1, 1000000, NULL, NULL,
     "Spaces of one user; an admin may make more for anybody", NULL},
    {"users.max", SP_CONFIG_INT, "10000", 1, 1000000, NULL, NULL, "Users in all", NULL},

    {"deploy.max_files", SP_CONFIG_INT, "2000", 1, 1000000, NULL, NULL, "Files of one version",
     NULL},
    {"deploy.max_bytes", SP_CONFIG_SIZE, "1G", KIB, 16 * TIB, NULL, NULL, "Bytes of one version",
     NULL},
    {"deploy.parallel", SP_CONFIG_INT, "32", 1, 10000, NULL, NULL,
     "Versions that are being received at the same time; above it: 503", NULL},
    {"journal.segment", SP_CONFIG_SIZE, "16M", 64 * KIB, 4 * GIB, NULL, NULL,
     "A new file of the queue's journal begins above this", NULL},
    {"journal.max_bytes", SP_CONFIG_SIZE, "1G", MIB, 16 * TIB, NULL, NULL,
     "The journal with its payloads; above it new requests are refused", NULL},
    {"store.max_bytes", SP_CONFIG_SIZE, "1G", MIB, 16 * TIB, NULL, NULL,
     "The store's database; above it writes are refused", NULL},

    {"limit.connections", SP_CONFIG_INT, "4096", 1, 1000000, NULL, NULL,
     "Open connections in all; above it the one that is idle for longest makes room, or: 503",
     NULL},
    {"limit.connections_per_address", SP_CONFIG_INT, "512", 1, 1000000, NULL, NULL,
     "Open connections of one IPv4 address or IPv6 /64 network; above it: 429. Trusted proxies are "
     "exempt",
     NULL},
    {"limit.head", SP_CONFIG_SIZE, "32k", KIB, 32 * KIB, NULL, NULL,
     "Request line and headers; above it: 431", NULL},
    {"limit.request_body", SP_CONFIG_SIZE, "1088k", KIB, GIB, NULL, NULL,
     "A request body that is read whole, and one WebSocket message; above it: 413, or close code "
     "1009",
     NULL},
    {"limit.body_memory", SP_CONFIG_SIZE, "64M", 64 * KIB, TIB, NULL, NULL,
     "All request heads, bodies and WebSocket messages being received; above it: 503, or close "
     "code 1013",
     NULL},
    {"limit.upload", SP_CONFIG_SIZE, "512M", KIB, 16 * TIB, NULL, NULL,
     "One upload request; above it: 413", NULL},
    {"limit.stream_buffer", SP_CONFIG_SIZE, "1M", 16 * KIB, GIB, NULL, NULL,
     "What waits for one client that reads slowly; above it the stream is cut and can be resumed",
     NULL},
    {"limit.stream_memory", SP_CONFIG_SIZE, "256M", 64 * KIB, TIB, NULL, NULL,
     "What waits for all clients that read slowly; above it streams are cut as at "
     "limit.stream_buffer",
     NULL},
    {"limit.worker_line", SP_CONFIG_SIZE, "4M", 64 * KIB, GIB, NULL, NULL,
     "One message of a worker; above it the worker is ended", NULL},
    {"limit.result_memory", SP_CONFIG_SIZE, "256M", MIB, TIB, NULL, NULL,
     "Results kept for result.ttl; above it the oldest go first", NULL},
    {"limit.sessions", SP_CONFIG_INT, "10000", 1, 10000000, NULL, NULL,
     "Visitors' sessions with the queue, over all Spaces", NULL},
    {"limit.session_events", SP_CONFIG_INT, "100", 1, 100000, NULL, NULL,
     "Requests of one session that are not finished or not fetched", NULL},
    {"limit.replay", SP_CONFIG_SIZE, "256k", KIB, GIB, NULL, NULL,
     "Messages kept for one session that lost its connection; without them it gets a snapshot",
     NULL},
    {"limit.waiting", SP_CONFIG_INT, "100000", 1, 100000000, NULL, NULL,
     "Waiting requests over all Spaces; above it: 503", NULL},
    {"limit.files_per_space", SP_CONFIG_SIZE, "2G", MIB, 16 * TIB, NULL, NULL,
     "Uploads and outputs of one Space on disk", NULL},
    {"limit.log_line", SP_CONFIG_SIZE, "8k", 256, MIB, NULL, NULL,
     "One line of an app's output; the rest of it is cut", NULL},
    {"limit.log_followers", SP_CONFIG_INT, "32", 1, 10000, NULL, NULL,
     "Clients that follow the output of one Space; above it: 429", NULL},
    {"limit.held", SP_CONFIG_INT, "1000", 1, 1000000, NULL, NULL,
     "Visitors' requests that are held while their app starts, over all Spaces; above it: 503",
     NULL},
    {"limit.api_wait", SP_CONFIG_INT, "1000", 1, 1000000, NULL, NULL,
     "Requests of the API whose answer is held back until something changes; above it they are "
     "answered at once",
     NULL},
};

const unsigned sp_config_n_rows = SP_LEN(sp_config_rows);
