/* docs/api.md, Account: who am I, login, logout, users. */
#include "runtime/api/handlers.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "runtime/state/auth.h"
#include "runtime/config.h"
#include "runtime/daemon.h"
#include "runtime/api/gate.h"
#include "runtime/api/later.h"

void sp_api_whoami(struct sp_exchange *ex)
{
    const struct sp_user *user = sp_gate_user(ex);
    bool by_token = sp_http_header(sp_exchange_request(ex), "authorization").ptr != NULL;
    char created[SP_TIME_LEN];

    sp_clock_format(user->created_ms, created);
    sp_reply_json(ex, 200,
                  json_pack("{s:s, s:s, s:s, s:s, s:b, s:[], s:s, s:{s:s}}", "type", "user", "id",
                            user->name, "name", user->name, "fullname", user->name, "isAdmin",
                            user->is_admin, "orgs", "createdAt", created, "auth", "type",
                            by_token ? "access_token" : "session"));
}

/* As whoami for our pages: not to be signed in is an answer here, no error. */
void sp_api_session(struct sp_exchange *ex)
{
    const struct sp_user *user = sp_gate_user(ex);

    sp_reply_header(ex, "Cache-Control", "no-store");
    sp_reply_json(
        ex, 200,
        json_pack("{s:o, s:b}", "user",
                  user ? json_pack("{s:s, s:b}", "name", user->name, "isAdmin", user->is_admin)
                       : json_null(),
                  "weak_sandbox", !sp_daemon_of(ex)->host.complete));
}

/* --- login ------------------------------------------------------------------------------------ */

static void set_cookie(struct sp_exchange *ex, const char *value, uint64_t max_age_s)
{
    bool https = sp_slice_starts(sp_slice_str(sp_exchange_base_url(ex)), "https://");
    SP_AUTO_FREE char *cookie =
        sp_asprintf(SP_SESSION_COOKIE "=%s; Path=/; HttpOnly; SameSite=Lax; Max-Age=%llu%s", value,
                    (unsigned long long)max_age_s, https ? "; Secure" : "");

    sp_reply_header(ex, "Set-Cookie", cookie);
}

static void on_login(void *arg, const struct sp_error *err, const struct sp_user *user,
                     const char *secret)
{
    struct sp_exchange *ex = sp_later_take(arg);

    if (!ex)
        return;
    if (err && err->kind == SP_ERR_DENIED) {
        sp_reply_problem(ex, 401, "denied",
                         "this token is not valid, or the login link was used or is too old");
        return;
    }
    sp_gate_give_back_try(ex);
    if (err) {
        sp_reply_error(ex, err);
        return;
    }
    set_cookie(ex, secret, sp_config_duration(sp_daemon_of(ex)->config, "session.ttl") / 1000);
    sp_reply_json(ex, 200, json_pack("{s:s}", "name", user->name));
}

void sp_api_login(struct sp_exchange *ex)
{
    SP_AUTO_JSON json_t *body = NULL;
    struct sp_error err = {0};
    const char *token = "";

    /* Somebody else's page would sign the visitor in as them. */
    if (sp_gate_is_foreign(ex)) {
        sp_reply_problem(ex, 403, "denied", "sign in on the hub's own page");
        return;
    }
    if (sp_json_parse(sp_exchange_body(ex), &body, &err) < 0 ||
        sp_json_get_str(body, "token", &token, &err) < 0) {
        sp_reply_error(ex, &err);
        return;
    }
    if (!sp_gate_take_try(ex))
        return;
    sp_auth_login(sp_daemon_of(ex)->auth, sp_slice_str(token), on_login, sp_later_new(ex));
}

static void on_logout(void *arg, const struct sp_error *err, const struct sp_user *user,
                      const char *secret)
{
    struct sp_exchange *ex = sp_later_take(arg);

    (void)user;
    (void)secret;
    if (!ex)
        return;
    if (err) {
        sp_reply_error(ex, err);
        return;
    }
    set_cookie(ex, "", 0);
    sp_reply_empty(ex, 204);
}

