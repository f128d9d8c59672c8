#include "runtime/api/gate.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "runtime/api/tries.h"
#include "runtime/state/auth.h"
#include "runtime/config.h"
#include "runtime/daemon.h"
#include "runtime/server/address.h"
#include "runtime/server/server.h"
#include "ui-protocol/http1.h"

/* Where the answer to "who asks" came from: a cookie needs more care than a token. */
enum proof { PROOF_NONE, PROOF_TOKEN, PROOF_COOKIE, PROOF_BAD };

/* --- the Host --------------------------------------------------------------------------------- */

/* "name:port", "[v6]:port" or either without a port -> the name without brackets. */
static struct sp_slice host_name(struct sp_slice host)
{
    const char *end;

    if (host.len && host.ptr[0] == '[') {
        end = memchr(host.ptr, ']', host.len);
        return end ? sp_slice(host.ptr + 1, (size_t)(end - host.ptr) - 1) : sp_slice(NULL, 0);
    }
    end = memchr(host.ptr ? host.ptr : "", ':', host.len);
    return end ? sp_slice(host.ptr, (size_t)(end - host.ptr)) : host;
}

static bool is_ip_literal(struct sp_slice name)
{
    unsigned char addr[sizeof(struct in6_addr)];
    char text[64];

    if (name.len == 0 || name.len >= sizeof(text))
        return false;
    memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    return inet_pton(AF_INET, text, addr) == 1 || inet_pton(AF_INET6, text, addr) == 1;
}

/* The host part of "https://spaces.example.org:8443/". */
static struct sp_slice url_host(const char *url)
{
    const char *at = strstr(url, "://");
    const char *from = at ? at + 3 : url;

    return sp_slice(from, strcspn(from, "/"));
}

/* A name that somebody else's DNS points at us (rebinding) must not reach the hub. */
static bool host_is_ours(const struct sp_exchange *ex)
{
    const struct sp_http_request *req = sp_exchange_request(ex);
    const struct sp_config *config = sp_daemon_of(ex)->config;
    struct sp_slice name = host_name(req->host);
    const char *public_url = sp_config_str(config, "public_url");
    struct sp_slice own = host_name(url_host(public_url));

    if (req->host.len == 0)
        return req->minor == 0; /* HTTP/1.0 has none; a browser always sends one */
    if (is_ip_literal(name) || sp_slice_eq_nocase(name, "localhost"))
        return true;
    return own.len == name.len && own.len > 0 && strncasecmp(own.ptr, name.ptr, own.len) == 0;
}

/* --- who asks --------------------------------------------------------------------------------- */

static struct sp_slice bearer(const struct sp_http_request *req, const char *header)
{
    struct sp_slice value = sp_http_header(req, header);

    if (value.len < 7 || strncasecmp(value.ptr, "Bearer ", 7) != 0)
        return sp_slice(NULL, 0);
    return sp_slice_trim(sp_slice(value.ptr + 7, value.len - 7));
}

/* "http://host:port" of this hub, whether the request says so in Origin or in Host. */
static bool origin_is_ours(const struct sp_exchange *ex, struct sp_slice origin)
{
    struct sp_slice base = sp_slice_str(sp_exchange_base_url(ex));

    return origin.len == base.len && base.len > 0 &&
           strncasecmp(origin.ptr, base.ptr, base.len) == 0;
}

bool sp_gate_is_foreign(const struct sp_exchange *ex)
{
    struct sp_slice origin = sp_http_header(sp_exchange_request(ex), "origin");

    return origin.ptr && !origin_is_ours(ex, origin);
}

/* Did our own page send this? Sec-Fetch-Site cannot be forged by a page, nor can Origin. */
static bool same_origin(const struct sp_exchange *ex)
{
    const struct sp_http_request *req = sp_exchange_request(ex);
    struct sp_slice origin = sp_http_header(req, "origin");

    if (origin.ptr)
        return origin_is_ours(ex, origin);
    return sp_slice_eq_str(sp_http_header(req, "sec-fetch-site"), "same-origin");
}

/*
 * With a GET over plain http, off loopback, browsers tell neither Origin nor Sec-Fetch-Site. Then
 * the hub's page shows itself by our header, which another origin could send only after a preflight
 * that does not allow it; and its images by the Referer, which no page can choose.
 */
