// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Abstract AF_UNIX sockets, where Landlock cannot guard them (before 6.12): a
 * process of a context may connect and send only to those of its own context.
 * The programs see all processes of the host, and let all those pass that are
 * in no context. Pathname sockets are the file system's to guard.
 */
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

/* The kernel's, as far as they are read; where each field is, the loader finds
 * in the kernel's BTF. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct kernfs_node {
	__u64 id;
};

struct cgroup {
	int level;
	struct kernfs_node *kn;
	struct cgroup *ancestors[1];
};

struct sock_cgroup_data {
	struct cgroup *cgroup;
};

struct sock {
	struct sock_cgroup_data sk_cgrp_data;
};

struct socket {
	struct sock *sk;
};

struct sockaddr_un {
	__u16 sun_family;
	char sun_path[108];
};

struct unix_address {
	int len;
	struct sockaddr_un name[1];
};

struct unix_sock {
	struct unix_address *addr;
};
#pragma clang attribute pop

#define EPERM 1

/* A context's cgroup is at most so deep below the root. */
#define MAX_LEVEL 8

/* The contexts, by the number of their cgroup. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, __u64);
	__type(value, __u64);
} vsl_contexts SEC(".maps");

static __always_inline int abstract(struct sock *sk)
{
	struct unix_address *addr = BPF_CORE_READ((struct unix_sock *)sk, addr);
	char first = 0;

	if (!addr) /* no name: one end of a socketpair, or an unbound client */
		return 0;
	if (BPF_CORE_READ(addr, len) <= (int)sizeof(__u16))
		return 0;
	bpf_core_read(&first, sizeof(first), &addr->name[0].sun_path);
	return !first;
}

/* Whether the socket was made inside the cgroup with that number and level. */
static __always_inline int inside(struct sock *sk, __u64 id, int level)
{
	struct cgroup *g = BPF_CORE_READ(sk, sk_cgrp_data.cgroup), *above = NULL;

	if (!g || BPF_CORE_READ(g, level) < level)
		return 0;
	bpf_probe_read_kernel(&above, sizeof(above),
			      (char *)g + bpf_core_field_offset(g->ancestors) + level * sizeof(above));
	return above && BPF_CORE_READ(above, kn, id) == id;
}

static __always_inline int verdict(struct sock *peer)
{
	if (!abstract(peer))
		return 0;
#pragma unroll
	for (int level = 1; level <= MAX_LEVEL; level++) {
		__u64 id = bpf_get_current_ancestor_cgroup_id(level);

		if (!id)
			break;
		if (bpf_map_lookup_elem(&vsl_contexts, &id))
			return inside(peer, id, level) ? 0 : -EPERM;
	}
	return 0;
}

SEC("lsm/unix_stream_connect")
int BPF_PROG(vsl_connect, struct sock *sock, struct sock *other, struct sock *newsk, int ret)
{
	return ret ? ret : verdict(other);
}

SEC("lsm/unix_may_send")
int BPF_PROG(vsl_send, struct socket *sock, struct socket *other, int ret)
{
	return ret ? ret : verdict(BPF_CORE_READ(other, sk));
}

char vsl_license[] SEC("license") = "GPL";
