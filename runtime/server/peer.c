/* How many connections each address holds. */
#include "runtime/server/server-internal.h"

#include "base/mem.h"

struct sp_peer *sp_peer_get(struct sp_server *server, const struct sp_address *address)
{
    struct sp_slice key;
    struct sp_peer *peer;
    uint8_t bytes[16];

    sp_address_network(address, bytes);
    key = sp_slice((const char *)bytes, sizeof(bytes));
    peer = sp_map_get(&server->peers, key);
    if (!peer) {
        peer = sp_new0(struct sp_peer);
        memcpy(peer->key, bytes, sizeof(bytes));
        (void)sp_map_put(&server->peers, key, peer);
    }
    return peer;
}

void sp_peer_release(struct sp_server *server, struct sp_peer *peer)
{
    if (peer->connections > 0)
        return;
    (void)sp_map_remove(&server->peers, sp_slice((const char *)peer->key, sizeof(peer->key)));
    free(peer);
}
