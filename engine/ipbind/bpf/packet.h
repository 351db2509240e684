/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The last net, for what has no hook: listen(2) and sendto(2) bind an unbound
 * socket to the wildcard without asking anybody, and ping sockets bind and send
 * without hooks. Nothing leaves with a source, and nothing enters with a
 * destination, that is not the guest's. The cost is some twenty instructions
 * per packet; sockets are looked up only for datagrams and for the second
 * packet of a connection, and only with a private loopback at one end.
 */
#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define TCP_SYN_ACK 0x12

#define DROP 0
#define PASS 1

struct ports {
	__be16 from, to;
};

/* One packet's ends, whatever the family. */
struct flow {
	int proto;
	__u32 off; /* of the transport header */
};

/*
 * A packet between the private loopback and an address of the guest.
 * Out: a datagram must go to a socket of the guest's, or to none at all, which
 * the kernel answers. In: the second packet of a TCP handshake must come from
 * a socket of the guest's. Asked at this point there is no race: the answering
 * socket exists, and without the third packet nothing is ever delivered to it.
 * For datagrams a race remains, of the time between here and the receiver.
 */
#define LOCAL(ctx, f, out, who, s, d)                                          \
	({                                                                     \
		struct ports p_;                                               \
		int pass_ = PASS;                                              \
                                                                               \
		if ((f).proto == IPPROTO_UDP && (out)) {                       \
			if (bpf_skb_load_bytes(ctx, (f).off, &p_, sizeof(p_)) || \
			    who(c, ctx, IPPROTO_UDP, s, p_.from, d, p_.to) == OTHERS) \
				pass_ = DROP;                                  \
		} else if ((f).proto == IPPROTO_TCP && !(out)) {               \
			__u8 flags_;                                           \
                                                                               \
			if (bpf_skb_load_bytes(ctx, (f).off, &p_, sizeof(p_)) || \
			    bpf_skb_load_bytes(ctx, (f).off + 13, &flags_, 1)) \
				pass_ = DROP;                                  \
			else if ((flags_ & TCP_SYN_ACK) == TCP_SYN_ACK &&      \
				 who(c, ctx, IPPROTO_TCP, d, p_.to, s, p_.from) != OURS) \
				pass_ = DROP;                                  \
		} else if ((f).proto != IPPROTO_TCP && (f).proto != IPPROTO_UDP && \
			   (f).proto != IPPROTO_ICMP && (f).proto != IPPROTO_ICMPV6) { \
			pass_ = DROP;                                          \
		}                                                              \
		pass_;                                                         \
	})

struct head4 {
	__u8 ihl : 4, version : 4;
	__u8 tos;
	__u16 rest[3];
	__u8 ttl, proto;
	__u16 sum;
	__u32 s, d;
};

struct head6 {
	__u8 start[6];
	__u8 proto, hops;
	__u32 s[4], d[4];
};

/*
 * A ping socket that is not bound gets its source from the route, which is the
 * host's. Nothing can change that, and only echo requests come from it.
 */
INLINE int unbound(struct __sk_buff *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	if (!sk)
		return 0;
	sk = bpf_sk_fullsock(sk);
	return sk && !sk->src_ip4 && any6((struct in6)READ6(sk->src_ip6));
}

/* Most packets are to or from the first address. */
INLINE int mine4(cfg c, __u32 a)
{
	return a && (a == c->ip4[0] || own4(c, a));
}

INLINE int mine6(cfg c, struct in6 a)
{
	return a.hi && (eq6(a, c->ip6[0]) || own6(c, a));
}

INLINE int out4(cfg c, struct __sk_buff *ctx, __u32 s, __u32 d, struct flow f)
{
	if (s == c->lo4)
		return d == c->lo4 || own4(c, d) ? LOCAL(ctx, f, 1, who4, s, d) : DROP;
	if (mine4(c, s)) {
		if (d == c->lo4 || public127(d) || (public127(s) && own4(c, d)))
			return LOCAL(ctx, f, 1, who4, s, d);
		/* From 127/8 to the host, TCP can only be an answer to a client
		 * there: connect never goes to it. */
		if (public127(s))
			return f.proto == IPPROTO_TCP && !private127(d);
		return !in127(d);
	}
	return f.proto == IPPROTO_ICMP && unbound(ctx);
}

INLINE int in4(cfg c, struct __sk_buff *ctx, __u32 s, __u32 d, struct flow f)
{
	if (f.proto == IPPROTO_ICMP)
		return PASS;
	if (d != c->lo4 && !mine4(c, d))
		return DROP;
	if (d == c->lo4 || s == c->lo4 || public127(s) || public127(d))
		return LOCAL(ctx, f, 0, who4, s, d);
	return PASS;
}

INLINE int out6(cfg c, struct __sk_buff *ctx, struct in6 s, struct in6 d, struct flow f)
{
	if (is_lo6(c, s))
		return is_lo6(c, d) || own6(c, d) ? LOCAL(ctx, f, 1, who6, s, d) : DROP;
	if (mine6(c, s)) {
		if (is_lo6(c, d))
			return LOCAL(ctx, f, 1, who6, s, d);
		return d.hi != LO6_NET && !loopback6(d);
	}
	return f.proto == IPPROTO_ICMPV6 && unbound(ctx);
}

INLINE int into6(cfg c, struct __sk_buff *ctx, struct in6 s, struct in6 d, struct flow f)
{
	if (f.proto == IPPROTO_ICMPV6)
		return PASS;
	if (!is_lo6(c, d) && !mine6(c, d))
		return DROP;
	if (is_lo6(c, d) || is_lo6(c, s))
		return LOCAL(ctx, f, 0, who6, s, d);
	return PASS;
}

#define FILTER(name, filter4, filter6)                                         \
	SEC("cgroup_skb/" #name)                                               \
	int vsl_##name(struct __sk_buff *ctx)                                  \
	{                                                                      \
		void *data = (void *)(long)ctx->data;                          \
		void *end = (void *)(long)ctx->data_end;                       \
		cfg c = CONFIG();                                              \
                                                                               \
		if (ctx->protocol == bpf_htons(ETH_P_IP)) {                    \
			struct head4 *h = data;                                \
			struct flow f;                                         \
                                                                               \
			if ((void *)(h + 1) > end)                             \
				return DROP;                                   \
			f.proto = h->proto;                                    \
			f.off = h->ihl * 4;                                    \
			return filter4(c, ctx, h->s, h->d, f);                    \
		}                                                              \
		if (ctx->protocol == bpf_htons(ETH_P_IPV6)) {                  \
			struct head6 *h = data;                                \
			struct flow f = { .off = sizeof(*h) };                 \
                                                                               \
			if ((void *)(h + 1) > end)                             \
				return DROP;                                   \
			f.proto = h->proto;                                    \
			return filter6(c, ctx, READ6(h->s), READ6(h->d), f);      \
		}                                                              \
		return DROP;                                                   \
	}

FILTER(egress, out4, out6)
FILTER(ingress, in4, into6)
