/* Memory that a file or a user sizes: how much there is, and allocations that
 * fail in words instead of by the kernel's out-of-memory killer. */
#include "library/base/arena.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "library/base/err.h"
#include "library/base/str.h"

enum {
	ALIGN = 64,
	SMALL = 1 << 20, /* below: not worth asking the kernel what is free */
};

/* One number of a file with lines "key value", or of a file that is a number
 * (key NULL). */
static bool read_number(const char *path, const char *key, uint64_t *ret)
{
	FILE *f = fopen(path, "re");
	char line[256];
	bool found = false;

	if (!f)
		return false;
	while (!found && fgets(line, sizeof line, f)) {
		char *save, *word = strtok_r(line, " \t\n", &save);
		if (key && word)
			word = strcmp(word, key) ? NULL : strtok_r(NULL, " \t\n", &save);
		found = word && parse_u64(word, ret);
	}
	fclose(f);
	return found;
}

/* What a control group leaves: limit - usage, where file cache that the
 * kernel gives back on demand is not usage. */
static uint64_t group_left(const char *dir, bool v2)
{
	char path[4352];
	uint64_t limit, usage, active = 0, inactive = 0;

	snprintf(path, sizeof path, "%s/%s", dir, v2 ? "memory.max" : "memory.limit_in_bytes");
	if (!read_number(path, NULL, &limit)) /* absent, or "max" */
		return UINT64_MAX;
	snprintf(path, sizeof path, "%s/%s", dir, v2 ? "memory.current" : "memory.usage_in_bytes");
	if (!read_number(path, NULL, &usage))
		return UINT64_MAX;
	snprintf(path, sizeof path, "%s/memory.stat", dir);
	read_number(path, v2 ? "active_file" : "total_active_file", &active);
	read_number(path, v2 ? "inactive_file" : "total_inactive_file", &inactive);
	usage -= active + inactive < usage ? active + inactive : usage;
	return limit > usage ? limit - usage : 0;
}

/* The tightest of a group and those above it, up to the mount's root: inside
 * a container the path may name a group that cannot be seen, the root can. */
static uint64_t groups_left(const char *root, const char *group, bool v2)
{
	char dir[4096];
	uint64_t left = UINT64_MAX;
	size_t base =
		(size_t)snprintf(dir, sizeof dir, "%s/sys/fs/cgroup%s", root, v2 ? "" : "/memory");

	if (base >= sizeof dir)
		return left;
	snprintf(dir + base, sizeof dir - base, "%s", group);
	for (;;) {
		uint64_t here = group_left(dir, v2);
		char *slash = strrchr(dir + base, '/');
		left = here < left ? here : left;
		if (!slash)
			return left;
		*slash = '\0';
	}
}

/* Lines of /proc/self/cgroup: "0::/path" (v2), "7:cpu,memory:/path" (v1). */
static uint64_t cgroup_left(const char *root)
{
	char line[4096];
	uint64_t left = UINT64_MAX;
	FILE *f;

	snprintf(line, sizeof line, "%s/proc/self/cgroup", root);
	f = fopen(line, "re");
	if (!f)
		return left;
	while (fgets(line, sizeof line, f)) {
		char *kinds = strchr(line, ':');
		char *group = kinds ? strchr(kinds + 1, ':') : NULL;
		uint64_t here = UINT64_MAX;
		if (!group)
			continue;
		*kinds++ = '\0';
		*group++ = '\0';
		group[strcspn(group, "\n")] = '\0';
		if (!strcmp(line, "0") && !*kinds)
			here = groups_left(root, group, true);
		else if (strstr(kinds, "memory"))
			here = groups_left(root, group, false);
		left = here < left ? here : left;
	}
	fclose(f);
	return left;
}

uint64_t mem_available_under(const char *root)
{
	char path[4096];
	uint64_t kb, left;

	snprintf(path, sizeof path, "%s/proc/meminfo", root);
	if (!read_number(path, "MemAvailable:", &kb))
		kb = 0;
	left = cgroup_left(root);
	if (!kb)
		return left == UINT64_MAX ? 0 : left;
	return kb * 1024 < left ? kb * 1024 : left;
}

uint64_t mem_available(void)
{
	return mem_available_under("");
}

/* Zeroes without touching: the kernel drops the whole pages inside and gives
 * zeroed ones at first use, so a large table costs nothing until it is filled. */
static void zero_pages(unsigned char *p, size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t head = (page - (uintptr_t)p % page) % page;
	size_t whole = n > head ? (n - head) / page * page : 0;

	if (!whole || madvise(p + head, whole, MADV_DONTNEED)) {
		memset(p, 0, n);
		return;
	}
	memset(p, 0, head);
	memset(p + head + whole, 0, n - head - whole);
}

int mem_try_alloc(void **ret, size_t n, size_t size, const char *what, struct err *e)
{
	char needed[16], left[16];
	uint64_t available;
	size_t total;

	*ret = NULL;
	if (__builtin_mul_overflow(n, size, &total) || total > PTRDIFF_MAX - ALIGN)
		return err_set(e, ERR_NOMEM, "%s: needs more memory than any machine has", what);
	total = (total + ALIGN - 1) / ALIGN * ALIGN;
	total = total ? total : ALIGN;
	available = total < SMALL ? 0 : mem_available();
	if (!available || total <= available)
		*ret = aligned_alloc(ALIGN, total);
	if (!*ret)
		return err_set(e, ERR_NOMEM, "%s: needs %s of memory, %s is free", what,
			format_bytes(total, needed), format_bytes(mem_available(), left));
	if (total < SMALL)
		memset(*ret, 0, total);
	else
		zero_pages(*ret, total);
	return 0;
}
