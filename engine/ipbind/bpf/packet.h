/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The last net, for what has no hook: listen(2) and sendto(2) bind an unbound
 * socket to the wildcard without asking anybody, and ping sockets bind and send
 * without hooks. Nothing leaves with a source, and nothing enters with a
 * destination, that is not the guest's. The cost is some twenty instructions
 * per packet; sockets are looked up only for datagrams with a private loopback
 * at one end, and for packets that the host has translated.
 *
 * What is local to a guest carries a proof of who sent it: egress, which runs
 * for this guest's sockets only, writes the private loopback into the packet's
 * priority, and ingress wants to find it there. Nobody else can: a priority
 * above 6 takes CAP_NET_ADMIN or CAP_NET_RAW over the host's network (socket(7),
 * SO_PRIORITY). The loopback device leaves the field alone, and nothing looks
 * at it there. Without it any user of the host could bind the guest's addresses
 * and be taken for the guest itself.
 */
#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define TCP_SYN 0x02
#define TCP_SYN_ACK 0x12
#define NEXTHDR_HOP 0
#define NEXTHDR_DEST 60

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

INLINE int icmp(struct flow f)
{
	return f.proto == IPPROTO_ICMP || f.proto == IPPROTO_ICMPV6;
}

/*
 * A packet out, between the private loopback and an address of the guest, or to
 * where only a socket bound to the very address is to be found. A datagram must
 * go to such a socket, or to none at all, which the kernel answers. The race of
 * the time between here and the receiver remains.
 */
#define OUT(ctx, f, who, s, d)                                                 \
	({                                                                     \
		struct ports p_;                                               \
		int pass_ = (f).proto == IPPROTO_TCP || icmp(f);               \
                                                                               \
		if ((f).proto == IPPROTO_UDP)                                  \
			pass_ = !bpf_skb_load_bytes(ctx, (f).off, &p_, sizeof(p_)) && \
				who(c, ctx, IPPROTO_UDP, s, p_.from, d, p_.to) != OTHERS; \
		pass_;                                                         \
	})

/*
 * The same way in, where there is no proof: between addresses in 127/8. The
 * second packet of a TCP handshake must come from a socket bound to the very
 * address. Asked at this point there is no race: the answering socket exists,
 * and without the third packet nothing is ever delivered to it.
 */
#define ANSWER(ctx, f, who, s, d)                                              \
	({                                                                     \
		struct ports p_;                                               \
		int pass_ = (f).proto == IPPROTO_UDP || icmp(f);               \
		__u8 flags_;                                                   \
                                                                               \
		if ((f).proto == IPPROTO_TCP)                                  \
			pass_ = !bpf_skb_load_bytes(ctx, (f).off, &p_, sizeof(p_)) && \
				!bpf_skb_load_bytes(ctx, (f).off + 13, &flags_, 1) && \
				((flags_ & TCP_SYN_ACK) != TCP_SYN_ACK ||      \
				 who(c, ctx, IPPROTO_TCP, d, p_.to, s, p_.from) == OURS); \
		pass_;                                                         \
	})

INLINE void prove(cfg c, struct __sk_buff *ctx)
{
	ctx->priority = c->lo4;
}

/*
 * Whether what comes in by the private loopback may: datagrams and the first packet
 * of a connection with proof. The second packet may have none, for over IPv6 egress
 * does not run for it before Linux 6.9; then the socket that answers is looked up,
 * without a race as above. The rest of a connection is none of a socket's at times:
 * the kernel itself answers for closed ones.
 */
