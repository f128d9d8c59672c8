/* The hub's pages and their files. What an app's clients ask below /app goes on to
 * runtime/app/app.h.
 */
#include "runtime/api/handlers.h"

#include <string.h>

#include "runtime/app/app.h"
#include "runtime/api/assets.h"
#include "runtime/daemon.h"
#include "runtime/api/gate.h"

static bool accepts_gzip(const struct sp_exchange *ex)
{
    return sp_http_header_has_token(sp_exchange_request(ex), "accept-encoding", "gzip");
}

/* Does the client have this very content already (RFC 9110 13.1.2)? */
static bool is_known(const struct sp_exchange *ex, const char *etag)
{
    struct sp_slice list = sp_http_header(sp_exchange_request(ex), "if-none-match");
    struct sp_slice item;

    while (sp_slice_split(&list, ',', &item)) {
        item = sp_slice_trim(item);
        if (sp_slice_starts(item, "W/"))
            item = sp_slice(item.ptr + 2, item.len - 2);
        if (sp_slice_eq_str(item, etag) || sp_slice_eq_str(item, "*"))
            return true;
    }
    return false;
}

static void send_asset(struct sp_exchange *ex, int status, const struct sp_asset *asset)
{
    bool gzip = accepts_gzip(ex);

    sp_reply_header(ex, "ETag", asset->etag);
    sp_reply_header(ex, "Vary", "Accept-Encoding");
    sp_reply_header(ex, "Cache-Control",
                    asset->immutable ? "public, max-age=31536000, immutable" : "no-cache");
    if (status == 200 && is_known(ex, asset->etag)) {
        sp_reply_empty(ex, 304);
        return;
    }
    if (gzip)
        sp_reply_header(ex, "Content-Encoding", "gzip");
    sp_reply_static(ex, status, asset->type, gzip ? sp_asset_gz(asset) : sp_asset_raw(asset));
}

static void send_page(struct sp_exchange *ex, int status, enum sp_page page)
{
    sp_reply_header(ex, "Content-Security-Policy", SP_PAGE_CSP);
    sp_reply_header(ex, "Referrer-Policy", "same-origin");
    sp_reply_header(ex, "Cross-Origin-Opener-Policy", "same-origin");
    send_asset(ex, status, sp_asset_page(page));
}

void sp_page_hub(struct sp_exchange *ex)
{
    send_page(ex, 200, SP_PAGE_HUB);
}

/* The same file for every Space, but a Space that the asker may not know of is 404 here, too. */
void sp_page_space(struct sp_exchange *ex)
{
    const struct sp_space *space = sp_spaces_by_name(
        &sp_daemon_of(ex)->spaces, sp_exchange_param(ex, "owner"), sp_exchange_param(ex, "name"));

    send_page(ex, space && sp_gate_may_read(sp_gate_user(ex), space) ? 200 : 404, SP_PAGE_HUB);
}

void sp_page_app(struct sp_exchange *ex)
{
    send_page(ex, 200, SP_PAGE_APP);
}

void sp_page_app_rest(struct sp_exchange *ex)
{
    sp_apps_handle(sp_daemon_of(ex)->apps, ex);
}

void sp_page_asset(struct sp_exchange *ex)
{
    struct sp_slice path = sp_exchange_request(ex)->path;
    const struct sp_asset *asset = sp_asset_find(path);

    if (!asset && sp_slice_eq_str(path, "/favicon.ico")) {
        sp_reply_empty(ex, 204);
        return;
    }
    if (!asset) {
        sp_reply_problem(ex, 404, "not_found", "there is no such file");
        return;
    }
    send_asset(ex, 200, asset);
}