static bool hub_page_reads(const struct sp_exchange *ex)
{
    const struct sp_http_request *req = sp_exchange_request(ex);
    struct sp_slice base = sp_slice_str(sp_exchange_base_url(ex));
    struct sp_slice referer = sp_http_header(req, "referer");

    if ((req->method != SP_HTTP_GET && req->method != SP_HTTP_HEAD) ||
        sp_http_header(req, "origin").ptr || sp_http_header(req, "sec-fetch-site").ptr)
        return false;
    return sp_slice_eq_str(sp_http_header(req, "x-spaces-csrf"), "1") ||
           (base.len && referer.len > base.len && referer.ptr[base.len] == '/' &&
            strncasecmp(referer.ptr, base.ptr, base.len) == 0);
}

/*
 * Browsers let any page open a WebSocket to us and tell only the Origin; programs send none. There
 * is no other check against a page that talks to apps behind its visitor's back.
 */
static bool is_foreign_socket(const struct sp_exchange *ex)
{
    return sp_exchange_request(ex)->upgrade_websocket && sp_gate_is_foreign(ex);
}

static const struct sp_user *who(struct sp_exchange *ex, enum proof *ret)
{
    struct sp_auth *auth = sp_daemon_of(ex)->auth;
    const struct sp_http_request *req = sp_exchange_request(ex);
    struct sp_slice token = bearer(req, "authorization");
    struct sp_slice cookie;
    const struct sp_user *user;

    if (!token.ptr)
        token = bearer(req, "x-hf-authorization");
    if (token.ptr) {
        user = sp_auth_by_token(auth, token);
        *ret = user ? PROOF_TOKEN : PROOF_BAD;
        return user;
    }
    cookie = sp_http_cookie(req, SP_SESSION_COOKIE);
    user = cookie.ptr ? sp_auth_by_session(auth, cookie) : NULL;
    *ret = user ? PROOF_COOKIE : PROOF_NONE;
    return user;
}

const struct sp_user *sp_gate_user(const struct sp_exchange *ex)
{
    return sp_exchange_user(ex);
}

bool sp_gate_take_try(struct sp_exchange *ex)
{
    struct sp_daemon *daemon = sp_daemon_of(ex);
    unsigned max = (unsigned)sp_config_int(daemon->config, "login.tries");
    struct sp_address peer;
    char seconds[24];
    uint64_t wait_ms;

    if (!sp_address_parse(sp_slice_str(sp_exchange_peer(ex)), &peer) ||
        sp_tries_take(daemon->tries, &peer, max, sp_clock_mono_ms(), &wait_ms))
        return true;
    (void)snprintf(seconds, sizeof(seconds), "%u", (unsigned)(wait_ms / 1000) + 1);
    sp_reply_header(ex, "Retry-After", seconds);
    sp_reply_problem(ex, 429, "limit",
                     "too many wrong tokens came from your address: try again in %s s "
                     "(login.tries)",
                     seconds);
    return false;
}

void sp_gate_give_back_try(struct sp_exchange *ex)
{
    struct sp_address peer;

    if (sp_address_parse(sp_slice_str(sp_exchange_peer(ex)), &peer))
        sp_tries_give_back(sp_daemon_of(ex)->tries, &peer);
}

/* --- may they --------------------------------------------------------------------------------- */

bool sp_gate_may_own(const struct sp_user *user, const char *owner)
{
    return user && (user->is_admin || strcasecmp(user->name, owner) == 0);
}

bool sp_gate_may_read(const struct sp_user *user, const struct sp_space *space)
{
    return !space->is_private || sp_gate_may_own(user, space->owner);
}

bool sp_gate_may_write(const struct sp_user *user, const struct sp_space *space)
{
    return sp_gate_may_own(user, space->owner);
}

struct sp_space *sp_gate_space(const struct sp_exchange *ex)
{
    return sp_spaces_by_id(&sp_daemon_of(ex)->spaces, sp_exchange_space(ex));
}

static bool refuse_unknown_space(struct sp_exchange *ex)
{
    sp_reply_header(ex, "X-Error-Code", "RepoNotFound");
    sp_reply_header(ex, "X-Error-Message", "Repository not found");
    sp_reply_problem(ex, 404, "not_found",
                     "there is no Space '%s/%s', or it is private and not yours",
                     sp_exchange_param(ex, "owner"), sp_exchange_param(ex, "name"));
    return false;
}

static bool refuse_signed_out(struct sp_exchange *ex)
{
    sp_reply_problem(ex, 401, "denied", "sign in first, or send an access token");
    return false;
}

/*
 * From this very host, and not on behalf of somebody else: a proxy on this host that is not trusted
 * connects from here too, and says so.
 */