void sp_api_logout(struct sp_exchange *ex)
{
    struct sp_slice cookie = sp_http_cookie(sp_exchange_request(ex), SP_SESSION_COOKIE);

    sp_auth_logout(sp_daemon_of(ex)->auth, cookie, on_logout, sp_later_new(ex));
}

/* --- users ------------------------------------------------------------------------------------ */

static char *login_url(struct sp_exchange *ex, const char *secret)
{
    return sp_asprintf("%s/login#%s", sp_exchange_base_url(ex), secret);
}

static void on_link(void *arg, const struct sp_error *err, const struct sp_user *user,
                    const char *secret)
{
    struct sp_exchange *ex = sp_later_take(arg);
    SP_AUTO_FREE char *url = NULL;

    (void)user;
    if (!ex)
        return;
    if (err) {
        sp_reply_error(ex, err);
        return;
    }
    url = login_url(ex, secret);
    sp_reply_json(ex, 200, json_pack("{s:s}", "login_url", url));
}

void sp_api_login_link(struct sp_exchange *ex)
{
    const char *name = sp_exchange_param(ex, "user");

    if (!sp_gate_may_own(sp_gate_user(ex), name)) {
        sp_reply_problem(ex, 403, "denied", "only %s and operators may do that", name);
        return;
    }
    sp_auth_add_login(sp_daemon_of(ex)->auth, name, on_link, sp_later_new(ex));
}

/* A new user's token, kept until the login link is stored too. */
struct new_user {
    struct sp_later *later;
    char name[97];
    char token[128];
};

static void on_first_link(void *arg, const struct sp_error *err, const struct sp_user *user,
                          const char *secret)
{
    SP_AUTO_FREE struct new_user *fresh = arg;
    struct sp_exchange *ex = sp_later_take(fresh->later);
    SP_AUTO_FREE char *url = NULL;

    (void)user;
    if (!ex)
        return;
    url = err ? NULL : login_url(ex, secret);
    sp_reply_json(ex, 201,
                  json_pack("{s:s, s:s, s:s?}", "name", fresh->name, "token", fresh->token,
                            "login_url", url));
}

static void on_user_added(void *arg, const struct sp_error *err, const struct sp_user *user,
                          const char *secret)
{
    struct sp_later *later = arg;
    struct new_user *fresh;
    struct sp_exchange *ex = sp_exchange_find(later->server, later->exchange);

    if (err || !ex) {
        free(later);
        if (ex)
            sp_reply_error(ex, err);
        return;
    }
    fresh = sp_new0(struct new_user);
    fresh->later = later;
    (void)snprintf(fresh->name, sizeof(fresh->name), "%s", user->name);
    (void)snprintf(fresh->token, sizeof(fresh->token), "%s", secret);
    sp_auth_add_login(sp_daemon_of(ex)->auth, fresh->name, on_first_link, fresh);
}

void sp_api_user_add(struct sp_exchange *ex)
{
    SP_AUTO_JSON json_t *body = NULL;
    struct sp_error err = {0};
    const char *name = "";

    if (sp_json_parse(sp_exchange_body(ex), &body, &err) < 0 ||
        sp_json_get_str(body, "name", &name, &err) < 0) {
        sp_reply_error(ex, &err);
        return;
    }
    sp_auth_add_user(sp_daemon_of(ex)->auth, name, false, on_user_added, sp_later_new(ex));
}

static void add_user_json(void *arg, const struct sp_user *user)
{
    char created[SP_TIME_LEN];

    sp_clock_format(user->created_ms, created);
    (void)json_array_append_new(arg, json_pack("{s:s, s:b, s:s}", "name", user->name, "isAdmin",
                                               user->is_admin, "createdAt", created));
}

void sp_api_user_list(struct sp_exchange *ex)
{
    json_t *list = json_array();

    sp_auth_each(sp_daemon_of(ex)->auth, add_user_json, list);
    sp_reply_json(ex, 200, list);
}
