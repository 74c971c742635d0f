/*
 * weigh COMMAND [ARGUMENT...]: runs a command and writes the peak resident
 * memory in KiB of it and of everything it waited for to file descriptor 3.
 *
 * A program of its own, and a tiny one: the kernel counts the memory a process
 * had before execve as its own, so a big parent would be weighed as the child.
 */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
	struct rusage usage;
	int status;
	if (argc < 2)
		return 2;
	pid_t child = vfork();
	if (child == 0) {
		close(3);
		execvp(argv[1], argv + 1);
		_exit(127);
	}
	if (child < 0 || wait4(child, &status, 0, &usage) < 0)
		return 1;
	dprintf(3, "%ld\n", usage.ru_maxrss);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
