/*
 * touched FILE FIRST END COMMAND [ARGUMENT...]: runs a command step by step
 * and appends to FILE, in the order of their first time, the addresses from FIRST
 * to END (hexadecimal) that it, or a process that it made, executed, until that
 * process becomes another program.
 *
 * For benches/hot-functions: which functions a start runs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* A process that we step must not be left with the trap flag set. */
static void let_go(pid_t pid) {
	int status;
	if (kill(pid, SIGSTOP) < 0 || waitpid(pid, &status, __WALL) < 0)
		return;
	ptrace(PTRACE_DETACH, pid, 0, 0);
	kill(pid, SIGCONT);
}

int main(int argc, char **argv) {
	if (argc < 5)
		return 2;
	unsigned long first = strtoul(argv[2], NULL, 16), end = strtoul(argv[3], NULL, 16);
	char *seen = calloc(end - first, 1);
	FILE *file = fopen(argv[1], "a");
	if (file == NULL)
		return 2;
	pid_t main_child = fork();
	if (main_child == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		execv(argv[4], argv + 4);
		_exit(127);
	}
	pid_t other[64];
	int status, code = 0, execs = 0, others = 0;
	long options = PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC;
	waitpid(main_child, &status, 0);
	ptrace(PTRACE_SETOPTIONS, main_child, 0, options);
	ptrace(PTRACE_SINGLESTEP, main_child, 0, 0);
	for (;;) {
		pid_t pid = waitpid(-1, &status, __WALL);
		if (pid < 0 && errno == ECHILD)
			break;
		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			if (pid != main_child)
				continue;
			/* What it leaves behind, such as a container that waits, goes on by itself. */
			code = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
			for (int i = 0; i < others; i++)
				let_go(other[i]);
			break;
		}
		if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8) && !(pid == main_child && execs++ < 2)) {
			ptrace(PTRACE_DETACH, pid, 0, 0);
			continue;
		}
		int known = pid == main_child;
		for (int i = 0; i < others; i++)
			known |= other[i] == pid;
		if (!known && others < 64)
			other[others++] = pid;
		struct user_regs_struct registers;
		if (ptrace(PTRACE_GETREGS, pid, 0, &registers) == 0 && registers.rip >= first && registers.rip < end &&
		    !seen[registers.rip - first]) {
			seen[registers.rip - first] = 1;
			fprintf(file, "%llx\n", registers.rip);
		}
		int signal = WSTOPSIG(status);
		ptrace(PTRACE_SINGLESTEP, pid, 0, signal == SIGTRAP || signal == SIGSTOP ? 0 : signal);
	}
	return fclose(file) != 0 ? 1 : code;
}
