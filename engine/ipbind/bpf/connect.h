/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * connect(2) and sendto(2): where a socket really goes, and from which address.
 *
 * The guest's wildcard listeners are on its address, not on its loopback. So
 * "localhost" means: whatever of the guest's serves the port on the private
 * loopback, else on the guest's address.
 */
struct way4 {
	__u32 from, to;
};

struct way6 {
	struct in6 from, to;
};

INLINE __u32 localhost4(cfg c, struct bpf_sock_addr *ctx)
{
	__u16 port = ctx->user_port;
	int proto = ctx->protocol;

	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP)
		return c->lo4;
	if (who4(NULL, ctx, proto, c->lo4, 0, c->lo4, port) == OURS)
		return c->lo4;
	if (c->ip4[0] && who4(NULL, ctx, proto, c->lo4, 0, c->ip4[0], port) == OURS)
		return c->ip4[0];
	return proto == IPPROTO_TCP ? 0 : c->lo4;
}

/* The way to a for a socket bound to bound (0: unbound); or an error. */
INLINE int route4(cfg c, struct bpf_sock_addr *ctx, __u32 a, __u32 bound, struct way4 *w)
{
	int local;

	if (!a)
		a = own4(c, bound) ? bound : LOOPBACK4;
	if (in127(a)) {
		if (a != c->lo4 && private127(a))
			return ECONNREFUSED;
		w->from = c->lo4;
		w->to = localhost4(c, ctx);
		return w->to ? 0 : ECONNREFUSED;
	}
	w->from = c->ip4[0];
	w->to = a;
	/* An address in 127/8 is no local peer to the host's services. */
	local = bound == c->lo4 || public127(bound ? bound : w->from);
	if (own4(c, a)) {
		if (local && ctx->protocol == IPPROTO_TCP &&
		    who4(NULL, ctx, IPPROTO_TCP, w->from, 0, a, ctx->user_port) != OURS)
			return ECONNREFUSED;
		return 0;
	}
	if (!c->ip4[0])
		return ENETUNREACH;
	if (public127(a) && (!public127(w->from) || (ctx->protocol == IPPROTO_TCP &&
	    who4(NULL, ctx, IPPROTO_TCP, w->from, 0, a, ctx->user_port) != OURS)))
		return ECONNREFUSED;
	return bound == c->lo4 || (local && !public127(a)) ? EINVAL : 0;
}

INLINE struct in6 localhost6(cfg c, struct bpf_sock_addr *ctx)
{
	__u16 port = ctx->user_port;
	int proto = ctx->protocol;
	struct in6 none = {};

	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP)
		return c->lo6;
	if (who6(NULL, ctx, proto, c->lo6, 0, c->lo6, port) == OURS)
		return c->lo6;
	if (c->ip6[0].hi && who6(NULL, ctx, proto, c->lo6, 0, c->ip6[0], port) == OURS)
		return c->ip6[0];
	return proto == IPPROTO_TCP ? none : c->lo6;
}

/* The same for an address that is IPv6 and no mapped IPv4. */
INLINE int route6(cfg c, struct bpf_sock_addr *ctx, struct in6 a, struct in6 bound, struct way6 *w)
{
	if (any6(a) && own6(c, bound))
		a = bound;
	if (any6(a) || loopback6(a) || is_lo6(c, a)) {
		if (!c->lo6.hi)
			return ECONNREFUSED;
		w->from = c->lo6;
		w->to = localhost6(c, ctx);
		return w->to.hi ? 0 : ECONNREFUSED;
	}
	if (a.hi == LO6_NET)
		return ECONNREFUSED;
	w->from = c->ip6[0];
	w->to = a;
	if (own6(c, a)) {
		if (is_lo6(c, bound) && ctx->protocol == IPPROTO_TCP &&
		    who6(NULL, ctx, IPPROTO_TCP, bound, 0, a, ctx->user_port) != OURS)
			return ECONNREFUSED;
		return 0;
	}
	if (!c->ip6[0].hi)
		return ENETUNREACH;
	return is_lo6(c, bound) ? EINVAL : 0;
}

struct sockaddr4 {
	__u16 family;
	__be16 port;
	__u32 addr;
	__u64 pad;
};

