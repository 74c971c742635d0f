/*
 * instructions FILE SECONDS COMMAND [ARGUMENT...]: runs a command and writes into FILE how many instructions it, and
 * every process that it made, executed in user space, and how they were counted: "123 counter" by the processor's own
 * counter, "123 steps" one by one where there is none; a repeated string instruction is one. After SECONDS of stepping
 * it ends them all and writes "123 unfinished".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int answer(const char *path, uint64_t count, const char *how, int code) {
	FILE *file = fopen(path, "w");
	if (file == NULL || fprintf(file, "%llu %s\n", (unsigned long long)count, how) < 0 || fclose(file) != 0)
		return 1;
	return code;
}

static int code_of(int status) {
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* -1 where the processor has no counter, or we may not use it. */
static int counter_of(pid_t pid) {
	struct perf_event_attr attributes = {
		.type = PERF_TYPE_HARDWARE, .size = sizeof attributes, .config = PERF_COUNT_HW_INSTRUCTIONS,
		.disabled = 1, .inherit = 1, .exclude_kernel = 1, .exclude_hv = 1, .enable_on_exec = 1,
	};
	return syscall(SYS_perf_event_open, &attributes, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

/* The process stands before its execve. */
static pid_t make(char **argv) {
	pid_t pid = fork();
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		execvp(argv[0], argv);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
	return pid;
}

static int by_counter(const char *path, pid_t pid, int counter) {
	uint64_t count = 0;
	int status;
	ptrace(PTRACE_DETACH, pid, 0, 0);
	if (waitpid(pid, &status, 0) < 0 || read(counter, &count, sizeof count) != sizeof count)
		return 1;
	return answer(path, count, "counter", code_of(status));
}

/* Where each process stood, to know a string instruction that repeats itself from the next one. */
static struct { pid_t pid; unsigned long at; } stood[512];

static int has_moved(pid_t pid) {
	unsigned long at = ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user_regs_struct, rip), 0);
	int slot = pid % 512;
	int moved = stood[slot].pid != pid || stood[slot].at != at;
	stood[slot].pid = pid;
	stood[slot].at = at;
	return moved;
}

static int by_steps(const char *path, pid_t main_child, time_t seconds) {
	long options = PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
	uint64_t count = 0;
	int status, code = 0;
	time_t end = time(NULL) + seconds;
	ptrace(PTRACE_SETOPTIONS, main_child, 0, options);
	ptrace(PTRACE_SINGLESTEP, main_child, 0, 0);
	for (;;) {
		pid_t pid = waitpid(-1, &status, __WALL);
		if (pid < 0 && errno == ECHILD)
			return answer(path, count, "steps", code);
		if (pid < 0)
			continue;
		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			if (pid == main_child)
				code = code_of(status);
			continue;
		}
		/* Ending here ends them all. */
		if ((count & 0xfff) == 0 && time(NULL) >= end)
			return answer(path, count, "unfinished", 0);
		int signal = WSTOPSIG(status), event = status >> 16;
		if (event == 0 && signal == SIGTRAP)
			count += has_moved(pid);
		ptrace(PTRACE_SINGLESTEP, pid, 0, event != 0 || signal == SIGTRAP || signal == SIGSTOP ? 0 : signal);
	}
}

int main(int argc, char **argv) {
	if (argc < 4)
		return 2;
	pid_t pid = make(argv + 3);
	int counter = counter_of(pid);
	if (counter >= 0)
		return by_counter(argv[1], pid, counter);
	return by_steps(argv[1], pid, atol(argv[2]));
}
