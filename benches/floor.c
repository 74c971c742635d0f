/*
 * The floor: the least work that starts a process in a container's namespaces.
 *
 *   floor ROOTFS PROGRAM [ARGUMENT...]        the mounts of the default specification, then execve and wait
 *   floor --exec PID PROGRAM [ARGUMENT...]    join the namespaces of PID, then fork, execve and wait
 *
 * It parses nothing, checks nothing, has no cgroup and no state. What a runtime
 * takes beyond it is the runtime's own; what it takes is the kernel's. It must
 * stay without options: a knob here would move every ratio of every report.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

/* musl-gcc sees no kernel headers: the part of clone3's argument that version 0 of it has. */
struct clone_arguments {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
};
#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

#define NAMESPACES (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)

static void fail(const char *what) {
	dprintf(2, "floor: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static void attach(const char *type, const char *target, unsigned long flags, const char *data) {
	mkdir(target, 0755);
	if (mount(type, target, type, flags, data) != 0)
		fail(target);
}

static void node(const char *path, unsigned minor_number) {
	if (mknod(path, S_IFCHR | 0666, makedev(1, minor_number)) != 0)
		fail(path);
}

/* The mounts of the default specification, relative to the new root. */
static void populate(void) {
	attach("proc", "proc", 0, NULL);
	attach("tmpfs", "dev", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k");
	attach("devpts", "dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5");
	attach("tmpfs", "dev/shm", MS_NOSUID | MS_NOEXEC | MS_NODEV, "mode=1777,size=65536k");
	attach("mqueue", "dev/mqueue", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL);
	attach("sysfs", "sys", MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY, NULL);
	attach("tmpfs", "sys/fs/cgroup", MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY, "mode=755");
	node("dev/null", 3);
	node("dev/zero", 5);
	node("dev/full", 7);
	node("dev/random", 8);
	node("dev/urandom", 9);
}

static void enter(const char *rootfs) {
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		fail("make / private");
	if (mount(rootfs, rootfs, NULL, MS_BIND | MS_REC, NULL) != 0)
		fail("bind the root");
	if (chdir(rootfs) != 0)
		fail("chdir to the root");
	populate();
	if (syscall(SYS_pivot_root, ".", ".") != 0)
		fail("pivot_root");
	if (umount2(".", MNT_DETACH) != 0)
		fail("umount the old root");
	if (chdir("/") != 0)
		fail("chdir /");
	if (sethostname("floor", 5) != 0)
		fail("sethostname");
}

static void execute(char **argv) {
	char *environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
	execve(argv[0], argv, environment);
	fail(argv[0]);
}

static int wait_for(pid_t child) {
	int status;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			fail("wait");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int start(const char *rootfs, char **argv) {
	struct clone_arguments arguments = {.flags = NAMESPACES, .exit_signal = SIGCHLD};
	pid_t child = syscall(SYS_clone3, &arguments, sizeof arguments);
	if (child < 0)
		fail("clone3");
	if (child == 0) {
		enter(rootfs);
		execute(argv);
	}
	return wait_for(child);
}

static int join(const char *pid, char **argv) {
	int process = syscall(SYS_pidfd_open, atoi(pid), 0);
	if (process < 0)
		fail("pidfd_open");
	if (setns(process, NAMESPACES) != 0)
		fail("setns");
	pid_t child = vfork();
	if (child < 0)
		fail("vfork");
	if (child == 0)
		execute(argv);
	return wait_for(child);
}

int main(int argc, char **argv) {
	if (argc >= 4 && strcmp(argv[1], "--exec") == 0)
		return join(argv[2], argv + 3);
	if (argc < 3) {
		dprintf(2, "usage: floor ROOTFS PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	return start(argv[1], argv + 2);
}
