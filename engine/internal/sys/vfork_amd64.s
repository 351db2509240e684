#include "textflag.h"
#include "go_asm.h"

// System calls of amd64 (asm/unistd_64.h).
#define READ 0
#define WRITE 1
#define EXIT_GROUP 231
#define CLONE3 435

// func cloneShared(f *Fork) (pid uintptr)
//
// The child has our memory and this very stack, on which its parent waits: it
// keeps everything in registers, calls nothing and pushes nothing. It does what
// (*Fork).child does, ForkServe apart. R12 is f, R13 the call, R15 its index,
// BX how many there are. The kernel clobbers AX, CX and R11.
TEXT ·cloneShared(SB), NOSPLIT|NOFRAME, $0-16
	MOVQ f+0(FP), R12
	LEAQ Fork_args(R12), DI
	MOVQ $cloneArgs__size, SI
	MOVL $CLONE3, AX
	SYSCALL
	TESTQ AX, AX
	JZ child
	MOVQ AX, pid+8(FP)
	RET

child:
	MOVQ Fork_Calls+0(R12), R13
	MOVQ Fork_Calls+8(R12), BX
	XORL R15, R15
	JMP more

next:
	INCQ R15
	ADDQ $ForkCall__size, R13
more:
	CMPQ R15, BX
	JGE finish

	XORL CX, CX // arguments that are results of earlier calls
refs:
	MOVQ ForkCall_Refs(R13), AX
	BTQ CX, AX
	JCC plain
	MOVQ ForkCall_Args(R13)(CX*8), AX
	IMULQ $ForkCall__size, AX
	ADDQ Fork_Calls+0(R12), AX
	MOVQ ForkCall_Result(AX), AX
	MOVQ AX, ForkCall_Args(R13)(CX*8)
plain:
	INCQ CX
	CMPQ CX, $6
	JLT refs

	MOVQ ForkCall_Args+0(R13), DX // what a sync reports
	MOVL $const_ReportSync, AX
	CMPQ ForkCall_Kind(R13), $const_ForkSync
	JEQ tell
	XORL DX, DX
	MOVL $const_ReportMark, AX
	CMPQ ForkCall_Kind(R13), $const_ForkMark
	JEQ tell
	MOVL $const_ReportBorn, AX
	CMPQ ForkCall_Kind(R13), $const_ForkBorn
	JEQ tell
	CMPQ ForkCall_Kind(R13), $const_ForkSyscall
	JNE broken

	MOVQ ForkCall_Args+0(R13), DI
	MOVQ ForkCall_Args+8(R13), SI
	MOVQ ForkCall_Args+16(R13), DX
	MOVQ ForkCall_Args+24(R13), R10
	MOVQ ForkCall_Args+32(R13), R8
	MOVQ ForkCall_Args+40(R13), R9
	MOVQ ForkCall_Nr(R13), AX
	SYSCALL
	CMPQ AX, $0xfffffffffffff001
	JCC failed
	MOVQ AX, ForkCall_Result(R13)
	JMP next

failed:
	MOVQ $-1, ForkCall_Result(R13)
	NEGQ AX
	XORL CX, CX
ignore:
	CMPQ AX, ForkCall_Ignore(R13)(CX*8)
	JEQ next
	INCQ CX
	CMPQ CX, $4
	JLT ignore
	MOVL $126, DI
	CMPQ ForkCall_Exit(R13), $0
	JNE exit
	MOVQ AX, DX
	MOVL $const_ReportError, AX
	JMP tell

finish:
	XORL R15, R15
	XORL DX, DX
	MOVL $const_ReportDone, AX

// Reports AX about the call R15 with the value DX, and goes on accordingly.
tell:
	MOVL AX, Fork_report+ForkReport_Kind(R12)
	MOVL R15, Fork_report+ForkReport_Index(R12)
	MOVQ DX, Fork_report+ForkReport_Value(R12)
	MOVQ Fork_Status(R12), DI
	LEAQ Fork_report(R12), SI
	MOVL $ForkReport__size, DX
	MOVL $WRITE, AX
	SYSCALL
	CMPQ AX, $ForkReport__size
	JNE broken
	MOVL Fork_report+ForkReport_Kind(R12), AX
	CMPL AX, $const_ReportMark
	JEQ next
	CMPL AX, $const_ReportBorn
	JEQ next
	CMPL AX, $const_ReportSync
	JEQ wait
	XORL DI, DI
	CMPL AX, $const_ReportDone
	JEQ exit
	MOVL $126, DI
	JMP exit

wait:
	MOVQ Fork_Release(R12), DI
	LEAQ Fork_byte(R12), SI
	MOVL $1, DX
	MOVL $READ, AX
	SYSCALL
	CMPQ AX, $1
	JEQ next

broken:
	MOVL $125, DI
exit:
	MOVL $EXIT_GROUP, AX
	SYSCALL
	JMP exit
