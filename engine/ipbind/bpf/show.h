/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * getsockname(2), getpeername(2), recvfrom(2): the private loopback looks like
 * 127.0.0.1 or ::1. So does the guest's address at the end of a connection that
 * has the private loopback at its other end: it was meant as localhost.
 */
INLINE __u32 shown4(cfg c, __u32 a, __u32 other)
{
	if (a == c->lo4 || (other == c->lo4 && own4(c, a)))
		return LOOPBACK4;
	return a;
}

INLINE struct in6 shown6(cfg c, struct in6 a, struct in6 other)
{
	struct in6 one = { 0, (__u64)bpf_htonl(1) << 32 };

	if (mapped6(a))
		return map6(shown4(c, unmap6(a), mapped6(other) ? unmap6(other) : 0));
	if (is_lo6(c, a) || (is_lo6(c, other) && own6(c, a)))
		return one;
	return a;
}

#define GET_4(f) (f)
#define GET_6(f) READ6(f)
#define PUT_4(f, a) ((f) = (a))
#define PUT_6(f, a) WRITE6(f, a)
#define SAME_4(a, b) ((a) == (b))
#define SAME_6(a, b) eq6(a, b)

/* A program that shows an address, knowing the connection's other end (src or
 * dst of the socket) where `when` holds. */
#define SHOW(name, word, type, end, when)                                      \
	SEC("cgroup/" #name)                                                   \
	int vsl_##name(struct bpf_sock_addr *ctx)                              \
	{                                                                      \
		type a = GET_##word(ctx->user_ip##word), other = { 0 }, s;     \
		struct bpf_sock *sk = ctx->sk;                                 \
		cfg c = CONFIG();                                              \
                                                                               \
		if (sk && (when))                                              \
			other = GET_##word(sk->end##_ip##word);                \
		s = shown##word(c, a, other);                                     \
		if (!SAME_##word(s, a))                                        \
			PUT_##word(ctx->user_ip##word, s);                     \
		return 1;                                                      \
	}

SHOW(getsockname4, 4, __u32, dst, 1)
SHOW(getpeername4, 4, __u32, src, 1)
SHOW(getsockname6, 6, struct in6, dst, 1)
SHOW(getpeername6, 6, struct in6, src, 1)

/*
 * Of a datagram, the sender may look like localhost only to a socket that is
 * connected to it: another one has to answer it by its address.
 */
SHOW(recvmsg4, 4, __u32, src, sk->dst_ip4 == a)
SHOW(recvmsg6, 6, struct in6, src, eq6(READ6(sk->dst_ip6), a))
