/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * sendto(2) and sendmsg(2) of UDP, for each datagram that has a destination or
 * a control message: the source is what the socket is bound to or what
 * IP_PKTINFO asks for, and becomes the guest's.
 */

SEC("cgroup/sendmsg4")
int vsl_sendmsg4(struct bpf_sock_addr *ctx)
{
	cfg c = CONFIG();
	__u32 a = ctx->user_ip4, src = ctx->msg_src_ip4;
	struct bpf_sock *sk = ctx->sk;
	struct way4 w = {};
	int err;

	if (!sk)
		return refuse(EPERM);
	/* A connected socket with a control message only: where it goes was
	 * settled by connect, and what is written here is not used. */
	if (!a && !ctx->user_port && ctx->user_family == AF_UNSPEC)
		a = sk->dst_ip4;
	if (in127(src) && !private127(src))
		src = c->lo4;
	if (src && src != c->lo4 && !own4(c, src))
		return refuse(EADDRNOTAVAIL);
	err = route4(c, ctx, a, src, &w);
	if (!err && !may_hold(c, sk))
		err = EAGAIN;
	if (err)
		return refuse(err);
	ctx->user_ip4 = w.to;
	ctx->msg_src_ip4 = src ? src : w.from;
	return 1;
}

/* The kernel has no way from here to IPv4: ::1 of a guest without IPv6 is
 * refused for unconnected sockets. */
SEC("cgroup/sendmsg6")
int vsl_sendmsg6(struct bpf_sock_addr *ctx)
{
	cfg c = CONFIG();
	struct in6 a = READ6(ctx->user_ip6), src = READ6(ctx->msg_src_ip6);
	struct bpf_sock *sk = ctx->sk;
	struct way6 w = {};
	int err;

	if (!sk)
		return refuse(EPERM);
	if (any6(a) && !ctx->user_port && ctx->user_family == AF_UNSPEC)
		a = READ6(sk->dst_ip6);
	if (loopback6(src))
		src = c->lo6;
	if (!any6(src) && !is_lo6(c, src) && !own6(c, src))
		return refuse(EADDRNOTAVAIL);
	err = route6(c, ctx, a, src, &w);
	if (!err && !may_hold(c, sk))
		err = EAGAIN;
	if (err)
		return refuse(err);
	WRITE6(ctx->user_ip6, w.to);
	WRITE6(ctx->msg_src_ip6, any6(src) ? w.from : src);
	return 1;
}
