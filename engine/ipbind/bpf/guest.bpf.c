// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The programs that are attached to each guest's cgroup. */
#include "vsl.h"
#include "socket.h"
#include "count.h"
#include "bind.h"
#include "who.h"
#include "connect.h"
#include "sendmsg.h"
#include "show.h"
#include "packet.h"

/*
 * socket(2) of AF_INET and AF_INET6; other families have no hook, the child's
 * seccomp filter refuses them. Only protocols whose every path is known here
 * are let in: TCP, UDP and ping. MPTCP fails as if the kernel had none, and
 * programs then take TCP.
 */
SEC("cgroup/sock_create")
int vsl_socket(struct bpf_sock *sk)
{
	cfg c = CONFIG();
	__u32 type = sk->type, proto = sk->protocol;

	if (!c->lo4) /* the context has no addresses yet */
		return 0;
	if ((type == SOCK_STREAM && proto == IPPROTO_TCP) ||
	    (type == SOCK_DGRAM && (proto == IPPROTO_UDP || proto == IPPROTO_ICMP ||
				    proto == IPPROTO_ICMPV6)))
		return counted(c, sk) ? 1 : refuse(ENOBUFS);
	return refuse(type == SOCK_STREAM || type == SOCK_DGRAM ? EPROTONOSUPPORT : EPERM);
}

char vsl_license[] SEC("license") = "GPL";
