/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * What is remembered of a socket, for as long as the kernel has it. Sockets that
 * accept(2) gives have nothing remembered.
 */
struct known {
	__u32 flags, pad;
};

/* connect chose the source, for the socket had a port but no address. Never taken
 * back: what it sent meanwhile may still be on its way. */
#define STRAY 1
/* It is among the guest's sockets, and among those that hold a port. */
#define COUNTED 2
#define HAS_PORT 4
/* Its port stays taken for a while after it (TIME_WAIT), for everybody. */
#define LINGERS 8

/* sk is the context itself in programs that run for a socket as such. */
INLINE struct known *known(void *sk, __u64 flags)
{
	return bpf_sk_storage_get(MAP(SOCKETS_MAP), sk, NULL, flags);
}

INLINE int stray(struct bpf_sock *sk)
{
	struct known *k = known(sk, 0);

	return k && k->flags & STRAY;
}

/* Of a socket that has a port already: it keeps what it has. */
INLINE int keep_source(struct bpf_sock *sk, int unbound)
{
	struct known *k;

	if (!unbound)
		return 0;
	k = known(sk, BPF_SK_STORAGE_GET_F_CREATE);
	if (!k)
		return EADDRNOTAVAIL;
	k->flags |= STRAY;
	return 0;
}
