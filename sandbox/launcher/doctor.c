/* `spaces-launcher --doctor`: what this host can isolate, as JSON on stdout, for /api/doctor. */
#include "sandbox/launcher/doctor.h"

#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/mem.h"
#include "sandbox/network/network.h"
#include "sandbox/probe.h"

/* What is not here is one of the walls. */
static const struct {
    const char *name, *group;
} groups[] = {
    {"CPU limit", "limits"},
    {"memory limit", "limits"},
    {"process limit", "limits"},
    {"kill by group", "limits"},
    {"no swap", "limits"},
    {"device filter", "limits"},
    {"disk weight", "limits"},
    {"disk write rate", "limits"},
    {"fixed OOM score", "limits"},
    {"pressure", "limits"},
    {"kept storage (/data)", "files"},
    {"writable layer", "files"},
    {"mounts with their own ids", "files"},
    {"outbound network", "network"},
};

static const char *const order[] = {"walls", "files", "limits", "network", "GPU"};

static const char *group_of(const char *name)
{
    for (size_t i = 0; i < SP_LEN(groups); i++)
        if (strcmp(groups[i].name, name) == 0)
            return groups[i].group;
    return strncmp(name, "GPU", 3) == 0 ? "GPU" : "walls";
}

static void put_item(struct sp_buf *out, const struct sp_probe_item *item)
{
    (void)sp_buf_printf(out, "{\"group\":\"%s\",\"name\":", group_of(item->name));
    (void)sp_buf_append_json_string(out, sp_slice_str(item->name));
    (void)sp_buf_printf(out, ",\"ok\":%s,\"required\":%s,\"why\":", item->on ? "true" : "false",
                        item->required ? "true" : "false");
    (void)sp_buf_append_json_string(out, sp_slice_str(item->why));
    (void)sp_buf_append_str(out, ",\"fix\":");
    (void)sp_buf_append_json_string(out, sp_slice_str(item->on || !item->how ? "" : item->how));
    (void)sp_buf_append_char(out, '}');
}

/* Whether Spaces may have more than none is the operator's to say; this is whether they could. */
static void put_network(struct sp_buf *out)
{
    struct sp_error err = {0};
    struct sp_probe_item item = {
        .name = "outbound network",
        .on = sp_network_probe(&err) == 0,
        .how = "install nftables, load nf_tables, bridge and veth, set sysctl "
               "net.ipv4.conf.UPLINK.forwarding=1, give a container CAP_NET_ADMIN. Without it "
               "Spaces have no network, whatever network.allowed says"};

    (void)snprintf(item.why, sizeof(item.why), "%.127s", err.msg);
    (void)sp_buf_append_char(out, ',');
    put_item(out, &item);
}

int sp_launcher_doctor(const char *state_path)
{
    SP_AUTO_BUF struct sp_buf out;
    struct sp_probe probe;

    sp_probe_run(&probe, state_path, NULL);
    sp_buf_init(&out, 0);
    (void)sp_buf_append_char(&out, '[');
    for (size_t g = 0; g < SP_LEN(order); g++) {
        for (size_t i = 0; i < probe.n; i++) {
            if (strcmp(group_of(probe.items[i].name), order[g]) != 0)
                continue;
            if (out.len > 1)
                (void)sp_buf_append_char(&out, ',');
            put_item(&out, &probe.items[i]);
        }
        if (strcmp(order[g], "network") == 0)
            put_network(&out);
    }
    (void)sp_buf_append_str(&out, "]\n");
    return sp_write_all(STDOUT_FILENO, out.data, out.len) < 0 ? 1 : 0;
}
