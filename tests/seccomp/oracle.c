/* libseccomp as an oracle: reads requests on stdin, answers each on one line of stdout. All numbers are decimal.
 *
 *   number ARCH NAME                    -> the system call's number, negative where ARCH lacks it
 *   filter DEFAULT COUNT ARCH... RULES  -> a line "LENGTH code jt jf k ..." or "error CODE RULE"
 *
 * The first ARCH is native. RULES lines follow: "ACTION NAME CONDITIONS [ARG OP A B]...".
 * A rule is added as runc adds it: unknown names are skipped, inexact rules are fine. */
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int big_endian;

static uint32_t order(uint32_t value, int bytes)
{
	if (!big_endian)
		return value;
	return bytes == 2 ? __builtin_bswap16(value) : __builtin_bswap32(value);
}

/* For a foreign byte order libseccomp swaps some returned values twice: take the order that is an action. */
static uint32_t action_order(uint32_t value)
{
	switch (value >> 16) {
	case 0x0003: case 0x0005: case 0x7fc0: case 0x7ff0: case 0x7ffc: case 0x7fff: case 0x8000:
		return value;
	}
	return __builtin_bswap32(value);
}

static int read_rule(scmp_filter_ctx filter)
{
	struct scmp_arg_cmp args[6];
	unsigned action, count;
	char name[64];

	if (scanf("%u %63s %u", &action, name, &count) != 3 || count > 6)
		exit(2);
	for (unsigned i = 0; i < count; i++) {
		unsigned op;
		if (scanf("%u %u %lu %lu", &args[i].arg, &op, &args[i].datum_a, &args[i].datum_b) != 4)
			exit(2);
		args[i].op = op;
	}
	int number = seccomp_syscall_resolve_name(name);
	if (number == __NR_SCMP_ERROR || filter == NULL)
		return 0;
	return seccomp_rule_add_array(filter, action, number, count, args);
}

static void answer_filter(void)
{
	unsigned action, archs, rules, arch;
	int failed = 0, failed_rule = 0;
	FILE *file = tmpfile();

	if (scanf("%u %u", &action, &archs) != 2 || file == NULL)
		exit(2);
	scmp_filter_ctx filter = seccomp_init(action);
	seccomp_arch_remove(filter, SCMP_ARCH_X86_64);
	for (unsigned i = 0; i < archs; i++) {
		if (scanf("%u", &arch) != 1 || seccomp_arch_add(filter, arch) != 0)
			exit(3);
		big_endian = !(arch & 0x40000000);
	}
	if (scanf("%u", &rules) != 1)
		exit(2);
	for (unsigned i = 0; i < rules; i++) {
		int rc = read_rule(failed ? NULL : filter);
		if (rc != 0) {
			failed = rc;
			failed_rule = i;
		}
	}
	if (failed) {
		printf("error %d %d\n", failed, failed_rule);
	} else {
		struct { uint16_t code; uint8_t jt, jf; uint32_t k; } insn;
		seccomp_export_bpf(filter, fileno(file));
		long bytes = lseek(fileno(file), 0, SEEK_END);
		lseek(fileno(file), 0, SEEK_SET);
		printf("%ld", bytes / (long)sizeof insn);
		while (read(fileno(file), &insn, sizeof insn) == sizeof insn)
			printf(" %u %u %u %u", order(insn.code, 2), insn.jt, insn.jf,
			       order(insn.code, 2) == 0x06 ? action_order(insn.k) : order(insn.k, 4));
		printf("\n");
	}
	fclose(file);
	seccomp_release(filter);
}

int main(void)
{
	char request[16], name[64];
	unsigned arch;

	while (scanf("%15s", request) == 1) {
		if (request[0] == 'f')
			answer_filter();
		else if (scanf("%u %63s", &arch, name) == 2)
			printf("%d\n", seccomp_syscall_resolve_name_arch(arch, name));
		fflush(stdout);
	}
	return 0;
}
