// SPDX-License-Identifier: Apache-2.0
// The floor under vsl's boot: a static C program that makes the namespaces and
// mounts of a guest with net = "none" the way the engine does (engine/boot.go,
// engine/rootfs/mounts.go and inside.go: change it with them), as directly as C can, and prints
// the nanoseconds from the start until the guest's command has been exec'd.
//
//   bootc TREE WORK CGROUP   TREE: the guest's root, given as an id-mapped lower
//                            layer; WORK: a folder with upper and work, on a real
//                            file system;
//                            CGROUP: a folder of the v2 hierarchy
//
// There is no error handling beyond saying what failed: it measures, no more.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <net/if.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// From linux/mount.h and sys/mount.h, which cannot be included together everywhere.
int mount(const char *, const char *, const char *, unsigned long, const void *);
int umount2(const char *, int);
enum { S_RDONLY = 1, S_NOSUID = 2, S_NODEV = 4, S_NOEXEC = 8, S_REMOUNT = 32, S_BIND = 4096, S_REC = 16384,
       S_PRIVATE = 1 << 18, DETACH = 2, SAFE = S_NOSUID | S_NODEV | S_NOEXEC };

#define PLACE "/mnt" // rootfs.MountPoint

static const char *tree, *work, *cgroup;
static int go[2], done[2];

#define CHECK(what) do { if ((what) < 0) { dprintf(2, "bootc: line %d: %s: %s\n", __LINE__, #what, strerror(errno)); _exit(1); } } while (0)

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	CHECK(fd);
	CHECK(write(fd, text, strlen(text)));
	close(fd);
}

static void option(int fs, const char *key, const char *value)
{
	CHECK(syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, key, value, 0));
}

