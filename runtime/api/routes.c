/* Every path that spacesd answers, one row each; docs/api.md and docs/architecture.md name them. */
#include "runtime/api/handlers.h"

#define S "/api/spaces/:owner/:name"

const struct sp_route sp_routes[] = {
    /* probes */
    {"GET", "/healthz", SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, sp_probe_health},
    {"GET", "/readyz", SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, sp_probe_ready},
    {"GET", "/metrics", SP_ACCESS_MONITOR, SP_BODY_NONE, NULL, sp_probe_metrics},

    /* account */
    {"GET", "/api/whoami-v2", SP_ACCESS_SIGNED_IN, SP_BODY_NONE, NULL, sp_api_whoami},
    {"GET", "/api/session", SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, sp_api_session},
    {"POST", "/api/login", SP_ACCESS_ANYONE, SP_BODY_WHOLE, NULL, sp_api_login},
    {"POST", "/api/logout", SP_ACCESS_SIGNED_IN, SP_BODY_NONE, NULL, sp_api_logout},
    {"POST", "/api/users", SP_ACCESS_ADMIN, SP_BODY_WHOLE, NULL, sp_api_user_add},
    {"GET", "/api/users", SP_ACCESS_ADMIN, SP_BODY_NONE, NULL, sp_api_user_list},
    {"POST", "/api/users/:user/login-link", SP_ACCESS_SIGNED_IN, SP_BODY_NONE, NULL,
     sp_api_login_link},

    /* Spaces */
    {"GET", "/api/spaces", SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, sp_api_space_list},
    {"GET", "/api/spaces/hardware", SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, sp_api_hardware_list},
    {"GET", S, SP_ACCESS_SPACE_READ, SP_BODY_NONE, NULL, sp_api_space_show},
    {"DELETE", S, SP_ACCESS_SPACE_WRITE, SP_BODY_NONE, NULL, sp_api_space_delete},
    {"DELETE", "/api/repos/delete", SP_ACCESS_SIGNED_IN, SP_BODY_WHOLE, NULL, sp_api_repo_delete},
    {"POST", S "/deploy", SP_ACCESS_SIGNED_IN, SP_BODY_STREAM, "deploy.max_bytes",
     sp_api_space_deploy},
    {"POST", S "/duplicate", SP_ACCESS_SPACE_READ, SP_BODY_WHOLE, NULL, sp_api_space_duplicate},
    {"POST", S "/restart", SP_ACCESS_SPACE_WRITE, SP_BODY_NONE, NULL, sp_api_space_restart},
    {"POST", S "/pause", SP_ACCESS_SPACE_WRITE, SP_BODY_NONE, NULL, sp_api_space_pause},
    {"PUT", S "/settings", SP_ACCESS_SPACE_WRITE, SP_BODY_WHOLE, NULL, sp_api_space_settings},
    {"POST", S "/hardware", SP_ACCESS_SPACE_WRITE, SP_BODY_WHOLE, NULL, sp_api_space_hardware},
    {"POST", S "/sleeptime", SP_ACCESS_SPACE_WRITE, SP_BODY_WHOLE, NULL, sp_api_space_sleeptime},
    {"POST", S "/storage", SP_ACCESS_SPACE_WRITE, SP_BODY_WHOLE, NULL, sp_api_space_storage},
    {"DELETE", S "/storage", SP_ACCESS_SPACE_WRITE, SP_BODY_NONE, NULL,
     sp_api_space_storage_delete},
    {"POST", S "/network", SP_ACCESS_SPACE_WRITE, SP_BODY_WHOLE, NULL, sp_api_space_network},
    {"GET", S "/variables", SP_ACCESS_SPACE_WRITE, SP_BODY_NONE, NULL, sp_api_space_variables},
    {"POST", S "/variables", SP_ACCESS_SPACE_WRITE, SP_BODY_WHOLE, NULL, sp_api_space_variable_set},
    {"DELETE", S "/variables", SP_ACCESS_SPACE_WRITE, SP_BODY_WHOLE, NULL,
     sp_api_space_variable_delete},
    {"GET", S "/secrets", SP_ACCESS_SPACE_WRITE, SP_BODY_NONE, NULL, sp_api_space_secrets},
    {"POST", S "/secrets", SP_ACCESS_SPACE_WRITE, SP_BODY_WHOLE, NULL, sp_api_space_secret_set},
    {"DELETE", S "/secrets", SP_ACCESS_SPACE_WRITE, SP_BODY_WHOLE, NULL,
     sp_api_space_secret_delete},
    {"GET", S "/runtime", SP_ACCESS_SPACE_READ, SP_BODY_NONE, NULL, sp_api_space_runtime},
    {"GET", S "/events", SP_ACCESS_SPACE_READ, SP_BODY_NONE, NULL, sp_api_space_events},
    {"GET", S "/logs/run", SP_ACCESS_SPACE_WRITE, SP_BODY_NONE, NULL, sp_api_space_logs},
    {"GET", S "/queue", SP_ACCESS_SPACE_READ, SP_BODY_NONE, NULL, sp_api_space_queue},

    /* bases */
    {"GET", "/api/bases", SP_ACCESS_SIGNED_IN, SP_BODY_NONE, NULL, sp_api_base_list},
    {"POST", "/api/bases", SP_ACCESS_ADMIN, SP_BODY_WHOLE, NULL, sp_api_base_make},
    {"GET", "/api/bases/:base", SP_ACCESS_SIGNED_IN, SP_BODY_NONE, NULL, sp_api_base_show},
    {"DELETE", "/api/bases/:base", SP_ACCESS_ADMIN, SP_BODY_NONE, NULL, sp_api_base_remove},

    /* the host */
    {"GET", "/api/doctor", SP_ACCESS_MONITOR, SP_BODY_NONE, NULL, sp_api_doctor},
    {"GET", "/api/config", SP_ACCESS_ADMIN, SP_BODY_NONE, NULL, sp_api_config},

    /* apps: everything that a client of one app asks */
    {"GET", "/app/:owner/:name", SP_ACCESS_APP, SP_BODY_NONE, NULL, sp_page_app},
    {"GET", "/app/:owner/:name/", SP_ACCESS_APP, SP_BODY_NONE, NULL, sp_page_app},
    {"POST", "/app/:owner/:name/upload", SP_ACCESS_APP, SP_BODY_STREAM, "limit.upload",
     sp_page_app_rest},
    {"POST", "/app/:owner/:name/gradio_api/upload", SP_ACCESS_APP, SP_BODY_STREAM, "limit.upload",
     sp_page_app_rest},
    {"GET POST OPTIONS", "/app/:owner/:name/*rest", SP_ACCESS_APP, SP_BODY_WHOLE, NULL,
     sp_page_app_rest},

    /* pages */
    {"GET", "/", SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, sp_page_hub},
    {"GET", "/spaces", SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, sp_page_hub},
    {"GET", "/login", SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, sp_page_hub},
    {"GET", "/me", SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, sp_page_hub},
    {"GET", "/licenses", SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, sp_page_asset},
    {"GET", "/spaces/:owner/:name", SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, sp_page_space},
    {"GET", "/spaces/:owner/:name/*rest", SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, sp_page_space},
    {"GET", "/assets/*path", SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, sp_page_asset},
    {"GET", "/space-app.js", SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, sp_page_asset},
    {"GET", "/favicon.ico", SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, sp_page_asset},
    {NULL, NULL, SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, NULL},
};
