/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* bind(2): which address a socket really gets. */

/* The address to bind to instead of a; 0 is "not yours". */
INLINE __u32 bound4(cfg c, __u32 a)
{
	if (!a)
		return c->ip4[0] ? c->ip4[0] : c->lo4;
	if (in127(a))
		return c->lo4;
	return own4(c, a) ? a : 0;
}

SEC("cgroup/bind4")
int vsl_bind4(struct bpf_sock_addr *ctx)
{
	cfg c = CONFIG();
	__u32 a = bound4(c, ctx->user_ip4);

	if (!a)
		return refuse(EADDRNOTAVAIL);
	ctx->user_ip4 = a;
	return BIND_OK;
}

/*
 * A wildcard that also takes IPv4 gets the IPv6 address where there is one:
 * the kernel then makes the socket IPv6 only. With steer it gets the mapped
 * IPv4 address, with which the socket stays open to both.
 */
INLINE struct in6 wildcard6(cfg c, struct bpf_sock *sk)
{
	if (v6only(sk))
		return c->ip6[0].hi ? c->ip6[0] : c->lo6;
	if (c->ip6[0].hi && !(c->steer && c->ip4[0]))
		return c->ip6[0];
	return map6(bound4(c, 0));
}

SEC("cgroup/bind6")
int vsl_bind6(struct bpf_sock_addr *ctx)
{
	cfg c = CONFIG();
	struct in6 a = READ6(ctx->user_ip6), to = {};
	struct bpf_sock *sk = ctx->sk;

	if (!sk)
		return refuse(EADDRNOTAVAIL);
	if (any6(a)) {
		to = wildcard6(c, sk);
		if (any6(to)) {
			/*
			 * IPv6 only, in a guest without: unchanged servers ask
			 * for this beside 0.0.0.0 and stop where it fails. They
			 * get a socket that nobody can reach, on any free port
			 * of ::1, for which the packet filter lets nothing in.
			 */
			to.lo = LOOPBACK6_LO;
			ctx->user_port = 0;
		}
	} else if (loopback6(a)) {
		to = c->lo6;
		if (!to.hi && !v6only(sk))
			to = map6(c->lo4);
	} else if (mapped6(a)) {
		__u32 m = bound4(c, unmap6(a));

		if (m)
			to = map6(m);
	} else if (own6(c, a) || is_lo6(c, a)) {
		to = a;
	}
	if (any6(to))
		return refuse(EADDRNOTAVAIL);
	WRITE6(ctx->user_ip6, to);
	return BIND_OK;
}
