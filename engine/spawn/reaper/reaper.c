// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// reaper is pid 1 of a guest whose command is no init: it reaps orphans,
// forwards signals to the command and ends as the command ends. For a guest with
// an init of its own it is the reader of what that init prints, outside of the
// guest. It needs no libc and a few pages of memory. Build: go generate ./engine/spawn
//
//   reaper [-l FD FD MAX] [-e FD] run COMMAND [ARG]...
//   reaper idle
//   reaper -l FD FD MAX log
//
// -l: the command's output goes through a pipe into the two open files, MAX
//     bytes into the first, then the second is truncated and filled, then the
//     first again: the log is bounded and the command never waits for a reader.
// log: what it reads from 0 goes there instead; it ends when nobody can write to
//     0 any more, and not by a signal that can be blocked.
// -e: a failed exec writes its errno (an int) to FD; a successful one closes it.
// It exits 127 when the command is not found, 126 when it cannot be run,
// 128+n when signal n killed it.

typedef unsigned long u64;
typedef unsigned int u32;

#if defined(__x86_64__)
enum {
	NR_read = 0, NR_write = 1, NR_close = 3, NR_lseek = 8, NR_ioctl = 16, NR_clone = 56, NR_execve = 59,
	NR_wait4 = 61, NR_kill = 62, NR_fcntl = 72, NR_ftruncate = 77, NR_setsid = 112, NR_prctl = 157,
	NR_exit_group = 231, NR_ppoll = 271, NR_signalfd4 = 289, NR_dup3 = 292, NR_pipe2 = 293,
	NR_rt_sigprocmask = 14,
};
static long sys(long n, u64 a, u64 b, u64 c, u64 d, u64 e)
{
	long r;
	register u64 r10 __asm__("r10") = d;
	register u64 r8 __asm__("r8") = e;
	__asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
	return r;
}
__asm__(".globl _start\n_start:\n\txor %ebp,%ebp\n\tmov %rsp,%rdi\n\tand $-16,%rsp\n\tcall start\n");
#elif defined(__aarch64__)
enum {
	NR_read = 63, NR_write = 64, NR_close = 57, NR_lseek = 62, NR_ioctl = 29, NR_clone = 220, NR_execve = 221,
	NR_wait4 = 260, NR_kill = 129, NR_fcntl = 25, NR_ftruncate = 46, NR_setsid = 157, NR_prctl = 167,
	NR_exit_group = 94, NR_ppoll = 73, NR_signalfd4 = 74, NR_dup3 = 24, NR_pipe2 = 59,
	NR_rt_sigprocmask = 135,
};
static long sys(long n, u64 a, u64 b, u64 c, u64 d, u64 e)
{
	register u64 x8 __asm__("x8") = n;
	register u64 x0 __asm__("x0") = a;
	register u64 x1 __asm__("x1") = b;
	register u64 x2 __asm__("x2") = c;
	register u64 x3 __asm__("x3") = d;
	register u64 x4 __asm__("x4") = e;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
	return (long)x0;
}
__asm__(".globl _start\n_start:\n\tmov x29,#0\n\tmov x0,sp\n\tbl start\n");
#else
#error "no system calls known for this architecture"
#endif

enum {
	O_CLOEXEC = 02000000, O_NONBLOCK = 04000,
	F_SETFD = 2, F_SETFL = 4, FD_CLOEXEC = 1,
	SIGCHLD = 17, SIG_BLOCK = 0, SIG_SETMASK = 2, WNOHANG = 1,
	ENOENT = 2, ENOEXEC = 8, EACCES = 13, ENOTDIR = 20, EAGAIN = 11, EINTR = 4,
	PR_SET_DUMPABLE = 4, PR_SET_NAME = 15, PR_SET_CHILD_SUBREAPER = 36, TIOCSCTTY = 0x540e,
	POLLIN = 1,
};

struct pollfd { int fd; short events, revents; };

static int log_fd[2] = { -1, -1 };
static u64 log_max, log_size;
static int log_now;
static char buf[16384];

static void exit_group(int code)
{
	for (;;)
		sys(NR_exit_group, code, 0, 0, 0, 0);
}

static u64 length(const char *s)
{
	u64 n = 0;
	while (s[n])
		n++;
	return n;
}

