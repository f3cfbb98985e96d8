/* Kernels that break a rule, each with a twin that keeps it (broken.cu), and what else
 * the emulator promises (works.cu). */
#ifndef WOODSHED_TESTS_EMULATION_CASES_H
#define WOODSHED_TESTS_EMULATION_CASES_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

struct emulation_case {
	const char *name;
	void (*run)(bool is_broken);
	/* What the report has to say of the broken one, kernel and thread first; '*' stands
	 * for anything. */
	const char *report;
};
extern const struct emulation_case emulation_cases[]; /* to a name of NULL */

/* Returns what is wrong, or NULL.  fault: WOODSHED_EMULATED_FAULT, or NULL. */
struct emulation_check {
	const char *name, *fault;
	const char *(*run)(void);
};
extern const struct emulation_check emulation_checks[]; /* to a name of NULL */

#ifdef __cplusplus
}
#endif
#endif
