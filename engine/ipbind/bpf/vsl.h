/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * What the programs of vsl share: the addresses of the guest, and the question
 * whose address it is.
 *
 * The programs are the same for all guests. A guest's addresses are in the
 * cgroup storage that the kernel makes when a program is attached, and that dies
 * with the cgroup: all zero, which confines to nothing, until the loader fills
 * it. The maps are not defined here: CONFIG_MAP and its kin are 64-bit loads that
 * engine/ipbind/load.go replaces by the maps, so that the objects need no BTF.
 */
#ifndef VSL_H
#define VSL_H

#include <stddef.h>
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#define INLINE static __attribute__((always_inline)) inline

#define CONFIG_MAP 0x76736c51
#define SOCKETS_MAP 0x76736c52
#define COUNTS_MAP 0x76736c53

#define MAX_ADDRS 16

struct in6 {
	__u64 hi, lo;
};

/* load.go writes the same. Addresses are in network order, as the kernel's own
 * words; the lists end with the first zero. */
struct config {
	__u32 lo4;      /* private loopback */
	__u32 steer;    /* 1 where sk_lookup gives wildcard listeners all addresses */
	__u64 cgroup;   /* the context's cgroup and how deep it is below the root */
	__u32 level;
	__u32 sockets, ports; /* how many it may have */
	__u32 low, high; /* the host's ephemeral ports */
	__u32 pad;
	struct in6 lo6; /* zero where there is none */
	__u32 ip4[MAX_ADDRS];
	struct in6 ip6[MAX_ADDRS];
};

typedef const struct config *cfg;

#define MAP(which)                                                             \
	({                                                                     \
		void *map_;                                                    \
		asm volatile("%0 = %1 ll" : "=r"(map_) : "i"(which));          \
		map_;                                                          \
	})

#define CONFIG() ((cfg)bpf_get_local_storage(MAP(CONFIG_MAP), 0))

#define AF_UNSPEC 0
#define AF_INET 2
#define AF_INET6 10
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define IPPROTO_ICMP 1
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_ICMPV6 58

#define EPERM 1
#define EAGAIN 11
#define EINVAL 22
#define EPROTONOSUPPORT 93
#define EADDRINUSE 98
#define EADDRNOTAVAIL 99
#define ENETUNREACH 101
#define ENOBUFS 105
#define ECONNREFUSED 111

/* Of a bind program: go on, and ask for no CAP_NET_BIND_SERVICE. */
#define BIND_OK 3

#define LOOPBACK4 bpf_htonl(0x7f000001)
#define MAPPED_WORD bpf_htonl(0x0000ffff)

/* Every guest's IPv6 loopback is in fd76:736c:6c6f::/64; netdev has the same. */
#define LO6_NET ((__u64)bpf_htonl(0x6c6f0000) << 32 | bpf_htonl(0xfd76736c))

INLINE int refuse(int err)
{
	bpf_set_retval(-err);
	return 0;
}

/* 127.16.0.1 .. 127.127.255.1: the private loopback of some guest. */
INLINE int private127(__u32 a)
{
	__u32 h = bpf_ntohl(a);

	return h >= 0x7f100000 && h <= 0x7f7fffff && (h & 0xff) == 1;
}

/*
 * The rest of 127.16.0.0 .. 127.127.255.255: addresses that a guest can be given
 * on a machine whose network is to stay as it is. They are reached like any
 * other, but only by guests that have one, and only where a socket is bound to
 * the very address: a host service on the wildcard is not to be found there.
 */
INLINE int public127(__u32 a)
{
	__u32 h = bpf_ntohl(a);

	return h >= 0x7f100000 && h <= 0x7f7fffff && (h & 0xff) != 1;
}

/* What stands for the guest's own loopback, and other guests' loopbacks. */
INLINE int in127(__u32 a)
{
	return (a & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000) && !public127(a);
}

/* 1 for zero, without a branch: the verifier would follow both ways of each of
 * the comparisons below, and take a hundred milliseconds for it. */
INLINE __u64 zero(__u64 d)
{
	__u64 minus = -d;

	asm volatile("" : "+r"(minus)); /* or clang makes a branch of it */
	return ((d | minus) >> 63) ^ 1;
}

/* One of the guest's own addresses, its loopback not among them. */
INLINE int own4(cfg c, __u32 a)
{
	__u64 hit = 0;

#pragma unroll
	for (int i = 0; i < MAX_ADDRS; i++)
		hit |= zero(a ^ c->ip4[i]);
	return a && hit;
}

INLINE int own6(cfg c, struct in6 a)
{
	__u64 hit = 0;

#pragma unroll
	for (int i = 0; i < MAX_ADDRS; i++)
		hit |= zero((a.hi ^ c->ip6[i].hi) | (a.lo ^ c->ip6[i].lo));
	return a.hi && hit;
}

INLINE int eq6(struct in6 a, struct in6 b)
{
	return !((a.hi ^ b.hi) | (a.lo ^ b.lo));
}

INLINE int any6(struct in6 a)
{
	return !(a.hi | a.lo);
}

INLINE int is_lo6(cfg c, struct in6 a)
{
	return a.hi && eq6(a, c->lo6);
}

/* The lower half of ::1, whose upper half is zero. */
#define LOOPBACK6_LO ((__u64)bpf_htonl(1) << 32)

INLINE int loopback6(struct in6 a)
{
	return !(a.hi | (a.lo ^ LOOPBACK6_LO));
}

/* ::ffff:0:0/96 */
INLINE int mapped6(struct in6 a)
{
	return !(a.hi | ((__u32)a.lo ^ MAPPED_WORD));
}

INLINE __u32 unmap6(struct in6 a)
{
	return a.lo >> 32;
}

INLINE struct in6 map6(__u32 a4)
{
	struct in6 a = { 0, (__u64)a4 << 32 | MAPPED_WORD };

	return a;
}

/* The context's words may be read and written four bytes at a time only. */
#define READ6(f)                                                               \
	({                                                                     \
		volatile __u32 *w_ = (volatile __u32 *)(f);                    \
		__u32 w0_ = w_[0], w1_ = w_[1], w2_ = w_[2], w3_ = w_[3];      \
		struct in6 a_ = { (__u64)w1_ << 32 | w0_,                      \
				  (__u64)w3_ << 32 | w2_ };                    \
		a_;                                                            \
	})

#define WRITE6(f, a)                                                           \
	do {                                                                   \
		volatile __u32 *w_ = (volatile __u32 *)(f);                    \
		struct in6 a_ = (a);                                           \
		w_[0] = (__u32)a_.hi;                                          \
		w_[1] = a_.hi >> 32;                                           \
		w_[2] = (__u32)a_.lo;                                          \
		w_[3] = a_.lo >> 32;                                           \
	} while (0)

/*
 * Whether an IPv6 socket refuses IPv4 (IPV6_V6ONLY). No helper tells, so the
 * bit is read from struct sock_common: byte 19, bit 5, since Linux 3.12. A
 * test compares this with the kernel's BTF.
 */
#define SOCK_COMMON_BITS 19
#define SOCK_COMMON_V6ONLY (1 << 5)

INLINE int v6only(struct bpf_sock *sk)
{
	char head[SOCK_COMMON_BITS + 1] = {};

	if (bpf_probe_read_kernel(head, sizeof(head), sk))
		return 1;
	return !!(head[SOCK_COMMON_BITS] & SOCK_COMMON_V6ONLY);
}

#endif
