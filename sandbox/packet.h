/*
 * sandbox/packet.h - one packet of a fixed size with descriptors, over a SOCK_SEQPACKET socket:
 * what both conversations, with spacesd (launch.h) and with pid 1 of a sandbox (ctl.h), are made
 * of.
 */
#ifndef SP_SANDBOX_PACKET_H
#define SP_SANDBOX_PACKET_H

#include <stddef.h>

/* No conversation hands over more at once. */
#define SP_PACKET_FDS_MAX 7

/* 0 or negative errno: -EINVAL for too many descriptors, -EAGAIN when the other side does not read.
 */
int sp_packet_send(int sock, const void *data, size_t size, const int *fds, size_t n_fds);

/*
 * 1, 0 at the end of the conversation, or negative errno: -EPROTO for a packet of another size or
 * with more than `max_fds` descriptors, of which none is leaked. Those of a 1 are the caller's.
 */
int sp_packet_recv(int sock, void *ret, size_t size, int *fds, size_t max_fds, size_t *ret_n_fds);

#endif
