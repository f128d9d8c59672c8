/*
 * runtime/api/gate.h - what every request must pass before its handler: is the Host ours, who asks,
 * may they, and does a write come from our own page. The rules are design section 4; docs/api.md
 * tells them to people.
 */
#ifndef SP_RUNTIME_API_GATE_H
#define SP_RUNTIME_API_GATE_H

#include <stdbool.h>

struct sp_exchange;
struct sp_space;
struct sp_user;

/* For sp_server_options.gate: false when it has answered (401, 403, 404, 421). */
bool sp_gate(struct sp_exchange *ex);

/* Who asks; NULL when nobody is signed in. */
const struct sp_user *sp_gate_user(const struct sp_exchange *ex);
/* The Space of :owner/:name, after a route with SPACE_READ, SPACE_WRITE or APP; never NULL there.
 */
struct sp_space *sp_gate_space(const struct sp_exchange *ex);

bool sp_gate_may_read(const struct sp_user *user, const struct sp_space *space);
bool sp_gate_may_write(const struct sp_user *user, const struct sp_space *space);
/* May this user create or change things under that owner's name? */
bool sp_gate_may_own(const struct sp_user *user, const char *owner);

/* A page of another origin sent this: its Origin says so. Programs send none. */
bool sp_gate_is_foreign(const struct sp_exchange *ex);

/*
 * One more wrong token, or one that may be wrong, from this client; false when there were too many
 * (login.tries), and then it has answered (429).
 */
bool sp_gate_take_try(struct sp_exchange *ex);
void sp_gate_give_back_try(struct sp_exchange *ex);

#define SP_SESSION_COOKIE "sp_session"

#endif