static bool is_local(const struct sp_exchange *ex)
{
    static const char *const forwarded[] = {"x-forwarded-for", "forwarded", "x-real-ip", "via"};
    struct sp_address peer;

    for (size_t i = 0; i < SP_LEN(forwarded); i++)
        if (sp_http_header(sp_exchange_request(ex), forwarded[i]).ptr)
            return false;
    return sp_address_parse(sp_slice_str(sp_exchange_peer(ex)), &peer) &&
           sp_address_is_loopback(&peer);
}

static bool check_admin(struct sp_exchange *ex, const struct sp_user *user)
{
    if (!user)
        return refuse_signed_out(ex);
    if (!user->is_admin)
        sp_reply_problem(ex, 403, "denied", "only operators may do that");
    return user->is_admin;
}

static bool check_monitor(struct sp_exchange *ex, const struct sp_user *user)
{
    const char *setting = sp_config_str(sp_daemon_of(ex)->config, "monitor.access");

    if (strcmp(setting, "anyone") == 0 || (strcmp(setting, "local") == 0 && is_local(ex)))
        return true;
    return check_admin(ex, user);
}

static bool check_space(struct sp_exchange *ex, const struct sp_user *user, enum sp_access access)
{
    struct sp_space *space = sp_spaces_by_name(
        &sp_daemon_of(ex)->spaces, sp_exchange_param(ex, "owner"), sp_exchange_param(ex, "name"));

    if (!space || !sp_gate_may_read(user, space))
        return refuse_unknown_space(ex);
    sp_exchange_set_space(ex, space->id);
    if (access != SP_ACCESS_SPACE_WRITE || sp_gate_may_write(user, space))
        return true;
    if (!user)
        return refuse_signed_out(ex);
    sp_reply_problem(ex, 403, "denied", "only %s and operators may do that", space->owner);
    return false;
}

static bool check_access(struct sp_exchange *ex, const struct sp_user *user, enum sp_access access)
{
    switch (access) {
    case SP_ACCESS_ANYONE: return true;
    case SP_ACCESS_SIGNED_IN: return user || refuse_signed_out(ex);
    case SP_ACCESS_ADMIN: return check_admin(ex, user);
    case SP_ACCESS_MONITOR: return check_monitor(ex, user);
    default: return check_space(ex, user, access);
    }
}

/* --- writes ----------------------------------------------------------------------------------- */

static bool is_write(const struct sp_exchange *ex)
{
    enum sp_http_method method = sp_exchange_request(ex)->method;

    return method != SP_HTTP_GET && method != SP_HTTP_HEAD && method != SP_HTTP_OPTIONS;
}

/*
 * A page of somebody else can make a browser send our cookie; it cannot set this header without a
 * preflight that we do not answer, nor forge Origin.
 */
static bool check_csrf(struct sp_exchange *ex)
{
    const struct sp_http_request *req = sp_exchange_request(ex);

    if (same_origin(ex) && sp_slice_eq_str(sp_http_header(req, "x-spaces-csrf"), "1"))
        return true;
    sp_reply_problem(ex, 403, "denied",
                     "this write did not come from the hub's own page (Origin and X-Spaces-CSRF)");
    return false;
}

bool sp_gate(struct sp_exchange *ex)
{
    enum sp_access access = sp_exchange_route(ex)->access;
    enum proof proof = PROOF_NONE;
    const struct sp_user *user;

    if (!host_is_ours(ex)) {
        sp_reply_problem(ex, 421, "invalid",
                         "this server does not answer for that Host (public_url)");
        return false;
    }
    if (is_foreign_socket(ex)) {
        sp_reply_problem(ex, 403, "denied",
                         "a WebSocket from a page of another origin is not taken");
        return false;
    }
    user = who(ex, &proof);
    if (proof == PROOF_BAD && !sp_gate_take_try(ex))
        return false;
    if (proof == PROOF_BAD) {
        sp_reply_problem(ex, 401, "denied", "Invalid credentials in Authorization header");
        return false;
    }
    /* Apps' pages may call /app from anywhere; the hub's cookie counts there only for the hub. */
    if (access == SP_ACCESS_APP && proof == PROOF_COOKIE && !same_origin(ex) && !hub_page_reads(ex))
        user = NULL;
    if (access != SP_ACCESS_APP && proof == PROOF_COOKIE && is_write(ex) && !check_csrf(ex))
        return false;
    sp_exchange_set_user(ex, user);
    return check_access(ex, user, access);
}
