//go:build linux

package ipbind

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// Address translation in the test's network namespace, told to the kernel by
// netlink, so that the tests need no program that a machine may not have. The
// words are those of linux/netfilter/nf_tables.h.

func attr(kind uint16, value []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func nest(kind uint16, parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return attr(kind|unix.NLA_F_NESTED, b)
}

func word(kind uint16, s string) []byte { return attr(kind, append([]byte(s), 0)) }

func number(kind uint16, v int32) []byte {
	return attr(kind, binary.BigEndian.AppendUint32(nil, uint32(v)))
}

func expr(name string, parts ...[]byte) []byte {
	return nest(unix.NFTA_LIST_ELEM, word(unix.NFTA_EXPR_NAME, name), nest(unix.NFTA_EXPR_DATA, parts...))
}

func equals(value []byte) []byte {
	return expr("cmp", number(unix.NFTA_CMP_SREG, unix.NFT_REG_1), number(unix.NFTA_CMP_OP, unix.NFT_CMP_EQ),
		nest(unix.NFTA_CMP_DATA, attr(unix.NFTA_DATA_VALUE, value)))
}

// leavesBy matches packets that go out by a device.
func leavesBy(index int) []byte {
	return append(expr("meta", number(unix.NFTA_META_DREG, unix.NFT_REG_1), number(unix.NFTA_META_KEY, unix.NFT_META_OIF)),
		equals(binary.NativeEndian.AppendUint32(nil, uint32(index)))...)
}

// toPort matches packets to a port.
func toPort(port uint16) []byte {
	return append(expr("payload", number(unix.NFTA_PAYLOAD_DREG, unix.NFT_REG_1),
		number(unix.NFTA_PAYLOAD_BASE, unix.NFT_PAYLOAD_TRANSPORT_HEADER),
		number(unix.NFTA_PAYLOAD_OFFSET, 2), number(unix.NFTA_PAYLOAD_LEN, 2)),
		equals(binary.BigEndian.AppendUint16(nil, port))...)
}

func masquerade() []byte { return expr("masq") }

func translate(to netip.Addr) []byte {
	family := int32(unix.NFPROTO_IPV4)
	if to.Is6() {
		family = unix.NFPROTO_IPV6
	}
	return append(expr("immediate", number(unix.NFTA_IMMEDIATE_DREG, unix.NFT_REG_1),
		nest(unix.NFTA_IMMEDIATE_DATA, attr(unix.NFTA_DATA_VALUE, to.AsSlice()))),
		expr("nat", number(unix.NFTA_NAT_TYPE, unix.NFT_NAT_DNAT), number(unix.NFTA_NAT_FAMILY, family),
			number(unix.NFTA_NAT_REG_ADDR_MIN, unix.NFT_REG_1))...)
}

type natChain struct {
	hook, priority int32
	rules          [][]byte
}

// nat makes a table with chains of type nat, in one transaction.
func nat(t testing.TB, family byte, chains ...natChain) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	var batch []byte
	seq := uint32(0)
	add := func(kind, flags uint16, family byte, subsystem uint16, parts ...[]byte) {
		body := binary.BigEndian.AppendUint16([]byte{family, 0}, subsystem)
		for _, p := range parts {
			body = append(body, p...)
		}
		seq++
		batch = binary.NativeEndian.AppendUint32(batch, uint32(16+len(body)))
		batch = binary.NativeEndian.AppendUint16(batch, kind)
		batch = binary.NativeEndian.AppendUint16(batch, flags|unix.NLM_F_REQUEST)
		batch = binary.NativeEndian.AppendUint32(batch, seq)
		batch = binary.NativeEndian.AppendUint32(batch, 0)
		batch = append(batch, body...)
	}
	const nft, begin, end = unix.NFNL_SUBSYS_NFTABLES, unix.NFNL_MSG_BATCH_BEGIN, unix.NFNL_MSG_BATCH_END
	const create = unix.NLM_F_CREATE | unix.NLM_F_ACK
	add(begin, 0, 0, nft)
	add(nft<<8|unix.NFT_MSG_NEWTABLE, create, family, 0, word(unix.NFTA_TABLE_NAME, "vsl"))
	for i, c := range chains {
		name := fmt.Sprint("chain", i)
		add(nft<<8|unix.NFT_MSG_NEWCHAIN, create, family, 0, word(unix.NFTA_CHAIN_TABLE, "vsl"), word(unix.NFTA_CHAIN_NAME, name),
			nest(unix.NFTA_CHAIN_HOOK, number(unix.NFTA_HOOK_HOOKNUM, c.hook), number(unix.NFTA_HOOK_PRIORITY, c.priority)),
			word(unix.NFTA_CHAIN_TYPE, "nat"))
		for _, rule := range c.rules {
			add(nft<<8|unix.NFT_MSG_NEWRULE, create|unix.NLM_F_APPEND, family, 0, word(unix.NFTA_RULE_TABLE, "vsl"),
				word(unix.NFTA_RULE_CHAIN, name), nest(unix.NFTA_RULE_EXPRESSIONS, rule))
		}
	}
	add(end, 0, 0, nft)
	if err := unix.Sendto(fd, batch, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		t.Fatal(err)
	}
	tv := unix.Timeval{Sec: 10}
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv)
	for range seq - 2 { // an answer to each but the two that frame them
		b := make([]byte, 1024)
		if _, _, err := unix.Recvfrom(fd, b, 0); err != nil {
			t.Fatal(err)
		}
		if e := int32(binary.NativeEndian.Uint32(b[16:])); e != 0 {
			err := unix.Errno(-e)
			if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPROTONOSUPPORT) {
				need(t, fmt.Errorf("this kernel has no nf_tables: %w", err))
			}
			t.Fatal("nf_tables: ", err)
		}
	}
}
