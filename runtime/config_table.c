/* The settings. A new setting is a new row here and nothing else; docs/config.md follows. */
#include "runtime/config-internal.h"

#include <sys/sysinfo.h>

#include "base/mem.h"

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

const struct sp_config_row sp_config_rows[] = {
    {"listen", SP_CONFIG_STR, "127.0.0.1:7860", ANY_TEXT, NULL, NULL,
     "Addresses and ports to listen on, divided by commas. Other than loopback needs insecure_http "
     "or a TLS front"},
    {"public_url", SP_CONFIG_STR, "", ANY_TEXT, NULL, NULL,
     "Address that visitors use, such as https://spaces.example.org; empty: as the request names "
     "it"},
    {"insecure_http", SP_CONFIG_BOOL, "false", FLAG, NULL, NULL,
     "Listen on an address that is not loopback without TLS in front"},
    {"trusted_proxies", SP_CONFIG_STR, "", ANY_TEXT, NULL, NULL,
     "Addresses or networks (CIDR), divided by commas, whose X-Forwarded-For, -Proto and -Host "
     "count"},
    {"state", SP_CONFIG_STR, "/var/lib/spacesd", ANY_TEXT, NULL, NULL,
     "Folder of everything that is kept: store, journal, snapshots, files, logs"},
    {"uid", SP_CONFIG_INT, "63910", 1, 4294967293, NULL, NULL,
     "Numeric user and group to run as when started by root and there is no user 'spacesd'"},
    {"drain", SP_CONFIG_DURATION, "10s", 0, HOUR, NULL, NULL,
     "How long running requests may go on after SIGTERM"},
    {"sandbox.allow_weak", SP_CONFIG_BOOL, "false", FLAG, NULL, NULL,
     "Run apps although this host cannot isolate them fully; every page says so"},

    {"log.level", SP_CONFIG_STR, "info", 4, 5, NULL, NULL,
     "Least level of the daemon's own log: debug, info, warn, error"},
    {"log.max_bytes", SP_CONFIG_SIZE, "10M", 64 * KIB, TIB, NULL, NULL,
     "Size of what is kept of a Space's output, in two files"},
    {"log.rate", SP_CONFIG_INT, "1000", 1, 1000000, NULL, NULL,
     "Lines per second of a Space's output; the rest is dropped and counted"},
    {"log.ttl", SP_CONFIG_DURATION, "14d", HOUR, 3650 * DAY, NULL, NULL,
     "How long a Space's output is kept"},

    {"timeout.head", SP_CONFIG_DURATION, "10s", SECOND, HOUR, NULL, NULL,
     "From the first byte of a request to the end of its head"},
    {"timeout.body", SP_CONFIG_DURATION, "30s", SECOND, HOUR, NULL, NULL,
     "Longest silence inside of a request body"},
    {"timeout.keep_alive", SP_CONFIG_DURATION, "75s", SECOND, HOUR, NULL, NULL,
     "Longest silence between two requests of a connection"},
    {"timeout.write", SP_CONFIG_DURATION, "60s", SECOND, HOUR, NULL, NULL,
     "Longest time in which a client takes no byte of what waits for it"},
    {"timeout.ping", SP_CONFIG_DURATION, "30s", SECOND, HOUR, NULL, NULL,
     "Between pings on a silent WebSocket; one that stays unanswered for as long is closed"},

    {"queue.grace", SP_CONFIG_DURATION, "15s", 0, HOUR, NULL, NULL,
     "How long a visitor without a stream keeps place and running call"},
    {"queue.publish", SP_CONFIG_DURATION, "500ms", 10, MINUTE, NULL, NULL,
     "Least time between two estimates or progress messages about one request"},
    {"queue.cancel_grace", SP_CONFIG_DURATION, "2s", 0, HOUR, NULL, NULL,
     "How long a cancelled function may go on before its worker is ended"},
    {"queue.max_size", SP_CONFIG_INT, "none", 0, 1000000, "none", NULL,
     "Waiting requests of one Space, where the app says nothing itself"},
    {"queue.call_detached", SP_CONFIG_DURATION, "10m", SECOND, 7 * DAY, NULL, NULL,
     "How long a request made by /call waits for somebody to fetch it"},
    {"result.ttl", SP_CONFIG_DURATION, "10m", SECOND, 7 * DAY, NULL, NULL,
     "How long the result of a request can be fetched again"},
    {"upload.ttl", SP_CONFIG_DURATION, "24h", MINUTE, 365 * DAY, NULL, NULL,
     "How long an uploaded file is kept"},
    {"output.ttl", SP_CONFIG_DURATION, "1h", MINUTE, 365 * DAY, NULL, NULL,
     "How long a file that an app has made is kept"},
    {"login.ttl", SP_CONFIG_DURATION, "15m", MINUTE, 30 * DAY, NULL, NULL,
     "How long a one-time login link works"},
    {"session.ttl", SP_CONFIG_DURATION, "30d", MINUTE, 365 * DAY, NULL, NULL,
     "How long a browser stays signed in"},

    {"space.memory", SP_CONFIG_SIZE, "auto", 16 * MIB, 16 * TIB, "auto", default_space_memory,
     "Memory of one Space; auto is 16 GiB or a quarter of the host, the smaller"},
    {"space.cpu", SP_CONFIG_INT, "2000", 10, 1024000, NULL, NULL,
     "CPU of one Space, in thousandths of a core"},
    {"space.pids", SP_CONFIG_INT, "256", 8, 65536, NULL, NULL,
     "Processes and threads of one Space"},
    {"space.layer", SP_CONFIG_SIZE, "256M", MIB, TIB, NULL, NULL,
     "What a Space may write outside of its files; counts as its memory"},
    {"space.layer_inodes", SP_CONFIG_INT, "65536", 128, 100000000, NULL, NULL,
     "Files and folders in that layer"},
    {"space.shm", SP_CONFIG_SIZE, "64M", 64 * KIB, TIB, NULL, NULL,
     "Size of /dev/shm in a Space; counts as its memory"},
    {"space.nofile", SP_CONFIG_INT, "1024", 32, 1048576, NULL, NULL,
     "Open files of one process in a Space"},
    {"space.start_timeout", SP_CONFIG_DURATION, "5m", SECOND, DAY, NULL, NULL,
     "From the start of an app to its being ready"},
    {"space.stop_grace", SP_CONFIG_DURATION, "5s", 0, HOUR, NULL, NULL,
     "Between asking an app to stop and killing it"},
    {"space.backoff", SP_CONFIG_DURATION, "1s", 10, HOUR, NULL, NULL,
     "Wait before the first restart of an app that has died; doubles with each, up to "
     "space.backoff_max"},
    {"space.backoff_max", SP_CONFIG_DURATION, "5m", SECOND, DAY, NULL, NULL,
     "Longest wait before a restart"},
    {"spaces.max_per_user", SP_CONFIG_INT, "100", 1, 1000000, NULL, NULL,
     "Spaces of one user; an admin has no limit"},
    {"users.max", SP_CONFIG_INT, "10000", 1, 1000000, NULL, NULL, "Users in all"},

    {"deploy.max_files", SP_CONFIG_INT, "2000", 1, 1000000, NULL, NULL, "Files of one version"},
    {"deploy.max_bytes", SP_CONFIG_SIZE, "1G", KIB, 16 * TIB, NULL, NULL, "Bytes of one version"},
    {"journal.segment", SP_CONFIG_SIZE, "16M", 64 * KIB, 4 * GIB, NULL, NULL,
     "A new file of the queue's journal begins above this"},
    {"journal.max_bytes", SP_CONFIG_SIZE, "1G", MIB, 16 * TIB, NULL, NULL,
     "The journal with its payloads; above it new requests are refused"},
    {"store.max_bytes", SP_CONFIG_SIZE, "1G", MIB, 16 * TIB, NULL, NULL,
     "The store's database; above it writes are refused"},

    {"limit.connections", SP_CONFIG_INT, "4096", 1, 1000000, NULL, NULL,
     "Open connections in all; above it: 503"},
    {"limit.connections_per_address", SP_CONFIG_INT, "512", 1, 1000000, NULL, NULL,
     "Open connections of one IPv4 address or IPv6 /64 network; above it: 429. Trusted proxies are "
     "exempt"},
    {"limit.head", SP_CONFIG_SIZE, "32k", KIB, 32 * KIB, NULL, NULL,
     "Request line and headers; above it: 431"},
    {"limit.request_body", SP_CONFIG_SIZE, "1088k", KIB, GIB, NULL, NULL,
     "A request body that is read whole, and one WebSocket message; above it: 413, or close code "
     "1009"},
    {"limit.body_memory", SP_CONFIG_SIZE, "64M", 64 * KIB, TIB, NULL, NULL,
     "All request heads, bodies and WebSocket messages being received; above it: 503, or close "
     "code 1013"},
    {"limit.upload", SP_CONFIG_SIZE, "512M", KIB, 16 * TIB, NULL, NULL,
     "One upload request; above it: 413"},
    {"limit.stream_buffer", SP_CONFIG_SIZE, "1M", 16 * KIB, GIB, NULL, NULL,
     "What waits for one client that reads slowly; above it the stream is cut and can be resumed"},
    {"limit.stream_memory", SP_CONFIG_SIZE, "256M", 64 * KIB, TIB, NULL, NULL,
     "What waits for all clients that read slowly; above it streams are cut as at "
     "limit.stream_buffer"},
    {"limit.worker_line", SP_CONFIG_SIZE, "4M", 64 * KIB, GIB, NULL, NULL,
     "One message of a worker; above it the worker is ended"},
    {"limit.result_memory", SP_CONFIG_SIZE, "256M", MIB, TIB, NULL, NULL,
     "Results kept for result.ttl; above it the oldest go first"},
    {"limit.sessions", SP_CONFIG_INT, "10000", 1, 10000000, NULL, NULL,
     "Visitors' sessions with the queue, over all Spaces"},
    {"limit.session_events", SP_CONFIG_INT, "100", 1, 100000, NULL, NULL,
     "Requests of one session that are not finished or not fetched"},
    {"limit.replay", SP_CONFIG_SIZE, "256k", KIB, GIB, NULL, NULL,
     "Messages kept for one session that lost its connection; without them it gets a snapshot"},
    {"limit.waiting", SP_CONFIG_INT, "100000", 1, 100000000, NULL, NULL,
     "Waiting requests over all Spaces; above it: 503"},
    {"limit.files_per_space", SP_CONFIG_SIZE, "2G", MIB, 16 * TIB, NULL, NULL,
     "Uploads and outputs of one Space on disk"},
    {"limit.log_line", SP_CONFIG_SIZE, "8k", 256, MIB, NULL, NULL,
     "One line of an app's output; the rest of it is cut"},
    {"limit.log_followers", SP_CONFIG_INT, "32", 1, 10000, NULL, NULL,
     "Clients that follow the output of one Space"},
    {"limit.api_wait", SP_CONFIG_INT, "1000", 1, 1000000, NULL, NULL,
     "Requests of the API whose answer is held back until something changes; above it they are "
     "answered at once"},
};

const unsigned sp_config_n_rows = SP_LEN(sp_config_rows);
