/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Whose socket answers at an address. A host service that listens on the
 * wildcard answers on every address of 127/8, a guest's private loopback
 * included, and may trust who comes from there. So whatever has a private
 * loopback at either end must end at a socket that is bound to an address of
 * the guest; only this guest's own sockets are.
 */
#define NOBODY 0
#define OURS 1
#define OTHERS 2


/*
 * A socket that sendto bound has no address of its own to tell it by, but its
 * cgroup does. Only packet filters may ask for that: c is null elsewhere.
 */
INLINE int inside(cfg c, struct bpf_sock *sk)
{
	return c && c->level && bpf_sk_ancestor_cgroup_id(sk, c->level) == c->cgroup;
}

/* Who serves to:tport for from:fport; ports are in network order. A socket bound
 * to the very address is the guest's own: to is the guest's, so nobody else
 * binds to it. */
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
	who = sk->src_ip4 == to || (!sk->src_ip4 && inside(c, sk)) ? OURS : OTHERS;
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
	who = eq6(bound, to) || (any6(bound) && inside(c, sk)) ? OURS : OTHERS;
	bpf_sk_release(sk);
	return who;
}
