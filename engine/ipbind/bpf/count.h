/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * How many sockets a guest has and how many of them hold a port of their own. All
 * share the host's ephemeral ports, so one guest must not get them all.
 *
 * Counted is what is remembered of the socket (socket.h), so that it is uncounted
 * once, whoever closes it: in a process that got it from another context, or after
 * the context. The socket's own cgroup runs these programs. Sockets of accept(2) are
 * not counted: they have their listener's port, and nothing remembered.
 */
struct counts {
	__u32 sockets, ports;
	__u64 window; /* of time */
	__u32 lingering, before; /* ports given back in this window and the last */
	__u32 no_socket, no_port; /* how often one was refused */
};

/* Some 137 s: TIME_WAIT is 60, and an orphan's retries less than twice that. */
#define WINDOW_SHIFT 37

INLINE struct counts *counts(cfg c)
{
	__u64 id = c->cgroup;

	return bpf_map_lookup_elem(MAP(COUNTS_MAP), &id);
}

INLINE __u32 lingering(struct counts *n)
{
	__u64 now = bpf_ktime_get_ns() >> WINDOW_SHIFT, then = n->window;

	if (now != then && __sync_val_compare_and_swap(&n->window, then, now) == then) {
		__u32 last = __sync_lock_test_and_set(&n->lingering, 0);

		n->before = now - then == 1 ? last : 0;
	}
	return n->lingering + n->before;
}

/*
 * A port for the socket, if it has none; 0 is "no more". Where the kernel has bound
 * it without asking, by sendto, this comes too late for the port but not for the
 * number of them: no more sockets than ports can be had that way, see the loader.
 */
INLINE int may_hold(cfg c, void *sk)
{
	struct known *k = known(sk, BPF_SK_STORAGE_GET_F_CREATE);
	struct counts *n;

	if (!k)
		return 0;
	if (k->flags & HAS_PORT)
		return 1;
	n = counts(c);
	if (!n)
		return 0;
	if ((__u64)__sync_fetch_and_add(&n->ports, 1) + lingering(n) >= c->ports) {
		__sync_fetch_and_add(&n->ports, -1);
		__sync_fetch_and_add(&n->no_port, 1);
		return 0;
	}
	k->flags |= HAS_PORT;
	return 1;
}

INLINE int counted(cfg c, struct bpf_sock *sk)
{
	struct known *k = known(sk, BPF_SK_STORAGE_GET_F_CREATE);
	struct counts *n = counts(c);

	if (!k || !n)
		return 0;
	if (__sync_fetch_and_add(&n->sockets, 1) >= c->sockets) {
		__sync_fetch_and_add(&n->sockets, -1);
		__sync_fetch_and_add(&n->no_socket, 1);
		return 0;
	}
	k->flags |= COUNTED;
	return 1;
}

SEC("cgroup/sock_release")
int vsl_release(struct bpf_sock *sk)
{
	cfg c = CONFIG();
	struct known *k = known(sk, 0);
	struct counts *n;
	__u32 flags;

	if (!k)
		return 1;
	flags = k->flags;
	k->flags = 0;
	n = counts(c);
	if (!n)
		return 1;
	if (flags & COUNTED)
		__sync_fetch_and_add(&n->sockets, -1);
	if (flags & HAS_PORT) {
		if (flags & LINGERS) {
			lingering(n);
			__sync_fetch_and_add(&n->lingering, 1);
		}
		__sync_fetch_and_add(&n->ports, -1);
	}
	return 1;
}

/*
 * A port that bind(2) took is out of reach for everybody's connect, with whatever
 * address; one that connect took is not. Looking for a port, connect tries first
 * those that are even if the first of the range is, and bind the others. So of
 * what one guest bound, and what is left of it after close, only those that are
 * connect's are held against the guest longer than the socket is there.
 */
INLINE int bound(struct bpf_sock *sk)
{
	cfg c = CONFIG();
	struct known *k;
	__u32 port = sk->src_port;

	if (!may_hold(c, sk))
		return refuse(EADDRINUSE);
	k = known(sk, 0);
	if (k && sk->protocol == IPPROTO_TCP && port >= c->low && port <= c->high && !((port ^ c->low) & 1))
		k->flags |= LINGERS;
	return 1;
}

SEC("cgroup/post_bind4")
int vsl_bound4(struct bpf_sock *sk)
{
	return bound(sk);
}

SEC("cgroup/post_bind6")
int vsl_bound6(struct bpf_sock *sk)
{
	return bound(sk);
}