static int equal(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static u64 number(const char *s)
{
	u64 n = 0;
	while (*s >= '0' && *s <= '9')
		n = n * 10 + (*s++ - '0');
	return n;
}

static void say(const char *s)
{
	sys(NR_write, 2, (u64)s, length(s), 0, 0);
}

// exec_failed tells why the command did not start, and ends the child.
static void exec_failed(const char *name, int err, int err_fd)
{
	if (err_fd >= 0)
		sys(NR_write, err_fd, (u64)&err, sizeof(err), 0, 0);
	say("vsl: exec ");
	say(name);
	say(err == ENOENT ? ": no such file or directory\n" :
	    err == EACCES ? ": permission denied\n" :
	    err == ENOEXEC ? ": exec format error\n" : ": cannot be run\n");
	exit_group(err == ENOENT ? 127 : 126);
}

// exec_search runs argv[0], looked for in PATH unless it has a slash. It
// returns the errno: permission denied outweighs not found, as in execvp(3).
static int exec_search(char **argv, char **envp)
{
	const char *path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", *s;
	char *file = buf; // the log has no use for it in this process
	u64 n = length(argv[0]), at;
	char **e;
	long r, err = ENOENT;

	for (s = argv[0]; *s; s++)
		if (*s == '/')
			return -sys(NR_execve, (u64)argv[0], (u64)argv, (u64)envp, 0, 0);
	for (e = envp; *e; e++)
		if ((*e)[0] == 'P' && (*e)[1] == 'A' && (*e)[2] == 'T' && (*e)[3] == 'H' && (*e)[4] == '=')
			path = *e + 5;
	for (;; path++) {
		for (at = 0; *path && *path != ':'; path++)
			if (at < sizeof(buf))
				file[at++] = *path;
		if (at + n + 2 <= sizeof(buf)) {
			if (at)
				file[at++] = '/';
			for (s = argv[0]; *s;)
				file[at++] = *s++;
			file[at] = 0;
			r = -sys(NR_execve, (u64)file, (u64)argv, (u64)envp, 0, 0);
			if (r != ENOENT && r != ENOTDIR) {
				err = r;
				if (r != EACCES)
					return err;
			}
		}
		if (!*path)
			return err;
	}
}

// log_write puts n bytes of buf into the ring. What a full disk refuses is
// lost: the command goes on.
static void log_write(u64 n)
{
	u64 at = 0, part;
	long r;

	while (at < n) {
		if (log_size >= log_max) {
			log_now = !log_now;
			sys(NR_ftruncate, log_fd[log_now], 0, 0, 0, 0);
			sys(NR_lseek, log_fd[log_now], 0, 0, 0, 0);
			log_size = 0;
		}
		part = n - at < log_max - log_size ? n - at : log_max - log_size;
		r = sys(NR_write, log_fd[log_now], (u64)buf + at, part, 0, 0);
		if (r == -EINTR)
			continue;
		if (r <= 0)
			return;
		at += r;
		log_size += r;
	}
}

// drain empties the pipe, but no more than it can hold at once, so that a
// chatty orphan cannot keep us. It returns 0 when nobody can write any more.
static int drain(int fd)
{
	int turns;
	long r;

	for (turns = 0; turns < 8; turns++) {
		r = sys(NR_read, fd, (u64)buf, sizeof(buf), 0, 0);
		if (r == 0)
			return 0;
		if (r < 0)
			return 1;
		log_write(r);
	}
	return 1;
}

// reap collects every process that has ended. When the main one is among them
// it returns its exit code as a shell gives it, else -1.
static int reap(long main_pid)
{
	int status, code = -1;
	long pid;

	while ((pid = sys(NR_wait4, -1, (u64)&status, WNOHANG, 0, 0)) > 0)
		if (pid == main_pid)
			code = status & 0x7f ? 128 + (status & 0x7f) : status >> 8 & 0xff;
	return code;
}

static long spawn(char **argv, char **envp, u64 *mask, int out, int err_fd)
{
	long pid = sys(NR_clone, SIGCHLD, 0, 0, 0, 0);

	if (pid)
		return pid;
	if (out >= 0) {
		sys(NR_dup3, out, 1, 0, 0, 0);
		sys(NR_dup3, out, 2, 0, 0, 0);
	}
	sys(NR_setsid, 0, 0, 0, 0, 0);
	sys(NR_ioctl, 0, TIOCSCTTY, 0, 0, 0); // fails unless stdin is a free terminal
	sys(NR_rt_sigprocmask, SIG_SETMASK, (u64)mask, 0, sizeof(*mask), 0);
	exec_failed(argv[0], exec_search(argv, envp), err_fd);
	return 0;
}

static void usage(void)
{
	say("usage: reaper [-l FD FD MAX] [-e FD] run COMMAND [ARG]... | reaper idle | reaper -l FD FD MAX log\n");
	exit_group(2);
}

// forwarded: HUP INT QUIT USR1 USR2 TERM WINCH. CHLD is ours.
#define SIG(n) (1UL << ((n) - 1))
static const u64 forwarded = SIG(1) | SIG(2) | SIG(3) | SIG(10) | SIG(12) | SIG(15) | SIG(28);

static void open_log(char **a)
{
	long end;
	int i;

	for (i = 0; i < 2; i++) {
		log_fd[i] = number(a[i]);
		sys(NR_fcntl, log_fd[i], F_SETFD, FD_CLOEXEC, 0, 0);
	}
	log_max = number(a[2]);
	if (!log_max)
		usage();
	end = sys(NR_lseek, log_fd[0], 0, 2, 0, 0);
	log_size = end > 0 ? end : 0;
}

// copy_log is all that the reader of a guest's log does. Every process of the
// guest that could write is gone at its end.
static void copy_log(void)
{
	u64 all = ~0UL;
	long r;

	sys(NR_rt_sigprocmask, SIG_SETMASK, (u64)&all, 0, sizeof(all), 0);
	while ((r = sys(NR_read, 0, (u64)buf, sizeof(buf), 0, 0)) > 0)
		log_write(r);
	exit_group(0);
}

// loop waits for signals and output until it is time to go.
static void loop(long child, int sig_fd, int pipe_fd)
{
	struct pollfd p[2] = { { sig_fd, POLLIN, 0 }, { pipe_fd, POLLIN, 0 } };
	u32 info[32]; // struct signalfd_siginfo; its first word is the signal
	int code;

	for (;;) {
		sys(NR_ppoll, (u64)p, 2, 0, 0, 0);
		if (p[1].fd >= 0 && p[1].revents && !drain(pipe_fd))
			p[1].fd = -1;
		if (!p[0].revents)
			continue;
		if (sys(NR_read, sig_fd, (u64)info, sizeof(info), 0, 0) != sizeof(info))
			continue;
		if (info[0] != SIGCHLD) {
			if (child)
				sys(NR_kill, child, info[0], 0, 0, 0);
			else if (info[0] == 15 || info[0] == 2)
				exit_group(0);
			continue;
		}
		code = reap(child);
		if (child && code >= 0) {
			if (pipe_fd >= 0)
				drain(pipe_fd);
			exit_group(code);
		}
	}
}

__attribute__((used)) void start(long *sp)
{
	char **a = (char **)(sp + 2), **envp = (char **)(sp + 2 + sp[0]);
	u64 mask = forwarded | SIG(SIGCHLD), old = 0;
	int pipe[2] = { -1, -1 }, err_fd = -1, sig_fd;
	long child = 0;

	sys(NR_prctl, PR_SET_NAME, (u64)"vsl-reaper", 0, 0, 0);
	sys(NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
	sys(NR_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	sys(NR_rt_sigprocmask, SIG_BLOCK, (u64)&mask, (u64)&old, sizeof(mask), 0);
	sig_fd = sys(NR_signalfd4, -1, (u64)&mask, sizeof(mask), O_CLOEXEC | O_NONBLOCK, 0);
	for (;;) {
		if (a[0] && equal(a[0], "-l") && a[1] && a[2] && a[3]) {
			open_log(a + 1);
			a += 4;
		} else if (a[0] && equal(a[0], "-e") && a[1]) {
			err_fd = number(a[1]);
			sys(NR_fcntl, err_fd, F_SETFD, FD_CLOEXEC, 0, 0);
			a += 2;
		} else {
			break;
		}
	}
	if (a[0] && equal(a[0], "run") && a[1]) {
		if (log_max) {
			sys(NR_pipe2, (u64)pipe, O_CLOEXEC, 0, 0, 0);
			sys(NR_fcntl, pipe[0], F_SETFL, O_NONBLOCK, 0, 0);
		}
		child = spawn(a + 1, envp, &old, pipe[1], err_fd);
		if (child < 0)
			exec_failed(a[1], -child, err_fd);
		sys(NR_close, pipe[1], 0, 0, 0, 0);
		sys(NR_close, err_fd, 0, 0, 0, 0);
	} else if (a[0] && equal(a[0], "log") && log_max) {
		copy_log();
	} else if (!a[0] || !equal(a[0], "idle")) {
		usage();
	}
	loop(child, sig_fd, pipe[0]);
}
