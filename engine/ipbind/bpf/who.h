/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Whose socket answers at an address. A host service that listens on the
 * wildcard answers on every address of 127/8, a guest's private loopback
 * included, and may trust who comes from there. So whatever has a private
 * loopback at either end must end at a socket of the guest.
 */
#define NOBODY 0
#define OURS 1
#define OTHERS 2

/*
 * Only packet filters may ask for a socket's cgroup: c is null elsewhere. There
 * the address that it is bound to must do, which any user of the host can bind
 * too; the filters then see to it.
 */
INLINE int inside(cfg c, struct bpf_sock *sk)
{
	return c->level && bpf_sk_ancestor_cgroup_id(sk, c->level) == c->cgroup;
}

/* Who serves to:tport for from:fport; ports are in network order. */
INLINE int who4(cfg c, void *ctx, int proto, __u32 from, __u16 fport, __u32 to, __u16 tport)
{
	struct bpf_sock_tuple t = {};
	struct bpf_sock *sk;
	int who;

	t.ipv4.saddr = from;
	t.ipv4.sport = fport;
	t.ipv4.daddr = to;
	t.ipv4.dport = tport;
	if (proto == IPPROTO_TCP)
		sk = bpf_sk_lookup_tcp(ctx, &t, sizeof(t.ipv4), BPF_F_CURRENT_NETNS, 0);
	else
		sk = bpf_sk_lookup_udp(ctx, &t, sizeof(t.ipv4), BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return NOBODY;
	if (!c || public127(to)) /* that of another guest, which is not told apart */
		who = sk->src_ip4 == to ? OURS : OTHERS;
	else
		who = inside(c, sk) ? OURS : OTHERS;
	bpf_sk_release(sk);
	return who;
}

INLINE int who6(cfg c, void *ctx, int proto, struct in6 from, __u16 fport, struct in6 to, __u16 tport)
{
	struct bpf_sock_tuple t = {};
	struct bpf_sock *sk;
	struct in6 bound;
	int who;

	WRITE6(t.ipv6.saddr, from);
	t.ipv6.sport = fport;
	WRITE6(t.ipv6.daddr, to);
	t.ipv6.dport = tport;
	if (proto == IPPROTO_TCP)
		sk = bpf_sk_lookup_tcp(ctx, &t, sizeof(t.ipv6), BPF_F_CURRENT_NETNS, 0);
	else
		sk = bpf_sk_lookup_udp(ctx, &t, sizeof(t.ipv6), BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return NOBODY;
	bound = READ6(sk->src_ip6);
	who = (c ? inside(c, sk) : eq6(bound, to)) ? OURS : OTHERS;
	bpf_sk_release(sk);
	return who;
}
