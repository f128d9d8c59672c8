/* The settings. A new setting is a new row here and nothing else; docs/config.md follows. */
#include "runtime/config-internal.h"

#include <string.h>
#include <sys/sysinfo.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "runtime/flavors.h"
#include "runtime/server/address.h"
#include "sandbox/network_options.h"

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

/* A spare holds no app: a process and about a megabyte of kernel memory. */
static uint64_t default_pool(void)
{
    struct sysinfo info;

    return sysinfo(&info) == 0 && (uint64_t)info.totalram * info.mem_unit < 2 * GIB ? 1 : 4;
}

static int check_level(const char *text, struct sp_error *err)
{
    if (sp_log_level_from_string(text) >= 0)
        return 0;
    return sp_error_set(err, SP_ERR_INVALID, 0, "expected debug, info, warn or error");
}

static int check_isolation(const char *text, struct sp_error *err)
{
    if (strcmp(text, "native") == 0)
        return 0;
    if (strcmp(text, "gvisor") == 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, 0,
                            "this version cannot run apps under gVisor (runsc) yet; set it to "
                            "native, and for strangers' code run spacesd in a virtual machine");
    return sp_error_set(err, SP_ERR_INVALID, 0, "expected native or gvisor");
}

static int check_monitor_access(const char *text, struct sp_error *err)
{
    if (strcmp(text, "local") == 0 || strcmp(text, "operators") == 0 || strcmp(text, "anyone") == 0)
        return 0;
    return sp_error_set(err, SP_ERR_INVALID, 0, "expected local, operators or anyone");
}

static int check_zygote(const char *text, struct sp_error *err)
{
    if (strcmp(text, "auto") == 0 || strcmp(text, "off") == 0)
        return 0;
    return sp_error_set(err, SP_ERR_INVALID, 0, "expected auto or off");
}

static int check_gpu_provider(const char *text, struct sp_error *err)
{
    static const char *const names[] = {"auto", "none", "nvml", "drm", "fake"};

    for (size_t i = 0; i < SP_LEN(names); i++)
        if (strcmp(text, names[i]) == 0)
            return 0;
    return sp_error_set(err, SP_ERR_INVALID, 0, "expected auto, none, nvml, drm or fake");
}

static int check_url(const char *text, struct sp_error *err)
{
    struct sp_slice url = sp_slice_str(text);

    if (url.len == 0 || sp_slice_starts(url, "http://") || sp_slice_starts(url, "https://"))
        return 0;
    return sp_error_set(err, SP_ERR_INVALID, 0,
                        "expected a URL such as https://spaces.example.org");
}

static int check_flavors(const char *text, struct sp_error *err)
{
    struct sp_flavor flavors[SP_FLAVORS_MAX];
    size_t n;

    return sp_flavors_parse(text, flavors, &n, err);
}

static int check_networks(const char *text, struct sp_error *err)
{
    struct sp_network *networks = NULL;
    size_t n;
    int r = sp_networks_parse(text, &networks, &n, err);

    free(networks);
    return r;
}

static int check_network_modes(const char *text, struct sp_error *err)
{
    unsigned modes;

    return sp_network_parse_modes(text, &modes, err);
}

static int check_network_range(const char *text, struct sp_error *err)
{
    uint32_t addr;
    unsigned bits;

    return sp_network_parse_range(text, &addr, &bits, err);
}

static int check_network_servers(const char *text, struct sp_error *err)
{
    uint32_t servers[SP_NETWORK_SERVERS];
    size_t n;

    return sp_network_parse_servers(text, servers, &n, err);
}

static int check_network_proxy(const char *text, struct sp_error *err)
{
    uint32_t addr;
    uint16_t port;

    return text[0] ? sp_network_parse_proxy(text, &addr, &port, err) : 0;
}

