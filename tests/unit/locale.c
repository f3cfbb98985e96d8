/* Numbers have a '.' also where the user's locale writes a comma.  Makes such
 * a locale with localedef; exits 77 where that is not possible. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

#include "library/base/str.h"
#include "tests/unit/scratch.h"

static int check(void)
{
	double v = 0;
	char text[16];

	snprintf(text, sizeof text, "%.1f", 1.5);
	if (text[1] != ',') {
		puts("the locale de_DE has no comma");
		return 1;
	}
	if (!parse_f64("1.5", &v) || v != 1.5 || parse_f64("1,5", &v)) {
		puts("parse_f64 follows the locale");
		return 1;
	}
	return 0;
}

int main(void)
{
	void *dir;
	char command[256];
	int rc = 77;

	if (scratch_open(&dir))
		return 1;
	snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 '%s/de_DE.UTF-8' 2>&1",
		(const char *)dir);
	if (!system(command) && !setenv("LOCPATH", dir, 1) && setlocale(LC_ALL, "de_DE.UTF-8"))
		rc = check();
	else
		puts("skipped: localedef cannot make de_DE.UTF-8 (is the package locales "
		     "installed?)");
	return scratch_close(&dir) ? 1 : rc;
}
