/*
 * weigh FILE COMMAND [ARGUMENT...]: runs a command, and writes the peak
 * resident memory in KiB of it and of everything it waited for into FILE.
 *
 * A program of its own, and a tiny one: the kernel counts the memory a process
 * had before execve as its own, so a big parent would be weighed as the child.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
	struct rusage usage;
	int status;
	if (argc < 3)
		return 2;
	pid_t child = vfork();
	if (child == 0) {
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	if (child < 0 || wait4(child, &status, 0, &usage) < 0)
		return 1;
	int file = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (file < 0 || dprintf(file, "%ld\n", usage.ru_maxrss) < 0)
		return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