const struct sp_config_row sp_config_rows[] = {
    {"listen", SP_CONFIG_STR, "127.0.0.1:7860", ANY_TEXT, NULL, NULL,
     "Addresses and ports to listen on, divided by commas. Other than loopback needs insecure_http "
     "or a TLS front",
     NULL, NULL},
    {"public_url", SP_CONFIG_STR, "", ANY_TEXT, NULL, NULL,
     "Address that visitors use, such as https://spaces.example.org; empty: as the request names "
     "it",
     check_url, NULL},
    {"insecure_http", SP_CONFIG_BOOL, "false", FLAG, NULL, NULL,
     "Listen on an address that is not loopback without TLS in front", NULL, NULL},
    {"trusted_proxies", SP_CONFIG_STR, "", ANY_TEXT, NULL, NULL,
     "Addresses or networks (CIDR), divided by commas, whose X-Forwarded-For, -Proto and -Host "
     "count",
     check_networks, NULL},
    {"state", SP_CONFIG_STR, "/var/lib/spacesd", ANY_TEXT, NULL, NULL,
     "Folder of everything that is kept: store, journal, snapshots, files, logs", NULL, NULL},
    {"uid", SP_CONFIG_INT, "63910", 1, 4294967293, NULL, NULL,
     "Numeric user and group to run as when started by root and there is no user 'spacesd'", NULL,
     NULL},
    {"drain", SP_CONFIG_DURATION, "10s", 0, HOUR, NULL, NULL,
     "How long running requests may go on after SIGTERM", NULL,
     "test_a_stop_waits_for_a_running_request_no_longer_than_drain"},
    {"sandbox.allow_weak", SP_CONFIG_BOOL, "false", FLAG, NULL, NULL,
     "Run apps although this host cannot isolate them fully; every page says so", NULL, NULL},
    {"sandbox.isolation", SP_CONFIG_STR, "native", ANY_TEXT, NULL, NULL,
     "What keeps apps from the kernel: native (namespaces, filter, Landlock) or gvisor (not yet: "
     "refused)",
     check_isolation, NULL},

    {"sandbox.pool", SP_CONFIG_INT, "auto", 0, 64, "auto", default_pool,
     "Blank sandboxes kept ready for the next starts; auto is 4, or 1 on a host with less than 2 "
     "GiB "
     "of memory; 0: none",
     NULL, "test_the_pool_keeps_as_many_spares_as_it_is_told"},

    {"base.default", SP_CONFIG_STR, "host", 1, 63, NULL, NULL,
     "Base of a Space whose card names none: a name of 'spaces base ls', or host, which is this "
     "machine's own files and not reproducible",
     NULL, "test_the_operators_base_is_that_of_a_space_that_names_none"},
    {"base.mirror", SP_CONFIG_STR, "http://deb.debian.org/debian", ANY_TEXT, NULL, NULL,
     "Where 'spaces base create' takes Debian's packages from", NULL, NULL},
    {"base.packages", SP_CONFIG_STR, "", ANY_TEXT, NULL, NULL,
     "Debian packages that it puts into a base beside python3, divided by commas", NULL, NULL},
    {"base.max", SP_CONFIG_INT, "100", 1, 10000, NULL, NULL, "Bases of this host", NULL,
     "test_bases_end_at_the_limit"},
    {"base.max_bytes", SP_CONFIG_SIZE, "4G", MIB, TIB, NULL, NULL,
     "Files of one base, and what its image unpacks to", NULL,
     "test_a_bomb_of_bytes_ends_at_the_limit_and_its_disk_is_given_back"},
    {"base.max_files", SP_CONFIG_INT, "300000", 100, 100000000, NULL, NULL,
     "Files, folders and links of one base", NULL,
     "test_many_files_that_are_each_small_end_at_the_limits"},
    {"base.max_layers", SP_CONFIG_INT, "64", 1, 128, NULL, NULL, "Layers of an image", NULL,
     "test_layers_end_at_the_limit"},
    {"base.timeout", SP_CONFIG_DURATION, "30m", SECOND, DAY, NULL, NULL,
     "How long the making of a base may take", NULL, "test_a_base_that_takes_too_long_is_given_up"},

    {"network.allowed", SP_CONFIG_STR, "none", ANY_TEXT, NULL, NULL,
     "Networks that a Space may choose, divided by commas: none, outbound (public addresses), "
     "allow-list (names that it lists)",
     check_network_modes, NULL},
    {"network.range", SP_CONFIG_STR, "10.208.0.0/16", ANY_TEXT, NULL, NULL,
     "Private IPv4 range of 16 to 29 bits for Spaces with a network; used nowhere else on the host",
     check_network_range, NULL},
    {"network.dns", SP_CONFIG_STR, "", ANY_TEXT, NULL, NULL,
     "IPv4 addresses of up to four name servers, divided by commas, that our resolver asks; empty: "
     "those of /etc/resolv.conf",
     check_network_servers, NULL},
    {"network.connections", SP_CONFIG_INT, "256", 1, 65535, NULL, NULL,
     "Connections of one Space to the outside at a time; further ones are dropped", NULL,
     "test_a_flood_of_connections_ends_at_the_cap_and_others_still_connect"},
    {"network.proxy", SP_CONFIG_STR, "", ANY_TEXT, NULL, NULL,
     "The site's HTTP proxy, such as http://10.1.2.3:3128: outbound Spaces reach it in spite of a "
     "private address, and are told by http_proxy",
     check_network_proxy, NULL},

    {"gpu.provider", SP_CONFIG_STR, "auto", 3, 4, NULL, NULL,
     "Where GPU slots come from: auto, nvml (NVIDIA), drm (AMD, Intel), none, or fake "
     "(gpu.fake_file: for trying it without a GPU)",
     check_gpu_provider, "test_without_a_provider_gpu_hardware_has_the_reason"},
    {"gpu.fake_file", SP_CONFIG_STR, "", ANY_TEXT, NULL, NULL,
     "Inventory of the provider fake, as in docs/gpu.md", NULL,
     "test_a_space_with_gpu_hardware_sees_its_node_and_its_variables"},
    {"gpu.share", SP_CONFIG_STR, "", ANY_TEXT, NULL, NULL,
     "GPUs that Spaces share by memory, cooperatively: slot ids divided by commas, or all", NULL,
     "test_a_shared_slot_is_lent_by_memory_until_nothing_is_left"},

    {"log.level", SP_CONFIG_STR, "info", 4, 5, NULL, NULL,
     "Least level of the daemon's own log: debug, info, warn, error", check_level, NULL},
    {"log.max_bytes", SP_CONFIG_SIZE, "10M", 64 * KIB, TIB, NULL, NULL,
     "Size of what is kept of a Space's output, in two files", NULL,
     "test_files_are_rotated_and_never_exceed_the_limit"},
    {"log.rate", SP_CONFIG_INT, "1000", 1, 1000000, NULL, NULL,
     "Lines per second of a Space's output; the rest is dropped and counted", NULL,
     "test_above_the_rate_lines_are_dropped_and_counted"},
    {"log.ttl", SP_CONFIG_DURATION, "14d", HOUR, 3650 * DAY, NULL, NULL,
     "How long a Space's output is kept", NULL,
     "test_old_logs_are_removed_when_the_space_is_taken_up"},

    {"timeout.head", SP_CONFIG_DURATION, "10s", SECOND, HOUR, NULL, NULL,
     "From the first byte of a request to the end of its head", NULL,
     "test_half_a_head_and_silence_is_ended"},
    {"timeout.body", SP_CONFIG_DURATION, "30s", SECOND, HOUR, NULL, NULL,
     "Longest silence inside of a request body", NULL, "test_half_a_body_and_silence_is_ended"},
    {"timeout.keep_alive", SP_CONFIG_DURATION, "75s", SECOND, HOUR, NULL, NULL,
     "Longest silence between two requests of a connection", NULL,
     "test_an_idle_connection_is_ended"},
    {"timeout.write", SP_CONFIG_DURATION, "60s", SECOND, HOUR, NULL, NULL,
     "Longest time in which a client takes no byte of what waits for it", NULL,
     "test_a_reader_that_takes_nothing_is_ended"},
    {"timeout.ping", SP_CONFIG_DURATION, "30s", SECOND, HOUR, NULL, NULL,
     "Between pings on a silent WebSocket; one that stays unanswered for as long is closed", NULL,
     "test_a_silent_peer_is_pinged_and_then_dropped"},

    {"queue.grace", SP_CONFIG_DURATION, "15s", 0, HOUR, NULL, NULL,
     "How long a visitor without a stream keeps place and running call", NULL,
     "test_after_the_grace_a_running_request_is_cancelled"},
    {"queue.publish", SP_CONFIG_DURATION, "500ms", 10, MINUTE, NULL, NULL,
     "Least time between two estimates or progress messages about one request", NULL, NULL},
    {"queue.cancel_grace", SP_CONFIG_DURATION, "2s", 0, HOUR, NULL, NULL,
     "How long a cancelled function may go on before its worker is ended", NULL,
     "test_a_call_that_ignores_its_cancel_costs_the_worker_but_not_the_state_nor_the_space"},
    {"queue.max_size", SP_CONFIG_INT, "none", 0, 1000000, "none", NULL,
     "Waiting requests of one Space, where the app says nothing itself", NULL,
     "test_a_queue_that_the_app_does_not_bound_ends_at_the_limit"},
    {"queue.call_detached", SP_CONFIG_DURATION, "10m", SECOND, 7 * DAY, NULL, NULL,
     "How long a request made by /call waits for somebody to fetch it", NULL,
     "test_a_call_that_nobody_fetches_is_given_up"},
    {"result.ttl", SP_CONFIG_DURATION, "10m", SECOND, 7 * DAY, NULL, NULL,
     "How long the result of a request can be fetched again", NULL,
     "test_results_go_when_their_time_is_over"},
    {"upload.ttl", SP_CONFIG_DURATION, "24h", MINUTE, 365 * DAY, NULL, NULL,
     "How long an uploaded file is kept", NULL, "test_old_files_are_removed"},
    {"output.ttl", SP_CONFIG_DURATION, "1h", MINUTE, 365 * DAY, NULL, NULL,
     "How long a file that an app has made is kept", NULL, "test_old_files_are_removed"},
    {"login.ttl", SP_CONFIG_DURATION, "15m", MINUTE, 30 * DAY, NULL, NULL,
     "How long a one-time login link works", NULL, "test_links_and_sessions_end_with_their_time"},
    {"login.tries", SP_CONFIG_INT, "30", 1, 1000000, NULL, NULL,
     "Wrong tokens and login links of one IPv4 address or IPv6 /64 network in a minute; above it: "
     "429",
     NULL, "test_wrong_tokens_above_login_tries_are_refused_by_address"},
    {"monitor.access", SP_CONFIG_STR, "local", 5, 9, NULL, NULL,
     "Who may read /metrics and /api/doctor: operators; local: and whoever asks from this host "
     "itself, not through a proxy; anyone",
     check_monitor_access, "test_metrics_and_doctor_are_for_operators_and_for_this_host"},
    {"session.ttl", SP_CONFIG_DURATION, "30d", MINUTE, 365 * DAY, NULL, NULL,
     "How long a browser stays signed in", NULL, "test_links_and_sessions_end_with_their_time"},

    {"space.memory", SP_CONFIG_SIZE, "auto", 16 * MIB, 16 * TIB, "auto", default_space_memory,
     "Memory of one Space; auto is 16 GiB or a quarter of the host, the smaller", NULL,
     "test_an_app_that_eats_its_memory_is_killed_with_the_limit_named"},
    {"space.cpu", SP_CONFIG_INT, "2000", 10, 1024000, NULL, NULL,
     "CPU of one Space, in thousandths of a core", NULL, "test_cpu_stays_within_the_quota"},
    {"space.pids", SP_CONFIG_INT, "256", 8, 65536, NULL, NULL, "Processes and threads of one Space",
     NULL, "test_what_an_app_uses_ends_at_the_settings_of_spaces"},
    {"space.layer", SP_CONFIG_SIZE, "256M", MIB, TIB, NULL, NULL,
     "What a Space may write outside of its files; counts as its memory", NULL,
     "test_what_an_app_uses_ends_at_the_settings_of_spaces"},
    {"space.layer_inodes", SP_CONFIG_INT, "65536", 128, 100000000, NULL, NULL,
     "Files and folders in that layer", NULL,
     "test_what_an_app_uses_ends_at_the_settings_of_spaces"},
    {"space.shm", SP_CONFIG_SIZE, "64M", 64 * KIB, TIB, NULL, NULL,
     "Size of /dev/shm in a Space; counts as its memory", NULL,
     "test_what_an_app_uses_ends_at_the_settings_of_spaces"},
    {"space.disk_write", SP_CONFIG_SIZE, "64M", MIB, TIB, NULL, NULL,
     "Bytes a second that a Space may write to the disk of the state folder", NULL,
     "test_writes_to_the_disk_stay_below_the_rate"},
    {"space.nofile", SP_CONFIG_INT, "1024", 32, 1048576, NULL, NULL,
     "Open files of one process in a Space", NULL,
     "test_what_an_app_uses_ends_at_the_settings_of_spaces"},
    {"space.env", SP_CONFIG_SIZE, "8k", 64, 12 * KIB, NULL, NULL,
     "Variables and secrets of one Space together", NULL,
     "test_variables_and_secrets_end_at_the_limit"},
    {"space.flavors", SP_CONFIG_STR, "", ANY_TEXT, NULL, NULL,
     "Hardware that a Space may ask for beside cpu-basic, such as: cpu-small cpu=500 memory=1G; "
     "cpu-upgrade cpu=8000 memory=32G. Keys: cpu, memory, layer, shm, pids, gpus, gpu, gpu_memory; "
     "what is not said is as in the other space settings",
     check_flavors, NULL},
    {"storage.small", SP_CONFIG_SIZE, "1G", 16 * MIB, 16 * TIB, NULL, NULL,
     "Size of /data with the storage tier 'small'; existing ones grow with it", NULL,
     "test_bytes_in_data_end_and_another_space_goes_on"},
    {"storage.medium", SP_CONFIG_SIZE, "10G", 16 * MIB, 16 * TIB, NULL, NULL,
     "Size of /data with the storage tier 'medium'", NULL,
     "test_storage_grows_by_tier_and_keeps_what_is_in_it"},
    {"storage.large", SP_CONFIG_SIZE, "100G", 16 * MIB, 16 * TIB, NULL, NULL,
     "Size of /data with the storage tier 'large'", NULL,
     "test_storage_grows_by_tier_and_keeps_what_is_in_it"},
    {"storage.bytes_per_file", SP_CONFIG_SIZE, "16k", 4 * KIB, GIB, NULL, NULL,
     "One file or folder in /data for so many bytes of its size; fixed when it is made", NULL,
     "test_files_in_data_end"},
    {"space.freeze_after", SP_CONFIG_DURATION, "0", 0, 365 * DAY, NULL, NULL,
     "A Space that nobody has used for so long is held still, with its memory, until the next "
     "visit; 0: never. A Space's own sleep time goes before it",
     NULL, "test_a_space_that_nobody_uses_is_frozen_and_answers_the_next_call"},
    {"space.start_timeout", SP_CONFIG_DURATION, "5m", SECOND, DAY, NULL, NULL,
     "From the start of an app to its being ready", NULL,
     "test_an_app_that_says_nothing_is_ended_after_the_start_timeout"},
    {"space.stop_grace", SP_CONFIG_DURATION, "5s", 0, HOUR, NULL, NULL,
     "Between asking an app to stop and killing it", NULL,
     "test_stop_kills_a_program_that_ignores_term"},
    {"space.zygote", SP_CONFIG_STR, "auto", 3, 4, NULL, NULL,
     "auto: an app's first imports are done once per start of its sandbox, and its workers are "
     "forked from there; off: never",
     check_zygote, "test_the_zygote_can_be_switched_off"},
    {"space.backoff", SP_CONFIG_DURATION, "500ms", 10, HOUR, NULL, NULL,
     "Wait before the first restart of an app that has died; doubles with each, up to "
     "space.backoff_max",
     NULL, "test_an_app_that_dies_waits_for_its_restart"},
    {"space.backoff_max", SP_CONFIG_DURATION, "5m", SECOND, DAY, NULL, NULL,
     "Longest wait before a restart", NULL, "test_an_app_that_dies_waits_for_its_restart"},
    {"spaces.max_per_user", SP_CONFIG_INT, "100", 1, 1000000, NULL, NULL,
     "Spaces of one user; an admin may make more for anybody", NULL,
     "test_spaces_of_a_user_end_at_the_limit_but_not_for_an_admin"},
    {"users.max", SP_CONFIG_INT, "10000", 1, 1000000, NULL, NULL, "Users in all; above it: 429",
     NULL, "test_users_end_at_users_max"},
    {"users.max_tokens", SP_CONFIG_INT, "100", 2, 10000, NULL, NULL, "Access tokens of one user",
     NULL, "test_a_second_token_leaves_the_first_and_has_a_limit"},
    {"users.max_sessions", SP_CONFIG_INT, "100", 1, 10000, NULL, NULL,
     "Browsers in which one user is signed in; above it the one that ends first makes room", NULL,
     "test_the_101st_session_pushes_out_the_oldest"},
    {"users.max_links", SP_CONFIG_INT, "20", 1, 10000, NULL, NULL,
     "Login links of one user that nobody has used; above it the one that ends first makes room",
     NULL, "test_unused_login_links_make_room_for_new_ones"},

    {"deploy.max_files", SP_CONFIG_INT, "2000", 1, 1000000, NULL, NULL, "Files of one version",
     NULL, "test_a_version_has_so_many_files"},
    {"deploy.max_bytes", SP_CONFIG_SIZE, "1G", KIB, 16 * TIB, NULL, NULL, "Bytes of one version",
     NULL, "test_a_version_has_so_many_bytes"},
    {"deploy.parallel", SP_CONFIG_INT, "32", 1, 10000, NULL, NULL,
     "Versions that are being received at the same time; above it: 503", NULL,
     "test_versions_are_received_a_few_at_a_time"},
    {"journal.segment", SP_CONFIG_SIZE, "16M", 64 * KIB, 4 * GIB, NULL, NULL,
     "A new file of the queue's journal begins above this", NULL, NULL},
    {"journal.max_bytes", SP_CONFIG_SIZE, "1G", MIB, 16 * TIB, NULL, NULL,
     "The journal with its payloads; above it new requests are refused", NULL,
     "test_a_full_journal_refuses_new_requests_and_nothing_else"},
    {"store.max_bytes", SP_CONFIG_SIZE, "1G", MIB, 16 * TIB, NULL, NULL,
     "The store's database; above it writes are refused", NULL,
     "test_a_store_above_its_limit_refuses_puts_until_something_is_deleted"},

    {"limit.connections", SP_CONFIG_INT, "4096", 1, 1000000, NULL, NULL,
     "Open connections in all; above it the one that is idle for longest makes room, or: 503", NULL,
     "test_connections_above_limit_connections_are_refused"},
    {"limit.connections_per_address", SP_CONFIG_INT, "512", 1, 1000000, NULL, NULL,
     "Open connections of one IPv4 address or IPv6 /64 network; above it: 429. Trusted proxies are "
     "exempt",
     NULL, "test_connections_above_limit_connections_per_address_are_refused"},
    {"limit.head", SP_CONFIG_SIZE, "32k", KIB, 32 * KIB, NULL, NULL,
     "Request line and headers; above it: 431", NULL, "test_a_head_ends_at_the_limit"},
    {"limit.request_body", SP_CONFIG_SIZE, "1088k", KIB, GIB, NULL, NULL,
     "A request body that is read whole, and one WebSocket message; above it: 413, or close code "
     "1009",
     NULL, "test_a_body_ends_at_the_limit"},
    {"limit.body_memory", SP_CONFIG_SIZE, "64M", 64 * KIB, TIB, NULL, NULL,
     "All request heads, bodies and WebSocket messages being received; above it: 503, or close "
     "code 1013",
     NULL, "test_bodies_of_all_connections_stay_below_limit_body_memory"},
    {"limit.upload", SP_CONFIG_SIZE, "512M", KIB, 16 * TIB, NULL, NULL,
     "One upload request; above it: 413", NULL, "test_an_upload_ends_at_the_limit"},
    {"limit.stream_buffer", SP_CONFIG_SIZE, "1M", 16 * KIB, GIB, NULL, NULL,
     "What waits for one client that reads slowly; above it the stream is cut and can be resumed",
     NULL, "test_a_slow_reader_is_bounded_and_can_catch_up"},
    {"limit.stream_memory", SP_CONFIG_SIZE, "256M", 64 * KIB, TIB, NULL, NULL,
     "What waits for all clients that read slowly; above it streams are cut as at "
     "limit.stream_buffer",
     NULL, "test_all_slow_readers_share_limit_stream_memory"},
    {"limit.worker_line", SP_CONFIG_SIZE, "4M", 64 * KIB, GIB, NULL, NULL,
     "One message of a worker; above it the worker is ended", NULL,
     "test_a_line_without_end_ends_the_worker"},
    {"limit.result_memory", SP_CONFIG_SIZE, "256M", MIB, TIB, NULL, NULL,
     "Results kept for result.ttl; above it the oldest go first", NULL,
     "test_results_above_the_memory_limit_go_oldest_first"},
    {"limit.sessions", SP_CONFIG_INT, "10000", 1, 10000000, NULL, NULL,
     "Visitors' sessions with the queue, over all Spaces", NULL,
     "test_sessions_are_bounded_and_idle_ones_make_room"},
    {"limit.session_events", SP_CONFIG_INT, "100", 1, 100000, NULL, NULL,
     "Requests of one session that are not finished or not fetched", NULL,
     "test_what_a_session_may_queue_is_bounded"},
    {"limit.replay", SP_CONFIG_SIZE, "256k", KIB, GIB, NULL, NULL,
     "Messages kept for one session that lost its connection; without them it gets a snapshot",
     NULL, "test_without_replay_a_resume_gets_a_snapshot_and_then_edits"},
    {"limit.waiting", SP_CONFIG_INT, "100000", 1, 100000000, NULL, NULL,
     "Waiting requests over all Spaces; above it: 503", NULL,
     "test_waiting_is_bounded_over_all_spaces"},
    {"limit.files_per_space", SP_CONFIG_SIZE, "2G", MIB, 16 * TIB, NULL, NULL,
     "Uploads and outputs of one Space on disk", NULL,
     "test_uploads_at_the_same_time_share_the_quota_of_the_space"},
    {"limit.log_line", SP_CONFIG_SIZE, "8k", 256, MIB, NULL, NULL,
     "One line of an app's output; the rest of it is cut", NULL,
     "test_a_long_line_is_cut_but_not_inside_a_character"},
    {"limit.log_followers", SP_CONFIG_INT, "32", 1, 10000, NULL, NULL,
     "Clients that follow the output of one Space; above it: 429", NULL,
     "test_followers_of_an_output_end_at_the_limit"},
    {"limit.held", SP_CONFIG_INT, "1000", 1, 1000000, NULL, NULL,
     "Visitors' requests that are held while their app starts, over all Spaces; above it: 503",
     NULL, "test_requests_that_wait_for_a_start_end_at_the_limit"},
    {"limit.api_wait", SP_CONFIG_INT, "1000", 1, 1000000, NULL, NULL,
     "Requests of the API whose answer is held back until something changes; above it they are "
     "answered at once",
     NULL, "test_above_the_limit_of_waits_the_answer_comes_at_once"},
};

const unsigned sp_config_n_rows = SP_LEN(sp_config_rows);