// A tmpfs that belongs to guest root.
static int fresh(const char *mode, int small, unsigned attrs)
{
	int fs = syscall(SYS_fsopen, "tmpfs", 1), fd;
	CHECK(fs);
	if (small) {
		option(fs, "size", "1m");
		option(fs, "nr_inodes", "4096");
	}
	option(fs, "source", "tmpfs");
	option(fs, "mode", mode);
	option(fs, "uid", "1073741824");
	option(fs, "gid", "1073741824");
	CHECK(syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	fd = syscall(SYS_fsmount, fs, 1, attrs);
	CHECK(fd);
	close(fs);
	return fd;
}

static void attach(int fd, int at, const char *path)
{
	CHECK(syscall(SYS_move_mount, fd, "", at, path, MOVE_MOUNT_F_EMPTY_PATH));
}

static void devices(int root)
{
	static const struct { const char *name; int major, minor; } nodes[] = {
		{ "null", 1, 3 }, { "zero", 1, 5 }, { "full", 1, 7 }, { "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 } };
	static const char *links[][2] = { { "fd", "/proc/self/fd" }, { "stdin", "/proc/self/fd/0" },
		{ "stdout", "/proc/self/fd/1" }, { "stderr", "/proc/self/fd/2" }, { "ptmx", "pts/ptmx" }, { "core", "/proc/kcore" } };
	static const char *dirs[] = { "pts", "mqueue", "shm" };
	int dev = fresh("0755", 1, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC), shm;

	attach(dev, root, "dev");
	for (unsigned i = 0; i < sizeof nodes / sizeof *nodes; i++) {
		CHECK(mknodat(dev, nodes[i].name, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)));
		CHECK(fchownat(dev, nodes[i].name, 1 << 30, 1 << 30, 0));
		CHECK(fchmodat(dev, nodes[i].name, 0666, 0));
	}
	for (unsigned i = 0; i < sizeof links / sizeof *links; i++) {
		CHECK(symlinkat(links[i][1], dev, links[i][0]));
		CHECK(fchownat(dev, links[i][0], 1 << 30, 1 << 30, AT_SYMLINK_NOFOLLOW));
	}
	for (unsigned i = 0; i < sizeof dirs / sizeof *dirs; i++) {
		CHECK(mkdirat(dev, dirs[i], 0755));
		CHECK(fchownat(dev, dirs[i], 1 << 30, 1 << 30, 0));
	}
	shm = fresh("1777", 0, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	attach(shm, dev, "shm");
	close(shm);
	close(dev);
}

// The parent's half of the root: it alone may id-map and make device nodes.
static void attach_root(pid_t pid, int lower)
{
	char path[64], upper[4096], wdir[4096], lowerpath[64];
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV };
	static const char *targets[] = { "proc", "sys", "dev", "run" };
	int fs, fd, run;

	snprintf(path, sizeof path, "/proc/%d/uid_map", pid);
	put(path, "0 1073741824 65536");
	snprintf(path, sizeof path, "/proc/%d/gid_map", pid);
	put(path, "0 1073741824 65536");
	snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
	attr.userns_fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK((int)attr.userns_fd);
	CHECK(syscall(SYS_mount_setattr, lower, "", AT_EMPTY_PATH, &attr, sizeof attr));
	close(attr.userns_fd);
	attach(lower, AT_FDCWD, PLACE);
	snprintf(lowerpath, sizeof lowerpath, "/proc/self/fd/%d", lower);
	snprintf(upper, sizeof upper, "%s/upper", work);
	snprintf(wdir, sizeof wdir, "%s/work", work);
	fs = syscall(SYS_fsopen, "overlay", 1);
	CHECK(fs);
	option(fs, "source", "bench");
	option(fs, "lowerdir", lowerpath);
	option(fs, "upperdir", upper);
	option(fs, "workdir", wdir);
	option(fs, "redirect_dir", "on");
	CHECK(syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	fd = syscall(SYS_fsmount, fs, 1, MOUNT_ATTR_NODEV);
	CHECK(fd);
	close(fs);
	attach(fd, AT_FDCWD, PLACE);
	for (unsigned i = 0; i < sizeof targets / sizeof *targets; i++)
		if (mkdirat(fd, targets[i], 0755) < 0 && errno != EEXIST)
			CHECK(-1);
	devices(fd);
	run = fresh("0755", 0, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	attach(run, fd, "run");
	CHECK(mkdirat(run, "lock", 01777));
	CHECK(fchownat(run, "lock", 1 << 30, 1 << 30, 0));
	close(run);
	close(fd);
}

static void loopback(void)
{
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	CHECK(ioctl(s, SIOCSIFFLAGS, &r));
	close(s);
}

static void child(void)
{
	static const char *files[] = { "/proc/kcore", "/proc/keys", "/proc/key-users", "/proc/kmsg", "/proc/latency_stats",
		"/proc/sched_debug", "/proc/sysrq-trigger", "/proc/timer_list" };
	static const char *dirs[] = { "/proc/acpi", "/proc/scsi", "/sys/devices/virtual/powercap", "/sys/firmware", "/sys/fs/bpf",
		"/sys/fs/fuse/connections", "/sys/fs/pstore", "/sys/kernel/config", "/sys/kernel/debug", "/sys/kernel/security",
		"/sys/kernel/tracing", "/sys/power" };
	char c;

	CHECK(read(go[0], &c, 1));
	CHECK(unshare(CLONE_NEWNS | CLONE_NEWCGROUP));
	CHECK(mount(PLACE, PLACE, NULL, S_BIND | S_REC, NULL));
	CHECK(chdir(PLACE));
	CHECK(syscall(SYS_setgroups, 0, NULL));
	CHECK(syscall(SYS_setresgid, 0, 0, 0));
	CHECK(syscall(SYS_setresuid, 0, 0, 0));
	CHECK(syscall(SYS_pivot_root, ".", "."));
	CHECK(mount("proc", "/proc", "proc", SAFE, NULL));
	CHECK(mount("/proc/sys", "/proc/sys", NULL, S_BIND, NULL));
	CHECK(mount("/proc/sys/net", "/proc/sys/net", NULL, S_BIND, NULL));
	CHECK(mount("sysfs", "/sys", "sysfs", SAFE | S_RDONLY, NULL));
	CHECK(mount(NULL, "/proc/sys", NULL, S_BIND | S_REMOUNT | S_RDONLY | SAFE, NULL));
	for (unsigned i = 0; i < sizeof dirs / sizeof *dirs; i++)
		mount("/sys/fs/cgroup", dirs[i], NULL, S_BIND, NULL);
	CHECK(mount("cgroup2", "/sys/fs/cgroup", "cgroup2", SAFE, NULL));
	CHECK(mount("devpts", "/dev/pts", "devpts", S_NOSUID | S_NOEXEC, "newinstance,ptmxmode=0666,mode=620,gid=5"));
	mount("mqueue", "/dev/mqueue", "mqueue", SAFE, NULL);
	for (unsigned i = 0; i < sizeof files / sizeof *files; i++)
		mount("/dev/null", files[i], NULL, S_BIND, NULL);
	CHECK(umount2(".", DETACH));
	CHECK(chdir("/"));
	loopback();
	CHECK(sethostname("bench", 5));
	setsid();
	execl("/bin/sleep", "sleep", "100000", (char *)NULL);
	CHECK(-1);
}

// Children begin with both clocks at zero (time_namespaces(7)).
static void clock_from_zero(void)
{
	struct timespec m, b;
	char path[64], text[128];

	clock_gettime(CLOCK_MONOTONIC, &m);
	clock_gettime(CLOCK_BOOTTIME, &b);
	snprintf(path, sizeof path, "/proc/%d/timens_offsets", gettid());
	snprintf(text, sizeof text, "monotonic -%ld 0\nboottime -%ld 0\n", (long)m.tv_sec, (long)b.tv_sec);
	put(path, text);
}

static void *boot(void *unused)
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	struct timespec begin, end;
	int lower;
	pid_t pid;
	char c;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	lower = syscall(SYS_open_tree, AT_FDCWD, tree, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	CHECK(lower);
	args.cgroup = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK((int)args.cgroup);
	CHECK(pipe2(go, O_CLOEXEC));
	CHECK(pipe2(done, O_CLOEXEC));
	CHECK(unshare(CLONE_FS | CLONE_NEWNS | CLONE_NEWTIME));
	CHECK(mount(NULL, "/", NULL, S_REC | S_PRIVATE, NULL));
	clock_from_zero();
	args.flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_INTO_CGROUP;
	pid = syscall(SYS_clone3, &args, sizeof args);
	CHECK(pid);
	if (pid == 0)
		child();
	close(done[1]);
	attach_root(pid, lower);
	CHECK(write(go[1], "x", 1));
	CHECK(read(done[0], &c, 1)); // its end is the exec
	clock_gettime(CLOCK_MONOTONIC, &end);
	kill(pid, SIGKILL);
	CHECK(waitpid(pid, NULL, 0));
	printf("%lld\n", (end.tv_sec - begin.tv_sec) * 1000000000LL + end.tv_nsec - begin.tv_nsec);
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	if (argc != 4)
		return dprintf(2, "usage: bootc TREE WORK CGROUP\n"), 2;
	tree = argv[1], work = argv[2], cgroup = argv[3];
	if (pthread_create(&thread, NULL, boot, NULL))
		return 1;
	pthread_join(thread, NULL);
	return 0;
}