struct sockaddr6 {
	__u16 family;
	__be16 port;
	__u32 flow;
	__u32 addr[4];
	__u32 scope;
};

/* Gives an unbound socket its source. The port stays open until connect picks
 * one, as with IP_BIND_ADDRESS_NO_PORT. A socket that has a port keeps what it
 * has: the packet filter sees to it that nothing foreign leaves. */
INLINE int source6(struct bpf_sock_addr *ctx, struct bpf_sock *sk, struct in6 from)
{
	struct sockaddr6 sa = {};

	if (sk->src_port)
		return keep_source(sk, any6((struct in6)READ6(sk->src_ip6)));
	sa.family = AF_INET6;
	WRITE6(sa.addr, from);
	return bpf_bind(ctx, (struct sockaddr *)&sa, sizeof(sa)) ? EADDRNOTAVAIL : 0;
}

INLINE int source4(struct bpf_sock_addr *ctx, struct bpf_sock *sk, __u32 from)
{
	struct sockaddr4 sa = {};

	if (sk->src_port)
		return keep_source(sk, !sk->src_ip4);
	sa.family = AF_INET;
	sa.addr = from;
	return bpf_bind(ctx, (struct sockaddr *)&sa, sizeof(sa)) ? EADDRNOTAVAIL : 0;
}

/*
 * A loopback address without a port is what an earlier connect left behind, and
 * AF_UNSPEC does not take away: glibc tries addresses that way. It is no
 * reason to refuse the next one.
 */
#define LEFT_BEHIND(sk, is_loopback) (!(sk)->src_port && (is_loopback))

/* Also runs for an AF_INET address given to an IPv6 UDP socket. */
SEC("cgroup/connect4")
int vsl_connect4(struct bpf_sock_addr *ctx)
{
	cfg c = CONFIG();
	struct bpf_sock *sk = ctx->sk;
	struct way4 w = {};
	__u32 bound;
	int err;

	if (!sk)
		return refuse(EPERM);
	bound = sk->src_ip4;
	if (LEFT_BEHIND(sk, bound == c->lo4))
		bound = 0;
	err = route4(c, ctx, ctx->user_ip4, bound, &w);
	if (!err && !may_hold(c, sk))
		err = EADDRNOTAVAIL;
	if (!err && !bound)
		err = ctx->family == AF_INET6 ? source6(ctx, sk, map6(w.from)) :
						source4(ctx, sk, w.from);
	if (err)
		return refuse(err);
	ctx->user_ip4 = w.to;
	return 1;
}

/* Whether ::1 and :: mean the mapped private loopback for this socket. */
INLINE int falls_back(cfg c, struct in6 a, struct in6 bound, struct bpf_sock *sk)
{
	if (!any6(a) && !loopback6(a))
		return 0;
	if (mapped6(bound))
		return any6(a);
	return !c->lo6.hi && any6(bound) && !v6only(sk);
}

SEC("cgroup/connect6")
int vsl_connect6(struct bpf_sock_addr *ctx)
{
	cfg c = CONFIG();
	struct in6 a = READ6(ctx->user_ip6), bound;
	struct bpf_sock *sk = ctx->sk;
	struct way6 w = {};
	int err;

	if (!sk)
		return refuse(EPERM);
	bound = READ6(sk->src_ip6);
	if (LEFT_BEHIND(sk, is_lo6(c, bound) || (mapped6(bound) && unmap6(bound) == c->lo4)))
		bound = (struct in6){ 0 };
	if (falls_back(c, a, bound, sk))
		a = map6(LOOPBACK4);
	if (mapped6(a)) {
		struct way4 w4 = {};

		err = route4(c, ctx, unmap6(a), mapped6(bound) ? unmap6(bound) : 0, &w4);
		w.from = map6(w4.from);
		w.to = map6(w4.to);
	} else {
		err = route6(c, ctx, a, bound, &w);
	}
	if (!err && !may_hold(c, sk))
		err = EADDRNOTAVAIL;
	if (!err && any6(bound))
		err = source6(ctx, sk, w.from);
	if (err)
		return refuse(err);
	WRITE6(ctx->user_ip6, w.to);
	return 1;
}