#define PROVEN(ctx, f, who, s, d)                                              \
	({                                                                     \
		int pass_ = (ctx)->priority == c->lo4 || icmp(f);              \
		struct ports p_;                                               \
		__u8 flags_;                                                   \
                                                                               \
		if (!pass_ && (f).proto == IPPROTO_TCP)                        \
			pass_ = !bpf_skb_load_bytes(ctx, (f).off, &p_, sizeof(p_)) && \
				!bpf_skb_load_bytes(ctx, (f).off + 13, &flags_, 1) && \
				(!(flags_ & TCP_SYN) ||                        \
				 ((flags_ & TCP_SYN_ACK) == TCP_SYN_ACK &&     \
				  who(c, ctx, IPPROTO_TCP, d, p_.to, s, p_.from) == OURS)); \
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

/* Most packets are to or from the first address, and most guests have no other. */
INLINE int mine4(cfg c, __u32 a)
{
	return a && (a == c->ip4[0] || (c->ip4[1] && own4(c, a)));
}

INLINE int mine6(cfg c, struct in6 a)
{
	return a.hi && (eq6(a, c->ip6[0]) || (c->ip6[1].hi && own6(c, a)));
}

/*
 * A source that is not the guest's. Packets come here after the host's POSTROUTING,
 * so it may be one that the host has put there, by masquerading or because the
 * guest's port is published by DNAT. The socket tells: bind and connect give it no
 * address but the guest's, and what an unbound one sends has the source that
 * sendmsg gave it, or answers what ingress let in. Not so where connect had to
 * leave the source to the route (STRAY). Of ping sockets nothing can be told: they
 * have no hook, and send echo requests only.
 */
#define TRANSLATED(f, to_loopback, bound)                                       \
	({                                                                     \
		struct bpf_sock *sk_ = ctx->sk;                                \
		int pass_ = DROP;                                              \
                                                                               \
		if (sk_)                                                       \
			sk_ = bpf_sk_fullsock(sk_);                            \
		if (sk_) {                                                     \
			if (!sk_->src_ip4 && any6((struct in6)READ6(sk_->src_ip6))) \
				pass_ = icmp(f) || !(to_loopback);             \
			else                                                   \
				pass_ = !(to_loopback) && bound;               \
			if (pass_ && !icmp(f))                                 \
				pass_ = !stray(sk_);                           \
		}                                                              \
		pass_;                                                         \
	})

INLINE int out4(cfg c, struct __sk_buff *ctx, __u32 s, __u32 d, struct flow f)
{
	if (s == c->lo4) {
		prove(c, ctx);
		return d == c->lo4 || own4(c, d) ? OUT(ctx, f, who4, s, d) : DROP;
	}
	if (mine4(c, s)) {
		if (d == c->lo4)
			prove(c, ctx);
		if (d == c->lo4 || public127(d) || (public127(s) && own4(c, d)))
			return OUT(ctx, f, who4, s, d);
		/* From 127/8 to the host, TCP can only be an answer to a client
		 * there: connect never goes to it. */
		if (public127(s))
			return f.proto == IPPROTO_TCP && !private127(d);
		return !in127(d);
	}
	return TRANSLATED(f, in127(d) || public127(d), mine4(c, sk_->src_ip4));
}

INLINE int in4(cfg c, struct __sk_buff *ctx, __u32 s, __u32 d, struct flow f)
{
	if (f.proto == IPPROTO_ICMP)
		return PASS;
	if (d != c->lo4 && !mine4(c, d))
		return DROP;
	if (d == c->lo4 || s == c->lo4)
		return PROVEN(ctx, f, who4, s, d);
	if (public127(s) || public127(d))
		return ANSWER(ctx, f, who4, s, d);
	return PASS;
}

INLINE int out6(cfg c, struct __sk_buff *ctx, struct in6 s, struct in6 d, struct flow f)
{
	if (is_lo6(c, s)) {
		prove(c, ctx);
		return is_lo6(c, d) || own6(c, d) ? OUT(ctx, f, who6, s, d) : DROP;
	}
	if (mine6(c, s)) {
		if (is_lo6(c, d)) {
			prove(c, ctx);
			return OUT(ctx, f, who6, s, d);
		}
		return d.hi != LO6_NET && !loopback6(d);
	}
	return TRANSLATED(f, d.hi == LO6_NET || loopback6(d), mine6(c, (struct in6)READ6(sk_->src_ip6)));
}

INLINE int into6(cfg c, struct __sk_buff *ctx, struct in6 s, struct in6 d, struct flow f)
{
	if (f.proto == IPPROTO_ICMPV6)
		return PASS;
	if (!is_lo6(c, d) && !mine6(c, d))
		return DROP;
	if (is_lo6(c, d) || is_lo6(c, s))
		return PROVEN(ctx, f, who6, s, d);
	return PASS;
}

/*
 * Goes past the options before the transport header. The kernel itself puts a
 * hop-by-hop one into TCP's packets of more than 64 KiB on the loopback device
 * (RFC 2675; BIG TCP, Linux 5.19). One that has more is judged by the next.
 */
#define MAX_OPTIONS 4

INLINE int skip_options(struct __sk_buff *ctx, struct flow *f)
{
#pragma unroll
	for (int i = 0; i < MAX_OPTIONS; i++) {
		__u8 ext[2];

		if (f->proto != NEXTHDR_HOP && f->proto != NEXTHDR_DEST)
			break;
		if (bpf_skb_load_bytes(ctx, f->off, ext, sizeof(ext)))
			return DROP;
		f->proto = ext[0];
		f->off += (ext[1] + 1) * 8;
	}
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
			struct in6 s = READ6(h->s), d = READ6(h->d);           \
			if (!skip_options(ctx, &f))                            \
				return DROP;                                   \
			return filter6(c, ctx, s, d, f);                       \
		}                                                              \
		return DROP;                                                   \
	}

FILTER(egress, out4, out6)
FILTER(ingress, in4, into6)
