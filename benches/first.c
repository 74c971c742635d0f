/*
 * The workload whose first instruction is timed: it says that it is there. As
 * process 1 of a virtual machine it then stays, because a kernel whose init
 * ends panics; the harness ends the machine.
 */
#include <unistd.h>

int main(int argc, char **argv) {
	static const char message[] = "first instruction\n";
	(void)argv;
	if (write(1, message, sizeof message - 1) != sizeof message - 1)
		return 1;
	/* A kernel hands its own arguments to init, a runtime hands none. */
	while (argc > 1)
		pause();
	return 0;
}
